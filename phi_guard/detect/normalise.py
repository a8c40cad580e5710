"""Undoes disguises before a text is judged, and carries what is found back to the text as it was given.

A name does not stop being a name because a zero-width space stands in it, because it is full-width, URL-encoded, spaced out, or in base64.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from phi_guard.detect.detector import Detector, merge
from phi_guard.detect.disguises import CODED, may_hide, read
from phi_guard.detect.encoded import may_be_encoded, tokens
from phi_guard.detect.loose import may_be_loose, spread, tightened
from phi_guard.detect.reading import Reading, as_given
from phi_guard.model import Detection

__all__ = ["NormalisingDetector", "Reading", "read"]

HIDDEN_DEPTH: Final = 3
"""Encodings one within the other (base64 of base64) that are opened; a token within deeper ones counts as found."""

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class NormalisingDetector:
    """A detector that also reads the text without its disguises, and what opaque tokens in it decode to.

    A plain text costs one more pass of a few patterns; only a text that reads differently is judged twice.

    Args:
        inner: what judges; its name is kept.
    """

    inner: Detector

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """As `Detector.find`, with what only shows once a disguise is undone."""
        if not (may_hide(text) or may_be_loose(text) or may_be_encoded(text)):
            return self.inner.find(text)
        case = _Case.of(text)
        return case.joined([self.inner.find(judged) for judged in case.judged])

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` of each text; all that is to be judged goes to the inner detector at once."""
        cases = [_Case.of(text) for text in texts]
        judged = [part for case in cases for part in case.judged]
        many = getattr(self.inner, "find_many", None)
        found = many(judged) if many is not None else [self.inner.find(part) for part in judged]
        out: list[tuple[Detection, ...]] = []
        at = 0
        for case in cases:
            out.append(case.joined(found[at : at + len(case.judged)]))
            at += len(case.judged)
        return out


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is judged of one text, and what is known of it before that.

    Args:
        text: as given.
        judged: the text itself, then its readings, then what its tokens hold.
        readings: the readings, in the order they are judged.
        hidden: for each text that a token holds, where that token stands in the text as given.
        certain: what needs no judge: opaque tokens, and what is encoded too deep.
    """

    text: str
    judged: tuple[str, ...]
    readings: tuple[Reading, ...]
    hidden: tuple[tuple[int, int], ...]
    certain: tuple[Detection, ...]

    @classmethod
    def of(cls, text: str) -> _Case:
        """What is to be judged of a text."""
        undone, tight, certain = _readings(text)
        readings = tuple(reading for reading in (undone, tight) if reading)
        judged = [text, *(reading.text for reading in readings)]
        hidden: list[tuple[int, int]] = []
        for token in tokens(undone.text if undone else text):
            span = undone.span(token.start, token.end) if undone else (token.start, token.end)
            opaque = token.opaque
            for inner in token.texts:
                parts, beyond = _opened(inner, HIDDEN_DEPTH)
                judged += parts
                hidden += [span] * len(parts)
                opaque |= beyond
            if opaque:
                certain.append(_encoded(*span, "normalise.opaque"))
        return cls(text, tuple(judged), readings, tuple(hidden), tuple(certain))

    def joined(self, found: Sequence[tuple[Detection, ...]]) -> tuple[Detection, ...]:
        """What was found in the parts, at its places in the text as given.

        Args:
            found: for each of `judged`, what was found in it.
        """
        if len(found) == 1 and not self.certain:
            return found[0]
        joined = [*found[0], *self.certain]
        for reading, of_reading in zip(self.readings, found[1:], strict=False):
            joined += reading.carried_back(of_reading)
        for span, of_hidden in zip(self.hidden, found[1 + len(self.readings) :], strict=True):
            if of_hidden:
                joined.append(_encoded(*span, "normalise.encoded"))
        return merge(joined, len(self.text))


def _readings(text: str) -> tuple[Reading | None, Reading | None, list[Detection]]:
    """The text without what hides characters, and that with its words put together, each if it differs; and what is still coded."""
    undone = tight = None
    certain: list[Detection] = []
    plain = text
    if may_hide(text):
        reading = read(text)
        if reading.text != text:
            undone, plain = reading, reading.text
            if may_hide(plain):
                deep = (word.span() for word in _WORD.finditer(plain) if any(not m["tag"] for m in CODED.finditer(word.group())))
                certain = [_encoded(*reading.span(*span), "normalise.nested") for span in deep]
    if may_be_loose(plain):
        certain += [_encoded(*(undone.span(*span) if undone else span), "normalise.spread") for span in spread(plain)]
        reading = tightened(undone or as_given(text))
        if reading.text != plain:
            tight = reading
    return undone, tight, certain


def _opened(text: str, depth: int) -> tuple[list[str], bool]:
    """A hidden text with its readings and what it hides in turn; and whether something in it is opaque, or too deep to open."""
    undone, tight, certain = _readings(text)
    parts = [text, *(reading.text for reading in (undone, tight) if reading)]
    beyond = bool(certain)
    for token in tokens(undone.text if undone else text):
        beyond |= token.opaque or depth == 1
        for inner in token.texts if depth > 1 else ():
            more, further = _opened(inner, depth - 1)
            parts += more
            beyond |= further
    return parts, beyond


def _encoded(start: int, end: int, source: str) -> Detection:
    return Detection(start, end, "ENCODED", 1.0, source)
