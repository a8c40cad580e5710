"""Words that a cue makes a secret or a handle: passwords, user names, lettered phone numbers and plates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, JOIN, LETTER, NUMBER, NUMERAL, TIMES, UNIT
from phi_guard.detect.speech.ordinary import GRAMMAR, NOT_NAMES
from phi_guard.detect.speech.utterance import HARD, SOFT, SpokenRule, Stretch, Utterance

_CUES: Final = frozenset(
    """
    password passphrase passcode passwort kennwort username login nickname screenname gamertag instagram insta twitter tiktok
    snapchat venmo paypal zelle skype telegram discord linkedin plate kennzeichen
    """.split()  # noqa: SIM905
)
_PAIRS: Final = frozenset(
    {
        ("memorable", "word"), ("secret", "word"), ("security", "word"), ("security", "answer"), ("code", "word"), ("safe", "word"),
        ("user", "name"), ("user", "id"), ("login", "name"), ("screen", "name"), ("account", "name"), ("skype", "name"), ("plate",
        "number"),
        ("profile", "name"), ("pet's", "name"), ("maiden", "name"), ("magic", "word"), ("my", "handle"), ("twitter", "handle"),
    }
)  # fmt: skip
"""Cues of two words."""
_SECONDS: Final = frozenset(second for _, second in _PAIRS)
_SAYS: Final = frozenset("is was it's its at says reads under called ist lautet heißt".split())  # noqa: SIM905
_LINKS: Final = _SAYS | frozenset("name id handle word the my would be will should uh um er account so just like".split())  # noqa: SIM905
_REACH: Final = 5
"""Words between the cue and its value."""
_LONGEST: Final = 5
"""Words of a value."""
_STATES: Final = frozenset(
    """
    protected locked expired reset invalid incorrect blank required secure saved forgotten rejected accepted recognized
    recognised disabled enabled case numeric deactivated
    """.split()  # noqa: SIM905
)
"""What may be said of a secret without telling it."""
_SIGNS: Final = frozenset("dot underscore dash hyphen at slash colon".split())  # noqa: SIM905


def _past_cue(heard: Utterance, place: int) -> int:
    """Index after a cue that ends at a word, or the word's own."""
    words = heard.words
    if words[place] in _CUES or (place and (words[place - 1], words[place]) in _PAIRS):
        return place + 1
    return place


def _scan_handles(heard: Utterance) -> Iterator[Stretch]:
    words, count = heard.words, len(heard.words)
    if _CUES.isdisjoint(words) and _SECONDS.isdisjoint(words):
        return
    past = 0
    for place in range(count):
        if place < past or (first := _past_cue(heard, place)) == place:
            continue
        told = False
        limit = min(first + _REACH, count)
        while first < limit and heard.gaps[first] != HARD and words[first] in _LINKS:
            told = told or words[first] in _SAYS
            first += 1
        if first >= count or heard.gaps[first] == HARD or not (told or words[first - 1] != words[place] or words[place] == "instagram"):
            continue
        end = _value_past(heard, first)
        if end > first:
            yield first, end
            past = end


def _value_past(heard: Utterance, first: int) -> int:
    """Index after up to five words that are no state of a secret, from a first one that is neither grammar nor ordinary."""
    words, kinds = heard.words, heard.kinds
    word = words[first]
    if (
        (word in GRAMMAR and not kinds[first] & LETTER)
        or word in _STATES
        or (word in NOT_NAMES and not kinds[first] & (NUMBER | NUMERAL | LETTER))
    ):
        return first
    past = first
    while (
        past < min(first + _LONGEST, len(words))
        and (past == first or heard.gaps[past] == SOFT)
        and (words[past] not in GRAMMAR or kinds[past] & (NUMBER | NUMERAL | LETTER | TIMES) or words[past] in _SIGNS)
    ):
        past += 1
    return past


def _scan_vanity(heard: Utterance) -> Iterator[Stretch]:
    """``one eight hundred flowers``: a free number told by words."""
    words, count = heard.words, len(heard.words)
    for place in range(count - 2):
        past = place
        if words[place] in {"1", "one"} and words[place + 1] in {"800", "888", "877", "866", "855", "844", "833"}:
            past = place + 2
        elif words[place] in {"1", "one"} and words[place + 1] == "eight" and words[place + 2] == "hundred":
            past = place + 3
        while past > place and past < count and (words[past] in {"-", "dash"} or heard.kinds[past] & FILL):
            past += 1
        first = past
        while (
            past > place
            and past < min(first + 3, count)
            and heard.gaps[past] == SOFT
            and not heard.kinds[past] & (UNIT | FILL | JOIN | NUMBER | NUMERAL)
            and (words[past] not in GRAMMAR or past > first or words[past] in {"get", "call", "go"})
        ):
            past += 1
        if past > first > place:
            yield place, past


RULES: Final = (
    SpokenRule(
        name="handle",
        entity="USERNAME",
        needs=0,
        scan=_scan_handles,
        hits=(
            "my password is marmalade seven", "the memorable word is bluebird", "username is tulip dot nine", "my instagram is tulip",
            "on venmo it's tulip dash four", "the plate says tulip", "my handle is at tulip nine", "das passwort ist tulpe",
        ),
        misses=(
            "my password is not working", "i forgot my password", "the password is wrong", "my password is expired", "reset my password",
            "i saw it on instagram", "a plate and eight screws", "the plate in my wrist hurts", "paypal is fine", "i can handle it",
            "the handle is broken", "mainly i handle the loading", "my login is locked", "is the password the same",
        ),
        score=0.5,
    ),
    SpokenRule(
        name="lettered_phone",
        entity="PHONE_NUMBER",
        needs=NUMBER | NUMERAL,
        scan=_scan_vanity,
        hits=("one eight hundred tulips", "1-800-TULIPS", "call one eight hundred get tulips"),
        misses=("one eight hundred milligram tablet", "i take 1 800 milligram tablet", "one eight hundred and two", "one in eight hundred"),
        score=0.6,
    ),
)  # fmt: skip
"""Rules for secrets, handles and numbers told by words."""
