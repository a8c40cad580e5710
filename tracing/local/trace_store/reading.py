"""What is read from the store's file: runs in order, by the index that leads to them soonest, and all else that it holds."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tracing.local.trace_store.conditions import Condition
from tracing.local.trace_store.records import Attachment, Json, Position, Project, Run, Selection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from tracing.local.trace_store.connections import Connections

_COLUMNS: Final = (
    "runs.id, (SELECT id FROM projects WHERE number = runs.project_no), runs.trace_id, runs.parent_id, runs.started_us, runs.ended_us, "
    "runs.body"
)
_BATCH: Final = 200  # runs read at a time: a reading holds no view of the file for long
_RARE: Final = 2000  # runs of one mark that are sooner gathered and sorted than met in the order of time
_ANY: Final = Condition()


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look and what to ask there, as parts of a SELECT.

    Args:
        source: the text after FROM.
        clauses: all of them must hold.
        start: the column that leads the order.
    """

    source: str
    clauses: tuple[str, ...]
    values: tuple[Any, ...]
    start: str = "runs.started_us"

    @property
    def where(self) -> str:
        """The text after WHERE."""
        return " AND ".join(self.clauses) or "1"


def searches(db: sqlite3.Connection, selection: Selection, condition: Condition = _ANY, *, counting: bool = False) -> list[Search]:
    """The searches that together find the selected runs that fit the condition, each run in one of them only.

    Args:
        db: a view of the file, to see how rare a mark is.
        selection: what is asked of all.
        condition: what else is.
        counting: whether all of them are to be counted up, rather than the next few shown.
    """
    if selection.project_ids is None:
        return [_search(db, selection, condition, None, counting)]
    asked = (json.dumps(selection.project_ids),)
    numbers = [number for (number,) in db.execute("SELECT number FROM projects WHERE id IN (SELECT value FROM json_each(?))", asked)]
    return [_search(db, selection, condition, number, counting) for number in numbers]


def _search(db: sqlite3.Connection, selection: Selection, condition: Condition, project_no: int | None, counting: bool) -> Search:
    """Look where the fewest runs are. The choice is made here, since SQLite knows nothing of how its values are spread."""
    clauses, values = _asked(selection, project_no)
    clauses.append(f"({condition.sql})")
    values += condition.values
    index, many = _index(selection, condition, project_no, counting)
    if many and condition.marks:
        mark_no, runs = _rarest(db, condition.marks)
        if runs < _RARE or index in {"runs_by_project", "types_by_project", "runs_by_start"}:
            for bound, moment in ((">=", selection.from_us), ("<=", selection.to_us)):
                if moment is not None:
                    clauses.append(f"marks.started_us {bound} ?")
                    values.append(moment)
            # CROSS JOIN keeps the order: SQLite looks at the marks first.
            source = "marks CROSS JOIN runs ON runs.number = marks.run_no"
            return Search(source, ("marks.mark_no = ?", *clauses), (mark_no, *values), "marks.started_us")
    if many and project_no is not None and condition.longer_us is not None:
        long = "runs.latency_us IS NOT NULL AND runs.latency_us >= ?"
        sql = f"SELECT count(*) FROM (SELECT 1 FROM runs INDEXED BY latency_by_project WHERE project_no = ? AND {long} LIMIT {_RARE})"  # noqa: S608
        if db.execute(sql, (project_no, condition.longer_us)).fetchone()[0] < _RARE:
            return Search("runs INDEXED BY latency_by_project", (*clauses, long), (*values, condition.longer_us))
    if index == "types_by_project" and selection.run_type is None:
        clauses.append("runs.run_type = ?")
        values.append(condition.run_type)
    if index == "names_by_project":
        clauses.append("runs.name = ?")
        values.append(condition.name)
    clauses += {"errors_by_project": ["runs.has_error <> 0"], "roots_by_project": ["runs.is_root = 1"]}.get(index, [])
    return Search(f"runs INDEXED BY {index}", tuple(clauses), tuple(values))


def _index(selection: Selection, condition: Condition, project_no: int | None, counting: bool) -> tuple[str, bool]:
    """The index to look in, and whether there may be many runs to look at."""
    if selection.ids is not None:
        return "sqlite_autoindex_runs_1", False
    if selection.trace_id is not None:
        return "runs_by_trace", False
    if selection.parent_id is not None:
        return "runs_by_parent", False
    if "thread" in condition.states:
        return "runs_by_thread", False
    if project_no is None:
        return "runs_by_start", True
    if selection.has_error or "error" in condition.states:
        return "errors_by_project", True
    if counting:
        return "runs_by_project", True  # it alone holds all that is added up
    if condition.name is not None:
        return "names_by_project", True
    if selection.is_root or "root" in condition.states:
        return "roots_by_project", True
    typed = selection.run_type is not None or condition.run_type is not None
    return "types_by_project" if typed else "runs_by_project", True


def _rarest(db: sqlite3.Connection, marks: tuple[tuple[str, str], ...]) -> tuple[int, int]:
    """The number of the mark that the fewest runs bear, -1 for one that none does, and their count up to `_RARE`."""
    found = []
    for mark in marks:
        row = db.execute("SELECT number FROM mark_names WHERE key = ? AND value = ?", mark).fetchone()
        if row is None:
            return -1, 0
        count = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM marks WHERE mark_no = ? LIMIT {_RARE})", row).fetchone()  # noqa: S608
        found.append((count[0], row[0]))
    runs, mark_no = min(found)
    return mark_no, runs


def _asked(selection: Selection, project_no: int | None) -> tuple[list[str], list[Any]]:
    """The clauses and values of a selection; lists travel as JSON, so that their length meets no limit of SQLite."""
    equal = {
        "runs.project_no = ?": project_no,
        "runs.id IN (SELECT value FROM json_each(?))": None if selection.ids is None else json.dumps(selection.ids),
        "runs.trace_id = ?": selection.trace_id,
        "runs.parent_id = ?": selection.parent_id,
        "runs.is_root = ?": selection.is_root,
        "runs.run_type = ?": selection.run_type,
        "runs.started_us >= ?": selection.from_us,
        "runs.started_us <= ?": selection.to_us,
    }
    clauses, values = list[str](), list[Any]()
    for clause, value in equal.items():
        if value is not None:
            clauses.append(clause)
            values.append(value)
    if selection.has_error is not None:
        clauses.append("runs.has_error = 1" if selection.has_error else "runs.has_error <> 1")
    return clauses, values


class Reading:
    """The readings of a store; each sees the file as it was when it began, and holds up nobody who writes."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The answer to a SELECT, as of now."""
        with self._connections.reading() as db:
            return db.execute(sql, values).fetchall()

    def runs(
        self, selection: Selection, after: Position | None = None, *, newest_first: bool = True, condition: Condition = _ANY
    ) -> Iterator[Run]:
        """The selected runs by start time and id, those after a position. Runs that arrive meanwhile do not shift the rest.

        Args:
            selection: what is asked of all.
            after: the place to go on from.
            newest_first: False for the oldest first.
            condition: what else SQL is to ask; where it is not exact, the caller asks the rest.
        """
        if selection.project_ids is not None and len(selection.project_ids) > 1:
            each = [replace(selection, project_ids=(one,)) for one in dict.fromkeys(selection.project_ids)]
            found = (self.runs(one, after, newest_first=newest_first, condition=condition) for one in each)
            yield from heapq.merge(*found, key=lambda run: (run.started_us, run.id), reverse=newest_first)
            return
        way, compare = ("DESC", "<") if newest_first else ("ASC", ">")
        while True:
            with self._connections.reading() as db:
                rows = [row for one in searches(db, selection, condition) for row in self._batch(db, one, after, way, compare)]
                extras = _extras(db, [row[0] for row in rows])
            for run_id, project_id, trace_id, parent_id, started_us, ended_us, body in rows:
                attachments, feedback = extras.get(run_id, ({}, []))
                yield Run(run_id, project_id, trace_id, parent_id, started_us, ended_us, json.loads(body), attachments, tuple(feedback))
            if len(rows) < _BATCH:
                return
            after = Position(rows[-1][4], rows[-1][0])

    def _batch(self, db: sqlite3.Connection, search: Search, after: Position | None, way: str, compare: str) -> list[tuple[Any, ...]]:
        where, values = search.where, list(search.values)
        if after:
            where += f" AND {search.start} {compare}= ? AND ({search.start}, runs.id) {compare} (?, ?)"
            values += [after.started_us, after.started_us, after.run_id]
        # Only fixed texts and question marks go into the statement.
        sql = f"SELECT {_COLUMNS} FROM {search.source} WHERE {where} ORDER BY {search.start} {way}, runs.id {way} LIMIT {_BATCH}"  # noqa: S608
        return db.execute(sql, values).fetchall()

    def run(self, run_id: str) -> Run | None:
        """One run, or None."""
        return next(self.runs(Selection(ids=(run_id,))), None)

    def attachment(self, run_id: str, name: str) -> Attachment | None:
        """One attachment with its bytes, or None."""
        rows = self.rows("SELECT run_id, name, mime, data FROM attachments WHERE run_id = ? AND name = ?", (run_id, name))
        return Attachment(*rows[0]) if rows else None

    def projects(self) -> list[Project]:
        """Every project, newest first."""
        rows = self.rows("SELECT id, name, created_us, body FROM projects ORDER BY created_us DESC, id DESC")
        return [Project(project_id, name, created_us, json.loads(body)) for project_id, name, created_us, body in rows]

    def feedback(self, feedback_id: str | None = None) -> list[Json]:
        """All feedback in the order it came, or the one of an id."""
        rows = self.rows("SELECT body FROM feedback WHERE ?1 IS NULL OR id = ?1 ORDER BY rowid", (feedback_id,))
        return [json.loads(body) for (body,) in rows]

    def raw(self) -> Iterator[bytes]:
        """Every kept request in the order of arrival: its first line, its headers, an empty line, its body."""
        last = 0
        sql = "SELECT rowid, method, path, headers_json, body FROM received WHERE rowid > ? ORDER BY rowid LIMIT 20"
        while rows := self.rows(sql, (last,)):
            for row_id, method, path, headers_json, body in rows:
                last = row_id
                head = "".join(f"{name}: {value}\r\n" for name, value in json.loads(headers_json))
                yield f"{method} {path}\r\n{head}\r\n".encode("utf-8", "surrogatepass") + body


def feedback_on(db: sqlite3.Connection, selection: Selection, condition: Condition) -> list[Json]:
    """The feedback on the selected runs that fit an exact condition. It goes through the feedback, of which there is far less than runs."""
    clauses, values = _asked(selection, None)
    clauses.append(f"({condition.sql})")
    values += condition.values
    if selection.project_ids is not None:
        clauses.append("runs.project_no IN (SELECT number FROM projects WHERE id IN (SELECT value FROM json_each(?)))")
        values.append(json.dumps(selection.project_ids))
    sql = f"SELECT feedback.body FROM feedback CROSS JOIN runs ON runs.id = feedback.run_id WHERE {' AND '.join(clauses)}"  # noqa: S608
    return [json.loads(body) for (body,) in db.execute(sql, values)]


def _extras(db: sqlite3.Connection, ids: Iterable[str]) -> dict[str, tuple[dict[str, str], list[Json]]]:
    extras: dict[str, tuple[dict[str, str], list[Json]]] = {}
    wanted = (json.dumps(list(ids)),)
    for run_id, name, mime in db.execute(
        "SELECT run_id, name, mime FROM attachments WHERE run_id IN (SELECT value FROM json_each(?))", wanted
    ):
        extras.setdefault(run_id, ({}, []))[0][name] = mime
    for run_id, body in db.execute("SELECT run_id, body FROM feedback WHERE run_id IN (SELECT value FROM json_each(?))", wanted):
        extras.setdefault(run_id, ({}, []))[1].append(json.loads(body))
    return extras
