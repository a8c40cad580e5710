"""Real rooms over a media server on loopback: what the agent measures of the media, and what the caller's packet tells it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from cli.test_rehearse_command import phi_audit
from fakes import Store

from audit.rehearsal.rooms import Rooms, RoomsError
from phi_guard.envelope import METADATA
from tracing.local.media_room import join
from tracing.local.media_room.server import MediaServer
from tracing.media import TOPIC

pytestmark = [pytest.mark.room, pytest.mark.timeout(170)]


async def measure(server, packets, windows):
    """A call in which the caller sends these packets; what the agent's side sums up after so many windows."""
    async with server:
        agent = await join(server.url, "room", "agent", every_s=1.5)
        caller = await join(server.url, "room", "caller")
        media = agent.media
        try:
            async with asyncio.timeout(25):
                while media._agent.windows < windows:
                    await asyncio.sleep(0.1)
                for n, packet in enumerate(packets):
                    await caller.room.local_participant.publish_data(packet, reliable=True, topic=TOPIC)
                    while media.refused + media._client.windows <= n:
                        await asyncio.sleep(0.05)
        finally:
            await caller.leave()
            told = await agent.leave()
        return told, media


def test_both_sides_of_a_real_call():
    """A server that loses every fifth packet and is 40 ms late: the agent sees the loss and the round trip; the caller's packet arrives."""
    packets = [b'{"v":1,"rtt_ms":61.5,"jitter_ms":2,"loss_pct":0.5}', b"junk"]
    told, media = asyncio.run(measure(MediaServer(lose_every=5, delay_s=0.04), packets, windows=4))
    assert media.faults == 0
    assert told["agent_media_windows"] >= 4
    assert 40 <= told["agent_rtt_ms_max"] < 2000
    assert 10 <= told["agent_loss_pct_p50"] <= 30
    assert 0 <= told["agent_jitter_ms_max"] < 2000
    assert (told["client_rtt_ms_p50"], told["client_media_windows"], told["client_media_refused"]) == (61.5, 1, 1)
    assert set(told) <= set(METADATA)


def test_two_rooms_beside_each_other_do_not_meet():
    """Guests of one room hear each other and nobody else; both sides of both pairs measure what they hear."""

    async def stand(rooms):
        joined = await rooms.join()
        guests = [guest for pair in joined for guest in pair]
        async with asyncio.timeout(30):
            while not all(guest.media._agent.windows for guest in guests):
                await asyncio.sleep(0.1)
        met = [sorted(guest.room.remote_participants) for guest in guests]
        return met, await rooms.leave(joined)

    with Rooms(2) as rooms:
        met, media = asyncio.run(stand(rooms))
    assert met == [["caller-0"], ["agent-0"], ["caller-1"], ["agent-1"]]
    assert [side.windows > 0 and side.rtt_ms is not None for pair in media for side in (pair.agent, pair.caller)] == [True] * 4


def test_the_server_ends_with_whoever_started_it():
    """Its standard input ends, and so does it, by itself."""
    command = [sys.executable, "-m", "tracing.local.media_room"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["url"].startswith("ws://127.0.0.1:")
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_without_aiortc_it_says_what_to_install(tmp_path, monkeypatch):
    """Not a traceback: the extra that brings it."""
    (tmp_path / "aiortc.py").write_text("raise ModuleNotFoundError(\"No module named 'aiortc'\", name='aiortc')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RoomsError, match=r"aiortc.*phi-guard-toolkit\[rooms\]"), Rooms(1):
        pass


@pytest.mark.slow
def test_rooms_stand_beside_rehearsed_calls(tmp_path):
    """A rehearsal with a pair of rooms: what each side measured stands in the evidence, beside traces that come back whole."""
    script, store = tmp_path / "calls.json", Store(tmp_path)
    turn = {"user": {"speech_ms": 1000}, "agent": {"speech_ms": 3000}}
    script.write_text(json.dumps({"calls": [{"turns": [turn, turn]}]}))
    try:
        options = ("--script", str(script), "--rooms", "1", "--no-measure", "--format", "json")
        done = phi_audit("rehearse", *options, "--endpoint", store.url, timeout=160)
    finally:
        store.stop()
    assert done.returncode == 0, done.stderr
    evidence = json.loads(done.stdout)
    assert evidence["completeness"]["complete"] == 1
    (pair,) = evidence["media"]
    for side in (pair["agent"], pair["caller"]):
        assert side["windows"] >= 1
        assert 0 <= side["rtt_ms"] <= side["rtt_ms_max"] < 5000
        assert 0 <= side["loss_pct_max"] <= 100
