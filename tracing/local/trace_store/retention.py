"""Retention: whole traces older than so many days are deleted, in portions so small that what arrives hardly waits.

The age of a trace is that of its root's start; of a trace whose root never came, that of its earliest run. LangSmith lengthens the
retention of a trace that gets feedback; this store does not.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Final

from tracing.local.trace_store import moments
from tracing.local.trace_store.store import delete_run

if TYPE_CHECKING:
    from tracing.local.trace_store.store import TraceStore

DAY_US: Final = 24 * 3600 * 1_000_000
BASE_DAYS: Final = 14
"""LangSmith's base tier."""
EXTENDED_DAYS: Final = 400
"""LangSmith's extended tier."""

KEEPS: Final = {"14d": BASE_DAYS, "400d": EXTENDED_DAYS, "all": None}
"""What a server may be asked to keep, in days; None is everything."""

_PORTION_S: Final = 0.010  # the longest that one deleting transaction goes on
_PAUSE_S: Final = 0.002  # after each, for who waits for the lock
_PAGES: Final = 100  # given back to the disk at a time
_COPIED_EVERY: Final = 20  # portions between copyings of the journal into the file
_EVERY_S: Final = 600.0
_log: Final = logging.getLogger(__name__)


class Retention:
    """Deletes what is too old from a store, when asked or, once started, every ten minutes in a thread of its own.

    Args:
        store: a store in a file or in memory.
        days: how long a trace is kept.
    """

    def __init__(self, store: TraceStore, days: int = BASE_DAYS) -> None:
        self.store = store
        self.days = days
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._portions = 0

    def start(self) -> None:
        """Sweep now, and then every ten minutes, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="trace-retention", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the portion under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.sweep()
            except (sqlite3.Error, OSError) as fault:  # a full disk, say; the next sweep goes on from there
                _log.warning("retention: %s; what is too old stays until the next sweep, in ten minutes", type(fault).__name__)
            self._stop.wait(_EVERY_S)

    def sweep(self, before_us: int | None = None) -> int:
        """Delete every trace that began before a moment, and give the room back to the disk.

        Args:
            before_us: microseconds since 1970; without one, `days` ago.

        Returns:
            How many runs were deleted.
        """
        cutoff = moments.now() - self.days * DAY_US if before_us is None else before_us
        gone = 0
        with self.store.spared():
            for traces in (self._old_roots, self._old_orphans):
                while (found := traces(cutoff)) and not self._stop.is_set():
                    gone += self._delete(found)
            received = self._delete_received(cutoff)
            if gone or received:
                self._shrink()
                self.store.copy_journal()  # so that little is left to copy while what arrives waits
                self.store.forget()
        return gone

    def _delete_received(self, cutoff: int) -> int:
        """Delete kept requests that are too old; they are whole bodies, so a few at a time."""
        sql = "DELETE FROM received WHERE rowid IN (SELECT rowid FROM received WHERE at < ? ORDER BY rowid LIMIT 20)"
        gone = 0
        while not self._stop.is_set():
            with self.store.portion() as db:
                count = db.execute(sql, (cutoff / 1e6,)).rowcount
            gone += count
            if not count:
                break
            self._pause()
        return gone

    def _old_roots(self, cutoff: int) -> list[str]:
        sql = (
            "SELECT DISTINCT trace_id FROM runs INDEXED BY roots_by_start WHERE is_root = 1 AND started_us < ? ORDER BY started_us LIMIT 50"
        )
        return [row[0] for row in self.store.rows(sql, (cutoff,))]

    def _old_orphans(self, cutoff: int) -> list[str]:
        sql = (
            "SELECT DISTINCT trace_id FROM runs INDEXED BY runs_by_start WHERE started_us < ? AND NOT EXISTS (SELECT 1 FROM runs AS root "
            "INDEXED BY runs_by_trace WHERE root.trace_id = runs.trace_id AND root.is_root = 1) LIMIT 50"
        )
        return [row[0] for row in self.store.rows(sql, (cutoff,))]

    def _delete(self, traces: list[str]) -> int:
        """Delete traces, the root of each last, so that a sweep that was broken off finds it again."""
        sql = "SELECT id FROM runs INDEXED BY runs_by_trace WHERE trace_id = ? ORDER BY is_root"
        runs = [run_id for one in traces for (run_id,) in self.store.rows(sql, (one,))]
        at = 0
        while at < len(runs) and not self._stop.is_set():
            end = time.monotonic() + _PORTION_S
            with self.store.portion() as db:
                while at < len(runs) and time.monotonic() < end:
                    delete_run(db, runs[at])
                    at += 1
            self._pause()
        return at

    def _pause(self) -> None:
        self._portions += 1
        if self._portions % _COPIED_EVERY == 0:
            self.store.copy_journal()
        time.sleep(_PAUSE_S)

    def _shrink(self) -> None:
        while not self._stop.is_set():
            if not self.store.shrink(_PAGES):
                return
            self._pause()
