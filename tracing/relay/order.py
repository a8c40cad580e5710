"""Which of a recorder's batches came before which: whether one that tells a call's consent may still be under way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

GRACE_S: Final = 3.0
"""A relay that has just begun knows of no earlier batch; one that a recorder lost with the connection comes again within a second."""
OWED_MAX: Final = 64
"""Batches of one recorder that are remembered as missing; it has eight on the way at most."""
SENDERS_MAX: Final = 10_000
"""Recorders of which that is remembered at once; the longest unheard goes first."""


@dataclass(slots=True)
class _Line:
    top: int
    since: float
    owed: set[int] = field(default_factory=set)


class Order:
    """The numbers of batches that were seen, or passed over, and are not stored.

    A recorder counts its batches from 1 and sends them in that order; after a lost connection it begins with the oldest that is not
    acknowledged. So what stands before a batch and is neither owed nor young has come, or never will.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def hear(self, sender: str, number: int, now: float) -> bool:
        """A batch has come.

        Returns:
            Whether one before it may yet come.
        """
        line = self._lines.pop(sender, None)
        if line is None:
            # The first of all has nothing before it; another may be the first that this relay sees.
            line = _Line(number, now if number > 1 else float("-inf"))
            if len(self._lines) >= SENDERS_MAX:
                del self._lines[next(iter(self._lines))]
        self._lines[sender] = line
        if number > line.top:
            line.owed.update(range(max(line.top + 1, number - OWED_MAX), number))
            line.top = number
        line.owed.add(number)
        while len(line.owed) > OWED_MAX:
            line.owed.remove(min(line.owed))
        return min(line.owed) < number or now - line.since < GRACE_S

    def store(self, sender: str, number: int) -> None:
        """All of a batch is stored."""
        line = self._lines.get(sender)
        if line is not None:
            line.owed.discard(number)
