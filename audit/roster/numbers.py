"""Numbers that identify: telephone numbers, record numbers and national ids, as they are written and as they are dictated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PHONE_MIN: Final = 8
"""Digits of a national number, the fewest that are taken in: seven digits are a local number, and any other count."""
ID_MIN: Final = 8
MRN_MIN: Final = 5
"""Characters of a record number that are taken in; of five to seven digits it counts only after a word that says what it is."""
MRN_SURE: Final = 8
"""Digits of a record number that counts wherever it stands."""
DIGITS_MAX: Final = 17

_COUNTRIES: Final = re.compile(
    r"1|7|2[07]|2[1-689]\d|3[0-469]|3[578]\d|4[013-9]|42\d|5[1-8]|5[09]\d|6[0-6]|6[7-9]\d|8[1246]|8[057-9]\d|9[0-58]|9[679]\d"
)
"""Country codes of ITU-T E.164, by their length."""

ONES: Final = {word: n for n, word in enumerate("zero one two three four five six seven eight nine".split())} | {  # noqa: SIM905
    "oh": 0, "o": 0, "nought": 0, "null": 0, "eins": 1, "ein": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "funf": 5, "sechs": 6,
    "sieben": 7, "acht": 8, "neun": 9, "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9,
}  # fmt: skip
_TEENS: Final = {
    word: n for n, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), 10)  # noqa: SIM905
} | {
    "dreizehn": 13, "vierzehn": 14, "funfzehn": 15, "sechzehn": 16, "siebzehn": 17, "achtzehn": 18, "neunzehn": 19,
    "zehn": 10, "elf": 11, "zwolf": 12, "dix": 10, "onze": 11, "douze": 12, "treize": 13, "quatorze": 14,
    "quinze": 15, "seize": 16}  # fmt: skip
_TENS: Final = {word: 10 * n for n, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)} | {  # noqa: SIM905
    "fourty": 40, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "septante": 70, "huitante": 80,
    "nonante": 90, "zwanzig": 20, "dreissig": 30, "vierzig": 40, "funfzig": 50, "sechzig": 60, "siebzig": 70, "achtzig": 80, "neunzig": 90,
}  # fmt: skip
NUMBERS: Final = ONES | _TEENS | _TENS
"""Number words of English, French and German, folded; French ``six`` is English's."""
_GERMAN: Final = re.compile(
    rf"({'|'.join(word for word, n in ONES.items() if n)})und({'|'.join(word for word in _TENS if word.endswith('ig'))})"
)
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3}
_FILLERS: Final = frozenset("uh um er and dash hyphen then et und like plus area code minus so yeah".split())  # noqa: SIM905
_TOKEN: Final = re.compile(r"[^\W_]+")
_GAP: Final = re.compile(r"[\s.,;:()/+'#-]{0,4}")
_UNITS_MAX: Final = 48


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of what could be a number.

    Args:
        chars: digits, or letters and digits, folded.
        start: in the folded text.
        end: in the folded text.
        abroad: whether a ``+`` stands before it.
    """

    chars: str
    start: int
    end: int
    abroad: bool = False


def number_of(word: str) -> int | None:
    """What a number word of two digits at most says, or None."""
    said = NUMBERS.get(word)
    if said is None and (both := _GERMAN.fullmatch(word)):
        return ONES[both[1]] + _TENS[both[2]]
    return said


def runs(folded: str) -> Iterator[list[Unit]]:
    """Stretches of figures, number words and short pieces of letters, which could hold numbers. Linear in the text."""
    run: list[Unit] = []
    last = times = open_at = 0
    for match in _TOKEN.finditer(folded):
        word, (start, end) = match.group(), match.span()
        if run and (len(run) >= _UNITS_MAX or _GAP.fullmatch(folded, last, start) is None):
            yield run
            run, times, open_at = [], 0, 0
        abroad = start > 0 and folded[start - 1] == "+"
        last = end
        if word.isdecimal():
            run.append(Unit(word * max(times, 1), start, end, abroad))
            times = open_at = 0
        elif (said := number_of(word)) is not None:
            if 0 < said < open_at and run:
                before = run.pop()
                run.append(Unit(str(int(before.chars) + said), before.start, end, before.abroad))
            else:
                run.append(Unit(str(said) * max(times, 1), start, end, abroad))
            open_at = 10 if said >= 20 and said % 10 == 0 and not times else 0
            times = 0
        elif word in _TIMES:
            times = _TIMES[word]
        elif word == "hundred" and run and len(run[-1].chars) <= 2 and run[-1].chars.isdecimal():
            before = run.pop()
            run.append(Unit(before.chars + "00", before.start, end, before.abroad))
            open_at = 100
        elif word == "plus":
            times = 0
        elif word in _FILLERS and run:
            continue
        elif (len(word) <= 3 or not word.isalpha()) and len(word) <= DIGITS_MAX:
            run.append(Unit(word, start, end))
            open_at = times = 0
        else:
            if run:
                yield run
            run, times, open_at = [], 0, 0
    if run:
        yield run


def national(digits: str, *, abroad: bool) -> set[str]:
    """The national significant numbers that digits may be: without trunk zero, exit code and country code.

    Args:
        digits: as dialled, without signs.
        abroad: whether a ``+`` stood before them.
    """
    bare = digits.lstrip("0")
    told = abroad or digits.startswith("00")
    found = {bare}
    if told or len(bare) > 10:
        code = _COUNTRIES.match(bare)
        if code is not None:
            rest = bare[code.end() :].lstrip("0")
            found = {rest} if told else {bare, rest}
    return {number for number in found if PHONE_MIN <= len(number) <= 15}


def phone_of(value: str) -> set[str]:
    """The national numbers of a telephone number as a list writes it; an extension is left out."""
    written = re.split(r"(?i)\s*(?:ext|x|durchwahl|poste|#)\.?\s*\d+\s*$", value.strip())[0].replace("(0)", "")
    digits = "".join(c for c in written if c.isdecimal())
    return national(digits, abroad=written.startswith("+"))


def record_of(value: str) -> str:
    """A record number or id as it is compared: letters and digits alone."""
    return "".join(c for c in value.casefold() if c.isalnum())
