"""Styles: numbers as they are said, and spans that still mark what they marked."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audit.bench import numbers
from audit.bench.corpus import LABELS, STYLES, Corpus, LabelledText, Span
from audit.bench.variants import VARIANTS, derive, vary
from audit.people import CLASSES


@pytest.mark.parametrize(
    ("number", "said", "place"),
    [
        (0, "zero", "zeroth"),
        (7, "seven", "seventh"),
        (8, "eight", "eighth"),
        (12, "twelve", "twelfth"),
        (13, "thirteen", "thirteenth"),
        (20, "twenty", "twentieth"),
        (31, "thirty one", "thirty first"),
        (42, "forty two", "forty second"),
        (95, "ninety five", "ninety fifth"),
        (100, "one hundred", "one hundredth"),
        (519, "five hundred nineteen", "five hundred nineteenth"),
        (9_999, "nine thousand nine hundred ninety nine", "nine thousand nine hundred ninety ninth"),
    ],
)
def test_numbers_are_said(number, said, place):
    """A number and a place in words."""
    assert (numbers.cardinal(number), numbers.ordinal(number)) == (said, place)


@given(st.integers(0, 9_999))
def test_every_number_is_said_in_its_own_words(number):
    """Words alone, and read back they are the number."""
    worth = {word: i for i, word in enumerate((*numbers.DIGITS, *numbers._TEENS))}  # the test's own reading
    worth |= {word: 10 * i for i, word in enumerate(numbers._TENS) if word}
    total = group = 0
    for word in numbers.cardinal(number).split():
        if word == "hundred":
            group *= 100
        elif word == "thousand":
            total, group = total + 1_000 * group, 0
        else:
            group += worth[word]
    assert total + group == number


@pytest.mark.parametrize("number", [-1, 10_000])
def test_other_numbers_are_refused(number):
    """What cannot be said is an error, not a wrong word."""
    with pytest.raises(ValueError, match="0 to 9,999"):
        numbers.cardinal(number)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1958-03-04", "march fourth nineteen fifty eight"),
        ("1958-03-04T14:00Z", "march fourth nineteen fifty eight"),
        ("03/04/1958", "march fourth nineteen fifty eight"),
        ("3/14/58", "march fourteenth fifty eight"),
        ("14/3/1958", "march fourteenth nineteen fifty eight"),
        ("04.03.1958", "march fourth nineteen fifty eight"),
        ("3/14", "march fourteenth"),
        ("March 4th, 2005", "march fourth two thousand five"),
        ("4 Sept. 1900", "september fourth nineteen hundred"),
        ("21st of May 2010", "may twenty first twenty ten"),
        ("Jan 1 1905", "january first nineteen oh five"),
    ],
)
def test_dates_are_said(text, said):
    """The forms that dates are written in, as they are said."""
    assert numbers.date(text) == said


@pytest.mark.parametrize(("text", "said"), [("13/13/1958", "thirteen"), ("last Tuesday", "last Tuesday"), ("Mai 4", "four")])
def test_what_is_no_date_has_its_numbers_said(text, said):
    """No date is made up of what is none."""
    assert said in numbers.date(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("room 012", "room zero one two"),
        ("12", "twelve"),
        ("in 1958", "in nineteen fifty eight"),
        ("3200 mg", "three thousand two hundred mg"),
        ("62704", "six two seven zero four"),
        ("the 22nd of it", "the twenty second of it"),
        ("٣", "three"),
    ],
)
def test_numbers_in_a_text_are_said(text, said):
    """As a number or a year up to four digits; one by one where there are more, or a zero first."""
    assert numbers.numbers(text).split() == said.split()


def test_an_address_is_said():
    """Marks of an e-mail or web address are words."""
    assert numbers.address("Ada.B_7@example.org") == "ada dot b underscore seven at example dot org"
    assert numbers.address("https://example.org/a-2") == "https colon slash slash example dot org slash a dash two"


def one(style, text, *spans, key="t"):
    return vary(LabelledText(key, text, tuple(Span(*span) for span in spans)), style)


def marked(text):
    return [(text.text[s.start : s.end], s.label) for s in text.spans]


def test_lower_changes_case_alone():
    """Nothing moves; a letter that becomes two takes its span along."""
    out = one("lower", "İda met ADA.", (8, 11, "NAME"))
    assert (out.text, marked(out)) == ("i̇da met ada.", [("ada", "NAME")])


def test_nopunct_has_no_marks():
    """Marks go, apostrophes and an e-mail address stay."""
    out = one("nopunct", "Hi, it's O'Neil-Byron: a.b@example.org!", (9, 21, "NAME"), (23, 38, "EMAIL"))
    assert out.text.split() == ["hi", "it's", "o'neil", "byron", "a.b@example.org"]
    assert marked(out) == [("o'neil byron", "NAME"), ("a.b@example.org", "EMAIL")]


def test_spoken_says_digits_dates_and_addresses():
    """Each label is said in its own way, and the words around it too."""
    text = "DOB 1958-03-04, tel 555-0123, MRN AB12, e-mail a.b@example.org, room 12"
    out = one("spoken", text, (4, 14, "DATE"), (20, 28, "PHONE"), (34, 38, "MRN"), (47, 62, "EMAIL"))
    said = {label: value for value, label in marked(out)}
    assert said["DATE"] == "march fourth nineteen fifty eight"
    assert said["PHONE"].replace("oh", "zero") == "five five five zero one two three"
    assert said["MRN"] == "a b one two"
    assert said["EMAIL"] == "a dot b at example dot org"
    assert out.text.endswith("room twelve ")
    assert not any(c.isdigit() for c in out.text)


def test_long_letters_of_an_identifier_are_words():
    """With more letters than can be told one by one, an identifier's letters stay together."""
    assert marked(one("spoken", "Portland12", (0, 10, "OTHER_ID"))) == [("portland one two", "OTHER_ID")]


def test_spelled_spells_the_last_name():
    """The last word of a name is said letter by letter, after the name or in its place; both happen."""
    said = {marked(one("spelled", "Ada Byron", (0, 9, "NAME"), key=str(i)))[0][0] for i in range(20)}
    assert said == {"ada byron b y r o n", "ada b y r o n"}


def test_filler_puts_words_in_between():
    """Talk has fillers in it, now and then a value too, and without them it is what is spoken."""
    text = "could you please tell me what the number of the patient is because it is 555-0123 and nothing else will do at all today"
    outs = [one("filler", text, (73, 81, "PHONE"), key=str(i)) for i in range(30)]
    values = [marked(out)[0][0] for out in outs]
    assert any(" um " in v or " uh " in v for v in values)
    assert all(
        [w.replace("oh", "zero") for w in v.split() if w not in {"um", "uh"}] == ["five", "five", "five", "zero", "one", "two", "three"]
        for v in values
    )
    assert all(len(out.text.split()) > 20 for out in outs)
    assert len({out.text for out in outs}) > 1


def test_a_glued_value_comes_apart():
    """What is said stands apart from the words around it, however it was written."""
    out = one("spoken", "xAda7y", (1, 4, "NAME"))
    assert (out.text, marked(out)) == ("x ada seven y", [("ada", "NAME")])


def test_overlapping_spans_become_one():
    """No part of a label is left unmarked, and a direct identifier's label wins."""
    assert marked(one("spoken", "Dr Ada Byron here", (0, 6, "IGNORE"), (3, 12, "NAME"))) == [("dr ada byron", "NAME")]


def test_a_derived_corpus_says_what_it_is():
    """Its name, style and form tell it apart, and its ids do not clash."""
    corpus = Corpus("notes", "written", "as given", False, (LabelledText("a", "Ada", (Span(0, 3, "NAME"),), "English"),))
    out = derive(corpus, "spoken")
    assert (out.name, out.form, out.style, out.derived) == ("notes+spoken", "spoken", "spoken", True)
    assert out.texts[0].id == "a+spoken"
    assert out.texts[0].origin == "English"
    assert derive(corpus, "lower").form == "written"
    assert set(VARIANTS) == set(STYLES)


@st.composite
def labelled(draw):
    text = draw(st.text(max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    labels = st.sampled_from(sorted(LABELS))
    spans = tuple(Span(start, end, draw(labels)) for start, end in zip(cuts[::2], cuts[1::2], strict=False) if start < end)
    return LabelledText("t", text, spans)


@given(labelled(), st.sampled_from(STYLES))
@example(LabelledText("t", "¼", (Span(0, 1, "ACCOUNT"),)), "spoken")
def test_spans_stay_inside_in_order_and_apart(text, style):
    """For any text: spans lie within it, one after the other, of the same labels in the same order, none but an empty value lost."""
    out = vary(text, style)
    at = 0
    for span in out.spans:
        assert at <= span.start < span.end <= len(out.text)
        at = span.end
    labels = iter(span.label for span in text.spans)
    assert all(span.label in labels for span in out.spans)
    kept = sum(any(c.isalnum() for c in text.text[s.start : s.end]) for s in text.spans)
    assert len(out.spans) >= kept
    assert out == vary(text, style)


@given(st.integers(0, 2**32), st.sampled_from(sorted(CLASSES)), st.sampled_from(STYLES))
def test_a_span_marks_its_value_and_nothing_else(seed, kind, style):
    """Around a synthetic person's value the words of the sentence are never inside the span, and none of the value is outside."""
    value = CLASSES[kind](Random(seed))
    label = {"dob": "DATE", "ahv": "OTHER_ID"}.get(kind, kind.upper())
    out = vary(LabelledText(str(seed), f"zqx {value} xqz", (Span(4, 4 + len(value), label),)), style)
    (span,) = out.spans
    before, inside, after = out.text[: span.start], out.text[span.start : span.end], out.text[span.end :]
    fillers = ["um", "uh", "you", "know", "like", "i", "mean", "so", "yeah"]
    assert [word for word in before.split() if word not in fillers] == ["zqx"]
    assert [word for word in after.split() if word not in fillers] == ["xqz"]
    assert inside == inside.strip() != ""
