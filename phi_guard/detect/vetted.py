"""A statistical detector whose false alarms on ordinary words are taken back.

A network that was taught to miss no one takes ``Crohn`` or ``appointment`` for a person now and then. A word that is certainly no
one's name costs content and protects nobody. A word that is also a name (``Gift``, ``River``) is left to the network, and so is any
word after a title (``Mr. Hurt``). A number right after the name of what was measured (``BP 132/84``, ``weight 82 kg``) is no house's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import find_many
from phi_guard.detect.vocabulary_context import BARE, MONTHS, NUMBERS
from phi_guard.model import Detection

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector

_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

_TITLE: Final = re.compile(r"\b(?:mr|mrs|ms|mx|dr|mister|missus|miss|doctor)\.?\s\Z", re.IGNORECASE)
"""After a title even an ordinary word is a name: ``Mr. Hurt``."""

WRITTEN: Final = frozenset({"DATE_TIME", "PHONE_NUMBER", "EMAIL_ADDRESS", "ID", "ACCOUNT"})
"""Classes made of digits, number words or marks: one ordinary word, as ``left`` or ``bilateral``, is none of them."""

NAMES: Final = frozenset({"PERSON", "NRP", "LOCATION"})
"""Classes made of words. A street or a number may well be made of harmless words, so other classes are left alone."""

_MEASURED: Final = re.compile(
    r"""(?<![^\W_])
    (?: (?: bp | blood\ pressure ) (?: \s+(?:is|was|of|at) | \s*[:=] )? \s* \d{2,3}\s?/\s?\d{2,3} (?: \s?mm\ ?hg )?
      | (?: hr | heart\ rate | pulse | rr | resp(?:iratory)?\ rate | temp(?:erature)? | spo2 | oxygen\ saturation | o2\ sats? | sats?
          | weight | height | bmi | glucose | (?:hb)?a1c | hgb | ha?emoglobin | hct | ha?ematocrit | wbc | rbc | platelets? | inr
          | potassium | sodium | chloride | bicarbonate | calcium | magnesium | phosphate | creatinine | e?gfr | bun | bilirubin | albumin
          | crp | tsh | ldl | hdl | triglycerides | cholesterol | ferritin | troponin | lactate | mcv )
        (?: \s+(?:is|was|of|at) | \s*[:=] )? \s* \d{1,3}(?:\.\d{1,2})?
        (?: \s?(?: % | kg | cm | lbs? | mg/dl | g/dl | mmol/l | bpm | °\ ?[cf] ) )?
    )(?![^\W_]|[./,:-]\d|\s+\d)""",
    re.IGNORECASE | re.VERBOSE,
)
"""A value of vital signs or of the laboratory, with its name: three digits at most, one number, a slash in blood pressure alone, so that no
telephone number, date or record number is one. Single letters (``P 88``) name too much else."""
_BEFORE, _BEHIND = 32, 16
"""Characters around a finding in which its name and its unit stand."""


@dataclass(frozen=True, slots=True)
class VettedDetector:
    """Its inner detector, without names and places that are made of certainly harmless words, or begin or end with one,
    without a date, number or address of mail that is one such word, and without what was measured.

    Args:
        inner: the detector that is vetted; its name is kept.
        harmless: words, lower-case, that are no one's name and no place's.
        sources: if given, only what these sources alone have found is vetted.
    """

    inner: Detector
    harmless: Collection[str]
    sources: Collection[str] | None = None

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the inner detector finds, vetted."""
        return self._vetted(text, self.inner.find(text))

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text."""
        return [self._vetted(text, found) for text, found in zip(texts, find_many(self.inner, texts), strict=True)]

    def _vetted(self, text: str, found: tuple[Detection, ...]) -> tuple[Detection, ...]:
        return tuple(kept for d in found if (kept := self._vet(text, d)) is not None)

    def _vet(self, text: str, found: Detection) -> Detection | None:
        if self.sources is not None and not all(source in self.sources for source in found.source.split("+")):
            return found
        if _is_measured(text, found):
            return None
        written = found.entity in WRITTEN and not found.also
        if not written and not {found.entity, *found.also} <= NAMES:
            return found
        words = [(found.start + m.start(), found.start + m.end()) for m in _WORD.finditer(text[found.start : found.end])]
        kept = [span for span in words if not self._is_harmless(text, span)]
        if not words or len(kept) == len(words):
            return found
        if written:
            return None if not kept and _is_no_figure(text[found.start : found.end].lower()) else found
        if not kept:
            return None
        return Detection(kept[0][0], kept[-1][1], found.entity, found.score, found.source, found.also)

    def _is_harmless(self, text: str, span: tuple[int, int]) -> bool:
        start, end = span
        if (start and text[start - 1].isalnum()) or text[end : end + 1].isalnum():
            return False  # a piece of a word says nothing of the whole
        if _TITLE.search(text, max(0, start - 12), start):
            return False
        word = text[start:end].lower().replace("’", "'").removesuffix("'s")
        return all(part in self.harmless and part not in BARE for part in word.split("-"))


def _is_measured(text: str, found: Detection) -> bool:
    """Whether a finding lies in one measured value with its name."""
    near = _MEASURED.finditer(text, max(0, found.start - _BEFORE), min(len(text), found.end + _BEHIND))
    return any(m.start() <= found.start and found.end <= m.end() for m in near)


def _is_no_figure(word: str) -> bool:
    """Whether a word is neither a number nor part of a date or of an address that is said aloud."""
    return word.isalpha() and len(word) > 1 and word not in NUMBERS | MONTHS and not word.endswith(("day", "days", "ieth"))
