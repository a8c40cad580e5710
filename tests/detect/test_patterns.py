"""The pattern rules: each hits and misses what it says, none takes long, none makes find() raise."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard.detect.patterns import RULES, PatternDetector
from phi_guard.detect.rule import PatternRule

NAMES = [rule.name for rule in RULES]
LENGTH = 100_000
STRETCH = 8_000
"""Characters of one repetition: a square of it is tens of milliseconds, a multiple of it one."""
JUDGED_FROM_S = 0.006
"""What is done faster than this is not in the square of its length, and too short to compare."""

HOSTILE = {
    unit: (unit * (STRETCH // len(unit) + 1))[:STRETCH]
    for unit in (
        "1234567890", "a", "@", "a@", ".", " ", "a.", "1 ", "a ", "one ", "1-", "王 ", "mrn ", "id id ", "::", "0:", "12 oak ",
        "rue a ", "3 march ",
        "my name is ", "(", "+1(", "x- ", "a dot ", "a1", "a-", "Ab ", "patient Abc ", "CH93 0076 ", "*1", "né 1/",
        "a.a.a.", "1 1 1 1", "0-0-0-", "a_", "Ab, ", "/patients/", "corner of ", "account number is ", "address: 1 ", "St. A ", "A. ",
        "PID|", "A|B^", "password is ", "a (at) ", "a @ ", "Ab-ku ", "Mr A. ", "room one ", "box 1 ", "calle 1 ", "1.I.", "A1-",
        "code is 1 ",
    )
}  # fmt: skip
EIGHTHS = {unit: [text[at : at + STRETCH // 8] for at in range(0, STRETCH, STRETCH // 8)] for unit, text in HOSTILE.items()}


def test_no_two_rules_share_a_name():
    """A source names one rule."""
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_hits_its_examples(rule):
    """Each example it must hit has something found in it, and there are at least one hit and one miss."""
    assert rule.hits
    assert rule.misses
    for text in rule.hits:
        found = rule.find(text)
        assert found, text
        assert all(text[d.start : d.end].strip() == text[d.start : d.end] for d in found), text


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_leaves_its_misses_alone(rule):
    """In the harmless examples the rule finds nothing."""
    assert [text for text in rule.misses if rule.find(text)] == []


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_that_wants_a_digit_cannot_do_without(rule):
    """Where the rule is skipped for text without a digit, every hit holds one."""
    if rule.digits:
        assert all(any(char.isdecimal() for char in text) for text in rule.hits)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_what_a_rule_needs_is_in_every_hit(rule):
    """The quick look before a rule rules none of its examples out, so the whole detector finds each of them by that rule."""
    for text in rule.hits:
        assert any(f"patterns.{rule.name}" in d.source.split("+") for d in PatternDetector().find(text)), text


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_is_linear(rule):
    """A hostile text costs a rule about what its eighths cost one by one; work in the square of the length would cost eight times that."""
    steep = {}
    for unit, text in HOSTILE.items():
        if (whole := spent(rule, [text])) > JUDGED_FROM_S:
            ratio = min(spent(rule, [text]) for _ in range(3)) / min(spent(rule, EIGHTHS[unit]) for _ in range(3))
            if ratio > 3.5:
                steep[unit] = (whole, ratio)
    assert steep == {}


def spent(rule, texts):
    """Seconds of this process that a rule takes for some texts."""
    started = time.process_time()
    for text in texts:
        rule.find(text)
    return time.process_time() - started


TAILS = ("a", "A1-", "Ab ", "ab ", "1 ", "a.", "A.", "-", "x-1", "a,b ", "Ab-", "one ", "is ", "#1", "a'", "_a", "the ", " ", ". ")


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_no_tail_after_a_cue_hangs_a_rule(rule):
    """Every beginning of a hit, followed by any repetition, is answered; parts nested in one another would take hours for it."""
    for text in rule.hits:
        for end in (place for place, char in enumerate(text) if char == " "):
            for tail in TAILS:
                assert all(0 <= d.start < d.end for d in rule.find(text[: end + 1] + tail * (400 // len(tail))))


def test_the_measure_of_linearity_knows_a_square():
    """A rule that does work in the square of the length costs several times its eighths; so the test above can fail."""
    rule = PatternRule(name="square", entity="X", regex=r"a+b", hits=("ab",), misses=("a",))
    whole = min(spent(rule, [HOSTILE["a"]]) for _ in range(2))
    assert whole > JUDGED_FROM_S
    assert whole > 3.5 * min(spent(rule, EIGHTHS["a"]) for _ in range(3))


def test_a_hundred_kilobytes_of_every_hostile_kind_are_answered():
    """All rules over one text of all the repetitions at once."""
    text = "\n".join(HOSTILE.values())[:LENGTH]
    edges = [edge for d in PatternDetector().find(text) for edge in (d.start, d.end)]
    assert edges == sorted(edges)


@pytest.mark.parametrize(
    "text",
    [
        "take 500 mg twice a day", "BP 120/80 at 14:30", "type 2 diabetes, E11.9", "M54.16 with sciatica",
        "fever of 38.5 for 3 days", "CONF-1234",
        "2 to 3 times a week", "temperature 98.6", "annual physical", "<REDACTED>", "Dear <REDACTED>, call <REDACTED>",
        "45 years old", "knee pain since may",
        "1000mg vitamin C", "SARS-CoV-2 test", "half past ten", "I can't sleep", "5 μg of vitamin D", "",
    ],
)  # fmt: skip
def test_harmless_text_is_left_alone(text):
    """All rules together find nothing in doses, times, vitals, codes, or in what a gate has already redacted."""
    assert PatternDetector().find(text) == ()


@pytest.mark.parametrize(
    ("text", "value", "entity"),
    [
        ("call 021 555 01 23 please", "021 555 01 23", "PHONE_NUMBER"),
        ("AVS 756.1234.5678.97", "756.1234.5678.97", "CH_AHV"),
        ("iban CH93 0076 2011 6238 5295 7.", "CH93 0076 2011 6238 5295 7", "IBAN_CODE"),
        ("mrn: A-44129", "A-44129", "MRN"),
        ("her ssn 987-65-4320", "987-65-4320", "US_SSN"),
        ("née le 3.4.1958 à Lyon", "3.4.1958", "DATE_OF_BIRTH"),
        ("mail ada@clinic.example now", "ada@clinic.example", "EMAIL_ADDRESS"),
        ("my name is ada byron and i cough", "ada byron", "PERSON"),
    ],
)
def test_the_value_is_found_whole_and_named(text, value, entity):
    """The stretch is the value, no more, and the most particular rule names it."""
    (found,) = PatternDetector().find(text)
    assert (text[found.start : found.end], found.entity) == (value, entity)


def test_offsets_are_into_the_text_as_given():
    """Characters outside the basic plane, lone surrogates and NULs before the value do not shift it."""
    text = "😀\ud800\x00 mrn 4412908"
    (found,) = PatternDetector().find(text)
    assert text[found.start : found.end] == "4412908"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_any_text_is_answered_in_order(text):
    """Whatever the text, detections are sorted, apart, not empty, and inside it."""
    found = PatternDetector().find(text)
    edges = [0, *(edge for d in found for edge in (d.start, d.end)), len(text)]
    assert edges == sorted(edges)
    assert all(d.start < d.end for d in found)


@given(
    digits=st.lists(st.sampled_from("0123456789٠١٢٣٤٥٦٧٨٩"), min_size=6, max_size=20),
    gap=st.sampled_from(["", " ", "-", ".", "\u00a0", "–"]),
)
def test_no_grouping_hides_six_digits(digits, gap):
    """Six digits or more are covered to the last, in any of the usual groupings and in any script."""
    text = "x " + gap.join(digits) + " y"
    covered = {i for d in PatternDetector().find(text) for i in range(d.start, d.end)}
    assert {i for i, char in enumerate(text) if char.isdecimal()} <= covered


def test_a_rule_with_a_check_asks_it():
    """What the check refuses is not found."""
    rule = PatternRule(name="even", entity="X", regex=r"\d", hits=("2",), misses=("3",), check=lambda text: int(text) % 2 == 0)
    assert [d.start for d in rule.find("1234")] == [1, 3]


def test_patterns_need_no_heavy_library():
    """In a process of its own, finding with patterns loads neither spaCy nor Presidio."""
    code = (
        "import sys\nfrom phi_guard.detect.patterns import PatternDetector\n"
        "assert PatternDetector().find('mrn 4412908')\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'spacy', 'thinc', 'presidio_analyzer', 'tldextract'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
