"""Bars over the length of a call, wrapped into strips as a text is into lines, so that a long call can be read on a narrow page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal, TypeAlias

from audit.report.charts import WIDTH
from audit.report.drawing import Drawing, Line, Rect, Shape, Words

Row: TypeAlias = Literal["caller", "agent", "tools"]
Kind: TypeAlias = Literal["speech", "wait_model", "wait_tool", "wait", "answer", "tool", "error"]
"""``wait`` is a wait of which neither model nor tool is known to have taken it; ``error`` a turn or a tool that failed."""

ROWS: Final[tuple[Row, ...]] = ("caller", "agent", "tools")
STRIPS_MAX: Final = 12
_LABELS: Final = 54
_LANE: Final[Mapping[Row, int]] = {"caller": 18, "agent": 18, "tools": 13}
_NAMES: Final[Mapping[Row, str]] = {"caller": "Caller", "agent": "Agent", "tools": "Tools"}
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
_LENGTHS: Final = (15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400)
_THIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Args:
        row: where it stands.
        lane: within its row, 0 at the top; tools that ran side by side have lanes of their own.
        start_s: seconds from the call's beginning.
        end_s: likewise, not before `start_s`.
        kind: what it shows.
        tip: the same in words.
        run_id: of the turn or tool.
        failed: whether it failed: shown by more than colour.
    """

    row: Row
    lane: int
    start_s: float
    end_s: float
    kind: Kind
    tip: str
    run_id: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis: seconds from the beginning, and how that is said (``1:30``)."""

    at_s: float
    label: str


def ticks(length_s: float, most: int = 12) -> tuple[Tick, ...]:
    """Round moments from 0 to the end, at most so many."""
    step = next((step for step in _STEPS if length_s / step < most), ceil(length_s / max(1, most - 1)))
    return tuple(Tick(float(i * step), clock(i * step)) for i in range(int(length_s // step) + 1))


def strips(bars: Sequence[Bar], lanes: Mapping[Row, int], length_s: float, *, title: str, told: str) -> Drawing:
    """The chart: at most `STRIPS_MAX` strips, each with its own axis; a bar that goes over an edge goes on in the next strip.

    Styles of the bars are ``bar`` and their kind with dashes, such as ``bar wait-model``; a failed one has a cross of style ``failed``.

    Args:
        bars: by their start.
        lanes: of each row; a row without any is left out.
        length_s: of the call.
        title: the chart's title.
        told: the same in words.
    """
    each = float(next((s for s in _LENGTHS if length_s <= s * STRIPS_MAX), ceil(length_s / STRIPS_MAX)))
    each = min(each, max(1.0, float(ceil(length_s))))
    inner = WIDTH - _LABELS - 12
    shapes: list[Shape] = []
    y = 4.0
    count = max(1, min(STRIPS_MAX, ceil(length_s / each)))
    for number in range(count):
        first, last = number * each, (number + 1) * each
        final = number == count - 1  # what begins with the call's end stands in it too
        here = [bar for bar in bars if (bar.start_s < last or final) and (bar.end_s > first or bar.start_s >= first)]
        tops, base = _tops(here, lanes, y)
        shapes += [Words(_LABELS - 8, top + 12, _NAMES[row], "end", "soft") for row, top in tops.items()]
        for tick in ticks(each, 7):
            x = _LABELS + inner * tick.at_s / each
            shapes.append(Line(x, y, x, base, "grid"))
            anchor: Literal["start", "middle", "end"] = "start" if not tick.at_s else "end" if tick.at_s >= each else "middle"
            shapes.append(Words(x, base + 13, clock(first + tick.at_s), anchor, "soft"))
        shapes.append(Line(_LABELS, base, WIDTH - 12, base, "axis"))
        for bar in here:
            left = _LABELS + inner * (max(bar.start_s, first) - first) / each
            right = _LABELS + inner * (min(bar.end_s, last) - first) / each
            wide, tall, top = max(_THIN, right - left), _LANE[bar.row] - 4, tops[bar.row] + bar.lane * _LANE[bar.row] + 1
            left = min(left, WIDTH - 12 - wide)
            shapes.append(Rect(left, top, wide, tall, f"bar {bar.kind.replace('_', '-')}", bar.tip))
            if bar.failed and bar.start_s >= first:
                shapes.append(Words(left + wide / 2, top + tall / 2 + 4, "✕", "middle", "failed"))
        y = base + 26
    return Drawing(title, told, y, tuple(shapes))


def _tops(bars: Sequence[Bar], lanes: Mapping[Row, int], y: float) -> tuple[dict[Row, float], float]:
    """Where each row begins in a strip, and where the strip ends; caller and agent have room in every strip, tools where some ran."""
    tops: dict[Row, float] = {}
    for row in ROWS:
        used = 1 + max((bar.lane for bar in bars if bar.row == row), default=-1)
        if row != "tools" and lanes.get(row):
            used = lanes[row]
        if used:
            tops[row] = y
            y += used * _LANE[row] + 2
    return tops, y


def clock(at_s: float) -> str:
    """Seconds from the beginning as ``1:05``, from an hour on as ``1:01:05``."""
    minutes, rest = divmod(int(at_s), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def seconds(length_s: float) -> str:
    """A length in seconds with a tenth, below ten seconds two of them."""
    return f"{length_s:.2f} s" if length_s < 10 else f"{length_s:.1f} s"
