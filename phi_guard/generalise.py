"""Generalisation: what is left of a value when what could tell one person from another is taken away.

The rules are those of 45 CFR 164.514(b)(2)(i): (B) of a place no more than the state, or the first three digits of a ZIP code where more
than 20,000 people live; (C) of a date no more than the year, and of an age, or a year that tells one, nothing above 89.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from phi_guard.policy.compiled import Generalisation, Moment

AGE_TOP: Final = 90
"""Years from which all ages are one: 45 CFR 164.514(b)(2)(i)(C)."""
AGE_MAX: Final = 130
"""Years that nobody reaches: a larger number is no age."""

SPARSE_ZIP3: Final = frozenset(
    {"036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890", "893"}
)
"""The 17 prefixes with 20,000 people or fewer by the 2000 Census, as HHS lists them in its guidance on de-identification."""

STATES: Final = frozenset(
    """
    AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX
    UT VT VA WA WV WI WY AS GU MP PR VI
    """.split()  # noqa: SIM905  # fifty-six quoted codes are harder to read
)
"""The postal codes of the states, the District of Columbia and the territories."""

_YEAR: Final = re.compile(r"[12][0-9]{3}")
_AGE: Final = re.compile(r"[0-9]{1,3}")
_ZIP: Final = re.compile(r"([0-9]{3})(?:[0-9]{2}(?:-[0-9]{4})?)?")
_STATE: Final = re.compile(r"(?:.{0,200}[,\s])?\s{0,5}([A-Z]{2})(?:\s{1,5}[0-9]{5}(?:-[0-9]{4})?)?")
_DATE: Final = Moment(time_too=True)


def generalise(value: object, to: Generalisation, today: date) -> str | int | None:
    """What is left of a value; None where it does not fit, so that nothing may be left. What was generalised stays as it is.

    Args:
        value: the raw value.
        to: what shall be left.
        today: ages are counted to this day.
    """
    return _LEFT[to](value, today)


def _year(value: object, today: date) -> str | None:
    if not isinstance(value, str):
        return None
    if not _YEAR.fullmatch(value) and not (_YEAR.match(value) and value[4:5] == "-" and _DATE.fits(value)):
        return None
    year = value[:4]
    # Whoever was born in that year may be 90 already.
    return year if int(year) > today.year - AGE_TOP else None


def _age(value: object, _: date) -> str | int | None:
    text = str(value) if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)) else ""
    if text == f"{AGE_TOP}+":
        return text
    if not _AGE.fullmatch(text) or int(text) > AGE_MAX:
        return None
    return f"{AGE_TOP}+" if int(text) >= AGE_TOP else value  # type: ignore[return-value]  # text or number, as it was given


def _zip3(value: object, _: date) -> str | None:
    found = _ZIP.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    return "000" if found[1] in SPARSE_ZIP3 else found[1]


def _state(value: object, _: date) -> str | None:
    found = _STATE.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= 240 else None  # longer than any address
    return found[1] if found is not None and found[1] in STATES else None


_LEFT: Final[Mapping[Generalisation, Callable[[object, date], str | int | None]]] = {
    "year": _year, "age": _age, "zip3": _zip3, "state": _state,
}  # fmt: skip
