"""Layers asked twice answer from memory the second time, and nothing that is found hangs on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from audit.detectors import CERTAIN, open_detectors
from audit.memo import LONG
from audit.sharing import RememberingDetector, with_layers
from phi_guard.detect import (
    BoundedDetector,
    NormalisingDetector,
    PatternDetector,
    SecondOpinionDetector,
    UnionDetector,
    open_detector,
)
from phi_guard.detect.profiles import layers
from phi_guard.errors import DetectorUnavailable

TEXTS = (
    "Olivia Hartwell called", "ring 415-555-0134", "my number is four one five five five five oh one three four", "mild fever",
    "llewtraH aivilO called", "O l i v i a  H a r t w e l l called", "Oliv\u200bia Hart\u200bwell", "born on 3 March 1972", "::", "",
    "her medical record number is 00418823", "take two tablets after breakfast", "take two tablets after breakfast", "Hartwell",
    "i live at 12 juniper lane apartment 4", "knee pain, please call back…", "T2xpdmlhIEhhcnR3ZWxs", "jean dupont a appelé", "x" * 7_000,
)  # fmt: skip


@dataclass
class Counts:
    """Finds by pattern, and notes what it is asked."""

    asked: list[str] = field(default_factory=list)
    broken: bool = False
    name: str = "patterns"

    def find(self, text):
        if self.broken:
            msg = "broken"
            raise DetectorUnavailable(msg)
        self.asked.append(text)
        return PatternDetector().find(text)


def test_a_text_is_asked_about_once():
    """Alone, in a batch, twice in a batch, and whoever asks."""
    inner = Counts()
    remembering = RememberingDetector(inner)
    assert remembering.find(TEXTS[1]) == PatternDetector().find(TEXTS[1])
    assert remembering.find_many([TEXTS[1], "mild fever", "mild fever"]) == [PatternDetector().find(TEXTS[1]), (), ()]
    assert remembering.find("mild fever") == ()
    assert inner.asked == [TEXTS[1], "mild fever"]


def test_memory_is_bounded():
    """So many texts and no more, and no long ones."""
    inner = Counts()
    remembering = RememberingDetector(inner, most=2)
    for text in ("a", "b", "c", "c", "a", "x" * (LONG + 1), "x" * (LONG + 1)):
        remembering.find(text)
    assert [text[0] for text in inner.asked] == ["a", "b", "c", "a", "x", "x"]


def test_a_fault_is_raised_and_not_remembered():
    """A layer that broke has found nothing, which is no answer."""
    inner = Counts(broken=True)
    remembering = RememberingDetector(inner)
    for ask in (remembering.find, lambda text: remembering.find_many([text])):
        with pytest.raises(DetectorUnavailable):
            ask(TEXTS[1])
    inner.broken = False
    assert remembering.find(TEXTS[1]) == PatternDetector().find(TEXTS[1])


def test_a_layer_is_exchanged_wherever_it_stands():
    """The composition stays, whatever it is."""
    old, new, other = Counts(), Counts(), Counts(name="spoken")
    inner = SecondOpinionDetector(UnionDetector("strict", (other, old)), (old,), frozenset({"fever"}))
    changed = with_layers(BoundedDetector(NormalisingDetector(inner), 99), {"patterns": new})
    second = SecondOpinionDetector(UnionDetector("strict", (other, new)), (new,), frozenset({"fever"}))
    assert changed == BoundedDetector(NormalisingDetector(second), 99)
    assert changed.inner.inner.first.parts[1] is new
    assert changed.inner.inner.others[0] is new


def test_the_gate_s_own_layers_are_shared():
    """In the audit's detectors the gate's part is composed as the gate's, of the layers that the audit asks too."""
    real = open_detectors().strict.__self__
    gate, own = real.parts
    shared = {part.inner.name: part.inner for part in own.inner.inner.parts}
    assert set(shared) == set(CERTAIN)
    asked = gate.inner.inner.inner
    assert {layer.name: layer for layer in (*asked.first.parts, *asked.others) if layer.name in shared} == shared
    assert with_layers(gate, loaded := layers("strict")) == with_layers(open_detector("strict"), loaded)


def test_nothing_that_is_found_hangs_on_it():
    """What the detectors find with shared layers is what they find with layers of their own."""
    real = open_detectors().strict.__self__
    _, own = real.parts
    loaded = layers("strict")
    certain = UnionDetector("audit", tuple(replace(part, inner=loaded[part.name]) for part in own.inner.inner.parts))
    apart = UnionDetector("audit", (open_detector("strict"), BoundedDetector(NormalisingDetector(certain))))
    expected = [apart.find(text) for text in TEXTS]
    assert real.find_many(TEXTS) == expected
    assert [real.find(text) for text in reversed(TEXTS)] == expected[::-1]
    assert sum(map(bool, expected)) > 10
