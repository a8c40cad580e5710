"""The index: calls, turns and uses of tools in SQLite, brought up to date from any source and asked by whoever shows or judges them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from audit.calls.records import Call, ToolUse, Turn
from audit.source import Run, Source
from audit.timeline import Histogram

Measure: TypeAlias = Literal["ttft_ms", "tool_ms", "session_ms", "cost_usd"]
"""TTFT-A of answered turns, duration of tools, duration of calls, cost of calls."""
Order: TypeAlias = Literal["start", "duration", "ttft", "cost", "errors"]


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
        cost_unknown: calls of it whose cost is not known.
        by_tool: uses and failures of each tool.
        worst: trace ids, at most five, of the calls that count most against the rate: failed ones, slowest ones, those with failed tools.
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


class CallIndex:
    """Calls in one SQLite file. One writer; readers in other processes may read meanwhile. Safe to use from several threads.

    Args:
        path: made if missing, readable by its owner alone; None for a temporary one that is gone when closed.

    Raises:
        PhiGuardError: the path cannot be used as an index.
    """

    def __init__(self, path: Path | None = None) -> None:
        raise NotImplementedError

    def add(self, run: Run) -> bool:
        """Take in one run as stored; one that came before is replaced where it says more. False where nothing changed."""
        raise NotImplementedError

    def refresh(self, source: Source, *, now: datetime) -> int:
        """Take in every run of a source, and remember when that was; how many changed something.

        Raises:
            SourceError: it could not be read, or not to its end; what came is kept, and `refreshed` stays as it was.
        """
        raise NotImplementedError

    @property
    def refreshed(self) -> datetime | None:
        """When it was last brought up to date whole."""
        raise NotImplementedError

    def page(self, choice: Choice, *, order: Order = "start", descending: bool = True, after: str = "", limit: int = 50) -> Page:
        """A page of the calls of a choice. Raises ValueError where ``after`` is none of ours."""
        raise NotImplementedError

    def call(self, trace_id: str) -> Detail | None:
        """One call with its turns and tools, or None."""
        raise NotImplementedError

    def each(self, choice: Choice) -> Iterator[Detail]:
        """Every call of a choice, oldest first, a few in memory at a time."""
        raise NotImplementedError

    def histogram(self, measure: Measure, choice: Choice, *, tool: str = "") -> Histogram:
        """How a measure spreads over the calls of a choice, with exact percentiles; of one tool alone where it is named."""
        raise NotImplementedError

    def trend(self, measure: Measure, choice: Choice, *, step_s: int) -> tuple[Point, ...]:
        """A measure per step of so many seconds, steps without a value left out."""
        raise NotImplementedError

    def rates(self, since: datetime, until: datetime, choice: Choice) -> Rates:
        """The counts of the window from ``since`` on and before ``until``; of the choice only project and env are looked at."""
        raise NotImplementedError

    def tools(self, choice: Choice) -> Mapping[str, tuple[int, int]]:
        """Uses and failures of each tool over the calls of a choice."""
        raise NotImplementedError

    def errors(self, choice: Choice) -> Mapping[str, int]:
        """Spans with each error, ``<class>: <code>``, over the calls of a choice."""
        raise NotImplementedError

    def redactions(self, choice: Choice) -> Mapping[str, int]:
        """How often the policy redacted each field over the calls of a choice."""
        raise NotImplementedError

    def projects(self) -> tuple[str, ...]:
        """Names of the projects in it, sorted."""
        raise NotImplementedError

    def close(self) -> None:
        """Close it; it cannot be used afterwards."""
        raise NotImplementedError
