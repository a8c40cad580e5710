"""Bounds what one text may cost: what lies far into a very long text is not read, and so counts as found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import find_many, merge
from phi_guard.model import Detection

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector

READ_MAX: Final = 6_000
"""Characters of a text that are read: three pages. All layers over all readings of them take seconds, which a hostile one multiplies."""

SEAM: Final = 200
"""Characters before that end which also count as found, since a value may lie across it."""


@dataclass(frozen=True, slots=True)
class BoundedDetector:
    """Its inner detector on the first part of a text; all that comes after it is found, as ``UNREADABLE``.

    Args:
        inner: what reads; its name is kept.
        most: characters that are read.
    """

    inner: Detector
    most: int = READ_MAX

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the inner detector finds, and the unread rest."""
        return self._with_rest(text, self.inner.find(text[: self.most]))

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text."""
        found = find_many(self.inner, [text[: self.most] for text in texts])
        return [self._with_rest(text, each) for text, each in zip(texts, found, strict=True)]

    def _with_rest(self, text: str, found: tuple[Detection, ...]) -> tuple[Detection, ...]:
        if len(text) <= self.most:
            return found
        rest = Detection(max(0, self.most - SEAM), len(text), "UNREADABLE", 1.0, "bounded.rest")
        return merge((*found, rest), len(text))
