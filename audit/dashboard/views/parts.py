"""What every page is made of: a tile, a panel, and how numbers are said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from audit.calls.index import Choice
from audit.report.content import Table
from audit.report.drawing import Drawing
from audit.report.parts import counted, percent

State: TypeAlias = Literal["good", "watch", "bad", "unknown"]
"""How a number stands: as it must, close to its limit, beyond it, or not known."""
NONE: Final = "–"
"""Stands where there is no number."""
BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORST: Final[tuple[State, ...]] = ("bad", "watch", "unknown", "good")


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a page: words, a chart, and the same as a table.

    Args:
        name: for links, lower-case letters and dashes; unique on its page.
        title: its heading.
        state: how it stands; ``unknown`` also where nothing is judged.
        words: paragraphs; where something is missing, what is and why.
        do: the command that gets what is missing, or mends what is wrong; empty where nothing is to be done.
        chart: or None.
        table: the same as the chart, or what has no chart; None where there is nothing.
    """

    name: str
    title: str
    state: State = "unknown"
    words: tuple[str, ...] = ()
    do: str = ""
    chart: Drawing | None = None
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """One number of the overview.

    Args:
        name: for links, lower-case letters and dashes.
        label: what it is.
        value: as it is shown, with its unit; `NONE` where it is not known.
        state: how it stands.
        words: one sentence: against what it is held, or what to do.
        trend: seven numbers, oldest first, None where a step has none; None where there is no trend.
        link: path of the page that says more, such as ``/latency``.
    """

    name: str
    label: str
    value: str
    state: State
    words: str
    trend: tuple[float | None, ...] | None = None
    link: str = ""


def worst(states: Iterable[State]) -> State:
    """The state to be noticed first; ``unknown`` of none."""
    held = frozenset(states)
    return next((state for state in _WORST if state in held), "unknown")


def ms(value: float | None) -> str:
    """Milliseconds for a reader: whole below ten seconds, then seconds with a tenth, from two minutes on minutes and seconds."""
    if value is None:
        return NONE
    if value < 9_999.5:
        return f"{value:,.0f} ms"
    if value < 119_950:
        return f"{value / 1000:.1f} s"
    minutes, seconds = divmod(round(value / 1000), 60)
    return f"{minutes:,} min {seconds:02} s"


def usd(value: float | None) -> str:
    """US dollars for a reader: cents, and below ten cents four digits after the point."""
    if value is None:
        return NONE
    return f"${value:,.4f}" if 0 < abs(value) < 0.1 else f"${value:,.2f}"


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit, such as ``3 h`` or ``2 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 36 * 3600 else counted(round(seconds / 86_400), "day")


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, such as ``3 h ago``; one to come is said ``in 2 days``."""
    seconds = (now - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def of_rate(part: int, whole: int) -> str:
    """A share with its counts, such as ``3 of 40 (7.5 %)``."""
    return f"{part:,} of {whole:,} ({percent(part / whole)})" if whole else f"0 of {whole:,}"


def standing(n: int, unsent: float, word: str) -> str:
    """What so many that were sent stand for where only a share of the calls is, such as ``63 calls sent, standing for about 303``."""
    return f"{counted(n, word)} sent, standing for about {n + unsent:,.0f}"


def since_of(choice: Choice, now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of a choice: the beginning of all time, and now, where it has none."""
    return choice.since or BEGINNING, choice.until or now
