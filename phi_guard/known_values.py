"""What the field rules redact in a call becomes, for the rest of that call, a deny-list for its free text. In memory only.

A detector may not know a name; the payload that says ``patient_name`` beside the free text does. Values and texts are compared folded:
without case, accents, invisible characters and the many forms of an apostrophe, a hyphen or a digit. In free text they are looked for as
they are told, too: dictated, spelled out, in words (see `phi_guard.known_forms`).
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from phi_guard.detect.harmless import WORDS
from phi_guard.known_forms import Forms, dates_of, emails_of, forms
from phi_guard.known_particles import begin, particles_in
from phi_guard.model import Detection

TERMS_MAX: Final = 500
"""Words and digit runs remembered for one call, for named fields and for unknown ones each, so that memory and a search stay bounded."""
VALUE_MAX: Final = 200
"""Characters of a value worth learning; longer ones are free text themselves."""
DIGITS_MIN: Final = 5
"""Fewer digits are a year, a time or a dose."""
FEW: Final = 32
"""Values that may be left unread while short texts are asked whether they could hold one."""
SHORT: Final = 128
"""Characters of a text short enough to ask first whether it could hold any value at all."""

NAME_MIN: Final = 4
"""Letters of a name, more than which it is also known without the e that stands for an umlaut's dots."""

_OURS: Final = re.compile(r"<REDACTED(?:_KEY_\d{1,9})?>")
_WORD: Final = re.compile(r"[^\W\d_](?:[^\W\d_]|['-](?=[^\W\d_]))+")
_PIECES: Final = re.compile(r"['-]")
_DIGITS: Final = re.compile(r"\d(?:[\W_]{0,3}\d){4,}")
_UMLAUTS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d"}
)
_ALIKE: Final = {**dict.fromkeys("’‘ʼ`´′", "'"), **dict.fromkeys("‐‑‒–—−", "-")}
_PLAINER: Final = str.maketrans(_ALIKE)
# Words that stand in a field where nothing was told, or in every address: they are no one's name.
_ORDINARY: Final = WORDS | frozenset("avenue caller given near none null place provided road route same street unknown".split())  # noqa: SIM905  # reads as the list it is


class KnownValues:
    """The identifying values of one call, and where they stand in a text: whole, by name part, as the same digits spaced otherwise, told.

    Args:
        alone: whether the particle of a name, such as von, is found alone too; else only with its name (see `phi_guard.known_particles`).

    Threads may share one. Once a named field's value finds no room any more, every text counts as holding one.

    Cost: `add` only takes the value down; what it may be found by is worked out when a text comes that could hold it, or any free text.
    `find` is a pass of a few compiled patterns over the text, rebuilt only after that. `holds` and `rules_out`, which are for short values
    that are kept, do not look for what is told.
    """

    __slots__ = (
        "_alone", "_dates", "_digits", "_emails", "_forms", "_full", "_gist", "_lock", "_particles", "_pattern", "_room", "_terms",
        "_unread",
    )  # fmt: skip

    def __init__(self, *, alone: bool = True) -> None:
        self._alone = alone
        self._lock = threading.Lock()
        self._terms: set[str] = set()
        self._particles: set[str] = set()
        self._digits: set[str] = set()
        self._dates: set[date] = set()
        self._emails: set[str] = set()
        self._forms: Forms | None = None
        self._room = {True: TERMS_MAX, False: TERMS_MAX}
        self._full = False
        self._pattern: re.Pattern[str] | None = None
        self._unread: dict[tuple[str, bool], None] = {}
        self._gist: _Gist | None = None

    def add(self, value: str, *, named: bool) -> None:
        """Learn a redacted value; see `add_all`."""
        self.add_all(((value, named),))

    def add_all(self, values: Iterable[tuple[str, bool]]) -> None:
        """Learn redacted values.

        Args:
            values: each raw value, and whether the policy names its field; of an unknown field's value only capitalised words and digits
                are learnt, since it may be an ordinary word.
        """
        with self._lock:
            for value, named in values:
                if 2 <= len(value) <= VALUE_MAX:
                    self._unread[value, named] = None
            self._gist = None
            if len(self._unread) > FEW:
                self._read()

    def _read(self) -> None:
        """Work out what the values taken down may be found by. The lock is held."""
        unread, self._unread, self._gist = self._unread, {}, None
        for given, named in unread:
            value = _OURS.sub(" ", given).strip()
            folded = fold(value)[0]
            digits = _number(folded)
            terms, particles = _terms(value, named=named)
            self._particles |= particles
            new = terms - self._terms - (set() if self._alone else particles)
            numbers = {digits} - self._digits if len(digits) >= DIGITS_MIN else set()
            if len(new) + len(numbers) > self._room[named]:
                self._full |= named
            elif new or numbers:
                self._room[named] -= len(new) + len(numbers)
                self._terms |= new
                self._digits |= numbers
                if named:
                    self._dates |= dates_of(folded)
                    self._emails |= emails_of(folded)
                self._pattern = self._forms = None

    def _read_for(self, text: str) -> None:
        """Read what was taken down, unless none of it can be in the text. The lock is held."""
        if not self._unread:
            return
        if len(text) <= SHORT and len(self._terms) + len(self._digits) < TERMS_MAX // 2 and text.isascii():
            if self._gist is None:
                self._gist = _gist(self._unread)
            if self._gist is not None and not self._gist.may_be_in(text):
                return
        self._read()

    def is_one(self, value: str) -> bool:
        """Whether a whole value is one that was learnt, in any case, or has the same digits."""
        folded = fold(value.strip())[0]
        with self._lock:
            self._read_for(value)
            return self._full or folded in self._terms or _number(folded) in self._digits

    def holds(self, text: str) -> bool:
        """Whether a short text is a value that was learnt, or has one in it."""
        with self._lock:
            self._read_for(text)
            if not self._terms and not self._digits and not self._full:
                return False
        return self.is_one(text) or bool(self._written(text))

    def rules_out(self, texts: Sequence[str]) -> bool:
        """Whether it can be told at one glance that none of some short texts holds a value; False says nothing yet."""
        with self._lock:
            self._read_for("\n".join(texts))
            return not self._terms and not self._digits and not self._full

    def find(self, text: str) -> list[Detection]:
        """Where learnt values stand in a free text, however written or told; digits whatever stands between them."""
        with self._lock:
            self._read()
            if self._forms is None and not self._full and (self._terms or self._digits):
                self._forms = forms(self._terms, self._digits, self._dates, self._emails)
            told = self._forms
        found = self._written(text)
        if told is not None and not self._full:
            folded, places = fold(text)
            found += [_placed(begin(folded, start, self._particles), end, places) for start, end in told.find(folded)]
        return found

    def _written(self, text: str) -> list[Detection]:
        """Where learnt values stand in a text in figures and letters."""
        with self._lock:
            self._read_for(text)
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
            names = [(start, end) for start, end in spans if end - start > 2 or text[places[start] if places else start].isupper()]
            found += [(begin(folded, start, self._particles), end) for start, end in names]
        if numbers:
            for m in _DIGITS.finditer(folded):
                number = _number(m.group())  # 079 … is +41 79 … to those who dial it
                if any(k in number or (len(number) >= DIGITS_MIN and number in k) for k in numbers):
                    found.append(m.span())
        return [_placed(start, end, places) for start, end in found]


@dataclass(frozen=True, slots=True)
class _Gist:
    """Enough of some values in ASCII to say of a short text that it holds none of them.

    Args:
        letters: the letters of each value, a line each. Whatever a value is found by, its letters stand there in a row.
        wholes: the letters and digits of each value that has digits.
        digits: the digits of each value, a line each.
    """

    letters: bytes
    wholes: tuple[bytes, ...]
    digits: bytes

    def may_be_in(self, text: str) -> bool:
        """Whether one of the values could be found in a text in ASCII; False only if none can.

        What a value is found by ends where a run of letters ends, so a run of the text is a run of the value, or the value is found by
        its digits: by all of them, or by `DIGITS_MIN` in a row.
        """
        low = text.encode("ascii").lower()
        for run in _RUN.findall(low):
            if run in self.letters:
                return True
        if _LONE.search(low) is not None:  # J'J has no run of letters to compare
            return True
        bare = low.translate(None, _NOT_ALNUM)
        for whole in self.wholes:
            if whole in bare:
                return True
        number = bare.translate(None, _NOT_DIGIT)
        for at in range(len(number) - DIGITS_MIN + 1):  # noqa: SIM110  # twice as fast as any(), on the way of every call
            if number[at : at + DIGITS_MIN] in self.digits:
                return True
        return False


def _gist(values: Iterable[tuple[str, bool]]) -> _Gist | None:
    """The gist of values; None where one is not plain enough to be compared so."""
    text = "\n".join([value if "\n" not in value else value.replace("\n", " ") for value, _ in values])
    if not text.isascii() or "<REDACTED" in text:
        return None
    bare = text.encode("ascii").lower().translate(None, _NOT_ALNUM)
    wholes = tuple([whole for whole in bare.split(b"\n") if not whole.isalpha()])
    return _Gist(bare.translate(None, _NOT_LETTER), wholes, bare.translate(None, _NOT_DIGIT))


_ASCII: Final = bytes(range(128)).replace(b"\n", b"")
_NOT_ALNUM: Final = bytes(c for c in _ASCII if not chr(c).isalnum())
_NOT_LETTER: Final = bytes(c for c in _ASCII if not chr(c).isalpha())
_NOT_DIGIT: Final = bytes(c for c in _ASCII if not chr(c).isdecimal())
_RUN: Final = re.compile(rb"[a-z]{2,}")
_LONE: Final = re.compile(rb"(?<![a-z])[a-z]['-][a-z](?![a-z])")


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


def _terms(value: str, *, named: bool) -> tuple[set[str], set[str]]:
    """The words of a value that may be a name's, each also in its pieces; of a named field's also the whole, and the words run together.

    Returns:
        The terms, and those of them that are particles in it.
    """
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
    if named:
        terms |= {other for term in terms for other in _transcribed(term, written)}
    if named and terms and len(value) > 3:  # shorter wholes are initials and would hit ordinary words
        terms.add(fold(value)[0])
        joined = fold(_PIECES.sub("", "".join(words)))[0]
        if len(words) > 1 and len(joined) > 5:
            terms.add(joined)
            terms.add(fold(_PIECES.sub("", "".join(reversed(words))))[0])
    elif named and len(value) > 3 and any(c.isdecimal() for c in value):
        terms.add(fold(value)[0])
    return terms, particles_in(piece for word in words for piece in _PIECES.split(word))


def _transcribed(term: str, written: str) -> Iterator[str]:
    """A name as those write it who have no umlauts, and as those who have: Müller and Mueller, Søren and Soeren.

    Args:
        term: the folded name.
        written: the value it was taken from.
    """
    for word in _WORD.findall(written):
        if fold(word)[0] == term:
            spelled = fold(word.lower().translate(_UMLAUTS))[0]
            if spelled != term:
                yield spelled
    for pair, vowel in (("ae", "a"), ("oe", "o"), ("ue", "u")):
        if pair in term and len(term) > NAME_MIN:
            yield term.replace(pair, vowel)


def _number(folded: str) -> str:
    """The digits of a folded text, without the zeros in front that a dialling prefix puts there, unless too few would be left."""
    digits = "".join(c for c in folded if c.isdecimal())
    bare = digits.lstrip("0")
    return bare if len(bare) >= DIGITS_MIN else digits


def _placed(start: int, end: int, places: list[int]) -> Detection:
    """A stretch of a folded text, where it stands in the text itself."""
    if places:  # one character may fold to several: a match that ends among them takes it whole
        return _known(places[start], max(places[end], places[end - 1] + 1))
    return _known(start, end)


def _known(start: int, end: int) -> Detection:
    return Detection(start, end, "KNOWN_VALUE", 1.0, "known_values")
