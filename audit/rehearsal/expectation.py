"""What a call's trace must hold, out of the plan alone: a trace that lacks any of it is incomplete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from audit.rehearsal.script import PlannedCall
from phi_guard.envelope import TOOL_PREFIX, UNKNOWN_TOOL

HAND_OFF: Final = "hand_off_to_"
"""Before the other agent's name: the tool by which an agent hands over."""


@dataclass(frozen=True, slots=True)
class ExpectedTrace:
    """The spans that one call gives when nothing is lost.

    Args:
        tools: how many spans of each name, such as ``tool.book_appointment``: exactly so many.
        failed_tools: of them, those whose tool raised.
        hand_offs: of them, those that gave the call to another agent; ``session.end`` counts as many.
        user_turns: spans ``user_turn``, exactly: a caller who says nothing has none.
        agent_turns_at_least: spans ``agent_turn``: one for each turn of the caller's, and one for the greeting. More are no fault.
        barge_ins: answers that the caller means to talk over; ``session.end`` counts at most as many, since one may have ended before.
    """

    tools: Mapping[str, int]
    failed_tools: int
    hand_offs: int
    user_turns: int
    agent_turns_at_least: int
    barge_ins: int


def expect(call: PlannedCall, named: Collection[str] | None = None) -> ExpectedTrace:
    """The trace that a call must give when it is played to its end.

    Args:
        call: as it is planned.
        named: the tools that the policy names (``Policy.tools``): any other leaves as ``tool.unknown``. None takes every name for named.
    """
    spoken = [turn for turn in call.turns if turn.speech_ms]
    called = [tool.name for turn in spoken for tool in turn.tools] + [HAND_OFF + turn.hand_off for turn in spoken if turn.hand_off]
    known = [TOOL_PREFIX + name if named is None or name in named else UNKNOWN_TOOL for name in called]
    return ExpectedTrace(
        tools=dict(sorted(Counter(known).items())),
        failed_tools=sum(tool.raises is not None for turn in spoken for tool in turn.tools),
        hand_offs=sum(bool(turn.hand_off) for turn in spoken),
        user_turns=len(spoken),
        agent_turns_at_least=len(spoken) + call.greets,
        barge_ins=sum(turn.cut_in_after_ms is not None for turn in spoken[:-1]),
    )
