"""What is told of a call is kept as it is and made into records later, on another thread: so it must be whole, and never change again."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from types import SimpleNamespace

import msgspec
import pytest
import zmq
from fakes import until

import tracing
from tracing.record import TOOL_TEXT_MAX, AgentTurn, AnyRecord, Batch, CallClosed, CallEnded, CallOpened, Consent, ToolCall, UserTurn
from tracing.recorder import Recorder
from tracing.tools import ToolRun
from tracing.trace import Trace
from tracing.turn import AnswerTurn, HeardTurn

SEEDS = 60


class Emitter:
    """A session that can be listened to."""

    llm = current_agent = None

    def __init__(self):
        self.heard = {}

    def on(self, name, take):
        self.heard[name] = take

    def off(self, name, take):
        del self.heard[name]


class Facts:
    """A recorder that keeps each fact, and how it looked when it was told."""

    def __init__(self):
        self.told, self.records = [], []

    def take(self, source, fact, texts=0):
        self.told.append((source, fact, repr(fact), texts))

    def record(self, record):
        self.records.append(record)

    def open_call(self, call):
        pass

    close_call = open_call


def answer(**facts):
    return AnswerTurn("answer-1", 5, "vad", end_ns=9, outcome="answered", ttft_ns=3, **facts)


def tool(**facts):
    return ToolRun(**{"key": "tool-1", "call_id": "c", "tool": "book", "arguments": '{"a": 1}', "start_ns": 6, "turn": (5, "answer-1"),
                      "end_ns": 7, "status": "ok", "output": "done", **facts})  # fmt: skip


def trace_to(recorder):
    return Trace(recorder, agent_version="", room_sid="", probe=None)


def raw_events(chance):
    """Whatever a model may say, in any order, about a few responses and items."""
    name, item = f"r{chance.randrange(4)}", f"i{chance.randrange(4)}"
    return chance.choice([
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": chance.randrange(900)},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 1000, "item_id": item},
        {"type": "response.created", "response": {"id": name}},
        {"type": "response.output_audio.delta", "response_id": name},
        {"type": "response.output_item.done", "response_id": name, "item": {"type": "message", "id": item}},
        {"type": "response.output_item.done", "response_id": name, "item": {"type": "function_call", "id": item}},
        {"type": "response.done", "response": {"id": name, "status": chance.choice(["completed", "cancelled", "failed"]),
                                               "usage": {"input_tokens": 5, "output_tokens": 7}}},
        {"type": "conversation.item.input_audio_transcription.completed", "usage": {"type": "duration", "seconds": 2}},
    ])  # fmt: skip


def session_events(chance):
    """Whatever a session may say, in any order."""
    now, name, item = time.time(), f"c{chance.randrange(3)}", f"i{chance.randrange(4)}"
    call = SimpleNamespace(call_id=name, name="book", arguments="{}")
    output = SimpleNamespace(call_id=name, output="ok", is_error=chance.random() < 0.3)
    ended = SimpleNamespace(type="tool_call_ended", call_id=name, status=chance.choice(["done", "error", "cancelled"]), message="(ok)")
    message = SimpleNamespace(type="message", role="assistant", id=item, interrupted=chance.random() < 0.5, metrics={})
    return chance.choice([
        ("user_state_changed", SimpleNamespace(new_state=chance.choice(["speaking", "listening"]), created_at=now)),
        ("agent_state_changed", SimpleNamespace(new_state=chance.choice(["speaking", "thinking", "listening"]), created_at=now)),
        ("conversation_item_added", SimpleNamespace(item=message)),
        ("tool_execution_updated", SimpleNamespace(update=SimpleNamespace(type="tool_call_started", function_call=call))),
        ("tool_execution_updated", SimpleNamespace(update=ended)),
        ("function_tools_executed", SimpleNamespace(function_calls=[call], function_call_outputs=[output], has_agent_handoff=False,
                                                    has_tool_reply=chance.random() < 0.7)),
    ])  # fmt: skip


async def live(chance, recorder):
    """A call of 400 events in any order."""
    session, made = Emitter(), []

    class Model:
        def session(self):
            made.append(Emitter())
            return made[-1]

    session.llm = Model()
    call = tracing.attach(session, recorder=recorder, consent="granted")
    line, by_model = session.llm.session(), chance.random() < 0.8
    for _ in range(400):
        if by_model and chance.random() < 0.6:
            line.heard["openai_server_event_received"](raw_events(chance))
        else:
            name, event = session_events(chance)
            session.heard[name](event)
    call.detach()
    assert call.faults == 0


def test_what_was_told_of_a_call_never_changes_again():
    """Whatever events come after it: late tools, late bills, a caller who breaks in, the same response once more."""
    told = []
    for seed in range(SEEDS):
        facts = Facts()
        asyncio.run(live(random.Random(seed), facts))
        told += facts.told
        assert [look for _, _, look, _ in facts.told] == [repr(fact) for _, fact, _, _ in facts.told], f"seed {seed}"
    assert {type(fact) for _, fact, _, _ in told} == {HeardTurn, AnswerTurn, ToolRun}
    assert len(told) > 20 * SEEDS


def test_facts_arrive_as_the_records_that_would_have_been_made_at_once(tmp_path):
    """In the order in which they were told, among what is recorded whole."""
    recorder = Recorder(f"ipc://{tmp_path / 's'}")
    trace = trace_to(recorder)
    facts = [HeardTurn(1, 4, 3.5), answer(interrupted=True, tokens={"input_text": 2}, tools=[(6, 7)]), tool()]
    trace.open("granted", "v1")
    trace.heard(facts[0])
    trace.answered(facts[1])
    trace.tool(facts[2], content=True)
    trace.close("user_initiated", "", ("granted", "v1"), handoffs=0, reconnects=0)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as relay:
        relay.setsockopt(zmq.LINGER, 0)
        relay.bind(recorder._address)
        assert relay.poll(5000)
        batch = msgspec.msgpack.decode(relay.recv_multipart()[1], type=Batch)
    recorder.close()
    records = [msgspec.msgpack.decode(raw, type=AnyRecord) for raw in batch.records]
    assert [type(record) for record in records[:5]] == [CallOpened, Consent, UserTurn, AgentTurn, ToolCall]
    heard, answered, used = records[2:5]
    assert (answered, used) == (trace.make(facts[1]), trace.make(facts[2]))
    assert msgspec.structs.replace(trace.make(facts[0]), id=heard.id, at=heard.at) == heard
    assert (heard.at[-1][0], used.end_ns - used.start_ns, answered.tool_ms, answered.input_text) == (trace._wall_of(1), 1, 1e-6, 2)
    (ended,) = (record for record in records if type(record) is CallEnded)
    assert (ended.turns, ended.interruptions, ended.offered, recorder.tally().offered) == (1, 1, len(records), len(records))
    assert type(records[-1]) is CallClosed


def test_a_tool_whose_texts_are_not_sent_is_not_held():
    """Without content its record is made at once without them; a text that is too long, with what is sent of it."""
    facts = Facts()
    trace = trace_to(facts)
    trace.tool(tool(), content=False)
    trace.tool(tool(output="x" * (TOOL_TEXT_MAX + 5)), content=True)
    trace.tool(tool(arguments="é" * 30), content=True)
    refused, cut = facts.records
    assert (refused.arguments, refused.output) == ("", "")
    assert (len(cut.output), cut.output_cut, cut.arguments) == (TOOL_TEXT_MAX, 5, '{"a": 1}')
    assert [texts for *_, texts in facts.told] == [34]
    trace.tool(tool(status="error", output="", error_type="ValueError"), content=True)
    assert trace.errors == 1


def test_a_record_that_cannot_be_made_is_counted_and_harms_nobody(tmp_path):
    """What is no fact, and a fact that has nothing in it."""
    recorder = Recorder(f"ipc://{tmp_path / 's'}")
    trace = trace_to(recorder)
    recorder.take(trace, object())
    trace.answered(AnswerTurn("k", None, "vad"))
    trace.answered(answer())
    until(lambda: recorder.tally().dropped == {"encode": 2}, 5)
    tally = recorder.tally()
    recorder.close()
    assert (tally.offered, tally.pending, recorder.faults) == (3, 1, 0)


@pytest.mark.parametrize("bound", ["items", "bytes"])
def test_facts_of_all_threads_share_one_bound(tmp_path, bound):
    """A thousand characters each, by turns from either thread: what is over is counted."""
    recorder = Recorder(f"ipc://{tmp_path / 's'}", **({"items_max": 10} if bound == "items" else {"bytes_max": 10_500}))
    recorder.close()  # nothing is encoded any more, so all of it is held as it was given
    trace = trace_to(recorder)
    for n in range(15):
        tell = threading.Thread(target=trace.tool, args=(tool(arguments="x" * 998, output="yy"),), kwargs={"content": True})
        if n % 2:
            tell.start()
            tell.join()
        else:
            tell.run()
    tally = recorder.tally()
    assert (tally.offered, tally.pending, tally.dropped) == (15, 10, {"queue_full": 5})


def test_texts_that_many_threads_give_are_counted_to_the_character(tmp_path):
    """Though no lock is held: the threads take turns a thousand times as often as they would."""
    recorder = Recorder(f"ipc://{tmp_path / 's'}")
    recorder.close()
    fact, before = tool(), sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        threads = [threading.Thread(target=lambda: [recorder.take(None, fact, 7) for _ in range(4500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert (recorder._given, recorder.tally().pending) == (4 * 4500 * 7, 18_000)


def test_whoever_changes_what_a_recorder_does_with_a_record_is_given_each_whole(tmp_path):
    """So is whoever stands in for one and knows nothing of facts; what it costs is told to the probe either way."""

    class Changed(Recorder):
        def record(self, record):
            seen.append(record)

    seen, costs = [], []
    recorder = Changed(f"ipc://{tmp_path / 's'}")
    plain = SimpleNamespace(record=seen.append)
    for each in (recorder, plain):
        trace = Trace(each, agent_version="", room_sid="", probe=lambda name, took: costs.append((name, took > 0)))
        trace.answered(answer())
        trace.tool(tool(), content=True)
    recorder.close()
    assert [type(record) for record in seen] == [AgentTurn, ToolCall] * 2
    assert costs == [("record", True)] * 4
