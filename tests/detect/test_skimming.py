"""What a closed list settles is not read; everything else is, as if nobody had skimmed."""

from __future__ import annotations

import pytest

from phi_guard.detect import SkimmingDetector, find_many, open_detector
from phi_guard.detect.skimming import SKIMMED_MAX
from phi_guard.detect.vocabulary import is_harmless_text
from phi_guard.model import Detection


class All:
    """Finds every text whole, and keeps what it was given."""

    name = "all"

    def __init__(self):
        self.given = []

    def find(self, text):
        self.given.append(text)
        return (Detection(0, len(text), "PERSON", 1.0, "all.all"),)


SETTLED = (
    "i have had a really bad headache since yesterday",
    "Does it hurt when you bend your knee?",
    "yes, that works for me, thank you",
    "no, I am not allergic to penicillin",
)
READ = (
    "",
    "hurt",
    "old pain",
    "my name is Ada",
    "is this old mill wellness center",
    "he was seen on main street.",
    "nice to see you, Pain said",
    "wants to see doctor friday",
    "take two hundred and five",
    "i spoke to case yesterday",
    "a patient so wants it",
    "room 12 is free now",
    "the zxqv is here now",
    "so and so " * (SKIMMED_MAX // 10 + 1),
)


@pytest.mark.parametrize("text", SETTLED)
def test_plain_talk_is_settled_at_a_glance(text):
    inner = All()
    assert SkimmingDetector(inner, is_harmless_text).find(text) == ()
    assert inner.given == []


@pytest.mark.parametrize("text", READ)
def test_all_else_is_read(text):
    inner = All()
    assert SkimmingDetector(inner, is_harmless_text).find(text)
    assert inner.given == [text]


class Word:
    """Finds one word."""

    name = "word"

    def __init__(self, word):
        self.word = word

    def find(self, text):
        start = text.find(self.word)
        return (Detection(start, start + len(self.word), "PERSON", 1.0, "word.word"),) if start >= 0 else ()


def test_talk_in_which_a_glance_finds_something_is_read():
    text = "my son gift has a cough"
    inner = All()
    assert SkimmingDetector(inner, is_harmless_text, (Word("hope"),)).find(text) == ()
    assert inner.given == []
    assert SkimmingDetector(inner, is_harmless_text, (Word("hope"), Word("gift"))).find(text)
    assert inner.given == [text]


GLANCED = ("my son gift has a cough", "could i speak with promise please", "i grew up in reading", "it's the oct fourth i think")
"""Every word is certainly harmless, and one is somebody's all the same."""


@pytest.fixture(scope="module")
def strict():
    return open_detector("strict")


@pytest.mark.parametrize("text", GLANCED)
def test_the_strict_profile_skims_no_name_away(strict, text):
    assert is_harmless_text(text)
    assert strict.find(text)


@pytest.mark.parametrize("text", SETTLED)
def test_the_strict_profile_still_settles_plain_talk(strict, text):
    assert strict.find(text) == ()
    assert not any(detector.find(text) for detector in strict.glances)


def test_many_texts_come_back_in_their_order():
    texts = [READ[3], SETTLED[0], READ[5], SETTLED[1], READ[1]]
    inner = All()
    found = find_many(SkimmingDetector(inner, is_harmless_text), texts)
    assert [bool(each) for each in found] == [True, False, True, False, True]
    assert inner.given == [READ[3], READ[5], READ[1]]
    assert [each[0].end for each in found if each] == [len(READ[3]), len(READ[5]), len(READ[1])]
