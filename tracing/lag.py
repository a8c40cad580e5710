"""How late the event loop runs while a caller waits for an answer. What delays the loop delays our stamps, and the caller too.

A timer that is due every `TICK_S` tells by how much it comes late. It runs only from the end of the caller's speech to the first sound of
the answer, so a call costs the loop nothing while somebody speaks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

TICK_S: Final = 0.025
"""Seconds between two looks. A stall is told short by at most this much."""
LONGEST_S: Final = 30.0
"""Nobody waits longer for a sound; a watch that is not ended ends itself."""


class LoopLag:
    """Watches the loop of the thread it is used in. Without a running loop it measures nothing."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._until = self._late = 0.0

    def watch(self, now: int) -> None:
        """Watch from ``now`` monotonic nanoseconds on, until `rest`, `read` or `LONGEST_S`."""
        self._until = now / 1e9 + LONGEST_S
        self._late = 0.0
        if self._timer is None:
            import asyncio  # noqa: PLC0415  # only where a loop runs already

            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._arm(loop)

    def read(self, now: int) -> int | None:
        """How late the loop was around ``now``, in nanoseconds, and rest. None when nobody watched."""
        if self._timer is None:
            return None
        late = max(self._late, now / 1e9 - self._due, 0.0)
        self.rest()
        return int(late * 1e9)

    def rest(self) -> None:
        """Watch no more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.monotonic() + TICK_S
        self._timer = loop.call_later(TICK_S, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        self._late = now - self._due
        if now < self._until:
            self._arm(loop)
        else:
            self._timer = None
