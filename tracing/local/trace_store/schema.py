"""The tables and indexes of the store's file, and how a file of version 1 becomes one of version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tracing.local.trace_store.columns import NAMES, derived, mark
from tracing.local.trace_store.records import Run

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 2
"""The file's `user_version`; a file of version 1 is brought up to it, any other is not touched."""

# The index by project holds every column that a filter or a statistic reads, so that neither turns the pages the bodies lie on.
_SCHEMA: Final = """
CREATE TABLE projects (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, created_us INTEGER NOT NULL,
  body TEXT NOT NULL);
CREATE TABLE runs (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project_no INTEGER, trace_id TEXT NOT NULL, parent_id TEXT,
  started_us INTEGER NOT NULL, ended_us INTEGER, is_root INTEGER NOT NULL, run_type TEXT NOT NULL, has_error INTEGER NOT NULL, name TEXT,
  thread_id TEXT, example_id TEXT, latency_us INTEGER, first_token_us INTEGER, wait_us INTEGER, prompt_tokens NUMERIC,
  completion_tokens NUMERIC,
  total_tokens NUMERIC, prompt_cost NUMERIC, completion_cost NUMERIC, total_cost NUMERIC, patched TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX runs_by_project ON runs (project_no, started_us, id, is_root, run_type, has_error, name, latency_us, first_token_us, wait_us,
  prompt_tokens, completion_tokens, total_tokens, prompt_cost, completion_cost, total_cost);
CREATE INDEX roots_by_project ON runs (project_no, started_us, id, run_type, has_error, name, latency_us, wait_us) WHERE is_root = 1;
CREATE INDEX errors_by_project ON runs (project_no, started_us, id, is_root, run_type, name) WHERE has_error <> 0;
CREATE INDEX names_by_project ON runs (project_no, name, started_us, id);
CREATE INDEX types_by_project ON runs (project_no, run_type, started_us, id, latency_us);
CREATE INDEX latency_by_project ON runs (project_no, latency_us) WHERE latency_us IS NOT NULL;
CREATE INDEX root_latency_by_project ON runs (project_no, latency_us) WHERE latency_us IS NOT NULL AND is_root = 1;
CREATE INDEX wait_by_project ON runs (project_no, wait_us, is_root) WHERE wait_us IS NOT NULL;
CREATE INDEX runs_by_start ON runs (started_us, id);
CREATE INDEX roots_by_start ON runs (started_us) WHERE is_root = 1;
CREATE INDEX runs_by_trace ON runs (trace_id);
CREATE INDEX runs_without_project ON runs (trace_id) WHERE project_no IS NULL;
CREATE INDEX runs_by_parent ON runs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX runs_by_thread ON runs (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX runs_by_example ON runs (example_id) WHERE example_id IS NOT NULL;
CREATE TABLE mark_names (number INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (key, value));
CREATE TABLE marks (mark_no INTEGER, started_us INTEGER, run_no INTEGER, PRIMARY KEY (mark_no, started_us, run_no)) WITHOUT ROWID;
CREATE TABLE hours (project_no INTEGER, hour INTEGER, stamp INTEGER NOT NULL, counted INTEGER NOT NULL,
  PRIMARY KEY (project_no, hour)) WITHOUT ROWID;
CREATE TABLE tallies (project_no INTEGER, hour INTEGER, is_root INTEGER, run_type TEXT, has_error INTEGER, runs INTEGER, last_us INTEGER,
  ended INTEGER, answered INTEGER, prompt_tokens NUMERIC, completion_tokens NUMERIC, total_tokens NUMERIC, prompt_cost NUMERIC,
  completion_cost NUMERIC, total_cost NUMERIC,
  PRIMARY KEY (project_no, hour, is_root, run_type, has_error)) WITHOUT ROWID;
CREATE TABLE attachments (run_id TEXT, name TEXT, mime TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (run_id, name));
CREATE TABLE feedback (id TEXT PRIMARY KEY, run_id TEXT, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX feedback_by_run ON feedback (run_id);
CREATE INDEX feedback_by_key ON feedback (key, run_id);
CREATE TABLE received (at REAL NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, headers_json TEXT NOT NULL, body BLOB NOT NULL);
"""
_KEPT_IN_2: Final = ("projects", "runs", "feedback", "attachments", "received")
_INDEXES_OF_1: Final = ("runs_by_project", "runs_by_start", "runs_by_trace", "feedback_by_run")
_PORTION: Final = 500  # runs of version 1 held in memory at a time


def prepare(db: sqlite3.Connection) -> bool:
    """Make the file a store of this version: new, as it is, or brought up from version 1 in one transaction.

    Returns:
        False where it is something else; then nothing was changed.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version not in {0, 1, VERSION} or (version == 0 and tables):
        return False
    if not tables:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file takes it without a VACUUM
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA cache_size = -65536;")
    if version != VERSION:
        db.execute("BEGIN IMMEDIATE")
        try:
            if version == 1:
                _bring_up(db)
            else:
                _create(db)
            db.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    if db.execute("PRAGMA auto_vacuum").fetchone()[0] != 2:
        db.executescript("PRAGMA auto_vacuum = INCREMENTAL; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
    return True


def _create(db: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";"):
        if statement.strip():
            db.execute(statement)


def _bring_up(db: sqlite3.Connection) -> None:
    for index in _INDEXES_OF_1:
        db.execute(f"DROP INDEX {index}")
    for table in _KEPT_IN_2:
        db.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    _create(db)
    db.execute("INSERT INTO projects (id, name, created_us, body) SELECT id, name, created_us, body FROM projects_1 ORDER BY rowid")
    db.execute("INSERT INTO feedback SELECT id, run_id, json_extract(body, '$.key'), body FROM feedback_1 ORDER BY rowid")
    db.execute("INSERT INTO attachments SELECT run_id, name, mime, data FROM attachments_1")
    db.execute("INSERT INTO received SELECT at, method, path, headers_json, body FROM received_1 ORDER BY rowid")
    projects = dict(db.execute("SELECT id, number FROM projects"))
    last = 0
    sql = (
        "SELECT rowid, id, project_id, trace_id, parent_id, started_us, ended_us, patched, body FROM runs_1 "
        "WHERE rowid > ? ORDER BY rowid LIMIT ?"
    )
    hours = set()
    while rows := db.execute(sql, (last, _PORTION)).fetchall():
        for row_id, run_id, project_id, trace_id, parent_id, started_us, ended_us, patched, body in rows:
            last = row_id
            run = Run(run_id, project_id, trace_id, parent_id, started_us, ended_us, json.loads(body))
            # Only fixed column names and question marks go into the text.
            written = db.execute(
                f"INSERT INTO runs ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})",  # noqa: S608
                (*derived(run, projects.get(project_id)), patched, body),
            )
            mark(db, run, int(written.lastrowid or 0))
            hours.add((projects.get(project_id), hour_of(started_us)))
    touch(db, hours)
    for table in _KEPT_IN_2:
        db.execute(f"DROP TABLE {table}_1")


HOUR_US: Final = 3600 * 1_000_000


def hour_of(moment_us: int) -> int:
    """The hour a moment lies in, counted from 1970."""
    return moment_us // HOUR_US


def touch(db: sqlite3.Connection, hours: set[tuple[int | None, int]]) -> None:
    """Note that runs of these hours, by project, have changed, so that what was counted of them holds no more."""
    db.executemany(
        "INSERT INTO hours VALUES (?, ?, 1, 0) ON CONFLICT DO UPDATE SET stamp = stamp + 1",
        [(project_no, hour) for project_no, hour in hours if project_no is not None],
    )
