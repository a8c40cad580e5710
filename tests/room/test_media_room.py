"""Two real rooms over a media server on loopback: what the agent measures of the media, and what the caller's packet tells it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import struct

import pytest
from livekit import api, rtc
from room.mini_sfu import MiniSfu

from phi_guard.envelope import METADATA
from tracing.media import TOPIC, Media

pytestmark = [pytest.mark.room, pytest.mark.timeout(60)]
RATE = 48_000
TONE = [
    struct.pack("<480h", *(int(8000 * math.sin(2 * math.pi * 300 * (at + n) / RATE)) for n in range(480))) for at in range(0, RATE, 480)
]


async def join(sfu, identity):
    """A real room, speaking a tone."""
    room = rtc.Room()
    grants = api.VideoGrants(room_join=True, room="mini")
    token = api.AccessToken("key", "s" * 32).with_identity(identity).with_grants(grants).to_jwt()
    await room.connect(sfu.url, token)
    source = rtc.AudioSource(RATE, 1)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", source), options)

    async def speak():
        for n in range(100 * 60):
            await source.capture_frame(rtc.AudioFrame(TONE[n % len(TONE)], RATE, 1, 480))

    return room, asyncio.get_running_loop().create_task(speak())


async def measure(sfu, packets, windows):
    """A call in which the caller sends these packets; what the agent's side sums up after so many windows."""
    async with sfu:
        agent, agent_speaks = await join(sfu, "agent")
        media = Media(agent, every_s=1.5)
        media.open()
        caller, caller_speaks = await join(sfu, "caller")
        try:
            async with asyncio.timeout(25):
                while media._agent.windows < windows:
                    await asyncio.sleep(0.1)
                for n, packet in enumerate(packets):
                    await caller.local_participant.publish_data(packet, reliable=True, topic=TOPIC)
                    while media.refused + media._client.windows <= n:
                        await asyncio.sleep(0.05)
            return media.close(), media
        finally:
            for task in (agent_speaks, caller_speaks):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await caller.disconnect()
            await agent.disconnect()


def test_both_sides_of_a_real_call():
    """A server that loses every fifth packet and is 40 ms late: the agent sees the loss and the round trip; the caller's packet arrives."""
    packets = [b'{"v":1,"rtt_ms":61.5,"jitter_ms":2,"loss_pct":0.5}', b"junk"]
    told, media = asyncio.run(measure(MiniSfu(lose_every=5, delay_s=0.04), packets, windows=4))
    assert media.faults == 0
    assert told["agent_media_windows"] >= 4
    assert 40 <= told["agent_rtt_ms_max"] < 2000
    assert 10 <= told["agent_loss_pct_p50"] <= 30
    assert 0 <= told["agent_jitter_ms_max"] < 2000
    assert (told["client_rtt_ms_p50"], told["client_media_windows"], told["client_media_refused"]) == (61.5, 1, 1)
    assert set(told) <= set(METADATA)
