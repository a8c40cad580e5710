"""The ways out of an agent's process that are not ours, shut: one call, first in the entrypoint."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracing import langsmith_doors, livekit_doors, log_guard
from tracing.doors import VARIABLES, Door, Hardening, State, clear_environment
from tracing.import_watch import ImportWatch

if TYPE_CHECKING:
    from livekit.agents.voice.room_io import RoomOptions

__all__ = ["Door", "Hardening", "doctor", "harden", "room_options"]

_log = logging.getLogger("tracing.harden")

_watch: Final = ImportWatch(
    {
        livekit_doors.TRACES: livekit_doors.shut_traces,
        livekit_doors.SESSION: livekit_doors.shut_session,
        livekit_doors.ROOM: livekit_doors.shut_room,
        livekit_doors.REALTIME: livekit_doors.shut_realtime,
        **{module: livekit_doors.shut_flag(flag) for module, flag in livekit_doors.DEBUG_FLAGS.items()},
        **langsmith_doors.CHANGES,
    }
)

_CORE_PATTERN: Final = Path("/proc/sys/kernel/core_pattern")
_LOOKERS: Final = ("sentry_sdk", "ddtrace", "newrelic", "elasticapm", "rollbar", "bugsnag", "langfuse", "liveflow", "logfire")
"""Libraries that send local variables, arguments or whole sessions, where they are loaded."""

_CALL_HARDEN: Final = "call tracing.harden(ctx) as the first line of the entrypoint"
_VERSION: Final = "use livekit-agents >=1.8.9,<1.9"


@dataclass(frozen=True, slots=True)
class _Lock:
    """How one door is looked at: whether it is shut, and what to do if not."""

    name: str
    look: Callable[[], tuple[State, str]]
    fix: str


def harden(ctx: Any = None, *, captions: bool = False) -> Hardening:
    """Shut every way out of this process that is not ours. Synchronous, never raises, and may be called again; first in the entrypoint.

    What is imported later is shut when it is imported. LangSmith's SDK sends nothing from this process afterwards; LiveKit's spans go
    nowhere, its log records lose what callers said, and each session starts with ``record=False``, ``session_host=False`` and no text for
    the room. Not covered: what ran before, other processes that do not call this, and libraries that send by themselves (see the row
    ``process.observers``).

    Args:
        ctx: the JobContext, so that LiveKit's recording is decided before anything can crash.
        captions: True lets transcripts go to the room, for those who show them to the caller.

    Returns:
        Every door as it stands now.
    """
    livekit_doors.captions_allowed = captions
    for shut in (clear_environment, _watch.install, log_guard.install, _forbid_core_dumps, lambda: _decide_recording(ctx)):
        try:
            shut()
        except Exception as fault:  # noqa: BLE001  # the agent starts; the door's row says that it is open
            _log.warning("a way out could not be shut (%s); see tracing.doctor()", type(fault).__name__)
    return doctor()


def doctor() -> Hardening:
    """Look at every door as it stands in this process and change nothing. Never raises."""
    doors = []
    for lock in _LOCKS:
        try:
            state, why = lock.look()
        except Exception as fault:  # noqa: BLE001  # what cannot be looked at is not shown to be shut
            state, why = "open", f"could not be looked at ({type(fault).__name__})"
        doors.append(Door(lock.name, state, why, lock.fix))
    return Hardening(tuple(doors))


def room_options(**options: Any) -> RoomOptions:
    """LiveKit's RoomOptions without text for the room: neither side's transcript goes to the topic ``lk.transcription``.

    Args:
        options: any of RoomOptions' own; ``text_output`` stays False.
    """
    from livekit.agents.voice.room_io import RoomOptions  # noqa: PLC0415  # importing tracing must not load it

    return RoomOptions(**{**options, "text_output": False})


def _decide_recording(ctx: Any) -> None:
    if ctx is not None:
        # The first call wins: the session's own comes too late where the entrypoint dies before it.
        ctx.init_recording({"audio": False, "traces": False, "logs": False, "transcript": False, "redaction": False})


def _forbid_core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _livekit(module: str, holds: Callable[[Any], bool], shut: str, ajar: str) -> Callable[[], tuple[State, str]]:
    def look() -> tuple[State, str]:
        if (loaded := sys.modules.get(module)) is None:
            return _unloaded("LiveKit")
        if module in _watch.faults:
            return "open", f"{ajar}; it could not be shut ({_watch.faults[module]})"
        return ("shut", shut) if holds(loaded) else ("open", ajar)

    return look


def _langsmith(*modules: str, shut: str, ajar: str) -> Callable[[], tuple[State, str]]:
    def look() -> tuple[State, str]:
        if not any(module in sys.modules for module in modules):
            return _unloaded("LangSmith")
        faults = [_watch.faults[module] for module in modules if module in _watch.faults]
        if faults or any(langsmith_doors.stands_open(module) for module in modules):
            return "open", ajar + (f"; it could not be shut ({faults[0]})" if faults else "")
        return "shut", shut

    return look


def _unloaded(what: str) -> tuple[State, str]:
    if _watch in sys.meta_path:
        return "not here", f"{what} is not loaded; this is shut the moment it is"
    return "not here", f"{what} is not loaded; nothing watches for it"


def _transcription() -> tuple[State, str]:
    if livekit_doors.captions_allowed:
        return "open", "transcripts go to everyone in the room, as asked (captions=True)"
    return _livekit(
        livekit_doors.ROOM, livekit_doors.room_is_shut, "no text goes to the room", "transcripts of both sides go to everyone in the room"
    )()


def _session(shut: str, ajar: str) -> Callable[[], tuple[State, str]]:
    return _livekit(livekit_doors.SESSION, livekit_doors.session_is_shut, shut, ajar)


def _gateway() -> tuple[State, str]:
    if livekit_doors.gateway_seen:
        return "open", "a session uses a model at LiveKit's gateway: audio or text goes there"
    return _session("no session seen here uses a model at LiveKit's gateway", "sessions are not looked at")()


def _logs() -> tuple[State, str]:
    return ("shut", "what callers said is taken out of their records") if log_guard.is_installed() else ("open", "they hold what is said")


def _identifiers() -> tuple[State, str]:
    traces = sys.modules.get(livekit_doors.TRACES)
    if log_guard.is_installed() and (traces is None or livekit_doors.traces_are_shut(traces)):
        return "shut", "identities and room names, which hold phone numbers, stand in no span and no log record of LiveKit's"
    return "open", "identities and room names, which hold phone numbers, stand in LiveKit's spans and log records"


def _flags() -> tuple[State, str]:
    return ("shut", "no switch is on") if livekit_doors.flags_are_off() else ("open", "a switch logs or keeps what is said")


def _environment() -> tuple[State, str]:
    names = [name for variable in VARIABLES for name in variable.set_in(os.environ)]
    return ("open", f"set: {', '.join(names)}") if names else ("shut", "no variable opens a way out")


def _core_dumps() -> tuple[State, str]:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        return "open", "a crash writes this process's memory, with what was said, to disk"
    if _CORE_PATTERN.is_file() and _CORE_PATTERN.read_text().startswith("|"):
        return "open", "the host hands a crashed process's memory to a program, which no limit of ours stops"
    return "shut", "a crash writes no memory to disk"


def _observers() -> tuple[State, str]:
    if found := [name for name in _LOOKERS if name in sys.modules]:
        return "open", f"loaded: {', '.join(found)}; it may send local variables, arguments or whole sessions"
    return "not here", "none is loaded"


_LOCKS: Final = (
    _Lock(
        "livekit.cloud_upload",
        _livekit(
            livekit_doors.TRACES,
            livekit_doors.traces_are_shut,
            "no recording, report, log or span is uploaded to LiveKit Cloud",
            "recordings, reports, logs and spans may be uploaded to LiveKit Cloud",
        ),
        f"{_CALL_HARDEN}; {_VERSION}",
    ),
    _Lock(
        "livekit.recording",
        _session("each session starts with record=False", "a session records what its project or code says"),
        f"{_CALL_HARDEN}, and pass **tracing.start_options() to session.start",
    ),
    _Lock(
        "livekit.session_host",
        _session("each session starts with session_host=False", "anyone in the room can read the session and drive it"),
        f"{_CALL_HARDEN}, and pass **tracing.start_options() to session.start",
    ),
    _Lock("livekit.transcription", _transcription, f"{_CALL_HARDEN}, without captions=True"),
    _Lock(
        "livekit.spans",
        _livekit(
            livekit_doors.TRACES,
            livekit_doors.traces_are_shut,
            "LiveKit's spans go to no provider, RPC payloads and identities with them",
            "LiveKit's spans, with speech and tool arguments, go to any OpenTelemetry provider",
        ),
        f"{_CALL_HARDEN}; {_VERSION}",
    ),
    _Lock("livekit.logs", _logs, _CALL_HARDEN),
    _Lock(
        "livekit.identifiers", _identifiers, f"{_CALL_HARDEN}; never log a participant's identity, a room's name or sip attributes yourself"
    ),
    _Lock("livekit.debug_switches", _flags, f"{_CALL_HARDEN}; unset LK_OPENAI_DEBUG, LK_DUMP_TTS and their like"),
    _Lock(
        "livekit.model_tracing",
        _livekit(
            livekit_doors.REALTIME,
            livekit_doors.realtime_is_shut,
            "no model is told to keep traces at its provider",
            "RealtimeModel(tracing=...) keeps the conversation at its provider",
        ),
        f"{_CALL_HARDEN}; leave RealtimeModel's tracing out",
    ),
    _Lock("livekit.gateway", _gateway, "give a model of a plugin, not a string or livekit.agents.inference"),
    _Lock(
        "langsmith.client",
        _langsmith(
            langsmith_doors.CLIENT,
            langsmith_doors.ASYNC_CLIENT,
            langsmith_doors.GENERATED,
            shut="its clients write nothing from this process",
            ajar="@traceable, wrap_openai, RunTree or a client sends content past the gate",
        ),
        f"{_CALL_HARDEN}; use langsmith >=0.15,<0.16 or leave it out of the agent",
    ),
    _Lock(
        "langsmith.spans",
        _langsmith(
            langsmith_doors.EXPORTER,
            langsmith_doors.RUN_EXPORTER,
            shut="its span processors and exporters send nothing",
            ajar="its span processors send LiveKit's spans",
        ),
        f"{_CALL_HARDEN}; use langsmith >=0.15,<0.16 or leave it out of the agent",
    ),
    _Lock(
        "langsmith.livekit",
        _langsmith(
            langsmith_doors.LIVEKIT,
            shut="configure_livekit() does nothing",
            ajar="configure_livekit() sends transcripts, tools and the recording",
        ),
        f"{_CALL_HARDEN}; remove configure_livekit()",
    ),
    _Lock("environment", _environment, "unset them where the agent is deployed; `phi-audit doctor` says what each does"),
    _Lock("process.core_dumps", _core_dumps, "set kernel.core_pattern to a plain file name on the host, and ulimit -c 0"),
    _Lock("process.observers", _observers, "leave it out, or turn off local variables, request bodies and sessions in its settings"),
)
"""Every door; livekit-agents 1.8.9 and langsmith 0.15."""
