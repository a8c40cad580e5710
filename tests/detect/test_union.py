"""Merging and the union: nothing found is lost, and a part that breaks is never taken for one that found nothing."""

from __future__ import annotations

import traceback
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.detect import UnionDetector, merge, open_detector
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection


class Fixed:
    """A detector that always finds the same."""

    name = "fixed"

    def __init__(self, *found):
        self.found = found

    def find(self, text):
        return self.found


class Broken:
    """A detector whose fault quotes the text, as libraries do."""

    name = "broken"

    def find(self, text):
        msg = f"cannot read {text}"
        raise ValueError(msg)


detections = st.lists(
    st.builds(
        Detection,
        st.integers(-5, 40),
        st.integers(-5, 40),
        st.sampled_from(["A", "B"]),
        st.sampled_from([0.1, 0.5, 1.0]),
        st.sampled_from(["x.a", "y.b"]),
    ),
    max_size=12,
)


@given(detections, st.integers(0, 30))
def test_merge_covers_the_same_characters(found, length):
    """What was covered stays covered, nothing else is; the result is sorted, apart and inside the text."""
    merged = merge(found, length)
    before = {i for d in found for i in range(max(d.start, 0), min(d.end, length))}
    assert {i for d in merged for i in range(d.start, d.end)} == before
    assert all(a.end <= b.start for a, b in pairwise(merged))
    assert all(0 <= d.start < d.end <= length for d in merged)


@given(detections)
def test_merge_does_not_depend_on_order(found):
    """The same findings in any order give the same answer."""
    assert merge(found, 30) == merge(reversed(found), 30)


def test_overlapping_finds_become_one():
    """The highest score names the entity, every source is named once, and neighbours stay apart."""
    union = UnionDetector(
        "both",
        (
            Fixed(Detection(0, 5, "DIGITS", 0.3, "a.digits"), Detection(8, 9, "X", 0.1, "a.x")),
            Fixed(Detection(3, 8, "PHONE", 0.9, "b.phone"), Detection(4, 6, "MRN", 0.9, "a.digits")),
        ),
    )
    assert union.find("0123456789") == (Detection(0, 8, "PHONE", 0.9, "a.digits+b.phone"), Detection(8, 9, "X", 0.1, "a.x"))


def test_a_part_that_breaks_breaks_the_whole_without_its_text():
    """The error names the part and the class of the fault; the text is neither in it nor in what caused it."""
    text = "Ada Byron"
    with pytest.raises(DetectorUnavailable) as raised:
        UnionDetector("both", (Fixed(), Broken())).find(text)
    assert "broken" in str(raised.value)
    assert "ValueError" in str(raised.value)
    assert text not in "".join(traceback.format_exception(raised.value))


def test_an_unknown_profile_is_refused():
    """A misspelt profile is an error that names the two there are."""
    with pytest.raises(DetectorUnavailable, match="strict, balanced"):
        open_detector("lenient")


def test_many_texts_keep_their_places():
    """What is found in one text is never told of another, whether a part takes many texts at once or not."""

    class Letters:
        name = "letters"

        def find(self, text):
            return tuple(Detection(i, i + 1, "A", 1.0, "letters.a") for i, char in enumerate(text) if char == "a")

    class Batched(Letters):
        name = "batched"

        def find_many(self, texts):
            return [self.find(text) for text in texts]

    texts = ["a", "", "xa", "xxa", "xxx"]
    for parts in ((Letters(),), (Batched(),), (Letters(), Batched())):
        detector = UnionDetector("u", parts)
        found = detector.find_many(texts)
        assert [[d.start for d in each] for each in found] == [[0], [], [1], [2], []]
        assert found == [detector.find(text) for text in texts]
