"""The scan of a run: what is clean, and every kind of place where something can leak."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.scan import Scanner
from phi_guard.detect import PatternDetector

NAME, PHONE = "Ada Byron", "+41 79 555 01 23"
TOOL, TURN, ROOT, GUARD = 5, 4, 0, 2


def at(*path):
    """A leak put at a path: given the call, it sets the value of the last step."""

    def leak(call, value):
        inner = call
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return leak


LEAKS = {
    "name of a span": (at(TURN, "name"), f"agent_turn {NAME}", "name", "name"),
    "name of a tool": (at(TOOL, "name"), f"tool.{NAME}", "name", "name"),
    "tag": (at(TURN, "tags"), [NAME], "tags[0]", "tag"),
    "error text": (at(TURN, "error"), f"LookupError: patient {NAME} not found", "error", "error"),
    "error class": (at(TURN, "error"), "AdaByronError: tool_raised", "error", "error"),
    "event name": (at(TURN, "events", 0, "name"), NAME, "events[0].name", "event"),
    "event message": (at(TURN, "events", 0, "message"), NAME, "events[0].?2", "event"),
    "event kwargs": (at(TURN, "events", 0, "kwargs"), {"token": NAME}, "events[0].kwargs.?0", "event"),
    "metadata key": (at(ROOT, "extra", "metadata", NAME), 1, "extra.metadata.?", "key"),
    "metadata value": (at(ROOT, "extra", "metadata", "room_sid"), PHONE, "extra.metadata.room_sid", "metadata"),
    "metadata label": (at(TURN, "extra", "metadata", "deployment"), "mrn.12345678", "extra.metadata.deployment", "metadata"),
    "no version": (at(ROOT, "extra", "metadata", "agent_version"), "756.1234.5678.97", "extra.metadata.agent_version", "metadata"),
    "number in metadata": (at(TURN, "extra", "metadata", "ttft_ms"), 41795550123, "extra.metadata.ttft_ms", "metadata"),
    "number nobody knows": (at(TURN, "extra", "metadata", "dialled"), 41795550123, "extra.metadata.?", "number"),
    "key of redactions": (at(GUARD, "extra", "metadata", "redactions", NAME), 1, "extra.metadata.redactions.?", "key"),
    "runtime": (at(ROOT, "extra", "runtime"), {"host": NAME}, "extra.runtime.?0", "metadata"),
    "invocation parameters": (at(ROOT, "extra", "invocation_params"), {"prompt": NAME}, "extra.?1", "key"),
    "inputs of a turn": (at(TURN, "inputs"), {"transcript": NAME}, "inputs.?0", "text"),
    "outputs of the root": (at(ROOT, "outputs"), {"chat": [{"content": NAME}]}, "outputs.?0[0].?0", "text"),
    "field to redact": (at(TOOL, "inputs", "patient_name"), NAME, "inputs.patient_name", "text"),
    "number to redact": (at(TOOL, "inputs", "phone"), 41795550123, "inputs.phone", "number"),
    "list to redact": (at(TOOL, "inputs", "patient_name"), ["<REDACTED>", NAME], "inputs.patient_name[1]", "text"),
    "key inside a field": (at(TOOL, "inputs", "patient_name"), {NAME: "<REDACTED>"}, "inputs.patient_name.?0", "key"),
    "unknown key": (at(TOOL, "inputs", NAME), "<REDACTED>", "inputs.?", "key"),
    "unknown key's value": (at(TOOL, "inputs", "insurance"), PHONE, "inputs.?", "text"),
    "field of another tool": (at(TOOL, "outputs", "symptoms"), "fever", "outputs.symptoms", "key"),
    "kept field, other shape": (at(TOOL, "outputs", "confirmation_id"), "0795550123", "outputs.confirmation_id", "text"),
    "kept field, doctor nobody knows": (at(TOOL, "inputs", "doctor_name"), NAME, "inputs.doctor_name", "text"),
    "free text": (at(TOOL, "inputs", "notes"), f"called about {NAME}", "inputs.notes", "text"),
    "free text beside a marker": (at(TOOL, "inputs", "notes"), f"<REDACTED> {PHONE}", "inputs.notes", "text"),
    "JSON in free text": (at(TOOL, "outputs", "result"), '{"patient_name": "Ada Byron"}', "outputs.result~json.patient_name", "text"),
    "text that was not cut": (at(TOOL, "inputs", "notes"), "mild fever " * 6, "inputs.notes", "text"),
    "number in free text": (at(TOOL, "inputs", "notes"), 795550123, "inputs.notes", "number"),
    "attachment": (at(TURN, "attachments"), [f"{NAME}.wav"], "attachments[0]", "attachment"),
    "serialized": (at(TURN, "serialized"), {"prompt": NAME}, "serialized.?0", "text"),
    "project's name": (at(TURN, "session_name"), f"clinic {NAME}", "session_name", "row"),
    "run id": (at(TURN, "id"), NAME, "id", "row"),
    "start": (at(TURN, "start_time"), "10 December 1975", "start_time", "row"),
    "key of the run": (at(TURN, NAME), None, "?", "key"),
    "unasked list": (at(TURN, "extra", "metadata", "reason"), [[NAME]], "extra.metadata.reason[0][0]", "metadata"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_every_place_is_looked_at(leak, scanner, made):
    """A planted value is found wherever it stands, at its path and as its kind of place."""
    put, value, path, place = LEAKS[leak]
    call = made.call()
    put(call, value)
    found = [f for run in call for f in scanner.scan(run)]
    assert any(f.path.startswith(path) and f.place == place for f in found), found


def test_a_clean_call_is_clean(scanner, made):
    """What the tracer sends gives no finding."""
    assert [f for run in made.call() for f in scanner.scan(run)] == []


def test_entity_is_named_where_a_detector_knows_it(scanner, made):
    """A finding carries the detector's entity, or says that nobody explains it."""
    call = made.call()
    call[TURN]["tags"] = [PHONE, "yes"]
    assert [f.entity for f in scanner.scan(call[TURN])] == ["PHONE_NUMBER", "UNEXPLAINED"]


def test_date_beside_a_name(scanner, made):
    """A date that the policy keeps is a finding as soon as a patient's field stands beside it in clear."""
    call = made.call()
    call[TOOL]["inputs"]["mrn"] = "MRN 12345678"
    assert "inputs.appointment_datetime" in {f.path for f in scanner.scan(call[TOOL])}


def test_no_depth_ends_the_scan(scanner, made):
    """A value nested deeper than Python can recurse is found."""
    deep: object = NAME
    for _ in range(30_000):
        deep = [deep]
    call = made.call()
    call[TURN]["outputs"] = {"<REDACTED_KEY_1>": deep}
    (found,) = scanner.scan(call[TURN])
    assert (found.entity, found.length) == ("PERSON", len(NAME))


def test_a_number_of_any_length(scanner, made):
    """A number too long for Python to print is a finding, not a fault."""
    call = made.call()
    call[TURN]["extra"]["metadata"]["turns"] = 10**5000
    assert [f.path for f in scanner.scan(call[TURN])] == ["extra.metadata.turns"]


def test_findings_hold_no_value(scanner, made):
    """Neither the value nor an unknown key stands in a finding; equal values, however written, have equal fingerprints under one key."""
    call = made.call()
    call[TURN]["tags"] = [NAME, NAME]
    call[TURN]["extra"]["metadata"][NAME] = NAME
    found = scanner.scan(call[TURN])
    assert len({f.fingerprint for f in found}) == 1
    assert not any(NAME in str(f) for f in found)
    call[TURN]["tags"] = [NAME.upper(), f" {NAME} "]
    assert {f.fingerprint for f in scanner.scan(call[TURN])} == {f.fingerprint for f in found}
    other = Scanner(scanner.policy, scanner.find, scanner.find, project="clinic-dev", key=b"x" * 32)
    assert {f.fingerprint for f in other.scan(call[TURN])}.isdisjoint(f.fingerprint for f in found)


def test_the_run_is_not_changed(scanner, made):
    """Scanning leaves the run as it was."""
    call = made.call()
    before = deepcopy(call)
    for run in call:
        scanner.scan(run)
    assert call == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
_PLACES = [(TOOL, "inputs"), (TOOL, "outputs"), (TURN, "outputs"), (TURN, "extra"), (ROOT, "events"), (ROOT, "tags"), (ROOT, "name")]


@settings(max_examples=60, deadline=None)
@given(junk=_JSON, place=st.sampled_from(_PLACES), wrap=st.sampled_from(["bare", "list", "mapping"]))
def test_a_value_is_found_beside_any_junk(policy, made, junk, place, wrap):
    """Whatever JSON stands around it, a phone number in a run is found."""
    call = made.call()
    call[place[0]][place[1]] = {"bare": PHONE, "list": [junk, PHONE], "mapping": {"<REDACTED_KEY_1>": junk, "x": [junk, {"y": PHONE}]}}[
        wrap
    ]
    find = PatternDetector().find
    found = Scanner(policy, find, find, project="clinic-dev", key=made.KEY).scan(call[place[0]])
    assert any(f.length == len(PHONE) for f in found)
