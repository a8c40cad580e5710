"""What waited when the switch went off, and is not sent when it is on again, until a person who has a report that says GO releases it.

An operation is known for quarantined by its number: all up to the last mark are. So to quarantine a full outbox is one row, and a disk
that is nearly full does not stop it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from phi_guard.switch_state import LEAK, SwitchState, now_after
from tracing.relay.calls import Calls
from tracing.relay.salvage import MET, PENDING, QUARANTINED

SWITCH_OFF: Final = "switch_off"
"""The switch was turned off."""
REASONS: Final = (SWITCH_OFF, LEAK, MET)
"""Why an operation is quarantined; the second where the switch was held for a leak, the third what the last look itself met."""
STEP: Final = 500
"""Operations released in one transaction: the relay stores between two of them."""

_UPTO: Final = "(SELECT coalesce(max(upto), 0) FROM quarantines)"
_MOVED: Final = "UPDATE totals SET n = n + ?1 WHERE day = '' AND state = ?2 AND reason = ?3 AND withheld = ?4"


@dataclass(frozen=True, slots=True)
class Held:
    """Operations quarantined for one reason at one time.

    Args:
        upto: number of the last of them; of all ranges that differ, the name.
        reason: one of `REASONS`.
        at: when, ISO 8601 in UTC.
        operations: how many there still are.
        calls: of how many calls.
        oldest_s: for how long the oldest of them has been in the outbox, seconds.
    """

    upto: int
    reason: str
    at: str
    operations: int
    calls: int
    oldest_s: float


class Quarantine(Calls):
    """The part of the outbox that knows what must not be sent."""

    def follow(self, state: SwitchState) -> None:
        """Bring the outbox in line with the switch.

        Where the switch was turned off, all that waits is quarantined; also where it is on again and was off while nobody looked. Where it
        is off only for a doubt, a server that does not answer, say, what waits goes on waiting: whether somebody turned it off meanwhile
        is told by since when it is on.

        Args:
            state: the switch's, just read.

        Raises:
            sqlite3.Error: nothing can be stored now; nothing may be sent either.
        """
        if not state.on and not state.at:
            return
        since = state.at if state.on else ""
        with self.base.reading():
            row = self._db.execute("SELECT value FROM meta WHERE key = 'on_since'").fetchone()
            known = None if row is None else str(row[0])
            waits = self._db.execute(f"SELECT 1 FROM ops WHERE seq > {_UPTO} LIMIT 1").fetchone()  # noqa: S608  # ours
        if known == since and (state.on or not waits):
            return
        with self.base.writing():
            row = self._db.execute("SELECT value FROM meta WHERE key = 'on_since'").fetchone()
            known = None if row is None else str(row[0])
            if known == since and state.on:
                return  # another thread has followed meanwhile, and what it stored since came after
            if not state.on or (known and known != since):
                self.quarantine(LEAK if state.hold == LEAK else SWITCH_OFF)
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('on_since', ?)", (since,))

    def quarantine(self, reason: str) -> None:
        """Quarantine all that waits, in the transaction that is under way."""
        (last,) = self._db.execute(f"SELECT max(seq) FROM ops WHERE seq > {_UPTO}").fetchone()  # noqa: S608  # ours
        if last is None:
            return
        self._db.execute("INSERT INTO quarantines VALUES (?, ?, ?)", (last, reason, now_after("")))
        for withheld, n in self._db.execute(
            "SELECT withheld, n FROM totals WHERE day = '' AND state = ? AND n != 0", (PENDING,)
        ).fetchall():
            self._move((PENDING, "", withheld), (QUARANTINED, reason, withheld), n)

    def note_met(self, seqs: Iterable[int]) -> None:
        """Remember which operations the last look met, and quarantine all that waits: they are never released."""
        with self.base.writing():
            self.quarantine(LEAK)
            for seq in seqs:
                state, reason = self.standing(seq)
                row = self._db.execute("SELECT withheld FROM ops WHERE seq = ?", (seq,)).fetchone()
                if row is not None and reason != MET:
                    self._db.execute("INSERT INTO met VALUES (?)", (seq,))
                    self._move((state, reason, row[0]), (QUARANTINED, MET, row[0]), 1)

    def standing(self, seq: int) -> tuple[str, str]:
        """``(state, reason)`` under which an operation that is here is counted."""
        row = self._db.execute("SELECT reason FROM quarantines WHERE upto >= ? ORDER BY upto LIMIT 1", (seq,)).fetchone()
        if row is None:
            return PENDING, ""
        met = self._db.execute("SELECT 1 FROM met WHERE seq = ?", (seq,)).fetchone()
        return QUARANTINED, MET if met else str(row[0])

    def held(self) -> list[Held]:
        """What is quarantined, oldest first."""
        with self.base.snapshot():
            ranges = self._db.execute("SELECT upto, reason, at FROM quarantines ORDER BY upto").fetchall()
            found, before = [], 0
            for upto, reason, at in ranges:
                for why, test in ((reason, "NOT IN"), (MET, "IN")):
                    n, calls, first = self._db.execute(
                        "SELECT count(*), count(DISTINCT call), min(age_s) FROM ops"  # noqa: S608  # closed text
                        f" WHERE seq > ? AND seq <= ? AND seq {test} (SELECT seq FROM met)",
                        (before, upto),
                    ).fetchone()
                    if n:
                        found.append(Held(upto, why, at, n, calls, max(0.0, self.base.clock.age_s - first)))
                before = upto
            return found

    def release(self, reasons: Iterable[str] = (SWITCH_OFF, LEAK)) -> int:
        """Let what is quarantined wait again, behind what waits, in its own order; how many operations.

        The shipper looks at each anew: at its seal and its policy, and the last look at its bytes. What that met stays.
        """
        chosen, done = tuple(set(reasons) - {MET}), 0
        while chosen and (n := self._release_some(chosen)):
            done += n
        return done

    def _release_some(self, reasons: tuple[str, ...]) -> int:
        with self.base.writing():
            rows = self._db.execute(
                f"SELECT seq, withheld FROM ops WHERE seq <= {_UPTO} AND seq NOT IN (SELECT seq FROM met) AND"  # noqa: S608  # ours
                f" (SELECT reason FROM quarantines WHERE upto >= seq ORDER BY upto LIMIT 1) IN ({', '.join('?' * len(reasons))})"
                " ORDER BY seq LIMIT ?",
                (*reasons, STEP),
            ).fetchall()
            (last,) = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'ops'").fetchone() or (0,)
            for n, (seq, withheld) in enumerate(rows, last + 1):
                state, reason = self.standing(seq)
                self._db.execute("UPDATE ops SET seq = ? WHERE seq = ?", (n, seq))
                self._move((state, reason, withheld), (PENDING, "", withheld), 1)
            self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'ops'", (last + len(rows),))
            return len(rows)

    def _move(self, source: tuple[str, str, str], target: tuple[str, str, str], n: int) -> None:
        self._db.execute(_MOVED, (-n, *source))
        self._db.execute("INSERT INTO totals VALUES ('', ?2, ?3, ?4, ?1) ON CONFLICT DO UPDATE SET n = n + ?1", (n, *target))
