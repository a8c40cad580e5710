"""Batches that were sent and are not acknowledged yet: what is held, and when one of them is sent again.

A relay that is slow answers late, and sending it more makes it slower. So a batch goes out again only where there is a reason to think it
was not stored: its connection was lost, a batch sent after it was acknowledged, or nothing at all was heard for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OVERTAKEN_S: Final = 1.0
"""How long after a batch was sent it goes out again, where one sent later was acknowledged; doubles with each time."""
BACKOFF_MAX_S: Final = 60.0


@dataclass(slots=True)
class _Sent:
    data: bytes
    items: int
    size: int
    at: float | None  # None: not sent on the connection that stands
    first: int = 0  # when it was sent there first, counted in sendings, and last
    last: int = 0
    tries: int = 0


class Flight:
    """The un-acknowledged batches of one recorder. The relay takes and answers one sender's batches in order.

    Args:
        patience_s: silence after which the oldest batch is sent again, alone; doubles up to `BACKOFF_MAX_S` while the silence lasts.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = self._patient_s = patience_s
        self._sent: dict[int, _Sent] = {}
        self._sendings = self._answered = 0
        self._heard = 0.0

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, number: int, data: bytes, *, items: int, size: int) -> None:
        """Hold a batch, due at once: ``items`` records of ``size`` bytes."""
        self._sent[number] = _Sent(data, items, size, None)

    def due(self, now: float) -> tuple[int, bytes] | None:
        """The batch to send next, with its number; None when there is nothing to do but wait. ``now`` is monotonic seconds."""
        quiet_since = self._heard
        for number, sent in self._sent.items():
            if sent.at is None or self._overtaken(sent, now):
                return number, sent.data
            quiet_since = max(quiet_since, sent.at)
        if not self._sent or now - quiet_since <= self._patient_s:
            return None
        number, sent = next(iter(self._sent.items()))
        return number, sent.data

    def sent(self, number: int, now: float) -> None:
        """A batch was handed to the socket."""
        sent = self._sent[number]
        self._sendings += 1
        if sent.at is None:
            sent.first = self._sendings
        else:
            if sent.last >= self._answered:  # into silence
                self._patient_s = min(2 * self._patient_s, BACKOFF_MAX_S)
            sent.tries = min(sent.tries + 1, 16)
        sent.at, sent.last = now, self._sendings

    def acknowledge(self, number: int, now: float) -> tuple[int, int]:
        """The relay has stored a batch. Returns its records and their bytes; none for a batch that is not held."""
        self._heard, self._patient_s = now, self._patience_s
        done = self._sent.pop(number, None)
        if done is None:
            return 0, 0
        # Which of its sendings was answered is not known: only what went out before the first of them was surely passed over.
        self._answered = max(self._answered, done.first)
        if done.tries:  # perhaps the others of its time were not stored either: the next is tried soon
            self._patient_s = min(OVERTAKEN_S, self._patience_s)
        return done.items, done.size

    def lost_connection(self) -> None:
        """What was on the way is gone: all that is held goes out again, oldest first, once there is a connection."""
        for sent in self._sent.values():
            sent.at, sent.tries = None, 0
        self._patient_s = self._patience_s

    def _overtaken(self, sent: _Sent, now: float) -> bool:
        wait = min(OVERTAKEN_S * 2**sent.tries, BACKOFF_MAX_S)
        return sent.at is not None and sent.last < self._answered and now - sent.at > wait
