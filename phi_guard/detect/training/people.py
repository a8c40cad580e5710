"""Invented people: a given and a family name of one origin, and the forms in which such a name is written or said."""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from phi_guard.detect.training.lists import is_held_out, words

LOCALES: Final[dict[str, str]] = {
    "en_US": "english", "en_GB": "english", "en_NZ": "english", "en_IE": "celtic", "ga_IE": "celtic",
    "es_MX": "spanish-compound", "es_ES": "spanish-compound", "es_CO": "spanish-compound", "es_AR": "spanish-compound",
    "es_CL": "spanish-compound", "es_CA": "spanish-compound", "pt_BR": "portuguese-compound", "pt_PT": "portuguese-compound",
    "fr_FR": "french", "fr_CA": "french", "fr_CH": "french", "fr_BE": "french", "de_DE": "german", "de_AT": "german", "de_CH": "german",
    "it_IT": "italian", "nl_NL": "dutch", "nl_BE": "dutch", "da_DK": "nordic", "sv_SE": "nordic",
    "no_NO": "nordic", "fi_FI": "nordic", "is_IS": "nordic", "pl_PL": "polish", "cs_CZ": "czech-slovak", "sk_SK": "czech-slovak",
    "sl_SI": "south-slavic", "hr_HR": "south-slavic",
    "mk_MK": "south-slavic", "bg_BG": "south-slavic", "ru_RU": "east-slavic", "uk_UA": "east-slavic", "lt_LT": "baltic", "lv_LV": "baltic",
    "et_EE": "baltic", "hu_HU": "hungarian-romanian", "ro_RO": "hungarian-romanian", "el_GR": "greek", "tr_TR": "turkic",
    "az_AZ": "turkic", "uz_UZ": "turkic", "ka_GE": "caucasus", "hy_AM": "caucasus", "en_IN": "indian", "en_PK": "pakistani-bengali",
    "zh_CN": "chinese", "zh_TW": "chinese", "ja_JP": "japanese", "ko_KR": "korean", "vi_VN": "vietnamese",
    "en_TH": "thai", "id_ID": "indonesian", "yo_NG": "yoruba",
    "ig_NG": "igbo", "ha_NG": "hausa", "en_NG": "igbo", "tw_GH": "akan", "en_KE": "swahili", "sw": "swahili", "zu_ZA": "southern-african",
}  # fmt: skip
"""Faker's locales and the origin each counts for. Scripts whose vowels a transliteration loses (Arabic, Hebrew, Thai, Hindi) are in
``names.txt`` instead."""

_BORROWS_GIVEN: Final = {
    "english-nickname": "english",
    "word-name": "english",
    "native-american": "english",
    "filipino": "spanish-compound",
}
PARTICLE_SHARE: Final = 0.1
"""Family names of those origins that are given a particle."""
_PARTICLES: Final = {
    "german": ("von ", "von der ", "zu ", "vom "),
    "dutch": ("van ", "van der ", "van den ", "de ", "ter ", "van de "),
    "french": ("de ", "du ", "Le ", "De La ", "d'"),
    "italian": ("Di ", "De ", "Della ", "Lo ", "D'"),
    "spanish-compound": ("de ", "de la ", "del ", "De La ", "de los "),
    "portuguese-compound": ("da ", "dos ", "de ", "do "),
    "arabic": ("al-", "Al ", "El ", "bin ", "Abu ", "Ben "),
}
_FAMILY_FIRST: Final = frozenset({"chinese", "korean", "vietnamese", "japanese", "hungarian-romanian"})
_WEIGHT: Final = {
    "us-census": 14.0,
    "word-name": 8.0,
    "english": 4.0,
    "english-nickname": 2.0,
    "indian": 2.0,
    "spanish-compound": 2.5,
    "chinese": 1.6,
}
_NAME: Final = re.compile(r"[^\W\d_]+(?:[ '’\-][^\W\d_]+){0,3}")
_GIVEN: Final = re.compile(r"first_(?:romanized_)?names(?:_male|_female|_unisex|_nonbinary)?")
_FAMILY: Final = re.compile(r"(?:last_(?:romanized_)?names(?:_male|_female|_without_suffix)?|(?:male|female|unisex)_last_names)")


@dataclass(frozen=True, slots=True)
class Names:
    """The given and family names of one origin, those kept out of training or the others."""

    origin: str
    given: tuple[str, ...]
    family: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person.

    Args:
        given: given name; may hold a space or a hyphen.
        middle: a second given name.
        family: family name with its particles.
        origin: a key of `rosters`.
    """

    given: str
    middle: str
    family: str
    origin: str


@cache
def rosters(*, held_out: bool) -> tuple[Names, ...]:
    """Names of every origin; the two rosters share no name of any origin, compared without case.

    Args:
        held_out: those kept out of training.
    """
    given: dict[str, dict[str, None]] = {}
    family: dict[str, dict[str, None]] = {}
    for heading, entries in words("names.txt").items():
        origin, part = heading.rsplit(" ", 1)
        (given if part == "given" else family).setdefault(origin, {}).update(dict.fromkeys(entries))
    for locale, origin in LOCALES.items():
        for pool, found in ((given, _GIVEN), (family, _FAMILY)):
            pool.setdefault(origin, {}).update(dict.fromkeys(_of_locale(locale, found)))
    given["us-census"] = dict.fromkeys((*_census("dist.female.first", 2_500), *_census("dist.male.first", 1_000)))
    family["us-census"] = dict.fromkeys(_census("dist.all.last", 30_000))
    for origin, lender in _BORROWS_GIVEN.items():
        if origin in family:
            given.setdefault(origin, {}).update(dict.fromkeys(tuple(given[lender])[:400]))
    return tuple(
        Names(origin, _kept(given[origin], held_out=held_out), _kept(family[origin], held_out=held_out)) for origin in sorted(family)
    )


def person(rng: random.Random, *, held_out: bool, origin: str | None = None) -> Person:
    """A person of a random origin; one in twelve takes the family name of another origin.

    Args:
        rng: source of chance.
        held_out: of names kept out of training only.
        origin: this one instead.
    """
    every = rosters(held_out=held_out)
    names = next(n for n in every if n.origin == origin) if origin else rng.choices(every, _weights(held_out))[0]
    family = rng.choice(rng.choice(every).family if rng.random() < 1 / 12 and origin is None else names.family)
    if names.origin in _PARTICLES and " " not in family and rng.random() < PARTICLE_SHARE:
        family = rng.choice(_PARTICLES[names.origin]) + family
    return Person(rng.choice(names.given), rng.choice(names.given), family, names.origin)


def full(who: Person, rng: random.Random) -> str:
    """The person's name in one of the forms in which a whole name is written."""
    given, family = who.given, who.family
    first = who.origin in _FAMILY_FIRST and rng.random() < 0.35
    if first:
        return rng.choice((f"{family} {given}", f"{family} {given}", f"{family}, {given}"))
    forms: tuple[tuple[float, Callable[[], str]], ...] = (
        (58, lambda: f"{given} {family}"),
        (6, lambda: f"{given} {who.middle[0]}. {family}"),
        (3, lambda: f"{given} {who.middle[0]} {family}"),
        (4, lambda: f"{given} {who.middle} {family}"),
        (7, lambda: f"{family}, {given}"),
        (1.5, lambda: f"{family.upper()}, {given}"),
        (1.5, lambda: f"{family}, {given} {who.middle[0]}."),
        (1.5, lambda: f"{family.upper()} {given}"),
        (3, lambda: f"{given[0]}. {family}"),
        (1.5, lambda: f"{given[0]} {family}"),
        (2.5, lambda: f"{given} {family[0]}."),
        (2, lambda: f"{given} {family}-{who.middle.split(' ')[0]}"),
        (1.5, lambda: f"{given} {family} {rng.choice(('Jr.', 'Jr', 'Sr.', 'III', 'II', 'the third', 'junior'))}"),
        (1, lambda: f"{given[0]}.{who.middle[0]}. {family}"),
        (1.5, lambda: f'{given} "{who.middle}" {family}'),
        (1, lambda: f"{given} {family} {who.middle}"),
        (1, lambda: f"{family} {given}"),
    )
    return rng.choices([make for _, make in forms], [weight for weight, _ in forms])[0]()


def initials(who: Person, rng: random.Random) -> str:
    """The person's initials, with points or without."""
    letters = (who.given[0], who.family.split(" ")[-1][0])
    return rng.choice((f"{letters[0]}.{letters[1]}.", f"{letters[0]}. {letters[1]}.", f"{letters[0]}{letters[1]}".upper()))


def ascii_name(name: str) -> str:
    """The name as it stands in a mail address: ASCII letters only, lower case."""
    from unidecode import unidecode  # noqa: PLC0415 - of the training extra

    return re.sub(r"[^a-z]", "", str(unidecode(name)).lower()) or "x"


@cache
def _weights(held_out: bool) -> list[float]:
    return [_WEIGHT.get(names.origin, 1.0) for names in rosters(held_out=held_out)]


def _kept(names: Iterable[str], *, held_out: bool) -> tuple[str, ...]:
    mine = tuple(name for name in names if is_held_out(name) == held_out)
    return mine or ("Nomen",)


def _of_locale(locale: str, wanted: re.Pattern[str]) -> tuple[str, ...]:
    from unidecode import unidecode  # noqa: PLC0415 - of the training extra

    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    lists = [attribute for attribute in sorted(dir(provider)) if wanted.fullmatch(attribute)]
    if any("romanized" in attribute for attribute in lists):
        lists = [attribute for attribute in lists if "romanized" in attribute]
    found: list[str] = []
    for attribute in lists:
        entries = getattr(provider, attribute)
        for entry in entries if isinstance(entries, list | tuple | dict) else ():
            name = entry if re.match(r"[A-Za-zÀ-ɏḀ-ỿ]", entry) else str(unidecode(entry)).capitalize()
            found.append(name.strip().strip("'"))
    return tuple(
        name for name in dict.fromkeys(found) if 2 <= len(name) <= 24 and _NAME.fullmatch(name) and name not in {"Doe", "John", "Jane"}
    )


def _census(file: str, count: int) -> tuple[str, ...]:
    names = importlib.import_module("names")
    rows = (Path(str(names.__file__)).parent / file).read_text(encoding="ascii").splitlines()
    picked = rows if len(rows) <= count else rows[:: len(rows) // count]
    common = rows[: count // 3]
    return tuple(dict.fromkeys(_cased(row.split()[0]) for row in (*common, *picked)))


def _cased(name: str) -> str:
    return "Mc" + name[2:].capitalize() if name.startswith("MC") and len(name) > 4 else name.capitalize()
