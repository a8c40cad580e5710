"""LiveKit's own ways out, shut by changing the few places in livekit-agents that everything passes. Imports nothing of LiveKit's.

Each function is given a module of livekit-agents just imported; the names are those of 1.8.9. Where a name is not there the fault is
told by the door's state, and the agent goes on.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import logging
import sys
from collections.abc import Callable
from typing import Any, Final

from tracing import log_guard
from tracing.import_watch import is_ours, mark

TRACES: Final = "livekit.agents.telemetry.traces"
SESSION: Final = "livekit.agents.voice.agent_session"
ROOM: Final = "livekit.agents.voice.room_io.room_io"
REALTIME: Final = "livekit.agents.llm._realtime.openai"

DEBUG_FLAGS: Final = {
    "livekit.agents.llm._realtime.gpt_live": "lk_oai_debug",
    "livekit.agents.inference.llm": "lk_oai_debug",
    "livekit.agents.evals.evaluation": "_evals_verbose",
    "livekit.agents.tts.tts": "lk_dump_tts",
    "livekit.agents.voice.keyterm_detection": "lk_keyterms_debug",
    "livekit.agents.voice.run_result": "lk_evals_verbose",
}
"""Switches that livekit-agents reads from the environment when it is imported."""

_log = logging.getLogger("tracing.harden")

captions_allowed = False
"""Whether transcripts may go to the room; `harden` sets it."""
gateway_seen = False
"""Whether a session was started with a model of LiveKit's own gateway."""


def shut_traces(module: Any) -> None:
    """LiveKit's spans go nowhere, whoever sets a provider before or after, and nothing is uploaded to LiveKit Cloud or in its stead."""
    tracer = module.tracer
    if not is_ours(tracer.set_provider):
        tracer.set_provider(module.trace_api.NoOpTracerProvider())
        tracer.set_provider = mark(_refuse_provider)
        _silence_span_under_way(module)
    # Every upload asks this gate first: spans, logs, metrics, recordings, and the tagger's reasons, which record=False does not stop.
    gate = module._upload_gate
    gate._disabled = True
    gate.reset = mark(_stay_shut)


def traces_are_shut(module: Any) -> bool:
    """Whether that still holds."""
    return bool(
        is_ours(module.tracer.set_provider)
        and isinstance(module.tracer._tracer_provider, module.trace_api.NoOpTracerProvider)
        and module._upload_gate.disabled
        and is_ours(module._upload_gate.reset)
    )


def shut_session(module: Any) -> None:
    """Every session starts with ``record=False``, ``session_host=False`` and, unless captions are allowed, without text for the room."""
    kind = module.AgentSession
    start = kind.start
    if is_ours(start):
        return
    known = frozenset(inspect.signature(start).parameters)

    @functools.wraps(start)
    async def start_shut(self: Any, *args: Any, **options: Any) -> Any:
        try:
            options = _start_options(options, known)
            _look_for_gateway(self)
            log_guard.install()  # plugins have made loggers since
        except Exception as fault:  # noqa: BLE001  # the call goes on; what can be shut without thought is
            options |= {name: False for name in ("record", "session_host") if name in known}
            _log.warning("a session's options could not be looked at (%s)", type(fault).__name__)
        return await start(self, *args, **options)

    kind.start = mark(start_shut)


def session_is_shut(module: Any) -> bool:
    """Whether that still holds."""
    return is_ours(module.AgentSession.start)


def shut_room(module: Any) -> None:
    """No text goes to the room, unless captions are allowed: not by a RoomIO that the agent makes and starts itself either."""
    kind = module.RoomIO
    make = kind.__init__
    if is_ours(make):
        return

    @functools.wraps(make)
    def make_silent(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        if not captions_allowed:
            self._options = dataclasses.replace(self._options, text_output=False)

    kind.__init__ = mark(make_silent)


def room_is_shut(module: Any) -> bool:
    """Whether that still holds."""
    return is_ours(module.RoomIO.__init__)


def shut_realtime(module: Any) -> None:
    """No event of the model is logged, and no model is told to keep traces at its provider."""
    module.lk_oai_debug = 0
    model, session = module.RealtimeModel, module.RealtimeSession
    if is_ours(model.session):
        return
    open_session = model.session

    @functools.wraps(open_session)
    def session_untraced(self: Any, *args: Any, **options: Any) -> Any:
        try:
            if self._opts.tracing is not None:
                self._opts.tracing = None
                _log.warning("RealtimeModel(tracing=...) is taken back: the provider would keep the conversation")
        except Exception as fault:  # noqa: BLE001
            _log.warning("a model's options could not be looked at (%s)", type(fault).__name__)
        return open_session(self, *args, **options)

    model.session = mark(session_untraced)
    for kind in (model, session):
        kind.update_options = mark(_without_tracing(kind.update_options))


def realtime_is_shut(module: Any) -> bool:
    """Whether that still holds."""
    return is_ours(module.RealtimeModel.session) and is_ours(module.RealtimeSession.update_options)


def shut_flag(name: str) -> Callable[[Any], None]:
    """A change that sets a module's switch to 0."""

    def shut(module: Any) -> None:
        setattr(module, name, 0)

    return shut


def flags_are_off() -> bool:
    """Whether every such switch that is loaded is off."""
    flags = {**DEBUG_FLAGS, REALTIME: "lk_oai_debug"}
    return not any(getattr(sys.modules.get(module), flag, 0) for module, flag in flags.items())


def _start_options(options: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    changed = dict(options)
    for name in ("record", "session_host"):
        if name in known:
            if options.get(name, False) is not False and isinstance(options.get(name), bool | dict):
                _log.warning("session.start(%s=...) is overruled: it would send what is said", name)
            changed[name] = False
    if not captions_allowed and "room_options" in known:
        legacy = [name for name in ("room_input_options", "room_output_options") if dataclasses.is_dataclass(options.get(name))]
        room_io = sys.modules["livekit.agents.voice.room_io"]
        given = options.get("room_options")
        if dataclasses.is_dataclass(given) and not isinstance(given, type):
            changed["room_options"] = dataclasses.replace(given, text_output=False)
        elif legacy:
            held = options.get("room_output_options")
            output = held if dataclasses.is_dataclass(held) and not isinstance(held, type) else room_io.RoomOutputOptions()
            changed["room_output_options"] = dataclasses.replace(output, transcription_enabled=False)
        else:
            changed["room_options"] = room_io.RoomOptions(text_output=False)
    return changed


def _look_for_gateway(session: Any) -> None:
    global gateway_seen  # noqa: PLW0603  # one process, one answer
    for part in ("stt", "llm", "tts", "vad", "turn_detection"):
        if type(getattr(session, part, None)).__module__.startswith("livekit.agents.inference"):
            gateway_seen = True
            _log.warning("the session's %s runs at LiveKit's gateway: what is said goes there", part)


def _silence_span_under_way(module: Any) -> None:
    # The job's own span began before the entrypoint, on a provider that may be anyone's; it would end with the entrypoint's exception.
    span = module.trace_api.get_current_span()
    scope = getattr(getattr(span, "instrumentation_scope", None), "name", "")
    if scope == "livekit-agents" and hasattr(span, "_span_processor"):
        span._span_processor = module.SpanProcessor()


def _without_tracing(update: Any) -> Any:
    @functools.wraps(update)
    def update_untraced(self: Any, *args: Any, **options: Any) -> Any:
        options.pop("tracing", None)
        return update(self, *args, **options)

    return update_untraced


def _refuse_provider(_provider: Any) -> None:
    _log.warning("a tracer provider for LiveKit is refused: its spans hold what is said")


def _stay_shut() -> None:
    return
