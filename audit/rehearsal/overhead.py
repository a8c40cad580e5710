"""What telemetry costs the agent: ours beside doing nothing, LangSmith's client and OpenTelemetry, in one run on one machine.

Each contender lives in a process of its own, so that no one's threads or garbage are counted to another. They are timed in short blocks,
one after the other, round and round: what the machine does meanwhile hits all alike.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.rehearsal.footprint import measure_loading, measure_memory
from audit.rehearsal.overhead_lateness import Beyond, compare
from audit.rehearsal.overhead_report import AGAIN, BESIDE, IDLE, LOADED, OURS, QUIET, Late, Load, Operation, OverheadReport, judge, notes_on
from audit.rehearsal.timing import Process, ProcessError, null_relay, rival_store, running, summarise
from phi_guard.switch import FileSwitch
from tracing.launch import RelayHandle, launch
from tracing.settings import read_settings

SCHEMA: Final = "phi-audit.bench.overhead/1"
BLOCK: Final = 50
"""Operations of one contender before the next has its turn."""
WATCH_S: Final = 1.0
"""Seconds the loop is watched before the next has its turn."""
SETTLE_S: Final = 0.3
"""After a pause of the load, until the relay has read what it still had."""
LOADINGS: Final = 5
RELAY_READY_S: Final = 60.0

Say = Callable[[str], None]
"""Told what is going on, for a person."""


def measure(n: int, seconds: float, say: Say, *, version: str = "unknown") -> OverheadReport:
    """Measure everything.

    Args:
        n: operations of each contender in each condition, rounded up to whole blocks of `BLOCK`.
        seconds: how long the loop is watched in each condition, rounded up to whole `WATCH_S`.
        say: told what is going on, for a person.
        version: of the product, for the report.

    Raises:
        ProcessError: something that is needed did not start; a rival that is not installed is reported, not raised.
    """
    blocks, watches = max(1, -(-n // BLOCK)), max(1, round(seconds / WATCH_S))
    absent: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="phi-guard-") as directory, ExitStack() as stack:
        where = Path(directory)
        say("import time in fresh interpreters")
        loading = measure_loading(LOADINGS)
        say("memory over 1000 calls")
        memory = measure_memory(_made(where / "memory"))
        say("the contenders start, and the relay loads its models")
        store = stack.enter_context(rival_store(where))
        sink = str(stack.enter_context(running("tracing.local.otlp_sink")).hear()["url"])
        relay = stack.enter_context(_relay(_made(where / "relay"), store))
        quiet_address = stack.enter_context(null_relay(_made(where / "null")))
        destinations = {"nothing": "", "ours": quiet_address, "langsmith": store, "opentelemetry": sink}
        contenders = {}
        for name, target in destinations.items():
            if (process := _contender(stack, name, target, absent)) is not None:
                contenders[name] = process
        loaded = dict(contenders)
        loaded["ours"] = stack.enter_context(_started("ours", relay.settings.address if relay.settings else ""))
        load = stack.enter_context(running("audit.rehearsal.relay_load", relay.settings.address if relay.settings else ""))
        say(f"{blocks} rounds of {BLOCK} operations each, the relay idle")
        operations = _rounds(contenders, QUIET, blocks)
        say(f"{blocks} rounds, the relay at full load")
        busy = _Busy(load, relay)
        with busy.working():
            operations += _rounds(loaded, LOADED, blocks)
        say(f"the event loop, {watches} rounds")
        rounds = _watch(loaded, busy, watches)
        taken = busy.summary()
    cost = {(each.contender, each.condition): each.cost for each in operations}
    beyond = _beyond_idle(rounds)
    return OverheadReport(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version,
        machine=_machine(),
        n=blocks * BLOCK,
        seconds=watches * WATCH_S,
        operations=tuple(operations),
        lateness=tuple(Late(name, summarise([tick for ticks in rounds[name] for tick in ticks])) for name in rounds),
        beyond_idle=beyond,
        load=taken,
        memory=memory,
        loading=loading,
        absent=absent,
        budgets=tuple(judge(cost, beyond, memory, loading, taken)),
        notes=notes_on(beyond),
    )


def _machine() -> dict[str, str | int]:
    python = sys.version.split()[0]
    return {"system": platform.system(), "machine": platform.machine(), "cores": os.cpu_count() or 0, "python": python}


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


@contextmanager
def _relay(runtime: Path, store: str) -> Iterator[RelayHandle]:
    """The real relay, under the shipped policy, sending to the local store."""
    settings = replace(read_settings(runtime=runtime, endpoint=store), switch=runtime / "switch.json")
    FileSwitch(settings.switch).turn_on("benchmark")
    handle = launch(settings, {**os.environ, "LANGSMITH_API_KEY": "benchmark", "PHI_GUARD_SWITCH": str(settings.switch)})
    try:
        if not handle.wait_ready(RELAY_READY_S):
            raise ProcessError("the relay does not serve; run `phi-audit demo`, which says why")
        yield handle
    finally:
        if handle.process is not None:  # what is left of the load need not be delivered
            handle.process.kill()
            handle.process.wait()


@contextmanager
def _started(name: str, where: str) -> Iterator[Process]:
    with running("audit.rehearsal.contender", name, where) as process:
        process.hear()
        yield process


def _contender(stack: ExitStack, name: str, where: str, absent: dict[str, str]) -> Process | None:
    """A contender's process; None, and why, where its library is not installed."""
    process = stack.enter_context(running("audit.rehearsal.contender", name, where))
    told = process.hear()
    if "absent" in told:
        absent[name] = f"{told['absent']} is not installed"
        return None
    return process


def _rounds(contenders: Mapping[str, Process], condition: str, blocks: int) -> list[Operation]:
    took: dict[str, list[int]] = {name: [] for name in contenders}
    worked: dict[str, list[int]] = {name: [] for name in contenders}
    for _ in range(blocks):
        for name, process in contenders.items():
            told = process.ask(f'{{"time": {BLOCK}}}')
            took[name] += told["took"]
            worked[name] += told["worked"]
    return [Operation(name, condition, replace(summarise(took[name]), cpu_max=round(max(worked[name]) / 1000, 2))) for name in contenders]


def _watch(contenders: Mapping[str, Process], busy: _Busy, rounds: int) -> dict[str, list[list[int]]]:
    """The loop's lateness by turns: idle, with the relay at full load, with each rival; and idle once more, to know the noise.

    With the relay at full load twice: an agent that records nothing shows what a busy process beside it costs, one that records all of it.
    """
    rivals = [name for name in ("langsmith", "opentelemetry") if name in contenders]
    late: dict[str, list[list[int]]] = {name: [] for name in (IDLE, BESIDE, OURS, *rivals, AGAIN)}

    def watch(contender: str, condition: str) -> None:
        late[condition].append(contenders[contender].ask(f'{{"late": {WATCH_S}}}')["late"])

    for _ in range(rounds):
        watch("nothing", IDLE)
        with busy.working():
            watch("nothing", BESIDE)
            watch("ours", OURS)
        for name in rivals:
            watch(name, name)
        watch("nothing", AGAIN)
    return late


def _beyond_idle(late: Mapping[str, list[list[int]]]) -> dict[str, Beyond | None]:
    """Each condition beside both idle loops of its round; the second of these beside the first."""
    idle = [[*first, *second] for first, second in zip(late[IDLE], late[AGAIN], strict=True)]
    return {name: compare(late[IDLE] if name == AGAIN else idle, rounds) for name, rounds in late.items() if name != IDLE}


class _Busy:
    """The relay's load, which can be paused, and how much of the processor it made the relay take."""

    def __init__(self, load: Process, relay: RelayHandle) -> None:
        self._load = load
        self._pid = relay.process.pid if relay.process is not None else 0
        self._cpu_s: float | None = 0.0
        self._wall_s = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within, the relay has always something to read."""
        self._load.ask("go")
        time.sleep(SETTLE_S)
        cpu, began = self._used(), time.monotonic()
        try:
            yield
        finally:
            used = self._used()
            self._cpu_s = None if used is None or cpu is None or self._cpu_s is None else self._cpu_s + used - cpu
            self._wall_s += time.monotonic() - began
            end = time.monotonic() + 10.0
            while self._load.ask("pause")["pending"] and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(SETTLE_S)

    def _used(self) -> float | None:
        try:
            import psutil  # type: ignore[import-untyped]  # noqa: PLC0415  # comes with LiveKit
        except ImportError:
            return None
        times = psutil.Process(self._pid).cpu_times()
        return float(times.user + times.system)

    def summary(self) -> Load:
        """How busy it was, over all the time it was to be."""
        read = int(self._load.ask("told")["acked"])
        return Load(None if self._cpu_s is None or not self._wall_s else round(self._cpu_s / self._wall_s, 2), read)
