"""Vetting takes back names made of harmless words, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from phi_guard.detect.vetted import VettedDetector
from phi_guard.model import Detection

HARMLESS = frozenset({"crohn", "patient", "called", "appointment", "street", "main", "follow", "up"})


class Marks:
    """Finds the stretches it is told."""

    name = "marks"

    def __init__(self, *found):
        self.found = found

    def find(self, text):
        return self.found


def vet(text, marked, entity="PERSON", also=frozenset()):
    start = text.index(marked)
    detector = VettedDetector(Marks(Detection(start, start + len(marked), entity, 0.4, "marks.x", also)), HARMLESS)
    assert detector.find_many([text]) == [detector.find(text)]
    return [text[d.start : d.end] for d in detector.find(text)]


def test_harmless_words_alone_are_no_name():
    assert vet("a Crohn appointment today", "Crohn appointment") == []
    assert vet("a Crohn's appointment today", "Crohn's appointment") == []
    assert vet("the Follow-Up today", "Follow-Up") == []


def test_harmless_words_at_the_edges_are_cut_and_those_within_stay():
    assert vet("so patient Ada called Byron called back", "patient Ada called Byron called") == ["Ada called Byron"]


def test_a_piece_of_a_word_is_not_judged_by_itself():
    assert vet("Mainwaring phoned", "Main") == ["Main"]


def test_other_classes_are_left_alone():
    assert vet("at 12 Main Street", "12 Main Street", "ADDRESS") == ["12 Main Street"]
    assert vet("at Main Street", "Main Street", "LOCATION", frozenset({"ADDRESS"})) == ["Main Street"]


def test_what_has_no_word_stays():
    assert vet("by -- then", "--") == ["--"]


@given(st.text(max_size=60), st.data())
def test_vetting_only_ever_narrows(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for kept in VettedDetector(Marks(Detection(start, end, "PERSON", 0.4, "marks.x")), HARMLESS).find(text):
        assert start <= kept.start < kept.end <= end or (start, end) == (kept.start, kept.end)
        assert (kept.entity, kept.score, kept.source) == ("PERSON", 0.4, "marks.x")
