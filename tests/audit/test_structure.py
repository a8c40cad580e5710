"""The audit's closed list against the gate's: written apart, and held together here."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import structure
from phi_guard import envelope
from phi_guard.policy.compiled import Flag, Number, OneOf

SHAPED = (
    "gpt-realtime", "gpt-4o-realtime-preview-2024-12-17", "whisper-1", "clinic_voice.EU", "Azure+rt", "reception2", "gpt4o-x",
    "recording-v2-de", "consent-2026-01", "v3", "2.10.4", "1.0rc1", "0.3-dev", "9", "PA_AbCdEf123456", "RM_abcdefgh0001",
    "0123456789abcdef", "0192f000-0000-7000-8000-000000000001", "2026-11-20T10:00:03.000000Z",
)  # fmt: skip
"""Values such as a call has, of every shape that is no closed list."""


def test_both_lists_name_the_same():
    """Span names, error classes and codes, metadata and usage keys are the same on both lists."""
    assert structure.SPANS == envelope.SPAN_NAMES
    assert structure.ERROR_CLASSES == envelope.ERROR_TYPES
    assert structure.ERROR_CODES == envelope.ERROR_MESSAGES
    added = {"ls_run_depth"}  # LangSmith's own
    assert set(structure.METADATA) - added == set(envelope.METADATA)
    assert set(structure.USAGE) == set(envelope.USAGE)


@pytest.mark.parametrize("key", sorted(envelope.METADATA))
def test_what_the_gate_lets_through_is_expected(key):
    """The ends of every range and every word of every closed list of the gate is what the audit expects too."""
    shape, check = envelope.METADATA[key], structure.METADATA[key]
    match shape:
        case OneOf():
            values = list(shape.values)
        case Number():
            values = [shape.low, shape.high]
        case Flag():
            values = [True, False]
        case _:
            values = [text for text in SHAPED if shape.fits(text)]
    assert values
    assert [value for value in values if not check(value)] == []


@pytest.mark.parametrize("key", sorted(structure.METADATA))
@pytest.mark.parametrize("value", ["Ada Byron", "ada@example.org", "+41 79 555 01 23", "756.1234.5678.97", 41795550123, [1], {"a": 1}])
def test_no_key_takes_an_identifying_value(key, value):
    """No metadata key is so wide that a person's data fits, but for those that the patterns look at too."""
    if key in structure.OPEN and value == "756.1234.5678.97":
        return
    assert not structure.METADATA[key](value)


PARTS = (*"-._+", "gpt", "4o", "Byron", "v2", "Voice", "x1y", "2024", "12", "17", "mini")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=9).map("".join))
def test_labels_pass_that_the_gate_lets_through(label):
    """However a label is put together, the audit takes no label of the gate's for a leak."""
    for key in structure.OPEN:
        assert structure.METADATA[key](label) or not envelope.METADATA[key].fits(label)


@pytest.mark.parametrize("name", ["Byron", "Ada-Byron", "qadvar", "Lady.Lovelace", "a" * 41, f"gpt-{'a' * 41}", f"{'a' * 41}-gpt"])
def test_a_name_is_no_label(name):
    """A name alone is no model's, no deployment's and no consent text's; nor is anything so long that it could be something coded."""
    assert not any(structure.METADATA[key](name) for key in structure.OPEN)


@pytest.mark.parametrize(
    "error",
    ["LookupError: patient Ada not found", "LookupError", "tool_raised", "AdaError: tool_raised", "KeyError: tool_raised ", None, 3],
)
def test_an_error_is_a_class_and_a_code(error):
    """Anything beside ``<class>: <code>`` is not typed."""
    assert not structure.typed_error(error)
    assert structure.typed_error("KeyError: tool_raised")
