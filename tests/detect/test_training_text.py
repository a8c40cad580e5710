"""The generator of training text: what it promises about its labels, its seed and what it keeps out of training."""

from __future__ import annotations

import json
import random
import re

import pytest

from phi_guard.detect.training import dictation, generator, identifiers, lists, people
from phi_guard.detect.training.slots import HARMLESS, LABELLED

KINDS = {kind for kind in generator.KIND_WEIGHTS if kind != "small_talk"}


@pytest.fixture(scope="module")
def examples() -> tuple[generator.Example, ...]:
    """Enough texts for every kind and label; the extra ``training`` has the name lists."""
    for package in ("faker", "names", "num2words", "unidecode"):
        pytest.importorskip(package)
    return tuple(generator.generate(1_500, 5))


def test_same_seed_gives_the_same_text(examples):
    """The model card names a seed; the seed is enough to make the text again."""
    assert tuple(generator.generate(60, 5)) == examples[:60]


def test_another_seed_gives_other_text(examples):
    """Two seeds share little but short harmless lines."""
    other = {example.text for example in generator.generate(200, 6) if example.spans}
    assert len(other & {example.text for example in examples if example.spans}) < 10


def test_spans_are_inside_ordered_and_apart(examples):
    """No span reaches outside its text, begins or ends on a blank, or overlaps the next."""
    for example in examples:
        reach = 0
        for span in example.spans:
            value = example.text[span.start : span.end]
            assert reach <= span.start < span.end <= len(example.text)
            assert value == value.strip()
            assert any(char.isalnum() for char in value)
            reach = span.end


def test_every_label_and_kind_occurs(examples):
    """A label that never occurs would be a class the model cannot learn."""
    assert {span.label for example in examples for span in example.spans} == set(generator.LABELS)
    assert {example.kind for example in examples} == KINDS


def test_every_text_says_something(examples):
    """A text of signs alone teaches nothing."""
    assert all(any(char.isalnum() for char in example.text) for example in examples)


def test_a_third_of_the_texts_hold_nothing(examples):
    """Without them a model learns that everything is PHI."""
    empty = sum(not example.spans for example in examples) / len(examples)
    assert 0.3 < empty < 0.45


def test_origin_stands_where_somebody_is_named(examples):
    """Recall by origin can only be told if each name says its origin."""
    origins = {names.origin for names in people.rosters(held_out=False)}
    for example in examples:
        named = any(span.label == "NAME" for span in example.spans)
        assert (example.origin in origins) if named else (example.origin is None)


def test_mail_addresses_are_whole(examples):
    """The label covers the sign and the host, not the name alone."""
    values = [e.text[s.start : s.end] for e in examples for s in e.spans if s.label == "EMAIL"]
    assert any("@" in value for value in values)
    assert all(re.search(r"@| at |@ | arobase | ät ", value.lower()) or len(value) > 1 for value in values)
    for example in examples:
        for sign in re.finditer("@[a-z]+[.](?:com|net|org)", example.text):
            assert any(span.start < sign.start() and sign.end() <= span.end for span in example.spans), "an address stands outside its span"


def test_harmless_texts_hold_no_long_number(examples):
    """A telephone number that slipped into a harmless line would teach the model to pass it."""
    for example in examples:
        rest = list(example.text)
        for span in example.spans:
            rest[span.start : span.end] = "\0" * (span.end - span.start)
        assert not re.search(r"\d{6,}|\d{3}-\d{4}", "".join(rest))


def test_held_out_names_are_never_trained_on():
    """Neither a given nor a family name of one roster is in the other, whatever its case and accents."""
    for package in ("faker", "names", "unidecode"):
        pytest.importorskip(package)
    trained, held = (
        {name.lower() for names in people.rosters(held_out=kept) for name in (*names.given, *names.family)} for kept in (False, True)
    )
    assert not trained & held
    assert 0.05 < len(held) / len(trained) < 0.2


def test_origins_of_all_continents_have_names_on_both_sides():
    """Recall by origin is measured on names never seen, so every origin must keep some out."""
    pytest.importorskip("faker")
    for kept in (False, True):
        rosters = people.rosters(held_out=kept)
        assert len(rosters) >= 40
        assert all(names.given != ("Nomen",) and names.family != ("Nomen",) for names in rosters)


def test_held_out_templates_are_never_trained_on():
    """Phrasings measured on are not those trained on."""
    trained, held = (
        {line for pool in generator.templates(held_out=kept).values() for line in (*pool.telling, *pool.harmless)} for kept in (False, True)
    )
    assert not trained & held
    assert len(held) > 100


def test_there_are_templates_enough():
    """Six hundred that tell, four hundred that do not: fewer gave a model that knew them by heart."""
    pools = generator.templates(held_out=False).values()
    assert len({line for pool in pools for line in pool.telling}) >= 600
    assert len({line for pool in pools for line in pool.harmless}) >= 400


@pytest.mark.parametrize("file", generator.TEMPLATE_FILES)
def test_each_template_parses(file):
    """Choices close, slots are known, and no brace with a plain word in it is left over by a typing error."""
    for kind, lines in lists.lines_of(file):
        assert kind in generator.KIND_WEIGHTS
        for line in lines:
            assert line.count("[[") == line.count("]]"), line
            assert set(re.findall(r"\{([a-z][a-z0-9_ ]*)\}", line)) <= LABELLED.keys() | HARMLESS, line


@pytest.mark.parametrize("file", [*generator.TEMPLATE_FILES, "terms.txt"])
def test_no_list_holds_a_number_of_somebody(file):
    """A number written into a template or a harmless word would stand in the text unlabelled."""
    for _, lines in lists.lines_of(file):
        assert not [line for line in lines if re.search(r"\d{6,}|\d{3}[-. ]\d{4}|\d{3}-\d\d-", line)]


def test_unknown_slot_is_an_error(monkeypatch):
    """A slot nobody fills would otherwise stand in the text as it is."""
    monkeypatch.setattr(generator, "lines_of", lambda file: (("caller", ("call {nobody} now",)),))
    generator.templates.cache_clear()
    try:
        with pytest.raises(ValueError, match="nobody"):
            generator.templates(held_out=False)
    finally:
        generator.templates.cache_clear()


def test_entry_before_a_heading_is_an_error(tmp_path, monkeypatch):
    """A list without a heading would be lost in silence."""
    (tmp_path / "loose.txt").write_text("; a remark\nstray\n", encoding="utf-8")
    monkeypatch.setattr(lists, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"loose\.txt, line 2"):
        lists.lines_of("loose.txt")


@pytest.mark.parametrize("kind", sorted(identifiers.SHAPES))
def test_shapes_are_filled(kind):
    """No sign of a shape is left in a value, but where the shape's own text has one."""
    rng = random.Random(1)
    for _ in range(30):
        value = identifiers.identifier(kind, rng)
        assert "@" not in value
        assert "%" not in value
        assert any(char.isdigit() for char in value) or kind in {"biometric", "booking"}


def test_digits_said_one_by_one_are_all_there():
    """Doubles, triples and `oh` stand for the digits they replace."""
    pytest.importorskip("num2words")
    names = {word: str(value) for value, word in enumerate(dictation.DIGITS["en"])} | {"oh": "0", "o": "0"}
    rng = random.Random(3)
    read = 0
    for _ in range(300):
        value = identifiers.shaped("##########", rng)
        said = dictation.digits(value, rng).split()
        if not set(said) <= names.keys() | {"double", "triple"}:
            continue
        heard, times = "", 1
        for word in said:
            if word in {"double", "triple"}:
                times = 2 if word == "double" else 3
            else:
                heard, times = heard + names[word] * times, 1
        assert heard == value
        read += 1
    assert read > 150


def test_plainly_spelled_letters_are_the_word():
    """A spelled name can be read back."""
    rng = random.Random(2)
    heard = {dictation.letters("Okafor", rng) for _ in range(200)}
    assert {"o k a f o r", "o-k-a-f-o-r", "oscar kilo alpha foxtrot oscar romeo"} <= heard


def test_hesitation_keeps_the_last_word():
    """Whatever is put in between, the value still ends as it did, so its label covers all of it."""
    rng = random.Random(4)
    for _ in range(200):
        said = dictation.hesitant("four one five two", rng)
        assert said.endswith("two")
        assert len(said.split()) > 4
    assert dictation.hesitant("four", rng) == "four"


def test_written_file_reads_back(tmp_path, examples):
    """One object a line, with the offsets that the examples have."""
    path = tmp_path / "train.jsonl"
    assert generator.main(["--count", "20", "--seed", "5", "-o", str(path)]) == 0
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert [row["text"] for row in rows] == [example.text for example in examples[:20]]
    assert rows[0].keys() == {"text", "spans", "kind", "origin"}
    assert [[(s["start"], s["end"], s["label"]) for s in row["spans"]] for row in rows] == [
        [(s.start, s.end, s.label) for s in example.spans] for example in examples[:20]
    ]
