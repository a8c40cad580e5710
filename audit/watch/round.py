"""One round of a watch: what was looked at, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from audit.report import Report

State: TypeAlias = Literal["CLEAN", "NO_GO", "UNFINISHED"]
WHY_MAX: Final = 2_000
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLook:
    """Where telemetry's switch stood.

    Args:
        on: whether anything might be sent.
        at: since when, ISO 8601; empty where nobody has said so.
        hold: what it was held for, or empty.
        off_s: seconds since the look before for which it was off, as far as that can be known; what cannot is counted as off.
        changed: whether it was set since the look before.
    """

    on: bool = True
    at: str = ""
    hold: str = ""
    off_s: float = 0.0
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLook:
    """How the alerts stood.

    Args:
        fired: by rule, the instants for which it fired that no look before has told, ISO 8601, as this watch judged it. They may lie before
            the last look: traces come late.
        elsewhere: likewise as `phi-audit alerts watch` judged it, where one runs.
        firing: rules that fired at the time.
        unjudged: rules that could not be judged.
        sent: messages that were taken by a sink.
    """

    fired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    firing: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    sent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What the scan of a round came to: figures of `audit.report.Report`, over the whole window of the watch.

    Args:
        report: its digest.
        calls: traces.
        runs: runs of them.
        findings: that count.
        suspicions: that do not.
        leaking: traces with a finding.
        open: calls still going on.
        failed: names of the gates that failed.
        cost_usd: of the traces.
        offered: spans that were to be sent, as the traces' ends say.
        lost: of them.
        ttft_p50_ms: half of the answers came within; None without an answer.
        ttft_p95_ms: so many did.
        missing: runs that the relay's account says were delivered, and that are not there; None without an account.
        unexpected: runs that it did not send; None without an account.
    """

    report: str = ""
    calls: int = 0
    runs: int = 0
    findings: int = 0
    suspicions: int = 0
    leaking: int = 0
    open: int = 0
    failed: tuple[str, ...] = ()
    cost_usd: float = 0.0
    offered: int = 0
    lost: int = 0
    ttft_p50_ms: float | None = None
    ttft_p95_ms: float | None = None
    missing: int | None = None
    unexpected: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round.

    Args:
        n: its number, from 1.
        at: up to when was read, ISO 8601: when the round began.
        took_s: seconds it took.
        state: ``CLEAN``: all was read, and no gate failed; ``NO_GO``: one did; ``UNFINISHED``: it could not be known.
        why: the gates that failed, or what kept it from its end, in words; empty for a clean one.
        census: what the scan came to.
        alerts: how the alerts stood.
        switch: where the switch stood.
        enforced: what turning the switch off came to, in words; empty where it was not asked for.
        problems: what else went wrong, in words.
    """

    n: int
    at: str
    took_s: float
    state: State
    why: str = ""
    census: Census = field(default_factory=Census)
    alerts: AlertLook = field(default_factory=AlertLook)
    switch: SwitchLook = field(default_factory=SwitchLook)
    enforced: str = ""
    problems: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        """`at`, in UTC."""
        return datetime.fromisoformat(self.at).astimezone(UTC)

    @property
    def finished(self) -> bool:
        """Whether the project was read to its end."""
        return self.state != "UNFINISHED"


def census_of(report: Report) -> Census:
    """The figures of a report that a round keeps."""
    population, check, ttft = report.population, report.cross_check, report.timeline.ttft_ms
    return Census(
        report=report.digest,
        calls=population.traces,
        runs=population.runs,
        findings=report.results.findings,
        suspicions=report.results.suspicions,
        leaking=report.bound.leaking,
        open=population.open,
        failed=tuple(judged.gate.name for judged in report.gates if judged.state == "failed"),
        cost_usd=population.cost_usd,
        offered=population.offered,
        lost=population.lost,
        ttft_p50_ms=ttft.p50,
        ttft_p95_ms=ttft.p95,
        missing=None if check is None or not check.expected + check.unexpected else check.missing,
        unexpected=None if check is None or not check.expected + check.unexpected else check.unexpected,
    )


def short(text: str) -> str:
    """A reason in one line, not longer than is kept."""
    line = " ".join(text.split())
    return line if len(line) <= WHY_MAX else f"{line[: WHY_MAX - 1]}…"


def stamp(moment: datetime) -> str:
    """An instant as a watch writes it: UTC, six digits of a second, ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
