"""What turns the switch off by itself, each made to happen: telemetry that costs too much, and a gate that breaks while it runs."""

from __future__ import annotations

import json
import threading
import time

import msgspec
import pytest
from fakes import call_records

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.errors import DetectorUnavailable
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.livekit_agent import Call
from tracing.own_cost import LAST, LIMIT_NS, SINGLE_MAX, OwnCost
from tracing.record import Batch
from tracing.relay.alerts import Alerts
from tracing.relay.intake import Intake
from tracing.relay.outbox import Outbox
from tracing.relay.trip import BROKEN_MAX, Tripwire

encode = msgspec.msgpack.encode


class Breakable:
    """A real detector until it breaks; then it is gone, as one whose model's memory was taken away."""

    def __init__(self):
        self._whole, self.broken, self.name = PatternDetector(), False, "patterns"

    def find(self, text):
        if self.broken:
            raise DetectorUnavailable("gone")
        return self._whole.find(text)


@pytest.fixture
def detector():
    return Breakable()


@pytest.fixture
def intake(tmp_path, detector):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), detector, key=b"k" * 32)
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    yield Intake(outbox, gate, switch, None, "project", "dev", "relay", trip=Tripwire(switch, Alerts(tmp_path)))
    outbox.close()


def send(intake, records, number):
    raw = [msgspec.Raw(encode(record)) for record in records]
    intake.take(encode(Batch(sender="agent", number=number, records=raw, offered=1000)))


def burn(ns):
    """Cost the thread so much of the processor."""
    end = time.thread_time_ns() + ns
    while time.thread_time_ns() < end:
        pass


def test_a_gate_that_breaks_while_it_runs_trips(intake, detector, tmp_path):
    """Over ten contents withheld because nobody could look at them: off, held, told."""
    send(intake, call_records(tools=3, output="it was moved to the afternoon"), 1)
    assert intake.switch.state().on
    detector.broken = True
    for n in range(2, 2 + BROKEN_MAX + 2):
        send(intake, call_records(tools=1, output="it was moved to the afternoon"), n)
        if not intake.switch.state().on:
            break
    state = intake.switch.state()
    assert (state.on, state.hold) == (False, "gate")
    assert "the gate is broken" in state.reason
    assert n > 3  # one odd record is no broken gate
    assert [json.loads(line)["code"] for line in (tmp_path / "alerts.jsonl").read_text().splitlines()] == ["tripped_gate"]


def test_what_the_policy_withholds_is_no_broken_gate(intake):
    """A refused consent withholds content all day long."""
    for n in range(1, 3 * BROKEN_MAX):
        intake.trip.note_withheld("consent_refused")
        send(intake, call_records(tools=1, output="it was moved to the afternoon"), n)
    assert intake.switch.state().on


def test_an_agent_that_pays_too_much_trips(intake):
    """Three operations over 5 ms of processor time, really burnt, in a minute: told on another thread, off, held for overhead."""
    told = threading.Event()

    def tell(overrun):
        assert intake.answer(encode(overrun), intake.outbox) is None
        told.set()

    cost = OwnCost(tell)
    handler = cost.timed(lambda ns: burn(ns) or "as before")
    for _ in range(50):
        assert handler(0) == "as before"
    for _ in range(SINGLE_MAX - 1):
        handler(LIMIT_NS + 1_000_000)
    assert intake.switch.state().on
    handler(LIMIT_NS + 1_000_000)
    assert told.wait(10)
    state = intake.switch.state()
    assert (state.on, state.hold) == (False, "overhead")
    assert "costs an agent too much: 3 of the last 53 operations over 5000 us" in state.reason


def test_a_thread_that_only_waits_costs_nothing():
    """The time others took of the processor is not ours."""
    told = []
    handler = OwnCost(told.append).timed(time.sleep)
    for _ in range(SINGLE_MAX + 1):
        handler(0.01)
    assert told == []


def test_a_hundredth_of_the_last_thousand_is_too_much_however_slowly_they_come(monkeypatch):
    """Two a minute never make three; the eleventh in a thousand does."""
    told, now = [], [0]
    monkeypatch.setattr("tracing.own_cost.time.monotonic_ns", lambda: now[0])
    cost = OwnCost(told.append)
    for n in range(1, 12):
        assert not told, n
        now[0] += 40_000_000_000
        for _ in range(80):
            cost.note(1000)
        cost.note(LIMIT_NS + 1)
    end = time.monotonic() + 10
    while not told and time.monotonic() < end:
        time.sleep(0.005)
    assert (told[0].slow, told[0].of) == (11, 891)
    for _ in range(LAST):
        cost.note(1000)
    assert (cost._slow, sum(cost._last)) == (0, 0)


def test_an_operation_that_raises_is_counted_and_raises():
    """Nothing of ours comes between."""
    cost = OwnCost(lambda _: None)

    def fail():
        raise KeyError("as before")

    with pytest.raises(KeyError, match="as before"):
        cost.timed(fail)()
    assert len(cost._last) == 1


def test_a_trip_that_cannot_be_told_is_told_again():
    """A relay that is not there, say: with the next one."""
    told = []

    def tell(overrun):
        told.append(overrun)
        if len(told) == 1:
            raise OSError("nobody there")

    cost = OwnCost(tell)
    end = time.monotonic() + 10
    while len(told) < 2 and time.monotonic() < end:
        cost.note(LIMIT_NS + 1)
        time.sleep(0.01)
    assert len(told) == 2


def test_a_slow_handler_of_a_call_is_told():
    """A call made with a watch on its cost tells of handlers that take too long, and calls go on."""

    class Emitter:
        def on(self, name, handler):
            self.handler = handler

    class Nowhere:
        def __getattr__(self, name):
            return lambda *args, **kwargs: None

    def dawdle(event):
        end = time.thread_time_ns() + LIMIT_NS + 1_000_000
        while time.thread_time_ns() < end:
            pass

    told, come = [], threading.Event()

    def tell(overrun):
        told.append(overrun)
        come.set()

    call, emitter = Call(Nowhere(), cost=OwnCost(tell)), Emitter()
    call._subscribe(emitter, "slow", dawdle)
    for _ in range(SINGLE_MAX):
        emitter.handler(object())
    assert come.wait(10)
    assert [overrun.slow for overrun in told] == [SINGLE_MAX]
    assert call.faults == 0
