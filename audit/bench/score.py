"""What a detector's findings are worth against the labels of a text: counts of one text, their sums, and the rates of the sums.

A character counts when it is a letter or a digit; what covers only marks around a value has found nothing of it. Precision does not look
at classes: a name found as a place is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from audit.bench.corpus import DIRECT, IGNORE, LabelledText, Span
from audit.statistics import lower_bound, upper_bound
from phi_guard.model import Detection

_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")
BETA: Final = 2
"""Recall weighs this many times precision in F2, as in Presidio's own evaluation."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One labelled span and how much of it was found.

    Args:
        label: its class.
        size: letters and digits in it, at least 1.
        covered: how many of them a detection covers.
    """

    label: str
    size: int
    covered: int


@dataclass(frozen=True, slots=True)
class Score:
    """One detector on one text.

    Args:
        stretches: every span that identifies and has a letter or digit; not those to ignore.
        right: detections that touch one of them.
        wrong: detections that touch no span at all.
        words: words outside all spans, those to ignore too.
        words_lost: how many of them a detection touches.
    """

    stretches: tuple[Stretch, ...]
    right: int
    wrong: int
    words: int
    words_lost: int

    @property
    def direct(self) -> bool:
        """Whether the text holds a direct identifier."""
        return any(s.label in DIRECT for s in self.stretches)

    @property
    def leaks(self) -> bool:
        """Whether a direct identifier is wholly missed: not a letter or digit of it covered."""
        return any(s.label in DIRECT and s.covered == 0 for s in self.stretches)

    @property
    def partial(self) -> bool:
        """Whether no direct identifier is wholly missed, and one is covered in part only."""
        return not self.leaks and any(s.label in DIRECT and s.covered < s.size for s in self.stretches)


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over texts, and the rates they give; a rate of nothing is None. The names are those of the JSON report.

    Args:
        texts: how many were looked at.
        documents: those that hold a direct identifier.
        leaked: those in which one is wholly missed.
        partial: those in which none is, and one is covered in part.
        spans: labelled stretches that identify.
        touched: those of which at least one letter or digit is covered.
        whole: those covered whole.
        characters: letters and digits in them.
        characters_covered: of these, covered.
        right: detections that touch such a span.
        wrong: detections that touch no span.
        words: words outside all spans.
        words_lost: of these, touched by a detection.
    """

    texts: int = 0
    documents: int = 0
    leaked: int = 0
    partial: int = 0
    spans: int = 0
    touched: int = 0
    whole: int = 0
    characters: int = 0
    characters_covered: int = 0
    right: int = 0
    wrong: int = 0
    words: int = 0
    words_lost: int = 0

    @property
    def leaked_share(self) -> float | None:
        return _share(self.leaked, self.documents)

    @property
    def leaked_at_most(self) -> float | None:
        """The largest share of leaking documents that the counts do not rule out: one-sided 95 %, Clopper-Pearson."""
        return upper_bound(self.leaked, self.documents) if self.documents else None

    @property
    def recall_any(self) -> float | None:
        return _share(self.touched, self.spans)

    @property
    def recall_any_at_least(self) -> float | None:
        """The recall that the counts show: one-sided 95 %, Clopper-Pearson."""
        return lower_bound(self.touched, self.spans) if self.spans else None

    @property
    def recall_full(self) -> float | None:
        return _share(self.whole, self.spans)

    @property
    def recall_characters(self) -> float | None:
        return _share(self.characters_covered, self.characters)

    @property
    def precision(self) -> float | None:
        return _share(self.right, self.right + self.wrong)

    @property
    def f2(self) -> float | None:
        precision, recall = self.precision, self.recall_any
        if recall is None:
            return None
        if not precision or not recall:
            return 0.0
        return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)

    @property
    def words_lost_share(self) -> float | None:
        return _share(self.words_lost, self.words)


RATES: Final = (
    "leaked_share", "leaked_at_most", "recall_any", "recall_any_at_least", "recall_full", "recall_characters", "precision", "f2",
    "words_lost_share",
)  # fmt: skip
"""Rates of `Figures`, in the order of the JSON report."""


def score(text: LabelledText, found: Sequence[Detection]) -> Score:
    """A detector's findings in a text, judged by its labels.

    Args:
        text: with its labels.
        found: detections in any order; what lies outside the text is nothing.
    """
    covered = _mask(((d.start, d.end) for d in found), len(text.text))
    identifying = [span for span in text.spans if span.label != IGNORE]
    told = _mask(((s.start, s.end) for s in identifying), len(text.text))
    labelled = _mask(((s.start, s.end) for s in text.spans), len(text.text))
    right = sum(1 for d in found if any(told[max(d.start, 0) : max(d.end, 0)]))
    wrong = sum(1 for d in found if not any(labelled[max(d.start, 0) : max(d.end, 0)]))
    words = [m.span() for m in _WORD.finditer(text.text) if not any(labelled[m.start() : m.end()])]
    return Score(
        tuple(stretch for span in identifying if (stretch := _stretch(text.text, span, covered)).size),
        right,
        wrong,
        len(words),
        sum(1 for start, end in words if any(covered[start:end])),
    )


def add_up(scores: Iterable[Score], *, label: str = "") -> Figures:
    """The sums of texts' scores.

    Args:
        scores: of one detector.
        label: count the spans of this class alone; documents are then those that hold one, leaking where one is wholly missed.
    """
    n = dict.fromkeys(Figures.__dataclass_fields__, 0)
    for each in scores:
        stretches = [s for s in each.stretches if not label or s.label == label]
        n["texts"] += 1
        if label:
            missed = any(s.covered == 0 for s in stretches)
            n["documents"] += bool(stretches)
            n["leaked"] += missed
            n["partial"] += not missed and any(s.covered < s.size for s in stretches)
        else:
            n["documents"] += each.direct
            n["leaked"] += each.leaks
            n["partial"] += each.partial
            n["right"] += each.right
            n["wrong"] += each.wrong
            n["words"] += each.words
            n["words_lost"] += each.words_lost
        n["spans"] += len(stretches)
        n["touched"] += sum(s.covered > 0 for s in stretches)
        n["whole"] += sum(s.covered == s.size for s in stretches)
        n["characters"] += sum(s.size for s in stretches)
        n["characters_covered"] += sum(s.covered for s in stretches)
    return Figures(**n)


def _mask(stretches: Iterable[tuple[int, int]], length: int) -> bytearray:
    mask = bytearray(length)
    for start, end in stretches:
        start, end = max(start, 0), min(end, length)  # noqa: PLW2901  # clipped to the text
        if start < end:
            mask[start:end] = b"\x01" * (end - start)
    return mask


def _stretch(text: str, span: Span, covered: bytearray) -> Stretch:
    at = [i for i in range(span.start, span.end) if text[i].isalnum()]
    return Stretch(span.label, len(at), sum(covered[i] for i in at))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
