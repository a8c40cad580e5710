"""A small clinic's booking system on SQLite: doctors, their slots, appointments, opening hours and house guidance.

A stand-in for whatever the clinic runs. Its rules are real: no slot is given twice, and the database itself sees to that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

SLOT: Final = timedelta(minutes=30)

DOCTORS: Final = (("Dr. Lee", "Riverside"), ("Dr. Osei", "Riverside"), ("Dr. Martin", "Hillcrest"))
HOURS: Final = (("Riverside", "08:00", "17:00"), ("Hillcrest", "09:00", "16:00"))
GUIDELINES: Final = (
    ("chest pain", "emergency", "Chest pain may be an emergency: call the emergency number now."),
    ("fever", "routine", "Drink enough, rest, and see a doctor if the fever lasts three days."),
    ("cough", "routine", "See a doctor if the cough lasts three weeks or brings up blood."),
    ("headache", "routine", "See a doctor at once if the headache is sudden and the worst ever."),
)
DEFAULT_GUIDANCE: Final = ("unknown", "Please describe this to a nurse, who will call back today.")

_SCHEMA: Final = """
CREATE TABLE doctors (doctor_name TEXT PRIMARY KEY, clinic_location TEXT NOT NULL);
CREATE TABLE hours (clinic_location TEXT PRIMARY KEY, opens TEXT NOT NULL, closes TEXT NOT NULL);
CREATE TABLE guidelines (symptom TEXT PRIMARY KEY, urgency TEXT NOT NULL, guidance TEXT NOT NULL);
CREATE TABLE appointments (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    doctor_name TEXT NOT NULL REFERENCES doctors,
    appointment_datetime TEXT NOT NULL,
    patient_name TEXT NOT NULL,
    phone TEXT, email TEXT, dob TEXT, mrn TEXT, address TEXT, reason_for_visit TEXT, notes TEXT,
    cancelled INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX one_patient_a_slot ON appointments (doctor_name, appointment_datetime) WHERE cancelled = 0;
"""
_DETAILS: Final = ("phone", "email", "dob", "mrn", "address", "reason_for_visit", "notes")
_FIRST_NUMBER: Final = 1001


class BookingRefused(PhiGuardError):
    """The booking system cannot do this; the message says why and what to do, and holds nothing the caller said."""


@dataclass(frozen=True, slots=True)
class Appointment:
    """An appointment as it stands.

    Args:
        confirmation_id: such as ``CONF-1001``.
        appointment_datetime: ISO 8601, local to the clinic, to the minute.
    """

    confirmation_id: str
    doctor_name: str
    clinic_location: str
    appointment_datetime: str


class BookingSystem:
    """The clinic's book. Every call is one short transaction; in memory (the default) it takes microseconds.

    Args:
        path: a file to create, or ``:memory:``. An existing book is opened as it is.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'appointments'").fetchone() is None:
            self._db.executescript(_SCHEMA)
            self._db.executemany("INSERT INTO doctors VALUES (?, ?)", DOCTORS)
            self._db.executemany("INSERT INTO hours VALUES (?, ?, ?)", HOURS)
            self._db.executemany("INSERT INTO guidelines VALUES (?, ?, ?)", GUIDELINES)
            self._db.execute("INSERT INTO sqlite_sequence VALUES ('appointments', ?)", (_FIRST_NUMBER - 1,))

    def close(self) -> None:
        """Close the book. Safe to call twice."""
        self._db.close()

    def __enter__(self) -> BookingSystem:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def free_slots(self, doctor_name: str, day: str, limit: int = 3) -> tuple[str, ...]:
        """The first `limit` free slots of a doctor from the time `day` (ISO 8601) on, that same day.

        Raises:
            BookingRefused: the doctor is unknown or the time cannot be read.
        """
        moment = _moment(day)
        doctor = self._doctor(doctor_name)
        hours = self._hours(doctor["clinic_location"])
        closes = datetime.combine(moment.date(), datetime.strptime(hours["closes"], "%H:%M").time())
        opens = datetime.combine(moment.date(), datetime.strptime(hours["opens"], "%H:%M").time())
        taken = {
            row["appointment_datetime"]
            for row in self._db.execute(
                "SELECT appointment_datetime FROM appointments WHERE doctor_name = ? AND cancelled = 0", (doctor["doctor_name"],)
            )
        }
        slots = (opens + SLOT * n for n in range(int((closes - opens) / SLOT)))
        free = [_text(slot) for slot in slots if slot >= moment and _text(slot) not in taken] if moment.weekday() < 5 else []
        return tuple(free[:limit])

    def is_free(self, doctor_name: str, appointment_datetime: str) -> bool:
        """Whether the slot exists in the doctor's opening hours and nobody has it.

        Raises:
            BookingRefused: the doctor is unknown or the time cannot be read.
        """
        return self.free_slots(doctor_name, appointment_datetime, limit=1) == (_text(_moment(appointment_datetime)),)

    def book(
        self,
        doctor_name: str,
        appointment_datetime: str,
        patient_name: str,
        *,
        clinic_location: str | None = None,
        details: Mapping[str, str | None] | None = None,
    ) -> Appointment:
        """Give a free slot to a patient.

        Args:
            doctor_name: the doctor, in upper or lower case.
            appointment_datetime: ISO 8601, local to the clinic; the start of a slot.
            patient_name: as the caller gives it.
            clinic_location: where the caller wants to go, if said; it must be where the doctor works.
            details: any of phone, email, dob, mrn, address, reason_for_visit and notes.

        Raises:
            BookingRefused: the slot is taken or outside opening hours, the doctor is unknown, the time cannot be read.
        """
        doctor = self._doctor(doctor_name)
        when = _text(_moment(appointment_datetime))
        self._must_be_free(doctor["doctor_name"], when)
        if clinic_location and clinic_location.lower() != doctor["clinic_location"].lower():
            msg = "this doctor does not work at that clinic; ask for the opening hours of the doctor to learn where"
            raise BookingRefused(msg)
        given = details or {}
        row = (doctor["doctor_name"], when, patient_name, *(given.get(name) for name in _DETAILS))
        try:
            cursor = self._db.execute(
                "INSERT INTO appointments (doctor_name, appointment_datetime, patient_name, phone, email, dob, mrn, address,"
                " reason_for_visit, notes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        except sqlite3.IntegrityError:  # another process took it since we looked
            raise _taken() from None
        return self.appointment(f"CONF-{cursor.lastrowid}")

    def cancel(self, confirmation_id: str, patient_name: str | None = None) -> Appointment:
        """Cancel an appointment and free its slot. A name, if given, must be the patient's.

        Raises:
            BookingRefused: there is no such appointment under that name, or it is cancelled already.
        """
        standing = self.appointment(confirmation_id, patient_name)
        self._db.execute("UPDATE appointments SET cancelled = 1 WHERE number = ?", (_number(confirmation_id),))
        return standing

    def reschedule(self, confirmation_id: str, appointment_datetime: str, patient_name: str | None = None) -> Appointment:
        """Move an appointment to another slot of the same doctor; it keeps its id, and its old slot is free.

        Raises:
            BookingRefused: there is no such appointment, or the new slot cannot be had; the old one then stands.
        """
        standing = self.appointment(confirmation_id, patient_name)
        when = _text(_moment(appointment_datetime))
        if when != standing.appointment_datetime:
            self._must_be_free(standing.doctor_name, when)
        try:
            self._db.execute("UPDATE appointments SET appointment_datetime = ? WHERE number = ?", (when, _number(confirmation_id)))
        except sqlite3.IntegrityError:
            raise _taken() from None
        return self.appointment(confirmation_id)

    def appointment(self, confirmation_id: str, patient_name: str | None = None) -> Appointment:
        """The standing appointment with this id, and under this name if one is given.

        Raises:
            BookingRefused: there is none.
        """
        row = self._db.execute(
            "SELECT * FROM appointments JOIN doctors USING (doctor_name) WHERE number = ? AND cancelled = 0"
            " AND lower(patient_name) = lower(coalesce(?, patient_name))",
            (_number(confirmation_id), patient_name),
        ).fetchone()
        if row is None:
            msg = "no standing appointment has this confirmation id; ask the caller to read it out again"
            raise BookingRefused(msg)
        return Appointment(f"CONF-{row['number']}", row["doctor_name"], row["clinic_location"], row["appointment_datetime"])

    def opening_hours(self, *, doctor_name: str | None = None, clinic_location: str | None = None) -> dict[str, str]:
        """Opening hours, Monday to Friday, of a clinic or of the clinic where a doctor works.

        Raises:
            BookingRefused: neither is given, or it is unknown.
        """
        if doctor_name:
            clinic_location = str(self._doctor(doctor_name)["clinic_location"])
        if not clinic_location:
            msg = "name a doctor or a clinic"
            raise BookingRefused(msg)
        row = self._hours(clinic_location)
        return {"clinic_location": row["clinic_location"], "opens": row["opens"], "closes": row["closes"], "days": "Monday to Friday"}

    def guideline(self, symptoms: str) -> tuple[str, str]:
        """Urgency and guidance for the first listed symptom that the text names; a safe default if it names none."""
        row = self._db.execute(
            "SELECT urgency, guidance FROM guidelines WHERE instr(lower(?), symptom) > 0 ORDER BY rowid LIMIT 1", (symptoms,)
        ).fetchone()
        return (row["urgency"], row["guidance"]) if row else DEFAULT_GUIDANCE

    def _doctor(self, doctor_name: str) -> sqlite3.Row:
        row = self._db.execute("SELECT * FROM doctors WHERE lower(doctor_name) = lower(?)", (doctor_name,)).fetchone()
        if row is None:
            msg = "no such doctor here; ask which doctor is meant"
            raise BookingRefused(msg)
        return row  # type: ignore[no-any-return]  # sqlite3 types a row as Any

    def _hours(self, clinic_location: str) -> sqlite3.Row:
        row = self._db.execute("SELECT * FROM hours WHERE lower(clinic_location) = lower(?)", (clinic_location,)).fetchone()
        if row is None:
            msg = "no such clinic; ask which clinic is meant"
            raise BookingRefused(msg)
        return row  # type: ignore[no-any-return]  # sqlite3 types a row as Any

    def _must_be_free(self, doctor_name: str, when: str) -> None:
        if not self.is_free(doctor_name, when):
            raise _taken()


def _taken() -> BookingRefused:
    return BookingRefused("this slot is taken or outside opening hours; offer another one")


def _moment(text: str) -> datetime:
    """The clinic's wall time; an offset or a Z in the text is dropped, since callers speak of local time."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None, second=0, microsecond=0)
    except ValueError:
        msg = "the time cannot be read; write it as 2026-03-02T10:30"
        raise BookingRefused(msg) from None


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _number(confirmation_id: str) -> int:
    digits = confirmation_id.removeprefix("CONF-")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 8 else -1
