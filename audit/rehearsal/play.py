"""Plays planned calls: a real AgentSession each, the tracer attached, the model and the caller imitated."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import tracing
from audit.evidence import Cost
from audit.rehearsal.expectation import HAND_OFF
from audit.rehearsal.script import PlannedCall, PlannedTurn
from audit.rehearsal.timing import measure_lateness
from audit.rehearsal.ttft import Paired, Sample, pair
from tracing.livekit_agent import Probe
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Fail, Say, Turn
from tracing.local.clinic_agent import CallerTurn, ScriptedClinicAgent, ScriptedTool, job_context, run_call
from tracing.recorder import Recorder, Source
from tracing.turn import AnswerTurn

GREETING_MS = 300
IDLE_S = 2.0
"""How long the empty loop is watched before the calls that are played without a tracer."""


@dataclass(frozen=True, slots=True)
class PlayedCall:
    """One call as it went.

    Args:
        trace_id: its trace; empty when the tracer could not attach and had begun none.
        crashed: class name of what came out of the call; empty when nothing did.
        unanswered: turns of the caller that got no whole answer.
        errors: what the session reported, by class name.
        tracer_faults: handlers of ours that failed inside.
        ttft_ms: TTFT-A of each answered turn, as recorded.
        ttft_error_ms: the largest difference to the stand-in's own clock over those that can be paired; None when none can.
        started_s: `time.monotonic` when it was placed.
        lasted_s: seconds until everything of it was closed.
        turns: of the caller that were spoken.
        barge_ins: answers that the caller cut short.
        hand_offs: how often an agent gave the call to another.
        ttft_errors_ms: the difference to the stand-in's own clock, of each of ``ttft_ms`` that can be paired.
        ttft_unpaired: answers that only the trace or only the stand-in has a TTFT-A of.
        cut: the rehearsal was ended while the call went on.
    """

    trace_id: str
    crashed: str
    unanswered: int
    errors: tuple[str, ...]
    tracer_faults: int
    ttft_ms: tuple[float, ...]
    ttft_error_ms: float | None
    started_s: float = 0.0
    lasted_s: float = 0.0
    turns: int = 0
    barge_ins: int = 0
    hand_offs: int = 0
    ttft_errors_ms: tuple[float, ...] = ()
    ttft_unpaired: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """All calls that were placed, and how late the event loop ticked before and while they ran.

    Args:
        at_once: the most calls that were under way at the same moment.
        interrupted: it was ended before its time; ``calls`` are those that had been placed.
    """

    calls: tuple[PlayedCall, ...]
    idle: Cost
    busy: Cost
    at_once: int = 0
    interrupted: bool = False


@dataclass(slots=True)
class Progress:
    """How far the calls are, for whoever looks while they run.

    Args:
        under_way: calls at this moment.
        most: the most there were at once.
        ended: calls that are over.
        turns: of the callers' that were answered.
    """

    under_way: int = 0
    most: int = 0
    ended: int = 0
    turns: int = 0

    def begin(self) -> None:
        """A call is placed."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)

    def answer(self) -> None:
        """A turn was answered."""
        self.turns += 1

    def end(self) -> None:
        """A call is over."""
        self.under_way -= 1
        self.ended += 1

    def told(self, at: float) -> str:
        """How far they are after so many seconds, in words."""
        minutes, seconds = divmod(int(at), 60)
        return f"{minutes}:{seconds:02d}  {self.under_way} calls under way, {self.ended} ended, {self.turns} turns answered"


async def play_calls(
    calls: Sequence[PlannedCall],
    recorder: Recorder | None,
    *,
    at_once: int,
    probe: Probe | None = None,
    progress: Progress | None = None,
) -> Played:
    """Play calls and wait for the last to end. Cancelled, it hangs up everywhere and gives what there was until then.

    Args:
        calls: what to play.
        recorder: where the tracer's records go; None plays the same calls without a tracer.
        at_once: how many calls run at the same time.
        probe: told what each operation of the tracer cost.
        progress: kept up to date while the calls run.
    """
    # A failed tool's text is a patient's data on a terminal; the rehearsal reports classes and counts instead.
    for name in ("livekit", "asyncio"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    progress = progress or Progress()
    azure = AzureRealtime([_script(call, n) for n, call in enumerate(calls)])
    url = await azure.start()
    stop = asyncio.Event()
    watch: asyncio.Task[Cost] | None = None
    placed: list[asyncio.Task[PlayedCall | None]] = []
    gate = asyncio.Semaphore(at_once)
    idle = busy = Cost(0.0, 0.0, 0.0, 0)
    interrupted = False

    async def one(n: int, call: PlannedCall) -> PlayedCall | None:
        try:
            await gate.acquire()
        except asyncio.CancelledError:
            return None  # it had not been placed
        progress.begin()
        try:
            return await _play(call, n, url, recorder, probe, progress)
        finally:
            progress.end()
            gate.release()

    try:
        idle = await measure_lateness(stop, IDLE_S if recorder is None else 0.0)
        watch = asyncio.create_task(measure_lateness(stop))
        placed += [asyncio.create_task(one(n, call)) for n, call in enumerate(calls)]
        await asyncio.gather(*placed)
    except asyncio.CancelledError:
        interrupted = True  # and by now every call has hung up
    finally:
        ended = await asyncio.gather(*placed, return_exceptions=True)
        stop.set()
        if watch is not None:
            busy = await watch
        await azure.stop()
    return Played(tuple(call for call in ended if isinstance(call, PlayedCall)), idle, busy, progress.most, interrupted)


class _Tap:
    """Passes records on and remembers the TTFT-A of each, to be held against the stand-in's clock, and which trace was begun."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.close_call, self.tally, self.record = recorder.close_call, recorder.tally, recorder.record
        self.samples: list[Sample] = []
        self.trace_id = ""

    def open_call(self, call: str) -> None:
        """As `Recorder.open_call`."""
        self.trace_id = call
        self._recorder.open_call(call)

    def take(self, source: Source, fact: object, texts: int = 0) -> None:
        """As `Recorder.take`."""
        if isinstance(fact, AnswerTurn) and fact.ttft_ns is not None:
            self.samples.append(Sample(fact.start_ns / 1e9, round(fact.ttft_ns / 1e6, 3)))
        self._recorder.take(source, fact, texts)


async def _play(planned: PlannedCall, n: int, url: str, recorder: Recorder | None, probe: Probe | None, progress: Progress) -> PlayedCall:
    tap = _Tap(recorder) if recorder is not None else None
    attached: list[tracing.Call | tracing.Unattached] = []

    def attach(session: object, ctx: object) -> None:
        if tap is None:
            return
        attached.append(tracing.attach(session, ctx, consent=planned.consent, recorder=tap, probe=probe))  # type: ignore[arg-type]  # a tap

    agent = ScriptedClinicAgent([tool for turn in planned.turns for tool in _tools(turn)], greets=planned.greets)
    turns = [CallerTurn(turn.speech_ms, turn.cut_in_after_ms, turn.silent_ms, bool(turn.hand_off)) for turn in planned.turns]
    limit = 20.0 + max(sum(t.takes_ms for t in turn.tools) + turn.answer_ms + turn.first_audio_after_ms for turn in planned.turns) / 1000
    crashed, outcome, cut, started_s = "", None, False, time.monotonic()
    try:
        with _context(planned) as ctx:
            outcome = await run_call(
                agent,
                url,
                turns,
                attach=attach,
                ctx=ctx,
                start_options=tracing.start_options(),
                api_key=_key(n),
                turn_limit_s=limit,
                on_turn=progress.answer,
            )
    except Exception as fault:  # noqa: BLE001  # a call that dies is a result of the rehearsal, told by its class
        crashed = type(fault).__name__
    except asyncio.CancelledError:
        cut = True
    call = attached[0] if attached else None
    if call:
        call.detach("unknown")
    paired = pair(outcome.truth if outcome else (), tap.samples) if tap else Paired()
    return PlayedCall(
        trace_id=tap.trace_id if tap else "",
        crashed=crashed,
        unanswered=outcome.unanswered if outcome else 0 if cut else sum(turn.speech_ms > 0 for turn in turns),
        errors=outcome.exceptions if outcome else (),
        tracer_faults=call.faults if call else 0,
        ttft_ms=tuple(sample.ttft_ms for sample in tap.samples) if tap else (),
        ttft_error_ms=max(paired.errors_ms, default=None),
        started_s=started_s,
        lasted_s=round(time.monotonic() - started_s, 3),
        turns=outcome.turns if outcome else 0,
        barge_ins=outcome.barge_ins if outcome else 0,
        hand_offs=outcome.hand_offs if outcome else 0,
        ttft_errors_ms=paired.errors_ms,
        ttft_unpaired=paired.unpaired,
        cut=cut,
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
    spoken = [turn for turn in call.turns if turn.speech_ms]
    for turn in spoken:
        responses += _responses(turn)
    return CallScript(turns=tuple(responses), transcripts=tuple(turn.caller_says or "hello" for turn in spoken), key=_key(n))


def _responses(turn: PlannedTurn) -> list[Turn]:
    """The model's responses to one turn of the caller: first its tool calls, all in one, then what it says, itself or after a hand-off."""
    say: Say | Fail = Say(turn.agent_says or "All right.", audio_ms=turn.answer_ms, first_audio_after_ms=turn.first_audio_after_ms)
    tools = tuple(ModelCall(tool.name, tool.arguments) for tool in turn.tools)
    if turn.hand_off:
        tools = (ModelCall(HAND_OFF + turn.hand_off),)
    answer: Turn = (Fail() if turn.fails else say,)
    return [tools, answer] if tools else [answer]


def _tools(turn: PlannedTurn) -> list[ScriptedTool]:
    tools = [ScriptedTool(t.name, t.result, t.raises, t.takes_ms) for t in turn.tools]
    return [*tools, ScriptedTool(HAND_OFF + turn.hand_off, hands_over_to=turn.hand_off)] if turn.hand_off else tools
