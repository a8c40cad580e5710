"""A finished answer is told when its sound is over, in order, and never too late; and how late the loop runs while somebody waits."""

from __future__ import annotations

import asyncio
import time

import pytest

from tracing.lag import TICK_S, LoopLag
from tracing.playback import HELD_MAX, Playback
from tracing.turn import AnswerTurn


def answer(name, **facts):
    facts = {"cut": True, **facts}
    return AnswerTurn(name, 1, "vad", first_audio_ns=2, last_response=name, ids={name, "item-" + name}, **facts)


def play(work):
    """Run with a playback, and give the keys of what was told, with whether each was interrupted."""
    told = []

    async def run():
        playback = Playback(told.append)
        await work(playback, told)
        assert all(turn.told for turn in told)
        return [(turn.key, turn.interrupted) for turn in told]

    return asyncio.run(run())


def test_an_answer_waits_for_the_end_of_its_sound():
    """Its message tells whether it was cut; what came before it is told with it, and in order."""

    async def work(playback, told):
        playback.speaks(True)
        playback.hold(answer("a"))
        playback.hold(answer("b"))
        playback.hold(answer("c"))
        assert told == []
        playback.over({"item-b", "b"}, True)
        assert len(told) == 2
        playback.over({"item-zqxjk"}, True)
        playback.cut("item-c")
        playback.finish()

    assert play(work) == [("a", False), ("b", True), ("c", True)]


def test_an_answer_without_sound_or_already_heard_is_told_at_once():
    """And what was held before it is told first."""

    async def work(playback, told):
        playback.hold(answer("a"))
        playback.hold(AnswerTurn("silent", 1, "vad"))
        assert len(told) == 2
        playback.hold(answer("b", played="b"))
        assert len(told) == 3
        assert playback._timer is None

    assert play(work) == [("a", False), ("silent", False), ("b", False)]


def test_a_preambles_end_is_not_the_answers():
    """A message of an earlier response marks the turn and leaves it held."""

    async def work(playback, told):
        turn = answer("a")
        turn.ids.add("preamble")
        playback.hold(turn)
        playback.over({"preamble"}, True)
        assert told == []
        assert playback.find("a") is turn
        assert playback.find("b") is None
        playback.finish()

    assert play(work) == [("a", True)]


def test_an_answer_cut_short_by_somebody_else_was_not_interrupted():
    """Its message says the same when the call ends, or when the agent stops itself; the caller had said nothing."""

    async def work(playback, told):
        playback.hold(answer("a", cut=False))
        playback.over({"a"}, True)

    assert play(work) == [("a", False)]


def test_an_answer_of_which_nothing_more_is_said_is_told_when_the_agent_is_quiet(monkeypatch):
    """Not while it speaks; and however long it speaks, not later than the limit."""
    monkeypatch.setattr("tracing.playback.LOOK_S", 0.05)

    async def work(playback, told):
        playback.speaks(True)
        playback.hold(answer("a"))
        await asyncio.sleep(0.3)
        assert told == []
        playback.speaks(False)
        await asyncio.sleep(0.3)
        assert len(told) == 1
        assert playback._timer is None
        monkeypatch.setattr("tracing.playback.HELD_S", 0.1)
        playback.speaks(True)
        playback.hold(answer("b"))
        await asyncio.sleep(0.4)

    assert play(work) == [("a", False), ("b", False)]


def test_no_more_than_a_few_answers_are_held():
    """The oldest goes first."""

    async def work(playback, told):
        playback.speaks(True)
        for i in range(HELD_MAX + 2):
            playback.hold(answer(str(i)))
        assert [turn.key for turn in told] == ["0", "1"]
        playback.finish()

    assert len(play(work)) == HELD_MAX + 2


def test_without_a_running_loop_nothing_is_held_and_nothing_measured():
    """There is no timer that could let it go."""
    told = []
    Playback(told.append).hold(answer("a"))
    assert len(told) == 1
    lag = LoopLag()
    lag.watch(time.monotonic_ns())
    assert lag.read(time.monotonic_ns()) is None


@pytest.mark.parametrize("seen_by_tick", [True, False])
def test_a_loop_that_stood_still_is_late_by_that_much(seen_by_tick):
    """Whether or not the timer got its turn before the sound did; a reading ends the watch."""

    async def main():
        lag = LoopLag()
        lag.watch(time.monotonic_ns())
        await asyncio.sleep(2 * TICK_S)
        time.sleep(0.3)  # noqa: ASYNC251  # a loop that stands still is what is tested
        if seen_by_tick:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        late = lag.read(time.monotonic_ns())
        assert lag._timer is None
        assert lag.read(time.monotonic_ns()) is None
        return late / 1e6

    assert asyncio.run(main()) >= 300 - 1000 * TICK_S - 5


def test_a_stall_that_was_over_before_the_sound_is_not_told():
    """Only what delayed the sound counts."""

    async def main():
        lag = LoopLag()
        lag.watch(time.monotonic_ns())
        time.sleep(1.0)  # noqa: ASYNC251  # likewise
        await asyncio.sleep(0.4)
        return lag.read(time.monotonic_ns()) / 1e6

    assert asyncio.run(main()) < 700


def test_a_watch_that_nobody_ends_ends_itself(monkeypatch):
    """A wait that is never answered keeps no timer."""
    monkeypatch.setattr("tracing.lag.LONGEST_S", 0.05)

    async def main():
        lag = LoopLag()
        lag.watch(time.monotonic_ns())
        await asyncio.sleep(0.3)
        return lag._timer

    assert asyncio.run(main()) is None
