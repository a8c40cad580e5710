"""What was answered before, as much of it as fits: the answer used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

MEMORY_MAX: Final = 20_000
"""Answers that are remembered."""
LONG: Final = 2_000
"""Characters of a text that is too long to be remembered: it stands in few runs, and many of them would fill the memory."""

_Answer = TypeVar("_Answer")


class Memo(Generic[_Answer]):
    """Answers by text, at most so many of them.

    Args:
        most: answers that are kept.
    """

    def __init__(self, most: int = MEMORY_MAX) -> None:
        self._most = most
        self._held: OrderedDict[str, _Answer] = OrderedDict()
        self._long: OrderedDict[str, _Answer] = OrderedDict()

    def get(self, text: str) -> _Answer | None:
        """The answer, or None where there is none any more."""
        held = self._held if len(text) <= LONG else self._long
        answer = held.get(text)
        if answer is not None:
            held.move_to_end(text)
        return answer

    def put(self, text: str, answer: _Answer) -> None:
        """Keep an answer, instead of the one used longest ago if there is no room."""
        held, most = (self._held, self._most) if len(text) <= LONG else (self._long, max(1, self._most // 100))
        held[text] = answer
        if len(held) > most:
            held.popitem(last=False)
