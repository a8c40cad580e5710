"""Charts as inline SVG: a few bars and lines need no library. Each has a title and a description, and takes its colours from the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Final
from xml.sax.saxutils import escape

from markupsafe import Markup

from audit.known_answers import Recall
from audit.timeline import percentile

WIDTH: Final = 640
ROW: Final = 26
LABELS: Final = 210
"""Units kept for the labels on the left of horizontal bars; a label takes about 7 a character."""
LABEL_MAX: Final = 28


def histogram(values: Sequence[float], *, title: str, unit: str) -> Markup:
    """A histogram with its p50, p95 and p99 marked.

    Args:
        values: sorted, at least one.
        title: the chart's title.
        unit: of the values, such as ``ms``.
    """
    height, left, base = 230, 34, 170
    step = _round_step((values[-1] - values[0]) / 20 or 1)
    low = floor(values[0] / step) * step
    bins = [0] * max(1, ceil((values[-1] - low + step * 1e-9) / step) or 1)
    for value in values:
        bins[min(len(bins) - 1, int((value - low) / step))] += 1
    top, span = max(bins), step * len(bins)
    inner = WIDTH - left - 12
    bar = inner / len(bins)
    parts = [_line(left, base, WIDTH - 12, base, "axis"), _text(left - 6, 34, str(top), "end"), _text(left - 6, base, "0", "end")]
    for i, n in enumerate(bins):
        if n:
            tall = 140 * n / top
            tip = f"{low + i * step:g} to {low + (i + 1) * step:g} {unit}: {n}"
            parts.append(_rect(left + i * bar + 0.5, base - tall, max(1.0, bar - 1), tall, "bar", tip))
    ticks = sorted({0, len(bins) // 2, len(bins)})
    parts += [_text(left + i * bar, base + 16, f"{low + i * step:g}", "end" if i == len(bins) else "middle") for i in ticks]
    parts.append(_text(WIDTH - 12, 20, unit, "end"))
    marks = {f"p{share}": percentile(values, share / 100) or 0.0 for share in (50, 95, 99)}
    for i, (name, value) in enumerate(marks.items()):
        x = left + inner * min(1.0, (value - low) / span)
        parts.append(_line(x, 24, x, base, f"mark m{i}"))
        parts.append(_text(left + i * 200, base + 46, f"{name} {value:g} {unit}", "start", f"key m{i}"))
    told = f"{len(values)} values, " + ", ".join(f"{name} {value:g} {unit}" for name, value in marks.items())
    return _svg(height, title, told, parts)


def bars(counts: Mapping[str, int], *, title: str, style: str = "bar") -> Markup:
    """Horizontal bars, one a name, longest first as given; at least one."""
    top = max(counts.values()) or 1
    parts: list[str] = []
    for i, (name, n) in enumerate(counts.items()):
        y = 8 + i * ROW
        wide = (WIDTH - LABELS - 60) * n / top
        parts += [_text(LABELS - 8, y + 15, _short(name), "end"), _rect(LABELS, y + 3, max(1.0, wide), ROW - 9, style, f"{name}: {n}")]
        parts.append(_text(LABELS + wide + 8, y + 15, str(n), "start"))
    return _svg(16 + ROW * len(counts), title, "; ".join(f"{name}: {n}" for name, n in counts.items()), parts)


def intervals(rows: Sequence[Recall], *, title: str, bar: float) -> Markup:
    """Recall of each class and style: a dot for what was found, a line down to what that shows, and the bar it must reach.

    Args:
        rows: at least one.
        title: the chart's title.
        bar: 0 to 1.
    """
    inner, bottom = WIDTH - LABELS - 40, 14 + ROW * len(rows)
    parts = [_line(LABELS + inner * tick / 4, 8, LABELS + inner * tick / 4, bottom, "grid") for tick in range(5)]
    parts += [_text(LABELS + inner * tick / 4, bottom + 18, f"{tick * 25} %", "middle") for tick in range(5)]
    parts.append(_line(LABELS + inner * bar, 8, LABELS + inner * bar, bottom, "mark m2"))
    for i, row in enumerate(rows):
        y = 14 + i * ROW + ROW / 2 - 4
        seen, low = LABELS + inner * (row.found / row.n if row.n else 0.0), LABELS + inner * row.at_least
        reached = "good" if row.at_least >= bar else "bad"
        tip = f"{row.kind}, {row.style}: {row.found} of {row.n}, at least {row.at_least:.1%}"
        parts.append(_text(LABELS - 8, y + 4, f"{row.kind}, {row.style}", "end"))
        parts.append(_line(low, y, seen, y, f"interval {reached}"))
        parts.append(f'<circle class="dot {reached}" cx="{seen:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(tip)}</title></circle>')
    told = "; ".join(f"{row.kind} {row.style} {row.found} of {row.n}, at least {row.at_least:.1%}" for row in rows)
    return _svg(bottom + 28, title, f"The bar is {bar:.0%}. {told}", parts)


def _svg(height: float, title: str, description: str, parts: Sequence[str]) -> Markup:
    """The picture. Its text is escaped here and in `_text`, and its numbers are ours, so that it may stand in the page as it is."""
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    head = (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    )
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704  # every text in it went through escape()


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def _rect(x: float, y: float, wide: float, tall: float, style: str, tip: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" rx="2" class="{style}"><title>{escape(tip)}</title></rect>'
    )


def _short(name: str) -> str:
    return name if len(name) <= LABEL_MAX else f"{name[: LABEL_MAX - 1]}…"


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10 times a power of ten at or above a step."""
    scale = 10.0 ** floor(log10(step))
    return next(scale * n for n in (1, 2, 5, 10) if scale * n >= step * (1 - 1e-9))
