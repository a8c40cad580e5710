"""The telephone keeps time: what is spoken lasts as long as it sounds, and so does what is played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from livekit import rtc

from tracing.local.telephone import SAMPLE_RATE, Mic, Speaker

FRAME = rtc.AudioFrame(bytes(2 * SAMPLE_RATE // 10), SAMPLE_RATE, 1, SAMPLE_RATE // 10)  # 100 ms


def timed(work: Coroutine[Any, Any, Any]) -> tuple[Any, float]:
    """The result of `work` and the seconds it took."""

    async def run() -> tuple[Any, float]:
        began = time.monotonic()
        return await work, time.monotonic() - began

    return asyncio.run(run())


def test_the_microphone_speaks_in_real_time_then_is_silent() -> None:
    """50 ms of talk are three frames of tone, then silence; ten frames take 200 ms."""

    async def listen() -> list[bool]:
        mic = Mic()
        mic.talk(50)
        return [any(bytes((await mic.__anext__()).data)) for _ in range(10)]

    loud, took = timed(listen())
    assert loud == [True] * 3 + [False] * 7
    assert 0.19 < took < 0.6


def test_a_reader_that_fell_behind_is_not_sent_the_backlog() -> None:
    """After a stall of 300 ms at most 100 ms are made up for."""

    async def stall() -> int:
        mic = Mic()
        await mic.__anext__()
        time.sleep(0.3)  # noqa: ASYNC251 - the loop itself stands still
        began, made_up = time.monotonic(), 0
        while time.monotonic() - began < 0.01:
            await mic.__anext__()
            made_up += 1
        return made_up

    assert timed(stall())[0] <= 6


def test_an_answer_is_played_as_long_as_it_sounds() -> None:
    """300 ms handed over at once are finished 300 ms later, whole."""

    async def play() -> Any:
        speaker = Speaker()
        for _ in range(3):
            await speaker.capture_frame(FRAME)
        speaker.flush()
        assert speaker.playing
        event = await speaker.wait_for_playout()
        assert not speaker.playing
        assert speaker.heard_s == pytest.approx(0.3)
        return event

    event, took = timed(play())
    assert (event.interrupted, event.playback_position) == (False, pytest.approx(0.3))
    assert 0.29 < took < 0.6


def test_an_interrupted_answer_counts_up_to_the_cut() -> None:
    """Cleared after 100 ms, flushed or not, it was heard for 100 ms and is over."""

    async def play(flushed: bool) -> Any:
        speaker = Speaker()
        for _ in range(10):
            await speaker.capture_frame(FRAME)
        if flushed:
            speaker.flush()
        await asyncio.sleep(0.1)
        speaker.clear_buffer()
        return await speaker.wait_for_playout()

    for flushed in (True, False):
        event, _ = timed(play(flushed))
        assert event.interrupted
        assert 0.09 < event.playback_position < 0.4


def test_the_next_answer_waits_for_the_one_before() -> None:
    """Two answers handed over at once are played one after the other, and both are reported."""

    async def play() -> int:
        speaker = Speaker()
        ended: list[Any] = []
        speaker.on("playback_finished", ended.append)
        for _ in range(2):
            await speaker.capture_frame(FRAME)
            speaker.flush()
        await speaker.wait_for_playout()
        return len(ended)

    ended, took = timed(play())
    assert ended == 2
    assert took > 0.19
