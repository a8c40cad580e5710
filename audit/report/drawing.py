"""A chart as shapes: where lines, bars, dots and words stand. A page makes SVG of them, the PDF draws them, and both show the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Anchor: TypeAlias = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line; ``style`` says what it is for."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: str


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar, with what it says when pointed at."""

    x: float
    y: float
    wide: float
    tall: float
    style: str
    tip: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A dot, with what it says when pointed at."""

    x: float
    y: float
    style: str
    tip: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    style: str


@dataclass(frozen=True, slots=True)
class Words:
    """Some words; ``y`` is where they stand on."""

    x: float
    y: float
    text: str
    anchor: Anchor
    style: str = ""


Shape: TypeAlias = Line | Rect | Dot | Curve | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart.

    Args:
        title: what it shows.
        told: the same in words, for who cannot see it.
        height: in the units of the shapes; the width is `charts.WIDTH`. The origin is at the top left.
        shapes: in the order to be drawn.
    """

    title: str
    told: str
    height: float
    shapes: tuple[Shape, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that it shows."""
        tips = (shape.text if isinstance(shape, Words) else shape.tip for shape in self.shapes if isinstance(shape, Words | Rect | Dot))
        return (self.title, self.told, *tips)
