"""What a rehearsal measured, as its evidence tells it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from audit.evidence import Canaries, Completeness, Cost, Fault, Load
from audit.rehearsal.memory import MemorySeries
from audit.rehearsal.rooms import RoomMedia
from tracing.recorder import Tally

SCHEMA: Final = "phi-audit.rehearsal/1"


@dataclass(frozen=True, slots=True)
class Spans:
    """The relay's ledger at the end: ``offered = delivered + withheld + pending + sampled + sum(dropped)``."""

    offered: int
    delivered: int
    withheld: int
    pending: int
    dropped: dict[str, int]
    adds_up: bool
    sampled: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the relay's account says was delivered, held against what was read back.

    Args:
        expected: runs that were delivered.
        found: of them, those that were read back.
        missing: of them, those that were not.
        why: why this is not known, or not whole; empty where it is.
    """

    expected: int
    found: int
    missing: int
    why: str


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in milliseconds, over ``n``."""

    p50: float
    p99: float
    max: float
    n: int


@dataclass(frozen=True, slots=True)
class AlertsOutcome:
    """What the rehearsal of the alerts came to.

    Args:
        passed: every rule fired and resolved, and the quiet day was silent.
        fired: rules that fired and resolved.
        rules: how many there are.
        evidence: name of the file with its own evidence; empty where none was written.
    """

    passed: bool
    fired: int
    rules: int
    evidence: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a rehearsal shows. Durations in microseconds unless a name says otherwise.

    Args:
        untraced_s: how long the control lasted: the first calls' first minute, without a tracer. 0 where none was played.
        ttft_error_ms: the largest difference of a recorded TTFT-A to the stand-in's clock; None where none can be paired.
        ttft_errors: how those differences are spread; None likewise.
        ttft_unpaired: answers of which only the trace or only the stand-in has a TTFT-A: of these no difference is known.
        load: how much went on at once, as measured; None where no call was traced.
        completeness: the traces as they were read back; None where they could not be read.
        arrival: what was delivered, against what was read back; likewise.
        memory: of ``agent`` and ``relay``, as far as the machine tells.
        scenes: how often each kind of conversation was planned; ``languages`` likewise.
        media: of each pair of rooms that stood beside the calls.
        alerts: of the rehearsal of alerts; None where none was held.
        interrupted: somebody ended it before all calls had.
        faults: that were made in the telemetry while calls went on.
    """

    project: str
    endpoint: str
    env: str
    policy_digest: str
    started_at: str
    took_s: float
    calls: int
    calls_crashed: int
    trace_ids: list[str]
    tracer_faults: int
    unanswered_turns: int
    spans: Spans
    agent_side: Tally
    overhead_us: Cost
    idle_us: Cost
    langsmith_create_run_us: Cost
    in_call_record_us: Cost
    in_call_handler_us: Cost
    loop_lateness_us: dict[str, float]
    ttft_ms: list[float]
    ttft_error_ms: float | None
    canaries: Canaries | None
    relay_state: str
    relay_fault: str
    problems: list[str] = field(default_factory=list)
    untraced_s: float = 0.0
    ttft_errors: Spread | None = None
    ttft_unpaired: int = 0
    load: Load | None = None
    completeness: Completeness | None = None
    arrival: Arrival | None = None
    memory: Mapping[str, MemorySeries] = field(default_factory=dict)
    scenes: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    media: list[RoomMedia] = field(default_factory=list)
    alerts: AlertsOutcome | None = None
    interrupted: bool = False
    faults: list[Fault] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The evidence as ``phi-audit scan --evidence`` reads it."""
        return {"schema": SCHEMA, "python": sys.version.split()[0], **asdict(self)}


def spread(values: list[float]) -> Spread | None:
    """How values in milliseconds are spread; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.99)]
    return Spread(round(at[0], 3), round(at[1], 3), round(ordered[-1], 3), len(ordered))
