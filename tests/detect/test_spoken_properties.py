"""Identifiers spoken in any way at all are covered whole; quantities spoken in any way at all are not touched."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard.detect.spoken import SpokenDetector

DETECTOR = SpokenDetector()

# A speaker of its own, so that the layer's tables are not tested against themselves.
DIGITS = {
    "0": ("zero", "oh", "o"), "1": ("one",), "2": ("two",), "3": ("three",), "4": ("four",), "5": ("five",), "6": ("six",),
    "7": ("seven",), "8": ("eight",), "9": ("nine",),
}  # fmt: skip
TEENS = ("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen").split()  # noqa: SIM905
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
PAUSES = (" ", ", ", " uh ", ", um, ", " dash ", " and then ", "-", " like ", " you know ", " no wait ", " sorry ")
FRENCH = ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf")
GERMAN = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
CARRIERS = (
    ("my number is ", " thank you"), ("you can find it under ", " i hope"), ("", ""), ("please write down ", ""), ("it's ", " okay"),
    ("she said ", ". is that right?"), ("the one on the card says ", " and nothing else"),
)  # fmt: skip
OTHER_MONTHS = ("january", "february", "april", "june", "july", "august", "september", "october", "november", "december")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "ninth", "twelfth", "thirteenth", "twentieth", "twenty second", "thirty first")


def two_digits(pair):
    """A pair of digits as one number, or None where nobody would say it so."""
    if pair[0] == "1":
        return TEENS[int(pair[1])]
    if pair[0] == "0":
        return None
    tens = TENS[int(pair[0]) - 2]
    return tens if pair[1] == "0" else f"{tens} {DIGITS[pair[1]][0]}"


@st.composite
def spoken_digits(draw):
    """Four to twelve digits, one by one, in pairs, doubled or tripled, or written, with what people say between."""
    digits = draw(st.text(string.digits, min_size=6, max_size=12))
    said = []
    place = 0
    while place < len(digits):
        left = digits[place:]
        ways = ["one", "one", "one"]
        if len(left) >= 2 and two_digits(left[:2]):
            ways.append("pair")
        if len(left) >= 3 and left[0] == left[1] == left[2]:
            ways.append("triple")
        if len(left) >= 2 and left[0] == left[1]:
            ways.append("double")
        match draw(st.sampled_from(ways)):
            case "pair":
                said.append(two_digits(left[:2]))
                place += 2
            case "triple":
                said.append("triple " + DIGITS[left[0]][0])
                place += 3
            case "double":
                said.append("double " + DIGITS[left[0]][0])
                place += 2
            case _:
                said.append(draw(st.sampled_from(DIGITS[left[0]])))
                place += 1
    text = said[0]
    for word in said[1:]:
        text += draw(st.sampled_from((" ",) * 8 + PAUSES)) + word
    return text


def left_over(text, start, end):
    """Letters and digits of a stretch that nothing covers."""
    covered = {i for d in DETECTOR.find(text) for i in range(d.start, d.end)}
    return "".join(text[i] for i in range(start, end) if text[i].isalnum() and i not in covered)


def in_carrier(carrier, value):
    before, after = carrier
    return before + value + after, len(before), len(before) + len(value)


@settings(max_examples=400, deadline=None)
@given(spoken_digits(), st.sampled_from(CARRIERS))
def test_spoken_digits_are_covered_whole(value, carrier):
    """However a number of six digits or more is said, none of it is left."""
    text, start, end = in_carrier(carrier, value)
    assert left_over(text, start, end) == ""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=5, max_size=10), st.sampled_from((FRENCH, GERMAN)))
def test_spoken_digits_of_other_languages_are_covered_whole(digits, words):
    """So are French and German ones."""
    value = " ".join(words[digit] for digit in digits)
    text = f"alors {value} voilà"
    assert left_over(text, 6, 6 + len(value)) == ""


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("bcdfghjklmnpqrstvwxz"), st.sampled_from("aeiouy")), min_size=3, max_size=6),
    st.sampled_from((" ", "-", ". ", ", ")),
    st.sampled_from(("my surname is spelled ", "that's ", "")),
)
def test_spelled_names_are_covered_whole(syllables, gap, before):
    """Three syllables or more, said letter by letter, are covered to the last."""
    value = gap.join(letter for syllable in syllables for letter in syllable)
    text = before + value
    assert left_over(text, len(before), len(text)) == ""


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(OTHER_MONTHS),
    st.sampled_from(ORDINALS),
    st.sampled_from(
        (
            "nineteen fifty eight",
            "nineteen oh four",
            "two thousand and three",
            "two thousand eleven",
            "twenty twenty one",
            "oh three",
            "sixty two",
            "",
        )
    ),
    st.sampled_from(("{m} {d} {y}", "{m} the {d} {y}", "the {d} of {m} {y}", "{d} {m} {y}", "{m} {d}, {y}", "{m} {d} uh {y}")),
)
def test_spoken_dates_are_covered_whole(month, day, year, form):
    """A day with its month and its year, in any order, is covered; the articles around it may stay."""
    value = form.format(m=month, d=day, y=year).strip().removesuffix(",").removesuffix(" uh").removeprefix("the ")
    text = f"it was on {value}"
    assert left_over(text, 10, len(text)) == ""


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(("ada", "byron", "tom", "b", "o", "four", "eighty two", "9")), min_size=1, max_size=3),
    st.sampled_from((" dot ", " underscore ", " ", " dash ")),
    st.sampled_from((" at ", " at sign ", " at the rate ", " @ ")),
    st.sampled_from(
        (
            "mail dot example",
            "gmail dot com",
            "gmail com",
            "g m x dot c h",
            "byron clinic dot co dot uk",
            "hotmail",
            "byron dash care dot org",
        )
    ),
)
def test_spoken_mail_addresses_are_covered_whole(local, gap, at, domain):
    """A dictated address is covered from its first word to its domain's last."""
    value = gap.join(local) + at + domain
    text = f"send it to {value}"
    assert left_over(text, 11, len(text)) == ""


def count(limit):
    """A number up to a limit, in words, alone."""
    return st.integers(1, limit).map(in_words)


def in_words(number):
    if number < 10:
        return DIGITS[str(number)][0]
    if number < 100:
        return two_digits(str(number))
    hundreds, rest = divmod(number, 100)
    return f"{DIGITS[str(hundreds)][0]} hundred" + (f" and {in_words(rest)}" if rest else "")


QUANTITIES = (
    "i take {a} tablets {b} times a day", "about {a} or {b} times a week", "i take {c} milligrams in the morning and {c} at night",
    "it was {c} over {a} yesterday", "i have had it for {a} or {b} days", "my temperature was ninety {b} point {b}",
    "i smoke {a} cigarettes a day", "the pain is {b} out of ten", "he is {a} and has {b} kids", "we have {b} dogs and {b} cats",
    "it happened {a} years ago", "my weight is {c} pounds", "i woke up {b} times last night and {b} the night before",
    "the fever went up to {a} point {b} degrees", "between {a} and {a} percent", "my pulse was {c}", "i drink {b} to {b} beers",
    "at {b} thirty in the afternoon", "{b} to {b} weeks", "i'm {a}", "take {b} now and {b} later", "i am {b} foot {b}",
    "from {b} to {b} every day", "it's been {b} {b} days", "the dose is {c} units",
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(QUANTITIES), st.data())
def test_spoken_quantities_are_left_alone(form, data):
    """Doses, vitals, times and counts are nobody's: nothing in them is found."""
    text = form
    for mark, limit in (("{a}", 89), ("{b}", 9), ("{c}", 900)):
        while mark in text:
            text = text.replace(mark, data.draw(count(limit)), 1)
    assert DETECTOR.find(text) == ()


@settings(max_examples=100, deadline=None)
@given(
    st.text("bcdfghjklmnprstvwz", min_size=1, max_size=1),
    st.sampled_from(("alor", "endra", "orvik", "ubrin", "isalla", "onquet")),
    st.sampled_from(
        (
            "my name is {}",
            "her last name is {}",
            "mister {} called",
            "this is {} calling",
            "what's your name {}",
            "je m'appelle {}",
            "mein name ist {}",
        )
    ),
)
def test_a_name_nobody_bears_is_found_by_its_cue(initial, rest, form):
    """The cue is enough: no list of names stands behind the rule."""
    name = initial + rest
    text = form.format(name)
    start = text.index(name)
    assert left_over(text, start, start + len(name)) == ""
