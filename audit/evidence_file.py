"""The border where a rehearsal's JSON enters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.evidence import (
    Alerts,
    Canaries,
    Completeness,
    Cost,
    EvidenceError,
    Fault,
    Lateness,
    Load,
    Memory,
    Monitoring,
    Rehearsal,
    Share,
    Spans,
)  # fmt: skip

_Count = Annotated[int, Field(ge=0)]
_Measure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Micros = _Measure


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)  # a later rehearsal may report more


class _Cost(_Part):
    p50: _Micros
    p99: _Micros
    max: _Micros
    n: _Count
    cpu_max: _Micros | None = None
    edges: list[_Micros] = []
    counts: list[_Count] = []

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.counts or self.edges:
            if len(self.edges) != len(self.counts) + 1 or self.edges != sorted(set(self.edges)):
                msg = "edges must rise and be one more than counts"
                raise ValueError(msg)
            if sum(self.counts) != self.n:
                msg = "counts must add up to n"
                raise ValueError(msg)
        return self


class _Spans(_Part):
    offered: _Count
    delivered: _Count
    pending: _Count = 0
    dropped: dict[str, _Count] = {}
    adds_up: bool | None = None


class _Lateness(_Part):
    p99: _Micros
    untraced_p99: _Micros | None = None
    untraced_max: _Micros | None = None


class _Fault(_Part):
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    at_s: _Measure
    lasted_s: _Measure


class _Share(_Part):
    planted: _Count
    arrived: _Count

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.arrived > self.planted:
            msg = "more arrived than were planted"
            raise ValueError(msg)
        return self


_INSTANT: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_Kind = Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
_Rule = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
_Env = Annotated[str, Field(pattern=r"^[a-z]{0,16}$")]
_Digest = Annotated[str, Field(pattern=r"^([0-9a-f]{16,64})?$")]
_Instant = Annotated[str, Field(pattern=_INSTANT)]
_Name = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Origin = Annotated[str, Field(pattern=r"^[a-z_]{1,32}(\+[a-z_]{1,32}){0,9}$")]


class _Canaries(_Share):
    by_class: dict[_Kind, _Share] = {}
    by_origin: dict[_Origin, _Share] = {}


class _Load(_Part):
    at_once: _Count
    minutes: _Measure


class _Completeness(_Part):
    expected: _Count
    arrived: _Count
    complete: _Count
    lacks: dict[_Kind, _Count] = {}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.complete <= self.arrived <= self.expected:
            msg = "no more can be complete than arrived, and no more arrive than were expected"
            raise ValueError(msg)
        return self


class _Memory(_Part):
    first: _Measure
    last: _Measure
    peak: _Measure
    n: _Count


class _File(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.rehearsal/1"] = Field(alias="schema")
    calls: _Count
    overhead_us: _Cost | None = None
    in_call_record_us: _Cost | None = None
    in_call_handler_us: _Cost | None = None
    spans: _Spans | None = None
    loop_lateness_us: _Lateness | None = None
    calls_crashed: _Count | None = None
    tracer_faults: _Count | None = None
    unanswered_turns: _Count | None = None
    faults: list[_Fault] = []
    canaries: _Canaries | None = None
    load: _Load | None = None
    completeness: _Completeness | None = None
    ttft_error_ms: _Measure | None = None
    ttft_unpaired: _Count | None = None
    memory: dict[_Kind, _Memory] = {}
    scenes: dict[_Kind, _Count] = {}
    languages: dict[_Kind, _Count] = {}
    project: _Name = ""
    env: _Env = ""
    endpoint: _Name = ""
    policy_digest: _Digest = ""
    started_at: _Instant | Literal[""] = ""
    interrupted: bool | None = None
    problems: list[str] = []


class _Alert(_Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    fired: bool
    resolved: bool = False


class _Quiet(_Part):
    model_config = ConfigDict(extra="ignore", strict=True)

    messages: list[str]


class _Alerts(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.alerts-rehearsal/1"] = Field(alias="schema")
    alerts: list[_Alert]
    started_at: _Instant | Literal[""] = ""
    policies: dict[_Env, _Digest] = {}
    rules: dict[_Env, _Digest] = {}
    quiet_day: _Quiet | None = None


class _Monitoring(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.monitoring/1"] = Field(alias="schema")
    started_at: _Instant
    ended_at: _Instant
    hours: _Measure
    rounds: _Count
    longest_gap_s: _Measure
    calls: _Count
    no_go: _Count
    unfinished: _Count
    alerts: dict[_Rule, _Count] = {}
    switch_off_s: _Measure = 0.0
    closed: bool = False
    project: _Name = ""
    env: _Env = ""
    policy_digest: _Digest = ""
    outcome: Literal["CLEAN", "NO_GO", "UNPROVEN", ""] = ""
    judged: list[_Rule] = []
    rules_digest: _Digest = ""
    gates_digest: _Digest = ""
    journal_n: Annotated[int, Field(ge=-1)] = -1
    journal_sha256: _Digest = ""


class _Any(_Part):
    model_config = ConfigDict(extra="ignore", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.rehearsal/1", "phi-audit.alerts-rehearsal/1", "phi-audit.monitoring/1"] = Field(alias="schema")


_Model = TypeVar("_Model", bound=BaseModel)
LARGEST: Final = 64 * 2**20
"""Bytes: no evidence is larger."""


def read(path: Path) -> Rehearsal:
    """The rehearsal in a file. Raises `EvidenceError` if it is none."""
    file = _validate(_File, path)
    spans, late, seen = file.spans, file.loop_lateness_us, file.canaries
    whole = file.completeness
    return Rehearsal(
        calls=file.calls,
        overhead_us=_cost(file.overhead_us),
        spans=Spans(spans.offered, spans.delivered, spans.pending + sum(spans.dropped.values()), spans.adds_up) if spans else None,
        loop_lateness_us=Lateness(late.p99, late.untraced_p99, late.untraced_max) if late and late.untraced_p99 is not None else None,
        calls_crashed=file.calls_crashed,
        canaries=Canaries(seen.planted, seen.arrived, _shares(seen.by_class), _shares(seen.by_origin)) if seen else None,
        load=Load(file.load.at_once, file.load.minutes) if file.load else None,
        completeness=Completeness(whole.expected, whole.arrived, whole.complete, dict(sorted(whole.lacks.items()))) if whole else None,
        ttft_error_ms=file.ttft_error_ms,
        ttft_unpaired=file.ttft_unpaired,
        memory={name: Memory(row.first, row.last, row.peak, row.n) for name, row in sorted(file.memory.items())},
        scenes=dict(sorted(file.scenes.items())),
        languages=dict(sorted(file.languages.items())),
        project=file.project,
        env=file.env,
        endpoint=_host(file.endpoint),
        policy_digest=file.policy_digest,
        started_at=file.started_at,
        interrupted=file.interrupted,
        problems=len(file.problems),
        in_call_record_us=_cost(file.in_call_record_us),
        in_call_handler_us=_cost(file.in_call_handler_us),
        tracer_faults=file.tracer_faults,
        unanswered_turns=file.unanswered_turns,
        faults=tuple(Fault(made.kind, made.at_s, made.lasted_s) for made in file.faults),
    )


def _cost(cost: _Cost | None) -> Cost | None:
    return Cost(cost.p50, cost.p99, cost.max, cost.n, cost.cpu_max, tuple(cost.edges), tuple(cost.counts)) if cost else None


def _host(endpoint: str) -> str:
    """Host and port of an address; empty where it is none. Names and passwords in it are left out."""
    try:
        return urlsplit(endpoint).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def _shares(rows: Mapping[str, _Share]) -> dict[str, Share]:
    return {name: Share(row.planted, row.arrived) for name, row in sorted(rows.items())}


def read_alerts(path: Path) -> Alerts:
    """The alerts in a file. Raises `EvidenceError` if it holds none."""
    file = _validate(_Alerts, path)
    alerts = file.alerts
    fired = {a.name for a in alerts if a.fired}
    return Alerts(
        tuple(sorted(fired)),
        tuple(sorted(fired & {a.name for a in alerts if a.resolved})),
        tuple(sorted({a.name for a in alerts} - fired)),
        file.started_at,
        dict(sorted(file.policies.items())),
        dict(sorted(file.rules.items())),
        len(file.quiet_day.messages) if file.quiet_day else None,
    )


def read_monitoring(path: Path) -> Monitoring:
    """The monitoring in a file. Raises `EvidenceError` if it holds none."""
    file = _validate(_Monitoring, path)
    facts = file.model_dump(exclude={"schema_name"})
    return Monitoring(**facts | {"alerts": dict(sorted(file.alerts.items())), "judged": tuple(sorted(set(file.judged)))})


def read_any(path: Path) -> Rehearsal | Alerts | Monitoring:
    """Whichever of the three a file holds. Raises `EvidenceError` if none."""
    kind = _validate(_Any, path).schema_name
    if kind == "phi-audit.rehearsal/1":
        return read(path)
    return read_alerts(path) if kind == "phi-audit.alerts-rehearsal/1" else read_monitoring(path)


def _validate(model: type[_Model], path: Path) -> _Model:
    try:
        if path.stat().st_size > LARGEST:
            msg = f"{path}: is larger than {LARGEST >> 20} MiB, so it is no evidence"
            raise EvidenceError(msg)
        return model.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise EvidenceError(f"{path}: cannot be read ({fault.strerror}); name a file of phi-audit rehearse or watch") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False, include_context=False)
        lines = (f"{path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in errors)
        raise EvidenceError("\n".join(lines)) from None
