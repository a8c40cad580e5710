"""A fault in the telemetry while calls go on: the rehearsal's own relay is made to stand still, and goes on again."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from audit.evidence import Fault
from audit.rehearsal.play import Progress
from audit.rehearsal.script import PlannedCall
from tracing.launch import RelayHandle

KIND: Final = "relay_stands_still"
LASTS_S: Final = 3.0
"""As long as `tests/relay/test_chaos.py` has it at most, twice; below the 5 s after which a recorder sends again."""
INTO: Final = 0.25
"""Share of the shortest call after which it begins: where calls are short, most of them is left."""
INTO_MOST_S: Final = 30.0
_LOOK_S: Final = 0.05


class Stall:
    """Stops the relay's process once (SIGSTOP) when calls are well under way, and lets it go on (SIGCONT) after `LASTS_S`.

    Use as a context manager around the calls: it goes on with their end at the latest, and with the block's in any case. Nothing is lost by
    it: what is recorded meanwhile waits in the agent's queue.

    Args:
        relay: the rehearsal's own; where another started its process, nothing is done.
        calls: that are played.
        progress: of the calls.
        offered: how many operations were recorded so far; it does not begin before there are some.
    """

    def __init__(self, relay: RelayHandle, calls: Sequence[PlannedCall], progress: Progress, offered: Callable[[], int]) -> None:
        self._process, self._progress, self._offered = relay.process, progress, offered
        shortest = min((sum(turn.lasts_ms for turn in call.turns) for call in calls), default=0.0) / 1000
        self._into_s = min(INTO_MOST_S, INTO * shortest)
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._done: list[Fault] = []
        self._thread = threading.Thread(target=self._run, name="phi_guard.stall", daemon=True)

    def __enter__(self) -> Stall:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def told(self) -> list[Fault]:
        """The fault as it was made; empty where it was not."""
        return list(self._done)

    def _run(self) -> None:
        if self._process is None or not self._wait(lambda: self._offered() > 0):
            return
        begin = time.monotonic() + self._into_s
        if not self._wait(lambda: time.monotonic() >= begin) or not self._going_on():
            return
        at, stopped = time.monotonic(), False
        try:
            self._process.send_signal(signal.SIGSTOP)  # does nothing where it has ended
            stopped = self._process.poll() is None
            self._wait(lambda: time.monotonic() - at >= LASTS_S or not self._going_on())
        except OSError:
            return  # the system does not let us: no fault was made
        finally:
            lasted = time.monotonic() - at
            with suppress(OSError):
                self._process.send_signal(signal.SIGCONT)
        if stopped:
            self._done.append(Fault(KIND, round(at - self._began, 3), round(lasted, 3)))

    def _going_on(self) -> bool:
        return self._progress.under_way > 0

    def _wait(self, holds: Callable[[], bool]) -> bool:
        """Until it holds; False where the block ended before."""
        while not holds():
            if self._stop.wait(_LOOK_S):
                return False
        return True
