"""What a span loses around its content is counted, so that nobody takes a silent loss for a clean run."""

from __future__ import annotations

from collections import Counter

import pytest

from phi_guard import Payload, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import NOTES_MAX, Gate
from phi_guard.policy import shipped

TRACE = "01890000-0000-7000-8000-000000000001"
RUN = {
    "id": TRACE,
    "trace_id": TRACE,
    "dotted_order": f"20251115T140000000000Z{TRACE}",
    "run_type": "chain",
    "session_name": "medical-voice-agent-dev",
    "start_time": "2025-11-15T14:00:01.000000Z",
}


@pytest.fixture(scope="module")
def dropped():
    """What is counted as unknown of a span with more in it."""
    gate = Gate(load_policy(shipped("clinic.yaml")), PatternDetector(), key=b"k" * 32)

    def of(name="voice_session", **more):
        notes = gate.clear(Payload("span", name, {**RUN, **more})).notes
        assert {note.action for note in notes} <= {"drop"}
        return Counter(note.path for note in notes if note.field == "?")

    return of


@pytest.mark.parametrize(
    ("more", "counted"),
    [
        ({}, {}),
        ({"tags": ["Ada"]}, {"?": 1}),
        ({"tags": ["Ada"], "serialized": {}, "Ada": 1}, {"?": 3}),
        ({"error": "KeyError: patient Ada Byron not found"}, {"error": 1}),
        ({"error": "KeyError: session_error"}, {}),
        ({"events": [{"name": "new_token", "time": RUN["start_time"]}]}, {}),
        ({"events": [{"name": "new_token", "time": RUN["start_time"], "kwargs": {"token": "Ada"}}]}, {"events": 1}),
        ({"events": [{"name": "Ada"}]}, {"events": 1}),
        ({"extra": {"metadata": {"turns": 3}}}, {}),
        ({"extra": {"metadata": {"turns": "three", "Ada": 1, "Byron": 2}}}, {"extra.metadata.turns": 1, "extra.metadata.?": 2}),
        ({"extra": {"metadata": {}, "runtime": {"host": "ada-laptop"}}}, {"extra.?": 1}),
        ({"extra": {"metadata": {"usage_metadata": {"input_tokens": 1, "Ada": 2}}}}, {"extra.metadata.usage_metadata.?": 1}),
        ({"extra": {"metadata": {"redactions": {"phone": 1, "unknown": 2, "Ada": 2}}}}, {"extra.metadata.redactions.?": 1}),
        ({"inputs": {"said": "Ada"}, "outputs": {}}, {"inputs.?": 1}),
    ],
)
def test_each_thing_a_span_loses_is_counted(dropped, more, counted):
    """Tags, keys, metadata, errors, events and content where none belongs, each once; what is sent is not."""
    assert dropped(**more) == counted


def test_a_name_that_is_on_no_list_is_counted(dropped):
    """The span goes out under the name for unknown tools, and that is a loss too; a tool's bare name is none."""
    assert dropped("call of Ada Byron") == {"name": 1}
    assert dropped("book_appointment") == dropped("tool.book_appointment") == {}


def test_a_flood_of_keys_is_counted_up_to_a_bound(dropped):
    """A hundred thousand keys do not become as many notes."""
    assert dropped(**{f"k{n}": 1 for n in range(5_000)}) == {"?": NOTES_MAX}
