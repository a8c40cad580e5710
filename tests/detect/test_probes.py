"""A layer that is loaded and finds nothing is found out, though the others would cover for it."""

from __future__ import annotations

import pytest

from phi_guard.detect import LAYERS, PROFILES, open_detector, profiles
from phi_guard.detect.probes import NAMES, PATTERNS_ALONE, PROBES, prove
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection


class Silent:
    """Finds nothing, whatever it is asked."""

    name = "silent"

    def find(self, _):
        return ()


class Loud:
    """Takes the first character of every text for a name."""

    name = "loud"

    def find(self, text):
        return (Detection(0, 1, "PERSON", 0.9, "loud.x"),)


def test_each_layer_has_its_probes():
    assert set(PROBES) == {*LAYERS, PATTERNS_ALONE}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("broken", [Silent, Loud])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_detector_with_a_layer_that_misses_what_it_must_find_is_not_opened(layer, broken, profile, monkeypatch):
    if layer not in profiles.PLANS[profile].layers:
        pytest.skip("not in this profile")
    # The others are not loaded: they would only take time.
    openers = {name: lambda plan, own, name=name: Known(name) for name in LAYERS} | {layer: lambda plan, own: broken()}
    monkeypatch.setattr(profiles, "_OPENERS", openers)
    with pytest.raises(DetectorUnavailable, match=rf"^the detector {layer}\b") as caught:
        open_detector(profile)
    assert not any(made_up in str(caught.value) for probes in PROBES.values() for _, made_up in probes)


class Known:
    """Finds what its layer's probes hold."""

    def __init__(self, name):
        self.name = name

    def find(self, text):
        probes = [made_up for known, made_up in (*PROBES[self.name], *PROBES[PATTERNS_ALONE]) if known == text]
        return tuple(Detection(text.index(each), text.index(each) + len(each), "PERSON", 0.9, f"{self.name}.x") for each in probes)


def test_the_clinics_own_doctors_may_have_the_names_of_the_probes():
    """What the policy lists is not looked for by name: a clinic with a Dr. Whitfield has its detectors all the same."""
    found = open_detector("strict", [NAMES[0]]).find("My name is Mira Solveig-Okafor.")
    assert any(d.entity == "PERSON" for d in found)
    prove("rampart", Silent(), {name.lower() for name in NAMES})  # none is left to ask for
    with pytest.raises(DetectorUnavailable):
        prove("rampart", Silent(), {NAMES[0].lower()})
