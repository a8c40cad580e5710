"""Keeping the host's relay alive: whoever started it starts another when it has died, and so does a recorder that finds none for long.

What is started again is what was started last, by whoever: its settings stand in ``relay.json`` in the runtime directory, without the key.
Two that start one at the same time are no harm: the relay's own lock lets one of them serve, and the other ends at once.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from phi_guard.runtime import runtime_dir
from tracing.launch import RelayHandle, launch
from tracing.settings import Settings, read_settings

if TYPE_CHECKING:
    import subprocess

LOOK_S: Final = 0.5
"""How often the starter looks whether the relay lives."""
BURST: Final = 3
BURST_S: Final = 60.0
"""A relay that dies again and again is started at once, after 1, 2 and 4 seconds, and from then on once a minute."""
GAP_S: Final = 30.0
"""How long after a start, by whoever, a recorder does not start another: it takes seconds to load its models."""
NOTED: Final = "relay.json"
_HELD: Final = "relay.lock"
_TURN: Final = "revive.lock"
_SIZE_MAX: Final = 16 * 1024
_children: Final[list[subprocess.Popen[bytes]]] = []  # relays that this process's recorders had started


class _Noted(msgspec.Struct, frozen=True):
    """How the relay was last started. ``switch`` and ``state`` are paths; an empty text is a default."""

    policy: str
    env: str
    project: str
    endpoint: str
    pricing: str
    switch: str
    state: str = ""


class _Holder(msgspec.Struct, frozen=True):
    """Of the relay's lock file, what says which process holds it."""

    pid: int


class Keeper:
    """Watches the relay from the process that started it; a daemon thread that looks twice a second.

    Args:
        handle: the relay; its ``process`` becomes the new one.
    """

    def __init__(self, handle: RelayHandle, settings: Settings) -> None:
        self.restarts = self.faults = 0
        self._handle, self._settings = handle, settings
        self._starts: deque[float] = deque(maxlen=BURST + 1)
        self._due: float | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="phi-guard-keeper", daemon=True).start()

    def stop(self) -> None:
        """Start no other from now on; returns when none is being started."""
        with self._lock:
            self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_S):
            try:
                with self._lock:
                    self._look(time.monotonic())
            except Exception:  # noqa: BLE001  # no process to be had, say: there may be one later
                self.faults += 1

    def _look(self, now: float) -> None:
        process = self._handle.process
        if self._stopped.is_set() or (process is not None and process.poll() is None) or holder(self._settings.runtime):
            self._due = None
            return
        if self._due is None:
            self._due = now + self._pause(now)
        if now < self._due:
            return
        self._due = None
        self._starts.append(now)
        started = start_again(self._settings.runtime, LOOK_S, self._settings)
        if started is not None:
            self._handle.process = started
            self.restarts += 1

    def _pause(self, now: float) -> float:
        """Seconds until the next start, by how many there were lately."""
        recent = [at for at in self._starts if now - at < BURST_S]
        if len(recent) < BURST:
            return float(2 ** len(recent)) if recent else LOOK_S
        return BURST_S - (now - recent[-1])


def keep(handle: RelayHandle) -> None:
    """Keep a relay that was just started; from now on it is started again until `RelayHandle.stop`."""
    if handle.settings is not None:
        note(handle.settings)
        handle.keeper = Keeper(handle, handle.settings)


def note(settings: Settings) -> None:
    """Write down how the relay is started, for those who start it again.

    Raises:
        OSError: it cannot be written.
    """
    said = _Noted(
        policy=settings.policy,
        env=settings.env,
        project=settings.project,
        endpoint=settings.endpoint,
        pricing=settings.pricing,
        switch=str(settings.switch),
        state=str(getattr(settings, "state", "")),
    )
    path = settings.runtime / NOTED
    beside = path.with_name(f"{NOTED}.{os.getpid()}.{threading.get_ident()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(handle, msgspec.json.encode(said))
    finally:
        os.close(handle)
    beside.replace(path)


def forget(runtime: Path) -> None:
    """Nobody starts this relay again: it was ended on purpose."""
    (runtime / NOTED).unlink(missing_ok=True)


def noted(runtime: Path) -> Settings | None:
    """How the relay of a runtime directory was last started; None when nobody is to start it again."""
    try:
        said = msgspec.json.decode(_read(runtime / NOTED), type=_Noted)
    except (OSError, msgspec.MsgspecError):
        return None
    environ = dict(os.environ) | {"PHI_GUARD_SWITCH": said.switch} | ({"PHI_GUARD_STATE_DIR": said.state} if said.state else {})
    return read_settings(
        runtime=runtime,
        policy=said.policy,
        env=said.env,
        project=said.project,
        endpoint=said.endpoint,
        pricing=said.pricing,
        environ=environ,
    )


def holder(runtime: Path) -> int:
    """The process that holds a runtime directory as its relay; 0 when there is none that lives."""
    try:
        pid = msgspec.json.decode(_read(runtime / _HELD), type=_Holder).pid
        if pid <= 1:
            return 0
        os.kill(pid, 0)
    except (OSError, OverflowError, msgspec.MsgspecError):
        return 0
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return 0 if Path("/proc/self/cmdline").exists() else pid  # no such file system (macOS): the number has to do
    words = command.split(b"\0")  # -m tracing.relay, or phi-audit relay
    # Another process may have got the number; a dead one that nobody has waited for has no command.
    return pid if b"tracing.relay" in words or b"relay" in words else 0


def start_again(runtime: Path, gap_s: float, otherwise: Settings | None = None) -> subprocess.Popen[bytes] | None:
    """Start the relay that was started last, where none lives.

    Args:
        runtime: its directory.
        gap_s: how long ago the last start must be, by whichever process of this host.
        otherwise: how, where nothing is written down; None for not at all.

    Returns:
        The process; None when there is nothing to start now.

    Raises:
        OSError: no process can be had.
        RuntimeDirectoryError: the directory is gone and cannot be made, or is not ours alone.
    """
    runtime_dir(runtime)  # a directory of a login goes with it
    turn = os.open(runtime / _TURN, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None  # another process is at it
        last = _seconds_since(turn)
        settings = noted(runtime) or otherwise
        if settings is None or holder(runtime) or last < gap_s:
            return None
        note(settings)
        os.pwrite(turn, b"1", 0)  # its time is the last start's
        return launch(settings).process
    finally:
        os.close(turn)


def revive(runtime: Path) -> None:
    """For a recorder that finds no relay: start one, if one was started here before and whoever did so has not ended it.

    Without the API key in this process's environment nothing is started, since that relay could not send.
    """
    if os.environ.get("PHI_GUARD_TELEMETRY", "").lower() in {"off", "0", "false"} or not os.environ.get("LANGSMITH_API_KEY"):
        return
    _children[:] = [child for child in _children if child.poll() is None]  # waits for none, and leaves none unwaited for
    if (started := start_again(runtime, GAP_S)) is not None:
        _children.append(started)


def _seconds_since(handle: int) -> float:
    """How long ago the file was written; a clock that was set back counts as long ago, since a start too many harms nobody."""
    found = os.fstat(handle)
    passed = time.time() - found.st_mtime
    return passed if found.st_size and passed >= 0 else float("inf")


def _read(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.read(handle, _SIZE_MAX)
    finally:
        os.close(handle)
