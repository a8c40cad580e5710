"""No text is too long to be judged: what is not read is found."""

from __future__ import annotations

from phi_guard.detect.bounded import SEAM, BoundedDetector
from phi_guard.model import Detection


class Words:
    """Finds each ``ada``, and keeps what it was given."""

    name = "words"

    def __init__(self):
        self.given = []

    def find(self, text):
        self.given.append(text)
        places = [i for i in range(len(text)) if text.startswith("ada", i)]
        return tuple(Detection(i, i + 3, "PERSON", 1.0, "words.ada") for i in places)


def test_a_text_within_the_bound_is_read_as_it_is():
    inner = Words()
    text = "x" * 497 + "ada"
    detector = BoundedDetector(inner, 500)
    assert [(d.start, d.end) for d in detector.find(text)] == [(497, 500)]
    assert inner.given == [text]


def test_the_rest_of_a_longer_one_is_found_with_its_seam():
    inner = Words()
    text = "ada " + "x" * 500 + "ada"
    detector = BoundedDetector(inner, 500)
    found = detector.find(text)
    assert [(d.start, d.end, d.entity) for d in found] == [(0, 3, "PERSON"), (500 - SEAM, 507, "UNREADABLE")]
    assert inner.given == [text[:500]]
    assert detector.find_many([text, "ada"]) == [found, (Detection(0, 3, "PERSON", 1.0, "words.ada"),)]
