"""The caller's telephone: a microphone that speaks a tone on request, and a speaker that plays in real time.

Both are real audio ends of an AgentSession; what is imitated is the person, not the session's handling of sound.
"""

from __future__ import annotations

import array
import asyncio
import math
import time
from typing import Final

from livekit import rtc
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

SAMPLE_RATE: Final = 24_000
"""What Azure Realtime takes, so that nothing is resampled on the way."""

FRAME_MS: Final = 20
_FRAME_SAMPLES: Final = SAMPLE_RATE * FRAME_MS // 1000
_SILENCE: Final = bytes(2 * _FRAME_SAMPLES)
_TONE: Final = array.array("h", (int(8000 * math.sin(2 * math.pi * 300 * i / SAMPLE_RATE)) for i in range(_FRAME_SAMPLES))).tobytes()

_MAX_LATE_S: Final = 0.1
"""A reader that fell behind by more than this is not sent the backlog: a line has no memory."""


class Mic(AudioInput):
    """Frames of 20 ms, in real time: a tone while talking, else silence."""

    def __init__(self) -> None:
        super().__init__(label="Mic")
        self._frames_left = 0
        self._due: float | None = None

    def talk(self, ms: int) -> None:
        """Speak for `ms` milliseconds from the next frame on, rounded up to whole frames."""
        self._frames_left = math.ceil(ms / FRAME_MS)

    @property
    def talking(self) -> bool:
        """Whether a part of what was asked for is still to be spoken."""
        return self._frames_left > 0

    async def __anext__(self) -> rtc.AudioFrame:
        now = time.monotonic()
        due = now if self._due is None else max(self._due, now - _MAX_LATE_S)
        self._due = due + FRAME_MS / 1000
        await asyncio.sleep(max(0.0, self._due - now))
        if self._frames_left == 0:
            return rtc.AudioFrame(_SILENCE, SAMPLE_RATE, 1, _FRAME_SAMPLES)
        self._frames_left -= 1
        return rtc.AudioFrame(_TONE, SAMPLE_RATE, 1, _FRAME_SAMPLES)


class Speaker(AudioOutput):
    """Takes audio as fast as it comes and plays it as fast as it sounds.

    Attributes:
        heard_s: seconds of audio played so far; an interrupted answer counts up to where it was cut.
    """

    def __init__(self) -> None:
        super().__init__(label="Speaker", capabilities=AudioOutputCapabilities(pause=False), sample_rate=SAMPLE_RATE)
        self.heard_s = 0.0
        self._segment_s = 0.0
        self._since: float | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._free = asyncio.Event()
        self._free.set()

    @property
    def playing(self) -> bool:
        """Whether an answer is being played."""
        return self._since is not None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await self._free.wait()  # an answer that was flushed may still be sounding
        await super().capture_frame(frame)
        if self._since is None:
            self._since = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self._segment_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._since is not None and self._ending is None:
            self._free.clear()
            left = self._since + self._segment_s - time.monotonic()
            self._ending = asyncio.get_running_loop().call_later(max(0.0, left), self._end, False)

    def clear_buffer(self) -> None:
        if self._since is not None:
            self._end(True)

    def _end(self, interrupted: bool) -> None:
        if self._ending is not None:
            self._ending.cancel()
        since = self._since if self._since is not None else time.monotonic()
        position = min(self._segment_s, time.monotonic() - since) if interrupted else self._segment_s
        self.heard_s += position
        self._segment_s, self._since, self._ending = 0.0, None, None
        self._free.set()
        self.on_playback_finished(playback_position=position, interrupted=interrupted)
