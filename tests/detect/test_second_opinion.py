"""The costly detectors are asked where something is left to judge, and only there."""

from __future__ import annotations

import pytest

from phi_guard.detect import SecondOpinionDetector, find_many
from phi_guard.model import Detection

HARMLESS = frozenset({"a", "note", "on", "today", "pain"})


class Words:
    """Finds certain words, and keeps what it was given."""

    def __init__(self, name, *words):
        self.name = name
        self.words = words
        self.given = []

    def find(self, text):
        self.given.append(text)
        places = sorted((text.index(word), word) for word in self.words if word in text)
        return tuple(Detection(at, at + len(word), "PERSON", 1.0, f"{self.name}.word") for at, word in places)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a note on Ada", 0),  # found by the first, the rest is harmless
        ("a note on pain", 0),
        ("a note on Ada's pain", 0),
        ("Ada's note, today.", 0),
        ("a note on Bo", 1),  # the second finds it, and nothing is left for the third
        ("a note on Bo and Cy", 2),
        ("a note on 2 days", 2),  # a number may be anyone's
        ("a note on Žofie", 2),
        ("", 0),
    ],
)
def test_they_are_asked_while_something_is_left(text, asked):
    first, second, third = Words("first", "Ada"), Words("second", "Bo"), Words("third", "Cy")
    detector = SecondOpinionDetector(first, (second, third), HARMLESS)
    found = detector.find(text)
    assert (len(second.given), len(third.given)) == (min(asked, 1), max(asked - 1, 0))
    assert {text[d.start : d.end] for d in found} == {word for word in ("Ada", "Bo", "Cy") if word in text}
    assert detector.find_many([text]) == [found]


def test_many_texts_keep_their_places():
    second = Words("second", "Bo")
    detector = SecondOpinionDetector(Words("first", "Ada"), (second,), HARMLESS)
    texts = ["a note on Ada", "a note on Bo", "pain today", "Bo on Ada"]
    found = find_many(detector, texts)
    assert second.given == ["a note on Bo", "Bo on Ada"]
    assert [[t[d.start : d.end] for d in each] for t, each in zip(texts, found, strict=True)] == [["Ada"], ["Bo"], [], ["Bo", "Ada"]]
