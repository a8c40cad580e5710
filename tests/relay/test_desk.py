"""The relay hears everybody while it looks at one agent's texts, and takes what waits from one agent after the other."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest
import zmq
from fakes import call_records, until

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.record import Ack, Batch
from tracing.relay import desk as desk_module
from tracing.relay.desk import Desk, Queue
from tracing.relay.intake import Intake
from tracing.relay.messages import Answer, Ask
from tracing.relay.order import OWED_MAX, Order
from tracing.relay.outbox import Outbox

HERE = "relay"
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Held(PatternDetector):
    """Patterns that look for as long as they are held."""

    def __init__(self):
        super().__init__()
        self.go, self.at_it = threading.Event(), threading.Event()

    def find(self, text):
        self.at_it.set()
        assert self.go.wait(30)
        return super().find(text)


class Place:
    """A relay's desk on a socket, with a detector that is held."""

    def __init__(self, tmp_path):
        switch = FileSwitch(tmp_path / "switch.json")
        switch.turn_on("a test")
        self.detector = Held()
        gate = Gate(load_policy(shipped("clinic.yaml")), self.detector, key=b"k" * 32)
        path = tmp_path / "outbox.sqlite3"
        self.intake = Intake(Outbox(path), gate, switch, None, "project", "dev", HERE)
        self.context = zmq.Context()
        router = self.context.socket(zmq.ROUTER)
        router.bind("inproc://relay")
        self.over, self.ended, self._sockets = False, None, [router]
        self._thread = threading.Thread(target=self._listen, args=(router, path))
        self._thread.start()

    def _listen(self, router, path):
        answers = Outbox(path)
        self.desk = Desk(router, self.context, self.intake, answers, path.parent)
        self.ended = self.desk.listen(lambda: self.over)
        answers.close()

    def agent(self):
        socket = self.context.socket(zmq.DEALER)
        socket.connect("inproc://relay")
        self._sockets.append(socket)
        return socket

    def stop(self):
        self.over = True
        self._thread.join(20)
        return self.ended

    def close(self):
        self.detector.go.set()
        self.stop()
        until(lambda: not any(thread.name == "phi-guard-intake" for thread in threading.enumerate()))
        for socket in (*self._sockets, self.desk._told, self.desk._replies):
            socket.close(linger=0)
        self.context.term()
        self.intake.outbox.close()


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    place.close()


def batch(sender, number=1, records=(), calls=()):
    raw = [msgspec.Raw(encode(record)) for record in records]
    return encode(Batch(sender=sender, number=number, records=raw, offered=len(raw), open_calls=list(calls)))


def said(socket, kind, seconds=10):
    assert socket.poll(int(seconds * 1000)), "nothing was said"
    return decode(socket.recv(), type=kind)


SLOW = '{"reason_for_visit": "my knee is sore, please call 415-555-0172"}'


def test_who_asks_is_answered_while_texts_are_looked_at(place):
    """A health check that times out would look like a dead relay."""
    busy, asking = place.agent(), place.agent()
    busy.send(batch("busy", records=call_records(argument=SLOW)))
    assert place.detector.at_it.wait(10)
    asking.send(encode(Ask()))
    assert said(asking, Answer).ledger.adds_up
    assert not busy.poll(0)
    place.detector.go.set()
    assert said(busy, Ack).number == 1
    asking.send(encode(Ask()))
    assert said(asking, Answer).ledger.pending == 7


def test_an_agent_is_heard_while_anothers_texts_are_looked_at(place, monkeypatch):
    """Its beats count when they come, and not when somebody has time for them; so its call goes on."""
    monkeypatch.setattr("tracing.relay.presence.LOST_S", 1.0)
    records = call_records(finished=False)[:3]
    call = records[0].call
    talking, busy = place.agent(), place.agent()
    talking.send(batch("talking", records=records, calls=[call]))
    assert said(talking, Ack).number == 1
    busy.send(batch("busy", records=call_records(argument=SLOW)))
    assert place.detector.at_it.wait(10)
    for _ in range(8):
        talking.send(batch("talking", 0, calls=[call]))
        time.sleep(0.2)
    assert place.intake.outbox.presence.silent_s("talking") < 1.0
    place.detector.go.set()
    assert said(busy, Ack).number == 1
    assert not place.intake.outbox.presence.is_lost(call, "talking", all_told=True, now=time.monotonic())


def test_a_lost_agent_is_ended_only_when_all_it_said_is_stored(tmp_path):
    """What waits may be the end of its call."""
    place = Place(tmp_path)
    try:
        records = call_records(finished=False)[:3]
        place.over = True
        place.stop()
        place.intake.take(batch("gone", records=records, calls=[records[0].call]))
        later = time.monotonic() + 1000.0
        place.intake.end_lost(later, {"gone"})
        assert place.intake.outbox.open_calls()
        place.intake.end_lost(later)
        assert not place.intake.outbox.open_calls()
    finally:
        place.close()


def test_a_relay_that_is_told_to_stop_does_not_wait_for_long_texts(place, monkeypatch):
    """What they had is not acknowledged, and comes again."""
    monkeypatch.setattr(desk_module, "HAND_S", 0.2)
    busy = place.agent()
    busy.send(batch("busy", records=call_records(argument=SLOW)))
    assert place.detector.at_it.wait(10)
    assert place.stop() is False
    assert not busy.poll(0)


def test_agents_wait_in_turn_and_each_in_its_order():
    """One with much to say does not stand before all others."""
    queue = Queue()
    for number in range(1, 4):
        queue.put("much", number, b"m", b"m%d" % number)
    queue.put("little", 1, b"l", b"l1")
    assert queue.senders() == {"much", "little"}
    assert [queue.take(0)[1] for _ in range(4)] == [b"m1", b"l1", b"m2", b"m3"]
    assert queue.take(0) is None


def test_what_waits_is_not_kept_twice_and_has_a_bound(monkeypatch):
    """Sent again over a new connection, it is answered there; beyond the bound it stays with the agent."""
    queue = Queue()
    queue.put("a", 1, b"old", b"12345")
    queue.put("a", 1, b"new", b"12345")
    monkeypatch.setattr(desk_module, "WAITING_BYTES", 8)
    queue.put("a", 2, b"new", b"12345")
    queue.put("b", 1, b"new", b"12345")
    assert queue.senders() == {"a"}
    assert queue.take(0) == (b"new", b"12345")
    assert queue.take(0) is None
    queue.put("b", 1, b"new", b"12345")
    assert queue.take(0) == (b"new", b"12345")


def test_order_knows_what_is_owed():
    """Passed over or not stored; and a relay that has just begun gives the earlier ones a moment."""
    order = Order()
    assert not order.hear("a", 1, 0.0)
    assert order.hear("a", 2, 0.0)
    order.store("a", 1)
    assert not order.hear("a", 2, 0.0)
    order.store("a", 2)
    assert order.hear("a", 4, 0.0)
    order.hear("a", 3, 0.0)
    order.store("a", 3)
    assert not order.hear("a", 4, 0.0)
    assert order.hear("young", 7, 10.0)
    order.store("young", 7)
    assert not order.hear("young", 8, 20.0)
    order.hear("wild", 1, 0.0)
    order.hear("wild", 2**62, 0.0)
    assert len(order._lines["wild"].owed) <= OWED_MAX
