"""What makes each rule fire in its rehearsal, and what takes it away again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from audit.alerts.judging import month_of
from audit.alerts.rules import WINDOWED, Rule
from audit.rehearsal.alerts_stage import Stage
from audit.rehearsal.alerts_traffic import CallShape
from phi_guard.switch import LEAK

DAY: Final = datetime(2026, 3, 10, 9, tzinfo=UTC)
"""When each rule's rehearsal begins on its simulated clock: a Tuesday morning, far from both ends of its month."""
MINUTE: Final = timedelta(minutes=1)


def _fail(rule: Rule, stage: Stage) -> None:
    n = max(rule.min_count, rule.min_bad, 6)
    stage.traffic.send([CallShape(end=_within(number, n), failed=number > 0) for number in range(n)])


def _slow(rule: Rule, stage: Stage) -> None:
    calls = max(math.ceil(rule.min_count / 4), 3)
    slow = min(rule.bar, 60_000.0) * 1.2
    stage.traffic.send([CallShape(end=_within(number, calls), turns=4, ttft_ms=slow) for number in range(calls)])


def _break_tool(rule: Rule, stage: Stage) -> None:
    n = max(math.ceil(max(rule.min_count, rule.min_bad) / 2), 3)
    stage.traffic.send([CallShape(end=_within(number, n), tools=2, tool_failures=2) for number in range(n)])


def _drop(rule: Rule, stage: Stage) -> None:
    dropped = min(200, max(10, math.ceil(4 * rule.bar)))
    stage.traffic.send([CallShape(end=_within(number, 3), dropped=dropped) for number in range(3)])


def _leak(rule: Rule, stage: Stage) -> None:  # noqa: ARG001  # as every cause
    stage.switch.turn_off("rehearsal", LEAK)


def _switch_off(rule: Rule, stage: Stage) -> None:  # noqa: ARG001  # as above
    stage.switch.turn_off("rehearsal")


def _lose_traces(rule: Rule, stage: Stage) -> None:
    stage.ran = max(rule.min_count, 3)


def _spend(rule: Rule, stage: Stage) -> None:
    n = max(rule.min_count, 20)
    each = (min(rule.bar, 1000.0) - rule.fixed_usd + 5) / n
    stage.traffic.send([CallShape(end=_within(number, n), cost_usd=round(each, 4)) for number in range(n)])


def _use_up(rule: Rule, stage: Stage) -> None:
    n = math.ceil(rule.quota * min(rule.bar, 100.0) / 100)
    stage.traffic.send([CallShape(end=DAY - timedelta(seconds=number), bare=True) for number in range(n)])


def _go_down(rule: Rule, stage: Stage) -> None:  # noqa: ARG001  # as above
    stage.down = True


_PROVOKE: Final[Mapping[str, Callable[[Rule, Stage], None]]] = {
    "error_rate": _fail, "ttft_p95": _slow, "tool_failure": _break_tool, "span_drop": _drop, "leak": _leak, "switch_off": _switch_off,
    "no_traces": _lose_traces, "budget": _spend, "plan_quota": _use_up, "stale": _go_down,
}  # fmt: skip


def provoke(rule: Rule, stage: Stage) -> None:
    """Make what a rule watches for, from `DAY` on."""
    _PROVOKE[rule.metric](rule, stage)


def _within(number: int, n: int) -> datetime:
    """Ends of calls, over the four minutes from the begin on."""
    return DAY + timedelta(seconds=1 + 239 * number / n)


def settle(rule: Rule, stage: Stage, fired_at: datetime) -> datetime:
    """Take the cause away; when nothing of it is to be seen any more."""
    gone = fired_at + MINUTE
    if rule.metric in WINDOWED:
        gone = fired_at + timedelta(seconds=rule.window_s) + MINUTE
    elif rule.metric in {"budget", "plan_quota"}:
        gone = month_of(fired_at)[1] + MINUTE
    stage.down = False
    stage.switch.turn_on("rehearsed", release="0" * 64)
    stage.traffic.send([CallShape(end=gone - timedelta(seconds=20 + n)) for n in range(4)])
    return gone
