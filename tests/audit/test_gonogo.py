"""The parts of the go/no-go review: what was asked and done is held against what is there; what is said comes from the report."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click
import kept_reports
import pytest

from audit import consistency
from audit.cli import COMMANDS
from audit.evidence import Monitoring, load_evidence
from audit.gates import ALERTS, judge, load_gates
from audit.gates_base import gates_digest
from audit.gonogo.asked import Asked
from audit.gonogo.record import FILE, Record, RecordError, Step, digest, file_digest
from audit.gonogo.telling import as_json, as_text, next_commands, outcome, weeks_json
from audit.report.model import evidence_of
from audit.report.next_steps import steps
from audit.verdict import decide
from audit.watch.document import evidence
from phi_guard.policy import shipped

ASKED = Asked(week=5, calls=3, minutes=0.5, project="clinic", local=True, evidence=("a.json",), without=("minilm",), scan_seed=7)


def rejudged(report, **changes):
    """The report with other evidence, its gates judged by it; those whose evidence no report holds stay as they are."""
    changed = replace(report, **changes)
    anew = {row.gate.name: row for row in judge(tuple(row.gate for row in report.gates), evidence_of(changed))}
    kept = ("redaction_tests", "free_plan", "monthly_cost_usd")
    gates = tuple(row if row.gate.name in kept else anew[row.gate.name] for row in report.gates)
    return replace(changed, gates=gates, verdict=decide(gates, changed.incomplete))


def in_operation(monitoring):
    """A report of week 6."""
    report = kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben")
    more = judge(tuple(gate for gate in load_gates(shipped("gates.yaml"), week=6) if gate.week == 6), replace(evidence_of(report)))
    return rejudged(replace(report, gates=(*report.gates, *more)), monitoring=monitoring)


WATCHED = Monitoring(
    "2026-11-17T08:00:00Z", "2026-11-19T09:00:00Z", 49.0, 190, 950.0, 30, no_go=0, unfinished=0, closed=True,
    project="clinic-prod", env="prod", policy_digest="0" * 16, outcome="CLEAN", judged=ALERTS, rules_digest=kept_reports.RULES,
    gates_digest=gates_digest(row.gate for row in kept_reports.kept().gates),
    journal_n=192, journal_sha256="7" * 64, vouched=True,
)  # fmt: skip
REPORTS = {
    "waiting for people": kept_reports.kept(),
    "GO": kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben"),
    "findings": kept_reports.kept(findings=[kept_reports.finding()]),
    "no rehearsal": rejudged(kept_reports.kept(), rehearsal=None),
    "known answers not run": rejudged(kept_reports.kept(), known_answers=None),
    "not watched": in_operation(None),
    "watched": in_operation(WATCHED),
}


# -- what was asked and done ---------------------------------------------------------------------------------------------------------------


def test_what_was_asked_is_read_as_it_was_written(tmp_path):
    """Every option, through the file; a step with its files."""
    record = Record(tmp_path, ASKED)
    (tmp_path / "a.txt").write_text("one")
    record.keep(Step("scan", digest({"x": 1}), "b", "e", {"a.txt": file_digest(tmp_path / "a.txt")}, "said"))
    held = Record.of(tmp_path)
    assert (held.asked, held.steps) == (ASKED, record.steps)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_step_fits_only_with_its_input_and_its_files(tmp_path):
    """Another input, a file that was changed, and one that is gone: it is done again."""
    path, inputs = tmp_path / "a.txt", digest({"calls": 3})
    path.write_text("one")
    record = Record(tmp_path, ASKED)
    record.keep(Step("rehearsal", inputs, "b", "e", {"a.txt": file_digest(path)}))
    assert record.fits("rehearsal", inputs) is not None
    assert record.fits("rehearsal", digest({"calls": 4})) is None
    assert record.fits("scan", inputs) is None
    path.write_text("two")
    assert record.fits("rehearsal", inputs) is None
    path.unlink()
    assert record.fits("rehearsal", inputs) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "other/1"}', '{"schema": "phi-audit.gonogo-record/1", "asked": {"calls": "ten"}, "steps": []}',
     '{"schema": "phi-audit.gonogo-record/1", "asked": {"nobody": 1}, "steps": []}',
     '{"schema": "phi-audit.gonogo-record/1", "asked": {}, "steps": [{"name": "scan"}]}'],
    ids=["empty", "list", "no schema", "other", "kind", "option", "step"],
)  # fmt: skip
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    """With its place and what to do, whatever it holds."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(RecordError, match=f"{FILE}: .*name another directory"):
        Record.of(tmp_path)


def test_a_directory_without_a_record_is_said(tmp_path):
    """Nothing to go on with."""
    with pytest.raises(RecordError, match="begin without --resume"):
        Record.of(tmp_path)


# -- what is said --------------------------------------------------------------------------------------------------------------------------


def test_an_early_week_asks_for_no_more_than_it_must_show():
    """Without a rehearsal and without people: weeks 1 to 3 are GO, 4 and 5 are not; after findings week 2 still is."""
    states = [outcome(REPORTS["no rehearsal"], week).state for week in (1, 2, 3, 4, 5)]
    assert states == ["GO", "GO", "GO", "UNPROVEN", "UNPROVEN"]
    assert [outcome(REPORTS["findings"], week).state for week in (2, 3, 5)] == ["GO", "NO_GO", "NO_GO"]
    assert outcome(REPORTS["watched"], 6).state == "GO"
    assert outcome(REPORTS["not watched"], 6).state == "UNPROVEN"


@pytest.mark.parametrize("name", REPORTS)
def test_what_is_said_is_the_reports(name, tmp_path):
    """The outcome, the weeks and the gates of each; text and JSON say the same."""
    report, asked = REPORTS[name], replace(ASKED, week=6 if "atched" in name else 5)
    told = as_json(report, asked, tmp_path, (), "the switch is off")
    assert (told["outcome"], told["exit_code"]) == (report.verdict.state, report.verdict.exit_code)
    assert [gate["name"] for week in told["weeks"] for gate in week["gates"]] == sorted(
        (row.gate.name for row in report.gates), key=lambda n: next(row.gate.week for row in report.gates if row.gate.name == n)
    )
    assert told["weeks"] == weeks_json(report) == json.loads(json.dumps(told["weeks"]))
    text = as_text(report, asked, tmp_path, (), "the switch is off")
    assert text.startswith(report.verdict.state.replace("_", "-"))
    assert all(part in text for part in (report.digest, "the switch is off", *report.verdict.reasons))


def test_an_early_week_is_told_without_the_gaps_of_later_ones(tmp_path):
    """A line for every week, and reasons only of those that were asked for."""
    text = as_text(REPORTS["no rehearsal"], replace(ASKED, week=3), tmp_path, ())
    assert text.startswith("GO  week 3")
    assert "unproven load_test" not in text
    assert "\n5     unproven" in text
    assert "unproven load_test" in as_text(REPORTS["no rehearsal"], ASKED, tmp_path, ())


def test_a_report_of_operation_holds_together():
    """Judged again from what it holds, it says the same; a gate of operation that says other than its evidence is found out."""
    report = REPORTS["watched"]
    assert (report.verdict.state, list(consistency.check(report))) == ("GO", [])
    forged = replace(report, monitoring=replace(WATCHED, no_go=1))
    assert list(consistency.check(forged)) == ["gates: stable.state: is proven, and failed follows from the evidence in this report"]


@pytest.mark.parametrize("name", REPORTS)
def test_each_outcome_has_commands_that_the_command_line_takes(name, tmp_path, monkeypatch):
    """Parsed by the real commands; after GO only a signature and the check are left."""
    monkeypatch.chdir(tmp_path)
    for file in ("ONE", "TWO", "report", "scan"):
        (tmp_path / f"{file}.json").write_text("{}")
    asked = replace(ASKED, week=6 if "atched" in name else 5)
    commands = [command for _, command in next_commands(REPORTS[name], asked, tmp_path)]
    assert commands
    for command in commands:
        program, verb, *words = [{"TIME": "2026-11-20T09:10+01:00", "ZONE": "Europe/Zurich"}.get(w, w) for w in shlex.split(command)]
        assert program == "phi-audit"
        module, _, attribute = COMMANDS[verb][0].partition(":")
        found, context = getattr(import_module(module), attribute), click.Context(click.Command("phi-audit"))
        if isinstance(found, click.Group) and not found.invoke_without_command:
            found, words = found.get_command(context, words[0]), words[1:]
        found.make_context(verb, words, parent=context)


def test_a_report_of_operation_says_to_watch():
    """The report's own steps name the gates of operation, and the scan that takes the watch's file."""
    found = steps(REPORTS["not watched"])
    assert [step.gates for step in found if step.command.startswith("phi-audit watch")] == [("monitored_hours", "stable", "alerts_clean")]
    assert any("--evidence watch/monitoring.json" in step.command for step in found)


WATCHES = {
    "failed": ({"no_go": 1}, "watch-again", True),
    "off for a while": ({"switch_off_s": 9.0}, "watch-again", True),
    "an alert": ({"alerts": {"error_rate": 1}}, "watch-again", True),
    "unproven": ({"outcome": "UNPROVEN"}, "watch-again", False),
    "too old": ({"ended_at": "2026-10-01T09:00:00Z"}, "watch-again", False),
    "too short": ({"hours": 47.0}, "watch-again", False),
    "never": (None, "watch", False),
}


@pytest.mark.parametrize("env", ["dev", "prod"])
@pytest.mark.parametrize("what", WATCHES)
def test_a_watch_that_did_not_prove_is_held_again_in_another_directory(what, env, tmp_path, monkeypatch):
    """One that has ended is not gone on with; the scan takes the new file and not the old one, and each command is of the environment."""
    monkeypatch.chdir(tmp_path)
    change, directory, mend = WATCHES[what]
    report = in_operation(change and replace(WATCHED, **change))
    found = steps(replace(report, target=replace(report.target, env=env)))
    (watch,) = (step for step in found if step.command.startswith("phi-audit watch"))
    assert watch.gates == tuple(row.gate.name for row in report.gates if row.gate.week == 6 and row.state != "proven")
    assert watch.do.startswith("Mend what broke. ") == mend
    taken = taken_by("watch", watch.command)
    assert (taken["directory"], taken["env"], taken["project"], taken["hours"]) == (Path(directory), env, "clinic-prod", 48.0)
    (tmp_path / directory).mkdir()
    for file in ("rehearsal.json", "alerts.json", f"{directory}/monitoring.json"):
        (tmp_path / file).write_text("{}")
    (scan,) = (step for step in found if step.command.startswith("phi-audit scan"))
    taken = taken_by("scan", scan.command.replace(" STATE", " ."))
    assert taken["env"] == env
    assert [path for path in taken["evidence"] if path.name == "monitoring.json"] == [Path(directory) / "monitoring.json"]


def taken_by(verb, command):
    """What the real command takes out of these words."""
    module, _, attribute = COMMANDS[verb][0].partition(":")
    words = shlex.split(command)
    assert words[:2] == ["phi-audit", verb]
    return getattr(import_module(module), attribute).make_context(verb, words[2:], parent=click.Context(click.Command("phi-audit"))).params


def test_a_watch_that_proved_is_given_once_more_and_not_held_again():
    """Another gate is open: its scan takes the file of the watch that there was."""
    report = rejudged(REPORTS["watched"], known_answers=None)
    found = steps(report)
    assert not any(step.command.startswith("phi-audit watch") for step in found)
    (scan,) = (step.command for step in found if step.command.startswith("phi-audit scan"))
    assert "--evidence watch/monitoring.json" in scan
    assert "watch-again" not in scan


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_after_go_telemetry_is_turned_on_where_it_was_judged(env, tmp_path):
    """With the report, in the environment and the project of the review; a store of our own has nothing to turn on."""

    def on(**more):
        rows = next_commands(REPORTS["GO"], replace(ASKED, env=env, **more), tmp_path)
        return [command for _, command in rows if command.startswith("phi-audit switch on")]

    told = f"--env {env} --project clinic --reason 'audit: GO' --report {tmp_path}/report.json"
    assert (on(local=False), on(), on(local=False, week=4)) == ([f"phi-audit switch on {told}"], [], [])


@pytest.mark.parametrize("played", [False, True], ids=["read", "played"])
@pytest.mark.parametrize("what", WATCHES)
def test_the_review_asks_for_another_watch_and_takes_its_file_alone(what, played, tmp_path, monkeypatch):
    """As the report does: in another directory, once the first has ended; of two files of a kind none would be taken."""
    monkeypatch.chdir(tmp_path)
    change, directory, mend = WATCHES[what]
    report = in_operation(change and replace(WATCHED, **change))
    given = ()
    if report.monitoring:
        (tmp_path / "old.json").write_text(json.dumps(evidence(report.monitoring)))
        given = ("old.json",)
    (tmp_path / "own.json").write_text(json.dumps({"schema": "phi-audit.alerts-rehearsal/1", "alerts": []}))
    asked = replace(ASKED, week=6, local=False, env="prod", evidence=("own.json", *given))
    (tmp_path / directory).mkdir()
    (tmp_path / directory / "monitoring.json").write_text(json.dumps(evidence(WATCHED)))
    rows = next_commands(report, asked, tmp_path, played=played)
    assert [do.startswith("Mend what broke. ") for do, command in rows if command.startswith("phi-audit watch")] == [mend]
    (watch,) = (command for _, command in rows if command.startswith("phi-audit watch"))
    assert taken_by("watch", watch)["directory"] == Path(directory)
    (again,) = (command for _, command in rows if "monitoring.json" in command)
    files = taken_by("gonogo", again.replace("STATE", "."))["evidence"]
    assert files == (Path("own.json"), Path(directory) / "monitoring.json")
    assert load_evidence(files).monitoring is not None


def test_what_failed_in_the_scan_is_mended_before_it_is_watched(tmp_path):
    """The file of a watch that nobody has held yet is not asked for with it."""
    failed = in_operation(None)
    failed = replace(failed, gates=tuple(replace(r, state="failed") if r.gate.name == "phi_findings" else r for r in failed.gates))
    failed = replace(failed, verdict=decide(failed.gates))
    rows = [command for _, command in next_commands(failed, replace(ASKED, week=6), tmp_path, played=False)]
    (mend, watch, again) = (command for command in rows if command.startswith(("phi-audit gonogo", "phi-audit watch")))
    assert "monitoring.json" not in mend
    assert (watch.endswith("-d watch"), again.endswith("--evidence watch/monitoring.json")) == (True, True)


def test_what_is_lacking_is_asked_for():
    """The load that the gate names, the plants that can show the bar, the watch's file."""

    def commands(name, **more):
        return " ".join(command for _, command in next_commands(REPORTS[name], replace(ASKED, **more), Path("review")))

    assert "--calls 10 --minutes 5" in commands("no rehearsal")
    assert "--known-answers 59" in commands("known answers not run", known_answers=5)
    assert "--known-answers 118" in commands("known answers not run", known_answers=59)
    assert "--evidence watch/monitoring.json" in commands("not watched", week=6)
    assert "phi-audit serve --path review/traces.sqlite3" in commands("waiting for people")
    assert "phi-audit serve" not in commands("waiting for people", local=False)
    assert "phi-audit purge review/report.json" in commands("findings")
