"""A canary in every field, key, name, error and number of played calls, searched for in every byte that reached the trace store."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.parse

import msgspec
import pytest
from fakes import Relay, Store, call_records

from tracing.identity import new_id
from tracing.record import AgentTurn, CallClosed, CallEnded, CallOpened, Consent, GuardrailClosed, ToolCall, UserTurn
from tracing.recorder import Recorder

NAME = "Zqxjk Vwpfm"
PHONE = "+41 79 987 65 43"
NUMBER = 41799876543
MAIL = "zqxjk.vwpfm@example.org"
MRN = "MRN-4827193"
DOB = "1958-03-14"

EVERYTHING = {
    "patient_name": NAME,
    "phone": PHONE,
    "email": MAIL,
    "dob": DOB,
    "mrn": MRN,
    "address": "12 rue Zqxjk, 1003 Lausanne",
    "reason_for_visit": f"{NAME} has a fever, ring {PHONE} or write to {MAIL}",
    "notes": f"zqxjk again, born {DOB}, {MRN}",
    "doctor_name": NAME,
    "clinic_location": NAME,
    "appointment_datetime": f"2027-03-15T14:00Z for {NAME}",
    "confirmation_id": MRN,
    "result": {"patient_name": NAME, NAME: NUMBER, "deep": [[[{"x": NAME}]]]},
    "insurance": {"holder": NAME, "numbers": [NUMBER, float(NUMBER)]},
    NAME: NAME,
    "json": json.dumps({"patient_name": NAME, "phone": PHONE}),
    "base64": base64.b64encode(NAME.encode()).decode(),
}
DEEP: dict[str, object] = {"patient_name": NAME}
for _ in range(30):
    DEEP = {"notes": DEEP}

LINE = {
    "room": f"call-{PHONE}-{NAME}",
    "identity": f"sip_{PHONE.replace(' ', '')}-{MAIL}",
    "attributes": {"sip.phoneNumber": PHONE, "sip.callerName": NAME, "sip.h.x-record": MRN, NAME: DOB},
}
SCRIPT = {
    "calls": [
        {
            "consent": "granted",
            "line": LINE,
            "turns": [
                {
                    "user": {"speech_ms": 300, "says": f"I am {NAME}, {PHONE}"},
                    "tools": [
                        {"name": "book_appointment", "args": EVERYTHING, "result": EVERYTHING, "takes_ms": 10},
                        {"name": "check_availability", "args": DEEP, "result": [NAME, NUMBER, DEEP]},
                        {
                            "name": "get_medical_guidelines",
                            "args": {"symptoms": f"{NAME} coughs"},
                            "result": f"Tell {NAME} on {PHONE} to rest",
                        },
                    ],
                    "agent": {"speech_ms": 200, "first_audio_after_ms": 50, "says": f"Booked, {NAME}."},
                },
                {
                    "user": {"speech_ms": 300},
                    "tools": [
                        {"name": "cancel_appointment", "args": {"patient_name": NAME}, "raises": f"LookupError: {NAME} {PHONE} has none"},
                        {"name": "Zqxjk_tool", "args": {"x": NAME}, "result": NUMBER},
                        {"name": "get_opening_hours", "args": {}, "raises": f"ToolError: {MAIL}"},
                    ],
                    "agent": {"speech_ms": 200, "first_audio_after_ms": 50},
                },
            ],
        },
        {
            "consent": "refused",
            "line": LINE,
            "turns": [{"tools": [{"name": "book_appointment", "args": EVERYTHING, "result": "ok"}], "agent": {"speech_ms": 100}}],
        },
    ]
}


CANARIES = (NAME, "Zqxjk", "Vwpfm", PHONE, NUMBER, MAIL, MRN, "4827193", DOB)


def forms(value):
    """A value as it might still be recognised: as it is, lower, digits alone, URL- and base64-encoded at each offset, hexadecimal."""
    text = str(value)
    yield text.encode()
    yield text.lower().encode()
    yield urllib.parse.quote(text).encode()
    yield urllib.parse.quote_plus(text).encode()
    yield text.encode().hex().encode()
    digits = "".join(c for c in text if c.isdigit())
    if len(digits) > 5:
        yield digits.encode()
        yield digits[-9:].encode()
    for shift in range(3):
        encoded = base64.b64encode(b" " * shift + text.encode()).rstrip(b"=")
        yield encoded[shift + 1 : -2]


def canaries_in(raw):
    """Each canary that is in some bytes in a form we know."""
    low = raw.lower()
    return [(value, form) for value in CANARIES for form in forms(value) if form in raw or form.lower() in low]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    directory = tmp_path_factory.mktemp("canary")
    script = directory / "calls.json"
    script.write_text(json.dumps(SCRIPT))
    store = Store(directory)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "PHI_GUARD"))}
    environment |= {"LANGSMITH_ENDPOINT": store.url, "LANGSMITH_API_KEY": "k", "LANGSMITH_PATIENT": NAME, "LANGCHAIN_NOTE": NAME}
    environment |= {"PHI_GUARD_RUNTIME_DIR": str(directory / "run")}
    command = [sys.executable, "-m", "audit", "rehearse", "--calls", "2", "--script", str(script), "--format", "json", "--no-measure"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    yield done, store
    store.stop()


def test_the_rehearsal_delivers_every_span(played):
    """The calls went through, everything arrived, and the books agree."""
    done, store = played
    assert done.returncode == 0, done.stderr
    evidence = json.loads(done.stdout)
    spans = evidence["spans"]
    assert (evidence["calls"], evidence["calls_crashed"], evidence["unanswered_turns"], evidence["tracer_faults"]) == (2, 0, 0, 0)
    assert spans["adds_up"]
    assert spans["offered"] == spans["delivered"] + spans["withheld"] == len(store.runs()) + 4
    bare = [run for run in store.runs() if run["extra"]["metadata"].get("withheld") == "consent_refused"]
    assert spans["withheld"] == len(bare) > 0  # the call whose caller refused: skeletons, but for its root and its guardrail
    assert spans["dropped"] == {}


def test_no_byte_that_arrived_holds_a_canary(played):
    """Not in a value, a key, a name, an error or a header, in no encoding we know."""
    _, store = played
    raw = store.raw()
    assert b"tool.book_appointment" in raw
    assert canaries_in(raw) == [], "leaked"


def test_neither_stream_of_the_rehearsal_holds_a_canary(played):
    """What a person sees of it is as clean as what was sent."""
    done, _ = played
    for value in ("zqxjk", "vwpfm", "4827193", "98765"):
        assert value not in (done.stdout + done.stderr).lower()


def test_the_traces_say_what_happened_all_the_same(played):
    """Redacted is not blind: tools, order, outcomes, error classes and the consent are there."""
    _, store = played
    runs = store.runs()
    traces = {run["trace_id"] for run in runs}
    assert len(traces) == 2
    tools = {run["name"]: run for run in runs if run["name"].startswith("tool.") and run.get("inputs")}
    assert tools["tool.book_appointment"]["inputs"]["patient_name"] == "<REDACTED>"
    failed = {run["name"]: run["error"] for run in runs if run.get("error")}
    assert failed == {"tool.cancel_appointment": "LookupError: tool_raised", "tool.get_opening_hours": "ToolError: tool_raised"}
    assert "tool.unknown" in {run["name"] for run in runs}
    callers = {run["extra"]["metadata"].get("participant_sid") for run in runs if run["name"] == "voice_session"}
    assert any(str(caller).startswith("PA_") for caller in callers)  # the caller was seen in the room, by a random id alone
    for trace in traces:
        names = [run["name"] for run in runs if run["trace_id"] == trace]
        for name in ("voice_session", "session.start", "policy.guardrail", "user_turn", "agent_turn", "session.end"):
            assert name in names
    consents = {run["trace_id"]: run["extra"]["metadata"]["consent"] for run in runs if run["name"] == "policy.guardrail"}
    refused = next(trace for trace, consent in consents.items() if consent == "refused")
    assert all(not run.get("inputs") and not run.get("outputs") for run in runs if run["trace_id"] == refused)


def test_a_scan_of_it_finds_nothing_and_is_not_yet_a_go(played, tmp_path):
    """The audit agrees, and says what it lacks before it would say GO."""
    _, store = played
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LANG")} | {"LANGSMITH_API_KEY": "k"}
    command = [sys.executable, "-m", "audit", "scan", "--project", "medical-voice-agent-dev", "--endpoint", store.url, "--env", "dev"]
    done = subprocess.run(
        [*command, "--format", "json", "--known-answers", "3"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    report = json.loads(done.stdout)
    assert report["findings"] == [], done.stdout
    assert (done.returncode, report["verdict"]["state"]) == (3, "UNPROVEN")


# -- an agent that puts a patient where only names and numbers belong --------------------------------------------------------------------

LABEL = "Zqxjk-Vwpfm"


def below(records, kind, **facts):
    """One more record of a call."""
    root = records[0].at[0]
    at = (root, (time.time_ns(), new_id()))
    return kind(call=records[0].call, id=at[-1][1], at=at, end_ns=time.time_ns(), **facts)


def spoilt(label, number, consent):
    """The records of a call with a person's name or number in every text that has room for one, whatever it is meant for."""
    plain = call_records(tools=0)
    more = {"arguments": json.dumps(EVERYTHING), "output": json.dumps(EVERYTHING)}
    tools = [
        below(plain, ToolCall, tool=name, status="error", error_type=label, error_message=label, **more)
        for name in (f"book_{label}", label, f"tool.{label}", "book_appointment", "user_turn")
    ]
    turn = below(
        plain, AgentTurn, outcome=label, origin=label, ttft_source=label, deployment=label, transcription_model=label,
        transcription_s=3.0, input_text=5, responses=1, error_message=label,
    )  # fmt: skip
    media = {
        label: 1.0, "note": label, "deployment": label, "agent_quality_worst": label, "client_quality_worst": number,
        "agent_rtt_ms_max": float(NUMBER), "client_rtt_ms_p50": label, "client_media_windows": float(NUMBER),
    }  # fmt: skip
    told = []
    for record in plain:
        facts = {}
        if isinstance(record, CallOpened | CallClosed):
            facts = {"room_sid": f"RM_{label}", "participant_sid": f"PA_{number}", "agent_version": label}
        if isinstance(record, Consent | GuardrailClosed):
            facts = {"consent": consent, "consent_version": label}
        if isinstance(record, CallEnded):
            told += [*tools, turn, below(plain, UserTurn, outcome=label, audio_ms=float(NUMBER))]
            facts = {"reason": label}
        if isinstance(record, CallClosed):
            facts |= {"vad_type": label, "reason": label, "error_message": label, "media": media}
        told.append(msgspec.structs.replace(record, **facts))
    return told


@pytest.fixture(scope="module")
def abused(tmp_path_factory):
    """Spoilt calls through the real relay, killed between: the store, its directory, what our commands say, the ledger, the calls."""
    directory = tmp_path_factory.mktemp("abused")
    runtime = directory / "relay"
    runtime.mkdir(mode=0o700)
    store = Store(directory)
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    calls = {
        "named": spoilt(LABEL, "Zqxjk", "granted"),
        "numbered": spoilt("41799876543", "41799876543", "not_asked"),
        "mistaken": spoilt(LABEL, "+41 79 987 65 43", "Granted"),
        "refused": spoilt(LABEL, MAIL, "refused"),
    }
    for n, records in enumerate(zip(*calls.values(), strict=True)):  # all calls at once, by one process
        if n == 2:  # each has told its consent
            assert recorder.drain(30)
            relay.kill()
            relay = Relay(runtime, store.url).ready()
        for record in records:
            recorder.record(record)
    assert recorder.drain(30)
    ledger = relay.settle()
    if ledger.dropped:  # said where it is played, so that it is played again, and with the relay's own words
        recorder.close()
        relay.stop()
        store.stop()
        pytest.fail(f"{ledger}: {(runtime / 'relay.log').read_text()}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "PHI_GUARD"))}
    environment |= {"PHI_GUARD_RUNTIME_DIR": str(runtime), "LANGSMITH_PATIENT": NAME, "LANGSMITH_RUNS_ENDPOINTS": json.dumps({MAIL: NAME})}
    environment |= {
        "LANGSMITH_API_KEY": MRN,
        "LANGSMITH_FAILED_TRACES_DIR": f"/tmp/{LABEL}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LABEL}",
    }
    source = directory / "agent.py"
    name = LABEL.replace("-", "_")
    source.write_text(f"import langsmith\nasync def go(session, {name}={NAME!r}):\n    await session.start({MAIL!r}, record={PHONE!r})\n")
    said = b""
    commands = (
        ["relay", "status"], ["relay", "status", "--format", "json"], ["disclosures", "show"], ["disclosures", "verify"], ["switch"],
        ["doctor", "--source", str(source)], ["doctor", "--source", str(source), "--format", "json"],
    )  # fmt: skip
    for command in commands:
        done = subprocess.run([sys.executable, "-m", "audit", *command], env=environment, capture_output=True, timeout=60, check=False)
        assert b"Traceback" not in done.stderr
        said += done.stdout + done.stderr
    recorder.close()
    relay.stop()
    yield store, runtime, said, ledger, {name: records[0].call for name, records in calls.items()}
    store.stop()


def test_a_name_or_number_in_any_other_text_of_a_record_stays(abused):
    """Deployments, versions, outcomes, ids, media, tools' names, classes of errors: not on the wire, in no file, in no answer of ours."""
    store, runtime, said, ledger, _ = abused
    assert ledger.adds_up
    assert ledger.dropped == {}
    assert b"voice_session" in store.raw()
    assert canaries_in(store.raw()) == [], "leaked"
    for path in runtime.rglob("*"):
        if path.is_file():
            assert canaries_in(path.read_bytes()) == [], ("leaked", path.name)
    assert b"LANGSMITH_RUNS_ENDPOINTS" in said  # doctor names variables
    assert canaries_in(said) == [], "leaked"


@pytest.mark.parametrize("call", ["refused", "mistaken"])
def test_a_refused_call_is_a_skeleton(abused, call):
    """Though the relay was killed since it heard so; a word that is no consent is a refusal. Only root and guardrail tell more than ids."""
    store, _, _, _, calls = abused
    runs = [run for run in store.runs() if run["trace_id"] == calls[call]]
    bare = [run for run in runs if run["name"] not in {"voice_session", "policy.guardrail"}]
    assert len(bare) == 9
    for run in bare:
        assert set(run["extra"]["metadata"]) == {"trace_id", "thread_id", "withheld"}
        assert (run["extra"]["metadata"]["withheld"], run.get("error")) == ("consent_refused", None)
    assert all(not run.get("inputs") and not run.get("outputs") for run in runs)
    told = [run for run in store.runs() if run["trace_id"] == calls["named"] and run["name"] == "tool.book_appointment"]
    assert [run["inputs"]["patient_name"] for run in told] == ["<REDACTED>"]
