"""What is asked of the index and what it answers: the choice of calls, pages, whole calls, rates and trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from audit.calls.records import Call, ToolUse, Turn
from audit.calls.weighing import Drawn, Share
from audit.timeline import Histogram

Measure: TypeAlias = Literal["ttft_ms", "tool_ms", "session_ms", "cost_usd"]
"""TTFT-A of answered turns, duration of tools, duration of calls, cost of calls."""
Order: TypeAlias = Literal["start", "duration", "ttft", "cost", "errors"]


WORST: Final = 5
"""Traces that are named for each rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which calls are meant; what is None or empty asks nothing.

    Args:
        since: calls that began then or later, with a zone.
        until: calls that began before, with a zone.
        project: of this project.
        env: ``dev`` or ``prod``.
        outcome: ``ok`` (ended, not failed), ``failed``, ``open`` (no end yet), ``tool_failed`` (some tool failed).
        tool: in which this tool ran, such as ``tool.book_appointment``.
        slower_ms: with an answered turn whose TTFT-A is above this.
        trace: whose trace id begins so, hexadecimal digits and dashes.
    """

    since: datetime | None = None
    until: datetime | None = None
    project: str = ""
    env: str = ""
    outcome: Literal["", "ok", "failed", "open", "tool_failed"] = ""
    tool: str = ""
    slower_ms: float | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of calls.

    Args:
        calls: in the order asked for.
        after: give this to get the next page; empty where there is none.
        total: calls of the choice in all.
    """

    calls: tuple[Call, ...]
    after: str
    total: int


@dataclass(frozen=True, slots=True)
class Detail:
    """A whole call; turns and tools by their start."""

    call: Call
    turns: tuple[Turn, ...]
    tools: tuple[ToolUse, ...]


@dataclass(frozen=True, slots=True)
class Rates:
    """What the alerts are judged by: the counts of a window.

    Counts are of what was sent. Where the relay sends a share of the calls only, what ends in ``unsent`` is how much more they stand for,
    estimated (`audit.calls.weighing`); 0 where each call stands for itself.

    Args:
        calls: that ended in the window, or whose agent was lost in it.
        failed: of them.
        turns: answered turns that ended in the window.
        ttft_p95_ms: 95th percentile (nearest rank, each turn by its weight) of their TTFT-A; None without one.
        tool_uses: that ended in the window.
        tool_failures: of them.
        offered: spans offered by the calls that ended in the window.
        dropped: of them, dropped.
        started: calls that began in the window.
        cost_usd: known cost of the calls that began in the window.
        cost_unknown: calls of it whose cost is not known, or not whole; those still going on among them.
        by_tool: uses and failures of each tool.
        worst: trace ids, at most `WORST`, of the calls that count most against a rate: under ``error_rate`` the last that failed, under
            ``ttft_p95`` the slowest, under ``tool_failure`` those with most failed tools, under ``span_drop`` those that dropped most.
        turns_unsent: answered turns that were not sent.
        started_unsent: calls that began in the window and were not sent.
        cost_unsent_usd: cost of these.
        unknown_unsent: of these, how many have no known or whole cost.
        drawn: of ``calls`` and ``failed``, what was sent with a chance below 1, for each such chance; also for the one that was in force
            last before the window, where roots in it tell a chance: then calls of it may have been drawn, and none came.
        uses_drawn: likewise of ``tool_uses`` and ``tool_failures``.
        uses_largest: uses of tools that one call has in the window, at most; 1 where that is no matter.
    """

    calls: int = 0
    failed: int = 0
    turns: int = 0
    ttft_p95_ms: float | None = None
    tool_uses: int = 0
    tool_failures: int = 0
    offered: int = 0
    dropped: int = 0
    started: int = 0
    cost_usd: float = 0.0
    cost_unknown: int = 0
    by_tool: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    worst: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    turns_unsent: float = 0.0
    started_unsent: float = 0.0
    cost_unsent_usd: float = 0.0
    unknown_unsent: float = 0.0
    drawn: tuple[Drawn, ...] = ()
    uses_drawn: tuple[Drawn, ...] = ()
    uses_largest: int = 1

    @property
    def ended(self) -> Share:
        """Calls that ended, and those that failed."""
        return Share(self.calls, min(self.failed, self.calls), self.drawn)

    @property
    def used(self) -> Share:
        """Uses of tools, and those that failed."""
        return Share(self.tool_uses, min(self.tool_failures, self.tool_uses), self.uses_drawn, self.uses_largest)


class Uses(NamedTuple):
    """Uses of a tool.

    Args:
        n: that were sent.
        failed: of them.
        unsent: for how many more they stand, estimated.
        failed_unsent: for how many more failed ones, likewise.
    """

    n: int
    failed: int
    unsent: float = 0.0
    failed_unsent: float = 0.0

    @property
    def about(self) -> float:
        """How many there are, sent or not, estimated."""
        return self.n + self.unsent

    @property
    def rate(self) -> float:
        """The share of them that failed, estimated; there is at least one."""
        return (self.failed + self.failed_unsent) / self.about


@dataclass(frozen=True, slots=True)
class Estimated(Histogram):
    """How values spread where only a share of the calls is sent: ``n`` and ``max`` are of what was sent, all else is estimated.

    Args:
        unsent: for how many more values those that were sent stand.
    """

    unsent: float = 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a trend: the window's begin and its numbers.

    Args:
        at: the window's begin.
        n: values that were sent.
        p50: the median, each value by its weight. Likewise the next two.
        p95: the 95th percentile.
        p99: the 99th percentile.
        failed: of the values, how many failed.
        unsent: for how many more values those stand, estimated.
        failed_unsent: for how many more failed ones, likewise.
    """

    at: datetime
    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    failed: int = 0
    unsent: float = 0.0
    failed_unsent: float = 0.0
