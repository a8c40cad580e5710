"""What is sent in place of a value: pseudonyms, generalised values, and free text with what a field may let pass."""

from __future__ import annotations

import base64
import pickle
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard import MARKER, Detection
from phi_guard.detect.detector import merge
from phi_guard.generalise import SPARSE_ZIP3, generalise
from phi_guard.policy.compiled import Policy, Rule, ToolRules
from phi_guard.pseudonym import VARIABLE, BadKey, Pseudonyms
from phi_guard.redact import redact_tool

KEY = bytes(range(32))
TODAY = date(2026, 6, 1)


def sent(rule, value, find=lambda _: (), **beside):
    """What leaves of one field under a rule, beside others that are redacted."""
    fields = {"f": rule, **{name: Rule(name, "redact") for name in beside}}
    policy = Policy("p", "", "", Rule("?", "redact"), fields, {"t": ToolRules(frozenset(fields), frozenset())}, (), {}, Pseudonyms(KEY, ""))
    return redact_tool(policy, "t", {"inputs": {**beside, "f": value}}, find, today=TODAY).value["inputs"]["f"]


PSEUDONYM = Rule("f", "pseudonym")


def test_a_pseudonym_is_one_for_each_person_however_they_are_written():
    """Case and spaces do not count, another value gives another one, and its form is the one that is documented."""
    one = sent(PSEUDONYM, "Ada  Byron ")
    assert one == sent(PSEUDONYM, "ada byron") != sent(PSEUDONYM, "Ada Lovelace")
    assert len(one) == len("<PSEUDONYM:>") + 24
    assert "ada" not in one.lower()


def test_a_pseudonym_is_of_its_environment_and_key():
    """What dev made, prod does not know, nor anyone with another key: no two of them can be joined."""
    makers = [Pseudonyms(KEY, "dev"), Pseudonyms(KEY, "prod"), Pseudonyms(KEY[::-1], "dev"), Pseudonyms(KEY * 3, "dev")]
    made = [maker.of("Ada Byron") for maker in makers]
    assert len({text[11:27] for text in made}) == len({text[27:35] for text in made}) == 4
    assert [[maker.made(text) for text in made] for maker in makers] == [[n == m for m in range(4)] for n in range(4)]


@given(st.text(max_size=60))
def test_a_pseudonym_of_ours_stays_and_a_made_up_one_does_not(value):
    """Only what carries our check is passed on; a value in the dress of a pseudonym is given one."""
    makers = Pseudonyms(KEY, "")
    made = makers.of(value)
    assert makers.of(made) == made
    forged = made[:-2] + ("0" if made[-2] != "0" else "1") + ">"
    assert makers.of(forged) not in {forged, made}


def test_a_made_up_pseudonym_carries_nothing_out():
    """Sixteen digits of somebody's number between our own brackets are a value like any other."""
    assert "4179555012300000" not in sent(PSEUDONYM, "<PSEUDONYM:417955501230000012345678>")


@pytest.mark.parametrize("value", ["", "?!", True, 4.5, b"Ada", MARKER, f"{MARKER} Byron"])
def test_what_is_no_value_gets_no_pseudonym(value):
    """Nothing, no text, or the rest of a redaction: a marker."""
    assert sent(PSEUDONYM, value) == MARKER


def test_a_value_behind_a_pseudonym_is_known_in_free_text():
    """The name that one field turns into a tag is not told by the next."""
    fields = {"f": Rule("f", "pseudonym"), "born": Rule("born", "generalise", to="year"), "note": Rule("note", "scan")}
    policy = Policy("p", "", "", Rule("?", "redact"), fields, {"t": ToolRules(frozenset(fields), frozenset())}, (), {}, Pseudonyms(KEY, ""))
    data = {"note": "Qadvar, born 1958-03-04, in 1958", "f": "Ximo Qadvar", "born": "1958-03-04"}
    out = redact_tool(policy, "t", {"inputs": data}, lambda _: (), today=TODAY).value["inputs"]
    assert (out["note"], out["born"]) == (f"{MARKER}, born {MARKER}, in 1958", "1958")
    again = redact_tool(policy, "t", {"inputs": out}, lambda _: (), today=TODAY).value["inputs"]
    assert again == out


def test_a_condition_takes_a_pseudonym_for_the_patient_and_a_year_for_nobody():
    """A tag stands for one patient, so a date that waits for the patient's name goes; a year of birth does not."""
    fields = {"f": Rule("f", "pseudonym"), "born": Rule("born", "generalise", to="year")}
    for waits_for, kept in (("f", MARKER), ("born", "2027-03-15")):
        from phi_guard.policy.compiled import Moment

        at = Rule("at", "keep", shape=Moment(time_too=False), unless_sent=frozenset({waits_for}))
        tools = {"t": ToolRules(frozenset({"f", "born", "at"}), frozenset())}
        policy = Policy("p", "", "", Rule("?", "redact"), {**fields, "at": at}, tools, (), {}, Pseudonyms(KEY, ""))
        out = redact_tool(policy, "t", {"inputs": {"f": "Ada", "born": "1958-03-04", "at": "2027-03-15"}}, lambda _: (), today=TODAY)
        assert out.value["inputs"]["at"] == kept


@pytest.mark.parametrize(
    "text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(KEY).decode().rstrip("=")]
)
def test_a_key_is_read_in_hexadecimal_and_base64(text):
    """However the secret store writes it."""
    assert Pseudonyms.from_environment({VARIABLE: f" {text}\n"}, "").of("x") == Pseudonyms(KEY, "").of("x")


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "not set"), ("00ff" * 8, "16 bytes"), ("ab" * 32, "over and over"), ("Zürich!", "neither"), ("!wrong!", "neither")],
)
def test_a_poor_key_is_refused_and_not_repeated(text, word):
    """Missing, short, empty of chance or unreadable: refused, with how to make one, and without what was given."""
    with pytest.raises(BadKey, match=word) as refused:
        Pseudonyms.from_environment({VARIABLE: text}, "")
    assert not text or text not in str(refused.value)
    assert "token_hex(32)" in str(refused.value)


def test_the_key_is_in_no_repr_and_in_no_pickle():
    """Neither the maker nor the policy that holds it shows or hands on the key."""
    maker = Pseudonyms(KEY, "")
    policy = Policy("p", "", "", Rule("?", "redact"), {}, {}, (), {}, maker)
    assert repr(maker) == "<Pseudonyms>"
    assert "seudonym" not in repr(policy).replace("pseudonyms", "")
    with pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(policy)


@pytest.mark.parametrize(
    ("to", "value", "left"),
    [
        ("year", "1958-03-04", "1958"), ("year", "1958-03-04T10:00:00+01:00", "1958"), ("year", "1958", "1958"),
        ("year", "1937-01-01", "1937"),
        ("year", "1936-12-31", None), ("year", "1936", None), ("year", "19580304", None), ("year", "4 March 1958", None),
        ("year", 1958, None),
        ("year", "1958-03-04 Ada", None), ("year", "1958-13-04", None), ("year", "1958-W10-2", "1958"), ("year", True, None),
        ("age", 0, 0), ("age", 89, 89), ("age", 90, "90+"), ("age", 130, "90+"), ("age", 131, None), ("age", -1, None), ("age", "47", "47"),
        ("age", "90", "90+"), ("age", "90+", "90+"), ("age", "91+", None), ("age", True, None), ("age", 47.5, None),
        ("age", "47 years", None),
        ("zip3", "78701", "787"), ("zip3", "78701-1234", "787"), ("zip3", "787", "787"), ("zip3", "036", "000"), ("zip3", "03601", "000"),
        ("zip3", "000", "000"), ("zip3", "7870", None), ("zip3", 78701, None), ("zip3", "1003 Lausanne", None), ("zip3", "٧٨٧٠١", None),
        ("state", "Austin, TX 78701", "TX"), ("state", "12 Marsh Lane, Austin, TX 78701-1234", "TX"), ("state", "TX", "TX"),
        ("state", "Portland OR", "OR"), ("state", "Austin, Texas", None), ("state", "Austin, tx 78701", None),
        ("state", "Lausanne VD", None),
        ("state", "TX 78701 Ada Byron", None), ("state", "x" * 300 + ", TX", None), ("state", 7, None),
    ],
)  # fmt: skip
def test_what_is_left_of_a_value(to, value, left):
    """Each kind leaves what its rule allows, nothing of what does not fit, and what it left itself."""
    got = generalise(value, to, TODAY)
    assert (got, type(got)) == (left, type(left))
    assert left is None or generalise(left, to, TODAY) == left
    assert sent(Rule("f", "generalise", to=to), value) == (MARKER if left is None else left)


def test_every_sparse_prefix_is_hidden():
    """The seventeen prefixes that HHS lists; each is three digits."""
    assert len(SPARSE_ZIP3) == 17
    assert {generalise(f"{prefix}01", "zip3", TODAY) for prefix in SPARSE_ZIP3} == {"000"}


def finder(*spans):
    """A detector that finds these words, each of its class."""
    return lambda text: merge([Detection(text.index(w), text.index(w) + len(w), e, s, "t") for w, e, s in spans if w in text], len(text))


def test_a_class_may_pass_in_one_field_and_nothing_joined_to_it():
    """A date passes where the field lets dates pass; a stretch that is a name as well does not, whichever class names the whole."""
    rule = Rule("f", "scan", allow_entities=frozenset({"DATE_TIME"}))
    text = "April rain in 2027"
    assert sent(rule, text, finder(("2027", "DATE_TIME", 0.9), ("April", "PERSON", 0.9))) == f"{MARKER} rain in 2027"
    assert sent(rule, text, finder(("April", "PERSON", 0.2), ("April rain", "DATE_TIME", 0.9))) == f"{MARKER} in 2027"
    assert sent(Rule("f", "scan"), text, finder(("2027", "DATE_TIME", 0.9))) == f"April rain in {MARKER}"


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        ("has Parkinson since May", "Parkinson", "has Parkinson since May"),
        ("has PARKINSON since May", "PARKINSON", "has PARKINSON since May"),
        ("John Parkinson called", "John Parkinson", f"{MARKER} called"),
        ("Parkinsonova called", "Parkinson", f"{MARKER} called"),
        ("Parkinson and Parkinsonova", "Parkinsonova", f"Parkinson and {MARKER}"),
        ("a Parkinson plus syndrome", "plus", "a Parkinson plus syndrome"),
    ],
)
def test_a_safe_value_silences_itself_and_no_more(text, found, left):
    """The word as a whole, in any case, or a part of it; not what is longer, and not the same letters in another word."""
    rule = Rule("f", "scan", safe_values=frozenset({"parkinson", "parkinson plus"}))
    assert sent(rule, text, finder((found, "PERSON", 0.9))) == left


def test_a_safe_value_that_is_this_patients_name_is_redacted():
    """A disease in one call is a patient in the next: what the call itself redacts is stronger."""
    rule = Rule("f", "scan", safe_values=frozenset({"parkinson"}), allow_entities=frozenset({"LOCATION"}))
    assert sent(rule, "has Parkinson", name="Eve Parkinson") == f"has {MARKER}"
