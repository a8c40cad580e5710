"""What failed: calls, tools and errors by their class, and the rate's trend. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from audit import statistics
from audit.calls.index import CallIndex, Choice, Point
from audit.dashboard.views.charts import moment
from audit.dashboard.views.latency import step_of
from audit.dashboard.views.parts import Panel, State, of_rate, since_of
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

    Args:
        index: asked.
        choice: whose calls; for the rate of calls only its span, project and environment count.
        now: the span's end where the choice has none, with a zone.
    """
    since, until = since_of(choice, now)
    rates = index.rates(since, until, choice)
    return ErrorsView(
        rate=_rate(rates.calls, rates.failed, index.trend("session_ms", choice, step_s=(step := step_of(choice, now))), step),
        classes=_classes(index.errors(choice)),
        tools=_tools(index.tools(choice)),
        worst=rates.worst,
    )


def judge(bad: int, n: int, limit: float) -> State:
    """How a share stands: bad above the limit with at least two of `LEAST` or more; watch where it is above and rests on fewer."""
    if not n:
        return "unknown"
    if bad / n <= limit:
        return "good"
    return "bad" if bad >= 2 and n >= LEAST else "watch"


def _rate(calls: int, failed: int, points: tuple[Point, ...], step_s: int) -> Panel:
    title = "Calls that failed"
    if not calls:
        return Panel("rate", title, words=("No call ended in this span.", "Choose a longer span, or wait for the first call to end."))
    state = judge(failed, calls, CALLS_MAX)
    held = _interval(failed, calls)
    words = [
        f"{of_rate(failed, calls)} of the calls that ended failed; the limit is {percent(CALLS_MAX)}.",
        f"So many calls leave open a rate of {percent(held.low)} to {percent(held.value)} (Clopper-Pearson, two-sided, 95 %).",
    ]
    if state == "watch":
        words.append(f"That is above the limit, but rests on too few to be called bad: at least 2 failures in {LEAST} calls.")
    rows = {moment(point.at, step_s): (point.n, point.failed) for point in points[-DAYS_MAX:]}
    chart = charts.columns(rows, title="Ended calls, and those that failed", whole="calls", part="failed") if rows else None
    cells = tuple((name, f"{n:,}", f"{bad:,}", percent(bad / n) if n else "–") for name, (n, bad) in rows.items())
    table = Table("Ended calls, UTC", ("Begins", "#Calls", "#Failed", "#Share"), cells, folded=True) if cells else None
    return Panel("rate", title, state, tuple(words), chart=chart, table=table)


@lru_cache(maxsize=64)
def _interval(failed: int, calls: int) -> statistics.Bound:
    """The exact interval, which takes a while over thousands of calls: kept while the counts are the same."""
    return statistics.clopper_pearson(failed, calls, sides="two")


def _classes(counts: Mapping[str, int]) -> Panel:
    title = "Errors by class"
    if not counts:
        return Panel("classes", title, "good", ("No span of these calls has an error.",))
    top = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:ROWS_MAX])
    text = "Classes and codes out of a closed list; what an exception said never leaves the agent, for it can hold a patient's data."
    table = Table("Spans with an error", ("Class and code", "#Spans"), tuple((name, f"{n:,}") for name, n in top.items()), folded=True)
    return Panel("classes", title, "watch", (text,), chart=charts.bars(top, title="Errors by class", style="bar bad"), table=table)


def _tools(used: Mapping[str, tuple[int, int]]) -> Panel:
    title = "Tools that failed"
    if not used:
        return Panel("tools", title, words=("No tool ran in these calls.",))
    n, bad = (sum(pair[i] for pair in used.values()) for i in (0, 1))
    state = judge(bad, n, TOOLS_MAX)
    rows = sorted(used.items(), key=lambda item: (-item[1][1], -item[1][0], item[0]))[:ROWS_MAX]
    words = [f"{of_rate(bad, n)} of the uses of tools failed; the limit is {percent(TOOLS_MAX)}."]
    over = [name for name, (uses, failures) in rows if judge(failures, uses, TOOLS_MAX) == "bad"]
    if over:
        words.append(f"By itself above the limit: {', '.join(over)}.")
    failing = {name: failures for name, (_, failures) in rows if failures}
    chart = charts.bars(failing, title="Failed uses of each tool", style="bar bad") if failing else None
    cells = tuple((name, f"{uses:,}", f"{failures:,}", percent(failures / uses) if uses else "–") for name, (uses, failures) in rows)
    table = Table("Uses of tools", ("Tool", "#Uses", "#Failed", "#Share"), cells)
    return Panel("tools", title, "bad" if over else state, tuple(words), chart=chart, table=table)
