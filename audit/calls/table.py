"""The index's file: its tables, how it is opened, and what happens to one that is damaged or another version's."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.runtime import keep_private

VERSION: Final = 3
"""Of the tables; another one's file is put aside."""
WAIT_S: Final = 10.0
"""Seconds to wait for another process that writes."""

_SCHEMA: Final = """
CREATE TABLE parts (trace BLOB NOT NULL, id BLOB NOT NULL, rank BLOB NOT NULL, body BLOB NOT NULL, PRIMARY KEY (trace, id)) WITHOUT ROWID;
CREATE TABLE calls (
    trace TEXT PRIMARY KEY, project TEXT NOT NULL, env TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER, duration REAL NOT NULL,
    ttft REAL NOT NULL, slowest REAL NOT NULL, cost REAL, unpriced INTEGER NOT NULL, errors INTEGER NOT NULL, failed INTEGER NOT NULL,
    tool_errors INTEGER NOT NULL, offered INTEGER NOT NULL, dropped INTEGER NOT NULL,
    weight REAL NOT NULL, told INTEGER NOT NULL
);
CREATE TABLE bodies (trace TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE turns (
    trace TEXT NOT NULL, project TEXT NOT NULL, env TEXT NOT NULL, began INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER, ttft REAL,
    failed INTEGER NOT NULL, weight REAL NOT NULL
);
CREATE TABLE tools (
    trace TEXT NOT NULL, project TEXT NOT NULL, env TEXT NOT NULL, began INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER, ms REAL,
    tool TEXT NOT NULL, failed INTEGER NOT NULL, weight REAL NOT NULL
);
CREATE TABLE tallies (
    trace TEXT NOT NULL, project TEXT NOT NULL, env TEXT NOT NULL, began INTEGER NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, n INTEGER NOT NULL
);
CREATE TABLE strays (trace TEXT PRIMARY KEY, project TEXT NOT NULL, start INTEGER);
CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX calls_start ON calls (start, trace, project, env, cost, unpriced);
CREATE INDEX calls_end ON calls (end, project, env, failed, offered, dropped);
CREATE INDEX calls_drawn ON calls (end, project, env, weight, failed) WHERE weight > 1;
CREATE INDEX turns_trace ON turns (trace);
CREATE INDEX turns_end ON turns (end, project, env, ttft, trace, weight);
CREATE INDEX tools_trace ON tools (trace);
CREATE INDEX tools_end ON tools (end, project, env, tool, failed, trace, weight);
CREATE INDEX tallies_trace ON tallies (trace);
CREATE INDEX strays_start ON strays (start);
"""


class IndexUnusable(PhiGuardError):
    """The index cannot be opened, read or written; the message names it, the reason, and what to do."""


def open_file(path: Path | None) -> sqlite3.Connection:
    """The database in that file, mode 0600, made if it is not there; None for a temporary one.

    It is only an index: one that is damaged or of another version is put aside, under its name and ``.aside``, and begun anew.

    Raises:
        IndexUnusable: the file cannot be made or written.
        RuntimeDirectoryError: it is a link or belongs to another user.
    """
    if path is None:
        return _begun(_connect(""))
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        keep_private(path.parent, [path.name, f"{path.name}-wal", f"{path.name}-shm"])
        if not _is_ours(path):
            path.replace(path.with_name(f"{path.name}.aside"))
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        return _begun(_connect(str(path)))
    except OSError as fault:
        msg = f"{path}: cannot be used as an index ({fault.strerror}); check the directory, its owner and the space left"
        raise IndexUnusable(msg) from None
    except sqlite3.Error as fault:
        raise unusable(path, fault) from None


def unusable(path: Path | None, fault: sqlite3.Error) -> IndexUnusable:
    """What to raise for a fault of the database."""
    name = getattr(fault, "sqlite_errorname", "") or type(fault).__name__
    return IndexUnusable(f"{path or 'the temporary index'}: cannot be read or written ({name}); check the space left, or remove it: it is "
                         "only an index, and is made anew")  # fmt: skip


def _connect(name: str) -> sqlite3.Connection:
    db = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=WAIT_S)
    db.execute("PRAGMA cache_size = -16384")
    return db


def _is_ours(path: Path) -> bool:
    """Whether a file is empty, or whole and of this version. A database that another process holds is taken for whole."""
    if path.stat().st_size == 0:
        return True
    try:
        with closing(_connect(str(path))) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:  # just being made by another process, or not ours at all
                return bool(db.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])
            return bool(version == VERSION and db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.OperationalError as fault:
        return getattr(fault, "sqlite_errorname", "").startswith("SQLITE_BUSY")
    except sqlite3.DatabaseError:
        return False


def _begun(db: sqlite3.Connection) -> sqlite3.Connection:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        for statement in _SCHEMA.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION:d}")
    db.execute("COMMIT")
    return db
