"""The border where a rehearsal's JSON enters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.evidence import Canaries, Cost, EvidenceError, Lateness, Rehearsal, Spans

_Count = Annotated[int, Field(ge=0)]
_Micros = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)  # a later rehearsal may report more


class _Cost(_Part):
    p50: _Micros
    p99: _Micros
    max: _Micros
    n: _Count
    cpu_max: _Micros | None = None


class _Spans(_Part):
    offered: _Count
    delivered: _Count
    pending: _Count = 0
    dropped: dict[str, _Count] = {}


class _Lateness(_Part):
    p99: _Micros
    untraced_p99: _Micros | None = None


class _Canaries(_Part):
    planted: _Count
    arrived: _Count


class _File(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.rehearsal/1"] = Field(alias="schema")
    calls: _Count
    overhead_us: _Cost | None = None
    spans: _Spans | None = None
    loop_lateness_us: _Lateness | None = None
    calls_crashed: _Count | None = None
    canaries: _Canaries | None = None


def read(path: Path) -> Rehearsal:
    """The rehearsal in a file. Raises `EvidenceError` if it is none."""
    try:
        file = _File.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise EvidenceError(f"{path}: cannot be read ({fault.strerror})") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False)
        lines = (f"{path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in errors)
        raise EvidenceError("\n".join(lines)) from None
    cost, spans, late, seen = file.overhead_us, file.spans, file.loop_lateness_us, file.canaries
    return Rehearsal(
        calls=file.calls,
        overhead_us=Cost(cost.p50, cost.p99, cost.max, cost.n, cost.cpu_max) if cost else None,
        spans=Spans(spans.offered, spans.delivered, spans.pending + sum(spans.dropped.values())) if spans else None,
        loop_lateness_us=Lateness(late.p99, late.untraced_p99) if late and late.untraced_p99 is not None else None,
        calls_crashed=file.calls_crashed,
        canaries=Canaries(seen.planted, seen.arrived) if seen else None,
    )
