"""What a span may carry besides a tool's fields: closed names, ids, times and bounded numbers. Code, not policy: no file can widen it.

A value that does not fit is left out and noted; a span whose id, trace or order does not fit cannot be named at all and is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from phi_guard.policy.compiled import Flag, Number, OneOf, Pattern, Shape

SPAN_NAMES: Final = frozenset({"voice_session", "session.start", "policy.guardrail", "user_turn", "agent_turn", "session.end"})
"""Span names beside the tools'. A tool's span is ``tool.<name>`` for a tool the policy names, else `UNKNOWN_TOOL`."""

TOOL_PREFIX: Final = "tool."
UNKNOWN_TOOL: Final = "tool.unknown"

ERROR_TYPES: Final = frozenset(
    {
        "ArithmeticError", "AssertionError", "AttributeError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError",
        "EOFError", "Exception", "FileNotFoundError", "IndexError", "KeyError", "LookupError", "MemoryError", "NotImplementedError",
        "OSError", "OverflowError", "PermissionError", "RecursionError", "RuntimeError", "StopResponse", "TimeoutError", "ToolError",
        "TypeError", "UnicodeDecodeError", "UnicodeEncodeError", "UnicodeError", "ValidationError", "ValueError", "ZeroDivisionError",
        "CancelledError", "APIConnectionError", "APIError", "APIStatusError", "APITimeoutError", "HTTPError", "RealtimeError",
        "UnknownError",
    }
)  # fmt: skip
"""Class names an error may be sent under; any other becomes ``UnknownError``, since a class name is free text too."""

ERROR_MESSAGES: Final = frozenset(
    {"tool_raised", "tool_cancelled", "response_failed", "response_incomplete", "session_error", "agent_lost", "model_error"}
)
"""The only error messages that exist. Exception text never leaves."""

REASONS: Final = frozenset({"policy_unreadable", "detector_unavailable", "gate_fault", "unknown_kind", "bad_envelope", "consent_refused"})
"""Why content can be withheld."""

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_INSTANT: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
UUID: Final = Pattern(_UUID)
INSTANT: Final = Pattern(_INSTANT)
_STEP: Final = f"[0-9]{{8}}T[0-9]{{12}}Z{_UUID}"
DOTTED_ORDER: Final = re.compile(rf"{_STEP}(?:\.{_STEP}){{0,3}}")
_NAME: Final = r"(?!.*[0-9]{5})[A-Za-z][A-Za-z0-9]{0,39}(?:[._+-][A-Za-z0-9]{1,40}){0,8}"
_PROJECT: Final = Pattern(_NAME)  # the relay's own setting; no long run of digits fits
# Six digits, and those of one date since 2010, such as in gpt-4o-realtime-preview-2024-12-17.
_FEW_DIGITS: Final = (
    r"(?=(?:[^0-9]*[0-9]){0,4}[^0-9]*(?:20[1-9][0-9][._-][0-9]{2}(?:[._-][0-9]{2})?(?![0-9])[^0-9]*)?(?:[0-9][^0-9]*){0,2}$)"
)
# People's names have no digit and none of these words, and would else fit as well as a deployment's: Ada-Byron.
_TRADE: Final = (
    r"(?=(?:.*[^A-Za-z])?(?:[A-Za-z0-9]*[0-9]|(?i:gpt|realtime|rt|whisper|transcribe|azure|openai|voice|speech|audio|mini|preview|agent"
    r"|assistant|bot|model|deployment|clinic|reception|frontdesk|prod|dev|test|staging)(?![A-Za-z])))"
)
_LABEL: Final = Pattern(_FEW_DIGITS + _TRADE + _NAME)
# Which text was read out, such as recording-v2-de or consent-2026-01: one of its parts is its number.
_TEXT_VERSION: Final = Pattern(_FEW_DIGITS + r"(?=(?:.*[^A-Za-z0-9])?[a-z]?[0-9])" + _NAME)
# Eight digits at most: shorter than a telephone number with its area.
_VERSION: Final = Pattern(r"(?!(?:[^0-9]*[0-9]){9})[0-9]{1,4}(?:\.[0-9]{1,3}){0,2}(?:[-+.]?(?:a|b|rc|dev|post)[0-9]{0,3})?")
# Twelve random characters in LiveKit: seven digits in a row come up once in seventy thousand, in a telephone number always.
_SID: Final = r"_(?!.*[0-9]{7})[A-Za-z0-9]{6,24}"
_MS: Final = Number(0, 86_400_000)
_COUNT: Final = Number(0, 10_000_000)
_USD: Final = Number(0, 100_000)
_QUALITY: Final = OneOf(frozenset({"excellent", "good", "poor", "lost", "unknown"}))

OUTCOMES: Final = frozenset(
    {"answered", "resumed", "interrupted", "superseded", "failed", "open", "completed", "cancelled", "reconnected", "silent"}
)

MEDIA_SIDES: Final = ("agent", "client")
"""Who measured the media: the agent against the media server, or the caller's browser against it."""

MEDIA: Final[Mapping[str, Shape]] = {
    f"{what}_{at}": shape
    for what, shape in (("rtt_ms", _MS), ("jitter_ms", _MS), ("loss_pct", Number(0, 100)))
    for at in ("p50", "p95", "max")
}
"""What is said of the media of one side, over the windows of a call."""

METADATA: Final[Mapping[str, Shape]] = {
    "agent_index": _COUNT,
    "agent_media_windows": _COUNT,
    "agent_quality_worst": _QUALITY,
    "agent_version": _VERSION,
    "audio_ms": _MS,
    "cached_tokens": _COUNT,
    "client_media_refused": _COUNT,
    "client_media_windows": _COUNT,
    "client_quality_worst": _QUALITY,
    "consent": OneOf(frozenset({"granted", "refused", "not_asked"})),
    "consent_version": _TEXT_VERSION,
    "cost_unknown": Flag(),
    "cost_usd": _USD,
    "deployment": _LABEL,
    "duration_ms": _MS,
    "ended_at": INSTANT,
    "env": OneOf(frozenset({"dev", "prod"})),
    "error_message": OneOf(ERROR_MESSAGES),
    "error_type": OneOf(ERROR_TYPES),
    "errors": _COUNT,
    "greeting_ms": _MS,
    "handoff": Flag(),
    "handoffs": _COUNT,
    "input_audio_tokens": _COUNT,
    "input_cut_chars": _COUNT,
    "input_image_tokens": _COUNT,
    "input_text_tokens": _COUNT,
    "input_tokens": _COUNT,
    "interrupted": Flag(),
    "interruptions": _COUNT,
    "loop_lag_ms": _MS,
    "ls_model_name": _LABEL,
    "ls_provider": OneOf(frozenset({"azure"})),
    "origin": OneOf(frozenset({"vad", "commit", "text", "agent"})),
    "outcome": OneOf(OUTCOMES),
    "output_audio_tokens": _COUNT,
    "output_cut_chars": _COUNT,
    "output_text_tokens": _COUNT,
    "output_tokens": _COUNT,
    "participant_sid": Pattern("PA" + _SID),
    "policy_digest": Pattern(r"[0-9a-f]{16}"),
    "reason": OneOf(
        frozenset({"error", "job_shutdown", "participant_disconnected", "user_initiated", "task_completed", "agent_lost", "unknown"})
    ),
    "reconnects": _COUNT,
    "responses": _COUNT,
    "room_sid": Pattern("RM" + _SID),
    "sampling_rate": Number(0, 1),
    "silence_ms": _MS,
    "spans_delivered": _COUNT,
    "spans_dropped": _COUNT,
    "spans_offered": _COUNT,
    "spans_pending": _COUNT,
    "spans_withheld": _COUNT,
    "started_at": INSTANT,
    "status": OneOf(frozenset({"ok", "error", "cancelled"})),
    "thread_id": UUID,
    "tool_calls": _COUNT,
    "tool_ms": _MS,
    "trace_id": UUID,
    "transcription_input_tokens": _COUNT,
    "transcription_model": _LABEL,
    "transcription_output_tokens": _COUNT,
    "transcription_s": Number(0, 86_400),
    "ttft_model_ms": _MS,
    "ttft_ms": _MS,
    "ttft_source": OneOf(frozenset({"azure_events", "state"})),
    "turns": _COUNT,
    "vad_type": OneOf(frozenset({"server_vad", "semantic_vad", "azure_semantic_vad", "none", "unknown"})),
    "withheld": OneOf(REASONS),
    **{f"{side}_{what}": shape for side in MEDIA_SIDES for what, shape in MEDIA.items()},
}
"""Metadata keys and what each may hold. Two more hold counts: ``redactions`` (by policy field) and ``usage_metadata`` (`USAGE`)."""

USAGE: Final[Mapping[str, Shape]] = {
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "total_tokens": _COUNT,
    "total_cost": _USD,
}
"""LangSmith's own keys for tokens and cost, so that its cost columns fill."""

RUN: Final[Mapping[str, Shape]] = {
    "id": UUID,
    "trace_id": UUID,
    "parent_run_id": UUID,
    "run_type": OneOf(frozenset({"chain", "llm", "tool"})),
    "session_name": _PROJECT,
    "start_time": INSTANT,
    "end_time": INSTANT,
}
"""Keys of the run itself. ``name``, ``dotted_order``, ``error``, ``events``, ``inputs``, ``outputs`` and ``extra`` are judged apart."""

REQUIRED: Final = ("id", "trace_id", "start_time", "run_type", "session_name")
"""A run that lacks one of these cannot be sent, not even as a skeleton."""
