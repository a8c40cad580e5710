"""Charts of the dashboard that a report has none of: a trend with its percentiles, and columns in parts. Shapes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, floor, log10
from typing import Final

from audit.calls.index import Point
from audit.report.charts import WIDTH
from audit.report.drawing import Curve, Dot, Drawing, Line, Rect, Shape, Words

_LEFT: Final = 52
_RIGHT: Final = 12
_TOP: Final = 28
_BASE: Final = 168
_LABELS_MAX: Final = 6


def trend(
    points: Sequence[Point],
    *,
    since: datetime,
    until: datetime,
    step_s: int,
    title: str,
    unit: str,
    scale: float = 1.0,
    limit: float | None = None,
) -> Drawing:
    """The median as a line, the 95th percentile as a second one, and the band between; steps without a value are gaps.

    Args:
        points: at least one with a value.
        since: left end of the axis.
        until: its right end, after `since`.
        step_s: seconds of a step.
        title: the chart's title.
        unit: of the values as shown.
        scale: a value is divided by it before it is shown.
        limit: a line to be held against, in the values' own unit; None for none.
    """
    held = [point for point in points if point.p50 is not None and point.p95 is not None]
    top = ceiling(max([limit or 0.0, *(point.p95 or 0.0 for point in held)]) / scale)
    length = max(1.0, (until - since).total_seconds())
    wide = max(1.5, (WIDTH - _LEFT - _RIGHT) * step_s / length)

    def x(at: datetime) -> float:
        place = _LEFT + (WIDTH - _LEFT - _RIGHT) * ((at - since).total_seconds() + step_s / 2) / length
        return min(max(place, float(_LEFT)), float(WIDTH - _RIGHT))

    def y(value: float | None) -> float:
        return _BASE - (_BASE - _TOP) * min(1.0, (value or 0.0) / scale / top)

    shapes = _frame(top, unit)
    if limit is not None:
        shapes += _limit(y(limit), limit / scale, unit, _LEFT + 300)
    for point in held:
        band = min(wide * 0.8, 24.0)
        tall = max(1.0, y(point.p50) - y(point.p95))
        shapes.append(Rect(x(point.at) - band / 2, y(point.p95), band, tall, "band", _tip(point, step_s, unit, scale)))
    for name, style in (("p95", "curve p95"), ("p50", "curve p50")):
        for run in _runs(held, step_s):
            if len(run) > 1:
                shapes.append(Curve(tuple((x(point.at), y(getattr(point, name))) for point in run), style))
            else:  # a step alone has no line to be on
                shapes.append(Dot(x(run[0].at), y(getattr(run[0], name)), "dot bar", _tip(run[0], step_s, unit, scale)))
    shapes += _moments(since, until, step_s)
    shapes.append(Words(_LEFT, _BASE + 40, "lower line: p50", "start", "key p50"))
    shapes.append(Words(_LEFT + 150, _BASE + 40, "upper line: p95", "start", "key p95"))
    told = "; ".join(_tip(point, step_s, unit, scale) for point in held)
    return Drawing(title, told, _BASE + 50, tuple(shapes))


def stacked(
    rows: Mapping[str, Sequence[float]], *, parts: Sequence[str], title: str, unit: str, limit: float | None = None, running: bool = False
) -> Drawing:
    """Columns made of parts, the first at the bottom, each with a style of its own, ``bar part0`` and so on.

    Args:
        rows: by step, in order, a number a part; at least one.
        parts: their names.
        title: the chart's title.
        unit: written after numbers.
        limit: a line to be held against, or None.
        running: whether each column also holds those before it.
    """
    sums = [0.0] * len(parts)
    shown: dict[str, tuple[float, ...]] = {}
    for name, row in rows.items():
        sums = [before + n for before, n in zip(sums, row, strict=True)] if running else list(row)
        shown[name] = tuple(sums)
    top = ceiling(max([limit or 0.0, *(sum(row) for row in shown.values())]))
    step = (WIDTH - _LEFT - _RIGHT) / len(shown)
    wide = min(48.0, max(1.0, step - 2))
    shapes = _frame(top, unit)
    for i, (name, row) in enumerate(shown.items()):
        low, left = float(_BASE), _LEFT + (i + 0.5) * step - wide / 2
        tip = f"{name}: " + ", ".join(f"{part} {n:,.4g} {unit}".rstrip() for part, n in zip(parts, row, strict=True))
        for k, n in enumerate(row):
            tall = (_BASE - _TOP) * n / top
            if n > 0:
                shapes.append(Rect(left, low - tall, wide, max(0.5, tall), f"bar part{k}", tip))
            low -= tall
    if limit is not None:
        shapes += _limit(_BASE - (_BASE - _TOP) * limit / top, limit, unit, _LEFT + 150 * (len(parts) if len(parts) > 1 else 0))
    names = list(shown)
    for i in sorted({0, len(names) // 2, len(names) - 1}):
        shapes.append(Words(_LEFT + (i + 0.5) * step, _BASE + 16, names[i], "middle"))
    shapes += [Words(_LEFT + 150 * k, _BASE + 40, part, "start", f"key part{k}") for k, part in enumerate(parts)] if len(parts) > 1 else []
    told = "; ".join(f"{name}: " + ", ".join(f"{part} {n:,.4g}" for part, n in zip(parts, row, strict=True)) for name, row in shown.items())
    return Drawing(title, told, _BASE + (50 if len(parts) > 1 or limit is not None else 26), tuple(shapes))


def ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten: where an axis ends. 1 for nothing, or next to it."""
    if value < 1e-9:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return float(next(round(step * power, 12) for step in (1, 2, 2.5, 5, 10) if step * power >= value * (1 - 1e-12)))


def _frame(top: float, unit: str) -> list[Shape]:
    shapes = list[Shape]()
    for quarter in range(5):
        y = _BASE - (_BASE - _TOP) * quarter / 4
        shapes.append(Line(_LEFT, y, WIDTH - _RIGHT, y, "grid" if quarter else "axis"))
        shapes.append(Words(_LEFT - 6, y + 4, number(top * quarter / 4), "end", "soft"))
    shapes.append(Words(_LEFT - 6, _TOP - 12, unit, "end", "soft"))
    return shapes


def _runs(points: Sequence[Point], step_s: int) -> list[list[Point]]:
    """Points in a row without a missing step between."""
    runs = [[point] for point in points[:1]]
    for before, point in pairwise(points):
        if (point.at - before.at).total_seconds() <= step_s * 1.5:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _moments(since: datetime, until: datetime, step_s: int) -> list[Shape]:
    """The axis of time: at most so many words, at the beginning of a step."""
    steps = max(1, ceil((until - since).total_seconds() / step_s))
    every = max(1, ceil(steps / _LABELS_MAX))
    length = max(1.0, (until - since).total_seconds())
    shapes = list[Shape]()
    for i in range(0, steps, every):
        at = since + timedelta(seconds=i * step_s)
        place = min(_LEFT + (WIDTH - _LEFT - _RIGHT) * (i * step_s + step_s / 2) / length, WIDTH - _RIGHT - 20.0)
        shapes.append(Words(place, _BASE + 16, moment(at, step_s), "middle", "soft"))
    return shapes


def moment(at: datetime, step_s: int) -> str:
    """A step's name: the day, or the day and hour where a step is shorter than a day. UTC."""
    return at.strftime("%d %b") if step_s >= 86_400 else at.strftime("%d %b %H:%M")


def _tip(point: Point, step_s: int, unit: str, scale: float) -> str:
    p50, p95 = (number((value or 0.0) / scale) for value in (point.p50, point.p95))
    return f"{moment(point.at, step_s)}: p50 {p50} {unit}, p95 {p95} {unit}, n {point.n:,}"


def number(value: float) -> str:
    """A number with at most four digits that count, grouped."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _limit(y: float, value: float, unit: str, x: float) -> list[Shape]:
    """A line that is not to be passed, and what it is, below the axis where nothing lies over it."""
    text = f"limit {number(value)} {unit}".rstrip()
    return [Line(_LEFT, y, WIDTH - _RIGHT, y, "budget"), Words(x, _BASE + 40, text, "start", "key budget")]
