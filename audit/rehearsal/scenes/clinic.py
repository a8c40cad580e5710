"""What the clinic has: doctors, houses, free times. All of it stands in the policy's lists, so that none of it is a patient's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

DOCTORS: Final = ("Dr. Lee", "Dr. Chen", "Dr. Dubois", "Dr. Keller", "Dr. Rossi", "Dr. Martin", "Dr. Osei")
HOUSES: Final = ("Main Clinic", "North Clinic", "Lausanne Gare", "Riverside", "Hillcrest")
DAYS: Final = ("Monday to Friday", "Monday to Saturday", "every day")
_FIRST: Final = date(2027, 1, 4)
_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
}
_TOLD: Final = {"en": "{day} the {n} at {hour}", "fr": "{day} {n} à {hour} heures", "de": "{day}, den {n}., um {hour} Uhr"}


@dataclass(frozen=True, slots=True)
class Slot:
    """A doctor's time.

    Args:
        doctor: of `DOCTORS`.
        at: ISO 8601, such as ``2027-03-15T14:00Z``.
        told: the same as people say it.
    """

    doctor: str
    at: str
    told: str

    @property
    def args(self) -> dict[str, str]:
        """As a tool takes it."""
        return {"doctor_name": self.doctor, "appointment_datetime": self.at}


def free_slot(chance: Random, language: str) -> Slot:
    """A time on a working day of 2027."""
    weekday = chance.randrange(5)
    day, hour = _FIRST + timedelta(weeks=chance.randrange(50), days=weekday), chance.randrange(9, 17)
    told = _TOLD[language].format(day=_WEEKDAYS[language][weekday], n=day.day, hour=hour)
    return Slot(chance.choice(DOCTORS), f"{day}T{hour:02d}:00Z", told)


def confirmation(chance: Random) -> str:
    """The number of an appointment."""
    return f"CONF-{chance.randrange(1000, 9999)}"
