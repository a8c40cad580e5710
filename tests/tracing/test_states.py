"""Turns where the model tells no events: a real AgentSession over a small realtime model that is not OpenAI's."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, Agent, AgentSession, llm, stt, tts
from livekit.agents.llm.realtime import InputSpeechStartedEvent, InputSpeechStoppedEvent
from livekit.agents.voice.turn import InterruptionOptions, TurnHandlingOptions
from livekit.plugins import openai

import tracing
from tracing.local.azure_realtime import AzureRealtime, Call, CallScript, Say
from tracing.local.telephone import SAMPLE_RATE, Mic, Speaker
from tracing.record import AgentTurn, CallClosed, CallEnded, ToolCall, UserTurn
from tracing.recorder import Tally
from tracing.states import StateTracker

MS = 1_000_000


class Records:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all = []

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        pass

    def close_call(self, call):
        pass

    def tally(self):
        return Tally(len(self.all), len(self.all), 0, {})

    def of(self, kind):
        return [record for record in self.all if isinstance(record, kind)]


async def each(*things):
    for thing in things:
        yield thing


class OtherSession(llm.RealtimeSession):
    """Says what it is told to say; emits LiveKit's generic events and no other."""

    def __init__(self, model):
        super().__init__(model)
        self._chat_ctx, self._tools = llm.ChatContext.empty(), llm.ToolContext.empty()
        self._serial = itertools.count(1)

    chat_ctx = property(lambda self: self._chat_ctx)
    tools = property(lambda self: self._tools)

    async def update_instructions(self, instructions):
        pass

    async def update_chat_ctx(self, chat_ctx):
        self._chat_ctx = chat_ctx

    async def update_tools(self, tools):
        self._tools = llm.ToolContext(tools)

    def update_options(self, *, tool_choice=None):
        pass

    def push_audio(self, frame):
        pass

    def push_video(self, frame):
        pass

    def commit_audio(self):
        pass

    def clear_audio(self):
        pass

    def interrupt(self):
        pass

    def truncate(self, **cut):
        pass

    async def aclose(self):
        pass

    def starts(self):
        self.emit("input_speech_started", InputSpeechStartedEvent())

    def stops(self):
        self.emit("input_speech_stopped", InputSpeechStoppedEvent(user_transcription_enabled=False))

    def answers(self, ms, *, asked=False, call=None):
        """Give an answer of so many milliseconds, or a call of a tool."""
        name = f"m{next(self._serial)}"
        samples = SAMPLE_RATE * ms // 1000
        frame = rtc.AudioFrame(bytes(2 * samples), SAMPLE_RATE, 1, samples)
        modalities = asyncio.get_running_loop().create_future()
        modalities.set_result(["audio", "text"])
        said = () if call else (llm.MessageGeneration(name, each("Hello."), each(frame), modalities),)
        called = (llm.FunctionCall(call_id=name, name=call, arguments="{}"),) if call else ()
        event = llm.GenerationCreatedEvent(each(*said), each(*called), asked, name)
        if not asked:
            self.emit("generation_created", event)
        return event

    def generate_reply(self, **_):
        done = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.1, lambda: done.set_result(self.answers(100, asked=True)))
        return done


class OtherModel(llm.RealtimeModel):
    """A realtime model of another make."""

    def __init__(self):
        can = dict.fromkeys(("turn_detection", "audio_output", "mutable_chat_context", "mutable_instructions", "mutable_tools"), True)
        cannot = dict.fromkeys(("message_truncation", "user_transcription", "auto_tool_reply_generation", "manual_function_calls"), False)
        super().__init__(capabilities=llm.RealtimeCapabilities(**can, **cannot))

    def session(self, **_):
        return OtherSession(self)

    async def aclose(self):
        pass


class Clinic(Agent):
    """Greets, and has a tool."""

    def __init__(self):
        async def book() -> str:
            """Book."""
            await asyncio.sleep(0.2)
            return "ok"

        super().__init__(instructions="x", tools=[llm.function_tool(book)])

    async def on_enter(self):
        self.session.generate_reply()


def test_a_model_without_events_is_followed_by_the_sessions_states():
    """Greeting, answer, tool turn, barge-in and typed input: labelled, timed by the states, none told twice."""
    records = Records()

    async def until(holds):
        for _ in range(1000):
            if holds():
                return
            await asyncio.sleep(0.01)
        raise AssertionError([(turn.origin, turn.outcome) for turn in records.of(AgentTurn)])

    async def main():
        turns = TurnHandlingOptions(turn_detection=None, interruption=InterruptionOptions(resume_false_interruption=False))
        session = AgentSession(llm=OtherModel(), vad=None, aec_warmup_duration=None, turn_handling=turns)
        speaker = session.output.audio = Speaker()
        call = tracing.attach(session, recorder=records, deployment="other-model")
        await session.start(Clinic(), **tracing.start_options())
        line = session.current_agent.realtime_llm_session
        await until(lambda: len(records.of(AgentTurn)) == 1)

        async def speak(wait):
            line.starts()
            await asyncio.sleep(0.2)
            line.stops()
            await asyncio.sleep(wait)

        await speak(0.4)
        line.answers(100)
        await until(lambda: len(records.of(AgentTurn)) == 2)
        await speak(0.05)
        line.answers(100, call="book")
        await until(lambda: len(records.of(AgentTurn)) == 3)
        await speak(0.1)
        line.answers(5000)
        await until(lambda: speaker.playing)
        await speak(0.1)
        await until(lambda: len(records.of(AgentTurn)) == 4)
        line.answers(100)
        await until(lambda: len(records.of(AgentTurn)) == 5)
        session.generate_reply(user_input="and now?")
        await until(lambda: len(records.of(AgentTurn)) == 6)
        await session.aclose()
        return call

    call = asyncio.run(main())
    assert call.faults == 0
    greeting, plain, tooled, heard, after, typed = records.of(AgentTurn)
    assert [turn.origin for turn in records.of(AgentTurn)] == ["agent", "vad", "vad", "vad", "vad", "text"]
    assert [turn.ttft_source for turn in records.of(AgentTurn)] == ["state"] * 6
    assert {turn.deployment for turn in records.of(AgentTurn)} == {"other-model"}
    assert 390 < plain.ttft_ms < 1000
    assert 290 < tooled.ttft_ms < 1500
    assert 190 < tooled.tool_ms < tooled.ttft_ms
    assert [turn.interrupted for turn in records.of(AgentTurn)] == [False, False, False, True, False, False]
    assert (greeting.ttft_ms, typed.ttft_ms, after.outcome, heard.outcome) == (None, None, "answered", "answered")
    assert all(150 < turn.audio_ms < 1000 for turn in records.of(UserTurn))
    assert records.of(CallEnded)[0].turns == 4
    assert (records.of(CallEnded)[0].interruptions, records.of(CallClosed)[0].vad_type) == (1, "unknown")
    (tool,) = records.of(ToolCall)
    assert tool.at[-2][1] == tooled.id


class Ear(stt.STT):
    """Hears what the test says, when it says so."""

    def __init__(self):
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self.lines = []

    async def _recognize_impl(self, buffer, **_):
        raise NotImplementedError

    def stream(self, *, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        self.lines.append(Hears(stt=self, conn_options=conn_options))
        return self.lines[-1]

    def tell(self, kind):
        alternatives = [stt.SpeechData(language="en", text="hello there")] if kind is stt.SpeechEventType.FINAL_TRANSCRIPT else []
        self.lines[-1]._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=alternatives))


class Hears(stt.RecognizeStream):
    async def _run(self):
        async for _ in self._input_ch:
            pass


class Mind(llm.LLM):
    """Answers each question with its next script: a word, or a call of a tool."""

    def __init__(self, *script):
        super().__init__()
        self.script = list(script)

    def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
        return Thought(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Thought(llm.LLMStream):
    async def _run(self):
        step = self._llm.script.pop(0)
        await asyncio.sleep(0.1)
        said = {"content": "Hello."} if step == "say" else {"tool_calls": [llm.FunctionToolCall(name=step, arguments="{}", call_id=step)]}
        self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=llm.ChoiceDelta(role="assistant", **said)))


class Voice(tts.TTS):
    """Says everything in half a second of silence."""

    def __init__(self):
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=SAMPLE_RATE, num_channels=1)

    def synthesize(self, text, *, conn_options=DEFAULT_API_CONNECT_OPTIONS):
        return Sound(tts=self, input_text=text, conn_options=conn_options)


class Sound(tts.ChunkedStream):
    async def _run(self, output_emitter):
        output_emitter.initialize(request_id="x", sample_rate=SAMPLE_RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(bytes(SAMPLE_RATE))
        output_emitter.flush()


def test_a_pipeline_is_followed_by_the_sessions_states():
    """Speech to text, a language model and text to speech: a greeting, an answer, a tool turn and a barge-in."""
    records = Records()

    async def main():
        turns = TurnHandlingOptions(turn_detection="stt", interruption=InterruptionOptions(resume_false_interruption=False, mode="vad"))
        ear = Ear()
        session = AgentSession(
            stt=ear,
            llm=Mind("say", "say", "book", "say", "say", "say"),
            tts=Voice(),
            vad=None,
            aec_warmup_duration=None,
            turn_handling=turns,
        )
        mic, speaker = Mic(), Speaker()
        session.input.audio, session.output.audio = mic, speaker
        call = tracing.attach(session, recorder=records, deployment="pipeline")

        async def until(holds):
            for _ in range(1000):
                if holds():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError([(turn.origin, turn.outcome) for turn in records.of(AgentTurn)])

        async def speak(done):
            ear.tell(stt.SpeechEventType.START_OF_SPEECH)
            await asyncio.sleep(0.2)
            ear.tell(stt.SpeechEventType.FINAL_TRANSCRIPT)
            ear.tell(stt.SpeechEventType.END_OF_SPEECH)
            await until(done)

        await session.start(Clinic(), **tracing.start_options())
        await until(lambda: len(records.of(AgentTurn)) == 1)
        await speak(lambda: len(records.of(AgentTurn)) == 2)
        await speak(lambda: len(records.of(AgentTurn)) == 3)
        await speak(lambda: speaker.playing)
        await speak(lambda: len(records.of(AgentTurn)) == 5)
        await session.aclose()
        return call

    call = asyncio.run(main())
    assert call.faults == 0
    turns = records.of(AgentTurn)
    assert [(turn.origin, turn.outcome, turn.ttft_source) for turn in turns] == [
        ("agent", "answered", "state"), *(("vad", "answered", "state"),) * 4
    ]  # fmt: skip
    assert [turn.interrupted for turn in turns] == [False, False, False, True, False]
    assert all(turn.ttft_ms > 100 for turn in turns[1:])
    assert 190 < turns[2].tool_ms < turns[2].ttft_ms
    (tool,) = records.of(ToolCall)
    assert tool.at[-2][1] == turns[2].id
    assert records.of(CallEnded)[0].turns == 4


class Desk(Agent):
    """Speaks through another kind of model, and gives the call back."""

    def __init__(self, back):
        super().__init__(instructions="desk", llm=Mind("say", "back", "say"), tts=Voice(), stt=Ear())
        self.back_to = back

    async def on_enter(self):
        await asyncio.sleep(0.2)
        self.session.generate_reply()

    @llm.function_tool
    async def back(self):
        """Give the call back."""
        return Front(self.back_to)


class Front(Agent):
    """Talks through a model that tells its events."""

    def __init__(self, model):
        super().__init__(instructions="front", llm=model)
        self.model = model

    @llm.function_tool
    async def transfer(self):
        """Give the call to the desk."""
        return Desk(self.model)

    async def on_enter(self):
        self.session.generate_reply()


def test_a_call_goes_from_a_model_with_events_to_one_without_and_back():
    """The caller's wait goes on over the hand-off, each turn is told once and says what it was made of."""
    records = Records()

    async def main():
        script = CallScript(turns=((Say("Hello.", 100, 50),), (Call("transfer"),)))
        back = CallScript(turns=((Say("Back again.", 100, 50),), (Say("Yes.", 100, 50),)))
        azure = AzureRealtime([script, back])
        url = await azure.start()
        model = openai.realtime.RealtimeModel.with_azure(azure_deployment="front", azure_endpoint=url, api_key="k")
        turns = TurnHandlingOptions(turn_detection=None, interruption=InterruptionOptions(resume_false_interruption=False, mode="vad"))
        session = AgentSession(vad=None, aec_warmup_duration=None, turn_handling=turns)
        mic = session.input.audio = Mic()
        session.output.audio = Speaker()
        call = tracing.attach(session, recorder=records, deployment="x")

        async def until(count):
            for _ in range(1500):
                if len(records.of(AgentTurn)) >= count:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError([(turn.origin, turn.outcome, turn.deployment) for turn in records.of(AgentTurn)])

        await session.start(Front(model), **tracing.start_options())
        await until(1)
        mic.talk(300)
        await until(3)
        session.generate_reply(user_input="back, please")
        await until(5)
        mic.talk(300)
        await until(6)
        await session.aclose()
        await model.aclose()
        await azure.stop()
        return call

    call = asyncio.run(main())
    turns = records.of(AgentTurn)
    assert call.faults == 0
    assert [(turn.origin, turn.outcome, turn.ttft_source, turn.agent_index) for turn in turns] == [
        ("agent", "answered", "", 0),
        ("vad", "silent", "", 0),
        ("vad", "answered", "state", 1),
        ("text", "silent", "state", 1),
        ("agent", "answered", "", 2),
        ("vad", "answered", "azure_events", 2),
    ]
    assert [turn.deployment for turn in turns] == ["front", "front", "x", "x", "front", "front"]
    assert turns[2].start_ns == turns[1].start_ns
    assert turns[2].ttft_ms > 250
    assert records.of(CallEnded)[0].handoffs == 2
    assert len(records.of(UserTurn)) == 2


class Told:
    """A tracker, and what it told."""

    def __init__(self):
        self.heard, self.answers = [], []
        self.tracker = StateTracker(lambda: "k", self.heard.append, self.answers.append)

    def user(self, ms, state):
        self.tracker.see_user(state, ms * MS)
        return self

    def agent(self, ms, state):
        self.tracker.see_agent(state, ms * MS)
        return self


def test_a_stop_that_is_dated_back_before_its_start_makes_no_negative_turn():
    """A local voice detection dates its end back by the silence it waited for."""
    told = Told().user(1000, "speaking").user(900, "listening").agent(1200, "speaking").agent(1500, "listening")
    assert [(turn.start_ns, turn.end_ns) for turn in told.heard] == [(1000 * MS, 1000 * MS)]
    assert [turn.ttft_ns for turn in told.answers] == [200 * MS]


def test_a_caller_who_goes_on_or_talks_over_makes_no_sample():
    """Speech before the sound ends the wait; speech over an agent who is not stopped by it begins none."""
    told = Told().user(100, "speaking").user(500, "listening").agent(600, "thinking").user(700, "speaking").user(900, "listening")
    told.agent(1000, "speaking").agent(1100, "listening")
    assert [(turn.outcome, turn.ttft_ns) for turn in told.answers] == [("cancelled", None), ("answered", 100 * MS)]
    told = Told().agent(50, "speaking").user(100, "speaking").user(300, "listening").agent(5000, "listening").agent(9000, "speaking")
    told.agent(9100, "listening")
    assert [(turn.ttft_ns, turn.start_ns, turn.origin) for turn in told.answers] == [(None, 50 * MS, "agent"), (None, 9000 * MS, "vad")]
    told = Told().agent(50, "speaking").user(100, "speaking").user(300, "listening")
    told.tracker.cut()
    told.agent(350, "listening").agent(900, "speaking").agent(1000, "listening")
    assert [turn.ttft_ns for turn in told.answers] == [None, 600 * MS]


@pytest.mark.parametrize("state", ["away", "listening"])
def test_an_agent_who_only_thought_was_silent(state):
    """And a user state of any kind after speaking ends the caller's turn."""
    told = Told().user(100, "speaking").user(500, state).agent(600, "thinking").agent(900, "listening")
    assert [(turn.outcome, turn.origin) for turn in told.answers] == [("silent", "vad")]
    assert len(told.heard) == 1


def test_what_is_open_when_the_call_ends_is_told():
    """Nothing that was begun goes missing; what a model tells better itself is dropped, what it cannot tell is not."""
    told = Told().agent(50, "speaking")
    told.tracker.finish(100 * MS)
    assert [turn.outcome for turn in told.answers] == ["open"]
    told = Told().user(50, "speaking")
    told.tracker.finish(150 * MS)
    assert [(turn.audio_ms, turn.outcome) for turn in told.heard] == [(100.0, "open")]
    told = Told().agent(50, "thinking")
    told.tracker.drop(60 * MS)
    told.agent(100, "listening")
    assert told.answers == []
    told = Told().agent(50, "speaking")
    told.tracker.drop(60 * MS)
    told.agent(100, "listening")
    assert [(turn.origin, turn.outcome) for turn in told.answers] == [("agent", "answered")]
