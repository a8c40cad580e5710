"""AgentSession events become records. Reads times, ids, counts and tool payloads; never a transcript, never audio.

Every handler is total: LiveKit re-raises a ``TypeError`` out of an event handler and the call ends with it. Nothing comes out of ours.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from functools import partial
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
from tracing.recorder import Recorder
from tracing.tools import ToolRun, ToolTracker
from tracing.turns import HANDLED, AnswerTurn, HeardTurn, TurnTracker

Probe = Callable[[str, int], None]
"""Told the name of an operation and the nanoseconds it took on the caller's thread."""

CONSENTS: Final = frozenset({"granted", "refused", "not_asked"})
_REASONS: Final = frozenset({"error", "job_shutdown", "participant_disconnected", "user_initiated", "task_completed"})
# EventEmitter inspects a handler's signature at each emit; a ready one makes that a third of the cost.
_ONE_ARGUMENT: Final = inspect.Signature([inspect.Parameter("event", inspect.Parameter.POSITIONAL_ONLY)])


class Call:
    """One call as it is recorded. Made by `tracing.attach`; `detach` ends it early, otherwise the session's ``close`` does.

    Args:
        recorder: where records go.
        consent: ``granted``, ``refused`` (then no tool payload is recorded) or ``not_asked``.
        consent_version: which text the caller agreed to, such as ``recording-v2``.
        deployment: name of the model's deployment, for its price; read from the model when empty.
        agent_version: the agent's own version.
        job: the JobContext, for LiveKit's random ids of room and caller; their names hold phone numbers and are never read.
        probe: told what each operation cost; for measurements only.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        consent: str = "not_asked",
        consent_version: str = "",
        deployment: str = "",
        agent_version: str = "",
        job: Any = None,
        probe: Probe | None = None,
    ) -> None:
        self.id = new_id()
        self.faults = 0
        self._recorder, self._probe = recorder, probe
        self._consent = consent if consent in CONSENTS else "not_asked"
        self._consent_version, self._deployment, self._agent_version = consent_version, deployment, agent_version
        self._job, self._participant_sid = job, ""
        self._room_sid = _text(getattr(getattr(getattr(job, "job", None), "room", None), "sid", ""))
        self._mono, self._wall = time.monotonic_ns(), time.time_ns()
        self._root = (self._wall, self.id)
        self._guardrail = (self._wall, new_id())
        self._offered = self._turns = self._errors = 0
        self._started = self._ended = False
        self._tracker = TurnTracker(new_id, self._heard, self._answered)
        self._tools = ToolTracker(self._turn, self._tracker.add_tool, self._tool_done)
        self._undo: list[Callable[[], object]] = []
        self._hooked: set[int] = set()

    # -- what the tracer sees ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Record that the call has begun."""
        self._recorder.open_call(self.id)
        self._emit(CallOpened, self._root, room_sid=self._room_sid, agent_version=self._agent_version)
        self._emit(Consent, self._guardrail, consent=self._consent, consent_version=self._consent_version)

    def listen(self, session: Any) -> None:
        """Subscribe to an AgentSession and to the raw events of its models, before it starts."""
        self._tools.install()
        self._undo.append(self._tools.remove)
        self._hook_model(getattr(session, "llm", None))
        on: dict[str, Callable[[Any], None]] = {
            "agent_state_changed": self._on_agent_state,
            "conversation_item_added": lambda event: self._on_item(session, event),
            "tool_execution_updated": self._on_tool,
            "function_tools_executed": self._on_tools_done,
            "close": self._on_close,
        }
        for name, take in on.items():
            self._subscribe(session, name, take)

    def detach(self, reason: str = "unknown") -> None:
        """End the call's trace now and stop listening. Ending twice ends once. Never raises."""
        try:
            self._finish(reason, "")
        except Exception:  # noqa: BLE001  # telemetry may fail, the agent may not
            self.faults += 1

    async def flush(self, seconds: float = 3.0) -> bool:
        """Wait, without blocking the loop, until the relay has this process's records; True when it has them all.

        Args:
            seconds: how long at most; LiveKit gives all shutdown callbacks together ten.
        """
        import asyncio  # noqa: PLC0415  # only where a loop runs already

        end = time.monotonic() + seconds
        while self._recorder.tally().pending and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return not self._recorder.tally().pending

    # -- subscriptions -------------------------------------------------------------------------------------------------------------

    def _subscribe(self, emitter: Any, name: str, take: Callable[[Any], None]) -> None:
        probe = self._probe

        def handle(event: Any, /) -> None:
            try:
                if probe is None:
                    take(event)
                else:
                    began = time.perf_counter_ns()
                    take(event)
                    probe("handler", time.perf_counter_ns() - began)
            except Exception:  # noqa: BLE001  # see the module's first lines
                self.faults += 1

        handle.__signature__ = _ONE_ARGUMENT  # type: ignore[attr-defined]  # read by inspect.signature
        emitter.on(name, handle)
        self._undo.append(lambda: emitter.off(name, handle))

    def _hook_model(self, model: Any) -> None:
        """Listen to every realtime session this model will make, from its first event on."""
        make = getattr(model, "session", None)
        if not callable(make) or id(model) in self._hooked:
            return
        self._hooked.add(id(model))
        self._deployment = self._deployment or _deployment_of(model)

        def session(*args: Any, **kwargs: Any) -> Any:
            made = make(*args, **kwargs)
            if self._ended:  # another call may have wrapped the same model after us, so that we are still asked
                return made
            try:
                self._subscribe(made, "openai_server_event_received", self._on_server)
                self._subscribe(made, "openai_client_event_queued", self._on_client)
                self._subscribe(made, "session_reconnected", lambda _: self._tracker.reconnected(time.monotonic_ns()))
            except Exception:  # noqa: BLE001  # the agent gets its session whatever becomes of ours
                self.faults += 1
            return made

        def unhook() -> None:
            if model.__dict__.get("session") is session:
                del model.session

        model.session = session
        self._undo.append(unhook)

    # -- events --------------------------------------------------------------------------------------------------------------------

    def _on_server(self, event: Mapping[str, object]) -> None:
        if event.get("type") in HANDLED:
            self._tracker.see_server(event, time.monotonic_ns())

    def _on_client(self, event: Mapping[str, object]) -> None:
        if event.get("type") == "input_audio_buffer.commit":
            self._tracker.see_client("input_audio_buffer.commit", time.monotonic_ns())

    def _on_agent_state(self, event: Any) -> None:
        if not self._started and event.new_state != "initializing":
            self._started = True
            self._find_caller()
            self._emit(SessionStarted, (self._wall, new_id()), self._wall_of(time.monotonic_ns()))

    def _on_item(self, session: Any, event: Any) -> None:
        if event.item.type == "agent_handoff":
            self._hook_model(getattr(session.current_agent, "llm", None))

    def _on_tool(self, event: Any) -> None:
        self._tools.see(event, time.monotonic_ns())

    def _on_tools_done(self, event: Any) -> None:
        self._tools.see_batch(event, time.monotonic_ns())

    def _on_close(self, event: Any) -> None:
        reason = str(getattr(event.reason, "value", event.reason))
        self._finish(reason, "session_error" if event.error is not None else "")

    # -- records -------------------------------------------------------------------------------------------------------------------

    def _heard(self, turn: HeardTurn) -> None:
        self._turns += 1
        place, end = (self._wall_of(turn.start_ns), new_id()), self._wall_of(turn.end_ns)
        self._emit(UserTurn, place, end, audio_ms=turn.audio_ms, outcome="completed")

    def _answered(self, turn: AnswerTurn) -> None:
        self._errors += bool(turn.error_message)
        tokens: dict[str, Any] = dict(turn.tokens)
        self._emit(
            AgentTurn,
            (self._wall_of(turn.start_ns), turn.key),
            self._wall_of(turn.end_ns),
            outcome=turn.outcome,
            origin=turn.origin,
            ttft_ms=_ms(turn.ttft_ns),
            ttft_source="azure_events" if turn.ttft_ns is not None else "",
            ttft_model_ms=_ms(turn.model_ttft_ns),
            first_audio_ns=self._wall_of(turn.first_audio_ns) if turn.first_audio_ns else 0,
            tool_ms=turn.tool_ns / 1e6,
            responses=turn.responses,
            tool_calls=turn.tool_calls,
            deployment=self._deployment,
            error_message=turn.error_message,
            **tokens,
        )

    def _turn(self) -> tuple[int, str] | None:
        turn = self._tracker.answer or self._tracker.last
        return None if turn is None else (turn.start_ns, turn.key)

    def _tool_done(self, tool: ToolRun) -> None:
        failed = tool.status == "error"
        self._errors += failed
        arguments, output = ("", "") if self._consent == "refused" else (tool.arguments, "" if failed else tool.output)
        self._emit(
            ToolCall,
            (self._wall_of(tool.start_ns), tool.key),
            self._wall_of(tool.end_ns),
            below=() if tool.turn is None else ((self._wall_of(tool.turn[0]), tool.turn[1]),),
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

    def _finish(self, reason: str, error: str) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._end_open()
            self._close_trace(reason, error)
        finally:
            self._recorder.close_call(self.id)
            for undo in reversed(self._undo):
                self._try(undo)
            self._undo.clear()

    def _end_open(self) -> None:
        """End what is open in the call; a fault in one must not keep the others, nor the call's own end."""
        self._try(self._find_caller)
        self._try(lambda: self._tracker.finish(time.monotonic_ns()))
        for tool in self._tools.finish():
            self._try(partial(self._tools.tell, tool))

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001  # see the module's first lines
            self.faults += 1

    def _close_trace(self, reason: str, error: str) -> None:
        end = self._wall_of(time.monotonic_ns())
        if not self._started:
            self._emit(SessionStarted, (self._wall, new_id()), end)
        reason = reason if reason in _REASONS else "unknown"
        self._errors += bool(error)
        offered = self._offered + 3  # the three records below count themselves
        self._emit(CallEnded, (end, new_id()), end, reason=reason, turns=self._turns, errors=self._errors, offered=offered)
        self._emit(GuardrailClosed, self._guardrail, end, consent=self._consent, consent_version=self._consent_version)
        self._emit(
            CallClosed,
            self._root,
            end,
            reason=reason,
            room_sid=self._room_sid,
            participant_sid=self._participant_sid,
            agent_version=self._agent_version,
            vad_type=self._tracker.vad_type,
            silence_ms=self._tracker.silence_ms,
            offered=offered,
            error_message=error,
        )

    def _find_caller(self) -> None:
        """The caller's random id, while the caller is in the room."""
        others = getattr(getattr(self._job, "room", None), "remote_participants", None)
        if not self._participant_sid and isinstance(others, Mapping) and others:
            self._participant_sid = _text(getattr(next(iter(others.values())), "sid", ""))

    def _emit(
        self, kind: type[AnyRecord], place: tuple[int, str], end_ns: int = 0, /, *, below: tuple[tuple[int, str], ...] = (), **facts: Any
    ) -> None:
        began = time.perf_counter_ns() if self._probe is not None else 0
        at = (place,) if place[1] == self.id else (self._root, *below, place)
        self._offered += 1
        self._recorder.record(kind(call=self.id, id=place[1], at=at, end_ns=end_ns, **facts))
        if self._probe is not None:
            self._probe("record", time.perf_counter_ns() - began)

    def _wall_of(self, monotonic_ns: int) -> int:
        """The wall clock's time of a monotonic instant, by the pair taken when the call began: a stepped clock moves nothing in a trace."""
        return self._wall + (monotonic_ns - self._mono)


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _deployment_of(model: Any) -> str:
    return _text(getattr(getattr(model, "_opts", None), "azure_deployment", None))
