"""Numbers, years, dates and addresses as people say them in English."""

from __future__ import annotations

import re
from typing import Final

DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_TEENS: Final = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_MARKS: Final = {"@": "at", ".": "dot", "_": "underscore", "-": "dash", "/": "slash", ":": "colon", "+": "plus"}

_MONTH: Final = r"(?P<name>[A-Za-z]{3,9})\.?"
_DATES: Final = tuple(
    re.compile(rf"\s*{pattern}\s*")
    for pattern in (
        r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[T ][\d:.Z+]{1,20})?",
        r"(?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?:[-/](?P<year>\d{4}|\d\d))?",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d\d)",
        rf"{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,? (?P<year>\d{{4}}))?",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}(?:,? (?P<year>\d{{4}}))?",
    )
)
_NUMBER: Final = re.compile(r"(?<!\d)(\d{1,2})(?:st|nd|rd|th)\b|\d+")


def cardinal(number: int) -> str:
    """A number from 0 to 9,999 in words.

    Raises:
        ValueError: it is out of that range.
    """
    if not 0 <= number <= 9_999:
        msg = f"0 to 9,999 can be said; got {number}"
        raise ValueError(msg)
    if number < 10:
        return DIGITS[number]
    if number < 20:
        return _TEENS[number - 10]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {DIGITS[ones]}" if ones else "")
    size, unit = (1_000, "thousand") if number >= 1_000 else (100, "hundred")
    whole, rest = divmod(number, size)
    return f"{cardinal(whole)} {unit}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """A place from 0 to 9,999 in words, as in ``twenty first``."""
    head, _, last = cardinal(number).rpartition(" ")
    said = _ORDINALS.get(last) or (last.removesuffix("y") + "ieth" if last.endswith("y") else last.removesuffix("t") + "th")
    return f"{head} {said}".strip()


def year(number: int) -> str:
    """A year from 1000 to 2999 as it is said: ``nineteen oh five``, ``two thousand nine``, ``twenty twenty six``."""
    if 2000 <= number <= 2009:
        return cardinal(number)
    century, rest = divmod(number, 100)
    tail = "hundred" if rest == 0 else f"oh {cardinal(rest)}" if rest < 10 else cardinal(rest)
    return f"{cardinal(century)} {tail}"


def date(text: str) -> str:
    """A date as it is said, month first and the day as a place; what is no date that is known here, its numbers said."""
    for pattern in _DATES:
        match = pattern.fullmatch(text)
        held = match.groupdict() if match else {}
        month = _month(held) if match else 0
        day = int(held["day"]) if match else 0
        if match and month > 12 and day <= 12:
            month, day = day, month
        if not (1 <= month <= 12 and 1 <= day <= 31):
            continue
        said = f"{MONTHS[month - 1]} {ordinal(day)}"
        if not held["year"]:
            return said
        full = int(held["year"])
        return f"{said} {year(full)}" if 1000 <= full <= 2999 else f"{said} {cardinal(full)}"
    return numbers(text)


def numbers(text: str) -> str:
    """The text with its numbers said: up to four digits as a number or a year, longer ones and those with a zero first digit by digit."""
    return _NUMBER.sub(lambda match: f" {_number(match)} ", text)


def address(text: str) -> str:
    """An e-mail or web address as it is said, in lower case: ``ada dot b at example dot org``."""
    said = "".join(f" {_MARKS[c]} " if c in _MARKS else c for c in text.lower())
    return " ".join(numbers(said).split())


def _number(match: re.Match[str]) -> str:
    if match[1]:
        return ordinal(int(match[1]))
    digits = "".join(str(int(c)) for c in match.group() if c.isdecimal())
    if len(digits) > 4 or digits.startswith("0"):
        return " ".join(DIGITS[int(c)] for c in digits)
    return year(int(digits)) if 1900 <= int(digits) <= 2099 else cardinal(int(digits))


def _month(held: dict[str, str | None]) -> int:
    if name := held.get("name"):
        return next((i for i, month in enumerate(MONTHS, 1) if month.startswith(name.lower())), 0)
    return int(held["month"] or 0)
