"""Flat facts that may leave beside traces: an alert, a row of an export. Every key has a closed shape; there is no free text in them.

So no detector has to look at them: what does not fit its shape is not sent, and a key that is not here is not either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from phi_guard import envelope
from phi_guard.model import Note
from phi_guard.policy.compiled import Flag, Number, OneOf, Pattern, Policy, Shape

ALERTS: Final = frozenset(
    {"error_rate", "ttft_p95", "tool_failure", "leak", "switch_off", "span_drop", "no_traces", "budget", "plan_quota", "stale", "test"}
)
"""Names an alert may have."""
ROWS: Final = frozenset({"call", "turn", "tool"})
"""What a row of an export may be of."""
TRACES_MAX: Final = 5
"""Traces that an alert names."""


@dataclass(frozen=True, slots=True)
class _Project:
    """A project's name of at most eight digits: a telephone number with its area has more, and many people read an alert."""

    listed: bool = False

    def fits(self, value: object) -> bool:
        return envelope.RUN["session_name"].fits(value) and sum(map(str.isdigit, str(value))) <= 8


_COUNT: Final = Number(0, 1_000_000_000)
_MS: Final = Number(0, 864_000_000)
_ENV: Final = envelope.METADATA["env"]
_PROJECT: Final = _Project()
_ERROR: Final = OneOf(frozenset(f"{kind}: {code}" for kind in envelope.ERROR_TYPES for code in envelope.ERROR_MESSAGES))
_HEX64: Final = Pattern("[0-9a-f]{64}")

ALERT: Final[Mapping[str, Shape]] = {
    "alert": OneOf(ALERTS),
    "state": OneOf(frozenset({"firing", "still_firing", "resolved"})),
    "severity": OneOf(frozenset({"info", "warning", "critical"})),
    "env": _ENV,
    "project": _PROJECT,
    **dict.fromkeys(("value", "worst", "threshold"), Number(0, 1_000_000_000)),
    "unit": OneOf(frozenset({"per_cent", "ms", "usd", "count"})),
    "n": _COUNT,
    "bad": _COUNT,
    "window_s": Number(0, 100_000_000),
    "since": envelope.INSTANT,
    "at": envelope.INSTANT,
    "key": Pattern("[0-9a-f]{16,64}"),
    "report": _HEX64,
    **dict.fromkeys(("late", "flapping", "rehearsal"), Flag()),
}
"""An alert's facts. Two more are judged apart: ``tool`` (of the policy's own) and ``trace_ids`` (at most `TRACES_MAX` ids).

``n`` is what the value rests on (calls, turns, uses), ``bad`` how many of them count against it; ``worst`` is the worst value of the
episode; ``key`` is the same from firing to resolved; ``late`` says that traces which came late changed a window already judged,
``flapping`` that the alert changed so often that it is held until it is calm.
"""

_COUNTS: Final = """
    user_turns agent_turns tools tool_errors errors offered delivered withheld_spans dropped interruptions reconnects redactions
    agent_media_windows client_media_windows input_tokens output_tokens
""".split()  # noqa: SIM905  # easier to read
_TIMES: Final = ("duration_ms", "ttft_p95_ms", "ttft_max_ms", "audio_ms", "ttft_ms", "ttft_model_ms", "tool_ms", "lag_ms")

ROW: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(("trace_id", "run_id", "turn_id"), envelope.UUID),
    **dict.fromkeys(("start", "end"), envelope.INSTANT),
    **dict.fromkeys(_COUNTS, _COUNT),
    **dict.fromkeys(_TIMES, _MS),
    **dict.fromkeys(("cost_unknown", "handoff", "failed"), Flag()),
    "cost_usd": Number(0, 100_000),
    "project": _PROJECT,
    "env": _ENV,
    "error": _ERROR,
    "speaker": OneOf(frozenset({"user", "agent"})),
    "withheld": OneOf(envelope.REASONS),
    **{name: envelope.METADATA[name] for name in ("reason", "consent", "agent_version", "policy_digest", "outcome", "status")},
    **{f"{side}_{what}": shape for side in envelope.MEDIA_SIDES for what, shape in envelope.MEDIA.items()},
    **{name: envelope.METADATA[name] for name in (f"{side}_quality_worst" for side in envelope.MEDIA_SIDES)},
}
"""A row's columns; ``tool`` is judged apart, as in an alert."""


def clear_facts(kind: str, data: Mapping[str, object], policy: Policy) -> tuple[dict[str, object], list[Note]]:
    """The facts that fit, and a note for each that did not. Empty values are left out.

    Args:
        kind: ``alert`` or ``row``.
        data: of Python's own types.
        policy: whose tools may be named.
    """
    shapes = ALERT if kind == "alert" else ROW
    out: dict[str, object] = {}
    notes: list[Note] = []
    for key, value in data.items():
        if value is None or value == "":
            continue
        shape = shapes.get(key) if isinstance(key, str) else None
        if (shape is not None and shape.fits(value)) or (key == "tool" and isinstance(value, str) and _is_tool(value, policy)):
            out[key] = value
        elif key == "trace_ids" and kind == "alert" and isinstance(value, Sequence) and not isinstance(value, str):
            out[key] = [one for one in value if envelope.UUID.fits(one)][:TRACES_MAX]
        else:
            notes.append(Note(key if key in shapes or key in {"tool", "trace_ids"} else "?", "?", "drop"))
    return out, notes


def _is_tool(name: str, policy: Policy) -> bool:
    return name == envelope.UNKNOWN_TOOL or (
        name.startswith(envelope.TOOL_PREFIX) and name.removeprefix(envelope.TOOL_PREFIX) in policy.tools
    )
