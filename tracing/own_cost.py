"""What telemetry costs the agent, watched by itself: processor time of the thread that an operation runs on, not the time others took.

An agent that pays too much tells its host's relay, which turns the switch off and holds it. Measured by ``tests/relay/test_trips.py``.
"""

from __future__ import annotations

import time
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

LIMIT_NS: Final = 5_000_000
"""What one operation may cost."""
LAST: Final = 1_000
"""Operations over which the 99th percentile is taken: it is over the limit where more than a hundredth of them are."""
SINGLE_MAX: Final = 3
"""So many single ones over the limit in `WINDOW_NS` are too many, however few operations there were."""
WINDOW_NS: Final = 60_000_000_000
TELL_NS: Final = 60_000_000_000
"""How often it is told at most, where it goes on."""


class Overrun(msgspec.Struct, frozen=True, kw_only=True, tag="overrun", forbid_unknown_fields=True):
    """What an agent tells the relay: so many of the last operations cost more than the limit.

    Args:
        slow: operations over the limit; of the last ``of``.
        limit_us: the limit, microseconds of processor time.
        slowest_us: the slowest of them.
    """

    slow: int
    of: int
    limit_us: int
    slowest_us: int


class OwnCost:
    """Watches what operations cost. A look costs two readings of the thread's clock, about a microsecond.

    Args:
        tell: given what is to be told, on a thread of its own, so that it may block.
    """

    def __init__(self, tell: Callable[[Overrun], object]) -> None:
        self._tell = tell
        self._last: deque[bool] = deque(maxlen=LAST)
        self._slow = self._slowest = 0
        self._singles: deque[int] = deque(maxlen=SINGLE_MAX)
        self._told = -TELL_NS

    def timed(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """The same operation, watched; what it returns and raises passes through."""

        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time_ns()
            try:
                return act(*args, **kwargs)
            finally:
                self.note(time.thread_time_ns() - began)

        return run

    def note(self, cost_ns: int) -> None:
        """An operation has cost so much. Never raises, never blocks."""
        slow, last = cost_ns > LIMIT_NS, self._last
        if not slow and not self._slow:  # as good as always
            last.append(False)
            return
        if len(last) == LAST:
            self._slow -= last[0]
        last.append(slow)
        self._slow += slow
        if slow:
            self._judge(cost_ns, time.monotonic_ns())

    def _judge(self, cost_ns: int, now: int) -> None:
        self._slowest = max(self._slowest, cost_ns)
        self._singles.append(now)
        many = len(self._singles) == SINGLE_MAX and now - self._singles[0] <= WINDOW_NS
        if (many or self._slow > LAST // 100) and now - self._told >= TELL_NS:
            self._told = now
            told = Overrun(slow=self._slow, of=len(self._last), limit_us=LIMIT_NS // 1000, slowest_us=self._slowest // 1000)
            self._slowest = 0
            start_new_thread(self._say, (told,))  # Thread.start() would wait until it runs

    def _say(self, told: Overrun) -> None:
        try:
            self._tell(told)
        except Exception:  # noqa: BLE001  # nothing of telemetry may reach the call
            self._told = -TELL_NS  # at the next one again
