"""The roll-back switch: a small file that says whether anything may be sent. Every doubt about it means off."""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.runtime import RuntimeDirectoryError, runtime_dir

SCHEMA: Final = "phi-guard.switch/1"
REASON_MAX: Final = 200
"""Characters of a reason, which is one line."""

_SIZE_MAX: Final = 4096
_KEYS: Final = {"schema", "on", "reason", "at"}


class SwitchError(PhiGuardError):
    """The switch could not be set; the message names the file, the reason, and what to do."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Where the switch stands.

    Args:
        on: whether anything may be sent.
        reason: why, one line; where the file cannot be believed, what is wrong with it.
        at: when it was set, ISO 8601 in UTC; empty where the file does not say.
    """

    on: bool
    reason: str
    at: str


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
            return _off("there is no switch file; turn it on with: phi-audit switch on")
        except OSError as exc:
            return _off(f"the switch file cannot be read ({exc.strerror})")
        except ValueError:  # a path that no file can have
            return _off("the switch file's path is not one")
        self._known = (signature, state)
        return state

    def turn_on(self, reason: str) -> None:
        """Let things be sent.

        Args:
            reason: one line of at most 200 printable characters.

        Raises:
            SwitchError: the reason is not such a line, or the file cannot be written.
        """
        self._write(on=True, reason=_line(reason))

    def turn_off(self, reason: str) -> None:
        """Stop everything that would be sent. Where the file cannot be written it is removed, which means off too.

        Args:
            reason: one line of at most 200 printable characters.

        Raises:
            SwitchError: the reason is not such a line, or the file can neither be written nor removed.
        """
        line = _line(reason)
        try:
            self._write(on=False, reason=line)
        except SwitchError:
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

    def _write(self, *, on: bool, reason: str) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        content = json.dumps({"schema": SCHEMA, "on": on, "reason": reason, "at": at}) + "\n"
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content.encode())
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


def _parse(content: bytes) -> SwitchState:
    try:
        held = json.loads(content.decode())
    except (ValueError, RecursionError):
        return _off("the switch file is not JSON")
    if not isinstance(held, dict) or held.get("schema") != SCHEMA:
        return _off(f"the switch file is not of schema {SCHEMA}")
    on, reason, at = held.get("on"), held.get("reason"), held.get("at")
    if held.keys() != _KEYS or not isinstance(on, bool) or not isinstance(reason, str) or not isinstance(at, str):
        return _off("the switch file does not hold on, reason and at as it should")
    if not _is_line(reason) or not _is_instant(at):
        return _off("the switch file holds a reason or a time that we would not have written")
    return SwitchState(on, reason, at)


def _off(reason: str) -> SwitchState:
    return SwitchState(on=False, reason=reason, at="")


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


__all__ = ["REASON_MAX", "SCHEMA", "FileSwitch", "RuntimeDirectoryError", "SwitchError", "SwitchState", "default_path", "runtime_dir"]
