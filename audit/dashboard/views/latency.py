"""How long callers waited, tools took and calls lasted: histograms with their percentiles, and their trend. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from audit.calls.answers import Estimated
from audit.calls.index import CallIndex, Choice, Measure, Uses
from audit.dashboard.views import charts
from audit.dashboard.views.explanation import SLOW_MS
from audit.dashboard.views.parts import Panel, State, ms, of_rate, standing
from audit.report import charts as report_charts
from audit.report.content import Table
from audit.report.parts import counted, percent
from audit.timeline import Histogram

HOURS: Final = timedelta(hours=48)
"""A span up to this is shown by the hour."""
TOOLS_MAX: Final = 24
_COARSE: Final[Mapping[Measure, float]] = {"ttft_ms": 3_000.0, "tool_ms": 3_000.0, "session_ms": 600_000.0, "cost_usd": 0.1}
"""From where on the bins of `audit.timeline` are wider."""
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class LatencyView:
    """The latency page.

    Args:
        step: of the trends.
        answers: TTFT-A: its histogram, and its trend.
        tools: all tools together: histogram and trend.
        sessions: histogram and trend.
        by_tool: one panel a tool, with its histogram; by name, at most `TOOLS_MAX`, those used most.
        empty: whether nothing was measured at all; the panels then say what to do.
    """

    step: Literal["hour", "day"]
    answers: tuple[Panel, ...]
    tools: tuple[Panel, ...]
    sessions: tuple[Panel, ...]
    by_tool: tuple[Panel, ...]
    empty: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    """A measure and how it is told."""

    measure: Measure
    name: str
    title: str
    what: str
    about: str
    unit: str
    bins: str
    scale: float = 1.0
    limit: float | None = None


_FINE: Final = "Bars are 50 ms wide, from 3 s on half a second."
_ANSWERS: Final = _Kind(
    "ttft_ms", "ttft", "Time to first answer (TTFT-A)", "answered turn", "From the end of the caller's speech to the first sound.", "ms",
    _FINE, limit=SLOW_MS,
)  # fmt: skip
_TOOLS: Final = _Kind("tool_ms", "tools", "Tools", "use", "How long each use of a tool took, all tools together.", "ms", _FINE)
_SESSIONS: Final = _Kind(
    "session_ms", "sessions", "Sessions", "call", "How long calls lasted, those that have ended.", "s",
    "Bars are 15 s wide, from ten minutes on five minutes.", scale=1_000.0,
)  # fmt: skip


def latency(index: CallIndex, choice: Choice, now: datetime) -> LatencyView:
    """The latency of the calls of a choice.

    Where only a share of the calls is sent, percentiles and bars are estimated, each value by its weight (D. G. Horvitz and D. J. Thompson,
    Journal of the American Statistical Association 47 (1952)).

    Args:
        index: asked.
        choice: whose calls; a span of 48 hours or less is shown by the hour, else by the day.
        now: the span's end where the choice has none, with a zone.
    """
    step_s = step_of(choice, now)
    answers = _pair(index, choice, now, step_s, _ANSWERS)
    tools = _pair(index, choice, now, step_s, _TOOLS)
    sessions = _pair(index, choice, now, step_s, _SESSIONS)
    used = sorted(index.used(choice).items(), key=lambda item: (-item[1].n, item[0]))[:TOOLS_MAX]
    by_tool = tuple(_spread(index.histogram("tool_ms", choice, tool=name), _of_tool(name, uses)) for name, uses in sorted(used))
    empty = not any(panel.chart for panel in (*answers, *tools, *sessions))
    return LatencyView("hour" if step_s == _HOUR_S else "day", answers, tools, sessions, by_tool, empty)


def step_of(choice: Choice, now: datetime) -> int:
    """Seconds of a step of a choice's trends."""
    until = choice.until or now
    return _HOUR_S if choice.since is not None and until - choice.since <= HOURS else _DAY_S


def slug(name: str) -> str:
    """A name for links."""
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-") or "unnamed"


def _of_tool(name: str, uses: Uses) -> _Kind:
    about = f"{of_rate(uses.failed, uses.n)} failed."
    if uses.unsent:
        about = f"{uses.failed:,} of {standing(uses.n, uses.unsent, 'use')}, failed: about {percent(uses.rate)}."
    return _Kind("tool_ms", slug(name), name, "use", about, "ms", _FINE)


def _pair(index: CallIndex, choice: Choice, now: datetime, step_s: int, kind: _Kind) -> tuple[Panel, ...]:
    """The histogram and the trend of a measure; the trend is left out where nothing was measured."""
    spread = _spread(index.histogram(kind.measure, choice), kind)
    if spread.chart is None:
        return (spread,)
    points = [point for point in index.trend(kind.measure, choice, step_s=step_s) if point.p50 is not None]
    if not points:
        return (spread,)
    until = choice.until or max(now, points[-1].at + timedelta(seconds=step_s))
    since = max(choice.since, points[0].at - timedelta(seconds=step_s)) if choice.since is not None else points[0].at
    since = min(since, points[0].at)
    title = f"{kind.title} by {'hour' if step_s == _HOUR_S else 'day'}"
    drawing = charts.trend(
        points, since=since, until=until, step_s=step_s, title=title, unit=kind.unit, scale=kind.scale, limit=kind.limit
    )  # fmt: skip
    rows = tuple((charts.moment(p.at, step_s), f"{p.n:,}", *(_value(value, kind) for value in (p.p50, p.p95, p.p99))) for p in points)
    number = "#Number sent" if any(point.unsent for point in points) else "#Number"
    table = Table(f"{title}, UTC", ("Begins", number, "#p50", "#p95", "#p99"), rows, folded=True)
    words = "The band reaches from the median to the 95th percentile of each step; steps without a value are gaps."
    return spread, Panel(f"{kind.name}-trend", title, words=(words,), chart=drawing, table=table)


def _spread(held: Histogram, kind: _Kind) -> Panel:
    if not held.n or held.p50 is None or held.p95 is None or held.p99 is None or held.max is None:
        missing = f"No {kind.what} in these calls was measured."
        advice = "Choose a longer span or fewer filters. A project fills once the agent takes a call; to see what is not set up:"
        return Panel(kind.name, kind.title, words=(kind.about, missing, advice), do="phi-audit doctor")
    shown = {name: round(value / kind.scale, 0 if value / kind.scale >= 100 else 2) for name, value in marks(held).items()}
    edges = [edge / kind.scale for edge in held.edges]
    budgets = {} if kind.limit is None else {"limit of p95": kind.limit / kind.scale}
    drawing = report_charts.histogram(edges, held.counts, title=kind.title, unit=kind.unit, marks=shown, budgets=budgets)
    number = standing(held.n, held.unsent, kind.what) if isinstance(held, Estimated) else counted(held.n, kind.what)
    spread = f"{number}: p50 {ms(held.p50)}, p95 {ms(held.p95)}, p99 {ms(held.p99)}, longest {ms(held.max)}."
    state: State = "unknown"
    words = [kind.about, spread]
    if kind.limit is not None:
        state = "good" if held.p95 <= kind.limit else "bad"
        words.append(f"p95 {'is within' if state == 'good' else 'is above'} the limit of {ms(kind.limit)}.")
    if sum(n > 0 for n in held.counts) > 1 and held.max >= _COARSE[kind.measure]:
        words.append(kind.bins)  # each bar is drawn as wide as any other, so that a coarse one looks too tall
    return Panel(kind.name, kind.title, state, tuple(words), chart=drawing, table=_bins(held, kind))


def _bins(held: Histogram, kind: _Kind) -> Table:
    rows = [(f"{name}", "", _value(value, kind)) for name, value in (*marks(held).items(), ("longest", held.max))]
    last = len(held.counts) - 1
    for i, n in enumerate(held.counts):
        if n:
            low, high = held.edges[i] / kind.scale, held.edges[i + 1] / kind.scale
            rows.append((f"{low:g} {'and above' if i == last else f'to {high:g}'} {kind.unit}", f"{n:,}", ""))
    number = "#Number, about" if isinstance(held, Estimated) else "#Number"
    return Table(f"{kind.title}: percentiles and bins", ("What", number, "#Value"), tuple(rows), folded=True)


def marks(held: Histogram) -> dict[str, float]:
    """The percentiles by name, those there are."""
    found = {"p50": held.p50, "p95": held.p95, "p99": held.p99}
    return {name: value for name, value in found.items() if value is not None}


def _value(value: float | None, kind: _Kind) -> str:
    return ms(value) if kind.unit in {"ms", "s"} else f"{value}"
