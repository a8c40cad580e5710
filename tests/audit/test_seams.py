"""What neighbours tell together: by a detector that knows one word, so that every joint can be looked at by hand."""

from __future__ import annotations

import pytest

from audit import seams
from audit.seams import Part, across
from phi_guard.model import Detection

WORD, DATE = "qadvarlord", "may 3"


def finds(*words, entity="PERSON", source="t"):
    """A detector of these words, wherever they stand."""

    def find(text):
        return [Detection(at, at + len(w), entity, 1.0, source) for w in words for at in range(len(text)) if text.startswith(w, at)]

    return find


NOTHING = finds()


def parts(*texts, parent="p"):
    return [Part(parent, f"{parent}.{n}", text) for n, text in enumerate(texts)]


def seen(texts, find=NOTHING, forms=NOTHING):
    return [(seam.path, seam.text) for seam in across(parts(*texts), find, forms)]


def test_small_pieces_are_read_together():
    """Three or more pieces of at most three characters make one text, with nothing or a space between them; told once."""
    assert seen(["qad", "var", "lor", "d"], finds(WORD)) == [("p.0+p.3", WORD)]
    assert seen([" q ", "a", "d"], finds("qad")) == [("p.0+p.2", "qad")]
    assert seen(["a", "bc", "d"], finds("a bc d")) == [("p.0+p.2", "a bc d")]
    assert seen(["a", "b", "c", "a", "b", "c"], finds("abc", "a b c")) == [("p.0+p.5", "abc")]
    assert seen(["abcd", "ef", "gh"], finds("efgh")) == []  # two small ones are no row
    assert seen(["abcd", "ef", "gh", "ij", "klmn"], finds("fghi")) == [("p.1+p.3", "fghi")]
    assert seen(["a", "b", "c"], finds("b")) == []  # what lies in one piece is its own finding


def test_pieces_of_two_parents_are_not():
    """Only what lies in one list or mapping is put together."""
    mixed = [*parts("q", "a", parent="x"), *parts("d", "v", parent="y")]
    assert [*across(mixed, finds("qadv"), NOTHING)] == []


def test_neighbours_without_a_space_are_read_by_form():
    """A number cut in two is found; two words that make a name when glued are not, unless a patient of the roster has it."""
    number = finds("079555", entity="PHONE")
    assert seen(["call 079", "555 please"], forms=number) == [("p.0+p.1", "079555")]
    glued = finds("feverfew")
    assert seen(["a high fever", "few days long"], forms=glued) == []
    assert seen(["a high fever", "few days long"], forms=finds("feverfew", source="roster")) == [("p.0+p.1", "feverfew")]


def test_neighbours_of_few_words_are_read_as_one_name():
    """Three words on both sides may be a name; where one side is a sentence, only what is spelled or counted is looked at."""
    assert seen(["for lady", "byron"], finds("lady byron")) == [("p.0+p.1", "lady byron")]
    assert seen(["one two lady", "byron"], finds("lady byron")) == [("p.0+p.1", "lady byron")]
    assert seen(["as said by the lady", "byron"], finds("lady byron")) == []
    assert seen(["as said by the lady", "byron"], finds("lady byron", entity="DATE")) == []  # no figure stands at the seam
    told = finds("five one", entity="PHONE")
    assert seen(["my number starts with five", "one and so on it goes"], told) == [("p.0+p.1", "five one")]
    assert seen(["my number starts with five", "one and so on it goes"], finds("five one")) == []
    assert seen(["the name is spelled x", "y and so on it goes"], finds("x y", entity="ID")) == [("p.0+p.1", "x y")]
    assert seen(["it was on the day may", "3 or some time later"], finds(DATE, entity="DATE")) == [("p.0+p.1", DATE)]


def test_reach():
    """So many characters on each side of the seam are read, and not one more."""
    half = "9" * seams.REACH
    both = finds(half + half, entity="PHONE")
    assert seen([f"x{half}", f"{half}x"], forms=both) == [("p.0+p.1", half + half)]
    longer = finds(f"x{half}{half}", entity="PHONE")
    assert seen([f"x{half}", f"{half}x"], forms=longer) == []


@pytest.mark.parametrize(
    ("left", "right"),
    [("lady <REDACTED> x", "byron"), ("lady", "x <REDACTED> byron"), ("lady <REDACTED>", "byron"), ("lady byron", "<REDACTED>")],
)
def test_a_marker_parts(left, right):
    """What stands beyond a marker is not beside the seam, and a side of nothing but markers is none."""
    asked = []

    def find(text):
        asked.append(text)
        return [Detection(0, len(text), "PERSON", 1.0, "t")] if "lady" in text and "byron" in text else []

    assert [*across(parts(left, right), find, NOTHING)] == []
    assert not [text for text in asked if "REDACTED" in text]


def test_what_one_side_tells_alone_is_not_told_again():
    """A detection at the seam that either side gives alone is its own finding, or one that the policy lets pass."""
    assert seen(["for lady", "byron"], finds("lady byron", "lady")) == []
    assert seen(["for lady", "byron"], finds("lady byron", "byron")) == []
    assert seen(["ada lady", "byron eve"], finds("lady byron", "ada", "eve")) == [("p.0+p.1", "lady byron")]


def test_a_row_that_was_told_is_not_read_again_in_pairs():
    """The pair whose path a row of small pieces has is left out."""
    asked = []

    def forms(text):
        asked.append(text)
        return []

    assert seen(["q", "a", "d"], finds("qad"), forms) == [("p.0+p.2", "qad")]
    assert asked[:1] == ["qa"]


@pytest.mark.parametrize("word", ["x", "seven", "Seven,", "l33t", "ada@", "dot", "neun"])
def test_words_that_may_be_part_of_a_spelling(word):
    """A letter, a number's word, a digit or the sign of an address."""
    assert seams._spells(word)
    assert not seams._spells("fever")
