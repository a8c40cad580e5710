"""A second opinion: recall and precision of the same findings by Presidio's own evaluator, where presidio-evaluator is installed.

It counts otherwise than we do: a finding is right where it covers the label by at least so much of their union, word by word joined;
figures at a share near nothing are to be near ours, those at its default show how exact the borders are.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from audit.bench.corpus import IGNORE, LabelledText
from phi_guard.errors import PhiGuardError
from phi_guard.model import Detection

INSTALL: Final = "pip install presidio-evaluator==0.3.2"
OVERLAPS: Final = (0.01, 0.9)
"""Shares of the union that make a finding right: nearly any overlap, and the evaluator's default."""
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


class CrossCheckUnavailable(PhiGuardError):
    """The evaluator is not installed; the message says how to."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the evaluator says of one detector. The names are those of the JSON report.

    Args:
        detector: its name.
        overlap: the least share of the union of label and finding that makes it right.
        spans: labels the evaluator counted.
        recall: 0 to 1.
        precision: 0 to 1.
    """

    detector: str
    overlap: float
    spans: int
    recall: float | None
    precision: float | None


class CrossCheck:
    """Gathers findings text by text, then asks the evaluator.

    Raises:
        CrossCheckUnavailable: presidio-evaluator is not installed.
    """

    def __init__(self) -> None:
        try:
            import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415  # theirs; ours needs none
            from presidio_evaluator.evaluation import (  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415
                SpanEvaluator,
            )
        except ImportError:
            msg = f"--cross-check needs Presidio's evaluator, which is not installed; run: {INSTALL}"
            raise CrossCheckUnavailable(msg) from None
        logging.getLogger("presidio_evaluator").setLevel(logging.ERROR)
        self._table: Any = pd.DataFrame
        self._evaluator: Any = SpanEvaluator
        self._rows: dict[str, list[tuple[int, str, int, str, str]]] = {}
        self._texts = 0

    def add(self, text: LabelledText, found: Iterable[tuple[str, tuple[Detection, ...]]]) -> None:
        """One text, its labels, and what each detector found in it. What only touches a span to ignore counts for nothing."""
        self._texts += 1
        tokens = [(m.start(), m.end(), m.group()) for m in _TOKEN.finditer(text.text)]
        ignored = [(s.start, s.end) for s in text.spans if s.label == IGNORE]
        labelled = [(s.start, s.end) for s in text.spans if s.label != IGNORE]
        for name, detections in found:
            predicted = [(d.start, d.end) for d in detections]
            rows = self._rows.setdefault(name, [])
            for start, end, token in tokens:
                annotation = _inside(start, end, labelled)
                prediction = _inside(start, end, predicted) and (annotation or not _inside(start, end, ignored))
                rows.append((self._texts, token, start, "PII" if annotation else "O", "PII" if prediction else "O"))

    def opinions(self) -> tuple[Opinion, ...]:
        """What the evaluator makes of all that was added."""
        columns = ["sentence_id", "token", "start_indices", "annotation", "prediction"]
        told: list[Opinion] = []
        for name, rows in self._rows.items():
            table = self._table(rows, columns=columns)
            for overlap in OVERLAPS:
                result = self._evaluator(iou_threshold=overlap, skip_words=[]).calculate_score_on_df(table, level="pii")
                told.append(
                    Opinion(name, overlap, int(result.pii_annotated), _rate(result.pii_recall), _rate(result.pii_precision)),
                )
        return tuple(told)


def _inside(start: int, end: int, stretches: list[tuple[int, int]]) -> bool:
    return any(start < its_end and its_start < end for its_start, its_end in stretches)


def _rate(value: Any) -> float | None:
    rate = None if value is None else float(value)
    return rate if rate is not None and rate == rate else None  # noqa: PLR0124  # not a number is unequal to itself
