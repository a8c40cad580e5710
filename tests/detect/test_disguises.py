"""Disguises: what a detector finds in a plain text it finds in the same text disguised, whole, at its place in the text as given."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse

import pytest

from phi_guard.detect import find_many, open_detector
from phi_guard.detect.confusables import LATIN, SIGNS
from phi_guard.detect.disguises import read
from phi_guard.detect.loose import tightened
from phi_guard.detect.normalise import NormalisingDetector
from phi_guard.detect.patterns import PatternDetector
from phi_guard.model import Detection

VALUES = {
    "name": ["John Smith", "Ada Byron", "Fatima El Amrani"],
    "phone": ["415-555-0134", "+41 79 555 01 23", "(212) 555-0187"],
    "e-mail": ["ada.byron@example.org", "t_becker@mail.example.com", "wei.zhang+lab@example.edu"],
    "ssn": ["123-45-6789", "987-65-4320"],
    "birth date": ["03/14/1958", "1958-03-14", "March 14, 1958", "3/4/58"],
    "record": ["00123456", "77-12-09", "A441290"],
}
_GREEK_AND_CYRILLIC = str.maketrans("aeopcixyJSMTABNZ", "аеорсіхуЈЅМТАВΝΖ")
_LEET = str.maketrans("aeiostAEIOST", "431057431057")


def _bold(value):
    first = {"0": 0x1D7CE, "a": 0x1D41A, "A": 0x1D400}
    return "".join(
        chr(first[low] + ord(c) - ord(low)) if (low := "0" if c.isdigit() else "a" if c.islower() else "A") and c.isalnum() else c
        for c in value
    )


def _entities(value):
    return "".join(f"&#{ord(c)};" for c in value)


def _base64(value, codec="utf-8"):
    return base64.b64encode(value.encode(codec)).decode()


def _full_width(value):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)


DISGUISES = {
    "plain": str,
    "zero-width space in each gap": "\u200b".join,
    "zero-width joiner once": lambda v: v[:3] + "\u200d" + v[3:],
    "soft hyphen": lambda v: v[:4] + "\u00ad" + v[4:],
    "no-break spaces": lambda v: v.replace(" ", "\u00a0"),
    "look-alikes": lambda v: v.translate(_GREEK_AND_CYRILLIC),
    "full-width": _full_width,
    "Arabic-Indic digits": lambda v: "".join(chr(0x660 + int(c)) if c.isdigit() else c for c in v),
    "mathematical bold": _bold,
    "combining marks": lambda v: "".join(c + "\u0336" for c in v),
    "tag characters": lambda v: v[:2] + "".join(chr(0xE0000 + ord(c)) for c in v[2:]),
    "control characters": "\x00".join,
    "line break for a space": lambda v: v.replace(" ", "\n", 1),
    "spaces between": " ".join,
    "spaces between, two between words": lambda v: "  ".join(" ".join(word) for word in v.split(" ")),
    "dots between": ".".join,
    "underscores between": "_".join,
    "bullets between": "•".join,
    "bullets and spaces between": " • ".join,
    "hyphens between": "-".join,
    "HTML entities": _entities,
    "hexadecimal entities": lambda v: "".join(f"&#x{ord(c):x};" for c in v),
    "HTML-escaped twice": lambda v: html.escape(_entities(v)),
    "tags inside": lambda v: v[:3] + "<i>" + v[3:6] + "</i>" + v[6:],
    "URL-encoded, all": lambda v: "".join(f"%{ord(c):02X}" for c in v),
    "URL-quoted": lambda v: urllib.parse.quote(v, safe=""),
    "URL-quoted twice": lambda v: urllib.parse.quote(urllib.parse.quote(v, safe=""), safe=""),
    "URL-quoted with plus signs": urllib.parse.quote_plus,
    "JSON escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "JSON within JSON": lambda v: json.dumps(json.dumps(json.dumps("\u200b".join(v)))),
    "base64": _base64,
    "base64, URL alphabet, unpadded": lambda v: base64.urlsafe_b64encode(v.encode()).decode().rstrip("="),
    "base64 of UTF-16": lambda v: _base64(v, "utf-16"),
    "base64 of UTF-16, big end first": lambda v: _base64(v, "utf-16-be"),
    "base64 of base64": lambda v: _base64(_base64(v)),
    "hexadecimal": lambda v: v.encode().hex(),
    "hexadecimal, 0x": lambda v: "0x" + v.encode().hex(),
    "hexadecimal, spaced": lambda v: v.encode().hex(" "),
    "hexadecimal, colons": lambda v: v.encode().hex(":"),
    "backwards": lambda v: v[::-1],
    "lower case": str.lower,
    "upper case": str.upper,
    "dots for separators": lambda v: v.replace(" ", ".").replace("-", "."),
    "underscores for separators": lambda v: v.replace(" ", "_").replace("-", "_"),
    "en dashes for separators": lambda v: v.replace(" ", "–").replace("-", "–"),
    "zero-width and URL-quoted": lambda v: urllib.parse.quote("\u200b".join(v)),
    "look-alikes as entities": lambda v: _entities(v.translate(_GREEK_AND_CYRILLIC)),
    "base64 and URL-quoted": lambda v: urllib.parse.quote(_base64(v)),
    "spaced and full-width": lambda v: _full_width(" ".join(v)),
    "underscores and upper case": lambda v: v.replace(" ", "_").upper(),
    "look-alikes backwards": lambda v: v[::-1].translate(_GREEK_AND_CYRILLIC),
    "full-width in base64": lambda v: _base64(_full_width(v)),
}
GLUED = {"?id=V&": "?id={}&", "cb_V_err": "cb_{}_err"}


class OneName:
    """Stands for the layers that know names: finds one, whole, in any case, whatever space or hyphen stands between its words."""

    name = "one"

    def __init__(self, value):
        self.pattern = re.compile(r"(?<![^\W_])" + r"[\s-]".join(value.split()) + r"(?![^\W_])", re.IGNORECASE)

    def find(self, text):
        return tuple(Detection(*match.span(), "PERSON", 1.0, "one") for match in self.pattern.finditer(text))


PATTERNS = PatternDetector()


def _missed(kind, value, worn, carrier="patient {} called"):
    """Letters and digits of the disguised value that are not covered."""
    text = carrier.format(f"mrn {worn}" if kind == "record" else worn)
    found = NormalisingDetector(OneName(value) if kind == "name" else PATTERNS).find(text)
    covered = {i for d in found for i in range(d.start, d.end)}
    start = text.index(worn, carrier.index("{"))
    return "".join(char for i, char in enumerate(worn, start) if char.isalnum() and i not in covered)


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_identifier_is_found_whole_where_it_stands(disguise, kind):
    """The stretch that is found covers every letter and digit of the disguised value."""
    for value in VALUES[kind]:
        assert _missed(kind, value, DISGUISES[disguise](value)).removesuffix("i") == ""  # of "</i>", where the value ends before it


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("glue", GLUED)
def test_an_identifier_glued_into_a_longer_word_is_found_whole(glue, kind):
    """A query, a callback's name."""
    for value in VALUES[kind]:
        assert _missed(kind, value, value, carrier=f"on {GLUED[glue]} it broke") == ""


@pytest.mark.parametrize(
    "worn",
    ["J0hn Sm1th", "j0hn sm1th", "JOHN 5M1TH", "J0HN_SM1TH", "J\u200b0hn Sm!th", "J0hn.5mith", "j o h n  s m i t h", "J*o*h*n S*m*i*t*h"],
)
def test_bent_and_spaced_letters_read_as_the_name(worn):
    """Digits for letters, and more than one trick at a time."""
    assert _missed("name", "John Smith", worn) == ""


@pytest.mark.parametrize(("value", "worn"), [("Alan Mills", "A1an Mi11s"), ("Maria Bell", "M4r1a 8el|"), ("Sally Dean", "$ally De@n")])
def test_each_sign_stands_for_the_letter_it_looks_like(value, worn):
    """A one is an i after a consonant and an l after a vowel."""
    assert _missed("name", value, worn) == ""


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("123-4\n5-6789", "123-45-6789"), ("03/1\n4/1958", "03/14/1958"), ("415-55\n5-0134", "415-555-0134"),
        ("0012\n34567", "001234567"), ("020 794\n6 0018", "020 7946 0018"), ("ada.by\nron@example.org", "ada.byron@example.org"),
        ("ada@exam\nple.org", "ada@example.org"),
    ],
)  # fmt: skip
def test_a_line_break_inside_a_number_or_an_address_is_taken_out(broken, whole):
    """The reading has the value in one piece."""
    assert tightened(read(f"at {broken} now")).text == f"at {whole} now"


@pytest.mark.parametrize(
    "rows",
    ["120/80\n98.6", "98\n72\n120", "150 000\n4 500", "call\nada@example.org", "ada@example.org\nNext", "10-15\n20-25", "1958\n1961"],
)
def test_rows_of_numbers_and_lines_of_text_stay_apart(rows):
    """Joined, two readings of a monitor would be a telephone number."""
    assert tightened(read(rows)).text == rows


@pytest.mark.parametrize("worn", ["4.\u0336.1.\u0336.5.-.5.5.5.-.0.1.3.4", "%.3.4.%.3.1.%.3.5.%.3.1", "Z|q|x|j|k|v|w"])
def test_a_long_row_of_single_characters_with_signs_between_is_found_whatever_it_says(worn):
    """Nobody writes so who does not hide something; what it reads as need not be known."""
    assert _missed("name", "Ada Byron", worn) == ""


@pytest.mark.parametrize(
    "text",
    [
        "A/B/C/D/E/F/G/H",
        "scores 2, 1, 0, 3, 1, 0, 0, 1",
        "y n y n n y y n",
        "a|b|c|d",
        "2 - 1 - 0 - 3",
        "I. a. b. 1. 2. 3. 7. 9.",
        "a - b - c - d - e - f - g",
    ],
)
def test_a_row_of_scores_or_a_list_is_no_finding_by_itself(text):
    """Counted off, short, or with spaces, commas and full stops between: judged, not condemned."""
    assert NormalisingDetector(OneName("Ada Byron")).find(text) == ()


@pytest.mark.parametrize("text", ["β-blocker", "5 μg", "α and β", "Пациент Иванов", "Γιώργος", "Привет"])
def test_other_scripts_are_not_turned_into_nonsense(text):
    """A sign stays a sign; a word of another script stays one, unless all of it passes for Latin."""
    assert read(text).text.replace("μ", "u").replace("ώ", "ώ") == text.replace("μ", "u")


def test_look_alikes_are_letters_of_other_scripts_for_single_latin_ones():
    """The tables hold what they say: nothing maps ASCII away, nothing maps to more than one character."""
    assert all(not key.isascii() and len(key) == 1 for key in {**LATIN, **SIGNS})
    assert all(value.isascii() and len(value) == 1 for value in {**LATIN, **SIGNS}.values())
    assert all(value.isalpha() for value in LATIN.values())


@pytest.mark.parametrize("script", ["Јоhn", "Jοhո", "ᎫohN", "Jᴏʜɴ", "ﬁ\u0301ﬁ", "🅹🅾🅷🅽", "Ⓙⓞⓗⓝ"])
def test_a_name_in_letters_of_other_scripts_reads_as_latin(script):
    """Cyrillic, Greek and Armenian, Cherokee, small capitals, ligatures, discs and squares."""
    assert read(f"is {script} here").text.lower() in {"is john here", "is fifi here"}


ONE_EACH = {
    "name": ("Marta Kowalczyk", "patient {} called"),
    "phone": ("(212) 555-0187", "call {} back"),
    "e-mail": ("d_pettigrew@mail.example.com", "mail {} please"),
    "ssn": ("219-09-9999", "ssn {} given"),
    "birth date": ("March 14, 1958", "born {} in town"),
    "record": ("A441290", "mrn {} noted"),
}


@pytest.fixture(scope="module")
def strict():
    return open_detector("strict")


@pytest.mark.parametrize("kind", ONE_EACH)
def test_the_strict_detector_finds_a_disguised_identifier_whole(strict, kind):
    """All layers joined, as the gate asks them: no disguise leaves a letter or a digit of the value."""
    value, carrier = ONE_EACH[kind]
    before = carrier.index("{")
    worn = {name: disguise(value) for name, disguise in DISGUISES.items()} | {"digits for letters": value.translate(_LEET)}
    missed = {}
    for (name, form), found in zip(worn.items(), find_many(strict, [carrier.format(form) for form in worn.values()]), strict=True):
        covered = {i for d in found for i in range(d.start, d.end)}
        missed[name] = "".join(char for i, char in enumerate(form, before) if char.isalnum() and i not in covered)
    assert {name: chars for name, chars in missed.items() if chars.removesuffix("i")} == {}  # of "</i>", as above
