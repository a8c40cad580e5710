"""What is asked of the index and what it answers: the choice of calls, pages, whole calls, rates and trends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, TypeAlias

from audit.calls.records import Call, ToolUse, Turn

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

    Args:
        calls: that ended in the window, or whose agent was lost in it.
        failed: of them.
        turns: answered turns that ended in the window.
        ttft_p95_ms: 95th percentile (nearest rank) of their TTFT-A; None without one.
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


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a trend: the window's begin and its numbers."""

    at: datetime
    n: int
    p50: float | None
    p95: float | None
    p99: float | None
    failed: int = 0
