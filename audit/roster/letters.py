"""Names spelled out: letter by letter, by the spelling alphabet, or with a word for each letter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SPELLED_MIN: Final = 3
"""Letters of a name that is found spelled out."""
_RUN_MAX: Final = 32

_NATO: Final = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu", "alfa", "juliet",
    "x-ray", "whisky",
)  # fmt: skip
"""The spelling alphabet of ICAO Annex 10, with the spellings a recogniser writes; each word begins with its letter."""
_LETTER: Final = (
    rf"(?:(?:double|triple)\s)?(?:(?:{'|'.join(_NATO)})\b"
    r"|[^\W\d_](?![^\W_'])(?:,?\s(?:as\sin|for|like|as|wie|comme)\s[^\W\d_]{2,15})?)"
)
_BETWEEN: Final = r"[\s.,;_-]{1,3}(?:(?:and|then|uh|um|er|capital|big|letter|et|und)\s){0,2}"
_RUN: Final = re.compile(rf"(?<![^\W_'])(?:{_LETTER})(?:{_BETWEEN}(?:{_LETTER})){{{SPELLED_MIN - 1},{_RUN_MAX}}}")
_UNIT: Final = re.compile(rf"(?<![^\W_']){_LETTER}")
_MAY: Final = re.compile(
    r"(?<![^\W_])[^\W\d_][\s.,;_-]{1,3}[^\W\d_](?![^\W_])"
    r"|\b(?:alpha|bravo|charlie|echo|foxtrot|kilo|oscar|romeo|sierra|tango|as in|double)\b"
)
_TIMES: Final = {"double": 2, "triple": 3}


@dataclass(frozen=True, slots=True)
class Spelled:
    """A run of letters.

    Args:
        letters: each.
        places: where each is said, in the folded text.
    """

    letters: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def words(self) -> Iterator[tuple[str, int, int]]:
        """Every word that may stand in the run, the longest first, with its place."""
        count = len(self.letters)
        for length in range(count, SPELLED_MIN - 1, -1):
            for first in range(count - length + 1):
                last = first + length - 1
                yield "".join(self.letters[first : last + 1]), self.places[first][0], self.places[last][1]


def spelled(folded: str) -> Iterator[Spelled]:
    """The runs of spelled letters in a folded text."""
    if _MAY.search(folded) is None:
        return
    for run in _RUN.finditer(folded):
        letters: list[str] = []
        places: list[tuple[int, int]] = []
        for unit in _UNIT.finditer(folded, *run.span()):
            first, _, rest = unit.group().partition(" ")
            times = _TIMES.get(first, 1) if rest else 1
            letters += [rest[:1] if times > 1 else first[:1]] * times
            places += [unit.span()] * times
        yield Spelled(tuple(letters[:_RUN_MAX]), tuple(places[:_RUN_MAX]))
