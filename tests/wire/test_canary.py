"""A canary in every field, key, name, error and number of played calls, searched for in every byte that reached the trace store."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.parse

import pytest
from fakes import Store

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

SCRIPT = {
    "calls": [
        {
            "consent": "granted",
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
            "turns": [{"tools": [{"name": "book_appointment", "args": EVERYTHING, "result": "ok"}], "agent": {"speech_ms": 100}}],
        },
    ]
}


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
    low = raw.lower()
    assert b"tool.book_appointment" in raw
    for value in (NAME, "Zqxjk", "Vwpfm", PHONE, NUMBER, MAIL, MRN, "4827193", DOB):
        for form in forms(value):
            assert form not in raw, (value, form)
            assert form.lower() not in low, (value, form)


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
