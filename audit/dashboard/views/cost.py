"""What calls cost, what the month will come to against its budget, and the trace plan's quota. Pure, but for the price list's date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import fsum
from pathlib import Path
from typing import Final

from audit.calls.answers import Estimated
from audit.calls.index import CallIndex, Choice
from audit.dashboard.views.charts import stacked
from audit.dashboard.views.cost_projection import DAYS_MIN, Projection, month_of, project, used_up
from audit.dashboard.views.latency import marks
from audit.dashboard.views.parts import Panel, State, of_rate, standing, usd
from audit.report import charts
from audit.report.content import Table
from audit.report.parts import counted
from audit.timeline import Histogram
from phi_guard.errors import PolicyError
from phi_guard.policy import lines

BUDGET_USD: Final = 50.0
"""A month, all of it: the requirements' section 7."""
FIXED_USD: Final = 15.0
"""Of it LiveKit Cloud, whatever is called: the requirements' section 5."""
COARSE_USD: Final = 0.1
"""From where on the bins of `audit.timeline.COST_EDGES` are wider."""
DEAREST: Final = 5
WARN: Final = 0.8
"""Share of the plan's quota from which it is to be watched."""
ROUGH: Final = 10
"""Whole days below which a bootstrap's range is called rough: resampling few days knows only those few."""
QUOTA: Final = 5_000
"""Base traces a month on LangSmith's free plan, then 429: checked in the corrections to the requirements."""


@dataclass(frozen=True, slots=True)
class CostView:
    """The cost page.

    Args:
        per_call: histogram of the cost of calls of the choice, median, p95, and the dearest.
        month: the month so far by the day, the projection, and the budget.
        quota: traces of the month against the plan, and how long they are kept.
        prices: where the prices come from, and from when; calls whose cost is not known.
        state: of the budget.
        quota_state: of the plan's quota.
        month_usd: known cost of the month's calls so far, without the fixed part; of all of them, estimated, where only a share is sent.
        total_usd: with it.
        budget_usd: of the month.
        projection: or None before three whole days.
        traces: of the month so far.
        quota_traces: of the plan.
        used_up: the day the quota is used up at this rate; None where that is not in this month.
        unknown: calls of the month whose cost is not known.
        dearest: trace id and cost of the dearest calls of the choice, at most five.
        days: known cost of each day of the month so far; likewise.
        unsent: calls of the month that were not sent, estimated; 0 where each stands for itself.
    """

    per_call: Panel
    month: Panel
    quota: Panel
    prices: Panel
    state: State
    quota_state: State
    month_usd: float
    total_usd: float
    budget_usd: float
    projection: Projection | None
    traces: int
    quota_traces: int
    used_up: date | None
    unknown: int
    dearest: tuple[tuple[str, float], ...]
    days: tuple[tuple[date, float], ...]
    unsent: float = 0.0

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of them in order."""
        return self.per_call, self.month, self.quota, self.prices


def cost(
    index: CallIndex,
    choice: Choice,
    now: datetime,
    *,
    budget: float = BUDGET_USD,
    fixed: float = FIXED_USD,
    quota: int = QUOTA,
    calls_per_day: float | None = None,
    prices_as_of: str = "",
) -> CostView:
    """What the calls of a choice cost, and the month of ``now`` in the choice's project and environment.

    Where only a share of the calls is sent, what all of them cost is estimated (D. G. Horvitz and D. J. Thompson, Journal of the American
    Statistical Association 47 (1952)); the plan's quota counts what was sent.

    Args:
        index: asked.
        choice: whose calls; the month looks at its project and environment alone.
        now: with a zone; the month is that of UTC.
        budget: US dollars a month.
        fixed: US dollars of it that do not depend on calls.
        quota: traces a month of the plan.
        calls_per_day: expected, for the quota where too few days were seen; None for none.
        prices_as_of: the price list's day (`price_day`), empty where it is not known.
    """
    month = _month(index, choice, now)
    plan = _plan(index, now, quota, calls_per_day)
    total = month.spent + fixed
    of_month = (month.end - month.first).days
    projection = project([cost for day, cost in month.days if day < month.today], of_month, fixed, month.spent)
    state = _budget_state(month, total, projection, budget)
    dearest = tuple(
        (call.trace_id, call.cost_usd) for call in index.page(choice, order="cost", limit=DEAREST).calls if call.cost_usd is not None
    )
    return CostView(
        per_call=_per_call(index.histogram("cost_usd", choice), dearest),
        month=_month_panel(month, state, total, projection, budget, fixed),
        quota=_quota_panel(plan, quota),
        prices=_prices(month, prices_as_of),
        state=state,
        quota_state=plan.state,
        month_usd=month.spent,
        total_usd=total,
        budget_usd=budget,
        projection=projection,
        traces=plan.traces,
        quota_traces=quota,
        used_up=plan.used_up,
        unknown=month.unknown,
        dearest=dearest,
        days=month.days,
        unsent=month.unsent,
    )


@dataclass(frozen=True, slots=True)
class _Month:
    """The month so far: known cost and calls by the day, from the day the index knows of on."""

    first: datetime
    end: datetime
    today: date
    known_from: datetime | None
    days: tuple[tuple[date, float], ...]
    calls: int
    unknown: int
    spent: float
    unsent: float


def _month(index: CallIndex, choice: Choice, now: datetime) -> _Month:
    wide = Choice(project=choice.project, env=choice.env)
    first, end = month_of(now)
    eldest = index.page(wide, order="start", descending=False, limit=1).calls
    known_from = eldest[0].start if eldest else None
    day = first if known_from is None else max(first, known_from.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
    days, calls, unknown, unsent = list[tuple[date, float]](), 0, 0, 0.0
    while known_from is not None and day <= now:
        rates = index.rates(day, day + timedelta(days=1), wide)
        days.append((day.date(), rates.cost_usd + rates.cost_unsent_usd))
        calls, unknown, day = calls + rates.started, unknown + rates.cost_unknown, day + timedelta(days=1)
        unsent += rates.started_unsent
    spent = fsum(cost for _, cost in days)
    return _Month(first, end, now.astimezone(UTC).date(), known_from, tuple(days), calls, unknown, spent, unsent)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Traces of the month against the plan: of every project that the index holds, since the plan counts them all."""

    traces: int
    used_up: date | None
    state: State
    a_day: float
    known: bool


def _plan(index: CallIndex, now: datetime, quota: int, calls_per_day: float | None) -> _Plan:
    first, end = month_of(now)
    eldest = index.page(Choice(), order="start", descending=False, limit=1).calls
    traces = index.page(Choice(since=first, until=end), limit=1).total
    begun = max(first, eldest[0].start) if eldest and eldest[0].start is not None else first
    days = max(0.0, (now - begun).total_seconds() / 86_400)
    gone = used_up(traces, quota, days, now, end, a_day=calls_per_day)
    state: State = "unknown" if not eldest else "bad" if traces >= quota else "watch" if gone or traces >= WARN * quota else "good"
    return _Plan(traces, gone, state, traces / max(days, 1.0), bool(eldest))


def _budget_state(month: _Month, total: float, projection: Projection | None, budget: float) -> State:
    """Bad once the budget is spent, or its excess is what the projection says; watch where the range reaches it, or prices are missing."""
    if not month.calls:
        return "unknown"
    if total > budget or (projection is not None and projection.value > budget):
        return "bad"
    return "watch" if month.unknown or (projection is not None and projection.high > budget) else "good"


def _per_call(held: Histogram, dearest: tuple[tuple[str, float], ...]) -> Panel:
    title = "Cost per session"
    if not held.n or held.p50 is None or held.p95 is None or held.max is None:
        missing = "No call in this choice has a known cost."
        advice = "A cost is known where the price list, policies/pricing.yaml, has a line with the name of the model's deployment."
        return Panel("per-call", title, words=(missing, advice))
    spread = f"median {usd(held.p50)}, p95 {usd(held.p95)}, dearest {usd(held.max)}, together {usd(held.total)}"
    words = [f"{counted(held.n, 'call')} with a known cost: {spread}."]
    if isinstance(held, Estimated):
        words = [f"{standing(held.n, held.unsent, 'call')}, with a known cost: {spread}. All but the dearest is estimated."]
    if held.max >= COARSE_USD:
        words.append("Bars are half a cent wide, from ten cents on five cents.")
    shown = {name: round(value, 4) for name, value in marks(held).items()}
    chart = charts.histogram(held.edges, held.counts, title=title, unit="USD", marks=shown)
    rows = [(name, usd(value)) for name, value in marks(held).items()] + [(f"dearest: {trace}", usd(value)) for trace, value in dearest]
    table = Table("Cost per session", ("What", "#US dollars"), tuple(rows))
    return Panel("per-call", title, words=tuple(words), chart=chart, table=table)


def _month_panel(month: _Month, state: State, total: float, projection: Projection | None, budget: float, fixed: float) -> Panel:
    title = f"{month.first:%B %Y} against {usd(budget)}"
    if month.known_from is None:
        return Panel("month", title, words=("No call is known, so nothing was spent that we know of.",
                     f"LiveKit's fixed {usd(fixed)} a month is due all the same."))  # fmt: skip
    calls = counted(month.calls, "call")
    if month.unsent:
        calls = f"{standing(month.calls, month.unsent, 'call')} (an estimate; Azure's invoice says what it was),"
    words = [f"So far {usd(month.spent)} for {calls} and LiveKit's fixed {usd(fixed)}: {usd(total)} of {usd(budget)}."]
    if month.known_from > month.first:
        since = f"{month.known_from:%d %b}"
        words.append(f"The first call known here is of {since}: what came before, if anything did, is not in these figures.")
    if projection is None:
        words.append(f"The month is not projected before {DAYS_MIN} whole days.")
    else:
        span = f"{usd(projection.low)} to {usd(projection.high)}"
        rough = ", rough for so few" if projection.days < ROUGH else ""
        words.append(f"Projected for the whole month: {usd(projection.value)} ({span}).")
        words.append(
            f"Method: the mean of {projection.days} whole days times the days of the month, and the fixed part; the range is a seeded"
            f" percentile bootstrap of those days at 95 %{rough}."
        )
    if month.unknown:
        which = "calls that were sent" if month.unsent else "calls"
        words.append(f"{of_rate(month.unknown, month.calls)} of the {which} have no known or whole cost, so all of this is a lower bound.")
    rows = {f"{day:%d %b}": (fixed if not i else 0.0, cost) for i, (day, cost) in enumerate(month.days)}
    chart = stacked(rows, parts=("fixed", "calls"), title=f"{title}, running total", unit="USD", limit=budget, running=True)
    running, cells = fixed, list[tuple[str, ...]]()
    for day, cost in month.days:
        running += cost
        cells.append((f"{day:%d %b}", usd(cost), usd(running)))
    table = Table("By the day, UTC; the total holds the fixed part", ("Day", "#Calls", "#Total so far"), tuple(cells), folded=True)
    return Panel("month", title, state, tuple(words), chart=chart, table=table)


def _quota_panel(plan: _Plan, quota: int) -> Panel:
    title = f"LangSmith's plan: {quota:,} traces a month"
    kept = (
        "A trace is kept for 14 days on the base plan, 400 days where it was extended (feedback written with the SDK's defaults does that);"
        " the product writes no feedback. What must be kept longer has to be exported."
    )
    if not plan.known:
        return Panel("quota", title, words=("No trace is known here.", kept), do="phi-audit export")
    used = f"{of_rate(plan.traces, quota)} used this month by all projects in this index, {plan.a_day:,.1f} a day"
    words = [f"{used}; other projects of the organisation come on top."]
    refused = "LangSmith answers 429 and refuses traces until the month ends: calls go on, and the relay keeps what it has room for"
    if plan.state == "bad":
        words.append(f"The quota is used up: {refused}.")
    elif plan.used_up is not None:
        words.append(f"At this rate it is used up on {plan.used_up:%d %b}. Then {refused}.")
    else:
        words.append(f"At this rate the month ends first. Once it is used up, {refused}.")
    words.append(kept)
    rows = (("used", f"{plan.traces:,}"), ("left", f"{max(0, quota - plan.traces):,}"), ("a day", f"{plan.a_day:,.1f}"))
    return Panel("quota", title, plan.state, tuple(words), do="phi-audit export", table=Table("Traces of the month", ("", "#"), rows))


def _prices(month: _Month, as_of: str) -> Panel:
    words = []
    if as_of:
        words.append(f"Prices are those of the price list as of {as_of} (policies/pricing.yaml); check them against your contract.")
    else:
        words.append("The price list's date is not known here; it stands in policies/pricing.yaml as as_of.")
    if month.unknown:
        lack = f"{counted(month.unknown, 'call')} of the month {'has' if month.unknown == 1 else 'have'} no known cost, or not a whole one"
        words.append(f"{lack}: a deployment that the price list does not name, or a call that has no end. Unknown is never counted as 0.")
    return Panel("prices", "Prices", "watch" if month.unknown or not as_of else "good", tuple(words))


def price_day(path: Path) -> str:
    """The day a price list says it is of, ISO 8601; empty where it cannot be read or does not say."""
    try:
        held = lines.read(path).value
        day = held.get("as_of") if isinstance(held, dict) else None
        return date.fromisoformat(day).isoformat() if isinstance(day, str) else ""
    except (PolicyError, OSError, ValueError):
        return ""
