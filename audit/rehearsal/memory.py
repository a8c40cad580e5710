"""Resident memory of processes over time, as Linux tells it; elsewhere nothing is measured, and that is said."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EVERY_S: Final = 1.0
KEPT: Final = 200
"""Most points of a series."""
WARM_S: Final = 30.0
"""Seconds after which a process has loaded and filled what it keeps; a shorter watch is warm after `WARM_SHARE` of it."""
WARM_SHARE: Final = 0.2
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class MemorySeries:
    """Resident memory of one process, MiB.

    Args:
        first: the first reading once it was warm: after `WARM_S`, or after `WARM_SHARE` of a shorter watch.
        last: the last reading.
        peak: the largest of all.
        n: how many readings.
        series: ``[seconds since the watch began, MiB]``, at most `KEPT` of them, evenly spread.
    """

    first: float
    last: float
    peak: float
    n: int
    series: list[list[float]]


@dataclass(slots=True)
class _Series:
    """Readings in bounded memory: once there are too many points every second one goes, and every second one that comes."""

    peak: float = 0.0
    last: tuple[float, float] | None = None
    n: int = 0
    points: list[tuple[float, float]] = field(default_factory=list)
    stride: int = 1

    def add(self, at: float, mib: float) -> None:
        if self.n % self.stride == 0:
            self.points.append((at, mib))
            if len(self.points) >= KEPT:
                del self.points[1::2]
                self.stride *= 2
        self.n += 1
        self.peak, self.last = max(self.peak, mib), (at, mib)

    def told(self) -> MemorySeries | None:
        if self.last is None:
            return None
        warm = min(WARM_S, WARM_SHARE * self.last[0])
        first = next((mib for at, mib in self.points if at >= warm), self.last[1])
        rows = self.points if self.points[-1] == self.last else [*self.points[: KEPT - 1], self.last]
        return MemorySeries(
            round(first, 2), round(self.last[1], 2), round(self.peak, 2), self.n, [[round(at, 1), round(mib, 2)] for at, mib in rows]
        )


def resident(pid: int) -> float | None:
    """MiB of memory that a process has resident, proc(5); None where that cannot be told."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


class Beat:
    """Reads the memory of processes once a second, on a thread of its own, and lets something be said now and then.

    Use as a context manager. The thread takes some ten microseconds a second.

    Args:
        pids: by the name that stands in the evidence.
        say: called every `say_s` seconds with the seconds since the beginning.
        say_s: seconds between two.
    """

    def __init__(self, pids: Mapping[str, int], say: Callable[[float], object], say_s: float = 10.0) -> None:
        self._pids, self._say, self._say_s = dict(pids), say, say_s
        self._series = {name: _Series() for name in pids}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="phi_guard.beat", daemon=True)

    def __enter__(self) -> Beat:
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def told(self) -> dict[str, MemorySeries]:
        """What was read, by name; a process that could not be read is absent."""
        return {name: told for name, series in self._series.items() if (told := series.told()) is not None}

    def _run(self) -> None:
        began = time.monotonic()
        said = 0.0
        while True:
            at = time.monotonic() - began
            for name, pid in self._pids.items():
                if (mib := resident(pid)) is not None:
                    self._series[name].add(at, mib)
            if at - said >= self._say_s:
                said = at
                with suppress(OSError, ValueError):  # nobody reads it any more
                    self._say(at)
            if self._stop.wait(EVERY_S):
                return
