"""The steps of the go/no-go review on real exports and a real local store: what is contained, what is done again, whose calls are judged.

The networks and Presidio are left out, so that a scan takes a second; such a scan is never GO, and finds what it finds all the same.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import kept_reports
import pytest
from click.exceptions import Exit

from audit import containment
from audit.cli.gonogo import _write
from audit.cli.gonogo_people import _verify, with_people
from audit.gonogo import Asked, Record, Step, hold, run
from audit.gonogo.alone import NotAlone, expect_own, expect_quiet, own_project
from audit.gonogo.kept import keep_scan, keep_signed
from audit.gonogo.record import FILE, RecordError, digest, file_digest
from audit.gonogo.run import ACCOUNT, REHEARSAL, SCAN, Held
from audit.gonogo.standing import LASTS, REVIEWED
from audit.gonogo.telling import next_commands
from audit.report import ReportHoldsValue, render
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.local.trace_store.serve import LocalServer

WITHOUT = ("minilm", "presidio", "rampart")
PHONE = "+41 79 555 01 23"
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))


def write_export(path, made, *, leak=False):
    """A call of seven runs; with a telephone number in a tool's notes if asked for."""
    runs = made.call()
    if leak:
        runs[5]["inputs"]["notes"] = f"called from {PHONE}"
    path.write_text("\n".join(map(json.dumps, runs)))
    return str(path)


def begin(tmp_path, **asked):
    """A review of an export, week 3, without what takes long."""
    common = {"week": 3, "env": "dev", "without": WITHOUT, "known_answers": 0, "sample": 0, "project": "clinic-dev"}
    return Record(tmp_path / "review", Asked(**{**common, **asked}))


def again(record, **more):
    """Which steps a resume takes as they were left, by name."""
    held = hold(Record.of(record.directory), lambda _: None, **more)
    return {step.name: step.again for step in held.steps}


def rewrite(record, **changes):
    """The record on disk with other values in the row of one step, or of all."""
    path = record.directory / FILE
    told = json.loads(path.read_text())
    for row in told["steps"]:
        row.update(changes)
    path.write_text(json.dumps(told))


# -- a NO-GO is contained before anything can stop it --------------------------------------------------------------------------------------


def test_a_leak_is_contained_though_its_report_cannot_be_rendered(tmp_path, made, monkeypatch):
    """Rendering is refused: nothing is written, and the switch is off and held all the same."""
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("before")
    record = begin(tmp_path, file=write_export(tmp_path / "leak.jsonl", made, leak=True))

    def refuse(*_, **__):
        raise ReportHoldsValue("the report would hold what has the form of an identifier")

    monkeypatch.setattr("audit.report.render", refuse)
    with pytest.raises(ReportHoldsValue):
        hold(record, lambda _: None, contain=lambda report: containment.contain(report.digest, NOW))
    assert (switch.state().on, switch.state().hold) == (False, "leak")
    assert not (record.directory / SCAN).exists()


# -- what is done again --------------------------------------------------------------------------------------------------------------------


def test_a_scan_is_done_again_by_another_release_or_method_and_after_a_change(tmp_path, made, monkeypatch):
    """As it was left with nothing changed that matters; anew with other gates, another method, other code. The old scan is kept."""
    record = begin(tmp_path, file=write_export(tmp_path / "runs.jsonl", made, leak=True))
    first = hold(record, lambda _: None)
    assert first.report.verdict.state == "NO_GO"
    rewrite(record, good=True)  # it left layers out, so it would be done again for that alone
    assert again(record) == {"policy": True, "scan": True}

    def asked_anew(**changes):
        changed = Record.of(record.directory)
        changed.asked = replace(changed.asked, **changes)
        steps = {step.name: step.again for step in hold(changed, lambda _: None).steps}
        rewrite(record, good=True)
        return steps

    gates, policy = tmp_path / "gates.yaml", tmp_path / "clinic.yaml"
    gates.write_text(shipped("gates.yaml").read_text("utf-8").replace("at_most: 5000", "at_most: 5001"))
    policy.write_text(shipped("clinic.yaml").read_text("utf-8") + "# a remark changes no rule\n")
    assert asked_anew(gates=str(gates)) == {"policy": True, "scan": False}
    assert asked_anew(policy=str(policy)) == {"policy": True, "scan": True}
    with monkeypatch.context() as other:
        describe = run._Review._method
        other.setattr(run._Review, "_method", lambda self: replace(describe(self), digest="0" * 32))
        assert asked_anew() == {"policy": True, "scan": False}
    with monkeypatch.context() as other:
        other.setattr(run, "release", lambda: "another")
        assert asked_anew() == {"policy": False, "scan": False}
    assert (record.directory / f"scan-{first.report.digest[:12]}.json").is_file()


def test_a_scan_that_did_not_read_everything_is_done_again(tmp_path, made):
    """Nobody need change anything for that."""
    record = begin(tmp_path, file=write_export(tmp_path / "runs.jsonl", made))
    hold(record, lambda _: None)
    assert again(record) == {"policy": True, "scan": False}


def test_reviews_are_taken_in_only_into_the_scan_that_they_are_of(tmp_path, made):
    """Even where it would be done again without them. Where its input is another, they are refused, and the scan is left as it is."""
    export = tmp_path / "runs.jsonl"
    record = begin(tmp_path, file=write_export(export, made))
    hold(record, lambda _: None)
    assert again(record, reviewed=True) == {"policy": True, "scan": True}
    write_export(export, made, leak=True)
    reviewed = (record.directory / SCAN).read_bytes()
    with pytest.raises(RecordError, match=r"scan: what was left no longer fits .* the reviews are of the scan"):
        again(record, reviewed=True)
    assert (record.directory / SCAN).read_bytes() == reviewed


def test_a_step_stands_for_a_day_and_for_its_reviews_a_month(tmp_path):
    """By the clock; a time in the future, or one that is none, does not count."""

    def fits(ended, within):
        record = Record(tmp_path, Asked())
        record.keep(Step("rehearsal", "i", "b", ended))
        return Record.of(tmp_path).fits("rehearsal", "i", within) is not None

    def ago(**of):
        return (datetime.now(UTC) - timedelta(**of)).isoformat()

    assert fits(ago(hours=23), LASTS)
    assert not fits(ago(hours=25), LASTS)
    assert fits(ago(hours=25), REVIEWED)
    assert not fits(ago(days=31), REVIEWED)
    assert not fits(ago(hours=-1), LASTS)
    assert not fits("yesterday", LASTS)
    assert not fits("2026-11-20T10:00:00", LASTS)


class Played(Exception):
    """The calls would be played now."""


def rehearsed(record, tmp_path, **row):
    """The record as if the calls had been played: its evidence names one trace, and its account has settled nothing."""
    where = record.directory
    (where / ACCOUNT).mkdir(exist_ok=True)
    trace = "0192f000-0000-7000-8000-000000000000"
    (where / REHEARSAL).write_text(json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 1, "trace_ids": [trace]}))
    with closing(sqlite3.connect(where / ACCOUNT / "outbox.sqlite3")) as db:
        db.execute("PRAGMA user_version = 3")
    files = {name: file_digest(where / name) for name in (REHEARSAL, f"{ACCOUNT}/outbox.sqlite3")}
    review = run._Review(record, lambda _: None, "")
    began = datetime.now(UTC).isoformat()
    record.keep(Step("rehearsal", **{"inputs": review._wanted_rehearsal(), "began": began, "ended": began, "files": files, **row}))
    alerts = where / "alerts.json"
    alerts.write_text(json.dumps({"schema": "phi-audit.alerts-rehearsal/1", "alerts": []}))
    inputs = digest({**review._of_alerts(), "release": run.release()})
    record.keep(Step("policy", digest({"policy": review._policy.digest, "release": run.release()}), began, began))
    record.keep(Step("alerts", inputs, began, began, {"alerts.json": file_digest(alerts)}))
    return record


def test_calls_of_yesterday_or_of_another_release_are_played_again_into_a_new_store(tmp_path, monkeypatch):
    """Not where they were played just now, or reviews are taken in. The old store is left as it is, for whoever is reading it."""

    def play(review, url):
        raise Played(review._asked.store)

    monkeypatch.setattr(run._Review, "_rehearse", play)
    monkeypatch.setattr(run._Review, "_scan", lambda review, url, began: review._asked.store)
    monkeypatch.delenv("PHI_GUARD_POLICY", raising=False)

    def resume(*, reviewed=False, **row):
        record = rehearsed(Record(tmp_path / "r", Asked(local=True)), tmp_path, **row)
        (tmp_path / "r" / "traces.sqlite3").touch()
        return hold(Record.of(record.directory), lambda _: None, reviewed=reviewed)

    old = (NOW - timedelta(hours=25)).isoformat()
    assert resume() == resume(reviewed=True, ended=old) == "traces.sqlite3"
    with pytest.raises(Played, match=r"^traces-2\.sqlite3$"):
        resume(ended=old)
    with monkeypatch.context() as other:
        kept = Record.of(rehearsed(Record(tmp_path / "r", Asked(local=True)), tmp_path).directory)
        other.setattr(run, "release", lambda: "another")
        with pytest.raises(Played, match=r"^traces-"):
            hold(kept, lambda _: None)


def test_every_step_is_under_one_policy_whatever_the_environment_names(tmp_path, monkeypatch):
    """The calls are played with the file that the scan judges by."""
    given = {}

    def rehearse(_calls, **options):
        given.update(options)
        raise Played

    other = tmp_path / "other.yaml"
    other.write_text(shipped("clinic.yaml").read_text("utf-8"))
    monkeypatch.setenv("PHI_GUARD_POLICY", str(other))
    monkeypatch.setattr("audit.rehearsal.rehearsal.rehearse", rehearse)
    with pytest.raises(Played):
        hold(Record(tmp_path / "r", Asked(local=True, calls=1, minutes=0)), lambda _: None)
    assert given["policy"] == str(shipped("clinic.yaml"))


# -- whose calls are judged ----------------------------------------------------------------------------------------------------------------


def moved(runs, at):
    """Runs as they would have been recorded at another time."""
    stamp = at.isoformat()
    order = at.strftime("%Y%m%dT%H%M%S%fZ")
    return [run | {"start_time": stamp, "end_time": stamp, "dotted_order": run["dotted_order"].replace("20261120T100000000000Z", order)}
            for run in runs]  # fmt: skip


def send(url, runs):
    """Into the store, as a client posts them."""
    body = json.dumps({"post": runs, "patch": []}).encode()
    request = urllib.request.Request(f"{url}/runs/batch", body, {"Content-Type": "application/json", "x-api-key": "k"})
    urllib.request.urlopen(request, timeout=20).close()


def test_calls_are_not_played_into_a_project_where_others_send(tmp_path, made):
    """Refused before a relay is started, with a name for a project of the review's own; one that does not exist yet is good."""
    with LocalServer() as store:
        send(store.url, moved(made.call(), datetime.now(UTC) - timedelta(minutes=30)))
        record = Record(tmp_path / "r", Asked(project="clinic-dev", endpoint=store.url, calls=1, minutes=0.0, measure=False))
        with pytest.raises(NotAlone, match="--project clinic-dev-gonogo "):
            hold(record, lambda _: None, "k")
        review = run._Review(record, lambda _: None, "k")
        window = run.Window(NOW - timedelta(hours=1), NOW + timedelta(minutes=1))
        review._asked = replace(record.asked, project="nobody")
        expect_quiet(review._project(store.url, window), "nobody")


def test_a_call_that_came_beside_the_rehearsal_stops_the_review(tmp_path, made):
    """It is neither failed nor passed over: there is no verdict at all. What is no call is left to the scan, which fails it."""
    with LocalServer() as store:
        record = Record(tmp_path / "r", Asked(project="clinic-dev", endpoint=store.url, week=5, without=WITHOUT, known_answers=0, sample=0))
        record.write()
        rehearsed(record, tmp_path)
        send(store.url, moved(made.call(0), datetime.now(UTC)) + moved(made.call(1), datetime.now(UTC)))
        with pytest.raises(NotAlone, match=r"1 calls came there .* --project clinic-dev-gonogo$"):
            hold(Record.of(record.directory), lambda _: None, "k")
        assert not (record.directory / SCAN).exists()
    strange = made.FixedSource([made.span("something", 0, trace=9)])
    expect_own(strange, [], "clinic-dev")


def test_a_rehearsed_trace_without_its_root_is_told(tmp_path, made):
    """It is incomplete, and never one that began before the window."""
    with LocalServer() as store:
        record = Record(tmp_path / "r", Asked(project="clinic-dev", endpoint=store.url, week=5, without=WITHOUT, known_answers=0, sample=0))
        record.write()
        rehearsed(record, tmp_path)
        send(store.url, [row for row in moved(made.call(), datetime.now(UTC)) if row["name"] != "voice_session"])
        held = hold(Record.of(record.directory), lambda _: None, "k")
    assert (held.report.population.cut, held.report.population.incomplete["root"]) == (0, 1)


def test_each_rehearsal_has_a_project_of_its_own():
    """Numbered from the second on."""
    assert [own_project(name) for name in ("p", "p-gonogo", "p-gonogo-2")] == ["p-gonogo", "p-gonogo-2", "p-gonogo-3"]


# -- what is signed is never lost ----------------------------------------------------------------------------------------------------------


def signed(report):
    """The report with a signature under it; whether that is worth anything is nobody's question here."""
    from audit.custody import Signature

    return replace(report, signatures=(Signature("approver", "Cleo", "2026-11-20T10:00:00+00:00", "a" * 64, "b" * 128),))


def test_a_signed_report_is_put_aside_and_an_unsigned_one_is_replaced(tmp_path):
    """Under its digest, with its pages; a second one of the same digest beside it; and the same once more is not moved."""
    plain = kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben")
    report = signed(plain)
    held, name = Held(plain, ()), f"report-{plain.digest[:12]}"

    def write(which):
        _write(which, tmp_path, held, reviewed=True, quiet=True)
        return sorted(path.name for path in tmp_path.glob("report*"))

    pages = ["report.html", "report.json", "report.md"]
    assert write(plain) == write(report) == write(report) == pages
    before = (tmp_path / "report.json").read_bytes()
    aside = [f"{name}.html", f"{name}.json", f"{name}.md"]
    assert write(plain) == sorted([*aside, *pages])
    assert (tmp_path / f"{name}.json").read_bytes() == before
    write(report)
    assert f"{name}-2.json" in write(plain)
    (tmp_path / "report.json").write_text("{ torn")
    assert keep_signed(tmp_path).startswith("report-")
    assert keep_signed(tmp_path) == keep_scan(tmp_path) == ""


def test_a_report_that_contradicts_itself_is_not_signed(tmp_path, capsys):
    """Its digest fits what it says, so only the check of its parts can tell; nothing is taken in, and exit 4."""
    report = kept_reports.kept(findings=[kept_reports.finding()])
    good = tuple(replace(row, state="proven") if row.state == "failed" else row for row in report.gates)
    forged = replace(report, gates=good, verdict=replace(report.verdict, state="GO", reasons=()))
    (tmp_path / SCAN).write_text(render(forged, "json", frozenset()))
    assert json.loads((tmp_path / SCAN).read_text())["digest"] == forged.digest
    given = {"reviews": (), "key_name": "cleo", "name": "Cleo", "role": None, "trust": None, "passphrase": "", "statement": ""}
    with pytest.raises(Exit) as ended:
        with_people(forged, tmp_path, given)
    assert ended.value.exit_code == 4
    assert "does not verify" in capsys.readouterr().err
    with pytest.raises(Exit):
        _verify(report, tmp_path, None)  # the file is not the report that was judged


# -- what to do next -----------------------------------------------------------------------------------------------------------------------


def test_after_a_failure_the_advice_says_what_must_change_and_changes_something(tmp_path):
    """Calls are played anew, into another project where one is kept; a file is exported anew; a live window is read anew."""
    failed = kept_reports.kept(findings=[kept_reports.finding()])

    def said(played=True, failed=failed, **asked):
        rows = dict(next_commands(failed, Asked(**asked), tmp_path, played=played))
        (words,) = [what for what in rows if what.startswith("Change what failed")]
        assert "twenty_clean_spans" in words
        assert "the policy, or what the agent sends" in words
        return rows[words].partition("--resume ")[2]

    assert said(local=True, seed=3) == "--callers 4"
    assert said(project="clinic-gonogo") == "--callers 2 --project clinic-gonogo-2"
    assert said(played=False, file="a.jsonl") == "--from EXPORT"
    assert said(played=False, week=3, scan_seed=8, project="clinic") == "--seed 9"
    weak = tuple(replace(row, state="unproven") if row.gate.name == "known_answer_recall" else row for row in failed.gates)
    assert said(failed=replace(failed, gates=weak), local=True) == "--known-answers 118 --callers 2"
