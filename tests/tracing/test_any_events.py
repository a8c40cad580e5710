"""Any events in any order and of any shape: nothing reaches the agent, nothing is lost, nothing grows, and the trace holds together.

The events are drawn by seed, so that a failure names the sequence that made it: `played(SEED)` is that call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from types import SimpleNamespace

import pytest
from livekit import rtc

import tracing
import tracing.playback
from tracing.faults import LOGGER
from tracing.hearing import LINES_MAX
from tracing.playback import HELD_MAX
from tracing.record import AgentTurn, CallClosed, CallOpened, ToolCall, UserTurn
from tracing.recorder import Tally
from tracing.tools import RUNNING_MAX
from tracing.usage import add_usage

ODD = [None, 7, -1, 10**400, float("nan"), float("inf"), True, [], {}, {"id": []}, ["x"], "x" * 50_000, "", b"x"]
TOKENS = ("input_text", "input_audio", "input_image", "cached_text", "cached_audio", "output_text", "output_audio")


class Draw:
    """Draws events: what LiveKit and Azure send, with parts missing and parts of the wrong kind."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.odd = self.random.choice([0, 0.03, 0.15])
        self.length = self.random.choice([8, 30, 120])

    def mostly(self, usual):
        return self.random.choice(ODD) if self.random.random() < self.odd else usual

    def name(self):
        return self.mostly(self.random.choice("abcdef"))

    def number(self):
        return self.mostly(self.random.randint(0, 5_000))

    def shaped(self, **fields):
        return self.mostly({key: value for key, value in fields.items() if self.random.random() > self.odd})

    def some(self, **fields):
        return SimpleNamespace(**{key: value for key, value in fields.items() if self.random.random() > self.odd})

    def response(self):
        pick = self.random.choice
        given = self.shaped(text_tokens=self.number(), audio_tokens=self.number(), cached_tokens=self.number())
        made = self.shaped(text_tokens=self.number(), audio_tokens=self.number())
        told = {
            "id": self.name(),
            "status": self.mostly(pick(["completed", "completed", "cancelled", "failed", "incomplete"])),
            "usage": self.shaped(
                input_tokens=self.number(), output_tokens=self.number(), input_token_details=given, output_token_details=made
            ),
            "metadata": self.shaped(client_event_id=self.name()),
            "status_details": self.shaped(reason="turn_detected"),
        }
        if self.random.random() < 0.3:
            told["conversation_id"] = pick([None, "c"])
        return self.mostly(told)

    def server(self):
        detection = self.shaped(type="server_vad", silence_duration_ms=self.number())
        kind, rest = self.random.choice(
            [
                ("input_audio_buffer.speech_started", {"item_id": self.name(), "audio_start_ms": self.number()}),
                ("input_audio_buffer.speech_stopped", {"item_id": self.name(), "audio_end_ms": self.number()}),
                *[("response.created", {"response": self.response()})] * 2,
                *[("response.output_audio.delta", {"response_id": self.name()})] * 2,
                *[("response.done", {"response": self.response()})] * 2,
                ("response.output_item.done", {"response_id": self.name(), "item": self.shaped(id=self.name(), type="function_call")}),
                ("response.output_item.done", {"response_id": self.name(), "item": self.shaped(id=self.name(), type="message")}),
                ("session.updated", {"session": self.shaped(turn_detection=self.random.choice([detection] * 4 + [None]))}),
                (self.mostly("session.created"), {}),
            ]
        )
        return {"type": kind, **rest}

    def client(self):
        kind, rest = self.random.choice(
            [
                ("input_audio_buffer.commit", {}),
                ("response.create", {"event_id": self.name()}),
                ("conversation.item.create", {"item": self.shaped(id=self.name(), role="user")}),
                ("conversation.item.truncate", {"item_id": self.name()}),
            ]
        )
        return {"type": kind, **rest}

    def call(self):
        return self.some(call_id=self.name(), name=self.mostly(self.random.choice(["book", "find"])), arguments=self.mostly("{}"))

    def session(self):
        pick, at = self.random.choice, self.mostly(time.time() + self.random.choice([0, 0, -5, 5, -100]))
        state = self.mostly(pick(["speaking", "listening", "thinking"]))
        outputs = [self.some(call_id=self.name(), output=self.mostly("x")) for _ in range(2)]
        message = self.some(
            type="message", role=pick(["user", "assistant"]), id=self.name(), interrupted=pick([True, False]),
            metrics=self.shaped(provider_request_ids=self.mostly([self.name()])),
        )  # fmt: skip
        ended = self.some(
            type="tool_call_ended", call_id=self.name(), status=pick(["done", "error", "cancelled", "odd"]),
            message=self.mostly(pick(["done", "", "(<a object at 0x1>)"])),
        )  # fmt: skip
        return pick(
            [
                ("user_state_changed", self.some(new_state=self.mostly(pick(["speaking", "listening", "away"])), created_at=at)),
                *[("agent_state_changed", self.some(new_state=state, created_at=at))] * 2,
                ("conversation_item_added", self.some(item=message)),
                ("speech_created", self.some(source=self.mostly(pick(["say", "generate_reply"])))),
                *[("tool_execution_updated", self.some(update=self.some(type="tool_call_started", function_call=self.call())))] * 2,
                *[("tool_execution_updated", self.some(update=ended))] * 2,
                (
                    "function_tools_executed",
                    self.some(
                        function_calls=[self.call(), self.call()],
                        function_call_outputs=outputs,
                        has_tool_reply=pick([True, False]),
                        has_agent_handoff=pick([True, False]),
                    ),
                ),
                ("error", self.some(error=self.some(recoverable=pick([True, False])))),
            ]
        )


class Records:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all, self.open = [], set()

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        self.open.add(call)

    def close_call(self, call):
        self.open.discard(call)

    def tally(self):
        return Tally(len(self.all), len(self.all), 0, {})

    def of(self, kind):
        return [record for record in self.all if isinstance(record, kind)]


class Model:
    """A model that makes realtime sessions, with LiveKit's own way of telling events."""

    def session(self):
        return rtc.EventEmitter()


class Scene:
    """A call, what was told to it, and the turns it began."""

    def __init__(self):
        self.records, self.session, self.model = Records(), rtc.EventEmitter(), Model()
        self.session.llm, self.session.current_agent = self.model, SimpleNamespace(realtime_llm_session=None, llm=self.model)
        self.call = tracing.attach(self.session, recorder=self.records)
        self.lines, self.tokens, self.stops, self.begun = [], Counter(), 0, []
        states = self.call._hearing._states
        make = states.new_key

        def key():
            self.begun.append(make())
            return self.begun[-1]

        self.key = states.new_key = key
        self.connect()

    def connect(self):
        self.lines.append(self.model.session())
        self.session.current_agent.realtime_llm_session = self.lines[-1]
        for line in self.call._hearing._lines:
            line.tracker.new_key = self.key

    async def play(self, draw):
        line, what = self.lines[-1], draw.random.random()
        if what < 0.55:
            event = draw.server()
            self.stops += event["type"] == "input_audio_buffer.speech_stopped"
            if event["type"] == "response.done" and isinstance(event["response"], dict):
                add_usage(self.tokens, event["response"].get("usage"))
            line.emit("openai_server_event_received", event)
        elif what < 0.65:
            event = draw.client()
            self.stops += event["type"] == "input_audio_buffer.commit"
            line.emit("openai_client_event_queued", event)
        elif what < 0.94:
            self.session.emit(*draw.session())
        elif what < 0.95:
            line.emit("session_reconnected", SimpleNamespace())
        elif what < 0.97:
            self.session.emit("conversation_item_added", SimpleNamespace(item=SimpleNamespace(type="agent_handoff", old_agent_id="x")))
            self.connect()
        elif what < 0.98 and len(self.lines) > 1:  # the last words of an agent that has handed over
            self.lines[-2].emit("openai_server_event_received", {"type": "response.created", "response": {"id": "late"}})
        else:
            await asyncio.sleep(0)


def held_together(scene):
    """Check the trace of a scene that has ended."""
    records, root = scene.records, scene.records.all[-1]
    assert isinstance(records.all[0], CallOpened)
    assert isinstance(root, CallClosed)
    assert records.open == set()
    assert root.offered == len(records.all)
    answers, tools = records.of(AgentTurn), records.of(ToolCall)
    ids = [record.id for record in (*answers, *tools, *records.of(UserTurn))]
    assert len(ids) == len(set(ids))
    got = {key: sum(getattr(answer, key) for answer in answers) for key in TOKENS}
    assert got == {key: scene.tokens[key] for key in TOKENS}
    told = {answer.id: answer for answer in answers}
    assert set(told) <= set(scene.begun)
    for record in records.all:
        assert all(start >= root.start_ns for start, _ in record.at)
        assert not record.end_ns or record.start_ns <= record.end_ns <= root.end_ns
        assert len(record.at) < 3 or record.at[-2] == (told[record.at[-2][1]].start_ns, record.at[-2][1])
    for answer in answers:
        assert answer.ttft_ms is None or answer.ttft_ms >= 0
        assert not answer.first_audio_ns or answer.start_ns <= answer.first_audio_ns <= answer.end_ns
    assert sum(answer.ttft_ms is not None and answer.ttft_source != "state" for answer in answers) <= scene.stops


async def played(seed):
    draw, before = Draw(seed), list(logging.getLogger(LOGGER).filters)
    tracing.playback.LOOK_S = draw.random.choice([0.0, 0.5])
    scene = Scene()
    for _ in range(draw.length):
        await scene.play(draw)
    hearing, tools = scene.call._hearing, scene.call._tools
    assert len(hearing._playback._held) <= HELD_MAX
    assert len(hearing._lines) <= LINES_MAX + 1
    assert len(tools._running) <= RUNNING_MAX
    scene.session.emit("close", SimpleNamespace(reason="user_initiated", error=None))
    held_together(scene)
    assert not any(any(emitter._events.values()) for emitter in (scene.session, *scene.lines))
    assert logging.getLogger(LOGGER).filters == before
    assert "session" not in vars(scene.model)
    assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("first", range(0, 800, 200))
def test_any_events_in_any_order_leave_a_whole_trace_and_an_agent_untouched(first, monkeypatch, caplog):
    """Every turn and tool told once under a parent that is there, no token lost, no time before another; nothing raised, nothing left."""
    monkeypatch.setattr("tracing.playback.LOOK_S", 0.5)  # set by each call for itself; this puts it back
    for seed in range(first, first + 200):
        try:
            asyncio.run(played(seed))
        except Exception as fault:
            fault.add_note(f"seed {seed}")
            raise
        assert caplog.records == [], seed  # LiveKit's emitter logs what a handler raises


def test_a_call_with_many_agents_listens_to_the_last_few_and_keeps_no_session():
    """A realtime session holds what was said; the call must not keep it for longer than the agent does."""

    async def main():
        scene = Scene()
        for _ in range(50):
            scene.session.emit("conversation_item_added", SimpleNamespace(item=SimpleNamespace(type="agent_handoff", old_agent_id="x")))
            scene.connect()
            scene.lines[-1].emit("openai_server_event_received", {"type": "response.created", "response": {"id": "r"}})
        assert sum(any(line._events.values()) for line in scene.lines) <= LINES_MAX + 1
        assert len(scene.call._undo) < 60
        scene.session.emit("close", SimpleNamespace(reason="user_initiated", error=None))
        assert scene.call._hearing.line.made is None
        assert len(scene.records.of(AgentTurn)) == 50
        held_together(scene)

    asyncio.run(main())


def test_tools_that_never_end_are_told_before_they_are_too_many():
    """Each holds its arguments."""

    async def main():
        scene = Scene()
        for n in range(RUNNING_MAX + 50):
            call = SimpleNamespace(call_id=f"c{n}", name="book", arguments="{}")
            update = SimpleNamespace(type="tool_call_started", function_call=call)
            scene.session.emit("tool_execution_updated", SimpleNamespace(update=update))
        assert len(scene.records.of(ToolCall)) == 50
        scene.session.emit("close", SimpleNamespace(reason="user_initiated", error=None))
        assert len(scene.records.of(ToolCall)) == RUNNING_MAX + 50

    asyncio.run(main())


def test_a_turn_that_cannot_be_told_does_not_reach_the_loop_nor_keep_the_next():
    """An answer is told by a timer once it has been heard; what a timer raises goes to the agent's own exception handler."""

    async def main():
        loop, raised = asyncio.get_running_loop(), []
        loop.set_exception_handler(lambda loop, context: raised.append(context))
        scene = Scene()

        def refuse(record):
            if isinstance(record, AgentTurn):
                raise TypeError("zqxjk")
            scene.records.all.append(record)

        scene.call._answered = lambda turn: refuse(AgentTurn(call="c", id="i", at=((1, "i"),), outcome=turn.outcome))
        for kind, rest in (
            ("response.created", {"response": {"id": "r"}}),
            ("response.output_audio.delta", {"response_id": "r"}),
            ("response.done", {"response": {"id": "r", "status": "completed"}}),
        ):
            scene.lines[-1].emit("openai_server_event_received", {"type": kind, **rest})
        await asyncio.sleep(0.7)
        assert (raised, scene.call.faults) == ([], 1)
        scene.call.detach()

    asyncio.run(main())


@pytest.mark.parametrize("fault", [TypeError("zqxjk"), OSError()])
def test_a_recorder_that_cannot_count_does_not_stop_the_shutdown(fault):
    """What one shutdown callback raises keeps LiveKit from waiting for the others."""

    def tally():
        raise fault

    async def main():
        scene = Scene()
        scene.records.tally = tally
        assert await scene.call.flush(0.1) is False
        scene.call.detach()

    asyncio.run(main())
