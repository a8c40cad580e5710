"""The charts: what becomes of counts, distributions and bounds as shapes. A few bars and lines need no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Final

from audit.known_answers import Recall
from audit.report.drawing import Curve, Dot, Drawing, Line, Rect, Shape, Words
from audit.report.parts import percent
from audit.statistics import upper_bound

WIDTH: Final = 640
ROW: Final = 26
LABELS: Final = 210
"""Units kept for the labels on the left of horizontal bars; a label takes about 7 a character."""
LABEL_MAX: Final = 28
_LEFT: Final = 40
_RIGHT: Final = 12
_FIFTIETHS: Final = 50


def histogram(
    edges: Sequence[float], counts: Sequence[int], *, title: str, unit: str, marks: Mapping[str, float], budgets: Mapping[str, float] = {}
) -> Drawing:
    """A distribution with its percentiles, against its budgets. Bins may differ in width: each is drawn as wide as any other.

    Args:
        edges: of the bins, rising, one more than ``counts``; the last bin also holds what lies above.
        counts: in each bin; at least one is not zero.
        title: the chart's title.
        unit: of the values, such as ``ms``.
        marks: percentiles by name.
        budgets: bars by name; one beyond the edges stands at the right.
    """
    base, shapes = 178, list[Shape]()
    held = [i for i, n in enumerate(counts) if n]
    reach = [i for i in range(len(counts)) if any(edges[i] <= b for b in budgets.values())]
    last = max(held[-1], min(reach[-1], held[-1] + max(10, held[-1])) if reach else 0)
    first = max(0, min(held[0], last - 10))
    shown = range(first, last + 1)
    inner, top = WIDTH - _LEFT - _RIGHT, max(counts)
    bar = inner / len(shown)

    def at(value: float) -> float:
        """Where a value stands, bin by bin."""
        for i in shown:
            if value < edges[i + 1]:
                return _LEFT + (i - first + max(0.0, value - edges[i]) / (edges[i + 1] - edges[i])) * bar
        return float(WIDTH - _RIGHT)

    shapes += [Line(_LEFT, base, WIDTH - _RIGHT, base, "axis"), Words(_LEFT - 6, 42, f"{top}", "end"), Words(_LEFT - 6, base, "0", "end")]
    for i in shown:
        if counts[i]:
            tall, above = 140 * counts[i] / top, i == len(counts) - 1
            tip = f"{edges[i]:g} {'and above' if above else f'to {edges[i + 1]:g}'} {unit}: {counts[i]}"
            shapes.append(Rect(_LEFT + (i - first) * bar + 0.5, base - tall, max(1.0, bar - 1), tall, "bar", tip))
    for i in sorted({first, first + len(shown) // 2, last + 1}):
        shapes.append(Words(_LEFT + (i - first) * bar, base + 16, f"{edges[i]:g}", "end" if i == last + 1 else "middle"))
    shapes.append(Words(WIDTH - _RIGHT, 16, unit, "end"))
    for i, (name, value) in enumerate(marks.items()):
        x = at(value)
        shapes += [Line(x, 28, x, base, f"mark m{i}"), Words(_LEFT + i * 190, base + 42, f"{name} {value:g} {unit}", "start", f"key m{i}")]
    for i, (name, value) in enumerate(budgets.items()):
        x = at(value)
        shapes += [Line(x, 28, x, base, "budget"), Words(_LEFT + i * 300, base + 62, f"{name} {value:g} {unit}", "start", "key budget")]
    told = f"{sum(counts)} values, " + ", ".join(f"{name} {value:g} {unit}" for name, value in (*marks.items(), *budgets.items()))
    return Drawing(title, told, base + (72 if budgets else 52), tuple(shapes))


def bars(counts: Mapping[str, int], *, title: str, style: str = "bar") -> Drawing:
    """Horizontal bars, one a name, in the order given; at least one."""
    top = max(counts.values()) or 1
    shapes = list[Shape]()
    for i, (name, n) in enumerate(counts.items()):
        y, wide = 8 + i * ROW, (WIDTH - LABELS - 60) * n / top
        shapes += [Words(LABELS - 8, y + 15, _short(name), "end"), Words(LABELS + wide + 8, y + 15, str(n), "start")]
        shapes.append(Rect(LABELS, y + 3, max(1.0, wide), ROW - 9, style, f"{name}: {n}"))
    return Drawing(title, "; ".join(f"{name}: {n}" for name, n in counts.items()), 16 + ROW * len(counts), tuple(shapes))


def columns(rows: Mapping[str, tuple[int, int]], *, title: str, whole: str, part: str) -> Drawing:
    """A column a day, and in it the part that is to be noticed.

    Args:
        rows: by day, the whole and the part; at least one.
        title: the chart's title.
        whole: what the columns count.
        part: what the lower, marked part of each counts.
    """
    base, inner = 160, WIDTH - _LEFT - _RIGHT
    top = max((max(row) for row in rows.values()), default=0) or 1
    wide = inner / len(rows)
    bar = min(60.0, max(1.0, wide - 2))
    shapes = list[Shape]([Line(_LEFT, base, WIDTH - _RIGHT, base, "axis"), Words(_LEFT - 6, 30, str(top), "end")])
    shapes.append(Words(_LEFT - 6, base, "0", "end"))
    for i, (day, (n, of)) in enumerate(rows.items()):
        x, tall, low = _LEFT + (i + 0.5) * wide - bar / 2, 134 * n / top, 134 * of / top
        tip = f"{day}: {n} {whole}, {of} {part}"
        if n:
            shapes.append(Rect(x, base - tall, bar, tall, "bar", tip))
        if of:
            shapes.append(Rect(x, base - low, bar, low, "bar bad", tip))
    days = list(rows)
    for i in sorted({0, len(days) // 2, len(days) - 1}):
        shapes.append(Words(_LEFT + (i + 0.5) * wide, base + 16, days[i], "start" if i == 0 and len(days) > 2 else "middle"))
    told = "; ".join(f"{day}: {n} {whole}, {of} {part}" for day, (n, of) in rows.items())
    return Drawing(title, told, base + 26, tuple(shapes))


def intervals(rows: Sequence[Recall], *, title: str, bar: float) -> Drawing:
    """Recall of each class and style: a dot for what was found, a line down to what that shows, and the bar it must reach.

    Args:
        rows: at least one.
        title: the chart's title.
        bar: 0 to 1.
    """
    inner, bottom = WIDTH - LABELS - 40, 14 + ROW * len(rows)
    shapes = list[Shape](Line(LABELS + inner * tick / 4, 8, LABELS + inner * tick / 4, bottom, "grid") for tick in range(5))
    shapes += [Words(LABELS + inner * tick / 4, bottom + 18, f"{tick * 25} %", "middle") for tick in range(5)]
    shapes.append(Line(LABELS + inner * bar, 8, LABELS + inner * bar, bottom, "mark m2"))
    for i, row in enumerate(rows):
        y = 14 + i * ROW + ROW / 2 - 4
        seen, low = LABELS + inner * (row.found / row.n if row.n else 0.0), LABELS + inner * row.at_least
        reached = "good" if row.at_least >= bar else "bad"
        tip = f"{row.kind}, {row.style}: {row.found} of {row.n}, at least {row.at_least:.1%}"
        shapes += [Words(LABELS - 8, y + 4, _short(f"{row.kind}, {row.style}"), "end"), Line(low, y, seen, y, f"interval {reached}")]
        shapes.append(Dot(seen, y, f"dot {reached}", tip))
    told = "; ".join(f"{row.kind} {row.style} {row.found} of {row.n}, at least {row.at_least:.1%}" for row in rows)
    return Drawing(title, f"The bar is {bar:.0%}. {told}", bottom + 28, tuple(shapes))


def bound(traces: int, upper: float, adjusted: float, *, title: str) -> Drawing:
    """What zero findings in n traces may be called, for n of 10 to 10,000 and more, and where this report stands.

    Args:
        traces: looked at, at least one.
        upper: the bound of this report.
        adjusted: the same divided by the recall shown.
        title: the chart's title.
    """
    base, inner = 178, WIDTH - 60 - _RIGHT
    most = max(4.0, log10(traces))
    least = min(-4.0, log10(max(upper, 1e-9)))

    def place(n: float, rate: float) -> tuple[float, float]:
        return 60 + inner * log10(n) / most, 20 + (base - 20) * log10(rate) / least

    shapes = list[Shape]()
    for power in range(int(-least) + 1):
        y = place(1, 10.0**-power)[1]
        shapes += [Line(60, y, WIDTH - _RIGHT, y, "grid"), Words(54, y + 4, f"{10.0 ** (2 - power):g} %", "end")]
    for power in range(int(most) + 1):
        x = place(10.0**power, 1)[0]
        shapes += [Line(x, 20, x, base, "grid"), Words(x, base + 16, f"{10**power:,}", "end" if power == most else "middle")]
    sizes = sorted({round(10 ** (most * i / _FIFTIETHS)) for i in range(_FIFTIETHS + 1)})
    shapes.append(Curve(tuple(place(n, upper_bound(0, n)) for n in sizes), "curve"))
    x, y = place(traces, max(upper, 1e-9))
    low = place(traces, max(adjusted, 1e-9))[1]
    shapes += [Line(x, y, x, low, "interval m1"), Dot(x, low, "dot m1", f"divided by the recall shown: {percent(adjusted)}")]
    shapes.append(Dot(x, y, "dot bar", f"{traces:,} traces: {percent(upper)}"))
    shapes.append(Words(60, base + 42, "line: no finding in so many traces", "start", "key"))
    shapes.append(Words(60 + inner / 2, base + 42, f"dots: here {percent(upper)}; by recall {percent(adjusted)}", "start", "key"))
    told = f"{traces:,} traces: at most {percent(upper)} leak (95 %, one-sided); divided by the recall shown, {percent(adjusted)}"
    return Drawing(title, told, base + 52, tuple(shapes))


def _short(name: str) -> str:
    return name if len(name) <= LABEL_MAX else f"{name[: LABEL_MAX - 1]}…"
