"""Names as words: folded, without titles and particles, in the spellings one name is written in, and as it sounds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from itertools import groupby
from typing import Final

from phi_guard.detect.harmless import WORDS
from phi_guard.detect.vocabulary import certain_words

_LABELS: Final = ("iban", "nino", "bic", "ahv", "avs", "nir", "ssn")
"""Abbreviations before numbers, some of which are names as well."""
NAME_MAX: Final = 40
"""Letters of a word of a name; longer ones are no name."""
NEAR_MIN: Final = 4
"""Letters of a word that may be one slip apart beside a word that is exact."""
LONE_NEAR_MIN: Final = 7
"""Letters of a word that may be one slip apart where it stands alone: shorter ones are one slip from too many words."""

_LETTERS: Final = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss", "ı": "i",
    "’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'"}  # fmt: skip
_TRANSCRIBED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_WORD: Final = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_TITLES: Final = frozenset(
    "dr prof professor mr mrs ms miss mx sir madam herr frau monsieur madame mme mlle med phd md jr sr ii iii iv dds rn esq".split()  # noqa: SIM905
)
PARTICLES: Final = frozenset(
    "von van de der den del della di da du la le les el al bin ibn zu zum zur ten ter dos das do y e und af av ap ben st".split()  # noqa: SIM905
)
"""Small words of names, which stand in front of many of them: a name is found by its other words."""


def fold(text: str) -> tuple[str, list[int]]:
    """The text without case, accents, ligatures and invisible characters, and where each character of it, and its end, stands in the text.

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
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if unicodedata.category(char) == "Pd":
        return "-"
    plain = unicodedata.normalize("NFKD", char).casefold()
    return "".join(_LETTERS.get(c, c) for c in plain if unicodedata.category(c) not in {"Mn", "Me", "Cf"})


def name_words(value: str) -> list[str]:
    """The words of a name in order, folded; ``Byron, Ada`` is turned round. Titles, particles and initials are left out.

    A name with a particle or an apostrophe gives its joined form too (``de luca``: ``luca``, ``deluca``).
    """
    last, comma, first = value.partition(",")
    written = f"{first} {last}" if comma and first.strip() else value
    folded = fold(unicodedata.normalize("NFC", written))[0]
    words: list[str] = []
    led: str = ""
    for part in re.split(r"[\s,;()./]+", folded):
        pieces = [piece.replace("'", "") for piece in _WORD.findall(part)]
        whole = "".join(pieces)
        if not whole or whole in _TITLES:
            continue
        if whole in PARTICLES:
            led += whole
            continue
        words += [piece for piece in pieces if 2 <= len(piece) <= NAME_MAX and piece not in PARTICLES]
        joined = [led + whole] if led else []
        joined += [whole] if len(pieces) > 1 else []
        joined += [last for piece in _WORD.findall(part) if "'" in piece and len(last := piece.rpartition("'")[2]) > 2]
        words += [word for word in joined if len(word) <= NAME_MAX]
        led = ""
    return list(dict.fromkeys(words))


def spellings(value: str, word: str) -> Iterator[str]:
    """The word itself, and as those write it who have no umlauts, and as those who have.

    Args:
        value: the name it was taken from, as given.
        word: folded.
    """
    yield word
    if not value.isascii():
        for given in re.findall(r"[^\W\d_]+", unicodedata.normalize("NFC", value)):
            if fold(given)[0] == word and (other := fold(given.lower().translate(_TRANSCRIBED))[0]) != word:
                yield other
    if len(word) > NEAR_MIN:
        for pair, vowel in (("ae", "a"), ("oe", "o"), ("ue", "u")):
            if pair in word:
                yield word.replace(pair, vowel)


def shortened(word: str) -> set[str]:
    """The word with one letter left out, in every way; of the neighbourhood of deletions by which near words meet.

    Two words one letter apart (one more, less, other, or two changed about) share one of these or are one of the other's (Garbe's
    symmetric delete, SymSpell, 2012).
    """
    return {word[:at] + word[at + 1 :] for at in range(len(word))}


_SOUNDS: Final = {**dict.fromkeys("aeijouy", "0"), "b": "1", **dict.fromkeys("fvw", "3"), **dict.fromkeys("gkq", "4"), "l": "5",
    **dict.fromkeys("mn", "6"), "r": "7", **dict.fromkeys("sz", "8")}  # fmt: skip


@lru_cache(maxsize=8192)
def sound(word: str) -> str:
    """How a folded word sounds, in digits: the Cologne phonetics (H. J. Postel, Die Kölner Phonetik, IBM-Nachrichten 19, 1969).

    Doubles fall together, vowels count at the beginning alone.
    """
    codes: list[str] = []
    for at, char in enumerate(word):
        before, after = word[at - 1 : at], word[at + 1 : at + 2]
        if char in _SOUNDS:
            code = _SOUNDS[char]
        elif char == "p":
            code = "3" if after == "h" else "1"
        elif char in "dt":
            code = "8" if after and after in "csz" else "2"
        elif char == "c":
            hard = after and after in ("ahkloqrux" if at == 0 else "ahkoqux") and (at == 0 or before not in "sz")
            code = "4" if hard else "8"
        elif char == "x":
            code = "8" if before and before in "ckq" else "48"
        else:
            continue  # h is silent, and other scripts have no code here
        codes.append(code)
    joined = "".join(code for code, _ in groupby("".join(codes)))
    return joined[:1] + joined[1:].replace("0", "")


@cache
def ordinary_words() -> frozenset[str]:
    """Words that stand in talk without being a name, lower-case, as written and folded: of `phi_guard.detect.words` and of the clinic.

    Words that are both (``grace``, ``long``) are among them: alone they are no finding.
    """
    words = [line.split()[0] for name in ("doubtful.txt", "foreign.txt") for line in _lines(name)]
    return _both((*words, *certain_words(), *WORDS, *_LABELS))


@cache
def strong_words() -> frozenset[str]:
    """Ordinary words that are names unless something clears them, such as ``grace``; two of them in a row name somebody in any case."""
    return frozenset(line.split()[0] for line in _lines("doubtful.txt") if "!" in line)


def _lines(name: str) -> list[str]:
    return (files("phi_guard.detect") / "words" / name).read_text("utf-8").splitlines()


@cache
def sure_words() -> frozenset[str]:
    """Words that are on no list of names."""
    return _both(certain_words())


def _both(words: Iterable[str]) -> frozenset[str]:
    """Words as they are written, and folded: ``fur`` may be ``für``, but ``Müller`` is no muller."""
    return frozenset(form.replace("'", "") for word in words for form in (word, fold(word)[0]))
