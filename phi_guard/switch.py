"""The roll-back switch: a small file that says whether anything may be sent. Every doubt about it means off.

A switch that went off for a cause that must be settled first (a leak) is held: it is turned on again only with a release, the digest of the
report on which that rests. Who writes does so one after another, under a lock of the directory, so that no turning on can undo a hold that
came between its look and its write.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from phi_guard.runtime import RuntimeDirectoryError, runtime_dir
from phi_guard.switch_acks import AckFiles
from phi_guard.switch_state import (
    GONE_S,
    KEPT,
    LEAK,
    REASON_MAX,
    SCHEMA,
    SCHEMA_BEFORE,
    SIZE_MAX,
    STALE_S,
    Switch,
    SwitchError,
    SwitchState,
    Worker,
    check_hold,
    check_reason,
    check_release,
    doubt,
    encode_state,
    now_after,
    parse_state,
    stronger,
    turned_on,
)

_LOCK_S: Final = 3.0  # a writer that was stopped while it held the lock must not keep another for ever
_SERVER: Final = re.compile(r"(?:rediss?|unix)://", re.IGNORECASE)


class FileSwitch:
    """A switch kept in one file, mode 0600, which only its owner may write.

    Args:
        path: the file; its directory must exist before the switch is set.
    """

    __slots__ = ("_acks", "_known", "_path")

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._known: tuple[tuple[int, ...], SwitchState] | None = None
        self._acks = AckFiles(self._path.with_name(f"{self._path.stem}.acks")) if self._path.name else None

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    def state(self) -> SwitchState:
        """Where the switch stands now: one stat, and a read only where the file has changed. Never raises."""
        try:
            signature = _signature(os.lstat(self._path))
            known = self._known
            if known is not None and known[0] == signature:
                return known[1]
            signature, state = self._read()
        except FileNotFoundError:
            return doubt("there is no switch file; turn it on with: phi-audit switch on", KEPT if os.path.lexists(self._aside) else "")
        except OSError as exc:
            return doubt(f"the switch file cannot be read ({exc.strerror})")
        except ValueError:  # a path that no file can have
            return doubt("the switch file's path is not one")
        self._known = (signature, state)
        return state

    def turn_on(self, reason: str, *, release: str = "") -> None:
        """Let things be sent.

        Args:
            reason: one line of at most 200 printable characters.
            release: digest of the report on which a hold is released, 64 hexadecimal digits; a switch that is held needs one.

        Raises:
            SwitchError: the reason is not such a line, the switch is held, another is writing it, or the file cannot be written.
        """
        line = check_reason(reason)
        check_release(release)
        with self._alone() as alone:
            if not alone:
                msg = f"{self._path}: the switch cannot be written (another is writing it, or its directory cannot be opened); try again"
                raise SwitchError(msg)
            self._write(turned_on(self.state(), line, release, self.place))
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)

    def turn_off(self, reason: str, hold: str = "") -> None:
        """Stop everything that would be sent. Where the file cannot be written it is removed, which means off too.

        A hold that is there stays, and a leak outranks the others.

        Args:
            reason: one line of at most 200 printable characters.
            hold: the cause that must be settled before the switch may be on again, lower-case letters and ``_``; empty for none.

        Raises:
            SwitchError: the reason is not such a line, or the file can neither be written nor removed.
        """
        line = check_reason(reason)
        check_hold(hold)
        self._put_off(line, hold)  # at once, whoever holds the lock
        with self._alone():  # and once more where one who was half way has undone it
            state = self.state()
            if state.on or (hold and not state.hold):
                self._put_off(line, hold)

    def _put_off(self, reason: str, hold: str) -> None:
        before = self.state()
        chosen = stronger(hold, before.hold)
        try:
            self._write(SwitchState(on=False, reason=reason, at=now_after(before.at), hold=chosen))
        except SwitchError:
            self._remove(keep=bool(chosen))
        else:
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)

    def acknowledge(self, worker: Worker, state: SwitchState) -> bool:
        """Say what a worker acts on, in a file beside the switch; whether that could be said. Never raises.

        Args:
            worker: who.
            state: what it acts on, as `state` gave it.
        """
        return self._acks is not None and self._acks.write(worker, state)

    def dismiss(self, worker_id: str) -> None:
        """A worker has ended. Never raises."""
        if self._acks is not None:
            self._acks.remove(worker_id)

    def workers(self) -> tuple[Worker, ...]:
        """Who has said what it acts on, within `GONE_S`.

        Raises:
            SwitchError: the directory beside the switch cannot be read.
        """
        return self._acks.read() if self._acks is not None else ()

    @property
    def _aside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.held")

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Within, no other writer writes; False where that could not be had."""
        try:
            handle = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError):
            yield False
            return
        try:
            yield _locked(handle)
        finally:
            os.close(handle)

    def _remove(self, *, keep: bool) -> None:
        """Take the file away; where it is held, by moving it aside, which needs no room and keeps the hold."""
        if keep:
            with suppress(OSError):
                self._path.replace(self._aside)
                return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as exc:
            msg = f"{self._path}: the switch cannot be turned off ({exc.strerror}); stop the relay, then remove the file by hand"
            raise SwitchError(msg) from None

    def _read(self) -> tuple[tuple[int, ...], SwitchState]:
        # O_NONBLOCK: a pipe in the file's place must not hang us; O_NOFOLLOW: a link is not our file
        handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            fault = _fault(found)
            content = b"" if fault else os.read(handle, SIZE_MAX + 1)
        finally:
            os.close(handle)
        return _signature(found), doubt(fault) if fault else parse_state(content)

    def _write(self, state: SwitchState) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(encode_state(state))
                file.flush()
                os.fsync(handle)
            draft.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as exc:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            msg = f"{self._path}: the switch cannot be written ({exc.strerror}); check the directory, its owner and the space left"
            raise SwitchError(msg) from None


def open_switch(where: str | Path | None = None) -> Switch:
    """The switch that is kept in a file or, for many hosts, in a Redis server.

    Args:
        where: a file's path, or ``redis://``, ``rediss://`` or ``unix://`` and what `phi_guard.switch_redis.RedisSwitch` takes; where it is
            not given, ``PHI_GUARD_SWITCH``, else ``switch.json`` in the runtime directory.

    Raises:
        SwitchError: it is no address of a server that we can use, or the ``redis`` package is not installed.
        RuntimeDirectoryError: the runtime directory cannot be trusted or made.
    """
    chosen = str(where) if where else os.environ.get("PHI_GUARD_SWITCH", "")
    if not _SERVER.match(chosen):
        return FileSwitch(Path(chosen).absolute() if chosen else default_path())
    try:
        from phi_guard.switch_redis import RedisSwitch  # noqa: PLC0415  # only where it is asked for
    except ImportError:
        raise SwitchError("PHI_GUARD_SWITCH names a Redis server, and the redis package is not installed: pip install redis") from None
    return RedisSwitch(chosen)


def where_switch_is(chosen: str | Path) -> str | Path:
    """The address of a switch's server as it is, or the path of its file."""
    return chosen if isinstance(chosen, str) and _SERVER.match(chosen) else Path(chosen)


def default_path() -> Path:
    """``PHI_GUARD_SWITCH`` where that is a path, else ``switch.json`` in the runtime directory.

    Raises:
        RuntimeDirectoryError: the runtime directory cannot be trusted or made.
    """
    own = os.environ.get("PHI_GUARD_SWITCH")
    return Path(own).absolute() if own else runtime_dir() / "switch.json"


def _signature(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_size, found.st_mode, found.st_uid)


def _fault(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "the switch file is not a regular file"
    if found.st_uid != os.geteuid():
        return f"the switch file belongs to another user ({found.st_uid})"
    if found.st_mode & 0o022:
        return f"others may write the switch file (mode {stat.S_IMODE(found.st_mode):04o})"
    if found.st_size > SIZE_MAX:
        return "the switch file is too long to be one"
    return ""


def _locked(handle: int) -> bool:
    end = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.002)
        except OSError:  # a file system without locks: writers are not told apart there, and each write is still whole
            return True
        else:
            return True


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = [
    "GONE_S",
    "KEPT",
    "LEAK",
    "REASON_MAX",
    "SCHEMA",
    "SCHEMA_BEFORE",
    "STALE_S",
    "FileSwitch",
    "RuntimeDirectoryError",
    "Switch",
    "SwitchError",
    "SwitchState",
    "Worker",
    "default_path",
    "open_switch",
    "runtime_dir",
    "where_switch_is",
]
