"""Forms and wrappings by themselves: what files begin with, and what a coded text holds or does not."""

from __future__ import annotations

import base64
import codecs
import json

import pytest

from audit.content import BYTES_MIN, SENTENCES_MIN, Form, forms, is_transcript, unwrapped


def b64(data):
    return base64.b64encode(data).decode()


BEGIN = {
    "AUDIO": (b"RIFF", b"OggS", b"ID3\x03", b"fLaC", b"\x1aE\xdf\xa3", b"#!AMR", b"OpusHead"),
    "IMAGE": (b"\xff\xd8\xff\xe0", b"\x89PNG"),
}
FRAMES = (b"\xff\xfb", b"\xff\xf1")


@pytest.mark.parametrize(("entity", "magic"), [(entity, magic) for entity, them in BEGIN.items() for magic in them])
def test_files_by_their_first_bytes(entity, magic):
    """However short, and cut wherever it is cut."""
    whole = b64(magic + b"\xff\xfe" * 12)
    for text in ((magic + bytes(12)).hex(), whole, whole.rstrip("=")[:21], base64.urlsafe_b64encode(magic + b"\xff" * 24).decode()):
        assert [form.entity for form in forms(f"see {text} now")] == [entity]
    assert forms(f"see {whole} now") == [Form(entity, 4, 4 + len(whole))]
    for before in ("gpt-", "calls/17/", "see_this_", "a+"):
        assert [form.entity for form in forms(before + whole)] == [entity]


@pytest.mark.parametrize("magic", FRAMES)
def test_frames_need_length(magic):
    """Two bytes prove nothing of a short text."""
    assert forms(b64(magic + bytes(20))) == []
    assert forms(f"{'word-' * 40}{b64(magic + bytes(20))}") == []
    assert [form.entity for form in forms(b64(magic + bytes(BYTES_MIN)))] == ["AUDIO"]


def test_bytes_of_no_kind():
    """From so many characters on, with the look of base64; a long word or number has not that look."""
    noise = b64(bytes((i * 89 + 41) % 251 for i in range(300)))
    assert [form.entity for form in forms(noise[:BYTES_MIN])] == ["BINARY"]
    assert forms(noise[: BYTES_MIN - 1]) == []
    assert forms("a" * 300) == forms("1" * 300) == forms("Wordsworth" * 30) == []


@pytest.mark.parametrize(
    ("kind", "entity"), [("audio/ogg", "AUDIO"), ("image/png", "IMAGE"), ("application/pdf", "BINARY"), ("AUDIO/x", "AUDIO")]
)
def test_data_urls(kind, entity):
    """The kind is read in any case; what is neither sound nor picture is bytes."""
    assert forms(f"see data:{kind};base64,AAAA") == [Form(entity, 4, 21 + len(kind))]


def test_sentences():
    """So many sentences of some length are a suspicion; fewer, or short ones, are none."""
    said = "You should rest well and drink a lot of hot water. "
    assert forms(said * (SENTENCES_MIN - 1)) == []
    assert forms("Go on. " * 8 * SENTENCES_MIN) != []
    assert forms("Go on. " * SENTENCES_MIN) == []
    (form,) = forms(said * SENTENCES_MIN)
    assert not form.certain


def test_conversations():
    """Somebody who says and something said, in whatever case; one without the other is none."""
    assert is_transcript([{"Role": "user", "Content": "hi"}])
    assert is_transcript([1, {"author": "a", "PARTS": []}])
    assert not is_transcript([{"role": "admin"}, {"content": "hi"}])
    assert not is_transcript({"status": "ok"})
    assert not is_transcript("role content")
    assert forms("Patient: fever since Monday") == []
    assert [form.entity for form in forms("Patient: a fever\nDoctor: since when")] == ["TRANSCRIPT"]


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (json.dumps("Ada"), [("json", "Ada")]),
        ('{"a": 1}', [("json", {"a": 1})]),
        ("[1]", [("json", [1])]),
        ("{broken}", []),
        ("call+41%2079", [("url", "call 41 79")]),
        ("100% sure", []),
        ("41646131", [("hex", "Ada1")]),
        ("0x41646131", [("hex", "Ada1")]),
        ("61006200", []),  # two letters of UTF-16
        (b64(b"Ada Byron, Lord"), [("base64", "Ada Byron, Lord")]),
        (b64("Ada Byron, Lord".encode("utf-16-be")), [("base64", "Ada Byron, Lord")]),
        (b64(codecs.BOM_UTF16_LE + "Дора Байрон".encode("utf-16-le") + b" \0"), [("base64", "Дора Байрон ")]),
        (b64(codecs.BOM_UTF8 + b"Ada Byron, Lord"), [("base64", "Ada Byron, Lord")]),
        (b64(b"Ada\x07Byron, Lord"), []),
        (b64(b"\xff\xfe\xfdno text here"), []),
        ("acknowledgements", []),
        ("", []),
        ("yes", []),
    ],
)
def test_unwrapped(text, held):
    """One wrapping is undone, as what it is; what comes to no legible text is left."""
    assert list(unwrapped(text)) == held
