"""One assessment from end to end: census, gates, verdict, report. What `phi-audit scan` and `phi-audit demo` both do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from audit.census import Census, Detectors, Plan, Progress, take
from audit.evidence import Rehearsal
from audit.gates import Evidence, Gate, judge
from audit.report.model import Report, Target, make, stamp
from audit.source import Source
from audit.verdict import decide


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
    rehearsal: Rehearsal | None = None,
    progress: Progress = lambda _what, _done: None,
) -> Assessment:
    """Audit a source.

    Args:
        source: where the runs come from.
        plan: what to do.
        gates: what must be true.
        open_detectors: loads the detectors, once there is something to scan.
        now: when the report is made, with a time zone.
        rehearsal: evidence that a scan cannot have of itself.
        progress: told how far it is.
    """
    census = take(source, plan, open_detectors, progress)
    windowed = source.live and plan.since is not None and plan.until is not None
    days = (plan.until - plan.since).total_seconds() / 86_400 if windowed and plan.until and plan.since else 0.0
    policy = plan.policy
    evidence = Evidence(
        findings=len(census.findings),
        population=census.population,
        days=days,
        known_answers=census.known_answers,
        rehearsal=rehearsal,
        examples=len(policy.examples),
        incomplete=census.incomplete,
    )
    judged = judge(gates, evidence)
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
    verdict = decide(judged, census.incomplete)
    return Assessment(make(census, policy=policy, target=target, gates=judged, verdict=verdict), census)


def open_detectors() -> Detectors:
    """The detectors a scan looks with: the strict ones, and the patterns alone.

    Raises:
        DetectorUnavailable: a piece is not installed.
    """
    from phi_guard.detect import PatternDetector, open_detector  # noqa: PLC0415  # spaCy and Presidio load with the first run

    return Detectors(strict=open_detector("strict").find, patterns=PatternDetector().find)


def _version() -> str:
    try:
        return version("phi-guard-toolkit")
    except PackageNotFoundError:
        return "unknown"
