"""What became of each field in the calls that were read, and what of the policy none of them touched."""

from __future__ import annotations

import pytest

from audit.coverage import UNKNOWN, cover

SECRET = "Zephyrine Quill"


def rows(coverage):
    return {(row.tool, row.side, row.field): dict(row.fates) for row in coverage.fields}


def test_a_stored_call_is_counted_field_by_field(policy, made):
    """Kept, redacted, free text and a key nobody named, each under its own name."""
    found = rows(cover(policy, made.call()))
    assert found["book_appointment", "inputs", "patient_name"] == {"redacted": 1}
    assert found["book_appointment", "inputs", "doctor_name"] == {"kept": 1}
    assert found["book_appointment", "inputs", "notes"] == {"sent": 1}
    assert found["book_appointment", "inputs", UNKNOWN] == {"unknown": 1}


def test_a_kept_field_that_holds_a_marker_did_not_fit(policy, made):
    """Each item of a list is counted by itself."""
    run = made.span("tool.check_availability", 1, outputs={"alternatives": ["2027-03-15T14:30Z", "<REDACTED>", "<REDACTED>"]})
    assert rows(cover(policy, [run])) == {("check_availability", "outputs", "alternatives"): {"kept": 1, "misfit": 2}}


def test_what_nobody_called_is_named(policy, made):
    """Tools never called, and fields of called tools never met; nothing is both."""
    found = cover(policy, made.call())
    assert found.calls == 1
    assert "cancel_appointment" in found.uncalled
    assert "book_appointment.inputs.mrn" in found.unseen
    assert "book_appointment.inputs.phone" not in found.unseen
    assert not any(place.startswith("cancel_appointment") for place in found.unseen)


def test_raw_calls_are_walked_and_told_apart(policy):
    """What would be sent of a raw record is counted as what was; its values and unknown names are nowhere in the result."""
    record = {
        "tool": "book_appointment",
        "inputs": {"patient_name": SECRET, "doctor_name": SECRET, "notes": "a cough", SECRET: 1},
        "outputs": {"confirmation_id": "CONF-1234"},
    }
    coverage = cover(policy, [record])
    assert coverage.raw == 1
    assert rows(coverage) == {
        ("book_appointment", "inputs", "patient_name"): {"redacted": 1},
        ("book_appointment", "inputs", "doctor_name"): {"misfit": 1},
        ("book_appointment", "inputs", "notes"): {"sent": 1},
        ("book_appointment", "inputs", UNKNOWN): {"unknown": 1},
        ("book_appointment", "outputs", "confirmation_id"): {"kept": 1},
    }
    assert SECRET not in repr(coverage)


@pytest.mark.parametrize("run", [{"name": f"tool.{SECRET}", "inputs": {"a": SECRET}}, {"tool": SECRET, "inputs": {"a": SECRET}}])
def test_an_unknown_tool_has_no_name(policy, run):
    """Its name may be anybody's: it is counted under `?`, as is all it held."""
    coverage = cover(policy, [run])
    assert rows(coverage) == {(UNKNOWN, "inputs", UNKNOWN): {"unknown": 1}}
    assert SECRET not in repr(coverage)


@pytest.mark.parametrize("inputs", [None, [], {}, SECRET, [[[SECRET]]], {"patient_name": {"x": [SECRET]}}, {"a": None}])
def test_any_shape_of_side_is_counted_without_a_fault(policy, inputs):
    """Sides that are no mapping, or hold other things than the policy says."""
    assert SECRET not in repr(cover(policy, [{"name": "tool.book_appointment", "inputs": inputs}]))


def test_spans_that_are_no_tools_do_not_count(policy, made):
    """Only tool calls are read."""
    assert cover(policy, [made.span("user_turn", 1, inputs={"patient_name": SECRET})]).calls == 0
