"""Who is there: when each recorder was last heard, and which calls it said were going on. Steady time alone; nothing is stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

LOST_S: Final = 10.0
"""A sender with an open call that has been silent for so long is taken for dead; it beats every second while it lives.

Likewise a call that a living sender, which has handed over all it had, has not named for so long.
"""
NAMES_MAX: Final = 1_000
"""Calls that one message can name."""
HEARD_MAX: Final = 100_000
"""Senders and calls that are remembered at once; the longest unheard go first."""


class Presence:
    """What was heard since this relay began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # one thread hears, another looks who is gone
        self._began = time.monotonic()
        self._heard: dict[str, float] = {}
        self._named: dict[str, float] = {}
        self._missed: dict[str, float] = {}

    def hear(self, sender: str, calls: Iterable[str], now: float) -> None:
        """A sender spoke, and named the calls that go on."""
        with self._lock:
            _put(self._heard, sender, now)
            for call, _ in zip(calls, range(NAMES_MAX), strict=False):
                if len(call) <= 64:
                    _put(self._named, call, now)
                    self._missed.pop(call, None)

    def silent_s(self, sender: str, now: float | None = None) -> float:
        """Seconds since a sender was heard, or since this relay began if that is less."""
        return (time.monotonic() if now is None else now) - self._heard.get(sender, self._began)

    def is_lost(self, call: str, sender: str, *, all_told: bool, now: float) -> bool:
        """Whether an open call has nobody any more.

        Args:
            call: one without an end.
            sender: who opened it.
            all_told: everything the sender was offered has arrived, or is known as dropped: no end of this call is under way.
            now: steady time.
        """
        with self._lock:
            last = self._named.get(call)
            if last is None:
                last = self._missed.setdefault(call, now)
            elif now - last <= LOST_S:
                return False  # also where another than its first sender names it: a recorder made anew
        return self.silent_s(sender, now) > LOST_S or (all_told and now - last > LOST_S)

    def forget(self, call: str) -> None:
        """The call has ended."""
        with self._lock:
            self._named.pop(call, None)
            self._missed.pop(call, None)


def _put(times: dict[str, float], key: str, now: float) -> None:
    times.pop(key, None)  # the newest stands last
    times[key] = now
    if len(times) > HEARD_MAX:
        del times[next(iter(times))]
