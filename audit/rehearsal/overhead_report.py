"""The report of an overhead run: its figures, and each of ours beside its budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from audit.evidence import Cost
from audit.rehearsal.footprint import Loading, Memory
from audit.rehearsal.overhead_lateness import ROUNDS_MIN, Beyond

SCHEMA: Final = "phi-audit.bench.overhead/1"
QUIET: Final = "quiet"
LOADED: Final = "relay at full load"
IDLE: Final = "idle"
BESIDE: Final = "nothing, relay at full load"
OURS: Final = "ours, relay at full load"
AGAIN: Final = "idle, again"

P50_US, P99_US, MAX_US = 5.0, 25.0, 1000.0
LATE_SHARE: Final = 0.05
MEMORY_MB: Final = 10.0
LOADING_MS: Final = 60.0
BUSY_CORES: Final = 0.5
"""The budgets, and how much of a core a relay at full load takes at least: docs/performance.md says where each comes from."""

_READING: Final = (
    (
        "An operation is one span, built and handed over: ours what the tracer does when a turn or a tool has ended (it hands over the"
        " facts, and a thread makes the record of them), LangSmith's create_run and update_run, OpenTelemetry's start_span and end. In turn"
        " a turn with eight facts and a tool call with 700 characters."
    ),
    "Each is paced by 1 ms on an event loop of its own, in a process of its own, in blocks by turns.",
    (
        "cpu max is the processor time of the calling thread: what lies between it and max was spent waiting, for another process or for"
        " Python's lock that a thread of the contender's own held. The row of doing nothing shows how much of that is the machine."
    ),
)
_NONE: Final = Cost(0.0, 0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class Operation:
    """What one operation cost a contender, microseconds; ``condition`` is what the host's relay did meanwhile."""

    contender: str
    condition: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Late:
    """How late the event loop's ticks came, microseconds."""

    condition: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the relay was while it was to be busy.

    Args:
        cores: processor time it took, in cores; None where that cannot be read.
        read: records of the load that it took in.
    """

    cores: float | None
    read: int


@dataclass(frozen=True, slots=True)
class Budget:
    """One figure beside what it may be; ``within`` is None where it was not measured or says nothing."""

    name: str
    measured: float | None
    budget: float
    unit: str
    within: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class OverheadReport:
    """A whole run."""

    made_at: str
    version: str
    machine: Mapping[str, str | int]
    n: int
    seconds: float
    operations: tuple[Operation, ...]
    lateness: tuple[Late, ...]
    beyond_idle: Mapping[str, Beyond | None]
    load: Load
    memory: Memory | None
    loading: Loading
    absent: Mapping[str, str]
    budgets: tuple[Budget, ...]
    notes: tuple[str, ...]

    @property
    def over(self) -> tuple[str, ...]:
        """Budgets that were exceeded, by name."""
        return tuple(each.name for each in self.budgets if each.within is False)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Budgets of which this run can say neither, by name."""
        return tuple(each.name for each in self.budgets if each.within is None)

    def as_json(self) -> dict[str, Any]:
        """The run under its schema."""
        return {"schema": SCHEMA, **asdict(self), "over": list(self.over), "unjudged": list(self.unjudged)}


def judge(
    cost: Mapping[tuple[str, str], Cost], beyond_idle: Mapping[str, Beyond | None], memory: Memory | None, loading: Loading, load: Load
) -> Iterator[Budget]:
    """Each figure of ours beside its budget.

    Args:
        cost: of an operation, by contender and condition.
        beyond_idle: the loop's lateness beside an idle one's, by condition.
        memory: what the agent grew; None where it was not measured.
        loading: what the import took.
        load: how busy the relay was.
    """
    for condition in (QUIET, LOADED):
        ours, none = cost.get(("ours", condition), _NONE), cost.get(("nothing", condition), _NONE)
        yield _budget(f"operation p50, {condition}", ours.p50, P50_US, "us")
        yield _budget(f"operation p99, {condition}", ours.p99, P99_US, "us", f"doing nothing: {none.p99}")
        waited = f"of the processor at most {ours.cpu_max} us; doing nothing: {none.max} us"
        yield _budget(f"operation max, {condition}", ours.max, MAX_US, "us", waited)
    yield _judge_lateness(beyond_idle, load)
    grown = None if memory is None else memory.peak
    yield _budget("memory", grown, MEMORY_MB, "MB", "" if memory else "psutil is not installed: not measured")
    where = f"{loading.least} to {loading.most}" + (
        "" if loading.beyond_livekit else "; LiveKit is not installed, so it is the whole import"
    )
    yield _budget("import of tracing", loading.median, LOADING_MS, "ms", where)


def _judge_lateness(beyond_idle: Mapping[str, Beyond | None], load: Load) -> Budget:
    """The loop's lateness beyond idle's: within where the most it may be is, over where the least is; else, or without load, not judged."""
    name, budget, ours = "loop lateness p99, beyond idle", 100 * LATE_SHARE, beyond_idle.get(OURS)
    if ours is None:
        return Budget(name, None, budget, "%", None, "the idle loop was never late")
    within: bool | None = None
    if ours.low is None or ours.high is None:
        said = f"of {ours.rounds} rounds noise cannot be told: --seconds {ROUNDS_MIN} at least"
    else:
        within = True if ours.high <= budget else False if ours.low > budget else None
        said = f"between {ours.low:+} and {ours.high:+} %, {ours.rounds} rounds"
    if load.cores is not None and load.cores < BUSY_CORES:
        within = None
        said += f"; the relay got {load.cores} of a core, so it was not at full load"
    for condition, words in ((BESIDE, "recording nothing beside it"), (AGAIN, "idle against idle")):
        if (other := beyond_idle.get(condition)) is not None:
            said += f"; {words}: {other.share:+}" + (f" ({other.low:+} to {other.high:+})" if other.low is not None else "") + " %"
    return Budget(name, ours.share, budget, "%", within, said)


def _budget(name: str, measured: float | None, budget: float, unit: str, note: str = "") -> Budget:
    value = None if measured is None else round(measured, 2)
    return Budget(name, value, budget, unit, None if value is None else value <= budget, note)


def notes_on(beyond_idle: Mapping[str, Beyond | None]) -> tuple[str, ...]:
    """How to read the figures, and a warning where the machine is too noisy to judge by."""
    again = beyond_idle.get(AGAIN)
    if again is None or again.low is None or again.high is None or again.high - again.low <= 200 * LATE_SHARE:
        return _READING
    noisy = f"Two idle loops differ by {again.low:+} to {again.high:+} % at p99: let the machine do nothing else, or give more --seconds."
    return (*_READING, noisy)
