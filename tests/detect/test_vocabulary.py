import importlib
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.detect import vocabulary, vocabulary_context
from phi_guard.detect.training.vocabulary import Names, read_plain, sort_out
from phi_guard.detect.vocabulary import HITS, MISSES, VocabularyDetector, certain_words, is_harmless_text

WORDS = Path(vocabulary.__file__).parent / "words"
DETECTOR = VocabularyDetector()
NAMES = """
james john robert michael william david richard joseph thomas charles mary patricia linda barbara elizabeth jennifer maria susan margaret
dorothy rose grace mark will may june april hope faith bill frank jack dawn amber penny dean gene grant chase joy smith johnson williams
jones brown davis miller wilson moore taylor young king hill green white park stone hall bell long
""".split()  # noqa: SIM905 - eighty quoted names are harder to read


def found(text, detector=DETECTOR):
    return [text[d.start : d.end] for d in detector.find(text)]


@pytest.mark.parametrize("text", HITS)
def test_finds_something_in(text):
    assert found(text)


@pytest.mark.parametrize("text", MISSES)
def test_finds_nothing_in(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f/u wanjiru njoroge knee pain", ["wanjiru", "njoroge"]),
        ("error_for_byron", ["byron"]),
        ("requestForByron failed", ["Byron"]),
        ("wanjiru's refill, o'byrne's cough", ["wanjiru's", "o'byrne's"]),
        ("Zoë, Zoe\u0308 and naïve Łukasz", ["Zoë", "Zoe\u0308", "Łukasz"]),
        ("ticket 7fq2k of 500mg", ["7fq2k"]),
        ("spoke to Wanjiru Case about the case", ["Wanjiru", "Case"]),
        ("Wanjiru. Please call", ["Wanjiru"]),
        ("wanjiru long is here", ["wanjiru", "long"]),
        ("may wanjiru called", ["may", "wanjiru"]),
        ("we heard Long cough", ["Long"]),
        ("spouse: may, of age", ["may"]),
        ("we hope everyone recovers", []),
        ("attempt2 of value1", []),
        ("nai\u0308ve", []),
        ("byron-lovelace clinic", ["byron", "lovelace"]),
    ],
)
def test_finds_exactly(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("will smith called", "will you call"),
        ("spoke to mark about it", "mark the date"),
        ("no answer from rose", "the rose is red"),
        ("reschedule grace to monday", "a grace period"),
        ("my name is hill", "pain walking up the hill"),
        ("caller: Stone", "a kidney stone"),
        ("I saw Young today", "I saw young people"),
        ("refill for king", "the king size bed"),
        ("this is may calling", "this may help"),
        ("June called about it", "in June"),
        ("Parkinson called", "Parkinson's disease"),
        ("mrs long", "a long time"),
        ("white called back", "white spots"),
    ],
)
def test_a_word_that_is_also_a_name_counts_by_its_context(name, word):
    assert any(d.entity == "PERSON" for d in DETECTOR.find(name))
    assert found(word) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("mr hurt is waiting", "it hurt when waiting"),
        ("Mr. More called", "one more called"),
        ("seen by Dr. Best today", "the best doctor today"),
        ("Dr. So reviewed the chart", "so reviewed the chart"),
        ("dr reason said it was fine", "the doctor gave a reason and said it was fine"),
        ("his name is than", "his name is different"),
        ("my last name is do", "do you need my last name"),
        ("last name an", "last name and first name"),
        ("surname: In", "surname: unknown"),
        ("name: Oh", "name: none"),
        ("pt: win, knee pain", "pt: better, knee pain"),
        ("patient an wants a refill", "a patient in pain wants a refill"),
        ("i spoke to case yesterday", "i spoke to billing yesterday"),
        ("call star back", "call me back"),
        ("starring key for tuesday", "a key for tuesday"),
        ("love's file", "love this file"),
        ("gift called", "a gift for my nurse"),
        ("we saw River today", "the river runs high"),
        ("Seen with Peace by the front door", "Seen in Peace by the front door"),
        ("gift's appointment is at ten", "a gift's price is at ten"),
    ],
)
def test_a_harmless_word_counts_where_only_a_name_stands(name, word):
    assert any(d.entity == "PERSON" for d in DETECTOR.find(name))
    assert found(word) == []


@pytest.mark.parametrize("field", ["Mere", "than", "win than", "Gift", "memory", "An", "So Oh", "An Do", "Beauty", "Qi", "Thy"])
def test_a_field_of_harmless_words_that_are_names_is_a_name(field):
    assert found(field) == field.split()


@pytest.mark.parametrize(
    "field",
    """
    headache|flu shot|Flu Shot|follow up|Follow-up|refill|knee pain|MRI|cardiology|urgent|new patient|New Patient|walk in|no show|No Show
    X-Ray|x rays|root canal|CT scan|self|Self Pay|cash|parent|driver|smoker|daily|Monday|english|Spanish|IUD|PPO|HCTZ|Aetna|Medicare
    none|None|unknown|male|Female|left|right shoulder|bilateral|yes|No|so|oh|an|Perfect.|True.|So?|urgent care|Ear Infection|mole check
    Pap Smear|Physical Therapy|Prior Authorization|voicemail|reschedule|Cancelled|pending|self pay|wound care|birth control|Retired|spouse
    """.replace("\n", "|").split("|"),
)
def test_a_field_of_the_day_is_clean(field):
    assert found(field.strip()) == []


@pytest.mark.parametrize("field", ["Rose", "mark long", "Grace Hope", "may", "young", "b. stone"])
def test_a_field_of_doubtful_words_alone_is_a_name(field):
    assert [d.entity for d in DETECTOR.find(field)][-1] == "PERSON"


def test_unknown_and_doubtful_words_are_told_apart():
    assert [(d.entity, d.source, d.score) for d in DETECTOR.find("refill for byron and for Rose")] == [
        ("UNKNOWN_WORD", "vocabulary.unknown", 0.3),
        ("PERSON", "vocabulary.doubtful", 0.3),
    ]


def test_words_of_the_policy_are_harmless_and_only_for_that_detector():
    own = VocabularyDetector(["Akmo-Kardiax", "follow_up_xq"])
    assert found("akmo kardiax xq", own) == []
    assert found("akmo kardiax xq") == ["akmo", "kardiax", "xq"]


def test_an_own_word_is_harmless_where_it_stands_alone_and_beside_others():
    own = VocabularyDetector({"no_show", "telehealth", "gift", "grace", "Zxqv-Visit"})
    for text in ("no_show", "telehealth", "gift", "grace", "Zxqv Visit", "status=no_show, type=zxqv_visit"):
        assert found(text, own) == []
    assert found("gift") == ["gift"]
    assert found("Dr. Gift called", own) == ["Gift"]


def test_german_and_french_words_are_harmless_only_among_others_of_their_language():
    assert found("ich habe Husten") == []
    assert found("call Husten back") == ["Husten"]
    assert "wanjiru" in found("ich habe seit gestern Husten, sagt wanjiru")


@pytest.mark.parametrize("text", ["19", "4 5 6", "Иванов", "王小明", "β", "b y r o n", "   ", "...", "'"])
def test_digits_letters_and_other_scripts_are_left_to_their_own_layers(text):
    assert found(text) == []


def test_a_word_of_two_scripts_is_found():
    assert found("cough\u0430 today") == ["cough\u0430"]


@pytest.mark.parametrize(
    "text", ["", "i have had a cough and a fever since yesterday", "Please cancel the appointment.", "one tablet", "the doctor's note"]
)
def test_a_text_of_certain_words_is_harmless(text):
    assert is_harmless_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "rose has a cough", "wanjiru has a cough", "it is the 5", "cough@fever", "Иванов", "b y r o n", "nine one", "example.org",
        "the old mill road", "cough dot fever", "in october", "/cough", "cough_fever", "call will", "double five",
    ],
)  # fmt: skip
def test_a_text_that_may_identify_is_not_harmless(text):
    assert not is_harmless_text(text)


@given(st.text(max_size=200) | st.lists(st.sampled_from([*NAMES, "the", "wanjiru", "o'", "\u0308", "Ab1", "é", "_", "5"])).map(" ".join))
def test_every_detection_lies_in_the_text_in_order_and_holds_a_word(text):
    detections = DETECTOR.find(text)
    assert all(0 <= d.start < d.end <= len(text) for d in detections)
    assert all(a.end <= b.start for a, b in pairwise(detections))
    assert all(any(char.isalpha() for char in text[d.start : d.end]) for d in detections)
    assert DETECTOR.find_many([text, "", text]) == [detections, (), detections]
    if is_harmless_text(text):  # a whole field that is one capital word may be a name's; no word of it is unknown
        assert {d.source for d in detections} <= {"vocabulary.doubtful"}


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=12), st.sampled_from([" called about a refill", " hurts", ""]))
def test_a_word_on_no_list_is_found_in_any_case_and_place(word, rest):
    if word in certain_words() or DETECTOR._kinds(word, "") != vocabulary_context.UNKNOWN:
        return
    for form in (word, word.title(), word.upper(), f"i saw {word}"):
        assert found(form + rest)


@pytest.mark.parametrize(
    "piece", ["a.a.a.", "1 1 1 1 ", "a a a a ", "0-0-0-", "x", "rose ", "a's", "é", "aB", "hall     ", "ich heute ", "İ", "'"]
)
def test_hostile_text_is_judged_in_bounds(piece):
    text = (piece * 100_000)[:100_000]
    assert all(d.end <= len(text) for d in DETECTOR.find(text))
    is_harmless_text(text)


def lines(name):
    return (WORDS / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", ["certain.txt", "doubtful.txt", "foreign.txt"])
def test_a_built_list_is_sorted_without_doubles_and_in_lower_case(name):
    words = [line.split()[0] for line in lines(name)]
    assert words == sorted(set(words))
    assert all(word == word.lower() and len(word) > 1 for word in words)


def test_the_lists_do_not_overlap():
    doubtful, foreign = ({line.split()[0] for line in lines(name)} for name in ("doubtful.txt", "foreign.txt"))
    assert not certain_words() & doubtful
    assert not (certain_words() | doubtful) & foreign


@pytest.mark.parametrize("name", NAMES)
def test_no_frequent_name_is_certainly_harmless(name):
    assert name not in certain_words()


def test_none_of_the_thousand_most_frequent_given_names_is_certainly_harmless():
    folder = Path(importlib.import_module("names").__file__).parent if importlib.util.find_spec("names") else None
    if folder is None:
        pytest.skip("the name lists are in the training extra")
    top = [
        line.split()[0].lower() for kind in ("female", "male") for line in (folder / f"dist.{kind}.first").read_text().splitlines()[:1000]
    ]
    assert certain_words() & set(top) == {"son"}  # a clinic says "my son" in every other call


def test_the_lists_are_the_ones_whose_build_was_recorded():
    sha = importlib.import_module("hashlib").sha256
    told = dict(re.findall(r"\| `(\w+\.txt)` \|.*\| `([0-9a-f]{64})` \|", (WORDS / "SOURCES.md").read_text(encoding="utf-8")))
    assert told.keys() == {path.name for path in WORDS.glob("*.txt")} - {"SCOWL.txt"}  # a licence, no list
    assert told == {name: sha((WORDS / name).read_bytes()).hexdigest() for name in told}


def test_a_word_before_any_heading_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("; told\n\nstray\n[heading]\nword\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"list\.txt, line 3: stands before the first \[heading\]"):
        vocabulary_context.headed(tmp_path / "list.txt")


def test_the_ratio_of_frequencies_sorts_words():
    frequency = {"topmost": 5e-2, "always": 3e-4, "rename": 1e-7, "thorne": 1e-6, "hilly": 1e-5, "fielde": 2e-4, "clack": 2e-4}
    names = Names(
        given={"rename": 0.01, "thorne": 0.0002},
        surnames={"thorne": 0.004, "hilly": 0.002, "fielde": 0.2, "clack": 0.001, "always": 0.0003},
        top=frozenset({"topmost"}),
    )
    certain, doubtful = sort_out(frequency, frozenset({"crohn", "thorne"}), frequency, names)
    assert certain == {"always", "clack"}
    assert doubtful == {"topmost": "g", "thorne": "gs!e", "hilly": "s+", "fielde": "s+", "crohn": "e"}  # rename is only a name


def test_words_written_by_hand_are_read_by_their_mark():
    assert {"voicemail", "knee", "covid"} <= read_plain()
    assert "knee" in read_plain("=")
    assert "voicemail" not in read_plain("=")
    assert "husten" in read_plain("de:") - read_plain("fr:")
    assert "toux" in read_plain("fr:") - read_plain()
