"""The means of measuring: distributions, paced operations, the event loop's lateness, and processes to measure against.

`measure_overhead` is the short form that a rehearsal holds; ``phi-audit bench overhead`` is the long one (see `overhead`).
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from audit.evidence import Cost
from audit.rehearsal.rivals import open_langsmith
from audit.rehearsal.samples import Calling
from phi_guard.errors import PhiGuardError
from tracing.recorder import Recorder

PACE_S: Final = 0.001
EDGES_US: Final = (
    0.0,
    5.0,
    10.0,
    15.0,
    20.0,
    25.0,
    30.0,
    40.0,
    50.0,
    75.0,
    100.0,
    150.0,
    200.0,
    300.0,
    500.0,
    1000.0,
    2000.0,
    5000.0,
    10000.0,
)
"""Bins of a histogram of costs, microseconds: fine where costs lie, with the budgets of the gates as edges. The last holds all above."""
TICK_S: Final = 0.005
"""Ticks of the event loop whose lateness is measured: the length of the roll-back trigger of five milliseconds."""


def summarise(nanoseconds: Sequence[int]) -> Cost:
    """The distribution of some durations; all zero when there are none."""
    if not nanoseconds:
        return Cost(0.0, 0.0, 0.0, 0)
    ordered = sorted(nanoseconds)

    def at(q: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1000, 2)

    return Cost(at(0.5), at(0.99), round(ordered[-1] / 1000, 2), len(ordered))


def spread(nanoseconds: Sequence[int]) -> tuple[int, ...]:
    """How many durations lie in each bin of `EDGES_US`."""
    counts = [0] * (len(EDGES_US) - 1)
    for took in nanoseconds:
        counts[min(bisect_right(EDGES_US, took / 1000) - 1, len(counts) - 1)] += 1
    return tuple(counts)


async def time_paced(operation: Callable[[int], object], n: int, *, binned: bool = False) -> Cost:
    """Time an operation ``n`` times on the running loop, with a pause after each, as calls come in a conversation.

    Args:
        operation: called with its number.
        n: how often.
        binned: whether to keep a histogram too.
    """
    took, worked = [], []
    for i in range(n):
        began_working, began = time.thread_time_ns(), time.perf_counter_ns()
        operation(i)
        took.append(time.perf_counter_ns() - began)
        worked.append(time.thread_time_ns() - began_working)
        await asyncio.sleep(PACE_S)
    cost = replace(summarise(took), cpu_max=round(max(worked, default=0) / 1000, 2))
    return replace(cost, edges=EDGES_US, counts=spread(took)) if binned and took else cost


async def measure_lateness(until: asyncio.Event, seconds: float = 3600.0) -> Cost:
    """How late the loop's ticks come, until told to stop or for so long."""
    late = array("q")  # a tick each five milliseconds, in a process whose memory is watched
    end = time.monotonic() + seconds
    while not until.is_set() and time.monotonic() < end:
        began = time.perf_counter_ns()
        await asyncio.sleep(TICK_S)
        late.append(max(0, time.perf_counter_ns() - began - int(TICK_S * 1e9)))
    return summarise(late)


class ProcessError(PhiGuardError):
    """A process that a measurement needs did not start or ended too soon; the message names it."""


class Process:
    """A module of ours in a process of its own, spoken to by lines.

    Args:
        module: for ``python -m``.
        arguments: its arguments.

    Raises:
        ProcessError: it cannot be started.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self.module = module
        command = [sys.executable, "-m", module, *arguments]
        try:
            # Its own session: a Ctrl-C is for the command, which then ends what it started.
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as fault:
            raise ProcessError(f"{module} cannot be started ({type(fault).__name__}): free some memory or processes") from None
        self.pid = self._process.pid

    def hear(self) -> Any:
        """The next line it says, as JSON.

        Raises:
            ProcessError: it ended without one.
        """
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise ProcessError(f"{self.module} ended with code {self._process.wait()}: run `python -m {self.module}` to see why")
        return msgspec.json.decode(line)

    def ask(self, line: str) -> Any:
        """Say one line and hear the answer.

        Raises:
            ProcessError: it ended.
        """
        try:
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
        except OSError:
            raise ProcessError(f"{self.module} ended with code {self._process.wait()}") from None
        return self.hear()

    def stop(self) -> None:
        """End it now."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def running(module: str, *arguments: str) -> Iterator[Process]:
    """A process, ended with the block.

    Raises:
        ProcessError: it cannot be started.
    """
    process = Process(module, *arguments)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def null_relay(directory: Path) -> Iterator[str]:
    """A process that acknowledges every batch and keeps nothing; gives its address, which is where a relay of that directory would be."""
    address = f"ipc://{directory / 'relay.sock'}"
    with running("audit.rehearsal.null_relay", address):
        yield address


@contextlib.contextmanager
def rival_store(directory: Path) -> Iterator[str]:
    """A throw-away trace store in a process of its own, for a rival to send to; gives its address."""
    with running("tracing.local.trace_store", "--port", "0", "--path", str(directory / "rival.sqlite3")) as process:
        yield str(process.hear()["url"])


def run_code(code: str, *arguments: str, seconds: float = 120.0) -> Any:
    """What a fresh interpreter prints, as JSON, after it has run code of ours.

    Raises:
        ProcessError: it failed.
    """
    command = [sys.executable, "-c", code, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=seconds)  # noqa: S603  # our own code
    except (OSError, subprocess.SubprocessError) as fault:
        raise ProcessError(f"a fresh interpreter did not answer ({type(fault).__name__}): check that {sys.executable} runs") from None
    return msgspec.json.decode(done.stdout)


@dataclass(frozen=True, slots=True)
class Overhead:
    """Three costs of the same kind of operation, in microseconds: none, ours, LangSmith's ``create_run``."""

    idle: Cost
    record: Cost
    langsmith: Cost


async def measure_overhead(n: int, rival_n: int) -> Overhead:
    """Time an empty operation, the end of a turn or a tool, and one ``create_run``, each paced, one after the other."""
    idle = await time_paced(lambda _: None, n)
    with tempfile.TemporaryDirectory(prefix="phi-guard-") as directory:
        with null_relay(Path(directory)) as address:
            recorder = Recorder(address)
            calling = Calling(recorder)
            calling.prepare(n)
            ours = await time_paced(calling.tell, n, binned=True)
            await asyncio.to_thread(recorder.close, 5.0)
        with rival_store(Path(directory)) as url:
            rival = await _time_rival(url, rival_n)
    return Overhead(idle, ours, rival)


async def _time_rival(url: str, n: int) -> Cost:
    client = open_langsmith(url, update=False)
    try:
        client.record(0)
        await asyncio.sleep(0.5)
        return await time_paced(client.record, n)
    finally:
        await asyncio.to_thread(client.close)
