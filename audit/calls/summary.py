"""The summary: parts of a trace put together to its call, its turns and its tools, whatever order they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from audit import structure
from audit.calls.answers import Detail
from audit.calls.reading import STRANGE, Part, moment
from audit.calls.records import Call, Media, Spread, ToolUse, Turn
from audit.timeline import percentile

_SPEAKERS: Final[Mapping[str, str]] = {"user_turn": "user", "agent_turn": "agent"}


def summarise(parts: Iterable[Part]) -> Detail | None:
    """The call that parts of one trace make; None where none of them is a span of a call."""
    ordered = sorted(parts, key=lambda part: (part.start is None, part.start or 0, part.id))
    known = [part for part in ordered if part.span != STRANGE]
    if not known:
        return None
    turn_ids = {part.id for part in known if part.span == "agent_turn"}
    handed = {part.parent for part in known if part.span.startswith(structure.TOOL) and part.facts.get("handoff") is True}
    turns = tuple(_turn(part, handoff=part.id in handed) for part in known if part.span in _SPEAKERS)
    tools = tuple(_tool(part, turn_ids) for part in known if part.span.startswith(structure.TOOL))
    return Detail(_call(ordered, known, turns, tools), turns, tools)


def _call(ordered: Sequence[Part], known: Sequence[Part], turns: Sequence[Turn], tools: Sequence[ToolUse]) -> Call:
    root = _first(known, "voice_session")
    ending = _first(known, "session.end")
    guard = _first(known, "policy.guardrail")
    begun = root if root.start is not None else next((part for part in ordered if part.start is not None), root)
    end = next((us for us in (root.end, ending.end, ending.start) if us is not None), None)
    reason = str(root.facts.get("reason") or ending.facts.get("reason") or "unknown") if end is not None else ""
    waits = sorted(turn.ttft_ms for turn in turns if turn.ttft_ms is not None)
    redactions: Counter[str] = Counter()
    for part in known:
        redactions.update(part.redactions)
    interrupted = sum(part.facts.get("interrupted") is True for part in known)
    return Call(
        trace_id=known[0].trace,
        project=root.project or next((part.project for part in known if part.project), ""),
        env=str(root.facts.get("env") or next((part.facts["env"] for part in known if "env" in part.facts), "")),
        start=moment(begun.start),
        end=moment(end),
        reason=reason,
        error=root.error,
        consent=_word(guard, "consent"),
        agent_version=_word(root, "agent_version"),
        policy_digest=_word(root, "policy_digest") or _word(guard, "policy_digest"),
        user_turns=sum(turn.speaker == "user" for turn in turns),
        agent_turns=sum(turn.speaker == "agent" for turn in turns),
        tools=len(tools),
        tool_errors=sum(tool.failed for tool in tools),
        errors=sum(bool(part.error) for part in ordered),
        ttft_p95_ms=percentile(waits, 0.95),
        ttft_max_ms=waits[-1] if waits else None,
        cost_usd=_number(root, "cost_usd"),
        cost_unknown=any(part.facts.get("cost_unknown") is True for part in known),
        offered=_told(root, ending, "spans_offered"),
        delivered=_told(root, ending, "spans_delivered"),
        withheld=_told(root, ending, "spans_withheld"),
        dropped=_told(root, ending, "spans_dropped"),
        interruptions=_told(ending, root, "interruptions") or interrupted,
        reconnects=_told(ending, root, "reconnects") or 0,
        redactions=dict(sorted(redactions.items())),
        agent_media=_media(root, "agent"),
        client_media=_media(root, "client"),
        sampling_rate=_number(root, "sampling_rate"),
    )


def _turn(part: Part, *, handoff: bool) -> Turn:
    return Turn(
        run_id=part.id,
        trace_id=part.trace,
        speaker=_SPEAKERS[part.span],
        start=moment(part.start),
        end=moment(part.end),
        outcome=_word(part, "outcome"),
        error=part.error,
        audio_ms=_number(part, "audio_ms"),
        ttft_ms=_number(part, "ttft_ms") if part.span == "agent_turn" else None,
        ttft_model_ms=_number(part, "ttft_model_ms"),
        tool_ms=_number(part, "tool_ms"),
        lag_ms=_number(part, "loop_lag_ms"),
        input_tokens=_count(part, "input_tokens"),
        output_tokens=_count(part, "output_tokens"),
        cost_usd=_number(part, "cost_usd"),
        handoff=handoff or part.facts.get("handoff") is True,
    )


def _tool(part: Part, turn_ids: set[str]) -> ToolUse:
    return ToolUse(
        run_id=part.id,
        trace_id=part.trace,
        turn_id=part.parent if part.parent in turn_ids else "",
        tool=part.span,
        start=moment(part.start),
        end=moment(part.end),
        status=_word(part, "status"),
        error=part.error,
        withheld=_word(part, "withheld"),
    )


def _media(root: Part, side: str) -> Media:
    def spread(what: str) -> Spread:
        return Spread(*(_number(root, f"{side}_{what}_{at}") for at in ("p50", "p95", "max")))

    return Media(
        _count(root, f"{side}_media_windows") or 0,
        _word(root, f"{side}_quality_worst"),
        spread("rtt_ms"),
        spread("jitter_ms"),
        spread("loss_pct"),
    )


def _first(parts: Sequence[Part], span: str) -> Part:
    """The first part of that span; an empty one where there is none. Of several, those that ended come first."""
    found = [part for part in parts if part.span == span]
    return min(found, key=lambda part: (part.parent != "", part.end is None)) if found else Part(id="", trace="", span=span)


def _told(one: Part, other: Part, key: str) -> int | None:
    first = _count(one, key)
    return _count(other, key) if first is None else first


def _word(part: Part, key: str) -> str:
    value = part.facts.get(key)
    return value if isinstance(value, str) else ""


def _number(part: Part, key: str) -> float | None:
    value = part.facts.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(part: Part, key: str) -> int | None:
    value = _number(part, key)
    return None if value is None else int(value)
