"""The walk: what a policy does not allow does not come out, whatever the value looks like."""

from __future__ import annotations

import json

import msgspec
import pytest
import strategies as ours
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard import MARKER, Detection, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.policy import shipped
from phi_guard.redact import DEPTH_MAX, TEXT_MAX, redact_tool
from phi_guard.scrub import cut, find_outside_markers, scrub

POLICY = load_policy(shipped("clinic.yaml"))
FIND = PatternDetector().find
CANARY = "zqxjk"


def redact(tool="book_appointment", find=FIND, **data):
    return redact_tool(POLICY, tool, data, find).value


def find_canary(text):
    """A detector that knows one thing."""
    return [Detection(i, i + 5, "CANARY", 1.0, "t") for i in range(len(text)) if text.startswith(CANARY, i)]


@given(tool=ours.tool_names, inputs=ours.sides, outputs=ours.sides)
@settings(max_examples=300, deadline=None)
def test_the_given_value_is_never_changed(tool, inputs, outputs):
    """The caller's own objects go on into the tool; redaction works on none of them."""
    data = {"inputs": inputs, "outputs": outputs}
    before = repr(data)
    redact_tool(POLICY, tool, data, FIND)
    assert repr(data) == before


@given(tool=ours.tool_names, inputs=ours.sides, outputs=ours.sides)
@settings(max_examples=300, deadline=None)
def test_redacting_twice_is_redacting_once(tool, inputs, outputs):
    """What was cleared is clean by the same rules."""
    once = redact_tool(POLICY, tool, {"inputs": inputs, "outputs": outputs}, FIND).value
    assert redact_tool(POLICY, tool, once, FIND).value == once


@given(tool=ours.tool_names, key=st.text(alphabet=CANARY, min_size=4, max_size=12), value=ours.values, deep=st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_a_field_nobody_named_loses_its_key_and_its_value(tool, key, value, deep):
    """Default deny, at any depth below a field that is scanned."""
    inner = {key: value if value is not None else CANARY}
    for _ in range(deep):
        inner = {"notes": [inner]}
    body = msgspec.json.encode(redact_tool(POLICY, tool, {"inputs": inner}, FIND).value).decode()
    assert key not in body
    shown = json.loads(body)["inputs"]
    while shown and "notes" in shown:
        shown = shown["notes"][0]
    assert shown == {"<REDACTED_KEY_1>": MARKER}


@pytest.mark.parametrize(
    "value",
    [CANARY, 41795551234, 41795551234.5, b"zqxjk", [CANARY], (CANARY,), {CANARY}, {"patient_name": CANARY}, {CANARY: 1}, object(), True],
)
def test_a_redacted_field_says_nothing_whatever_its_type(value):
    """Strings, numbers, bytes, containers and objects alike become the marker."""
    assert redact(inputs={"patient_name": value}) == {"inputs": {"patient_name": MARKER}}


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("doctor_name", "Dr. Lee", "Dr. Lee and zqxjk"),
        ("appointment_datetime", "2025-11-15T14:00Z", "2025-11-15T14:00Z zqxjk"),
        ("confirmation_id", "CONF-1234", "CONF-1234\n"),
    ],
)
def test_a_kept_value_must_fit_its_shape(field, good, bad):
    """Keep is never blind."""
    tool, side = ("book_appointment", "inputs") if field != "confirmation_id" else ("cancel_appointment", "inputs")
    assert redact(tool, **{side: {field: good}})[side][field] == good
    assert redact(tool, **{side: {field: bad}})[side][field] == MARKER


def test_identifiers_in_the_clothes_of_a_confirmation_stay():
    """A record number put where a confirmation id belongs does not pass for one."""
    assert redact("cancel_appointment", inputs={"confirmation_id": "MRN-4827193"})["inputs"]["confirmation_id"] == MARKER


def test_text_is_redacted_before_it_is_cut():
    """The first fifty characters can end inside a name; a cut name is no longer recognisable."""
    text = "the patient has had a mild cough for a week and zqxjk told us"
    sent = redact(inputs={"reason_for_visit": text}, find=find_canary)["inputs"]["reason_for_visit"]
    assert len(sent) <= 50
    assert "zq" not in sent
    assert sent.startswith("the patient has had a mild cough")


def test_a_name_the_detector_does_not_know_is_known_from_its_field():
    """What patient_name holds is redacted from the free text beside it, in any case and spelling of its digits."""
    sent = redact(
        find=lambda _: [],
        inputs={"patient_name": "Ximo Qadvar", "phone": "+41 79 555 12 34", "notes": "qadvar called from 079-555.12.34 to say XIMO is ill"},
    )["inputs"]["notes"]
    assert "adva" not in sent.lower()
    assert "ximo" not in sent.lower()
    assert "555" not in sent


def test_a_nested_json_string_is_walked_as_what_it_holds():
    """A payload inside a string is still a payload."""
    text = json.dumps({"patient_name": CANARY, "unknown": CANARY, "doctor_name": "Dr. Lee"})
    sent = redact(outputs=text)["outputs"]["result"]
    assert json.loads(sent) == {"patient_name": MARKER, "<REDACTED_KEY_1>": MARKER, "doctor_name": "Dr. Lee"}


def test_depth_beyond_the_bound_costs_content_only():
    """A structure nobody can walk is replaced, not refused."""
    deep = CANARY
    for _ in range(DEPTH_MAX + 5):
        deep = {"notes": deep}
    assert CANARY not in repr(redact(inputs=deep))


def test_a_text_too_long_to_judge_is_not_sent():
    """Beyond the bound a scanned text is redacted whole, and a truncated one is read only so far."""
    long = "word " * (TEXT_MAX // 5 + 1)
    assert redact(outputs={"result": long})["outputs"]["result"] == MARKER
    assert redact(inputs={"notes": long})["inputs"]["notes"].endswith("…")


def test_a_detector_that_never_rests_costs_the_whole_text():
    """Where every look finds something new, nothing of the text is sent."""
    assert (
        scrub(
            "a b c d e f g h", lambda t: [Detection(0, 1, "X", 1, "t")] if t[:1].isalpha() else [Detection(len(t) - 1, len(t), "X", 1, "t")]
        )
        == MARKER
    )


def test_markers_are_never_judged():
    """Detection works on the stretches between markers, with offsets into the whole."""
    seen = []

    def find(text):
        seen.append(text)
        return find_canary(text)

    found = find_outside_markers(find, f"a {MARKER} zqxjk {MARKER}")
    assert [(d.start, d.end) for d in found] == [(13, 18)]
    assert seen == ["a ", " zqxjk "]


@given(parts=st.lists(st.sampled_from([MARKER, "word", " ", "a", ", "]), max_size=20), chars=st.integers(1, 60))
def test_a_cut_is_short_stable_and_never_inside_a_marker(parts, chars):
    """Cutting keeps whole words and whole markers."""
    text = "".join(parts)
    short = cut(text, chars)
    assert len(short) <= max(chars, 1)
    assert cut(short, chars) == short
    assert "<" not in short.replace(MARKER, "")


def test_the_condition_is_judged_on_what_is_sent():
    """The appointment's time is sent while no patient's field survives in clear, and goes as soon as one does."""
    from dataclasses import replace

    data = {"inputs": {"patient_name": "Dr. Lee", "appointment_datetime": "2025-11-15T14:00Z"}}
    assert redact_tool(POLICY, "book_appointment", data, FIND).value["inputs"]["appointment_datetime"] == "2025-11-15T14:00Z"
    loose = replace(POLICY, fields={**POLICY.fields, "patient_name": replace(POLICY.fields["doctor_name"], field="patient_name")})
    assert redact_tool(loose, "book_appointment", data, FIND).value["inputs"] == {"patient_name": "Dr. Lee", "appointment_datetime": MARKER}


def test_notes_name_fields_and_never_values():
    """What was done can be told without telling what it was done to."""
    notes = redact_tool(POLICY, "book_appointment", {"inputs": {"patient_name": CANARY, CANARY: CANARY, "notes": [CANARY]}}, FIND).notes
    assert CANARY not in repr(notes)
    assert {(n.field, n.action) for n in notes} == {("patient_name", "redact"), ("?", "redact"), ("notes", "truncate")}


def test_notes_tell_text_that_passed_from_text_that_was_changed():
    """Redactions are counted where something was redacted, not where something was looked at."""
    notes = redact_tool(
        POLICY, "book_appointment", {"inputs": {"notes": "a mild cough", "reason_for_visit": "call +41 79 555 12 34"}}, FIND
    ).notes
    assert {(n.field, n.action) for n in notes} == {("notes", "pass"), ("reason_for_visit", "truncate")}
