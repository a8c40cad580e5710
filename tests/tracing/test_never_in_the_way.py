"""What goes wrong around the tracer stays out of the agent's way: descriptors, forks, logs, half-made attachments, a relay that is slow."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import msgspec
import pytest
import zmq
from fakes import call_records, until

import tracing
from tracing.faults import LOGGER, ToolFaults
from tracing.livekit_agent import Call
from tracing.realtime import UNDECIDED_MAX
from tracing.record import Ack, AgentTurn, Batch, CallClosed, CallEnded, GuardrailClosed, UserTurn
from tracing.recorder import IN_FLIGHT, Recorder
from tracing.tools import ToolRun
from tracing.turns import HANDLED, HANDLED_CLIENT

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
    assert not tracing.attach(session, recorder=records)
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
    assert len(second._undo) == 1 + 1 + 8 + 3
    assert first._undo == []
    second.detach()
    assert "session" not in model.__dict__


def test_a_hook_keeps_what_others_put_on_the_model_before_and_after():
    """Who wrapped the method first gets it back; under a later wrapper the empty hook stays, passes on, and holds no call."""
    model, made = Model(), []
    model.session = first = lambda: made.append("first") or Session()
    call, session = Call(Kept()), Session()
    session.llm = model
    call.listen(session)
    hook = model.session
    assert len(hook().heard) == 3
    model.session = functools.partial(hook)
    call.detach()
    assert model.session().heard == {}
    assert made == ["first", "first"]
    model.session = hook
    hook.leave("nobody")
    assert model.session is first


def test_a_model_that_cannot_be_hooked_does_not_keep_the_call_from_being_traced():
    """Its turns are then told by the session's states."""

    class Closed:
        __slots__ = ()

        def session(self):
            return Session()

    records, session = Kept(), Session()
    session.llm = Closed()
    call = tracing.attach(session, recorder=records)
    session.heard["user_state_changed"](SimpleNamespace(new_state="speaking", created_at=time.time()))
    session.heard["user_state_changed"](SimpleNamespace(new_state="listening", created_at=time.time()))
    session.heard["agent_state_changed"](SimpleNamespace(new_state="speaking", created_at=time.time()))
    call.detach()
    assert [turn.ttft_source for turn in records.all if isinstance(turn, AgentTurn)] == ["state"]
    assert call.faults == 1


def test_a_session_that_no_agent_of_the_call_uses_is_heard_no_more():
    """Another call's, or one that nobody traces; it costs its model's other calls a few looks, and tells them nothing."""

    class Agent:
        realtime_llm_session = None

    records, session, model = Kept(), Session(), Model()
    session.llm, session.current_agent = model, Agent()
    call = tracing.attach(session, recorder=records)
    other, own = model.session(), model.session()
    session.current_agent.realtime_llm_session = own
    stop = {"type": "input_audio_buffer.speech_stopped", "item_id": "i"}
    for _ in range(UNDECIDED_MAX):
        other.heard["openai_server_event_received"](stop)
    assert other.heard == {}
    own.heard["openai_server_event_received"](stop)
    own.heard["openai_server_event_received"]({"type": "response.created", "response": {"id": "r"}})
    assert [line.made for line in call._hearing._lines] == [own]
    call.detach()
    assert len([record for record in records.all if isinstance(record, AgentTurn)]) == 1
    assert call.faults == 0


def test_what_the_states_began_is_dropped_once_the_model_tells_its_events():
    """Or one turn would be told twice, once by each."""
    records, session, model = Kept(), Session(), Model()
    session.llm = model
    tracing.attach(session, recorder=records)
    line = model.session()
    session.heard["agent_state_changed"](SimpleNamespace(new_state="thinking", created_at=time.time()))
    line.heard["openai_server_event_received"]({"type": "input_audio_buffer.speech_started"})
    session.heard["user_state_changed"](SimpleNamespace(new_state="speaking", created_at=time.time()))
    line.heard["openai_server_event_received"]({"type": "input_audio_buffer.speech_stopped", "item_id": "i"})
    for name, state in (("user", "listening"), ("agent", "speaking")):
        session.heard[f"{name}_state_changed"](SimpleNamespace(new_state=state, created_at=time.time()))
    line.heard["openai_server_event_received"]({"type": "response.created", "response": {"id": "r"}})
    session.heard["close"](SimpleNamespace(reason="user_initiated", error=None))
    assert [turn.origin for turn in records.all if isinstance(turn, AgentTurn)] == ["vad"]
    assert len([turn for turn in records.all if isinstance(turn, UserTurn)]) == 1


def test_the_last_words_of_an_agent_that_has_handed_over_silence_nobody():
    """Its successor tells no events: its turns are told by the states, whatever the old model still says, and that is still billed."""

    class Agent:
        @property
        def realtime_llm_session(self):
            raise RuntimeError("no realtime LLM session")

    records, session, model = Kept(), Session(), Model()
    session.llm, session.current_agent = model, Agent()
    call = tracing.attach(session, recorder=records)
    take_over = {"type": "agent_handoff", "old_agent_id": None}
    session.heard["conversation_item_added"](SimpleNamespace(item=SimpleNamespace(**take_over)))
    line = model.session()
    line.heard["openai_server_event_received"]({"type": "response.created", "response": {"id": "r"}})
    session.heard["conversation_item_added"](SimpleNamespace(item=SimpleNamespace(**{**take_over, "old_agent_id": "a"})))
    done = {"id": "r", "status": "completed", "usage": {"input_tokens": 3}}
    line.heard["openai_server_event_received"]({"type": "response.done", "response": done})
    for state in ("speaking", "listening"):
        session.heard["agent_state_changed"](SimpleNamespace(new_state=state, created_at=time.time()))
    call.detach()
    turns = [record for record in records.all if isinstance(record, AgentTurn)]
    assert [(turn.agent_index, turn.outcome, turn.input_text) for turn in turns] == [(0, "silent", 3), (1, "answered", 0)]
    assert call.faults == 0


def test_what_an_agent_without_events_began_is_told_when_one_with_events_goes_on():
    """Nothing that was begun goes missing over a hand-off."""
    records, session, model = Kept(), Session(), Model()
    session.current_agent = SimpleNamespace(realtime_llm_session=None, llm=model)
    tracing.attach(session, recorder=records)
    session.heard["agent_state_changed"](SimpleNamespace(new_state="thinking", created_at=time.time()))
    session.heard["conversation_item_added"](SimpleNamespace(item=SimpleNamespace(type="agent_handoff", old_agent_id="a")))
    line = model.session()
    line.heard["openai_server_event_received"]({"type": "response.created", "response": {"id": "r"}})
    assert [turn.outcome for turn in records.all if isinstance(turn, AgentTurn)] == ["open"]


@pytest.mark.parametrize(("reply", "handoff", "open_turns"), [(False, False, 0), (True, False, 1), (False, True, 1)])
def test_tools_that_ask_for_no_reply_end_their_turn(reply, handoff, open_turns):
    """And only they: a reply, or another agent, still answers the caller."""
    records, session, model = Kept(), Session(), Model()
    session.llm = model
    call = tracing.attach(session, recorder=records)
    line = model.session()
    for event in (
        {"type": "input_audio_buffer.speech_stopped", "item_id": "i"},
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.done", "response_id": "r", "item": {"type": "function_call"}},
        {"type": "response.done", "response": {"id": "r", "status": "completed"}},
    ):
        line.heard["openai_server_event_received"](event)
    ran = SimpleNamespace(function_calls=[], function_call_outputs=[], has_tool_reply=reply, has_agent_handoff=handoff)
    session.heard["function_tools_executed"](ran)
    assert len([turn for turn in records.all if isinstance(turn, AgentTurn)]) == 1 - open_turns
    assert call.faults == 0
    call.detach()


@pytest.mark.parametrize(("fatal", "errors"), [(True, 1), (False, 2)])
def test_an_error_that_ends_the_session_counts_once(fatal, errors):
    """LiveKit tells of it as it comes and again as the session closes; one it recovers from is another."""
    records, session = Kept(), Session()
    tracing.attach(session, recorder=records)
    session.heard["error"](SimpleNamespace(error=SimpleNamespace(recoverable=not fatal)))
    session.heard["close"](SimpleNamespace(reason="error", error=RuntimeError("zqxjk")))
    ended = next(record for record in records.all if isinstance(record, CallEnded))
    assert (ended.errors, ended.reason, records.all[-1].error_message) == (errors, "error", "session_error")


ODD = [None, 7, "x", [], {}, {"type": []}, {"type": "response.created", "response": {"id": {}}}, SimpleNamespace(), SimpleNamespace(item=7)]


@pytest.mark.parametrize("odd", [*ODD, *({"type": kind, "response": [], "session": 3} for kind in HANDLED | HANDLED_CLIENT)])
def test_an_event_of_any_shape_raises_nothing_into_the_agent(odd):
    """LiveKit lets a TypeError of a handler through, and the call dies of it."""
    records, session, model = Kept(), Session(), Model()
    session.llm = model
    tracing.attach(session, recorder=records)
    line = model.session()
    for take in (*session.heard.values(), *line.heard.values()):
        take(odd)
    if "close" in session.heard:
        session.heard["close"](SimpleNamespace(reason="user_initiated", error=None))
    assert isinstance(records.all[-1], CallClosed)
    assert (records.open, session.heard, line.heard) == (set(), {}, {})


@pytest.mark.parametrize("state", ["maybe", None, [], 7])
def test_a_consent_nobody_understands_is_a_refusal(state):
    """Fail closed, and never into the agent."""
    records, session = Kept(), Session()
    call = tracing.attach(session, recorder=records, consent="granted", consent_version="v1")
    call.consent(state, state)
    call.detach()
    closed = next(record for record in records.all if isinstance(record, GuardrailClosed))
    assert (closed.consent, closed.consent_version, call.faults) == ("refused", state if state == "maybe" else "v1", 1)


def test_a_grant_holds_for_tools_that_start_after_it():
    """What began under a refusal is never recorded."""
    records = Kept()
    call = Call(records, consent="refused")
    began = time.monotonic_ns()
    call.consent("granted")
    for start in (began, time.monotonic_ns()):
        call._tool_done(ToolRun("k", "c", "book", "{}", start, None, time.monotonic_ns(), "ok", "out"))
    assert [(tool.arguments, tool.output) for tool in records.all] == [("", ""), ("{}", "out")]


def test_a_call_that_has_ended_is_forgotten():
    """Neither the session, the model, its sessions nor a timer of the loop holds it."""

    async def main():
        records, session, model = Kept(), Session(), Model()
        session.llm = model
        call = tracing.attach(session, recorder=records)
        line = model.session()
        for kind, rest in (
            ("input_audio_buffer.speech_stopped", {"item_id": "i"}),
            ("response.created", {"response": {"id": "r"}}),
            ("response.output_audio.delta", {"response_id": "r"}),
            ("response.done", {"response": {"id": "r", "status": "completed"}}),
            ("input_audio_buffer.speech_stopped", {"item_id": "j"}),
        ):
            line.heard["openai_server_event_received"]({"type": kind, **rest})
        assert not any(isinstance(record, AgentTurn) for record in records.all)  # it may still be heard
        assert call._hearing._lag._timer is not None
        gone = weakref.ref(call)
        call.detach()
        assert len([record for record in records.all if isinstance(record, AgentTurn)]) == 1
        del call
        await asyncio.sleep(0)
        gc.collect()
        return gone, session, model, line

    gone, *_ = asyncio.run(main())
    assert gone() is None


class Watch:
    """Media that says what it was asked."""

    fault = None

    def __init__(self, room):
        self.asked = [room]

    def open(self):
        if self.fault:
            raise self.fault
        self.asked.append("open")

    def close(self):
        if self.fault:
            raise self.fault
        return {"agent_rtt_ms_p50": 12.5}


@pytest.mark.parametrize("fault", [None, TypeError("zqxjk")])
def test_the_lines_quality_is_watched_from_the_start_of_the_session(monkeypatch, fault):
    """In a job with a room, and its summary is in the trace's root; where it fails, the call is traced all the same."""
    monkeypatch.setattr(Watch, "fault", fault)
    monkeypatch.setattr("tracing.livekit_agent.Media", Watch)
    records, session = Kept(), Session()
    call = Call(records, job=SimpleNamespace(room="room"))
    call.listen(session)
    assert call.media is None
    session.heard["agent_state_changed"](SimpleNamespace(new_state="listening", created_at=time.time()))
    assert call.media.asked == (["room"] if fault else ["room", "open"])
    call.detach()
    assert records.all[-1].media == ({} if fault else {"agent_rtt_ms_p50": 12.5})


def test_a_call_without_a_room_or_whose_media_cannot_be_watched_is_traced_all_the_same(monkeypatch):
    """What cannot even be made costs its summary alone."""
    monkeypatch.setattr("tracing.livekit_agent.Media", None)
    for job, faults in ((SimpleNamespace(room="room"), 1), (SimpleNamespace(), 0), (None, 0)):
        records, session = Kept(), Session()
        call = Call(records, job=job)
        call.listen(session)
        session.heard["agent_state_changed"](SimpleNamespace(new_state="listening", created_at=time.time()))
        call.detach()
        assert isinstance(records.all[-1], CallClosed)
        assert (call.media, call.faults) == (None, faults)


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
    failed = logging.makeLogRecord({"function": "f", "levelno": logging.WARNING})

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


def test_a_response_that_breaks_off_in_its_sound_is_one_error():
    """LiveKit tells of it at once, the turn only when it has been heard; what goes wrong after it is another."""
    records, session, model = Kept(), Session(), Model()
    session.llm = model
    tracing.attach(session, recorder=records)
    line = model.session()
    for kind, rest in (
        ("response.created", {"response": {"id": "r"}}),
        ("response.output_audio.delta", {"response_id": "r"}),
        ("response.done", {"response": {"id": "r", "status": "failed"}}),
    ):
        line.heard["openai_server_event_received"]({"type": kind, **rest})
    for _ in range(2):
        session.heard["error"](SimpleNamespace(error=SimpleNamespace(recoverable=True)))
    session.heard["close"](SimpleNamespace(reason="user_initiated", error=None))
    assert next(record for record in records.all if isinstance(record, CallEnded)).errors == 2
    assert [turn.error_message for turn in records.all if isinstance(turn, AgentTurn)] == ["response_failed"]
