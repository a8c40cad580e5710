"""Parts of an address told without a street: ``apartment b``, ``county road nine``, the answer to ``what's your address?``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, LETTER, NUMBER, NUMERAL, TIMES, UNIT
from phi_guard.detect.speech.ordinary import GRAMMAR
from phi_guard.detect.speech.quantities import group_at
from phi_guard.detect.speech.utterance import HARD, SOFT, SpokenRule, Stretch, Utterance

_DWELLINGS: Final = frozenset("apartment apt flat suite ste unit trailer lot building bldg penthouse wohnung appartement".split())  # noqa: SIM905
_BEFORE: Final = frozenset("a an one two three per each every many another of".split())  # noqa: SIM905
"""Words before ``unit`` or ``lot`` that make it a count."""
_ROADS: Final = frozenset("highway route interstate freeway hwy rte turnpike".split())  # noqa: SIM905
_OWNED_ROADS: Final = frozenset("county state farm rural ranch forest service township".split())  # noqa: SIM905
_ASKED_FOR: Final = frozenset({"address", "adresse", "street", "live"})
_SPEAKERS: Final = frozenset(
    """
    agent caller customer client patient operator user speaker rep representative receptionist assistant bot nurse me you unknown
    """.split()  # noqa: SIM905
)
_LEADS: Final = frozenset("it's its it is uh um er yes yeah sure okay ok so well the my address that's i live at on we're".split())  # noqa: SIM905
_LEAD_IN: Final = 8
_LONGEST: Final = 9
"""Words of an address that answers a question."""


def _counts(heard: Utterance, place: int) -> bool:
    return bool(heard.kinds[place] & (NUMBER | NUMERAL | TIMES))


def _scan_dwellings(heard: Utterance) -> Iterator[Stretch]:
    words, count = heard.words, len(heard.words)
    for place in range(count - 1):
        if words[place] not in _DWELLINGS or heard.gaps[place + 1] != SOFT or (place and words[place - 1] in _BEFORE):
            continue
        past = place + 1
        while past < min(place + 6, count) and heard.gaps[past] == SOFT and (_counts(heard, past) or _is_letter(heard, past)):
            past += 1
        if past == place + 1 or (past < count and heard.kinds[past] & UNIT and heard.gaps[past] == SOFT):
            continue
        yield place + 1, past


def _is_letter(heard: Utterance, place: int) -> bool:
    """Whether a letter stands for itself: ``a`` and ``i`` do only at an end or before a number."""
    if not heard.kinds[place] & LETTER:
        return False
    if heard.words[place] not in {"a", "i"}:
        return True
    nxt = place + 1
    return nxt >= len(heard.words) or heard.gaps[nxt] != SOFT or _counts(heard, nxt) or heard.words[nxt] == "dash"


def _scan_roads(heard: Utterance) -> Iterator[Stretch]:
    words, count = heard.words, len(heard.words)
    for place in range(count - 1):
        road = words[place] in _ROADS or (words[place] in {"road", "route"} and place > 0 and words[place - 1] in _OWNED_ROADS)
        if not road or heard.gaps[place + 1] != SOFT or not _counts(heard, place + 1):
            continue
        group = group_at(heard, place + 1)
        if group is None or (group.past < count and heard.kinds[group.past] & UNIT and heard.gaps[group.past] == SOFT):
            continue
        past = group.past
        while past < count and heard.gaps[past] == SOFT and _counts(heard, past) and (group := group_at(heard, past)) is not None:
            past = group.past
        yield place, past


def _scan_answers(heard: Utterance) -> Iterator[Stretch]:
    """After a question for an address: a number early in the answer, and what follows it."""
    words, count = heard.words, len(heard.words)
    if _ASKED_FOR.isdisjoint(words):
        return
    for place in range(count):
        if words[place] not in _ASKED_FOR:
            continue
        if words[place] == "live" and "where" not in words[max(place - 3, 0) : place]:
            continue
        asked = place + 1
        while asked < min(place + 6, count) and heard.gaps[asked] == SOFT:
            asked += 1
        if asked >= count or heard.gaps[asked] == SOFT or not _asks(heard, place, asked):
            continue
        first = asked
        while first < min(asked + _LEAD_IN, count) and (
            words[first] in _LEADS or words[first] in _SPEAKERS or (heard.kinds[first] & FILL and not _counts(heard, first))
        ):
            first += 1
        if (
            first >= count
            or not (_counts(heard, first) or heard.is_capital(first))
            or (first > asked and heard.gaps[first] == HARD and words[first - 1] not in _SPEAKERS)
        ):
            continue
        past = first
        while (
            past < min(first + _LONGEST, count)
            and (past == first or heard.gaps[past] == SOFT)
            and (words[past] not in GRAMMAR or _counts(heard, past))
        ):
            past += 1
        if any(_counts(heard, i) for i in range(first, past)):
            yield first, past


def _asks(heard: Utterance, place: int, asked: int) -> bool:
    """Whether a question mark or a new line ends the question, or a ``what`` or ``your`` stands before its word."""
    between = heard.text[heard.ends[asked - 1] : heard.starts[asked]]
    return (
        "?" in between
        or "\n" in between
        or any(word in {"what's", "what", "your", "where"} for word in heard.words[max(place - 5, 0) : place])
    )


RULES: Final = (
    SpokenRule(
        name="dwelling",
        entity="ADDRESS",
        needs=NUMBER | NUMERAL | LETTER,
        scan=_scan_dwellings,
        hits=("apartment b", "lot nineteen", "flat nine", "it's unit c dash four", "building four", "trailer 6", "apt a"),
        misses=(
            "it hurts a lot two days", "one unit a day", "a unit of blood", "apartment a friend has", "the building is cold",
            "unit five milliliters", "a lot a day", "lay flat a while", "a flat nine",
        ),
        score=0.5,
    ),
    SpokenRule(
        name="numbered_road",
        entity="ADDRESS",
        needs=NUMBER | NUMERAL,
        scan=_scan_roads,
        hits=("highway nine", "off county road nine", "state route sixty two", "farm road ten eleven", "i live on route 66"),
        misses=("on the highway two hours", "the road two days ago", "route of two", "the highway"),
        score=0.5,
    ),
    SpokenRule(
        name="address_answer",
        entity="ADDRESS",
        needs=NUMBER | NUMERAL,
        scan=_scan_answers,
        hits=(
            "what's your address? it's fifty five tulip", "Street address?\nCaller: 55 Tulip", "and your address please. um nine harbor",
            "Where do you live? Nine Tulip",
        ),
        misses=(
            "what's your address? it's on the card", "where do you live? with my two kids", "how long did she live? About a year",
            "I live alone. Two kids visit", "do you live alone? three kids and me",
        ),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for pieces of addresses."""
