"""Traffic for the rehearsal of alerts: calls of a chosen time and fate, as records of a tracer, cleared by a real gate, sent as traces.

Nothing in them could identify anybody, so the patterns alone look at them: no network has to be loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from phi_guard.detect.patterns import PatternDetector
from phi_guard.errors import PhiGuardError
from phi_guard.gate import Gate
from phi_guard.model import Cleared
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.outbound.sink import Posting
from phi_guard.policy.compiled import Policy
from tracing.identity import new_id
from tracing.record import AgentTurn, AnyRecord, CallClosed, CallEnded, CallOpened, ToolCall, UserTurn
from tracing.relay.span import payload_of

TOOL: Final = "book_appointment"
"""The tool that rehearsed calls use, one of the shipped policy's."""
BATCH: Final = 100
"""Operations of one posting."""
SPANS: Final = 200
"""Spans that a rehearsed call says it offered."""


class TrafficError(PhiGuardError):
    """A rehearsed call was not cleared, so it cannot stand for a real one; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallShape:
    """One rehearsed call.

    Args:
        end: when it ends, UTC; it lasts a minute.
        failed: whether it ends with an error.
        ttft_ms: TTFT-A of each of its turns, milliseconds.
        turns: answers of the agent.
        tools: uses of `TOOL`.
        tool_failures: of them.
        dropped: of `SPANS`, how many were dropped.
        cost_usd: of the call.
        bare: the root alone, for traffic of which only the number counts.
    """

    end: datetime
    failed: bool = False
    ttft_ms: float = 900.0
    turns: int = 2
    tools: int = 1
    tool_failures: int = 0
    dropped: int = 0
    cost_usd: float = 0.03
    bare: bool = False


class Unwitnessed:
    """A witness for rehearsed traces, which go to this machine's own store: nothing is disclosed, so nothing is written down."""

    def intend(self, posting: Posting) -> None:
        """As `Witness.intend`."""

    def settle(self, outcome: str) -> None:
        """As `Witness.settle`."""


class Traffic:
    """Sends calls to a store.

    Args:
        endpoint: of the store, on this machine.
        policy: the gate's.
        project: they go to.
        env: ``dev`` or ``prod``.
    """

    def __init__(self, endpoint: str, policy: Policy, *, project: str, env: str) -> None:
        self._gate = Gate(policy, PatternDetector())
        self._sink = LangSmithSink(endpoint, "rehearsal")
        self._project, self._env = project, env
        self.traces = 0
        """Calls sent so far."""

    def send(self, calls: Sequence[CallShape]) -> None:
        """Send calls, all of them or an error.

        Raises:
            TrafficError: the gate withholds a part of one.
            DeliveryError: the store does not take them.
        """
        waiting: list[Cleared] = []
        for call in calls:
            waiting += self._cleared(call)
            self.traces += 1
            if len(waiting) >= BATCH:
                self._sink.deliver(waiting, Unwitnessed())
                waiting = []
        if waiting:
            self._sink.deliver(waiting, Unwitnessed())

    def close(self) -> None:
        """Close the connections."""
        self._sink.close()

    def _cleared(self, call: CallShape) -> Iterator[Cleared]:
        counts = {"spans_offered": SPANS, "spans_delivered": SPANS - call.dropped, "spans_dropped": call.dropped}
        closing = {**counts, "cost_usd": call.cost_usd}
        for record in records_of(call):
            facts: Mapping[str, object] = closing if isinstance(record, CallClosed) else {}
            outcome = self._gate.clear(payload_of(record, project=self._project, env=self._env, facts=facts))
            if not isinstance(outcome, Cleared):
                msg = f"a rehearsed call is withheld ({outcome.reason}): use a policy that names the tool {TOOL}, such as clinic.yaml"
                raise TrafficError(msg)
            yield outcome


def records_of(call: CallShape) -> tuple[AnyRecord, ...]:
    """What a tracer would record of such a call."""
    trace, end = new_id(), _ns(call.end)
    begin = _ns(call.end - timedelta(minutes=1))
    root = (begin, trace)
    opened = CallOpened(call=trace, id=trace, at=(root,), agent_version="1.4.0")
    if call.bare:
        return (opened,)
    spans: list[AnyRecord] = []
    step = (end - begin) // (2 * (call.turns + call.tools) + 2)
    at = begin

    def below() -> tuple[tuple[int, str], ...]:
        nonlocal at
        at += step
        return (root, (at, new_id()))

    for _ in range(call.turns):
        heard = below()
        spans.append(UserTurn(call=trace, id=heard[-1][1], at=heard, end_ns=heard[-1][0] + step // 2, audio_ms=1200.0, outcome="completed"))
        place = below()
        turn = AgentTurn(
            call=trace, id=place[-1][1], at=place, end_ns=place[-1][0] + step // 2, outcome="answered", ttft_ms=call.ttft_ms,
            ttft_source="azure_events", responses=1, deployment="gpt-4o-realtime", input_audio=200, output_audio=300,
        )  # fmt: skip
        spans.append(turn)
    for number in range(call.tools):
        place = below()
        failed = number < call.tool_failures
        tool = ToolCall(
            call=trace, id=place[-1][1], at=place, end_ns=place[-1][0] + step // 2, tool=TOOL, status="error" if failed else "ok",
            error_type="ToolError" if failed else "", error_message="tool_raised" if failed else "",
        )  # fmt: skip
        spans.append(tool)
    reason = "error" if call.failed else "user_initiated"
    ended = (root, (end, new_id()))
    closed = CallClosed(
        call=trace, id=trace, at=(root,), end_ns=end, reason=reason, offered=SPANS, error_message="session_error" if call.failed else ""
    )
    return (opened, *spans, CallEnded(call=trace, id=ended[-1][1], at=ended, end_ns=end, reason=reason, offered=SPANS), closed)


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000
