"""The closing of a watch: what its rounds come to, in figures, in an outcome, and in the evidence that the gates of week 6 take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from audit import exits
from audit.calls.index import CallIndex, Choice
from audit.evidence import Monitoring
from audit.report import Report
from audit.watch.journal import Begun
from audit.watch.round import Round

Outcome: TypeAlias = Literal["CLEAN", "NO_GO", "UNPROVEN"]
PATIENCE: Final = 4
"""Rounds that may be missed in a row."""
PATIENCE_MIN_S: Final = 60.0
"""Seconds for which nobody need look, however short the time between two rounds."""
PATIENCE_MAX_S: Final = 3600.0
"""Seconds, however long it is: in a longer time an alert over an hour (requirements, section 15) could fire and be over."""
SLACK_S: Final = 1.0
"""Seconds by which a watch may fall short of its hours."""
NEEDED: Final = ("phi_findings", "known_answer_recall")
"""Gates that the last scan must prove; the others must not have failed. What only a rehearsal or people can prove is not of a watch."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a watch, by the clock.

    Args:
        at: when it began, ISO 8601.
        calls: that began in it.
        failed: calls that failed, of those that ended in it.
        cost_usd: of the calls that began in it.
        turns: answers of the agent.
        ttft_p50_ms: half of them came within; None without one.
        ttft_p95_ms: so many did.
    """

    at: str
    calls: int
    failed: int
    cost_usd: float
    turns: int = 0
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """What a watch comes to.

    Args:
        begun: what was watched.
        outcome: ``CLEAN``, ``NO_GO`` (a gate failed, an alert fired, or telemetry was off) or ``UNPROVEN``.
        reasons: why it is not clean, in words.
        monitoring: the figures, as evidence.
        rounds: all of them.
        hours: the hours; empty where the calls could not be read.
        resumed: when it was taken up again, ISO 8601.
        interrupted: whether it was stopped before its end.
        report: the last scan's report, over the whole time; None where it was stopped before.
        journal: number of the journal's last line, and its SHA-256, before the closing line.
    """

    begun: Begun
    outcome: Outcome
    reasons: tuple[str, ...]
    monitoring: Monitoring
    rounds: tuple[Round, ...]
    hours: tuple[Hour, ...] = ()
    resumed: tuple[str, ...] = ()
    interrupted: bool = False
    report: Report | None = None
    journal: tuple[int, str] = (-1, "")

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        if self.interrupted:
            return exits.INTERRUPTED
        return {"CLEAN": exits.GO, "NO_GO": exits.NO_GO, "UNPROVEN": exits.UNPROVEN}[self.outcome]


@dataclass(frozen=True, slots=True)
class _Counts:
    fired: Mapping[str, int] = field(default_factory=dict)
    gap_s: float = 0.0
    gap: tuple[str, str] = ("", "")


def close(
    begun: Begun, rounds: Sequence[Round], *, at: datetime, ended: bool, report: Report | None, hours: Sequence[Hour] = (),
    resumed: Sequence[str] = (), fault: str = "", journal: tuple[int, str] = (-1, ""),
) -> Closing:  # fmt: skip
    """What the rounds come to. Pure.

    Args:
        begun: what was watched.
        rounds: in their order.
        at: when it was last looked at.
        ended: whether it came to its end; False where it was stopped before.
        report: of the last scan; None where there was none, or it could not be made.
        hours: the hours, as the calls tell them.
        resumed: when it was taken up again.
        fault: what is wrong with the journal; empty where it holds.
        journal: its last line.
    """
    counts = _counts(begun, rounds, at)
    spent = max(0.0, (at - begun.moment).total_seconds())
    finished = [one for one in rounds if one.finished]
    monitoring = Monitoring(
        started_at=begun.at,
        ended_at=rounds[-1].at if rounds else begun.at,
        hours=round(spent / 3600, 6),
        rounds=len(rounds),
        longest_gap_s=round(counts.gap_s, 3),
        calls=finished[-1].census.calls if finished else 0,
        no_go=sum(one.state == "NO_GO" for one in rounds),
        unfinished=sum(not one.finished for one in rounds),
        alerts=counts.fired,
        switch_off_s=round(sum(one.switch.off_s for one in rounds), 3),
        closed=ended,
        project=begun.project,
        env=begun.env,
        policy_digest=begun.policy,
        judged=_judged(begun, rounds),
        rules_digest=begun.rules_digest,
        gates_digest=begun.gates_digest,
        journal_n=journal[0],
        journal_sha256=journal[1],
    )
    against = tuple(_against(monitoring, rounds))
    open_ = tuple(_unproven(begun, rounds, monitoring, counts, report, fault))
    outcome: Outcome = "NO_GO" if against else "UNPROVEN" if open_ else "CLEAN"
    monitoring = replace(monitoring, outcome=outcome)
    return Closing(begun, outcome, (*against, *open_), monitoring, tuple(rounds), tuple(hours), tuple(resumed), not ended, report, journal)


def doubted(closing: Closing, why: str) -> Closing:
    """The same with one more reason for which it is not proven; what was NO_GO stays so."""
    outcome: Outcome = "NO_GO" if closing.outcome == "NO_GO" else "UNPROVEN"
    monitoring = replace(closing.monitoring, outcome=outcome)
    return replace(closing, outcome=outcome, reasons=(*closing.reasons, why), monitoring=monitoring)


def hours_of(index: CallIndex, since: datetime, until: datetime) -> tuple[Hour, ...]:
    """The full hours of a time, and its first and last part, as the calls tell them; hours without a call are left out.

    Raises:
        PhiGuardError: the index cannot be read.
    """
    trend = {
        point.at.replace(minute=0, second=0, microsecond=0): point
        for point in index.trend("ttft_ms", Choice(since=since, until=until), step_s=3600)
    }
    made = []
    hour = since.replace(minute=0, second=0, microsecond=0)
    while hour < until:
        after = hour + timedelta(hours=1)
        rates = index.rates(max(hour, since), min(after, until), Choice())
        point = trend.get(hour)
        if rates.started or rates.calls or point is not None:
            made.append(
                Hour(
                    hour.strftime("%Y-%m-%dT%H:%M:%SZ"), rates.started, rates.failed, rates.cost_usd, point.n if point else 0,
                    point.p50 if point else None, point.p95 if point else None,
                )
            )  # fmt: skip
        hour = after
    return tuple(made)


def patience_s(begun: Begun) -> float:
    """How long nobody may look for the watch to be proven, seconds."""
    return min(max(PATIENCE * begun.every_s, PATIENCE_MIN_S), PATIENCE_MAX_S)


def _counts(begun: Begun, rounds: Sequence[Round], at: datetime) -> _Counts:
    own: Counter[str] = Counter()
    elsewhere: Counter[str] = Counter()
    for one in rounds:
        own.update({rule: len(instants) for rule, instants in one.alerts.fired.items()})
        elsewhere.update({rule: len(instants) for rule, instants in one.alerts.elsewhere.items()})
    fired = {rule: max(own[rule], elsewhere[rule]) for rule in sorted({*own, *elsewhere})}
    looked = [begun.moment, *(one.moment for one in rounds if one.finished), at]
    gaps = [((after - before).total_seconds(), before, after) for before, after in pairwise(looked)]
    longest = max(gaps, default=(0.0, begun.moment, begun.moment))
    return _Counts(fired, max(0.0, longest[0]), (_told(longest[1]), _told(longest[2])))


def _against(seen: Monitoring, rounds: Sequence[Round]) -> Iterator[str]:
    if seen.no_go:
        last = next(one for one in reversed(rounds) if one.state == "NO_GO")
        yield f"{seen.no_go} of {seen.rounds} rounds were NO-GO; the last, at {_told(last.moment)}: {last.why}"
    if seen.alerts:
        yield "alerts fired: " + ", ".join(f"{rule} {n} {'time' if n == 1 else 'times'}" for rule, n in seen.alerts.items())
    if seen.switch_off_s:
        yield f"telemetry's switch was off for {seen.switch_off_s:.0f} s"


def _unproven(begun: Begun, rounds: Sequence[Round], seen: Monitoring, counts: _Counts, report: Report | None, fault: str) -> Iterator[str]:
    if not seen.closed:
        yield f"it was stopped after {seen.hours:.2f} of {begun.hours:g} hours"
    elif seen.hours * 3600 < begun.hours * 3600 - SLACK_S:
        yield f"it lasted {seen.hours:.2f} of {begun.hours:g} hours"
    if counts.gap_s > patience_s(begun):
        yield f"nobody looked for {counts.gap_s:.0f} s, from {counts.gap[0]} to {counts.gap[1]}; {patience_s(begun):.0f} s are allowed"
    if not seen.calls:
        yield "there was no call to look at"
    if unjudged := _never_judged(rounds):
        yield f"alerts that could be judged in no round: {', '.join(unjudged)}"
    if seen.closed and rounds and not rounds[-1].finished:
        yield f"the last scan was not finished: {rounds[-1].why}"
    elif report is not None and seen.calls:
        if report.incomplete:
            yield f"the last scan is not whole: {report.incomplete}"
        for judged in report.gates:
            if judged.gate.name in NEEDED and judged.state == "unproven" and not report.incomplete:
                yield f"{judged.gate.name}: {judged.why}"
    if fault:
        yield f"the journal: {fault}"


def _judged(begun: Begun, rounds: Sequence[Round]) -> tuple[str, ...]:
    """Rules that some round could judge."""
    return tuple(sorted({rule for one in rounds for rule in begun.rules if rule not in one.alerts.unjudged}))


def _never_judged(rounds: Sequence[Round]) -> tuple[str, ...]:
    """Rules that no round could judge."""
    if not rounds:
        return ()
    left = set(rounds[0].alerts.unjudged)
    for one in rounds[1:]:
        left &= set(one.alerts.unjudged)
    return tuple(sorted(left))


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
