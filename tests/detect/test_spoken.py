"""The spoken rules: each hits and misses what it says, the whole layer finds values whole, none takes long, none makes find() raise."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard.detect.spoken import HITS, MISSES, RULES, SpokenDetector

NAMES = [rule.name for rule in RULES]
LENGTH = 100_000
DETECTOR = SpokenDetector()

HOSTILE = (
    "one ", "a ", "at at dot dot ", "a.a.a.", "1 1 1 1 ", "0-0-0-", "two to ", "double ", "one and ", "quatre vingt ",
    "street ", "oak street ", "one oak ", "my name is ", "name uh ", "hi ", "b as in ", "b for boy ", "spelled a ", "smith with a b ",
    "march ", "third of ", "may one ", "de la ", "name de la ", "corner of a and ", "corner of oak ", "live at one ", "live at oak ",
    "uh ", "four uh ", "a dot ", "ada at ", "at gmail ", "at uh ", "www dot ", "underscore ", "point one ", "box one ", "number is ",
    "number is one ", "ninety ", "ninety years ", "rue de ", "rue oak ", "einund ", "bravo ", "strasse ", "four point four ", "x1 ", "@ ",
    "slash ", "one slash ", "address ", "what's your address? ", "what's your address? one ", "password is ", "password is oak ", "1 800 ",
    "1 800 oak ", "apartment ", "apartment b ", "bee ", "bee are ", "see you ", "highway 1 ", "county road ", "email is a ", "email is at ",
    "is ada ", "get ada uh ", "is my name ", "ada is my name ", "ada like the ", "ada hyphen ", "born on the ", "oak party of two ",
    "nine avenue of the oaks ", "live in ", "live in oak ", "i'm from ", "drove down from oak ", "city of ", "tell her ", "tell her oak ",
    "oak is my ", "is my aunt ",
)  # fmt: skip
"""Texts that rules might walk over again and again."""


def covered(text):
    """The text with every character found by the detector replaced by a bar."""
    chars = list(text)
    for d in DETECTOR.find(text):
        chars[d.start : d.end] = "|" * (d.end - d.start)
    return "".join(chars)


def values(text):
    """What is found, in order."""
    return [text[d.start : d.end] for d in DETECTOR.find(text)]


def test_no_two_rules_share_a_name():
    """A source names one rule."""
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_hits_its_examples(rule):
    """Each example it must hit has something found in it, under its own source and class."""
    assert rule.hits
    assert rule.misses
    for text in rule.hits:
        found = rule.find(text)
        assert found, text
        assert {(d.source, d.entity) for d in found} == {(f"spoken.{rule.name}", rule.entity)}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_leaves_its_misses_alone(rule):
    """In the harmless examples the rule finds nothing."""
    assert [text for text in rule.misses if rule.find(text)] == []


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_layer_needs_the_rule(rule):
    """Without a rule, the layer covers less of that rule's own examples."""
    without = SpokenDetector(tuple(other for other in RULES if other is not rule))
    assert any(_size(without.find(text)) < _size(DETECTOR.find(text)) for text in rule.hits)


def _size(found):
    return sum(d.end - d.start for d in found)


def test_the_layer_hits_and_misses_what_it_says():
    """What a rule hits the layer finds too; in harmless talk all rules together find nothing."""
    assert [text for text in HITS if not DETECTOR.find(text)] == []
    assert [text for text in MISSES if DETECTOR.find(text)] == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("my name is uh ada um byron and i cough", "my name is uh | and i cough"),
        ("it's byron, b y r o n.", "it's |."),
        ("reach me at double oh seven, um, three two please", "reach me at | please"),
        ("ada dot byron at mail dot example is my email", "| is my email"),
        ("i live at twelve oak street apartment four b", "i live at |"),
        ("born march third nineteen fifty eight", "born |"),
        ("born on the third of the fourth fifty eight", "born on the |"),
        ("she is ninety three years old", "she is |"),
        ("the old man's ninety six he won't walk", "the old man's | he won't walk"),
        ("the twenty first's my birthday", "the | my birthday"),
        ("i grew up in reading and left", "i grew up in | and left"),
        ("she lives in half moon bay now", "she lives in | now"),
        ("tell her that gift called", "tell her that | called"),
        ("gift mabuza is my guardian", "| is my guardian"),
        ("that's catherine with a k", "that's |"),
        ("four four, no wait, sorry, four five one two", "|"),
        ("my number is area code four one five. five five five. oh one two nine.", "my number is area code |. |. |."),
        ("née le trois mars mille neuf cent cinquante-huit", "née le |"),
        ("quatre-vingt-dix-sept ans", "|"),
        ("am dritten märz achtundfünfzig geboren", "am | geboren"),
        ("m as in mary um n like nancy", "|"),
        ("it's bee are oh double you en", "it's |"),
        ("the code is see three pee oh nine", "the code is |"),
        ("what's your address? it's nine tulip and i'm home", "what's your address? it's | and i'm home"),
        ("my password is marmalade seven okay", "my password is | okay"),
        ("do is my family name", "| is my family name"),
        ("call one eight hundred tulips", "call |"),
        ("it expires eleven slash twenty seven", "it expires |"),
        ("i'm off county road nine", "i'm off county |"),
        ("the code is bravo four yankee romeo", "the code is |"),
        ("i take five hundred milligrams and my member id is four four one two", "i take five hundred milligrams and my member id is |"),
    ],
)
def test_a_value_is_found_whole(text, left):
    """What is dictated is covered from its first word to its last, and nothing else is."""
    bars = covered(text)
    while "||" in bars:
        bars = bars.replace("||", "|")
    assert bars == left


def test_a_curly_apostrophe_is_an_apostrophe():
    """Recognisers write either."""
    assert values("my name’s ada o’brien") == ["ada o’brien"]


def test_offsets_are_into_the_text_as_given():
    """Characters outside the basic plane, lone surrogates, and letters that grow in lower case before the value do not shift it."""
    assert values("😀\ud800\x00 İİ extension four four one two") == ["four four one two"]


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "²", "٣ ٤ one", "o", "double", "one hundred and", "at", "@", "quatre", "my name is", "rue"]
)
def test_a_fragment_is_answered(text):
    """A text that stops where a rule would look on is answered all the same."""
    assert isinstance(DETECTOR.find(text), tuple)


def lines_run(text):
    """How many lines of Python the layer runs over a text."""
    lines = 0

    def count(frame, event, arg):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        DETECTOR.find(text)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_the_work_grows_with_the_length(unit):
    """Text three times as long takes at most four times the lines run, whatever is repeated: counted, not timed."""
    short = unit * (900 // len(unit))
    assert lines_run(short * 3) < 4 * lines_run(short) + 1_000


@pytest.mark.parametrize("unit", ["one ", "a ", "at at dot dot ", "a.a.a.", "1 1 1 1 ", "0-0-0-", "x"])
def test_a_long_text_is_answered(unit):
    """100 KB of one thing come back well within the time a test has."""
    text = (unit * (LENGTH // len(unit) + 1))[:LENGTH]
    assert all(d.end <= LENGTH for d in DETECTOR.find(text))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_any_text_is_answered_in_order(text):
    """Whatever the text, detections are sorted, apart, not empty, and inside it."""
    _in_order(text)


WORDS = sorted({word for text in (*HITS, *MISSES) for word in text.split()})


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25), st.sampled_from([" ", ", ", ". ", "-", "\n", "  "]))
def test_any_order_of_the_rules_own_words_is_answered(words, gap):
    """Words the rules look for, in any order, end no rule outside its bounds."""
    _in_order(gap.join(words))


def _in_order(text):
    found = DETECTOR.find(text)
    edges = [0, *(edge for d in found for edge in (d.start, d.end)), len(text)]
    assert edges == sorted(edges)
    assert all(d.start < d.end for d in found)
