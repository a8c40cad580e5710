"""What a kept value may look like, and which patterns are refused before they can cost a call its time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.policy.backtracking import BadPattern, vet
from phi_guard.policy.compiled import PATTERN_VALUE_MAX, Flag, Moment, Number, OneOf, Pattern
from phi_guard.policy.shapes import BadShape, read_shape

EXPLODING = [
    r"(a+)+", r"(a*)*b", r"(a|aa)+", r"(.*)*", r"(a?){40}a{40}", r"(?:[a-z]+ ?)+", r"(a{1,30}){1,30}", r"((a{0,9}){0,9}){0,9}",
    r"(\w+\s?)*$", r"a*a*a*a*b", r"(?=(a+)+b)a*", r"(?:(?:x|y)+z?)+", r"(a+?)+?b", r"(x)?(?(1)(a+)+|b)",
]  # fmt: skip
HARMLESS = [
    r"^[A-Z]{2,6}-[0-9]{3,8}$", r"[A-Z]+-\d+", r"[a-z]+@[a-z]+\.[a-z]+", r"(?:abc)+", r"(?:\d{3}-){2}\d{4}", r"a|b|c", r"v\d+(?:\.\d+)?",
    r"(?i:conf)-\d{4}", r"[0-2]\d:[0-5]\d", r"(?:-[a-z]{1,3}){0,3}x", r"(a)\1",
]  # fmt: skip


@pytest.mark.parametrize("source", EXPLODING)
def test_a_pattern_that_may_explode_is_refused(source):
    """Nested and stacked repeats are refused, however they are spelt, and at once."""
    start = time.perf_counter()
    with pytest.raises(BadPattern, match="may try for hours"):
        vet(source)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("source", HARMLESS)
def test_a_harmless_pattern_is_taken(source):
    """Ordinary identifiers are not caught by the bound."""
    vet(source)


@pytest.mark.parametrize("source", ["(", "[", "a{2,1}", "(?P<x>a)(?P<x>b)", "[[a]", "(" * 199, "a" * 201, r"\q", "(?<=a+)b"])
def test_a_pattern_that_does_not_compile_is_refused(source):
    """Broken, doubtful, too nested and too long patterns are refused with a sentence, never with a traceback."""
    with pytest.raises(BadPattern, match="the pattern"):
        vet(source)


@given(st.text(alphabet="ab()[]{}|?*+.^$\\d12,-=!<:>P", max_size=24), st.sampled_from("ab1"))
def test_whatever_is_taken_answers_in_time(source, letter):
    """A pattern that passes gives up on the longest value it will look at, within a second."""
    try:
        vet(source)
    except BadPattern:
        return
    start = time.perf_counter()
    Pattern(source).fits(letter * (PATTERN_VALUE_MAX - 1) + "!")
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("given_", "shape"),
    [
        ("datetime", Moment(time_too=True)),
        ("date", Moment(time_too=False)),
        ("flag", Flag()),
        ({"number": [1, 2.5]}, Number(1, 2.5)),
        ({"in": "doctors"}, OneOf(frozenset({"Dr. Lee"}))),
        ({"in": ["x", "y"]}, OneOf(frozenset({"x", "y"}))),
        ("^a$|^b$", Pattern("^a$|^b$")),
    ],
)
def test_each_shape_is_read(given_, shape):
    """Every form the file may use becomes the shape it names."""
    assert read_shape(given_, {"doctors": ["Dr. Lee"]}) == shape


@pytest.mark.parametrize(
    ("given_", "word"),
    [
        ("datetme", "did you mean 'datetime'?"),
        ("providers", "is no shape"),
        ("", "is no shape"),
        (".*", "fits any text"),
        (r"(?s:.{0,199})", "fits any text"),
        (r"[^\n]+", "fits any text"),
        ({"in": "docters"}, "did you mean 'doctors'?"),
        ({"in": []}, "is no shape"),
        ({"in": ["x", 1]}, "is no shape"),
        ({"in": ["x", ""]}, "is no shape"),
        ({"in": ["x"], "or": 1}, "is no shape"),
        ({"number": [2, 1]}, "is no range"),
        ({"number": [0, float("inf")]}, "is no range"),
        ({"number": [True, 1]}, "is no shape"),
        ({"number": ["0", "1"]}, "is no shape"),
        (7, "is no shape"),
        ([], "is no shape"),
    ],
)
def test_what_is_no_shape_says_what_to_write(given_, word):
    """A shape that cannot be read, or would keep blindly, is refused."""
    with pytest.raises(BadShape, match=re.escape(word)):
        read_shape(given_, {"doctors": ["Dr. Lee"]})


@pytest.mark.parametrize("source", ["A[0-9]", "^A[0-9]", "A[0-9]$", "^A[0-9]$", r"\AA[0-9]\Z", "(?m)^A[0-9]$", "A[0-9]|B[0-9]"])
@pytest.mark.parametrize("around", ["x A1", "A1 x", "A1\n", "\nA1", "A1\nB1", "xA1x"])
def test_a_pattern_is_anchored_on_both_sides_whatever_was_written(source, around):
    """Nothing may stand beside the match, not even a line break."""
    shape = read_shape(source, {})
    assert shape.fits("A1")
    assert not shape.fits(around)
