"""What failed: calls, tools and errors by their class, and the rate's trend. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from math import fsum
from typing import Final

from audit import statistics
from audit.calls.index import CallIndex, Choice, Point, Uses
from audit.calls.weighing import Share, interval
from audit.dashboard.views.charts import moment
from audit.dashboard.views.latency import step_of
from audit.dashboard.views.parts import Panel, State, of_rate, since_of, standing
from audit.report import charts
from audit.report.content import Table
from audit.report.parts import percent

CALLS_MAX: Final = 0.05
"""Share of calls that may fail: the requirements' section 15."""
TOOLS_MAX: Final = 0.10
"""Share of uses of tools that may fail: likewise."""
LEAST: Final = 5
"""Calls, or uses, below which a share is not called bad: at ten calls a day one failure is not 10 %."""
ROWS_MAX: Final = 40
DAYS_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class ErrorsView:
    """The errors page.

    Args:
        rate: calls that failed against 5 %, with the exact interval, and their trend.
        classes: spans by ``<class>: <code>``.
        tools: uses and failures of each tool against 10 %.
        worst: trace ids that count most against the rates, at most five each, by the name of the alert they count for: ``error_rate``,
            ``ttft_p95``, ``tool_failure``, ``span_drop``.
    """

    rate: Panel
    classes: Panel
    tools: Panel
    worst: Mapping[str, tuple[str, ...]]

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them in order."""
        return self.rate, self.classes, self.tools


def errors(index: CallIndex, choice: Choice, now: datetime) -> ErrorsView:
    """What failed in the calls of a choice.

    Where only a share of the calls is sent, shares are estimated (D. G. Horvitz and D. J. Thompson, Journal of the American Statistical
    Association 47 (1952)), and what is counted is said to be of what was sent.

    Args:
        index: asked.
        choice: whose calls; for the rate of calls only its span, project and environment count.
        now: the span's end where the choice has none, with a zone.
    """
    since, until = since_of(choice, now)
    rates = index.rates(since, until, choice)
    return ErrorsView(
        rate=_rate(rates.ended, index.trend("session_ms", choice, step_s=(step := step_of(choice, now))), step),
        classes=_classes(index.errors(choice)),
        tools=_tools(index.used(choice)),
        worst=rates.worst,
    )


def judge(bad: int, n: int, limit: float, rate: float | None = None) -> State:
    """How a share stands: bad above the limit with at least two of `LEAST` or more; watch where it is above and rests on fewer.

    Args:
        bad: of ``n``, as they were sent.
        n: likewise.
        limit: of the share.
        rate: the share, where it is estimated and not that of the counts.
    """
    if not n:
        return "unknown"
    if (bad / n if rate is None else rate) <= limit:
        return "good"
    return "bad" if bad >= 2 and n >= LEAST else "watch"


def _rate(share: Share, points: tuple[Point, ...], step_s: int) -> Panel:
    title = "Calls that failed"
    calls, failed, unsent = share.n, share.bad, share.about - share.n
    if not calls or share.rate is None:
        return Panel("rate", title, words=("No call ended in this span.", "Choose a longer span, or wait for the first call to end."))
    state = judge(failed, calls, CALLS_MAX, share.rate)
    held = _interval(share)
    words = [
        f"{of_rate(failed, calls)} of the calls that ended failed; the limit is {percent(CALLS_MAX)}.",
        f"So many calls leave open a rate of {percent(held.low)} to {percent(held.value)} ({held.method}, two-sided, 95 %).",
    ]
    if unsent:
        words[0] = (
            f"About {percent(share.rate)} of the calls that ended failed, {failed:,} of {standing(calls, unsent, 'call')};"
            f" the limit is {percent(CALLS_MAX)}. Calls that fail are all sent, of the others a share."
        )
    if state == "watch":
        words.append(f"That is above the limit, but rests on too few to be called bad: at least 2 failures in {LEAST} calls.")
    shown = points[-DAYS_MAX:]
    if any(point.unsent for point in shown):
        return _estimated(Panel("rate", title, state, tuple(words)), shown, step_s)
    rows = {moment(point.at, step_s): (point.n, point.failed) for point in shown}
    chart = charts.columns(rows, title="Ended calls, and those that failed", whole="calls", part="failed") if rows else None
    cells = tuple((name, f"{n:,}", f"{bad:,}", percent(bad / n) if n else "–") for name, (n, bad) in rows.items())
    table = Table("Ended calls, UTC", ("Begins", "#Calls", "#Failed", "#Share"), cells, folded=True) if cells else None
    return Panel("rate", title, state, tuple(words), chart=chart, table=table)


def _estimated(panel: Panel, points: tuple[Point, ...], step_s: int) -> Panel:
    """The rate's panel with its trend, where points stand for more than was sent."""
    held = [(moment(p.at, step_s), p.n, p.n + p.unsent, p.failed + p.failed_unsent) for p in points]
    rows = {name: (round(about), round(bad)) for name, _, about, bad in held}
    chart = charts.columns(rows, title="Ended calls, and those that failed, about", whole="calls", part="failed")
    cells = tuple((name, f"{n:,}", f"{about:,.0f}", f"{bad:,.0f}", percent(bad / about)) for name, n, about, bad in held)
    names = ("Begins", "#Calls sent", "#Calls, about", "#Failed, about", "#Share, about")
    return replace(panel, chart=chart, table=Table("Ended calls, UTC", names, cells, folded=True))


@lru_cache(maxsize=64)
def _interval(share: Share) -> statistics.Bound:
    """The exact interval, which takes a while over thousands of calls: kept while the counts are the same."""
    return interval(share)


def _classes(counts: Mapping[str, int]) -> Panel:
    title = "Errors by class"
    if not counts:
        return Panel("classes", title, "good", ("No span of these calls has an error.",))
    top = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:ROWS_MAX])
    text = "Classes and codes out of a closed list; what an exception said never leaves the agent, for it can hold a patient's data."
    table = Table("Spans with an error", ("Class and code", "#Spans"), tuple((name, f"{n:,}") for name, n in top.items()), folded=True)
    return Panel("classes", title, "watch", (text,), chart=charts.bars(top, title="Errors by class", style="bar bad"), table=table)


def _tools(used: Mapping[str, Uses]) -> Panel:
    title = "Tools that failed"
    if not used:
        return Panel("tools", title, words=("No tool ran in these calls.",))
    every = together(used)
    state = judge(every.failed, every.n, TOOLS_MAX, every.rate)
    rows = sorted(used.items(), key=lambda item: (-item[1].failed, -item[1].n, item[0]))[:ROWS_MAX]
    words = [f"{of_rate(every.failed, every.n)} of the uses of tools failed; the limit is {percent(TOOLS_MAX)}."]
    if every.unsent:
        words[0] = (
            f"About {percent(every.rate)} of the uses of tools failed, {every.failed:,} of {standing(every.n, every.unsent, 'use')};"
            f" the limit is {percent(TOOLS_MAX)}."
        )
    over = [name for name, uses in rows if judge(uses.failed, uses.n, TOOLS_MAX, uses.rate) == "bad"]
    if over:
        words.append(f"By itself above the limit: {', '.join(over)}.")
    failing = {name: uses.failed for name, uses in rows if uses.failed}
    chart = charts.bars(failing, title="Failed uses of each tool", style="bar bad") if failing else None
    names, cells = ("Tool", "#Uses", "#Failed", "#Share"), [(name, f"{u.n:,}", f"{u.failed:,}", percent(u.rate)) for name, u in rows]
    if every.unsent:
        names = ("Tool", "#Uses sent", "#Failed", "#Share, about")
    table = Table("Uses of tools", names, tuple(cells))
    return Panel("tools", title, "bad" if over else state, tuple(words), chart=chart, table=table)


def together(used: Mapping[str, Uses]) -> Uses:
    """The uses of all tools."""
    rows = list(used.values())
    more = (fsum(uses.unsent for uses in rows), fsum(uses.failed_unsent for uses in rows))
    return Uses(sum(uses.n for uses in rows), sum(uses.failed for uses in rows), *more)
