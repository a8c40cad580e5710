"""Synthetic callers in the form of three languages: every name, street and town is made of invented syllables.

So none of them stands in a trace by chance, and what is found there was sent. Telephone numbers are of the ranges that nobody is given:
555-01XX of the North American Numbering Plan, and those that Arcep in France and the Bundesnetzagentur in Germany keep for fiction.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random
from typing import Final

LANGUAGES: Final = ("en", "fr", "de")

_SYLLABLES: Final = {
    "en": (
        ("br", "thr", "w", "gl", "pr", "sk", "tw", "v", "qu", "kr", "dw", "sp", "bl", "sm"),
        ("a", "o", "ee", "oo", "u", "ou"),
        ("x", "lm", "rv", "nk", "mp", "zz", "dg", "ft"),
    ),
    "fr": (
        ("v", "br", "gr", "pl", "j", "ch", "fl", "qu", "tr", "cl", "dr", "pr", "bl", "gl"),
        ("é", "ou", "â", "eu", "ô", "oi", "è"),
        ("x", "v", "br", "gn", "lj", "z", "ss", "mb"),
    ),
    "de": (
        ("schr", "kn", "zw", "pf", "gr", "str", "w", "tr", "kl", "bl", "dr", "gl", "schm", "spr"),
        ("ü", "ö", "ä", "au", "ei", "u"),
        ("x", "lk", "rz", "nz", "mpf", "bl", "ck", "tz"),
    ),
}
"""Onsets, vowels, and the consonants between two syllables."""
_GIVEN: Final = {
    "en": ("ford", "wyn", "ella", "ard", "issa", "on"),
    "fr": ("ine", "ette", "ien", "ïque", "oît", "aël"),
    "de": ("bert", "trud", "linde", "hard", "fried", "gund"),
}
_FAMILY: Final = {
    "en": ("worth", "ley", "combe", "ton", "shaw", "by"),
    "fr": ("eau", "ière", "çon", "ault", "âtre", "euil"),
    "de": ("mann", "bühler", "gruber", "häuser", "ßling", "öder"),
}
_BEFORE: Final = {
    "en": ("O'", "Mac", "", "", ""),
    "fr": ("de la ", "du ", "des ", "d'", ""),
    "de": ("von ", "von der ", "zu ", "", ""),
}
"""Of a family name."""
_FICTION_FR: Final = ("1 99 00", "2 61 91", "3 53 01", "4 65 71", "5 36 49", "6 39 98")
_FICTION_DE: Final = ("30 23125", "69 90009", "40 66969", "221 4710", "89 99998")
_DOUBLE: Final = 0.25
"""Of the people have a double name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who does not exist.

    Args:
        name: given and family name, as the language writes it.
        phone: as the language groups it.
        dob: ISO 8601.
        mrn: the medical record number.
        address: street and town, in one line.
    """

    name: str
    phone: str
    email: str
    dob: str
    mrn: str
    address: str

    @property
    def given(self) -> str:
        """The given name alone."""
        return self.name.partition(" ")[0]

    @property
    def details(self) -> dict[str, str]:
        """What a booking asks for, by the policy's fields."""
        return {"patient_name": self.name, **{field: getattr(self, field) for field in ("phone", "email", "dob", "mrn", "address")}}

    def plants(self, origin: str, *kinds: str) -> list[dict[str, str]]:
        """The rows of a script that say: these values of this person are planted there.

        Args:
            origin: as in `audit.rehearsal.canary.ORIGINS`.
            kinds: fields of the policy, such as ``patient_name``.
        """
        return [{"origin": origin, "kind": kind, "value": self.details[kind]} for kind in kinds]


def invent_person(chance: Random, language: str) -> Person:
    """Somebody whose names are of that language's form.

    Args:
        chance: the generator.
        language: of `LANGUAGES`.
    """
    given, family = _given(chance, language), _family(chance, language)
    return Person(
        name=f"{given} {family}",
        phone=_phone(chance, language),
        email=f"{_plain(given)}.{_plain(family)}@example.{chance.choice(('org', 'com', 'net'))}",
        dob=f"{chance.randrange(1930, 2008)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        mrn=f"MRN-{chance.randrange(10**7, 10**8)}",
        address=_address(chance, language),
    )


def _word(chance: Random, language: str, end: str) -> str:
    onsets, vowels, between = _SYLLABLES[language]
    return (chance.choice(onsets) + chance.choice(vowels) + chance.choice(between) + chance.choice(vowels) + end).capitalize()


def _given(chance: Random, language: str) -> str:
    names = [_word(chance, language, chance.choice(_GIVEN[language])) for _ in range(1 + (chance.random() < _DOUBLE))]
    return "-".join(names)


def _family(chance: Random, language: str) -> str:
    names = [_word(chance, language, chance.choice(_FAMILY[language])) for _ in range(1 + (chance.random() < _DOUBLE))]
    before = chance.choice(_BEFORE[language])
    return ("" if before == "d'" and names[0][0] not in "AEIOUÉÈÂÔ" else before) + "-".join(names)


def _plain(name: str) -> str:
    """The name as an address writes it: small letters without accents."""
    bare = unicodedata.normalize("NFD", name.lower().replace("ß", "ss"))
    return "".join(c for c in bare if "a" <= c <= "z")


def _phone(chance: Random, language: str) -> str:
    if language == "fr":
        return f"+33 {chance.choice(_FICTION_FR)} {chance.randrange(100):02d} {chance.randrange(100):02d}"
    if language == "de":
        return f"+49 {chance.choice(_FICTION_DE)} {chance.randrange(1000):03d}"
    return f"+1 {chance.randrange(201, 990)} 555 01{chance.randrange(100):02d}"


def _address(chance: Random, language: str) -> str:
    street, town, number = _word(chance, language, ""), _word(chance, language, ""), chance.randrange(2, 190)
    if language == "fr":
        way = chance.choice(("rue de la", "chemin du", "avenue des", "impasse de la"))
        place = chance.choice((f"Saint-{town}", f"{town}-sur-{_word(chance, language, '')}", town))
        return f"{number} {way} {street}, {chance.randrange(1000, 9700)} {place}"
    if language == "de":
        way = chance.choice(("strasse", "weg", "gasse", "allee"))
        place = chance.choice((f"Bad {town}", f"{town}hausen", town))
        return f"{street}{way} {number}, {chance.randrange(10_000, 99_000)} {place}"
    way = chance.choice(("Street", "Avenue", "Lane", "Court"))
    place = chance.choice((f"{town}ville", f"Port {town}", f"{town}field"))
    return f"{number} {street} {way}, {place} {chance.randrange(10_000, 99_000)}"
