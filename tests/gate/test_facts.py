"""Alerts and rows of exports: closed facts pass, nothing else does, and no detector is needed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard import Payload, load_policy
from phi_guard.facts import ALERT, ALERTS, ROW
from phi_guard.gate import Gate
from phi_guard.model import Cleared, Withheld
from phi_guard.policy import shipped

ID = "0197f3a0-0000-7000-8000-00000000000a"
POLICY = load_policy(shipped("clinic.yaml"), env="prod")
GATE = Gate(POLICY, None)

FACTS = {
    "alert": "tool_failure", "state": "firing", "severity": "warning", "env": "prod", "project": "medical-voice-agent-prod", "value": 12.5,
    "threshold": 10, "unit": "per_cent", "n": 40, "bad": 5, "window_s": 1800, "since": "2026-11-23T09:00:00.000000Z",
    "at": "2026-11-23T09:30:00.000000Z", "key": "0123456789abcdef", "tool": "tool.book_appointment", "trace_ids": [ID],
    "worst": 20.5, "late": True, "flapping": False,
}  # fmt: skip


def cleared(kind, name, data):
    outcome = GATE.clear(Payload(kind, name, data))
    assert type(outcome) is Cleared, outcome
    return json.loads(outcome.body), {note.path for note in outcome.notes}


def test_an_alert_passes_as_it_is():
    assert cleared("alert", "tool_failure", FACTS) == (FACTS, set())


@pytest.mark.parametrize(
    ("project", "passes"),
    [("medical-voice-agent-prod", True), ("clinic-2026-11-20", True), ("call.415-555-2671", False), ("a+41-79-555-01-23", False)],
)
@pytest.mark.parametrize("kind", ["alert", "row"])
def test_a_project_with_the_digits_of_a_telephone_number_stays(kind, project, passes):
    """As a trace's it would pass; many people read an alert, and it can do without."""
    body, notes = cleared(kind, {"alert": "leak", "row": "call"}[kind], {"project": project})
    assert (body, notes) == (({"project": project}, set()) if passes else ({}, {"project"}))


def test_a_row_passes_as_it_is():
    row = {"trace_id": ID, "start": "2026-11-23T09:00:00.000000Z", "env": "dev", "cost_usd": 0.02, "error": "LookupError: tool_raised",
           "tool": "tool.cancel_appointment", "agent_rtt_ms_p95": 80, "failed": True}  # fmt: skip
    assert cleared("row", "tool", row) == (row, set())


@pytest.mark.parametrize("kind", ["alert", "row"])
@given(value=st.text(min_size=1) | st.lists(st.text(), max_size=3) | st.dictionaries(st.text(), st.text(), max_size=2) | st.floats())
def test_a_stranger_stays(kind, value):
    """A key that has no shape is not sent, nor its name, whatever it holds."""
    body, notes = cleared(kind, {"alert": "leak", "row": "call"}[kind], {"Ada Byron": value})
    assert body == {}
    assert notes == ({"?"} if value != "" else set())


@pytest.mark.parametrize("kind", ["alert", "row"])
@pytest.mark.parametrize("value", ["Ada Byron", "+41 79 555 01 23", "ada@example.org", "1975-03-02", ["Ada"], {"a": 1}, float("nan"), -1])
def test_no_key_takes_a_person(kind, value):
    """Whatever the key, a value that could be a person's does not pass."""
    shapes = ALERT if kind == "alert" else ROW
    for key in (*shapes, "tool", "trace_ids"):
        body, notes = cleared(kind, {"alert": "leak", "row": "call"}[kind], {key: value})
        assert body.get(key) in (None, []), key
        assert notes or body == {key: []}


def test_a_tool_is_the_policys():
    assert cleared("alert", "leak", {"tool": "tool.ada_byron"}) == ({}, {"tool"})


@pytest.mark.parametrize(("kind", "name"), [("alert", "Ada"), ("row", "Ada"), ("alert", "call"), ("row", "leak")])
def test_a_name_is_of_the_list(kind, name):
    outcome = GATE.clear(Payload(kind, name, {}))
    assert type(outcome) is Withheld
    assert outcome.reason == "bad_envelope"
    assert b"Ada" not in outcome.skeleton.body


def test_without_a_policy_nothing_passes():
    outcome = Gate(None, None).clear(Payload("alert", "leak", FACTS))
    assert type(outcome) is Withheld
    assert outcome.reason == "policy_unreadable"


def test_content_still_needs_a_detector():
    outcome = GATE.clear(Payload("tool", "tool.book_appointment", {"inputs": {"doctor_name": "Dr. Lee"}}))
    assert type(outcome) is Withheld


def test_every_alert_has_a_name_of_its_own():
    assert {"error_rate", "ttft_p95", "tool_failure"} <= ALERTS
