"""The rows of an export: the columns of each kind, and how a row passes the gate. None holds what a tool was given or gave back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from audit.calls.answers import Detail
from audit.calls.records import Call, Media, ToolUse, Turn
from audit.moments import wire
from phi_guard.gate import Gate
from phi_guard.model import Payload, Withheld

Portion: TypeAlias = Literal["session", "turn", "tool"]
PORTIONS: Final[tuple[Portion, ...]] = ("session", "turn", "tool")
"""What an export may have a row for."""
NAMES: Final[Mapping[Portion, str]] = {"session": "call", "turn": "turn", "tool": "tool"}
"""What the gate calls a row of it."""
Sort: TypeAlias = Literal["text", "instant", "count", "number", "flag"]


class Column(NamedTuple):
    """A column: its name, and what its values are."""

    name: str
    sort: Sort


def _columns(**sorts: str) -> tuple[Column, ...]:
    return tuple(Column(name, sort) for sort, names in sorts.items() for name in names.split())  # type: ignore[arg-type]  # of Sort


_MEDIA: Final = " ".join(
    f"{side}_{what}_{at}" for side in ("agent", "client") for what in ("rtt_ms", "jitter_ms", "loss_pct") for at in ("p50", "p95", "max")
)
COLUMNS: Final[Mapping[Portion, tuple[Column, ...]]] = {
    "session": (
        *_columns(text="trace_id project env", instant="start end", number="duration_ms", flag="failed"),
        *_columns(text="reason error consent agent_version policy_digest"),
        *_columns(count="user_turns agent_turns tools tool_errors errors", number="ttft_p95_ms ttft_max_ms cost_usd", flag="cost_unknown"),
        *_columns(count="offered delivered withheld_spans dropped interruptions reconnects redactions"),
        *_columns(count="agent_media_windows client_media_windows", text="agent_quality_worst client_quality_worst", number=_MEDIA),
    ),
    "turn": (
        *_columns(text="trace_id run_id project env speaker", instant="start end", number="duration_ms"),
        *_columns(text="outcome error"),
        *_columns(number="audio_ms ttft_ms ttft_model_ms tool_ms lag_ms", count="input_tokens output_tokens"),
        *_columns(number="cost_usd", flag="handoff"),
    ),
    "tool": (
        *_columns(text="trace_id run_id turn_id project env tool", instant="start end", number="duration_ms"),
        *_columns(text="status", flag="failed"),
        *_columns(text="error withheld"),
    ),
}
"""The columns of each portion, in order."""


def facts_of(detail: Detail, portion: Portion) -> Iterator[dict[str, object]]:
    """The rows of a call, raw: what is not known is None."""
    call = detail.call
    place = {"project": call.project, "env": call.env}
    if portion == "session":
        yield _call(call) | place
    elif portion == "turn":
        for turn in detail.turns:
            yield _turn(turn) | place
    else:
        for use in detail.tools:
            yield _tool(use) | place


class Clearing:
    """Clears rows, and counts what was not.

    Args:
        gate: with a policy; a row needs no detector.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.rows: Counter[str] = Counter()
        """Cleared, by portion."""
        self.withheld: Counter[str] = Counter()
        """Rows that were withheld, by reason."""
        self.left_out: Counter[str] = Counter()
        """Values that were left out since they had not the shape of their column, by column."""

    def rows_of(self, detail: Detail, portion: Portion) -> Iterator[bytes]:
        """The rows of a call that may leave, each as canonical JSON."""
        for facts in facts_of(detail, portion):
            outcome = self._gate.clear(Payload("row", NAMES[portion], facts))
            if isinstance(outcome, Withheld):
                self.withheld[outcome.reason] += 1
                continue
            self.left_out.update(note.path for note in outcome.notes)
            self.rows[portion] += 1
            yield outcome.body


def _call(call: Call) -> dict[str, object]:
    duration = call.duration_s
    return {
        "trace_id": call.trace_id,
        "start": call.start and wire(call.start),
        "end": call.end and wire(call.end),
        "duration_ms": None if duration is None else round(duration * 1000, 3),
        "failed": call.failed,
        "withheld_spans": call.withheld,
        "redactions": sum(call.redactions.values()),
        **{name: getattr(call, name) for name in _SAME_OF_CALL},
        **_media("agent", call.agent_media),
        **_media("client", call.client_media),
    }


_SAME_OF_CALL: Final = (
    "reason", "error", "consent", "agent_version", "policy_digest", "user_turns", "agent_turns", "tools", "tool_errors", "errors",
    "ttft_p95_ms", "ttft_max_ms", "cost_usd", "cost_unknown", "offered", "delivered", "dropped", "interruptions", "reconnects",
)  # fmt: skip
_SAME_OF_TURN: Final = (
    "trace_id", "run_id", "speaker", "outcome", "error", "audio_ms", "ttft_ms", "ttft_model_ms", "tool_ms", "lag_ms", "input_tokens",
    "output_tokens", "cost_usd", "handoff",
)  # fmt: skip
_SAME_OF_TOOL: Final = ("trace_id", "run_id", "turn_id", "tool", "status", "failed", "error", "withheld")


def _turn(turn: Turn) -> dict[str, object]:
    duration = None if turn.start is None or turn.end is None else round((turn.end - turn.start).total_seconds() * 1000, 3)
    times = {"start": turn.start and wire(turn.start), "end": turn.end and wire(turn.end), "duration_ms": duration}
    return {**times, **{name: getattr(turn, name) for name in _SAME_OF_TURN}}


def _tool(use: ToolUse) -> dict[str, object]:
    duration = None if use.duration_ms is None else round(use.duration_ms, 3)
    times = {"start": use.start and wire(use.start), "end": use.end and wire(use.end), "duration_ms": duration}
    return {**times, **{name: getattr(use, name) for name in _SAME_OF_TOOL}}


def _media(side: str, media: Media) -> dict[str, object]:
    found: dict[str, object] = {f"{side}_media_windows": media.windows, f"{side}_quality_worst": media.worst}
    for what in ("rtt_ms", "jitter_ms", "loss_pct"):
        spread = getattr(media, what)
        found |= {f"{side}_{what}_{at}": getattr(spread, at) for at in ("p50", "p95", "max")}
    return found
