"""What goes wrong around the tracer stays out of the agent's way: descriptors, forks, logs, half-made attachments, a relay that is slow."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

import msgspec
import pytest
import zmq
from fakes import call_records, until

import tracing
from tracing.faults import LOGGER, ToolFaults
from tracing.livekit_agent import Call
from tracing.record import Ack, Batch, CallClosed, CallEnded
from tracing.recorder import IN_FLIGHT, Recorder

RECORD = call_records()[3]


class Kept:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all, self.open = [], set()

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        self.open.add(call)

    def close_call(self, call):
        self.open.discard(call)


class Session:
    """A session that can be listened to, from the nth subscription on."""

    llm = None

    def __init__(self, refuses=99):
        self.heard, self.refuses = {}, refuses

    def on(self, name, take):
        if len(self.heard) >= self.refuses:
            raise RuntimeError("zqxjk")
        self.heard[name] = take

    def off(self, name, take):
        del self.heard[name]


class Model:
    """A model whose sessions are listened to."""

    def session(self):
        return Session()


@pytest.fixture
def address(tmp_path):
    return f"ipc://{tmp_path / 's'}"


@pytest.fixture
def relay(address):
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(address)
        yield socket


def test_a_relay_that_takes_and_does_not_answer_is_sent_no_more_than_a_few_batches(address, relay, monkeypatch):
    """The rest waits in the queue, where it is bounded and counted, and not in zmq, where it is neither."""
    monkeypatch.setattr("tracing.recorder.RESEND_S", 0.1)
    recorder = Recorder(address)
    for _ in range(3000):
        recorder.record(RECORD)
    seen = set()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        if relay.poll(100):
            seen.add(msgspec.msgpack.decode(relay.recv_multipart()[1], type=Batch).number)
    assert seen - {0} == set(range(1, IN_FLIGHT + 1))
    assert recorder.tally().pending == 3000
    recorder.close()


def test_a_recorder_that_finds_no_descriptor_tries_again(address, relay, monkeypatch):
    """A thread that died of it would keep every later record for ever."""
    real, asked = zmq.Context, []

    def scarce():
        asked.append(1)
        if len(asked) < 3:
            raise zmq.ZMQError(24)
        return real()

    monkeypatch.setattr("tracing.recorder.zmq.Context", scarce)
    monkeypatch.setattr("tracing.recorder.REOPEN_S", 0.05)
    recorder = Recorder(address)
    recorder.record(RECORD)
    assert relay.poll(5000)
    peer, data = relay.recv_multipart()
    relay.send_multipart([peer, msgspec.msgpack.encode(Ack(number=msgspec.msgpack.decode(data, type=Batch).number))])
    until(lambda: recorder.tally().acked == 1, 5)
    assert recorder.faults == 2
    recorder.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is what is tested
def test_a_fork_under_any_lock_leaves_the_child_free(address):
    """The thread that held the lock is not in the child, so nobody would ever release it."""
    recorder = Recorder(address)
    recorder.record(RECORD)
    held, done = threading.Event(), threading.Event()

    def hold():
        with recorder._lock:
            held.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    pid = os.fork()
    if pid == 0:
        signal.alarm(5)
        recorder.record(RECORD)
        recorder.close_call("c")
        pending = recorder.tally().pending
        call = tracing.attach(Session())
        os._exit(0 if pending == 0 and call is not None else 1)
    status = os.waitpid(pid, 0)[1]
    done.set()
    holder.join()
    assert status == 0
    assert recorder.tally().pending == 1
    recorder.close()


def test_an_attachment_that_fails_half_way_is_undone_and_its_trace_is_ended():
    """Or the relay would be told for ever that a call goes on which nobody records."""
    before = list(logging.getLogger(LOGGER).filters)
    records, session = Kept(), Session(refuses=2)
    assert tracing.attach(session, recorder=records) is None
    assert isinstance(records.all[-1], CallClosed)
    assert (records.open, session.heard, logging.getLogger(LOGGER).filters) == (set(), {}, before)


def test_a_tool_that_cannot_be_told_of_does_not_keep_the_call_from_ending():
    """One fault costs one span."""
    records, session = Kept(), Session()
    call = tracing.attach(session, recorder=records)
    call._tools._running["x"] = None
    call.detach("user_initiated")
    assert [type(record) for record in records.all[-1:]] == [CallClosed]
    assert next(record for record in records.all if isinstance(record, CallEnded)).reason == "user_initiated"
    assert (records.open, session.heard, call.faults) == (set(), {}, 1)


def test_a_call_that_has_ended_leaves_a_shared_model_to_the_next_one():
    """The first to end takes away its own hook, and hears nothing of what the model makes later."""
    model = Model()
    first, second = Call(Kept()), Call(Kept())
    for call in (first, second):
        session = Session()
        session.llm = model
        call.listen(session)
    first.detach()
    heard = model.session().heard
    assert len(heard) == 3
    assert len(second._undo) == 1 + 5 + 1 + 3
    assert first._undo == []
    second.detach()
    assert "session" not in model.__dict__


def test_looking_at_a_log_record_never_raises_into_the_agents_logging():
    """What a filter raises comes out of the logging call, here inside LiveKit's running of a tool."""

    class Evil:
        def __str__(self):
            raise TypeError("zqxjk")

    faults = ToolFaults()
    faults.install()
    try:
        logging.getLogger(LOGGER).warning("a tool failed", extra={"function": "f", "call_id": Evil()})
    finally:
        faults.remove()


def test_tools_may_fail_in_one_thread_while_another_asks():
    """The memory of failed tools is read while it is written."""
    faults, stop, interval = ToolFaults(), threading.Event(), sys.getswitchinterval()
    failed = logging.makeLogRecord({"function": "f", "call_id": "c", "levelno": logging.WARNING})

    def fail():
        while not stop.is_set():
            faults.filter(failed)

    thread = threading.Thread(target=fail)
    thread.start()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(20_000):
            faults.take("another", "tool")
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
