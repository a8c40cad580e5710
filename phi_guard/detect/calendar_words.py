"""Which of the dates a network finds could stand in a calendar: ``two days`` and ``every morning`` name no day."""

from __future__ import annotations

import re
from typing import Final

_MONTH: Final = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_UNIT: Final = (
    r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|h|days?|nights?|mornings?|afternoons?|evenings?|weeks?|weekends?|wks?|months?|mos?"
    r"|quarters?|years?|yrs?|decades?|y/?o|times?)"
)
_SPAN: Final = re.compile(
    rf"\d+(?:[.,/]\d+)?(?:\s?(?:-|–|to|or|and)\s?\d+(?:[.,]\d+)?)?(?:\s|-|\+)*(?:(?:more|full|consecutive|business|half)\s)?{_UNIT}\b",
    re.IGNORECASE,
)
_CLOCK: Final = re.compile(
    r"(?<![\d/.-])\d{1,2}(?:[:.]\d\d){0,2}\s?(?:[ap]\.?\s?m\b\.?|o['’]?\s?clock|h\b)|(?<![\d/.-])\d{1,2}:\d\d(?::\d\d)?(?!\d)",
    re.IGNORECASE,
)
_DECADE: Final = re.compile(r"(?:['’]|\b(?:18|19|20))?\d0['’]?s\b", re.IGNORECASE)
_ORDINAL: Final = re.compile(
    r"\b(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth"
    r"|seventeenth|eighteenth|nineteenth|twentieth|thirtieth)\b",
    re.IGNORECASE,
)
_NOT_A_DAY: Final = re.compile(rf"\b(?:{_UNIT}|thing|half|trimester|century|one)\b", re.IGNORECASE)


def could_be_date(text: str) -> bool:
    """Whether the text holds a month, an ordinal that may be a day's, or a digit beyond those of a duration, a decade or a time of day.

    Args:
        text: what a network took for a date or a time, such as ``the third of March`` or ``about two weeks ago``.
    """
    if _MONTH.search(text):
        return True
    if _ORDINAL.search(text) and not _NOT_A_DAY.search(text):
        return True
    rest = _DECADE.sub("", _CLOCK.sub("", _SPAN.sub("", text)))
    return any(char.isdecimal() for char in rest)
