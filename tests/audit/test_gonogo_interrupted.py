"""Ctrl-C and SIGTERM in each step of a review: real signals, and what they leave; and which switch a rehearsal heeds.

What takes long is left out: networks and Presidio, and the calls themselves, whose own end is held in `tests/cli/test_gonogo_ends.py`.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import nullcontext
from dataclasses import replace

import psutil
import pytest
import yaml

from audit import containment, exits
from audit.census import PAGE
from audit.cli import main
from audit.cli.rehearse import heed_sigterm
from audit.detectors import open_detectors
from audit.evidence import Cost
from audit.gonogo import Asked, Record, RecordError, hold
from audit.gonogo.kept import SCAN
from audit.gonogo.record import FILE, LOG
from audit.gonogo.run import ALERTS, REHEARSAL
from audit.rehearsal.measured import Evidence, Spans
from audit.rehearsal.rehearsal import Interrupted, _switch
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch, open_switch
from tracing.local.trace_store.serve import LocalServer
from tracing.recorder import Tally
from tracing.settings import read_settings

WITHOUT = ("minilm", "presidio", "rampart")
PHONE, LAST = "+41 79 555 01 23", "parking"
CALLS = PAGE // 7 + 2
BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


@pytest.fixture(autouse=True)
def _own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))


@pytest.fixture
def switch(tmp_path):
    made = FileSwitch(tmp_path / "switch.json")
    made.turn_on("before")
    return made


def export(tmp_path, made):
    """Calls of more than one page of runs; the first holds a telephone number, the last a text of its own."""
    calls = [made.call(n) for n in range(CALLS)]
    calls[0][5]["inputs"]["notes"] = f"called from {PHONE}"
    calls[-1][5]["inputs"]["notes"] = f"called about {LAST}"
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(json.dumps(run) for call in calls for run in call))
    return str(path)


def asked(**more):
    common = {"week": 3, "without": WITHOUT, "known_answers": 0, "sample": 0, "project": "clinic-dev", "scan_seed": 7}
    return Asked(**{**common, **more})


def send_at(number, words):
    """A `say` that sends this process a real signal, once, when a line that begins so is said."""
    left = [words]

    def say(what):
        if left and what.startswith(left[0]):
            left.clear()
            os.kill(os.getpid(), number)

    return say


class Signalled:
    """Detectors that send this process a signal, once, before they look at the last call's own text."""

    def __init__(self, number):
        self._held, self._number, self._sent = open_detectors(without=WITHOUT), number, False

    def __call__(self, **_):
        return replace(self._held, strict=self._strict)

    def _strict(self, text):
        if LAST in text and not self._sent:
            self._sent = True
            os.kill(os.getpid(), self._number)
        return self._held.strict(text)


def steps_of(directory):
    """The steps that the record on disk holds."""
    return [step["name"] for step in json.loads((directory / FILE).read_text())["steps"]]


def logged(directory):
    """The log of the steps without its times."""
    return [line.partition(" ")[2].partition(":")[0] for line in (directory / LOG).read_text("utf-8").splitlines()]


# -- what each step leaves -----------------------------------------------------------------------------------------------------------------


@BOTH
def test_in_the_scan_what_was_found_is_contained_and_told_and_the_scan_is_done_again(tmp_path, made, monkeypatch, switch, number):
    """The report says that it is not whole, the leak that was found before is a NO-GO all the same; no scan is among the steps done."""
    record = Record(tmp_path / "r", asked(file=export(tmp_path, made)))
    contained = []

    def contain(report):
        contained.append(containment.contain(report.digest, made.NOW))

    with monkeypatch.context() as patched, heed_sigterm() if number == signal.SIGTERM else nullcontext():
        patched.setattr("audit.detectors.open_detectors", Signalled(number))
        held = hold(record, lambda _: None, contain=contain)
    assert (held.interrupted, held.report.verdict.state) == (True, "NO_GO")
    assert held.report.incomplete.startswith("interrupted")
    assert held.report.population.runs == PAGE
    assert ([one.off for one in contained], switch.state().hold) == ([True], "leak")
    assert (steps_of(record.directory), logged(record.directory)[-2:]) == (["policy"], ["scan begins", "scan interrupted"])
    left = json.loads((record.directory / SCAN).read_text())
    assert left["digest"] == held.report.digest
    assert PHONE not in (record.directory / "report.html").read_text("utf-8")
    again = hold(Record.of(record.directory), lambda _: None)
    assert {step.name: step.again for step in again.steps} == {"policy": True, "scan": False}
    assert (again.interrupted, again.report.population.runs) == (False, 7 * CALLS)
    assert (record.directory / f"scan-{held.report.digest[:12]}.json").is_file()


@BOTH
def test_in_the_scan_the_command_enforces_and_ends_with_130(tmp_path, made, monkeypatch, switch, number, capsys):
    """Whatever was asked for: no report of people is begun, and the next command is `--resume`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("audit.detectors.open_detectors", Signalled(number))
    args = ["gonogo", "-d", "r", "--week", "3", "--from", export(tmp_path, made), "--known-answers", "0", "--sample", "0", "--enforce"]
    with pytest.raises(SystemExit) as ended:
        main(["--no-config", *args])
    assert ended.value.code == exits.INTERRUPTED
    assert (switch.state().on, switch.state().hold) == (False, "leak")
    said = capsys.readouterr()
    assert ("NO-GO: telemetry's switch is off and held" in said.err, said.out) == (True, "")
    assert not (tmp_path / "r" / "report.json").exists()


def test_in_the_alerts_nothing_of_them_is_left_and_what_was_done_before_is(tmp_path, made):
    """After the first rule of two: no evidence, no step, no store and no directory of theirs; the next time they are
    rehearsed from the first on.
    """
    rules = tmp_path / "alerts.yaml"
    told = yaml.safe_load(shipped("alerts.yaml").read_text("utf-8"))
    rules.write_text(yaml.safe_dump(told | {"rules": {name: told["rules"][name] for name in ("leak", "switch_off")}}))
    record = Record(tmp_path / "r", asked(week=4, file=export(tmp_path, made), rules=str(rules)))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with heed_sigterm(), pytest.raises(KeyboardInterrupt):
        hold(record, send_at(signal.SIGTERM, "alert leak"))
    assert not [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert (steps_of(record.directory), logged(record.directory)) == (["policy"], ["policy begins", "policy done", "alerts begins"])
    assert not (record.directory / ALERTS).exists()
    said, send = [], send_at(signal.SIGTERM, "alert switch_off")
    with heed_sigterm(), pytest.raises(KeyboardInterrupt):
        hold(Record.of(record.directory), lambda what: (said.append(what), send(what)))
    assert said[1:] == ["alert leak", "alert switch_off"]
    assert said[0].startswith("policy: as it was left")


@pytest.mark.parametrize("local", [True, False], ids=["a store of our own", "an endpoint"])
def test_in_the_rehearsal_what_was_measured_is_left_and_proves_nothing(tmp_path, monkeypatch, local):
    """Its file says that it was interrupted; no step of it is kept, so its calls are played again, into a place without the first ones."""
    given = []

    def rehearse(_calls, **options):
        given.append(options)
        raise Interrupted(evidence())

    monkeypatch.setattr("audit.rehearsal.rehearsal.rehearse", rehearse)
    with LocalServer() as store:
        where = {"local": True} if local else {"endpoint": store.url, "project": "clinic-dev-gonogo"}
        record, said = Record(tmp_path / "r", asked(week=5, calls=1, minutes=0.0, **where)), []
        for _ in range(2):
            with pytest.raises(Interrupted):
                hold(record, said.append, "k")
            record = Record.of(record.directory)
    assert (steps_of(record.directory), logged(record.directory)[-1]) == (["policy"], "rehearsal begins")
    left = json.loads((record.directory / REHEARSAL).read_text())
    assert (left["interrupted"], left["calls"]) == (True, 1)
    assert not (record.directory / SCAN).exists()
    advice = [line for line in said if line.startswith("go on with --resume --project clinic-dev-gonogo-2: ")]
    assert (len(advice), len(given)) == (0 if local else 2, 2)
    assert record.asked.store == ("traces-2.sqlite3" if local else "traces.sqlite3")
    assert sorted(path.name for path in record.directory.glob("traces*.sqlite3")) == ["traces-2.sqlite3", "traces.sqlite3"] * local


def evidence():
    """Of a rehearsal that was ended in its first call."""
    none = Cost(0.0, 0.0, 0.0, 0)
    return Evidence(
        project="p", endpoint="http://127.0.0.1:1", env="dev", policy_digest="", started_at="2026-11-20T10:00:00+00:00", took_s=1.0,
        calls=1, calls_crashed=0, trace_ids=[], tracer_faults=0, unanswered_turns=0, spans=Spans(0, 0, 0, 0, {}, adds_up=True),
        agent_side=Tally(0, 0, 0, {}), overhead_us=none, idle_us=none, langsmith_create_run_us=none, in_call_record_us=none,
        in_call_handler_us=none, loop_lateness_us={}, ttft_ms=[], ttft_error_ms=None, canaries=None, relay_state="serving", relay_fault="",
        interrupted=True,
    )  # fmt: skip


def test_between_two_steps_what_was_done_is_kept(tmp_path, made):
    """Ctrl-C as soon as the policy was told of: the step is on the disk, and is not done again."""
    record = Record(tmp_path / "r", asked(file=export(tmp_path, made)))
    with pytest.raises(KeyboardInterrupt):
        hold(record, send_at(signal.SIGINT, "policy:"))
    assert (steps_of(record.directory), logged(record.directory)) == (["policy"], ["policy begins", "policy done"])
    held = hold(Record.of(record.directory), lambda _: None)
    assert {step.name: step.again for step in held.steps} == {"policy": True, "scan": False}


# -- which switch is heeded ----------------------------------------------------------------------------------------------------------------


class Played(Exception):
    """The calls would be played now, with these options."""


@pytest.fixture
def not_played(monkeypatch):
    def rehearse(_calls, **options):
        raise Played(options)

    monkeypatch.setattr("audit.rehearsal.rehearsal.rehearse", rehearse)


def test_a_review_in_a_store_of_its_own_does_not_wait_for_the_switch(tmp_path, switch, not_played):
    """It is off and held for a leak, as after any NO-GO: the calls are played under one of their own, and the real one stays as it is."""
    switch.turn_off("a leak", "leak")
    before = (tmp_path / "switch.json").read_bytes()
    with pytest.raises(Played) as played:
        hold(Record(tmp_path / "r", asked(local=True, calls=1, minutes=0.0)), lambda _: None)
    assert played.value.args[0]["own_switch"] is True
    assert (tmp_path / "switch.json").read_bytes() == before


def state_of(switch, how):
    """Bring the switch into a state."""
    if how == "held":
        switch.turn_off("a leak", "leak")
    elif how == "off":
        switch.turn_off("by hand")
    elif how == "torn":
        switch.path.write_text('{"on": tr')
    elif how == "none":
        switch.path.unlink()


@pytest.mark.parametrize("how", ["held", "off", "torn", "on", "none"])
def test_a_review_over_an_endpoint_is_not_begun_while_nothing_would_be_sent(tmp_path, switch, not_played, how):
    """Refused before the endpoint is asked for anything, with what to do; it begins where the switch is on, or nobody has set one."""
    state_of(switch, how)
    with LocalServer() as store:
        record = Record(tmp_path / "r", asked(week=5, endpoint=store.url, calls=1, minutes=0.0))
        if how in {"on", "none"}:
            with pytest.raises(Played) as played:
                hold(record, lambda _: None, "k")
            assert played.value.args[0]["own_switch"] is False
            return
        record.asked = replace(record.asked, endpoint="http://127.0.0.1:9")  # nobody is there: who asks is told so
        with pytest.raises(RecordError, match=r"switch.json is off, so no call would leave a trace; hold the review with --local, or turn"):
            hold(record, lambda _: None, "k")
    assert (steps_of(record.directory), logged(record.directory)[-1]) == (["policy"], "rehearsal begins")


def test_the_switch_of_a_rehearsal_of_its_own_is_on_and_the_real_one_stays_held(tmp_path, switch):
    """Without asking for one of its own, the real one is heeded, and it is told that nothing will be sent."""
    switch.turn_off("a leak", "leak")
    settings, said = read_settings(runtime=tmp_path / "run", state=tmp_path / "run"), []
    own = _switch(settings, said.append, own_switch=True)
    assert (own, FileSwitch(own).state().on, said) == (tmp_path / "run" / "switch.json", True, [])
    assert (open_switch().state().on, open_switch().state().hold) == (False, "leak")
    assert _switch(settings, said.append) == switch.path
    assert ["is off: calls are played and nothing is sent" in line for line in said] == [True]
