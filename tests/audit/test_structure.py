"""The audit's closed list against the gate's: written apart, and held together here."""

from __future__ import annotations

import pytest

from audit import structure
from phi_guard import envelope
from phi_guard.policy.compiled import Flag, Number, OneOf


def test_both_lists_name_the_same():
    """Span names, error classes and codes, metadata and usage keys are the same on both lists."""
    assert structure.SPANS == envelope.SPAN_NAMES
    assert structure.ERROR_CLASSES == envelope.ERROR_TYPES
    assert structure.ERROR_CODES == envelope.ERROR_MESSAGES
    added = {"ls_run_depth"}  # LangSmith's own
    assert {*structure.METADATA, *structure.LABELS} - added == set(envelope.METADATA)
    assert set(structure.USAGE) == set(envelope.USAGE)


@pytest.mark.parametrize("key", sorted(envelope.METADATA))
def test_what_the_gate_lets_through_is_expected(key):
    """The ends of every range and every word of every closed list of the gate is what the audit expects too."""
    shape, check = envelope.METADATA[key], structure.METADATA.get(key, structure.LABEL)
    match shape:
        case OneOf():
            values = list(shape.values)
        case Number():
            values = [shape.low, shape.high]
        case Flag():
            values = [True, False]
        case _:
            values = []
    assert all(check(value) for value in values)


@pytest.mark.parametrize("key", sorted({*structure.METADATA, *structure.LABELS}))
@pytest.mark.parametrize("value", ["Ada Byron", "ada@example.org", "+41 79 555 01 23", "756.1234.5678.97", 41795550123, [1], {"a": 1}])
def test_no_key_takes_an_identifying_value(key, value):
    """No metadata key is so wide that a person's data fits, but for those that the patterns look at too."""
    if key in structure.OPEN and value == "756.1234.5678.97":
        return
    assert not structure.METADATA.get(key, structure.LABEL)(value)


@pytest.mark.parametrize(
    "error",
    ["LookupError: patient Ada not found", "LookupError", "tool_raised", "AdaError: tool_raised", "KeyError: tool_raised ", None, 3],
)
def test_an_error_is_a_class_and_a_code(error):
    """Anything beside ``<class>: <code>`` is not typed."""
    assert not structure.typed_error(error)
    assert structure.typed_error("KeyError: tool_raised")
