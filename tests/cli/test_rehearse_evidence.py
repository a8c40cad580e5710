"""What ``phi-audit rehearse`` measures beyond cost: traces that come back whole or not, memory, load, and an end before the end."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import pytest
from cli.test_rehearse_command import phi_audit
from click.testing import CliRunner
from fakes import Store, until

from audit.alerts import load_rules
from audit.cli.rehearse import _with_alerts
from audit.cli.rehearse import rehearse as command
from audit.evidence import Completeness, Cost, Load, load_alerts, load_rehearsal
from audit.rehearsal.alerts import opened
from audit.rehearsal.completeness import REASONS, hold_against, lacking
from audit.rehearsal.conversation import invent_calls, invent_load
from audit.rehearsal.expectation import expect
from audit.rehearsal.look_back import _settled, look_back
from audit.rehearsal.measured import AlertsOutcome, Arrival, Evidence, Spans, spread
from audit.rehearsal.memory import KEPT, Beat, MemorySeries, _Series, resident
from audit.rehearsal.play import Played, PlayedCall
from audit.rehearsal.read_back import compare, ended, read_back
from audit.rehearsal.rehearsal import CONTROL_S, _beginning
from audit.rehearsal.rooms import RoomMedia, SideMedia
from audit.rehearsal.script import plan
from audit.rehearsal.summary import render_evidence
from phi_guard.policy import shipped
from tracing.recorder import Tally
from tracing.settings import read_settings

pytestmark = pytest.mark.timeout(300)  # on a machine with much else to do the relay's models alone take a minute
PROJECT = "medical-voice-agent-dev"
LOSES = """
CREATE TRIGGER lose AFTER INSERT ON runs WHEN new.name = 'tool.cancel_appointment'
BEGIN DELETE FROM runs WHERE number = new.number; END
"""
"""A store that says it took a run and keeps nothing of it."""


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A rehearsal of three calls with its store and account, as its command leaves them."""
    place = tmp_path_factory.mktemp("held")
    store = Store(place)
    began = datetime.now(UTC)
    arguments = ("--endpoint", store.url, "--no-measure", "--keep-account", str(place / "account"))
    done = phi_audit(
        "rehearse", *arguments, "--format", "json", "-o", str(place / "r.json"), timeout=200, PHI_GUARD_RUNTIME_DIR=str(place / "run")
    )
    yield done, place, store, began
    store.stop()


def read(place, store, began, **how):
    evidence = json.loads((place / "r.json").read_text())
    settings = read_settings(runtime=place / "read", endpoint=store.url, project=PROJECT, environ={})
    options = {"api_key": "k", "since": began, "seconds": 0, "whole": lambda runs: True} | how
    return dict(zip(evidence["trace_ids"], map(expect, invent_calls(3, 1)), strict=True)), read_back(
        settings, evidence["trace_ids"], **options
    )


def test_a_real_rehearsal_comes_back_whole(held):
    """Three calls at once: each trace with every span that its plan gives, each delivered run read back; the audit reads the evidence."""
    done, place, store, _ = held
    assert done.returncode == 0, done.stderr
    evidence = load_rehearsal(place / "r.json")
    assert (evidence.completeness.expected, evidence.completeness.arrived, evidence.completeness.complete) == (3, 3, 3)
    assert evidence.completeness.lacks == {}
    assert (evidence.load.at_once, evidence.load.minutes > 0.005) == (3, True)
    assert set(evidence.memory) == {"agent", "relay"}
    assert all(20 < told.first <= told.peak and told.n >= 2 for told in evidence.memory.values())
    raw = json.loads((place / "r.json").read_text())
    assert raw["arrival"] == {"expected": len(store.runs()), "found": len(store.runs()), "missing": 0, "why": ""}
    errors = raw["ttft_errors"]
    assert (errors["n"], raw["ttft_unpaired"]) == (len(raw["ttft_ms"]), 0) == (5, 0)
    assert 0 <= errors["p50"] <= errors["p99"] <= errors["max"] == raw["ttft_error_ms"]
    assert not raw["interrupted"]


def test_a_call_without_a_trace_counts_as_one_whose_trace_is_lacking(held):
    """One of three calls had no tracer: the other two do not make three, and what it said stays among what was planted."""
    _, place, store, began = held
    traces, calls = json.loads((place / "r.json").read_text())["trace_ids"], invent_calls(3, 1)
    at = SimpleNamespace(
        settings=read_settings(runtime=place / "read", state=place / "account", endpoint=store.url, project=PROJECT, environ={}),
        relay=SimpleNamespace(ask=lambda: SimpleNamespace(ledger=SimpleNamespace(pending=0, delivered=1), state="idle")),
        recorder=SimpleNamespace(drain=lambda seconds: None, tally=lambda: Tally(9, 9, 0, {})),
    )

    def found(traces):
        played = Played(
            tuple(PlayedCall(trace, "", 0, (), 0, (), None) for trace in traces), Cost(0.0, 0.0, 0.0, 0), Cost(0.0, 0.0, 0.0, 0)
        )
        return look_back(calls, played, at.settings, at.relay, at.recorder, deliver_s=0.1, api_key="k", since=began, say=lambda line: None)

    whole, lacking_one, none = found(traces), found([traces[0], "", traces[2]]), found(["", "", ""])
    assert (whole.completeness.expected, whole.completeness.complete) == (3, 3)
    assert lacking_one.completeness == Completeness(3, 2, 2, {"trace": 1})
    assert lacking_one.canaries.planted == whole.canaries.planted > 0
    assert (none.completeness, none.canaries) == (Completeness(3, 0, 0, {"trace": 3}), None)


def test_a_run_that_is_gone_makes_its_trace_incomplete(held):
    """Read back whole; then one run is deleted in the store: the trace lacks it by name, and the account misses exactly one."""
    _, place, store, began = held
    expected, runs = read(place, store, began)
    assert ended(runs, expected)
    assert hold_against(expected, runs).complete == 3
    assert compare(place / "account", runs, began).missing == 0
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("DELETE FROM runs WHERE name = 'tool.check_availability'")
    expected, runs = read(place, store, began)
    found = hold_against(expected, runs)
    assert (found.expected, found.arrived, found.complete, found.lacks) == (3, 3, 2, {"tool": 1})
    assert compare(place / "account", runs, began).missing == 1


def test_reading_back_waits_and_gives_up_in_time(held):
    """What is not whole is read again until time is up, and then told as it is; a store that does not answer is no reading."""
    _, place, store, began = held
    looks = []
    _, runs = read(place, store, began, seconds=1.2, whole=lambda runs: looks.append(len(runs)))
    assert len(looks) >= 2
    assert len(runs) == looks[-1] > 0
    assert read_back(
        read_settings(runtime=place / "read", endpoint="http://127.0.0.1:9", project=PROJECT, environ={}), ["x"],
        api_key="k", since=began, seconds=0, whole=bool,
    ) is None  # fmt: skip


@pytest.mark.slow
def test_a_store_that_takes_a_run_and_loses_it_leaves_the_rehearsal_unproven(tmp_path):
    """It answered 202 to everything, so the ledger says delivered; what is read back says otherwise, and so does the exit code."""
    store = Store(tmp_path)
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute(LOSES)
    try:
        done = phi_audit("rehearse", "--endpoint", store.url, "--no-measure", "--deliver", "4", "--format", "json", timeout=200)
    finally:
        store.stop()
    evidence = json.loads(done.stdout)
    assert done.returncode == 3
    assert evidence["spans"]["delivered"] == evidence["spans"]["offered"]
    assert evidence["completeness"] == {"expected": 3, "arrived": 3, "complete": 2, "lacks": {"failed_tool": 1, "tool": 1}}
    assert evidence["arrival"]["missing"] == 1
    assert any("not whole" in problem and "1 tool" in problem for problem in evidence["problems"])


def spans(*names, failed=(), root=True, ended=True):
    rows = [{"id": "r", "name": "voice_session", "parent_run_id": None, "end_time": "x" if ended else None}] if root else []
    rows += [
        {"id": f"{n}", "name": name, "parent_run_id": "r", "error": "LookupError: tool_raised" if n in failed else None}
        for n, name in enumerate(names)
    ]
    return [{**row, "trace_id": "t"} for row in rows]


WHOLE = ("session.start", "policy.guardrail", "user_turn", "agent_turn", "tool.cancel_appointment", "session.end")


def without(*names):
    return tuple(name for name in WHOLE if name not in names)


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([], "trace"),
        (spans(*WHOLE, failed={4}, root=False), "root"),
        ([*spans(*WHOLE, failed={4}), {"trace_id": "t", "id": "s", "name": "voice_session"}], "second_root"),
        (spans(*WHOLE, failed={4}, ended=False), "root_open"),
        (spans(*without("session.start"), failed={3}), "session_start"),
        (spans(*without("policy.guardrail"), failed={3}), "policy_guardrail"),
        (spans(*without("session.end"), failed={4}), "session_end"),
        (spans(*without("agent_turn"), failed={3}), "agent_turn"),
        (spans(*without("user_turn"), failed={3}), "user_turn"),
        (spans(*WHOLE, "tool.cancel_appointment", failed={4}), "tool_too_many"),
        (spans(*WHOLE), "failed_tool"),
    ],
)
def test_each_reason_stands_for_one_thing_that_is_lacking(runs, reason):
    """One thing missing is one reason; they are the closed list's."""
    call = plan({"calls": [{"turns": [{"tools": [{"name": "cancel_appointment", "raises": "LookupError: x"}]}]}]})[0]
    assert lacking(spans(*WHOLE, failed={4}), expect(call)) == frozenset()
    assert lacking(runs, expect(call)) == {reason}
    assert reason in REASONS


def test_a_tool_that_is_not_there_or_another_one(tmp_path):
    """Another tool's span does not stand for the one that is missing."""
    call = plan({"calls": [{"turns": [{"tools": [{"name": "cancel_appointment"}]}]}]})[0]
    assert lacking(spans(*without("tool.cancel_appointment")), expect(call)) == {"tool"}
    assert lacking(spans(*without("tool.cancel_appointment"), "tool.book_appointment"), expect(call)) == {"tool", "tool_too_many"}


def test_a_relay_that_is_slow_to_answer_is_asked_again_and_a_dead_one_is_not():
    """Its first answer did not come in time; a process that has ended will give none, and is not waited for."""
    settled = SimpleNamespace(ledger=SimpleNamespace(pending=0), state="idle")
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        answers = [None, None, settled]
        assert _settled(SimpleNamespace(process=process, ask=lambda: answers.pop(0)), 30.0) is settled
        process.kill()
        process.wait()
        answers, began = [None, settled], time.monotonic()
        assert _settled(SimpleNamespace(process=process, ask=lambda: answers.pop(0)), 30.0) is None
    assert time.monotonic() - began < 20


def test_memory_is_that_of_the_process():
    """A process that takes 60 MB shows it, and one that has gone gives no reading and no fault."""
    code = "import sys; sys.stdin.readline(); held = bytearray(60 * 2**20); print('has', flush=True); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        said = []
        with Beat({"child": process.pid, "gone": 2**22 - 1}, said.append, say_s=1.0) as beat:
            until(beat.told, 20)
            before = resident(process.pid)
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"has\n"
            n = beat.told()["child"].n
            until(lambda: beat.told()["child"].n > n + 1, 20)
        process.stdin.close()
    told = beat.told()
    assert set(told) == {"child"}
    assert told["child"].last - before > 55
    assert told["child"].peak >= told["child"].last
    assert len(told["child"].series) == told["child"].n
    assert said


def test_a_long_series_of_memory_stays_small_and_keeps_both_ends():
    """Two hours of seconds: at most so many points, evenly apart; the peak is exact though its point went."""
    series = _Series()
    for second in range(7200):
        series.add(float(second), 500.0 if second == 4001 else 100.0 + second / 100)
    told = series.told()
    assert (told.n, told.peak, told.last) == (7200, 500.0, 171.99)
    assert told.first == pytest.approx(100.3, abs=0.65)
    assert 90 <= len(told.series) <= KEPT
    assert (told.series[0][0], told.series[-1][0]) == (0.0, 7199.0)
    assert len({after[0] - before[0] for before, after in pairwise(told.series[:-1])}) == 1


def test_the_control_is_a_minute_of_each_call():
    """A call of five minutes is cut to a minute; a short one is played whole; a single long turn is played all the same."""
    call = invent_load(1, 3, 5.0)[0]
    cut = _beginning(call)
    assert cut.turns == call.turns[: len(cut.turns)]
    assert 20_000 < sum(turn.lasts_ms for turn in cut.turns) <= CONTROL_S * 1000
    short = invent_calls(1, 3)[0]
    assert _beginning(short) == short
    slow = replace(short, turns=(replace(short.turns[0], answer_ms=600_000),))
    assert len(_beginning(slow).turns) == 1


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [(("--alerts-output", "a.json"), "add --alerts"), (("-o", "nowhere/r.json"), "make it first"), (("--rooms", "3"), "0<=x<=2")],
)
def test_what_cannot_end_well_is_said_before_the_calls(tmp_path, monkeypatch, arguments, fault):
    """Exit 2 at once, not after ten minutes."""
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    done = CliRunner().invoke(command, [*arguments, "--endpoint", "http://127.0.0.1:9"])
    assert done.exit_code == 2
    assert fault in done.output
    assert time.monotonic() - began < 20
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def some_evidence():
    none = Cost(0.0, 0.0, 0.0, 0)
    side = SideMedia(12.0, 1.5, 0.25, 20.0, 2.0, 1.0, 7)
    return Evidence(
        project="p", endpoint="http://127.0.0.1:1", env="dev", policy_digest="d", started_at="t", took_s=320.0, calls=10, calls_crashed=0,
        trace_ids=[], tracer_faults=0, unanswered_turns=2, spans=Spans(9, 8, 0, 0, {}, adds_up=True, sampled=1),
        agent_side=Tally(9, 9, 0, {}), overhead_us=none, idle_us=none, langsmith_create_run_us=none, in_call_record_us=none,
        in_call_handler_us=none, loop_lateness_us={"p99": 3.0, "untraced_p99": 2.0, "idle_p99": 1.0}, ttft_ms=[200.0, 300.0],
        ttft_error_ms=4.0, canaries=None, relay_state="idle", relay_fault="", untraced_s=61.2, ttft_errors=spread([1.0, 4.0]),
        load=Load(10, 5.02), completeness=Completeness(10, 9, 8, {"tool": 1, "trace": 1}), arrival=Arrival(80, 79, 1, ""),
        memory={"agent": MemorySeries(100.0, 110.0, 111.0, 300, [])}, scenes={"booking": 4}, languages={"fr": 3},
        media=[RoomMedia(side, side)], alerts=AlertsOutcome(False, 11, 12, "a.json"), interrupted=True,
    )  # fmt: skip


def test_the_table_tells_each_part_that_was_measured():
    """One line for each; where there is no /proc it says so."""
    evidence = some_evidence()
    text = render_evidence(evidence, width=200)
    for line in (
        "INTERRUPTED", "load: 10 at once, the shortest 5.02 minutes; 0 crashed, 2 turns unanswered", "scenes: booking 4", "languages: fr 3",
        "1 sampled out", "read back: 79 of 80 runs", "traces: 8 of 10 whole, 9 arrived", "p50 4.0, p99 4.0, n 2",
        "memory of the agent, MiB: 100 once warm, 110 at the end, 111 at most (n 300)",
        "rtt ms 12.0, jitter ms 1.5, loss % 0.2 (7 windows)",
        "alerts: 11 of 12 fired and resolved, NOT PASSED", "the untraced calls lasted 61 s",
    ):  # fmt: skip
        assert line in text
    assert "memory: not measured" in render_evidence(replace(evidence, memory={}))


@pytest.mark.slow
def test_the_alerts_are_rehearsed_with_evidence_of_their_own(tmp_path):
    """A rule that fires and resolves for real is named in the rehearsal's evidence; one that nothing reaches leaves it unproven."""
    rule = next(rule for rule in load_rules(shipped("alerts.yaml")) if rule.metric == "ttft_p95")
    quiet = replace(some_evidence(), alerts=None, problems=[])
    good = _with_alerts(quiet, [rule], None, tmp_path / "alerts.json")
    assert (good.alerts, good.problems) == (AlertsOutcome(True, 1, 1, "alerts.json"), [])
    assert load_alerts(tmp_path / "alerts.json").fired == (rule.name,)
    bad = _with_alerts(quiet, [opened(rule)], None, None)
    assert (bad.alerts, len(bad.problems)) == (AlertsOutcome(False, 0, 1, ""), 1)
    lost = _with_alerts(quiet, [rule], str(tmp_path / "nowhere.yaml"), None)
    assert lost.alerts is None
    assert "could not be rehearsed" in lost.problems[0]
