"""The outbox: what was cleared and is not yet delivered, on disk, in SQLite. Raw records never reach it.

An operation that is settled, delivered or dropped, leaves its row: it is folded into counts, by day and by call, and a mark of 16 bytes
stays for `tracing.relay.retention.MARKS_H` hours, by which it is known when it is sent again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tracing.relay.clock import Hands
from tracing.relay.database import Database, OutboxUnusable
from tracing.relay.draws import NOT_HELD, OUT
from tracing.relay.quarantine import STEP
from tracing.relay.salvage import DROPPED, LOST, PENDING, QUARANTINED, SAMPLED
from tracing.relay.senders import SENDERS_H, Sender, Senders

if TYPE_CHECKING:
    from phi_guard.model import Cleared

__all__ = [
    "DELIVERED",
    "DROPPED",
    "LOST",
    "PENDING",
    "QUARANTINED",
    "SAMPLED",
    "SENDERS_H",
    "Limits",
    "Outbox",
    "OutboxUnusable",
    "Row",
    "Sender",
]

DELIVERED: Final = "delivered"
TTL: Final = "ttl"
QUOTA: Final = "quota"
_RESERVE: Final = 1.1
"""How far the calls that had begun may go beyond the quota, so that a trace is not torn."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and for how long.

    Args:
        bytes: in the file. Beyond it no new call is taken; beyond a tenth more, nothing is.
        ops: operations, likewise.
        ttl_s: seconds after which a call that waits is dropped, whole.
    """

    bytes: int = 512 * 1024 * 1024
    ops: int = 500_000
    ttl_s: float = 72 * 3600.0


@dataclass(frozen=True, slots=True)
class Row:
    """One operation as it is stored: cleared bytes and the seal by which the gate knows them."""

    seq: int
    span: str
    kind: str
    name: str
    body: bytes
    policy: str
    seal: bytes


class Outbox(Senders):
    """One SQLite file. Each thread opens its own `Outbox` on it; one that is damaged is replaced under all of them.

    Args:
        path: the file; created readable by its owner alone.
        limits: how much it may hold; written into the file, for all who open it. What the file says, when not given.
        hands: where its clock looks.
        check: look through the whole file for damage first.

    Raises:
        OutboxUnusable: the file is damaged, or of another version of ours.
    """

    def __init__(self, path: Path, limits: Limits | None = None, *, hands: Hands | None = None, check: bool = False) -> None:
        super().__init__(Database(path, hands or Hands(), check=check))
        self._limits = limits
        if limits is not None:
            with self.writing():
                self._base.db.execute("INSERT OR REPLACE INTO meta VALUES ('limits', ?)", (msgspec.json.encode(limits),))

    @property
    def limits(self) -> Limits:
        """How much may wait; ours, or what the file says."""
        if self._limits is None:
            row = self._db.execute("SELECT value FROM meta WHERE key = 'limits'").fetchone()
            self._limits = msgspec.json.decode(row[0], type=Limits) if row else Limits()
        return self._limits

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def writing(self) -> AbstractContextManager[None]:
        """One transaction: all of it is stored, or nothing."""
        return self._base.writing()

    def trying(self) -> AbstractContextManager[None]:
        """A part of a transaction that can fail alone."""
        return self._base.trying()

    # -- operations ----------------------------------------------------------------------------------------------------------------

    def holds(self, span: str, op: str) -> bool:
        """Whether this operation was stored before, whatever became of it.

        Where another sender stored it, the relay itself for an agent it took for dead, this one is counted as dropped: else the law of the
        ledger would wait for it for ever. A span's id is random, so that no two agents meet here.
        """
        row = self._db.execute("SELECT sender, call FROM ops WHERE span = ? AND op = ?", (span, op)).fetchone()
        row = row or self._db.execute("SELECT sender, '' FROM settled WHERE mark = ?", (_mark(span, op),)).fetchone()
        if row is not None and row[0] != self._from and self._db.in_transaction:
            self.store_dropped(f"{self._from}.{span}", op, row[1], "already_ended")
        return row is not None

    def store(self, span: str, op: str, call: str, cleared: Cleared, withheld: str = "") -> None:
        """Keep cleared bytes until they are delivered.

        Args:
            span: span id.
            op: ``create`` or ``update``.
            call: trace id.
            cleared: what may leave.
            withheld: why the content was withheld, when ``cleared`` is a skeleton.
        """
        facts = (cleared.kind, cleared.name, cleared.body, cleared.policy, cleared.seal, withheld, self._base.clock.age_s, self._from)
        done = self._db.execute(
            "INSERT OR IGNORE INTO ops (span, op, call, kind, name, body, policy, seal, withheld, age_s, sender)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (span, op, call, *facts),
        )
        if done.rowcount:
            self._count(PENDING, "", withheld, 1, day="")
            self._arrived()
            self._touch(call)
            if withheld:
                self.keep(call)

    def store_dropped(self, span: str, op: str, call: str, reason: str) -> None:
        """Count an operation that will not be sent; nothing of it is kept but its mark."""
        if self._marked(span, op, self._from):
            self._count(DROPPED, reason, "", 1)
            self._arrived()
            if call:
                self._touch(call)
                self._count_in(call, DROPPED, reason, "", 1)
                self.keep(call)
            if span == call and op == "create":
                self._db.execute("UPDATE calls SET dark = ? WHERE call = ?", (reason, call))

    def store_sampled(self, span: str, op: str, call: str) -> None:
        """Count an operation of a call that was not drawn; nothing of it is kept but its mark."""
        if self._marked(span, op, self._from):
            self._count(SAMPLED, "", "", 1)
            self._count_marks(1)
            self._arrived()
            self._touch(call)
            self._count_in(call, SAMPLED, "", "", 1)

    def let_go(self, call: str) -> None:
        """A call that was held and was not drawn: what waits of it is not sent. In the transaction that is under way."""
        seqs = [seq for (seq,) in self._db.execute("SELECT seq FROM ops WHERE call = ?", (call,)).fetchall()]
        self._settle(seqs, SAMPLED, "")
        self._count_marks(len(seqs))
        self._note_draw(call, OUT, 0.0)

    def waiting(self, call: str) -> list[tuple[int, str, str, bytes]]:
        """``(seq, kind, name, body)`` of what waits of a call with its content."""
        rows = self._db.execute("SELECT seq, kind, name, body FROM ops WHERE call = ? AND withheld = ''", (call,))
        return rows.fetchall()

    def withhold(self, seq: int, skeleton: Cleared, reason: str) -> None:
        """Put a skeleton in the place of what waits."""
        facts = (skeleton.kind, skeleton.name, skeleton.body, skeleton.policy, skeleton.seal, reason, seq)
        for (call,) in self._db.execute("SELECT call FROM ops WHERE seq = ?", (seq,)).fetchall():
            self.keep(call)
        done = self._db.execute(
            "UPDATE ops SET kind = ?, name = ?, body = ?, policy = ?, seal = ?, withheld = ? WHERE seq = ? AND withheld = ''", facts
        )
        state, why = self.standing(seq)
        self._count(state, why, "", -done.rowcount, day="")
        self._count(state, why, reason, done.rowcount, day="")

    def pending(self, limit: int) -> list[Row]:
        """The oldest operations that may be sent, in the order they were stored.

        None is quarantined, none of a call that waited too long, and none of one that is held until it is known whether it is sent.

        Calls that did are dropped here, and not by the thread that stores: whoever asks has none of them in hand.
        """
        with self._base.reading():
            oldest = self._base.clock.age_s - self.limits.ttl_s
            with suppress(sqlite3.OperationalError):  # a full disk, say: they are not sent at least
                self.expire(oldest)
            passed, last = self.passed()
            found = self._db.execute(
                "SELECT seq, span, kind, name, body, policy, seal FROM ops WHERE age_s >= ? AND seq > ?"  # noqa: S608  # ours
                f" AND seq > (SELECT coalesce(max(upto), 0) FROM quarantines) AND {NOT_HELD} ORDER BY seq LIMIT ?",
                (oldest, passed, limit),
            )
            rows = [Row(*row) for row in found]
            self.passed_to(rows[0].seq - 1 if rows else last)
            return rows

    def expire(self, oldest: float) -> None:
        """Drop, whole, every call of which something has waited since before ``oldest``: no root goes before what hangs below it."""
        first = self._db.execute("SELECT age_s FROM ops ORDER BY seq LIMIT 1").fetchone()
        while first is not None and first[0] < oldest:
            with self.writing():
                (call,) = self._db.execute("SELECT call FROM ops ORDER BY seq LIMIT 1").fetchone()
                seqs = [seq for (seq,) in self._db.execute("SELECT seq FROM ops WHERE call = ?", (call,))]
                self._settle(seqs, DROPPED, TTL)
            first = self._db.execute("SELECT age_s FROM ops ORDER BY seq LIMIT 1").fetchone()

    def settle(self, seqs: Iterable[int], state: str, reason: str = "") -> None:
        """Fold operations as delivered or dropped into the counts, and overwrite their bytes. One that is settled already is let be."""
        with self.writing():
            self._settle(seqs, state, reason)

    def drop_quarantined(self, reasons: Iterable[str]) -> int:
        """Drop what is quarantined, for good, counted as ``quarantined``; how many operations."""
        chosen, done = set(reasons), 0
        for held in self.held():
            if held.reason in chosen:
                rows = self._db.execute("SELECT seq FROM ops WHERE seq <= ? ORDER BY seq", (held.upto,)).fetchall()
                seqs = [seq for (seq,) in rows if self.standing(seq)[1] == held.reason]
                for first in range(0, len(seqs), STEP):
                    self.settle(seqs[first : first + STEP], DROPPED, QUARANTINED)
                done += len(seqs)
        return done

    def _settle(self, seqs: Iterable[int], state: str, reason: str) -> None:
        folded: Counter[tuple[str, str]] = Counter()
        for seq in seqs:
            stood = self.standing(seq)
            row = self._db.execute("DELETE FROM ops WHERE seq = ? RETURNING span, op, call, withheld, sender", (seq,)).fetchone()
            if row is not None:
                span, op, call, withheld, sender = row
                self._marked(span, op, sender)
                folded[call, withheld] += 1
                self._count(*stood, withheld, -1, day="")
                if state == DROPPED and span == call and op == "create":
                    self._db.execute("UPDATE calls SET dark = ? WHERE call = ?", (reason, call))
        for (call, withheld), n in folded.items():
            self._count(state, reason, withheld, n)
            self._touch(call)
            self._count_in(call, state, reason, withheld, n)
            if state == DROPPED:
                self.keep(call)

    def _marked(self, span: str, op: str, sender: int) -> bool:
        """Leave a mark by which a settled operation is known again; whether there was none yet."""
        mark = (_mark(span, op), sender, self.hour)
        return self._db.execute("INSERT OR IGNORE INTO settled VALUES (?, ?, ?)", mark).rowcount > 0

    def _count(self, state: str, reason: str, withheld: str, n: int, *, day: str | None = None) -> None:
        day = time.strftime("%Y-%m-%d", time.gmtime()) if day is None else day
        self._db.execute(
            "INSERT INTO totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", (day, state, reason, withheld, n)
        )

    def _count_in(self, call: str, state: str, reason: str, withheld: str, n: int) -> None:
        self._db.execute(
            "INSERT INTO call_totals VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            (call, state, reason, withheld, n),
        )

    def counts(self, call: str | None = None) -> list[tuple[str, str, str, int]]:
        """``(state, reason, withheld, n)`` over all operations, or over one call's."""
        with self._base.reading():
            if call is None:
                return self._db.execute("SELECT state, reason, withheld, sum(n) FROM totals GROUP BY 1, 2, 3 HAVING sum(n) != 0").fetchall()
            return self._db.execute(
                "SELECT state, reason, withheld, n FROM call_totals WHERE call = ?1"
                " UNION ALL SELECT CASE WHEN seq > (SELECT coalesce(max(upto), 0) FROM quarantines) THEN 'pending' ELSE 'quarantined' END,"
                " '', withheld, count(*) FROM ops WHERE call = ?1 GROUP BY 1, 3",
                (call,),
            ).fetchall()

    def waiting_counts(self) -> dict[str, int]:
        """How many operations are here, by state: pending, quarantined."""
        with self._base.reading():
            return dict(
                self._db.execute("SELECT state, sum(n) FROM totals WHERE day = '' AND state != ? GROUP BY 1", (DROPPED,)).fetchall()
            )

    def has_room(self, *, for_new: bool) -> bool:
        """Whether something more may wait: an operation of a call that has begun, or one that begins."""
        limits, more = self.limits, 1.0 if for_new else _RESERVE
        (pages,), (free,) = self._db.execute("PRAGMA page_count").fetchone(), self._db.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._db.execute("PRAGMA page_size").fetchone()
        (ops,) = self._db.execute(
            "SELECT coalesce(sum(n), 0) FROM totals WHERE day = '' AND state IN (?, ?)", (PENDING, QUARANTINED)
        ).fetchone()
        return bool((pages - free) * size < limits.bytes * more and ops < limits.ops * more)


def _mark(span: str, op: str) -> bytes:
    return hashlib.blake2b(f"{op} {span}".encode(), digest_size=16).digest()
