"""What happened in a call, recorded: start a relay once, attach to each session before it starts, and leave the agent alone."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracing.guarded import guarded_tool
from tracing.harden import doctor, harden, room_options
from tracing.livekit_agent import Call, Probe
from tracing.own_cost import Overrun, OwnCost
from tracing.recorder import Recorder
from tracing.settings import Settings, read_settings
from tracing.unattached import Unattached

if TYPE_CHECKING:
    from tracing.launch import RelayHandle

__all__ = ["Call", "Recorder", "Unattached", "attach", "doctor", "guarded_tool", "harden", "room_options", "start_options", "start_relay"]

_lock = threading.Lock()
# A child forked while another thread holds the lock would wait for it for ever, in attach().
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_recorders: dict[tuple[int, str], Recorder] = {}
_costs: dict[tuple[int, str], OwnCost] = {}


def start_relay(**settings: Any) -> RelayHandle:
    """Start the host's relay, or use the one that runs. Never raises and never waits; call it once, in the agent's main.

    A relay that runs under other settings (policy, project, key, version) is told to stop, and the new one takes its place. One that dies
    is started again, until the handle's ``stop``.

    Args:
        settings: ``policy``, ``env``, ``project``, ``endpoint``, ``pricing``, ``runtime``; each also out of the environment
            (``PHI_GUARD_POLICY`` and so on, ``LANGSMITH_ENDPOINT``). With ``PHI_GUARD_TELEMETRY=off`` nothing is started.

    Returns:
        A handle; one that does nothing, with the reason in ``fault``, where there can be no relay.
    """
    from tracing.keeper import keep  # noqa: PLC0415  # job processes attach without it
    from tracing.launch import RelayHandle, launch  # noqa: PLC0415  # job processes attach without it

    if _is_off():
        return RelayHandle(None, None, "PHI_GUARD_TELEMETRY is off")
    try:
        found = read_settings(**settings)
        # Job processes find the same relay, whatever directory this one was told.
        os.environ["PHI_GUARD_RUNTIME_DIR"] = str(found.runtime)
        os.environ["PHI_GUARD_STATE_DIR"] = str(found.state)
        handle = launch(found)
    except Exception as fault:  # noqa: BLE001  # the agent starts whatever becomes of telemetry
        return RelayHandle(None, None, f"{type(fault).__name__}: {fault}")
    try:
        keep(handle)
    except Exception as fault:  # noqa: BLE001  # it runs, and is not started again if it dies
        handle.fault = f"not kept: {type(fault).__name__}: {fault}"
    return handle


def attach(
    session: Any,
    ctx: Any = None,
    *,
    consent: str = "not_asked",
    consent_version: str = "",
    deployment: str = "",
    agent_version: str = "",
    recorder: Recorder | None = None,
    probe: Probe | None = None,
) -> Call | Unattached:
    """Record this call. Call it before ``session.start()``; synchronous, never raises.

    It takes well under a millisecond; the first time in a process some more, because a thread is started.

    Args:
        session: a LiveKit AgentSession.
        ctx: its JobContext, for the room's random id and for a last flush at shutdown; None in tests.
        consent: ``granted``, ``refused`` or ``not_asked``; any other word is taken for a refusal, and only skeletons leave.
        consent_version: which consent text was read out, such as ``recording-v2``.
        deployment: the model's deployment name, for its price; read from the model when empty.
        agent_version: the agent's own version.
        recorder: where records go; the process's own, to the host's relay, when not given.
        probe: told what each operation cost, in nanoseconds; for measurements.

    Returns:
        The call; one that is false and does nothing when telemetry is off or could not be attached.
    """
    if _is_off():
        return Unattached()
    call = None
    try:
        settings = None if recorder is not None else read_settings()
        call = Call(
            recorder or _recorder(settings or read_settings()),
            consent=consent,
            consent_version=consent_version,
            deployment=deployment,
            agent_version=agent_version,
            job=ctx,
            probe=probe,
            cost=_cost(settings) if settings is not None else None,
        )
        call.open()
        call.listen(session)
        if ctx is not None:

            async def flush() -> None:
                call.detach("job_shutdown")
                await call.flush()

            ctx.add_shutdown_callback(flush)
    except Exception:  # noqa: BLE001  # the agent talks whatever becomes of telemetry
        if call is not None:
            call.detach()  # what was begun is ended, or it would seem to go on for as long as this process lives
        return Unattached()
    return call


def start_options() -> dict[str, bool]:
    """Keyword arguments for ``session.start()`` that shut LiveKit's own ways out.

    ``record=False``: nothing to LiveKit Cloud, whatever the project's setting. ``session_host=False``: no participant of the room can read
    transcripts, tool payloads or instructions off the agent.
    """
    return {"record": False, "session_host": False}


def _is_off() -> bool:
    return os.environ.get("PHI_GUARD_TELEMETRY", "").lower() in {"off", "0", "false"}


def _recorder(settings: Settings) -> Recorder:
    """The process's recorder for a runtime directory; a forked child makes its own, since threads and sockets do not survive a fork."""
    key = (os.getpid(), settings.address)
    with _lock:
        if key not in _recorders:
            _recorders[key] = Recorder(settings.address, revive=partial(_revive, settings.runtime))
        return _recorders[key]


def _cost(settings: Settings) -> OwnCost:
    """What watches the cost of telemetry in this process, and tells the relay where it is too much."""
    key = (os.getpid(), settings.address)
    with _lock:
        if key not in _costs:
            _costs[key] = OwnCost(partial(_complain, settings.address))
        return _costs[key]


def _complain(address: str, told: Overrun) -> None:
    from tracing.launch import tell_overrun  # noqa: PLC0415  # only where telemetry costs too much

    tell_overrun(address, told)


def _revive(runtime: Path) -> None:
    from tracing.keeper import revive  # noqa: PLC0415  # only where there has been no relay for long

    revive(runtime)
