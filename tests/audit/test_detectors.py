"""The audit's detectors beside the gate's: a superset, quiet on what the gate cleared, and worth nothing with a layer taken out."""

from __future__ import annotations

import codecs
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import phi_guard
from audit.detectors import open_detectors
from audit.method import describe
from audit.roster import RosterFacts
from audit.scan import Scanner
from phi_guard.detect import open_detector
from phi_guard.scrub import scrub

CLEARED = (
    "mild fever since last weekend", "called about <REDACTED>…", "a follow-up visit after the operation", "wants the earliest slot",
    "knee pain when walking, please call back", "Rest and drink. Mail <REDACTED> if it lasts.", "take two tablets after breakfast",
    "<REDACTED> had a cough for a week", "needs a referral to cardiology", "blood pressure one twenty over eighty", "needs a new inhaler",
    "asks whether the clinic is open on Monday", "sore throat and headache", "the pharmacy has no more of it", "yes", "no known allergies",
)  # fmt: skip
LEAKS = {
    "name": "Olivia Hartwell called",
    "lower-case name": "olivia hartwell called",
    "phone": "ring 415-555-0134",
    "spoken phone": "my number is four one five five five five oh one three four",
    "spoken mail": "o dot hartwell at example dot org",
    "date of birth": "born on 3 March 1972",
    "record number": "her medical record number is 00418823",
    "address": "i live at 12 juniper lane apartment 4",
    "reversed": "llewtraH aivilO called",
    "rot13": codecs.encode("Olivia Hartwell", "rot13") + " called",
    "leet": "0liv1a H4rtw3ll called",
    "zero-width": "Oliv\u200bia Hart\u200bwell called",
    "homoglyphs": "Оlivia Наrtwell called",
    "spaced": "O l i v i a  H a r t w e l l called",
    "full-width": "Ｏｌｉｖｉａ Ｈａｒｔｗｅｌｌ called",
    "name without context": "Hartwell",
}


@pytest.fixture(scope="module")
def real():
    return open_detectors()


@pytest.fixture(scope="module")
def strict():
    return open_detector("strict")


def test_all_that_the_gate_finds_is_found(real, strict):
    """Every character in which the gate's detectors find something is in something that the audit's find."""
    for text in (*LEAKS.values(), *CLEARED):
        covered = {i for d in real.strict(text) for i in range(d.start, d.end)}
        assert {i for d in strict.find(text) for i in range(d.start, d.end)} <= covered


@pytest.mark.parametrize("leak", LEAKS)
def test_leaks_are_found_however_disguised(leak, real, policy, made):
    """A value that the gate would have redacted is a finding that fails."""
    run = made.call()[5]
    run["inputs"]["notes"] = LEAKS[leak][:50]
    scanner = Scanner(policy, real.strict, real.patterns, project="clinic-dev", key=made.KEY, find_suspicions=real.suspicions)
    assert [f for f in scanner.scan(run) if f.path == "inputs.notes" and f.severity == "high"]


def test_what_the_gate_cleared_is_clean(real, strict, policy, made):
    """Texts as the gate sends them, side by side in one run, give no finding that fails."""
    texts = [scrub(text, strict.find) for text in CLEARED]
    scanner = Scanner(policy, real.strict, real.patterns, project="clinic-dev", key=made.KEY, find_suspicions=real.suspicions)
    for left, right in zip(texts, texts[1:] + texts[:1], strict=True):
        run = made.call()[5]
        run["inputs"] |= {"notes": left, "reason_for_visit": right}
        assert [f for f in scanner.scan(run) if f.severity != "low"] == []


def test_a_layer_can_be_taken_out(real):
    """Without its layers the scanner misses what they alone find, so that its known answers can show it."""
    blind = open_detectors(without=("patterns", "presidio", "rampart", "minilm", "vocabulary"))
    assert real.strict(LEAKS["name"])
    assert not blind.strict(LEAKS["name"])
    assert blind.strict(LEAKS["spoken phone"])
    assert not blind.patterns(LEAKS["phone"])


def test_the_method_is_told(policy):
    """Each layer, model and list with version and digest; whatever changes changes the whole's."""
    method = describe(policy)
    names = {piece.name for piece in method.pieces}
    assert {"patterns", "spoken", "vocabulary", "presidio", "minilm, finding", "minilm, suspicion", "rampart, finding"} <= names
    assert {piece.threshold for piece in method.pieces if piece.name.startswith("minilm")} == {0.03, 0.01}
    assert all(len(piece.sha256) == 64 for piece in method.pieces if piece.name.startswith(("words", "rules", "minilm", "rampart, ")))
    assert method.blind_spots
    assert method.fields
    assert describe(policy) == method
    roster = RosterFacts("0" * 64, "2026-01-01T00:00:00Z", 3, {"name": 3}, "k")
    others = [describe(replace(policy, digest="f" * 16)), describe(policy, without=("minilm",)), describe(policy, roster=roster)]
    others.append(describe(policy, roster=replace(roster, sha256="1" * 64)))
    assert len({method.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize("file", ["detect/rules/names.py", "detect/words/judged.txt"])
def test_another_rule_or_word_is_another_method(policy, monkeypatch, tmp_path, file):
    """A line more in our own rules or lists changes the digest."""
    before = describe(policy)
    source = Path(phi_guard.__file__).parent
    for part in ("detect", "detect/rules", "detect/speech", "detect/words"):
        (tmp_path / part).mkdir()
        for path in [*(source / part).glob("*.py"), *(source / part).glob("*.txt")]:
            shutil.copy(path, tmp_path / part)
    monkeypatch.setattr(phi_guard, "__file__", str(tmp_path / "__init__.py"))
    assert describe(policy) == before
    with (tmp_path / file).open("a") as opened:
        opened.write("x\n")
    assert describe(policy).digest != before.digest


def test_another_model_or_list_is_another_method(policy, monkeypatch, tmp_path):
    """A file that the method stands on changes its digest."""
    before = describe(policy, files=[file]) if (file := tmp_path / "gates.yaml").write_text("a") else None
    file.write_text("b")
    assert before
    assert describe(policy, files=[file]).digest != before.digest
    monkeypatch.setattr("phi_guard.detect.minilm.DIGESTS", {"model.onnx": "0" * 64})
    assert describe(policy).digest != describe(policy, files=[file]).digest
    assert next(p.sha256 for p in describe(policy).pieces if p.name == "minilm, finding") == "0" * 64
