"""Numbers read from words: ``two thousand and three`` is one, ``four four one`` are three."""

from __future__ import annotations

from typing import Final, NamedTuple

from phi_guard.detect.speech.lexicon import NUMBER, NUMERAL, ONES, SCALES, TEENS, TENS, TIMES
from phi_guard.detect.speech.utterance import SOFT, Utterance

_LONGEST_NUMERAL: Final = 12
_PRESSURE_WORDS: Final = 8
"""Words of the longest blood pressure."""


class Group(NamedTuple):
    """One number that was said.

    Attributes:
        first: index of its first word.
        past: index after its last.
        value: the number; -1 where it was written with too many digits to matter.
        digits: how many digits it is written with (a leading ``oh`` is one; ``double four`` are two).
        spoken: whether any of it was a word.
    """

    first: int
    past: int
    value: int
    digits: int
    spoken: bool


def group_at(heard: Utterance, first: int) -> Group | None:
    """The number that begins at a word, as long as it goes, or None.

    Args:
        heard: the words.
        first: index of the word.
    """
    kind = heard.kinds[first]
    if kind & NUMERAL:
        return _written(heard, first)
    if kind & TIMES:
        return _repeated(heard, first)
    if not kind & NUMBER:
        return None
    return _said(heard, first)


def _written(heard: Utterance, first: int) -> Group:
    word = heard.words[first]
    short = len(word) <= _LONGEST_NUMERAL
    return Group(first, first + 1, int(word) if short else -1, len(word), spoken=False)


def _repeated(heard: Utterance, first: int) -> Group | None:
    nxt = first + 1
    if nxt >= len(heard.words):
        return None
    times = 3 if heard.words[first].startswith("tr") else 2
    value = ONES.get(heard.words[nxt])
    if value is None and heard.kinds[nxt] & NUMERAL and len(heard.words[nxt]) == 1:
        value = int(heard.words[nxt])
    if value is None and heard.words[nxt] == "o":
        value = 0
    return None if value is None else Group(first, nxt + 1, value, times, spoken=True)


def _said(heard: Utterance, first: int) -> Group:
    """Greedy: tens take a digit after them, hundreds and thousands take what is smaller."""
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    total = current = 0
    ceiling = 10_000  # what comes next in this part must be below it
    place = first
    joined = first  # index after the last word that counts; an "and" before nothing is not part of it
    while place < count and (place == first or gaps[place] == SOFT):
        word = words[place]
        if place > first and word in {"and", "et", "und"} and ceiling in {10, 20, 100, 1000}:
            place += 1
            continue
        value = _value(word)
        if value is None:
            break
        if value in {100, 1000} and word in SCALES:
            if place > first and words[place - 1] in {"and", "et", "und"}:
                break
            if value == 100:
                if current >= 100 or (current == 0 and total == 0 and place > first):
                    break
                current = (current or 1) * 100
                ceiling = 100
            else:
                if total:
                    break
                total, current = (current or 1) * 1000, 0
                ceiling = 1000
        elif word in {"vingt", "vingts"} and current % 100 == 4 and words[place - 1] == "quatre":
            current += 76  # four twenties
            ceiling = 20
        elif place == first or value < ceiling:
            if place > first and value == 0:
                break
            and_before = place > first and words[place - 1] in {"and", "et", "und"}
            if and_before and ceiling <= 20 and word not in {"un", "onze"}:
                break
            current += value
            ceiling = 10 if word == "dix" and place > first else _next_ceiling(word, value)
        else:
            break
        place += 1
        joined = place
    value = total + current
    return Group(first, joined, value, len(str(value)), spoken=True)


def _next_ceiling(word: str, value: int) -> int:
    if word == "soixante":
        return 20
    if value >= 1000:
        return 100
    if value >= 100:
        return 100 if value % 100 == 0 else 0
    if word == "quatre":
        return 1  # only "vingt" may follow, which is read above
    return 10 if value >= 20 and value % 10 == 0 and (word in TENS) else 0


def _value(word: str) -> int | None:
    value = ONES.get(word)
    if value is not None:
        return value
    value = TEENS.get(word)
    if value is not None:
        return value
    value = TENS.get(word)
    if value is not None:
        return value
    value = SCALES.get(word)
    return value if value is not None else _compound(word)


def _compound(word: str) -> int | None:
    """A German number written in one word, up to 9999."""
    total = 0
    for part, scale in (("tausend", 1000), ("hundert", 100)):
        head, found, tail = word.partition(part)
        if found:
            factor = 1 if not head else _below_hundred(head)
            if factor is None:
                return None
            total += factor * scale
            word = tail.removeprefix("und") if not tail.startswith("undzwanzig") else tail
    if not word:
        return total or None
    rest = _below_hundred(word)
    return None if rest is None else total + rest


def _below_hundred(word: str) -> int | None:
    if word == "ein":
        return 1
    for table in (ONES, TEENS, TENS):
        if word in table:
            return table[word]
    head, found, tail = word.rpartition("und")
    if found and tail in TENS:
        one = 1 if head == "ein" else ONES.get(head)
        return None if one is None else TENS[tail] + one
    return None


def is_pressure(heard: Utterance, first: int, past: int) -> bool:
    """Whether a run is a blood pressure with its stroke said aloud: ``one forty two slash ninety one``.

    Args:
        heard: the words.
        first: index of its first word.
        past: index after its last.
    """
    if past - first > _PRESSURE_WORDS or heard.words[first:past].count("slash") != 1:
        return False
    stroke = heard.words.index("slash", first)
    upper, lower = _digits_of(heard, first, stroke), _digits_of(heard, stroke + 1, past)
    return upper.isdecimal() and lower.isdecimal() and 60 <= int(upper) <= 260 and 30 <= int(lower) <= 160


def _digits_of(heard: Utterance, place: int, past: int) -> str:
    """The digits that words stand for, one number after the other; empty where a word is none."""
    digits = ""
    while place < past:
        group = group_at(heard, place) if heard.kinds[place] & (NUMBER | NUMERAL) else None
        if group is None:
            return ""
        digits += str(group.value)
        place = group.past
    return digits
