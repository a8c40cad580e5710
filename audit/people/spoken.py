"""How a caller says a value, in English, French and German: digits, letters, dates, addresses, as a recogniser writes them down.

Nothing here is taken from the detectors: a form that only they knew would prove nothing.
"""

from __future__ import annotations

import re
import unicodedata
from random import Random
from typing import Final

from audit.people.times import MONTHS
from audit.people.value import Value

_ONES: Final = {
    "en": (
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
        "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    ),
    "fr": (
        "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze", "treize", "quatorze",
        "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
    ),
    "de": (
        "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf", "dreizehn", "vierzehn",
        "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn",
    ),
}  # fmt: skip
_TENS: Final = {
    "en": ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"),
    "fr": ("", "", "vingt", "trente", "quarante", "cinquante", "soixante", "septante", "huitante", "nonante"),
    "de": ("", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"),
}
_SIGNS: Final = "@._-/:?=+"
_MARKS: Final = {
    language: dict(zip(_SIGNS, words, strict=True))
    for language, words in {
        "en": ("at", "dot", "underscore", "dash", "slash", "colon", "question mark", "equals", "plus"),
        "fr": ("arobase", "point", "tiret bas", "tiret", "slash", "deux points", "point d'interrogation", "égal", "plus"),
        "de": ("at", "punkt", "unterstrich", "bindestrich", "schrägstrich", "doppelpunkt", "fragezeichen", "gleich", "plus"),
    }.items()
}
_ALPHABET: Final = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "x-ray", "yankee", "zulu",
)  # fmt: skip
"""ICAO Annex 10, as callers in all three languages spell."""
_AS_IN: Final = {"en": "as in", "fr": "comme", "de": "wie"}
_ORDINALS: Final = (
    "", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth", "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth", "twenty first", "twenty second",
    "twenty third", "twenty fourth", "twenty fifth", "twenty sixth", "twenty seventh", "twenty eighth",
)  # fmt: skip
_DATE: Final = {
    "en": re.compile(r"(\d{2}|\d)/(\d{1,2})/(\d{4})"),
    "fr": re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})"),
    "de": re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"),
}
_ISO: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_NUMBER: Final = re.compile(r"\d+")


def name(value: Value, random: Random) -> str:
    """A name: said, said and its last part spelled, or spelled with words for the letters."""
    said = " ".join(value.text.replace(",", "").replace(".", "").lower().split())
    last = "".join(c for c in unicodedata.normalize("NFC", said.rpartition(" ")[2]) if c.isalpha())
    match random.randrange(4):
        case 0:
            return said
        case 1:
            return f"{said} {' '.join(last)}"
        case 2:
            spelled = " ".join(f"{c} {_AS_IN[value.language]} {_word(c)}" if _word(c) else c for c in last[:4])
            return f"{said} {spelled} {' '.join(last[4:])}".strip()
        case _:
            return " ".join(last)


def number(value: Value, random: Random) -> str:
    """A number digit by digit, letters one by one; in French often by pairs. What is no letter or digit is not said."""
    return " ".join(_characters(value.text, value.language, random))


def address(value: Value, _random: Random) -> str:
    """An e-mail or web address: marks by name, its words as words, its numbers digit by digit."""
    marks, ones = _MARKS[value.language], _ONES[value.language]
    parts = re.findall(r"[^\W\d_]+|\d|[^\w\s]|_", value.text.lower())
    return " ".join(marks.get(part) or (ones[int(part)] if part.isdecimal() else part) for part in parts)


def date(value: Value, random: Random) -> str:
    """A date in words."""
    day, month, year = _parts(value)
    language = value.language
    word = MONTHS[language][month - 1].lower()
    if language == "en":
        said = f"{word} {_ORDINALS[day]}" if random.random() < 0.6 else f"the {_ORDINALS[day]} of {word}"
        return f"{said} {_year(year, language)}"
    if language == "fr":
        return f"{'premier' if day == 1 else cardinal(day, 'fr')} {word} {_year(year, language)}"
    return f"{_first_of(day)} {word} {_year(year, language)}"


def street(value: Value, random: Random) -> str:
    """An address or a place: its numbers said, long ones digit by digit, its words in lower case without marks."""

    def said(match: re.Match[str]) -> str:
        digits = match.group()
        return f" {' '.join(_digits(digits, value.language, random)) if len(digits) > 3 else cardinal(int(digits), value.language)} "

    text = _NUMBER.sub(said, value.text)
    return " ".join("".join(c if c.isalnum() or c in "'- " else " " for c in text).lower().split())


def cardinal(value: int, language: str) -> str:
    """A number from 0 to 9,999 in words."""
    ones, tens = _ONES[language], _TENS[language]
    if value < 20:
        return ones[value]
    if value < 100:
        ten, one = divmod(value, 10)
        if not one:
            return tens[ten]
        if language == "de":
            return f"{'ein' if one == 1 else ones[one]}und{tens[ten]}"
        return f"{tens[ten]} et un" if language == "fr" and one == 1 else f"{tens[ten]}{'-' if language == 'fr' else ' '}{ones[one]}"
    size, unit = (
        (1000, {"en": "thousand", "fr": "mille", "de": "tausend"})
        if value >= 1000
        else (100, {"en": "hundred", "fr": "cent", "de": "hundert"})
    )
    count, rest = divmod(value, size)
    head = (
        unit[language]
        if count == 1 and language != "en"
        else f"{cardinal(count, language)}{'' if language == 'de' else ' '}{unit[language]}"
    )
    return f"{head}{'' if language == 'de' else ' '}{cardinal(rest, language)}" if rest else head


def _of_france(value: int) -> str:
    """A number from 10 to 99 as it is said in France, where 70 is sixty-ten and 90 four-twenty-ten; `cardinal` speaks as in Switzerland."""
    if value < 70:
        return cardinal(value, "fr")
    if value < 80:
        return f"soixante{' et ' if value == 71 else '-'}{_ONES['fr'][value - 60]}"
    return "quatre-vingts" if value == 80 else f"quatre-vingt-{_ONES['fr'][value - 80]}"


def _year(year: int, language: str) -> str:
    century, rest = divmod(year, 100)
    if language == "en":
        if 2000 <= year < 2010:
            return cardinal(year, language)
        tail = "hundred" if not rest else f"oh {cardinal(rest, 'en')}" if rest < 10 else cardinal(rest, "en")
        return f"{cardinal(century, 'en')} {tail}"
    if language == "de" and year < 2000:
        return f"{cardinal(century, 'de')}hundert{cardinal(rest, 'de') if rest else ''}"
    return cardinal(year, language)


def _first_of(day: int) -> str:
    irregular = {1: "erster", 3: "dritter", 7: "siebter", 8: "achter"}
    return irregular.get(day) or cardinal(day, "de") + ("ter" if day < 20 else "ster")


def _parts(value: Value) -> tuple[int, int, int]:
    """Day, month and year of a date as `audit.people.times` writes it."""
    if iso := _ISO.fullmatch(value.text):
        return int(iso[3]), int(iso[2]), int(iso[1])
    if numeric := _DATE[value.language].fullmatch(value.text):
        a, b = int(numeric[1]), int(numeric[2])
        return (b, a, int(numeric[3])) if value.language == "en" else (a, b, int(numeric[3]))
    day, year = (int(found) for found in _NUMBER.findall(value.text))
    month = next(n for n, word in enumerate(MONTHS[value.language], 1) if word in value.text)
    return day, month, year


def _characters(text: str, language: str, random: Random) -> list[str]:
    out: list[str] = []
    words = random.random() < 0.25
    for part in re.findall(r"\d+|[^\W\d_]", text.lower()):
        if part.isdecimal():
            out += _digits(part, language, random)
        else:
            out.append(_word(part) if words and _word(part) else part)
    return out


def _digits(digits: str, language: str, random: Random) -> list[str]:
    """Digits one by one, ``oh`` and ``double`` as they come; French ones by pairs where the first is no zero."""
    out: list[str] = []
    oh, pairs, france, at = random.random() < 0.5, language == "fr" and random.random() < 0.6, random.random() < 0.5, 0
    while at < len(digits):
        two = digits[at : at + 2]
        if pairs and len(two) == 2 and two[0] != "0":
            out.append(_of_france(int(two)) if france else cardinal(int(two), language))
            at += 2
        elif language == "en" and len(two) == 2 and two[0] == two[1] and random.random() < 0.3:
            out += ["double", "oh" if two[0] == "0" and oh else _ONES["en"][int(two[0])]]
            at += 2
        else:
            said = "oh" if language == "en" and oh and two[0] == "0" else _ONES[language][int(two[0])]
            out.append("zwo" if said == "zwei" and random.random() < 0.5 else said)
            at += 1
    return out


def _word(letter: str) -> str:
    return _ALPHABET[ord(letter) - ord("a")] if "a" <= letter <= "z" else ""
