"""The report: one frozen value, from which every format is made. It holds no value of any trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from audit import statistics
from audit.census import Census
from audit.findings import Finding
from audit.gates import Judged
from audit.known_answers import KnownAnswers
from audit.population import Population
from audit.source import FIELDS, NOT_READ
from audit.timeline import Timeline, percentile
from audit.verdict import Verdict
from phi_guard.policy.compiled import Policy

SCHEMA: Final = "phi-audit.report/1"

LIMITS: Final = (
    "Evidence, not certification: people decide, and sign.",
    "The policy minimises field by field. Where it keeps dates, places or confirmation numbers, what is sent is not Safe Harbor clean.",
    "The bound takes the calls of this window for a sample of all calls like them; it says nothing of other software or another policy.",
    "A number within the range of a measure (milliseconds, tokens, dollars) cannot be told from a measure.",
    "Findings are shown by place, kind, length and a keyed fingerprint. The values stay in the traces.",
)
"""What a reader must know before relying on it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was audited, and with what.

    Args:
        project: its name, as given.
        place: endpoint host or file.
        since: beginning of the window, ISO 8601; empty for a file.
        until: its end, or when the file was read.
        policy_file: name of the policy file.
        env: the environment whose overlay was applied.
        policy_digest: digest of the policy scanned under.
        version: of phi-audit.
        made_at: when the report was made, ISO 8601.
    """

    project: str
    place: str
    since: str
    until: str
    policy_file: str
    env: str
    policy_digest: str
    version: str
    made_at: str


@dataclass(frozen=True, slots=True)
class Bound:
    """What the number of findings says of the leak rate among calls.

    Args:
        traces: traces looked at.
        leaking: traces with a finding.
        upper: one-sided 95 % upper bound on the rate of leaking traces that a scan like this would see (Clopper-Pearson).
        recall: the weakest recall shown by known answers (lower bound); 0.0 if none.
        adjusted: ``upper`` divided by ``recall``, at most 1.0.
        confidence: 0.95.
    """

    traces: int
    leaking: int
    upper: float
    recall: float
    adjusted: float
    confidence: float = statistics.CONFIDENCE


@dataclass(frozen=True, slots=True)
class Report:
    """All of one audit. See the parts."""

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

    @property
    def by_entity(self) -> Mapping[tuple[str, str], int]:
        """Number of findings by entity and place, most first."""
        counted = Counter((f.entity, f.place) for f in self.findings)
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))

    @property
    def sentence(self) -> str:
        """What the findings come to, with the bound, in a sentence."""
        bound = self.bound
        found = f"{_counted(len(self.findings), 'finding')} in {_counted(bound.traces, 'trace')}"
        if not bound.traces:
            return f"{found}: nothing was looked at, so nothing is shown"
        rate = f"leak rate below {_percent(bound.upper)} (95 %, one-sided)"
        if not bound.recall:
            return f"{found}: {rate} of what the scan can see; its recall is not shown"
        return f"{found}: {rate}, divided by the weakest recall shown ({_percent(bound.recall)}): below {_percent(bound.adjusted)}"

    def as_json(self) -> dict[str, object]:
        """The report as plain values; keys and their order are fixed by the schema's version."""
        timeline = self.timeline
        return {
            "schema": SCHEMA,
            "verdict": {"state": self.verdict.state, "exit_code": self.verdict.exit_code, "reasons": list(self.verdict.reasons)},
            "incomplete": self.incomplete,
            "target": asdict(self.target),
            "gates": [_gate(judged) for judged in self.gates],
            "findings": [asdict(f) for f in self.findings],
            "population": {**asdict(self.population), "read": list(FIELDS), "not_read": list(NOT_READ)},
            "bound": asdict(self.bound),
            "known_answers": asdict(self.known_answers) if self.known_answers else None,
            "timeline": {
                "ttft_ms": {"n": len(timeline.ttft_ms), **_percentiles(timeline.ttft_ms)},
                "cost_usd": {"n": len(timeline.costs_usd), "sum": round(sum(timeline.costs_usd), 6)},
                "redactions": dict(timeline.redactions),
                "tools": dict(timeline.tools),
                "tool_errors": dict(timeline.tool_errors),
            },
            "notes": list(self.notes),
            "limits": list(LIMITS),
        }


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _gate(judged: Judged) -> dict[str, object]:
    gate = judged.gate
    told: dict[str, object] = {"name": gate.name, "state": judged.state, "why": judged.why, "measured": judged.measured}
    return told | {"bound": gate.bound, "bar": gate.bar, "asks": gate.asks, "source": gate.source, "evidence": gate.evidence}


def _percentiles(values: tuple[float, ...]) -> dict[str, object]:
    return {f"p{share:g}": percentile(values, share / 100) for share in (50, 95, 99)}


def _percent(rate: float) -> str:
    return f"{rate:.2%}" if rate < 0.1 else f"{rate:.1%}"


def make(
    census: Census, *, policy: Policy, target: Target, gates: tuple[Judged, ...], verdict: Verdict, notes: tuple[str, ...] = ()
) -> Report:
    """The report on a census and what was judged by it."""
    leaking = len({f.trace_id for f in census.findings})
    traces = census.population.traces
    upper = statistics.upper_bound(min(leaking, traces), traces) if traces else 1.0
    recall = census.known_answers.weakest if census.known_answers else 0.0
    adjusted = min(1.0, upper / recall) if recall else 1.0
    seen = [digest for digest in census.population.policies if digest != policy.digest]
    if seen:
        notes = (*notes, f"the traces were made under {len(seen)} other version(s) of the policy; they are judged by this one")
    return Report(
        target, verdict, gates, census.findings, census.population, Bound(traces, leaking, upper, recall, adjusted),
        census.known_answers, census.timeline, census.incomplete, notes,
    )  # fmt: skip


def stamp(moment: datetime) -> str:
    """A moment as the report writes it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
