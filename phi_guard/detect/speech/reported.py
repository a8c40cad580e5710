"""Names told by what somebody says of them: ``tell her gift called``, ``gift is my emergency contact``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, LETTER, NUMBER, NUMERAL
from phi_guard.detect.speech.ordinary import GRAMMAR, is_ordinary
from phi_guard.detect.speech.utterance import SOFT, SpokenRule, Stretch, Utterance

LONGEST: Final = 2
"""Words of a name."""

_DID: Final = frozenset("called calls came rang phoned stopped dropped says said needs wants texted".split())  # noqa: SIM905
"""What somebody did of whom it is told."""
_HEARERS: Final = frozenset("him her them you doctor".split())  # noqa: SIM905
_OWNERS: Final = frozenset("my his her our their your the".split())  # noqa: SIM905
_WHICH: Final = frozenset("emergency older younger oldest youngest little big new only first second legal foster step great".split())  # noqa: SIM905
_ROLES: Final = frozenset(
    """
    contact guardian son daughter wife husband mother father mom dad mum brother sister aunt uncle cousin niece nephew partner caregiver
    carer grandmother grandfather grandma grandpa grandson granddaughter boyfriend girlfriend roommate neighbor neighbour proxy
    """.split()  # noqa: SIM905
)
_BEGINNINGS: Final = frozenset("and but so well yes yeah no okay uh um oh because that hi hello".split())  # noqa: SIM905
"""Words after which a clause begins."""


def _is_name(heard: Utterance, place: int) -> bool:
    word = heard.words[place].removesuffix("'s")
    if heard.kinds[place] & (NUMBER | NUMERAL | LETTER | FILL) or not word.isalpha():
        return False
    return word not in GRAMMAR and not is_ordinary(word)


def _scan_tidings(heard: Utterance) -> Iterator[Stretch]:
    """``tell her (that) gift called``."""
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    for place in range(count - 3):
        if words[place] not in {"tell", "told"} or words[place + 1] not in _HEARERS:
            continue
        first = past = place + 2 + (words[place + 2] == "that")
        while past < min(first + LONGEST, count) and gaps[past] == SOFT and _is_name(heard, past):
            past += 1
        if first < past < count and gaps[past] == SOFT and words[past] in _DID:
            yield first, past


def _scan_kin(heard: Utterance) -> Iterator[Stretch]:
    """``gift is my emergency contact``, where the clause begins with the name."""
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    for place in range(1, count - 2):
        if words[place] not in {"is", "was"} or words[place + 1] not in _OWNERS or gaps[place] != SOFT:
            continue
        role = place + 2 + (words[place + 2] in _WHICH)
        if role >= count or words[role] not in _ROLES:
            continue
        first = place
        while first > 0 and place - first < LONGEST and (first == place or gaps[first] == SOFT) and _is_name(heard, first - 1):
            first -= 1
        if first < place and (first == 0 or gaps[first] != SOFT or words[first - 1] in _BEGINNINGS):
            yield first, place


RULES: Final = (
    SpokenRule(
        name="name_in_tidings",
        entity="PERSON",
        needs=0,
        scan=_scan_tidings,
        hits=("can you tell her gift called", "tell him that promise stopped by", "i told them beauty mabuza needs a refill"),
        misses=(
            "tell her that someone called", "tell her mom called", "tell them the pharmacy called", "tell you what happened", "tell her",
            "told me it came back", "tell him that it says no",
        ),
        score=0.5,
    ),
    SpokenRule(
        name="name_of_kin",
        entity="PERSON",
        needs=0,
        scan=_scan_kin,
        hits=("gift is my emergency contact", "yes beauty was my older sister", "okay so promise mabuza is the guardian"),
        misses=(
            "she is my sister", "this is my son", "cancer is my mom's fear", "what was her contact", "who is your guardian",
            "the pain is my problem", "my knowledge is the issue", "i think this is the first contact",
        ),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for names that others are told."""
