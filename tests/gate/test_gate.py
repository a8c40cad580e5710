"""The mint: only what was judged is cleared, whatever goes wrong costs content alone, and nobody else can make a `Cleared`."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest
import strategies as ours
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard import Cleared, DetectorUnavailable, Payload, SealBroken, Withheld, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import REASONS, VOID, Gate
from phi_guard.policy import shipped

POLICY = load_policy(shipped("clinic.yaml"))
CANARY = "Zqxjk Vwpfm"
TRACE = "01890000-0000-7000-8000-000000000001"
SPAN = "01890000-0000-7000-8000-000000000002"
RUN = {
    "id": SPAN,
    "trace_id": TRACE,
    "parent_run_id": TRACE,
    "dotted_order": f"20251115T140000000000Z{TRACE}.20251115T140001000000Z{SPAN}",
    "run_type": "tool",
    "session_name": "medical-voice-agent-dev",
    "start_time": "2025-11-15T14:00:01.000000Z",
    "end_time": "2025-11-15T14:00:02.000000Z",
}


@pytest.fixture(scope="module")
def gate():
    return Gate(POLICY, PatternDetector(), key=b"k" * 32)


def span(name="tool.book_appointment", kind="span", **more):
    return Payload(kind, name, {**RUN, **more})


def test_a_tool_call_is_cleared_as_the_policy_says(gate):
    """The fixed contract: canonical JSON with the two sides."""
    outcome = gate.clear(Payload("tool", "tool.book_appointment", {"inputs": {"phone": "x", "doctor_name": "Dr. Lee"}, "outputs": None}))
    assert isinstance(outcome, Cleared)
    assert outcome.body == b'{"inputs":{"doctor_name":"Dr. Lee","phone":"<REDACTED>"},"outputs":null}'


def test_nothing_of_a_span_leaves_but_closed_names_shapes_and_fields(gate):
    """A canary in every place of a run: keys, names, tags, events, errors, metadata, numbers."""
    outcome = gate.clear(
        span(
            name=f"tool.{CANARY}",
            tags=[CANARY],
            error=f"KeyError: patient {CANARY} not found",
            events=[{"name": "new_token", "time": CANARY, "kwargs": {"token": CANARY}}, {"name": CANARY}],
            serialized={"name": CANARY},
            inputs={"patient_name": CANARY, CANARY: 41795551234},
            outputs={"reason": CANARY},
            extra={"metadata": {CANARY: CANARY, "room_sid": CANARY, "ttft_ms": 41795551234, "env": CANARY}, "runtime": {"x": CANARY}},
            **{CANARY: CANARY},
        )
    )
    assert isinstance(outcome, Cleared)
    assert outcome.name == "tool.unknown"
    run = json.loads(outcome.body)
    assert "Zq" not in outcome.body.decode()
    assert "4179" not in outcome.body.decode()
    assert run["error"] == "UnknownError: tool_raised"
    assert run["extra"] == {"metadata": {}}
    assert "Zq" not in repr(outcome.notes)


def test_a_span_that_is_not_a_tool_carries_no_content(gate):
    """There is no field for what was said."""
    outcome = gate.clear(span("user_turn", run_type="chain", inputs={"transcript": CANARY}, outputs={"text": CANARY}))
    assert json.loads(outcome.body)["inputs"] == {}
    assert "outputs" not in json.loads(outcome.body)


@pytest.mark.parametrize("missing", ["id", "trace_id", "dotted_order", "start_time", "session_name", "run_type"])
def test_a_span_without_its_ids_is_not_sent(gate, missing):
    """What cannot be named cannot even be a skeleton."""
    data = {k: v for k, v in RUN.items() if k != missing}
    outcome = gate.clear(Payload("span", "tool.book_appointment", {**data, "inputs": {"notes": CANARY}}))
    assert isinstance(outcome, Withheld)
    assert (outcome.reason, outcome.skeleton.kind) == ("bad_envelope", VOID)


class Broken:
    """A detector that fails in a chosen way."""

    name = "broken"

    def __init__(self, fault):
        self.fault = fault

    def find(self, text):
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError(CANARY), "gate_fault"),
        (DetectorUnavailable("gone"), "detector_unavailable"),
        (RecursionError(), "gate_fault"),
        (MemoryError(), "gate_fault"),
    ],
)
def test_a_fault_costs_the_content_and_not_the_span(fault, reason):
    """The skeleton keeps name, ids and times, and holds nothing of the payload."""
    outcome = Gate(POLICY, Broken(fault)).clear(span(inputs={"notes": CANARY, "phone": CANARY}, extra={"metadata": {"status": "ok"}}))
    assert isinstance(outcome, Withheld)
    assert outcome.reason == reason
    run = json.loads(outcome.skeleton.body)
    assert run["id"] == SPAN
    assert run["name"] == "tool.book_appointment"
    assert run["inputs"] == {}
    assert run["extra"]["metadata"] == {"trace_id": TRACE, "thread_id": TRACE, "withheld": reason}
    assert "Zq" not in repr(outcome) + outcome.skeleton.body.decode()


def test_a_shut_gate_withholds_everything():
    """No policy, no content."""
    outcome = Gate(None, None, shut="policy_unreadable").clear(span(inputs={"doctor_name": "Dr. Lee"}))
    assert (outcome.reason, json.loads(outcome.skeleton.body)["name"]) == ("policy_unreadable", "tool.unknown")


@given(
    kind=st.one_of(st.sampled_from(["tool", "span", "span_update", "void"]), st.text()),
    name=st.one_of(ours.tool_names, st.text()),
    data=ours.values,
)
@settings(max_examples=300, deadline=None)
def test_it_never_raises(gate, kind, name, data):
    """Whatever is offered, there is an outcome, and a withheld one gives a reason from the closed list."""
    outcome = gate.clear(Payload(kind, name, data))
    assert isinstance(outcome, Cleared) or outcome.reason in REASONS


def test_it_never_raises_on_what_is_no_payload_at_all(gate):
    """Even an object that fights back."""

    class Hostile(dict):
        def __getitem__(self, key):
            raise OSError(CANARY)

        def get(self, key, default=None):
            raise OSError(CANARY)

    assert gate.clear(None).reason == "gate_fault"
    assert gate.clear(Payload("span", "user_turn", Hostile())).reason == "gate_fault"


def test_values_known_in_a_call_are_known_until_it_is_forgotten(gate):
    """A name given to one tool is redacted from the notes of the next, and no longer once the call is over."""
    note = span(
        "tool.cancel_appointment", inputs={"reason": "for vwpfm it hurts"}, id=TRACE[:-1] + "3", dotted_order=RUN["dotted_order"][:-1] + "3"
    )
    gate.clear(span(inputs={"patient_name": CANARY}))
    assert "vwpfm" not in gate.clear(note).body.decode()
    gate.forget(TRACE)
    assert "vwpfm" in gate.clear(note).body.decode()


@pytest.mark.parametrize(
    "forge",
    [
        lambda c: Cleared("span", "user_turn", b"x", "p", (), b"s"),
        lambda c: Cleared("span", "user_turn", b"x", "p", (), b"s", mint=object()),
        lambda c: setattr(c, "body", b"x"),
        lambda c: delattr(c, "body"),
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda c: dataclasses.replace(c, body=b"x"),
        lambda c: type("Mine", (Cleared,), {}),
    ],
)
def test_cleared_cannot_be_forged(gate, forge):
    """Every ordinary way to make or change one is refused; the extraordinary ones are left to the architecture law."""
    cleared = gate.clear(span())
    with pytest.raises((TypeError, AttributeError)):
        forge(cleared)


@given(where=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=100)
def test_stored_bytes_are_known_again_only_unchanged(gate, where, bit):
    """One flipped bit in what was stored, and it is not sent."""
    cleared = gate.clear(span())
    facts = {"kind": cleared.kind, "name": cleared.name, "policy": cleared.policy, "seal": cleared.seal}
    assert gate.restore(body=cleared.body, **facts).body == cleared.body
    body = bytearray(cleared.body)
    body[where % len(body)] ^= 1 << bit
    with pytest.raises(SealBroken):
        gate.restore(body=bytes(body), **facts)
    with pytest.raises(SealBroken):
        gate.restore(body=cleared.body, **facts | {"kind": "span_update"})
    with pytest.raises(SealBroken):
        Gate(POLICY, PatternDetector()).restore(body=cleared.body, **facts)
