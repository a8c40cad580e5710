"""Ways to reach nobody: telephone, fax, e-mail, web and network addresses. 45 CFR 164.514(b)(2)(i)(D), (E), (F), (N), (O).

Numbers kept for fiction are used where a country keeps some: US 555-01xx (NANPA), UK 020 7946 0xxx and 07700 900xxx (Ofcom), France
06 39 98 xx xx (Arcep), Germany 030 23125 xxx and 0171 39200xx (Bundesnetzagentur). Addresses are under example domains (RFC 2606), in
the networks kept for documentation (RFC 5737, RFC 3849).
"""

from __future__ import annotations

import unicodedata
from random import Random
from typing import Final

from audit.people import names
from audit.people.value import Value

_FAX: Final = {"en": ("fax {}", "fax number {}"), "fr": ("fax {}", "télécopie {}"), "de": ("Fax {}", "Faxnummer {}")}
_HOSTS: Final = ("example.com", "example.org", "example.net")
_SITES: Final = (
    "https://www.{host}/{who}",
    "www.{host}/people/{who}",
    "https://{who}.{host}/profile",
    "http://portal.{host}/patient?id={id}",
)


def digits(random: Random, n: int) -> str:
    """So many digits at random."""
    return "".join(random.choice("0123456789") for _ in range(n))


def phone(random: Random, language: str) -> Value:
    """A telephone number in a form of the language's countries."""
    return Value(_number(random, language), "{}", language)


def fax(random: Random, language: str) -> Value:
    """A telephone number that is said to be a fax."""
    return Value(_number(random, language), random.choice(_FAX[language]), language)


def email(random: Random, language: str) -> Value:
    """An e-mail address made of a name."""
    first, last = plain(names.given(random)), plain(names.family(random))
    who = random.choice((f"{first}.{last}", f"{first[0]}{last}", f"{last}_{first}", f"{first}-{last}", f"{first}{last}"))
    tail = str(random.randint(1, 99)) if random.random() < 0.7 else ""
    return Value(f"{who}{tail}@{random.choice(_HOSTS)}", "{}", language)


def url(random: Random, language: str) -> Value:
    """A page of somebody's."""
    who = f"{plain(names.given(random))}.{plain(names.family(random))}"
    return Value(random.choice(_SITES).format(host=random.choice(_HOSTS), who=who, id=digits(random, 7)), "{}", language)


def ip(random: Random, language: str) -> Value:
    """A network address, of either version."""
    net = random.choice(("192.0.2", "198.51.100", "203.0.113"))
    four = f"{net}.{random.randint(1, 254)}"
    six = f"2001:db8:{random.randrange(1, 65536):x}:{random.randrange(1, 65536):x}::{random.randrange(1, 65536):x}"
    return Value(four if random.random() < 0.6 else six, random.choice(("{}", "IP {}", "IP address {}")), language)


def plain(name: str) -> str:
    """A name's letters a to z."""
    folded = name.lower().translate(str.maketrans("łøıđß", "loids"))
    return "".join(c for c in unicodedata.normalize("NFD", folded) if "a" <= c <= "z")


def _number(random: Random, language: str) -> str:
    a, b = digits(random, 2), digits(random, 2)
    area = f"{random.choice('23456789')}{random.choice('02345678')}{random.choice('2345678')}"
    swiss = (f"+41 79 {random.randint(200, 999)} {a} {b}", f"07{random.choice('6789')} {random.randint(200, 999)} {a} {b}")
    american = (f"({area}) 555-01{a}", f"{area}-555-01{a}", f"+1 {area} 555 01{a}")
    forms = {
        "en": (*american, f"020 7946 0{digits(random, 3)}", f"07700 900{digits(random, 3)}"),
        "fr": (f"+33 6 39 98 {a} {b}", f"06 39 98 {a} {b}", f"06.39.98.{a}.{b}", *swiss),
        "de": (f"030 23125 {digits(random, 3)}", f"+49 30 23125{digits(random, 3)}", f"0171 39200{a}", *swiss),
    }
    return random.choice(forms[language])
