"""A real AgentSession with the tracer attached: what is recorded is what happened, and the call goes on whatever the tracer meets."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

import tracing
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Fail, Say, Usage
from tracing.local.clinic_agent import CallerTurn, ClinicAgent, ScriptedClinicAgent, ScriptedTool, job_context, run_call
from tracing.record import AgentTurn, CallClosed, CallEnded, CallOpened, Consent, GuardrailClosed, SessionStarted, ToolCall, UserTurn
from tracing.recorder import Tally

pytestmark = pytest.mark.filterwarnings("ignore:.*api_version.*:DeprecationWarning")


class Records:
    """A recorder that keeps what it is given; it can be told to fail."""

    def __init__(self, fault=None):
        self.all, self.fault, self.open = [], fault, set()

    def record(self, record):
        if self.fault is not None:
            raise self.fault
        self.all.append(record)

    def open_call(self, call):
        self.open.add(call)

    def close_call(self, call):
        self.open.discard(call)

    def tally(self):
        return Tally(len(self.all), len(self.all), 0, {})

    def of(self, kind):
        return [record for record in self.all if isinstance(record, kind)]


def play(agent, turns, records, *, caller=(300,), dialect="ga", consent="granted", with_job=False):
    """Play one call and give its outcome and the tracer's call."""
    attached = []

    async def main():
        azure = AzureRealtime([CallScript(turns=tuple(turns), usage=(Usage(output_audio=11),) * 9)])
        url = await azure.start()

        def attach(session, ctx):
            attached.append(tracing.attach(session, ctx, consent=consent, consent_version="text-v2", recorder=records))

        try:
            if with_job:
                with job_context() as ctx:
                    return await run_call(agent, url, [CallerTurn(ms) for ms in caller], attach=attach, ctx=ctx, dialect=dialect)
            return await run_call(agent, url, [CallerTurn(ms) for ms in caller], attach=attach, dialect=dialect)
        finally:
            await azure.stop()

    outcome = asyncio.run(main())
    return outcome, attached[0]


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_an_ordinary_call_is_recorded_as_it_happened(dialect):
    """Every span of the trace, with TTFT-A by the stand-in's clock, tokens, tool payloads and the class of what a tool raised."""
    agent = ScriptedClinicAgent(
        [
            ScriptedTool("book_appointment", result={"confirmation_id": "CONF-1234"}, takes_ms=50),
            ScriptedTool("cancel_appointment", raises="LookupError: patient Zqxjk not found"),
        ],
        greets=True,
    )
    script = [
        (Say("Hello.", 200),),
        (ModelCall("book_appointment", {"patient_name": "Zqxjk"}), ModelCall("cancel_appointment", {"confirmation_id": "CONF-1"})),
        (Say("Done.", 300, first_audio_after_ms=80),),
    ]
    records = Records()
    outcome, call = play(agent, script, records, dialect=dialect, with_job=True)
    assert (outcome.unanswered, call.faults) == (0, 0)
    kinds = [type(record) for record in records.all]
    assert kinds[:3] == [CallOpened, Consent, SessionStarted]
    assert kinds[-3:] == [CallEnded, GuardrailClosed, CallClosed]
    assert len(records.of(UserTurn)) == 1
    greeting, answer = records.of(AgentTurn)
    assert (greeting.origin, greeting.ttft_ms) == ("agent", None)
    assert (answer.origin, answer.outcome, answer.responses, answer.tool_calls, answer.deployment) == (
        "vad",
        "answered",
        2,
        2,
        "gpt-realtime",
    )
    assert answer.output_audio == 22
    stops = [m.at_s for m in outcome.truth if m.event == "speech_stopped"]
    sounds = [m.at_s for m in outcome.truth if m.event == "first_audio"]
    assert abs(answer.ttft_ms - (sounds[-1] - stops[-1]) * 1000) < 50
    booked, cancelled = sorted(records.of(ToolCall), key=lambda tool: tool.tool)
    assert (booked.status, booked.arguments, booked.output) == ("ok", '{"patient_name": "Zqxjk"}', "{'confirmation_id': 'CONF-1234'}")
    assert (cancelled.status, cancelled.error_type, cancelled.error_message, cancelled.output) == (
        "error",
        "LookupError",
        "tool_raised",
        "",
    )
    assert {tool.at[-2][1] for tool in (booked, cancelled)} == {answer.id}
    assert {record.at[0][1] for record in records.all} == {call.id}
    ended = records.of(CallEnded)[0]
    assert (ended.turns, ended.errors, ended.offered) == (1, 1, len(records.all))
    assert records.open == set()


def test_the_six_real_tools_work_untouched(tmp_path):
    """The clinic's own agent books through the real booking system with the tracer attached."""
    when = "2030-03-04T10:00"
    script = [
        (Say("Hello.", 100),),
        (ModelCall("check_availability", {"doctor_name": "Dr. Lee", "appointment_datetime": when}),),
        (Say("Yes.", 100),),
    ]
    records = Records()
    outcome, call = play(ClinicAgent(), script, records)
    (tool,) = records.of(ToolCall)
    assert (tool.tool, tool.status, outcome.unanswered, call.faults) == ("check_availability", "ok", 0, 0)
    assert "available" in tool.output


@pytest.mark.parametrize("fault", [TypeError("zqxjk"), ValueError("zqxjk"), MemoryError()])
def test_a_tracer_that_fails_at_every_step_costs_the_call_nothing(fault):
    """Even the TypeError that LiveKit lets through its event handlers."""
    agent = ScriptedClinicAgent([ScriptedTool("book_appointment", result={"ok": True})])
    script = [(ModelCall("book_appointment", {}),), (Say("Done.", 200),), (Say("Bye.", 200),)]
    outcome, call = play(agent, script, Records(fault), caller=(300, 300))
    assert not call  # it could not even open the call
    assert (outcome.unanswered, outcome.exceptions) == (0, ())


def test_a_tracer_that_fails_once_the_call_runs_is_counted():
    """Handlers swallow their own faults and say how many there were."""
    records = Records()
    original = records.record

    def later(record):
        original(record)
        if len(records.all) > 3:
            raise TypeError("zqxjk")

    records.record = later
    script = [(Say("Done.", 200),), (Say("Bye.", 200),)]
    outcome, call = play(ScriptedClinicAgent([]), script, records, caller=(300, 300))
    assert (outcome.unanswered, outcome.exceptions) == (0, ())
    assert call.faults >= 3


def test_refused_consent_keeps_the_payloads_at_home():
    """The tool's span is there, its content is not even recorded."""
    agent = ScriptedClinicAgent([ScriptedTool("book_appointment", result={"confirmation_id": "CONF-1234"})])
    records = Records()
    play(agent, [(ModelCall("book_appointment", {"patient_name": "Zqxjk"}),), (Say("Done.", 100),)], records, consent="refused")
    (tool,) = records.of(ToolCall)
    assert (tool.arguments, tool.output) == ("", "")
    assert records.of(Consent)[0].consent == "refused"


def test_a_failed_response_is_an_error_of_the_turn():
    """No sample, a code of ours, and no text of the model's."""
    records = Records()
    play(ScriptedClinicAgent([]), [(Fail(message="zqxjk"),), (Say("Sorry.", 100),)], records, caller=(300, 300))
    failed = records.of(AgentTurn)[0]
    assert (failed.outcome, failed.error_message, failed.ttft_ms) == ("failed", "response_failed", None)


def test_attach_never_raises_and_does_nothing_when_told_so(monkeypatch):
    """Not a session, no runtime directory, telemetry off: None, and the agent goes on."""
    assert not tracing.attach(object(), recorder=Records(RuntimeError()))
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", "/proc/nowhere")
    assert not tracing.attach(object())
    monkeypatch.setenv("PHI_GUARD_TELEMETRY", "off")
    records = Records()
    call = tracing.attach(object(), recorder=records)
    call.consent("refused")  # as an agent does that does not ask whether it is traced
    call.detach()
    assert asyncio.run(call.flush()) is True
    assert (bool(call), call.id, call.faults, call.media, records.all) == (False, "", 0, None, [])


def test_start_relay_never_raises(monkeypatch):
    """A wrong setting, or telemetry off, gives a handle that does nothing and says why."""
    handle = tracing.start_relay(env="staging")
    assert "dev or prod" in handle.fault
    assert handle.ask(0.1) is None
    handle.stop()
    monkeypatch.setenv("PHI_GUARD_TELEMETRY", "off")
    assert "off" in tracing.start_relay().fault


def test_start_options_shut_livekits_own_ways_out():
    """Nothing to LiveKit Cloud, nothing to the room's other participants."""
    assert tracing.start_options() == {"record": False, "session_host": False}


def test_a_tool_that_the_model_made_up_is_seen():
    """LiveKit starts nothing for it; the trace shows a failed call all the same."""
    records = Records()
    outcome, call = play(ScriptedClinicAgent([]), [(ModelCall("no_such_tool", {"patient_name": "Zqxjk"}),), (Say("Sorry.", 100),)], records)
    (tool,) = records.of(ToolCall)
    assert (tool.tool, tool.status, tool.error_message, tool.output, call.faults) == ("no_such_tool", "error", "tool_raised", "", 0)
    assert outcome.unanswered == 0


@pytest.mark.parametrize("word", ["Refused", "no", "declined", "", None, True])
def test_a_word_that_is_no_consent_is_a_refusal(word):
    """A misspelt refusal must not be taken for a caller who was never asked."""
    records = Records()
    call = tracing.attach(Silent(), consent=word, recorder=records)
    call.detach()
    assert [record.consent for record in records.of(Consent)] == ["refused"]


class Silent:
    """A session that says nothing."""

    llm = None

    def on(self, name, take):
        pass

    def off(self, name, take):
        pass


def test_a_refusal_is_told_when_it_is_said_and_only_once():
    """The relay must know before it hears of anything else of this call, even if the agent dies before its end."""
    records = Records()
    call = tracing.attach(Silent(), consent="granted", recorder=records)
    call.consent("refused", "text-v3")
    call.consent("refused")
    said = records.of(Consent)
    assert [(record.consent, record.consent_version) for record in said] == [("granted", ""), ("refused", "text-v3")]
    assert said[0].id != said[1].id  # the same id again would be the same operation sent again
    call.detach()
    assert call.faults == 0


def test_settings_of_another_type_cost_themselves_alone():
    """A number for a version would make a record that the relay cannot read, and with it the whole call."""
    records = Records()
    call = tracing.attach(Silent(), consent="granted", agent_version=3, consent_version=2.0, deployment=None, recorder=records)
    call.detach()
    assert call.faults == 3
    for record in records.all:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=type(record)) == record
