"""The second opinion agrees with ours where both count the same; only where presidio-evaluator is installed."""

from __future__ import annotations

import pytest

from audit.bench.corpus import LabelledText, Span
from audit.bench.crosscheck import CrossCheck, Opinion
from audit.bench.score import add_up, score
from phi_guard.model import Detection

pytest.importorskip("presidio_evaluator", reason="needs presidio-evaluator (pip install presidio-evaluator==0.3.2)")

TEXT = LabelledText("t", "Ada Byron of Acme called about Zoe", (Span(0, 9, "NAME"), Span(13, 17, "IGNORE"), Span(31, 34, "NAME")))


def found(*places):
    return tuple(Detection(start, end, "ANY", 1.0, "fake") for start, end in places)


@pytest.mark.parametrize(
    ("places", "touched", "whole", "right", "n"),
    [
        ([(0, 9), (31, 34)], 2, 2, 2, 2),
        ([(0, 3)], 1, 0, 1, 1),
        ([(0, 9), (18, 24)], 1, 1, 1, 2),
        ([(0, 9), (13, 17)], 1, 1, 1, 1),
        ([], 0, 0, 0, 0),
    ],
)
def test_its_recall_is_ours(places, touched, whole, right, n):
    """At nearly any overlap its recall and precision are ours; at its default a name found in part is missed; the ignored counts not."""
    check = CrossCheck()
    check.add(TEXT, [("ours", found(*places))])
    near, exact = check.opinions()
    own = add_up([score(TEXT, found(*places))])
    assert (near.detector, near.overlap, near.spans, near.recall) == ("ours", 0.01, 2, touched / 2)
    assert (near.recall, near.precision) == (own.recall_any, right / n if n else None)
    assert (exact.overlap, exact.recall) == (0.9, whole / 2)


def test_detectors_are_told_apart():
    """Each has its own opinion, over all texts added."""
    check = CrossCheck()
    for _ in range(2):
        check.add(TEXT, [("all", found((0, 9), (31, 34))), ("none", ())])
    assert check.opinions()[::2] == (Opinion("all", 0.01, 4, 1.0, 1.0), Opinion("none", 0.01, 4, 0.0, None))
