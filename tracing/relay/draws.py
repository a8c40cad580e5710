"""What the outbox remembers of sampling: which calls are held until their end, which were not drawn, and how many calls there were.

A held call's operations wait in the outbox as any others do, within its bounds; only the shipper does not see them.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from tracing.relay.database import Database
from tracing.relay.quarantine import Quarantine

HELD: Final = "held"
"""Nothing of the call is sent until it is decided."""
SENT: Final = "sent"
"""Its operations are sent as they come."""
OUT: Final = "out"
"""It had nothing to remark and was not drawn: nothing of it is sent."""
NOT_HELD: Final = "call NOT IN (SELECT call FROM draws WHERE state = 'held')"
"""For operations that may be sent."""
HOURS_KEPT: Final = 2_400
"""Hours of which it is known how many calls there were: a hundred days with calls in each, longer than any window that is audited."""


class Draws(Quarantine):
    """The part of the outbox that knows which calls are sent. In a file of a relay that does not sample there is nothing of it."""

    def __init__(self, base: Database) -> None:
        super().__init__(base)
        self._known: tuple[sqlite3.Connection, int] | None = None
        self._passed = 0

    def passed(self) -> tuple[int, int]:
        """Up to which number everything here is held, as far as this instance has looked; and the last number there is.

        Ten times a second thousands of held operations would be passed over, to find that there is nothing else. Since a held call may be
        sent at any time, what was passed is looked at again after each such decision; whatever else becomes free has a new number.
        """
        row = self._db.execute("SELECT value FROM meta WHERE key = 'kept'").fetchone()
        known = (self._db, int(row[0]) if row else 0)
        if self._known is None or self._known[0] is not known[0] or self._known[1] != known[1]:
            self._known, self._passed = known, 0
        (last,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM ops").fetchone()
        return self._passed, int(last)

    def passed_to(self, seq: int) -> None:
        """All up to this number is held."""
        self._passed = max(self._passed, seq)

    def draw_of(self, call: str) -> str:
        """`HELD`, `SENT` or `OUT`; empty for a call that sampling has not seen."""
        row = self._db.execute("SELECT state FROM draws WHERE call = ?", (call,)).fetchone()
        return str(row[0]) if row else ""

    def rate_of(self, call: str) -> float | None:
        """The chance that the call had of being sent: 1 where a rule kept it; None while it is open, and where nothing is sampled."""
        row = self._db.execute("SELECT rate FROM draws WHERE call = ? AND state = ?", (call, SENT)).fetchone()
        return float(row[0]) if row else None

    def begin_draw(self, call: str, state: str) -> None:
        """A call has begun."""
        hour = _hour(time.time())
        self._db.execute("INSERT OR IGNORE INTO draws VALUES (?, ?, 1, ?, ?)", (call, state, self.base.clock.age_s, hour))
        self._db.execute("INSERT INTO draw_hours (hour, begun) VALUES (?, 1) ON CONFLICT DO UPDATE SET begun = begun + 1", (hour,))

    def keep(self, call: str) -> None:
        """Send a call if it is held, for what happened in it, whatever would be drawn."""
        self._note_kept(self._db.execute("UPDATE draws SET state = ? WHERE call = ? AND state = ?", (SENT, call, HELD)).rowcount)

    def draw(self, call: str, rate: float) -> None:
        """Send a call that was held: it was drawn, as a call is with this chance."""
        self._note_draw(call, SENT, rate)
        self._note_kept(1)

    def keep_old(self, oldest_s: float) -> None:
        """Send every call that has been held since before an age of the outbox's clock."""
        self._note_kept(self._db.execute("UPDATE draws SET state = ? WHERE state = ? AND age_s < ?", (SENT, HELD, oldest_s)).rowcount)

    def calls_begun(self, hours: int = 24) -> int:
        """Calls that sampling saw begin in the clock's hour that has begun (UTC) and in those before it, so many in all.

        So 24 are the last 23 hours and what has gone of this one: fewer calls than a whole day's, and thus rather too many that are sent.
        """
        now = time.time()
        row = self._db.execute(
            "SELECT coalesce(sum(begun), 0) FROM draw_hours WHERE hour > ? AND hour <= ?", (_hour(now - hours * 3600), _hour(now))
        ).fetchone()
        return int(row[0])

    def is_quarantined(self, call: str) -> bool:
        """Whether something of a call must not be sent until a person releases it."""
        upto = "(SELECT coalesce(max(upto), 0) FROM quarantines)"
        return self._db.execute(f"SELECT 1 FROM ops WHERE call = ? AND seq <= {upto} LIMIT 1", (call,)).fetchone() is not None  # noqa: S608  # ours

    def forget_hours(self, marks_from: int) -> None:
        """Forget the oldest hours beyond `HOURS_KEPT`, and how many marks there were before an hour of service."""
        self._db.execute("DELETE FROM draw_marks WHERE hour < ?", (marks_from,))
        self._db.execute("DELETE FROM draw_hours WHERE hour NOT IN (SELECT hour FROM draw_hours ORDER BY hour DESC LIMIT ?)", (HOURS_KEPT,))

    def _count_marks(self, n: int) -> None:
        """So many of the marks of settled operations are of calls that were not drawn: no run stands for them anywhere."""
        self._db.execute("INSERT INTO draw_marks VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n", (self.hour, n))

    def _note_kept(self, n: int) -> None:
        """So many calls that were held are sent from now on: see `passed`."""
        if n:
            self._db.execute("INSERT INTO meta VALUES ('kept', '1') ON CONFLICT DO UPDATE SET value = value + 1")

    def _note_draw(self, call: str, state: str, rate: float) -> None:
        """What became of a held call, counted in the hour in which it began."""
        row = self._db.execute("UPDATE draws SET state = ?, rate = ? WHERE call = ? RETURNING hour", (state, rate, call)).fetchone()
        if row is not None:
            column = "out" if state == OUT else "drawn"
            self._db.execute(f"UPDATE draw_hours SET {column} = {column} + 1 WHERE hour = ?", row)  # noqa: S608  # ours


def _hour(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(seconds))
