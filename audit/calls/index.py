"""The index: calls, turns and uses of tools in SQLite, brought up to date from any source and asked by whoever shows or judges them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from audit.calls.answers import Choice, Detail, Measure, Order, Page, Point, Rates, Uses
from audit.calls.choosing import ORDERS, below_calls, of_calls, place_of
from audit.calls.counting import count, is_drawn
from audit.calls.measures import EDGES, course, course_weighed, spread, spread_weighed
from audit.calls.reading import microseconds, rank, read_run
from audit.calls.records import Call
from audit.calls.summary import summarise
from audit.calls.table import open_file, unusable
from audit.calls.writing import READ, WRITE, forget, packed, write
from audit.source import Run, Source
from audit.timeline import Histogram
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Policy

__all__ = ["CallIndex", "Choice", "Detail", "Measure", "Order", "Page", "Point", "Rates", "Uses"]

PAGE_MAX: Final = 1_000
"""Calls of a page."""
BATCH: Final = 2_000
"""Runs that wait in memory to be written together."""
_TOGETHER: Final = 100
"""Calls that are in memory at a time while each is gone through."""
_MEASURED: Final[Mapping[str, str]] = {
    "ttft_ms": "SELECT start, ttft, failed FROM turns WHERE ttft IS NOT NULL",
    "tool_ms": "SELECT start, ms, failed FROM tools WHERE ms IS NOT NULL",
    "session_ms": "SELECT start, duration * 1000, failed FROM calls WHERE duration >= 0",
    "cost_usd": "SELECT start, cost, failed FROM calls WHERE cost IS NOT NULL",
}
_CALL: Final = msgspec.json.Decoder(Call)


class CallIndex:
    """Calls in one SQLite file. One writer; readers in other processes may read meanwhile. Safe to use from several threads.

    Runs are written some thousand at a time, and what is asked here sees all that were added here.

    Args:
        path: made if missing, readable by its owner alone; None for a temporary one that is gone when closed. One that is damaged or of
            another version is put aside and begun anew.
        policy: whose tools and fields may be named; others are counted as ``tool.unknown`` and ``unknown``. None for the shipped one.

    Raises:
        PhiGuardError: the path cannot be used as an index.
    """

    def __init__(self, path: Path | None = None, *, policy: Policy | None = None) -> None:
        self._path = path
        self._policy = policy
        self._db = open_file(path)
        self._lock = threading.RLock()
        self._waiting: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}

    def add(self, run: Run) -> bool:
        """Take in one run as stored; one that came before is replaced where it says more. False where nothing changed."""
        return self._add(run, "")

    def refresh(self, source: Source, *, now: datetime, since: datetime | None = None) -> int:
        """Take in every run of a source, and remember when that was; how many changed something.

        Args:
            source: what is read.
            now: the clock's time, with a zone.
            since: given where the source holds all there is from then on: traces that began later and are no longer in it were deleted
                there, such as by a purge, and are forgotten here. None forgets nothing.

        Raises:
            SourceError: it could not be read, or not to its end; what came is kept, nothing is forgotten, and `refreshed` stays as it was.
        """
        project = str(source.manifest().query.get("project", ""))
        changed, seen = 0, set[str]()
        try:
            for run in source.runs():
                changed += self._add(run, project)
                if since is not None:
                    seen.add(str(run.get("trace_id") or run.get("id")).lower())
        finally:
            self._flush()
        if since is not None:
            changed += self._forget(since, project, seen)
        self.remember("refreshed", now)
        return changed

    def _forget(self, since: datetime, project: str, seen: set[str]) -> int:
        """Forget the traces that began since then, or nobody knows when, and were not seen."""
        asked = (
            "SELECT trace FROM calls WHERE start >= ?1 AND (project = ?2 OR ?2 = '') UNION"
            " SELECT trace FROM strays WHERE (start >= ?1 OR start IS NULL) AND (project = ?2 OR ?2 = '')"
        )
        with self._at_work() as db:
            held = [trace for (trace,) in db.execute(asked, (microseconds(since), project))]
            gone = [trace for trace in held if trace.lower() not in seen]
            forget(db, gone)
        return len(gone)

    def drop_before(self, until: datetime) -> int:
        """Forget the traces that were over before an instant, and those of which nothing tells when they were; how many these are."""
        asked = "SELECT trace FROM calls WHERE start < ?1 AND (end IS NULL OR end < ?1) UNION SELECT trace FROM strays WHERE start < ?1"
        with self._at_work() as db:
            old = [trace for (trace,) in db.execute(f"{asked} OR start IS NULL", (microseconds(until),))]
            forget(db, old)
        return len(old)

    @property
    def refreshed(self) -> datetime | None:
        """When it was last brought up to date whole."""
        return self.remembered("refreshed")

    def remember(self, name: str, moment: datetime) -> None:
        """Keep an instant under a name."""
        with self._at_work() as db:
            db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (name, moment.astimezone(UTC).isoformat()))

    def remembered(self, name: str) -> datetime | None:
        """The instant under a name, or None."""
        with self._at_work() as db:
            row = db.execute("SELECT value FROM memory WHERE name = ?", (name,)).fetchone()
        return None if row is None else datetime.fromisoformat(row[0])

    def page(self, choice: Choice, *, order: Order = "start", descending: bool = True, after: str = "", limit: int = 50) -> Page:
        """A page of the calls of a choice. Raises ValueError where ``after`` is none of ours."""
        if order not in ORDERS:
            msg = f"calls are ordered by {', '.join(ORDERS)}"
            raise ValueError(msg)
        by, way, limit = ORDERS[order], "DESC" if descending else "ASC", max(1, min(limit, PAGE_MAX))
        where, values = of_calls(choice)
        seek, sought = "", list(values)
        if after:
            seek = f" AND ({by}, c.trace) {'<' if descending else '>'} (?, ?)"
            sought += place_of(after, order, descending=descending)
        asked = (
            f"SELECT b.body, p.place FROM (SELECT c.trace, {by} AS place FROM calls c WHERE {where}{seek}"  # noqa: S608  # closed text
            f" ORDER BY {by} {way}, c.trace {way} LIMIT ?) p JOIN bodies b USING (trace) ORDER BY p.place {way}, p.trace {way}"
        )
        with self._at_work() as db:
            rows = db.execute(asked, (*sought, limit + 1)).fetchall()
            (total,) = db.execute(f"SELECT count(*) FROM calls c WHERE {where}", values).fetchone()  # noqa: S608
        calls = tuple(_CALL.decode(body) for body, _ in rows[:limit])
        more = f"{order}.{'d' if descending else 'a'}.{rows[limit - 1][1]!r}.{calls[-1].trace_id}" if len(rows) > limit else ""
        return Page(calls, more, total)

    def call(self, trace_id: str) -> Detail | None:
        """One call with its turns and tools, or None."""
        with self._at_work() as db:
            return _detail(db, trace_id)

    def each(self, choice: Choice) -> Iterator[Detail]:
        """Every call of a choice, oldest first, a few in memory at a time."""
        where, values = of_calls(choice)
        asked = f"SELECT start, trace FROM calls c WHERE {where} AND (start, trace) > (?, ?) ORDER BY start, trace LIMIT ?"  # noqa: S608
        last: tuple[int, str] = (-1, "")
        while True:
            with self._at_work() as db:
                rows = db.execute(asked, (*values, *last, _TOGETHER)).fetchall()
                found = [_detail(db, trace) for _, trace in rows]
            yield from (detail for detail in found if detail is not None)
            if len(rows) < _TOGETHER:
                return
            last = rows[-1]

    def histogram(self, measure: Measure, choice: Choice, *, tool: str = "") -> Histogram:
        """How a measure spreads over the calls of a choice, with exact percentiles; of one tool alone where it is named.

        Where some of these calls stand for more than themselves, it is `audit.calls.answers.Estimated`.
        """
        rows, weights = self._measured(measure, choice, tool)
        if weights:
            return spread_weighed(((row[1], weight) for row, weight in zip(rows, weights, strict=True)), EDGES[measure])
        return spread((value for _, value, _ in rows), EDGES[measure])

    def trend(self, measure: Measure, choice: Choice, *, step_s: int) -> tuple[Point, ...]:
        """A measure per step of so many seconds, steps without a value left out. What counts is when the call, turn or tool began."""
        rows, weights = self._measured(measure, choice, "")
        if weights:
            return course_weighed(((*row, weight) for row, weight in zip(rows, weights, strict=True)), step_s)
        return course(rows, step_s)

    def rates(self, since: datetime, until: datetime, choice: Choice) -> Rates:
        """The counts of the window from ``since`` on and before ``until``; of the choice only project and env are looked at."""
        with self._at_work() as db:
            return count(db, since, until, choice)

    def tools(self, choice: Choice) -> Mapping[str, tuple[int, int]]:
        """Uses and failures of each tool over the calls of a choice, those that were sent."""
        return {tool: (uses.n, uses.failed) for tool, uses in self.used(choice).items()}

    def used(self, choice: Choice) -> Mapping[str, Uses]:
        """Uses and failures of each tool over the calls of a choice, and what they stand for."""
        where, values = below_calls(choice)
        with self._at_work() as db:
            more = ", total(weight - 1), total((weight - 1) * failed)" if is_drawn(db) else ""
            asked = f"SELECT tool, count(*), sum(failed){more} FROM tools c WHERE {where} GROUP BY tool ORDER BY tool"  # noqa: S608
            return {tool: Uses(*counts) for tool, *counts in db.execute(asked, values)}

    def errors(self, choice: Choice) -> Mapping[str, int]:
        """Spans with each error, ``<class>: <code>``, over the calls of a choice."""
        return self._tallied("error", choice)

    def redactions(self, choice: Choice) -> Mapping[str, int]:
        """How often the policy redacted each field over the calls of a choice."""
        return self._tallied("redaction", choice)

    def projects(self) -> tuple[str, ...]:
        """Names of the projects in it, sorted."""
        with self._at_work() as db:
            return tuple(name for (name,) in db.execute("SELECT DISTINCT project FROM calls WHERE project != '' ORDER BY project"))

    def close(self) -> None:
        """Close it; it cannot be used afterwards."""
        with self._lock:
            try:
                self._flush()
            finally:
                self._db.close()

    def _add(self, run: Run, project: str) -> bool:
        part = read_run(run, self._rules(), project)
        if part is None:
            return False
        key, version = (packed(part.trace), packed(part.id)), (rank(part), WRITE.encode(part))
        with self._lock:
            held = self._waiting.get(key)
            if held is None:
                with self._reading() as db:
                    held = db.execute("SELECT rank, body FROM parts WHERE trace = ? AND id = ?", key).fetchone()
            if held is not None and held >= version:
                return False
            self._waiting[key] = version
            if len(self._waiting) >= BATCH:
                self._flush()
        return True

    def _rules(self) -> Policy:
        if self._policy is None:
            self._policy = load_policy(shipped("clinic.yaml"))
        return self._policy

    def _flush(self) -> None:
        """Write what waits, and the calls it belongs to anew, in one transaction."""
        with self._lock:
            if not self._waiting:
                return
            with self._reading() as db:
                write(db, self._waiting)
            self._waiting.clear()

    @contextmanager
    def _at_work(self) -> Iterator[sqlite3.Connection]:
        """The database with all that was added in it, for one thread at a time."""
        with self._lock:
            self._flush()
            with self._reading() as db:
                yield db

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as fault:
            raise unusable(self._path, fault) from None

    def _measured(self, measure: Measure, choice: Choice, tool: str) -> tuple[list[tuple[int, float, int]], list[float]]:
        """Values with their instants and whether they failed; and their weights, none where each is 1."""
        whole = measure in {"session_ms", "cost_usd"}
        where, values = of_calls(choice) if whole else below_calls(choice)
        asked = f"{_MEASURED[measure]} AND {where}".replace(" WHERE", " c WHERE", 1)
        if tool:
            asked += " AND c.tool = ?" if measure == "tool_ms" else " AND c.trace IN (SELECT trace FROM tools WHERE tool = ?)"
            values = (*values, tool)
        with self._at_work() as db:
            if not is_drawn(db):
                return db.execute(asked, values).fetchall(), []
            rows = db.execute(asked.replace("failed FROM", "failed, weight FROM", 1), values).fetchall()
        weights = [weight for *_, weight in rows]
        return [(start, value, failed) for start, value, failed, _ in rows], weights if any(weight > 1 for weight in weights) else []

    def _tallied(self, kind: str, choice: Choice) -> dict[str, int]:
        where, values = below_calls(choice)
        asked = f"SELECT name, sum(n) FROM tallies c WHERE kind = ? AND {where} GROUP BY name ORDER BY sum(n) DESC, name"  # noqa: S608
        with self._at_work() as db:
            return dict(db.execute(asked, (kind, *values)))


def _detail(db: sqlite3.Connection, trace_id: str) -> Detail | None:
    try:
        key = packed(trace_id)
    except ValueError:
        return None
    return summarise(READ.decode(body) for (body,) in db.execute("SELECT body FROM parts WHERE trace = ?", (key,)))
