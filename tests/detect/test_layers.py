"""Each layer earns its place: without it, something is missed that no other layer of the strict profile finds."""

from __future__ import annotations

import pytest

from phi_guard.detect import LAYERS, NormalisingDetector, UnionDetector
from phi_guard.detect.profiles import layers

ONLY = (
    ("patterns", "seen, Midtown Infirmary", "Midtown Infirmary"),
    ("patterns", "aged 101", "101"),
    ("spoken", "it's forty four twelve", "forty four twelve"),
    ("spoken", "birthday the eleventh", "eleventh"),
    ("vocabulary", "Poulsteeg, lisinopril refill", "Poulsteeg"),
    ("presidio", "in autumn 2004", "autumn 2004"),
    ("rampart", "works at Station College as a mason", "Station College"),
    ("minilm", "take the first left on orchard", "orchard"),
    ("minilm", "may cook was here", "may cook"),
)
"""A layer, a text, and what is found in it by that layer alone."""


@pytest.fixture(scope="module")
def loaded():
    return layers("strict")


def touches(detectors, text, value):
    start = text.index(value)
    found = NormalisingDetector(UnionDetector("some", tuple(detectors))).find(text)
    return any(d.start < start + len(value) and d.end > start for d in found)


def test_no_layer_is_without_an_example():
    assert {layer for layer, _, _ in ONLY} == set(LAYERS)


@pytest.mark.parametrize(("layer", "text", "value"), ONLY)
def test_a_layer_finds_what_no_other_does(loaded, layer, text, value):
    assert touches(loaded.values(), text, value)
    assert not touches((other for name, other in loaded.items() if name != layer), text, value)


def test_without_the_normaliser_a_disguised_number_passes(loaded):
    """The layers themselves see only single figures between tags."""
    text = "number 4<i>1</i>5<i>5</i>5<i>5</i>5"
    assert UnionDetector("bare", tuple(loaded.values())).find(text) == ()
    found = NormalisingDetector(UnionDetector("whole", tuple(loaded.values()))).find(text)
    covered = {i for d in found for i in range(d.start, d.end)}
    assert {i for i, char in enumerate(text) if char.isdigit()} <= covered
