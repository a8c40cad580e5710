"""Names spelled letter by letter, with or without a spelling alphabet, and the word that was spelled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import (
    ABBREVIATIONS,
    AS_IN,
    CODE,
    ENGLISH_CODE,
    FILL,
    JOIN,
    LETTER,
    LETTER_NAMES,
    NUMBER,
    NUMERAL,
    TIMES,
)
from phi_guard.detect.speech.ordinary import NOT_NAMES
from phi_guard.detect.speech.utterance import DOT, HARD, SOFT, SpokenRule, Stretch, Utterance

_BRIDGE: Final = 3
_ARTICLES: Final = frozenset("ai")
_SPELLING_CUES: Final = frozenset(
    """
    spelled spelt spell spells spelling s'écrit épelle buchstabiert geschrieben name surname initial initials plate postcode password
    """.split()  # noqa: SIM905
)
_BETWEEN: Final = frozenset("uh um er like that's that is it's it spelled spelt spell spelling so and yeah which s'écrit ça".split())  # noqa: SIM905
"""Words between a name and its spelling."""
_BEFORE_A_LETTER: Final = frozenset("vitamin vitamins hepatitis type grade plan part group stage schedule class level omega".split())  # noqa: SIM905
_ENDINGS: Final = frozenset("ends end ending starts start begins begin beginning spelled spelt spell".split())  # noqa: SIM905
_VOWELS: Final = frozenset("aeiouyäöüéèáíóúåøæ")
_COUNTS: Final = frozenset("a an one two double three".split())  # noqa: SIM905
_SPELLED_AGREES: Final = 0.6
"""Share of a spelling that the word beside it must share, from the first letter on."""


def _letter_at(heard: Utterance, place: int) -> tuple[str, int]:
    """The letter (or the letters, where doubled) said at a word, and the index after it; empty where none is."""
    kind, words, count = heard.kinds[place], heard.words, len(heard.words)
    nxt = place + 1
    if kind & TIMES and nxt < count and heard.gaps[nxt] == SOFT:
        if words[nxt] in {"u", "you"} and words[place] == "double":
            return "w", nxt + 1
        if heard.kinds[nxt] & LETTER:
            return words[nxt][0] * 2, nxt + 1
        return "", place
    if not kind & LETTER:
        return "", place
    return LETTER_NAMES.get(words[place], words[place]), nxt


def _scan_spelled(heard: Utterance) -> Iterator[Stretch]:
    place, count = 0, len(heard.words)
    while place < count:
        letter, past = _letter_at(heard, place)
        if not letter:
            place += 1
            continue
        first = place
        spelled, last = [letter], past
        place, bridge = past, 0
        marks = 0
        stops = place < count and heard.gaps[place] == DOT  # "b. y. r. o. n."
        while place < count and bridge <= _BRIDGE and heard.gaps[place] <= (DOT if stops else SOFT):
            letter, past = _letter_at(heard, place)
            if letter:
                marks += not heard.text[heard.ends[place - 1] : heard.starts[place]].isspace()
                if place > last or "," in heard.text[heard.ends[place - 1] : heard.starts[place]]:
                    spelled.append("")
                spelled[-1] += letter
                place = last = past
                bridge = 0
            elif heard.kinds[place] & (FILL | JOIN) and heard.words[place] not in {"is", "was", "it's", "that's", "and"}:
                place += 1
                bridge += 1
            else:
                break
        place = last
        word = "".join(spelled)
        if _is_spelling(heard, first, last, spelled, marks=marks):
            yield _with_word(heard, first, last, word)


def _is_spelling(heard: Utterance, first: int, past: int, parts: list[str], *, marks: int) -> bool:
    word = "".join(parts)
    told = sum(letter not in _ARTICLES for letter in word)
    if len(word) < 2 or told < 1:
        return False
    cued = _is_cued(heard, first) or _agrees(heard, first, past, word) is not None
    if not cued and (all(_is_abbreviation(part) for part in parts) or len(set(word)) == 1):
        return False
    if len(word) == 2:
        return cued and told == 2
    if len(word) <= 4 and not cued and _VOWELS.isdisjoint(word):
        return False  # an abbreviation nobody listed: names have a vowel
    return told >= 2 or cued or marks >= 2


def _is_abbreviation(word: str) -> bool:
    """Whether letters spell an abbreviation, also with a plural, an article or an ``i`` beside it."""
    bare = word[1:] if word[0] in _ARTICLES else word
    forms = {word, bare} | {form[:-1] for form in (word, bare) if form[-1:] in {"a", "i"} or (form[-1:] == "s" and len(form) > 3)}
    if not forms.isdisjoint(ABBREVIATIONS):
        return True
    return len(word) >= 9 and len(word) % 3 == 0 and all(word[i : i + 3] in ABBREVIATIONS for i in range(0, len(word), 3))


def _is_cued(heard: Utterance, first: int) -> bool:
    """Whether a word that announces a spelling or a name stands before, with nothing but ``is`` and fillers between."""
    for place in range(first - 1, max(first - 5, -1), -1):
        if heard.words[place] in _SPELLING_CUES:
            return True
        if heard.words[place] not in _BETWEEN or heard.gaps[place + 1] == HARD:
            return False
    return False


def _agrees(heard: Utterance, first: int, past: int, word: str) -> int | None:
    """Index of the word beside a spelling that it spells, or None."""
    step = first - 1
    for _ in range(4):
        if step < 0:
            break
        if _alike(heard.words[step], word):
            return step
        if heard.words[step] not in _BETWEEN:
            break
        step -= 1
    step = past
    for _ in range(4):
        if step >= len(heard.words):
            break
        if _alike(heard.words[step], word):
            return step
        if heard.words[step] not in _BETWEEN:
            break
        step += 1
    return None


def _alike(word: str, spelled: str) -> bool:
    word = word.removesuffix("'s")
    if len(word) < 2 or word[0] != spelled[0]:
        return False
    same = 0
    for one, other in zip(word, spelled, strict=False):
        if one != other:
            break
        same += 1
    return same >= 2 and (same == len(spelled) or same >= _SPELLED_AGREES * max(len(word), len(spelled)))


def _with_word(heard: Utterance, first: int, past: int, word: str) -> Stretch:
    beside = _agrees(heard, first, past, word)
    if beside is None:
        return first, past
    return min(first, beside), max(past, beside + 1)


def _told_at(heard: Utterance, place: int) -> tuple[int, bool]:
    """Index after ``b as in boy`` at a word (or the word's own), and whether it can be nothing else."""
    words, count = heard.words, len(heard.words)
    letter, past = _letter_at(heard, place)
    if not letter or past + 1 >= count or words[past] not in AS_IN or heard.gaps[past] == HARD:
        return place, False
    word = past + 1
    if words[past] == "as":
        if words[word] != "in" or word + 1 >= count:
            return place, False
        return word + 2, True
    if len(words[word]) < 2:
        return place, False
    same = words[word][0] == letter[0] and letter not in _ARTICLES
    after_term = place > 0 and (words[place - 1] in _BEFORE_A_LETTER or bool(heard.kinds[place - 1] & LETTER))
    return word + 1, same and not after_term


def _scan_told(heard: Utterance) -> Iterator[Stretch]:
    """Letters told by a word, once where the word begins with the letter, else two in a row."""
    place, count = 0, len(heard.words)
    while place < count:
        past, sure = _told_at(heard, place)
        if past == place:
            place += 1
            continue
        first, last, told = place, past, 1
        spelled = heard.words[place][0]
        place, bridge = past, 0
        while place < count and bridge <= _BRIDGE and heard.gaps[place] != HARD:
            past, also = _told_at(heard, place)
            if past > place:
                spelled += heard.words[place][0]
                told, sure, last, place, bridge = told + 1, sure or also, past, past, 0
            elif heard.kinds[place] & LETTER and heard.words[place] not in _ARTICLES:
                spelled += heard.words[place][0]
                last = place = place + 1
            elif heard.kinds[place] & (FILL | JOIN | NUMBER | NUMERAL):
                place, bridge = place + 1, bridge + 1
            else:
                break
        place = last
        if sure or told >= 2:
            yield _with_word(heard, first, last, spelled) if told >= 2 else (first, last)


def _scan_code(heard: Utterance) -> Iterator[Stretch]:
    """Three words of a spelling alphabet in a row, or two with a letter or digit among them."""
    place, count = 0, len(heard.words)
    kinds = heard.kinds
    while place < count:
        if not kinds[place] & CODE:
            place += 1
            continue
        first, coded, plain, bridge = place, 1, 0, 0
        last = place = place + 1
        while place < count and bridge <= _BRIDGE and heard.gaps[place] != HARD:
            kind = kinds[place]
            if kind & CODE:
                coded += 1
            elif (kind & LETTER and heard.words[place] not in _ARTICLES) or kind & (NUMBER | NUMERAL):
                plain += 1
            elif kind & (FILL | JOIN):
                place, bridge = place + 1, bridge + 1
                continue
            else:
                break
            last = place = place + 1
            bridge = 0
        place = last
        if coded >= 3 or (coded == 2 and plain >= 1 and (plain + coded >= 4 or heard.words[first] in ENGLISH_CODE)):
            yield first, last


def _scan_with(heard: Utterance) -> Iterator[Stretch]:
    """``smith with a y``: the word, and the letter that tells it."""
    words, count = heard.words, len(heard.words)
    for place in range(count - 1):
        if words[place] not in {"with", "without", "avec", "mit"} or heard.gaps[place] == HARD:
            continue
        nxt = place + 1
        if words[nxt] in _COUNTS | {"no", "un", "deux", "einem", "zwei", "an"} and nxt + 1 < count:
            nxt += 1
        elif words[nxt] not in {"double"}:
            continue
        letter = words[nxt].removesuffix("'s")
        if len(letter) == 2 and letter[1] == "s" and words[nxt - 1] in {"two", "double", "three", "no"}:
            letter = letter[0]  # "two ls"
        if len(letter) != 1 or not letter.isalpha() or (letter in _ARTICLES and words[nxt - 1] == "a" and letter == "i"):
            continue
        if place + 1 == nxt or heard.gaps[nxt] != SOFT:
            continue
        letters = sum(1 for kind in heard.kinds[nxt + 1 : nxt + 3] if kind & LETTER)
        if letters > 1:
            continue
        nxt += letters
        if place and words[place - 1] not in _ENDINGS | _BEFORE_A_LETTER and words[place - 1] not in NOT_NAMES:
            yield place - 1, nxt + 1


RULES: Final = (
    SpokenRule(
        name="letters",
        entity="SPELLED",
        needs=LETTER,
        scan=_scan_spelled,
        hits=(
            "b y r o n", "B-Y-R-O-N", "b. y. r. o. n.", "byron b y r o n", "b y r o n byron", "a double l y", "w u that's it spelled w u",
            "it is a, d, a", "double u o o", "byron, that's b y r uh o n", "zee o e", "my last name is l e e",
        ),
        misses=(
            "b.i.d. for 3 days", "p r n", "I a sick", "vitamin D", "e.g.", "an m r i", "the e k g", "at five p m", "the u s a", "o k",
            "the a b c s", "watch t v", "c t scan", "a u t i", "i a i", "i d", "n s a i d s", "a c b c, a c r p and an m r i",
            "y y y y", "a u t i. I had it", "c m v", "b m p c b c c r p", "the name of the m r i",
        ),
    ),
    SpokenRule(
        name="letters_told",
        entity="SPELLED",
        needs=LETTER,
        scan=_scan_told,
        hits=(
            "b as in boy, y as in yellow", "y as in yellow", "b for bravo", "chang c as in cat h as in hot", "s for sugar",
            "n like nancy", "that is b as in boy",
            "c wie cäsar", "b comme bernard y comme yvonne", "a comme anatole b comme berthe", "m as in mary um n as in nancy",
        ),
        misses=("vitamin d for bones", "i like tea", "vitamin c for colds", "my t s h for hormones", "a for effort", "i like ice",
            "hepatitis b for babies"),
    ),
    SpokenRule(
        name="letters_code",
        entity="SPELLED",
        needs=CODE,
        scan=_scan_code,
        hits=("bravo yankee romeo", "alpha delta uh alpha", "anton berta cäsar", "x ray bravo four seven tango", "sugar uncle mike",
            "anatole berthe célestin", "zulu zulu nine", "nora ocean robert"),
        misses=("my dog likes sugar", "the hotel in india", "delta in november", "it was easy", "how easy", "a hotel in november"),
    ),
    SpokenRule(
        name="letters_with",
        entity="PERSON",
        needs=0,
        scan=_scan_with,
        hits=("smith with a y", "that's catherine with a k", "anne with an e", "jon without an h", "philipp with two p's",
            "lynn with two ns",
            "stephen with a p h"),
        misses=("it ends with a t", "with a cough", "with a b c d", "tea with a friend", "it is with a c section", "with two",
            "vitamins with a d"),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for spelled names."""
