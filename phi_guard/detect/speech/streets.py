"""Street addresses said aloud, in English, French and German."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import (
    CLEAR_STREETS,
    FILL,
    FRENCH_STREETS,
    GERMAN_STREETS,
    LETTER,
    NUMBER,
    NUMERAL,
    ORDINAL,
    SOUND,
    STREET,
    STREETS,
    TENS,
    TIMES,
    UNIT,
)
from phi_guard.detect.speech.ordinary import GRAMMAR, NOT_NAMES
from phi_guard.detect.speech.quantities import group_at
from phi_guard.detect.speech.utterance import HARD, SOFT, SpokenRule, Stretch, Utterance

_NAME: Final = 4
"""Words of a street's name before ``street``."""
_NUMBER_REACH: Final = 14
"""Words of a house number, fillers and corrections included."""
_FRENCH_LINKS: Final = frozenset("de du des la le les l d au aux".split())  # noqa: SIM905
_DIRECTIONS: Final = frozenset("north south east west northeast northwest southeast southwest upper lower old new saint st".split())  # noqa: SIM905
_LIVING: Final = frozenset("live lives lived living address located moved move moving house home staying stay wohne habite corner".split())  # noqa: SIM905
_HOME_CUES: Final = frozenset("live lives lived living address located reside resides moved house mail send sent deliver delivered".split())  # noqa: SIM905
_HOME_LINKS: Final = frozenset("at on is was to it's the it my".split())  # noqa: SIM905
_DWELLINGS: Final = frozenset("apartment apt unit suite floor flat room number building bldg lot house".split())  # noqa: SIM905
_NOT_STREETS: Final = frozenset(
    """
    hour hours minute minutes mile miles block blocks day days long short one two-way first second third right wrong same other only best
    good bad every any some no own main-ly easier better possible safe hard half all each different normal usual
    """.split()  # noqa: SIM905
)


def _is_number(heard: Utterance, place: int) -> bool:
    return bool(heard.kinds[place] & (NUMBER | NUMERAL | TIMES))


def _number_before(heard: Utterance, past: int) -> int:
    """Index of the first word of a house number that ends before a word (or the word's own)."""
    place = first = past
    floor = max(past - _NUMBER_REACH, 0)
    while place > floor and heard.gaps[place] == SOFT if place < len(heard.gaps) else place > floor:
        place -= 1
        if _is_number(heard, place) or (
            heard.kinds[place] & LETTER and heard.words[place] not in {"i"} and first == place + 1 and _is_number(heard, first)
        ):
            first = place
        elif not heard.kinds[place] & (FILL | SOUND):
            break
    while first < past and not _is_number(heard, first):
        first += 1
    return first


def _scan_streets(heard: Utterance) -> Iterator[Stretch]:
    words, kinds = heard.words, heard.kinds
    past = 0
    for place, kind in enumerate(kinds):
        if place < past or not kind & STREET:
            continue
        found = None
        if words[place] in FRENCH_STREETS:
            found = _french(heard, place)
        if found is None and words[place] in STREETS:
            found = _english(heard, place)
        if found is None and words[place].endswith(GERMAN_STREETS):
            found = _german(heard, place)
        if found is not None and found[1] > past:
            past = _with_dwelling(heard, found[1])
            yield max(found[0], 0), past


def _english(heard: Utterance, head: int) -> Stretch | None:
    """``twelve north oak street``; for words that are hardly anything else, also ``on oak street``."""
    words, kinds = heard.words, heard.kinds
    place = head
    while place > 0 and head - place < _NAME and heard.gaps[place] == SOFT:
        word = words[place - 1]
        counted = _is_number(heard, place - 1) and not (place < head and kinds[place] & ORDINAL and word in TENS)
        if counted or (not kinds[place - 1] & ORDINAL and (word in GRAMMAR or word in _NOT_STREETS or kinds[place - 1] & UNIT)):
            break
        place -= 1
    named = place < head
    if not named and head > 0 and _is_number(heard, head - 1) and heard.gaps[head] == SOFT and words[head + 1 : head + 2] == ["of"]:
        past = head + 2  # "nine avenue of the pines"
        while past < min(head + 5, len(words)) and heard.gaps[past] == SOFT and (words[past] not in GRAMMAR or words[past] == "the"):
            past += 1
        return (_number_before(heard, head), past) if words[past - 1] not in {"of", "the"} and words[head] in CLEAR_STREETS else None
    ordinal = any(kinds[i] & ORDINAL for i in range(max(place - 1, 0), head))
    if place > 0 and heard.gaps[place] == SOFT and _is_number(heard, place - 1) and (named or ordinal):
        first = _number_before(heard, place)
        if first < place and not _measures(heard, place - 1, head):
            return first, head + 1
    if not named or words[head] not in CLEAR_STREETS:
        lives = any(words[i] in _LIVING for i in range(max(place - 4, 0), place))
        return (place, head + 1) if named and lives and words[place - 1] in {"on", "at", "is", "of", "to"} and place else None
    if all(words[i] in NOT_NAMES and words[i] not in _DIRECTIONS and not kinds[i] & ORDINAL for i in range(place, head)):
        return None
    return place, head + 1


def _measures(heard: Utterance, number: int, head: int) -> bool:
    """Whether the number counts what follows: ``two hour drive``, ``ten minute way``."""
    return any(heard.words[i] in _NOT_STREETS and not heard.kinds[i] & ORDINAL for i in range(number + 1, head))


def _french(heard: Utterance, head: int) -> Stretch | None:
    """``sept rue du lac``: a number before, or a name with its article after."""
    words, count = heard.words, len(heard.words)
    place = past = head + 1
    taken = 0
    while place < count and taken < 3 and heard.gaps[place] == SOFT and not _is_number(heard, place):
        word = words[place]
        if word in _FRENCH_LINKS:
            place += 1
            continue
        if word in GRAMMAR or not word[0].isalpha():
            break
        taken += 1
        place = past = place + 1
    if not taken:
        return None
    first = _number_before(heard, head)
    linked = words[head + 1] in _FRENCH_LINKS
    if first == head and not (linked and words[head] in {"rue", "chemin", "impasse", "allée", "quai", "avenue", "boulevard", "faubourg"}):
        return None
    if first < head and words[head] in {"place", "route", "square", "court"} and not linked:
        return None
    if first == head and past < count and heard.gaps[past] == SOFT and _is_number(heard, past):
        group = group_at(heard, past)
        past = group.past if group else past
    return first, past


def _german(heard: Utterance, head: int) -> Stretch | None:
    """``bahnhofstrasse zwölf``: the number after it, or a word that can only be a street."""
    words, count = heard.words, len(heard.words)
    nxt = head + 1
    group = group_at(heard, nxt) if nxt < count and heard.gaps[nxt] == SOFT and _is_number(heard, nxt) else None
    if group is not None:
        return head, group.past
    return (head, head + 1) if words[head].endswith(("strasse", "straße", "gasse")) and len(words[head]) > 7 else None


def _with_dwelling(heard: Utterance, past: int) -> int:
    """Index after ``apartment four b`` where that follows."""
    words, count = heard.words, len(heard.words)
    place = past
    while place < min(past + 3, count) and heard.gaps[place] != HARD and (heard.kinds[place] & FILL):
        place += 1
    if place >= count or words[place] not in _DWELLINGS or heard.gaps[place] == HARD:
        return past
    place += 1
    end = place
    while end < min(place + 6, count) and heard.gaps[end] == SOFT and (_is_number(heard, end) or heard.kinds[end] & LETTER):
        end += 1
    return end if end > place else past


def _scan_boxes(heard: Utterance) -> Iterator[Stretch]:
    """``p o box four four one``, ``the corner of oak and pine``."""
    words, count = heard.words, len(heard.words)
    for place in range(count):
        word = words[place]
        if word == "box" and place and words[place - 1] in {"o", "po", "office", "p.o"}:
            past = _run_past(heard, place + 1)
            if past > place + 1:
                yield place + 1, past
        elif word == "corner" and place + 2 < count and words[place + 1] == "of":
            first = place + 2
            past = first
            while (
                past < min(first + 10, count)
                and heard.gaps[past] == SOFT
                and (words[past] not in GRAMMAR or _is_number(heard, past) or words[past] == "and")
            ):
                past += 1
            if "and" in words[first:past] and words[past - 1] != "and" and (words[first] not in NOT_NAMES or heard.kinds[first] & ORDINAL):
                yield first, past


def _scan_homes(heard: Utterance) -> Iterator[Stretch]:
    """``lives at nine harbour view``: what follows a word of dwelling, up to grammar, where a number is in it."""
    words, count = heard.words, len(heard.words)
    for place in range(count):
        if words[place] not in _HOME_CUES:
            continue
        first = place + 1
        limit = min(place + 5, count)
        while first < limit and heard.gaps[first] != HARD and (words[first] in _HOME_LINKS or heard.kinds[first] & FILL):
            first += 1
        if first == place + 1 and not (words[place] == "address" and first < count and _is_number(heard, first)):
            continue
        past = first
        numbered = tail = last = -1
        while past < min(first + 12, count) and heard.gaps[past] != HARD:
            if _is_number(heard, past):
                numbered = past if numbered < 0 else numbered
                tail, last = past, past + 1
            elif heard.kinds[past] & (FILL | SOUND):
                pass
            elif (words[past] in GRAMMAR and words[past] not in _FRENCH_LINKS) or (
                words[past] in NOT_NAMES and not heard.kinds[past] & STREET
            ):
                break
            else:
                last = past + 1
            past += 1
        measured = past < count and heard.kinds[past] & UNIT and last == past
        if first <= numbered <= first + 6 and not (measured and tail == past - 1 and numbered == first):
            yield first, last


def _run_past(heard: Utterance, place: int) -> int:
    past = place
    limit = min(place + _NUMBER_REACH, len(heard.words))
    while place < limit and heard.gaps[place] != HARD:
        if _is_number(heard, place):
            past = place + 1
        elif not heard.kinds[place] & (FILL | SOUND) and heard.words[place] not in {"number", "is"}:
            break
        place += 1
    return past


RULES: Final = (
    SpokenRule(
        name="home",
        entity="ADDRESS",
        needs=NUMBER | NUMERAL,
        scan=_scan_homes,
        hits=("she lives at nine harbour view", "my address is four four one lindenhof", "i moved to twelve birchfield",
            "living at 9 pinehurst"),
        misses=(
            "i live on two floors", "living at home for two years", "she lives with two kids", "i moved to a new house",
            "we live on two acres",
            "sent to the lab", "send it to me in two days", "moved on",
        ),
        score=0.6,
    ),
    SpokenRule(
        name="street",
        entity="ADDRESS",
        needs=STREET,
        scan=_scan_streets,
        hits=(
            "twelve oak street", "one two three main street apartment four b", "fifty two eleven north maple avenue",
            "number seven rue du lac",
            "i live on oak street", "bahnhofstrasse zwölf", "sept rue du lac", "four four one uh no five elm drive", "221 baker street",
            "ten east fifty second street", "two oh one west third street", "chemin des roses douze", "lindenweg sieben",
            "my address is nine pine lane",
            "nineteen o'hara court", "forty two fifth avenue", "nine nine one avenue of the pines",
        ),
        misses=(
            "a two hour drive", "one way or another", "across the street", "a long way", "close to home", "two hours drive",
            "i drive two hours",
            "in the first place", "ten minute drive", "down the road", "two blocks down the street", "a place", "one in three courts",
            "the main street",
        ),
        score=0.7,
    ),
    SpokenRule(
        name="box",
        entity="ADDRESS",
        needs=0,
        scan=_scan_boxes,
        hits=("p o box four four one", "post office box nine", "po box number twelve oh two", "the corner of oak and pine",
            "corner of fifth and main"),
        misses=("a box of four", "the corner of my eye", "the corner of the mouth and the lip", "box"),
        score=0.7,
    ),
)  # fmt: skip
"""Rules for spoken street addresses."""
