"""Somebody in a room: a real ``rtc.Room`` that publishes a tone and measures the media it has."""

from __future__ import annotations

import asyncio
import math
import struct
import time
from typing import Final

from livekit import api, rtc

from tracing.media import Media

RATE: Final = 48_000
"""What WebRTC works with, samples a second."""
FRAME: Final = 480
"""Samples of ten milliseconds."""
_TONE: Final = [
    struct.pack(f"<{FRAME}h", *(int(8000 * math.sin(2 * math.pi * 300 * (at + n) / RATE)) for n in range(FRAME)))
    for at in range(0, RATE, FRAME)
]
JOIN_S: Final = 20.0
HANG_UP_S: Final = 5.0


class Guest:
    """Somebody who has joined, speaks, and measures.

    Args:
        room: connected.
        speaking: publishes sound until it is cancelled.
        media: measures.
    """

    def __init__(self, room: rtc.Room, speaking: asyncio.Task[None], media: Media) -> None:
        self.room, self.media = room, media
        self._speaking = speaking

    async def leave(self) -> dict[str, float | str]:
        """Leave the room.

        Returns:
            What was measured, as `tracing.media.Media.close` sums it up.
        """
        told = self.media.close()
        self._speaking.cancel()
        await asyncio.gather(self._speaking, return_exceptions=True)
        # Whoever leaves a server that has gone has left it too.
        await asyncio.gather(asyncio.wait_for(self.room.disconnect(), HANG_UP_S), return_exceptions=True)
        return told


async def join(url: str, room_name: str, identity: str, *, every_s: float = 10.0) -> Guest:
    """Join a room of the media server, speak a tone in it, and measure.

    Args:
        url: of `tracing.local.media_room.server.MediaServer`.
        room_name: whom it meets: guests of one room hear each other.
        identity: in the room.
        every_s: seconds between two readings of the statistics, once the first short windows are had.

    Raises:
        OSError: the server does not answer.
        TimeoutError: it does not let us in.
    """
    room = rtc.Room()
    grants = api.VideoGrants(room_join=True, room=room_name)
    # The server does not check who signs: it lets in whoever reaches it on loopback.
    token = api.AccessToken("loopback", "not-a-secret-not-a-secret-not-a-sec").with_identity(identity).with_grants(grants).to_jwt()
    media = Media(room, every_s=every_s)
    media.open()
    try:
        async with asyncio.timeout(JOIN_S):
            await room.connect(url, token)
            source = rtc.AudioSource(RATE, 1)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", source), options)
    except rtc.ConnectError as fault:
        media.close()
        raise ConnectionError(type(fault).__name__) from None
    except BaseException:
        media.close()
        await room.disconnect()
        raise
    return Guest(room, asyncio.get_running_loop().create_task(_speak(source)), media)


async def _speak(source: rtc.AudioSource) -> None:
    """A tone for ever, frame by frame in real time: the source takes a frame when it has room for it."""
    began = time.monotonic()
    n = 0
    while True:
        await source.capture_frame(rtc.AudioFrame(_TONE[n % len(_TONE)], RATE, 1, FRAME))
        n += 1
        await asyncio.sleep(max(0.0, began + n * FRAME / RATE - time.monotonic()))
