"""The SQLite file behind the server: merges what arrives in any order, and forgets for good."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from phi_guard.errors import PhiGuardError
from tracing.local.trace_store import moments
from tracing.local.trace_store.columns import NAMES, derived, mark, marks_of, unmark
from tracing.local.trace_store.connections import MEMORY, Connections
from tracing.local.trace_store.reading import Reading
from tracing.local.trace_store.records import Json, Operation, Project, Run, Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.schema import VERSION, hour_of, prepare, touch
from tracing.local.trace_store.tallies import Totals, totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracing.local.trace_store.conditions import Condition
    from tracing.local.trace_store.records import Batch

_FOUND: Final = "number, id, project_no, trace_id, parent_id, started_us, ended_us, body, patched"
_UPSERT: Final = (
    f"INSERT INTO runs ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))}) "  # noqa: S608  # fixed column names and question marks
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in NAMES[1:])} RETURNING number"
)
_FORGET_S: Final = 10.0
_LONG_JOURNAL: Final = 32 * 1024 * 1024  # bytes
_JOURNAL_PAGES: Final = 1000  # SQLite's own default
_AT_ONCE: Final = 500  # runs deleted in one transaction, so that what arrives does not wait


class StoreUnavailable(PhiGuardError):
    """The file cannot be used as a trace store; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A run as the file holds it now."""

    number: int
    project_no: int | None
    run: Run
    patched: frozenset[str]


class TraceStore(Reading):
    """Runs, projects, attachments and feedback in one SQLite file. Safe to use from several threads.

    Args:
        path: a file (made if missing, readable by its owner only) or ``:memory:``. A file of version 1 is brought up to this one.
        keep_raw: keep every request, head and body, as it arrived (decoded from zstd), for `raw`. Credentials are not kept.

    Raises:
        StoreUnavailable: the path cannot be opened, or is not a trace store of a version known here.
    """

    def __init__(self, path: str | os.PathLike[str] = MEMORY, *, keep_raw: bool = False) -> None:
        self.path = os.fspath(path)
        self.keep_raw = keep_raw
        self._forgetting = threading.Lock()
        try:
            if self.path != MEMORY:
                Path(self.path).touch(mode=0o600)
            connections = Connections(self.path)
            try:
                known = prepare(connections.writer)
                if not known:
                    raise StoreUnavailable(f"{self.path}: not a trace store of version {VERSION} or 1; name another file")
            except BaseException:
                connections.close()
                raise
        except (OSError, sqlite3.Error) as fault:
            raise StoreUnavailable(f"{self.path}: cannot be opened as a trace store ({type(fault).__name__}); name another file") from None
        super().__init__(connections)
        self._db = connections.writer

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        self._connections.close()

    # What arrived

    def record(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Keep one request as it arrived, if the store was opened to."""
        if self.keep_raw:
            with self._connections.writing() as db:
                db.execute("INSERT INTO received VALUES (?, ?, ?, ?, ?)", (moments.now() / 1e6, method, path, json.dumps(headers), body))

    # Writing

    def take(self, batch: Batch) -> None:
        """Store a batch, whole or not at all.

        Raises:
            Refusal: 404 where a run names a project id that is not there.
        """
        with self._connections.writing() as db:
            hours: set[tuple[int | None, int]] = set()
            for operation in batch.operations:
                hours |= self._merge(db, operation)
            touch(db, hours)
            db.executemany(
                "INSERT OR REPLACE INTO attachments VALUES (?, ?, ?, ?)",
                [(one.run_id, one.name, one.mime, one.data) for one in batch.attachments],
            )
            for body in batch.feedback:
                put = (
                    "INSERT INTO feedback VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, key = excluded.key, body = excluded.body"
                )
                db.execute(put, (body["id"], body.get("run_id"), body["key"], json.dumps(body)))

    def _merge(self, db: sqlite3.Connection, operation: Operation) -> set[tuple[int | None, int]]:
        """Merge one operation so that the outcome does not depend on whether the post or its patch came first.

        Returns:
            The hours, by project, in which something has changed.
        """
        before = _found(db, operation.run_id)
        patched, body = (set(before.patched), dict(before.run.body)) if before else (set(), {})
        if operation.kind == "patch":
            body |= operation.fields
            patched |= operation.fields.keys()
        else:
            body |= {key: value for key, value in operation.fields.items() if key not in patched}
        run = _placed(operation.run_id, body, before.run.started_us if before else None)
        project_no = self._project_of(db, operation, body, run.trace_id) or (before.project_no if before else None)
        written = db.execute(_UPSERT, (*derived(run, project_no), json.dumps(sorted(patched)), json.dumps(body)))
        run_no = int(written.fetchone()[0])
        hours = {(project_no, hour_of(run.started_us))}
        if before is None:
            mark(db, run, run_no)
        else:
            hours.add((before.project_no, hour_of(before.run.started_us)))
            if run.started_us != before.run.started_us or marks_of(run) != marks_of(before.run):
                unmark(db, before.run, run_no)
                mark(db, run, run_no)
        if project_no is not None:  # an update that came before its create named no project: its trace does now
            homeless = "FROM runs INDEXED BY runs_without_project WHERE trace_id = ? AND project_no IS NULL"
            found = db.execute(f"SELECT number, started_us {homeless}", (run.trace_id,)).fetchall()
            for number, started_us in found:
                db.execute("UPDATE runs SET project_no = ? WHERE number = ?", (project_no, number))
                hours.add((project_no, hour_of(started_us)))
        return hours

    def _project_of(self, db: sqlite3.Connection, operation: Operation, body: Json, trace_id: str) -> int | None:
        if body.get("session_id"):
            row = db.execute("SELECT number FROM projects WHERE id = ?", (body["session_id"],)).fetchone()
            if not row:
                raise Refusal(404, "session_id: no such project; create it first or send session_name")
            return int(row[0])
        if not body.get("session_name"):
            row = db.execute("SELECT project_no FROM runs WHERE trace_id = ? AND project_no IS NOT NULL LIMIT 1", (trace_id,)).fetchone()
            if row or operation.kind == "patch":
                return int(row[0]) if row else None
        name = body.get("session_name") or "default"
        row = db.execute("SELECT number FROM projects WHERE name = ?", (name,)).fetchone()
        return int(row[0]) if row else self._add_project(db, Project(str(uuid.uuid4()), name, moments.now(), {}))

    # Projects

    @staticmethod
    def _add_project(db: sqlite3.Connection, project: Project) -> int:
        values = (project.id, project.name, project.created_us, json.dumps(project.body))
        return int(db.execute("INSERT INTO projects (id, name, created_us, body) VALUES (?, ?, ?, ?)", values).lastrowid or 0)

    def add_project(self, project: Project) -> None:
        """Create a project.

        Raises:
            Refusal: 409 where its id or name is taken.
        """
        try:
            with self._connections.writing() as db:
                self._add_project(db, project)
        except sqlite3.IntegrityError:
            raise Refusal(409, "a project of this name or id is already there") from None

    def change_project(self, project: Project) -> None:
        """Replace a project's name and body.

        Raises:
            Refusal: 409 where the name is taken.
        """
        try:
            with self._connections.writing() as db:
                db.execute("UPDATE projects SET name = ?, body = ? WHERE id = ?", (project.name, json.dumps(project.body), project.id))
        except sqlite3.IntegrityError:
            raise Refusal(409, "a project of this name is already there") from None

    # Adding up

    def totals(self, selection: Selection, condition: Condition) -> Totals:
        """The totals of the selected runs that fit an exact condition."""
        return totals(self._connections, selection, condition)

    # Deleting: content is overwritten in the file and cut from its journal, so that a purge can be proven on the bytes

    def delete_runs(self, runs: Iterable[str]) -> None:
        """Delete runs with their attachments and feedback. Kept raw requests stay: they are evidence of what arrived."""
        ids = list(runs)
        for at in range(0, len(ids), _AT_ONCE):
            with self._connections.writing() as db:
                for run_id in ids[at : at + _AT_ONCE]:
                    delete_run(db, run_id)
        self.forget()

    def delete_project(self, project_id: str) -> None:
        """Delete a project and every run in it."""
        self.delete_runs(run.id for run in self.runs(Selection(project_ids=(project_id,))))
        with self._connections.writing() as db:
            numbers = "(SELECT number FROM projects WHERE id = ?)"
            db.execute(f"DELETE FROM tallies WHERE project_no IN {numbers}", (project_id,))  # noqa: S608
            db.execute(f"DELETE FROM hours WHERE project_no IN {numbers}", (project_id,))  # noqa: S608
            db.execute("DELETE FROM projects WHERE id = ?", (project_id,))
        self.forget()

    def delete_feedback(self, feedback_id: str) -> None:
        """Delete one feedback, if it is there."""
        with self._connections.writing() as db:
            db.execute("DELETE FROM feedback WHERE id = ?", (feedback_id,))
        self.forget()

    @contextmanager
    def spared(self) -> Iterator[None]:
        """Within, no batch that arrives has to copy the journal into the file at its end; who deletes much calls `copy_journal`."""
        self._autocheckpoint(0)
        try:
            yield
        finally:
            self._autocheckpoint(_JOURNAL_PAGES)

    def _autocheckpoint(self, pages: int) -> None:
        with self._connections.lock:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {pages}")

    def copy_journal(self) -> None:
        """Copy the journal into the file, most of it on a connection of its own, which holds up neither writing nor reading.

        Once the journal is long, the rest, what came meanwhile, is copied while writing waits, so that it begins anew: a very long one is
        slow to cut in the end.
        """
        if self.path != MEMORY:
            with self._connections.beside() as db:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            journal = Path(f"{self.path}-wal")
            if journal.exists() and journal.stat().st_size > _LONG_JOURNAL:
                self._checkpoint("RESTART", wait_ms=1)

    @contextmanager
    def portion(self) -> Iterator[sqlite3.Connection]:
        """A short transaction of retention."""
        with self._connections.writing() as db:
            yield db

    def shrink(self, pages: int) -> int:
        """Give so many free pages back to the disk, and say how many are left."""
        with self._connections.lock:
            self._db.executescript(f"PRAGMA incremental_vacuum({pages})")  # execute would take one step of it, a page
            return int(self._db.execute("PRAGMA freelist_count").fetchone()[0])

    def forget(self) -> bool:
        """Write what was deleted over in the file and cut the journal. Waits for readings under way, but lets what arrives pass.

        Returns:
            False where a reading held the journal for longer than 10 s; the next call tries again.
        """
        end = time.monotonic() + _FORGET_S
        with self._forgetting:
            while True:
                done = self._checkpoint("TRUNCATE", wait_ms=20)
                if done or time.monotonic() > end:
                    return done
                time.sleep(0.01)

    def _checkpoint(self, how: str, wait_ms: int) -> bool:
        """Whether the whole journal was copied; readings under way are waited for so long."""
        with self._connections.lock:
            self._db.execute(f"PRAGMA busy_timeout = {wait_ms}")
            try:
                return not self._db.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0]
            finally:
                self._db.execute("PRAGMA busy_timeout = 10000")


def delete_run(db: sqlite3.Connection, run_id: str) -> None:
    """Delete a run with its attachments, feedback and marks, within a transaction."""
    found = _found(db, run_id)
    db.execute("DELETE FROM attachments WHERE run_id = ?", (run_id,))
    db.execute("DELETE FROM feedback WHERE run_id = ?", (run_id,))
    if found is not None:
        unmark(db, found.run, found.number)
        db.execute("DELETE FROM runs WHERE number = ?", (found.number,))
        touch(db, {(found.project_no, hour_of(found.run.started_us))})


def _found(db: sqlite3.Connection, run_id: str) -> _Found | None:
    row: tuple[Any, ...] | None = db.execute(f"SELECT {_FOUND} FROM runs WHERE id = ?", (run_id,)).fetchone()  # noqa: S608
    if row is None:
        return None
    number, _, project_no, trace_id, parent_id, started_us, ended_us, body, patched = row
    run = Run(run_id, None, trace_id, parent_id, started_us, ended_us, json.loads(body))
    return _Found(number, project_no, run, frozenset(json.loads(patched)))


def _placed(run_id: str, body: Json, started_us: int | None) -> Run:
    """The run that a body tells of, with its place in its trace and in time.

    Args:
        run_id: its id.
        body: post and patches merged.
        started_us: the start known so far, microseconds since 1970.
    """
    dotted = str(body.get("dotted_order") or "")
    parent_id = body.get("parent_run_id") or (dotted.split(".")[-2][-36:] if "." in dotted else None)
    if body.get("start_time"):
        started_us = moments.microseconds(body["start_time"])
    elif started_us is None:
        started_us = moments.dotted_start(dotted)
    ended_us = moments.microseconds(body["end_time"]) if body.get("end_time") else None
    start = moments.now() if started_us is None else started_us
    return Run(run_id, None, body.get("trace_id") or run_id, parent_id, start, ended_us, body)
