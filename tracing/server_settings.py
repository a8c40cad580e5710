"""What a realtime session's server says it runs, which is not always what was asked for. Reads settings, never instructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

VAD_TYPES: Final = frozenset({"server_vad", "semantic_vad", "azure_semantic_vad"})
"""Ways of voice detection that a trace has a word for; any other is ``unknown``: the gate withholds a span with a word it does not know."""
DAY_MS: Final = 86_400_000.0
"""No length of a call is more than a day; what says so is not believed."""
_NAME_MAX: Final = 64


@dataclass(slots=True)
class ServerSettings:
    """The last word of one session's server.

    Args:
        vad_type: how it detects the end of speech; ``none`` where it does not, ``unknown`` before it has said.
        silence_ms: how long the silence is that ends speech, where it goes by that.
        transcription_model: which model transcribes the caller's audio, where one does.
        manual: the agent ends the caller's turns, by committing them.
    """

    vad_type: str = "unknown"
    silence_ms: float | None = None
    transcription_model: str = ""
    manual: bool = False

    def take(self, event: Mapping[str, object]) -> None:
        """Take a raw ``session.created`` or ``session.updated``, in either dialect; what it does not name stays."""
        session = event.get("session")
        if not isinstance(session, Mapping):
            return
        audio = session.get("audio")
        given = audio.get("input") if isinstance(audio, Mapping) else None
        for place, key in ((session, "input_audio_transcription"), (given, "transcription")):
            if not isinstance(place, Mapping):
                continue
            heard = place.get(key)
            if isinstance(heard, Mapping) and isinstance(heard.get("model"), str):
                self.transcription_model = heard["model"][:_NAME_MAX]
            if "turn_detection" in place:
                self._detects(place["turn_detection"])

    def _detects(self, detection: object) -> None:
        self.manual = detection is None
        if isinstance(detection, Mapping):
            kind = detection.get("type")
            self.vad_type = kind if isinstance(kind, str) and kind in VAD_TYPES else "unknown"
            self.silence_ms = milliseconds(detection.get("silence_duration_ms"))
        else:
            self.vad_type, self.silence_ms = "none" if self.manual else "unknown", None


def milliseconds(value: object) -> float | None:
    """A length or an offset in milliseconds; None of what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= DAY_MS else None
