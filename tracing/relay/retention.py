"""What the outbox forgets, and when: marks, calls that have ended, recorders that are gone, and the room they took on the disk."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import suppress
from typing import Final

import msgspec

from tracing.relay.outbox import SENDERS_H, Outbox

MARKS_H: Final = 24
"""Hours of service for which a settled operation is known again. A recorder sends again within minutes, and a relay that is not there
cannot be sent to: so hours without one do not count."""
CALLS_H: Final = 1
"""Hours of service for which an ended call's own counts stay; they have gone out with the end of its root."""
FORGOTTEN: Final = ""
"""The name under which recorders are summed up that are gone."""
IN_HAND_S: Final = 600.0
"""The shipper drops what has waited too long whenever it asks for more; where it does not ask, switched off, say, we do so, later: no
posting takes so long, and what it has in hand must not be counted twice."""
HELD_S: Final = 2 * 3600.0
"""A call that is longer is sent, drawn or not: no more than so much of it is held back."""
PAGES: Final = 2_000
"""Free pages given back to the disk at a time."""


def tidy(outbox: Outbox, made_here: str) -> None:
    """Forget what is past its time, and give the room back.

    Args:
        outbox: of the thread that calls.
        made_here: the relay's own sender, which stays.

    Raises:
        sqlite3.Error: nothing can be stored now.
    """
    base, hour = outbox.base, outbox.hour
    outbox.expire(base.clock.age_s - outbox.limits.ttl_s - IN_HAND_S)
    with outbox.writing():
        outbox.keep_old(base.clock.age_s - min(HELD_S, outbox.limits.ttl_s / 2))
        db = base.db
        row = db.execute("SELECT value FROM meta WHERE key = 'tidied'").fetchone()
        if row is None or int(row[0]) != hour:
            db.execute("DELETE FROM settled WHERE hour < ?", (hour - MARKS_H,))
            past = "SELECT call FROM calls WHERE hour < ? AND opening IS NULL AND call NOT IN (SELECT call FROM ops)"
            calls = [(call,) for (call,) in db.execute(past, (hour - CALLS_H,))]
            for table in ("call_totals", "redactions", "draws", "calls"):
                db.executemany(f"DELETE FROM {table} WHERE call = ?", calls)  # noqa: S608  # closed text
            _sum_up(db, made_here, hour)
            outbox.forget_hours(hour - MARKS_H)
            db.execute("DELETE FROM met WHERE seq NOT IN (SELECT seq FROM ops)")
            db.execute("DELETE FROM quarantines WHERE upto < (SELECT coalesce(min(seq), 0) FROM ops)")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('tidied', ?)", (str(hour),))
    base.remember_clock()
    base.db.executescript(f"PRAGMA incremental_vacuum({PAGES})")  # execute() would give back one page and stop
    base.db.execute("PRAGMA busy_timeout = 0")  # who reads just now is not waited for
    try:
        with suppress(sqlite3.OperationalError):
            base.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # bytes that were overwritten still stand in the log
    finally:
        base.db.execute("PRAGMA busy_timeout = 10000")


def _sum_up(db: sqlite3.Connection, made_here: str, hour: int) -> None:
    """Recorders long unheard become one sum; what they had not handed over is lost, and stays counted."""
    gone = db.execute(
        "SELECT id, offered, arrived, lost, dropped FROM senders WHERE hour < ? AND sender NOT IN (?, ?)",
        (hour - SENDERS_H, made_here, FORGOTTEN),
    ).fetchall()
    if not gone:
        return
    db.execute("INSERT OR IGNORE INTO senders (sender) VALUES (?)", (FORGOTTEN,))
    sums = "SELECT offered, arrived, lost, dropped FROM senders WHERE sender = ?"
    offered, arrived, lost, text = db.execute(sums, (FORGOTTEN,)).fetchone()
    dropped: Counter[str] = Counter(msgspec.json.decode(text, type=dict[str, int]))
    for _, *counts, told in gone:
        said = Counter(msgspec.json.decode(told, type=dict[str, int]))
        said["lost"] += counts[0] - counts[1] - counts[2] - said.total()
        dropped += said
        offered, arrived, lost = offered + counts[0], arrived + counts[1], lost + counts[2]
    db.execute(
        "UPDATE senders SET offered = ?, arrived = ?, lost = ?, dropped = ? WHERE sender = ?",
        (offered, arrived, lost, msgspec.json.encode(dropped).decode(), FORGOTTEN),
    )
    db.executemany("DELETE FROM senders WHERE id = ?", [(one[0],) for one in gone])
