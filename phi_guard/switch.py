"""The roll-back switch: a small file that says whether anything may be sent. Every doubt about it means off.

A switch that went off for a cause that must be settled first (a leak) is held: it is turned on again only with a release, the digest of the
report on which that rests. Who writes does so one after another, under a lock of the directory, so that no turning on can undo a hold that
came between its look and its write.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.runtime import RuntimeDirectoryError, runtime_dir

SCHEMA: Final = "phi-guard.switch/2"
SCHEMA_BEFORE: Final = "phi-guard.switch/1"
"""Still read; it knows no hold."""
REASON_MAX: Final = 200
"""Characters of a reason, which is one line."""
LEAK: Final = "leak"
"""The hold of a leak; it outranks every other."""
KEPT: Final = "kept"
"""The hold of a switch whose file had to be moved aside, since there was no room to write why."""

_SIZE_MAX: Final = 4096
_LOCK_S: Final = 3.0  # a writer that was stopped while it held the lock must not keep another for ever
_HOLD: Final = re.compile(r"[a-z][a-z_]{0,31}")
_RELEASE: Final = re.compile(r"[0-9a-f]{64}")


class SwitchError(PhiGuardError):
    """The switch could not be set; the message names the file, the reason, and what to do."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Where the switch stands.

    Args:
        on: whether anything may be sent.
        reason: why, one line; where the file cannot be believed, what is wrong with it.
        at: when it was set, ISO 8601 in UTC; empty where the file does not say.
        hold: the cause that must be settled before it may be on again, such as ``leak``; empty where none is.
        release: digest of the report that released the last hold, 64 hexadecimal digits; empty where there was none.
    """

    on: bool
    reason: str
    at: str
    hold: str = ""
    release: str = ""


class FileSwitch:
    """A switch kept in one file, mode 0600, which only its owner may write.

    Args:
        path: the file; its directory must exist before the switch is set.
    """

    __slots__ = ("_known", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[tuple[int, ...], SwitchState] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def state(self) -> SwitchState:
        """Where the switch stands now: one stat, and a read only where the file has changed. Never raises."""
        try:
            signature = _signature(os.lstat(self._path))
            known = self._known
            if known is not None and known[0] == signature:
                return known[1]
            signature, state = self._read()
        except FileNotFoundError:
            return _off("there is no switch file; turn it on with: phi-audit switch on", KEPT if os.path.lexists(self._aside) else "")
        except OSError as exc:
            return _off(f"the switch file cannot be read ({exc.strerror})")
        except ValueError:  # a path that no file can have
            return _off("the switch file's path is not one")
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
        line = _line(reason)
        if release and not _RELEASE.fullmatch(release):
            raise SwitchError("a release is a report's digest of 64 hexadecimal digits; give the report's own")
        with self._alone() as alone:
            if not alone:
                msg = f"{self._path}: the switch cannot be written (another is writing it, or its directory cannot be opened); try again"
                raise SwitchError(msg)
            state = self.state()
            if state.hold and not release:
                since = f" since {state.at}" if state.at else ""
                advice = "it takes a report made after that: phi-audit switch on --report"
                msg = f"{self._path}: the switch is held{since} ({state.hold}): {state.reason}; {advice}"
                raise SwitchError(msg)
            self._write(SwitchState(on=True, reason=line, at=_now(), release=release))
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
        line = _line(reason)
        if hold and not _HOLD.fullmatch(hold):
            raise SwitchError("a hold is one word of 1 to 32 lower-case letters and _, such as leak")
        self._put_off(line, hold)  # at once, whoever holds the lock
        with self._alone():  # and once more where one who was half way has undone it
            state = self.state()
            if state.on or (hold and not state.hold):
                self._put_off(line, hold)

    def _put_off(self, reason: str, hold: str) -> None:
        held = self.state().hold
        chosen = hold if hold and (hold == LEAK or held in {"", KEPT}) else held
        try:
            self._write(SwitchState(on=False, reason=reason, at=_now(), hold=chosen))
        except SwitchError:
            self._remove(keep=bool(chosen))
        else:
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)

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
            content = b"" if fault else os.read(handle, _SIZE_MAX + 1)
        finally:
            os.close(handle)
        return _signature(found), _off(fault) if fault else _parse(content)

    def _write(self, state: SwitchState) -> None:
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(_content(state))
                file.flush()
                os.fsync(handle)
            draft.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as exc:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            msg = f"{self._path}: the switch cannot be written ({exc.strerror}); check the directory, its owner and the space left"
            raise SwitchError(msg) from None


def default_path() -> Path:
    """``PHI_GUARD_SWITCH``, else ``switch.json`` in the runtime directory.

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
    if found.st_size > _SIZE_MAX:
        return "the switch file is too long to be one"
    return ""


def _content(state: SwitchState) -> bytes:
    """The bytes of a state, as we write them."""
    row = {"schema": SCHEMA, "on": state.on, "reason": state.reason, "at": state.at, "hold": state.hold, "release": state.release}
    return f"{json.dumps(row)}\n".encode()


def _content_before(state: SwitchState) -> bytes:
    return f"{json.dumps({'schema': SCHEMA_BEFORE, 'on': state.on, 'reason': state.reason, 'at': state.at})}\n".encode()


def _parse(content: bytes) -> SwitchState:
    """The state a file holds. Only the very bytes we write are on: what somebody mended, cut or doubled is not."""
    try:
        row = json.loads(content.decode())
    except (ValueError, RecursionError):
        return _off("the switch file is not JSON")
    schema = row.get("schema") if isinstance(row, dict) else None
    if schema not in {SCHEMA, SCHEMA_BEFORE}:
        return _off(f"the switch file is not of schema {SCHEMA}")
    on, reason, at, hold, release = (row.get(name, "") for name in ("on", "reason", "at", "hold", "release"))
    if not isinstance(on, bool) or not all(isinstance(text, str) for text in (reason, at, hold, release)):
        return _off("the switch file does not hold on, reason, at, hold and release as it should")
    if not _is_line(reason) or not _is_instant(at) or not _is_cause(hold, release, on=on):
        return _off("the switch file holds a reason, a time or a hold that we would not have written")
    state = SwitchState(on, reason, at, hold, release)
    written = _content(state) if schema == SCHEMA else _content_before(state)
    if written != content.rstrip(b"\n") + b"\n":
        return _off("the switch file was not written by us", hold)
    return state


def _off(reason: str, hold: str = "") -> SwitchState:
    return SwitchState(on=False, reason=reason, at="", hold=hold)


def _is_cause(hold: str, release: str, *, on: bool) -> bool:
    if hold and (on or not _HOLD.fullmatch(hold)):
        return False
    return not release or bool(_RELEASE.fullmatch(release))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_line(text: str) -> bool:
    return 0 < len(text) <= REASON_MAX and text.isprintable()


def _line(reason: str) -> str:
    if not _is_line(reason):
        msg = f"a reason is one line of 1 to {REASON_MAX} printable characters; write a shorter one, without line breaks"
        raise SwitchError(msg)
    return reason


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = [
    "KEPT",
    "LEAK",
    "REASON_MAX",
    "SCHEMA",
    "SCHEMA_BEFORE",
    "FileSwitch",
    "RuntimeDirectoryError",
    "SwitchError",
    "SwitchState",
    "default_path",
    "runtime_dir",
]
