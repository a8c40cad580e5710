"""The outbox's file: opened, written in whole transactions, and replaced by a new one when it is damaged."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from phi_guard.errors import PhiGuardError
from tracing.relay.clock import Clock, Hands, Reading
from tracing.relay.log import say
from tracing.relay.salvage import carry

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION: Final = 3
WAL_BYTES: Final = 8 * 1024 * 1024
"""How long the write-ahead log stays after a checkpoint."""
ASIDE_MAX: Final = 2
"""Damaged outboxes that are kept, for whoever wants to look; the oldest goes first, since it holds what should have left long ago."""
_SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE ops (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    span TEXT NOT NULL, op TEXT NOT NULL, call TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    body BLOB NOT NULL, policy TEXT NOT NULL, seal BLOB NOT NULL, withheld TEXT NOT NULL, age_s REAL NOT NULL, sender INTEGER NOT NULL,
    UNIQUE (span, op)
);
CREATE INDEX ops_call ON ops (call);
CREATE TABLE settled (mark BLOB PRIMARY KEY, sender INTEGER NOT NULL, hour INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE totals (
    day TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, withheld TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (day, state, reason, withheld)
) WITHOUT ROWID;
CREATE TABLE senders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL UNIQUE, offered INTEGER NOT NULL DEFAULT 0,
    dropped TEXT NOT NULL DEFAULT '{}', arrived INTEGER NOT NULL DEFAULT 0, lost INTEGER NOT NULL DEFAULT 0,
    before INTEGER NOT NULL DEFAULT 0, dropped_before TEXT NOT NULL DEFAULT '{}', hour INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE calls (
    call TEXT PRIMARY KEY, sender TEXT NOT NULL DEFAULT '', closed INTEGER NOT NULL DEFAULT 0, dark TEXT NOT NULL DEFAULT '',
    consent TEXT NOT NULL DEFAULT '', cost TEXT NOT NULL DEFAULT '0', cost_unknown INTEGER NOT NULL DEFAULT 0,
    opening BLOB, guardrail BLOB, hour INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX calls_open ON calls (call) WHERE opening IS NOT NULL;
CREATE TABLE call_totals (
    call TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, withheld TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (call, state, reason, withheld)
) WITHOUT ROWID;
CREATE TABLE redactions (call TEXT NOT NULL, field TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (call, field)) WITHOUT ROWID;
"""
_SCHEMA_SINCE: Final = """
CREATE TABLE IF NOT EXISTS quarantines (upto INTEGER PRIMARY KEY, reason TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS met (seq INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS draws (
    call TEXT PRIMARY KEY, state TEXT NOT NULL, rate REAL NOT NULL, age_s REAL NOT NULL, hour TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS draws_held ON draws (call) WHERE state = 'held';
CREATE TABLE IF NOT EXISTS draw_hours (
    hour TEXT PRIMARY KEY, begun INTEGER NOT NULL DEFAULT 0, drawn INTEGER NOT NULL DEFAULT 0, out INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS draw_marks (hour INTEGER PRIMARY KEY, n INTEGER NOT NULL);
"""
"""Tables that came later and leave the others as they were; files from before get them when they are opened."""

_locks: Final[dict[str, threading.RLock]] = {}


class OutboxUnusable(PhiGuardError):
    """The outbox file cannot be read: it is damaged, or another version's."""


class Database:
    """One SQLite file in WAL mode, with overwriting of what is deleted. Each thread opens its own.

    Args:
        path: the file; created readable by its owner alone.
        hands: where its clock looks.
        check: look through the whole file for damage first.
        replaces: a new file takes the place of another.

    Raises:
        OutboxUnusable: the file is damaged, or of another version of ours.
    """

    def __init__(self, path: Path, hands: Hands, *, check: bool = False, replaces: bool = False) -> None:
        self.path = path.absolute()
        self._hands = hands
        # Writers of one process take turns here, which SQLite would have them do by waiting and asking again.
        self._replaces = replaces or str(self.path) in _locks
        self._turn = _locks.setdefault(str(self.path), threading.RLock())
        self.db, self.clock = self._open(check=check)

    def _open(self, *, check: bool = False) -> tuple[sqlite3.Connection, Clock]:
        with self._turn:
            made = self.path.with_name(f"{self.path.name}.new")
            if made.exists() and not self.path.exists():
                made.rename(self.path)  # a relay was killed while it put one aside: this one was whole before the other went
            self.path.touch(mode=0o600, exist_ok=True)
            self._file: tuple[int, int] | None = None
            file = _file_of(self.path)
            # Made by one thread and used by another afterwards; never by two at a time.
            db = sqlite3.connect(self.path, isolation_level=None, timeout=10.0, check_same_thread=False)
            try:
                clock = self._prepare(db, check=check)
            except sqlite3.DatabaseError as fault:
                db.close()
                if is_damage(fault):
                    raise OutboxUnusable(f"{self.path}: {fault.sqlite_errorname}") from None
                raise
            except BaseException:
                db.close()
                raise
            self._file = file
            return db, clock

    def _prepare(self, db: sqlite3.Connection, *, check: bool) -> Clock:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table, or it is not heard
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut may lose the last moments
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA cell_size_check = ON")
        db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and version != VERSION:
            raise OutboxUnusable(f"the outbox is of version {version}, not {VERSION}")
        if not tables:
            # In the place of one that is no more, numbers begin at random: one that a shipper still holds must not name another operation.
            start = secrets.randbits(40) << 20 if self._replaces else 0
            begin = f"INSERT INTO sqlite_sequence VALUES ('ops', {start}), ('senders', {start}); PRAGMA user_version = {VERSION};"  # noqa: S608  # ours
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {begin} COMMIT;")
        if self._lacks_some(db):
            db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA_SINCE} COMMIT;")
        if check and (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise OutboxUnusable(f"{self.path}: damaged ({len(found)} characters of findings)")
        row = db.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()
        clock = Clock(msgspec.json.decode(row[0], type=Reading) if row else Reading(), self._hands)
        if row is None or msgspec.json.decode(row[0], type=Reading).life != self._hands.life:
            _remember(db, clock)
        return clock

    @staticmethod
    def _lacks_some(db: sqlite3.Connection) -> bool:
        young = ("quarantines", "met", "draws", "draw_hours", "draw_marks")
        asked = f"SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ({', '.join('?' * len(young))})"  # noqa: S608  # closed text
        return bool(db.execute(asked, young).fetchone()[0] < len(young))

    def remember_clock(self) -> None:
        """Write down what the clock shows."""
        with self.writing():
            _remember(self.db, self.clock)

    def close(self) -> None:
        """Close the file; a clock that cannot be written down any more has lost a minute at most."""
        with suppress(sqlite3.Error):
            self.remember_clock()
        self.db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it is stored, or nothing."""
        with self._turn:
            self.renew()
            try:
                self.db.execute("BEGIN IMMEDIATE")
                yield
                self.db.execute("COMMIT")
            except BaseException as fault:
                if self._busy:  # a full disk may have ended it already
                    with suppress(sqlite3.Error):
                        self.db.execute("ROLLBACK")
                self.heal(fault)
                raise

    @contextmanager
    def trying(self) -> Iterator[None]:
        """A part of a transaction that can fail alone."""
        self.db.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._busy:
                self.db.execute("ROLLBACK TO part")
                self.db.execute("RELEASE part")
            raise
        self.db.execute("RELEASE part")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Reading outside a transaction, where damage is as likely met."""
        self.renew()
        try:
            yield
        except sqlite3.DatabaseError as fault:
            self.heal(fault)
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several readings of one moment."""
        with self.reading():
            if self._busy:
                yield
                return
            self.db.execute("BEGIN")
            try:
                yield
            finally:
                with suppress(sqlite3.Error):  # a fault may have ended it already
                    self.db.execute("ROLLBACK")

    def renew(self) -> None:
        """Go over to the file that now lies at the path, where ours was put aside or deleted."""
        if not self._busy and (self._file is None or _file_of(self.path) != self._file):
            with suppress(sqlite3.Error):
                self.db.close()
            self._replaces = True
            try:
                self.db, self.clock = self._open()
            except OutboxUnusable as fault:  # it could not be put aside when its damage was met
                with self._turn:
                    try:
                        self.db, self.clock = self._open()  # another thread may have put it aside meanwhile
                    except OutboxUnusable:
                        put_aside(self.path, str(fault), self._hands)
                        self.db, self.clock = self._open()

    def heal(self, fault: BaseException) -> None:
        """Put a damaged file aside and go on with a new one; any other fault is let be.

        Raises:
            OSError: the file cannot be put aside; it is tried again with the next use.
            sqlite3.Error: likewise, what can be read of it finds no room elsewhere.
        """
        if isinstance(fault, sqlite3.DatabaseError) and is_damage(fault) and not self._busy:
            with self._turn:
                if _file_of(self.path) == self._file:
                    self.db.close()
                    self._file = None
                    put_aside(self.path, fault.sqlite_errorname, self._hands)
                self.renew()

    @property
    def _busy(self) -> bool:
        """Whether a transaction is under way; not on a connection that was closed for damage, and whose successor could not be opened."""
        try:
            return self.db.in_transaction
        except sqlite3.ProgrammingError:
            return False


def is_damage(fault: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, not the disk or the moment."""
    return str(getattr(fault, "sqlite_errorname", "")).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def put_aside(path: Path, why: str, hands: Hands) -> None:
    """Make a new outbox, carry over what can be read of one that cannot be used, and only then put it in the place of that.

    So where the disk has no room for it, nothing is forgotten: the old one stays where it is, and is looked at again.

    Args:
        path: the outbox.
        why: for the log.
        hands: where the new one's clock looks.

    Raises:
        OSError: the files cannot be made or renamed.
        sqlite3.Error: there is no room for the new one.
    """
    made = path.with_name(f"{path.name}.new")
    _remove(made)
    try:
        new = Database(made, hands, replaces=str(path.absolute()) in _locks)
        try:
            with new.writing():
                carried = carry(path, new.db, VERSION)
            new.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            new.db.close()
    except BaseException:
        _remove(made)
        raise
    held = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.{secrets.token_hex(2)}")
    for part in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            source = path.with_name(path.name + part)
            source.chmod(0o600)
            source.rename(held.with_name(held.name + part))
    made.rename(path)
    say(f"outbox put aside as {held.name} ({why}): {carried}")
    _clear_old(path)


def _clear_old(path: Path) -> None:
    """Delete the oldest of those put aside."""
    held = sorted({one.name.removesuffix("-wal").removesuffix("-shm") for one in path.parent.glob(f"{path.name}.[0-9]*")})
    for name in held[:-ASIDE_MAX]:
        for part in ("", "-wal", "-shm"):
            path.with_name(name + part).unlink(missing_ok=True)


def _remove(path: Path) -> None:
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)


def _remember(db: sqlite3.Connection, clock: Clock) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (msgspec.json.encode(clock.reading()),))


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # asked before every transaction
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
