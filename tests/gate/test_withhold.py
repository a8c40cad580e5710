"""Content that may not be recorded at all: only closed names, ids and times stand for it, and nothing can make the gate raise."""

from __future__ import annotations

import json

import pytest

from phi_guard import Cleared, Payload, Withheld, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import REASONS, VOID, Gate
from phi_guard.policy import shipped

POLICY = load_policy(shipped("clinic.yaml"))
CANARY = "Zqxjk Vwpfm"
TRACE = "01890000-0000-7000-8000-000000000001"
SPAN = "01890000-0000-7000-8000-000000000002"
ORDER = f"20251115T140000000000Z{TRACE}.20251115T140001000000Z{SPAN}"
RUN = {
    "id": SPAN,
    "trace_id": TRACE,
    "parent_run_id": TRACE,
    "dotted_order": ORDER,
    "run_type": "tool",
    "session_name": "medical-voice-agent-dev",
    "start_time": "2025-11-15T14:00:01.000000Z",
    "end_time": "2025-11-15T14:00:02.000000Z",
    "inputs": {"patient_name": CANARY, "doctor_name": "Dr. Lee"},
    "outputs": {"confirmation_id": "CONF-1234", "reason": CANARY},
    "error": f"LookupError: {CANARY}",
    "extra": {"metadata": {"status": "ok", "duration_ms": 12.5, "agent_version": "1.2.3", "room_sid": "RM_abcdefABCDEF", CANARY: CANARY}},
    "tags": [CANARY],
}


@pytest.fixture(scope="module", params=["open", "shut"])
def gate(request):
    return Gate(POLICY, PatternDetector(), key=b"k" * 32) if request.param == "open" else Gate(None, None, key=b"k" * 32)


@pytest.mark.parametrize("kind", ["span", "span_update"])
def test_a_refused_call_leaves_a_skeleton_and_nothing_else(gate, kind):
    """Not even what the policy would let through: name, ids, times and the reason, whole and as written here."""
    outcome = gate.withhold(Payload(kind, "agent_turn", RUN), "consent_refused")
    assert isinstance(outcome, Withheld)
    assert (outcome.reason, outcome.skeleton.kind, outcome.skeleton.name) == ("consent_refused", kind, "agent_turn")
    expected = {key: RUN[key] for key in ("id", "trace_id", "parent_run_id", "dotted_order", "run_type", "session_name")}
    expected |= {"name": "agent_turn", "inputs": {}, "start_time": RUN["start_time"], "end_time": RUN["end_time"]}
    expected |= {"extra": {"metadata": {"trace_id": TRACE, "thread_id": TRACE, "withheld": "consent_refused"}}}
    expected |= {"outputs": {}} if kind == "span_update" else {}
    assert json.loads(outcome.skeleton.body) == expected


def test_a_tools_name_is_the_policys_or_unknown(gate):
    """A name that no policy knows could be anything."""
    run = json.loads(gate.withhold(Payload("span", f"tool.{CANARY}", RUN), "consent_refused").skeleton.body)
    assert run["name"] == "tool.unknown"
    tool = gate.withhold(Payload("tool", "tool.book_appointment", RUN), "consent_refused").skeleton
    assert (tool.body, tool.name) == (
        b'{"withheld":"consent_refused"}',
        "tool.book_appointment" if gate.digest[0:4] != "0000" else "tool.unknown",
    )


def test_the_skeleton_is_sealed_and_known_again(gate):
    """It is stored and sent like any cleared span."""
    skeleton = gate.withhold(Payload("span", "user_turn", RUN), "consent_refused").skeleton
    again = gate.restore(kind=skeleton.kind, name=skeleton.name, body=skeleton.body, policy=skeleton.policy, seal=skeleton.seal)
    assert isinstance(again, Cleared)
    assert again.body == skeleton.body


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_is_said_as_it_is(gate, reason):
    """On the outcome and in the skeleton alike."""
    outcome = gate.withhold(Payload("span", "user_turn", RUN), reason)
    assert outcome.reason == reason
    assert json.loads(outcome.skeleton.body)["extra"]["metadata"]["withheld"] == reason


class Sly(str):
    """A text that is equal to all and says something else."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.parametrize("reason", [CANARY, "", None, 5, [CANARY], {}, Sly(CANARY)])
def test_an_unknown_reason_is_a_fault_of_ours_and_is_never_repeated(gate, reason):
    """Reasons are a closed list; a text from elsewhere could hold anything."""
    outcome = gate.withhold(Payload("span", "user_turn", RUN), reason)
    assert outcome.reason == "gate_fault"
    assert CANARY.encode() not in outcome.skeleton.body


class Broken(dict):
    """A mapping that fails whatever it is asked."""

    def __getitem__(self, key):
        raise TypeError(CANARY)

    get = __iter__ = __contains__ = __getitem__


@pytest.mark.parametrize(
    "payload",
    [
        None,
        Payload("span", "agent_turn", {}),
        Payload("span", "agent_turn", RUN | {"id": CANARY}),
        Payload("span", "agent_turn", Broken()),
        Payload("span", None, RUN),
        Payload(CANARY, "agent_turn", RUN),
        Payload([], "agent_turn", RUN),
    ],
)
def test_what_cannot_be_named_is_void_and_nothing_is_raised(gate, payload):
    """The reason stays what it was; there is only no span to say it on."""
    outcome = gate.withhold(payload, "consent_refused")
    assert (outcome.reason, outcome.skeleton.kind) == ("consent_refused", VOID)
    assert CANARY.encode() not in outcome.skeleton.body


def test_withholding_learns_nothing_of_the_call():
    """A later payload of another call is judged as if the refused one had never been seen."""
    asked, fresh = (Gate(POLICY, PatternDetector(), key=b"k" * 32) for _ in range(2))
    asked.withhold(Payload("span", "tool.book_appointment", RUN), "consent_refused")
    later = Payload("span", "tool.get_medical_guidelines", RUN | {"inputs": {"symptoms": f"{CANARY} has a cough"}, "outputs": None})
    assert asked.clear(later).body == fresh.clear(later).body
