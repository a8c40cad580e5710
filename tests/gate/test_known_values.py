"""Values are only read when a text comes that could hold one: that must never hide one."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from phi_guard.known_values import KnownValues

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
