"""What the hot path is made of: no lock while something is encoded, order, bounds, and no record uncounted whatever runs at once."""

from __future__ import annotations

import os
import sys
import threading
import time
import uuid

import msgspec
import pytest
import zmq
from fakes import call_records, until

from tracing.flight import BACKOFF_MAX_S, OVERTAKEN_S, Flight
from tracing.identity import new_id, prepare_ids
from tracing.record import Ack, AnyRecord, Batch
from tracing.recorder import BATCH_BYTES, IN_FLIGHT, Recorder

RECORD = call_records()[3]


def numbered(n, **texts):
    """A tool's record that says which it is."""
    return msgspec.structs.replace(RECORD, tool=str(n), **texts)


@pytest.fixture
def address(tmp_path):
    return f"ipc://{tmp_path / 's'}"


@pytest.fixture
def quick_switches():
    """Threads take turns a hundred times as often, so that what is not safe between them shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(before)


class Relay(threading.Thread):
    """A relay of a thread: acknowledges everything, or keeps silent about what it is told to."""

    def __init__(self, address, silent=lambda batch: False):
        super().__init__(daemon=True)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(address)
        self.silent, self.done = silent, threading.Event()
        self.sizes, self.numbers, self.records = [], [], {}
        self.start()

    def run(self):
        decode = msgspec.msgpack.Decoder(AnyRecord).decode
        while not self.done.is_set():
            if not self.socket.poll(20):
                continue
            peer, data = self.socket.recv_multipart()
            batch = msgspec.msgpack.decode(data, type=Batch)
            if not batch.number:
                continue
            self.sizes.append(len(data))
            self.numbers.append(batch.number)
            if not self.silent(batch):
                self.records.setdefault(batch.number, [decode(raw) for raw in batch.records])
                self.socket.send_multipart([peer, msgspec.msgpack.encode(Ack(number=batch.number))])

    def told(self):
        """What was acknowledged, in the order of the batches, each once."""
        return [int(record.tool) for number in sorted(self.records) for record in self.records[number]]

    def close(self):
        self.done.set()
        self.join()
        self.socket.close()
        self.context.term()


class Slow:
    """An encoder that says when it is at work, and goes on when it is let."""

    def __init__(self):
        self.at_work, self.go_on = threading.Event(), threading.Event()
        self.encode = msgspec.msgpack.Encoder().encode

    def __call__(self, what):
        self.at_work.set()
        self.go_on.wait(10)
        return self.encode(what)


def test_nobody_waits_for_a_record_that_is_being_encoded(address):
    """While the thread is in the encoder: record, count, open and close calls, refuse; all of it at once, and counted right."""
    recorder, slow = Recorder(address, items_max=10), Slow()
    recorder._encode = slow
    recorder.record(RECORD)
    assert slow.at_work.wait(5)
    done = []

    def everything():
        for _ in range(20):
            recorder.record(RECORD)
        recorder.open_call("c")
        recorder.close_call("c")
        done.append(recorder.tally())

    caller = threading.Thread(target=everything, daemon=True)
    caller.start()
    caller.join(5)
    told = list(done)
    slow.go_on.set()
    recorder.close()
    assert [(tally.offered, tally.pending, tally.dropped) for tally in told] == [(21, 11, {"queue_full": 10})]


def test_records_of_many_threads_arrive_in_each_ones_order_and_none_is_lost(address, quick_switches):
    """While others count, open and close calls all the time."""
    relay, recorder = Relay(address), Recorder(address)
    over, wrong = threading.Event(), []

    def count():
        last = 0
        while not over.is_set():
            tally = recorder.tally()
            if tally.offered < last or tally.offered != tally.acked + tally.pending + sum(tally.dropped.values()):
                wrong.append(tally)
            last = tally.offered
            recorder.open_call("c")
            recorder.close_call("c")

    def say(start):
        for n in range(start, start + 3000):
            recorder.record(numbered(n))

    counter = threading.Thread(target=count)
    speakers = [threading.Thread(target=say, args=(start,)) for start in (0, 10_000, 20_000)]
    for thread in (counter, *speakers):
        thread.start()
    for thread in speakers:
        thread.join()
    drained = recorder.drain(60)
    over.set()
    counter.join()
    recorder.close()
    relay.close()
    told = relay.told()
    assert (drained, wrong, recorder.faults) == (True, [], 0)
    for start in (0, 10_000, 20_000):
        assert [n for n in told if start <= n < start + 10_000] == list(range(start, start + 3000))


def test_closing_while_others_record_loses_no_count(address, quick_switches):
    """What came too late is pending and not forgotten: the sum holds."""
    relay, recorder = Relay(address), Recorder(address)
    speakers = [threading.Thread(target=lambda: [recorder.record(RECORD) for _ in range(2000)]) for _ in range(3)]
    for thread in speakers:
        thread.start()
    recorder.close()
    for thread in speakers:
        thread.join()
    relay.close()
    tally = recorder.tally()
    assert tally.offered == 6000 == tally.acked + tally.pending + sum(tally.dropped.values())


def test_what_is_held_has_a_bound_in_bytes_before_and_after_it_is_encoded(address):
    """Texts of half a megabyte: those that do not fit are counted, whether or not the thread has come to them."""
    recorder, slow = Recorder(address, bytes_max=3_000_000), Slow()
    recorder._encode = slow
    recorder.record(numbered(0, output="x" * 500_000))
    assert slow.at_work.wait(5)
    for n in range(1, 9):
        recorder.record(numbered(n, output="x" * 500_000))
    raw = recorder.tally()
    slow.go_on.set()
    until(lambda: not recorder._taken and not recorder._slice, 5)
    for n in range(9, 12):
        recorder.record(numbered(n, output="x" * 500_000))
    tally = recorder.tally()
    recorder.close()
    assert (raw.pending, raw.dropped) == (5, {"queue_full": 4})
    assert (tally.pending, tally.dropped) == (5, {"queue_full": 7})
    assert recorder._bytes <= 3_000_000


def test_what_is_acknowledged_makes_room_and_what_is_encoded_takes_it(address):
    """Ten times as much as is held at once, a little at a time: nothing is refused. Without a relay, the eleventh is, at once."""
    relay, recorder = Relay(address), Recorder(address, items_max=10, bytes_max=12_000)
    for start in range(0, 100, 10):
        for n in range(start, start + 10):
            recorder.record(numbered(n, arguments="x" * 900, output=""))
        assert recorder.drain(20)
    relay.close()
    assert (recorder.tally().acked, recorder.tally().dropped) == (100, {})
    for n in range(10):
        recorder.record(numbered(n))
    until(lambda: not recorder._taken and not recorder._slice, 5)
    recorder.close()
    recorder.record(RECORD)
    assert (recorder.tally().pending, recorder.tally().dropped) == (10, {"queue_full": 1})


def test_no_message_is_larger_than_a_batch_and_one_record(address):
    """So that nothing the thread copies takes long."""
    relay, recorder = Relay(address), Recorder(address)
    for n in range(60):
        recorder.record(numbered(n, arguments="a" * 64_000, output="b" * 64_000))
    assert recorder.drain(30)
    recorder.close()
    relay.close()
    assert relay.told() == list(range(60))
    assert max(relay.sizes) <= BATCH_BYTES + 130_000


def test_a_batch_the_relay_could_not_store_comes_again_and_the_others_do_not(address):
    """It keeps silent about one of them, as over a full disk: that one alone is sent twice."""
    refused = []

    def silent(batch):
        first = batch.number == 2 and not refused
        refused.extend([2] * first)
        return first

    relay, recorder = Relay(address, silent), Recorder(address)
    for n in range(500):
        recorder.record(numbered(n))
    assert recorder.drain(20)
    recorder.close()
    relay.close()
    assert relay.told() == list(range(500))
    assert sorted(relay.numbers) == sorted([*set(relay.numbers), 2])


def test_a_relay_that_is_slow_is_not_sent_everything_again_and_again():
    """Ten minutes at four seconds for each batch: nothing twice. Ten of silence: the oldest alone, ever more rarely."""
    flight, now, again = Flight(5.0), 0.0, 0
    for number in range(1, 9):
        flight.add(number, b"x", items=1, size=1)
        assert flight.due(now) == (number, b"x")
        flight.sent(number, now)
    done, number = 0, 8
    while now < 600:
        now += 0.02
        if now > 4.0 * (done + 1):
            done += 1
            assert flight.acknowledge(done, now) == (1, 1)
            number += 1
            flight.add(number, b"x", items=1, size=1)
        while (due := flight.due(now)) is not None:
            again += due[0] != number
            flight.sent(due[0], now)
    assert (again, len(flight)) == (0, IN_FLIGHT)
    probes, silent_from = [], now
    while now < silent_from + 600:
        now += 0.02
        if (due := flight.due(now)) is not None:
            probes.append(due[0])
            flight.sent(due[0], now)
    assert set(probes) == {done + 1}
    assert 8 <= len(probes) <= 4 + 600 / BACKOFF_MAX_S


def test_after_a_lost_connection_everything_goes_out_again_oldest_first():
    """And what one relay answered before it died is not waited for."""
    flight = Flight(5.0)
    for number in (1, 2, 3):
        flight.add(number, b"%d" % number, items=1, size=10)
        flight.sent(number, 1.0)
    assert flight.acknowledge(2, 1.1) == (1, 10)
    assert flight.acknowledge(2, 1.1) == (0, 0)
    flight.lost_connection()
    order = []
    while (due := flight.due(1.2)) is not None:
        order.append(due[0])
        flight.sent(due[0], 1.2)
    assert order == [1, 3]
    assert flight.due(1.3) is None


def test_a_batch_that_was_passed_over_is_sent_again_after_a_while():
    """A later one is acknowledged: that one was refused, so it waits a second, and longer each time."""
    flight = Flight(5.0)
    for number in (1, 2):
        flight.add(number, b"x", items=1, size=1)
        flight.sent(number, 0.0)
    flight.acknowledge(2, 0.1)
    assert flight.due(OVERTAKEN_S) is None
    assert flight.due(OVERTAKEN_S + 0.01) == (1, b"x")


def test_ids_are_uuids_of_version_7_that_carry_the_time_and_never_meet(quick_switches):
    """Prepared on one thread and taken on others, as it is in an agent."""
    before = time.time_ns() // 1_000_000
    made, over = [], threading.Event()

    def prepare():
        while not over.is_set():
            prepare_ids()

    threads = [threading.Thread(target=lambda: made.extend([new_id() for _ in range(20_000)])) for _ in range(3)]
    maker = threading.Thread(target=prepare)
    maker.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    maker.join()
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 60_000
    for text in made[::97]:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 7, uuid.RFC_4122)
        assert before <= parsed.int >> 80 <= after
    random_parts = [uuid.UUID(text).int for text in made]
    for bit in [*range(62), *range(64, 76)]:  # every random bit is one about half the time
        assert 0.45 < sum(n >> bit & 1 for n in random_parts) / len(random_parts) < 0.55


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is what is tested
def test_a_forked_child_hands_out_none_of_its_parents_ids():
    """Neither those that were prepared nor those that would come next."""
    prepare_ids()
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, "\n".join(new_id()[14:] for _ in range(600)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as told:
        theirs = set(told.read().split())
    ours = {new_id()[14:] for _ in range(600)}
    assert (len(theirs), len(ours), theirs & ours) == (600, 600, set())
