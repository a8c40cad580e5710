"""The first page: a dozen numbers, each against its limit, with its trend and the page that says more. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import fsum
from typing import TYPE_CHECKING, Final

from audit.calls.answers import Estimated
from audit.calls.index import CallIndex, Choice, Point
from audit.dashboard.views.cost import CostView
from audit.dashboard.views.errors import CALLS_MAX, TOOLS_MAX, judge, together
from audit.dashboard.views.explanation import SLOW_MS
from audit.dashboard.views.parts import NONE, State, Tile, ago, ms, of_rate, standing, usd
from audit.dashboard.views.verdict import SCAN, VerdictView
from audit.moments import instant
from audit.report.parts import counted, percent
from audit.timeline import Histogram
from phi_guard.switch import SwitchState

if TYPE_CHECKING:
    from audit.alerts.state import AlertState

STEPS: Final = 7
"""Numbers of a tile's trend."""
FINER: Final = 24
"""A step of a trend of counts is summed from so many: the index begins its steps at round times, and a tile's end now."""
STALE: Final = timedelta(minutes=15)
"""Alerts that were not judged for so long are not known: the shortest window of the requirements' three."""


@dataclass(frozen=True, slots=True)
class OverviewView:
    """The first page.

    Args:
        tiles: in order: verdict, switch, alerts, calls, failed, ttft-p50, ttft-p95, ttft-p99, tools, cost, quota.
        headline: one sentence: what needs a person first, or that nothing does.
        empty: whether no call is in the choice.
        words: what to do where it is empty.
    """

    tiles: tuple[Tile, ...]
    headline: str
    empty: bool
    words: tuple[str, ...]


def overview(
    index: CallIndex,
    choice: Choice,
    now: datetime,
    *,
    verdict: VerdictView | None = None,
    switch: SwitchState | None = None,
    alerts: AlertState | None = None,
    cost: CostView | None = None,
) -> OverviewView:
    """The first page.

    Where only a share of the calls is sent, counts are of what was sent, and shares, percentiles and costs are estimated as on the pages
    that the tiles lead to.

    Args:
        index: the calls.
        choice: which of them; ``since`` is the beginning of the span shown (today, 7 days, 30 days).
        now: with a zone.
        verdict: of the newest report, or None.
        switch: its state, or None where it is not known.
        alerts: what fires, or None where nobody checks.
        cost: of the month, or None.
    """
    total = index.page(choice, limit=1).total
    tiles = (_verdict(verdict), _switch(switch, now), _alerts(alerts, now), *_numbers(index, choice, now, total), *_money(cost))
    words = () if total else (
        "No call is in this span.",
        "Choose a longer span. If no call was ever traced, attach the tracer and see what is missing with: phi-audit doctor",
        "To see the pages with made-up calls: phi-audit demo",
    )  # fmt: skip
    return OverviewView(tiles, _headline(tiles), not total, words)


def _headline(tiles: Sequence[Tile]) -> str:
    """What is bad, then what is to be watched, then what is not known; never that all is well while something is not known."""
    for state, begin in (("bad", "Needs a person"), ("watch", "To be watched"), ("unknown", "Nothing is wrong that is known; not known")):
        named = [tile.label.lower() if tile.label[1:2].islower() else tile.label for tile in tiles if tile.state == state]
        if named:
            return f"{begin}: {', '.join(named)}."
    return "Nothing needs a person now."


def _verdict(view: VerdictView | None) -> Tile:
    if view is None or not view.verdict:
        state: State = "unknown" if view is None else view.state
        words = "No report is known." if view is None or not view.words else view.words[0]
        return Tile("verdict", "Verdict", NONE, state, f"{words} {SCAN}" if state == "unknown" else words, link="/compliance")
    signed = f"signed by {', '.join(view.signers)}" if view.signers else "not signed"
    checked = "verified" if view.holds else "DOES NOT VERIFY"
    return Tile(
        "verdict", "Verdict", view.verdict, view.state, f"{view.age or 'of an unknown time'}, {checked}, {signed}.", link="/compliance"
    )


def _switch(state: SwitchState | None, now: datetime) -> Tile:
    if state is None:
        return Tile("switch", "Switch", NONE, "unknown", "Where it stands is not known here.", link="/compliance")
    since = instant(state.at)
    when = f" Set {ago(since, now)}." if since is not None else ""
    if state.on:
        return Tile("switch", "Switch", "on", "good", f"What the gate clears is sent.{when}", link="/compliance")
    held = f"Held ({state.hold}): it takes a verified report to turn it on.{when}" if state.hold else f"Nothing is sent.{when}"
    return Tile("switch", "Switch", "off", "bad" if state.hold else "watch", held, link="/compliance")


def _alerts(state: AlertState | None, now: datetime) -> Tile:
    if state is None or state.at is None:
        return Tile("alerts", "Alerts", NONE, "unknown", "Nobody judges them: phi-audit alerts watch", link="/errors")
    firing = state.firing
    late = now - state.at > STALE
    judged = f"judged {ago(state.at, now)}"
    if firing:
        critical = any(each.severity == "critical" for each in firing)
        named = ", ".join(dict.fromkeys(each.rule for each in firing))
        words = f"{named}; {judged}."
        return Tile("alerts", "Alerts firing", f"{len(firing):,}", "bad" if critical or not late else "watch", words, link="/errors")
    if late:
        return Tile("alerts", "Alerts firing", NONE, "unknown", f"Last {judged}: phi-audit alerts watch", link="/errors")
    return Tile("alerts", "Alerts firing", "0", "good", f"None fires, {judged}.", link="/errors")


def _numbers(index: CallIndex, choice: Choice, now: datetime, total: int) -> tuple[Tile, ...]:
    until = choice.until or now
    first = choice.since
    if first is None:
        eldest = index.page(choice, order="start", descending=False, limit=1).calls
        first = (eldest[0].start if eldest else None) or until - timedelta(days=STEPS)
    step_s = max(1, int((until - first).total_seconds() / STEPS))
    fine_s = max(1, step_s // FINER)
    sessions = index.trend("session_ms", choice, step_s=fine_s)
    waits = _aligned(index.trend("ttft_ms", choice, step_s=step_s), until, step_s)
    uses = index.trend("tool_ms", choice, step_s=fine_s)
    lengths = index.histogram("session_ms", choice)
    ended = lengths.n
    failed = index.page(_with(choice, "failed"), limit=1).total if choice.outcome in {"", "failed"} else 0
    held = index.histogram("ttft_ms", choice)
    used = together(index.used(choice))
    n, bad, open_calls = used.n, used.failed, total - ended
    lead = f"{ended:,} ended, {open_calls:,} without an end." if total else "None in this span."
    failed_words = (
        f"{of_rate(failed, ended)} of those that ended; limit {percent(CALLS_MAX)}." if ended else "No call has ended in this span."
    )
    rate = min(failed, ended) / ended if ended else None
    tools_words = f"{of_rate(bad, n)} of their uses; limit {percent(TOOLS_MAX)}." if n else "No tool ran in this span."
    if isinstance(lengths, Estimated):
        lead = f"{standing(total, lengths.unsent, 'call')}; {lead}"
        rate = (min(failed, ended) + fsum(point.failed_unsent for point in sessions)) / (ended + lengths.unsent)
        failed_words = f"About {percent(rate)} of those that ended, sent or not; limit {percent(CALLS_MAX)}."
    if used.unsent:
        tools_words = f"About {percent(used.rate)} of their uses, sent or not; limit {percent(TOOLS_MAX)}."
    return (
        Tile(
            "calls", "Calls", f"{total:,}", "good" if total else "unknown", lead,
            _summed(sessions, until, step_s, fine_s, lambda p: p.n), "/sessions",
        ),
        Tile(
            "failed", "Failed", f"{failed:,}", judge(min(failed, ended), ended, CALLS_MAX, rate), failed_words,
            _summed(sessions, until, step_s, fine_s, lambda p: p.failed), "/errors",
        ),
        _wait("ttft-p50", "TTFT-A p50", held.p50, held, _each(waits, lambda p: p.p50)),
        _wait("ttft-p95", "TTFT-A p95", held.p95, held, _each(waits, lambda p: p.p95)),
        _wait("ttft-p99", "TTFT-A p99", held.p99, held, _each(waits, lambda p: p.p99)),
        Tile(
            "tools", "Tool failures", f"{bad:,}", judge(bad, n, TOOLS_MAX, used.rate if n else None), tools_words,
            _summed(uses, until, step_s, fine_s, lambda p: p.failed), "/errors",
        ),
    )  # fmt: skip


def _wait(name: str, label: str, value: float | None, held: Histogram, trend: tuple[float | None, ...]) -> Tile:
    if value is None:
        return Tile(name, label, NONE, "unknown", "No answered turn in this span.", None, "/latency")
    judged = name == "ttft-p95"  # the requirements bound this one alone
    above = value > SLOW_MS
    state: State = "good" if not above else "bad" if judged else "watch"
    against = "Limit" if judged else "Limit of p95"
    turns = counted(held.n, "answered turn")
    if isinstance(held, Estimated):
        turns = standing(held.n, held.unsent, "answered turn")
    return Tile(name, label, ms(value), state, f"{against} {ms(SLOW_MS)}; {turns}.", trend, "/latency")


def _money(cost: CostView | None) -> tuple[Tile, ...]:
    if cost is None:
        unknown = "What the month costs is not known here."
        named = (("cost", "Cost this month"), ("quota", "Trace quota"))
        return tuple(Tile(name, label, NONE, "unknown", unknown, link="/cost") for name, label in named)
    expected = f"; projected {usd(cost.projection.value)}" if cost.projection is not None else "; not projected yet"
    lower = " A lower bound: some prices are not known." if cost.unknown else ""
    lower += " Estimated from the calls that were sent." if cost.unsent else ""
    days = [value for _, value in cost.days][-STEPS - 1 : -1]  # whole days alone: today's would always look like a fall
    trend = (*[None] * (STEPS - len(days)), *days)
    gone = f"; used up on {cost.used_up:%d %b}" if cost.used_up is not None else ""
    return (
        Tile("cost", "Cost this month", usd(cost.total_usd), cost.state, f"Of {usd(cost.budget_usd)}{expected}.{lower}", trend, "/cost"),
        Tile("quota", "Trace quota", percent(cost.traces / cost.quota_traces) if cost.quota_traces else NONE, cost.quota_state,
             f"{cost.traces:,} of {cost.quota_traces:,} traces this month{gone}.", None, "/cost"),
    )  # fmt: skip


def _with(choice: Choice, outcome: str) -> Choice:
    return choice if choice.outcome == outcome else replace(choice, outcome="failed")


def _aligned(points: Sequence[Point], until: datetime, step_s: int) -> tuple[Point | None, ...]:
    """The last `STEPS` steps that end with the one ``until`` is in; steps begin at multiples of their length since 1970."""
    last = int((until.timestamp() - 1e-6) // step_s)
    by_step = {int(point.at.timestamp() // step_s): point for point in points}
    return tuple(by_step.get(last - STEPS + 1 + i) for i in range(STEPS))


def _summed(points: Sequence[Point], until: datetime, step_s: int, fine_s: int, take: Callable[[Point], int]) -> tuple[float | None, ...]:
    """Counts over the last `STEPS` steps up to ``until``, each whole, to within one of the finer steps they are summed from."""
    sums = [0.0] * STEPS
    for point in points:
        back = int(max(0.0, (until - point.at).total_seconds() - fine_s / 2) // step_s)
        if back < STEPS:
            sums[STEPS - 1 - back] += take(point)
    return tuple(sums)


def _each(points: Sequence[Point | None], take: Callable[[Point], float | None]) -> tuple[float | None, ...]:
    return tuple(None if point is None else take(point) for point in points)
