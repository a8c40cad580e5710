"""``python -m audit.rehearsal.contender NAME WHERE``: one way to trace, alone in a process, timed when it is told to.

Reads one JSON command a line from stdin and answers each with one line: ``{"time": N}`` times N operations, ``{"late": S}`` watches the
event loop for S seconds while it records `RATE` operations a second. Nanoseconds. Ends when stdin does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from audit.rehearsal.rivals import Tracer, open_langsmith, open_opentelemetry
from audit.rehearsal.samples import Calling
from audit.rehearsal.timing import PACE_S, TICK_S
from tracing.recorder import Recorder

RATE: Final = 100
"""Operations a second while the loop is watched: some twenty calls at once, each with a few spans a second."""
WARM: Final = 50
"""Operations before the first that is timed: what happens once in a process is not what a call pays."""


@dataclass(frozen=True, slots=True)
class Ours(Tracer):
    """Our own tracer.

    Args:
        prepare: has so many turns and tools happen, for the next operations to tell of.
    """

    prepare: Callable[[int], None]


def open_ours(address: str) -> Ours:
    """What the tracer does when a turn or a tool has ended."""
    recorder = Recorder(address)
    calling = Calling(recorder)
    return Ours(calling.tell, recorder.close, calling.prepare)


OPEN: Final[dict[str, Callable[[str], Tracer]]] = {
    "nothing": lambda _: Tracer(lambda _: None, lambda: None),
    "ours": open_ours,
    "langsmith": open_langsmith,
    "opentelemetry": open_opentelemetry,
}
"""Contenders by name; told where their records go."""


async def time_block(tracer: Tracer, n: int) -> dict[str, list[int]]:
    """Time n operations, paced as calls come: by the clock, and by the processor's time of this thread alone."""
    if isinstance(tracer, Ours):
        tracer.prepare(n)
    took, worked = [], []
    for i in range(n):
        began_working, began = time.thread_time_ns(), time.perf_counter_ns()
        tracer.record(i)
        took.append(time.perf_counter_ns() - began)
        worked.append(time.thread_time_ns() - began_working)
        await asyncio.sleep(PACE_S)
    return {"took": took, "worked": worked}


async def watch_loop(tracer: Tracer, seconds: float) -> dict[str, list[int]]:
    """How late each tick of the loop comes, while operations are recorded on it."""
    late: list[int] = []
    if isinstance(tracer, Ours):
        tracer.prepare(int(seconds * RATE) + RATE)
    end = time.monotonic() + seconds

    async def work() -> None:
        i = 0
        while True:
            tracer.record(i)
            i += 1
            await asyncio.sleep(1 / RATE)

    working = asyncio.create_task(work())
    try:
        while time.monotonic() < end:
            began = time.perf_counter_ns()
            await asyncio.sleep(TICK_S)
            late.append(max(0, time.perf_counter_ns() - began - int(TICK_S * 1e9)))
            if working.done():
                working.result()  # raises what ended it: nothing was recorded any more
    finally:
        working.cancel()
    return {"late": late}


def main(name: str, where: str) -> int:
    """Obey until stdin ends; 3 when the contender is not installed."""
    try:
        tracer = OPEN[name](where)
    except ImportError as fault:
        _say({"absent": fault.name or "not installed"})
        return 3
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(time_block(tracer, WARM))
        gc.collect()
        _say({"ready": name})
        for line in sys.stdin:
            told: dict[str, Any] = json.loads(line)
            work = time_block(tracer, told["time"]) if "time" in told else watch_loop(tracer, told["late"])
            _say(loop.run_until_complete(work))
    except KeyboardInterrupt:
        return 130
    finally:
        loop.close()
        tracer.close()
    return 0


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
