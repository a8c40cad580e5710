"""Who sends: each recorder, what it was offered, what of it has arrived, and what it dropped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from tracing.relay.database import Database
from tracing.relay.draws import Draws

SENDERS_H: Final = 24
"""After so many hours of service without a word from it, a recorder is no longer told apart from the others that are gone."""


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


class Senders(Draws):
    """The part of the outbox that knows recorders."""

    def __init__(self, base: Database) -> None:
        super().__init__(base)
        self._from = 0

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

    def _arrived(self) -> None:
        self._db.execute("UPDATE senders SET arrived = arrived + 1 WHERE id = ?", (self._from,))


def _json(counts: Mapping[str, int]) -> str:
    return msgspec.json.encode(counts).decode()
