"""The prefilter never rules out what would have been found, and says little more than that."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from phi_guard.detect import prefilter
from phi_guard.detect.patterns import RULES
from phi_guard.detect.prefilter import Expression, Prefilter, requirements

PIECES = [text for rule in RULES for text in (*rule.hits, *rule.misses)]
ALL = Prefilter([rule.expression for rule in RULES])

texts = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=120),
    st.lists(st.sampled_from(PIECES), max_size=4).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=3).map("".join).map(str.upper),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=5).map("_".join),
)


@settings(max_examples=300, deadline=None)
@given(texts)
@example("my name \u0130s ada")
@example("\u017fsn 987654320")
@example("\u212aennzeichen B-AB 1234")
@example("N\u00c9E BYRON")
@example("\ud800 mrn 4412908 \x1c")
@example("mrn ٤٤١٢٩٠٨")
def test_no_match_is_ruled_out(text):
    """Every rule that finds something in a text is among its candidates, whatever the case, script or encoding."""
    candidates = ALL.candidates(text)
    assert [rule.name for place, rule in enumerate(RULES) if place not in candidates and rule.find(text)] == []


@settings(max_examples=300, deadline=None)
@given(texts)
@example("see ada.me now")
@example("INITIALS AA")
def test_what_a_rule_needs_rules_nothing_out(text):
    """A rule finds something only in a text that holds what it says it needs."""
    assert [rule.name for rule in RULES if rule.needs and re.search(rule.needs, text) is None and rule.find(text)] == []


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.sampled_from(
            [
                "ab",
                "k",
                "[is]",
                r"\d",
                r"\w+",
                "é",
                "å",
                "i['’]m",
                "[éè]t",
                "(?:cd)?",
                r"\b",
                "x{2,3}",
                "[^a]",
                "(?!ab)",
                "(?-i:S)",
                "@",
                "(?<=b)",
                "ı",
            ]
        ),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map("".join),
            st.lists(inner, min_size=2, max_size=3).map("|".join).map("(?:{})".format),
            inner.map("(?:{})*".format),
            inner.map("(?:{}){{1,2}}".format),
        ),
        max_leaves=8,
    ),
    st.text(alphabet="abcdxkKisISımtİſ\u212aéÉèåÅ\u212b’'@1٣ ", max_size=12),
)
@example("åb", "\u212bb")
@example("[é]b", "\u00c9B")
def test_any_expression_that_matches_is_a_candidate(source, text):
    """For expressions of any make, not only ours."""
    if re.compile(source, re.IGNORECASE).search(text):
        assert list(Prefilter([Expression(source, re.IGNORECASE)]).candidates(text)) == [0]


@pytest.mark.parametrize(
    ("source", "words", "digit"),
    [
        (r"\b(?:mrn|chart)\s(\d+)", {"mrn", "chart"}, True),
        (r"[\w.]+@[\w.]+", {"@"}, False),
        (r"i['’]m", {"i'm", "i’m"}, False),
        (r"née\s", {"née", "nÉe"}, False),
        (r"\d{3}-\d{4}", {"-"}, True),
        (r"(?:ab|cd)?ef", {"abef", "cdef", "ef"}, False),
        (r"(?:\d|x)y", set(), False),
        (r"(?<=mrn )\w+", set(), False),
        (r"a|", set(), False),
        (r"(?x) a b", set(), False),
        (r"(?<=\s*)a", set(), False),
    ],
)
def test_what_an_expression_requires(source, words, digit):
    """The strings are those of the part that tells most; where a way asks for nothing, so does the whole."""
    assert requirements(Expression(source, re.IGNORECASE)) == (words, digit)


def test_plain_text_rules_most_rules_out():
    """In a sentence without a cue or a digit fewer than a third of the rules are left."""
    if prefilter.hyperscan is None:
        pytest.skip("no hyperscan on this machine")
    assert len(ALL.candidates("the knee hurts since last week")) < len(RULES) / 3


def test_without_hyperscan_only_the_want_of_a_digit_rules_out(monkeypatch):
    """Where there is no wheel, every rule may match that the digits allow."""
    monkeypatch.setattr(prefilter, "hyperscan", None)
    plain = Prefilter([Expression("mrn"), Expression(r"mrn \d")])
    assert set(plain.candidates("nothing")) == {0}
    assert set(plain.candidates("nothing 1")) == {0, 1}


def test_threads_do_not_share_scratch():
    """Many threads at once get the answers that one gets."""
    text = "my name is ada, mrn 4412908"
    expected, answers = set(ALL.candidates(text)), []

    def ask():
        answers.extend(set(ALL.candidates(text)) == expected for _ in range(300))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 1800
