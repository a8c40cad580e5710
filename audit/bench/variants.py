"""The same texts said in other ways, their spans kept exact: a text is cut at its spans, each piece is said anew, and the offsets are
counted from what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Final, TypeAlias
from unicodedata import category

from audit.bench import numbers
from audit.bench.corpus import DIRECT, Corpus, LabelledText, Span, form_of

Say: TypeAlias = Callable[[str, str, Random], str]
"""Says a piece anew: the piece, its label (empty outside spans), and a source of chance."""

_NUMBERED: Final = frozenset({"PHONE", "SSN", "MRN", "ACCOUNT", "HEALTH_PLAN", "LICENSE", "OTHER_ID", "DEVICE", "VEHICLE", "IP"})
"""Labels whose values are said character by character."""
_ADDRESSED: Final = frozenset({"EMAIL", "URL"})
LETTERS_SAID: Final = 6
"""An identifier with no more letters than this has them said one by one; with more, they are words."""
ZERO_IS_OH: Final = 0.5
SPELLED_TWICE: Final = 0.5
"""How often a name is said whole before its last word is spelled."""
FILLER_RATE: Final = 0.12
"""Fillers a word of talk. Source: the rate of the prepared filler corpora, one word in eight."""
FILLED_VALUE: Final = 0.5
"""How often a value of four words or more has a filler in it."""
_FILLERS: Final = ("um", "uh", "you know", "like", "i mean", "so", "yeah")
_OPENERS: Final = (" ", "(", '"', "'", "[")
_SPACES: Final = re.compile(r"\s+")


def derive(corpus: Corpus, style: str) -> Corpus:
    """A corpus said in a style, each text under its id and ``+style``.

    Args:
        corpus: written.
        style: one of `VARIANTS`.
    """
    texts = tuple(vary(text, style) for text in corpus.texts)
    return Corpus(f"{corpus.name}+{style}", form_of(corpus.name, style), style, True, texts)


def vary(text: LabelledText, style: str) -> LabelledText:
    """One text said in a style; the same text gives the same words. Overlapping spans become one."""
    say = VARIANTS[style]
    random = Random(f"{text.id}:{style}")  # noqa: S311  # words, not secrets
    out: list[str] = []
    spans: list[Span] = []
    length, last = 0, " "

    def add(said: str) -> None:
        nonlocal length, last
        out.append(said)
        length, last = length + len(said), said[-1:] or last

    for piece, span in _pieces(text):
        if style == "lower":
            said = say(piece, "", random)
        else:
            said = _SPACES.sub(" ", say(piece, span.label if span else "", random))
            said = said.strip() if span else said.lstrip() if last == " " else said
            if span and said and last not in _OPENERS:
                add(" ")
        if span and said:
            spans.append(Span(length, length + len(said), span.label))
        add(said)
        if span and said and style != "lower":
            add(" ")
    return replace(text, id=f"{text.id}+{style}", text="".join(out), spans=tuple(spans))


def _pieces(text: LabelledText) -> Iterator[tuple[str, Span | None]]:
    at = 0
    for span in _disjoint(text.spans):
        if span.start > at:
            yield text.text[at : span.start], None
        yield text.text[span.start : span.end], span
        at = span.end
    if at < len(text.text):
        yield text.text[at:], None


def _disjoint(spans: tuple[Span, ...]) -> Iterator[Span]:
    held: Span | None = None
    for span in spans:
        if held and span.start < held.end:
            # the more telling label of the two, so that no direct identifier is lost
            label = next((each for each in (held.label, span.label) if each in DIRECT), held.label)
            held = Span(held.start, max(held.end, span.end), label)
            continue
        if held:
            yield held
        held = span
    if held:
        yield held


def _unmarked(piece: str) -> str:
    """The piece with a space for each mark; apostrophes and the combining marks of a script are parts of words."""
    return "".join(c if c.isalnum() or c.isspace() or c in "'_" or category(c).startswith("M") else " " for c in piece)


def _lower(piece: str, _label: str, _random: Random) -> str:
    return piece.lower()


def _nopunct(piece: str, label: str, _random: Random) -> str:
    return piece.lower() if label in _ADDRESSED else _unmarked(piece).lower()


def _spoken(piece: str, label: str, random: Random) -> str:
    if label in _ADDRESSED:
        return numbers.address(piece)
    if label in _NUMBERED:
        return _by_character(piece, random)
    said = numbers.date(piece) if label == "DATE" else numbers.numbers(piece)
    return _unmarked(said).lower()


def _spelled(piece: str, label: str, random: Random) -> str:
    words = _unmarked(piece).lower().split()
    if label != "NAME" or not words:
        return _spoken(piece, label, random)
    return " ".join((*(words if random.random() < SPELLED_TWICE else words[:-1]), *words[-1]))


def _filler(piece: str, label: str, random: Random) -> str:
    words = _spoken(piece, label, random).split(" ")
    if not label:
        filled = (f"{word} {random.choice(_FILLERS)}" if word and random.random() < FILLER_RATE else word for word in words)
        return " ".join(filled)
    if len(words) > 3 and random.random() < FILLED_VALUE:
        words.insert(random.randrange(1, len(words)), random.choice(_FILLERS[:2]))
    return " ".join(words)


def _by_character(piece: str, random: Random) -> str:
    one_by_one = sum(c.isalpha() for c in piece) <= LETTERS_SAID
    said: list[str] = []
    for char in piece:
        if char.isdecimal():
            said.append(" oh " if char == "0" and random.random() < ZERO_IS_OH else f" {numbers.DIGITS[int(char)]} ")
        elif char.isalnum():  # a fraction or a raised digit has no one way to be said, and stays
            said.append(f" {char.lower()} " if one_by_one else char.lower())
        else:
            said.append(" ")
    return " ".join("".join(said).split())


VARIANTS: Final[Mapping[str, Say]] = {"lower": _lower, "nopunct": _nopunct, "spoken": _spoken, "spelled": _spelled, "filler": _filler}
"""How to say a piece, by style."""
