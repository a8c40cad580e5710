"""Every scene of a load test in a real AgentSession with the tracer attached, all at once: what was heard, and what was recorded."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

import pytest

import tracing
from audit.rehearsal import play
from audit.rehearsal.conversation import invent_load
from audit.rehearsal.expectation import expect
from audit.rehearsal.scenes import SCENES
from audit.rehearsal.script import hasten, plan
from tracing.record import AgentTurn, CallEnded, ToolCall, UserTurn

FASTER = 5
MADE = {
    "cut in": [
        {"user": {"speech_ms": 300, "cut_in_after_ms": 200}, "agent": {"speech_ms": 30_000}},
        {"user": {"speech_ms": 300}, "agent": {"speech_ms": 200}},
    ],
    "silent": [
        {"user": {"speech_ms": 0, "silent_ms": 1500}},
        {"user": {"speech_ms": 300}, "agent": {"speech_ms": 200}},
        {"user": {"speech_ms": 0, "silent_ms": 300}},
    ],
    "handed over": [
        {"user": {"speech_ms": 300}, "hand_off": "nurse", "agent": {"speech_ms": 200}},
        {"user": {"speech_ms": 300}, "tools": [{"name": "get_opening_hours", "result": {"opens": "08:00"}}], "agent": {"speech_ms": 200}},
    ],
    "failed": [{"user": {"speech_ms": 300}, "agent": {"fails": True}}, {"user": {"speech_ms": 300}, "agent": {"speech_ms": 200}}],
}
"""One idea each, beside the scenes."""


class Kept:
    """A recorder that makes every record at once and keeps it, by call."""

    def __init__(self):
        self.of = defaultdict(list)

    def open_call(self, call):
        self.of[call] = []

    def close_call(self, call):
        pass

    def tally(self):
        return None

    def record(self, record):
        self.of[record.call].append(record)

    def take(self, source, fact, texts=0):
        self.record(source.make(fact))


@pytest.fixture(scope="module")
def played():
    """Each call by what it shows: its plan, how it went, the outcome with its truth, and its records."""
    names = [*SCENES, *MADE]
    planned = [hasten(call, FASTER) for call in invent_load(len(SCENES), 21)] + [
        plan({"calls": [{"turns": turns}]})[0] for turns in MADE.values()
    ]
    recorder, outcomes, run_call = Kept(), {}, play.run_call

    async def watched(*args, api_key, **named):
        outcomes[api_key] = outcome = await run_call(*args, api_key=api_key, **named)
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "run_call", watched)
        went = asyncio.run(play.play_calls(planned, recorder, at_once=len(planned)))
    assert went.at_once == len(planned)
    assert not went.interrupted
    rows = zip(names, planned, went.calls, strict=True)
    return {name: (call, one, outcomes[f"rehearsal-{n}"], recorder.of[one.trace_id]) for n, (name, call, one) in enumerate(rows)}


@pytest.mark.parametrize("name", [*SCENES, *MADE])
def test_a_scene_is_played_to_its_end_and_recorded_whole(played, name):
    """No call crashes, no turn goes unanswered, silence is no turn; the trace holds what the plan says it must."""
    call, went, _, records = played[name]
    wanted = expect(call)
    assert (went.crashed, went.unanswered, went.tracer_faults, went.turns) == ("", 0, 0, wanted.user_turns)
    assert went.errors == ("APIError",) * sum(turn.fails for turn in call.turns)
    assert (went.hand_offs, went.barge_ins <= wanted.barge_ins) == (wanted.hand_offs, True)
    assert 0.8 * sum(turn.lasts_ms for turn in call.turns) / 1000 < went.lasted_s
    tools = [record for record in records if isinstance(record, ToolCall)]
    assert Counter(f"tool.{tool.tool}" for tool in tools) == wanted.tools
    assert sum(tool.status == "error" for tool in tools) == wanted.failed_tools
    assert sum(tool.handoff for tool in tools) == wanted.hand_offs
    assert sum(isinstance(record, UserTurn) for record in records) == wanted.user_turns
    assert sum(isinstance(record, AgentTurn) for record in records) >= wanted.agent_turns_at_least
    assert (went.ttft_unpaired, len(went.ttft_errors_ms)) == (0, len(went.ttft_ms))
    (ended,) = [record for record in records if isinstance(record, CallEnded)]
    assert (ended.handoffs, ended.interruptions <= wanted.barge_ins) == (wanted.hand_offs, True)


def test_a_barge_in_cancels_the_response(played):
    """The caller speaks while the model is still at it: the response is cancelled, the sound is cut, the record says so."""
    _, went, outcome, records = played["cut in"]
    assert [moment.status for moment in outcome.truth if moment.event == "response.done"] == ["cancelled", "completed"]
    heard, spoke = (
        next(i for i, m in enumerate(outcome.truth) if m.event == kind and i >= after)
        for kind, after in (("first_audio", 0), ("speech_started", 1))
    )
    assert heard < spoke
    assert outcome.truth[spoke].at_s - outcome.truth[heard].at_s < 25
    assert went.barge_ins == 1
    assert [record.outcome for record in records if isinstance(record, AgentTurn)] == ["interrupted", "answered"]


def test_a_silent_caller_is_no_unanswered_turn(played):
    """The model hears one turn only, and it begins after the silence."""
    _, went, outcome, _ = played["silent"]
    assert (went.turns, went.unanswered) == (1, 0)
    assert [moment.event for moment in outcome.truth].count("speech_started") == 1
    assert outcome.truth[0].at_s - outcome.started_s >= 1.5
    assert outcome.ended_s - outcome.truth[-1].at_s >= 0.3


def test_a_hand_off_changes_the_agent(played):
    """The second agent answers the turn in which the first hands over, and the next one with a tool of the same script."""
    _, went, _, records = played["handed over"]
    assert went.hand_offs == 1
    assert [record.agent_index for record in records if isinstance(record, AgentTurn)] == [1, 1]
    handed, asked = [record for record in records if isinstance(record, ToolCall)]
    assert (handed.tool, handed.handoff, handed.output) == ("hand_off_to_nurse", True, "")
    assert (asked.tool, asked.handoff, asked.output) == ("get_opening_hours", False, "{'opens': '08:00'}")


def test_a_response_that_fails_is_followed_by_the_next_turn(played):
    """Nobody waits for an answer that cannot come."""
    _, _, outcome, records = played["failed"]
    assert [moment.status for moment in outcome.truth if moment.event == "response.done"] == ["failed", "completed"]
    assert [record.outcome for record in records if isinstance(record, AgentTurn)] == ["failed", "answered"]


def test_calls_that_are_ended_early_tell_what_there_was():
    """Cancelled, every call under way is hung up and told as cut; one that was not placed yet is not told of."""
    calls = [plan({"calls": [{"turns": [{"user": {"silent_ms": 60_000, "speech_ms": 0}}, {}]}]})[0]] * 3
    progress = play.Progress()

    async def run():
        task = asyncio.create_task(play.play_calls(calls, Kept(), at_once=2, progress=progress))
        while progress.under_way < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        return await task

    played = asyncio.run(run())
    assert played.interrupted
    assert [(call.cut, call.crashed, call.unanswered) for call in played.calls] == [(True, "", 0)] * 2
    assert (progress.under_way, progress.ended, progress.most) == (0, 2, 2)


ANSWERED_TWICE = {"calls": [{"turns": [{"user": {"speech_ms": 300}, "agent": {"speech_ms": 100}}] * 2}]}


def test_a_call_that_the_tracer_did_not_attach_to_has_no_trace_and_no_ttft(monkeypatch):
    """It is played all the same; both its answers are told as not compared, since the stand-in has a time for each."""
    monkeypatch.setenv("PHI_GUARD_TELEMETRY", "off")
    (went,) = asyncio.run(play.play_calls(plan(ANSWERED_TWICE), Kept(), at_once=1)).calls
    assert (went.trace_id, went.crashed, went.turns, went.unanswered) == ("", "", 2, 0)
    assert (went.ttft_ms, went.ttft_error_ms, went.ttft_unpaired) == ((), None, 2)


def test_a_trace_that_was_begun_is_known_by_its_id_though_the_tracer_did_not_attach(monkeypatch):
    """Half a trace is there to be read back, and to be found wanting."""

    def fails(self, session):
        raise RuntimeError

    monkeypatch.setattr(tracing.Call, "listen", fails)
    kept = Kept()
    (went,) = asyncio.run(play.play_calls(plan(ANSWERED_TWICE), kept, at_once=1)).calls
    assert (went.crashed, went.ttft_ms) == ("", ())
    assert list(kept.of) == [went.trace_id]
