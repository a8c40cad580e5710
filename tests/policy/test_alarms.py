"""What a policy would send and the last look would stop is said while the policy is written, not when it is live."""

from __future__ import annotations

import pytest

from phi_guard.last_look import LastLook
from phi_guard.policy import alarms
from phi_guard.policy.compiled import Number, OneOf, Pattern
from phi_guard.policy.lint import lint

POLICY = """version: 1
default: redact
fields:
  hotline: {action: keep, shape: %s}
  branch: {action: keep, shape: '%s'}
tools:
  book: {inputs: [hotline, branch], outputs: [branch]}
examples:
  - given: {tool: book, inputs: {hotline: "%s", branch: "%s"}}
    sends: {inputs: {hotline: "%s", branch: "%s"}}
"""


def told(tmp_path, shape, pattern, hotline, clinic):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY % (shape, pattern, hotline, clinic, hotline, clinic))
    return [(f.line, f.path, f.severity) for f in lint(path) if f.code == "PG014"]


def test_a_shape_that_identifiers_have_is_told_before_it_is_live(tmp_path):
    """Ten digits are somebody's NHS or telephone number now and then, and the first such call would stop all telemetry."""
    found = told(tmp_path, '{in: ["north", "south"]}', "[0-9]{10}", "north", "9434765919")
    assert found == [(5, "fields.branch", "error"), (9, "examples", "error")]
    assert told(tmp_path, '{in: ["north", "south"]}', "CL[0-9]{3}", "north", "CL123") == []


def test_a_telephone_number_in_a_list_is_the_clinics_own_and_stops_nothing(tmp_path):
    """Written down in a list it is known to the look; kept by a pattern it is not."""
    number = "+41 21 555 00 00"
    assert told(tmp_path, f'{{in: ["{number}"]}}', "CL[0-9]{3}", number, "CL123") == []
    found = told(tmp_path, "'[+]41 21 555 [0-9]{2} [0-9]{2}'", "CL[0-9]{3}", number, "CL123")
    assert found == [(4, "fields.hotline", "error"), (9, "examples", "error")]


@pytest.mark.parametrize(
    ("name", "source", "most"),
    [
        ("code", r"[A-Z]{2}-[0-9]{4}", 0),
        ("site", r"[0-9]{10}", alarms.DRAWN),
        ("mail", r"(?:a|b)[a-z.]{2,9}@[a-z]{3}\.(?P<t>com|ch)", alarms.DRAWN),
        ("slot", r"(?!12)[0-9]{2}:[^9]\d(?:h|\s)?\w*", 0),
        ("twice", r"([A-Z])\1+(?>x)", 0),
    ],
)
def test_values_are_drawn_of_every_kind_of_pattern(name, source, most):
    """Each drawn value fits, and there are as many as promised; the same pattern is always drawn alike."""
    shape = Pattern(source)
    values = list(alarms._values(shape, alarms.random.Random(1)))
    assert len(values) == alarms.DRAWN
    assert all(shape.fits(value) for value in values)
    n, rules = alarms.in_shape(name, shape)
    assert (n, rules) == alarms.in_shape(name, shape)
    assert (n > 0) == bool(most) == bool(rules)


def test_numbers_are_drawn_too_and_lists_are_not():
    """A number kept under a name that speaks of telephones is one."""
    assert alarms.in_shape("phone", Number(7_000_000, 9_999_999))[1] == ("phone_cue",)
    assert alarms.in_shape("phone", OneOf(frozenset({"+41 21 555 00 00"}))) == (0, ())


def test_the_look_reads_a_value_as_it_reads_a_request():
    """Keys are cues, deep values count, what a policy writes down does not."""
    look = LastLook(["+41 21 555 00 00"])
    assert look.rules_in({"a": [{"b": {"ssn": 987654320}}], "c": "+41 21 555 00 00"}) == {"ssn_cue"}
