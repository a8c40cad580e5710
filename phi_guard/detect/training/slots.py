"""What fills the slots of a template: values that identify somebody, with their label, and words that identify nobody."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from phi_guard.detect.training import dates, dictation, identifiers, spoken_address
from phi_guard.detect.training.lists import words
from phi_guard.detect.training.people import Person, full, initials, person


@dataclass(frozen=True, slots=True)
class Voice:
    """How values come: written or said.

    Args:
        spoken: as recognised speech.
        language: ``en``, ``fr`` or ``de``.
        hesitation: share of values with a filler or a correction inside.
        letters: whether names may be spelled out.
    """

    spoken: bool
    language: str
    hesitation: float
    letters: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """Who is spoken of in one text, and how.

    Args:
        rng: source of chance.
        voice: how values come.
        who: the person meant by ``{name}``.
        other: the one meant by ``{name2}``.
        held_out: whether names and towns are those kept out of training.
        said: templates that stand in the text already.
    """

    rng: random.Random
    voice: Voice
    who: Person
    other: Person
    held_out: bool
    said: set[str]


Piece: TypeAlias = tuple[str, str | None]
"""Some text, and the label of what it says about somebody; None where it says nothing."""

_NATIONAL: Final = {
    "fr": (
        "06 ## ## ## ##",
        "01 ## ## ## ##",
        "07########",
        "+33 6 ## ## ## ##",
        "06.##.##.##.##",
        "079 ### ## ##",
        "022 ### ## ##",
        "+41 21 ### ## ##",
    ),
    "de": (
        "0171 #######",
        "030 ########",
        "079 ### ## ##",
        "0### #####",
        "+49 151 ########",
        "089/#######",
        "+41 44 ### ## ##",
        "0676 #######",
    ),
}
"""Telephone numbers of France, Germany, Austria and Switzerland, in the signs of `identifiers.shaped`."""


def fill(slot: str, scene: Scene) -> list[Piece]:
    """The pieces that stand in place of a slot.

    Args:
        slot: a key of `LABELLED`, or one of `HARMLESS`.
        scene: who is meant, and how it is said.
    """
    if slot not in LABELLED:
        return [(_harmless(slot, scene), None)]
    label, make = LABELLED[slot]
    value = make(scene)
    if scene.voice.hesitation and scene.rng.random() < scene.voice.hesitation:
        value = dictation.hesitant(value, scene.rng, scene.voice.language, spoken=scene.voice.spoken)
    return [(value, label)]


def _harmless(slot: str, scene: Scene) -> str:
    rng = scene.rng
    if slot == "n":
        return str(
            rng.choice(
                (rng.randrange(2, 10), rng.randrange(2, 60), rng.randrange(2, 60), rng.randrange(10, 100) * 5, rng.randrange(2, 1500))
            )
        )
    if slot == "small":
        return str(rng.randrange(2, 13))
    if slot == "year":
        return str(rng.randrange(1975, 2027))
    if slot == "decimal":
        return f"{rng.randrange(0, 400)}.{rng.randrange(0, 999)}"
    return rng.choice(words("places.txt" if slot == "state name" else "terms.txt")[slot])


def _heard(text: str, scene: Scene) -> str:
    return re.sub(r'[,."()]', "", text).replace("#", "number ") if scene.voice.spoken else text


def _name(scene: Scene, who: Person) -> str:
    rng = scene.rng
    value = _heard(full(who, rng), scene)
    if scene.voice.spoken and scene.voice.letters and rng.random() < 0.08:
        return f"{value} {_spelled(who.family, scene)}"
    if rng.random() < 0.02:
        return dictation.worn(value, rng)
    return value


def _spelled(name: str, scene: Scene) -> str:
    return " ".join(dictation.letters(part, scene.rng) for part in name.split(" "))


def _name_spelled(scene: Scene) -> str:
    rng, who = scene.rng, scene.who
    link = rng.choice((" ", " ", ", ", " that's ", " spelled ", ", spelled ", " so ", ", that's "))
    link = link if not scene.voice.spoken else link.replace(",", "")
    if rng.random() < 0.3:
        return f"{who.given} {_spelled(who.given, scene)} {who.family} {_spelled(who.family, scene)}"
    name = rng.choice((who.family, who.family, who.given, f"{who.given} {who.family}"))
    return f"{name}{link}{_spelled(name.split(' ')[-1], scene)}"


def _letters(scene: Scene) -> str:
    return _spelled(scene.rng.choice((scene.who.family, scene.who.family, scene.who.given)).split(" ")[-1], scene)


def _phone(scene: Scene) -> str:
    language = scene.voice.language
    number = identifiers.shaped(scene.rng.choice(_NATIONAL[language]), scene.rng) if language in _NATIONAL else identifiers.phone(scene.rng)
    if not scene.voice.spoken:
        return number
    if scene.rng.random() < 0.12:
        return number
    if language in _NATIONAL:
        return dictation.digits(number, scene.rng, language)
    said = number.replace("+", "plus ") if scene.rng.random() < 0.5 else number
    tail = re.search(r"\s?(?:ext\.|x|extension)\s?(\d+)$", said)
    if tail:
        return f"{dictation.digits(said[: tail.start()], scene.rng)} extension {dictation.digits(tail.group(1), scene.rng)}"
    prefix = "plus " if said.startswith("plus") else ""
    area = re.match(r"\(?(\d{3})\)?", said)
    if area and scene.rng.random() < 0.08:
        return f"area code {dictation.digits(area.group(1), scene.rng)} {dictation.digits(said[area.end() :], scene.rng)}"
    return prefix + dictation.digits(said, scene.rng)


def _some_digits(shape: str) -> Callable[[Scene], str]:
    def make(scene: Scene) -> str:
        value = identifiers.shaped(shape, scene.rng)
        return dictation.digits(value, scene.rng, scene.voice.language) if scene.voice.spoken else value

    return make


def _area(scene: Scene) -> str:
    value = str(scene.rng.randrange(201, 990))
    return dictation.digits(value, scene.rng, scene.voice.language) if scene.voice.spoken else value


def _identifier(kind: str) -> Callable[[Scene], str]:
    def make(scene: Scene) -> str:
        value = identifiers.identifier(kind, scene.rng)
        return dictation.code(value, scene.rng, scene.voice.language) if scene.voice.spoken and scene.rng.random() < 0.93 else value

    return make


def _any_identifier(scene: Scene) -> str:
    return _identifier(
        scene.rng.choice(("mrn", "mrn", "member", "group", "account", "policy", "licence", "claim", "ssn", "referral", "booking"))
    )(scene)


def _ip(scene: Scene) -> str:
    value = identifiers.ip(scene.rng)
    return dictation.code(value, scene.rng).replace("dot", "dot") if scene.voice.spoken and "." in value else value


def _handle(scene: Scene) -> str:
    value = identifiers.handle(scene.who, scene.rng)
    if scene.voice.spoken:
        return dictation.mail(value, scene.rng, scene.voice.language)
    return f"@{value}" if scene.rng.random() < 0.5 else value


def _mail(scene: Scene) -> str:
    value = identifiers.mail(scene.who, scene.rng)
    if scene.voice.spoken and scene.rng.random() < 0.9:
        return dictation.mail(value, scene.rng, scene.voice.language)
    if scene.rng.random() < 0.02:
        return value.replace("@", " @ ") if scene.rng.random() < 0.5 else value.replace("@", " at ").replace(".", " dot ")
    return value


def _url(scene: Scene) -> str:
    value = identifiers.url(scene.who, scene.rng)
    return dictation.mail(re.sub(r"https?://", "", value), scene.rng) if scene.voice.spoken else value


def _date(*, birth: bool, with_year: bool) -> Callable[[Scene], str]:
    def make(scene: Scene) -> str:
        rng = scene.rng
        when = dates.day(rng, birth=birth)
        year = with_year and not (not birth and rng.random() < 0.25)
        if scene.voice.spoken and rng.random() < 0.9:
            return dictation.date(when.year, when.month, when.day, rng, language=scene.voice.language, with_year=year)
        return dates.written_date(when, rng, language=scene.voice.language, with_year=year)

    return make


def _month_and_year(scene: Scene) -> str:
    rng = scene.rng
    when = dates.day(rng, birth=rng.random() < 0.5)
    name = dictation.MONTHS[scene.voice.language][when.month - 1]
    if scene.voice.spoken:
        return f"{name}{rng.choice((' ', ' of ', ' '))}{dictation.spoken_year(when.year, rng)}"
    return rng.choice(
        (
            f"{name.capitalize()} {when.year}",
            f"{name.capitalize()} of {when.year}",
            f"{name[:3].capitalize()} {when.year}",
            f"{when.month:02d}/{when.year}",
        )
    )


def _address(scene: Scene) -> str:
    rng = scene.rng
    value = identifiers.address(rng, scene.who, language=scene.voice.language)
    return _place_said(value, scene)


def _place_said(value: str, scene: Scene) -> str:
    return spoken_address.said(value, scene.rng, scene.voice.language) if scene.voice.spoken else value


def _place(make: Callable[[Scene], str]) -> Callable[[Scene], str]:
    def said(scene: Scene) -> str:
        value = make(scene)
        if not scene.voice.spoken:
            return value
        value = re.sub(r"[,.]", "", value)
        return re.sub(r"\d+(?:-\d+)?", lambda match: f" {dictation.digits(match.group(), scene.rng, scene.voice.language)} ", value).strip()

    return said


def _city(scene: Scene) -> str:
    return identifiers.city(scene.rng, held_out=scene.held_out)


def _city_state(scene: Scene) -> str:
    rng = scene.rng
    state = rng.choice(words("places.txt")["state" if not scene.voice.spoken and rng.random() < 0.7 else "state name"])
    zip_code = f" {identifiers.shaped('#####', rng)}" if rng.random() < 0.6 else ""
    return f"{_city(scene)}{rng.choice((', ', ', ', ' '))}{state}{zip_code}"


def _of_list(heading: str) -> Callable[[Scene], str]:
    return lambda scene: scene.rng.choice(words("places.txt")[heading])


def _institution(kind: str) -> Callable[[Scene], str]:
    return lambda scene: identifiers.institution(
        scene.rng, kind, scene.who if scene.rng.random() < 0.5 else scene.other, held_out=scene.held_out
    )


def _stranger(scene: Scene) -> str:
    return _name(scene, person(scene.rng, held_out=scene.held_out))


LABELLED: Final[dict[str, tuple[str, Callable[[Scene], str]]]] = {
    "name": ("NAME", lambda scene: _name(scene, scene.who)),
    "name2": ("NAME", lambda scene: _name(scene, scene.other)),
    "name3": ("NAME", _stranger),
    "given": ("NAME", lambda scene: scene.who.given),
    "given2": ("NAME", lambda scene: scene.other.given),
    "family": ("NAME", lambda scene: scene.who.family),
    "family2": ("NAME", lambda scene: scene.other.family),
    "initials": ("NAME", lambda scene: initials(scene.who, scene.rng)),
    "spelled": ("NAME", _name_spelled),
    "letters": ("NAME", _letters),
    "phone": ("PHONE", _phone),
    "area": ("PHONE", _area),
    "exchange": ("PHONE", _some_digits("###")),
    "phone4": ("PHONE", _some_digits("####")),
    "email": ("EMAIL", _mail),
    "url": ("URL", _url),
    "last4": ("ID", _some_digits("####")),
    "id": ("ID", _any_identifier),
    "ip": ("ID", _ip),
    "handle": ("ID", _handle),
    "date": ("DATE", _date(birth=False, with_year=True)),
    "dob": ("DATE", _date(birth=True, with_year=True)),
    "day": ("DATE", _date(birth=False, with_year=False)),
    "monthyear": ("DATE", _month_and_year),
    "address": ("ADDRESS", _address),
    "unit": ("ADDRESS", lambda scene: _place_said(identifiers.unit(scene.rng), scene)),
    "street": ("ADDRESS", lambda scene: _place_said(identifiers.street_name(scene.rng, scene.who), scene)),
    "city": ("PLACE", _place(_city)),
    "citystate": ("PLACE", _place(_city_state)),
    "zip": ("PLACE", _place(lambda scene: identifiers.zip_code(scene.rng))),
    "county": ("PLACE", _place(lambda scene: f"{_of_list('county')(scene)} County")),
    "hood": ("PLACE", _place(_of_list("neighbourhood"))),
    "hospital": ("PLACE", _place(_institution("hospital"))),
    "clinic": ("PLACE", _place(_institution("clinic"))),
    "school": ("PLACE", _place(_institution("school"))),
    **{kind: ("ID", _identifier(kind)) for kind in identifiers.SHAPES},
}
"""Slots whose value identifies somebody: the label, and what makes the value."""

HARMLESS: Final = frozenset({"n", "small", "year", "decimal", "state name", *(words("terms.txt").keys() - {"mail word"})})
"""Slots filled with words or numbers that identify nobody."""
