"""Starting the relay from the agent's main, and asking it how it is. The relay is another process; nothing here blocks a call."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import zmq

if TYPE_CHECKING:
    from tracing.keeper import Keeper
    from tracing.own_cost import Overrun
    from tracing.relay.intake import Answer
    from tracing.settings import Settings

_PASSED: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "PYTHONPATH",
                            "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
                            "http_proxy", "https_proxy", "no_proxy", "LANGSMITH_API_KEY"})  # fmt: skip
"""Variables the relay gets, beside ours. LangSmith's other switches open side doors, so they stay behind."""
NICE: Final = 10
"""How far the relay stands behind the agents, setpriority(2): what it does can wait for a second, what they do cannot for 20 ms."""


class RelayHandle:
    """The relay as the agent's main sees it.

    Args:
        settings: where it runs; None for a handle that does nothing, when telemetry is off or the relay could not be started.
        process: the process, if this handle started one.
        fault: why there is no relay; empty when there is.
    """

    def __init__(self, settings: Settings | None, process: subprocess.Popen[bytes] | None, fault: str = "") -> None:
        self.settings, self.process, self.fault = settings, process, fault
        self.keeper: Keeper | None = None
        self._pid = os.getpid()

    def ask(self, seconds: float = 2.0) -> Answer | None:
        """The relay's own account of itself; None when it gives none in time that we understand. Blocks: not for the audio path."""
        if self.settings is None:
            return None
        from tracing.relay.intake import Answer, Ask  # noqa: PLC0415  # the relay's modules are not the agent's

        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(self.settings.address)
            socket.send(msgspec.msgpack.encode(Ask()))
            if not socket.poll(int(seconds * 1000)):
                return None
            try:
                return msgspec.msgpack.decode(socket.recv(), type=Answer)
            except msgspec.MsgspecError:
                return None  # a relay of another version

    def wait_ready(self, seconds: float = 60.0) -> bool:
        """Wait until the relay serves; models take seconds to load. Blocks."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ask(0.5) is not None:
                return True
            if self.process is not None and self.process.poll() not in {None, 0}:
                return False
        return False

    def stop(self, seconds: float = 10.0) -> None:
        """Let the relay ship what it can, then end it, if this handle started it; none is started again. In a forked child: nothing."""
        if self._pid != os.getpid():
            return
        if self.keeper is not None:
            self._let_go(self.keeper)
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _let_go(self, keeper: Keeper) -> None:
        """No other is started, by us or by any recorder, where the relay is ours or there is none."""
        from tracing.keeper import forget, holder  # noqa: PLC0415  # it starts relays and needs this module

        keeper.stop()
        ours = self.process is not None and self.process.poll() is None
        if self.settings is not None and (ours or not holder(self.settings.runtime)):
            with suppress(OSError):
                forget(self.settings.runtime)


def tell_overrun(address: str, told: Overrun) -> None:
    """Tell a relay that telemetry costs this process too much. Waits a second at most, and not for an answer.

    Args:
        address: the relay's zmq endpoint.
        told: what it cost.
    """
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 1000)
        socket.connect(address)
        socket.send(msgspec.msgpack.encode(told), zmq.NOBLOCK)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What of an agent's environment the relay gets."""
    return {k: v for k, v in given.items() if k in _PASSED or k.startswith("PHI_GUARD_")}


def give_way(pid: int) -> None:
    """Let a process that has just begun, and the threads it will have, stand behind the agents; where that is refused, it does not."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    # A session of its own is a scheduling group of its own where autogroups are on (sched(7)); there only the group's number counts.
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICE), encoding="ascii")
    if hasattr(os, "SCHED_BATCH"):  # does not interrupt whoever runs when it wakes up
        with suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def launch(settings: Settings, environ: Mapping[str, str] | None = None) -> RelayHandle:
    """Start a relay for a runtime directory; where one already serves it under the same settings, the new process ends at once.

    Raises:
        OSError: the process cannot be started.
    """
    given = os.environ if environ is None else environ
    passed = environment(given) | {"PHI_GUARD_SWITCH": str(settings.switch)}
    if state := getattr(settings, "state", None):
        passed["PHI_GUARD_STATE_DIR"] = str(state)
    arguments: dict[str, Any] = {
        "runtime": settings.runtime,
        "policy": settings.policy,
        "env": settings.env,
        "project": settings.project,
        "endpoint": settings.endpoint,
        "pricing": settings.pricing,
    }
    # -P: what lies in the agent's working directory is not for a process that holds raw records and the key to import.
    command = [sys.executable, "-P", "-m", "tracing.relay", *(part for k, v in arguments.items() if v for part in (f"--{k}", str(v)))]
    settings.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(settings.runtime / "relay.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        # Its own session: a Ctrl-C at the agent's terminal must not take the relay before the agent has said goodbye.
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=passed, start_new_session=True
        )
    finally:
        os.close(log)
    give_way(process.pid)
    return RelayHandle(settings, process)
