"""Whole calls: the real AgentSession and Azure client, against the stand-in, with a caller who talks. These run in real time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from livekit.agents import get_job_context

from tracing.local.azure_realtime import AzureRealtime, Call, CallScript, Fail, Say
from tracing.local.clinic_agent import CallerTurn, ClinicAgent, ScriptedClinicAgent, ScriptedTool, job_context, run_call, scripted_error

T = TypeVar("T")
MONDAY = "2026-03-02"
LONG_MS = 20_000
"""Longer than any pause of a slow machine."""
ONE_TURN = ["speech_started", "speech_stopped", "response.created", "response.done", "response.created", "first_audio", "response.done"]
"""The truth of a turn in which the model calls a tool before it speaks."""


def play(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, and hold that no task outlives the call."""

    async def run() -> T:
        result = await work
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    return asyncio.run(run())


class Witness:
    """Keeps the tools a session executed, as (name, arguments, output, is_error)."""

    def __init__(self) -> None:
        self.tools: list[tuple[str, dict[str, Any], str, bool]] = []
        self.ctx: object = None
        self.started_before_attach = True

    def attach(self, session: Any, ctx: object) -> None:
        self.ctx = ctx
        self.started_before_attach = session._started
        session.on("function_tools_executed", self._executed)

    def _executed(self, event: Any) -> None:
        for call, output in event.zipped():
            self.tools.append((call.name, json.loads(call.arguments), output.output, output.is_error))


@pytest.mark.parametrize("dialect", ["beta", "ga"])
def test_a_call_with_two_tools_one_of_which_raises(dialect: Any) -> None:
    """Arguments of any name reach the event, a dict result arrives as Python writes it, an error's text does not; the truth is in order."""
    odd = {"patient_name": "Ada Byron", "Any Key!": [1, {"deep": None}]}
    script = CallScript(
        turns=((Call("book_appointment", odd),), (Say("Booked.", 300, 100),), (Call("cancel_appointment"),), (Say("Sorry.", 300, 100),)),
    )
    tools = [
        ScriptedTool("book_appointment", {"confirmation_id": "CONF-1234", "ok": True}, takes_ms=40),
        ScriptedTool("cancel_appointment", raises="LookupError: patient Ada Byron not found"),
    ]
    witness = Witness()

    async def run() -> tuple[Any, AzureRealtime]:
        azure = AzureRealtime([script])
        url = await azure.start()
        turns = [CallerTurn(300), CallerTurn(300)]
        with job_context() as ctx:
            outcome = await run_call(
                ScriptedClinicAgent(tools), url, turns, attach=witness.attach, ctx=ctx, dialect=dialect, deployment="dep"
            )
            assert witness.ctx is ctx
        await azure.stop()
        return outcome, azure

    outcome, azure = play(run())
    assert not witness.started_before_attach
    assert witness.tools == [
        ("book_appointment", odd, "{'confirmation_id': 'CONF-1234', 'ok': True}", False),
        ("cancel_appointment", {}, "An internal error occurred", True),
    ]
    assert (outcome.turns, outcome.unanswered, outcome.exceptions) == (2, 0, ())
    assert [m.event for m in outcome.truth] == ONE_TURN * 2
    assert outcome.truth == tuple(azure.connections[0].truth)
    assert outcome.started_s < outcome.truth[0].at_s < outcome.truth[-1].at_s < outcome.ended_s
    assert outcome.events["server:response.done"] == 4
    assert outcome.events["tool_execution_updated"] == 4
    assert azure.connections[0].deployment == "dep"


def test_a_line_tells_who_rings() -> None:
    """The room has its name, and in it stands the caller with what a SIP trunk tells; without any of it, the room is empty."""

    async def look() -> tuple[Any, ...]:
        with job_context(room_name="call-0144", identity="sip_0145", attributes={"sip.phoneNumber": "0146"}) as ctx:
            ((identity, caller),) = ctx.room.remote_participants.items()
            told = ctx.room.name, ctx.job.room.name, identity, caller.identity, caller.attributes["sip.phoneNumber"]
        with job_context() as ctx:
            assert not ctx.room.remote_participants
        return told

    assert asyncio.run(look()) == ("call-0144", "call-0144", "sip_0145", "sip_0145", "0146")


def test_two_calls_at_once_keep_to_their_scripts() -> None:
    """Each call plays the script of its key, and its outcome tells its own truth."""
    scripts = [
        CallScript(turns=((Call(name),), (Say("Done.", 200, 100),)), key=name) for name in ("get_opening_hours", "check_availability")
    ]
    tools = [ScriptedTool("check_availability", {"available": True}), ScriptedTool("get_opening_hours", {"opens": "08:00"})]
    witnesses = {script.key or "": Witness() for script in scripts}

    async def run() -> list[Any]:
        azure = AzureRealtime(scripts)
        url = await azure.start()

        async def place(key: str, witness: Witness) -> Any:
            with job_context() as ctx:
                outcome = await run_call(ScriptedClinicAgent(tools), url, [CallerTurn(300)], attach=witness.attach, api_key=key, ctx=ctx)
                assert witness.ctx is ctx is get_job_context()
                return outcome

        outcomes = await asyncio.gather(*(place(key, w) for key, w in reversed(witnesses.items())))  # not in the scripts' order
        await azure.stop()
        return outcomes

    outcomes = play(run())
    assert {key: [tool[0] for tool in witness.tools] for key, witness in witnesses.items()} == {key: [key] for key in witnesses}
    assert [o.unanswered for o in outcomes] == [0, 0]
    ids = [{m.response_id for m in o.truth if m.response_id} for o in outcomes]
    assert len(ids[0]) == len(ids[1]) == 2
    assert not ids[0] & ids[1]


def test_the_clinic_agent_greets_books_and_explains_a_refusal() -> None:
    """The six real tools work from a model's call: a booking stands in the book, a taken slot is told to the model."""
    booking = {"patient_name": "Ada Byron", "phone": "555-0100", "doctor_name": "Dr. Lee", "appointment_datetime": f"{MONDAY}T10:00"}
    script = CallScript(
        turns=(
            (Say("Riverside clinic, good day.", 200, 50),),
            (
                Call("check_availability", {"doctor_name": "Dr. Lee", "appointment_datetime": f"{MONDAY}T10:00"}),
                Call("get_opening_hours", {"clinic_location": "Riverside"}),
                Call("get_medical_guidelines", {"symptoms": "a cough"}),
            ),
            (Say("It is free.", 200, 50),),
            (Call("book_appointment", booking), Call("book_appointment", booking)),
            (Say("Booked once.", 200, 50),),
            (Call("reschedule_appointment", {"confirmation_id": "CONF-1001", "appointment_datetime": f"{MONDAY}T11:00"}),),
            (Say("Moved.", 200, 50),),
            (Call("cancel_appointment", {"confirmation_id": "CONF-1001", "patient_name": "Ada Byron"}),),
            (Say("Cancelled.", 200, 50),),
        ),
    )
    witness, agent = Witness(), ClinicAgent()

    async def run() -> Any:
        azure = AzureRealtime([script])
        outcome = await run_call(agent, await azure.start(), [CallerTurn(300)] * 4, attach=witness.attach)
        await azure.stop()
        return outcome

    outcome = play(run())
    assert outcome.truth[0].event == "response.created"  # the greeting, before anyone spoke
    assert outcome.unanswered == 0
    assert [(name, is_error) for name, _, _, is_error in witness.tools] == [
        ("check_availability", False), ("get_opening_hours", False), ("get_medical_guidelines", False), ("book_appointment", False),
        ("book_appointment", True), ("reschedule_appointment", False), ("cancel_appointment", False),
    ]  # fmt: skip
    assert "'available': True" in witness.tools[0][2]
    assert "taken" in witness.tools[4][2]
    assert f"{MONDAY}T11:00" in witness.tools[5][2]
    assert agent.booking.is_free("Dr. Lee", f"{MONDAY}T11:00")


def test_the_caller_lets_a_slow_greeting_finish() -> None:
    """An agent that looks something up before it greets is not talked over."""

    class Slow(ClinicAgent):
        async def on_enter(self) -> None:
            await asyncio.sleep(0.05)
            await super().on_enter()

    async def run() -> Any:
        azure = AzureRealtime([CallScript(turns=((Say("Good day.", 200, 50),),))])
        outcome = await run_call(Slow(), await azure.start(), [CallerTurn(300)])
        await azure.stop()
        return outcome

    assert [m.event for m in play(run()).truth][:4] == ["response.created", "first_audio", "response.done", "speech_started"]


@pytest.mark.parametrize(("created_after_ms", "stall_s"), [(300, 0), (100, 0.3)])
def test_a_slow_answer_is_not_talked_over(created_after_ms: int, stall_s: float) -> None:
    """Be the model slow or the loop stalled, the caller waits for the answer after a tool. A session just stalled calls itself idle."""
    turns = ((Call("book_appointment"),), (Say("Booked.", 200, 100),))
    script = CallScript(turns=turns * 2, created_after_ms=created_after_ms)
    agent = ScriptedClinicAgent([ScriptedTool("book_appointment", {"confirmation_id": "CONF-1234"}, takes_ms=40)])

    def stall(event: dict[str, Any]) -> None:
        if event["type"] == "conversation.item.added":
            time.sleep(stall_s)

    def attach(session: Any, _: object) -> None:
        open_session = session.llm.session

        def opened(**options: Any) -> Any:
            realtime = open_session(**options)
            realtime.on("openai_server_event_received", stall)
            return realtime

        session.llm.session = opened

    async def run() -> Any:
        azure = AzureRealtime([script])
        outcome = await run_call(agent, await azure.start(), [CallerTurn(300)] * 2, attach=attach)
        await azure.stop()
        return outcome

    outcome = play(run())
    assert [m.event for m in outcome.truth] == ONE_TURN * 2
    assert outcome.truth[2].at_s - outcome.truth[1].at_s >= created_after_ms / 1000


def test_a_scripted_tool_without_a_result_asks_the_real_one() -> None:
    """One name may be scripted, then real; a name that is none of the six is answered with an empty object."""
    script = CallScript(
        turns=((Call("get_opening_hours", {"clinic_location": "Hillcrest"}),) * 2 + (Call("made_up"),), (Say("So.", 200, 50),))
    )
    tools = [ScriptedTool("get_opening_hours", {"opens": "never"}), ScriptedTool("get_opening_hours"), ScriptedTool("made_up")]
    witness = Witness()

    async def run() -> Any:
        azure = AzureRealtime([script])
        outcome = await run_call(ScriptedClinicAgent(tools), await azure.start(), [CallerTurn(300)], attach=witness.attach)
        await azure.stop()
        return outcome

    assert play(run()).unanswered == 0
    outputs = [output for _, _, output, _ in witness.tools]
    assert outputs[0] == "{'opens': 'never'}"
    assert "'opens': '09:00'" in outputs[1]
    assert outputs[2] == "{}"


def test_a_failed_response_and_a_cut_in_do_not_hold_the_call() -> None:
    """A response that fails is over; an answer that is talked over is cut short, not waited for, whether it was all sent by then or not."""
    script = CallScript(turns=((Fail(),), (Say("A very long answer indeed.", LONG_MS, 50, pace_s=0),), (Say("Yes?", 200, 50),)))

    async def run() -> Any:
        azure = AzureRealtime([script])
        turns = [CallerTurn(300), CallerTurn(300, cut_in_after_ms=200), CallerTurn(300)]
        outcome = await run_call(ScriptedClinicAgent([]), await azure.start(), turns, turn_limit_s=2 * LONG_MS / 1000)
        await azure.stop()
        return outcome

    outcome = play(run())
    assert (outcome.turns, outcome.unanswered, outcome.barge_ins) == (3, 0, 1)
    done = [m.status for m in outcome.truth if m.event == "response.done"]
    assert done in (["failed", "completed", "completed"], ["failed", "cancelled", "completed"])  # how fast the machine sends is no matter
    heard = next(m.at_s for m in outcome.truth if m.event == "first_audio")
    cut_in = next(m.at_s for m in outcome.truth if m.event == "speech_started" and m.at_s > heard)
    assert cut_in - heard < LONG_MS / 1000


def test_a_lost_connection_is_taken_up_again_where_the_script_stood() -> None:
    """The server hangs up between two turns: the client connects again, the second turn is answered, the truth covers both sockets."""
    script = CallScript(turns=((Say("One.", 200, 50),), (Say("Two.", 200, 50),)), key="mine")

    async def run() -> tuple[Any, AzureRealtime]:
        azure = AzureRealtime([script])
        url = await azure.start()

        async def cut_the_line() -> None:
            while not (azure.connections and any(m.event == "response.done" for m in azure.connections[0].truth)):
                await asyncio.sleep(0.01)
            await azure.connections[0].hang_up()

        cut = asyncio.create_task(cut_the_line())
        outcome = await run_call(ScriptedClinicAgent([]), url, [CallerTurn(300), CallerTurn(300)], api_key="mine")
        await cut
        await azure.stop()
        return outcome, azure

    outcome, azure = play(run())
    assert len(azure.connections) == 2
    assert outcome.unanswered == 0
    assert outcome.exceptions == ("APIConnectionError",)
    assert outcome.truth == (*azure.connections[0].truth, *azure.connections[1].truth)
    assert [m.event for m in azure.connections[1].truth][-2:] == ["first_audio", "response.done"]


@pytest.mark.parametrize("moment", ["user_state_changed", "function_tools_executed"])
def test_an_agent_that_hangs_up_ends_the_call(moment: Any) -> None:
    """Closed from inside, while the caller speaks or after: the caller says no more and does not wait for the time limit."""
    script = CallScript(turns=((Call("bye"),), (Say("Goodbye then.", 200, 50),)))

    def attach(session: Any, _: object) -> None:
        session.on(moment, lambda _: session.shutdown(drain=False))

    async def run() -> Any:
        azure = AzureRealtime([script])
        outcome = await run_call(ScriptedClinicAgent([ScriptedTool("bye")]), await azure.start(), [CallerTurn(300)] * 3, attach=attach)
        await azure.stop()
        return outcome

    outcome = play(run())
    assert (outcome.turns, outcome.unanswered, outcome.events["close"]) == (1, 1, 1)
    assert outcome.ended_s - outcome.started_s < 5


def test_an_answer_that_never_comes_is_counted_and_hung_up_on() -> None:
    """A silent model costs the time limit, is counted as unanswered, and everything is closed all the same."""

    async def run() -> Any:
        azure = AzureRealtime([CallScript(turns=((Say("Late.", 200, 60_000),),))])
        outcome = await run_call(ScriptedClinicAgent([]), await azure.start(), [CallerTurn(300)], turn_limit_s=1)
        await azure.stop()
        return outcome

    began = time.monotonic()
    assert play(run()).unanswered == 1
    assert time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("LookupError: patient not found", LookupError, "patient not found"),
        ("ToolError: say it again", Exception, "say it again"),
        ("KeyboardInterrupt: no", RuntimeError, "KeyboardInterrupt: no"),
        ("UnicodeDecodeError: x", RuntimeError, "UnicodeDecodeError: x"),
        ("open: the door", RuntimeError, "open: the door"),
        ("NoSuchError: x", RuntimeError, "NoSuchError: x"),
    ],
)
def test_a_scripted_error_is_the_class_it_names(text: str, kind: type[Exception], message: str) -> None:
    """Built-in exceptions and ToolError come as named; anything else is a RuntimeError with the whole text, never an exit."""
    error = scripted_error(text)
    assert isinstance(error, kind)
    assert str(getattr(error, "message", error)) == message
