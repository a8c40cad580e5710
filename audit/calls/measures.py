"""How numbers spread: histograms with exact percentiles, and their course over time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import Final

from audit.calls.answers import Measure, Point
from audit.calls.reading import moment
from audit.timeline import COST_EDGES, SESSION_EDGES, TTFT_EDGES, Histogram, percentile

EDGES: Final[Mapping[Measure, tuple[float, ...]]] = {
    "ttft_ms": TTFT_EDGES,
    "tool_ms": TTFT_EDGES,
    "session_ms": SESSION_EDGES,
    "cost_usd": COST_EDGES,
}
"""Of the bins of each measure."""


def spread(values: Iterable[float], edges: Sequence[float]) -> Histogram:
    """The histogram of values between edges, percentiles by nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return Histogram()
    at = [bisect_left(ordered, edge) for edge in edges]
    at[0], at[-1] = 0, len(ordered)  # the last bin holds what lies above it too
    counts = tuple(upper - lower for lower, upper in pairwise(at))
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Histogram(tuple(edges), counts, len(ordered), p50, p95, p99, ordered[-1], round(fsum(ordered), 6))


def course(values: Iterable[tuple[int, float, int]], step_s: int) -> tuple[Point, ...]:
    """The points of values, each with its instant in microseconds since 1970 and whether it failed; steps begin at its multiples."""
    if step_s <= 0:
        msg = "a step has at least one second"
        raise ValueError(msg)
    steps: dict[int, list[tuple[float, int]]] = {}
    for us, value, failed in values:
        steps.setdefault(us // (step_s * 1_000_000), []).append((value, failed))
    points = []
    for step, held in sorted(steps.items()):
        ordered = sorted(value for value, _ in held)
        p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        at = moment(step * step_s * 1_000_000)
        if at is not None:
            points.append(Point(at, len(ordered), p50, p95, p99, sum(failed for _, failed in held)))
    return tuple(points)
