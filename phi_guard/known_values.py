"""What the field rules redact in a call becomes, for the rest of that call, a deny-list for its free text. In memory only.

A detector may not know a name; the payload that says ``patient_name`` beside the free text does. Values and texts are compared folded:
without case, accents, invisible characters and the many forms of an apostrophe, a hyphen or a digit.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Final

from phi_guard.detect.harmless import WORDS
from phi_guard.model import Detection

TERMS_MAX: Final = 500
"""Words and digit runs remembered for one call, for named fields and for unknown ones each, so that memory and a search stay bounded."""
VALUE_MAX: Final = 200
"""Characters of a value worth learning; longer ones are free text themselves."""
DIGITS_MIN: Final = 5
"""Fewer digits are a year, a time or a dose."""

_OURS: Final = re.compile(r"<REDACTED(?:_KEY_\d{1,9})?>")
_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|['-](?=[^\W\d_]))+")
_PIECES: Final = re.compile(r"['-]")
_DIGITS: Final = re.compile(r"\d(?:[\W_]{0,3}\d){4,}")
_ALIKE: Final = {**dict.fromkeys("’‘ʼ`´′", "'"), **dict.fromkeys("‐‑‒–—−", "-")}
_PLAINER: Final = str.maketrans(_ALIKE)
# Words that stand in a field where nothing was told, or in every address: they are no one's name.
_ORDINARY: Final = WORDS | frozenset("avenue caller given near none null place provided road route same street unknown".split())  # noqa: SIM905  # reads as the list it is


class KnownValues:
    """The identifying values of one call, and where they stand in a text: whole, by name part, or as the same digits spaced otherwise.

    Threads may share one. Once a named field's value finds no room any more, every text counts as holding one.

    Cost: `add` is O(length); `find` is one pass of one compiled pattern over the text, rebuilt only after an `add`.
    """

    __slots__ = ("_digits", "_full", "_lock", "_pattern", "_room", "_terms")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._terms: set[str] = set()
        self._digits: set[str] = set()
        self._room = {True: TERMS_MAX, False: TERMS_MAX}
        self._full = False
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str, *, named: bool) -> None:
        """Learn a redacted value.

        Args:
            value: the raw value.
            named: True when the policy names its field; of an unknown field's value only capitalised words and digits are learnt,
                since it may be an ordinary word.
        """
        if not 2 <= len(value) <= VALUE_MAX:
            return
        value = _OURS.sub(" ", value).strip()
        digits = _number(fold(value)[0])
        terms = _terms(value, named=named)
        with self._lock:
            new = terms - self._terms
            numbers = {digits} - self._digits if len(digits) >= DIGITS_MIN else set()
            if len(new) + len(numbers) > self._room[named]:
                self._full |= named
                return
            if new or numbers:
                self._room[named] -= len(new) + len(numbers)
                self._terms |= new
                self._digits |= numbers
                self._pattern = None

    def is_one(self, value: str) -> bool:
        """Whether a whole value is one that was learnt, in any case, or has the same digits."""
        folded = fold(value.strip())[0]
        with self._lock:
            return self._full or folded in self._terms or _number(folded) in self._digits

    def find(self, text: str) -> list[Detection]:
        """Where learnt values stand in the text, however written; digits whatever stands between them."""
        with self._lock:
            terms, numbers, full = bool(self._terms), tuple(self._digits), self._full
            if terms and self._pattern is None:
                longest_first = sorted(self._terms, key=lambda t: (-len(t), t))
                self._pattern = re.compile(r"(?<![^\W\d_])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![^\W\d_])")
            pattern = self._pattern
        if full:
            return [_known(0, len(text))]
        if not terms and not numbers:
            return []
        folded, places = fold(text)
        found: list[tuple[int, int]] = []
        if pattern is not None:
            # Two letters are a name only where they are written as one: "Wu", not "wu".
            spans = (m.span() for m in pattern.finditer(folded))
            found += [(start, end) for start, end in spans if end - start > 2 or text[places[start] if places else start].isupper()]
        if numbers:
            for m in _DIGITS.finditer(folded):
                number = _number(m.group())  # 079 … is +41 79 … to those who dial it
                if any(k in number or (len(number) >= DIGITS_MIN and number in k) for k in numbers):
                    found.append(m.span())
        if places:
            # One character may fold to several: a match that ends among them takes it whole.
            return [_known(places[start], max(places[end], places[end - 1] + 1)) for start, end in found]
        return [_known(start, end) for start, end in found]


def fold(text: str) -> tuple[str, list[int]]:
    """The text without case, accents and invisible characters, and where each character of it, and its end, stands in the text.

    The list is empty where every character stands in its own place.
    """
    if text.isascii():
        return text.lower(), []
    parts: list[str] = []
    places: list[int] = []
    for at, char in enumerate(text):
        plain = _fold(char)
        parts.append(plain)
        places += [at] * len(plain)
    return "".join(parts), [*places, len(text)]


@lru_cache(maxsize=4096)
def _fold(char: str) -> str:
    if char in _ALIKE:
        return _ALIKE[char]
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    plain = unicodedata.normalize("NFKD", char).casefold()
    return "".join(c for c in plain if unicodedata.category(c) not in {"Mn", "Me", "Cf"})


def _terms(value: str, *, named: bool) -> set[str]:
    """The words of a value that may be a name's, each also in its pieces; of a named field's also the whole, and the words run together."""
    terms: set[str] = set()
    written = unicodedata.normalize("NFC", value.translate(_PLAINER))
    words = _WORD.findall(written)
    for word in words:
        # Two letters in lower case are a particle or an ordinary word.
        capital = word[:1].isupper()
        if (named or capital) and (len(word) > 2 or (named and capital)):
            halves = word.split("-")  # O'Neil-Smith is also O'Neil, ONeil, Neil and Smith
            parts = (word, _PIECES.sub("", word), *halves, *(half.replace("'", "") for half in halves), *_PIECES.split(word))
            terms |= {fold(part)[0] for part in parts if len(part) > 2 or part is word}
    terms = {term for term in terms if term not in _ORDINARY}
    if named and terms and len(value) > 3:  # shorter wholes are initials and would hit ordinary words
        terms.add(fold(value)[0])
        joined = fold(_PIECES.sub("", "".join(words)))[0]
        if len(words) > 1 and len(joined) > 5:
            terms.add(joined)
    elif named and len(value) > 3 and any(c.isdecimal() for c in value):
        terms.add(fold(value)[0])
    return terms


def _number(folded: str) -> str:
    """The digits of a folded text, without the zeros in front that a dialling prefix puts there, unless too few would be left."""
    digits = "".join(c for c in folded if c.isdecimal())
    bare = digits.lstrip("0")
    return bare if len(bare) >= DIGITS_MIN else digits


def _known(start: int, end: int) -> Detection:
    return Detection(start, end, "KNOWN_VALUE", 1.0, "known_values")
