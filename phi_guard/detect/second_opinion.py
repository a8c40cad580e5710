"""Asks the costly detectors only where the first ones have left something to judge.

When all that is left of a text are words that are certainly harmless, a network could only take them for what they are not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import find_many, merge

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector
    from phi_guard.model import Detection

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True, slots=True)
class SecondOpinionDetector:
    """What the first detector finds, and what the others find in texts of which it has left a word that may be someone's.

    Args:
        first: always asked; its name is kept.
        others: asked one after the other, each while something is left to judge.
        harmless: words, lower-case, that are no one's name and no place's.
    """

    first: Detector
    others: tuple[Detector, ...]
    harmless: Collection[str]

    @property
    def name(self) -> str:
        """The first detector's."""
        return self.first.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """As `Detector.find`.

        Raises:
            DetectorUnavailable: one that was asked raised.
        """
        found = self.first.find(text)
        for other in self.others:
            if self._is_settled(text, found):
                break
            found = merge((*found, *other.find(text)), len(text))
        return found

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; each detector is given at once all the texts it is asked about.

        Raises:
            DetectorUnavailable: as `find`.
        """
        found = find_many(self.first, texts)
        for other in self.others:
            left = [i for i, text in enumerate(texts) if not self._is_settled(text, found[i])]
            more = find_many(other, [texts[i] for i in left])
            for i, added in zip(left, more, strict=True):
                found[i] = merge((*found[i], *added), len(texts[i]))
        return found

    def _is_settled(self, text: str, found: Sequence[Detection]) -> bool:
        return all(self._are_harmless(text[start:end]) for start, end in _gaps(found, len(text)))

    def _are_harmless(self, part: str) -> bool:
        rest = part.replace("’", "'").removeprefix("'s")  # of a name that was found
        return all(word.lower().removesuffix("'s") in self.harmless for word in _WORD.findall(rest))


def _gaps(found: Sequence[Detection], length: int) -> list[tuple[int, int]]:
    """The stretches between detections, which come in order and apart."""
    gaps, at = [], 0
    for detection in found:
        if detection.start > at:
            gaps.append((at, detection.start))
        at = detection.end
    gaps.append((at, length))
    return gaps
