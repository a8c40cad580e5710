"""Evidence for the alerts, held in memory: calls as the index would count them, and the rest as told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

from audit.alerts import AlertState, evaluate
from audit.alerts.rules import Rule
from audit.calls.index import Rates
from phi_guard.switch import SwitchState

T0 = datetime(2026, 3, 10, 9, tzinfo=UTC)


def minutes(n):
    return timedelta(minutes=n)


@dataclass
class Ended:
    """A call that ended, and when this was known."""

    at: datetime
    failed: bool = False
    uses: int = 0
    broken: int = 0
    ttft: tuple = ()
    offered: int = 20
    dropped: int = 0
    cost: float | None = 0.01
    trace: str = ""
    tool: str = "tool.book_appointment"


@dataclass
class Held:
    """Evidence: `calls` may grow between two looks, and what comes late is simply added late."""

    env: str = "prod"
    project: str = "medical-voice-agent-prod"
    calls: list = field(default_factory=list)
    read_at: datetime | None = T0
    on: bool = True
    hold: str = ""
    found: tuple = ()
    ran: int | None = None

    def rates(self, since, until):
        here = [call for call in self.calls if since <= call.at < until]
        waits = sorted(ms for call in here for ms in call.ttft)
        by_tool = {}
        for call in here:
            if call.uses:
                uses, broken = by_tool.get(call.tool, (0, 0))
                by_tool[call.tool] = (uses + call.uses, broken + call.broken)
        return Rates(
            calls=len(here), failed=sum(call.failed for call in here), turns=len(waits),
            ttft_p95_ms=waits[ceil(0.95 * len(waits)) - 1] if waits else None, tool_uses=sum(call.uses for call in here),
            tool_failures=sum(call.broken for call in here), offered=sum(call.offered for call in here),
            dropped=sum(call.dropped for call in here), started=len(here), cost_usd=sum(call.cost or 0.0 for call in here),
            cost_unknown=sum(call.cost is None for call in here), by_tool=by_tool,
            worst={"error_rate": tuple(call.trace for call in here if call.failed and call.trace)[:5]},
        )  # fmt: skip

    def leaks(self, now):
        return self.found

    def switch(self):
        return SwitchState(on=self.on, reason="told", at="", hold=self.hold)

    def calls_ran(self, since, until):
        return self.ran


def rule(metric="error_rate", **given):
    """A rule with plain settings: five per cent of an hour, as the shipped one."""
    plain = {"name": metric, "bar": 5.0, "window_s": 3600, "min_count": 5, "min_bad": 2, "resolve_bar": 3.0, "sinks": ("slack",)}
    return Rule(metric=metric, **{**plain, **given})


class Looks:
    """One evaluation after another, with what each had to say."""

    def __init__(self, held, *rules, state=None):
        self.held, self.rules, self.state, self.told = held, rules, state or AlertState(), []

    def at(self, now, *, read=True):
        if read:
            self.held.read_at = now
        self.state, events = evaluate(self.rules, self.held, self.state, now)
        self.told += events
        return events

    def every(self, begin, end, step=1):
        """A look each so many minutes; what they said."""
        before = len(self.told)
        while begin < end:
            self.at(begin)
            begin += minutes(step)
        return self.told[before:]

    def states(self):
        return [event.state for event in self.told]
