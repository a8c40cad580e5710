"""The outbox's own clock: it counts seconds, and no step of the machine's clock moves it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

AWAY_MAX_S: Final = 7 * 86_400.0
"""What a restart of the machine may count at most: between two boots there is only the wall clock, and that may be years wrong."""

_LIFE: Final = uuid.uuid4().hex


def _steady() -> float:
    """Seconds since boot, time asleep included, where the system tells them apart."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _boot() -> str:
    """The boot's random id; empty where the system has none, and then the wall clock alone tells how long we were away."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""


@dataclass(frozen=True, slots=True)
class Hands:
    """What the clock reads; a test moves them.

    Args:
        wall: seconds since 1970, which may jump.
        steady: seconds since boot, which only grow.
        boot: the boot's id.
        life: the process's id.
    """

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = _steady
    boot: str = field(default_factory=_boot)
    life: str = _LIFE


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the outbox remembers of its clock.

    Args:
        age_s: seconds since the outbox was made, the relay there or not.
        served_s: of these, seconds in which a relay served it.
        wall: what the hands showed then; likewise ``steady``, ``boot`` and ``life``.
    """

    age_s: float = 0.0
    served_s: float = 0.0
    wall: float = 0.0
    steady: float = 0.0
    boot: str = ""
    life: str = ""


class Clock:
    """Two counts of seconds that only grow.

    Within a boot they follow the steady clock. Over a reboot, ``age_s`` gets what the wall clock says, between 0 and `AWAY_MAX_S`.

    Args:
        last: what was remembered.
        hands: where the time comes from.
    """

    def __init__(self, last: Reading, hands: Hands) -> None:
        self._hands = hands
        steady, wall = hands.steady(), hands.wall()
        if hands.boot and last.boot == hands.boot:
            away = max(0.0, steady - last.steady)
        else:
            away = min(max(0.0, wall - last.wall), AWAY_MAX_S) if last.life else 0.0
        self._age_s = last.age_s + away
        self._served_s = last.served_s + (away if last.life == hands.life else 0.0)  # our own second connection was not away
        self._from = steady

    @property
    def age_s(self) -> float:
        """Seconds since the outbox was made."""
        return self._age_s + self._since()

    @property
    def served_s(self) -> float:
        """Seconds in which a relay served the outbox."""
        return self._served_s + self._since()

    def reading(self) -> Reading:
        """What to remember."""
        hands = self._hands
        return Reading(age_s=self.age_s, served_s=self.served_s, wall=hands.wall(), steady=hands.steady(), boot=hands.boot, life=hands.life)

    def _since(self) -> float:
        return max(0.0, self._hands.steady() - self._from)
