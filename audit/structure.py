"""What the audit holds a clean trace to be: a closed list of places and shapes, written down apart from the gate's.

It shares no code with `phi_guard.envelope` on purpose: a place that the gate forgot to close must not be forgotten here as well.
`tests/audit` holds the two lists to each other. What is not on this list is a finding until proven otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Check: TypeAlias = Callable[[object], bool]

STAND_IN: Final = re.compile(r"<REDACTED_KEY_([1-9][0-9]{0,5})>")
"""What stands where an unknown key stood."""

_HEX: Final = "[0-9a-f]"
_UUID: Final = f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"
_TIME: Final = (
    r"20[2-9][0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|\+00:00)?"
)


def matching(source: str) -> Check:
    """A check that a value is a string which the whole pattern matches."""
    pattern = re.compile(source)
    return lambda value: isinstance(value, str) and len(value) <= 500 and pattern.fullmatch(value) is not None


def among(*names: str) -> Check:
    """A check that a value is one of these strings."""
    closed = frozenset(names)
    return lambda value: isinstance(value, str) and value in closed


def within(low: float, high: float) -> Check:
    """A check that a value is a number from low to high; booleans, infinities and not-a-number are none."""
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _flag(value: object) -> bool:
    return isinstance(value, bool)


UUID: Final = matching(_UUID)
TIME: Final = matching(_TIME)
"""An instant in UTC of 2020 or later: no voice agent is older, and most people are. A store may hand back fewer digits of a second than
were sent, or leave out the ``Z``."""
DOTTED_ORDER: Final = matching(rf"20[2-9][0-9]{{5}}T[0-9]{{12}}Z{_UUID}(?:\.20[2-9][0-9]{{5}}T[0-9]{{12}}Z{_UUID}){{0,3}}")
LABEL: Final = matching(r"(?!.*[0-9]{5})[A-Za-z][A-Za-z0-9]{0,39}(?:[._+-][A-Za-z0-9]{1,40}){0,8}")
"""A name out of configuration. Not a closed shape: patterns and forms look at it too."""

_TRADE: Final = frozenset(
    """
    agent assistant audio azure bot clinic deployment dev frontdesk gpt mini model openai preview prod realtime reception rt speech staging
    test transcribe voice whisper
    """.split()  # noqa: SIM905  # easier to read and to keep in order
)
"""Words that deployments and models are named with."""
_WORD: Final = re.compile("[A-Za-z]+|[0-9]+")


def model_label(value: object) -> bool:
    """Whether a value is a `LABEL` that is named as models are: a word of the trade in it, or a number; ``Byron`` has neither."""
    if not isinstance(value, str) or not LABEL(value):
        return False
    return any(word.isdigit() or word.lower() in _TRADE for word in _WORD.findall(value))


def text_version(value: object) -> bool:
    """Whether a value is a `LABEL` with a version in it: a number, or one after a small letter, such as ``recording-v2-de``."""
    return isinstance(value, str) and LABEL(value) and any(re.match("[a-z]?[0-9]", part) for part in re.split("[._+-]", value))


def is_stand_in(key: str, keys: int) -> bool:
    """Whether a key stands for an unknown one: they are numbered from 1 within a mapping, so never higher than it has keys."""
    found = STAND_IN.fullmatch(key)
    return found is not None and int(found[1]) <= keys


_MS: Final = within(0, 86_400_000)
_COUNT: Final = within(0, 10_000_000)
_PERCENT: Final = within(0, 100)
_USD: Final = within(0, 100_000)

SPANS: Final = frozenset({"voice_session", "session.start", "policy.guardrail", "user_turn", "agent_turn", "session.end"})
TOOL: Final = "tool."
UNKNOWN_TOOL: Final = "tool.unknown"

ERROR_CODES: Final = frozenset(
    {"tool_raised", "tool_cancelled", "response_failed", "response_incomplete", "session_error", "agent_lost", "model_error"}
)
ERROR_CLASSES: Final = frozenset(
    {
        "APIConnectionError", "APIError", "APIStatusError", "APITimeoutError", "ArithmeticError", "AssertionError", "AttributeError",
        "CancelledError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "EOFError", "Exception",
        "FileNotFoundError", "HTTPError", "IndexError", "KeyError", "LookupError", "MemoryError", "NotImplementedError", "OSError",
        "OverflowError", "PermissionError", "RealtimeError", "RecursionError", "RuntimeError", "StopResponse", "TimeoutError",
        "ToolError", "TypeError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "UnknownError", "ValidationError",
        "ValueError", "ZeroDivisionError",
    }
)  # fmt: skip


def typed_error(value: object) -> bool:
    """Whether an error is ``<class>: <code>`` with both out of the closed lists."""
    kind, colon, code = value.partition(": ") if isinstance(value, str) else ("", "", "")
    return bool(colon) and kind in ERROR_CLASSES and code in ERROR_CODES


METADATA: Final[Mapping[str, Check]] = {
    "agent_version": matching(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}(?:[-+.]?(?:a|b|rc|dev|post)[0-9]{0,3})?"),
    "consent": among("granted", "refused", "not_asked"),
    "consent_version": text_version,
    "cost_unknown": _flag,
    "env": among("dev", "prod"),
    "error_message": among(*ERROR_CODES),
    "error_type": among(*ERROR_CLASSES),
    "ls_provider": among("azure"),
    "ls_run_depth": within(0, 10),  # added by LangSmith to what it stores
    "origin": among("vad", "commit", "text", "agent"),
    "outcome": among(
        "answered", "resumed", "interrupted", "superseded", "failed", "open", "completed", "cancelled", "reconnected", "silent"
    ),
    "participant_sid": matching("PA_[A-Za-z0-9]{6,24}"),
    "policy_digest": matching(f"{_HEX}{{16}}"),
    "reason": among(
        "error", "job_shutdown", "participant_disconnected", "user_initiated", "task_completed", "agent_lost", "unknown"
    ),
    "room_sid": matching("RM_[A-Za-z0-9]{6,24}"),
    "status": among("ok", "error", "cancelled"),
    "thread_id": UUID,
    "trace_id": UUID,
    "ttft_source": among("azure_events", "state"),
    "vad_type": among("server_vad", "semantic_vad", "azure_semantic_vad", "none", "unknown"),
    "withheld": among(
        "policy_unreadable", "detector_unavailable", "gate_fault", "unknown_kind", "bad_envelope", "consent_refused"
    ),
    **dict.fromkeys(("deployment", "ls_model_name", "transcription_model"), model_label),
    **dict.fromkeys(("started_at", "ended_at"), TIME),
    **dict.fromkeys(("cost_usd",), _USD),
    **dict.fromkeys([f"{side}_loss_pct_{at}" for side in ("agent", "client") for at in ("p50", "p95", "max")], _PERCENT),
    **dict.fromkeys(
        [f"{side}_{what}_{at}" for side in ("agent", "client") for what in ("rtt_ms", "jitter_ms") for at in ("p50", "p95", "max")], _MS
    ),
    **dict.fromkeys(("agent_quality_worst", "client_quality_worst"), among("excellent", "good", "poor", "lost", "unknown")),
    **dict.fromkeys(("handoff", "interrupted"), _flag),
    "sampling_rate": within(0, 1),
    "transcription_s": within(0, 86_400),
    **dict.fromkeys(
        (
            "audio_ms", "duration_ms", "greeting_ms", "loop_lag_ms", "silence_ms", "tool_ms", "ttft_model_ms", "ttft_ms",
        ),
        _MS,
    ),
    **dict.fromkeys(
        (
            "agent_index", "agent_media_windows", "client_media_refused", "client_media_windows", "handoffs", "input_image_tokens",
            "interruptions", "reconnects", "transcription_input_tokens", "transcription_output_tokens",
            "cached_tokens", "errors", "input_audio_tokens", "input_cut_chars", "input_text_tokens", "input_tokens",
            "output_audio_tokens", "output_cut_chars", "output_text_tokens", "output_tokens", "responses", "spans_delivered",
            "spans_dropped", "spans_offered", "spans_pending", "spans_withheld", "tool_calls", "turns",
        ),
        _COUNT,
    ),
}  # fmt: skip
"""Metadata keys and what each may hold."""

USAGE: Final[Mapping[str, Check]] = {
    **dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), _COUNT),
    "total_cost": _USD,
}
"""The keys of ``usage_metadata``, which LangSmith reads for its cost columns."""

OPEN: Final = frozenset({"agent_version", "consent_version", "deployment", "ls_model_name", "transcription_model"})
"""Metadata keys whose shape an identifying number or some sound could have as well: patterns and forms look at their values too."""

COUNT: Final = _COUNT
"""The counts under ``redactions``, whose keys are the policy's fields or ``unknown``."""

MANY: Final = 20_000
"""More of anything in one call than a call has: a count above it, of six digits or more, may as well be somebody's number."""

_TOKENS: Final = 5_000_000
LIKELY: Final[Mapping[str, float]] = {
    **dict.fromkeys((key for key, check in METADATA.items() if check is _COUNT), MANY),
    **dict.fromkeys((key for key in (*METADATA, *USAGE) if key.endswith("tokens")), _TOKENS),
    **dict.fromkeys((key for key, check in METADATA.items() if check is _MS), 9_999_999),
    "transcription_s": 9_999,
    **dict.fromkeys(("cost_usd", "total_cost", "prompt_cost", "completion_cost"), 1_000),
    **dict.fromkeys(("total_tokens", "prompt_tokens", "completion_tokens"), _TOKENS),
    "latency": 9_999,
    "execution_order": MANY,
}
"""By metadata key, the largest number that a call is likely to give; a larger one is told, though the gate lets it through.

The gate's bounds are wide, so that no odd call is lost: a day in milliseconds has room for 19751210, ten million for a record number.
Two hours and three quarters in milliseconds have seven digits: dates and telephone numbers have eight or more. No call is so long.
"""

ROW: Final[Mapping[str, Check]] = {
    "id": UUID,
    "trace_id": UUID,
    "parent_run_id": UUID,
    "dotted_order": DOTTED_ORDER,
    "run_type": among("chain", "llm", "tool"),
    "start_time": TIME,
    "end_time": TIME,
}
"""Keys of a run itself; its name, project, inputs, outputs, error, extra, events and tags are judged apart."""

ADDED_BY_LANGSMITH: Final[Mapping[str, Check]] = {
    "session_id": UUID,
    "reference_example_id": UUID,
    "status": among("success", "error", "pending"),
    "first_token_time": TIME,
    "total_tokens": _COUNT,
    "prompt_tokens": _COUNT,
    "completion_tokens": _COUNT,
    "total_cost": within(0, 100_000),
    "prompt_cost": within(0, 100_000),
    "completion_cost": within(0, 100_000),
    "latency": within(0, 86_400),
    "execution_order": _COUNT,
    "thread_id": UUID,
    "trace_tier": among("shortlived", "longlived"),
    "app_path": matching(rf"(?:/(?:o|p|r|d|public|projects)(?:/{_UUID})?){{1,6}}(?:\?trace_id={_UUID}(?:&start_time={_TIME})?)?"),
}
"""What LangSmith adds to a row of its own; an exported file may hold it, a reading source does not select it."""
