"""The handover: a choice of calls into files, whole or not at all; with a cursor, each call once.

Order of a scheduled run: rows into drafts, drafts into their places, the cursor last. One that is killed before the cursor stands leaves
the cursor of the run before; the next run writes files of the same names again, with the same calls and any new ones.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import BinaryIO, Final

from audit.calls.answers import Choice
from audit.calls.index import CallIndex
from audit.export.cursor import CursorUnusable, read_cursor, sole_use, write_cursor
from audit.export.rows import COLUMNS, Clearing, Portion
from audit.export.writers import Format, open_writer
from audit.whole_file import FileNotWritten
from phi_guard.errors import PhiGuardError

_DRAFT: Final = ".part"


class RowsWithheld(PhiGuardError):
    """The gate withheld rows of a scheduled export: it hands nothing over, so that the calls come with the next run."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be exported.

    Args:
        portions: what has a row.
        fmt: of the files.
        choice: of the calls.
        now: the clock's time, with a zone.
        floor: where the window that was read begins.
    """

    portions: tuple[Portion, ...]
    fmt: Format
    choice: Choice
    now: datetime
    floor: datetime


@dataclass(slots=True)
class Account:
    """What an export did.

    Args:
        calls: exported.
        waiting: calls that are still going on, which a later run exports.
        files: written.
    """

    calls: int = 0
    waiting: int = 0
    files: list[Path] = field(default_factory=list)


def export_to(file: BinaryIO, index: CallIndex, order: Order, clearing: Clearing) -> Account:
    """Every call of the choice into one open file, of the first portion alone."""
    writer = open_writer(order.fmt, file, COLUMNS[order.portions[0]])
    account = Account()
    for detail in index.each(order.choice):
        account.calls += 1
        for body in clearing.rows_of(detail, order.portions[0]):
            writer.write(body)
    writer.finish()
    return account


def export_files(paths: Sequence[Path], index: CallIndex, order: Order, clearing: Clearing) -> Account:
    """Every call of the choice into a file for each portion, mode 0600; all of them are put in place, or none was begun.

    Raises:
        FileNotWritten: a file cannot be written; what stood there stands there still.
    """
    account = Account()
    with _drafts(paths) as (files, publish):
        writers = [open_writer(order.fmt, file, COLUMNS[portion]) for file, portion in zip(files, order.portions, strict=True)]
        for detail in index.each(order.choice):
            account.calls += 1
            for portion, writer in zip(order.portions, writers, strict=True):
                for body in clearing.rows_of(detail, portion):
                    writer.write(body)
        for writer in writers:
            writer.finish()
        publish()
    account.files += paths
    return account


def export_next(cursor_file: Path, of: str, place: Callable[[Portion, int], Path], index: CallIndex, order: Order,
                clearing: Clearing, *, empty: bool) -> Account:  # fmt: skip
    """The calls that are due since a cursor's last run, and the cursor after it.

    Args:
        cursor_file: the cursor's.
        of: what is exported; the cursor must be of the same.
        place: the file of a portion in the run of a number.
        index: what was read.
        order: what is wanted of it.
        clearing: clears rows and counts them.
        empty: whether files are written where no call is due.

    Raises:
        CursorUnusable: it is another export's, damaged, or in use.
        RowsWithheld: the gate withheld rows; nothing is handed over and the cursor stays.
        FileNotWritten: a file or the cursor cannot be written; the next run does the same again.
    """
    with sole_use(cursor_file):
        cursor = read_cursor(cursor_file, of)
        if order.now < cursor.floor:
            msg = f"{cursor_file}: an earlier run's clock was ahead of this one's; set the clock right, then its floor in the file"
            raise CursorUnusable(msg)
        account = Account()
        exported: dict[str, datetime] = {}
        paths = [place(portion, cursor.number) for portion in order.portions]
        _sweep(paths)
        with _drafts(paths) as (files, publish):
            writers = [open_writer(order.fmt, file, COLUMNS[portion]) for file, portion in zip(files, order.portions, strict=True)]
            for detail in index.each(order.choice):
                call = detail.call
                if not cursor.is_due(call, order.now, order.floor) or call.start is None:
                    account.waiting += call.end is None and call.trace_id not in cursor.done
                    continue
                exported[call.trace_id] = call.start
                for portion, writer in zip(order.portions, writers, strict=True):
                    for body in clearing.rows_of(detail, portion):
                        writer.write(body)
            if clearing.withheld:
                reasons = ", ".join(sorted(clearing.withheld))
                msg = (
                    f"the gate withheld {clearing.withheld.total()} rows ({reasons}); nothing was exported and the cursor stays where it is"
                )
                raise RowsWithheld(msg)
            for writer in writers:
                writer.finish()
            if exported or empty:
                publish()
                account.files += paths
        account.calls = len(exported)
        write_cursor(cursor_file, cursor.after(exported, order.floor, files=bool(exported)))
    return account


@contextmanager
def _drafts(paths: Sequence[Path]) -> Iterator[tuple[list[BinaryIO], Callable[[], None]]]:
    """A draft beside each path, mode 0600, and what puts them in their places; those that were not are removed."""
    drafts = [path.with_name(f".{path.name}.{secrets.token_hex(8)}{_DRAFT}") for path in paths]
    at = paths[0]
    with ExitStack() as held:
        held.callback(_remove, drafts)
        files: list[BinaryIO] = []
        try:
            for path, draft in zip(paths, drafts, strict=True):
                at = path
                handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                files.append(held.enter_context(os.fdopen(handle, "wb")))

            def publish() -> None:
                for file in files:
                    file.flush()
                    os.fsync(file.fileno())
                for draft, path in zip(drafts, paths, strict=True):
                    draft.replace(path)
                for folder in sorted({path.parent for path in paths}):
                    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    try:
                        os.fsync(handle)
                    finally:
                        os.close(handle)

            yield files, publish
        except OSError as fault:
            msg = f"{at}: cannot be written ({fault.strerror}); check the directory, its owner and the space left"
            raise FileNotWritten(msg) from None


def _remove(drafts: Sequence[Path]) -> None:
    for draft in drafts:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _sweep(paths: Sequence[Path]) -> None:
    """Remove the drafts that a run which was killed left. Its files are written anew, since a cursor's portions stay the same."""
    for path in paths:
        _remove(list(path.parent.glob(f".{escape(path.name)}.*{_DRAFT}")))
