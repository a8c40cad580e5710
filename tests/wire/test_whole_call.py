"""Whole calls through every real part: a hardened agent in a process of its own, a relay, a trace store; read back as a developer does."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import Relay, Store
from langsmith import Client, utils

ROOT = Path(__file__).parents[2]
PROJECT = "medical-voice-agent-dev"
NAME, PHONE, MAIL = "Zqxjk Vorbley", "415-555-0172", "zqxjk.vorbley@example.org"
CANARIES = (b"zqxjk", b"vorbley", b"555-0172", b"5550172", base64.b64encode(NAME.encode())[:-4].lower())
LISTED = "ignore:.*is deprecated and will be removed after Jan 31, 2027.*"
"""``Client.list_runs`` is what scripts of developers call, and the SDK warns of its end."""
GOOD = b'{"v":1,"rtt_ms":61.5,"jitter_ms":2,"loss_pct":0.5}'
BAD = json.dumps({"v": 1, "rtt_ms": 5, "note": NAME}).encode()
CALLS = ("whole", "refused", "unpriced")

pytestmark = pytest.mark.filterwarnings(LISTED)


# -- the agent's process -----------------------------------------------------------------------------------------------------------------


def room():
    """A room with LiveKit's own emitter, its statistics as LiveKit's own messages, and a caller whose browser sends packets."""
    from livekit.rtc._proto import stats_pb2
    from livekit.rtc.event_emitter import EventEmitter

    class Room(EventEmitter):
        asked = 0
        name, sid = f"call-{PHONE}", "RM_x"

        def __init__(self):
            super().__init__()
            self.local_participant = SimpleNamespace(identity="agent", kind=4, sid="PA_agent")
            self.caller = SimpleNamespace(identity=MAIL, name=NAME, kind=0, sid="PA_Caller123abc")
            self.remote_participants = {MAIL: self.caller}

        def isconnected(self):
            return True

        async def get_rtc_stats(self):
            self.asked += 1
            heard, echoed, address = (stats_pb2.RtcStats() for _ in range(3))
            heard.inbound_rtp.stream.ssrc, heard.inbound_rtp.stream.kind = 7, "audio"
            told = heard.inbound_rtp.received
            told.packets_received, told.packets_lost, told.jitter = 95 * self.asked, 5 * self.asked, 0.004
            echoed.remote_inbound_rtp.stream.ssrc, echoed.remote_inbound_rtp.stream.kind = 9, "audio"
            report = echoed.remote_inbound_rtp.remote_inbound
            report.total_round_trip_time, report.round_trip_time_measurements = 0.08 * self.asked, 2 * self.asked
            address.remote_candidate.candidate.address = PHONE
            return SimpleNamespace(publisher_stats=[echoed, address], subscriber_stats=[heard])

    return Room()


def agents(call):
    """The front desk, with a tool that works, one that fails and one that hands over; and the desk behind it, which notes a refusal."""
    from livekit.agents import Agent, function_tool

    class Desk(Agent):
        def __init__(self):
            super().__init__(instructions="desk")

        async def on_enter(self):
            self.session.generate_reply()

    class Front(Agent):
        def __init__(self):
            super().__init__(instructions="front")

        async def on_enter(self):
            self.session.generate_reply()

        @function_tool
        async def book_appointment(self, patient_name: str, phone: str, notes: str) -> dict[str, str]:
            """Book."""
            return {"confirmation_id": "CONF-1234", "patient_name": patient_name, "email": MAIL}

        @function_tool
        async def cancel_appointment(self, patient_name: str) -> str:
            """Cancel."""
            raise LookupError(f"{patient_name} {PHONE} has no appointment")

        @function_tool
        async def get_opening_hours(self, doctor_name: str) -> dict[str, str]:
            """Tell the hours, to a caller who has just said that nothing is to be kept."""
            call[0].consent("refused", "recording-v3")
            return {"clinic_location": f"Riverside, asked {NAME}", "opens": "08:00"}

        @function_tool
        async def hand_over(self):
            """Hand over."""
            return Desk()

    return Front()


def script(kind):
    """What the model says and what the caller does.

    ``whole``: two tools, a hand-off, a connection that breaks, a barge-in. ``refused``: the caller refuses in the middle.
    ``unpriced``: a deployment that no price list knows.
    """
    from tracing.local.azure_realtime import Call, Say
    from tracing.local.phone_call import CallerTurn

    details = {"patient_name": NAME, "phone": PHONE, "notes": f"{NAME} has a fever, ring {PHONE}"}
    booking = (Call("book_appointment", details), Call("cancel_appointment", {"patient_name": NAME}))
    greeting, booked = (Say("Hello.", 100),), (Say(f"Booked, {NAME}.", 200, 80),)
    if kind == "unpriced":
        return (greeting, (Say("Fine.", 100),)), (CallerTurn(300),)
    if kind == "refused":
        asked = (Call("get_opening_hours", {"doctor_name": NAME}),)
        return (greeting, booking, booked, asked, (Say("At eight.", 100, 60),), booking[:1], booked), (CallerTurn(300),) * 3
    desk = (Call("hand_over"),), (Say("The desk.", 100, 60),), (Say(f"A long answer for {NAME}.", 4000, 60),), (Say("Very well.", 200, 60),)
    return (greeting, booking, booked, *desk), (CallerTurn(400), CallerTurn(300), CallerTurn(300, cut_in_after_ms=300), CallerTurn(400))


async def play(kind):
    """One call, from the job's first line to its shutdown, and how it went."""
    from livekit import rtc
    from livekit.agents.testing import fake_job_context

    import tracing
    from tracing.local.azure_realtime import AzureRealtime, CallScript
    from tracing.local.phone_call import run_call

    calls, spoken, line, later = [], [], room(), []
    says, caller = script(kind)
    azure = AzureRealtime([CallScript(says, transcripts=(f"I am {NAME}, {PHONE}",) * 4, key=kind)])
    url = await azure.start()

    def hear(event):
        if event.item.type != "message" or event.item.role != "assistant":
            return
        spoken.append(event.item)
        if len(spoken) == 1:
            for data in (BAD, GOOD):
                packet = rtc.DataPacket(data=data, kind=0, participant=line.caller, topic="phi_guard.media")
                line.emit("data_received", packet)
        if len(spoken) == 3 and kind == "whole":
            later.append(asyncio.ensure_future(azure.connections[-1].hang_up()))

    def attach(session, ctx):
        session.llm._opts.input_audio_transcription.model = "whisper-1"  # billed by the minute, as the stand-in bills
        calls.append(tracing.attach(session, ctx, consent="granted", consent_version="recording-v2", agent_version="1.4.2"))
        session.on("conversation_item_added", hear)

    with fake_job_context(room=line) as ctx:
        hardening = tracing.harden(ctx)
        deployment = "a-new-realtime-model" if kind == "unpriced" else "gpt-realtime"
        options = {"start_options": tracing.start_options(), "deployment": deployment, "api_key": kind}
        outcome = await run_call(agents(calls), url, caller, attach=attach, ctx=ctx, **options)
        for shut_down in ctx._shutdown_callbacks:
            await shut_down("")
        ctx._tempdir.cleanup()
    await azure.stop()
    stops, sounds = ([m.at_s for m in outcome.truth if m.event == event] for event in ("speech_stopped", "first_audio"))
    return {
        "call": calls[0].id,
        "faults": calls[0].faults,
        "unanswered": outcome.unanswered,
        "exceptions": outcome.exceptions,
        "open": sorted(door.name for door in hardening.open),
        "waits_ms": [(min(sound for sound in sounds if sound > stop) - stop) * 1000 for stop in stops],
    }


async def play_all():
    """Every call at once, in a process hardened before anything of LiveKit is loaded, which logs as agents do."""
    import logging

    import tracing

    tracing.harden()
    logging.basicConfig(level="INFO", stream=sys.stderr)
    return dict(zip(CALLS, await asyncio.gather(*map(play, CALLS)), strict=True))


# -- what is seen of it ------------------------------------------------------------------------------------------------------------------


class Played:
    """The calls, where they were told to, and what an operator asks afterwards."""

    def __init__(self, directory):
        self.runtime = directory / "relay"
        self.runtime.mkdir(mode=0o700)
        self.store = Store(directory)
        self.relay = Relay(self.runtime, self.store.url)

    def play(self):
        self.relay.ready()
        done = self._run(str(Path(__file__)))
        assert done.returncode == 0, done.stderr
        self.logged, self.told = done.stderr, json.loads(done.stdout)
        self.ledger = self.relay.settle(60)
        if self.ledger.dropped or self.ledger.pending:  # said where it is played, so that it is played again
            pytest.fail(f"{self.ledger}: {(self.runtime / 'relay.log').read_text()}")
        utils.get_env_var.cache_clear()
        client = Client(api_url=self.store.url, api_key="k")
        self.runs = sorted(client.list_runs(project_name=PROJECT), key=lambda run: run.dotted_order)
        client.close()

    def of(self, kind, name=""):
        """The runs of one call in the order of the tree; of one name, if given."""
        return [run for run in self.runs if str(run.trace_id) == self.told[kind]["call"] and name in ("", run.name)]

    def facts(self, kind, name):
        """The metadata of each of the call's spans of that name."""
        return [run.metadata for run in self.of(kind, name)]

    def ask(self, *command):
        """What a command of ours says as JSON, and its exit code."""
        done = self._run("-m", "audit", *command, "--format", "json")
        assert "Traceback" not in done.stderr
        assert done.stdout, done.stderr
        return json.loads(done.stdout), done.returncode

    def _run(self, *arguments):
        given = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "PHI_GUARD", "LIVEKIT"))}
        given |= {"PHI_GUARD_RUNTIME_DIR": str(self.runtime), "LANGSMITH_API_KEY": "k"}
        given |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONWARNINGS": "ignore"}
        return subprocess.run([sys.executable, *arguments], env=given, capture_output=True, text=True, timeout=90, check=False, cwd=ROOT)

    def stop(self):
        self.relay.stop()
        self.store.stop()


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    held = Played(tmp_path_factory.mktemp("whole"))
    try:
        held.play()
        yield held
    finally:
        held.stop()


def tree(runs):
    """Each span by name under its parent's; the spans that began with the call have no order among them."""
    names = {run.id: run.name for run in runs}
    told = [f"{names.get(run.parent_run_id, '')}/{run.name}" for run in runs]
    return [*sorted(told[:3]), *told[3:]]


BEGIN = ["/voice_session", "voice_session/policy.guardrail", "voice_session/session.start"]
ANSWER = "voice_session/agent_turn"
EXCHANGE = ["voice_session/user_turn", ANSWER]
BOOKING = ["agent_turn/tool.book_appointment", "agent_turn/tool.cancel_appointment"]
END = "voice_session/session.end"


def test_the_agent_never_noticed(played):
    """Every turn was answered, the one error is the connection that broke, no handler failed, every door was shut."""
    for kind, told in played.told.items():
        assert (told["unanswered"], told["faults"]) == (0, 0)
        assert told["exceptions"] == (["APIConnectionError"] if kind == "whole" else [])
        assert set(told["open"]) <= {"process.core_dumps"}  # the host's own setting


def test_one_tree_for_a_call(played):
    """Turns in order, each tool below the turn that called it, whatever the connection and the other calls of the process did."""
    assert tree(played.of("whole")) == [*BEGIN, ANSWER, *EXCHANGE, *BOOKING, *EXCHANGE, "agent_turn/tool.unknown", *EXCHANGE * 2, END]
    assert tree(played.of("unpriced")) == [*BEGIN, ANSWER, *EXCHANGE, END]
    assert len(played.runs) == sum(len(played.of(kind)) for kind in CALLS)


def test_turns_tell_what_the_caller_waited_for(played):
    """Outcome, agent, wait by the model's own clock, lateness of the loop; LangSmith's own column for the first token is filled."""
    turns = played.of("whole", "agent_turn")
    told = [(turn.metadata["origin"], turn.metadata["outcome"], turn.metadata["agent_index"]) for turn in turns]
    assert told == [
        ("agent", "answered", 0),
        *[("vad", "answered", 0), ("vad", "answered", 1)],
        ("vad", "interrupted", 1),
        ("vad", "answered", 1),
    ]
    assert "ttft_ms" not in turns[0].metadata
    assert turns[0].metadata["greeting_ms"] > 0
    for turn, wait in zip(turns[1:], played.told["whole"]["waits_ms"], strict=True):
        facts = turn.metadata
        assert abs(facts["ttft_ms"] - wait) < 50
        assert 0 < facts["ttft_model_ms"] <= facts["ttft_ms"]
        assert facts["loop_lag_ms"] >= 0
        assert turn.first_token_time is not None
    assert [turn.metadata["tool_calls"] for turn in turns] == [0, 2, 1, 0, 0]


def test_the_end_counts_what_befell_the_call(played):
    """One hand-off, one barge-in, one connection made anew; a tool and the connection went wrong."""
    (end,) = played.facts("whole", "session.end")
    assert {key: end[key] for key in ("turns", "handoffs", "interruptions", "reconnects", "errors", "reason")} == {
        "turns": 4, "handoffs": 1, "interruptions": 1, "reconnects": 1, "errors": 2, "reason": "user_initiated",
    }  # fmt: skip


def test_the_root_tells_both_sides_of_the_line(played):
    """What the agent measured of the room and what the caller's browser sent; of the caller only LiveKit's random id."""
    (root,) = played.facts("whole", "voice_session")
    assert root["agent_media_windows"] >= 1
    assert (root["agent_rtt_ms_p50"], root["agent_jitter_ms_max"], root["agent_loss_pct_p95"]) == (40, 4, 5)
    assert (root["client_rtt_ms_p50"], root["client_jitter_ms_max"], root["client_loss_pct_p95"]) == (61.5, 2, 0.5)
    assert (root["client_media_windows"], root["client_media_refused"]) == (1, 1)
    assert root["participant_sid"] == "PA_Caller123abc"
    assert root["spans_offered"] == root["spans_delivered"] + root["spans_pending"] == len(played.of("whole")) + 2


def test_cost_is_tokens_and_transcription(played):
    """By the shipped price list: each turn's tokens and the caller's seconds; the root has the sum."""
    (root,), turns = played.facts("whole", "voice_session"), played.facts("whole", "agent_turn")
    assert [turn.get("transcription_s") for turn in turns] == [None, 1, 1, 1, 1]
    for turn in turns:
        audio_in, fresh = turn["input_audio_tokens"] * 32, turn["input_text_tokens"] - turn["cached_tokens"]
        tokens = audio_in + fresh * 4 + turn["cached_tokens"] * 0.4 + turn["output_text_tokens"] * 16 + turn["output_audio_tokens"] * 64
        assert turn["cost_usd"] == pytest.approx(tokens / 1e6 + turn.get("transcription_s", 0) * 0.006 / 60)
        assert turn["usage_metadata"]["total_cost"] == turn["cost_usd"]
    assert root["cost_usd"] == pytest.approx(sum(turn["cost_usd"] for turn in turns))
    assert "cost_unknown" not in root


def test_a_deployment_without_a_price_is_no_call_for_nothing(played):
    """The turns say that their cost is unknown, and so does the root; tokens are counted all the same."""
    (root,), turns = played.facts("unpriced", "voice_session"), played.facts("unpriced", "agent_turn")
    assert root["cost_unknown"] is True
    for turn in turns:
        assert turn["cost_unknown"] is True
        assert "cost_usd" not in turn
        assert "total_cost" not in turn["usage_metadata"]
        assert turn["usage_metadata"]["total_tokens"] > 0


def test_the_root_of_a_call_of_unknown_cost_does_not_say_0(played):
    """A sum over nothing is no cost."""
    assert "cost_usd" not in played.facts("unpriced", "voice_session")[0]


def test_tools_show_their_shape_and_no_person(played):
    """Names of fields the policy knows, the class of what was raised, that the call was handed over."""
    tools = {run.name: run for run in played.of("whole") if run.run_type == "tool"}
    booked, failed, handed = (tools[f"tool.{name}"] for name in ("book_appointment", "cancel_appointment", "unknown"))
    assert booked.inputs["patient_name"] == booked.inputs["phone"] == "<REDACTED>"
    assert booked.inputs["notes"].startswith("<REDACTED> has a fever")
    assert booked.outputs["confirmation_id"] == "CONF-1234"
    assert (failed.error, failed.metadata["status"], failed.status) == ("LookupError: tool_raised", "error", "error")
    assert (handed.metadata["handoff"], handed.error) == (True, None)
    (guardrail,) = played.facts("whole", "policy.guardrail")
    assert (guardrail["consent"], guardrail["consent_version"]) == ("granted", "recording-v2")
    assert {"patient_name": 2, "phone": 1, "notes": 1}.items() <= guardrail["redactions"].items()


def test_from_a_refusal_on_nothing_is_told_of_tools(played):
    """Not of the tool that ran when it was said, nor of any later; the guardrail ends with the refusal and the text it answered."""
    first, *later = played.of("refused", "policy.guardrail")  # a second one would tell when it was said
    assert tree([run for run in played.of("refused") if run not in later]) == [
        *BEGIN, ANSWER, *EXCHANGE, *BOOKING, *EXCHANGE, "agent_turn/tool.get_opening_hours", *EXCHANGE, BOOKING[0], END
    ]  # fmt: skip
    said = {(guardrail["consent"], guardrail["consent_version"]) for guardrail in (run.metadata for run in (first, *later))}
    assert said == {("refused", "recording-v3")}
    before, *_ = played.of("refused", "tool.book_appointment")
    assert before.inputs["phone"] == "<REDACTED>"
    (during,), after = played.of("refused", "tool.get_opening_hours"), played.of("refused", "tool.book_appointment")[-1]
    for tool in (during, after):
        assert not tool.inputs
        assert not tool.outputs


def test_nothing_raw_leaves_the_agent(played):
    """Not to the trace store, not into a file of the relay's, not into the agent's log, though it told of the tool that failed."""
    assert b"tool.book_appointment" in played.store.raw()
    assert "LookupError" in played.logged
    seen = [played.store.raw(), played.logged.encode(), *(path.read_bytes() for path in played.runtime.rglob("*") if path.is_file())]
    assert [canary for canary in CANARIES for text in seen if canary in text.lower()] == [], "leaked"


def test_the_scan_has_nothing_to_say_against_it(played):
    """No finding, no fault of structure, no span lost; the one thing about the calls that is not shown is what the unpriced one cost."""
    where = ("--project", PROJECT, "--endpoint", played.store.url, "--env", "dev", "--known-answers", "1")
    report, code = played.ask("scan", *where)
    assert (report["incomplete"], report["findings"]) == ("", [])
    gates = {gate["name"]: gate["state"] for gate in report["gates"] if gate["evidence"] == "census"}
    few = ("ten_complete_traces", "twenty_clean_spans", "tools_traced")  # so few calls show nothing of these, and break none
    unproven = {gates.pop(name) for name in ("monthly_cost_usd", "accounted_for", *few)}  # no price, and no account was given
    assert (set(gates.values()), unproven) == ({"proven"}, {"unproven"})
    assert {"phi_findings", "trace_complete", "errors_typed", "span_drop", "one_trace_per_call", "guardrail_per_session"} <= set(gates)
    seen = report["population"]
    assert (seen["traces"], seen["runs"], seen["broken"], seen["untyped"]) == (3, len(played.runs), 0, 0)
    assert (report["verdict"]["state"], code) == ("UNPROVEN", 3)


def test_the_relays_books_agree_with_the_store(played):
    """The ledger adds up to what is stored, roots and guardrails told twice; the disclosure log holds, with every operation posted."""
    status, code = played.ask("relay", "status", "--runtime", str(played.runtime))
    assert (code, status["serving"]) == (0, True)
    ledger = status["ledger"]
    assert ledger["offered"] == ledger["delivered"] + ledger["withheld"] == len(played.runs) + 2 * len(CALLS)
    assert (ledger["pending"], ledger["dropped"]) == (0, {})
    chain, code = played.ask("disclosures", "verify")
    assert code == 0, chain


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(play_all())) + "\n")
