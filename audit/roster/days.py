"""Days with their year, however they are written or said in English, German and French."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, Literal, TypeAlias

from audit.roster.numbers import NUMBERS, number_of

Kind: TypeAlias = Literal["number", "ordinal", "month"]

_MONTHS: Final = (
    "january jan janvier janv januar janner", "february feb fevrier fevr fev februar", "march mar mars marz maerz", "april apr avril avr",
    "may mai", "june jun juin juni", "july jul juillet juil juli", "august aug aout", "september sept sep septembre",
    "october oct octobre oktober okt", "november nov novembre", "december dec decembre dezember dez",
)  # fmt: skip
_MONTH: Final = {name: n for n, names in enumerate(_MONTHS, 1) for name in names.split()}
_ORDINALS: Final = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
]
_ORDINAL: Final = {word: n for n, word in enumerate(_ORDINALS, 1)} | {"thirtieth": 30, "premier": 1, "erste": 1, "ersten": 1, "erster": 1,
    "dritte": 3, "dritten": 3, "dritter": 3, "siebte": 7, "siebten": 7, "siebter": 7, "achte": 8, "achten": 8, "achter": 8}  # fmt: skip
_GERMAN_ORDINAL: Final = re.compile(r"([a-z]{3,30}?)(?:ste[nr]?|te[nr]?)")
_GERMAN_YEAR: Final = re.compile(r"(neunzehn|achtzehn|zwanzig)hundert(?:und)?([a-z]*)|zweitausend(?:und)?([a-z]*)")
_SMALL: Final = frozenset("of the de du le der den dem am day in year month and et und uh um".split())  # noqa: SIM905
_TOKEN: Final = re.compile(r"(\d{1,8})(?:st|nd|rd|th|er|e)?(?![^\W_])|[^\W\d_]+")
_GAP: Final = re.compile(r"[\s.,/'-]{1,4}")
_SIGNS: Final = re.compile(r"\s?([./-])\s?")
_CUE: Final = re.compile(r"\b(?:d\.?o\.?b|birth\w*|born|geb(?:oren|urts\w*|\.)?|nee?|naissance|ne\(e\))\b[^.\n]{0,30}\Z")
_MIN_YEAR: Final = 1880


@dataclass(frozen=True, slots=True)
class _Item:
    kind: Kind
    value: int
    digits: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day that a stretch of text says.

    Args:
        dates: what it may be; two, where day and month could change places or the century is left out.
        start: in the folded text.
        end: in the folded text.
        cued: whether a word of birth stands before it.
    """

    dates: frozenset[date]
    start: int
    end: int
    cued: bool


def days(folded: str, latest: int) -> Iterator[Day]:
    """The days in a folded text, in order, none overlapping. Linear in the text.

    Args:
        folded: without case and accents.
        latest: the last year a day may lie in.
    """
    past = 0
    items = list(_items(folded))
    for at, item in enumerate(items):
        if item.start < past:
            continue
        read = _compact(item, latest) if item.digits == 8 else _day_at(folded, items, at, latest)
        if read is not None:
            dates, past = read
            cued = _CUE.search(folded, max(0, item.start - 40), item.start) is not None
            if item.digits != 8 or cued:
                yield Day(frozenset(dates), item.start, past, cued)


def _items(folded: str) -> Iterator[_Item]:
    """Numbers, ordinals and months; number words that belong together are one number."""
    held: _Item | None = None
    for match in _TOKEN.finditer(folded):
        word, (start, end) = match.group(), match.span()
        item = _item(word, match[1], start, end)
        if item is None:
            if held is not None and word not in _SMALL:
                yield held
                held = None
            if word in {"hundred", "thousand", "cent", "mille", "hundert", "tausend"}:
                yield _Item("number", 100 if word in {"hundred", "cent", "hundert"} else 1000, 0, start, end)
            continue
        spoken = match[1] is None
        if held is not None:
            if spoken and held.value % 10 == 0 and held.value >= 20 and item.value < 10 and item.kind != "month" and item.value:
                item = _Item(item.kind, held.value + item.value, 2, held.start, end)
                held = None
            else:
                yield held
                held = None
        if spoken and item.kind == "number":
            held = item
        else:
            yield item
    if held is not None:
        yield held


def _item(word: str, figures: str | None, start: int, end: int) -> _Item | None:
    if figures is not None:
        return _Item("number" if word == figures else "ordinal", int(figures), len(figures), start, end)
    if word in _MONTH and word not in NUMBERS:
        return _Item("month", _MONTH[word], 0, start, end)
    if word in _ORDINAL:
        return _Item("ordinal", _ORDINAL[word], 2, start, end)
    said = number_of(word)
    if said is not None:
        return _Item("number", said, len(str(said)), start, end)
    if year := _GERMAN_YEAR.fullmatch(word):
        rest = number_of(year[2] or year[3] or "") or 0
        return _Item("number", ((number_of(year[1]) or 0) * 100 if year[1] else 2000) + rest, 4, start, end)
    if (ordinal := _GERMAN_ORDINAL.fullmatch(word)) and (said := number_of(ordinal[1])) is not None:
        return _Item("ordinal", said, 2, start, end)
    return None


def _compact(item: _Item, latest: int) -> tuple[set[date], int] | None:
    value = f"{item.value:08d}"
    found = _date(int(value[:4]), int(value[4:6]), int(value[6:]), latest)
    found |= _date(int(value[4:]), int(value[2:4]), int(value[:2]), latest) | _date(int(value[4:]), int(value[:2]), int(value[2:4]), latest)
    return (found, item.end) if found else None


def _day_at(folded: str, items: list[_Item], at: int, latest: int) -> tuple[set[date], int] | None:
    three = items[at : at + 3]
    if len(three) < 3 or not all(_near(folded, left, right) for left, right in pairwise(three)):
        return None
    a, b, c = three
    named = "month" in {a.kind, b.kind}
    if not named and not _written_as_date(folded, a, b, c):
        return None
    found: set[date] = set()
    end = c.end
    if a.digits == 4 and a.kind == "number":
        found |= _date(a.value, b.value, c.value, latest)
    if c.kind == "number":
        for year, end_of in _years(folded, items, at + 2):
            if a.kind == "month":
                new = _date(year, a.value, b.value, latest)
            elif b.kind in {"month", "ordinal"}:
                new = _date(year, b.value, a.value, latest)
            else:
                new = _date(year, b.value, a.value, latest) | _date(year, a.value, b.value, latest)
            if new:
                found |= new
                end = max(end, end_of)
    return (found, end) if found else None


def _years(folded: str, items: list[_Item], at: int) -> Iterator[tuple[int, int]]:
    """The years that begin at an item, each with its end: 1958, nineteen fifty eight, two thousand and five, mille neuf cent huit, 58."""
    first = items[at]
    if first.digits == 4 and first.value >= _MIN_YEAR:
        yield first.value, first.end
        return
    value, end = first.value, first.end
    parts = [first]
    for item in items[at + 1 : at + 6]:
        if item.kind != "number" or item.digits > 2 or not _near(folded, parts[-1], item):
            break
        parts.append(item)
    whole = 0
    for n, part in enumerate(parts):
        if part.digits == 0 and part.value == 1000:
            whole = max(whole, 1) * 1000
        elif part.digits == 0:
            whole = whole - whole % 1000 + max(whole % 1000, 1) * 100
        elif n and value in {18, 19, 20} and n == 1:
            yield value * 100 + part.value, part.end
            if part.value == 0 and len(parts) > 2 and parts[2].digits == 1:
                yield value * 100 + parts[2].value, parts[2].end
        else:
            whole += part.value
        if n and whole >= _MIN_YEAR:
            yield whole, part.end
    if first.digits == 2 and value < 100 and (len(parts) == 1 or value not in {18, 19, 20}):
        yield 1900 + value, end
        yield 2000 + value, end


def _near(folded: str, left: _Item, right: _Item) -> bool:
    between = folded[left.end : right.start]
    if len(between) > 16:
        return False
    return all(word in _SMALL for word in re.findall(r"[^\W\d_]+", between)) and _GAP.match(between) is not None


def _written_as_date(folded: str, a: _Item, b: _Item, c: _Item) -> bool:
    """Whether three numbers stand as a day does: with the same sign between, or as day and month of order, or with a whole year."""
    first, second = folded[a.end : b.start], folded[b.end : c.start]
    signs = _SIGNS.fullmatch(first), _SIGNS.fullmatch(second)
    if signs[0] and signs[1] and signs[0][1] == signs[1][1]:
        return True
    if a.kind == "ordinal" and b.kind == "ordinal":
        return True
    return first == second == " " and 4 in {a.digits, c.digits}


def _date(year: int, month: int, day: int, latest: int) -> set[date]:
    try:
        return {date(year, month, day)} if _MIN_YEAR <= year <= latest else set()
    except ValueError:
        return set()
