"""What a report says to do next: a step for every gate that is not proven, and commands that the command line takes as they stand."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from importlib import import_module

import click
import kept_reports
import pytest

from audit.cli import COMMANDS
from audit.evidence import Alerts, Canaries, Cost, Rehearsal
from audit.gates import Evidence, judge, load_gates
from audit.known_answers import KnownAnswers, Recall
from audit.manifest import CrossCheck
from audit.population import Population
from audit.report import render
from audit.report.next_steps import steps
from audit.verdict import decide
from phi_guard.policy import shipped

GATES = load_gates(shipped("gates.yaml"))
FILLED = {"TIME": "2026-11-20T09:10+01:00", "ZONE": "Europe/Zurich", "STATE": "."}
LATE = Rehearsal(3, overhead_us=Cost(1, 9_000, 9_000, 10), calls_crashed=1, canaries=Canaries(4, 1))
WEAK = KnownAnswers(1, (Recall("name", "written", 2, 2, 0.22),), synthetic=False)
EVIDENCE = {
    "nothing": Evidence(),
    "runs alone": Evidence(population=Population(traces=40, runs=480, spans={}, digest="d")),
    "a rehearsal that failed": Evidence(
        population=Population(traces=40, runs=480, spans={}, digest="d", open=2), rehearsal=LATE, known_answers=WEAK,
        cross_check=CrossCheck(account="outbox.sqlite3", expected=9, matched=9, why="the account begins later"),
        alerts=Alerts(("error_rate",)),
    ),
}  # fmt: skip


def judged(evidence, **more):
    gates = judge(GATES, evidence)
    return replace(kept_reports.kept(), gates=gates, verdict=decide(gates), **more)


def reports():
    found = {name: judged(evidence, rehearsal=evidence.rehearsal, alerts=evidence.alerts) for name, evidence in EVIDENCE.items()}
    found["waiting for people"] = kept_reports.kept()
    found["findings"] = kept_reports.kept(findings=[kept_reports.finding(n) for n in range(3)])
    found["people found a leak"] = kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben", leaks=1)
    found["GO"] = kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben")
    found["from a file"] = replace(found["nothing"], target=replace(found["nothing"].target, project=""), incomplete="it ended early")
    return found


REPORTS = reports()


@pytest.mark.parametrize("name", REPORTS)
def test_every_gate_that_is_not_proven_has_a_step(name):
    """None is left out, none that is proven is named, and no step stands twice."""
    found = steps(REPORTS[name])
    left = {judged.gate.name for judged in REPORTS[name].gates if judged.state != "proven"}
    assert {gate for step in found for gate in step.gates} == left
    assert len(set(found)) == len(found) > 0
    own = [step for step in found if step.gates == ("alerts_fire",)]
    assert len(own) == ("alerts_fire" in left)  # no scan can set them off: a step of its own


@pytest.mark.parametrize(("env", "told"), [("prod", " --env prod "), ("dev", " --env dev "), ("", "")])
def test_what_is_to_be_rehearsed_is_of_the_environment_that_is_judged(env, told):
    """One of another environment would prove nothing."""
    report = REPORTS["nothing"]
    (command,) = (step.command for step in steps(replace(report, target=replace(report.target, env=env))) if "rehearse " in step.command
                  and "alerts" not in step.command)  # fmt: skip
    assert told in command
    assert ("--env" in command) == bool(told)


@pytest.mark.parametrize("name", REPORTS)
def test_every_command_is_one_that_the_command_line_takes(name, tmp_path, monkeypatch):
    """Parsed by the real commands, with the words in capitals filled in: no unknown option, no missing argument."""
    monkeypatch.chdir(tmp_path)
    for file in ("report", "signed", "rehearsal", "alerts", "ONE", "TWO", "EXPORT"):
        (tmp_path / f"{file}.json").write_text("{}")
    (tmp_path / "EXPORT").write_text("")
    (tmp_path / "account").mkdir()
    for step in steps(REPORTS[name]):
        if not step.command:
            assert step.gates == ("alerts_fire",)  # nothing of ours sets off an alert
            continue
        program, *words = [FILLED.get(word, word) for word in shlex.split(step.command)]
        assert program == "phi-audit"
        module, _, attribute = COMMANDS[words[0]][0].partition(":")
        command, context = getattr(import_module(module), attribute), click.Context(click.Command("phi-audit"))
        while isinstance(command, click.Group):
            words = words[1:]
            inner = command.get_command(context, words[0])
            assert inner is not None, step.command
            command = inner
        command.make_context(words[0], words[1:], parent=context)


def test_the_plants_asked_for_can_show_the_bar():
    """The fewest: one less, all found, would not."""
    (scan,) = [step for step in steps(REPORTS["a rehearsal that failed"]) if "phi-audit scan" in step.command]
    n = int(scan.command.partition("--known-answers ")[2].split()[0])
    assert 0.05 ** (1 / n) >= 0.95 > 0.05 ** (1 / (n - 1))


def test_incomplete_says_go_on():
    """What ended early is gone on with."""
    (scan,) = [step for step in steps(REPORTS["from a file"]) if "phi-audit scan" in step.command]
    assert "--resume" in scan.command
    assert "--from EXPORT" in scan.command


@pytest.mark.parametrize("fmt", ["table", "html", "md"])
@pytest.mark.parametrize("name", REPORTS)
def test_the_commands_stand_whole_in_every_format_for_people(name, fmt):
    """In a narrow terminal too: a command that is broken over two lines cannot be copied."""
    import html
    import re

    text = render(REPORTS[name], fmt, frozenset(), width=60)
    plain = html.unescape(re.sub(r"</?span[^>]*>", "", text)) if fmt == "html" else text
    assert "What to do next" in plain
    for step in steps(REPORTS[name]):
        assert step.command in plain
    if fmt == "html":
        assert plain.index("What to do next") < plain.index("What must be true")


def test_json_keeps_its_shape():
    """Steps are for people: the JSON report, which has a schema and a digest, does not hold them."""
    assert "next" not in json.loads(render(REPORTS["nothing"], "json", frozenset()))
