"""What the tracer adds to an agent's memory and to its start, each measured in fresh interpreters of its own."""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit.rehearsal.timing import null_relay, run_code

CALLS: Final = 1000
TURNS: Final = 6
"""Turns and tool calls of each call whose records are made."""
_AGENT: Final = """
import contextlib, gc, json, os, sys, time
for name in ("livekit.agents", "livekit.plugins.openai"):
    with contextlib.suppress(ImportError):
        __import__(name)
"""
"""What an agent has loaded before it loads us; where LiveKit is not installed, nothing."""
_IMPORT: Final = f"""{_AGENT}
began = time.perf_counter()
import tracing
print(json.dumps([(time.perf_counter() - began) * 1e3, "livekit.agents" in sys.modules]))
"""
_MEMORY: Final = f"""{_AGENT}
import psutil
gc.collect()
before = psutil.Process().memory_info().rss
from audit.rehearsal.footprint import live
print(json.dumps(live(psutil.Process(), before, sys.argv[1])))
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes that the agent's process grew, beyond what it had with LiveKit loaded.

    Args:
        imported: after ``import tracing``.
        attached: after the first call was attached.
        peak: the most during `CALLS` calls; likewise ``end``, after the last was delivered.
        calls: how many calls.
        records: how many records they made.
    """

    imported: float
    attached: float
    peak: float
    end: float
    calls: int
    records: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Milliseconds that ``import tracing`` takes beyond LiveKit: the median of ``n`` fresh interpreters, the least and the most."""

    median: float
    least: float
    most: float
    n: int
    beyond_livekit: bool


def measure_loading(n: int) -> Loading:
    """Import `tracing` in n fresh interpreters that have loaded what an agent has; the first, which may read cold files, is not counted.

    Raises:
        ProcessError: an interpreter failed.
    """
    told = [run_code(_IMPORT) for _ in range(n + 1)][1:]
    took = [took for took, _ in told]
    return Loading(round(statistics.median(took), 1), round(min(took), 1), round(max(took), 1), n, all(with_it for _, with_it in told))


def measure_memory(directory: Path) -> Memory | None:
    """Live through `CALLS` calls in a fresh interpreter; None where psutil, which comes with LiveKit, is not installed.

    Raises:
        ProcessError: the interpreter failed.
    """
    try:
        import psutil  # type: ignore[import-untyped]  # noqa: F401, PLC0415  # measured in the other process
    except ImportError:
        return None
    with null_relay(directory) as address:
        return Memory(**run_code(_MEMORY, address))


def live(me: Any, before: int, address: str) -> dict[str, float]:
    """Attach to calls one after the other and record what each says; runs in the process that is measured.

    Args:
        me: the process, as psutil knows it.
        before: its bytes before any of ours was loaded.
        address: of a relay that acknowledges.
    """
    import tracing  # noqa: PLC0415  # its memory is what is measured

    def grown() -> float:
        return round(float(me.memory_info().rss - before) / 1e6, 1)

    imported = grown()
    from audit.rehearsal.samples import agent_turn, tool_call  # noqa: PLC0415

    recorder = tracing.Recorder(address)
    attached = peak = 0.0
    for n in range(CALLS):
        call = tracing.attach(_Session(), consent="granted", recorder=recorder)
        if not call:
            sys.stderr.write("attach failed\n")
            os._exit(1)
        attached = attached or grown()
        for _ in range(TURNS):
            recorder.record(agent_turn())
            recorder.record(tool_call())
        call.detach("user_initiated")
        time.sleep(0.002)
        if n % 50 == 0:
            peak = max(peak, grown())
    recorder.drain(20.0)
    end = grown()
    return {"imported": imported, "attached": attached, "peak": max(peak, end), "end": end, "calls": CALLS,
            "records": recorder.tally().acked}  # fmt: skip


class _Session:
    """As much of an AgentSession as can be listened to, so that no memory of LiveKit's own sessions is counted."""

    llm = None

    def on(self, name: str, take: object) -> None:
        """As an event emitter's."""

    def off(self, name: str, take: object) -> None:
        """As an event emitter's."""
