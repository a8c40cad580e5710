"""What the gates are judged with: a gate, the evidence, what comes of it, and how a number is held against a bar. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from audit import binding
from audit.binding import Subject
from audit.evidence import Alerts, Monitoring, Rehearsal
from audit.known_answers import KnownAnswers
from audit.manifest import CrossCheck
from audit.population import Population
from audit.review.outcome import ReviewOutcome
from phi_guard.errors import PhiGuardError

State: TypeAlias = Literal["proven", "failed", "unproven"]
GO_LIVE: Final = 5
"""The week whose gates are the go/no-go review (requirements, section 13): what a verdict is about unless another week is asked for."""
WEEKS: Final = (1, 2, 3, 4, 5, 6)
"""The weeks of the requirements, section 13."""
ALERTS: Final = ("error_rate", "ttft_p95", "tool_failure")
"""The three alerts of the requirements, section 15."""


class GatesError(PhiGuardError):
    """The gates file cannot be used; the message says where and what to write."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One criterion.

    Args:
        name: as in ``gates.yaml``.
        asks: what must be true, in words.
        source: where the requirement stands.
        evidence: what kind of evidence can prove it.
        bar: the threshold; meaning and unit go with the gate.
        bound: how the bar is meant: ``at_most``, ``below`` or ``at_least``; empty for a gate without a number.
        settings: further numbers of the gate.
        week: in which it must hold at the latest, 1 to 6.
    """

    name: str
    asks: str
    source: str
    evidence: str
    bar: float | None = None
    bound: str = ""
    settings: Mapping[str, float] = field(default_factory=dict)
    week: int = GO_LIVE


def gates_digest(gates: Iterable[Gate]) -> str:
    """SHA-256 over the bars of the gates of the go/no-go: two that are equal ask for the same."""
    rows = [[g.name, g.bar, g.bound, dict(sorted(g.settings.items()))] for g in sorted(gates, key=lambda g: g.name) if g.week <= GO_LIVE]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate and what the evidence says of it.

    Args:
        gate: the gate.
        state: ``proven``, ``failed`` or ``unproven``.
        measured: the number held against the bar, or None.
        why: in words, for the report; no value of any trace.
    """

    gate: Gate
    state: State
    measured: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All there is to judge by.

    Args:
        findings: how many the census gave and nobody has accepted; suspicions are not among them.
        population: what the census covered.
        days: length of the window the traces come from, days; 0.0 where it is not known.
        known_answers: the scan's self-proof, or None.
        rehearsal: what a rehearsal measured, or None.
        examples: how many of the policy's own examples came out right when it was loaded.
        incomplete: why the census is not one, in words; empty if it is.
        accepted: findings that an entry of the baseline accepts.
        suspicions: places where only the lowest thresholds see something; people look at them first.
        cross_check: the relay's own account held against what was read, or None.
        review: people's review, or None.
        alerts: which alerts fired and resolved in a rehearsal, or None.
        monitoring: what watching it in operation came to, or None.
        tool_findings: those of the findings that lie in spans of tools.
        tools: by tool span of the policy, how many of them there are; 0 for one that was never called.
        ttft_turns: agent turns that report their TTFT-A.
        subject: what is judged: evidence from elsewhere must be of it.
    """

    findings: int = 0
    population: Population = field(default_factory=Population)
    days: float = 0.0
    known_answers: KnownAnswers | None = None
    rehearsal: Rehearsal | None = None
    examples: int = 0
    incomplete: str = ""
    accepted: int = 0
    suspicions: int = 0
    cross_check: CrossCheck | None = None
    review: ReviewOutcome | None = None
    alerts: Alerts | None = None
    monitoring: Monitoring | None = None
    tool_findings: int = 0
    tools: Mapping[str, int] = field(default_factory=dict)
    ttft_turns: int = 0
    subject: Subject = field(default_factory=Subject)


Answer: TypeAlias = tuple[State, float | None, str]
Check: TypeAlias = Callable[[Gate, Evidence], Answer]


def against(gate: Gate, measured: float, what: str) -> Answer:
    """A measured number held against the gate's bar; ``what`` says it in words."""
    bar = gate.bar
    if bar is None:
        return "unproven", measured, "the gate has no bar"
    reached = {"at_most": measured <= bar, "below": measured < bar, "at_least": measured >= bar}[gate.bound]
    return ("proven" if reached else "failed"), measured, what


def of_census(check: Check) -> Check:
    """A census that is not complete can show a breach; it cannot show that there is none."""

    def checked(gate: Gate, evidence: Evidence) -> Answer:
        if not evidence.population.runs:
            return "unproven", None, evidence.incomplete or "there is no run to judge by"
        state, measured, why = check(gate, evidence)
        if state == "proven" and evidence.incomplete:
            return "unproven", measured, evidence.incomplete
        return state, measured, why

    return checked


def unless_open(evidence: Evidence, state: State, measured: float | None, why: str) -> Answer:
    """The answer, or unproven where it is good and calls are still going on."""
    calls = evidence.population.open
    if state == "proven" and calls:
        return "unproven", measured, f"{calls} calls are still going on; scan again when they have ended"
    return state, measured, why


def bound(check: Check) -> Check:
    """A check of a rehearsal, which is asked only where that is of what is judged, and proves only where it was brought to its end."""

    def checked(gate: Gate, evidence: Evidence) -> Answer:
        held = evidence.rehearsal
        if held is None:
            return check(gate, evidence)
        if foreign := binding.foreign_rehearsal(held, evidence.subject):
            return "unproven", None, "; ".join(foreign)
        state, measured, why = check(gate, evidence)
        if state == "proven" and (broken := binding.broken_rehearsal(held)):
            return "unproven", measured, "; ".join((why, *broken))
        return state, measured, f"{why}{binding.elsewhere(held, evidence.subject)}"

    return checked


def of_rehearsal(take: Callable[[Rehearsal], tuple[float | None, str]]) -> Check:
    """A check of a number out of the rehearsal; ``take`` gives it in words too, or None and what it is that was not reported."""

    @bound
    def checked(gate: Gate, evidence: Evidence) -> Answer:
        if evidence.rehearsal is None:
            return "unproven", None, "no rehearsal; run `phi-audit rehearse` and give its file with --evidence"
        measured, what = take(evidence.rehearsal)
        if measured is None:
            return "unproven", None, f"the rehearsal does not report {what}"
        return against(gate, measured, what)

    return checked
