"""One rule against the evidence at one instant: bad, good, in between, or not to be known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import exp, fsum, lgamma, log, log1p
from typing import Final, Literal, TypeAlias

from audit.alerts.evidence import Evidence, NotKnown
from audit.alerts.rules import Metric, Rule
from audit.calls.index import Rates
from audit.calls.weighing import Drawn, Share
from phi_guard.facts import TRACES_MAX

Verdict: TypeAlias = Literal["bad", "between", "good", "unknown", "off"]
LAG_MAX: Final = timedelta(minutes=5)
"""A window of which the last minutes were not read can be seen to be bad, not to be good."""
_TIE: Final = 1e-9
"""A bound that is the bar but for the rounding of doubles does not lie above it: one of one shows five per cent, not more."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a rule comes to at an instant.

    Args:
        verdict: ``bad`` (beyond the bar, and enough of it), ``good`` (at the bar of resolving or below, or nothing there), ``between``,
            ``unknown`` (it cannot be judged now), ``off`` (what it needs was not given).
        value: in the rule's unit; None where there is none. Where only a share of the calls is sent it is estimated
            (`audit.calls.weighing`), but for dropped spans, the plan's quota and calls without a trace.
        n: what it rests on: what was sent.
        bad: how many of them count against it.
        why: in words, what it was judged by or why it was not.
        trace_ids: of the calls that count most.
        tool: that alone failed, or empty.
        report: digest of the report it rests on, or empty.
        window_s: seconds that were looked at.
    """

    verdict: Verdict
    value: float | None = None
    n: int = 0
    bad: int = 0
    why: str = ""
    trace_ids: tuple[str, ...] = ()
    tool: str = ""
    report: str = ""
    window_s: int = 0


def judge(rule: Rule, facts: Evidence, at: datetime, watched: datetime) -> Judged:
    """Judge one rule at one instant.

    Args:
        rule: in force.
        facts: what it is judged by.
        at: end of its window, with a zone; of a `WINDOWED` metric it may be past.
        watched: since when the rule is judged at all: a source that was never read is as old as that.
    """
    try:
        found = _JUDGES[rule.metric](rule, facts, at, watched)
    except NotKnown as fault:
        found = Judged("unknown", why=str(fault))
    return found if found.window_s else replace(found, window_s=rule.window_s)


def _of_traces(inner: Callable[[Rule, Evidence, datetime], Judged]) -> Callable[[Rule, Evidence, datetime, datetime], Judged]:
    """What was not read is not known; what was read in part can be bad, and is not good for that."""

    def judged(rule: Rule, facts: Evidence, at: datetime, watched: datetime) -> Judged:  # noqa: ARG001  # as every judge
        read_at = facts.read_at
        if read_at is None:
            return Judged("unknown", why="the traces have never been read")
        found = inner(rule, facts, at)
        if found.verdict in {"good", "between"} and at - read_at > LAG_MAX:
            minutes = round((at - read_at).total_seconds() / 60)
            return replace(found, verdict="unknown", why=f"the traces of its last {minutes} min are not read")
        return found

    return judged


@_of_traces
def _rate(rule: Rule, facts: Evidence, at: datetime) -> Judged:
    rates = facts.rates(at - timedelta(seconds=rule.window_s), at)
    share = {
        "error_rate": rates.ended,
        "tool_failure": rates.used,
        "span_drop": Share(rates.offered, min(rates.dropped, rates.offered)),
    }[rule.metric]
    bad, n, about = share.bad, share.n, share.about
    value = 100 * share.bad_about / about if n else None
    shows = enough(rule, bad, n, share.drawn, share.largest)
    found = _told(_held_against(rule, value, n, bad, shows=shows), about - n)
    return replace(found, trace_ids=_worst(rule.metric, rates), tool=_tool(rates) if rule.metric == "tool_failure" else "")


@_of_traces
def _ttft(rule: Rule, facts: Evidence, at: datetime) -> Judged:
    rates = facts.rates(at - timedelta(seconds=rule.window_s), at)
    found = _held_against(rule, rates.ttft_p95_ms, rates.turns, 0, shows=rates.turns >= rule.min_count)
    found = _told(found, rates.turns_unsent)
    return replace(found, trace_ids=_worst(rule.metric, rates))


@_of_traces
def _budget(rule: Rule, facts: Evidence, at: datetime) -> Judged:
    begin, end = month_of(at)
    rates = facts.rates(begin, at)
    begun = rates.started + rates.started_unsent
    known = begun - rates.cost_unknown - rates.unknown_unsent
    cost_usd = rates.cost_usd + rates.cost_unsent_usd
    calls_usd = cost_usd * (begun / known if known > 0 else 1.0)  # a call of unknown cost counts as the mean of the others
    elapsed = (at - begin).total_seconds()
    value = rule.fixed_usd + calls_usd
    if rule.project_after_s and elapsed >= rule.project_after_s and rates.started >= rule.min_count:
        value = rule.fixed_usd + calls_usd * (end - begin).total_seconds() / elapsed
    found = _told(_held_against(rule, value, rates.started, 0, shows=True), rates.started_unsent)
    return replace(found, window_s=int(elapsed))


@_of_traces
def _quota(rule: Rule, facts: Evidence, at: datetime) -> Judged:
    begin, _ = month_of(at)
    started = facts.rates(begin, at).started
    found = _held_against(rule, 100 * started / rule.quota, started, 0, shows=True)
    return replace(found, window_s=int((at - begin).total_seconds()))


@_of_traces
def _no_traces(rule: Rule, facts: Evidence, at: datetime) -> Judged:
    if not facts.switch().on:
        return Judged("off", why="the switch is off, so that no trace is sent")
    until = at - timedelta(seconds=rule.grace_s)
    since = until - timedelta(seconds=rule.window_s)
    ran = facts.calls_ran(since, until)
    if ran is None:
        return Judged("off", why="no account of calls beside the traces; give --account DIR or --calls-ran N")
    seen = facts.rates(since, at).started
    silent = ran if not seen else 0
    return _held_against(rule, float(silent), ran, silent, shows=ran >= rule.min_count)


def _leak(rule: Rule, facts: Evidence, at: datetime, watched: datetime) -> Judged:  # noqa: ARG001  # as every judge
    leaks = facts.leaks(at)
    found = _held_against(rule, float(len(leaks)), len(leaks), len(leaks), shows=True)
    report = next((leak.report for leak in leaks if leak.report), "")
    return replace(found, report=report, why=", ".join(sorted({leak.cause for leak in leaks})) or found.why)


def _switch(rule: Rule, facts: Evidence, at: datetime, watched: datetime) -> Judged:  # noqa: ARG001  # as above
    off = not facts.switch().on
    return _held_against(rule, float(off), 1, int(off), shows=True)


def _stale(rule: Rule, facts: Evidence, at: datetime, watched: datetime) -> Judged:
    age = max(0.0, (at - (facts.read_at or watched)).total_seconds() * 1000)
    return _held_against(rule, age, 1, 0, shows=True)


_JUDGES: Final[Mapping[Metric, Callable[[Rule, Evidence, datetime, datetime], Judged]]] = {
    "error_rate": _rate, "tool_failure": _rate, "span_drop": _rate, "ttft_p95": _ttft, "budget": _budget, "plan_quota": _quota,
    "no_traces": _no_traces, "leak": _leak, "switch_off": _switch, "stale": _stale,
}  # fmt: skip


def enough(rule: Rule, bad: int, n: int, drawn: Sequence[Drawn] = (), largest: int = 1) -> bool:
    """Whether so many of so many show anything, by the rule's own measure: minimum counts, the exact lower bound, or either.

    ``min_bad`` holds in any case: one failure is never a rate. The minimum counts are of what was sent. Where calls were drawn, the bound
    is that of `audit.calls.weighing.lowest`: half of what may fail is given to how many there are at most, half to the rate among these.

    Args:
        rule: in force.
        bad: sent, and counting against it.
        n: sent.
        drawn: of them, what was sent with a chance below 1; empty where each stands for itself.
        largest: of them in one call.
    """
    if bad < rule.min_bad or not n:
        return False
    counted = n >= rule.min_count
    if rule.shown == "counts" or (rule.shown == "either" and counted):
        return counted
    confidence = rule.confidence
    if drawn:
        confidence = (1 + confidence) / 2
        n = Share(n, bad, tuple(drawn), largest).most(confidence)
    return _fewer(bad, n, rule.bar / 100) > confidence + _TIE


def _fewer(bad: int, n: int, rate: float) -> float:
    """How likely fewer than so many of so many are at a true rate.

    The exact one-sided lower bound (Clopper and Pearson, as `audit.statistics.lower_bound`) lies above a rate if and only if that is more
    likely than the confidence; asked so, one sum answers it instead of eighty.
    """
    if rate <= 0 or rate >= 1:
        return float(rate <= 0)
    yes, no, whole = log(rate), log1p(-rate), lgamma(n + 1)
    return fsum(exp(whole - lgamma(k + 1) - lgamma(n - k + 1) + k * yes + (n - k) * no) for k in range(bad))


def month_of(at: datetime) -> tuple[datetime, datetime]:
    """Begin and end of the month that holds an instant, UTC: as LangSmith counts its plan."""
    begin = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return begin, (begin + timedelta(days=32)).replace(day=1)


def _held_against(rule: Rule, value: float | None, n: int, bad: int, *, shows: bool) -> Judged:
    if value is None:
        return Judged("good", None, n, bad, "nothing in its window")
    if rule.above(value) and shows:
        return Judged("bad", value, n, bad)
    if value <= rule.resolve_bar:
        return Judged("good", value, n, bad)
    few = "too few to say" if rule.above(value) else ""
    return Judged("between", value, n, bad, few)


def _told(found: Judged, unsent: float) -> Judged:
    """The same, saying what it stands for where only a share was sent."""
    if not unsent:
        return found
    estimated = f"estimated: {found.n:,} that were sent stand for about {found.n + unsent:,.0f}"
    return replace(found, why=f"{found.why}; {estimated}" if found.why else estimated)


def _worst(metric: str, rates: Rates) -> tuple[str, ...]:
    return tuple(rates.worst.get(metric, ()))[:TRACES_MAX]


def _tool(rates: Rates) -> str:
    failing = [tool for tool, (_, failed) in rates.by_tool.items() if failed]
    return failing[0] if len(failing) == 1 else ""
