"""What every detector promises, and how found stretches are put in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from phi_guard.model import Detection


class Detector(Protocol):
    """Finds what may identify a person in one text."""

    @property
    def name(self) -> str:
        """A short closed name, the first part of every source it gives."""

    def find(self, text: str) -> tuple[Detection, ...]:
        """Every stretch found, in order, none overlapping, all inside the text.

        Args:
            text: any string at all: empty, with lone surrogates, very long.

        Raises:
            DetectorUnavailable: the detector broke on the way, so nobody may take the text for clean.
        """


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A detector that is faster when it is given many texts at once."""

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """What `find` gives for each text, in their order.

        Args:
            texts: any strings, as many as fit in memory.

        Raises:
            DetectorUnavailable: as `find`; then none of the texts was judged.
        """


def find_many(detector: Detector, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
    """What a detector finds in each of many texts, in batches where it has them.

    Raises:
        DetectorUnavailable: as `Detector.find`.
    """
    if isinstance(detector, BatchDetector):
        return detector.find_many(texts)
    return [detector.find(text) for text in texts]


def merge(found: Iterable[Detection], length: int) -> tuple[Detection, ...]:
    """Detections in order of place, clipped to the text, overlapping ones joined into one.

    A joined detection takes the entity of its highest score (the longer one on a tie) and names all its sources, joined with ``+``.

    Args:
        found: detections in any order.
        length: characters of the text; what lies outside is cut, what is empty then is left out.
    """
    clipped = sorted(
        (d for d in (_clip(d, length) for d in found) if d.start < d.end),
        key=lambda d: (d.start, d.end, d.entity, d.source),
    )
    groups: list[list[Detection]] = []
    reach = -1
    for detection in clipped:
        if groups and detection.start < reach:
            groups[-1].append(detection)
        else:
            groups.append([detection])
        reach = max(reach, detection.end)
    return tuple(_join(group) for group in groups)


def _clip(detection: Detection, length: int) -> Detection:
    start, end = max(detection.start, 0), min(detection.end, length)
    if (start, end) == (detection.start, detection.end):
        return detection
    return Detection(start, end, detection.entity, detection.score, detection.source, detection.also)


def _join(group: list[Detection]) -> Detection:
    if len(group) == 1:
        return group[0]
    best = max(group, key=lambda d: (d.score, d.end - d.start))
    sources = dict.fromkeys(part for d in group for part in d.source.split("+"))
    also = frozenset[str]().union({d.entity for d in group}, *(d.also for d in group)) - {best.entity}
    return Detection(group[0].start, max(d.end for d in group), best.entity, best.score, "+".join(sources), also)
