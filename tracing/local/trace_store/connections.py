"""The connections to the store's file: one that writes, and as many that read as are reading, so that neither waits for the other."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY: Final = ":memory:"
_IDLE: Final = 4  # reading connections kept open between readings


class Connections:
    """One writing connection behind a lock, and reading ones. A store in memory has the one for both.

    Args:
        path: the file, which is there, or ``:memory:``.

    Attributes:
        writer: use it only within `writing`, or holding `lock`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.writer = self._open()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=10)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept whole or not at all."""
        with self.lock:
            self.writer.execute("BEGIN IMMEDIATE")
            try:
                yield self.writer
            except BaseException:
                self.writer.execute("ROLLBACK")
                raise
            self.writer.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One view of the file, which what is written meanwhile does not change. Do not hold it while waiting for anything."""
        if self.path == MEMORY:
            with self.lock:
                yield self.writer
            return
        db = self._taken()
        try:
            db.execute("BEGIN")
            yield db
        finally:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            self._give_back(db)

    @contextmanager
    def beside(self) -> Iterator[sqlite3.Connection]:
        """A connection for the care of the file, outside any transaction."""
        db = self._open()
        try:
            db.execute("PRAGMA secure_delete = ON")
            yield db
        finally:
            db.close()

    def _taken(self) -> sqlite3.Connection:
        with suppress(IndexError):  # several threads may pop at once
            return self._idle.pop()
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")
        db = self._open()
        db.executescript("PRAGMA query_only = ON; PRAGMA cache_size = -16384;")
        return db

    def _give_back(self, db: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= _IDLE:
            db.close()
        else:
            self._idle.append(db)

    def close(self) -> None:
        """Close all; one that is still read from is closed by its reader."""
        with self.lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self.writer.close()
