"""E-mail addresses, web addresses and handles said aloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import (
    AT,
    DOMAINS,
    JOIN,
    JOINS,
    LETTER,
    NUMBER,
    NUMERAL,
    PROVIDERS,
    TIMES,
    WEAK_PROVIDERS,
)
from phi_guard.detect.speech.ordinary import GRAMMAR
from phi_guard.detect.speech.utterance import DOT, HARD, SOFT, SpokenRule, Stretch, Utterance

_LONGEST_LOCAL: Final = 40
"""Words of the part before ``at``, for one spelled letter by letter."""
_LONGEST_DOMAIN: Final = 30
_PLAIN_WORDS: Final = 3
"""Words in a row that no sign joins, before ``at``."""
_LABELS: Final = 5
"""Words in a row that no sign joins, after ``at``."""
_DOT_WORDS: Final = frozenset({"dot", "point", "period", "punkt", "."})
_SIGNS: Final = frozenset("dot point period punkt hyphen dash underscore plus tiret bindestrich unterstrich minus . - _ +".split())  # noqa: SIM905
_FILLERS: Final = frozenset("uh um er erm ah like so and then the letter number you know i mean euh äh all one word lowercase".split())  # noqa: SIM905
_AT_TAIL: Final = frozenset("the rate sign of symbol".split())  # noqa: SIM905
_MAILS: Final = frozenset({"email", "mail", "courriel"})
_TOLD_BY: Final = frozenset("is it's address as the my her his your on file for that it to was uh um est ist yes".split())  # noqa: SIM905
"""Words between ``email`` and the address."""
_TOLD_WITHIN: Final = 8
_NOT_TOLD: Final = frozenset(
    """
    me you him them us it i we he she they not was were sent send get got check came please and but because so when right wrong same down
    up moment
    """.split()  # noqa: SIM905
)
"""Words that make talk about mail of it."""
_NOT_HOSTS: Final = frozenset("noon night midnight least most all work home once first this that".split())  # noqa: SIM905
"""Words after an ``at`` that tells when or where."""
_WEB: Final = frozenset({"www", "https", "http"})
_NOT_LABELS: Final = frozenset("the a an this that on in and or to of red".split())  # noqa: SIM905


def _after_at(heard: Utterance, place: int) -> int:
    """Index after ``at``, ``at the rate of``, ``at sign``."""
    place += 1
    limit = min(place + 3, len(heard.words))
    while (
        place < limit
        and heard.words[place] in _AT_TAIL
        and (heard.words[place] != "the" or (place + 1 < len(heard.words) and heard.words[place + 1] == "rate"))
    ):
        place += 1
    return place


def _domain_at(heard: Utterance, first: int) -> int:
    """Index after a domain that begins at a word (or the word's own): labels, then ``dot`` and a last one, or a known provider."""
    words, count = heard.words, len(heard.words)
    place = past = first
    limit = min(first + _LONGEST_DOMAIN, count)
    labels = 0
    while place < limit and (place == first or heard.gaps[place] <= DOT):
        word = words[place]
        if word in _DOT_WORDS:
            end = _top_level(heard, place + 1)
            if end > place + 1 and labels:
                past = place = end
                continue
            place += 1
        elif word in _FILLERS and word != "the":
            place += 1
        elif labels and heard.gaps[place] == DOT and word in DOMAINS and word not in GRAMMAR:
            place = past = place + 1
        elif word in _SIGNS:
            place += 1
        elif labels and past > first:
            break
        elif word in PROVIDERS or (word in WEAK_PROVIDERS and labels == 0):
            place = past = place + 1
            labels += 1
            if place < count and words[place] in {"com", "net", "org", "fr", "de", "ch"}:
                place = past = place + 1
        elif _is_label(heard, place) and (labels < _LABELS or heard.kinds[place] & (LETTER | NUMBER | NUMERAL)):
            labels += not heard.kinds[place] & (LETTER | NUMBER | NUMERAL) or labels == 0
            place += 1
            if place < count and words[place] == "com" and heard.gaps[place] == SOFT:
                place = past = place + 1
        else:
            break
    return past


def _is_label(heard: Utterance, place: int) -> bool:
    word = heard.words[place]
    return word.isalnum() and (
        word not in GRAMMAR or heard.kinds[place] & (LETTER | NUMBER | TIMES) != 0 or word in {"the", "my", "first", "of"}
    )


def _top_level(heard: Utterance, place: int) -> int:
    """Index after a top-level domain said as a word or letter by letter (or the word's own)."""
    words, count = heard.words, len(heard.words)
    while place < count and words[place] in {"uh", "um", "er"} and heard.gaps[place] == SOFT:
        place += 1
    if place >= count or heard.gaps[place] == HARD:
        return place
    if words[place] in DOMAINS or words[place] in {"comm", "calm", "come"}:
        return place + 1
    spelled = ""
    end = place
    while end < count and len(spelled) < 4 and heard.kinds[end] & LETTER:
        spelled += words[end][0]
        end += 1
        if spelled in DOMAINS and (end >= count or not heard.kinds[end] & LETTER):
            return end
    return place


def _local_before(heard: Utterance, at: int) -> int:
    """Index of the first word of the part before ``at`` (or its own)."""
    words, gaps, kinds = heard.words, heard.gaps, heard.kinds
    place = first = at
    plain = 0
    floor = max(at - _LONGEST_LOCAL, 0)
    while place > floor and gaps[place] <= DOT:
        place -= 1
        word = words[place]
        if word in _SIGNS:
            plain = 0
            if first <= place + 1:
                first = place
        elif kinds[place] & (LETTER | NUMBER | NUMERAL | TIMES):
            first = place
        elif word in _FILLERS:
            continue
        elif (
            word.isalpha()
            and (word not in GRAMMAR or (first == place + 1 and words[first] in _SIGNS and word not in _NOT_LABELS))
            and (plain < _PLAIN_WORDS)
        ):
            plain += 1
            first = place
        else:
            break
    while (
        first < at
        and words[first] in _SIGNS | {"a", "i"}
        and not (first + 1 < at and (kinds[first + 1] & LETTER or words[first + 1] in _SIGNS))
    ):
        first += 1
    return first


def _scan_mail(heard: Utterance) -> Iterator[Stretch]:
    past = 0
    for place, kind in enumerate(heard.kinds):
        if place < past or not kind & AT:
            continue
        word = heard.words[place]
        if word in {"at", "@", "arobase", "klammeraffe", "arroba"}:
            after = _after_at(heard, place)
            end = _domain_at(heard, after)
            first = max(_local_before(heard, place), past)
            if end > after and not (first == place and end == after + 1 and heard.words[after] in WEAK_PROVIDERS):
                yield first, end
                past = end
            elif (
                word != "at"
                or (after > place + 1 and heard.words[after - 1] in {"rate", "of", "sign"} and "rate" in heard.words[place:after])
            ) and first < place:
                yield first, min(after + 1, len(heard.words))
        elif word in PROVIDERS:
            end = max(_domain_at(heard, place), place + 1)
            yield (max(_local_before(heard, place), past) if end > place + 1 else place), end


def _scan_told(heard: Utterance) -> Iterator[Stretch]:
    """``my email is bob at the church``: an ``at`` soon after a cue, though what follows is no domain anybody knows."""
    words, count = heard.words, len(heard.words)
    if _MAILS.isdisjoint(words):
        return
    for place in range(count):
        if words[place] not in _MAILS:
            continue
        first, told = place + 1, False
        while first < min(place + 6, count) and words[first] in _TOLD_BY:
            told = told or words[first] in {"is", "it's", "address", "as", "to", "was", "est", "ist"}
            first += 1
        if not told or first >= count or heard.gaps[first] == HARD:
            continue
        at = next((i for i in range(first, min(first + _TOLD_WITHIN, count)) if words[i] in {"at", "@"} or heard.gaps[i] == HARD), first)
        if at == first or words[at] not in {"at", "@"} or words[first] in _NOT_TOLD or any(word in _NOT_TOLD for word in words[first:at]):
            continue
        past = at + 1
        while past < min(at + 6, count) and heard.gaps[past] == SOFT and (words[past] not in GRAMMAR or past <= at + 2):
            past += 1
        if past > at + 1 and words[at + 1] not in _NOT_HOSTS and not heard.kinds[at + 1] & (NUMBER | NUMERAL):
            yield first, past


def _scan_web(heard: Utterance) -> Iterator[Stretch]:
    """``www dot …``, ``https colon slash slash …``, ``ada underscore b``, ``byron dot net``."""
    words, count = heard.words, len(heard.words)
    place = 0
    while place < count:
        word = words[place]
        if word in _WEB or (word == "w" and words[place : place + 4] == ["w", "w", "w", "dot"]):
            past = _web_past(heard, place + 1)
            if past > place + 1:
                yield place, past
                place = past
                continue
        elif word in {"underscore", "unterstrich"}:
            first = _local_before(heard, place)
            past = place + 1
            if past < count and heard.gaps[past] == SOFT:
                past = _web_past(heard, past, past + 1)
            yield first, past
            place = past
            continue
        elif word in {"dot", "punkt"} and 0 < place < count - 1 and heard.gaps[place] == SOFT == heard.gaps[place + 1]:
            past = _dotted_past(heard, place)
            if past > place:
                yield max(_local_before(heard, place), 0), past
                place = past
                continue
        place += 1


def _web_past(heard: Utterance, place: int, past: int = 0) -> int:
    """Index after a run in which signs and labels alternate."""
    words, count = heard.words, len(heard.words)
    past = max(past, place)
    limit = min(place + _LONGEST_LOCAL, count)
    joined = False
    while place < limit and heard.gaps[place] <= DOT:
        word = words[place]
        if word in JOINS or word in _SIGNS or word == "/":
            joined = True
            past = place + 1
        elif heard.kinds[place] & (LETTER | NUMBER | NUMERAL):
            past = place + 1
        elif joined and word.isalnum():
            joined = False
            past = place + 1
        elif word not in {"uh", "um", "er"}:
            break
        place += 1
    return past


def _dotted_past(heard: Utterance, dot: int) -> int:
    """Index after what a ``dot`` joins to the word before it, or the dot's own index where it joins nothing."""
    words = heard.words
    before, after = words[dot - 1], words[dot + 1]
    if before in _NOT_LABELS or not before.isalnum():
        return dot
    end = _top_level(heard, dot + 1)
    if end > dot + 1 and words[dot + 1] not in {"in", "at", "it", "is", "be", "no", "me", "so", "come", "us"}:
        return _web_past(heard, end)
    if after in GRAMMAR or before in GRAMMAR or not after.isalnum() or heard.kinds[dot + 1] & JOIN:
        return dot
    return _web_past(heard, dot + 2)


RULES: Final = (
    SpokenRule(
        name="mail",
        entity="EMAIL_ADDRESS",
        needs=AT,
        scan=_scan_mail,
        hits=(
            "ada dot byron at mail dot example", "a d a underscore b at the clinic dot co dot uk", "ada at the rate gmail dot com",
            "ada at sign yahoo com", "ada arobase orange point fr", "ada klammeraffe web punkt de", "ada byron at gmail",
            "it's a hotmail",
            "b y r o n four four at g m x dot c h", "ada @ mail . example", "write to ada at outlook",
            "ada um dot byron at uh gmail dot um com",
            "ada byron at byron family dot org", "ada at gmail com", "ada byron eighty two gmail com",
            "ada at the university of byron dot edu", "at hotmail dot com", "at home care dot org",
        ),
        misses=(
            "meet me at the dot", "at 5 point 5", "pain at night", "at the clinic", "i live at home", "at nine point two", "look at me",
            "at the rate of ten a day", "at mail time", "it is worse at night. It wakes me", "a free visit at the office",
        ),
        score=0.8,
    ),
    SpokenRule(
        name="mail_told",
        entity="EMAIL_ADDRESS",
        needs=AT,
        scan=_scan_told,
        hits=("my email is bob at bob's", "the email address is pink lady at ada", "email it's admin at the church"),
        misses=("email me at work", "my email is down at the moment", "i sent the email to you at noon",
            "the email is at home", "the email is due at noon", "send an email to the clinic at nine"),
        score=0.6,
    ),
    SpokenRule(
        name="web",
        entity="URL",
        needs=JOIN | AT,
        scan=_scan_web,
        hits=(
            "www dot byron dot org slash ada", "https colon slash slash byron dot example slash one", "at ada underscore b",
            "w w w dot byron dot net",
            "ada dot byron", "byron dot net", "my handle is ada underscore byron",
        ),
        misses=("a red dot on the skin", "the dot is gone", "a dot", "six o'clock on the dot", "slash", "dash of salt", "dot matrix",
            "period pain"),
        score=0.7,
    ),
)  # fmt: skip
"""Rules for spoken addresses on the net."""
