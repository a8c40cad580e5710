"""AgentSession events become records. Reads times, ids, counts and tool payloads; never a transcript, never audio.

Every handler is total: LiveKit re-raises a ``TypeError`` out of an event handler and the call ends with it. Nothing comes out of ours.
"""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tracing.hearing import Hearing
from tracing.media import Media
from tracing.own_cost import OwnCost
from tracing.realtime import asking, deployment_of, hook
from tracing.recorder import Recorder
from tracing.tools import ToolRun, ToolTracker
from tracing.trace import Probe, Trace
from tracing.turn import AnswerTurn

__all__ = ["CONSENTS", "Call", "Probe"]

CONSENTS: Final = frozenset({"granted", "refused", "not_asked"})
# EventEmitter inspects a handler's signature at each emit; a ready one makes that a third of the cost.
_ONE_ARGUMENT: Final = inspect.Signature([inspect.Parameter("event", inspect.Parameter.POSITIONAL_ONLY)])


class Call:
    """One call as it is recorded. Made by `tracing.attach`; `detach` ends it early, otherwise the session's ``close`` does.

    Args:
        recorder: where records go.
        consent: ``granted``, ``refused`` (then no tool payload is recorded) or ``not_asked``.
        consent_version: which text the caller agreed to, such as ``recording-v2``.
        deployment: name of the session's model's deployment, for its price; read from the model when empty.
        agent_version: the agent's own version.
        job: the JobContext, for LiveKit's random ids of room and caller; their names hold phone numbers and are never read.
        probe: told what each operation cost; for measurements only.

    Attributes:
        media: what watches the line's quality, once the session has started in a room.
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
        cost: OwnCost | None = None,
    ) -> None:
        self.faults = 0
        self._cost = cost
        self.media: Any = None
        self._recorder, self._probe, self._job = recorder, probe, job
        settings = {"consent_version": consent_version, "deployment": deployment, "agent_version": agent_version}
        self.faults += sum(not isinstance(value, str) for value in settings.values())  # another type, which the relay would not take
        self._consent = consent if isinstance(consent, str) and consent in CONSENTS else "refused"
        self._consent_version = _text(consent_version)
        self._refused_until = 0
        self._deployment = _text(deployment)
        room_sid = _text(getattr(getattr(getattr(job, "job", None), "room", None), "sid", ""))
        self._trace = Trace(recorder, agent_version=_text(agent_version), room_sid=room_sid, probe=probe)
        self.id = self._trace.id
        self._started = self._ended = self._fatal = False
        self._failed_responses = 0
        self._hearing = Hearing(self._subscribe, self._trace.heard, lambda turn: self._try(partial(self._answered, turn)))
        self._opened_ns = time.monotonic_ns()
        self._tools = ToolTracker(self._turn, _ignore, self._tool_done)
        self._undo: list[Callable[[], object]] = []
        self._hooked: set[int] = set()

    # -- what the tracer sees ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Record that the call has begun."""
        self._recorder.open_call(self.id)
        self._trace.open(self._consent, self._consent_version)

    def listen(self, session: Any) -> None:
        """Subscribe to an AgentSession and to the raw events of its models, before it starts."""
        self._hearing.session = session
        self._tools.install()
        self._undo.append(self._tools.remove)
        self._try(lambda: self._hook_model(getattr(session, "llm", None), self._deployment))
        on: dict[str, Callable[[Any], None]] = {
            "user_state_changed": self._on_user_state,
            "agent_state_changed": self._on_agent_state,
            "conversation_item_added": self._on_item,
            "speech_created": self._on_speech,
            "tool_execution_updated": self._on_tool,
            "function_tools_executed": self._on_tools_done,
            "error": self._on_error,
            "close": self._on_close,
        }
        for name, take in on.items():
            self._subscribe(session, name, take)

    def consent(self, state: str, version: str = "") -> None:
        """Say what the caller answered when asked during the call. Never raises.

        From a refusal on, no tool's payload is recorded, not that of a tool that runs at that moment either, and the relay lets only
        skeletons leave, of what still waits with it too: for the whole call, since it takes no refusal back. What left before stays. A
        further ``policy.guardrail`` shows when it was said; the first ends with the last state.

        Args:
            state: ``granted``, ``refused`` or ``not_asked``; any other word is taken for a refusal, and counted as a fault.
            version: which text was read out, such as ``recording-v2``; as before when empty.
        """
        try:
            if state not in CONSENTS:
                self.faults += 1
                state = "refused"
        except Exception:  # noqa: BLE001  # whatever was given, it is no consent
            self.faults += 1
            state = "refused"
        if self._consent == "refused" and state != "refused":
            self._refused_until = time.monotonic_ns()
        refused_now = state == "refused" != self._consent
        self._consent = state
        if isinstance(version, str) and version:
            self._consent_version = version
        if refused_now and not self._ended:
            self._try(lambda: self._trace.refused(self._consent_version))

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
        try:
            while self._recorder.tally().pending and time.monotonic() < end:
                await asyncio.sleep(0.02)
            return not self._recorder.tally().pending
        except Exception:  # noqa: BLE001  # what a shutdown callback raises keeps LiveKit from waiting for the others
            self.faults += 1
            return False

    # -- subscriptions -------------------------------------------------------------------------------------------------------------

    def _subscribe(self, emitter: Any, name: str, take: Callable[[Any], None]) -> Callable[[], object]:
        probe = self._probe
        if self._cost is not None:
            take = self._cost.timed(take)

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
        listens = True

        def undo() -> None:
            nonlocal listens
            if listens:
                listens = False
                with contextlib.suppress(ValueError):  # at the end of the call they are undone one by one
                    self._undo.remove(undo)
                emitter.off(name, handle)

        self._undo.append(undo)
        return undo

    def _hook_model(self, model: Any, deployment: str = "") -> None:
        """Listen to every realtime session this model will make for this call, from its first event on."""
        if id(model) in self._hooked:
            return
        self._deployment = self._deployment or deployment_of(model)
        hooked = hook(model, self.id, partial(self._meet, deployment or deployment_of(model) or self._deployment))
        if hooked is not None:
            self._hooked.add(id(model))  # the hook keeps the model, so that its id stays its own
            self._undo.append(lambda: hooked.leave(self.id))

    def _meet(self, deployment: str, made: Any, sure: bool) -> None:
        if not self._ended:
            self._try(lambda: self._hearing.meet(deployment, made, sure))

    # -- events --------------------------------------------------------------------------------------------------------------------

    def _on_user_state(self, event: Any) -> None:
        self._hearing.user_became(str(event.new_state), self._at(event))

    def _on_agent_state(self, event: Any) -> None:
        if not self._started and event.new_state != "initializing":
            self._started = True
            self._find_caller()
            self._trace.started()
            self._try(self._open_media)
        self._hearing.agent_became(str(event.new_state), self._at(event))

    def _on_item(self, event: Any) -> None:
        item = event.item
        if item.type == "agent_handoff":
            asking.set(self.id)
            model = getattr(self._hearing.session.current_agent, "llm", None)
            self._try(partial(self._hook_model, model))
            self._hearing.handed_off(time.monotonic_ns(), deployment_of(model) or self._deployment, first=item.old_agent_id is None)
        elif item.type == "message" and item.role == "user":
            self._hearing.said(item.id, time.monotonic_ns())
        elif item.type == "message" and item.role == "assistant":
            requests = item.metrics.get("provider_request_ids") if isinstance(item.metrics, Mapping) else None
            self._hearing.played({item.id, *(requests or ())}, bool(item.interrupted))

    def _at(self, event: Any) -> int:
        """The monotonic time of a session event, which carries the wall clock's and may be dated back, but not to before the call."""
        return max(self._opened_ns, time.monotonic_ns() - max(0, int((time.time() - event.created_at) * 1e9)))

    def _on_speech(self, event: Any) -> None:
        if event.source == "say":  # LiveKit's realtime models for Azure cannot: the sound is a file's or another service's
            self._hearing.will_say()

    def _on_tool(self, event: Any) -> None:
        self._tools.see(event, time.monotonic_ns())

    def _on_tools_done(self, event: Any) -> None:
        now = time.monotonic_ns()
        self._tools.see_batch(event, now)
        if not event.has_tool_reply and not event.has_agent_handoff:
            self._hearing.no_reply(now)

    def _on_error(self, event: Any) -> None:
        """LiveKit's errors, without what is normal: it keeps quiet about a cancellation that found nothing to cancel."""
        self._fatal = self._fatal or getattr(event.error, "recoverable", True) is False
        if self._failed_responses:
            self._failed_responses -= 1  # LiveKit's word for a response that is counted with its turn
        else:
            self._trace.errors += 1

    def _on_close(self, event: Any) -> None:
        reason = str(getattr(event.reason, "value", event.reason))
        self._finish(reason, "session_error" if event.error is not None else "")

    # -- records -------------------------------------------------------------------------------------------------------------------

    def _answered(self, turn: AnswerTurn) -> None:
        failed = turn.error_message == "response_failed"
        self._trace.errors += bool(turn.error_message) and not (failed and turn.first_audio_ns)  # of that LiveKit has told by now
        self._failed_responses += failed and not turn.first_audio_ns
        self._trace.answered(turn)

    def _turn(self) -> tuple[int, str] | None:
        turn = self._hearing.turn(time.monotonic_ns())
        return None if turn is None else (turn.start_ns, turn.key)

    def _tool_done(self, tool: ToolRun) -> None:
        if tool.turn is not None:
            self._hearing.tool_ran(tool.turn[1], tool.start_ns, tool.end_ns)
        self._trace.tool(tool, content=self._consent != "refused" and tool.start_ns >= self._refused_until)

    def _finish(self, reason: str, error: str) -> None:
        if self._ended:
            return
        self._ended = True
        try:
            self._end_open()
            self._close_trace(reason, error)
        finally:
            self._recorder.close_call(self.id)
            for undo in reversed(tuple(self._undo)):
                self._try(undo)
            self._undo.clear()

    def _end_open(self) -> None:
        """End what is open in the call; a fault in one must not keep the others, nor the call's own end."""
        now = time.monotonic_ns()
        self._try(self._find_caller)
        for tool in self._tools.finish():
            self._try(partial(self._tools.tell, tool))
        for finish in self._hearing.finish(now):
            self._try(finish)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001  # see the module's first lines
            self.faults += 1

    def _close_trace(self, reason: str, error: str) -> None:
        self._trace.errors += bool(error) and not self._fatal  # an error that ended the session was counted when it came
        line = self._hearing.line
        media: dict[str, float | str] = {}
        if self.media is not None:
            self._try(lambda: media.update(self.media.close()))
        self._trace.close(
            reason,
            error,
            (self._consent, self._consent_version),
            handoffs=self._hearing.handoffs,
            reconnects=self._hearing.reconnects,
            vad_type="unknown" if line is None else line.tracker.server.vad_type,
            silence_ms=None if line is None else line.tracker.server.silence_ms,
            media=media,
        )

    def _open_media(self) -> None:
        """Watch the line's quality, in a job that has a room. Where that cannot be done, the call is traced all the same."""
        room = getattr(self._job, "room", None)
        if room is None:
            return
        self.media = Media(room)
        self.media.open()

    def _find_caller(self) -> None:
        """The caller's random id, while the caller is in the room."""
        others = getattr(getattr(self._job, "room", None), "remote_participants", None)
        if not self._trace.participant_sid and isinstance(others, Mapping) and others:
            self._trace.participant_sid = _text(getattr(next(iter(others.values())), "sid", ""))


def _ignore(_: int) -> None:
    """A tool's time is taken with its span."""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
