"""Evidence that a scan cannot have of itself: the file in which a rehearsal reports what it measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phi_guard.errors import PhiGuardError


class EvidenceError(PhiGuardError):
    """An evidence file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an operation cost, in microseconds, over ``n`` of them; ``cpu_max`` is the most that one took of the processor itself."""

    p50: float
    p99: float
    max: float
    n: int
    cpu_max: float | None = None


@dataclass(frozen=True, slots=True)
class Spans:
    """What became of the spans; ``lost`` counts those dropped for any reason or still pending when it ended."""

    offered: int
    delivered: int
    lost: int


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the event loop's ticks came, p99 in microseconds: in calls with the tracer, and in the same calls without it."""

    p99: float
    untraced_p99: float


@dataclass(frozen=True, slots=True)
class Canaries:
    """Canaries planted in the calls, and how many of them arrived in clear."""

    planted: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal measured; None for what it did not.

    Args:
        calls: how many calls were played.
        overhead_us: cost of recording an operation.
        spans: what became of the spans.
        loop_lateness_us: the event loop's lateness.
        calls_crashed: calls that ended because of the telemetry.
        canaries: canaries sent and arrived.
    """

    calls: int
    overhead_us: Cost | None = None
    spans: Spans | None = None
    loop_lateness_us: Lateness | None = None
    calls_crashed: int | None = None
    canaries: Canaries | None = None


def load_rehearsal(path: Path) -> Rehearsal:
    """The rehearsal in a file of schema ``phi-audit.rehearsal/1``.

    Raises:
        EvidenceError: it cannot be read or is no such file.
    """
    from audit.evidence_file import read  # noqa: PLC0415  # pydantic loads only with a file

    return read(path)
