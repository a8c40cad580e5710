"""One assessment from end to end: census, gates, verdict, report. What `phi-audit scan` and `phi-audit demo` both do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from audit.baseline import Accepted, Applied, apply
from audit.census import Census, Detectors, Plan, Progress, take
from audit.custody import Custody
from audit.evidence import Alerts, Monitoring, Rehearsal
from audit.findings import SUSPICION, Finding
from audit.gates import Evidence, Gate, judge
from audit.manifest import CrossCheck
from audit.method import Method
from audit.repeated import cumulative
from audit.report.model import Bound, Report, Target, in_tools, make, stamp, subject_of, tools_of
from audit.review.outcome import ReviewOutcome
from audit.roster.facts import RosterFacts
from audit.sample import Selection, draw
from audit.source import Source, Window
from audit.standard import standard_of
from audit.verdict import decide

__all__ = ["Assessment", "Beside", "assess", "rejudge"]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is judged beside the traces; each part may be missing.

    Args:
        rehearsal: evidence that a scan cannot have of itself.
        alerts: which alerts fired in a rehearsal.
        account: the relay's state directory or outbox, for the cross-check.
        purged: ids of the runs of each trace that was deleted since, by receipts that were believed.
        accepted: entries of the baseline.
        roster: facts of the roster that is looked in.
        earlier: reports of earlier windows, for the bound over all of them.
        sample: traces to draw for people; 0 for none, None for what `audit.plan` asks for.
        seed_by: who chose the seed, and when.
        custody: who reads, with which keys, at which place of the audit's log.
        reproduce: the command that makes the report again.
        without: layers of the detectors that were left out: then nothing is proven, whatever comes of it.
        notes: more that a reader must know.
        monitoring: what watching it in operation came to.
        account_since: from when the account is held against what was read; None from the window's beginning.
    """

    rehearsal: Rehearsal | None = None
    alerts: Alerts | None = None
    account: Path | None = None
    accepted: tuple[Accepted, ...] = ()
    roster: RosterFacts | None = None
    earlier: tuple[Report, ...] = ()
    sample: int | None = 0
    seed_by: str = "drawn at random"
    custody: Custody = field(default_factory=Custody)
    reproduce: str = ""
    without: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    monitoring: Monitoring | None = None
    purged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    account_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """A report, and the census it was made from (whose raw values only the check of a rendered report may use)."""

    report: Report
    census: Census


def assess(
    source: Source,
    plan: Plan,
    gates: tuple[Gate, ...],
    open_detectors: Callable[[], Detectors],
    *,
    now: datetime,
    beside: Beside | None = None,
    describe: Callable[[], Method] | None = None,
    progress: Progress = lambda _what, _done: None,
) -> Assessment:
    """Audit a source.

    Args:
        source: where the runs come from.
        plan: what to do.
        gates: what must be true.
        open_detectors: loads the detectors, once there is something to scan.
        now: when the report is made, with a time zone.
        beside: what is judged beside the traces.
        describe: says with what the traces are looked at; asked once there is something to scan.
        progress: told how far it is.
    """
    beside = beside or Beside()
    method: list[Method] = []

    def opened() -> Detectors:
        detectors = open_detectors()
        if describe is None:
            return detectors
        method.append(describe())
        return replace(detectors, digest=method[-1].digest)

    census = take(source, plan, opened, progress)
    if beside.without:
        left_out = f"the detectors were without {', '.join(beside.without)}"
        census = replace(census, incomplete="; ".join(filter(None, (census.incomplete, left_out))))
    windowed = source.live and plan.since is not None and plan.until is not None
    policy = plan.policy
    target = Target(
        project=plan.project,
        place=source.place,
        since=stamp(plan.since) if windowed and plan.since else "",
        until=stamp(plan.until or now),
        policy_file=Path(policy.file).name,
        env=policy.env,
        policy_digest=policy.digest,
        version=_version(),
        made_at=stamp(now),
    )
    monitoring = _vouched(beside.monitoring)
    applied = apply(census.findings, beside.accepted, now.date())
    covered = sum(finding.severity != SUSPICION for finding in census.findings) - sum(f.severity != SUSPICION for f in applied.open)
    evidence = Evidence(
        findings=census.failing - covered,
        population=census.population,
        days=(plan.until - plan.since).total_seconds() / 86_400 if windowed and plan.until and plan.since else 0.0,
        known_answers=census.known_answers,
        rehearsal=beside.rehearsal,
        examples=len(policy.examples),
        incomplete=census.incomplete,
        accepted=sum(entry.matched for entry in applied.accepted),
        suspicions=census.severities.get(SUSPICION, 0),
        cross_check=_cross_check(beside, census, plan, now),
        alerts=beside.alerts,
        monitoring=monitoring,
        tool_findings=in_tools(applied.open),
        tools=tools_of(policy, census.population),
        ttft_turns=census.timeline.ttft_ms.n,
        subject=subject_of(target, gates),
    )
    judged = judge(gates, evidence)
    manifest = source.manifest()
    if census.counting is not None:
        manifest = census.counting.complete(manifest)
    report = make(
        census, policy=policy, target=target, gates=judged, verdict=decide(judged, census.incomplete),
        notes=(*census.notes, *beside.notes, *_notes(applied)), findings=applied.open, manifest=manifest,
        cross_check=evidence.cross_check, method=method[-1] if method else None, selection=_selection(census, plan, beside),
        bounds=_cumulative(census, applied, beside.earlier), accepted=applied.accepted, expired=applied.expired, roster=beside.roster,
        rehearsal=beside.rehearsal, alerts=beside.alerts, monitoring=monitoring, custody=beside.custody, reproduce=beside.reproduce,
        unlisted=census.failing - sum(f.severity != SUSPICION for f in census.findings), leaking=_leaking(census, applied, covered),
        releases=_releases(census, applied.open), standard=standard_of(policy, census.population),
    )  # fmt: skip
    return Assessment(report, census)


def rejudge(report: Report, review: ReviewOutcome) -> Report:
    """The report with people's review in it: the gates that wait for one are judged again, and so is the verdict.

    Args:
        report: as it was reviewed.
        review: what the reviews come to.
    """
    evidence = Evidence(population=report.population, review=review, incomplete=report.incomplete)
    waiting = tuple(judged.gate for judged in report.gates if judged.gate.evidence == "review")
    anew = {judged.gate.name: judged for judged in judge(waiting, evidence)}
    gates = tuple(anew.get(judged.gate.name, judged) for judged in report.gates)
    scope = replace(report.scope, standard=report.scope.shown_standard)
    return replace(report, gates=gates, review=review, verdict=decide(gates, report.incomplete), scope=scope, signatures=())


def _vouched(monitoring: Monitoring | None) -> Monitoring | None:
    """The watch's evidence, held against the audit's log."""
    if monitoring is None:
        return None
    from audit import chain  # noqa: PLC0415  # only where there is such evidence
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.vouching import vouched  # noqa: PLC0415

    return vouched(monitoring, audit_dir(), chain.anchor_of(os.environ))


def _cross_check(beside: Beside, census: Census, plan: Plan, now: datetime) -> CrossCheck | None:
    account = beside.account
    if account is None or census.counting is None or plan.since is None or plan.until is None:
        return None
    from audit.crosscheck import check  # noqa: PLC0415  # only where there is an account

    return check(account, census.counting, Window(beside.account_since or plan.since, plan.until), now=now, purged=beside.purged)


def _selection(census: Census, plan: Plan, beside: Beside) -> Selection | None:
    if beside.sample == 0 or census.counting is None or not census.population.traces:
        return None
    suspected = {finding.trace_id for finding in census.findings if finding.severity == SUSPICION}
    leaks = Counter(finding.trace_id for finding in census.findings if finding.severity != SUSPICION)
    traces = census.counting.traces(census.by_trace if census.unlisted else leaks)
    return draw(traces, n=beside.sample, seed=plan.seed, seed_by=beside.seed_by, suspected=suspected.__contains__)


def _leaking(census: Census, applied: Applied, covered: int) -> int:
    """Traces with a finding that counts. Where findings are not listed one by one, accepted ones cannot be told apart: all count."""
    if not covered or census.unlisted:
        return census.leaking
    return len({finding.trace_id for finding in applied.open if finding.severity != SUSPICION})


def _releases(census: Census, findings: tuple[Finding, ...]) -> dict[str, int]:
    leaks = Counter(finding.trace_id for finding in findings if finding.severity != SUSPICION)
    if not leaks or census.counting is None:
        return {}
    told: Counter[str] = Counter()
    for trace in census.counting.traces(census.by_trace):
        if trace.trace_id in leaks:
            told[trace.version] += leaks[trace.trace_id]
    return dict(sorted(told.items()))


def _cumulative(census: Census, applied: Applied, earlier: tuple[Report, ...]) -> tuple[Bound, ...]:
    if not earlier:
        return ()
    leaking = _leaking(census, applied, len(census.findings) - len(applied.open))
    days = [(report.bound.leaking, report.bound.traces) for report in earlier] + [(leaking, census.population.traces)]
    recalls = [report.bound.recall for report in earlier] + [census.known_answers.weakest if census.known_answers else 0.0]
    bound = cumulative(days)
    recall = min(recalls)
    adjusted = min(1.0, bound.value / recall) if recall else 1.0
    return (Bound(bound.n, bound.found, bound.value, recall, adjusted, bound.level, f"cumulative, {len(days)} reports", bound.method),)


def _notes(applied: Applied) -> tuple[str, ...]:
    notes = []
    if applied.expired:
        notes.append(f"{len(applied.expired)} entries of the baseline have expired; what they covered counts again")
    if applied.unused:
        notes.append(f"{len(applied.unused)} entries of the baseline cover nothing in this report; `phi-audit baseline prune` removes them")
    return tuple(notes)


def _version() -> str:
    try:
        return version("phi-guard-toolkit")
    except PackageNotFoundError:
        return "unknown"
