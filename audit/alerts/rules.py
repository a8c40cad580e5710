"""A rule: what is watched, over which window, from what value on, and how long it must hold before anybody is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from phi_guard.errors import PhiGuardError

Metric: TypeAlias = Literal[
    "error_rate", "ttft_p95", "tool_failure", "leak", "switch_off", "span_drop", "no_traces", "budget", "plan_quota", "stale"
]
Severity: TypeAlias = Literal["info", "warning", "critical"]
Shown: TypeAlias = Literal["either", "counts", "bound"]

SHARES: Final = frozenset({"error_rate", "tool_failure", "span_drop"})
"""Metrics that are so many of so many; their minimum counts say when a share means something."""
WINDOWED: Final = frozenset({*SHARES, "ttft_p95"})
"""Metrics of a window of traces alone, so that a past window can be judged again when traces come late."""
UNITS: Final = {
    "error_rate": "per_cent", "tool_failure": "per_cent", "span_drop": "per_cent", "plan_quota": "per_cent", "ttft_p95": "ms",
    "stale": "ms", "budget": "usd", "leak": "count", "switch_off": "count", "no_traces": "count",
}  # fmt: skip
"""Unit of each metric's value: per cent, milliseconds, US dollars of a month, or a count."""


class RulesError(PhiGuardError):
    """The rules cannot be used; the message lists every fault as ``file:line: path: what, and what to write instead``."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nothing is sent; what happens in it is judged all the same, and told after it.

    Args:
        reason: why, one line.
        owner: who answers for it.
        days: weekdays, Monday 0; empty for every day. Of a span that crosses midnight, the day on which it begins.
        begin: of each day, minutes after midnight.
        end: of each day, minutes after midnight; not after ``begin`` where it crosses midnight.
        zone: of days and minutes.
        since: of a dated silence, with a zone; None for one that recurs.
        until: its end.
    """

    reason: str
    owner: str
    days: frozenset[int] = frozenset()
    begin: int = 0
    end: int = 0
    zone: str = "UTC"
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at an instant with a zone."""
        if self.since is not None and self.until is not None:
            return self.since <= at < self.until
        local = at.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return self.begin <= minute < self.end and self._on(local.date())
        return (minute >= self.begin and self._on(local.date())) or (minute < self.end and self._on(local.date() - timedelta(days=1)))

    def _on(self, day: date) -> bool:
        return not self.days or day.weekday() in self.days


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of ``alerts.yaml``.

    Args:
        name: of the rule, unique in the file.
        metric: what is watched; the name under which the alert is sent.
        bar: the threshold, in the metric's unit (`UNITS`).
        inclusive: whether a value at the bar is bad too.
        window_s: seconds that are looked at, up to now; of ``budget`` and ``plan_quota`` the month takes its place.
        min_count: what a value must rest on: calls, turns, uses, spans.
        min_bad: how many of them must count against it; of shares alone.
        shown: what a share must show: ``counts`` (both minima), ``bound`` (its exact lower bound lies above the bar), ``either``.
        confidence: one-sided, of that bound.
        hold_s: seconds for which it must be bad before it fires.
        resolve_bar: the value it must come down to again.
        resolve_s: seconds for which it must stay there.
        remind_s: seconds after which a firing alert is said again; 0 for never.
        severity: ``info``, ``warning`` or ``critical``.
        environments: in which it is judged.
        sinks: where it is sent, each where its address is given.
        silences: when it is not.
        fixed_usd: of ``budget``: what a month costs with no call.
        project_after_s: of ``budget``: seconds of a month before its end is projected; 0 for never.
        quota: of ``plan_quota``: traces a month.
        grace_s: of ``no_traces``: seconds that a trace may take to arrive.
    """

    name: str
    metric: Metric
    bar: float
    inclusive: bool = False
    window_s: int = 3600
    min_count: int = 0
    min_bad: int = 0
    shown: Shown = "either"
    confidence: float = 0.95
    hold_s: int = 0
    resolve_bar: float = 0.0
    resolve_s: int = 0
    remind_s: int = 0
    severity: Severity = "warning"
    environments: frozenset[str] = frozenset({"dev", "prod"})
    sinks: tuple[str, ...] = ()
    silences: tuple[Silence, ...] = ()
    fixed_usd: float = 0.0
    project_after_s: int = 0
    quota: int = 0
    grace_s: int = 0

    @property
    def unit(self) -> str:
        """Of its value and its bars."""
        return UNITS[self.metric]

    def above(self, value: float) -> bool:
        """Whether a value is beyond the bar."""
        return value >= self.bar if self.inclusive else value > self.bar

    def silent(self, at: datetime) -> bool:
        """Whether nothing of it is sent at an instant."""
        return any(silence.holds(at) for silence in self.silences)


def load_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, in its order.

    Raises:
        RulesError: with every fault of the file.
    """
    from audit.alerts.document import read  # noqa: PLC0415  # YAML and pydantic load only with a file

    return read(path)
