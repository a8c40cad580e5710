"""Street addresses as one says them: numbers in words, short forms at length, and the corrections of somebody who looks for the number."""

from __future__ import annotations

import random
import re
from typing import Final

from phi_guard.detect.training import dictation, identifiers

_LONG: Final = dict(
    pair.split("=")
    for pair in [
        "St=street",
        "Ave=avenue",
        "Rd=road",
        "Ln=lane",
        "Dr=drive",
        "Ct=court",
        "Cir=circle",
        "Blvd=boulevard",
        "Pl=place",
        "Ter=terrace",
        "Pkwy=parkway",
        "Hwy=highway",
        "Apt=apartment",
        "Ste=suite",
        "N=north",
        "S=south",
        "E=east",
        "W=west",
        "NE=northeast",
        "SW=southwest",
        "No=number",
        "PO=p.o.",
    ]
)
"""Short forms in addresses and how they are said."""


CORRECTED_SHARE: Final = 0.12
"""Spoken addresses that are begun wrongly; an earlier model lost the corrected part."""


def said(value: str, rng: random.Random, language: str) -> str:
    """The address in words.

    Args:
        value: as `identifiers.address`, `identifiers.unit` or `identifiers.street_name` give it.
        rng: source of chance.
        language: ``en``, ``fr`` or ``de``.
    """
    plain = re.sub(r"[,.]", "", value).replace("#", "number ").replace("&", "and").replace("/", " slash ")
    heard = re.sub(r"(\d)([A-Za-z])\b(?!h\b)", r"\1 \2", plain)
    spoken: list[str] = []
    for word in heard.split():
        if word.isdigit():
            spoken.append(_house(word, rng) if language == "en" else dictation.number(int(word), language))
        elif re.fullmatch(r"\d+(?:st|nd|rd|th)", word):
            spoken.append(_street_ordinal(int(word[:-2])))
        else:
            spoken.append(_LONG.get(word, word))
    if language != "en":
        return " ".join(spoken)
    if len(spoken) > 2 and rng.random() < CORRECTED_SHARE:
        return _corrected(spoken, rng)
    if rng.random() < 0.05:
        place = rng.randrange(len(spoken))
        if spoken[place].isalpha() and len(spoken[place]) > 3:
            spoken[place] = f"{spoken[place]} {dictation.letters(spoken[place], rng)}"
    return " ".join(spoken)


def _street_ordinal(place: int) -> str:
    return dictation.ordinal(place) if place < 100 else f"{dictation.number(place // 100 * 100)} {dictation.ordinal(place % 100)}"


def _corrected(spoken: list[str], rng: random.Random) -> str:
    """An address begun wrongly: the number after the street, another number, a street half remembered."""
    number, street = spoken[0], " ".join(spoken[1:])
    wrong = _house(identifiers.house_number(rng).rstrip("ABabc"), rng)
    turn = rng.choice(("no wait", "no", "sorry", "i mean", "scratch that", "actually", "wait no", "hang on"))
    return rng.choice((
        f"{spoken[1]} something {wrong} {turn} {number} {street}",
        f"{wrong} {turn} {number} {street}",
        f"{wrong} {street} {turn} {number} {street}",
        f"{number} {spoken[1]} {turn} {number} {street}",
        f"{street} {number} {turn} {number} {street}",
        f"number {number} on {street}",
        f"{street} number {number}",
        f"{street} uh {number}",
        f"{number} uh {street}",
        f"{number} {' '.join(spoken[1:-1])} {rng.choice(('road', 'street', 'avenue', 'lane'))} {turn} {spoken[-1]}",
    ))  # fmt: skip


def _house(value: str, rng: random.Random) -> str:
    if len(value) < 3 and rng.random() < 0.75:
        return dictation.number(int(value))
    if rng.random() < 0.25 and len(value) < 5:
        return dictation.number(int(value))
    return dictation.digits(value, rng)
