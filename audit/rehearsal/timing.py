"""What recording costs the agent, beside doing nothing and beside LangSmith's own client, in one run on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from audit.evidence import Cost
from tracing.identity import new_id
from tracing.record import AgentTurn, AnyRecord, ToolCall
from tracing.recorder import Recorder

PACE_S: Final = 0.001
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


async def time_paced(operation: Callable[[int], object], n: int) -> Cost:
    """Time an operation ``n`` times on the running loop, with a pause after each, as calls come in a conversation."""
    took, worked = [], []
    for i in range(n):
        began_working, began = time.thread_time_ns(), time.perf_counter_ns()
        operation(i)
        took.append(time.perf_counter_ns() - began)
        worked.append(time.thread_time_ns() - began_working)
        await asyncio.sleep(PACE_S)
    return replace(summarise(took), cpu_max=round(max(worked, default=0) / 1000, 2))


async def measure_lateness(until: asyncio.Event, seconds: float = 3600.0) -> Cost:
    """How late the loop's ticks come, until told to stop or for so long."""
    late: list[int] = []
    end = time.monotonic() + seconds
    while not until.is_set() and time.monotonic() < end:
        began = time.perf_counter_ns()
        await asyncio.sleep(TICK_S)
        late.append(max(0, time.perf_counter_ns() - began - int(TICK_S * 1e9)))
    return summarise(late)


@dataclass(frozen=True, slots=True)
class Overhead:
    """Three costs of the same kind of operation, in microseconds: none, ours, LangSmith's ``create_run``."""

    idle: Cost
    record: Cost
    langsmith: Cost


async def measure_overhead(n: int, rival_n: int) -> Overhead:
    """Time an empty operation, one record, and one ``create_run``, each paced, one after the other."""
    idle = await time_paced(lambda _: None, n)
    with tempfile.TemporaryDirectory(prefix="phi-guard-") as directory:
        with _null_relay(Path(directory)) as address:
            recorder = Recorder(address)
            records: list[Callable[[], AnyRecord]] = [_agent_turn, _tool_call]
            ours = await time_paced(lambda i: recorder.record(records[i % 2]()), n)
            await asyncio.to_thread(recorder.close, 5.0)
        with _store(Path(directory)) as url:
            rival = await _time_rival(url, rival_n)
    return Overhead(idle, ours, rival)


def _agent_turn() -> AgentTurn:
    now, call = time.time_ns(), "01890000-0000-7000-8000-000000000001"
    key = new_id()
    return AgentTurn(
        call=call, id=key, at=((now, call), (now, key)), end_ns=now, outcome="answered", ttft_ms=512.3, ttft_source="azure_events",
        responses=1, deployment="gpt-realtime", input_text=80, input_audio=40, output_audio=60,
    )  # fmt: skip


def _tool_call() -> ToolCall:
    now, call = time.time_ns(), "01890000-0000-7000-8000-000000000001"
    key = new_id()
    return ToolCall(
        call=call, id=key, at=((now, call), (now, call), (now, key)), end_ns=now, tool="book_appointment", status="ok", arguments="x" * 500,
        output="y" * 200,
    )  # fmt: skip


@contextlib.contextmanager
def _null_relay(directory: Path) -> Iterator[str]:
    """A process that acknowledges every batch and keeps nothing."""
    address = f"ipc://{directory / 'null.sock'}"
    process = subprocess.Popen([sys.executable, "-m", "audit.rehearsal.null_relay", address])  # noqa: S603  # our own module
    try:
        yield address
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _store(directory: Path) -> Iterator[str]:
    """A throw-away trace store in a process of its own, for the rival to send to."""
    command = [sys.executable, "-m", "tracing.local.trace_store", "--port", "0", "--path", str(directory / "rival.sqlite3")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603  # our own module
    try:
        line = process.stdout.readline() if process.stdout else b""
        yield msgspec.json.decode(line)["url"]
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


async def _time_rival(url: str, n: int) -> Cost:
    from langsmith import Client  # noqa: PLC0415  # a rival in a benchmark; it sends synthetic runs to the store above

    client = Client(api_url=url, api_key="benchmark", omit_traced_runtime_info=True)
    text = "x" * 700

    def create(_: int) -> None:
        run, now = uuid.uuid4(), datetime.now(UTC)
        client.create_run(
            "tool", {"text": text}, "tool", id=run, trace_id=run, dotted_order=f"{now:%Y%m%dT%H%M%S%fZ}{run}", start_time=now,
            project_name="benchmark",
        )  # fmt: skip

    try:
        create(0)
        await asyncio.sleep(0.5)
        return await time_paced(create, n)
    finally:
        await asyncio.to_thread(client.close, timeout=5.0)
