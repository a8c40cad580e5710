"""The cursor: which calls a scheduled export has handed over, so that each is handed over once, whenever its end comes."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from audit import structure
from audit.calls.records import Call
from audit.moments import instant, wire
from audit.population import CALL_MAX
from audit.whole_file import write_whole
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.export-cursor/1"
MARGIN: Final = timedelta(days=1)
"""How long a call's id is kept after it fell out of the window: until its root came, its beginning may have been told otherwise."""
_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


class CursorUnusable(PhiGuardError):
    """A cursor cannot be read, is another export's, or is in use; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a scheduled export is.

    Args:
        of: what is exported: project, place, portions and format; a cursor goes on only with the same.
        number: of the next run's files, from 1.
        floor: calls that began before are not exported any more.
        done: by trace id, when each call began that was exported and may come again.
    """

    of: str
    number: int = 1
    floor: datetime = _LONG_AGO
    done: Mapping[str, datetime] = field(default_factory=dict)

    def is_due(self, call: Call, now: datetime, floor: datetime) -> bool:
        """Whether a call is to be exported now: it was not yet, it began in the window, and it has ended or cannot be going on any more.

        Args:
            call: any of those that were read.
            now: the clock's time.
            floor: where this run's window begins.
        """
        if call.trace_id in self.done or call.start is None or call.start < max(self.floor, floor):
            return False
        return call.end is not None or now - call.start > CALL_MAX

    def after(self, exported: Mapping[str, datetime], floor: datetime, *, files: bool) -> Cursor:
        """The cursor after a run.

        Args:
            exported: calls that it exported, and when each began.
            floor: where its window began; it never goes back.
            files: whether it wrote files, so that the next ones have another number.
        """
        floor = max(floor, self.floor)
        kept = {trace: start for trace, start in {**self.done, **exported}.items() if start >= floor - MARGIN}
        return Cursor(self.of, self.number + files, floor, kept)


def read_cursor(path: Path, of: str) -> Cursor:
    """The cursor in a file; a new one where there is no file yet.

    Raises:
        CursorUnusable: it cannot be read, or is of another export. It is never begun anew by itself: that would export all calls again.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        if held["schema"] != SCHEMA:
            raise ValueError
        done = {trace: _instant(start) for trace, start in held["done"].items() if structure.UUID(trace)}
        cursor = Cursor(str(held["of"]), int(held["number"]), _instant(held["floor"]), done)
    except FileNotFoundError:
        return Cursor(of)
    except OSError as fault:
        raise CursorUnusable(f"{path}: cannot be read ({fault.strerror}); check its owner and mode") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CursorUnusable(f"{path}: is no cursor of this version; restore it, or remove it and all calls are exported again") from None
    if cursor.of != of:
        raise CursorUnusable(f"{path}: is of an export of {cursor.of}; go on with the same options, or name another cursor")
    return cursor


def write_cursor(path: Path, cursor: Cursor) -> None:
    """Write it whole, mode 0600.

    Raises:
        FileNotWritten: it cannot be written; the one before stands.
    """
    done = {trace: wire(start) for trace, start in sorted(cursor.done.items())}
    held = {"schema": SCHEMA, "of": cursor.of, "number": cursor.number, "floor": wire(cursor.floor), "done": done}
    write_whole(path, (json.dumps(held, indent=1) + "\n").encode())


@contextmanager
def sole_use(path: Path) -> Iterator[None]:
    """Hold a cursor for this process alone; the system lets go of it when the process ends, however it ends.

    Raises:
        CursorUnusable: another export holds it, or its folder cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise CursorUnusable(f"{path}: cannot be used ({fault.strerror}); name a file in a folder that exists and is yours") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CursorUnusable(f"{path}: another export is using it; wait until it is done") from None
        yield
    finally:
        os.close(handle)


def _instant(value: object) -> datetime:
    moment = instant(value)
    if moment is None:
        raise ValueError
    return moment
