"""A record becomes a payload: the run as LangSmith will have it, with everything still raw. Only the gate's answer to it leaves."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from phi_guard.envelope import TOOL_PREFIX
from phi_guard.model import Payload
from tracing.cost import Pricing, TokenUsage
from tracing.record import (
    AgentTurn,
    AnyRecord,
    CallClosed,
    CallEnded,
    CallOpened,
    Consent,
    GuardrailClosed,
    SessionStarted,
    ToolCall,
    UserTurn,
)

CREATE: Final = "create"
UPDATE: Final = "update"
STATE: Final = "state"
"""The ``ttft_source`` of a turn whose model told no events."""

_NAMES: Final[Mapping[type[AnyRecord], tuple[str, str, str]]] = {
    CallOpened: ("voice_session", "chain", CREATE),
    CallClosed: ("voice_session", "chain", UPDATE),
    SessionStarted: ("session.start", "chain", CREATE),
    Consent: ("policy.guardrail", "chain", CREATE),
    GuardrailClosed: ("policy.guardrail", "chain", UPDATE),
    UserTurn: ("user_turn", "chain", CREATE),
    AgentTurn: ("agent_turn", "llm", CREATE),
    CallEnded: ("session.end", "chain", CREATE),
}


def op_of(record: AnyRecord) -> str:
    """Whether the record creates its span or updates it."""
    return CREATE if isinstance(record, ToolCall) else _NAMES[type(record)][2]


def cost_of(turn: AgentTurn, pricing: Pricing | None) -> Decimal | None:
    """USD of an agent turn by the price list, the caller's transcription with it; None when a part of it has no known price.

    A turn that used nothing costs 0, whatever its deployment; one that was only seen in the agent's states told nothing of what it used.
    """
    if turn.ttft_source == STATE:
        return None
    usage = TokenUsage(
        input_text=turn.input_text,
        input_audio=turn.input_audio,
        cached_text=turn.cached_text,
        cached_audio=turn.cached_audio,
        output_text=turn.output_text,
        output_audio=turn.output_audio,
        input_image=turn.input_image,
        cached_image=turn.cached_image,
    )
    heard = (turn.transcription_s, turn.transcription_input, turn.transcription_output)
    model: Decimal | None = Decimal(0)
    transcription: Decimal | None = Decimal(0)
    if usage != TokenUsage():
        model = pricing.price(turn.deployment, usage) if pricing is not None else None
    if any(heard):
        seconds, read, written = heard
        name = turn.transcription_model
        transcription = (
            pricing.price_transcription(name, seconds=seconds, tokens_in=read, tokens_out=written) if pricing is not None else None
        )
    return None if model is None or transcription is None else model + transcription


def is_billed(turn: AgentTurn) -> bool:
    """Whether a turn has a cost to tell, or one that is not known."""
    return bool(turn.responses or turn.transcription_s or any(tokens_of(turn)) or turn.transcription_input or turn.ttft_source == STATE)


def tokens_of(turn: AgentTurn) -> tuple[int, int]:
    """Tokens the model read and wrote in a turn, of every class; what another model transcribed is not among them."""
    return turn.input_text + turn.input_audio + turn.input_image, turn.output_text + turn.output_audio


def payload_of(record: AnyRecord, *, project: str, env: str, facts: Mapping[str, object]) -> Payload:
    """The raw run of a record.

    Args:
        record: as it came from the recorder.
        project: LangSmith project.
        env: ``dev`` or ``prod``.
        facts: metadata the relay adds: cost, counts, the policy's digest.
    """
    name, run_type, op = (f"{TOOL_PREFIX}{record.tool}", "tool", CREATE) if isinstance(record, ToolCall) else _NAMES[type(record)]
    run: dict[str, object] = {
        "id": record.id,
        "trace_id": record.call,
        "dotted_order": ".".join(f"{_order(start)}{span}" for start, span in record.at),
        "run_type": run_type,
        "session_name": project,
        "start_time": _instant(record.start_ns),
    }
    if len(record.at) > 1:
        run["parent_run_id"] = record.at[-2][1]
    if record.end_ns:
        run["end_time"] = _instant(max(record.end_ns, record.start_ns))
    metadata: dict[str, object] = {"trace_id": record.call, "thread_id": record.call, "env": env, **_metadata(record), **facts}
    if isinstance(record, ToolCall):
        run["inputs"] = _parse(record.arguments) if record.arguments else None
        run["outputs"] = _parse(record.output) if record.output else None
    if isinstance(record, AgentTurn) and record.first_audio_ns:
        run["events"] = [{"name": "new_token", "time": _instant(record.first_audio_ns)}]
    error = getattr(record, "error_message", "")
    if error:
        kind = getattr(record, "error_type", "") or "RealtimeError"
        run["error"] = f"{kind}: {error}"
        metadata |= {"error_type": kind, "error_message": error}
    run["extra"] = {"metadata": {k: v for k, v in metadata.items() if v not in (None, "")}}
    return Payload("span" if op == CREATE else "span_update", name, run)


def _metadata(record: AnyRecord) -> dict[str, object]:
    match record:
        case CallOpened():
            return {"room_sid": record.room_sid, "participant_sid": record.participant_sid, "agent_version": record.agent_version}
        case CallClosed():
            return {
                "room_sid": record.room_sid,
                "participant_sid": record.participant_sid,
                "agent_version": record.agent_version,
                "vad_type": record.vad_type,
                "silence_ms": record.silence_ms,
                "reason": record.reason,
                "duration_ms": _span_ms(record),
                **record.media,
            }
        case Consent() | GuardrailClosed():
            return {"consent": record.consent, "consent_version": record.consent_version}
        case UserTurn():
            return {
                "audio_ms": _round(record.audio_ms),
                "outcome": record.outcome,
                "started_at": _instant(record.start_ns),
                "ended_at": _instant(record.end_ns),
            }
        case AgentTurn():
            return {
                "outcome": record.outcome,
                "origin": record.origin,
                "agent_index": record.agent_index,
                "interrupted": record.interrupted,
                "loop_lag_ms": _round(record.loop_lag_ms),
                "greeting_ms": _round(record.greeting_ms),
                "ttft_ms": _round(record.ttft_ms),
                "ttft_source": record.ttft_source,
                "ttft_model_ms": _round(record.ttft_model_ms),
                "tool_ms": _round(record.tool_ms),
                "responses": record.responses,
                "tool_calls": record.tool_calls,
                "deployment": record.deployment,
                "ls_provider": "azure",
                "ls_model_name": record.deployment,
                "input_tokens": tokens_of(record)[0],
                "output_tokens": tokens_of(record)[1],
                "input_text_tokens": record.input_text,
                "input_audio_tokens": record.input_audio,
                "cached_tokens": record.cached_text + record.cached_audio + record.cached_image,
                "output_text_tokens": record.output_text,
                "output_audio_tokens": record.output_audio,
                "input_image_tokens": record.input_image or None,
                "transcription_model": record.transcription_model,
                "transcription_s": _round(record.transcription_s) or None,
                "transcription_input_tokens": record.transcription_input or None,
                "transcription_output_tokens": record.transcription_output or None,
            }
        case ToolCall():
            cuts = {"input_cut_chars": record.arguments_cut or None, "output_cut_chars": record.output_cut or None}
            return {"status": record.status, "duration_ms": _span_ms(record), "handoff": record.handoff or None, **cuts}
        case CallEnded():
            return {"reason": record.reason, **_counts(record)}
        case _:
            return {}


def _counts(record: CallEnded) -> dict[str, object]:
    return {name: getattr(record, name) for name in ("turns", "errors", "interruptions", "handoffs", "reconnects")}


def _parse(text: str) -> object:
    """What a tool was given or gave back: LiveKit passes arguments as JSON, results as ``str(result)``, so a dict as its repr.

    What cannot be read stays a text; the gate does not take one in braces or brackets for free text.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        pass
    bare = text.strip()
    if bare[:1] in {"{", "[", "("}:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what the parser warns of is a tool's text, not our code
                return ast.literal_eval(bare)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            pass
    return text


def _instant(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _order(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y%m%dT%H%M%S%fZ")


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _span_ms(record: AnyRecord) -> float:
    return round(max(0, record.end_ns - record.start_ns) / 1e6, 3)
