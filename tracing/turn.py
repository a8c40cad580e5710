"""A turn of the caller and a turn of the agent: what is known of each by the time it is told."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """The caller spoke. Times are monotonic nanoseconds; ``audio_ms`` is the speech as the model's voice detection cut it.

    ``outcome`` is ``completed``, or ``open`` and ``reconnected`` where the call or the connection ended before the caller had finished.
    """

    start_ns: int
    end_ns: int
    audio_ms: float | None
    outcome: str = "completed"


@dataclass(slots=True)
class AnswerTurn:
    """The agent's turn, open until its last response is done. Times are monotonic nanoseconds.

    Args:
        key: the span's id.
        start_ns: when the caller stopped speaking, or, for a turn the agent began, when its first response was created.
        origin: ``vad`` (after speech), ``commit`` (after a manual commit), ``text`` (after typed input) or ``agent``.
        source: ``azure_events``, or ``state`` for a turn made out of the session's states.
        created_ns: when the response that sounded first was created.
        asked_ns: when the agent asked for its first response, 0 if the server answered by itself.
        lag_ns: how late the event loop ran around the first sound.
        interrupted: its sound was cut short; once it is told, by the caller.
        active: responses created and not done: when each was created, and whether it is outside the conversation.
        cut: the caller spoke while it was open or heard, or could have without our hearing it.
        tools: when tools ran, as spans that do not touch each other.
        ids: of its responses and of their items.
        last_response: id of the latest response.
        played: id of the latest response whose sound is known to be over.
        told: it has been recorded, and nothing can be added any more.
    """

    key: str
    start_ns: int
    origin: str
    source: str = "azure_events"
    agent_index: int = 0
    deployment: str = ""
    end_ns: int = 0
    outcome: str = ""
    responses: int = 0
    tool_calls: int = 0
    ttft_ns: int | None = None
    created_ns: int = 0
    first_audio_ns: int = 0
    model_ttft_ns: int | None = None
    asked_ns: int = 0
    lag_ns: int | None = None
    interrupted: bool = False
    active: dict[str, tuple[int, bool]] = field(default_factory=dict)
    pending_tools: bool = False
    cut: bool = False
    error_message: str = ""
    transcription_model: str = ""
    tokens: dict[str, int | float] = field(default_factory=dict)
    tools: list[tuple[int, int]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    last_response: str = ""
    played: str = ""
    told: bool = False

    @property
    def greeting_ns(self) -> int | None:
        """From the agent's request to its first sound, where nobody had spoken or typed before."""
        return self.first_audio_ns - self.asked_ns if self.origin == "agent" and self.asked_ns and self.first_audio_ns else None

    @property
    def tool_ns(self) -> int:
        """The time in which at least one tool ran: tools that ran side by side count once."""
        return sum(end - start for start, end in self.tools)

    def add_tool(self, start_ns: int, end_ns: int) -> None:
        """A tool of this turn ran from ``start_ns`` to ``end_ns``."""
        apart = []
        for start, end in self.tools:
            if end < start_ns or end_ns < start:
                apart.append((start, end))
            else:
                start_ns, end_ns = min(start, start_ns), max(end, end_ns)
        self.tools = [*apart, (start_ns, end_ns)]
