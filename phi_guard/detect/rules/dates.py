"""Dates in their usual forms, dates of birth, and ages over 89 (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.rule import PatternRule

_MONTH: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    "|janvier|janv|février|fevrier|févr|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|déc"
    "|januar|jänner|februar|märz|maerz|juni|juli|oktober|dezember|okt|dez"
)
_ORDINAL: Final = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth"
    "|seventeenth|eighteenth|nineteenth|twentieth|twenty[\\s-](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    "|thirtieth|thirty[\\s-]first"
)
_DAY: Final = rf"(?:the\s)?(?:[0-3]?\d(?:st|nd|rd|th|er|\.)?|{_ORDINAL})(?!\d)"
_ONES: Final = "oh|o|one|two|three|four|five|six|seven|eight|nine"
_TENS: Final = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
_YEAR: Final = (
    rf"(?:(?:18|19|20)\d\d\b|['’]\d\d\b|\d\d\b(?![:/.]\d)|(?:nineteen|twenty|two thousand)(?:[\s-](?:and|{_TENS}|{_ONES}"
    rf"|hundred)){{0,4}}\b)"
)
_SEP: Final = r"[\s,.\-]{1,3}"


def _calendar(text: str) -> bool:
    """Two of the three numbers can be a day and a month."""
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    small = sorted(number for number in numbers if number <= 31)
    return len(small) >= 2 and 1 <= small[0] <= 12


RULES: Final = (
    PatternRule(
        name="date_numbers",
        entity="DATE_TIME",
        regex=r"(?<![\d.,/\-])(?:(?:18|19|20)\d\d\s?([-/.‐-―])\s?\d{1,2}\s?\1\s?\d{1,2}|\d{1,2}\s?([-/.‐-―])\s?\d{1,2}\s?\2\s?(?:(?:18|19|20)\d\d|\d\d))(?![\d/]|[.\-]\d)",
        hits=("1958-03-03", "3.3.1958", "03.03.58", "3/14/1958", "14/3/58", "1958/03/03", "3 . 3 . 1958", "03-03-1958",
              "seen 1958-03-03T10:00"),
        misses=("120/80", "14:30", "14:30:00", "1.5 mg", "E11.9", "32/32/32", "2-3 times", "5/10 pain", "99.99.99"),
        check=_calendar,
        digits=True,
    ),
    PatternRule(
        name="date_words",
        entity="DATE_TIME",
        regex=rf"\b(?:{_DAY}\s?(?:of\s|de\s)?\s?(?:{_MONTH})\b\.?(?:{_SEP}(?:of\s|in\s)?{_YEAR})?"
        rf"|(?:{_MONTH})\b\.?{_SEP}{_DAY}\b(?:{_SEP}{_YEAR})?"
        rf"|(?:{_MONTH})\b\.?(?:{_SEP}|\sof\s|\sde\s){_YEAR})",
        hits=(
            "March 3rd 1958", "March 3rd, 1958", "3rd of March", "3 mars 1958", "le 1er août 1958", "3. März 1958", "march the third",
            "third of march nineteen fifty eight", "Mar. 3", "July 1958", "juillet 1958", "march of nineteen fifty eight",
        ),
        misses=("may take 3 tablets", "it may hurt", "second opinion", "march in place", "mars bar"),
    ),
    PatternRule(
        name="birth_date",
        entity="DATE_OF_BIRTH",
        regex=r"(?<![^\W_])(?:d\.?o\.?b\.?|date[\s_]of[\s_]birth|birth[\s_]?da(?:te|y)|born|geboren|geb\.|geburtsdatum|née?|date[\s_]de[\s_]naissance)(?![^\W_])"
        r"(?:\s{1,2}(?:is|was|on|in|am|le|en|the)\b){0,2}[\s:=\"'(]{0,5}(\d{1,8}(?:[\s./,‐-―-]{1,3}\d{1,4}){0,2})(?!\d)",
        hits=("DOB 3 4 58", "dob: 030458", "born in 1958", "geboren am 3.4.1958", "née le 3 4 1958", '"date_of_birth": "1958"'),
        misses=("born at term", "dob unknown", "newborn 3 kg", "due date 5 pm"),
        group=1,
        check=lambda text: sum(char.isdecimal() for char in text) >= 3,
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="age_over_89",
        entity="AGE",
        regex=r"(?<![\d.,/])(?:9\d|1[0-2]\d)[\s-]{0,2}(?:years?|yrs?|y/?o|ans|jahre?|años|anni)\b"
        r"|\b(?:age|aged|âgée?|alter)\b(?:\s{1,2}(?:is|of|de))?[\s:=\"']{0,4}(?:9\d|1[0-2]\d)(?![\d.,/%])"
        r"|\b(?:ninety|(?:a|one)\shundred)(?:[\s-](?:and\s)?(?:one|two|three|four|five|six|seven|eight|nine|ten))?[\s-]years?\b"
        r"|\b(?:age|aged)\s(?:ninety|(?:a|one)\shundred)(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?",
        hits=("94-year-old", "92 years old", "age: 97", "aged 101", "93 y/o", "âgée de 95", "ninety three years old",
              "aged ninety-one", "96 ans"),
        misses=("45 years old", "90 mg", "age 45", "120/80", "for 90 days", "heart rate 95", "99 percent"),
        score=0.9,
    ),
)  # fmt: skip
"""Rules for dates and great ages."""
