"""Reading: what of a stored run has its closed shape, as a part of its call. Whatever does not fit is left out, and nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from audit import structure
from audit.moments import instant
from audit.population import metadata
from audit.source import Run
from phi_guard.policy.compiled import Policy

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
LOST: Final = "agent_lost"
"""The reason of an end that the relay told for an agent it no longer heard."""

_EVERY: Final = ("env",)
_END: Final = ("reason", "spans_offered", "spans_delivered", "spans_withheld", "spans_dropped", "interruptions", "reconnects")
_MEDIA: Final = tuple(
    f"{side}_{what}"
    for side in ("agent", "client")
    for what in (
        "media_windows",
        "quality_worst",
        *(f"{measure}_{at}" for measure in ("rtt_ms", "jitter_ms", "loss_pct") for at in ("p50", "p95", "max")),
    )
)
_TURN: Final = (
    "outcome", "audio_ms", "ttft_ms", "ttft_model_ms", "tool_ms", "loop_lag_ms", "input_tokens", "output_tokens", "cost_usd",
    "cost_unknown", "interrupted", "handoff",
)  # fmt: skip
_WANTED: Final[Mapping[str, tuple[str, ...]]] = {
    "voice_session": (*_EVERY, *_END, "cost_usd", "cost_unknown", "sampling_rate", "agent_version", "policy_digest", *_MEDIA),
    "session.start": _EVERY,
    "policy.guardrail": (*_EVERY, "consent", "policy_digest"),
    "user_turn": (*_EVERY, *_TURN),
    "agent_turn": (*_EVERY, *_TURN),
    "session.end": (*_EVERY, *_END),
}
_OF_TOOL: Final = (*_EVERY, "status", "withheld", "handoff")
STRANGE: Final = "?"
"""The span of a run whose name is not on the closed list."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One run as far as it has its closed shape.

    Args:
        id: of the run, a UUID.
        trace: of its call, a UUID.
        span: its closed name, or `STRANGE`.
        parent: run id it hangs under, or empty.
        project: name of its project, or empty.
        start: microseconds since 1970, UTC; None where it is not known. Likewise ``end``.
        error: ``<class>: <code>``, or empty.
        facts: by metadata key, what has the shape of that key.
        redactions: by policy field, how often it was redacted.
    """

    id: str
    trace: str
    span: str
    parent: str = ""
    project: str = ""
    start: int | None = None
    end: int | None = None
    error: str = ""
    facts: dict[str, bool | int | float | str] = {}
    redactions: dict[str, int] = {}


def read_run(run: Run, policy: Policy, project: str = "") -> Part | None:
    """The part that a run is, or None where it cannot be placed: its id or its trace's has not the shape of one.

    Args:
        run: as stored, whatever it holds.
        policy: whose tools and fields may be named; others are ``tool.unknown`` and ``unknown``.
        project: which a run belongs to that names none.
    """
    run_id, trace = run.get("id"), run.get("trace_id") or run.get("id")
    if not isinstance(run_id, str) or not structure.UUID(run_id) or not isinstance(trace, str) or not structure.UUID(trace):
        return None
    span, held = _span(run, policy), metadata(run)
    start, end = microseconds(instant(run.get("start_time"))), microseconds(instant(run.get("end_time")))
    if start is not None and end is not None and end < start:
        end = None
    parent = run.get("parent_run_id")
    facts: dict[str, bool | int | float | str] = {}
    for key in _OF_TOOL if span.startswith(structure.TOOL) else _WANTED.get(span, _EVERY):
        value = held.get(key)
        if value is not None and structure.METADATA[key](value) and isinstance(value, bool | int | float | str):
            facts[key] = value
    return Part(
        id=run_id,
        trace=trace,
        span=span,
        parent=parent if isinstance(parent, str) and structure.UUID(parent) else "",
        project=_project(run.get("session_name"), project),
        start=start,
        end=end,
        error=_error(run.get("error"), span),
        facts=facts,
        redactions=_redactions(held, policy) if span == "policy.guardrail" else {},
    )


def rank(part: Part) -> bytes:
    """What tells which of two versions of a run says more: the greater one. It orders all of them: when each came is no matter.

    One with an end says more than one without; what the agent told of its end, more than what was told for it when it was lost; a later end
    more than an earlier one; then more facts more than fewer.
    """
    own = part.end is not None and part.facts.get("reason") != LOST
    known = len(part.facts) + len(part.redactions) + bool(part.error) + bool(part.parent) + bool(part.project)
    return bytes((own,)) + (part.end or 0).to_bytes(8, "big") + min(known, 65_535).to_bytes(2, "big")


def microseconds(moment: datetime | None) -> int | None:
    """Whole microseconds since 1970, or None of None."""
    return None if moment is None else (moment - EPOCH) // _MICROSECOND


def moment(us: int | None) -> datetime | None:
    """The instant so many microseconds after 1970, UTC, or None of None."""
    return None if us is None else EPOCH + us * _MICROSECOND


def is_project(name: object) -> bool:
    """Whether a name could be a project's: as a label in a configuration is, with a word of the trade or a number in it."""
    return structure.model_label(name)


def _span(run: Run, policy: Policy) -> str:
    name = run.get("name")
    if isinstance(name, str):
        if name in structure.SPANS:
            return name
        if name.startswith(structure.TOOL):
            return name if name.removeprefix(structure.TOOL) in policy.tools else structure.UNKNOWN_TOOL
    return structure.UNKNOWN_TOOL if run.get("run_type") == "tool" else STRANGE


def _project(named: object, known: str) -> str:
    if isinstance(named, str) and (named == known or is_project(named)):
        return named
    return known


def _error(error: object, span: str) -> str:
    """The typed error; one that is not typed counts as an error all the same, under the names the gate would give it."""
    if error is None or error == "":
        return ""
    if isinstance(error, str) and structure.typed_error(error):
        return error
    return f"UnknownError: {'tool_raised' if span.startswith(structure.TOOL) else 'session_error'}"


def _redactions(held: Mapping[str, object], policy: Policy) -> dict[str, int]:
    counts: dict[str, int] = {}
    given = held.get("redactions")
    for name, n in given.items() if isinstance(given, Mapping) else ():
        if isinstance(n, int | float) and structure.COUNT(n) and n >= 1:
            field = name if isinstance(name, str) and name in policy.names else "unknown"
            counts[field] = min(counts.get(field, 0) + int(n), 10_000_000)
    return counts
