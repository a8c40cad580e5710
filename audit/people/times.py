"""Dates of a life, and ages over 89: 45 CFR 164.514(b)(2)(i)(C)."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.people.value import Value

MONTHS: Final = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
    ),
    "fr": (
        "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
    ),
    "de": (
        "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember",
    ),
}  # fmt: skip
_BORN: Final = {"en": ("born {}", "DOB {}", "date of birth {}"), "fr": ("née le {}", "né le {}"), "de": ("geboren am {}", "geb. {}")}
_CAME: Final = {
    "en": ("admitted {}", "discharged on {}", "surgery on {}", "died {}"),
    "fr": ("admise le {}", "opéré le {}"),
    "de": ("aufgenommen am {}", "operiert am {}"),
}
_OLD: Final = {
    "en": ("{} years old", "aged {}", "{}-year-old", "age {}"),
    "fr": ("{} ans", "âgée de {} ans"),
    "de": ("{} Jahre alt", "{}-jährig"),
}


def date(random: Random, language: str) -> Value:
    """A date of birth, every second one without a word that says so, or the date of an admission, an operation, a death."""
    if random.random() < 0.4:
        return Value(_date(random, language, random.randint(2016, 2026)), random.choice(_CAME[language]), language)
    cue = random.choice(_BORN[language]) if random.random() < 0.5 else "{}"
    return Value(_date(random, language, random.randint(1925, 2015)), cue, language)


def age(random: Random, language: str) -> Value:
    """An age of 90 or more. The words that make it an age belong to the value."""
    return Value(random.choice(_OLD[language]).format(random.randint(90, 108)), "{}", language)


def _date(random: Random, language: str, year: int) -> str:
    month, day = random.randint(1, 12), random.randint(1, 28)
    word = MONTHS[language][month - 1]
    forms = {
        "en": (f"{month:02}/{day:02}/{year}", f"{word} {day}, {year}", f"{day} {word} {year}", f"{month}/{day}/{year}"),
        "fr": (f"{day:02}/{month:02}/{year}", f"{day} {word} {year}", f"{day:02}.{month:02}.{year}"),
        "de": (f"{day:02}.{month:02}.{year}", f"{day}. {word} {year}", f"{day}.{month}.{year}"),
    }
    return random.choice((*forms[language], f"{year}-{month:02}-{day:02}"))
