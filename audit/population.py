"""What was audited: how many traces and runs, whether each trace is whole, and a digest that says which runs they were.

The unit is the trace, one call. Nothing here holds content: only closed names, ids, times and counts.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from audit import structure
from audit.source import Run

REQUIRED_SPANS: Final = ("session.start", "policy.guardrail", "agent_turn", "session.end")
"""What every whole trace holds at least once."""
CALL_MAX: Final = timedelta(hours=1)
"""A trace without an end that began within this time may still be going on; one without a beginning may be cut by the window."""


@dataclass(slots=True)
class Trace:
    """What is known of one trace, run by run.

    Attributes:
        roots: runs without a parent.
        spans: by span name.
        untyped: errors that are not of the closed lists, or that lack their metadata.
    """

    ids: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    roots: int = 0
    spans: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    rooms: set[str] = field(default_factory=set)
    errors: int = 0
    untyped: int = 0
    tool_calls: int = 0
    offered: int | None = None
    lost: int = 0
    cost_usd: float = 0.0
    cost_unknown: bool = False

    def missing(self) -> tuple[str, ...]:
        """What this trace lacks to be whole, in words; empty if it is."""
        lacks = [name for name in REQUIRED_SPANS if not self.spans[name]]
        if self.roots != 1:
            lacks.append("root" if not self.roots else "one root only")
        if self.parents - self.ids:
            lacks.append("a parent run")
        tools = sum(n for name, n in self.spans.items() if name.startswith(structure.TOOL))
        if tools < self.tool_calls:
            lacks.append("a tool span")
        return tuple(lacks)


@dataclass(frozen=True, slots=True)
class Population:
    """The frozen count.

    Args:
        traces: how many there are.
        runs: how many different runs.
        repeated: rows that came twice, as pages can shift while they are read.
        spans: runs by span name; ``?`` for a name that is not on the closed list.
        digest: BLAKE2b over the sorted run ids: the same runs, the same digest.
        first: start of the earliest run, ISO 8601, or empty.
        last: of the latest.
        open: traces that have no end and began so recently that they may get one.
        cut: traces whose beginning lies before the window.
        incomplete: by what is missing, how many traces lack it (open and cut ones left out).
        broken: how many traces lack something.
        shared_rooms: rooms that more than one trace names: a call that is not one trace.
        errors: runs with an error.
        untyped: errors that are not typed.
        offered: spans that the tracers of these calls offered, as their ends report.
        lost: spans they dropped; one whose content was withheld still arrived.
        uncounted: whole traces whose end reports no counts.
        cost_usd: sum over the traces.
        cost_unknown: traces whose cost is not known.
        policies: policy digests that the traces name, by number of runs.
    """

    traces: int = 0
    runs: int = 0
    repeated: int = 0
    spans: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""
    first: str = ""
    last: str = ""
    open: int = 0
    cut: int = 0
    incomplete: Mapping[str, int] = field(default_factory=dict)
    broken: int = 0
    shared_rooms: int = 0
    errors: int = 0
    untyped: int = 0
    offered: int = 0
    lost: int = 0
    uncounted: int = 0
    cost_usd: float = 0.0
    cost_unknown: int = 0
    policies: Mapping[str, int] = field(default_factory=dict)


class Counting:
    """Counts runs as they come, in any order."""

    def __init__(self) -> None:
        self._traces: dict[str, Trace] = {}
        self._ids: set[str] = set()
        self._repeated = 0
        self._policies: Counter[str] = Counter()
        self._last: datetime | None = None

    def add(self, run: Run, span: str) -> bool:
        """Count one run; False if it was counted before.

        Args:
            run: as stored.
            span: its name if it is on the closed list, else ``?``.
        """
        run_id = str(run.get("id"))
        if run_id in self._ids:
            self._repeated += 1
            return False
        self._ids.add(run_id)
        trace = self._traces.setdefault(str(run.get("trace_id") or run_id), Trace())
        trace.ids.add(run_id)
        trace.spans[span] += 1
        parent = run.get("parent_run_id")
        if parent is None:
            trace.roots += 1
        else:
            trace.parents.add(str(parent))
        start = instant(run.get("start_time"))
        if start is not None:
            trace.first = min(trace.first or start, start)
            self._last = max(self._last or start, start)
        self._facts(trace, run, span)
        return True

    def _facts(self, trace: Trace, run: Run, span: str) -> None:
        held = metadata(run)
        if run.get("error") is not None:
            trace.errors += 1
            typed = structure.typed_error(run["error"]) and held.get("error_type") in structure.ERROR_CLASSES
            trace.untyped += not (typed and held.get("error_message") in structure.ERROR_CODES)
        if isinstance(room := held.get("room_sid"), str):
            trace.rooms.add(room)
        digest = held.get("policy_digest")
        if isinstance(digest, str) and structure.METADATA["policy_digest"](digest):
            self._policies[digest] += 1
        if span == "agent_turn":
            trace.tool_calls += count(held.get("tool_calls"))
            trace.cost_usd += number(held.get("cost_usd"))
            trace.cost_unknown |= held.get("cost_unknown") is True
        if span in {"session.end", "voice_session"} and "spans_offered" in held:
            trace.offered = max(trace.offered or 0, count(held["spans_offered"]))
            trace.lost = max(trace.lost, count(held.get("spans_dropped")))

    def result(self, *, live: bool, since: datetime | None = None, until: datetime | None = None) -> Population:
        """The population so far.

        Args:
            live: whether calls may still be going on; if not, a trace without an end is broken.
            since: where the window begins, if the source was read by a window.
            until: where it ends.
        """
        broken: list[tuple[str, ...]] = []
        is_open = cut = 0
        for trace in self._traces.values():
            lacks = trace.missing()
            if lacks and live and until and trace.first and not trace.spans["session.end"] and trace.first > until - CALL_MAX:
                is_open += 1
            elif lacks and since and trace.first and not trace.roots and trace.first < since + CALL_MAX:
                cut += 1
            elif lacks:
                broken.append(lacks)
        traces = self._traces.values()
        rooms = Counter(room for trace in traces for room in trace.rooms)
        starts = [trace.first for trace in traces if trace.first]
        return Population(
            traces=len(traces),
            runs=len(self._ids),
            repeated=self._repeated,
            spans=_sorted(sum((trace.spans for trace in traces), Counter())),
            digest=hashlib.blake2b("\n".join(sorted(self._ids)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(),
            first=min(starts).isoformat() if starts else "",
            last=self._last.isoformat() if self._last else "",
            open=is_open,
            cut=cut,
            incomplete=_sorted(Counter(lack for lacks in broken for lack in lacks)),
            broken=len(broken),
            shared_rooms=sum(1 for n in rooms.values() if n > 1),
            errors=sum(trace.errors for trace in traces),
            untyped=sum(trace.untyped for trace in traces),
            offered=sum(trace.offered or 0 for trace in traces),
            lost=sum(trace.lost for trace in traces),
            uncounted=sum(1 for trace in traces if trace.offered is None and trace.spans["session.end"]),
            cost_usd=round(sum(trace.cost_usd for trace in traces), 6),
            cost_unknown=sum(trace.cost_unknown for trace in traces),
            policies=_sorted(self._policies),
        )


def metadata(run: Run) -> Mapping[str, object]:
    """A run's metadata; empty where it has none."""
    extra = run.get("extra")
    held = extra.get("metadata") if isinstance(extra, Mapping) else None
    return held if isinstance(held, Mapping) else {}


def number(value: object) -> float:
    """A number that metadata may hold, or 0.0."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9 else 0.0


def count(value: object) -> int:
    """A count that metadata may hold, or 0."""
    return int(number(value))


def instant(value: object) -> datetime | None:
    """An instant in UTC as a store writes it, or None."""
    if not isinstance(value, str) or not structure.TIME(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sorted(counter: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items()))
