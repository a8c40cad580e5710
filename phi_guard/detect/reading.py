"""A text as it reads, with the way back to the text as given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from phi_guard.model import Detection


@dataclass(frozen=True, slots=True)
class Reading:
    """A text with its disguises undone.

    Args:
        text: as it reads.
        starts: for each character of it, where what it came from begins in the text as given.
        ends: likewise, where that ends.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def edited(self, edits: Iterable[tuple[int, int, str]]) -> Reading:
        """The reading with stretches replaced; one of the same length goes character for character, any other came from all of its stretch.

        Args:
            edits: start, end and replacement, offsets into `text`, in order, none overlapping.
        """
        chars: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        for start, end, new in edits:
            chars.append(self.text[at:start])
            starts += self.starts[at:start]
            ends += self.ends[at:start]
            chars.append(new)
            if len(new) == end - start:
                starts += self.starts[start:end]
                ends += self.ends[start:end]
            elif new:
                starts += [self.starts[start]] * len(new)
                ends += [self.ends[end - 1]] * len(new)
            at = end
        if not chars:
            return self
        chars.append(self.text[at:])
        return Reading("".join(chars), (*starts, *self.starts[at:]), (*ends, *self.ends[at:]))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of `text` stands in the text as given; not empty, and inside `text`."""
        return min(self.starts[start:end]), max(self.ends[start:end])

    def carried_back(self, found: Iterable[Detection]) -> list[Detection]:
        """Detections in `text`, at their places in the text as given; each source says that a disguise was undone."""
        return [
            Detection(*self.span(d.start, d.end), d.entity, d.score, f"normalise+{d.source}", d.also)
            for d in found
            if d.start < d.end <= len(self.text)
        ]


def as_given(text: str) -> Reading:
    """The reading that changes nothing."""
    return Reading(text, tuple(range(len(text))), tuple(range(1, len(text) + 1)))
