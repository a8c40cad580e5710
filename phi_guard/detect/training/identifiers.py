"""Invented numbers and addresses of every kind that identifies a person, in the forms of several countries."""

from __future__ import annotations

import random
import re
import string
from functools import cache
from typing import Final

from phi_guard.detect.training.lists import is_held_out, words
from phi_guard.detect.training.people import Person, ascii_name

_NO_TOWN: Final = frozenset({"School", "Station", "Market", "Church", "Court", "College", "Center", "Academy", "University", "Front"})
"""Streets whose name, in that of a town, would read as something else."""
_UPPER: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"

SHAPES: Final[dict[str, tuple[str, ...]]] = {kind: shapes for kind, shapes in words("shapes.txt").items() if not kind.startswith("phone")}
"""Shapes of numbers by kind, in the signs of `shaped`; their sources stand in ``shapes.txt``."""


def identifier(kind: str, rng: random.Random) -> str:
    """A number of one kind, as a document has it.

    Args:
        kind: a key of `SHAPES`.
        rng: source of chance.
    """
    return shaped(rng.choice(SHAPES[kind]), rng)


def shaped(shape: str, rng: random.Random) -> str:
    """A shape with its signs replaced by chance."""
    put = {"#": string.digits, "@": _UPPER, "%": "0123456789abcdef"}
    return "".join(rng.choice(put[char]) if char in put else char for char in shape)


def phone(rng: random.Random) -> str:
    """A whole telephone number; North American ones are about half."""
    shape = rng.choice(words("shapes.txt")["phone american" if rng.random() < 0.62 else "phone"])
    area, exchange = str(rng.randrange(201, 990)), str(rng.randrange(200, 1000))
    return shaped(shape.replace("A", area, 1).replace("X", exchange, 1), rng)


def ip(rng: random.Random) -> str:
    """An IPv4 address, at times with a port or mask, or an IPv6 address."""
    if rng.random() < 0.2:
        return shaped(
            rng.choice(("2001:db8:%%%%:%%%%::%%", "fe80::%%%%:%%%%:%%%%:%%%%", "2a02:%%%%:%%%%:%%%%:%%%%:%%%%:%%%%:%%%%", "2001:db8::%%")),
            rng,
        )
    return ".".join(str(rng.randrange(1, 255)) for _ in range(4))


def handle(who: Person, rng: random.Random) -> str:
    """A user name that is made from the person's name."""
    given, family = ascii_name(who.given), ascii_name(who.family)
    end = shaped(rng.choice(("", "##", "###", "19##", "_#", "")), rng)
    return (
        rng.choice(
            (
                f"{given[0]}{family}",
                f"{given}.{family}",
                f"{given}_{family}",
                f"{given}{family[0]}",
                f"{family}{given[0]}",
                f"{given}-{family}",
                given + family,
            )
        )
        + end
    )


def mail(who: Person, rng: random.Random) -> str:
    """A mail address, mostly made from the person's name."""
    local = (
        handle(who, rng)
        if rng.random() < 0.82
        else rng.choice(words("terms.txt")["mail word"]) + shaped(rng.choice(("##", "####", "", "_##")), rng)
    )
    host = (
        rng.choice(words("places.txt")["mail host"])
        if rng.random() < 0.9
        else f"{ascii_name(who.family)}.{rng.choice(('com', 'net', 'family', 'org', 'ch', 'co.uk'))}"
    )
    address = f"{local}{'+' + rng.choice(('clinic', 'health', 'kids')) if rng.random() < 0.03 else ''}@{host}"
    return address.capitalize() if rng.random() < 0.05 else address


def url(who: Person, rng: random.Random) -> str:
    """A web address that leads to a person: by name, handle or number."""
    given, family = ascii_name(who.given), ascii_name(who.family)
    slug = rng.choice((f"{given}-{family}", f"{given}.{family}", f"{given}{family}", f"{family}/{given}", handle(who, rng)))
    number = identifier("mrn", rng).replace(" ", "-")
    return rng.choice(
        (
            f"https://www.facebook.com/{slug}",
            f"https://linkedin.com/in/{slug}",
            f"www.instagram.com/{slug}",
            f"https://portal.clinic.example/patients/{number}",
            f"https://mychart.example.org/p/{slug}",
            f"http://{given}{family}.com",
            f"www.{family}family.net",
            f"https://{given}-{family}.example.com/blog",
            f"https://ehr.example.com/patient?id={number}",
            f"https://intake.example.com/form?name={given}+{family}",
            f"https://records.example.net/{slug}.pdf",
            f"https://bucket.s3.example.com/recordings/{slug}-{number}.wav",
            f"https://health.example/users/{slug}/labs",
            f"twitter.com/{slug}",
            f"https://photos.example.com/{slug}/profile.jpg",
            f"{family}{given}.wordpress.com",
            f"https://api.example.com/v2/patients/{number}/appointments",
        )
    )


def city(rng: random.Random, *, held_out: bool) -> str:
    """A town: one of several hundred, or one made of the usual parts."""
    lists = words("places.txt")
    if rng.random() < 0.6:
        return rng.choice(_cities(held_out))
    end = rng.choice(lists["city end"])
    stem = rng.choice(lists["city start"])
    base = rng.choice([name for name in lists["street"][:60] if name not in _NO_TOWN])
    return rng.choice(
        (f"{base.split(' ')[0]}{end}", f"{stem} {base}{end}", f"{base} {rng.choice(lists['city tail'])}", f"{stem} {base}", f"{stem}{end}")
    )


@cache
def _cities(held_out: bool) -> tuple[str, ...]:
    return tuple(name for name in words("places.txt")["city"] if is_held_out(name) == held_out)


def zip_code(rng: random.Random) -> str:
    """A postal code: American (five or nine digits), British, Canadian, German, French, Swiss, Indian."""
    return shaped(
        rng.choice(
            ("#####", "#####", "#####", "#####", "#####-####", "@@# #@@", "@## #@@", "@#@ #@#", "@@## #@@", "D-#####", "CH-####", "######")
        ),
        rng,
    )


def house_number(rng: random.Random) -> str:
    """The number of a house."""
    return rng.choice(
        (
            str(rng.randrange(1, 200)),
            str(rng.randrange(100, 10_000)),
            str(rng.randrange(100, 10_000)),
            f"{rng.randrange(1, 300)}{rng.choice('ABabc')}",
            f"{rng.randrange(1, 99)}00",
            str(rng.randrange(10_000, 30_000)),
        )
    )


def unit(rng: random.Random) -> str:
    """A flat or suite within a house."""
    door = rng.choice(
        (str(rng.randrange(1, 60)), f"{rng.randrange(1, 30)}{rng.choice('ABCD')}", str(rng.randrange(100, 3000)), rng.choice("ABCDEF"))
    )
    kind = rng.choice(words("places.txt")["unit kind"])
    return f"#{door}" if kind == "#" else f"{kind} {door}"


def street_name(rng: random.Random, who: Person) -> str:
    """A street with its kind; one in six bears a family name."""
    lists = words("places.txt")
    name = who.family if rng.random() < 0.16 else rng.choice(lists["street"])
    ahead = rng.choice(("N ", "S ", "E ", "W ", "North ", "South ", "East ", "West ", "NE ", "SW ")) if rng.random() < 0.15 else ""
    if name in {"Broadway", "El Camino", "Camino Real"}:
        return f"{ahead}{name}"
    return f"{ahead}{name} {rng.choice(lists['street kind'])}"


def address(rng: random.Random, who: Person, *, language: str = "en") -> str:
    """A street address without its town, in the form of one of several countries.

    Args:
        rng: source of chance.
        who: whose family name a street may bear.
        language: ``en`` (American, British, Indian), ``fr`` or ``de``.
    """
    lists = words("places.txt")
    if language == "fr":
        return f"{rng.randrange(1, 180)}{rng.choice(('', '', ' bis', ' ter'))}{rng.choice((' ', ', '))}{rng.choice(lists['street fr'])}"
    if language == "de":
        return f"{rng.choice(lists['street de'])} {rng.randrange(1, 180)}{rng.choice(('', '', 'a', 'b'))}"
    form = rng.random()
    number, street = house_number(rng), street_name(rng, who)
    if form < 0.5:
        return f"{number} {street}"
    if form < 0.66:
        return f"{number} {street}{rng.choice((', ', ' '))}{unit(rng)}"
    if form < 0.7:
        return rng.choice(
            (
                f"PO Box {rng.randrange(1, 99999)}",
                f"P.O. Box {rng.randrange(1, 9999)}",
                f"P O Box {rng.randrange(1, 9999)}",
                f"Postfach {rng.randrange(1, 9999)}",
                f"RR {rng.randrange(1, 9)} Box {rng.randrange(1, 400)}",
            )
        )
    if form < 0.74:
        house = rng.choice(lists["house uk"])
        return rng.choice((f"{house}, {street}", house, f"{house}, {number} {street}", f"Flat {rng.randrange(1, 40)}, {number} {street}"))
    if form < 0.77:
        other = street_name(rng, who)
        return rng.choice((f"the corner of {street} and {other}", f"corner of {street} & {other}", f"{street} and {other}"))
    if form < 0.9:
        return _indian(rng, lists)
    if form < 0.93:
        return f"{unit(rng)}, {number} {street}"
    if form < 0.96:
        return f"{street} {number}"
    return rng.choice(
        (
            f"{number} County Road {rng.randrange(1, 900)}",
            f"{number} State Route {rng.randrange(1, 200)}",
            f"{number} Highway {rng.randrange(1, 200)}",
            f"{rng.choice(lists['street fr'])} {rng.randrange(1, 99)}",
            f"{rng.choice(lists['street de'])} {rng.randrange(1, 99)}",
        )
    )


def _indian(rng: random.Random, lists: dict[str, tuple[str, ...]]) -> str:
    area = f"{rng.choice(lists['nagar name'])} {rng.choice(lists['nagar'])}"
    place = rng.choice(
        (
            f"Plot No. {rng.randrange(1, 400)}",
            f"Plot {rng.randrange(1, 400)}",
            f"House No. {rng.randrange(1, 900)}",
            f"H.No. {rng.randrange(1, 20)}-{rng.randrange(1, 99)}/{rng.randrange(1, 9)}",
            f"Flat {rng.randrange(100, 900)}",
            f"#{rng.randrange(1, 500)}",
            f"Door No {rng.randrange(1, 99)}",
            f"Block {rng.choice('ABCDEF')}-{rng.randrange(1, 60)}",
        )
    )
    part = rng.choice(
        (
            f"Sector {rng.randrange(1, 90)}",
            f"Phase {rng.randrange(1, 5)}",
            f"{rng.randrange(2, 20)}th Cross",
            f"{rng.randrange(2, 9)}th Main",
            f"Ward {rng.randrange(1, 60)}",
            f"{rng.choice(lists['nagar name'])} IT Park",
            "Tech Park",
            "Industrial Area",
            f"Tower {rng.randrange(1, 12)}",
            f"near {rng.choice(lists['nagar name'])} Temple",
            f"opposite {rng.choice(lists['nagar name'])} Bank",
        )
    )
    return rng.choice(
        (
            f"{place}, {area}",
            f"{place}, {part}, {area}",
            f"{part}, {area}",
            f"{place}, {part}",
            f"{rng.randrange(1, 300)}/{rng.randrange(1, 30)}, {area}",
            area,
        )
    )


def institution(rng: random.Random, kind: str, who: Person, *, held_out: bool) -> str:
    """A hospital, practice or school that names a place.

    Args:
        rng: source of chance.
        kind: ``hospital``, ``clinic`` or ``school``.
        who: whose family name it may bear.
        held_out: of towns kept out of training only.
    """
    lists = words("places.txt")
    front = rng.choice(
        (
            rng.choice(lists["hospital start"]),
            city(rng, held_out=held_out),
            who.family,
            rng.choice(lists["street"][:100]),
            rng.choice(lists["neighbourhood"]),
        )
    )
    front = re.sub(r"^the ", "", front)
    if kind == "hospital" and rng.random() < 0.12:
        return rng.choice(
            (
                f"University of {rng.choice(lists['state name'])} Medical Center",
                f"{rng.choice(lists['state name'])} General",
                f"Klinikum {city(rng, held_out=held_out)}",
                f"Hôpital {front}",
                f"CHU de {city(rng, held_out=held_out)}",
                f"{front} & {who.given} {who.family} Hospital",
                f"Hospital {front}",
                f"{front} VA",
            )
        )
    return f"{front} {rng.choice(lists[f'{kind} end'])}"
