"""Synthetic people: identifying values that belong to nobody, made anew from a seed for every scan.

Every identifier of 45 CFR 164.514(b)(2)(i) that can stand in a trace is here (`KINDS`), in English, French and German forms, with the
styles in which it makes sense. Reserved or impossible ranges are used where there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Literal, TypeAlias

from audit.people import contacts, disguises, names, places, recordings, registers, spoken, times
from audit.people.value import LANGUAGES, Value

__all__ = ["CLASSES", "KINDS", "LANGUAGES", "STYLES", "Kind", "Style", "Value", "disguises"]

Style: TypeAlias = Literal["written", "lower-case", "spoken", "disguised", "split", "structural"]

STYLES: Final[tuple[Style, ...]] = ("written", "lower-case", "spoken", "disguised", "split", "structural")
"""``written``: as in a form. ``lower-case``: as a recogniser writes it. ``spoken``: digits, letters, dates and addresses in words.
``disguised``: encoded or bent (`audit.people.disguises`). ``split``: over two places of one run. ``structural``: in keys, names, tags,
errors, events and numbers."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A class of identifier.

    Args:
        letter: of 45 CFR 164.514(b)(2)(i), ``A`` to ``R``.
        make: a value for a language.
        say: how it is said, or None for what nobody says.
        lacks: styles it has not, each with the reason.
        languages: in which it is used.
    """

    letter: str
    make: Callable[[Random, str], Value]
    say: Callable[[Value, Random], str] | None
    lacks: Mapping[Style, str]
    languages: tuple[str, ...] = LANGUAGES

    def draw(self, random: Random) -> Value:
        """A value in one of its languages."""
        return self.make(random, random.choice(self.languages))

    @property
    def styles(self) -> tuple[Style, ...]:
        """The styles it has, in the order of `STYLES`."""
        return tuple(style for style in STYLES if style not in self.lacks)


_FORM: Final[Mapping[Style, str]] = {
    "lower-case": "base64 in small letters is another content, and no recording",
    "spoken": "a recording is not dictated",
}
_SHORT: Final[Mapping[Style, str]] = {"split": "half of it is a word or a number that tells nothing, and so is the other half"}

KINDS: Final[Mapping[str, Kind]] = {
    "name": Kind("A", names.make, spoken.name, {}),
    "address": Kind("B", places.address, spoken.street, {}),
    "place": Kind("B", places.town, spoken.street, _SHORT),
    "date": Kind("C", times.date, spoken.date, {}),
    "age": Kind("C", times.age, spoken.street, _SHORT),
    "phone": Kind("D", contacts.phone, spoken.number, {}),
    "fax": Kind("E", contacts.fax, spoken.number, {}),
    "email": Kind("F", contacts.email, spoken.address, {}),
    "ssn": Kind("G", registers.ssn, spoken.number, {}, ("en",)),
    "mrn": Kind("H", registers.mrn, spoken.number, {}),
    "health_plan": Kind("I", registers.health_plan, spoken.number, {}),
    "account": Kind("J", registers.account, spoken.number, {}),
    "licence": Kind("K", registers.licence, spoken.number, {}),
    "vehicle": Kind("L", registers.vehicle, spoken.number, {}),
    "device": Kind("M", registers.device, spoken.number, {}),
    "url": Kind("N", contacts.url, spoken.address, {}),
    "ip": Kind("O", contacts.ip, spoken.address, {}),
    "voice": Kind("P", recordings.voice, None, _FORM),
    "photo": Kind("Q", recordings.photo, None, _FORM),
    "ahv": Kind("R", registers.ahv, spoken.number, {}),
    "other_id": Kind("R", registers.other, spoken.number, {}),
}
"""What can be made, by class."""


def _written(kind: Kind, random: Random) -> str:
    return kind.draw(random).phrase


CLASSES: Final[Mapping[str, Callable[[Random], str]]] = {name: partial(_written, kind) for name, kind in KINDS.items()}
"""A written value of each class with its cue, in any of the languages."""

_FIRST: Final = names.FIRST
_LAST: Final = names.LAST
