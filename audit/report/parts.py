"""The parts of a report that are its own: what was audited, what the findings come to, and how numbers are said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit import statistics
from audit.findings import Finding


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
        upper: one-sided upper bound on the rate of leaking traces that a scan like this would see.
        recall: the weakest recall shown by known answers (lower bound); 0.0 if none.
        adjusted: ``upper`` divided by ``recall``, at most 1.0.
        confidence: 0.95.
        name: whose bound it is: ``all traces``, a stratum, or ``cumulative`` over several reports.
        method: how it was computed.
        sides: ``one-sided``.
    """

    traces: int
    leaking: int
    upper: float
    recall: float
    adjusted: float
    confidence: float = statistics.CONFIDENCE
    name: str = "all traces"
    method: str = "Clopper-Pearson, exact"
    sides: str = "one-sided"


@dataclass(frozen=True, slots=True)
class Results:
    """What came of it, counted. Findings of severity ``low`` are suspicions and counted apart.

    Args:
        scanned: different runs that were looked at.
        unscanned: runs that were not.
        unreadable: rows that could not be read.
        findings: how many, those that are not listed included.
        unlisted: findings that are counted and not listed.
        suspicions: how many are listed.
        leaking: traces with a finding.
        by_severity: listed findings and suspicions.
        by_entity: listed findings.
        by_field: by place in the run, indexes left out.
        by_tool: by span.
        by_release: by version of the agent, where it was given.
    """

    scanned: int
    unscanned: int
    unreadable: int
    findings: int
    unlisted: int
    suspicions: int
    leaking: int
    by_severity: Mapping[str, int]
    by_entity: Mapping[str, int]
    by_field: Mapping[str, int]
    by_tool: Mapping[str, int]
    by_release: Mapping[str, int]


def place_of(finding: Finding) -> str:
    """Where a finding stands, indexes left out."""
    return finding.path.split("[")[0]


def counted(n: int, word: str) -> str:
    """A number and its noun."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def percent(rate: float) -> str:
    """A rate for a reader: three digits that count."""
    return f"{rate * 100:.3g} %"
