"""What the pages stand on: the index of calls, kept up to date by a thread of its own, and the files beside it.

A source that fails costs the page its freshness, nothing else: what was read stays, and a page says how old it is and why.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from audit.calls.index import CallIndex
from audit.source import Source, Window
from phi_guard.errors import PhiGuardError
from phi_guard.policy.compiled import Policy
from phi_guard.switch import SwitchState

if TYPE_CHECKING:
    from audit.alerts.state import AlertState

T = TypeVar("T")
OVERLAP: Final = timedelta(hours=2)
"""Read again each time: a span may arrive that long after it began."""
WHOLE_EVERY: Final = timedelta(hours=1)
"""Between two readings of the whole time shown: what was deleted at the source, such as by a purge, is then gone here too."""
BACK_OFF: Final = timedelta(minutes=10)
"""Between two readings of a source that fails, at most."""
KEPT: Final = 64
"""Views kept while nothing changed."""
KEPT_FOR: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is shown beside the calls; what is None is said to be missing, and how to get it.

    Args:
        report: a report's JSON, or a directory of them.
        log_dir: where the audit's log is.
        switch: tells the switch's state.
        account: the relay's state directory or outbox.
        policy: whose fields the redactions are held against.
        alerts: tells what fires, or None where nobody checks.
        prices_as_of: the price list's day, ISO 8601; empty where it is not known.
        endpoint: LangSmith's address, where the source is one.
        anchor: the copy of the log's heads, kept elsewhere.
        baseline: the file of accepted findings.
    """

    report: Path | None = None
    log_dir: Path | None = None
    switch: Callable[[], SwitchState] | None = None
    account: Path | None = None
    policy: Policy | None = None
    alerts: Callable[[], AlertState | None] | None = None
    prices_as_of: str = ""
    endpoint: str = ""
    anchor: Path | None = None
    baseline: Path | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How fresh the pages are.

    Args:
        place: what is read.
        as_of: when all of it was last read; None before.
        reading: whether it is being read now.
        fault: why the last reading failed, one sentence; empty where it did not.
        every_s: seconds between two readings; 0 where there is only one.
    """

    place: str
    as_of: datetime | None
    reading: bool
    fault: str
    every_s: float


class Service:
    """The index and what keeps it up to date.

    Args:
        index: owned from here on: `close` closes it.
        source: opens the source for a window.
        place: what is read, as the pages name it.
        span: how far back is read at first.
        every: between two readings; zero for one reading alone.
        beside: the files shown beside the calls.
        stamp: changes when the source did, so that a file that is as it was is not read again; None to read each time.
        clock: the time, with a zone.
    """

    def __init__(
        self,
        index: CallIndex,
        source: Callable[[Window], Source],
        *,
        place: str,
        span: timedelta = timedelta(days=30),
        every: timedelta = timedelta(seconds=30),
        beside: Beside | None = None,
        stamp: Callable[[], object] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.index = index
        self.beside = beside or Beside()
        self.clock = clock
        self._source = source
        self._place = place
        self._span = span
        self._every = every
        self._stamp = stamp
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[int, datetime, object]] = OrderedDict()
        self._version = 0
        self._failures = 0
        self._fault = ""
        self._reading = False
        self._as_of: datetime | None = None
        self._whole_at: datetime | None = None
        self._whole_every = WHOLE_EVERY
        self._read_stamp: object = None

    @property
    def standing(self) -> Standing:
        """How fresh the pages are now."""
        return Standing(self._place, self._as_of, self._reading, self._fault, self._every.total_seconds())

    def start(self) -> None:
        """Begin to read in a thread that ends with the process."""
        self._thread = threading.Thread(target=self._go_on, name="dashboard-refresh", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading and close the index; a reading under way is given a few seconds to end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self.index.close()

    def refresh(self) -> None:
        """Read once. A fault is kept for `standing`, in words that hold nothing the other side answered; it is never raised."""
        now, stamp = self.clock(), None
        self._reading = True
        try:
            if self._stamp is not None:
                stamp = self._stamp()
                if stamp is not None and stamp == self._read_stamp:
                    self._as_of = now
                    return
            since, whole = now - self._span, True
            if self._as_of is not None and self._stamp is None and self._whole_at is not None:
                whole = not timedelta() <= now - self._whole_at < self._whole_every
                since = since if whole else max(since, self._as_of - OVERLAP)
            source = self._source(Window(since, now))
            # an export may hold less than it did, or be another: what it lacks is not known to have been deleted
            self.index.refresh(source, now=now, since=since if whole and self._stamp is None else None)
            if whole:
                self._whole_at, took = self.clock(), self.clock() - now
                self._whole_every = max(WHOLE_EVERY, 10 * took)  # a source that is slow is not read all the time
        except PhiGuardError as fault:
            self._failed(str(fault))
        except Exception as fault:  # noqa: BLE001  # whatever a source does, the pages go on
            self._failed(f"the source cannot be read ({type(fault).__name__})")
        else:
            self._failures, self._fault, self._as_of, self._read_stamp = 0, "", now, stamp
        finally:
            self._reading = False
            self._version += 1

    def keep(self, name: Hashable, make: Callable[[], T]) -> T:
        """A view made once and kept while the index is as it was, half a minute at most."""
        now, version = self.clock(), self._version
        with self._lock:
            held = self._kept.get(name)
        if held is not None and held[0] == version and timedelta() <= now - held[1] < KEPT_FOR and not self._reading:
            return cast("T", held[2])
        made = make()
        with self._lock:
            self._kept[name] = (version, now, made)
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def _failed(self, words: str) -> None:
        self._failures += 1
        self._fault = words

    def _go_on(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            if not self._every:
                return
            wait = min(self._every * 2 ** min(self._failures, 10), max(BACK_OFF, self._every))
            self._stop.wait(wait.total_seconds())
