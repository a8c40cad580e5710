"""How long a fleet goes on sending once its switch is off: real processes, a real file or a real Redis server, and that server's end.

The time to silence of a worker in a round is from the call of ``turn_off`` to the worker's last send, by one monotonic clock; a worker that
sent nothing after the call has 0. The time to acknowledgement is from the same call until every worker has said that it acts on it.
"""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from audit.rehearsal.fleet_worker import SLOT
from phi_guard.errors import PhiGuardError
from phi_guard.switch import FileSwitch, Switch
from phi_guard.switch_state import SwitchError

SCHEMA: Final = "phi-audit.fleet/1"
BAR_MS: Final = 1000.0
"""Silence at p99, milliseconds: what the switch is for."""
SILENCE_S: Final = 1.5
"""For how long nobody may send, for the fleet to count as silent."""

_START_S: Final = 120.0
_ROUND_S: Final = 30.0
_LOOK_S: Final = 0.005


class FleetError(PhiGuardError):
    """The fleet cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True)
class Times:
    """What was measured of one kind, milliseconds.

    Args:
        n: how many were measured.
        p50: of them; likewise ``p99`` and ``max``.
    """

    n: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The measurement.

    Args:
        backend: ``file`` or ``redis``.
        workers: processes.
        rounds: how often the switch was turned off.
        silence: from the call to each worker's last send.
        acknowledged: from the call until all had acknowledged, one per round.
        killed: with Redis, from the server's end to each worker's last send; None without.
        faults: what went wrong, in words; empty if nothing did.
    """

    backend: str
    workers: int
    rounds: int
    silence: Times
    acknowledged: Times
    killed: Times | None = None
    faults: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether silence at p99 stays under `BAR_MS`, the killed server's too, and nothing went wrong."""
        measured = [self.silence, *([self.killed] if self.killed else [])]
        return not self.faults and all(times.n and times.p99 < BAR_MS for times in measured)

    def as_json(self) -> dict[str, Any]:
        """The figures, for a file."""
        return {"schema": SCHEMA, **asdict(self), "faults": list(self.faults), "bar_ms": BAR_MS, "holds": self.holds}

    def table(self) -> str:
        """The figures, for a terminal."""
        rows = [("off to the last send", self.silence), ("off until all acknowledged", self.acknowledged)]
        if self.killed:
            rows.append(("server killed to the last send", self.killed))
        lines = [
            f"{self.workers} workers, {self.rounds} rounds, switch in a {self.backend}",
            f"{'ms':<32}{'n':>7}{'p50':>9}{'p99':>9}{'max':>9}",
        ]
        lines += [f"{name:<32}{t.n:>7}{t.p50:>9.1f}{t.p99:>9.1f}{t.max:>9.1f}" for name, t in rows]
        lines += list(self.faults)
        return "\n".join([*lines, f"p99 under {BAR_MS:g} ms: {'yes' if self.holds else 'NO'}"])


def measure_fleet(workers: int = 50, rounds: int = 20, backend: Literal["file", "redis"] = "file",
                  progress: Callable[[str], object] = lambda _: None) -> Fleet:  # fmt: skip
    """Measure it.

    Args:
        workers: processes that send; each takes some 20 MB, 35 MB with Redis.
        rounds: how often the switch is turned off.
        backend: where the switch is kept; ``redis`` needs ``redis-server`` on the path, and ends it at last by SIGKILL.
        progress: told a line now and then.

    Raises:
        FleetError: there is no ``redis-server``, or the workers do not start.
    """
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-fleet-")))
        server = stack.enter_context(_redis(place)) if backend == "redis" else None
        where = f"unix://{place / 'redis.sock'}#fleet" if server else str(place / "switch.json")
        switch = _open(where, place)
        switch.turn_on("a measurement")
        slots = stack.enter_context(_slots(place / "slots", workers))
        stack.enter_context(_workers(place, where, workers))
        progress(f"starting {workers} workers")
        _until(lambda: all(sent for _, sent in _read(slots, workers)), _START_S, "the workers do not start")
        silence: list[float] = []
        acknowledged: list[float] = []
        faults: list[str] = []
        for n in range(rounds):
            began = time.monotonic_ns()
            switch.turn_off(f"round {n}")
            acknowledged.append(_acknowledged(switch, workers, began, faults))
            silence += _silence(slots, workers, began, faults)
            before = [sent for _, sent in _read(slots, workers)]
            switch.turn_on(f"round {n}")
            _until(lambda: all(sent > was for (_, sent), was in zip(_read(slots, workers), before, strict=True)), _ROUND_S,  # noqa: B023
                   "the workers do not go on")  # fmt: skip
            progress(f"round {n + 1} of {rounds}")
        killed = None
        if server:
            began = time.monotonic_ns()
            server.send_signal(signal.SIGKILL)
            killed = _times(_silence(slots, workers, began, faults))
        return Fleet(backend, workers, rounds, _times(silence), _times(acknowledged), killed, tuple(dict.fromkeys(faults)))


def _open(where: str, place: Path) -> Switch:
    if "://" not in where:
        return FileSwitch(where)
    from phi_guard.switch_redis import RedisSwitch  # noqa: PLC0415  # only where it is asked for

    return RedisSwitch(where, place / "own.last")


def _silence(slots: mmap.mmap, workers: int, began: int, faults: list[str]) -> list[float]:
    """Wait until nobody has sent for `SILENCE_S`; how long after ``began`` each sent last, milliseconds."""
    end = time.monotonic() + _ROUND_S
    while time.monotonic_ns() - max(last for last, _ in _read(slots, workers)) < SILENCE_S * 1e9:
        if time.monotonic() > end:
            faults.append(f"a worker still sends {_ROUND_S:g} s after the switch went off")
            break
        time.sleep(0.05)
    return [max(0.0, (last - began) / 1e6) for last, _ in _read(slots, workers)]


def _acknowledged(switch: Switch, workers: int, began: int, faults: list[str]) -> float:
    end = time.monotonic() + _ROUND_S
    while time.monotonic() < end:
        state = switch.state()
        if sum(worker.seen == state.at and not worker.on for worker in switch.workers()) == workers:
            break
        time.sleep(_LOOK_S)
    else:
        faults.append("a worker did not acknowledge")
    return (time.monotonic_ns() - began) / 1e6


def _times(found: list[float]) -> Times:
    ordered = sorted(found)
    if not ordered:
        return Times(0, 0.0, 0.0, 0.0)
    p50, p99 = (ordered[min(len(ordered) - 1, int(part * len(ordered)))] for part in (0.5, 0.99))  # nearest rank from above
    return Times(len(ordered), p50, p99, ordered[-1])


def _read(slots: mmap.mmap, workers: int) -> list[tuple[int, int]]:
    return [SLOT.unpack_from(slots, n * SLOT.size) for n in range(workers)]


@contextmanager
def _slots(path: Path, workers: int) -> Iterator[mmap.mmap]:
    path.write_bytes(bytes(SLOT.size * workers))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        yield shared


@contextmanager
def _workers(place: Path, where: str, workers: int) -> Iterator[None]:
    """The processes, each with a runtime directory of its own, as if on a host of its own."""
    started: list[subprocess.Popen[bytes]] = []
    try:
        for n in range(workers):
            environ = dict(os.environ) | {"PHI_GUARD_SWITCH": where, "PHI_GUARD_RUNTIME_DIR": str(place / f"run{n}")}
            command = [sys.executable, "-P", "-m", "audit.rehearsal.fleet_worker", str(place / "slots"), str(n)]
            started.append(subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL))  # noqa: S603  # our own module
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


@contextmanager
def _redis(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server of our own on a unix socket, which keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        raise FleetError("there is no redis-server on the path; install it (Debian: redis-server), or measure the file")
    options = ["--port", "0", "--unixsocket", str(place / "redis.sock"), "--save", "", "--appendonly", "no", "--dir", str(place)]
    process = subprocess.Popen([program, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603  # as given
    try:
        _until((place / "redis.sock").exists, 10.0, "redis-server does not start")
        yield process
    finally:
        process.kill()
        process.wait()


def _until(done: Callable[[], bool], seconds: float, why: str) -> None:
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise FleetError(f"{why} within {seconds:g} s")
        time.sleep(_LOOK_S)


__all__ = ["BAR_MS", "Fleet", "FleetError", "SwitchError", "Times", "measure_fleet"]
