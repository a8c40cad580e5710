"""The SQLite file behind the server: merges what arrives in any order, answers selections, and forgets for good."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from phi_guard.errors import PhiGuardError
from tracing.local.trace_store import moments
from tracing.local.trace_store.records import Attachment, Json, Operation, Position, Project, Run, Selection
from tracing.local.trace_store.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracing.local.trace_store.records import Batch

VERSION: Final = 1
"""The file's `user_version`; a file of another version is not touched."""

_SCHEMA: Final = """
CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE runs (id TEXT PRIMARY KEY, project_id TEXT, trace_id TEXT NOT NULL, parent_id TEXT, started_us INTEGER NOT NULL,
  ended_us INTEGER, run_type TEXT, has_error INTEGER NOT NULL, patched TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX runs_by_project ON runs (project_id, started_us, id);
CREATE INDEX runs_by_start ON runs (started_us, id);
CREATE INDEX runs_by_trace ON runs (trace_id);
CREATE TABLE attachments (run_id TEXT, name TEXT, mime TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, name));
CREATE TABLE feedback (id TEXT PRIMARY KEY, run_id TEXT, body TEXT NOT NULL);
CREATE INDEX feedback_by_run ON feedback (run_id);
CREATE TABLE received (at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, headers_json TEXT NOT NULL, body BLOB NOT NULL);
"""
_RUN_COLUMNS: Final = "id, project_id, trace_id, parent_id, started_us, ended_us, body"
_BATCH: Final = 200  # runs read at a time, so that a long reading never holds the lock


class StoreUnavailable(PhiGuardError):
    """The file cannot be used as a trace store; the message names it and says what to do."""


class TraceStore:
    """Runs, projects, attachments and feedback in one SQLite file. Safe to use from several threads.

    Args:
        path: a file (made if missing, readable by its owner only) or ``:memory:``.
        keep_raw: keep every request, head and body, as it arrived (decoded from zstd), for `raw`. Credentials are not kept.

    Raises:
        StoreUnavailable: the path cannot be opened, or is not a trace store of this version.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:", *, keep_raw: bool = False) -> None:
        self.path = os.fspath(path)
        self.keep_raw = keep_raw
        self._lock = threading.RLock()
        try:
            if self.path != ":memory:":
                Path(self.path).touch(mode=0o600)
            self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as fault:
            raise StoreUnavailable(f"{self.path}: cannot be opened as a trace store ({type(fault).__name__}); name another file") from None

    def _open(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version != VERSION and (version or tables):
            raise StoreUnavailable(f"{self.path}: not a trace store of version {VERSION}; name another file")
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;")
        if not version:
            self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # What arrived

    def record(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Keep one request as it arrived, if the store was opened to."""
        if self.keep_raw:
            with self._writing() as db:
                db.execute("INSERT INTO received VALUES (?, ?, ?, ?, ?)", (moments.now() / 1e6, method, path, json.dumps(headers), body))

    def raw(self) -> Iterator[bytes]:
        """Every kept request in the order of arrival: its first line, its headers, an empty line, its body."""
        last = 0
        sql = "SELECT rowid, method, path, headers_json, body FROM received WHERE rowid > ? ORDER BY rowid LIMIT 20"
        while rows := self._rows(sql, (last,)):
            for row_id, method, path, headers_json, body in rows:
                last = row_id
                head = "".join(f"{name}: {value}\r\n" for name, value in json.loads(headers_json))
                yield f"{method} {path}\r\n{head}\r\n".encode("utf-8", "surrogatepass") + body

    # Writing

    def take(self, batch: Batch) -> None:
        """Store a batch, whole or not at all.

        Raises:
            Refusal: 404 where a run names a project id that is not there.
        """
        with self._writing() as db:
            for operation in batch.operations:
                self._merge(db, operation)
            db.executemany(
                "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?)",
                [(one.run_id, one.name, one.mime, one.data) for one in batch.attachments],
            )
            for body in batch.feedback:
                self._put_feedback(db, body)

    def _merge(self, db: sqlite3.Connection, operation: Operation) -> None:
        """Merge one operation so that the outcome does not depend on whether the post or its patch came first."""
        row = db.execute("SELECT project_id, patched, body, started_us FROM runs WHERE id = ?", (operation.run_id,)).fetchone()
        project_id, patched_json, body_json, started_us = row or (None, "[]", "{}", None)
        patched, body = set(json.loads(patched_json)), json.loads(body_json)
        if operation.kind == "patch":
            body |= operation.fields
            patched |= operation.fields.keys()
        else:
            body |= {key: value for key, value in operation.fields.items() if key not in patched}
        dotted = str(body.get("dotted_order") or "")
        trace_id = body.get("trace_id") or operation.run_id
        parent_id = body.get("parent_run_id") or (dotted.split(".")[-2][-36:] if "." in dotted else None)
        if body.get("start_time"):
            started_us = moments.microseconds(body["start_time"])
        elif started_us is None:
            started_us = moments.dotted_start(dotted)
        ended_us = moments.microseconds(body["end_time"]) if body.get("end_time") else None
        project_id = self._project_of(db, operation, body, trace_id) or project_id
        values = (operation.run_id, project_id, trace_id, parent_id, moments.now() if started_us is None else started_us, ended_us)
        flags = (str(body.get("run_type") or "").lower(), bool(body.get("error")), json.dumps(sorted(patched)), json.dumps(body))
        db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values + flags)
        if project_id is not None:  # an update that came before its create named no project: its trace does now
            db.execute("UPDATE runs SET project_id = ? WHERE trace_id = ? AND project_id IS NULL", (project_id, trace_id))

    def _project_of(self, db: sqlite3.Connection, operation: Operation, body: Json, trace_id: str) -> str | None:
        if body.get("session_id"):
            if not db.execute("SELECT 1 FROM projects WHERE id = ?", (body["session_id"],)).fetchone():
                raise Refusal(404, "session_id: no such project; create it first or send session_name")
            return str(body["session_id"])
        if not body.get("session_name"):
            row = db.execute("SELECT project_id FROM runs WHERE trace_id = ? AND project_id IS NOT NULL LIMIT 1", (trace_id,)).fetchone()
            if row or operation.kind == "patch":
                return str(row[0]) if row else None
        name = body.get("session_name") or "default"
        row = db.execute("SELECT id FROM projects WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else self._add_project(db, Project(str(uuid.uuid4()), name, moments.now(), {}))

    # Projects

    @staticmethod
    def _add_project(db: sqlite3.Connection, project: Project) -> str:
        db.execute("INSERT INTO projects VALUES (?, ?, ?, ?)", (project.id, project.name, project.created_us, json.dumps(project.body)))
        return project.id

    def add_project(self, project: Project) -> None:
        """Create a project.

        Raises:
            Refusal: 409 where its id or name is taken.
        """
        try:
            with self._writing() as db:
                self._add_project(db, project)
        except sqlite3.IntegrityError:
            raise Refusal(409, "a project of this name or id is already there") from None

    def change_project(self, project: Project) -> None:
        """Replace a project's name and body.

        Raises:
            Refusal: 409 where the name is taken.
        """
        try:
            with self._writing() as db:
                db.execute("UPDATE projects SET name = ?, body = ? WHERE id = ?", (project.name, json.dumps(project.body), project.id))
        except sqlite3.IntegrityError:
            raise Refusal(409, "a project of this name is already there") from None

    def projects(self) -> list[Project]:
        """Every project, newest first."""
        rows = self._rows("SELECT id, name, created_us, body FROM projects ORDER BY created_us DESC, id DESC")
        return [Project(project_id, name, created_us, json.loads(body)) for project_id, name, created_us, body in rows]

    # Reading runs

    def runs(self, selection: Selection, after: Position | None = None, *, newest_first: bool = True) -> Iterator[Run]:
        """The selected runs by start time and id, those after a position. Runs that arrive meanwhile do not shift the rest."""
        clauses, values = _where(selection)
        way, compare = ("DESC", "<") if newest_first else ("ASC", ">")
        while True:
            here = [*clauses, f"(started_us, id) {compare} (?, ?)"] if after else clauses
            page = [*values, after.started_us, after.run_id] if after else values
            # Only fixed column names and question marks go into the text.
            sql = f"SELECT {_RUN_COLUMNS} FROM runs WHERE {' AND '.join(here)} ORDER BY started_us {way}, id {way} LIMIT {_BATCH}"  # noqa: S608
            with self._lock:
                rows = self._rows(sql, page)
                extras = self._extras([row[0] for row in rows])
            for run_id, project_id, trace_id, parent_id, started_us, ended_us, body in rows:
                attachments, feedback = extras.get(run_id, ({}, []))
                yield Run(run_id, project_id, trace_id, parent_id, started_us, ended_us, json.loads(body), attachments, tuple(feedback))
            if len(rows) < _BATCH:
                return
            after = Position(rows[-1][4], rows[-1][0])

    def _extras(self, ids: Iterable[str]) -> dict[str, tuple[dict[str, str], list[Json]]]:
        extras: dict[str, tuple[dict[str, str], list[Json]]] = {}
        wanted = (json.dumps(list(ids)),)
        for run_id, name, mime in self._rows(
            "SELECT run_id, name, mime FROM attachments WHERE run_id IN (SELECT value FROM json_each(?))", wanted
        ):
            extras.setdefault(run_id, ({}, []))[0][name] = mime
        for run_id, body in self._rows("SELECT run_id, body FROM feedback WHERE run_id IN (SELECT value FROM json_each(?))", wanted):
            extras.setdefault(run_id, ({}, []))[1].append(json.loads(body))
        return extras

    def run(self, run_id: str) -> Run | None:
        """One run, or None."""
        return next(self.runs(Selection(ids=(run_id,))), None)

    def attachment(self, run_id: str, name: str) -> Attachment | None:
        """One attachment with its bytes, or None."""
        rows = self._rows("SELECT run_id, name, mime, data FROM attachments WHERE run_id = ? AND name = ?", (run_id, name))
        return Attachment(*rows[0]) if rows else None

    # Feedback

    @staticmethod
    def _put_feedback(db: sqlite3.Connection, body: Json) -> None:
        db.execute("INSERT OR REPLACE INTO feedback VALUES (?, ?, ?)", (body["id"], body.get("run_id"), json.dumps(body)))

    def feedback(self, feedback_id: str | None = None) -> list[Json]:
        """All feedback in the order it came, or the one of an id."""
        rows = self._rows("SELECT body FROM feedback WHERE ?1 IS NULL OR id = ?1 ORDER BY rowid", (feedback_id,))
        return [json.loads(body) for (body,) in rows]

    # Deleting: content is overwritten in the file and cut from its journal, so that a purge can be proven on the bytes

    def delete_runs(self, runs: Iterable[str]) -> None:
        """Delete runs with their attachments and feedback. Kept raw requests stay: they are evidence of what arrived."""
        ids = [(run_id,) for run_id in runs]
        with self._writing() as db:
            db.executemany("DELETE FROM attachments WHERE run_id = ?", ids)
            db.executemany("DELETE FROM feedback WHERE run_id = ?", ids)
            db.executemany("DELETE FROM runs WHERE id = ?", ids)
        self._forget()

    def delete_project(self, project_id: str) -> None:
        """Delete a project and every run in it."""
        self.delete_runs(run.id for run in self.runs(Selection(project_ids=(project_id,))))
        with self._writing() as db:
            db.execute("DELETE FROM projects WHERE id = ?", (project_id,))
        self._forget()

    def delete_feedback(self, feedback_id: str) -> None:
        """Delete one feedback, if it is there."""
        with self._writing() as db:
            db.execute("DELETE FROM feedback WHERE id = ?", (feedback_id,))
        self._forget()

    def _forget(self) -> None:
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")


def _where(selection: Selection) -> tuple[list[str], list[object]]:
    """The clauses and values of a selection; lists travel as JSON, so that their length meets no limit of SQLite."""
    equal = {
        "id IN (SELECT value FROM json_each(?))": None if selection.ids is None else json.dumps(selection.ids),
        "project_id IN (SELECT value FROM json_each(?))": None if selection.project_ids is None else json.dumps(selection.project_ids),
        "trace_id = ?": selection.trace_id,
        "parent_id = ?": selection.parent_id,
        "(parent_id IS NULL) = ?": selection.is_root,
        "run_type = ?": selection.run_type,
        "has_error = ?": selection.has_error,
        "started_us >= ?": selection.from_us,
        "started_us <= ?": selection.to_us,
    }
    clauses, values = ["1"], list[object]()
    for clause, value in equal.items():
        if value is not None:
            clauses.append(clause)
            values.append(value)
    return clauses, values
