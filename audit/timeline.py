"""What the charts draw: how long callers waited, what calls cost, and what the policy redacted, as the traces themselves report it.

What grows with the number of runs lies in SQLite and not in memory; what is drawn is counted into fixed bins.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, fsum
from typing import Final, NamedTuple

from audit.moments import instant
from audit.population import count, metadata, number
from audit.source import Run
from audit.tables import temporary

TTFT_EDGES: Final = (*(float(ms) for ms in range(0, 3_000, 50)), *(float(ms) for ms in range(3_000, 10_001, 500)))
"""Milliseconds: fine where the budget of the gates lies, coarse beyond."""
COST_EDGES: Final = (*(n / 200 for n in range(20)), *(n / 20 for n in range(2, 21)))
"""US dollars: half cents to ten cents, then five cents."""
SESSION_EDGES: Final = (*(float(s * 1_000) for s in range(0, 600, 15)), *(float(s * 1_000) for s in range(600, 3_601, 300)))
"""Milliseconds: quarters of a minute to ten minutes, then five minutes."""
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS watch_values (kind TEXT NOT NULL, value REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS watch_counts (kind TEXT NOT NULL, name TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (kind, name))",
    "CREATE TABLE IF NOT EXISTS watch_days (day TEXT PRIMARY KEY, traces INTEGER NOT NULL, runs INTEGER NOT NULL, errors INTEGER NOT NULL)",
)
_VALUE: Final = "INSERT INTO watch_values VALUES (?, ?)"
_COUNT: Final = "INSERT INTO watch_counts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
_DAY: Final = (
    "INSERT INTO watch_days VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET traces = traces + excluded.traces, runs = runs + excluded.runs, errors = errors + excluded.errors"
)


class Measures(NamedTuple):
    """What is measured of one run.

    Args:
        day: that it began on, ISO 8601, UTC; empty where that is not known.
        root: whether it is a trace's root.
        failed: whether it has an error.
        values: measures by kind.
        counts: counts by kind and name.
    """

    day: str
    root: bool
    failed: bool
    values: tuple[tuple[str, float], ...] = ()
    counts: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values spread.

    Args:
        edges: of the bins, one more than there are counts; a bin holds what is at its lower edge or above and below its upper one. The last
            bin also holds whatever is above it.
        counts: values in each bin.
        n: values in all.
        p50: the median, exact, by nearest rank; None of no values. Likewise the next two.
        p95: the 95th percentile.
        p99: the 99th percentile.
        max: the largest.
        total: the sum.
    """

    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    n: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    total: float = 0.0


class Day(NamedTuple):
    """One day, UTC.

    Args:
        traces: roots that began on it.
        runs: runs that began on it.
        errors: of those, how many have an error.
    """

    traces: int
    runs: int
    errors: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The measures of all runs.

    Args:
        ttft_ms: milliseconds from the end of the caller's speech to the first sound of the answer, of each answered turn.
        costs_usd: US dollars of each agent turn.
        sessions_ms: milliseconds each call took, of those that have an end.
        redactions: by policy field, how often the policy redacted it; ``unknown`` for fields nobody named.
        tools: by tool span, how often it ran.
        tool_errors: by tool span, how often it failed.
        by_day: by day, ISO 8601, what began on it.
    """

    ttft_ms: Histogram = field(default_factory=Histogram)
    costs_usd: Histogram = field(default_factory=Histogram)
    sessions_ms: Histogram = field(default_factory=Histogram)
    redactions: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, int] = field(default_factory=dict)
    tool_errors: Mapping[str, int] = field(default_factory=dict)
    by_day: Mapping[str, Day] = field(default_factory=dict)


class Watching:
    """Collects the measures run by run.

    Args:
        fields: the policy's fields; a redaction count under another name is counted under ``unknown``.
        db: where to keep them, in tables ``watch_*``; as in `audit.population.Counting`.
    """

    def __init__(self, fields: frozenset[str], db: sqlite3.Connection | None = None) -> None:
        self._fields = fields
        self._own = db is None
        self._db = temporary() if db is None else db
        for table in _TABLES:
            self._db.execute(table)

    def add(self, run: Run, span: str) -> None:
        """Take in one run under its closed span name; each run once."""
        self.take([measures_of(run, span, self._fields)])

    def take(self, measures: Iterable[Measures]) -> None:
        """Take in the measures of many runs; each run once."""
        days: dict[str, list[int]] = {}
        counts: Counter[tuple[str, str]] = Counter()
        values: list[tuple[str, float]] = []
        for one in measures:
            if one.day:
                day = days.setdefault(one.day, [0, 0, 0])
                day[0] += one.root
                day[1] += 1
                day[2] += one.failed
            values += one.values
            for kind, name, n in one.counts:
                counts[kind, name] += n
        self._db.executemany(_DAY, ((day, *held) for day, held in days.items()))
        self._db.executemany(_VALUE, values)
        self._db.executemany(_COUNT, ((*of, n) for of, n in counts.items()))

    def result(self) -> Timeline:
        """The measures so far."""
        ask = self._db.execute
        return Timeline(
            ttft_ms=self._histogram("ttft_ms", TTFT_EDGES),
            costs_usd=self._histogram("cost_usd", COST_EDGES),
            sessions_ms=self._histogram("session_ms", SESSION_EDGES),
            redactions=dict(ask("SELECT name, n FROM watch_counts WHERE kind = 'redaction' ORDER BY n DESC, name")),
            tools=dict(ask("SELECT name, n FROM watch_counts WHERE kind = 'tool' ORDER BY name")),
            tool_errors=dict(ask("SELECT name, n FROM watch_counts WHERE kind = 'tool_error' ORDER BY name")),
            by_day={day: Day(*counts) for day, *counts in ask("SELECT day, traces, runs, errors FROM watch_days ORDER BY day")},
        )

    def _histogram(self, kind: str, edges: tuple[float, ...]) -> Histogram:
        (n,) = self._db.execute("SELECT count(*) FROM watch_values WHERE kind = ?", (kind,)).fetchone()
        if not n:
            return Histogram()
        ranks = {share: max(0, ceil(share * n) - 1) for share in (0.5, 0.95, 0.99, 1.0)}
        at: dict[int, float] = {}
        counts = [0] * (len(edges) - 1)
        wanted = frozenset(ranks.values())

        def values() -> Iterator[float]:
            for i, (value,) in enumerate(self._db.execute("SELECT value FROM watch_values WHERE kind = ? ORDER BY value", (kind,))):
                counts[min(bisect_right(edges, value) - 1, len(counts) - 1)] += 1
                if i in wanted:
                    at[i] = value
                yield value

        total = fsum(values())
        p50, p95, p99, largest = (at[ranks[share]] for share in (0.5, 0.95, 0.99, 1.0))
        return Histogram(edges, tuple(counts), n, p50, p95, p99, largest, round(total, 6))

    def close(self) -> None:
        """Delete the temporary file, if it has one."""
        if self._own:
            self._db.close()


def measures_of(run: Run, span: str, fields: Container[str]) -> Measures:
    """What is measured of a run; it hangs on nothing but the run.

    Args:
        run: as stored.
        span: its closed name.
        fields: the policy's fields.
    """
    held, failed = metadata(run), run.get("error") is not None
    begun = instant(run.get("start_time"))
    values: list[tuple[str, float]] = []
    counted: list[tuple[str, str, int]] = []
    if span == "agent_turn":
        values += [(kind, number(held[kind])) for kind in ("ttft_ms", "cost_usd") if kind in held]
    elif span == "voice_session":
        ended = instant(run.get("end_time"))
        if begun is not None and ended is not None and ended >= begun:
            values.append(("session_ms", (ended - begun).total_seconds() * 1_000))
    elif span == "policy.guardrail":
        told = held.get("redactions")
        for name, n in told.items() if isinstance(told, Mapping) else ():
            counted.append(("redaction", name if name in fields else "unknown", count(n)))
    elif span.startswith("tool."):
        counted.append(("tool", span, 1))
        if failed:
            counted.append(("tool_error", span, 1))
    day = "" if begun is None else begun.date().isoformat()
    return Measures(day, run.get("parent_run_id") is None, failed, tuple(values), tuple(counted))


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` (0 to 1) of the sorted values do not exceed (nearest rank); None of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
