"""The normalising detector: readings that keep their places, a bounded cost, one batch for many texts."""

from __future__ import annotations

import base64
import html
import json
import urllib.parse
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phi_guard.detect.disguises import may_hide, read
from phi_guard.detect.loose import may_be_loose, tightened
from phi_guard.detect.normalise import NormalisingDetector
from phi_guard.detect.patterns import PatternDetector
from phi_guard.detect.reading import as_given
from phi_guard.model import Detection


class Whole:
    """Finds one word, wherever it stands, and notes what it was given to judge."""

    name = "whole"

    def __init__(self, word="Zqxjk"):
        self.word, self.judged = word, []

    def find(self, text):
        self.judged.append(text)
        at = text.find(self.word)
        return (Detection(at, at + len(self.word), "PERSON", 1.0, "whole"),) if at >= 0 else ()


class Batched(Whole):
    """The same, for many texts at once."""

    def __init__(self):
        super().__init__()
        self.batches = 0

    def find_many(self, texts):
        self.batches += 1
        return [self.find(text) for text in texts]


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_offsets_are_those_of_the_text_as_given(before, after):
    """Whatever stands around it, the disguised word itself is what is found."""
    worn = "Z\u200bq&#120;j%6B"
    found = NormalisingDetector(Whole()).find(f"{before} {worn} {after}")
    start = len(before) + 1
    assert any(d.start <= start and d.end >= start + len(worn) for d in found)


NASTY = st.text(alphabet=st.one_of(st.sampled_from(" ._-_.\n@/+=&%\\<>;#x0134abZаеο\u200b\u0301٤ＡJ"), st.characters()), max_size=120)


@given(NASTY)
@example("%C3%A9&amp;lt;b")
@example("a.b.c.d  e_f_g_h htimS nhoJ 8591/41/30")
def test_a_reading_maps_every_character_to_where_it_came_from(text):
    """Stretches are not empty and inside the text, in the reading and once its words are put together."""
    reading = read(text)
    for each in (reading, tightened(reading)):
        assert len(each.text) == len(each.starts) == len(each.ends)
        assert all(0 <= start < end <= len(text) for start, end in zip(each.starts, each.ends, strict=True))
    assert list(reading.starts) == sorted(reading.starts)


@given(NASTY)
def test_a_text_that_shows_no_sign_is_not_changed(text):
    """The cheap glance never passes over a text that a reading would change: nothing is missed for being quick."""
    if not may_hide(text):
        assert read(text).text == text
    if not may_be_loose(text):
        assert tightened(as_given(text)).text == text


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="&%<>\\", exclude_categories=("Cc",)), max_size=100))
def test_a_plain_text_reads_as_it_is(text):
    """No disguise, no change."""
    assert read(text).text == text


@pytest.mark.parametrize(
    "text", ["a reference 5f3a9c0de17b44", "order QWxsIHJpZ2h0LCBidXQgbm8gUEhJ", html.escape("a < b & c > d"), "100% of 50%", "x = a<b> c"]
)
def test_what_hides_nothing_is_no_finding(text):
    """A token is decoded, not condemned; only what it holds counts."""
    assert not any(d.source.startswith("normalise") for d in NormalisingDetector(Whole()).find(text))


@pytest.mark.parametrize(
    "text",
    [
        "Doctor: take 500mg b.i.d., or 2.5 mg at 10 am. Patient: I had a C T and an M R I in 2019.",
        "a b c, or 1 2 3 4 5, 10 20 30 and 5 7 9",
        "BP 120/80\n98.6 F\n72 bpm\n16",
        "w/o fever, s/p fall, his 1st and 2nd dose, at 7 pm, 3x daily, and/or 24/7",
        "vitamin b12, h1n1, covid-19, t2dm, a1c, HbA1c, cyp2d6, L5S1, O2, pH 7.4, kHz, mmHg, 5days",
        "Guest_family: the hypertension appointments, x-rays and electrocardiogram",
        "patient has\nbeen seen.\nNo pain",
        "A, B, C and D; U.S.A.; e.g. this, i.e. that; it hurts.It really does... a.m.",
        "------------------------ ________________________ ==========================",
    ],
)
def test_ordinary_talk_is_judged_once(text):
    """What a clinic says all day has no second reading that could cost a word, or time."""
    inner = Whole()
    found = NormalisingDetector(inner).find(text)
    seam = "hurts.It" in text  # one full stop without its space may be read again
    assert len(inner.judged) <= 1 + seam
    assert found == ()


@pytest.mark.parametrize(
    "token",
    ["aB3xK9mQ2zR7wT5yU8iO1pL4", "5f3a9c0de17b44a85f3a9c0de17b44a8", "f00dBABE9z_-Kq83JxWm2Lp0Vt7", "d41d8cd98f00b204e9800998ecf8427e"],
)
def test_a_long_token_that_nobody_can_read_is_found(token):
    """Eighteen bytes and more of no known meaning may be anything."""
    assert [(d.start, d.end) for d in NormalisingDetector(Whole()).find(f"see {token} now")] == [(4, 4 + len(token))]


@pytest.mark.parametrize(
    "path", ["/api/v1/patients/appointments/list", "com.example.clinic.bookings.CreateBookingRequest", "reason_for_visit_of_patient"]
)
def test_a_path_is_no_opaque_token(path):
    """Words joined by signs are words."""
    assert not any(d.entity == "ENCODED" for d in NormalisingDetector(Whole()).find(path))


def _nested(value, times):
    for _ in range(times):
        value = base64.b64encode(value.encode()).decode()
    return value


@pytest.mark.parametrize("times", [1, 2, 3, 4, 6, 9])
def test_base64_within_base64_is_opened_or_found_for_its_depth(times):
    """Deeper than anyone looks is not the same as empty."""
    token = _nested("call Zqxjk now", times)
    found = NormalisingDetector(Whole()).find(f"see {token} now")
    assert any(d.start <= 4 and d.end >= 4 + len(token) for d in found)
    assert ("normalise.opaque" in found[0].source) == (times > 3)  # HIDDEN_DEPTH, as it is promised


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5, 6, 9])
def test_url_encoding_within_url_encoding_is_undone_or_found_for_its_depth(times):
    """Every letter of the word is covered."""
    worn = "".join(f"%{ord(c):02x}" for c in "Zqxjk")
    for _ in range(times - 1):
        worn = urllib.parse.quote(worn, safe="")
    text = f"see {worn} now"
    found = NormalisingDetector(Whole()).find(text)
    assert {i for d in found for i in range(d.start, d.end)} >= set(range(4, 4 + len(worn)))
    assert any("whole" in d.source for d in found) == (times <= 4)  # DEPTH_MAX, as it is promised


def test_base64_in_the_alphabet_of_urls_is_read():
    """A minus and an underscore stand for a plus and a slash."""
    token = base64.urlsafe_b64encode(b"Zqxjk~~~ \xc3\xbf???").decode()
    assert {"-", "_"} & set(token)
    assert any("encoded" in d.source for d in NormalisingDetector(Whole()).find(f"got {token} today"))


def test_a_long_token_is_read_not_condemned():
    """Two kilobytes of harmless text in base64 are harmless."""
    token = base64.b64encode(b"rest and drink, and call again " * 60).decode()
    assert NormalisingDetector(Whole()).find(f"got {token} today") == ()


def test_an_opaque_token_within_an_encoded_text_is_found():
    """What a token holds is legible, but for a token nobody can read: the outer one is found."""
    token = base64.b64encode(b"see aB3xK9mQ2zR7wT5yU8iO1pL4 now").decode()
    found = NormalisingDetector(Whole()).find(f"got {token} today")
    assert [(d.start, d.end) for d in found] == [(4, 4 + len(token))]


def test_json_within_json_is_read():
    """Each level escapes the quotes of the one inside."""
    value = {"note": "Zq\u00adxjk", "n": 1}
    for _ in range(3):
        value = {"payload": json.dumps(value)}
    assert NormalisingDetector(Whole()).find(json.dumps(value))


TEXTS = st.lists(
    st.one_of(
        NASTY,
        st.sampled_from(
            ["Zqxjk", "Z q x j k", "", base64.b64encode(b"call Zqxjk now").decode(), "Z%71xjk", "Z_q_x_j_k", "415-555-2671", "plain"]
        ),
    ),
    max_size=6,
)


PATTERNS = NormalisingDetector(PatternDetector())


@given(TEXTS)
@settings(deadline=None)
def test_many_at_once_are_found_as_each_alone(texts):
    """One batch, whatever else is in it; with a batch of the inner detector's, or without."""
    alone = [NormalisingDetector(Whole()).find(text) for text in texts]
    batched = Batched()
    assert NormalisingDetector(batched).find_many(texts) == alone
    assert NormalisingDetector(Whole()).find_many(texts) == alone
    assert batched.batches <= 1
    assert PATTERNS.find_many(texts) == [PATTERNS.find(text) for text in texts]


@given(NASTY)
@settings(deadline=None)
def test_what_is_found_is_in_order_and_inside(text):
    """The promise of every detector, kept for any text."""
    found = PATTERNS.find(text)
    assert all(0 <= d.start < d.end <= len(text) for d in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


TRAPS = [
    "&#", "%4", "%25", "<a ", "\\u00", "\\", '\\"', "A" * 20 + " ", "A", "\u200b", "&amp;", "&amp;amp;", "a ", "a.", "a_", "a_b",
    "1 ", "1\n", "0-",
    "a.a", "4a ", "4a:", "J0", "a1", "1!", "@", "a@a.", "htimS ", "8591/", "9/", "é", "а", "aа", "\x00", "_", "=",
    "+a", "\n", "a\n", "(2 ", "<!--",
    "YWFhYWFhYWFhYWFh", "&#x26;#x26;",
]  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_a_hostile_text_is_judged_a_bounded_number_of_times_over(trap):
    """Of 100 kB of each trap, what the inner detector is given stays within a few times the text."""
    inner = Whole()
    text = (trap * 100_000)[:100_000]
    NormalisingDetector(inner).find(text)
    assert sum(map(len, inner.judged)) <= 6 * len(text)


@pytest.mark.parametrize("levels", [8, 16])
def test_encodings_one_within_the_other_do_not_multiply(levels):
    """A hundred tokens, each base64 of base64 of …, cost no more than a few times their length."""
    inner = Whole()
    text = " ".join([_nested("aZ3 and so on", levels)] * 100) if levels == 8 else _nested("aZ3 and so on", levels)
    NormalisingDetector(inner).find(text)
    assert sum(map(len, inner.judged)) <= 6 * len(text)
