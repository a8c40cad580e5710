"""The host fails while calls go on: the relay, the switch; and calls that are many, or large."""

from __future__ import annotations

import signal
import time

import aiohttp
from calls import RESULT, play


def test_relay_killed_mid_call_and_restarted(cell, ground):
    """What it had not acknowledged stays with the agent, what it had stored with the outbox."""

    def kill():
        ground.relay.kill()
        cell.facts["killed"] = True

    cell.play(during=kill)
    assert cell.facts["killed"]
    ground.restart()
    cell.mended()
    cell.end()


def test_relay_stopped_then_continued(cell, ground):
    """SIGSTOP: it is there and does nothing. Records wait with the agent."""
    process = ground.relay.handle.process
    cell.play(during=lambda: process.send_signal(signal.SIGSTOP))
    assert cell.recorder.tally().pending
    process.send_signal(signal.SIGCONT)
    cell.mended()
    cell.end()


def test_tool_result_of_5_mb(cell, monkeypatch):
    """It is cut before it leaves the agent's thread; what is left goes through the policy."""
    # The model echoes the item, and LiveKit's client would close on a message of more than 4 MiB, tracer or no tracer.
    connect = aiohttp.ClientSession.ws_connect
    monkeypatch.setattr(aiohttp.ClientSession, "ws_connect", lambda self, *a, **how: connect(self, *a, **how | {"max_msg_size": 0}))
    notes = f"{RESULT} " * (5_000_000 // (len(RESULT) + 1))
    cell.play(calls=3, result={"confirmation_id": "CONF-1234", "patient_name": RESULT, "notes": notes})
    cell.mended(150.0)
    cell.end(passes=False)  # half a JSON document is text, and is redacted as one


def test_switch_flipped_under_load(cell, ground):
    """Off and on while calls go on: what comes while it is off is counted and let go, the rest is delivered."""
    switch = ground.relay.switch

    def flip():
        for _ in range(6):
            switch.turn_off("a test")
            time.sleep(0.3)
            switch.turn_on("a test")
            time.sleep(0.15)

    try:
        cell.play(during=flip)
    finally:
        switch.turn_on("a test")
    cell.mended()
    cell.end(dropped=("switch_off",), passes=False)  # the booking may have come while it was off


def test_50_calls_at_once(cell, ground):
    """Fifty sessions in one process, each with its caller and its model on the same two processors."""
    cell.play(calls=50, turns=1)
    cell.mended(120.0)
    cell.end()


def test_the_meter_sees_what_blocks():
    """A recorder that waits is seen by the clock and not by the processor's time; one that works is seen by both."""

    class Slow:
        def __init__(self, act):
            self.act, self.seen = act, 0

        def record(self, record):
            self.act()

        def open_call(self, call):
            pass

        close_call = open_call

        def tally(self):
            pass

    def work():
        end = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < end:
            pass

    for act, cpu in ((lambda: time.sleep(0.002), False), (work, True)):
        _, meter = play(Slow(act), calls=1, turns=1)
        cost = meter.figures()["record"]
        assert cost["p50"] > 2000
        assert (cost["cpu_p99"] > 1900) is cpu
        assert cost["cpu_n"] == cost["n"]
        assert cpu or cost["ours_p99"] > 2000  # who waits is not taken for one from whom the processor was taken
