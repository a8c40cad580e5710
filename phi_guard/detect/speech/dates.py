"""Days said aloud, in English, French and German, and ages over 89."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import DOUBTFUL_MONTHS, FILL, MONTH, NUMBER, NUMERAL, ORDINAL, ORDINALS, UNIT
from phi_guard.detect.speech.quantities import group_at
from phi_guard.detect.speech.utterance import HARD, SOFT, SpokenRule, Stretch, Utterance

_TENS_BEFORE_ORDINAL: Final = frozenset({"twenty", "thirty"})
_SMALL: Final = frozenset("of the de du der des day in uh um er like".split())  # noqa: SIM905
_ORDINAL_ENDS: Final = frozenset("st nd rd th er e ème".split())  # noqa: SIM905
_NOT_AGED: Final = frozenset("percent pounds kilos over degrees point milligrams mg beats and or to".split())  # noqa: SIM905
_AGE_CUES: Final = frozenset("i'm she's he's they're aged age turning turned turns am is be was are hits hit at to".split())  # noqa: SIM905
_DIED: Final = frozenset("died passed lived dead to".split())  # noqa: SIM905
"""Words before ``at`` or ``to`` and an age; ``going to be``."""
_PEOPLE: Final = frozenset(
    """
    i he she they he'll she'll i'll they'll mother father mom dad mum grandmother grandfather grandma grandpa patient wife husband age
    aunt uncle sister brother she's he's lady man woman gentleman mum nan nana gran granny gramps resident
    """.split()  # noqa: SIM905
)
_CARD_CUES: Final = frozenset("expires expiry expiration exp expiring valid born birthday birthdate birth dob".split())  # noqa: SIM905
_STROKES: Final = frozenset({"slash", "stroke"})
_BIRTHDAY_LINKS: Final = frozenset("is was on the it's it uh um".split())  # noqa: SIM905
_OWNERS: Final = frozenset("my his her our their your".split())  # noqa: SIM905
_YEARS: Final = frozenset("year years yrs yr ans jahre jährige jähriger jähriges".split())  # noqa: SIM905
_OLD: Final = frozenset("old young of alt".split())  # noqa: SIM905
OLDEST_TOLD: Final = 89
"""45 CFR 164.514(b)(2)(i)(C): ages over 89 identify."""
_OLDEST: Final = 125


def year_at(heard: Utterance, first: int) -> int:
    """Index after a year that begins at a word; the word's own index where none does.

    Args:
        heard: the words.
        first: index of the word; may be past the end.
    """
    count = len(heard.words)
    place = first
    while place < count and place - first < 3 and (heard.words[place] in {"of", "in", "and", "de", "uh", "um"}):
        place += 1
    if place >= count or heard.gaps[place] == HARD or not heard.kinds[place] & (NUMBER | NUMERAL):
        return first
    group = group_at(heard, place)
    if group is None:
        return first
    if group.digits == 4 and 1850 <= group.value <= 2100:
        return group.past
    nxt = group_at(heard, group.past) if group.past < count and heard.gaps[group.past] == SOFT else None
    if group.value in {18, 19, 20} and nxt is not None:
        if nxt.digits == 2:
            return nxt.past
        if nxt.value == 0 and nxt.digits == 1 and nxt.past < count:
            last = group_at(heard, nxt.past)
            return last.past if last is not None and last.digits == 1 else nxt.past
    if group.value == 0 and group.digits == 1 and nxt is not None and nxt.digits == 1:
        return nxt.past
    measured = group.past < count and heard.kinds[group.past] & UNIT and heard.gaps[group.past] == SOFT
    return first if measured or group.digits != 2 else group.past


def _ordinal_at(heard: Utterance, first: int) -> int:
    """Index after an ordinal day (``third``, ``twenty third``, ``3rd``), or the word's own."""
    count = len(heard.words)
    if first >= count:
        return first
    if heard.kinds[first] & ORDINAL:
        return first + 1
    nxt = first + 1
    if nxt < count and heard.words[first] in _TENS_BEFORE_ORDINAL and heard.kinds[nxt] & ORDINAL:
        return nxt + 1
    if heard.kinds[first] & NUMERAL and nxt < count and heard.starts[nxt] == heard.ends[first] and heard.words[nxt] in _ORDINAL_ENDS:
        return nxt + 1
    return first


def _day_at(heard: Utterance, first: int) -> tuple[int, bool]:
    """Index after a day (or the word's own), and whether it is an ordinal or written."""
    past = _ordinal_at(heard, first)
    if past > first:
        return past, True
    if first >= len(heard.words) or not heard.kinds[first] & (NUMBER | NUMERAL):
        return first, False
    group = group_at(heard, first)
    if group is None:
        return first, False
    if group.spoken and group.value == 0 and group.past < len(heard.words):  # oh three
        nxt = group_at(heard, group.past)
        return (nxt.past, False) if nxt is not None and 1 <= nxt.value <= 9 else (first, False)
    return (group.past, not group.spoken) if 1 <= group.value <= 31 and group.digits <= 2 else (first, False)


def _skip(heard: Utterance, place: int) -> int:
    """Index of the next word that is more than ``of`` or ``the``, three further at most."""
    limit = min(place + 3, len(heard.words))
    while place < limit and heard.words[place] in _SMALL and heard.gaps[place] != HARD:
        place += 1
    return place


def _scan_dates(heard: Utterance) -> Iterator[Stretch]:
    for place, kind in enumerate(heard.kinds):
        if not kind & MONTH or (kind & NUMBER and not heard.is_capital(place)):  # "sept" is French for seven
            continue
        doubtful = heard.words[place] in DOUBTFUL_MONTHS and not (heard.is_capital(place) and place and heard.gaps[place] == SOFT)
        first, sure = _day_before(heard, place)
        if first < place:
            year = year_at(heard, place + 1)
            if year > place + 1 or sure or not doubtful:
                yield first, max(year, place + 1)
                continue
        past = _after_month(heard, place, doubtful=doubtful)
        if past > place + 1:
            yield place, past


def _day_before(heard: Utterance, month: int) -> tuple[int, bool]:
    """Index of the first word of a day that ends before a month (or the month's own), and whether it can only be a day."""
    if heard.gaps[month] == HARD:
        return month, False
    end = month
    while end > 0 and month - end < 2 and heard.words[end - 1] in _SMALL and heard.words[end - 1] != "in":
        end -= 1
    for first in range(max(end - 3, 0), end):
        past, sure = _day_at(heard, first)
        if past == end:
            return first, sure
    return month, False


def _after_month(heard: Utterance, month: int, *, doubtful: bool) -> int:
    """Index after the day and the year that follow a month, or the year alone; after the month where none does."""
    first = _skip(heard, month + 1)
    if first >= len(heard.words) or heard.gaps[first] == HARD:
        return month + 1
    whole = year_at(heard, first)
    if whole > first and _is_long_year(heard, first, whole):
        return whole
    day, sure = _day_at(heard, first)
    if day == first or (day < len(heard.words) and heard.gaps[day] == SOFT and heard.kinds[day] & UNIT and not sure):
        return month + 1
    begin = _skip_fill(heard, day)
    year = year_at(heard, begin)
    if year > begin:
        return year
    return month + 1 if doubtful and not sure else day


def _is_long_year(heard: Utterance, first: int, past: int) -> bool:
    """Whether a year is written with its century, or with an ``oh``: it stands behind a month without a day."""
    group = group_at(heard, first)
    if group is None:
        return False
    return (
        group.digits == 4 or (group.past < past and group.value in {0, 18, 19, 20}) or (heard.words[first - 1] == "of" and group.value > 31)
    )


def _skip_fill(heard: Utterance, place: int) -> int:
    limit = min(place + 3, len(heard.words))
    while place < limit and heard.gaps[place] != HARD and heard.kinds[place] & FILL and heard.words[place] not in {"and", "right", "well"}:
        place += 1
    return place


def _scan_ordinals(heard: Utterance) -> Iterator[Stretch]:
    """``the third of the fourth fifty eight``."""
    place, count = 0, len(heard.words)
    while place < count:
        day = _ordinal_at(heard, place)
        if day == place:
            place += 1
            continue
        of = _skip(heard, day)
        month = _ordinal_at(heard, of) if "of" in heard.words[day:of] or "the" in heard.words[day:of] or of == day else of
        if month > of:
            past = year_at(heard, month)
            if past > month or "of" in heard.words[day:of]:
                yield place, past
                place = past
                continue
        place = day


def _scan_slashed(heard: Utterance) -> Iterator[Stretch]:
    """``four slash nine slash sixty two``; two numbers where a birth or an expiry was spoken of."""
    words = heard.words
    if _STROKES.isdisjoint(words):
        return
    past = 0
    for place, word in enumerate(words):
        if word not in _STROKES or place < past or place == 0:
            continue
        first = next((i for i in range(max(place - 3, 0), place) if (day := _small_at(heard, i)) and day == place), place)
        if first == place:
            continue
        past, parts = place, 1
        while past < len(words) and words[past] in _STROKES and (nxt := _small_at(heard, past + 1)):
            past, parts = nxt, parts + 1
        if parts >= 3 or (parts == 2 and not _CARD_CUES.isdisjoint(words[max(first - 4, 0) : first])):
            yield first, past


def _small_at(heard: Utterance, first: int) -> int:
    """Index after a number of up to four digits that begins at a word, with an ``oh`` before it; 0 where none does."""
    if first >= len(heard.words) or not heard.kinds[first] & (NUMBER | NUMERAL):
        return 0
    group = group_at(heard, first)
    if group is None or group.digits > 4:
        return 0
    nxt = group_at(heard, group.past) if group.past < len(heard.words) and heard.kinds[group.past] & (NUMBER | NUMERAL) else None
    follows = nxt is not None and heard.gaps[group.past] == SOFT and (group.value == 0 or (group.value in {18, 19, 20} and nxt.digits == 2))
    return nxt.past if nxt is not None and follows else group.past


def _scan_birthdays(heard: Utterance) -> Iterator[Stretch]:
    """``her birthday is the eleventh``, ``the eleventh is her birthday``: a day alone, where a birth was spoken of."""
    for place, word in enumerate(heard.words):
        if word.removesuffix("'s") not in {"birthday", "birthdate", "born"}:
            continue
        day = _birthday_before(heard, place)
        if day is not None:
            yield day
            continue
        first = place + 1
        limit = min(place + 5, len(heard.words))
        while first < limit and heard.words[first] in _BIRTHDAY_LINKS:
            first += 1
        past = _ordinal_at(heard, first)
        if past > first > place + 1:
            yield first, past


def _birthday_before(heard: Utterance, place: int) -> Stretch | None:
    """The day that is told to be the birthday named at a word: ``the twenty first's my birthday``."""
    words = heard.words
    if place < 2 or words[place - 1] not in _OWNERS:
        return None
    last = place - 2 - (words[place - 2] in {"is", "was"})
    if last < 0 or HARD in heard.gaps[last + 1 : place + 1]:
        return None
    day = words[last] if last < place - 2 else words[last].removesuffix("'s")
    written = day in _ORDINAL_ENDS and last > 0 and bool(heard.kinds[last - 1] & NUMERAL)
    if not written and (day not in ORDINALS or (last == place - 2 and day == words[last])):
        return None
    return (last - 1 if written or (last and words[last - 1] in _TENS_BEFORE_ORDINAL) else last), last + 1


def _scan_ages(heard: Utterance) -> Iterator[Stretch]:
    words, count = heard.words, len(heard.words)
    place = 0
    while place < count:
        if not heard.kinds[place] & NUMBER or (group := group_at(heard, place)) is None:
            place += 1
            continue
        first, place = group.first, group.past
        if not OLDEST_TOLD < group.value <= _OLDEST or (heard.kinds[first - 1] & NUMBER and first):
            continue
        nxt = words[place] if place < count and heard.gaps[place] == SOFT else ""
        if nxt in _YEARS:
            old = place + 1 < count and words[place + 1] in _OLD
            if old or nxt in {"ans", "jahre"} or _aged(heard, first):
                yield first, place + 1 + old
        elif nxt == "and" and words[place : place + 3] == ["and", "a", "half"] and _aged(heard, first):
            yield first, place + 3
        elif _aged(heard, first) and nxt not in _NOT_AGED and not (nxt and heard.kinds[place] & (UNIT | NUMBER)):
            yield first, place


def _aged(heard: Utterance, first: int) -> bool:
    """Whether a word that tells an age stands before: ``she's``, ``my mother is``, ``aged``."""
    words = heard.words
    for _ in range(2):
        if first and words[first - 1] in {"a", "almost", "nearly", "now", "about", "uh", "um"}:
            first -= 1
    if first == 0 or not (words[first - 1] in _AGE_CUES or (words[first - 1].endswith("'s") and words[first - 1][:-2] in _PEOPLE)):
        return False
    before = words[first - 1]
    if before not in _AGE_CUES:
        return True
    if before in {"at", "to", "be"} and first > 1 and words[first - 2] in _DIED:
        return before != "be" or not _PEOPLE.isdisjoint(words[max(first - 5, 0) : first - 2])
    return before not in {"is", "was", "are", "be", "am", "at", "to"} or (first > 1 and words[first - 2] in _PEOPLE)


RULES: Final = (
    SpokenRule(
        name="date",
        entity="DATE_TIME",
        needs=MONTH,
        scan=_scan_dates,
        hits=(
            "march third nineteen fifty eight", "the third of march", "on may 3", "july fourth",
            "december twenty first two thousand and three",
            "june the fifth", "third march fifty eight", "may the second oh four", "february two nineteen oh four",
            "born july of two thousand three",
            "le trois mars mille neuf cent cinquante-huit", "dritter März achtundfünfzig", "am dritten märz", "le premier avril",
            "october twenty two uh nineteen eighty", "twenty eighth of february",
        ),
        misses=(
            "in march", "it may help", "may i ask", "since august", "march on two legs", "you may take two", "by the end of june",
            "it may one day stop", "sept huit neuf", "may be two weeks",
        ),
    ),
    SpokenRule(
        name="ordinal_date",
        entity="DATE_TIME",
        needs=ORDINAL | NUMERAL,
        scan=_scan_ordinals,
        hits=("the third of the fourth fifty eight", "third of the fourth", "twenty third of the eleventh nineteen sixty"),
        misses=("the third one", "first of all", "the second time", "for the first and the second dose", "the third of my kids"),
    ),
    SpokenRule(
        name="slashed_date",
        entity="DATE_TIME",
        needs=NUMBER | NUMERAL,
        scan=_scan_slashed,
        hits=("four slash nine slash sixty two", "4 slash 9 slash 1962", "oh four slash oh nine slash nineteen sixty two",
            "expires eleven slash twenty seven"),
        misses=("one twenty slash eighty", "and slash or", "one slash two tablets", "slash four"),
    ),
    SpokenRule(
        name="birthday",
        entity="DATE_TIME",
        needs=0,
        scan=_scan_birthdays,
        hits=(
            "my birthday is the eleventh", "her birthday's on the twenty second", "born on the 3rd", "the thirtieth's my birthday",
            "the twenty first is her birthday", "the 3rd was his birthday",
        ),
        misses=("her first birthday", "born third of four kids", "born second", "it was her birthday on sunday", "that is my birthday",
            "the first my birthday present"),
    ),
    SpokenRule(
        name="age",
        entity="AGE",
        needs=NUMBER,
        scan=_scan_ages,
        hits=(
            "ninety three years old", "she's ninety one", "a hundred and two years old", "aged ninety-five", "my mother is ninety four",
            "quatre-vingt-dix-sept ans", "siebenundneunzig jahre alt", "a ninety year old man", "he is almost a hundred",
            "he died at ninety nine", "she's going to be ninety three",
            "he's ninety one and a half", "the old man's ninety six",
        ),
        misses=(
            "she's ninety percent better", "ninety eight point six", "he is forty two", "ninety over sixty", "i'm a hundred percent sure",
            "it's ninety degrees", "it's going to be ninety today", "keep it at ninety", "a hundred pounds", "eighty nine years old",
            "the dose is one hundred", "the man's ninety percent sure",
        ),
    ),
)  # fmt: skip
"""Rules for spoken days and ages."""
