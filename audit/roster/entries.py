"""What of a person goes into an index: every form by which a value is known again, as text that is digested at once and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import combinations
from typing import Final, TypeAlias

from audit.roster.days import days
from audit.roster.numbers import DIGITS_MAX, ID_MIN, MRN_MIN, phone_of, record_of
from audit.roster.words import LONE_NEAR_MIN, NEAR_MIN, fold, name_words, ordinary_words, shortened, sound, spellings

Entry: TypeAlias = tuple[str, str]
"""A kind (`audit.roster.index.KINDS`) and a form."""

COLUMNS: Final = ("name", "given", "surname", "phone", "dob", "mrn", "email", "address", "id")
"""What a column of a list may hold. ``id``: a national number, such as SSN, AHV or NIR."""

WORDS_MAX: Final = 8
"""Words of one name; more are another column's text."""
GLUED_MIN: Final = 7
"""Letters of two words run together that are looked for; fewer are too often a word."""
SOUND_MIN: Final = 2
"""Digits of a sound by which a word is known again."""
STREET_MAX: Final = 4
"""Words of a street."""

_STREET: Final = {
    "st": "street", "str": "strasse", "rd": "road", "ave": "avenue", "av": "avenue", "blvd": "boulevard", "bd": "boulevard", "ln": "lane",
    "dr": "drive", "ct": "court", "pl": "place", "sq": "square", "hwy": "highway", "ter": "terrace", "ch": "chemin", "rte": "route",
}  # fmt: skip
_UNIT: Final = re.compile(r"\b(?:apt|apartment|unit|suite|ste|floor|fl|wohnung|whg|etage|appt|box|flat)\b.*|#.*")
_HOUSE: Final = re.compile(r"\d{1,5}[a-z]?")
_TOKEN: Final = re.compile(r"[^\W_]+")


def entries_of(kind: str, values: Iterable[str], latest: int) -> Iterator[Entry]:
    """Every entry of the values of one kind of one person; none where they cannot be read.

    Args:
        kind: of `COLUMNS`, but for the names, which `name_entries` takes.
        values: as the list gives them.
        latest: the last year somebody may be born in.
    """
    for value in values:
        if kind == "phone":
            yield from (("phone", number) for number in sorted(phone_of(value)))
        elif kind == "dob":
            yield from (("dob", day.isoformat()) for day in sorted(birthdays(value, latest)))
        elif kind in {"mrn", "id"}:
            record = record_of(value)
            if (MRN_MIN if kind == "mrn" else ID_MIN) <= len(record) <= DIGITS_MAX and any(map(str.isdecimal, record)):
                yield kind, record
        elif kind == "email":
            if address := email_of(value):
                yield "email", address
        elif kind == "address" and (home := home_of(value)):
            yield "address", home


def birthdays(value: str, latest: int) -> set[date]:
    """The days a column's date may be."""
    folded = fold(value)[0].strip()
    if len(folded) == 8 and folded.isdecimal():
        folded = f"dob {folded}"  # eight figures are a date only where something says so
    return {born for day in days(folded, latest) for born in day.dates}


def email_of(value: str) -> str:
    """An address as it is compared: in lower case, without a tag behind a plus; empty if it is none."""
    local, at, host = fold(value)[0].strip().rpartition("@")
    return f"{local.partition('+')[0]}@{host}" if at and local and "." in host and " " not in local + host else ""


def street_form(words: Iterable[str]) -> str:
    """The words of a street as they are compared: in full and run together."""
    full = (_STREET.get(word, word) for word in words)
    return "".join(f"{word}asse" if word.endswith("str") else word for word in full)


def home_of(value: str) -> str:
    """Number and street of an address; empty where it has not both, or where the street is one ordinary word."""
    lines = re.split(r"[,\n;]", _UNIT.sub("", fold(value)[0]))
    first = lines[0] if re.search(r"[a-z]", lines[0]) and re.search(r"\d", lines[0]) else " ".join(lines[:2])
    words = _TOKEN.findall(first)
    for at, word in enumerate(words):
        if _HOUSE.fullmatch(word):
            street = words[at + 1 :] if at == 0 else words[:at]
            if street and len(street) <= STREET_MAX and not (len(street) == 1 and street[0] in ordinary_words()):
                return f"{word}|{street_form(street)}"
    return ""


def name_entries(whole: Iterable[str], given: Iterable[str], surname: Iterable[str]) -> Iterator[Entry]:
    """Every entry of a person's names.

    Args:
        whole: full names, ``Ada Byron`` or ``Byron, Ada``.
        given: given names.
        surname: surnames.
    """
    first, last = list(given), list(surname)
    for full in [*whole, *([f"{' '.join(last)}, {' '.join(first)}"] if first or last else [])]:
        value = full.strip(" ,")
        words = [tuple(spellings(value, word)) for word in name_words(value)[:WORDS_MAX]]
        for spelled in words:
            for word in spelled:
                yield from (("name", form) for form in _alone(word))
        if len(words) > 2:
            yield "name", f"g:{''.join(spelled[0] for spelled in words)}"
        for left, right in combinations(words, 2):
            for a in left:
                for b in right:
                    if a != b:
                        yield from (("name", form) for form in _pair(a, b))


def _alone(word: str) -> Iterator[str]:
    yield f"w:{word}"
    if len(word) >= LONE_NEAR_MIN:
        yield from (f"y:{word[0]}{rest}" for rest in {word[1:], *shortened(word[1:])})


def _pair(a: str, b: str) -> Iterator[str]:
    """The forms of two words of a name, in their order."""
    yield pair_form(a, b)
    yield f"o:{a}|{b}"
    if len(a) + len(b) >= GLUED_MIN:
        yield f"g:{a}{b}"
        yield f"g:{b}{a}"
    for exact, near in ((a, b), (b, a)):
        if len(near) >= NEAR_MIN:
            yield from (f"x:{exact}|{rest}" for rest in {near, *shortened(near)})
            if len(heard := sound(near)) >= SOUND_MIN:
                yield f"c:{exact}|{heard}"


def pair_form(a: str, b: str) -> str:
    """Two words of a name in either order."""
    return f"p:{a}|{b}" if a < b else f"p:{b}|{a}"
