"""The cross-check: what the relay's own account says was delivered, held against what was read, in both directions.

The account is the relay's outbox, opened for reading alone. Of an operation that is settled it keeps, for `MARKS_H` hours of service, a
mark: a digest of its kind and its run's random id. So of a run that was read it can be told whether this relay sent it; of one that was not
read only that it is missing, and its id where its trace's id or one of its children gives it. Per call it keeps counts, for an hour of
service after the call's last operation. What follows from that, and what does not, is said in `CrossCheck.why`. Calls
that sampling did not draw were never sent: they are neither missing nor strange, and `not_drawn` says how many there were.

Each span is created once. The root and the guardrail's span are updated once too, at the call's end; nothing else ever is.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final
from urllib.parse import quote

from audit import structure
from audit.manifest import CrossCheck
from audit.population import Counting
from audit.source import Window

OUTBOX: Final = "outbox.sqlite3"
"""The file's name in the relay's state directory."""
VERSION: Final = 3
"""Of the outbox's tables; another is not read."""
MARKS_H: Final = 24
"""Hours of service for which a mark is kept. They never run faster than the clock: a run that began within as many hours has its mark."""
GRACE: Final = timedelta(minutes=5)
"""A call that began longer than this before the reading's end has something in the store, if the relay keeps up."""
IDS: Final = 20
"""Most ids that are named."""
_NO_ID: Final = "(no id)"
_NOT_DRAWN: Final = "SELECT coalesce(sum(out), 0) FROM draw_hours WHERE hour >= ? AND hour <= ?"


def check(
    account: Path, seen: Counting, window: Window, *, now: datetime | None = None, purged: Mapping[str, Sequence[str]] | None = None
) -> CrossCheck:
    """Hold what was read against a relay's account.

    Args:
        account: the relay's outbox, or the directory it lies in.
        seen: what was read.
        window: of the reading.
        now: when it was read; the clock's time if not given.
        purged: ids of the runs of each trace that receipts show to be gone.

    Returns:
        The counts. An account that cannot be read gives none, and the reason in ``why``; nothing is raised.
    """
    path = account / OUTBOX if account.is_dir() else account
    name = path.name
    if not path.is_file():
        return CrossCheck(account=name, why=f"{name} is not there; name the relay's state directory or its outbox")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None, timeout=10.0)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                return CrossCheck(
                    account=name, why=f"{name} is of version {version}, and {VERSION} can be read; use the relay's own release"
                )
            db.execute("BEGIN")  # all of one moment
            return _Account(db, name, seen, window, now or datetime.now(UTC), purged or {}).check()
    except sqlite3.Error as fault:
        why = f"{name} cannot be read ({fault.sqlite_errorname if hasattr(fault, 'sqlite_errorname') else type(fault).__name__})"
        return CrossCheck(account=name, why=f"{why}; check that it is the relay's outbox, its owner and the disk")


def not_drawn(account: Path, window: Window) -> int | None:
    """Calls that a relay did not send because they were not drawn: by as many a reading of the window is a sample.

    Args:
        account: the relay's outbox, or the directory it lies in.
        window: of the reading; counted are the calls of each hour that it touches.

    Returns:
        0 where everything is sent; None for an account that cannot be read.
    """
    path = account / OUTBOX if account.is_dir() else account
    if not path.is_file():
        return None
    since, until = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H") for moment in (window.since, window.until))
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=10.0)) as db:
            if not _samples(db):
                return 0
            return int(db.execute(_NOT_DRAWN, (since, until)).fetchone()[0])
    except sqlite3.Error:
        return None


def _samples(db: sqlite3.Connection) -> bool:
    """Whether an account knows of sampling at all; one of an earlier release does not."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'draw_marks'").fetchone() is not None


@dataclass(slots=True)
class _Ids:
    """Ids to be named: counted all, kept the first."""

    n: int = 0
    kept: list[str] = field(default_factory=list)

    def add(self, run_id: str, n: int = 1) -> None:
        self.n += n
        if len(self.kept) < IDS:
            self.kept.append(run_id if structure.UUID(run_id) else _NO_ID)


class _Account:
    """One check under way."""

    def __init__(
        self, db: sqlite3.Connection, name: str, seen: Counting, window: Window, now: datetime, purged: Mapping[str, Sequence[str]]
    ) -> None:
        self._db, self._name, self._seen, self._window, self._now = db, name, seen, window, now
        self._missing, self._unexpected = _Ids(), _Ids()
        self._matched = self._unknown = self._torn = self._marks_met = self._marks_missing = 0
        self._why: list[str] = []
        self._gone = {call.lower(): tuple(runs) for call, runs in purged.items()}
        self._deleted = {run_id for runs in self._gone.values() for run_id in runs}
        self._purged = 0
        self._explained: dict[str, int] = {}

    def check(self) -> CrossCheck:
        self._purged_runs()
        self._read_runs()
        self._absent_calls()
        self._rest()
        return CrossCheck(
            account=self._name,
            expected=self._matched + self._missing.n,
            matched=self._matched,
            missing=self._missing.n,
            unexpected=self._unexpected.n,
            missing_ids=tuple(self._missing.kept),
            unexpected_ids=tuple(self._unexpected.kept),
            why="; ".join(self._why),
            purged=self._purged,
            not_drawn=self._drawn_out(),
        )

    def _purged_runs(self) -> None:
        """Runs that receipts show to be gone: of them alone the marks are explained, run by run."""
        for call, runs in self._gone.items():
            for run_id in runs:
                if self._seen.known(run_id):
                    continue  # it is there after all
                created, updated = self._settled(run_id, "create"), self._settled(run_id, "update")
                self._purged += created
                self._marks_met += created + updated
                self._explained[call] = self._explained.get(call, 0) + created + updated

    def _drawn_out(self) -> int:
        """Calls of the window that sampling left out."""
        if not _samples(self._db):
            return 0
        since, until = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H") for moment in (self._window.since, self._window.until))
        return int(self._db.execute(_NOT_DRAWN, (since, until)).fetchone()[0])

    def _read_runs(self) -> None:
        """Each run that was read, against the marks; each of their traces, against the call's counts."""
        since = self._remembers()
        for trace, rows in groupby(self._seen.placed(), key=attrgetter("trace_id")):
            created = updated = 0
            guardrail = ended = False
            for row in rows:
                guardrail |= row.span == "policy.guardrail"
                ended |= row.ends
                met = self._settled(row.run_id, "create")
                updated += self._settled(row.run_id, "update")
                if met:
                    created += 1
                elif self._waits(row.run_id):
                    continue  # delivered and not yet written down, or not yet delivered: either way its sender is known
                elif row.start is None or row.start >= since:
                    self._unexpected.add(row.run_id)
                else:
                    self._unknown += 1
            self._matched += created
            self._marks_met += created + updated
            short = self._delivered(trace) - created - updated - self._explained.get(trace.lower(), 0)
            if short > 0:
                self._marks_missing += short
                # The relay sends the root's end last of all: where an end was read, all else was there before.
                if self._began(trace) < self._window.since or not ended:
                    self._torn += 1
                else:
                    self._short(trace, short, guardrail=guardrail)

    def _remembers(self) -> int:
        """From when on the account must know a run, microseconds since 1970: never before the day it begins with."""
        (day,) = self._db.execute("SELECT min(day) FROM totals WHERE day != ''").fetchone()
        first = datetime.fromisoformat(f"{day or '9999-12-31'}T00:00:00+00:00")
        if day and self._window.since < first:
            self._why.append(f"the account begins at {day}T00:00:00Z, after the window does")
        return int(max(self._now.timestamp() - MARKS_H * 3600, first.timestamp()) * 1e6)

    def _short(self, call: str, operations: int, *, guardrail: bool) -> None:
        """Note what a call's counts have and its trace has not."""
        left = operations
        for run_id in dict.fromkeys([call, *self._seen.absent_parents(call)]):
            if not self._seen.known(run_id) and run_id not in self._deleted and self._settled(run_id, "create"):
                updated = self._settled(run_id, "update")
                guardrail |= run_id != call and bool(updated)
                left -= 1 + updated
                self._missing.add(run_id)
        if left > 1 and not guardrail and self._settled(call, "update"):
            left -= 1  # the guardrail's span is among them, and it was updated
        if left > 0:
            self._missing.add(call, left)

    def _absent_calls(self) -> None:
        """Calls that have counts and no run that was read."""
        asked = "SELECT call, sum(n) FROM call_totals WHERE state = 'delivered' GROUP BY call ORDER BY call"
        for call, operations in self._db.execute(asked):
            if not self._seen.has_trace(call):
                operations -= self._explained.get(str(call).lower(), 0)  # noqa: PLW2901  # what is left of them
                if operations <= 0:
                    continue
                self._marks_missing += operations
                if self._window.since <= self._began(call) < self._window.until - GRACE:
                    self._short(call, operations, guardrail=False)
                else:
                    self._torn += 1

    def _began(self, call: str) -> datetime:
        """When a call began, as its id tells (RFC 9562, version 7); where it tells nothing, it counts as begun with the window."""
        if structure.UUID(call) and call[14] == "7":
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(call[:8] + call[9:13], 16))
        return self._window.since

    def _rest(self) -> None:
        """What the marks say beyond the calls' counts, and what they cannot say."""
        (marks,) = self._db.execute("SELECT count(*) FROM settled").fetchone()
        (dropped,) = self._db.execute("SELECT coalesce(sum(n), 0) FROM totals WHERE state = 'dropped'").fetchone()
        (day,) = self._db.execute("SELECT min(day) FROM totals WHERE day != ''").fetchone()
        # Where there is sampling, operations wait for their call's end; that leaves nothing open.
        held = " WHERE call NOT IN (SELECT call FROM draws WHERE state = 'held')" if _samples(self._db) else ""
        (waiting,) = self._db.execute(f"SELECT count(*) FROM ops{held}").fetchone()  # noqa: S608  # closed text
        left = marks - self._marks_met - self._marks_missing - dropped - self._not_sent()
        if day is None:
            self._why.append("the account has settled nothing yet")
        elif left > 0 and self._window.since.astimezone(UTC).date().isoformat() < day:
            # The window holds all that the account ever settled: nothing explains these but runs that are not there.
            self._missing.n += left
            self._why.append(
                f"{left} of the missing are operations of calls whose counts the account no longer has, so that no id is known"
            )
        elif left > 0:
            self._why.append(f"{left} operations that were settled belong to no run that was read: of calls outside the window, or missing")
        if self._torn:
            self._why.append(f"{self._torn} calls reach beyond the window or had not ended when they were read, and are not judged")
        if self._unknown:
            self._why.append(f"{self._unknown} runs began before the last {MARKS_H} hours, or before the account: it cannot know them")
        if self._unexpected.n:
            self._why.append("what is unexpected was sent by somebody else, or by another relay, which has an account of its own")
        if waiting:
            self._why.append(f"{waiting} operations still wait in the outbox")

    def _not_sent(self) -> int:
        """Marks of operations that are nowhere, because their calls were not drawn; 0 in an account of an earlier release."""
        return int(self._db.execute("SELECT coalesce(sum(n), 0) FROM draw_marks").fetchone()[0]) if _samples(self._db) else 0

    def _settled(self, run_id: str, op: str) -> int:
        mark = hashlib.blake2b(f"{op} {run_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return int(self._db.execute("SELECT 1 FROM settled WHERE mark = ?", (mark,)).fetchone() is not None)

    def _waits(self, run_id: str) -> bool:
        try:
            return self._db.execute("SELECT 1 FROM ops WHERE span = ?", (run_id,)).fetchone() is not None
        except UnicodeEncodeError:  # an id that is no text is none of the relay's
            return False

    def _delivered(self, call: str) -> int:
        """Operations of a call that were delivered; 0 where the account no longer knows."""
        try:
            (n,) = self._db.execute("SELECT sum(n) FROM call_totals WHERE state = 'delivered' AND call = ?", (call,)).fetchone()
        except UnicodeEncodeError:
            return 0
        return int(n or 0)
