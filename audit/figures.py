"""What a number may be, by its digits alone: a date, a telephone number, a record number."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from audit.findings import UNEXPLAINED, Severity

NUMBER_MIN: Final = 5
"""Digits from which a number may be somebody's."""
YEARS: Final = range(1900, 2100)
NEAR: Final = 10
"""Years from a run within which a kept date is one of an appointment; assistants do mistake the year, by fewer."""


def told(value: float) -> tuple[str, Severity]:
    """How a number that fits its shape but is larger than likely is told: its entity, and its severity.

    Args:
        value: a fraction is no identifier, so it is a suspicion only, unless its digits are a day (``19610.312``).
    """
    if isinstance(value, float) and not value.is_integer():
        return ("DATE_TIME", "high") if is_date("".join(c for c in repr(value) if c.isdecimal())) else (UNEXPLAINED, "low")
    digits = str(int(value))
    if is_date(digits):
        return "DATE_TIME", "high"
    return (UNEXPLAINED, "medium") if len(digits) >= NUMBER_MIN else (UNEXPLAINED, "low")


def is_date(digits: str) -> bool:
    """Whether eight digits are a day as it is written somewhere: 19751210, 10121975, 12101975."""
    if len(digits) != 8 or not digits.isdecimal():
        return False
    orders = ((0, 4, 6), (4, 2, 0), (4, 0, 2))
    return any(_is_day(int(digits[y : y + 4]), int(digits[m : m + 2]), int(digits[d : d + 2])) for y, m, d in orders)


def is_near(value: object, day: date) -> bool:
    """Whether a date, or date and time, in ISO 8601 lies within `NEAR` years of a day; what is no date is not told apart here."""
    try:
        return not isinstance(value, str) or abs(datetime.fromisoformat(value).year - day.year) <= NEAR
    except ValueError:
        return True


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day).year in YEARS
    except ValueError:
        return False
