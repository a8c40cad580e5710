"""The closed list of what a call's tracer can say, as structs for the wire between the agent and its relay.

A record is one operation on one span. There is no field for a transcript, for audio, for a recording's address or for an exception's
text; `ToolCall.arguments` and `ToolCall.output` are the only fields that can hold a patient's data, and they go through the policy.
Each record is complete by itself, so the relay can be killed and restarted between any two.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""What SQLite's integers hold. Such bounds are checked where a record is decoded, in the relay; making a record checks nothing."""
Place = Annotated[tuple[tuple[Count, Name], ...], msgspec.Meta(min_length=1, max_length=4)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="is"):
    """What every record says.

    Args:
        call: trace id of the call, a random uuid.
        id: span id, a random uuid; the same id again is the same operation sent again.
        at: where the span stands: ``(start in ns since 1970, span id)`` from the root down to this span.
        end_ns: when it ended, ns since 1970; 0 while it is open.
    """

    call: Name
    id: Name
    at: Place
    end_ns: Count = 0

    @property
    def start_ns(self) -> int:
        """When the span began, ns since 1970."""
        return self.at[-1][0]


class CallOpened(Record, frozen=True, kw_only=True, omit_defaults=True, tag="call_opened"):
    """The root ``voice_session``, created when the tracer is attached."""

    room_sid: str = ""
    participant_sid: str = ""
    agent_version: str = ""


class SessionStarted(Record, frozen=True, kw_only=True, omit_defaults=True, tag="session_started"):
    """``session.start``: the agent session is up."""


class Consent(Record, frozen=True, kw_only=True, omit_defaults=True, tag="consent"):
    """``policy.guardrail``, created with the consent that was given."""

    consent: str
    consent_version: str = ""


class UserTurn(Record, frozen=True, kw_only=True, omit_defaults=True, tag="user_turn"):
    """``user_turn``: the caller spoke. ``audio_ms`` is what the model's voice detection cut out, its padding and silence included."""

    audio_ms: float | None = None
    outcome: str = ""


class AgentTurn(Record, frozen=True, kw_only=True, omit_defaults=True, tag="agent_turn"):
    """``agent_turn``: the agent answered, with the sums over all its responses. Milliseconds and token counts.

    Args:
        agent_index: which agent of the session answered, counted from 0 by hand-offs.
        interrupted: the caller broke in while the answer was heard, even if the model had long finished it.
        loop_lag_ms: how late the event loop was around the first sound, which is in ``ttft_ms`` too.
        greeting_ms: for a turn the agent began: from the request for a response to its first sound.
        ttft_source: ``azure_events``, or ``state`` where the model tells no events and the agent's states had to do.
        transcription_s: the caller's audio that another model transcribed and billed apart, seconds; or its tokens, beside it.
    """

    outcome: str
    origin: str = "vad"
    agent_index: int = 0
    interrupted: bool = False
    loop_lag_ms: float | None = None
    greeting_ms: float | None = None
    ttft_ms: float | None = None
    ttft_source: str = ""
    ttft_model_ms: float | None = None
    first_audio_ns: int = 0
    tool_ms: float = 0.0
    responses: int = 0
    tool_calls: int = 0
    deployment: str = ""
    input_text: int = 0
    input_audio: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    output_text: int = 0
    output_audio: int = 0
    input_image: int = 0
    cached_image: int = 0
    transcription_model: str = ""
    transcription_s: float = 0.0
    transcription_input: int = 0
    transcription_output: int = 0
    error_message: str = ""


class ToolCall(Record, frozen=True, kw_only=True, omit_defaults=True, tag="tool_call"):
    """``tool.<name>``: one call of one tool. ``arguments`` and ``output`` are raw, cut to `TOOL_TEXT_MAX` characters each.

    Args:
        status: ``ok``, ``error`` or ``cancelled``.
        arguments_cut: characters that were cut off; likewise ``output_cut``.
        handoff: the tool gave the call to another agent.
    """

    tool: str
    status: str
    arguments: str = ""
    output: str = ""
    arguments_cut: int = 0
    output_cut: int = 0
    handoff: bool = False
    error_type: str = ""
    error_message: str = ""


class CallEnded(Record, frozen=True, kw_only=True, omit_defaults=True, tag="call_ended"):
    """``session.end``: why the call ended, and what the agent's side had counted by then."""

    reason: str
    turns: int = 0
    errors: int = 0
    interruptions: int = 0
    handoffs: int = 0
    reconnects: int = 0
    offered: int = 0
    dropped: int = 0


class GuardrailClosed(Record, frozen=True, kw_only=True, omit_defaults=True, tag="guardrail_closed"):
    """The end of ``policy.guardrail``: the relay adds what the policy did in this call, by field."""

    consent: str
    consent_version: str = ""


class CallClosed(Record, frozen=True, kw_only=True, omit_defaults=True, tag="call_closed"):
    """The end of the root: the relay adds cost and counts.

    Args:
        media: the summary of what `tracing.media` saw, by metadata key: numbers alone, and the worst quality as a word.
    """

    reason: str
    room_sid: str = ""
    participant_sid: str = ""
    agent_version: str = ""
    vad_type: str = ""
    silence_ms: float | None = None
    media: Annotated[dict[Name, float | Name], msgspec.Meta(max_length=40)] = {}
    offered: int = 0
    error_message: str = ""


AnyRecord = (
    CallOpened | SessionStarted | Consent | UserTurn | AgentTurn | ToolCall | CallEnded | GuardrailClosed | CallClosed
)  # what the relay's decoder accepts; anything else on the wire is refused and counted

TOOL_TEXT_MAX = 64_000
"""Characters of a tool's arguments, and of its output, that go to the relay."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What crosses the socket: encoded records of one recorder, in order.

    Args:
        sender: random id of the recorder, so that a number is known to be its.
        number: counts up by one for each batch; a batch sent again keeps its number.
        records: each the encoding of one `AnyRecord`.
        dropped: records this recorder had to drop since it began, by reason; cumulative.
        offered: records it was offered since it began; cumulative.
        open_calls: trace ids that are still going on, so that a sender's death can be noticed.
        acked: records a relay has acknowledged since this recorder began; cumulative.
    """

    sender: Name
    number: Count
    records: list[msgspec.Raw]
    offered: Count = 0
    dropped: dict[Name, Count] = {}
    open_calls: list[str] = []
    acked: Count | None = None


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The relay has stored batch ``number``: the recorder may forget it."""

    number: int
