"""Statistics added up by SQL: hour by hour, each hour once until it changes, and latencies where an index has them in order."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tracing.local.trace_store.columns import SUMS
from tracing.local.trace_store.reading import feedback_on, searches
from tracing.local.trace_store.records import Selection
from tracing.local.trace_store.schema import HOUR_US, hour_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from tracing.local.trace_store.conditions import Condition
    from tracing.local.trace_store.connections import Connections
    from tracing.local.trace_store.records import Json

_SUMMED: Final = ", ".join(f"sum({name})" for name in SUMS)
_COUNTED: Final = f"count(latency_us), count(wait_us), {_SUMMED}"
_AT_ONCE: Final = 50  # hours written in one transaction, so that what arrives does not wait
_WHOLE: Final = Selection()


@dataclass(frozen=True, slots=True)
class Ranked:
    """Numbers in order, of which some places may be known only.

    Args:
        count: how many numbers there are.
        known: the numbers by place, from 0; all of them or a few.
    """

    count: int = 0
    known: Sequence[int] | Mapping[int, int] = ()

    def quantile(self, share: float) -> float | None:
        """The quantile by linear interpolation between the two nearest numbers; None of nothing.

        Args:
            share: 0.0 to 1.0, such as 0.99.
        """
        if not self.count:
            return None
        place = share * (self.count - 1)
        low, high = self.known[math.floor(place)], self.known[math.ceil(place)]
        return low + (high - low) * (place % 1)


@dataclass(slots=True)
class Totals:
    """Runs added up.

    Args:
        last_us: the latest start.
        ended: runs that have an end.
        answered: runs that have a first token.
        sums: by the names of `SUMS`; None where no run said an amount.
        latencies: quantiles are taken from these, microseconds from start to end: all of them, or only the ranks asked for.
        waits: the same from start to the first token.
        feedback: what was written on these runs.
    """

    runs: int = 0
    errors: int = 0
    last_us: int | None = None
    ended: int = 0
    answered: int = 0
    sums: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(SUMS))
    latencies: Ranked = Ranked()
    waits: Ranked = Ranked()
    feedback: list[Json] = field(default_factory=list)

    def add(self, runs: int, errors: int | None, last_us: int | None, ended: int, answered: int, sums: Iterable[float | None]) -> None:
        """Add a row of totals."""
        self.runs += runs
        self.ended += ended
        self.answered += answered
        self.errors += errors or 0
        if last_us is not None:
            self.last_us = last_us if self.last_us is None else max(self.last_us, last_us)
        for name, amount in zip(SUMS, sums, strict=True):
            if amount is not None:
                self.sums[name] = (self.sums[name] or 0) + amount


def totals(connections: Connections, selection: Selection, condition: Condition) -> Totals:
    """The totals of the selected runs that fit an exact condition."""
    found, counted = Totals(), list[tuple[int, int, int, list[tuple[Any, ...]]]]()
    with connections.reading() as db:
        plain = (
            condition.sql == "1"
            and replace(selection, project_ids=None, is_root=None, run_type=None, has_error=None, from_us=None, to_us=None) == _WHOLE
        )
        if plain and selection.project_ids is not None:
            for project_no in _numbers(db, selection.project_ids):
                counted += _add_hours(db, project_no, selection, found)
        else:
            _add_rows(db, selection, condition, found)
        quick = (
            plain and replace(selection, project_ids=None) in {_WHOLE, Selection(is_root=True)} and len(selection.project_ids or ()) == 1
        )
        if quick:
            for project_no in _numbers(db, selection.project_ids or ()):
                _rank(db, project_no, bool(selection.is_root), found)
        else:
            _gather(db, selection, condition, found)
        found.feedback = feedback_on(db, selection, condition)
    _keep(connections, counted)
    return found


def _numbers(db: sqlite3.Connection, project_ids: Iterable[str]) -> list[int]:
    return [row[0] for one in dict.fromkeys(project_ids) for row in db.execute("SELECT number FROM projects WHERE id = ?", (one,))]


def _add_rows(db: sqlite3.Connection, selection: Selection, condition: Condition, found: Totals) -> None:
    for one in searches(db, selection, condition, counting=True):
        # Only fixed texts and question marks go into the statement.
        sql = f"SELECT count(*), sum(runs.has_error = 1), max(runs.started_us), {_COUNTED} FROM {one.source} WHERE {one.where}"  # noqa: S608
        runs, errors, last_us, ended, answered, *sums = db.execute(sql, one.values).fetchone()
        found.add(runs, errors, last_us, ended, answered, sums)


def _add_hours(db: sqlite3.Connection, project_no: int, selection: Selection, found: Totals) -> list[tuple[int, int, int, list[Any]]]:
    """Add the selected runs of a project. Returns what had to be counted anew: project, hour, its stamp, its rows."""
    first, last = _whole_hours(selection)
    for from_us, to_us in _edges(selection, first, last):
        edge = replace(selection, project_ids=None, from_us=from_us, to_us=to_us)
        for row in _grouped(db, project_no, from_us, to_us):
            _add_row(found, edge, row)
    anew = []
    hours = "SELECT hour, stamp FROM hours WHERE project_no = ? AND hour BETWEEN ? AND ? AND stamp <> counted"
    for hour, stamp in db.execute(hours, (project_no, first, last)).fetchall():
        rows = _grouped(db, project_no, hour * HOUR_US, (hour + 1) * HOUR_US - 1)
        anew.append((project_no, hour, stamp, rows))
        for row in rows:
            _add_row(found, selection, row)
    sql = (
        f"SELECT is_root, run_type, has_error, sum(runs), max(last_us), sum(ended), sum(answered), {_SUMMED} FROM tallies "  # noqa: S608
        "WHERE project_no = ?1 AND hour BETWEEN ?2 AND ?3 AND NOT EXISTS (SELECT 1 FROM hours WHERE hours.project_no = ?1 "
        "AND hours.hour = tallies.hour AND stamp <> counted) GROUP BY is_root, run_type, has_error"
    )
    for row in db.execute(sql, (project_no, first, last)):
        _add_row(found, selection, row)
    return anew


def _whole_hours(selection: Selection) -> tuple[int, int]:
    """The first and the last hour that lie whole in the selection; none does where the first is the later."""
    first = -(2**40) if selection.from_us is None else -(-selection.from_us // HOUR_US)
    last = 2**40 if selection.to_us is None else hour_of(selection.to_us + 1) - 1
    return first, last


def _edges(selection: Selection, first: int, last: int) -> list[tuple[int, int]]:
    """The parts of the selection outside its whole hours, microseconds from and to, both included."""
    from_us, to_us = selection.from_us, selection.to_us
    if from_us is not None and to_us is not None and first > last:
        return [(from_us, to_us)]
    before = [] if from_us is None or from_us == first * HOUR_US else [(from_us, first * HOUR_US - 1)]
    after = [] if to_us is None or to_us + 1 == (last + 1) * HOUR_US else [((last + 1) * HOUR_US, to_us)]
    return before + after


def _grouped(db: sqlite3.Connection, project_no: int, from_us: int, to_us: int) -> list[tuple[Any, ...]]:
    sql = (
        f"SELECT is_root, run_type, has_error, count(*), max(started_us), {_COUNTED} FROM runs INDEXED BY runs_by_project "  # noqa: S608
        "WHERE project_no = ? AND started_us BETWEEN ? AND ? GROUP BY is_root, run_type, has_error"
    )
    return db.execute(sql, (project_no, from_us, to_us)).fetchall()


def _add_row(found: Totals, selection: Selection, row: tuple[Any, ...]) -> None:
    is_root, run_type, has_error, runs, last_us, ended, answered, *sums = row
    wanted = (
        selection.is_root in {None, bool(is_root)}
        and selection.run_type in {None, run_type}
        and selection.has_error in {None, has_error == 1}
    )
    if wanted:
        found.add(runs, runs if has_error == 1 else 0, last_us, ended, answered, sums)


def _keep(connections: Connections, counted: list[tuple[int, int, int, list[tuple[Any, ...]]]]) -> None:
    """Keep what was counted anew, of the hours that have not changed since."""
    for at in range(0, len(counted), _AT_ONCE):
        with connections.writing() as db:
            for project_no, hour, stamp, rows in counted[at : at + _AT_ONCE]:
                same = "UPDATE hours SET counted = stamp WHERE project_no = ? AND hour = ? AND stamp = ?"
                if db.execute(same, (project_no, hour, stamp)).rowcount:
                    db.execute("DELETE FROM tallies WHERE project_no = ? AND hour = ?", (project_no, hour))
                    marks = ", ".join("?" * (9 + len(SUMS)))
                    db.executemany(f"INSERT INTO tallies VALUES ({marks})", [(project_no, hour, *row) for row in rows])  # noqa: S608


def _rank(db: sqlite3.Connection, project_no: int, roots: bool, found: Totals) -> None:
    """The places about the median and the 99th percentile, walked to in an index that has the numbers in order."""
    fixed = " AND is_root = 1" if roots else ""
    latencies = f"FROM runs INDEXED BY {'root_latency_by_project' if roots else 'latency_by_project'} WHERE project_no = ? "
    found.latencies = _places(db, project_no, "latency_us", f"{latencies} AND latency_us IS NOT NULL{fixed}", found.ended)
    waits = f"FROM runs INDEXED BY wait_by_project WHERE project_no = ? AND wait_us IS NOT NULL{fixed}"
    found.waits = _places(db, project_no, "wait_us", waits, found.answered)


def _places(db: sqlite3.Connection, project_no: int, number: str, base: str, count: int) -> Ranked:
    known: dict[int, int] = {}
    for share in (0.50, 0.99) if count else ():
        place = int(share * (count - 1))
        # From whichever end is nearer.
        if place < count // 2 + 1:
            rows = db.execute(f"SELECT {number} {base} ORDER BY {number} LIMIT 2 OFFSET ?", (project_no, place)).fetchall()
            known |= {place + i: row[0] for i, row in enumerate(rows)}
        else:
            offset = max(count - 2 - place, 0)
            sql = f"SELECT {number} {base} ORDER BY {number} DESC LIMIT 2 OFFSET ?"
            known |= {count - 1 - offset - i: row[0] for i, row in enumerate(db.execute(sql, (project_no, offset)).fetchall())}
    return Ranked(count, known)


def _gather(db: sqlite3.Connection, selection: Selection, condition: Condition, found: Totals) -> None:
    latencies, waits = list[int](), list[int]()
    for one in searches(db, selection, condition, counting=not selection.is_root):
        sql = f"SELECT latency_us, wait_us FROM {one.source} WHERE {one.where}"  # noqa: S608
        for latency, wait in db.execute(sql, one.values):
            if latency is not None:
                latencies.append(latency)
            if wait is not None:
                waits.append(wait)
    latencies.sort()
    waits.sort()
    found.latencies, found.waits = Ranked(len(latencies), latencies), Ranked(len(waits), waits)
