"""The rules of turns and of TTFT-A, each in a played call: a real AgentSession and Azure client against the stand-in and its own clock."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, CloseReason, RunContext, function_tool
from livekit.agents.voice.turn import InterruptionOptions, TurnHandlingOptions
from livekit.plugins import openai

import tracing
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Fail, Say, Usage
from tracing.local.clinic_agent import ScriptedClinicAgent, ScriptedTool
from tracing.local.phone_call import BETA_API_VERSION
from tracing.local.telephone import Mic, Speaker
from tracing.record import AgentTurn, CallClosed, CallEnded, GuardrailClosed, ToolCall, UserTurn
from tracing.recorder import Tally

pytestmark = pytest.mark.filterwarnings("ignore:.*api_version.*:DeprecationWarning")

NEAR_MS = 120
"""How far the tracer's clock may be from the stand-in's on a busy machine; every delay a rule is told by is longer."""
SERVER_TURNS = TurnHandlingOptions(turn_detection=None, interruption=InterruptionOptions(resume_false_interruption=False))
QUICK = Say("All right.", 100, first_audio_after_ms=50)
LONG = Say("A very long answer indeed.", 6000, first_audio_after_ms=50, pace_s=0)


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


class Stage:
    """One call under way: what the caller does is up to the test, and so is the waiting."""

    def __init__(self, azure, model):
        self.azure, self.model = azure, model
        self.records, self.mic, self.speaker = Records(), Mic(), Speaker()
        self.session = AgentSession(llm=model, vad=None, aec_warmup_duration=None, turn_handling=SERVER_TURNS)
        self.session.input.audio, self.session.output.audio = self.mic, self.speaker
        self.raw, self.line = [], len(azure.connections)
        self.call = None

    def listen(self):
        """Hear the raw events of the session that runs now."""
        self.session.current_agent.realtime_llm_session.on("openai_server_event_received", lambda event: self.raw.append(event["type"]))

    def truth(self, event, status=None):
        """When it happened, in seconds of the stand-in's clock, over all connections of this stage's stand-in."""
        moments = sorted((m for line in self.azure.connections for m in line.truth), key=lambda m: m.at_s)
        return [m.at_s for m in moments if m.event == event and (status is None or m.status == status)]

    def count(self, event, status=None):
        return len(self.truth(event, status))

    async def until(self, holds, seconds=15.0):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"it did not come to hold; told so far: {[type(r).__name__ for r in self.records.all]}"
            await asyncio.sleep(0.01)

    async def answered(self, turns):
        """Until so many turns of the agent have been told, which is when they have been heard."""
        await self.until(lambda: len(self.records.of(AgentTurn)) >= turns)

    async def say(self, ms=300):
        """Speak, until the model has heard the end of it."""
        stops = self.count("speech_stopped")
        self.mic.talk(ms)
        await self.until(lambda: self.count("speech_stopped") > stops)

    def turns(self):
        return self.records.of(AgentTurn)

    def ended(self):
        return self.records.of(CallEnded)[0]


@contextlib.asynccontextmanager
async def stand_in(*scripts, dialect="ga", deployments=("gpt-realtime",), **options):
    """A stand-in, and a model for each deployment."""
    azure = AzureRealtime(scripts)
    url = await azure.start()
    version = {"api_version": BETA_API_VERSION} if dialect == "beta" else {}
    models = [
        openai.realtime.RealtimeModel.with_azure(azure_deployment=name, azure_endpoint=url, api_key="k", **version, **options)
        for name in deployments
    ]
    try:
        yield azure, models
    finally:
        for model in models:
            await model.aclose()
        await azure.stop()


@contextlib.asynccontextmanager
async def on_stage(azure, model, agent, **attach):
    """A started call, traced; closed at the end, whatever happened."""
    stage = Stage(azure, model)
    stage.call = tracing.attach(stage.session, recorder=stage.records, consent="granted", **attach)
    try:
        await stage.session.start(agent, **tracing.start_options())
        yield stage
    finally:
        await stage.session.aclose()
    assert stage.call.faults == 0
    assert stage.records.open == set()
    assert stage.ended().offered == len(stage.records.all)


def one_call(script, play, *, agent=None, dialect="ga", tools=(), attach=None, **options):
    """Play one call and give its stage."""

    async def main():
        async with stand_in(script, dialect=dialect, **options) as (azure, (model,)):
            async with on_stage(azure, model, agent or ScriptedClinicAgent(tools), **(attach or {})) as stage:
                await stage.until(lambda: azure.connections and "session.update" in azure.connections[-1].received)
                await play(stage)
            return stage

    return asyncio.run(main())


def near(told_ms, truth_ms):
    return abs(told_ms - truth_ms) < NEAR_MS


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_answers_tools_and_preambles_are_timed_as_the_model_played_them(dialect):
    """R1, R3, R4, R10: a stop told twice counts once, tools are wall time, a preamble is the first sound, VAD and silence are told."""
    tools = [ScriptedTool("book", {"ok": True}, takes_ms=300), ScriptedTool("check", {"ok": True}, takes_ms=250)]
    script = CallScript(
        turns=(
            (Say("Yes.", 100, first_audio_after_ms=250),),
            (ModelCall("book"), ModelCall("check")),
            (QUICK,),
            (Say("Let me check.", 100, first_audio_after_ms=50), ModelCall("book")),
            (QUICK,),
        ),
        usage=(Usage(output_audio=11),) * 9,
        created_after_ms=60,
        stop_again_after_ms=40,
    )

    async def play(stage):
        for turns in (1, 2, 3):
            await stage.say()
            await stage.answered(turns)

    stage = one_call(script, play, tools=tools, dialect=dialect)
    plain, tooled, preamble = stage.turns()
    stops, sounds = stage.truth("speech_stopped"), stage.truth("first_audio")
    assert len(stops) == 3
    for turn, stop, sound in zip((plain, tooled, preamble), stops, (sounds[0], sounds[1], sounds[2]), strict=True):
        assert near(turn.ttft_ms, (sound - stop) * 1000)
        assert (turn.origin, turn.outcome, turn.ttft_source, turn.error_message) == ("vad", "answered", "azure_events", "")
        assert turn.loop_lag_ms is not None
        assert not turn.interrupted
    assert plain.ttft_ms > 250
    assert (tooled.responses, tooled.tool_calls, preamble.responses, preamble.tool_calls) == (2, 2, 2, 1)
    ran = [(tool.end_ns - tool.at[-1][0]) / 1e6 for tool in stage.records.of(ToolCall) if tool.at[-2][1] == tooled.id]
    assert len(ran) == 2
    assert max(ran) - 1 < tooled.tool_ms < sum(ran) - 100  # side by side: not the sum of both
    assert tooled.ttft_ms > tooled.tool_ms + tooled.ttft_model_ms
    assert preamble.tool_ms > 290
    assert (plain.output_audio, tooled.output_audio) == (11, 22)
    assert (plain.transcription_model, plain.transcription_s) == ("whisper-1" if dialect == "beta" else plain.transcription_model, 1.0)
    closed = stage.records.of(CallClosed)[0]
    assert (closed.vad_type, closed.silence_ms) == ("server_vad", 200)
    assert len(stage.records.of(UserTurn)) == 3
    assert {tool.at[-2][1] for tool in stage.records.of(ToolCall)} == {tooled.id, preamble.id}


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_caller_who_breaks_in_makes_no_sample_before_the_sound_and_is_seen_after_it(dialect):
    """R2, R11, R9: before the first sound, while the model speaks, and while its finished answer is still heard."""
    script = CallScript(
        turns=(
            (Say("Slow.", 200, first_audio_after_ms=3000),),
            (Say("A long one, made slowly.", 4000, first_audio_after_ms=50, pace_s=0.1),),
            (LONG,),
            (QUICK,),
        ),
        usage=(Usage(output_audio=7),) * 4,
    )

    async def play(stage):
        await stage.say()
        await stage.until(lambda: stage.count("response.created") == 1)
        await stage.say()  # before its sound
        await stage.until(lambda: stage.speaker.playing)
        await stage.say()  # while it is made
        await stage.until(lambda: stage.count("response.done", "completed") == 1)
        await stage.until(lambda: stage.speaker.playing)
        stage.listen()
        realtime = stage.session.current_agent.realtime_llm_session
        realtime.interrupt()
        realtime.send_event({"type": "response.cancel"})  # there is nothing to cancel any more
        await stage.until(lambda: "error" in stage.raw)
        assert len(stage.turns()) == 2  # the third is done, but still heard
        await stage.say()  # while it is heard
        await stage.answered(4)

    stage = one_call(script, play, dialect=dialect)
    before, during, heard, last = stage.turns()
    assert (before.outcome, before.ttft_ms, before.interrupted) == ("cancelled", None, False)
    assert (during.outcome, during.interrupted) == ("interrupted", True)
    assert (heard.outcome, heard.interrupted) == ("answered", True)
    assert (last.outcome, last.interrupted) == ("answered", False)
    stops, sounds = stage.truth("speech_stopped"), stage.truth("first_audio")
    for turn, stop, sound in zip((during, heard, last), stops[1:], sounds, strict=True):
        assert near(turn.ttft_ms, (sound - stop) * 1000)
    assert [turn.output_audio for turn in stage.turns()] == [7] * 4  # cancelled answers are billed
    assert (stage.ended().interruptions, stage.ended().errors) == (2, 0)


def test_a_stop_that_is_followed_by_more_speech_is_no_turn_of_the_agent():
    """R2: the caller goes on before any response was created; the last stop is the one that is answered."""

    async def play(stage):
        await stage.say()
        await stage.say()
        await stage.answered(1)

    stage = one_call(CallScript(turns=((QUICK,),), created_after_ms=700), play)
    (turn,) = stage.turns()
    assert near(turn.ttft_ms, (stage.truth("first_audio")[0] - stage.truth("speech_stopped")[1]) * 1000)
    assert len(stage.records.of(UserTurn)) == 2


def test_responses_that_fail_or_stop_short_are_errors_and_no_samples():
    """R5: each is one error, though LiveKit reports the failed one as an error of the session as well."""
    script = CallScript(turns=((Fail(),), (Fail("content_filter", status="incomplete"),), (QUICK,)))

    async def play(stage):
        for turns in (1, 2, 3):
            await stage.say()
            await stage.answered(turns)

    stage = one_call(script, play)
    assert [(turn.outcome, turn.error_message, turn.ttft_ms is None) for turn in stage.turns()] == [
        ("failed", "response_failed", True),
        ("failed", "response_incomplete", True),
        ("answered", "", False),
    ]
    assert stage.ended().errors == 2


def test_what_the_agent_begins_is_a_greeting_and_no_sample():
    """R6: from the request for a response to its first sound; loud enough a difference to the model's own part."""

    async def play(stage):
        await stage.answered(1)

    script = CallScript(turns=((Say("Good day.", 100, first_audio_after_ms=200),),), created_after_ms=250)
    stage = one_call(script, play, agent=ScriptedClinicAgent([], greets=True))
    (turn,) = stage.turns()
    model = (stage.truth("first_audio")[0] - stage.truth("response.created")[0]) * 1000
    assert (turn.origin, turn.ttft_ms, turn.ttft_source) == ("agent", None, "")
    assert near(turn.ttft_model_ms, model)
    assert near(turn.greeting_ms, model + 250)
    assert turn.greeting_ms - turn.ttft_model_ms > 240


def test_a_manual_turn_is_timed_from_its_commit_and_typed_input_is_not_timed():
    """R7: the server says that it detects no turns. Typed input through session.run and generate_reply, with a tool in between."""
    script = CallScript(turns=((Say("Yes.", 100, first_audio_after_ms=250),), (ModelCall("book"),), (QUICK,), (QUICK,), (QUICK,)))

    async def play(stage):
        stage.mic.talk(300)
        await asyncio.sleep(0.5)
        stage.committed = time.monotonic()
        stage.session.commit_user_turn()  # asks for a response too
        await stage.answered(1)
        await asyncio.wait_for(stage.session.run(user_input="book me in"), 10)
        await stage.answered(2)
        stage.session.generate_reply(user_input="and now?")
        await stage.answered(3)
        stage.session.generate_reply()
        await stage.answered(4)

    stage = one_call(script, play, tools=[ScriptedTool("book", {"ok": True})], turn_detection=None)
    manual, typed, typed_too, own = stage.turns()
    assert (manual.origin, manual.outcome) == ("commit", "answered")
    assert near(manual.ttft_ms, (stage.truth("first_audio")[0] - stage.committed) * 1000)
    assert (typed.origin, typed.ttft_ms, typed.responses, typed.tool_calls, typed.greeting_ms) == ("text", None, 2, 1, None)
    assert (typed_too.origin, typed_too.ttft_ms, typed_too.outcome) == ("text", None, "answered")
    assert own.origin == "agent"
    assert own.greeting_ms is not None
    assert stage.records.of(CallClosed)[0].vad_type == "none"


def test_a_new_connection_forgets_what_was_open_and_goes_on():
    """R8: the line is cut while the caller waits. What comes after it is timed again; tokens and turns are all there."""
    script = CallScript(turns=((Say("Never heard.", 200, first_audio_after_ms=5000),), (QUICK,)), key="k")

    async def play(stage):
        await stage.say()
        await stage.until(lambda: stage.count("response.created") == 1)
        await stage.azure.connections[0].hang_up()
        await stage.answered(1)
        await stage.until(lambda: len(stage.azure.connections) == 2 and "session.update" in stage.azure.connections[1].received)
        await asyncio.sleep(0.3)
        await stage.say()
        await stage.answered(2)

    stage = one_call(script, play)
    lost, after = stage.turns()
    assert (lost.outcome, lost.ttft_ms) == ("reconnected", None)
    assert (after.outcome, after.origin) == ("answered", "vad")
    assert near(after.ttft_ms, (stage.truth("first_audio")[0] - stage.truth("speech_stopped")[1]) * 1000)
    assert (stage.ended().reconnects, stage.ended().errors) == (1, 1)


def test_a_stalled_event_loop_is_told_beside_the_sample():
    """R12: the loop stands still right before the first sound."""

    async def play(stage):
        def stall(event):
            if event["type"] == "response.output_item.added":
                time.sleep(0.3)

        stage.session.current_agent.realtime_llm_session.on("openai_server_event_received", stall)
        await stage.say()
        await stage.answered(1)
        assert stage.call._hearing._lag._timer is None  # nobody waits: the loop is left alone

    stage = one_call(CallScript(turns=((Say("Yes.", 100, first_audio_after_ms=100),),)), play)
    (turn,) = stage.turns()
    assert 250 < turn.loop_lag_ms < turn.ttft_ms


def test_a_caller_who_hangs_up_leaves_no_turn_and_no_token_untold():
    """An answer that is still heard is told when the call ends, one that is still made too."""

    async def play(stage):
        await stage.say()
        await stage.until(lambda: stage.count("response.done", "completed") == 1)
        await stage.until(lambda: stage.speaker.playing)
        assert stage.turns() == []

    stage = one_call(CallScript(turns=((LONG,),), usage=(Usage(output_audio=99),)), play)
    (turn,) = stage.turns()
    assert (turn.outcome, turn.output_audio) == ("answered", 99)
    assert (turn.interrupted, stage.ended().interruptions) == (False, 0)  # cut by the end of the call, not by the caller


class Second(Agent):
    """Takes the call over and says so."""

    def __init__(self, model=None):
        super().__init__(instructions="second", **({} if model is None else {"llm": model}))

    async def on_enter(self):
        self.session.generate_reply()


class First(Agent):
    """Gives the call to another agent when the model asks for it."""

    def __init__(self, model=None):
        super().__init__(instructions="first")
        self.model = model

    @function_tool
    async def transfer(self, ctx: RunContext):
        """Transfer the caller."""
        return Second(self.model)


@pytest.mark.parametrize("other_model", [True, False])
def test_agents_hand_over_in_one_call(other_model):
    """R1 to R4 across agents: the caller's wait goes on, each turn is its own agent's and model's, and no event of either is missed."""
    transfer, second = (ModelCall("transfer"),), (Say("I am the second.", 100, first_audio_after_ms=150),)
    if other_model:
        scripts = [CallScript(turns=((QUICK,), transfer)), CallScript(turns=(second, (QUICK,)))]
    else:
        scripts = [CallScript(turns=((QUICK,), transfer, second, (QUICK,)))]
    scripts = [CallScript(turns=script.turns, usage=(Usage(output_audio=5),) * 4) for script in scripts]

    async def main():
        async with stand_in(*scripts, deployments=("first", "second")) as (azure, (model, other)):
            async with on_stage(azure, model, First(other if other_model else None)) as stage:
                await stage.until(lambda: azure.connections and "session.update" in azure.connections[-1].received)
                await stage.say()
                await stage.answered(1)
                await stage.say()
                await stage.answered(3 if other_model else 2)
                await stage.say()
                await stage.answered(4 if other_model else 3)
            assert "session" not in model.__dict__
            assert "session" not in other.__dict__
            return stage

    stage = asyncio.run(main())
    turns, stops, sounds = stage.turns(), stage.truth("speech_stopped"), stage.truth("first_audio")
    transferred, after = turns[-2], turns[-1]
    assert [turn.agent_index for turn in turns] == ([0, 0, 1, 1] if other_model else [0, 1, 1])
    assert [turn.deployment for turn in turns] == (["first"] * 2 + ["second"] * 2 if other_model else ["first"] * 3)
    assert sum(turn.output_audio for turn in turns) == 20
    for turn, stop, sound in zip((turns[0], transferred, after), stops, sounds, strict=True):
        assert turn.origin == "vad"
        assert near(turn.ttft_ms, (sound - stop) * 1000)
    if other_model:
        assert (turns[1].outcome, turns[1].ttft_ms, turns[1].output_audio) == ("silent", None, 5)
    assert (stage.ended().handoffs, stage.ended().turns) == (1, 3)
    (tool,) = stage.records.of(ToolCall)
    assert tool.at[-2][1] == turns[1].id


def test_two_calls_on_one_model_object_do_not_hear_each_other():
    """Both at once, from the start: each has its own turns, tokens and errors, and a third that is not traced is nobody's."""

    async def main():
        script = CallScript(turns=((QUICK,), (QUICK,)), usage=(Usage(output_audio=5),) * 4)
        async with stand_in(script, script, script) as (azure, (model,)):
            agents = [ScriptedClinicAgent([]) for _ in range(3)]
            async with on_stage(azure, model, agents[0]) as one, on_stage(azure, model, agents[1]) as two:
                untraced = Stage(azure, model)
                await untraced.session.start(agents[2], **tracing.start_options())
                await one.until(lambda: len(azure.connections) == 3)
                await one.say()
                one.mic.talk(300)
                await one.answered(2)
                untraced.mic.talk(300)
                await asyncio.sleep(1.0)
                assert two.records.of(UserTurn) == []
                two.mic.talk(300)
                await two.answered(1)
                await untraced.session.aclose()
            return one, two, model

    one, two, model = asyncio.run(main())
    assert [(len(s.records.of(UserTurn)), len(s.turns()), sum(t.output_audio for t in s.turns())) for s in (one, two)] == [
        (2, 2, 10), (1, 1, 5)
    ]  # fmt: skip
    assert "session" not in model.__dict__


def test_a_refusal_during_the_call_ends_the_recording_of_payloads_at_once():
    """Nothing of the tool that runs then, nothing of later ones; what was recorded before stays; the guardrail ends as refused."""
    script = CallScript(turns=((ModelCall("book", {"patient_name": "Zqxjk"}),), (QUICK,)) * 3)
    tools = [ScriptedTool("book", {"name": "Zqxjk"}), ScriptedTool("book", {"name": "Zqxjk"}, takes_ms=300), ScriptedTool("book", {"a": 1})]

    async def play(stage):
        for turns in (1, 2, 3):
            await stage.say()
            if turns == 2:
                await stage.until(lambda: stage.call._tools._running)
                stage.call.consent("refused", "spoken-v3")
            await stage.answered(turns)

    stage = one_call(script, play, tools=tools)
    assert [(bool(tool.arguments), bool(tool.output), tool.status) for tool in stage.records.of(ToolCall)] == [
        (True, True, "ok"),
        (False, False, "ok"),
        (False, False, "ok"),
    ]
    guardrail = stage.records.of(GuardrailClosed)[0]
    assert (guardrail.consent, guardrail.consent_version) == ("refused", "spoken-v3")


def tone(seconds):
    """A recorded sentence: silence will do."""

    async def frames():
        for _ in range(int(seconds * 50)):
            yield rtc.AudioFrame(bytes(2 * 480), 24_000, 1, 480)

    return frames()


def test_what_the_agent_says_without_its_model_is_a_turn_of_its_own():
    """R6: a recording played by say(), at the start, cut short by the caller, and between answers; never a sample, never twice."""

    class Host(ScriptedClinicAgent):
        async def on_enter(self):
            self.session.say("Welcome.", audio=tone(5.0))

    async def play(stage):
        await stage.until(lambda: stage.speaker.playing)
        await asyncio.sleep(0.3)
        await stage.say()  # over the welcome
        await stage.answered(2)
        stage.session.say("One moment.", audio=tone(0.3))
        await stage.answered(3)
        await stage.say()
        await stage.answered(4)

    stage = one_call(CallScript(turns=((QUICK,), (QUICK,))), play, agent=Host([]))
    turns = sorted(stage.turns(), key=lambda turn: turn.start_ns)
    assert [(turn.origin, turn.ttft_source, turn.responses, turn.interrupted) for turn in turns] == [
        ("agent", "state", 0, True), ("vad", "azure_events", 1, False), ("agent", "state", 0, False), ("vad", "azure_events", 1, False)
    ]  # fmt: skip
    assert [turn.ttft_ms is None for turn in turns] == [True, False, True, False]
    assert stage.ended().interruptions == 1
    assert all(turn.first_audio_ns >= turn.start_ns and turn.end_ns > turn.first_audio_ns for turn in turns)


@pytest.mark.parametrize("how", ["hangs_up", "agent_ends"])
def test_a_call_that_ends_while_a_tool_runs_tells_the_tool_and_its_turn(how):
    """LiveKit lets it end before it closes the session: so it is told, under its turn, without a sample, and all tokens are billed."""

    async def play(stage):
        await stage.say()
        await stage.until(lambda: stage.count("response.done", "completed") == 1)
        await asyncio.sleep(0.2)
        if how == "hangs_up":
            stage.session._close_soon(reason=CloseReason.PARTICIPANT_DISCONNECTED, drain=False)
            await stage.until(lambda: stage.records.of(CallEnded))

    script = CallScript(turns=((ModelCall("book"),),), usage=(Usage(output_text=7, output_audio=0),))
    stage = one_call(script, play, tools=[ScriptedTool("book", result="x", takes_ms=800)])
    (tool,), (turn,) = stage.records.of(ToolCall), stage.turns()
    assert (tool.status, tool.output, tool.at[-2][1]) == ("ok", "x", turn.id)
    assert (turn.ttft_ms, turn.output_text, turn.tool_calls) == (None, 7, 1)
    assert turn.outcome == "open"
    assert 700 < turn.tool_ms < 2000
    assert stage.ended().reason == ("participant_disconnected" if how == "hangs_up" else "user_initiated")


def test_a_caller_who_hangs_up_while_speaking_has_spoken():
    """Their last words are a turn, though no end of them was heard."""

    async def play(stage):
        stage.mic.talk(5000)
        await stage.until(lambda: stage.count("speech_started") == 1)
        await asyncio.sleep(0.3)

    stage = one_call(CallScript(), play)
    (heard,) = stage.records.of(UserTurn)
    assert 250 < heard.audio_ms < 2000
    assert heard.outcome == "open"
    assert (stage.ended().turns, stage.turns()) == (1, [])


def test_a_trace_reads_in_order():
    """Every span lies within the call and begins no later than it ends; children begin within their parent; turns follow each other."""

    async def play(stage):
        await stage.until(lambda: stage.count("response.done") == 1)
        await stage.say()
        await stage.answered(2)
        await stage.say()
        await stage.until(lambda: stage.speaker.playing)
        await stage.say()
        await stage.answered(4)

    tools = [ScriptedTool("book", result="x", takes_ms=100)]
    script = CallScript(turns=((QUICK,), (ModelCall("book"),), (QUICK,), (LONG,), (QUICK,)))
    stage = one_call(script, play, agent=ScriptedClinicAgent(tools, greets=True))
    root = stage.records.of(CallClosed)[0]
    for record in stage.records.all:
        assert root.start_ns <= record.start_ns <= (record.end_ns or root.end_ns) <= root.end_ns
    ends = {record.id: (record.start_ns, record.end_ns) for record in stage.turns()}
    (tool,) = stage.records.of(ToolCall)
    began, ended = ends[tool.at[-2][1]]
    assert began <= tool.start_ns <= tool.end_ns <= ended
    order = sorted((*stage.turns(), *stage.records.of(UserTurn)), key=lambda turn: turn.start_ns)
    assert [type(turn).__name__[0] for turn in order] == list("AUAUAUA")
