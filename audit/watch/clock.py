"""The clock of a watch: what time it is, and waiting for another, also on a machine that slept meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final, Protocol

SLICE_S: Final = 5.0
"""Seconds of one wait at most: the clock of waiting stands still while a machine sleeps, the clock on the wall does not."""


class Clock(Protocol):
    """Time, as a watch knows it."""

    def now(self) -> datetime:
        """The time on the wall, in UTC. It may jump."""

    def steady(self) -> float:
        """Seconds from some instant on, which never go back; a machine's sleep may be left out of them."""

    def wait(self, seconds: float) -> None:
        """Wait, or less: who waits looks at the clock again."""


class SystemClock:
    """This machine's."""

    def now(self) -> datetime:
        """As `Clock.now`."""
        return datetime.now(UTC)

    def steady(self) -> float:
        """As `Clock.steady`."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """As `Clock.wait`: at most `SLICE_S`."""
        time.sleep(max(0.0, min(seconds, SLICE_S)))
