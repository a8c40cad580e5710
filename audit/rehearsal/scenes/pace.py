"""How long people take: the turns of a scene, timed as they would be spoken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

MS_PER_CHARACTER: Final = 65
"""Fifteen characters in a second: some 150 words in a minute, an easy pace on the telephone."""
SPEECH_MS: Final = (1_000, 6_000)
"""The shortest and the longest that somebody speaks in one go."""
THINKS_MS: Final = (500, 3_000)
"""How long a caller is silent before speaking."""
FIRST_SOUND_MS: Final = (180, 700)
CUT_IN_MS: Final = (600, 1_800)
CUT_MS: Final = 2_500
"""At least so much of an answer is left when it is talked over, so that there is something to interrupt on a slow machine too."""

Row = dict[str, Any]


@dataclass(slots=True)
class Scene:
    """One thing that happens in a call: rows of a script.

    Args:
        turns: in order. The first begins after a pause, the last is heard out.
        plants: what was told in it that must not arrive.
    """

    turns: list[Row]
    plants: list[Row] = field(default_factory=list)


def turn(
    chance: Random,
    says: str,
    answer: str,
    *,
    tools: Iterable[Mapping[str, object]] = (),
    at_once: bool = False,
    cut_in: bool = False,
    hand_off: str = "",
    fails: bool = False,
) -> Row:
    """The caller thinks, says something, and is answered.

    Args:
        chance: the generator.
        says: what the caller says.
        answer: what the agent says.
        tools: that the model calls before it answers.
        at_once: without a pause, as whoever talks over an answer begins.
        cut_in: the next turn begins while this answer is heard; that one is `at_once`.
        hand_off: the agent of this name answers from now on.
        fails: no answer comes.
    """
    user: Row = {"speech_ms": _spoken_ms(chance, says), "says": says}
    agent: Row = {"speech_ms": _spoken_ms(chance, answer), "first_audio_after_ms": chance.randrange(*FIRST_SOUND_MS, 10), "says": answer}
    if not at_once:
        user["silent_ms"] = chance.randrange(*THINKS_MS, 20)
    if cut_in:
        user["cut_in_after_ms"] = chance.randrange(*CUT_IN_MS, 20)
        agent["speech_ms"] = max(agent["speech_ms"], -(-(user["cut_in_after_ms"] + CUT_MS) // 100) * 100)
    row: Row = {"user": user, "agent": agent}
    if fails:
        agent["fails"] = True
    if hand_off:
        row["hand_off"] = hand_off
    if given := [dict(tool) for tool in tools]:
        row["tools"] = given
    return row


def silence(chance: Random, shortest_ms: int, longest_ms: int) -> Row:
    """The caller says nothing for so long."""
    return {"user": {"speech_ms": 0, "silent_ms": chance.randrange(shortest_ms, longest_ms, 20)}}


def tool(name: str, args: Mapping[str, object], result: object = None, *, takes_ms: int = 40, raises: str | None = None) -> Row:
    """A tool that the model calls: what it is given, and what it gives back or raises."""
    row: Row = {"name": name, "args": dict(args), "takes_ms": takes_ms}
    return row | ({"result": result} if raises is None else {"raises": raises})


def _spoken_ms(chance: Random, text: str) -> int:
    """In whole tenths of a second, as the stand-in's sound comes."""
    ms = len(text) * MS_PER_CHARACTER * chance.uniform(0.85, 1.15)
    return int(min(max(ms, SPEECH_MS[0]), SPEECH_MS[1])) // 100 * 100
