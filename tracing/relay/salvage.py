"""What can be carried over from an outbox that is damaged: all of its counts or none, and of what waited every row that can be read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

PENDING: Final = "pending"
QUARANTINED: Final = "quarantined"
DROPPED: Final = "dropped"
SAMPLED: Final = "sampled"
"""Not sent because its call was not drawn."""
MET: Final = "last_look"
"""Why an operation is quarantined that the last look itself met."""
LOST: Final = "outbox_lost"
"""Why an operation is dropped that a relay had taken and a damaged outbox no longer gives."""

_COUNTS: Final = (
    "meta", "senders", "totals", "settled", "calls", "call_totals", "redactions", "quarantines", "met",
    "draws", "draw_hours", "draw_marks",
)  # fmt: skip
_YOUNG: Final = ("quarantines", "met", "draws", "draw_hours", "draw_marks")
"""Tables that an outbox of an earlier release does not have."""

_NO_ROOM: Final = ("SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHM")
"""To read a database whose log was not written back takes a file beside it. A disk that cannot be read is damage, and is not waited for."""


def carry(held: Path, new: sqlite3.Connection, version: int) -> str:
    """Carry over what can be read. Rows that were changed are known by their seals, by whoever takes them out.

    The counts are only true together: where one of their tables cannot be read, or they do not fit one another, none is taken. Then the
    ledger begins anew, and each recorder that still lives tells what it had handed over before: that is `LOST`, too.

    Args:
        held: the damaged file.
        new: an empty outbox, in a transaction.
        version: the only one of which anything is carried.

    Returns:
        What became of it, for the log.

    Raises:
        sqlite3.Error: there is no room, to read the one or to write the other; nothing is known of the old one's state.
    """
    try:
        with closing(sqlite3.connect(held, isolation_level=None, timeout=1.0)) as old:
            if old.execute("PRAGMA user_version").fetchone()[0] != version:
                return "another version's, what waited in it is not sent"
            there = {name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            names = [name for name in _COUNTS if name in there or name not in _YOUNG]
            tables = {name: old.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608  # closed text
            rows = _rows(old)
    except sqlite3.Error as fault:
        if str(getattr(fault, "sqlite_errorname", "")).startswith(_NO_ROOM):
            raise
        return "its counts cannot be read, what waited in it is not sent"
    new.execute("SAVEPOINT carried")
    try:
        told = _take_over(tables, rows, new)
    except (sqlite3.Error, TypeError, ValueError, IndexError) as fault:
        if str(getattr(fault, "sqlite_errorname", "")).startswith(_NO_ROOM):
            raise
        new.execute("ROLLBACK TO carried")  # a cell that is damaged is no number, or fits no column
        told = "its counts cannot be used, what waited in it is not sent"
    new.execute("RELEASE carried")
    return told


def _take_over(tables: dict[str, list[Any]], rows: list[tuple[object, ...]], new: sqlite3.Connection) -> str:
    """Write what was read into the new outbox; what became of it."""
    arrived = sum(int(row[4]) for row in tables["senders"])
    counted = {state: sum(int(n) for _, s, _, _, n in tables["totals"] if s == state) for state in {row[1] for row in tables["totals"]}}
    waiting = counted.get(PENDING, 0) + counted.get(QUARANTINED, 0)
    if arrived != sum(counted.values()) or len(rows) > waiting:
        return "its counts do not fit one another, what waited in it is not sent"
    for name, found in tables.items():
        if found:
            new.executemany(f"INSERT OR REPLACE INTO {name} VALUES ({', '.join('?' * len(found[0]))})", found)  # noqa: S608  # closed text
    # A new operation's number must be beyond every mark of the quarantine.
    new.execute("UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(upto), 0) FROM quarantines)) WHERE name = 'ops'")
    new.executemany("INSERT INTO ops VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    _count_lost(new, waiting, len(rows))
    return f"{len(rows)} of {waiting} that waited in it are carried over"


def _count_lost(new: sqlite3.Connection, waiting: int, carried: int) -> None:
    """The ledger of what waited: what is here waits on, the rest is dropped."""
    new.execute("DELETE FROM totals WHERE state IN (?, ?)", (PENDING, QUARANTINED))
    if waiting > carried:
        lost = (DROPPED, LOST, waiting - carried)
        new.execute("INSERT INTO totals VALUES ('', ?, ?, '', ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", lost)
    new.execute(
        "INSERT INTO totals SELECT '', CASE WHEN why IS NULL THEN ?1 ELSE ?2 END, coalesce(why, ''), withheld, count(*) FROM"
        " (SELECT withheld, CASE WHEN seq IN (SELECT seq FROM met) THEN ?3"
        " ELSE (SELECT reason FROM quarantines WHERE upto >= ops.seq ORDER BY upto LIMIT 1) END AS why FROM ops) GROUP BY why, withheld",
        (PENDING, QUARANTINED, MET),
    )


def _rows(old: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Every operation that can be read, from both ends: behind a damaged page there may be whole ones."""
    found: dict[int, tuple[object, ...]] = {}
    for order in ("ASC", "DESC"):
        try:
            for row in old.execute(f"SELECT * FROM ops ORDER BY seq {order}"):  # noqa: S608  # closed text
                found.setdefault(row[0], row)
        except sqlite3.Error:
            continue
        else:
            break
    whole = (int, str, str, str, str, str, bytes, str, bytes, str, float, int)
    return [found[seq] for seq in sorted(found) if tuple(type(part) for part in found[seq]) == whole]
