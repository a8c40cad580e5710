"""Corpora: what a line may be, what is said of one that is not, and which files are spoken, derived or talk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.bench.corpus import FAULTS_SHOWN, Corpus, CorpusError, LabelledText, Span, form_of, read_corpora, sample, style_of

GOOD = {
    "id": "a",
    "text": "call Ada Byron",
    "spans": [{"start": 5, "end": 14, "label": "NAME", "orig": "x"}],
    "meta": {"origin": "English"},
}


def write(folder, name, *rows):
    path = folder / name
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows))
    return path


def test_a_line_becomes_a_text(tmp_path):
    """Id, text, spans in order and origin are read; blank lines, a byte order mark and unknown keys do not matter."""
    second = {"id": "b", "text": "x y", "spans": [{"start": 2, "end": 3, "label": "GEO"}, {"start": 0, "end": 1, "label": "IGNORE"}]}
    path = write(tmp_path, "notes.jsonl", b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), b"", second)
    (corpus,) = read_corpora([path])
    assert corpus == Corpus(
        "notes",
        "written",
        "as given",
        False,
        (
            LabelledText("a", "call Ada Byron", (Span(5, 14, "NAME"),), "English"),
            LabelledText("b", "x y", (Span(0, 1, "IGNORE"), Span(2, 3, "GEO"))),
        ),
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{Ada Byron", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (["Ada Byron"], "is not an object"),
        ({**GOOD, "id": 7}, "id:"),
        ({**GOOD, "id": ""}, "id:"),
        ({**GOOD, "text": None}, "text:"),
        ({**GOOD, "spans": {}}, "spans:"),
        ({**GOOD, "spans": ["Ada Byron"]}, "spans[0]: is not an object"),
        ({**GOOD, "spans": [{"start": 0, "end": 15, "label": "NAME"}]}, "spans[0]: start and end must lie within"),
        ({**GOOD, "spans": [{"start": 3, "end": 3, "label": "NAME"}]}, "spans[0]: start and end must lie within"),
        ({**GOOD, "spans": [{"start": -1, "end": 3, "label": "NAME"}]}, "spans[0]: start and end must lie within"),
        ({**GOOD, "spans": [{"start": 0.0, "end": 3, "label": "NAME"}]}, "spans[0]: start and end must be whole"),
        ({**GOOD, "spans": [{"start": False, "end": 3, "label": "NAME"}]}, "spans[0]: start and end must be whole"),
        ({**GOOD, "spans": [{"start": 0, "end": True, "label": "NAME"}]}, "spans[0]: start and end must be whole"),
        ({**GOOD, "spans": [*GOOD["spans"], {"start": 0, "end": 3, "label": "Ada Byron"}]}, "spans[1].label:"),
        ({**GOOD, "spans": [{"start": 0, "end": 3, "label": ["NAME"]}]}, "spans[0].label:"),
    ],
)
def test_a_bad_line_is_told_by_place(tmp_path, line, said):
    """The fault names file, line and what is wrong, and quotes nothing of the line."""
    path = write(tmp_path, "notes.jsonl", {**GOOD, "id": "first"}, line)
    with pytest.raises(CorpusError) as caught:
        read_corpora([path])
    assert str(caught.value).startswith(f"{path}:2: {said}")
    assert "Ada" not in str(caught.value)


def test_every_fault_is_told_at_once(tmp_path):
    """Faults of all files are gathered; past a number they are counted."""
    many = write(tmp_path, "a.jsonl", *[b"{"] * (FAULTS_SHOWN + 5))
    twice = write(tmp_path, "b.jsonl", GOOD, GOOD)
    write(tmp_path, "c.jsonl", b"")
    with pytest.raises(CorpusError) as caught:
        read_corpora([tmp_path, tmp_path / "none.jsonl"])
    assert len(caught.value.faults) == FAULTS_SHOWN + 5 + 3
    assert f"{many}:1: is not JSON" in str(caught.value)
    assert str(caught.value).endswith("and 8 more")
    assert f"{twice}:2: an id that an earlier line has; give each text its own" in caught.value.faults
    assert f"{tmp_path / 'c.jsonl'}: holds no text; write one JSON object a line" in caught.value.faults
    assert any("none.jsonl: cannot be read" in fault for fault in caught.value.faults)


def test_a_folder_is_read_by_name_and_once(tmp_path):
    """Files of a folder come in order of name; one that is named again is not read again; two of one name are refused."""
    for name in ("b.jsonl", "a.jsonl"):
        write(tmp_path, name, GOOD)
    write(tmp_path, "README.md", b"not a corpus")
    assert [corpus.name for corpus in read_corpora([tmp_path, tmp_path / "a.jsonl"])] == ["a", "b"]
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(CorpusError, match=r"holds no \.jsonl file"):
        read_corpora([other])
    write(other, "a.jsonl", GOOD)
    with pytest.raises(CorpusError, match="a second file of this name"):
        read_corpora([tmp_path, other])


@pytest.mark.parametrize(
    ("name", "style", "form"),
    [
        ("notes", "as given", "written"),
        ("notes_lower", "lower", "written"),
        ("notes_nopunct", "nopunct", "written"),
        ("notes_spoken", "spoken", "spoken"),
        ("notes_spelled", "spelled", "spoken"),
        ("notes_filler", "filler", "spoken"),
        ("notes+spoken", "spoken", "spoken"),
        ("calls_centre", "as given", "spoken"),
        ("centre-voice", "as given", "spoken"),
        ("invoices", "as given", "written"),
        ("carrier_talk_spoken", "spoken", "carrier"),
    ],
)
def test_the_name_tells_style_and_form(name, style, form):
    """A file's name says how its texts are said."""
    assert form_of(name, style) == form
    assert form_of(name, style, labelled=False) == "carrier"
    assert "+" in name or style_of(name) == style


def test_a_file_without_spans_is_talk(tmp_path):
    """One label anywhere makes a corpus; none makes it a carrier."""
    (corpus,) = read_corpora([write(tmp_path, "talk.jsonl", {"id": "a", "text": "it hurts"}, {"id": "b", "text": "here", "spans": []})])
    assert corpus.form == "carrier"


@given(st.integers(1, 30), st.integers(0, 40), st.integers())
def test_a_sample_is_drawn_by_its_seed(most, n, seed):
    """It holds at most so many, in their order, the same for the same seed, and everything where there is no more."""
    corpus = Corpus("c", "written", "as given", False, tuple(LabelledText(str(i), "x", ()) for i in range(n)))
    drawn = sample(corpus, most, seed)
    ids = [int(text.id) for text in drawn.texts]
    assert len(ids) == min(n, most)
    assert ids == sorted(set(ids))
    assert drawn == sample(corpus, most, seed)
