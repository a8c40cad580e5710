"""The report: one frozen value, from which every format is made. It holds no value of any trace."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from audit import statistics
from audit.baseline import Accepted
from audit.binding import Subject
from audit.census import Census
from audit.custody import Custody, Signature
from audit.evidence import Alerts, Monitoring, Rehearsal
from audit.findings import Finding
from audit.gates import Evidence, Gate, Judged
from audit.gates_base import gates_digest
from audit.known_answers import KnownAnswers
from audit.manifest import CrossCheck, Manifest
from audit.method import Method
from audit.population import Population
from audit.report import wire
from audit.report.parts import Bound, Results, Target, counted, percent, place_of
from audit.report.scope import LIMITS, MINIMUM, Scope
from audit.review.outcome import ReviewOutcome
from audit.roster import RosterFacts
from audit.sample import Selection
from audit.timeline import Timeline
from audit.verdict import Verdict
from phi_guard.policy.compiled import Policy

SCHEMA: Final = "phi-audit.report/2"
RULE: Final = (
    "NO-GO if a gate failed; else UNPROVEN if a gate lacks its evidence, none was judged, or the census is not whole; GO only if every gate"
    " is proven."
)
"""The rule that gives the verdict (`audit.verdict.decide`), in words."""
SUSPICION: Final = "low"
"""The severity of what is told apart from findings."""

_Name = TypeVar("_Name", str, tuple[str, str])

__all__ = [
    "RULE",
    "SCHEMA",
    "SUSPICION",
    "Bound",
    "Report",
    "Results",
    "Target",
    "bound_of",
    "evidence_of",
    "in_tools",
    "make",
    "stamp",
    "subject_of",
    "tools_of",
]


@dataclass(frozen=True, slots=True)
class Report:
    """All of one audit. See the parts.

    Args:
        target: what was audited.
        verdict: what the gates come to.
        gates: each, and what the evidence says of it.
        findings: those that are listed, suspicions last.
        population: what was counted.
        bound: over all traces.
        known_answers: the scan's proof of itself, or None.
        timeline: the measures of the runs.
        incomplete: why the census is not whole; empty if it is.
        notes: what a reader must know of this report.
        scope: the system, the flow of data, the standard.
        manifest: what exactly was read, or None.
        cross_check: that held against the relay's own account, or None.
        method: with what was looked.
        selection: the sample for people, or None.
        bounds: further bounds: by stratum, cumulative.
        accepted: findings that somebody answers for.
        expired: those of them whose day has passed; their findings count again.
        review: what people found, or None.
        roster: the clinic's own patients as a detector, or None.
        rehearsal: what a rehearsal measured, or None.
        alerts: which alerts fired in a rehearsal, or None.
        monitoring: what watching it in operation came to, or None.
        custody: who read the traces, with which keys.
        signatures: of people and of the tool, over the digest.
        reproduce: the command that makes this report again.
        tools: by tool of the policy, how many of its runs were looked at; 0 for one that was never called.
        unscanned: runs that were not looked at.
        unreadable: rows that could not be read.
        unlisted: findings that are counted and not listed.
        releases: findings by version of the agent.
    """

    target: Target
    verdict: Verdict
    gates: tuple[Judged, ...]
    findings: tuple[Finding, ...]
    population: Population
    bound: Bound
    known_answers: KnownAnswers | None
    timeline: Timeline
    incomplete: str
    notes: tuple[str, ...] = ()
    scope: Scope = field(default_factory=Scope)
    manifest: Manifest | None = None
    cross_check: CrossCheck | None = None
    method: Method = field(default_factory=Method)
    selection: Selection | None = None
    bounds: tuple[Bound, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    expired: tuple[Accepted, ...] = ()
    review: ReviewOutcome | None = None
    roster: RosterFacts | None = None
    rehearsal: Rehearsal | None = None
    alerts: Alerts | None = None
    monitoring: Monitoring | None = None
    custody: Custody = field(default_factory=Custody)
    signatures: tuple[Signature, ...] = ()
    reproduce: str = ""
    tools: Mapping[str, int] = field(default_factory=dict)
    unscanned: int = 0
    unreadable: int = 0
    unlisted: int = 0
    releases: Mapping[str, int] = field(default_factory=dict)

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The listed findings that count; suspicions left out."""
        return tuple(f for f in self.findings if f.severity != SUSPICION)

    @property
    def suspicions(self) -> tuple[Finding, ...]:
        """What a person should look at and no gate counts."""
        return tuple(f for f in self.findings if f.severity == SUSPICION)

    @property
    def by_entity(self) -> Mapping[tuple[str, str], int]:
        """Number of findings by entity and place, most first."""
        return _tally((f.entity, f.place) for f in self.leaks)

    @property
    def results(self) -> Results:
        """All that was found, counted."""
        leaks = self.leaks
        return Results(
            scanned=self.population.runs - self.unscanned,
            unscanned=self.unscanned,
            unreadable=self.unreadable,
            findings=len(leaks) + self.unlisted,
            unlisted=self.unlisted,
            suspicions=len(self.findings) - len(leaks),
            leaking=self.bound.leaking,
            by_severity=_tally(f.severity for f in self.findings),
            by_entity=_tally(f.entity for f in leaks),
            by_field=_tally(place_of(f) for f in leaks),
            by_tool=_tally(f.span for f in leaks),
            by_release=self.releases,
        )

    @property
    def sentence(self) -> str:
        """What the findings come to, with the bound, in a sentence."""
        bound, results = self.bound, self.results
        found = f"{counted(results.findings, 'finding')} in {counted(bound.traces, 'trace')}"
        if results.suspicions:
            found += f" (and {counted(results.suspicions, 'suspicion')}, which {'is' if results.suspicions == 1 else 'are'} not counted)"
        if not bound.traces:
            return f"{found}: nothing was looked at, so nothing is shown"
        rate = f"leak rate below {percent(bound.upper)} (95 %, one-sided)"
        if not bound.recall:
            return f"{found}: {rate} of what the scan can see; its recall is not shown"
        return f"{found}: {rate}, divided by the weakest recall shown ({percent(bound.recall)}): below {percent(bound.adjusted)}"

    @property
    def id(self) -> str:
        """Names the audit: the same before and after people reviewed it. 16 hexadecimal digits."""
        target = self.target
        named = f"{target.project}\n{target.place}\n{target.made_at}\n{target.policy_digest}\n{self.population.digest}"
        return hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of all but the signatures: what is signed."""
        return wire.digest(self._content())

    def as_json(self) -> dict[str, object]:
        """The report as plain values; keys and their order are fixed by the schema's version. See `wire` for how numbers are written."""
        content = self._content()
        own = {"schema": SCHEMA, "id": self.id, "digest": wire.digest(content)}
        return own | content | {"signatures": wire.plain(self.signatures)}

    def _content(self) -> dict[str, object]:
        held = {name: wire.plain(getattr(self, name), name) for name in self.__slots__ if name != "signatures"}
        verdict = wire.mapping(held.pop("verdict")) | {"exit_code": self.verdict.exit_code, "rule": RULE}
        head = {"schema": SCHEMA, "id": self.id, "verdict": verdict, "sentence": self.sentence, "incomplete": held.pop("incomplete")}
        gates = {"gates": [wire.gate_row(row) for row in wire.rows(held.pop("gates"))]}
        return head | gates | {"results": wire.plain(self.results, "results")} | held | {"limits": list(LIMITS)}


def make(
    census: Census,
    *,
    policy: Policy,
    target: Target,
    gates: tuple[Judged, ...],
    verdict: Verdict,
    notes: tuple[str, ...] = (),
    findings: tuple[Finding, ...] | None = None,
    bound: Bound | None = None,
    manifest: Manifest | None = None,
    cross_check: CrossCheck | None = None,
    method: Method | None = None,
    selection: Selection | None = None,
    bounds: tuple[Bound, ...] = (),
    accepted: tuple[Accepted, ...] = (),
    expired: tuple[Accepted, ...] = (),
    review: ReviewOutcome | None = None,
    roster: RosterFacts | None = None,
    rehearsal: Rehearsal | None = None,
    alerts: Alerts | None = None,
    monitoring: Monitoring | None = None,
    custody: Custody | None = None,
    signatures: tuple[Signature, ...] = (),
    reproduce: str = "",
    standard: str = MINIMUM,
    unscanned: int = 0,
    unreadable: int = 0,
    unlisted: int = 0,
    leaking: int | None = None,
    releases: Mapping[str, int] | None = None,
) -> Report:
    """The report of a census.

    Args:
        census: what was found and covered.
        policy: scanned under.
        target: what was audited.
        gates: judged.
        verdict: on them.
        notes: more that a reader must know.
        findings: those that count, where some of the census's are accepted; None for all of the census's.
        bound: over all traces; None for the exact one over this census.
        leaking: traces with a finding, where findings are unlisted; None to count those of the findings.
        standard: what may be said of it (`audit.standard.standard_of`); by itself it claims no de-identification.

        manifest: as in `Report`.
        cross_check: as in `Report`.
        method: as in `Report`.
        selection: as in `Report`.
        bounds: as in `Report`.
        accepted: as in `Report`.
        expired: as in `Report`.
        review: as in `Report`.
        roster: as in `Report`.
        rehearsal: as in `Report`.
        alerts: as in `Report`.
        monitoring: as in `Report`.
        custody: as in `Report`.
        signatures: as in `Report`.
        reproduce: as in `Report`.
        unscanned: as in `Report`.
        unreadable: as in `Report`.
        unlisted: as in `Report`.
        releases: as in `Report`.
    """
    found = census.findings if findings is None else findings
    leaks = [f for f in found if f.severity != SUSPICION]
    low = [f for f in found if f.severity == SUSPICION]
    population = census.population
    if leaking is None:
        leaking = len({f.trace_id for f in leaks})
    recall = census.known_answers.weakest if census.known_answers else 0.0
    seen = [digest for digest in population.policies if digest != policy.digest]
    if seen:
        notes = (*notes, f"the traces were made under {len(seen)} other version(s) of the policy; they are judged by this one")
    return Report(
        target, verdict, gates, (*leaks, *low), population,
        bound or bound_of(population.traces, leaking, recall), census.known_answers, census.timeline, census.incomplete, notes,
        scope=Scope.of(project=target.project, env=target.env, place=target.place, standard=standard),
        manifest=manifest, cross_check=cross_check, method=method or Method(), selection=selection, bounds=bounds, accepted=accepted,
        expired=expired, review=review, roster=roster, rehearsal=rehearsal, alerts=alerts, monitoring=monitoring,
        custody=custody or Custody(), signatures=signatures, reproduce=reproduce,
        tools=tools_of(policy, population),
        unscanned=unscanned, unreadable=unreadable, unlisted=unlisted, releases=dict(releases or {}),
    )  # fmt: skip


def tools_of(policy: Policy, population: Population) -> dict[str, int]:
    """By tool span of the policy, how many of them were counted; 0 for one that was never called."""
    return {f"tool.{name}": population.spans.get(f"tool.{name}", 0) for name in sorted(policy.tools)}


def in_tools(findings: Iterable[Finding]) -> int:
    """How many of these lie in spans of tools; suspicions are not among them."""
    return sum(f.severity != SUSPICION and f.span.startswith("tool.") for f in findings)


def evidence_of(report: Report) -> Evidence:
    """What the gates of a report can be judged again by: all of the evidence but the policy's examples and the length of the window."""
    return Evidence(
        findings=report.results.findings, population=report.population, known_answers=report.known_answers, rehearsal=report.rehearsal,
        incomplete=report.incomplete, cross_check=report.cross_check, review=report.review, alerts=report.alerts,
        monitoring=report.monitoring, tool_findings=in_tools(report.findings), tools=report.tools, ttft_turns=report.timeline.ttft_ms.n,
        subject=subject_of(report.target, [row.gate for row in report.gates]),
    )  # fmt: skip


def subject_of(target: Target, gates: Iterable[Gate]) -> Subject:
    """What a report is about and judged by, for evidence from elsewhere to be held against."""
    return Subject(target.project, target.env, target.policy_digest, target.made_at, gates_digest(gates))


def bound_of(traces: int, leaking: int, recall: float, *, name: str = "all traces") -> Bound:
    """The exact bound on the rate of leaking traces.

    Args:
        traces: looked at.
        leaking: those with a finding.
        recall: weakest shown, 0.0 for none.
        name: whose bound it is.
    """
    leaking = min(leaking, traces)
    upper = statistics.upper_bound(leaking, traces)
    return Bound(traces, leaking, upper, recall, min(1.0, upper / recall) if recall else 1.0, name=name)


def stamp(moment: datetime) -> str:
    """A moment as the report writes it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _tally(found: Iterable[_Name]) -> dict[_Name, int]:
    """How often each, most first."""
    return dict(sorted(Counter(found).items(), key=lambda item: (-item[1], item[0])))
