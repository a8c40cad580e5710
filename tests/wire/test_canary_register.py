"""What is planted, what of it arrives, and where it came from: told apart by class and origin, in any form it may be told in."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest
from fakes import Store

from audit.evidence import Share
from audit.rehearsal.canary import Canary, collect, count
from audit.rehearsal.conversation import invent_calls
from audit.rehearsal.script import plan
from phi_guard.policy import load_policy, shipped

CLEAN = {
    "name": "tool.x",
    "inputs": {"notes": "clean"},
    "id": "01890000-0000-7000-8000-000000000001",
    "start": "2026-11-20T10:00:00.000000Z",
}
FORMS = {
    "as it is": "Zqxjk Vwpfm",
    "in capitals": "ZQXJK VWPFM",
    "a part": "for Vwpfm",
    "url": "Zqxjk%20Vwpfm",
    "base64 off by one": "eFpxeGprIFZ3cGZt",
    "base64 twice": base64.b64encode(base64.b64encode(b"Zqxjk Vwpfm")).decode(),
    "hexadecimal": "5a71786a6b20567770666d",
    "spelled": "v w p f m",
    "invisible": "Vw\u200bpfm",
    "json in json": json.dumps({"a": json.dumps({"b": "Zqxjk"})}),
    "digits spaced otherwise": "0 79-987.65 43",
    "a number": 41799876543,
    "dictated": "seven nine nine eight seven six five four three",
    "a date in words": "march fourteenth nineteen fifty eight",
}


@pytest.fixture(scope="module")
def policy():
    return load_policy(shipped("clinic.yaml"), env="prod")


def booked(**more):
    row = {"name": "book_appointment", "args": {"patient_name": "Zqxjk Vwpfm", "phone": "+41 79 987 65 43", "dob": "1958-03-14", **more}}
    return plan({"calls": [{"turns": [{"user": {"says": "I am Zqxjk Vwpfm"}, "tools": [row]}]}]})


@pytest.mark.parametrize("form", FORMS)
def test_a_canary_is_known_in_its_forms(policy, form):
    """Encoded, in part, spelled, dictated, in words, as a number or a key; an id or an instant of ours is none."""
    canaries = collect(booked(), policy)
    assert {canary.value for canary in canaries} == {"Zqxjk Vwpfm", "+41 79 987 65 43", "1958-03-14"}
    assert count(canaries, [CLEAN]).arrived == 0
    leak = FORMS[form]
    for run in ({"tags": [leak]}, {"extra": {"metadata": {str(leak): 1}}}):
        assert count(canaries, [CLEAN, run]).arrived == 1


def test_arrivals_are_told_by_class_and_origin(policy):
    """A name that the caller says and a tool takes is of both origins; a leak shows under the row it belongs to."""
    seen = count(collect(booked(), policy), [CLEAN, {"x": "Vwpfm"}])
    assert (seen.planted, seen.arrived) == (3, 1)
    assert seen.by_class == {"dob": Share(1, 0), "patient_name": Share(1, 1), "phone": Share(1, 0)}
    assert seen.by_origin == {"caller+tool_argument": Share(1, 1), "tool_argument": Share(2, 0)}


def test_a_name_of_an_ordinary_word_is_no_canary(policy):
    """A patient Lee where a Dr. Lee is kept proves nothing; a patient whose whole name is kept is a leak."""
    assert "Sam Lee" not in {c.value for c in collect(booked(patient_name="Sam Lee", doctor_name="Dr. Lee"), policy)}
    assert "Sam Lee" in {c.value for c in collect(booked(patient_name="Sam Lee", doctor_name="Sam Lee"), policy)}


def test_invented_calls_plant_in_every_origin(policy):
    """Caller's words, arguments, results, exceptions and the line have each a canary of their own, in every six calls."""
    canaries = collect(invent_calls(6, 3), policy)
    assert {"caller", "tool_argument", "tool_result", "exception"} <= {canary.origin for canary in canaries}
    assert {"room_name", "participant_identity", "participant_attribute"} <= {canary.origin for canary in canaries}
    assert {"patient_name", "phone", "email", "dob", "mrn", "address"} == {canary.kind for canary in canaries}


def test_what_the_line_tells_is_planted(policy):
    """A number within a room's name or an identity without being told; a name where it is told; nothing of what has no number."""
    line = {
        "room": "call-+41795550144",
        "identity": "sip_+41795550145",
        "attributes": {"sip.callerName": "Amdrouk B", "sip.callID": "SCL_12"},
    }
    named = {"origin": "participant_attribute", "kind": "patient_name", "value": "Amdrouk B"}
    canaries = collect(
        plan({"calls": [{"turns": [{}], "line": line, "plants": [named]}, {"turns": [{}], "line": {"room": "a-room"}}]}), policy
    )
    assert {(canary.value, canary.origin) for canary in canaries} == {
        ("+41795550144", "room_name"), ("+41795550145", "participant_identity"), ("Amdrouk B", "participant_attribute"),
    }  # fmt: skip
    assert count(canaries, [CLEAN, {"extra": {"metadata": {"room": "call-+41795550144"}}}]).by_origin["room_name"] == Share(1, 1)


# -- from the microphone to the trace -----------------------------------------------------------------------------------------------------

OPENED = """\
version: 1
extends: {shipped}
lists: {{wards: ["Zqxjk Vwpfm", "North ward"]}}
fields:
  ward: {{action: keep, shape: {{in: wards}}}}
tools:
  admit_patient: {{inputs: [patient_name], outputs: [ward]}}
examples:
  - given: {{tool: admit_patient, inputs: {{patient_name: "Ada Byron"}}, outputs: {{ward: "North ward"}}}}
    sends: {{inputs: {{patient_name: <REDACTED>}}, outputs: {{ward: "North ward"}}}}
"""


def test_a_duration_is_no_date_of_birth_for_its_point_and_nought():
    """2200.0 milliseconds are 2200, and not the fourth of February 2000 in digits; the date's own digits as a number are the date."""
    born = [Canary("2000-02-04", "dob", "tool_argument")]
    assert count(born, [{"audio_ms": ms} for ms in (2200.0, 4200.0, 2000.0)]).arrived == 0
    assert count(born, [{"audio_ms": 20000204.0}]).arrived == 1


def rehearse(directory, store, *more):
    script = directory / "calls.json"
    who = {"origin": "tool_result", "kind": "patient_name", "value": "Zqxjk Vwpfm"}
    tool = {"name": "admit_patient", "args": {"patient_name": "Amdrouk Belvorsen"}, "result": {"ward": who["value"]}, "takes_ms": 10}
    turn = {"user": {"speech_ms": 300, "says": "Amdrouk Belvorsen here"}, "tools": [tool], "agent": {"speech_ms": 200}}
    script.write_text(json.dumps({"calls": [{"turns": [turn], "plants": [who]}]}))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "PHI_GUARD"))}
    environment |= {
        "LANGSMITH_ENDPOINT": store.url,
        "LANGSMITH_API_KEY": "k",
        "PHI_GUARD_RUNTIME_DIR": str(directory / "run"),
        **dict(more),
    }
    command = [sys.executable, "-m", "audit", "rehearse", "--calls", "1", "--script", str(script), "--format", "json", "--no-measure"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout, done.stderr
    return done, json.loads(done.stdout)["canaries"]


@pytest.mark.parametrize("opened", [False, True], ids=["shipped", "opened"])
def test_a_field_that_was_opened_lets_its_canary_through(tmp_path, opened):
    """With the shipped policy nothing arrives; with one field opened, what was planted there does, and is told by its origin."""
    store = Store(tmp_path)
    try:
        more = []
        if opened:
            path = tmp_path / "opened.yaml"
            path.write_text(OPENED.format(shipped=shipped("clinic.yaml")))
            more = [("PHI_GUARD_POLICY", str(path))]
        done, seen = rehearse(tmp_path, store, *more)
    finally:
        store.stop()
    assert seen["planted"] == 2
    assert seen["arrived"] == (1 if opened else 0), done.stderr
    assert seen["by_origin"]["tool_result"] == {"planted": 1, "arrived": int(opened)}
    assert seen["by_origin"]["caller+tool_argument"] == {"planted": 1, "arrived": 0}
    assert done.returncode == (1 if opened else 0)
