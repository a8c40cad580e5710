"""Detectors: what in a text may identify a person.

`open_detector` gives one of three profiles; the heavy libraries behind it are loaded only then.
"""

from __future__ import annotations

from collections.abc import Iterable

from phi_guard.detect.bounded import BoundedDetector
from phi_guard.detect.detector import BatchDetector, Detector, find_many, merge
from phi_guard.detect.normalise import NormalisingDetector
from phi_guard.detect.patterns import PatternDetector
from phi_guard.detect.profiles import LAYERS, PLANS, PROFILES, Profile, layers
from phi_guard.detect.second_opinion import SecondOpinionDetector
from phi_guard.detect.skimming import SkimmingDetector
from phi_guard.detect.union import UnionDetector
from phi_guard.detect.vocabulary import certain_words, is_harmless_text
from phi_guard.errors import DetectorUnavailable

__all__ = [
    "LAYERS",
    "PROFILES",
    "BatchDetector",
    "BoundedDetector",
    "Detector",
    "NormalisingDetector",
    "PatternDetector",
    "Profile",
    "SecondOpinionDetector",
    "SkimmingDetector",
    "UnionDetector",
    "find_many",
    "merge",
    "open_detector",
    "open_layers",
]


def open_detector(profile: Profile, harmless: Iterable[str] = ()) -> Detector:
    """A detector that is loaded and ready: all layers of the profile joined, on the text as it is and without its disguises.

    Args:
        profile: ``strict`` guards what leaves, ``balanced`` keeps more words, ``scan`` looks for what the gate may have missed.
        harmless: further words that are no one's name: those of the policy's own closed lists.

    Raises:
        DetectorUnavailable: no such profile, or a piece is not installed; nothing is ever downloaded.
    """
    words = frozenset(word.lower() for word in harmless)
    loaded = _loaded(profile, words)
    second = PLANS[profile].second
    first = UnionDetector(profile, tuple(layer for name, layer in loaded.items() if name not in second))
    if profile == "scan":
        return NormalisingDetector(first)
    asked = SecondOpinionDetector(first, tuple(loaded[name] for name in second), certain_words() | words)
    glances = tuple(loaded[name] for name in ("spoken", "vocabulary", "patterns") if name in loaded)
    return SkimmingDetector(BoundedDetector(NormalisingDetector(asked)), is_harmless_text, glances)


def open_layers(profile: Profile, harmless: Iterable[str] = ()) -> dict[str, Detector]:
    """The layers of a profile by name, each with the disguises of a text undone for itself, so that one can be measured alone.

    Raises:
        DetectorUnavailable: as `open_detector`.
    """
    return {name: NormalisingDetector(layer) for name, layer in _loaded(profile, harmless).items()}


def _loaded(profile: Profile, harmless: Iterable[str]) -> dict[str, Detector]:
    try:
        return layers(profile, harmless)
    except ImportError as exc:
        missing = exc.name or "a library of the detectors"
    msg = f"cannot load {missing}; install the requirements again: pip install phi-guard-toolkit"
    raise DetectorUnavailable(msg)
