"""Digits said one by one, in pairs, doubled, mixed with letters: what carries identity, told from doses, vitals and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from phi_guard.detect.speech.cues import LINKS, STRONG, VITALS, WEAK
from phi_guard.detect.speech.lexicon import (
    ABBREVIATIONS,
    FILL,
    JOIN,
    LETTER,
    NUMBER,
    NUMERAL,
    SOUND,
    STRONG_JOINS,
    TIMES,
    UNIT,
)
from phi_guard.detect.speech.quantities import Group, group_at, is_pressure
from phi_guard.detect.speech.utterance import HARD, SOFT, SpokenRule, Stretch, Utterance

_BRIDGE: Final = 5
"""Words that may stand between two digits of one run: ``four, no wait, sorry, uh, five``."""
_WRITTEN_ONE_BY_ONE: Final = 5
"""Written digits apart from each other that nobody would count so."""
_REACH: Final = 8
"""Words between a cue and its number."""

_SPELLED_CUES: Final = frozenset("ssn mrn dob id mbi npi nhs vin pin otp cvv cvc ip pnr dea".split())  # noqa: SIM905
_HEIGHTS: Final = frozenset({"foot", "feet", "pounds", "stone"})
_BODY: Final = frozenset("pressure bp temperature temp fever sugar weight weigh weighed pulse rate cholesterol between aged".split())  # noqa: SIM905
_AFTER_RANGE: Final = frozenset({"the", "one", "two", "three", "four", "five", "six"})
_RANGES: Final = frozenset({"or", "percent", "over", "by", "times"})
_OWNERS: Final = frozenset("my his her your our their is it's its it that's are was".split())  # noqa: SIM905
_AFTER_CUES: Final = frozenset(
    "number phone zip code extension mrn pin account id ssn social birthday policy member cell fax last four digits".split()  # noqa: SIM905
)
_SPINE: Final = frozenset("clts")
"""Letters of vertebrae: C four, L five."""
_OBSTETRIC: Final = frozenset("gpatl")
"""Letters of a pregnancy's count: G two P one."""
_COUNTINGS: Final = frozenset({(1, 2, 3), (3, 2, 1), (9, 1, 1), (9, 8, 8)})
"""Three digits that are nobody's: counting, and the emergency numbers."""
_SPELLED_UNITS: Final = frozenset({"mg", "cc", "ml", "kg", "cm", "mm", "pm", "am", "iu", "gm", "mc", "lb", "bp"})
_ARTICLES: Final = frozenset("ai")


@dataclass(frozen=True, slots=True)
class _Run:
    """Numbers and letters with nothing but fillers and signs between.

    Args:
        first: index of the first word.
        past: index after the last.
        groups: the numbers.
        letters: the single letters, joined.
        joined: whether a hyphen was said between.
    """

    first: int
    past: int
    groups: tuple[Group, ...]
    letters: str
    joined: bool

    @property
    def digits(self) -> int:
        return sum(group.digits for group in self.groups)

    @property
    def spoken(self) -> bool:
        return any(group.spoken for group in self.groups)


def _runs(heard: Utterance) -> Iterator[_Run]:
    kinds, count = heard.kinds, len(heard.words)
    place = 0
    while place < count:
        if not kinds[place] & (NUMBER | NUMERAL | TIMES | LETTER):
            place += 1
            continue
        run = _run_at(heard, place)
        if run is None:
            place += 1
            continue
        yield run
        place = run.past


def _run_at(heard: Utterance, start: int) -> _Run | None:
    kinds, words, gaps, count = heard.kinds, heard.words, heard.gaps, len(heard.words)
    groups: list[Group] = []
    letters: list[str] = []
    joined = False
    place = past = start
    bridge = 0
    while place < count and bridge <= _BRIDGE:
        if place > start and gaps[place] != SOFT:
            break
        kind = kinds[place]
        if groups and kind & LETTER and place + 1 < count and words[place] + words[place + 1] in _SPELLED_UNITS:
            break
        if groups and words[place] == "o" and place + 1 < count and kinds[place + 1] & (NUMBER | NUMERAL):
            groups.append(Group(place, place + 1, 0, 1, spoken=True))
            place += 1
        elif (
            kind & LETTER
            and not kind & NUMBER
            and not (place > past and kinds[place - 1] & SOUND)
            and _stands(heard, place, past if groups or letters else place)
        ):
            letters.append(words[place])
            place += 1
        elif kind & (NUMBER | NUMERAL | TIMES) and (group := group_at(heard, place)) is not None:
            if groups and place > past and any(words[i] in STRONG_JOINS for i in range(past, place)):
                joined = True
            groups.append(group)
            place = group.past
        elif kind & (FILL | JOIN | SOUND | LETTER) and words[place] != "point":
            if not groups and not letters:
                return None
            place += 1
            bridge += 1
            continue
        else:
            break
        past = place
        bridge = 0
    return _Run(start, past, tuple(groups), "".join(letters), joined) if groups else None


def _stands(heard: Utterance, place: int, past: int) -> bool:
    """Whether a letter stands for itself: ``a`` and ``i`` do only right beside a letter or a digit on both sides."""
    if heard.words[place] not in _ARTICLES:
        return True
    nxt = place + 1
    after = nxt < len(heard.words) and heard.gaps[nxt] == SOFT and heard.kinds[nxt] & (NUMBER | NUMERAL | LETTER)
    ends = nxt == len(heard.words) or heard.gaps[nxt] == HARD
    return (bool(after) or ends) and place == past and place > 0 and bool(heard.kinds[place - 1] & (NUMBER | NUMERAL | LETTER))


def _scan_runs(heard: Utterance) -> Iterator[Stretch]:
    """Runs that are identity by their form, by a cue, or because they stand beside one that is."""
    last_found = -1_000
    waiting: _Run | None = None
    points, chain, past, tight = (
        0,
        0,
        -1,
        True,
    )  # numbers parted by "point" alone: three in a row are an IP address or a version, not a measure
    for run in _runs(heard):
        if 0 <= past == run.first - 1 and heard.words[past] == "point":
            points += 1
            points = points if tight else 1
            if points >= 2:
                yield chain, run.past
        else:
            points, chain = 0, run.first
        past = run.past
        tight = sum(group.past - group.first for group in run.groups) == run.past - run.first
        by_form = _is_identity(heard, run)
        if by_form or _is_cued(heard, run):
            if waiting is not None and run.first - waiting.past <= 3 and _only_bridge(heard, waiting.past, run.first):
                yield waiting.first, waiting.past
            yield run.first, run.past
            last_found, waiting = run.past, None
        elif run.first - last_found <= 3 and _only_bridge(heard, last_found, run.first) and not _is_measured(heard, run):
            yield run.first, run.past
            last_found = run.past
        else:
            waiting = run if run.spoken else None


def _only_bridge(heard: Utterance, first: int, past: int) -> bool:
    if first == past:
        return heard.gaps[first] != HARD
    return all(heard.kinds[i] & (FILL | JOIN | SOUND) for i in range(first, past))


def _is_measured(heard: Utterance, run: _Run) -> bool:
    """Whether a unit follows, or a word that tells a quantity comes before."""
    words, nxt = heard.words, run.past
    if nxt < len(words) and heard.gaps[nxt] == SOFT and (heard.kinds[nxt] & UNIT or words[nxt] in _RANGES or words[nxt] == "point"):
        return True
    if nxt + 1 < len(words) and words[nxt] + words[nxt + 1] in _SPELLED_UNITS:
        return True
    if nxt + 1 < len(words) and words[nxt] in {"in", "or", "to"} and heard.gaps[nxt] == SOFT and words[nxt + 1] in _AFTER_RANGE:
        return True
    if run.first > 1 and words[run.first - 1] in {"over", "by", "point", "or", "to"} and heard.kinds[run.first - 2] & (NUMBER | NUMERAL):
        return True
    if run.first and words[run.first - 1] in _HEIGHTS:
        return True
    return _is_of_a_body(heard, run) or any(words[i] in VITALS for i in range(max(run.first - 4, 0), run.first))


def _is_of_a_body(heard: Utterance, run: _Run) -> bool:
    """Whether a word not far before tells of pressure, weight, ages."""
    for place in range(run.first - 1, max(run.first - 7, -1), -1):
        if heard.gaps[place + 1] != SOFT:
            return False
        if heard.words[place] in _BODY:
            return True
    return False


def _is_identity(heard: Utterance, run: _Run) -> bool:
    """Whether a run is somebody's, by its form alone."""
    groups = run.groups
    letters = run.letters
    if letters:
        return _is_mixed_identity(heard, run)
    if is_pressure(heard, run.first, run.past):
        return False
    if not run.spoken:
        return len(groups) >= _WRITTEN_ONE_BY_ONE and all(group.digits == 1 for group in groups)
    if len(groups) >= 4:
        if all(one.value in {18, 19, 20} and two.digits == 2 for one, two in zip(groups[::2], groups[1::2], strict=False)):
            return len(groups) > 6  # years
        return not (
            len(groups) == 4
            and run.digits <= 8
            and any(g.digits > 1 for g in groups)
            and not _is_repeated(heard, groups)
            and _is_of_a_body(heard, run)
        )
    if run.joined and len(groups) >= 2 and run.digits >= 3:
        return True
    if _is_measured(heard, run):
        return False
    if len(groups) == 3:
        return not _is_year(groups) and not _is_clock(heard, run) and tuple(g.value for g in groups) not in _COUNTINGS
    if len(groups) == 1:
        return _is_house_number(groups[0])
    return _is_repeated(heard, groups) and run.digits >= 3


def _is_repeated(heard: Utterance, groups: tuple[Group, ...]) -> bool:
    """Whether a digit was doubled or tripled: nobody counts tablets so."""
    return any(heard.kinds[g.first] & TIMES for g in groups)


def _is_mixed_identity(heard: Utterance, run: _Run) -> bool:
    letters, groups = set(run.letters), run.groups
    if run.first and heard.words[run.first - 1] in {"vitamin", "vitamins"}:
        return False
    if run.letters in ABBREVIATIONS or letters <= _ARTICLES:
        return len(groups) >= 4 and run.spoken
    if len(run.letters) == 1 and _is_code(run):
        return True
    alternates = len(run.letters) <= len(groups) and all(0 <= g.value <= 12 for g in groups)
    if letters <= _SPINE and alternates and len(groups) <= 8:
        return False
    if letters <= _OBSTETRIC and alternates and len(groups) <= 5:
        return False
    if run.letters in {"ac", "hn", "bc", "am", "pm"} and len(groups) < 4:
        return False
    return len(groups) + len(run.letters) >= 4 or (len(groups) + len(run.letters) == 3 and not _is_measured(heard, run) and len(groups) > 1)


def _is_code(run: _Run) -> bool:
    """Whether one letter and its digits are no list of vertebrae, which goes upwards: ``s oh oh one nine``."""
    values = [group.value for group in run.groups]
    upwards = all(one < other for one, other in pairwise(values))
    return len(values) >= 4 and (run.joined or not upwards)


def _is_year(groups: tuple[Group, ...]) -> bool:
    return groups[0].value in {18, 19, 20} and groups[1].value == 0 and groups[2].digits == 1


def _is_house_number(group: Group) -> bool:
    """Whether one number is too particular for a count or a year: ``five thousand and forty nine``."""
    return group.past - group.first >= 4 and group.value > 1000 and group.value % 50 != 0 and not 1800 <= group.value <= 2100


def _is_clock(heard: Utterance, run: _Run) -> bool:
    first, second, third = run.groups
    if not (1 <= first.value <= 12 and second.value == 0 and third.digits == 1):
        return False
    return run.first > 0 and heard.words[run.first - 1] in {"at", "by", "past", "after", "before", "since"}


def _is_cued(heard: Utterance, run: _Run) -> bool:
    """Whether a cue stands before it (or right after), strong enough for what the run holds."""
    words, gaps = heard.words, heard.gaps
    after = heard.words[run.past : run.past + 4]
    size = run.digits + len(run.letters)
    if run.letters in _SPELLED_CUES:
        return True
    if size >= 3 and len(after) >= 2 and after[0] in {"is", "was", "are"} and not _AFTER_CUES.isdisjoint(after[1:]):
        return True
    hard = 0
    owned = False
    for place in range(run.first - 1, max(run.first - 1 - _REACH, -1), -1):
        hard += gaps[place + 1] != SOFT
        if hard > 1:
            return False
        word = words[place].removesuffix("'s")
        if len(word) == 1 and place:
            word = "".join(words[max(place - 2, 0) : place + 1])
            word = word if word in _SPELLED_CUES else word[-2:]
        if word in _SPELLED_CUES or word in STRONG:
            if word == "birth" and place >= 2 and words[place - 1] != "of":
                return False
            return size >= 3 or not _is_measured(heard, run)
        if word in WEAK and (size >= 3 or (size >= 2 and owned)) and not _is_measured(heard, run):
            if word == "four" and (place == 0 or words[place - 1] != "last"):
                return False
            return word != "social" or size >= 3
        owned = owned or word in _OWNERS
        if word not in LINKS and words[place] not in LINKS and not heard.kinds[place] & (FILL | JOIN):
            return False
    return False


_SMALL_TALK: Final = frozenset("is it it's its that's that the my sure one hi hello thanks thank area code".split())  # noqa: SIM905


def _scan_answer(heard: Utterance) -> Iterator[Stretch]:
    """A whole turn of numbers and fillers: the answer to a question that asked for them."""
    if len(heard.words) > 40:
        return
    first = past = -1
    groups = digits = place = 0
    while place < len(heard.words):
        kind = heard.kinds[place]
        if kind & (NUMBER | NUMERAL | TIMES) and (group := group_at(heard, place)) is not None:
            groups, digits = groups + 1, digits + group.digits
            first = place if first < 0 else first
            place = past = group.past
        elif kind & (FILL | JOIN | SOUND) or heard.words[place] in _SMALL_TALK:
            place += 1
        else:
            return
    if 0 < heard.words[first:past].count("point") < 3:
        return
    if groups >= 2 and digits >= 3 and not is_pressure(heard, first, past) and any(heard.kinds[i] & NUMBER for i in range(first, past)):
        yield first, past


RULES: Final = (
    SpokenRule(
        name="digits",
        entity="DIGITS",
        needs=NUMBER | NUMERAL | TIMES,
        scan=_scan_runs,
        hits=(
            "four one five five five five", "it's double oh seven um three two", "nine eight seven six", "zéro un deux trois quatre",
            "null sieben neun fünf", "m r n four four one b two", "the plate was x k four four", "call me on 415 five five five oh one",
            "my number is forty four twelve", "extension nine", "the last four are eleven twelve", "apartment four b",
            "my zip is nine four one one oh", "my date of birth is three three fifty eight", "area code four eighty",
            "nine one to five five for two", "four four uh wait no sorry five one two", "triple five one two",
            "s s n is one two three", "my i d is four one", "s w one a two a a",
            "nine five dash two one", "six one one five is my pin", "four four one. two five five nine.", "born in fifty eight",
            "five thousand and forty nine", "student s oh oh one nine", "4 1 5 5 5 0 1 3 4", "l dash four four nine one",
            "ma date de naissance trois trois cinquante-huit", "one nine two point one six eight point zero point one",
        ),
        misses=(
            "one or two tablets", "two to three times", "one hundred and twenty over eighty", "10 20 30 40", "twenty five",
            "one forty over ninety", "five hundred milligrams", "ninety eight point six", "a temperature of one oh one point four",
            "one oh five over seventy", "it was in nineteen oh four", "at nine oh five", "l four l five", "vitamin b twelve",
            "two three times a day", "she is five foot eleven", "two thousand and nineteen", "g two p one", "six forty five",
            "the number one reason", "a number of times", "take two and then one", "my a one c is seven point two", "h one n one",
            "thirteen point three then seven point six", "i called nine one one", "one ninety five by eighty three",
            "four hundred m g and eighty m g tablets", "l two l three l three l four l five s one",
            "from nineteen ninety one nineteen ninety two",
            "my temperature last night it was one o one", "between one forty and one sixty", "vitamin b six and b twelve",
            "i'm five foot six and one forty",
            "one two three days", "it was one forty two slash ninety one", "my room is cold", "i have one daughter and two sons",
            "two in the morning one at night",
        ),
    ),
    SpokenRule(
        name="answer",
        entity="DIGITS",
        needs=NUMBER | NUMERAL | TIMES,
        scan=_scan_answer,
        hits=("it's forty four twelve", "four four one", "is it four eighty", "yeah fifty two eleven", "double four two"),
        misses=("twenty five", "one", "two or three", "it's five hundred milligrams", "uh two", "one hundred and four"),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for spoken digits."""
