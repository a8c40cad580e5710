"""What happened in a call becomes records, on one clock and under one trace id."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tracing.identity import new_id
from tracing.record import (
    TOOL_TEXT_MAX,
    AgentTurn,
    AnyRecord,
    CallClosed,
    CallEnded,
    CallOpened,
    Consent,
    GuardrailClosed,
    SessionStarted,
    ToolCall,
    UserTurn,
)
from tracing.recorder import Recorder, Source
from tracing.tools import ToolRun
from tracing.turn import AnswerTurn, HeardTurn

Probe = Callable[[str, int], None]
"""Told the name of an operation and the nanoseconds it took on the caller's thread."""
Take = Callable[..., None]
"""`Recorder.take`, or what does the same at once."""

_REASONS: Final = frozenset({"error", "job_shutdown", "participant_disconnected", "user_initiated", "task_completed"})


class Trace:
    """The records of one call, from its beginning, which is now.

    Args:
        recorder: where they go.
        agent_version: the agent's own version.
        room_sid: LiveKit's random id of the room.
        probe: told what each record cost; for measurements only.

    Attributes:
        errors: turns, tools and whatever else went wrong so far.
        participant_sid: LiveKit's random id of the caller, once known.
    """

    def __init__(self, recorder: Recorder, *, agent_version: str, room_sid: str, probe: Probe | None) -> None:
        self.id = new_id()
        self.errors = 0
        self.participant_sid = ""
        self._agent_version, self._room_sid = agent_version, room_sid
        self._record, self._take = _ways(recorder)
        if probe is not None:
            self._record, self._take = _probed(self._record, probe), _probed(self._take, probe)
        self._mono, self._wall = time.monotonic_ns(), time.time_ns()
        self._root = (self._wall, self.id)
        self._guardrail = (self._wall, new_id())
        self._offered = self._turns = self._interruptions = 0
        self._started = False

    def open(self, consent: str, consent_version: str) -> None:
        """The call has begun."""
        self._emit(CallOpened, self._root, room_sid=self._room_sid, agent_version=self._agent_version)
        self._emit(Consent, self._guardrail, consent=consent, consent_version=consent_version)

    def started(self) -> None:
        """The session is up; told once."""
        if not self._started:
            self._started = True
            self._emit(SessionStarted, (self._wall, new_id()), self._wall_of(time.monotonic_ns()))

    def refused(self, version: str) -> None:
        """The caller has said no in the middle of the call; the relay must know before it hears of anything else."""
        now = self._wall_of(time.monotonic_ns())
        self._emit(Consent, (now, new_id()), now, consent="refused", consent_version=version)

    def heard(self, turn: HeardTurn) -> None:
        """The caller has spoken."""
        self._turns += 1
        self._offered += 1
        self._take(self, turn)

    def answered(self, turn: AnswerTurn) -> None:
        """The agent has answered. Nothing of the turn may change any more: it is read later, on another thread."""
        if turn.interrupted:
            self._interruptions += 1
        self._offered += 1
        self._take(self, turn)

    def tool(self, tool: ToolRun, *, content: bool) -> None:
        """A tool has ended, and nothing of it may change any more. Without ``content`` neither arguments nor output are recorded."""
        self._offered += 1
        if tool.error_type:  # as every tool that failed has
            self.errors += 1
        texts = len(tool.arguments) + len(tool.output)
        if content and texts <= TOOL_TEXT_MAX:
            self._take(self, tool, texts)
        else:  # what is not sent of a text is not held either
            self._record(self._tool(tool, content))

    def make(self, fact: HeardTurn | AnswerTurn | ToolRun) -> AnyRecord:
        """The record of a fact that was told. For the recorder's thread: it reads only what does not change."""
        if type(fact) is AnswerTurn:
            return self._answer(fact)
        if type(fact) is HeardTurn:
            key = new_id()
            start, end = self._wall_of(fact.start_ns), self._wall_of(fact.end_ns)
            return UserTurn(call=self.id, id=key, at=(self._root, (start, key)), end_ns=end, audio_ms=fact.audio_ms, outcome=fact.outcome)
        if type(fact) is ToolRun:
            return self._tool(fact, True)
        raise TypeError(f"{type(fact).__name__} is nothing that is told of a call")

    def _answer(self, turn: AnswerTurn) -> AgentTurn:
        tokens: dict[str, Any] = dict(turn.tokens)
        return AgentTurn(
            call=self.id,
            id=turn.key,
            at=(self._root, (self._wall_of(turn.start_ns), turn.key)),
            end_ns=self._wall_of(turn.end_ns),
            outcome=turn.outcome,
            origin=turn.origin,
            agent_index=turn.agent_index,
            interrupted=turn.interrupted,
            loop_lag_ms=_ms(turn.lag_ns),
            greeting_ms=_ms(turn.greeting_ns),
            ttft_ms=_ms(turn.ttft_ns),
            ttft_source=turn.source if turn.ttft_ns is not None or turn.source == "state" else "",
            ttft_model_ms=_ms(turn.model_ttft_ns),
            first_audio_ns=self._wall_of(turn.first_audio_ns) if turn.first_audio_ns else 0,
            tool_ms=turn.tool_ns / 1e6,
            responses=turn.responses,
            tool_calls=turn.tool_calls,
            deployment=turn.deployment,
            transcription_model=turn.transcription_model,
            error_message=turn.error_message,
            **tokens,
        )

    def _tool(self, tool: ToolRun, content: bool) -> ToolCall:
        failed = tool.status == "error"
        arguments, output = (tool.arguments, "" if failed else tool.output) if content else ("", "")
        place = (self._wall_of(tool.start_ns), tool.key)
        return ToolCall(
            call=self.id,
            id=tool.key,
            at=(self._root, place) if tool.turn is None else (self._root, (self._wall_of(tool.turn[0]), tool.turn[1]), place),
            end_ns=self._wall_of(tool.end_ns),
            tool=tool.tool,
            status=tool.status,
            arguments=arguments[:TOOL_TEXT_MAX],
            output=output[:TOOL_TEXT_MAX],
            arguments_cut=max(0, len(arguments) - TOOL_TEXT_MAX),
            output_cut=max(0, len(output) - TOOL_TEXT_MAX),
            handoff=tool.handoff,
            error_type=tool.error_type,
            error_message="tool_raised" if failed else "",
        )

    def close(self, reason: str, error: str, consent: tuple[str, str], *, handoffs: int, reconnects: int, **facts: Any) -> None:
        """The call is over.

        Args:
            reason: LiveKit's reason; one that is not known is ``unknown``.
            error: code of what ended it, or nothing.
            consent: the last consent that was given, and the version of its text.
            handoffs: how often an agent gave the call to another.
            reconnects: how often the connection to a model was made anew.
            facts: what else `CallClosed` tells: ``vad_type``, ``silence_ms``, ``media``.
        """
        self.started()
        end = self._wall_of(time.monotonic_ns())
        reason = reason if reason in _REASONS else "unknown"
        offered = self._offered + 3  # the three records below count themselves
        self._emit(
            CallEnded,
            (end, new_id()),
            end,
            reason=reason,
            turns=self._turns,
            errors=self.errors,
            interruptions=self._interruptions,
            handoffs=handoffs,
            reconnects=reconnects,
            offered=offered,
        )
        self._emit(GuardrailClosed, self._guardrail, end, consent=consent[0], consent_version=consent[1])
        self._emit(
            CallClosed,
            self._root,
            end,
            reason=reason,
            room_sid=self._room_sid,
            participant_sid=self.participant_sid,
            agent_version=self._agent_version,
            offered=offered,
            error_message=error,
            **facts,
        )

    def _emit(self, kind: type[AnyRecord], place: tuple[int, str], end_ns: int = 0, /, **facts: Any) -> None:
        """Record what happens a few times in a call; what happens in each turn goes by `_take`."""
        at = (place,) if place[1] == self.id else (self._root, place)
        self._offered += 1
        self._record(kind(call=self.id, id=place[1], at=at, end_ns=end_ns, **facts))

    def _wall_of(self, monotonic_ns: int) -> int:
        """The wall clock's time of a monotonic instant, by the pair taken when the call began: a stepped clock moves nothing in a trace."""
        return self._wall + (monotonic_ns - self._mono)


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _ways(recorder: Recorder) -> tuple[Callable[[AnyRecord], None], Take]:
    """How records are given: whole, and as facts of which the recorder's thread makes them.

    Whoever stands in for a recorder, or changes what it does with a record, is given each record whole.
    """
    changed = isinstance(recorder, Recorder) and type(recorder).record is not Recorder.record
    take: Take | None = None if changed else getattr(recorder, "take", None)

    def make_now(source: Source, fact: Any, _: int = 0) -> None:
        recorder.record(source.make(fact))

    return recorder.record, take or make_now


def _probed(act: Callable[..., None], probe: Probe) -> Callable[..., None]:
    def timed(*given: Any) -> None:
        began = time.perf_counter_ns()
        act(*given)
        probe("record", time.perf_counter_ns() - began)

    return timed
