"""Values are only read when a text comes that could hold one: that must never hide one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phi_guard.known_values import TERMS_MAX, KnownValues

PIECES = [
    "Ada",
    "byron",
    "O'Neil-Smith",
    "Wu",
    "J",
    "T",
    "55",
    "1234",
    "00123456",
    "79",
    "555",
    "0123",
    "-",
    " ",
    ".",
    "'",
    "MRN",
    "1975-12-10",
    "é",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)


@given(values=st.lists(st.tuples(TEXTS, st.booleans()), min_size=1, max_size=4), text=TEXTS)
@example(values=[("J-55", True)], text="x J-55")
@example(values=[("Mary Ann O'Neil", True)], text="MARYANNONEIL")
@example(values=[("079 555 01 23", True)], text="+41795550123")
@example(values=[("a 1234", True)], text="a 1234")
@example(values=[("J'J", False)], text="see J'J'x")
@settings(max_examples=600, deadline=None)
def test_what_is_read_late_is_found_as_if_it_were_read_at_once(values, text):
    """The same stretches of the same texts, and the same answer whether a kept value holds one."""
    late, early = KnownValues(), KnownValues()
    late.add_all(values)
    early.add_all(values)
    early._read()
    assert late.holds(text) == (early.is_one(text) or bool(early._written(text)))
    late = KnownValues()
    late.add_all(values)
    assert late._written(text) == early._written(text)
    assert late.find(text) == early.find(text)


def test_a_text_without_any_of_them_costs_no_reading():
    """The point of waiting: a date and a reference beside a patient's data leave it unread."""
    known = KnownValues()
    known.add_all([("Ada Byron", True), ("+41 79 555 01 23", True), ("1975-12-10", True)])
    assert not known.holds("2027-03-15T14:00Z")
    assert not known.holds("CONF-1234")
    assert len(known._unread) == 3
    assert known.holds("BYRON-1234")
    assert not known._unread


def _known(value, *, named=True):
    known = KnownValues()
    known.add(value, named=named)
    return known


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Wu", "Wu called"), ("+41 79 555 01 23", "ends in 555 01 23"), ("079 555 01 23", "on +41 79 5550123"), ("Ann Mueller", "muller"),
        ("<REDACTED> Byron", "for byron"),
    ],
)  # fmt: skip
def test_a_value_is_found_in_another_spelling(value, text):
    """Two letters written as a name, the end of a number, a number without its prefix, a name without its e."""
    assert _known(value).find(text)


@pytest.mark.parametrize(
    ("value", "text"), [("Wu", "wu wei"), ("<REDACTED> Byron", "it was redacted"), ("Ann Roth", "a roti"), ("MRN 4711", "4711 francs")]
)
def test_what_only_looks_like_a_value_is_none(value, text):
    """Two small letters, our own marker, a short word one slip away, four digits."""
    known = _known(value)
    assert known.find(text) == []
    assert not known.is_one("4711")


def test_small_words_of_an_unknown_field_are_not_learnt():
    """They may be ordinary: nobody said what the field holds."""
    known = _known("terrible weather for Byron", named=False)
    assert known.find("terrible weather") == []
    assert known.find("said byron")


def test_once_no_room_is_left_for_a_named_value_every_text_counts_as_holding_one():
    """Rather redact all than pass what could not be remembered."""
    known = KnownValues()
    known.add_all((f"Zq{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}{chr(97 + n // 676)}k", True) for n in range(TERMS_MAX + 1))
    assert known.find("rest and drink")
    assert known.is_one("anything")
