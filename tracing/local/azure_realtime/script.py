"""What the stand-in will say and do in a call: frozen facts, written before the call begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Say:
    """The model speaks.

    Args:
        text: what it says; sent as the transcript of the audio.
        audio_ms: length of the audio, in milliseconds of playback.
        first_audio_after_ms: from ``response.created`` (or the step before) to the first audio delta.
        chunk_ms: playback length of one audio delta.
        pace_s: seconds between deltas. Azure sends faster than real time; so does the default.

    Raises:
        ValueError: a length or time is out of range.
    """

    text: str
    audio_ms: int = 400
    first_audio_after_ms: int = 200
    chunk_ms: int = 100
    pace_s: float = 0.02

    def __post_init__(self) -> None:
        if self.audio_ms < 1 or self.chunk_ms < 1 or self.first_audio_after_ms < 0 or self.pace_s < 0:
            msg = "Say: audio_ms and chunk_ms are at least 1, first_audio_after_ms and pace_s at least 0"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Call:
    """The model calls a tool.

    Args:
        name: the tool's name.
        args: its arguments, as JSON knows them.
        after_ms: from ``response.created`` (or the step before) to the call.

    Raises:
        ValueError: `args` is not JSON.
    """

    name: str
    args: Mapping[str, object] = field(default_factory=dict)
    after_ms: int = 100

    def __post_init__(self) -> None:
        try:
            json.dumps(dict(self.args))
        except (TypeError, ValueError):
            msg = f"Call {self.name}: args must be JSON; in YAML, put dates in quotes"
            raise ValueError(msg) from None


@dataclass(frozen=True, slots=True)
class Fail:
    """The response ends as failed, as it does when a rate limit is hit, or as incomplete.

    Args:
        code: the error's code on the wire; of an incomplete response its reason, such as ``content_filter``.
        message: the error's text on the wire; an incomplete response has none.
        status: ``failed`` or ``incomplete``.
    """

    code: str = "rate_limit_exceeded"
    message: str = "Rate limit reached"
    status: Literal["failed", "incomplete"] = "failed"


Step: TypeAlias = Say | Call | Fail
Turn: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response. The cached counts are part of the input counts, as on the wire."""

    input_text: int = 80
    input_audio: int = 40
    cached_text: int = 64
    cached_audio: int = 0
    output_text: int = 0
    output_audio: int = 0

    def wire(self) -> dict[str, object]:
        """The usage block of ``response.done``."""
        read, written = self.input_text + self.input_audio, self.output_text + self.output_audio
        return {
            "total_tokens": read + written,
            "input_tokens": read,
            "output_tokens": written,
            "input_token_details": {
                "text_tokens": self.input_text,
                "audio_tokens": self.input_audio,
                "image_tokens": 0,
                "cached_tokens": self.cached_text + self.cached_audio,
                "cached_tokens_details": {"text_tokens": self.cached_text, "audio_tokens": self.cached_audio, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": self.output_text, "audio_tokens": self.output_audio},
        }


IDLE_TURN: Final[Turn] = (Say("All right.", audio_ms=200),)
"""What the model answers once its script is used up."""

IDLE_TRANSCRIPT: Final = "Yes."
"""What the caller is taken to have said once the transcripts are used up."""


@dataclass(frozen=True, slots=True)
class CallScript:
    """One call.

    Args:
        turns: what each response does, in the order of the responses; a greeting and the answer after a tool are responses too.
        transcripts: what the caller said, in the order of the caller's turns.
        usage: tokens by response, in order; a response beyond the end counts its own (see `Usage`).
        key: the ``api-key`` the caller will present, if this script is for that caller alone; it then goes on where it
            stood when that caller connects again. Without a key, scripts are given out in the order of connection.
        created_after_ms: from the end of speech, or the client's request, to ``response.created``.
        stop_again_after_ms: tell the end of each of the caller's turns a second time, so long after the first; None tells it once.
    """

    turns: tuple[Turn, ...] = ()
    transcripts: tuple[str, ...] = ()
    usage: tuple[Usage, ...] = ()
    key: str | None = None
    created_after_ms: int = 0
    stop_again_after_ms: int | None = None


@dataclass(slots=True)
class Cue:
    """How far a script has been played. One cue serves every connection of the same keyed caller."""

    script: CallScript = field(default_factory=CallScript)
    responses: int = 0
    heard: int = 0

    def next_turn(self) -> tuple[Turn, Usage | None]:
        """The steps of the next response, and its tokens if the script sets them."""
        n, self.responses = self.responses, self.responses + 1
        turns, usage = self.script.turns, self.script.usage
        return (turns[n] if n < len(turns) else IDLE_TURN), (usage[n] if n < len(usage) else None)

    def next_transcript(self) -> str:
        """What the caller said in the turn that just ended."""
        n, self.heard = self.heard, self.heard + 1
        return self.script.transcripts[n] if n < len(self.script.transcripts) else IDLE_TRANSCRIPT
