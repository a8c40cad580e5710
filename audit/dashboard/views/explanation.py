"""Why the caller waited, in words: the model, a tool, the agent itself or the network, each with its numbers. Pure.

A wait is TTFT-A: from the end of the caller's speech to the first sound of the answer. What is measured of it apart: tools, by their own
times; the model, from the creation of the answering response to its first sound; and how late the agent's event loop was at that sound,
which is in the model's stretch and taken out of it here. What is left over is the detection of the turn's end, the way to the model and
back, and in a turn with tools the model's choice of the tool: nobody measures that apart.

The network between the caller and the agent is no part of TTFT-A. It is measured per call, not per turn, so it is never more than likely.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from audit.calls.index import Detail
from audit.calls.records import Call, ToolUse, Turn
from audit.dashboard.views.media import Network, network
from audit.dashboard.views.parts import ms
from audit.report.parts import counted, percent

Cause: TypeAlias = Literal["tool", "model", "network", "agent", "unknown"]
Strength: TypeAlias = Literal["clear", "likely", "open"]

SLOW_MS: Final = 3_000.0
"""Milliseconds of TTFT-A from which a turn is called slow: the requirements' section 15 (p95 above 3 s)."""
_LIMIT: Final = f"{SLOW_MS / 1000:g} s"
LATE_MS: Final = 100.0
"""Lateness of the event loop that is worth a word: what LiveKit itself warns of (``LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS``)."""
MOST: Final = 0.5
"""A cause that is more than this share of the wait is clear."""
LARGE: Final = 1 / 3
"""One that is more than this, and the largest, is likely."""
_TOOL: Final = re.compile(r"tool\.[A-Za-z][A-Za-z0-9_]{0,63}")
_NO_WAIT: Final = {
    "failed": "the model's response failed before any sound came",
    "silent": "the model ended its response without a sound",
    "interrupted": "the caller spoke again before the answer",
    "resumed": "the caller went on speaking",
    "superseded": "the caller spoke again before the answer",
    "cancelled": "the response was cancelled before any sound came",
    "reconnected": "the connection to the model was lost in it",
    "open": "the call ended in it",
}
"""Why a turn can have no wait, by its outcome."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the caller's wait.

    Args:
        cause: ``model``, ``tool``, ``agent`` (the agent's event loop was late), or ``unknown`` (what none of them explains).
        ms: milliseconds of the wait; the parts of a turn come to its TTFT-A, and never to more.
    """

    cause: Cause
    ms: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a turn, or a call, was as slow as it was.

    Args:
        cause: what took most of it; ``unknown`` where that is not known.
        share: of the wait that it explains, 0 to 1; 0.0 where that is not known, and for the network, which is measured per call.
        words: a sentence or two with the numbers.
        strength: ``clear`` (measured in this turn), ``likely`` (measured beside it), ``open`` (not known).
        turn: run id of the turn it is about; empty where it is about the call.
        ttft_ms: the wait it is about; None where it was not measured.
        parts: what the wait is made of, largest first; empty where it is not known.
    """

    cause: Cause
    share: float
    words: str
    strength: Strength
    turn: str = ""
    ttft_ms: float | None = None
    parts: tuple[Part, ...] = ()


def explain_turn(turn: Turn, tools: Sequence[ToolUse], call: Call) -> Explanation:
    """Why the caller waited as long as they did in a turn.

    Args:
        turn: an agent's turn.
        tools: the call's uses of tools, or this turn's; others' are passed over.
        call: the turn's call, for what was measured of its media.
    """
    if turn.ttft_ms is None:
        why = _NO_WAIT.get(turn.outcome, "nobody had spoken before it, or its events did not come")
        return Explanation("unknown", 0.0, f"No wait was measured in this turn: {why}.", "open", turn.run_id)
    ran = stretches(turn, tools)
    parts = parts_of(turn, tools)
    net = network(call)
    cause, share, strength = _chief(parts, turn.ttft_ms)
    told = [f"The caller waited {ms(turn.ttft_ms)} for the first sound."]
    if not turn.ttft_ms:
        return Explanation("unknown", 0.0, told[0], "open", turn.run_id, 0.0, parts)
    if cause == "unknown" and (net.reconnects or net.agent_bad):
        cause, share, strength = "network", 0.0, "likely"
    told.append(_main(cause, share, parts, turn, net))
    told += _beside(cause, parts, turn, ran, tools)
    if cause != "network" and net.words and turn.ttft_ms > SLOW_MS:
        told.append(f"Beside that, {net.words}")
    return Explanation(cause, share, " ".join(told), strength, turn.run_id, turn.ttft_ms, parts)


def explain_call(detail: Detail) -> tuple[Explanation, ...]:
    """First the call as a whole, then each of its slow turns (TTFT-A above `SLOW_MS`), the slowest first."""
    call, net = detail.call, network(detail.call)
    by_turn: dict[str, list[ToolUse]] = {}
    for tool in detail.tools:
        by_turn.setdefault(tool.turn_id, []).append(tool)
    answered = [turn for turn in detail.turns if turn.speaker == "agent" and turn.ttft_ms is not None]
    slow = sorted((turn for turn in answered if (turn.ttft_ms or 0.0) > SLOW_MS), key=lambda turn: -(turn.ttft_ms or 0.0))
    own = [explain_turn(turn, by_turn.get(turn.run_id, []) + by_turn.get("", []), call) for turn in slow]
    return (_whole(answered, slow, own, by_turn, net), *own)


def _whole(
    answered: Sequence[Turn], slow: Sequence[Turn], own: Sequence[Explanation], by_turn: dict[str, list[ToolUse]], net: Network
) -> Explanation:
    """The call in a sentence: how many turns were slow, and what they have in common."""
    if not answered:
        words = "No answered turn of this call has a measured wait, so nothing can be said of what took time."
        if net.words:
            return Explanation("network", 0.0, f"{words} What is known: {net.words}", "likely")
        return Explanation("unknown", 0.0, words, "open")
    longest = max(turn.ttft_ms or 0.0 for turn in answered)
    looked = slow or answered
    parts = _sum(part for turn in looked for part in parts_of(turn, by_turn.get(turn.run_id, []) + by_turn.get("", [])))
    waited = sum(turn.ttft_ms or 0.0 for turn in looked)
    cause, share, strength = _chief(parts, waited)
    if not slow:
        told = [
            f"No answer came later than {SLOW_MS / 1000:g} s: {counted(len(answered), 'answered turn')}, the longest wait {ms(longest)}."
        ]
        if net.words and net.bad:
            return Explanation("network", 0.0, f"{told[0]} But {net.words}", "likely", parts=parts, ttft_ms=longest)
        if cause != "unknown":
            told.append(f"Most of the waiting was {_NAMED[cause]} ({percent(share)} of {ms(waited)}).")
    else:
        told = [f"{len(slow)} of {counted(len(answered), 'answered turn')} came later than {_LIMIT}, the latest after {ms(longest)}."]
        if cause == "unknown" and any(each.cause == "network" for each in own):
            cause, share, strength = "network", 0.0, "likely"
            told.append(f"What took the time was not measured; {net.trouble} makes the network likely.")
        elif cause == "unknown":
            rest = sum(part.ms for part in parts if part.cause == "unknown")
            told.append(f"What took most of it was not measured apart ({percent(rest / waited)} of {ms(waited)}).")
        else:
            told.append(f"Most of their waiting was {_NAMED[cause]}: {percent(share)} of {ms(waited)}.")
    if net.words and cause != "network":
        told.append(f"Beside that, {net.words}")
    return Explanation(cause, share, " ".join(told), strength, parts=parts, ttft_ms=longest)


_NAMED: Final[dict[Cause, str]] = {
    "tool": "for tools",
    "model": "for the model",
    "agent": "for the agent's own event loop",
    "network": "for the network",
    "unknown": "for what was not measured apart",
}


def stretches(turn: Turn, tools: Iterable[ToolUse]) -> tuple[tuple[datetime, datetime], ...]:
    """When tools ran while the caller waited in a turn: in order, and none touches another."""
    if turn.start is None or turn.ttft_ms is None:
        return ()
    first, last = turn.start, turn.start + timedelta(milliseconds=turn.ttft_ms)
    within = sorted(
        (max(tool.start, first), min(tool.end, last))
        for tool in tools
        if tool.start is not None and tool.end is not None and tool.turn_id in {turn.run_id, ""} and tool.start < last and tool.end > first
    )
    apart: list[tuple[datetime, datetime]] = []
    for start, end in within:
        if end <= start:
            continue
        if apart and start <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], end)
        else:
            apart.append((start, end))
    return tuple(apart)


def parts_of(turn: Turn, tools: Iterable[ToolUse]) -> tuple[Part, ...]:
    """What a turn's wait is made of, largest first: parts come to the wait exactly, and none is below zero.

    Where no tool's own time is known, the turn's ``tool_ms`` stands for it; it counts tools after the first sound as well, so it is held
    below what the model leaves.
    """
    if turn.ttft_ms is None:
        return ()
    whole = max(0.0, turn.ttft_ms)
    model = max(0.0, turn.ttft_model_ms or 0.0)
    ran = stretches(turn, tools)
    if ran:
        tool = min(whole, sum((end - start).total_seconds() * 1000 for start, end in ran))
    else:
        tool = min(max(0.0, turn.tool_ms or 0.0), max(0.0, whole - model))
    left = whole - tool
    agent = min(left, max(0.0, turn.lag_ms or 0.0))
    model = min(left - agent, max(0.0, model - agent))
    found = (Part("tool", tool), Part("agent", agent), Part("model", model), Part("unknown", max(0.0, left - agent - model)))
    return tuple(sorted((part for part in found if part.ms > 0), key=lambda part: -part.ms))


def _sum(parts: Iterable[Part]) -> tuple[Part, ...]:
    total: dict[Cause, float] = {}
    for part in parts:
        total[part.cause] = total.get(part.cause, 0.0) + part.ms
    return tuple(sorted((Part(cause, took) for cause, took in total.items()), key=lambda part: -part.ms))


def _chief(parts: Sequence[Part], whole: float) -> tuple[Cause, float, Strength]:
    """The largest part, its share, and how sure that is."""
    if not parts or whole <= 0 or parts[0].cause == "unknown":
        return "unknown", 0.0, "open"
    share = min(1.0, parts[0].ms / whole)
    if share > MOST:
        return parts[0].cause, share, "clear"
    return (parts[0].cause, share, "likely") if share > LARGE else ("unknown", 0.0, "open")


def _main(cause: Cause, share: float, parts: Sequence[Part], turn: Turn, net: Network) -> str:
    """What took most of the wait, in a sentence."""
    held = {part.cause: part.ms for part in parts}
    of = f"{ms(held.get(cause))}, {percent(share)} of it"
    most = "most" if share > MOST else "the largest part"
    if cause == "tool":
        return f"Tools took {most} of that: {of}."
    if cause == "model":
        return f"The model took {most} of that: {of}, from the creation of its response to the first sound."
    if cause == "agent":
        return f"The agent itself took {most} of that: its event loop was late by {of}. Something in the agent blocks the loop."
    rest = held.get("unknown", 0.0)
    if cause == "network":
        why = f"{net.trouble} makes the network likely; the network is measured per call, not per turn"
        return f"{ms(rest)} of it is neither tool nor model, and {why}."
    if turn.ttft_model_ms is None and not held.keys() - {"unknown"}:
        return "What took the time is not known: neither the model's part nor a tool's was measured."
    if rest and rest >= max(held.values()):
        chosen = "the model's choice of the tool, " if held.get("tool") else ""
        way = f"the detection of the turn's end, {chosen}or the way to the model, which nobody measures apart"
        return f"{ms(rest)} of it is neither tool nor model: {way}."
    return "No single part took most of it."


def _beside(
    cause: Cause, parts: Sequence[Part], turn: Turn, ran: Sequence[tuple[datetime, datetime]], tools: Sequence[ToolUse]
) -> Iterator[str]:
    """The longest tool, the other parts, and a loop that stood still while a tool ran."""
    inside = [
        tool for tool in tools
        if ran and tool.turn_id in {turn.run_id, ""} and tool.start is not None and tool.end is not None
        and tool.start < ran[-1][1] and tool.end > ran[0][0]
    ]  # fmt: skip
    longest = max(inside, key=lambda tool: tool.duration_ms or 0.0, default=None)
    if longest is not None and cause == "tool":
        name = longest.tool if _TOOL.fullmatch(longest.tool) else "a tool"
        many = f"{counted(len(inside), 'tool')} ran; the longest was" if len(inside) > 1 else "It was"
        yield f"{many} {name} with {ms(longest.duration_ms)}{', and it failed' if longest.failed else ''}."
    rest = [f"{_SHORT[part.cause]} {ms(part.ms)}" for part in parts if part.cause not in {cause, "unknown"} and part.ms >= 1]
    if cause in {"unknown", "network"}:
        if rest:
            yield f"What is known: {', '.join(rest)}."
    else:
        rest += [f"{ms(part.ms)} not measured apart" for part in parts if part.cause == "unknown" and part.ms >= 1]
        if rest:
            yield f"The rest: {', '.join(rest)}."
    if cause == "tool" and (turn.lag_ms or 0.0) >= LATE_MS:
        yield f"The agent's event loop was late by {ms(turn.lag_ms)}: a tool that blocks the loop does that."


_SHORT: Final[dict[Cause, str]] = {"tool": "tools", "model": "the model", "agent": "a late event loop"}
