"""Vetting takes back names made of harmless words, and nothing else."""

from __future__ import annotations

import pytest
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


def test_after_a_title_an_ordinary_word_is_a_name():
    assert vet("nice to see you, Mr. Crohn again", "Crohn") == ["Crohn"]
    assert vet("dr patient is here", "patient") == ["patient"]
    assert vet("the drug patient leaflet", "patient") == []


def test_a_harmless_word_that_is_also_a_name_is_left_to_the_inner_detector():
    detector = VettedDetector(Marks(Detection(0, 4, "PERSON", 0.9, "marks.x")), HARMLESS | {"gift", "fever"})
    assert len(detector.find("Gift has a fever")) == 1


def test_one_ordinary_word_is_no_date_and_no_number():
    harmless = HARMLESS | {"left", "friday", "march", "seven", "x"}
    for text, entity, kept in (
        ("left", "DATE_TIME", False),
        ("called", "EMAIL_ADDRESS", False),
        ("left", "ADDRESS", True),
        ("friday", "DATE_TIME", True),
        ("march", "DATE_TIME", True),
        ("seven", "PHONE_NUMBER", True),
        ("x", "ID", True),
        ("left up", "ID", True),
        ("zxqv", "ID", True),
    ):
        found = VettedDetector(Marks(Detection(0, len(text), entity, 0.4, "marks.x")), harmless).find(text)
        assert bool(found) is kept, text


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("BP 132/84, HR 76 at rest", "BP 132/84"),
        ("BP 132/84, HR 76 at rest", "HR 76"),
        ("blood pressure was 118/76.", "118/76"),
        ("temp 36.8, SpO2 98% on room air", "36.8"),
        ("SpO2 98% on room air", "98"),
        ("Weight: 82 kg", "82"),
        ("platelets of 210 today", "210"),
    ],
)
@pytest.mark.parametrize("entity", ["ADDRESS", "DATE_TIME", "PERSON"])
def test_what_was_measured_is_no_house(text, marked, entity):
    assert vet(text, marked, entity) == []


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("HR 76 Elm Street", "76 Elm Street"),  # more than a value
        ("room 76", "76"),
        ("P 88", "88"),
        ("glucose 142-555-0172", "142"),
        ("glucose 142 555 0172", "142"),
        ("weight 1942", "1942"),
        ("height 12/03/1958", "12/03"),
        ("pulse 12/03", "12/03"),
        ("temp 12.03.1958", "12.03"),
        ("BP 132/84/12", "132/84"),
        ("overweight 82", "82"),
        ("creatinine 0.9.1", "0.9"),
        ("sodium 139a", "139"),
    ],
)
def test_a_number_that_may_be_more_than_a_value_stays(text, marked):
    assert vet(text, marked, "ADDRESS") == [marked]


def test_what_others_have_found_too_is_not_vetted():
    found = Detection(3, 5, "ADDRESS", 0.4, "marks.x+patterns.y")
    assert VettedDetector(Marks(found), HARMLESS, frozenset({"marks.x"})).find("HR 76") == (found,)


@given(st.text(max_size=60), st.data())
def test_vetting_only_ever_narrows(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    for kept in VettedDetector(Marks(Detection(start, end, "PERSON", 0.4, "marks.x")), HARMLESS).find(text):
        assert start <= kept.start < kept.end <= end or (start, end) == (kept.start, kept.end)
        assert (kept.entity, kept.score, kept.source) == ("PERSON", 0.4, "marks.x")
