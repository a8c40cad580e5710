"""Scores: every figure counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.bench.corpus import LABELS, LabelledText, Span
from audit.bench.score import Figures, Score, Stretch, add_up, score
from audit.statistics import lower_bound, upper_bound
from phi_guard.model import Detection

#       0         1         2         3         4
#       01234567890123456789012345678901234567890123456789
TEXT = "Ada Byron of Acme called on May 4 about her knee."
SPANS = (Span(0, 9, "NAME"), Span(13, 17, "IGNORE"), Span(28, 33, "DATE"))
TOLD = LabelledText("t", TEXT, SPANS)
"""Words outside labels: of, called, on, about, her, knee."""


def found(*places):
    return [Detection(start, end, "ANY", 1.0, "fake") for start, end in places]


@pytest.mark.parametrize(
    ("places", "stretches", "right", "wrong", "lost"),
    [
        ([], (0, 0), 0, 0, 0),
        ([(0, 49)], (8, 4), 1, 0, 6),
        ([(0, 9), (28, 33)], (8, 4), 2, 0, 0),
        ([(0, 3)], (3, 0), 1, 0, 0),
        ([(3, 4)], (0, 0), 1, 0, 0),
        ([(13, 17)], (0, 0), 0, 0, 0),
        ([(18, 24)], (0, 0), 0, 1, 1),
        ([(21, 26)], (0, 0), 0, 1, 2),
        ([(8, 14)], (1, 0), 1, 0, 1),
        ([(44, 49), (48, 49)], (0, 0), 0, 2, 1),
        ([(-5, 1), (47, 900), (900, 901)], (1, 0), 1, 2, 1),
    ],
)
def test_one_text(places, stretches, right, wrong, lost):
    """Covered letters and digits of each label, right and wrong detections, words lost; what is to be ignored counts for nothing."""
    name, date = stretches
    assert score(TOLD, found(*places)) == Score((Stretch("NAME", 8, name), Stretch("DATE", 4, date)), right, wrong, 6, lost)


def test_a_document_leaks_by_its_direct_identifiers():
    """Not a letter of one covered is a leak; some is partial; a date missed is neither."""
    assert score(TOLD, found((28, 33))).leaks
    assert score(TOLD, found((3, 4))).leaks  # the space between the names is nothing of them
    half = score(TOLD, found((0, 3)))
    assert (half.leaks, half.partial) == (False, True)
    whole = score(TOLD, found((0, 9)))
    assert (whole.direct, whole.leaks, whole.partial) == (True, False, False)
    dated = LabelledText("t", "on May 4", (Span(3, 8, "DATE"),))
    assert (score(dated, []).direct, score(dated, []).leaks) == (False, False)


def test_marks_between_words_do_not_matter_to_full():
    """A name found as two words is found whole."""
    assert score(TOLD, found((0, 3), (4, 9))).stretches[0] == Stretch("NAME", 8, 8)


def test_a_label_without_letter_or_digit_is_left_out():
    """There is nothing in it to cover."""
    assert score(LabelledText("t", "at :: now", (Span(3, 5, "IP"),)), []) == Score((), 0, 0, 2, 0)


def test_figures_of_three_texts():
    """Sums and rates, worked out by hand."""
    second = LabelledText("u", "Bea at 555 0100", (Span(0, 3, "NAME"), Span(7, 15, "PHONE")))
    third = LabelledText("v", "it hurts", ())
    scores = [
        score(TOLD, found((0, 3), (18, 24))),  # 3 of 8 letters, one word lost, the date missed
        score(second, found((7, 15))),  # the name missed
        score(third, found((0, 2))),  # one of two words lost
    ]
    told = add_up(scores)
    assert told == Figures(
        texts=3, documents=2, leaked=1, partial=1, spans=4, touched=2, whole=1, characters=8 + 4 + 3 + 7, characters_covered=3 + 7,
        right=2, wrong=2, words=6 + 1 + 2, words_lost=2,
    )  # fmt: skip
    assert told.leaked_share == 0.5
    assert told.leaked_at_most == upper_bound(1, 2) == pytest.approx(0.974679, abs=1e-6)  # 1 - sqrt(1 - 0.95)
    assert (told.recall_any, told.recall_full, told.recall_characters) == (0.5, 0.25, 10 / 22)
    assert told.recall_any_at_least == lower_bound(2, 4)
    assert told.precision == 0.5
    assert told.f2 == 0.5
    assert told.words_lost_share == 2 / 9


def test_f2_weighs_recall():
    """Precision 1 and recall 1/2 give (1 + 4) · 1 · ½ / (4 · 1 + ½); nothing right gives 0."""
    assert Figures(spans=2, touched=1, right=3).f2 == pytest.approx(2.5 / 4.5)
    assert Figures(spans=2, touched=0, right=0, wrong=4).f2 == 0.0
    assert Figures(spans=2).f2 == 0.0
    assert Figures(wrong=4).f2 is None


def test_rates_of_nothing_are_none():
    """No text is no 100 %."""
    none = add_up([])
    assert [none.leaked_share, none.leaked_at_most, none.recall_any, none.recall_any_at_least, none.precision, none.f2] == [None] * 6
    assert [none.recall_full, none.recall_characters, none.words_lost_share] == [None] * 3


def test_figures_of_one_class():
    """A class's documents are those that hold it, and leak where one of it is missed; words and precision are not told by class."""
    texts = [
        LabelledText("a", "Ada, Bea", (Span(0, 3, "NAME"), Span(5, 8, "NAME"))),
        LabelledText("b", "Cyd May 4", (Span(0, 3, "NAME"), Span(4, 9, "DATE"))),
        LabelledText("c", "May 4", (Span(0, 5, "DATE"),)),
    ]
    scores = [score(texts[0], found((0, 3))), score(texts[1], found((0, 2))), score(texts[2], [])]
    assert add_up(scores, label="NAME") == Figures(
        texts=3, documents=2, leaked=1, partial=1, spans=3, touched=2, whole=1, characters=9, characters_covered=5
    )
    assert add_up(scores, label="DATE") == Figures(texts=3, documents=2, leaked=2, spans=2, characters=8)


@st.composite
def judged(draw):
    text = draw(st.text(max_size=30))
    place = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).filter(lambda p: p[0] < p[1])
    places = draw(st.lists(place, max_size=4)) if text else []
    spans = tuple(sorted((Span(a, b, draw(st.sampled_from(sorted(LABELS)))) for a, b in places), key=lambda s: (s.start, s.end)))
    detections = draw(st.lists(st.tuples(st.integers(-2, 35), st.integers(-2, 35)), max_size=5))
    return LabelledText("t", text, spans), found(*detections)


@given(judged())
def test_the_bounds_of_every_score(drawn):
    """Nothing covers more than there is, finding everything covers all of it, and finding more never leaks more or loses fewer words."""
    text, detections = drawn
    one = score(text, detections)
    everything = score(text, [*detections, *found((0, len(text.text)))])
    nothing = score(text, [])
    assert all(0 <= s.covered <= s.size and s.size > 0 for s in one.stretches)
    assert all(s.covered == s.size for s in everything.stretches)
    assert not everything.leaks
    assert not everything.partial
    assert everything.words_lost == everything.words == one.words
    assert nothing.words_lost == nothing.right == nothing.wrong == 0
    assert nothing.leaks == nothing.direct == one.direct
    assert one.right + one.wrong <= len(detections)
    assert not (one.leaks and one.partial)
