"""Disguises: what a detector finds in a plain text it finds in the same text disguised, at the right place in the text as given."""

from __future__ import annotations

import base64
import html
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.detect.normalise import NormalisingDetector, read
from phi_guard.detect.patterns import PatternDetector
from phi_guard.model import Detection

VALUES = ["+41 79 555 12 34", "ada.byron@example.org", "123-45-6789", "1958-03-14", "756.9217.0769.85"]
DISGUISES = {
    "zero-width space in each gap": "\u200b".join,
    "zero-width joiner once": lambda v: v[:3] + "\u200d" + v[3:],
    "soft hyphen": lambda v: v[:4] + "\u00ad" + v[4:],
    "no-break spaces": lambda v: v.replace(" ", "\u00a0"),
    "full-width": lambda v: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in v),
    "Arabic-Indic digits": lambda v: "".join(chr(0x660 + int(c)) if c.isdigit() else c for c in v),
    "mathematical bold digits": lambda v: "".join(chr(0x1D7CE + int(c)) if c.isdigit() else c for c in v),
    "combining marks": lambda v: "".join(c + "\u0336" for c in v),
    "en dashes": lambda v: v.replace("-", "–"),
    "HTML entities": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "hexadecimal entities": lambda v: "".join(f"&#x{ord(c):x};" for c in v),
    "tags inside": lambda v: v[:3] + "<b>" + v[3:6] + "</b>" + v[6:],
    "URL-encoded, all": lambda v: "".join(f"%{ord(c):02X}" for c in v),
    "URL-quoted": lambda v: urllib.parse.quote(v, safe=""),
    "JSON escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64, URL alphabet, unpadded": lambda v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("="),
    "hexadecimal": lambda v: v.encode().hex(),
}
DETECTOR = NormalisingDetector(PatternDetector())


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_identifier_is_found_whole_where_it_stands(disguise, value):
    """The stretch that is found covers every character of the disguised value."""
    worn = DISGUISES[disguise](value)
    text = f"please note {worn} thanks"
    covered = set()
    for d in DETECTOR.find(text):
        covered |= set(range(d.start, d.end))
    start = text.index(worn)
    missed = [char for i, char in enumerate(worn, start) if char.isalnum() and i not in covered]
    assert not missed, DETECTOR.find(text)


class Whole:
    """Finds one word, wherever it stands."""

    name = "whole"

    def find(self, text):
        at = text.find("Zqxjk")
        return (Detection(at, at + 5, "PERSON", 1.0, "whole"),) if at >= 0 else ()


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_offsets_are_those_of_the_text_as_given(before, after):
    """Whatever stands around it, the disguised word itself is what is found."""
    worn = "Z\u200bq&#120;j%6B"
    found = NormalisingDetector(Whole()).find(f"{before} {worn} {after}")
    start = len(before) + 1
    assert any(d.start <= start and d.end >= start + len(worn) for d in found)


@given(st.text(max_size=200))
def test_a_reading_maps_every_character_to_where_it_came_from(text):
    """Stretches are inside the text and in order."""
    reading = read(text)
    assert len(reading.text) == len(reading.starts) == len(reading.ends)
    assert all(0 <= start < end <= len(text) for start, end in zip(reading.starts, reading.ends, strict=True))
    assert list(reading.starts) == sorted(reading.starts)


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="&%<>\\"), max_size=100))
def test_a_plain_text_reads_as_it_is(text):
    """No disguise, no change."""
    assert read(text).text == text


@pytest.mark.parametrize(
    "text", ["a reference 5f3a9c0de17b44", "order QWxsIHJpZ2h0LCBidXQgbm8gUEhJ", html.escape("a < b & c > d"), "100% of 50%", "x = a<b> c"]
)
def test_what_hides_nothing_is_no_finding(text):
    """An opaque token is decoded, not condemned; only what it holds counts."""
    assert not any(d.source.startswith("normalise") for d in NormalisingDetector(Whole()).find(text))


def test_a_hostile_text_is_read_in_linear_time():
    """100 kB of each trap within two seconds."""
    import time

    for trap in ("&#", "%4", "<a ", "\\u00", "A" * 20 + " ", "\u200b", "&amp;"):
        text = (trap * 100_000)[:100_000]
        began = time.perf_counter()
        NormalisingDetector(Whole()).find(text)
        assert time.perf_counter() - began < 2, trap
