"""Plays planned calls: a real AgentSession each, the tracer attached, the model and the caller imitated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import tracing
from audit.evidence import Cost
from audit.rehearsal.script import PlannedCall, PlannedTurn
from audit.rehearsal.timing import measure_lateness
from tracing.livekit_agent import Probe
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Say, Turn
from tracing.local.clinic_agent import CallerTurn, CallOutcome, ScriptedClinicAgent, ScriptedTool, job_context, run_call
from tracing.record import AgentTurn, AnyRecord
from tracing.recorder import Recorder, Source
from tracing.turn import AnswerTurn

GREETING_MS = 300
IDLE_S = 2.0
"""How long the empty loop is watched before the calls that are played without a tracer."""


@dataclass(frozen=True, slots=True)
class PlayedCall:
    """One call as it went.

    Args:
        trace_id: its trace; empty when the tracer could not attach.
        crashed: class name of what came out of the call; empty when nothing did.
        unanswered: turns of the caller that got no whole answer.
        errors: what the session reported, by class name.
        tracer_faults: handlers of ours that failed inside.
        ttft_ms: TTFT-A of each answered turn, as recorded.
        ttft_error_ms: the largest difference to the stand-in's own clock over these; None when they cannot be paired.
    """

    trace_id: str
    crashed: str
    unanswered: int
    errors: tuple[str, ...]
    tracer_faults: int
    ttft_ms: tuple[float, ...]
    ttft_error_ms: float | None


@dataclass(frozen=True, slots=True)
class Played:
    """All calls, and how late the event loop ticked before and while they ran."""

    calls: tuple[PlayedCall, ...]
    idle: Cost
    busy: Cost


async def play_calls(calls: Sequence[PlannedCall], recorder: Recorder | None, *, at_once: int, probe: Probe | None = None) -> Played:
    """Play calls and wait for the last to end.

    Args:
        calls: what to play.
        recorder: where the tracer's records go; None plays the same calls without a tracer.
        at_once: how many calls run at the same time.
        probe: told what each operation of the tracer cost.
    """
    # A failed tool's text is a patient's data on a terminal; the rehearsal reports classes and counts instead.
    for name in ("livekit", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    azure = AzureRealtime([_script(call, n) for n, call in enumerate(calls)])
    url = await azure.start()
    stop = asyncio.Event()
    idle = await measure_lateness(stop, IDLE_S if recorder is None else 0.0)
    watch = asyncio.create_task(measure_lateness(stop))
    gate = asyncio.Semaphore(at_once)

    async def one(n: int, call: PlannedCall) -> PlayedCall:
        async with gate:
            return await _play(call, n, url, recorder, probe)

    try:
        played = await asyncio.gather(*(one(n, call) for n, call in enumerate(calls)))
    finally:
        stop.set()
        busy = await watch
        await azure.stop()
    return Played(tuple(played), idle, busy)


class _Tap:
    """Passes records on and remembers the TTFT-A of each, to be held against the stand-in's clock."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.open_call, self.close_call, self.tally = recorder.open_call, recorder.close_call, recorder.tally
        self.ttft_ms: list[float] = []

    def record(self, record: AnyRecord) -> None:
        """As `Recorder.record`."""
        if isinstance(record, AgentTurn) and record.ttft_ms is not None:
            self.ttft_ms.append(round(record.ttft_ms, 3))
        self._recorder.record(record)

    def take(self, source: Source, fact: object, texts: int = 0) -> None:
        """As `Recorder.take`."""
        if isinstance(fact, AnswerTurn) and fact.ttft_ns is not None:
            self.ttft_ms.append(round(fact.ttft_ns / 1e6, 3))
        self._recorder.take(source, fact, texts)


async def _play(planned: PlannedCall, n: int, url: str, recorder: Recorder | None, probe: Probe | None) -> PlayedCall:
    tap = _Tap(recorder) if recorder is not None else None
    attached: list[tracing.Call | tracing.Unattached] = []

    def attach(session: object, ctx: object) -> None:
        if tap is None:
            return
        attached.append(tracing.attach(session, ctx, consent=planned.consent, recorder=tap, probe=probe))  # type: ignore[arg-type]  # a tap

    tools = [ScriptedTool(t.name, t.result, t.raises, t.takes_ms) for turn in planned.turns for t in turn.tools]
    agent = ScriptedClinicAgent(tools, greets=planned.greets)
    turns = [CallerTurn(turn.speech_ms) for turn in planned.turns]
    limit = 20.0 + max(sum(t.takes_ms for t in turn.tools) + turn.answer_ms + turn.first_audio_after_ms for turn in planned.turns) / 1000
    crashed, outcome = "", None
    try:
        with _context(planned) as ctx:
            outcome = await run_call(
                agent, url, turns, attach=attach, ctx=ctx, start_options=tracing.start_options(), api_key=_key(n), turn_limit_s=limit
            )
    except Exception as fault:  # noqa: BLE001  # a call that dies is a result of the rehearsal, told by its class
        crashed = type(fault).__name__
    call = attached[0] if attached else None
    if call:
        call.detach("unknown")
    return PlayedCall(
        trace_id=call.id if call else "",
        crashed=crashed,
        unanswered=outcome.unanswered if outcome else len(turns),
        errors=outcome.exceptions if outcome else (),
        tracer_faults=call.faults if call else 0,
        ttft_ms=tuple(tap.ttft_ms) if tap else (),
        ttft_error_ms=_ttft_error(outcome, tap.ttft_ms) if outcome and tap else None,
    )


def _context(planned: PlannedCall) -> AbstractContextManager[Any]:
    line = planned.line
    return job_context(room_name=line.room, identity=line.identity, attributes=line.attributes) if line else job_context()


def _key(n: int) -> str:
    return f"rehearsal-{n}"


def _script(call: PlannedCall, n: int) -> CallScript:
    responses: list[Turn] = []
    if call.greets:
        responses.append((Say("Clinic, good day.", audio_ms=GREETING_MS),))
    for turn in call.turns:
        responses += _responses(turn)
    return CallScript(turns=tuple(responses), transcripts=tuple(turn.caller_says or "hello" for turn in call.turns), key=_key(n))


def _responses(turn: PlannedTurn) -> list[Turn]:
    """The model's responses to one turn of the caller: first its tool calls, all in one, then what it says."""
    answer = (Say(turn.agent_says or "All right.", audio_ms=turn.answer_ms, first_audio_after_ms=turn.first_audio_after_ms),)
    tools = tuple(ModelCall(tool.name, tool.arguments) for tool in turn.tools)
    return [tools, answer] if tools else [answer]


def _ttft_error(outcome: CallOutcome, recorded: Sequence[float]) -> float | None:
    """The largest difference between recorded TTFT-A and the stand-in's: each stop of speech to the next first sound."""
    truth: list[float] = []
    stopped: float | None = None
    for moment in outcome.truth:
        if moment.event == "speech_started":
            stopped = None
        elif moment.event == "speech_stopped":
            stopped = moment.at_s
        elif moment.event == "first_audio" and stopped is not None:
            truth.append((moment.at_s - stopped) * 1000)
            stopped = None
    if len(truth) != len(recorded) or not truth:
        return None
    return round(max(abs(a - b) for a, b in zip(truth, recorded, strict=True)), 3)
