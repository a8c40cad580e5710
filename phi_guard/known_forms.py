"""The forms a known value takes in talk: dictated digits, a date in words, letters spelled out, a spoken address, a slip in a long name.

Everything here works on folded text (see `phi_guard.known_values.fold`) and gives places in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final, TypeAlias

from phi_guard.detect.vocabulary import certain_words

Span: TypeAlias = tuple[int, int]

SPELLED_MIN: Final = 3
"""Letters of a name that is looked for spelled out; two letters are an abbreviation."""
NEAR_MIN: Final = 6
"""Letters of a name, and of a word, that may be one slip apart; shorter ones are one slip from too many words."""
NAME_MAX: Final = 40
"""Letters of a name; longer ones are looked for as they are written only."""
DATES_MAX: Final = 50
"""Dates and addresses of one call that are looked for in words."""

_ONES: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS: Final = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth", "thirteenth",
    "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth", "twentieth",
)  # fmt: skip
_NUMBERS: Final = {
    **{word: n for n, word in enumerate(_ONES)}, **{word: 10 + n for n, word in enumerate(_TEENS)},
    **{word: 20 + 10 * n for n, word in enumerate(_TENS)}, "oh": 0, "o": 0, "nought": 0, "fourty": 40,
    "un": 1, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9, "dix": 10, "onze": 11, "douze": 12,
    "treize": 13, "quatorze": 14, "quinze": 15, "seize": 16, "vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60,
    "septante": 70, "huitante": 80, "nonante": 90,
    "null": 0, "eins": 1, "zwei": 2, "zwo": 2, "drei": 3, "vier": 4, "funf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9,
    "zehn": 10, "elf": 11, "zwolf": 12,
}  # fmt: skip
"""Number words of English, French and German, folded. French ``six`` is English's."""
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3}
_SPOKEN: Final = "|".join(sorted({*_NUMBERS, *_TIMES, "hundred", "thousand"}, key=lambda word: (-len(word), word)))
_TOKEN: Final = re.compile(rf"\b(?:{_SPOKEN})\b|\d+")
_PAUSE: Final = r"(?:[\s.,;:()/+'-]{1,4}(?:(?:uh|um|er|and|dash|hyphen|then|et|und|like|plus|area|code)\b[\s.,;:-]{1,3}){0,2})"
_DICTATED: Final = re.compile(rf"\b(?:{_SPOKEN}|\d{{1,12}})\b(?:{_PAUSE}(?:{_SPOKEN}|\d{{1,12}})\b)*")

_NATO: Final = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu", "alfa", "juliet",
    "x-ray", "whisky",
)  # fmt: skip
"""The spelling alphabet of ICAO Annex 10, with the spellings a recogniser writes; each word begins with its letter."""
_LETTER: Final = (
    rf"(?:(?:double|triple)\s)?(?:(?:{'|'.join(_NATO)})\b"
    r"|[^\W\d_](?![^\W_'])(?:,?\s(?:as\sin|for|like|as|wie|comme)\s[^\W\d_]{2,15})?)"
)
_BETWEEN: Final = r"[\s.,;_-]{1,3}(?:(?:and|then|uh|um|er|capital|big|letter|et|und)\s){0,2}"
_SPELLED: Final = re.compile(rf"(?<![^\W_']){_LETTER}(?:{_BETWEEN}{_LETTER}){{{SPELLED_MIN - 2},}}")
_UNIT: Final = re.compile(rf"(?<![^\W_']){_LETTER}")

_MONTHS: Final = (
    "january jan janvier janv januar janner", "february feb fevrier fevr februar", "march mar mars marz maerz", "april apr avril avr",
    "may mai", "june jun juin juni", "july jul juillet juil juli", "august aug aout", "september sept sep septembre",
    "october oct octobre oktober okt", "november nov novembre", "december dec decembre dezember dez",
)  # fmt: skip
_ISO: Final = re.compile(r"(?<!\d)((?:18|19|20)\d\d)[-/.]?(\d{1,2})[-/.]?(\d{1,2})(?!\d)")
_NUMERIC: Final = re.compile(r"(?<!\d)(\d{1,2})([-/.])\s?(\d{1,2})\2\s?((?:18|19|20)\d\d|\d\d)(?!\d)")
_NAMED: Final = {name: n for n, names in enumerate(_MONTHS, 1) for name in names.split()}
_MONTH: Final = "|".join(sorted(_NAMED, key=lambda name: (-len(name), name)))
_WORDED: Final = re.compile(
    rf"\b(?:(\d{{1,2}})(?:st|nd|rd|th|er|\.)?\s(?:of\s)?({_MONTH})\b\.?|({_MONTH})\b\.?\s(\d{{1,2}})(?:st|nd|rd|th)?)[\s,]{{1,2}}(\d{{4}})"
)
_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_SIGNS: Final = {
    ".": r"(?:\.|dot|point|punkt|period)", "@": r"(?:@|at\ssign|at|arobase|klammeraffe)", "_": r"(?:_|underscore|under\sscore|tiret\sbas)",
    "-": r"(?:-|dash|hyphen|minus|tiret|bindestrich)", "+": r"(?:\+|plus)",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forms:
    """Known values, ready to be recognised as they are told.

    Args:
        names: folded names of `SPELLED_MIN` to `NAME_MAX` letters.
        near: names of `NEAR_MIN` letters and more, by what is left of each with one letter taken out, and by themselves.
        numbers: known numbers, digits only.
        told: one pattern for the dates and the addresses in all their forms, or None without any.
    """

    names: tuple[str, ...]
    near: dict[str, tuple[str, ...]]
    numbers: tuple[str, ...]
    told: re.Pattern[str] | None

    def find(self, text: str) -> list[Span]:
        """Where a value is told in a folded text, in no order. Cost: linear in the text, and in the values."""
        found: list[Span] = []
        if self.numbers:
            found += self._dictated(text)
        if self.names:
            found += self._spelled(text)
        if self.near:
            found += (match.span() for match in _LONG_WORD.finditer(text) if self._is_near(match.group()))
        if self.told is not None:
            found += (match.span() for match in self.told.finditer(text))
        return found

    def _dictated(self, text: str) -> Iterator[Span]:
        for run in _DICTATED.finditer(text):
            for composed in (True, False):
                digits, places = _dialled(run, composed=composed)
                for number in self.numbers:
                    at = digits.find(number)
                    if at >= 0:
                        end = places[at + len(number) - 1][1]
                        while at and digits[at - 1] == "0":  # a known number is kept without the zeros in front
                            at -= 1
                        yield places[at][0], end
                    elif len(digits) >= 5 and digits.lstrip("0") in number and len(digits.lstrip("0")) >= 5:
                        yield run.span()

    def _spelled(self, text: str) -> Iterator[Span]:
        for run in _SPELLED.finditer(text):
            letters: list[str] = []
            places: list[Span] = []
            for unit in _UNIT.finditer(text, *run.span()):
                times, letter = _letter(unit.group())
                letters += [letter] * times
                places += [unit.span()] * times
            word = "".join(letters)
            for name in self.names:
                at = word.find(name)
                if at >= 0:
                    yield places[at][0], places[at + len(name) - 1][1]

    def _is_near(self, word: str) -> bool:
        """Whether a word of the text is one slip away from a long name (one more, less, other, two changed about), and no plain word."""
        for left in (word, *_shortened(word)):
            for name in self.near.get(left, ()):
                if name != word and word[0] == name[0] and abs(len(word) - len(name)) <= 1 and _one_slip(word, name):
                    return word not in certain_words()  # asked last: the first question reads the list
        return False


_LONG_WORD: Final = re.compile(rf"(?<![^\W\d_])[^\W\d_]{{{NEAR_MIN},40}}(?![^\W\d_])")


def forms(names: Iterable[str], numbers: Iterable[str], dates: Iterable[date], emails: Iterable[str]) -> Forms:
    """The forms of some known values.

    Args:
        names: folded names; what is not all letters is left out.
        numbers: digits.
        dates: dates whose words are looked for.
        emails: folded addresses.
    """
    words = sorted({name for name in names if SPELLED_MIN <= len(name) <= NAME_MAX and name.isalpha()})
    near: dict[str, tuple[str, ...]] = {}
    for word in words:
        if len(word) >= NEAR_MIN:
            for left in {word, *_shortened(word)}:
                near[left] = (*near.get(left, ()), word)
    told = [*map(_date_pattern, sorted(dates)[:DATES_MAX]), *map(_email_pattern, sorted(emails)[:DATES_MAX])]
    pattern = re.compile(r"(?<![^\W_])(?:" + "|".join(told) + r")(?![^\W_])") if told else None
    dialled = {digits for day in sorted(dates)[:DATES_MAX] for digits in _date_digits(day)}
    return Forms(tuple(words), near, (*numbers, *sorted(dialled)), pattern)


def dates_of(folded: str) -> set[date]:
    """The dates a folded value may be, if it holds one; both, where day and month could change places."""
    found: set[date] = set()
    for match in _ISO.finditer(folded):
        found |= _date(int(match[1]), int(match[2]), int(match[3]))
    for match in _NUMERIC.finditer(folded):
        for year in _years(match[4]):
            found |= _date(year, int(match[3]), int(match[1])) | _date(year, int(match[1]), int(match[3]))
    for match in _WORDED.finditer(folded):
        found |= _date(int(match[5]), _NAMED[match[2] or match[3]], int(match[1] or match[4]))
    return found


def emails_of(folded: str) -> set[str]:
    """The e-mail addresses in a folded value."""
    return set(_EMAIL.findall(folded)) if "@" in folded else set()


def _years(written: str) -> tuple[int, ...]:
    return (int(written),) if len(written) == 4 else (1900 + int(written), 2000 + int(written))


def _date(year: int, month: int, day: int) -> set[date]:
    try:
        return {date(year, month, day)}
    except ValueError:
        return set()


def _dialled(run: re.Match[str], *, composed: bool) -> tuple[str, list[Span]]:
    """The digits that a run of number words and figures says, and where each is said.

    Args:
        run: the run.
        composed: whether what follows a hundred is added to it (``four hundred fifteen`` is 415) or comes after it (40015).
    """
    groups: list[tuple[str, Span]] = []
    times, open_at, begun = 1, 0, -1  # open_at: what may still be added to the last group, as twenty takes a one
    for token in _TOKEN.finditer(run.string, *run.span()):
        word, span = token.group(), token.span()
        if word in _TIMES:
            times, begun = _TIMES[word], span[0]
            continue
        span = (begun, span[1]) if begun >= 0 else span
        value = _NUMBERS.get(word)
        if word in {"hundred", "thousand"} and groups:
            digits, before = groups.pop()
            groups.append((digits + ("00" if word == "hundred" else "000"), (before[0], span[1])))
            open_at = 100 if composed else 0
        elif value is not None and 0 < value < open_at and groups:
            digits, before = groups.pop()
            groups.append((str(int(digits) + value), (before[0], span[1])))
            open_at = 10 if value >= 20 else 0
        elif value is not None:
            groups.append((str(value) * times, span))
            open_at = 10 if value >= 20 and times == 1 else 0
        elif word.isdecimal():
            groups.append((word * times, span))
            open_at = 0
        times, begun = 1, -1
    return "".join(digits for digits, _ in groups), [span for digits, span in groups for _ in digits]


def _letter(unit: str) -> tuple[int, str]:
    """How often, and which letter a unit of spelling says."""
    first, _, rest = unit.partition(" ")
    if first in _TIMES and rest:
        return _TIMES[first], _letter(rest)[1]
    return 1, first[:1]


def _shortened(word: str) -> Iterator[str]:
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _one_slip(word: str, name: str) -> bool:
    start = 0
    while start < min(len(word), len(name)) and word[start] == name[start]:
        start += 1
    a, b = word[start:], name[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _said(number: int) -> str:
    """A pattern for a number under a hundred in English words."""
    if number < 20:
        return (_ONES + _TEENS)[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens - 2] + (rf"[\s-]{_ONES[ones]}" if ones else "")


def _said_ordinal(number: int) -> str:
    if number <= 20:
        return _ORDINALS[number - 1]
    return "thirtieth" if number == 30 else rf"{_TENS[number // 10 - 2]}[\s-]{_ORDINALS[number % 10 - 1]}"


def _date_pattern(day: date) -> str:
    """A pattern for a date in any usual order, in figures and words, with its year in two digits or four."""
    dd = rf"(?:the\s)?(?:0?{day.day}(?:st|nd|rd|th|er|\.)?|{_said_ordinal(day.day)}|{_said(day.day)})"
    named = rf"(?:{'|'.join(_MONTHS[day.month - 1].split())})\b\.?"
    mm = rf"(?:0?{day.month}|{named}|{_said(day.month)})"
    century, rest = divmod(day.year, 100)
    oh = rf"(?:oh|o|zero)[\s-]{_ONES[rest]}" if rest < 10 else _said(rest)
    said = [rf"{_said(century)}[\s-](?:hundred|{oh})" if rest == 0 else rf"{_said(century)}[\s-](?:hundred\s(?:and\s)?)?{oh}"]
    if century == 20:
        said.append(r"two\sthousand" + (rf"\s(?:and\s)?{_said(rest)}" if rest else ""))
    yy = rf"(?:{day.year}|['’]?{rest:02d}|{'|'.join(said)}|{oh})"
    gap = r"(?:\s?[,./-]\s?|\s){1,2}(?:(?:of|de|in|the|month|day|year)\s){0,2}"
    return f"{dd}{gap}{mm}{gap}{yy}|{mm}{gap}{dd}{gap}{yy}|{yy}{gap}{mm}{gap}{dd}"


def _date_digits(day: date) -> tuple[str, ...]:
    """A date as it is dictated digit by digit, without the zeros in front that a number loses."""
    dd, mm, yyyy, yy = f"{day.day:02d}", f"{day.month:02d}", f"{day.year}", f"{day.year % 100:02d}"
    return (dd + mm + yyyy, mm + dd + yyyy, dd + mm + yy, mm + dd + yy, yyyy + mm + dd)


def _email_pattern(address: str) -> str:
    """A pattern for an address as it is spoken: signs by name, words whole or letter by letter."""
    parts = []
    for sign, group in groupby(address, key=lambda char: char if char in _SIGNS else ""):
        if sign:
            parts.append(rf"(?:\s?{_SIGNS[sign]}\s?|\s)")
        else:
            parts.append(r"[\s.-]{0,2}".join(map(re.escape, group)))
    return "".join(parts)
