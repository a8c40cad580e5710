"""What the outbox remembers of each call while it goes on: its opening, its consent, its cost, and what was done to its content."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from decimal import Decimal

from tracing.relay.database import Database
from tracing.relay.presence import Presence


class Calls:
    """The part of the outbox that knows calls.

    Args:
        base: the file.
    """

    def __init__(self, base: Database) -> None:
        self._base = base
        self.presence = Presence()

    @property
    def base(self) -> Database:
        """The file below."""
        return self._base

    @property
    def _db(self) -> sqlite3.Connection:
        return self._base.db

    @property
    def hour(self) -> int:
        """The hour of service it is."""
        return int(self._base.clock.served_s // 3600)

    def root_dropped(self, call: str) -> str:
        """Why the root of a call was dropped, empty where it was not: without it the call's other spans hang in the air."""
        row = self._db.execute("SELECT dark FROM calls WHERE call = ?", (call,)).fetchone()
        return str(row[0]) if row else ""

    def open_call(self, call: str, sender: str, opening: bytes) -> None:
        """Remember a call that began, so that it can be ended for an agent that dies."""
        self._touch(call)
        self._db.execute("UPDATE calls SET sender = ?, opening = ? WHERE call = ? AND closed = 0", (sender, opening, call))

    def note_consent(self, call: str, consent: str, guardrail: bytes | None = None) -> None:
        """Remember what a call's person consented to. A refusal stays one, whatever comes later.

        Args:
            call: trace id.
            consent: as the record says it.
            guardrail: the guardrail's opening record, which its end repeats.
        """
        self._touch(call)
        self._db.execute(
            "UPDATE calls SET consent = CASE consent WHEN 'refused' THEN consent ELSE ? END,"
            " guardrail = CASE closed WHEN 0 THEN coalesce(guardrail, ?) END WHERE call = ?",
            (consent, guardrail, call),
        )

    def consent(self, call: str) -> str:
        """What was noted; empty where nothing was."""
        row = self._db.execute("SELECT consent FROM calls WHERE call = ?", (call,)).fetchone()
        return str(row[0]) if row else ""

    def close_call(self, call: str) -> None:
        """The call's end was recorded."""
        self._touch(call)
        self._db.execute("UPDATE calls SET closed = 1, opening = NULL, guardrail = NULL WHERE call = ?", (call,))
        self.presence.forget(call)

    def open_calls(self) -> list[tuple[str, str, bytes, bytes | None]]:
        """``(call, sender, opening record, guardrail's record)`` of calls without an end."""
        with self._base.reading():
            return self._db.execute("SELECT call, sender, opening, guardrail FROM calls WHERE opening IS NOT NULL").fetchall()

    def add_cost(self, call: str, usd: str | None) -> None:
        """Add a turn's cost, or note that a price was unknown."""
        if usd is None:
            self._db.execute("UPDATE calls SET cost_unknown = 1 WHERE call = ?", (call,))
        else:
            row = self._db.execute("SELECT cost FROM calls WHERE call = ?", (call,)).fetchone()
            if row is not None:
                self._db.execute("UPDATE calls SET cost = ? WHERE call = ?", (str(Decimal(row[0]) + Decimal(usd)), call))

    def cost(self, call: str) -> tuple[float, bool]:
        """``(USD so far, whether some price was unknown)`` of a call."""
        row = self._db.execute("SELECT cost, cost_unknown FROM calls WHERE call = ?", (call,)).fetchone()
        return (float(row[0]), bool(row[1])) if row else (0.0, False)

    def add_redactions(self, call: str, fields: Mapping[str, int]) -> None:
        """Count what the policy did in a call, by field."""
        self._db.executemany(
            "INSERT INTO redactions VALUES (?, ?, ?) ON CONFLICT (call, field) DO UPDATE SET n = n + excluded.n",
            [(call, field, n) for field, n in fields.items()],
        )

    def redactions(self, call: str) -> dict[str, int]:
        """By policy field, how often it was redacted, dropped, cut or found not to fit."""
        return dict(self._db.execute("SELECT field, n FROM redactions WHERE call = ? ORDER BY field", (call,)).fetchall())

    def _touch(self, call: str) -> None:
        self._db.execute(
            "INSERT INTO calls (call, hour) VALUES (?, ?) ON CONFLICT DO UPDATE SET hour = excluded.hour WHERE hour != excluded.hour",
            (call, self.hour),
        )
