"""Synthetic people: identifying values that belong to nobody, made anew from a seed for every scan.

Reserved or impossible ranges are used where there are any: telephone numbers from the blocks kept for fiction (US 555-01xx,
France 06 39 98 xx xx), e-mail under example domains (RFC 2606). Names are random pairs out of pools of several origins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

_FIRST: Final = (
    "Amara", "Anneliese", "Björn", "Camille", "Chiara", "Chinedu", "Dragana", "Emily", "Fatima", "Giulia", "Hiroshi", "Ingrid", "Jamal",
    "José", "Katarzyna", "Kwame", "Leila", "Luca", "Małgorzata", "Margaret", "Marie", "Mehmet", "Mei", "Nadia", "Olena", "Oliver",
    "Priya", "Rahul", "Reto", "Sanjay", "Siobhán", "Sofía", "Thabo", "Thi", "Ursula", "Walter", "Yasmin", "Youssef", "Yuki", "Zoë",
)  # fmt: skip
_LAST: Final = (
    "Abdi", "Achterberg", "Aubert", "Baumgartner", "Benali", "Bianchi", "Castellanos", "Chen", "Delacroix", "Demir", "Dubois", "Eriksen",
    "Favre", "Fernández", "Gallagher", "Gupta", "Haddad", "Hoffmann", "Ibáñez", "Iyer", "Jovanović", "Kowalska", "Lehmann", "Lindqvist",
    "Mbeki", "Moreau", "Müller", "Nakamura", "Nguyen", "Nwosu", "O'Connor", "Okafor", "Papadopoulos", "Petrenko", "Rossi", "Schneider",
    "Tanaka", "Thompson", "Wyss", "Zimmermann",
)  # fmt: skip
_STREETS: Final = (
    "Maple Street", "Oak Avenue", "Elm Drive", "Lakeview Road", "rue du Lac", "avenue de la Gare", "chemin des Vignes", "Bahnhofstrasse",
    "Lindenweg", "via San Gottardo",
)  # fmt: skip
_TOWNS: Final = ("Springfield, IL 62704", "Portland, OR 97205", "1003 Lausanne", "1204 Genève", "8001 Zürich", "69003 Lyon", "6900 Lugano")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _digits(random: Random, n: int) -> str:
    return "".join(random.choice("0123456789") for _ in range(n))


def _name(random: Random) -> str:
    return f"{random.choice(_FIRST)} {random.choice(_LAST)}"


def _phone(random: Random) -> str:
    pairs = [_digits(random, 2) for _ in range(2)]
    return random.choice(
        (
            f"({random.choice('23456789')}{random.choice('02345678')}{random.choice('2345678')}) 555-01{pairs[0]}",
            f"+41 79 {random.randint(200, 999)} {pairs[0]} {pairs[1]}",
            f"+33 6 39 98 {pairs[0]} {pairs[1]}",
            f"06 39 98 {pairs[0]} {pairs[1]}",
        )
    )


def _email(random: Random) -> str:
    letters = str.maketrans("áãçéíñóúüöøłńśźżćëâôèàêîì'", "aaceinouuoolnszzceaoeaeii_")
    first, last = (part.lower().translate(letters).replace("_", "") for part in _name(random).split())
    return f"{first}.{last}{random.randint(1, 99)}@example.{random.choice(('com', 'org', 'net'))}"


def _ssn(random: Random) -> str:
    area = random.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03}-{random.randint(1, 99):02}-{random.randint(1, 9999):04}"


def _mrn(random: Random) -> str:
    return f"MRN {_digits(random, 8)}"


def _dob(random: Random) -> str:
    year, month, day = random.randint(1925, 2015), random.randint(1, 12), random.randint(1, 28)
    return random.choice(
        (f"{month:02}/{day:02}/{year}", f"{day:02}.{month:02}.{year}", f"{_MONTHS[month - 1]} {day}, {year}", f"{year}-{month:02}-{day:02}")
    )


def _ahv(random: Random) -> str:
    """A Swiss AHV number: 756, nine digits, EAN-13 check digit."""
    body = "756" + _digits(random, 9)
    check = -sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(body)) % 10
    return f"{body[:3]}.{body[3:7]}.{body[7:11]}.{body[11]}{check}"


def _address(random: Random) -> str:
    return f"{random.randint(2, 199)} {random.choice(_STREETS)}, {random.choice(_TOWNS)}"


CLASSES: Final[Mapping[str, Callable[[Random], str]]] = {
    "name": _name,
    "phone": _phone,
    "email": _email,
    "ssn": _ssn,
    "mrn": _mrn,
    "dob": _dob,
    "ahv": _ahv,
    "address": _address,
}
"""What can be made, by class."""
