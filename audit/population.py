"""What was audited: how many traces and runs, whether each trace is whole, and a digest that says which runs they were.

The unit is the trace, one call. Nothing here holds content: only closed names, ids, times, counts and keyed digests. What grows with the
number of runs lies in SQLite and not in memory.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import fsum
from typing import Final, TypeAlias

from audit import structure
from audit.manifest import Manifest, TraceFacts
from audit.moments import instant
from audit.source import Run
from audit.tables import id_bytes, id_text, temporary

Row: TypeAlias = tuple[
    bytes, bytes, bytes | None, str, str | None, int | None, str | None, str | None, bool, bool, int, float, bool, int | None, int,
    str | None, str | None, str | None, bool, bytes,
]  # fmt: skip
"""What is counted of one run: ids, closed names, a time, counts and a keyed digest, in the order of the table."""

REQUIRED_SPANS: Final = ("session.start", "policy.guardrail", "agent_turn", "session.end")
"""What every whole trace holds at least once."""
CALL_MAX: Final = timedelta(hours=1)
"""A trace without an end that began within this time may still be going on; one without a beginning may be cut by the window."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ENDS: Final = frozenset({"session.end", "voice_session"})
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS count_runs (
    id BLOB PRIMARY KEY, trace BLOB NOT NULL, parent BLOB, span TEXT NOT NULL, tool TEXT, start INTEGER, room TEXT, policy TEXT,
    error INTEGER NOT NULL, untyped INTEGER NOT NULL, tool_calls INTEGER NOT NULL, cost REAL NOT NULL, cost_unknown INTEGER NOT NULL,
    offered INTEGER, lost INTEGER NOT NULL, reason TEXT, version TEXT, env TEXT, attached INTEGER NOT NULL, digest BLOB NOT NULL
)"""
_BY_TRACE: Final = "CREATE INDEX IF NOT EXISTS count_runs_trace ON count_runs (trace)"
"""Made only when somebody asks trace by trace: adding is slower with it."""
_REPEATS: Final = "CREATE TABLE IF NOT EXISTS count_repeats (n INTEGER NOT NULL)"
_ADD: Final = f"INSERT OR IGNORE INTO count_runs VALUES ({', '.join('?' * 20)})"  # noqa: S608  # closed text
_TRACES: Final = f"""
SELECT {", ".join(f"sum(span = '{name}')" for name in REQUIRED_SPANS)}, sum(parent IS NULL),
    sum(parent IS NOT NULL AND NOT EXISTS (SELECT 1 FROM count_runs p WHERE p.id = r.parent AND p.trace = r.trace)),
    sum(span LIKE 'tool.%') < sum(tool_calls), min(start), max(offered), max(lost), max(cost_unknown)
FROM count_runs r GROUP BY trace"""  # noqa: S608


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


@dataclass(frozen=True, slots=True)
class Placed:
    """One run among the others.

    Args:
        trace_id: its trace.
        run_id: its id.
        span: its closed name.
        start: microseconds since 1970, or None.
        ends: whether it tells that its call has ended.
    """

    trace_id: str
    run_id: str
    span: str
    start: int | None
    ends: bool


class Counting:
    """Counts runs as they come, in any order.

    Args:
        db: where to keep what is counted, in tables ``count_*``, which are made if they are not there; nothing is ever committed or rolled
            back here, and what is there already is counted on. None keeps it in a temporary file of this object alone.
    """

    def __init__(self, db: sqlite3.Connection | None = None) -> None:
        self._own = db is None
        self._db = temporary() if db is None else db
        self._db.execute(_SCHEMA)
        self._db.execute(_REPEATS)

    def add(self, run: Run, span: str, digest: bytes = b"") -> bool:
        """Count one run; False if it was counted before.

        Args:
            run: as stored.
            span: its name if it is on the closed list, else ``?``.
            digest: keyed digest of its content, for `runs_digest`.
        """
        return self.take(row_of(run, span, digest))

    def take(self, row: Row) -> bool:
        """Count one run by its row (`row_of`); False if it was counted before."""
        if self._db.execute(_ADD, row).rowcount:
            return True
        self._db.execute("INSERT INTO count_repeats VALUES (1)")
        return False

    def known(self, run_id: str) -> bool:
        """Whether a run of this id was counted."""
        return self._db.execute("SELECT 1 FROM count_runs WHERE id = ?", (id_bytes(run_id),)).fetchone() is not None

    def has_trace(self, trace_id: str) -> bool:
        """Whether a run of this trace was counted."""
        self._db.execute(_BY_TRACE)
        return self._db.execute("SELECT 1 FROM count_runs WHERE trace = ? LIMIT 1", (id_bytes(trace_id),)).fetchone() is not None

    def placed(self) -> Iterator[Placed]:
        """Every counted run with its place and time, by trace."""
        asked = "SELECT trace, id, span, start, span = 'session.end' OR offered IS NOT NULL FROM count_runs ORDER BY trace, id"
        for trace, run_id, span, start, ends in self._db.execute(asked):
            yield Placed(id_text(trace), id_text(run_id), span, start, ends=bool(ends))

    def absent_parents(self, trace_id: str) -> tuple[str, ...]:
        """Ids of the runs that runs of this trace hang under, and that were not counted, sorted."""
        self._db.execute(_BY_TRACE)
        asked = (
            "SELECT DISTINCT parent FROM count_runs WHERE trace = ? AND parent IS NOT NULL AND parent NOT IN (SELECT id FROM count_runs)"
        )
        return tuple(id_text(parent) for (parent,) in self._db.execute(f"{asked} ORDER BY parent", (id_bytes(trace_id),)))

    def runs_digest(self) -> str:
        """BLAKE2b over ``id digest`` of each counted run, sorted; the digests are keyed already."""
        whole = hashlib.blake2b(digest_size=16)
        for run_id, digest in self._db.execute("SELECT id, digest FROM count_runs ORDER BY id"):
            whole.update(b"%b %b\n" % (run_id, digest.hex().encode()))
        return whole.hexdigest()

    def complete(self, manifest: Manifest) -> Manifest:
        """A source's manifest with what only the counting knows: the runs' digest, and how many different ones have attachments."""
        (attached,) = self._db.execute("SELECT count(*) FROM count_runs WHERE attached").fetchone()
        return replace(manifest, runs_digest=self.runs_digest(), attached=attached)

    def traces(self, findings: Mapping[str, int] | None = None) -> Iterator[TraceFacts]:
        """Every trace as a sample is drawn from it, sorted by id.

        Args:
            findings: by trace id, how many findings lie in it.
        """
        found = findings or {}
        asked = (
            "SELECT trace, count(*), max(error), group_concat(DISTINCT tool),"
            " min(CASE span WHEN 'session.end' THEN reason END), min(reason), max(reason = 'error'), max(span = 'session.end'),"
            " min(version), count(DISTINCT version), min(env), count(DISTINCT env) FROM count_runs GROUP BY trace ORDER BY trace"
        )
        for trace, runs, error, tools, end, reason, failed, ended, version, versions, env, envs in self._db.execute(asked):
            trace_id = id_text(trace)
            yield TraceFacts(
                trace_id=trace_id,
                tools="+".join(sorted(tools.split(","))) if tools else "none",
                outcome="error" if error or failed else end or reason or ("unknown" if ended else "open"),
                version=version if versions == 1 else "?",
                env=env if envs == 1 else "?",
                runs=runs,
                findings=found.get(trace_id, 0),
            )

    def result(self, *, live: bool, since: datetime | None = None, until: datetime | None = None) -> Population:
        """The population so far.

        Args:
            live: whether calls may still be going on; if not, a trace without an end is broken.
            since: where the window begins, if the source was read by a window.
            until: where it ends.
        """
        incomplete: Counter[str] = Counter()
        traces = is_open = cut = broken = offered = lost = uncounted = unpriced = 0
        for *spans, roots, orphans, untold, began, told, gone, no_price in self._db.execute(_TRACES):
            traces += 1
            offered, lost = offered + (told or 0), lost + gone
            ended = spans[-1]
            uncounted += told is None and ended > 0
            unpriced += no_price
            lacks = _lacks(spans, roots, orphans=bool(orphans), untold=bool(untold))
            first = None if began is None else _EPOCH + began * _MICROSECOND
            if lacks and live and until and first and not ended and first > until - CALL_MAX:
                is_open += 1
            elif lacks and since and first and not roots and first < since + CALL_MAX:
                cut += 1
            elif lacks:
                broken += 1
                incomplete.update(lacks)
        ask = self._db.execute
        runs, errors, untyped, first_us, last_us = ask(
            "SELECT count(*), total(error), total(untyped), min(start), max(start) FROM count_runs"
        ).fetchone()
        shared = "SELECT count(*) FROM (SELECT 1 FROM count_runs WHERE room IS NOT NULL GROUP BY room HAVING count(DISTINCT trace) > 1)"
        return Population(
            traces=traces,
            runs=runs,
            repeated=ask("SELECT count(*) FROM count_repeats").fetchone()[0],
            spans=dict(ask("SELECT span, count(*) FROM count_runs GROUP BY span ORDER BY span")),
            digest=self._digest(),
            first=_iso(first_us),
            last=_iso(last_us),
            open=is_open,
            cut=cut,
            incomplete=dict(sorted(incomplete.items())),
            broken=broken,
            shared_rooms=ask(shared).fetchone()[0],
            errors=int(errors),
            untyped=int(untyped),
            offered=offered,
            lost=lost,
            uncounted=uncounted,
            # fsum rounds once, at the end: the same sum in whatever order the runs came.
            cost_usd=round(fsum(cost for (cost,) in ask("SELECT cost FROM count_runs WHERE cost > 0")), 6),
            cost_unknown=unpriced,
            policies=dict(ask("SELECT policy, count(*) FROM count_runs WHERE policy IS NOT NULL GROUP BY policy ORDER BY policy")),
        )

    def _digest(self) -> str:
        whole = hashlib.blake2b(digest_size=16)
        between = b""
        for (run_id,) in self._db.execute("SELECT id FROM count_runs ORDER BY id"):
            whole.update(between + run_id)
            between = b"\n"
        return whole.hexdigest()

    def close(self) -> None:
        """Delete the temporary file, if it has one."""
        if self._own:
            self._db.close()


def row_of(run: Run, span: str, digest: bytes = b"") -> Row:
    """What is counted of a run; it hangs on nothing but the run.

    Args:
        run: as stored.
        span: its name if it is on the closed list, else ``?``.
        digest: keyed digest of its content.
    """
    parent, held, error = run.get("parent_run_id"), metadata(run), run.get("error")
    start = instant(run.get("start_time"))
    untyped = False
    if error is not None:
        typed = structure.typed_error(error) and held.get("error_type") in structure.ERROR_CLASSES
        untyped = not (typed and held.get("error_message") in structure.ERROR_CODES)
    turn, ends = span == "agent_turn", span in _ENDS
    told = ends and "spans_offered" in held
    return (
        id_bytes(run.get("id")),
        id_bytes(run.get("trace_id") or run.get("id")),
        None if parent is None else id_bytes(parent),
        span,
        _tool(run, span),
        None if start is None else (start - _EPOCH) // _MICROSECOND,
        _closed(held, "room_sid"),
        _closed(held, "policy_digest"),
        error is not None,
        untyped,
        count(held.get("tool_calls")) if turn else 0,
        number(held.get("cost_usd")) if turn else 0.0,
        turn and held.get("cost_unknown") is True,
        count(held["spans_offered"]) if told else None,
        count(held.get("spans_dropped")) if told else 0,
        _closed(held, "reason") if ends else None,
        _closed(held, "agent_version"),
        _closed(held, "env"),
        bool(run.get("attachments")),
        digest,
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


def _closed(held: Mapping[str, object], key: str) -> str | None:
    """A metadata value, if it is of the shape it must have; nothing else of a trace may be kept."""
    value = held.get(key)
    return value if isinstance(value, str) and structure.METADATA[key](value) else None


def _tool(run: Run, span: str) -> str | None:
    if span.startswith(structure.TOOL):
        return "?" if span == structure.UNKNOWN_TOOL else span.removeprefix(structure.TOOL)
    return "?" if span == "?" and run.get("run_type") == "tool" else None


def _lacks(spans: list[int], roots: int, *, orphans: bool, untold: bool) -> list[str]:
    """What a trace lacks to be whole, in words; empty if it is."""
    lacks = [name for name, n in zip(REQUIRED_SPANS, spans, strict=True) if not n]
    if roots != 1:
        lacks.append("one root only" if roots else "root")
    return lacks + ["a parent run"] * orphans + ["a tool span"] * untold


def _iso(microseconds: int | None) -> str:
    return "" if microseconds is None else (_EPOCH + microseconds * _MICROSECOND).isoformat()
