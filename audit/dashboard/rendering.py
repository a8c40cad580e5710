"""The templates and how a page says things: times in UTC and how long ago, numbers with their units. Every text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from audit.dashboard.views.parts import NONE, ago, ms, span, usd
from audit.report import svg
from audit.report.html import prose, whole_options

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")
MARKS: Final[Mapping[str, str]] = {"good": "✓", "watch": "!", "bad": "✕", "unknown": "?"}
"""Beside each state's word, so that nothing is told by colour alone."""
WORDS: Final[Mapping[str, str]] = {"good": "good", "watch": "watch", "bad": "act", "unknown": "not known"}


@cache
def environment() -> Environment:
    """The templates, escaping everything; a name that is not given is a fault, not an empty place."""
    made = Environment(autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(TEMPLATES), trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "prose": prose, "command": whole_options, "ms": ms, "usd": usd, "count": count, "percent": percent, "utc": utc, "short": short,
        "instant": instant, "span": span, "twice": lambda text: (text, text),
    }  # fmt: skip
    made.globals |= {"draw": svg.draw, "NONE": NONE, "MARKS": MARKS, "WORDS": WORDS, "spark": spark}
    return made


def render(template: str, now: datetime, values: Mapping[str, Any]) -> str:
    """A page or a part of one.

    Args:
        template: its file.
        now: what relative times are held against.
        values: what it shows.
    """

    def when(moment: datetime | None, *, zone: bool = True) -> Markup:
        """A moment as a ``time`` element: in UTC, which it says unless a heading does, and how long ago."""
        if moment is None:
            return escape(NONE)
        iso = moment.astimezone(UTC).isoformat(timespec="seconds")
        told = f"{utc(moment)}," if zone else utc(moment).removesuffix(" UTC")
        return Markup('<time datetime="{}">{} <span class="soft ago">{}</span></time>').format(iso, told, ago(moment, now))

    return environment().get_template(template).render(**values, now=now, when=when)


def count(number: int | None) -> str:
    """A whole number with its thousands apart."""
    return NONE if number is None else f"{number:,}".replace(",", "\u202f")


def percent(share: float | None) -> str:
    """A share, 0 to 1, as per cent with one digit."""
    return NONE if share is None else f"{100 * share:.1f}\u00a0%"


def utc(moment: datetime | None) -> str:
    """Day and time to the second, in UTC and saying so."""
    return NONE if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def instant(text: str) -> datetime | None:
    """An ISO 8601 text as an instant; None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def short(identifier: str) -> str:
    """The beginning of an id, as long as it is told apart by in a list."""
    return identifier[:8] + "…" + identifier[-4:] if len(identifier) > 14 else identifier  # else it saves nothing


def spark(trend: tuple[float | None, ...]) -> Markup:
    """A trend as a line as small as a word: decoration, for the numbers stand on the page it leads to."""
    known = [value for value in trend if value is not None]
    if len(known) < 2:  # a line has two ends
        return Markup()
    low, high = min(known), max(known)
    step, tall = 96 / (len(trend) - 1), high - low
    at = [(2 + i * step, 22 - 18 * ((each - low) / tall if tall else 0.5)) for i, each in enumerate(trend) if each is not None]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    x, y = at[-1]
    return Markup(
        '<svg class="spark" viewBox="0 0 100 26" aria-hidden="true" focusable="false"><polyline points="{}"/>'
        '<circle cx="{}" cy="{}" r="2.6"/></svg>'
    ).format(points, f"{x:.1f}", f"{y:.1f}")
