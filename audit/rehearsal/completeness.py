"""Whether each call's trace arrived whole, held against what the call's plan must give."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from audit.evidence import Completeness
from audit.rehearsal.expectation import ExpectedTrace
from audit.source import Run
from phi_guard.envelope import TOOL_PREFIX

ONCE: Final = {"session.start": "session_start", "policy.guardrail": "policy_guardrail", "session.end": "session_end"}
"""Spans that each trace holds, and what it is called when one is not there."""
REASONS: Final = (
    "trace", "root", "second_root", "root_open", *ONCE.values(), "agent_turn", "user_turn", "tool", "tool_too_many", "failed_tool"
)  # fmt: skip
"""What a trace can lack, the closed list. ``trace``: there is none, or nothing of it was read. ``root_open``: the root has no end.
``tool_too_many``: a tool span that the plan does not have. ``failed_tool``: not as many tools with an error as the plan has."""


def hold_against(expected: Mapping[str, ExpectedTrace], runs: Iterable[Run], *, without_trace: int = 0) -> Completeness:
    """The traces as they were read, against what their calls must give.

    Args:
        expected: by trace id.
        runs: of any traces; those of others are passed over.
        without_trace: further calls, which the tracer gave no trace: each lacks one.
    """
    by_trace: defaultdict[str, dict[str, Run]] = defaultdict(dict)
    for run in runs:
        if (trace := str(run.get("trace_id"))) in expected:
            by_trace[trace][str(run.get("id"))] = run  # a page can come twice
    lacks = Counter({"trace": without_trace} if without_trace else {})
    complete = 0
    for trace, wanted in expected.items():
        reasons = lacking(tuple(by_trace.get(trace, {}).values()), wanted)
        lacks.update(reasons)
        complete += not reasons
    return Completeness(len(expected) + without_trace, len(by_trace), complete, dict(sorted(lacks.items())))


def lacking(runs: Sequence[Run], expected: ExpectedTrace) -> frozenset[str]:
    """What one trace lacks, by the names of `REASONS`; empty where it is whole."""
    if not runs:
        return frozenset({"trace"})
    names = Counter(str(run.get("name")) for run in runs)
    roots = [run for run in runs if not run.get("parent_run_id")]
    tools = Counter({name: n for name, n in names.items() if name.startswith(TOOL_PREFIX)})
    planned = Counter(expected.tools)
    failed = sum(bool(run.get("error")) for run in runs if str(run.get("name")).startswith(TOOL_PREFIX))
    found = {
        "root": not roots,
        "second_root": len(roots) > 1,
        "root_open": len(roots) == 1 and not roots[0].get("end_time"),
        **{reason: not names[name] for name, reason in ONCE.items()},
        "agent_turn": names["agent_turn"] < max(1, expected.agent_turns_at_least),
        "user_turn": names["user_turn"] < expected.user_turns,
        "tool": bool(planned - tools),
        "tool_too_many": bool(tools - planned),
        "failed_tool": failed != expected.failed_tools,
    }
    return frozenset(reason for reason, lacks in found.items() if lacks)
