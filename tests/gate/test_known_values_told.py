"""A value redacted in a call is known again in free text as people tell it: dictated, spelled, in words, with a slip."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from phi_guard.known_forms import dates_of, forms
from phi_guard.known_values import KnownValues, fold

ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
NAMES = ["Byron", "Hassoun", "Okonkwo", "Müller", "Nguyen", "Lovelace", "Zoë", "Ada", "Garcia", "Fournier", "Ibrahim"]
ORDINARY = [
    "The patient has had pain in both knees for about three weeks, worse at night.",
    "Take one or two tablets two to three times a day, five hundred milligrams each, for ten days.",
    "My blood pressure was one twenty over eighty, then one forty five over ninety.",
    "I can come on the fourth at half past nine, or at ten fifteen on the fifth of May.",
    "She is allergic to penicillin and walked here; the x-ray and the C T were done in two thousand nineteen.",
    "a b c d, 1 2 3 4 5, one two three four five six seven",
    "I am at the clinic dot or so, dash it; as in the last one, like I said.",
    "Appointments are moved from 12/10/2026 to 3/11/2026 at the main street office.",
]


def _known(*values):
    known = KnownValues()
    known.add_all((value, True) for value in values)
    return known


def _left(known, told, before="well, ", after=" thanks"):
    """Letters and digits of what was told that no detection covers."""
    text = f"{before}{told}{after}"
    covered = {i for d in known.find(text) for i in range(d.start, d.end)}
    return "".join(text[i] for i in range(len(before), len(before) + len(told)) if text[i].isalnum() and i not in covered)


@pytest.mark.parametrize(
    "told",
    [
        "four one five, five five five, oh one three four", "four one five triple five zero one thirty four", "415 five five five 0134",
        "forty one fifty five fifty five oh one thirty four", "four hundred fifteen, five five five, oh one three four",
        "four one five uh double five um five zero one and three four", "quatre un cinq cinq cinq cinq zéro un trois quatre",
        "vier eins fünf, fünf fünf fünf, null eins drei vier",
    ],
)  # fmt: skip
def test_a_number_dictated_is_the_number(told):
    """Digit by digit, in pairs, with doubles and pauses; English, French, German."""
    assert _left(_known("+1 415 555 0134"), told) == ""


@pytest.mark.parametrize(
    "told",
    [
        "March 14th 1958", "14 march 58", "3/14/58", "14.03.1958", "14/3/58", "1958/3/14", "fourteenth of march fifty eight",
        "march fourteenth nineteen fifty eight", "the fourteenth of March, nineteen fifty-eight", "oh three one four fifty eight",
        "14 mars 1958", "14. März 1958", "the 14th of march '58", "three fourteen fifty eight",
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", ["1958-03-14", "03/14/1958", "14.03.1958", "March 14, 1958", "14 March 1958", "1958-03-14T00:00"])
def test_a_date_told_is_the_date(given, told):
    """In any order, in figures and words."""
    assert _left(_known(given), told) == ""


@pytest.mark.parametrize("other", ["March 15th 1958", "14 march 59", "4/14/58", "fourteenth of may fifty eight", "15.03.1958"])
def test_another_date_is_another_date(other):
    """Only the known day is known; others are the detectors' matter."""
    assert _known("1958-03-14").find(f"seen {other} here") == []


@pytest.mark.parametrize(
    "told",
    [
        "b y r o n", "B-Y-R-O-N", "b. y. r. o. n", "a d a b y r o n", "bravo yankee romeo oscar november", "A d a",
        "AdaByron", "byronada", "Byron, Ada", "b y r, capital o, n", "b, y, r, o, n",
        "b as in boy y as in yellow r for red, o like orange and n as in nancy",
    ],
)  # fmt: skip
def test_a_name_spelled_is_the_name(told):
    """Letter by letter, with words for letters, in either order."""
    assert _left(_known("Ada Byron"), told) == ""


def test_a_double_letter_is_two():
    """As people spell."""
    assert _left(_known("Emma Hassoun"), "h a double s o u n") == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Zoë Müller", "Zoe Mueller"), ("Zoe Mueller", "Zoé Müller"), ("Søren Weiß", "Soeren Weiss"), ("Müller", "m u e l l e r"),
        ("Mueller", "muller"),
    ],
)  # fmt: skip
def test_a_name_without_its_umlauts_is_the_name(value, told):
    """Neither side says how the other writes it."""
    assert _left(_known(value), told) == ""


@pytest.mark.parametrize(
    "told",
    [
        "ada dot byron at clinic dot example",
        "a d a dot byron at clinic dot example",
        "Ada Byron @ clinic.example",
        "ada.byron@clinic.example",
    ],
)
def test_an_address_spoken_is_the_address(told):
    """Its signs by name, its words whole or by letter."""
    assert _left(_known("ada.byron@clinic.example"), told) == ""


@pytest.mark.parametrize("slip", ["Hasoun", "Hassoum", "Hassuon", "Hasssoun", "Hassouns", "hassous"])
def test_one_slip_in_a_long_family_name_is_the_name(slip):
    """A letter less, another, changed about, more."""
    assert _left(_known("Emma Hassoun"), slip) == ""


@pytest.mark.parametrize(("name", "slip"), [("Connell", "connelly"), ("Keller", "kelled")])
def test_a_slip_with_the_ending_of_a_word_is_a_slip(name, slip):
    """Only a word that is known clears itself, not its ending."""
    assert _left(_known(f"Ann {name}"), slip) == ""


@pytest.mark.parametrize("word", ["walked", "walking", "talker", "walnut", "hassle", "parked", "marker", "coffee"])
def test_a_word_like_a_name_is_a_word(word):
    """What is a slip of a name is none where it is a word everybody uses; nor is another first letter a slip."""
    assert _known("Tim Walker", "Eve Parker", "Ann Coffey").find(f"she {word} here") == []


@given(day=st.dates(date(1920, 1, 1), date(2025, 12, 31)), form=st.integers(0, 7), place=st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_every_written_form_of_a_known_date_is_found_wherever_it_stands(day, form, place):
    """The day as the field gives it, told in another form."""
    month, yy = MONTHS[day.month - 1], f"{day.year % 100:02d}"
    told = [
        f"{month} {day.day}, {day.year}", f"{day.day} {month.lower()} {day.year}", f"{day.day:02d}.{day.month:02d}.{day.year}",
        f"{day.month}/{day.day}/{yy}", f"{day.month:02d}-{day.day:02d}-{day.year}", f"{month[:3]} {day.day} {yy}",
        f"{day.year}/{day.month}/{day.day}", f"{day.day:02d}{day.month:02d} {day.year}",
    ][form]  # fmt: skip
    before, after = [("", ""), ("born ", ""), ("", " is it"), ("dob (", "), ok")][place]
    assert _left(_known(day.isoformat()), told, before, after) == ""
    assert day in dates_of(fold(day.isoformat())[0])


def _pairs(digits):
    """Digits read in pairs, as numbers under a hundred where they do not begin with a zero."""
    said = []
    for at in range(0, len(digits), 2):
        pair = digits[at : at + 2]
        number = int(pair)
        if len(pair) < 2 or number < 10:
            said += [ONES[int(digit)] for digit in pair]
        elif number < 20:
            said.append(TEENS[number - 10])
        else:
            said.append(TENS[number // 10 - 2])
            said += [ONES[number % 10]] if number % 10 else []
    return " ".join(said)


@given(digits=st.text("0123456789", min_size=6, max_size=12), way=st.integers(0, 3), alone=st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_way_to_dictate_a_known_number_is_found(digits, way, alone):
    """One by one, in pairs, with oh for zero, figures among words."""
    assume(len(digits.lstrip("0")) >= 5)
    assume(way != 1 or len(digits) % 2 == 0)  # "twenty, one" is also 21
    words = [ONES[int(digit)] for digit in digits]
    told = [
        " ".join(words), _pairs(digits), ", ".join(word if word != "zero" else "oh" for word in words),
        " ".join(digit if at % 3 else word for at, (digit, word) in enumerate(zip(digits, words, strict=True))),
    ][way]  # fmt: skip
    assert _left(_known(digits), told, *(("", "") if alone else ("it is ", ", please"))) == ""


@given(name=st.sampled_from(NAMES), way=st.integers(0, 7), alone=st.booleans())
@settings(deadline=None)
def test_every_way_to_write_a_known_name_is_found(name, way, alone):
    """Case, accents, letters apart."""
    told = [name, name.lower(), name.upper(), fold(name)[0], " ".join(name), "-".join(name), ", ".join(name.lower()), "  ".join(name)][way]
    assert _left(_known(f"Xenia {name}"), told, *(("", "") if alone else ("this is ", " calling"))) == ""


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_talk_holds_none_of_them(text):
    """Known values of every kind, and talk full of numbers, dates and letters."""
    known = _known(
        "Ada Byron", "+1 415 555 0134", "1958-03-14", "ada.byron@clinic.example", "MRN 00778812", "Emma Hassoun", "12 Rue du Lac"
    )
    assert known.find(text) == []


@given(st.text(alphabet=st.one_of(st.sampled_from("ab 1one.-@ßİı'"), st.characters()), max_size=80))
@settings(deadline=None)
def test_what_is_found_is_inside_the_text(text):
    """Whatever the text folds to."""
    known = _known("Ada Byron", "415 555 0134", "1958-03-14", "a.b@one.example", "Strasse")
    assert all(0 <= d.start < d.end <= len(text) for d in known.find(text))


def test_what_an_unknown_field_held_gives_no_dates():
    """Only what the policy names is looked for in words: an unknown field may hold any appointment."""
    known = KnownValues()
    known.add("1958-03-14", named=False)
    assert known.find("march fourteenth fifty eight") == []
    assert known.find("19580314")


def test_forms_of_nothing_find_nothing():
    """A call without a value costs nothing and finds nothing."""
    nothing = forms((), (), (), ())
    assert nothing.find("b y r o n, four one five five five five") == []
    assert KnownValues().find("b y r o n") == []


@pytest.mark.parametrize(
    "trap",
    ["one ", "1 ", "a ", "a as in ", "a.a.a.", "double ", "twenty ", "hundred ", "and ", "0-0-0-", "3/", "march ", "ada dot ", "a",
     "hassou", "1", "the ", "@", "b y ", "oscar "],
)  # fmt: skip
def test_a_hostile_text_is_searched_to_its_end(trap):
    """100 kB of each trap, and the value that stands behind it is still found."""
    known = _known("Ada Byron", "415 555 0134", "1958-03-14", "ada.byron@clinic.example", "Emma Hassoun")
    text = (trap * 100_000)[:100_000] + " ; Byron"
    assert any(d.end == len(text) for d in known.find(text))
