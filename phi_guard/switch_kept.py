"""What a host last believed of a switch that a server keeps: by this it knows a server that has forgotten, or went back in time."""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from phi_guard.switch_state import SIZE_MAX, SwitchState, doubt, encode_state, moment, parse_state, stronger

WHAT: Final = "what the server keeps"


class Kept:
    """What was last believed, in memory and in a file that outlives us; a file that cannot be written leaves the memory.

    Args:
        path: the file, in a directory that is ours alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._last = doubt("nothing is known yet")
        self._signature: tuple[int, int, int] | None = None

    def last(self) -> SwitchState:
        """The last state that was believed, by us or by another process of this host."""
        with self._lock:
            return self._look()

    def believe(self, told: SwitchState) -> SwitchState:
        """What to make of what the server tells."""
        with self._lock:
            last = self._look()
            why = _objection(told, last)
            if why:
                return doubt(why, last.hold) if not last.at or last.on else SwitchState(False, why, last.at, last.hold)
            self._keep(told)
            return told

    def latest(self, told: SwitchState) -> SwitchState:
        """On what a writer builds: what the server tells, where that is believed; else what was believed before."""
        with self._lock:
            last = self._look()
            if not _objection(told, last):
                return told
            return SwitchState(False, last.reason, last.at, stronger(last.hold, told.hold)) if last.at else told

    def keep(self, state: SwitchState) -> None:
        """This is the state now, as we ourselves have written it."""
        with self._lock:
            self._look()
            self._keep(state)

    def _keep(self, state: SwitchState) -> None:
        if state == self._last:
            return
        self._last = state
        draft = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(encode_state(state))
                file.flush()
                os.fsync(handle)
            draft.replace(self._path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def _look(self) -> SwitchState:
        """Read the file where another process has changed it; it counts where it is newer than what we know."""
        try:
            found = os.lstat(self._path)
            signature = (found.st_mtime_ns, found.st_ino, found.st_size)
            if signature != self._signature:
                handle = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    content = os.read(handle, SIZE_MAX + 1)
                finally:
                    os.close(handle)
                state = parse_state(content)
                self._signature = signature
                if state.at and (not self._last.at or _newer(state, self._last)):
                    self._last = state
        except (OSError, ValueError):
            pass
        return self._last


def _objection(told: SwitchState, last: SwitchState) -> str:
    """Why what the server tells is not believed, in the light of what was before; empty where it is."""
    if not told.at:
        return told.reason
    if last.at and told != last and not _newer(told, last) and (told.on or not last.on):
        return f"{WHAT} is older than what this host knows: it was put back from a copy; turn the switch on again"
    if told.on and last.hold and not told.release:
        return f"{WHAT} is on, and nothing released the hold that this host knows of ({last.hold}): it takes a report"
    return ""


def _newer(state: SwitchState, than: SwitchState) -> bool:
    ours, theirs = moment(state.at), moment(than.at)
    return ours is not None and theirs is not None and (ours > theirs or (ours == theirs and state.on == than.on))
