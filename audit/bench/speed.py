"""How long detectors take, text by text in turn, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Final

from audit.bench.corpus import Corpus, sample
from audit.timeline import percentile
from phi_guard.detect import Detector

TEXTS: Final = 200
"""Texts that are timed; p99 of them is the second longest."""
BUCKET: Final = 80
"""Characters a row of the report spans; the budgets are stated for 80."""
BUCKETS: Final = 5
"""Rows; the last holds everything longer."""
WARM_UP: Final = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """One detector on texts of about a length. The names are those of the JSON report.

    Args:
        detector: its name.
        characters: the bucket, such as ``1-80``; ``all`` for every text.
        n: how many texts were timed.
        p50_ms: milliseconds a text, nearest rank, as are the next.
        p99_ms: as above.
        max_ms: the longest.
        ratio: the median of its time over the rival's on the same text; None without a rival.
    """

    detector: str
    characters: str
    n: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    ratio: float | None


def draw(corpora: Sequence[Corpus], seed: int, most: int = TEXTS) -> tuple[str, ...]:
    """Texts to time: as many of each corpus as of any other, by a seed; none of a derived corpus.

    Args:
        corpora: any.
        seed: draws the same texts again.
        most: how many in all, at the most.
    """
    given = [corpus for corpus in corpora if not corpus.derived]
    each = -(-most // len(given)) if given else 0
    drawn = [[text.text for text in sample(corpus, each, seed).texts] for corpus in given]
    turns = [texts[i] for i in range(each) for texts in drawn if i < len(texts)]
    return tuple(turns[:most])


def time_each(
    detectors: Mapping[str, Detector], texts: Sequence[str], *, rival: str = "", clock: Callable[[], float] = perf_counter
) -> tuple[Timing, ...]:
    """The time of each detector on each text, in this process and on this thread; the order turns with every text.

    Args:
        detectors: loaded, by name.
        texts: to time, at least one; the first few are read once before, so that nothing is loaded on the clock.
        rival: the detector that ratios are to; empty for none.
        clock: seconds.
    """
    names = list(detectors)
    for text in texts[:WARM_UP]:
        for name in names:
            _find(detectors[name], text)
    times: dict[str, list[float]] = {name: [] for name in names}
    for i, text in enumerate(texts):
        for name in (*names[i % len(names) :], *names[: i % len(names)]):
            began = clock()
            _find(detectors[name], text)
            times[name].append((clock() - began) * 1_000)
    rows = {bucket: [i for i, text in enumerate(texts) if bucket_of(text) == bucket] for bucket in _buckets()} | {
        "all": list(range(len(texts)))
    }
    return tuple(
        _timing(name, bucket, [times[name][i] for i in held], [times[rival][i] for i in held] if rival in times else [])
        for bucket, held in rows.items()
        if held
        for name in names
    )


def bucket_of(text: str) -> str:
    """The row of the report that a text falls in."""
    return _buckets()[min(max(len(text) - 1, 0) // BUCKET, BUCKETS - 1)]


def _buckets() -> list[str]:
    return [*(f"{i * BUCKET + 1}-{(i + 1) * BUCKET}" for i in range(BUCKETS - 1)), f"over {(BUCKETS - 1) * BUCKET}"]


def _timing(name: str, bucket: str, own: list[float], rivals: list[float]) -> Timing:
    ordered = sorted(own)
    ratios = [mine / its for mine, its in zip(own, rivals, strict=True) if its > 0] if rivals else []
    return Timing(
        name,
        bucket,
        len(own),
        percentile(ordered, 0.5) or 0.0,
        percentile(ordered, 0.99) or 0.0,
        ordered[-1],
        median(ratios) if ratios else None,
    )


def _find(detector: Detector, text: str) -> None:
    with suppress(Exception):  # what it breaks on is counted where recall is; here only time is
        detector.find(text)
