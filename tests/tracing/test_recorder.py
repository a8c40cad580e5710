"""The hot path: it takes, it bounds, it counts, and whatever is wrong it neither raises nor waits."""

from __future__ import annotations

import os
import threading
import time

import msgspec
import pytest
import zmq
from fakes import call_records, until

import tracing
from tracing.record import Ack, AnyRecord, Batch
from tracing.recorder import Recorder

RECORD = call_records()[3]


class Listener:
    """A relay that acknowledges when it is told to."""

    def __init__(self, address):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.bind(address)
        self.batches = []

    def hear(self, *, acknowledge=True, seconds=5.0, messages=1000):
        """Take what comes until ``seconds`` of silence or so many messages; give the records."""
        records = []
        while messages and self.socket.poll(int(seconds * 1000)):
            messages -= 1
            peer, data = self.socket.recv_multipart()
            batch = msgspec.msgpack.decode(data, type=Batch)
            self.batches.append(batch)
            records += [msgspec.msgpack.decode(raw, type=AnyRecord) for raw in batch.records]
            if acknowledge and batch.number:
                self.socket.send_multipart([peer, msgspec.msgpack.encode(Ack(number=batch.number))])
            seconds = 0.3
        return records

    def close(self):
        self.socket.close(linger=0)
        self.context.term()


@pytest.fixture
def address(tmp_path):
    return f"ipc://{tmp_path / 's'}"


@pytest.fixture
def recorder(address):
    recorder = Recorder(address)
    yield recorder
    recorder.close()


def test_records_arrive_whole_and_are_forgotten_once_acknowledged(recorder, address):
    """What goes in comes out equal, in order."""
    listener = Listener(address)
    records = call_records(tools=3)
    for record in records:
        recorder.record(record)
    assert listener.hear() == records
    until(lambda: recorder.tally().pending == 0, 5)
    assert recorder.tally().acked == len(records)
    listener.close()


def test_without_a_relay_records_wait_up_to_the_bound_and_the_rest_is_counted(address):
    """Full is full, in items and in bytes; the law holds all the while."""
    for bounds in ({"items_max": 50}, {"bytes_max": 50 * len(msgspec.msgpack.encode(RECORD))}):
        recorder = Recorder(address, **bounds)
        for _ in range(80):
            recorder.record(RECORD)
        until(lambda told=recorder: told.tally().pending == 50, 5)
        tally = recorder.tally()
        assert (tally.offered, tally.pending, tally.dropped) == (80, 50, {"queue_full": 30})
        recorder.close()


def test_a_batch_that_is_not_acknowledged_is_sent_again_under_its_number(address, monkeypatch):
    """At least once; the relay knows it by its spans' ids."""
    monkeypatch.setattr("tracing.recorder.RESEND_S", 0.2)
    recorder, listener = Recorder(address), Listener(address)
    recorder.record(RECORD)
    listener.hear(acknowledge=False, messages=2)
    listener.hear(seconds=1.0)
    until(lambda: recorder.tally().pending == 0, 5)
    assert [batch.number for batch in listener.batches if batch.records][:2] == [1, 1]
    recorder.close()
    listener.close()


def test_what_cannot_be_encoded_is_counted_and_harms_nobody(recorder):
    """A record of the wrong kind is a drop, not an error."""
    recorder.record(object())
    until(lambda: recorder.tally().dropped == {"encode": 1}, 5)
    recorder.record(msgspec.structs.replace(RECORD, arguments=None, output=object()))
    until(lambda: recorder.tally().dropped == {"encode": 2}, 5)
    recorder.record(RECORD)
    assert recorder.tally().pending == 1


def test_many_threads_lose_no_count(address):
    """The counts are exact whoever records."""
    recorder = Recorder(address)
    threads = [threading.Thread(target=lambda: [recorder.record(RECORD) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally = recorder.tally()
    assert tally.offered == 8000 == tally.acked + tally.pending + sum(tally.dropped.values())
    recorder.close()


def test_a_recorder_with_an_open_call_beats(recorder, address):
    """So that its death can be noticed."""
    listener = Listener(address)
    recorder.open_call("c")
    time.sleep(1.3)
    listener.hear(seconds=1.5)
    assert any(batch.open_calls == ["c"] and batch.number == 0 for batch in listener.batches)
    listener.close()


def test_junk_in_place_of_an_acknowledgement_is_passed_over(recorder, address):
    """Only a relay's word forgets a record."""
    listener = Listener(address)
    recorder.record(RECORD)
    assert listener.socket.poll(5000)
    peer, _ = listener.socket.recv_multipart()
    for junk in (b"", b"\xc1", msgspec.msgpack.encode({"number": "1"}), msgspec.msgpack.encode({"number": 99})):
        listener.socket.send_multipart([peer, junk])
    time.sleep(0.3)
    assert (recorder.tally().pending, recorder.faults) == (1, 0)
    listener.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is what is tested
def test_a_forked_child_gets_a_recorder_of_its_own(monkeypatch):
    """Threads and sockets do not survive a fork."""
    from tracing.settings import read_settings

    parent = tracing._recorder(read_settings())
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        child = tracing._recorder(read_settings())
        os.write(write, b"1" if child is not parent and child.running and not parent.running else b"0")
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 1) == b"1"
    parent.close()
