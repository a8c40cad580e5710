"""The clinic's book: what it gives, what it refuses, and that no slot is ever given twice."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracing.local.booking import BookingRefused, BookingSystem

MONDAY = "2026-03-02"


def test_a_booked_slot_is_refused_to_the_next_patient() -> None:
    """The second patient is refused, and the message holds nothing either of them said."""
    with BookingSystem() as book:
        first = book.book("Dr. Lee", f"{MONDAY}T10:00", "Ada Byron", details={"phone": "555-0100"})
        assert first.confirmation_id == "CONF-1001"
        assert first.clinic_location == "Riverside"
        with pytest.raises(BookingRefused) as refusal:
            book.book("dr. lee", f"{MONDAY}T10:00:59Z", "Max Born")
    assert not any(word in str(refusal.value) for word in ("Byron", "Born", "555", "10:00"))


def test_the_database_itself_refuses_a_slot_given_twice() -> None:
    """Two writers who both saw the slot free cannot both have it: the index decides, not our check."""
    with BookingSystem() as book:
        book.book("Dr. Lee", f"{MONDAY}T10:00", "Ada Byron")
        with pytest.raises(sqlite3.IntegrityError):
            book._db.execute(
                "INSERT INTO appointments (doctor_name, appointment_datetime, patient_name) VALUES ('Dr. Lee', ?, 'Max Born')",
                (f"{MONDAY}T10:00",),
            )


def test_a_cancelled_slot_is_free_again() -> None:
    """Cancelling frees the slot once; the cancelled id stands for nothing afterwards."""
    with BookingSystem() as book:
        held = book.book("Dr. Lee", f"{MONDAY}T10:00", "Ada Byron")
        assert not book.is_free("Dr. Lee", f"{MONDAY}T10:00")
        with pytest.raises(BookingRefused):
            book.cancel(held.confirmation_id, "Max Born")
        book.cancel(held.confirmation_id, "ada byron")
        assert book.is_free("Dr. Lee", f"{MONDAY}T10:00")
        with pytest.raises(BookingRefused):
            book.cancel(held.confirmation_id)


def test_rescheduling_moves_the_appointment_or_leaves_it() -> None:
    """A move keeps the id and frees the old slot; a move onto a taken slot changes nothing."""
    with BookingSystem() as book:
        ada = book.book("Dr. Lee", f"{MONDAY}T10:00", "Ada Byron")
        max_ = book.book("Dr. Lee", f"{MONDAY}T10:30", "Max Born")
        with pytest.raises(BookingRefused):
            book.reschedule(ada.confirmation_id, f"{MONDAY}T10:30")
        with pytest.raises(BookingRefused):
            book.reschedule(ada.confirmation_id, f"{MONDAY}T22:00")
        assert book.appointment(ada.confirmation_id) == ada
        moved = book.reschedule(max_.confirmation_id, f"{MONDAY}T11:00")
        assert (moved.confirmation_id, moved.appointment_datetime) == (max_.confirmation_id, f"{MONDAY}T11:00")
        assert book.is_free("Dr. Lee", f"{MONDAY}T10:30")


@pytest.mark.parametrize(
    ("doctor", "when", "clinic"),
    [
        ("Dr. Nobody", f"{MONDAY}T10:00", None),
        ("Dr. Lee", f"{MONDAY}T10:10", None),
        ("Dr. Lee", f"{MONDAY}T07:30", None),
        ("Dr. Lee", f"{MONDAY}T17:00", None),
        ("Dr. Lee", "2026-03-07T10:00", None),
        ("Dr. Lee", "next Monday", None),
        ("Dr. Lee", f"{MONDAY}T10:00", "Hillcrest"),
    ],
)
def test_what_cannot_be_booked_is_refused(doctor: str, when: str, clinic: str | None) -> None:
    """Unknown doctor, off the grid, before opening, at closing, a Saturday, no time at all, the wrong clinic."""
    with BookingSystem() as book, pytest.raises(BookingRefused):
        book.book(doctor, when, "Ada Byron", clinic_location=clinic)


def test_text_in_a_name_is_never_sql() -> None:
    """A hostile value is stored and compared as text."""
    hostile = "x'; DROP TABLE appointments; --"
    with BookingSystem() as book:
        held = book.book("Dr. Lee", f"{MONDAY}T10:00", hostile, details={"notes": hostile})
        assert book.cancel(held.confirmation_id, hostile) == held
        with pytest.raises(BookingRefused):
            book.appointment(hostile)


def test_a_file_keeps_the_book(tmp_path) -> None:
    """A book opened again has the appointments of before, and hands out new ids."""
    with BookingSystem(tmp_path / "clinic.db") as book:
        held = book.book("Dr. Osei", f"{MONDAY}T09:00", "Ada Byron")
    with BookingSystem(tmp_path / "clinic.db") as book:
        assert book.appointment(held.confirmation_id) == held
        assert book.book("Dr. Osei", f"{MONDAY}T09:30", "Max Born").confirmation_id == "CONF-1002"


def test_hours_and_guidance() -> None:
    """Hours come by doctor or by clinic; guidance for an unlisted symptom sends the caller to a person."""
    with BookingSystem() as book:
        assert book.opening_hours(doctor_name="Dr. Martin") == book.opening_hours(clinic_location="hillcrest")
        assert book.guideline("A FEVER since Tuesday")[0] == "routine"
        assert book.guideline("fever and chest pain")[0] == "emergency"
        assert book.guideline("an odd feeling")[0] == "unknown"
        with pytest.raises(BookingRefused):
            book.opening_hours()


_SLOTS = [f"{MONDAY}T{hour:02}:{minute:02}" for hour in (8, 9) for minute in (0, 30)]
_OPS = st.lists(
    st.tuples(st.sampled_from(["book", "cancel", "reschedule"]), st.sampled_from(_SLOTS), st.integers(1000, 1004)), min_size=1, max_size=15
)


@settings(max_examples=60, deadline=None)
@given(_OPS)
def test_the_book_agrees_with_a_plain_dictionary(ops: list[tuple[str, str, int]]) -> None:
    """Whatever is booked, cancelled and moved: the same things succeed as in a dictionary of slot to id."""
    held: dict[str, str] = {}  # confirmation id -> slot
    with BookingSystem() as book:
        for op, slot, number in ops:
            confirmation_id = f"CONF-{number}"
            try:
                match op:
                    case "book":
                        held_id = book.book("Dr. Lee", slot, "Ada Byron").confirmation_id
                        assert slot not in held.values()
                        held[held_id] = slot
                    case "cancel":
                        assert book.cancel(confirmation_id).appointment_datetime == held.pop(confirmation_id)
                    case _:
                        book.reschedule(confirmation_id, slot)
                        assert slot not in (held.keys() - {confirmation_id} and {v for k, v in held.items() if k != confirmation_id})
                        held[confirmation_id] = slot
            except BookingRefused:
                taken = slot in {s for k, s in held.items() if op == "book" or k != confirmation_id}
                assert taken if op == "book" else confirmation_id not in held or (op == "reschedule" and taken)
            assert all(book.is_free("Dr. Lee", s) == (s not in held.values()) for s in _SLOTS)
