"""The frozen rows: a call, a turn, the use of a tool. What a trace holds that does not have its closed shape is not in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure of the media over the windows of a call; None where it was not measured."""

    p50: float | None = None
    p95: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """What one side measured of the media.

    Args:
        windows: measured windows, ten seconds each; 0 where nothing was measured.
        worst: ``excellent``, ``good``, ``poor``, ``lost``, ``unknown``, or empty.
        rtt_ms: round-trip time, milliseconds.
        jitter_ms: jitter, milliseconds.
        loss_pct: packets lost, per cent.
    """

    windows: int = 0
    worst: str = ""
    rtt_ms: Spread = Spread()
    jitter_ms: Spread = Spread()
    loss_pct: Spread = Spread()


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the root of a trace and what follows from its spans.

    Args:
        trace_id: UUID.
        project: name of its project; empty where the source does not say.
        env: ``dev``, ``prod`` or empty.
        start: when it began, UTC; where no root has come, when its first span did.
        end: when it ended, or None: still going on, or its end has not come.
        reason: why it ended, a closed word such as ``user_initiated`` or ``agent_lost``; empty while it has no end.
        error: ``<class>: <code>`` of the call itself, or empty.
        consent: ``granted``, ``refused``, ``not_asked`` or empty.
        agent_version: of the agent, or empty.
        policy_digest: of the policy that cleared it, or empty.
        user_turns: user_turn spans.
        agent_turns: agent_turn spans.
        tools: uses of tools.
        tool_errors: of those, how many failed.
        errors: spans of the trace with an error, the root's among them.
        ttft_p95_ms: 95th percentile (nearest rank) of TTFT-A over its answered turns; None without one.
        ttft_max_ms: the longest.
        cost_usd: of the call as its root reports it; None where it is not known.
        cost_unknown: whether some turn's price is not known.
        offered: spans that the tracer offered, as the end reports; None where it does not.
        delivered: of them, delivered when the end was told.
        withheld: of them, sent without their content.
        dropped: of them, dropped.
        interruptions: turns that the caller interrupted.
        reconnects: times the model's connection was made anew.
        redactions: how often the policy redacted each field; ``unknown`` for fields nobody named.
        agent_media: as the agent measured it.
        client_media: as the caller's side measured it.
        sampling_rate: chance with which it was sent, as its end reports; None where nothing was sampled, or it has no end.
    """

    trace_id: str
    project: str = ""
    env: str = ""
    start: datetime | None = None
    end: datetime | None = None
    reason: str = ""
    error: str = ""
    consent: str = ""
    agent_version: str = ""
    policy_digest: str = ""
    user_turns: int = 0
    agent_turns: int = 0
    tools: int = 0
    tool_errors: int = 0
    errors: int = 0
    ttft_p95_ms: float | None = None
    ttft_max_ms: float | None = None
    cost_usd: float | None = None
    cost_unknown: bool = False
    offered: int | None = None
    delivered: int | None = None
    withheld: int | None = None
    dropped: int | None = None
    interruptions: int = 0
    reconnects: int = 0
    redactions: Mapping[str, int] = field(default_factory=dict)
    agent_media: Media = Media()
    client_media: Media = Media()
    sampling_rate: float | None = None

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None while one of them is not known."""
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds()

    @property
    def failed(self) -> bool:
        """Whether it failed: it has an error of its own, ended for one, or its agent was lost. A tool's error alone is no failed call."""
        return bool(self.error) or self.reason in {"error", "agent_lost"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One user_turn or agent_turn.

    Args:
        run_id: of its span.
        trace_id: of its call.
        speaker: ``user`` or ``agent``.
        start: when it began, UTC; of an agent's turn, when the caller stopped speaking.
        end: when it ended.
        outcome: a closed word such as ``answered``, ``interrupted`` or ``failed``; or empty.
        error: ``<class>: <code>``, or empty.
        audio_ms: milliseconds of speech.
        ttft_ms: TTFT-A: milliseconds from the end of the caller's speech to the first sound of the answer.
        ttft_model_ms: the part of it that the model took.
        tool_ms: the part of it in which tools ran.
        lag_ms: how late the agent's event loop was in it.
        input_tokens: read by the model.
        output_tokens: written by it.
        cost_usd: US dollars; None where not known.
        handoff: whether the call was handed to another agent in it.
    """

    run_id: str
    trace_id: str
    speaker: str
    start: datetime | None = None
    end: datetime | None = None
    outcome: str = ""
    error: str = ""
    audio_ms: float | None = None
    ttft_ms: float | None = None
    ttft_model_ms: float | None = None
    tool_ms: float | None = None
    lag_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    handoff: bool = False


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One use of a tool.

    Args:
        run_id: of its span.
        trace_id: of its call.
        turn_id: run id of the agent_turn it stands under, or empty.
        tool: its closed span name, such as ``tool.book_appointment``; ``tool.unknown`` for one the policy does not name.
        start: when it began, UTC.
        end: when it ended.
        status: ``ok``, ``error``, ``cancelled`` or empty.
        error: ``<class>: <code>``, or empty.
        withheld: why its content was withheld, a closed code; or empty.
    """

    run_id: str
    trace_id: str
    turn_id: str
    tool: str
    start: datetime | None = None
    end: datetime | None = None
    status: str = ""
    error: str = ""
    withheld: str = ""

    @property
    def failed(self) -> bool:
        """Whether it failed."""
        return bool(self.error) or self.status == "error"

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end."""
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds() * 1000
