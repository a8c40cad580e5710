"""The outbox: what was cleared and is not yet delivered, on disk, in SQLite. Raw records never reach it.

An operation that is settled, delivered or dropped, leaves its row: it is folded into counts, by day and by call, and a mark of 16 bytes
stays for `tracing.relay.retention.MARKS_H` hours, by which it is known when it is sent again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tracing.relay.clock import Hands
from tracing.relay.database import Database, OutboxUnusable
from tracing.relay.quarantine import STEP, Quarantine
from tracing.relay.salvage import DROPPED, LOST, PENDING, QUARANTINED

if TYPE_CHECKING:
    from phi_guard.model import Cleared

__all__ = ["DELIVERED", "DROPPED", "LOST", "PENDING", "QUARANTINED", "Limits", "Outbox", "OutboxUnusable", "Row", "Sender"]

DELIVERED: Final = "delivered"
TTL: Final = "ttl"
QUOTA: Final = "quota"
SENDERS_H: Final = 24
"""After so many hours of service without a word from it, a recorder is no longer told apart from the others that are gone."""
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


@dataclass(frozen=True, slots=True)
class Sender:
    """A recorder as the outbox knows it.

    Args:
        offered: operations it says it was offered.
        arrived: those of them that were stored, whatever became of them.
        dropped: those it says it dropped, by reason.
        lost: those a relay had acknowledged to it, and this outbox never saw: they were in one that was damaged.
        silent_s: seconds since it was heard, or since this relay began if that is less.
    """

    sender: str
    offered: int
    arrived: int
    dropped: dict[str, int]
    lost: int
    silent_s: float

    @property
    def missing(self) -> int:
        """What is still with it, or under way."""
        return self.offered - self.arrived - self.lost - sum(self.dropped.values())


class Outbox(Quarantine):
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
        self._from = 0
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

    def store_dropped(self, span: str, op: str, call: str, reason: str) -> None:
        """Count an operation that will not be sent; nothing of it is kept but its mark."""
        if self._marked(span, op, self._from):
            self._count(DROPPED, reason, "", 1)
            self._arrived()
            if call:
                self._touch(call)
                self._count_in(call, DROPPED, reason, "", 1)
            if span == call and op == "create":
                self._db.execute("UPDATE calls SET dark = ? WHERE call = ?", (reason, call))

    def waiting(self, call: str) -> list[tuple[int, str, str, bytes]]:
        """``(seq, kind, name, body)`` of what waits of a call with its content."""
        rows = self._db.execute("SELECT seq, kind, name, body FROM ops WHERE call = ? AND withheld = ''", (call,))
        return rows.fetchall()

    def withhold(self, seq: int, skeleton: Cleared, reason: str) -> None:
        """Put a skeleton in the place of what waits."""
        facts = (skeleton.kind, skeleton.name, skeleton.body, skeleton.policy, skeleton.seal, reason, seq)
        done = self._db.execute(
            "UPDATE ops SET kind = ?, name = ?, body = ?, policy = ?, seal = ?, withheld = ? WHERE seq = ? AND withheld = ''", facts
        )
        state, why = self.standing(seq)
        self._count(state, why, "", -done.rowcount, day="")
        self._count(state, why, reason, done.rowcount, day="")

    def pending(self, limit: int) -> list[Row]:
        """The oldest operations not yet delivered, in the order they were stored; none quarantined, none of a call that waited too long.

        Calls that did are dropped here, and not by the thread that stores: whoever asks has none of them in hand.
        """
        with self._base.reading():
            oldest = self._base.clock.age_s - self.limits.ttl_s
            with suppress(sqlite3.OperationalError):  # a full disk, say: they are not sent at least
                self.expire(oldest)
            rows = self._db.execute(
                "SELECT seq, span, kind, name, body, policy, seal FROM ops WHERE age_s >= ?"
                " AND seq > (SELECT coalesce(max(upto), 0) FROM quarantines) ORDER BY seq LIMIT ?",
                (oldest, limit),
            )
            return [Row(*row) for row in rows]

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

    def _arrived(self) -> None:
        self._db.execute("UPDATE senders SET arrived = arrived + 1 WHERE id = ?", (self._from,))

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

    # -- senders -------------------------------------------------------------------------------------------------------------------

    def heard(self, sender: str, offered: int, dropped: Mapping[str, int], acked: int | None = None) -> None:
        """What a recorder says of itself; its counts only grow. What is stored from now on, until another is heard, is its.

        Args:
            sender: the recorder's random id.
            offered: operations it was offered since it began.
            dropped: of these, what it dropped, by reason.
            acked: of these, what a relay has acknowledged; None from a recorder that does not tell. Where that is more than has arrived
                here, the rest was in an outbox that is no more.
        """
        row = self._db.execute("SELECT id, arrived, before, dropped_before FROM senders WHERE sender = ?", (sender,)).fetchone()
        if row is None:
            # An outbox older than its memory of senders had counted this one's before it was forgotten; a younger one never saw them.
            forgotten = bool(acked) and self.hour > SENDERS_H
            before, past = (acked or 0, dict(dropped)) if forgotten else (0, {})
            new = "INSERT INTO senders (sender, before, dropped_before) VALUES (?, ?, ?) RETURNING id"
            row = (self._db.execute(new, (sender, before, _json(past))).fetchone()[0], 0, before, _json(past))
        self._from, arrived, before, text = row
        past = msgspec.json.decode(text, type=dict[str, int]) if text != "{}" else {}
        told = {reason: n - past.get(reason, 0) for reason, n in dropped.items() if n > past.get(reason, 0)}
        self._db.execute(
            "UPDATE senders SET dropped = CASE WHEN ?1 >= offered THEN ?2 ELSE dropped END, offered = max(offered, ?1),"
            " lost = max(lost, ?3), hour = ?4 WHERE id = ?5",
            (offered - before - sum(past.values()), _json(told), (acked or 0) - before - arrived, self.hour, self._from),
        )

    def offer_here(self, sender: str, n: int) -> None:
        """Count operations the relay itself makes; what is stored from now on, until another is heard, is its."""
        (self._from,) = self._db.execute(
            "INSERT INTO senders (sender, offered, hour) VALUES (?, ?, ?) ON CONFLICT (sender) DO UPDATE SET"
            " offered = offered + excluded.offered, hour = excluded.hour RETURNING id",
            (sender, n, self.hour),
        ).fetchone()

    def senders(self) -> list[Sender]:
        """All recorders that are remembered; under an empty name, the sum of those that are not."""
        with self._base.reading():
            return self._senders("")

    def unsettled_senders(self) -> list[Sender]:
        """Those of which something is missing, or was dropped or lost."""
        with self._base.reading():
            return self._senders("WHERE offered != arrived OR lost != 0 OR dropped != '{}'")

    def offered(self) -> int:
        """What all recorders say they were offered."""
        with self._base.reading():
            return int(self._db.execute("SELECT coalesce(sum(offered), 0) FROM senders").fetchone()[0])

    def missing(self, sender: str) -> int:
        """What is still with a recorder, or under way."""
        return sum(found.missing for found in self._senders("WHERE sender = ?", sender))

    def _senders(self, where: str, *args: str) -> list[Sender]:
        now = time.monotonic()
        rows = self._db.execute(f"SELECT sender, offered, arrived, dropped, lost FROM senders {where}", args).fetchall()  # noqa: S608  # closed text
        return [
            Sender(sender, offered, arrived, msgspec.json.decode(dropped), lost, self.presence.silent_s(sender, now))
            for sender, offered, arrived, dropped, lost in rows
        ]


def _mark(span: str, op: str) -> bytes:
    return hashlib.blake2b(f"{op} {span}".encode(), digest_size=16).digest()


def _json(counts: Mapping[str, int]) -> str:
    return msgspec.json.encode(counts).decode()
