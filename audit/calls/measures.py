"""How numbers spread: histograms with exact percentiles, and their course over time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import fsum
from typing import Final

from audit.calls.answers import Estimated, Measure, Point
from audit.calls.reading import moment
from audit.timeline import COST_EDGES, SESSION_EDGES, TTFT_EDGES, Histogram, percentile

EDGES: Final[Mapping[Measure, tuple[float, ...]]] = {
    "ttft_ms": TTFT_EDGES,
    "tool_ms": TTFT_EDGES,
    "session_ms": SESSION_EDGES,
    "cost_usd": COST_EDGES,
}
"""Of the bins of each measure."""
_TIE: Final = 1e-12
"""Part of a sum of weights that its rounding may take."""


def spread(values: Iterable[float], edges: Sequence[float]) -> Histogram:
    """The histogram of values between edges, percentiles by nearest rank."""
    ordered = sorted(values)
    if not ordered:
        return Histogram()
    at = _borders(ordered, edges)
    counts = tuple(upper - lower for lower, upper in pairwise(at))
    p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
    return Histogram(tuple(edges), counts, len(ordered), p50, p95, p99, ordered[-1], round(fsum(ordered), 6))


def spread_weighed(values: Iterable[tuple[float, float]], edges: Sequence[float]) -> Histogram:
    """The same of values with their weights, of which some is above 1: counts, percentiles and the sum are estimates.

    Source: D. G. Horvitz and D. J. Thompson, Journal of the American Statistical Association 47 (1952).
    """
    pairs = sorted(values)
    if not pairs:
        return Histogram()
    ordered, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    at = _borders(ordered, edges)
    counts = tuple(round(fsum(weights[lower:upper])) for lower, upper in pairwise(at))
    p50, p95, p99 = (weighed_percentile(pairs, share) for share in (0.5, 0.95, 0.99))
    total = round(fsum(value * weight for value, weight in pairs), 6)
    unsent = fsum(weight - 1 for weight in weights)
    return Estimated(tuple(edges), counts, len(pairs), p50, p95, p99, ordered[-1], total, unsent)


def weighed_percentile(pairs: Sequence[tuple[float, float]], share: float) -> float | None:
    """The smallest value such that those up to it have at least ``share`` (0 to 1) of all weight; None of none.

    Where every weight is 1 that is the nearest rank of `audit.timeline.percentile`.

    Args:
        pairs: values in order, each with its weight.
        share: 0 to 1.
    """
    wanted, held = share * fsum(weight for _, weight in pairs) * (1 - _TIE), 0.0
    for value, weight in pairs:
        held += weight
        if held >= wanted:
            return value
    return pairs[-1][0] if pairs else None


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


def course_weighed(values: Iterable[tuple[int, float, int, float]], step_s: int) -> tuple[Point, ...]:
    """The same of values that have a weight beside, of which some is above 1."""
    if step_s <= 0:
        msg = "a step has at least one second"
        raise ValueError(msg)
    steps: dict[int, list[tuple[float, int, float]]] = {}
    for us, value, failed, weight in values:
        steps.setdefault(us // (step_s * 1_000_000), []).append((value, failed, weight))
    points = []
    for step, held in sorted(steps.items()):
        pairs = sorted((value, weight) for value, _, weight in held)
        p50, p95, p99 = (weighed_percentile(pairs, share) for share in (0.5, 0.95, 0.99))
        at = moment(step * step_s * 1_000_000)
        if at is not None:
            failures = [weight for _, failed, weight in held if failed]
            more, worse = fsum(weight - 1 for _, weight in pairs), fsum(weight - 1 for weight in failures)
            points.append(Point(at, len(pairs), p50, p95, p99, len(failures), more, worse))
    return tuple(points)


def _borders(ordered: Sequence[float], edges: Sequence[float]) -> list[int]:
    at = [bisect_left(ordered, edge) for edge in edges]
    at[0], at[-1] = 0, len(ordered)  # the last bin holds what lies above it too
    return at
