"""Detectors: what in a text may identify a person.

`open_detector` gives one of two profiles; the heavy libraries behind it are loaded only then.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from phi_guard.detect.detector import Detector, merge
from phi_guard.detect.normalise import NormalisingDetector
from phi_guard.detect.patterns import PatternDetector
from phi_guard.detect.union import UnionDetector
from phi_guard.errors import DetectorUnavailable

__all__ = ["PROFILES", "Detector", "NormalisingDetector", "PatternDetector", "Profile", "UnionDetector", "merge", "open_detector"]

Profile: TypeAlias = Literal["strict", "balanced"]

PROFILES: Final[tuple[Profile, ...]] = ("strict", "balanced")
"""``strict`` costs more words: it also reads the text in title case, where a lower-case name shows."""


def open_detector(profile: Profile) -> Detector:
    """A detector that is loaded and ready: our own patterns joined with Presidio's recognisers and spaCy's NER,
    on the text as it is and without its disguises.

    Args:
        profile: ``strict`` or ``balanced``.

    Raises:
        DetectorUnavailable: no such profile, or a piece is not installed; nothing is ever downloaded.
    """
    if profile not in PROFILES:
        msg = f"no such detector profile; write one of: {', '.join(PROFILES)}"
        raise DetectorUnavailable(msg)
    try:
        from phi_guard.detect.presidio import open_presidio  # noqa: PLC0415 - spaCy and Presidio load here, and only here
    except ImportError as exc:
        missing = exc.name or "a library of the detectors"
        msg = f"cannot load {missing}; install the requirements again: pip install phi-guard-toolkit"
        raise DetectorUnavailable(msg) from None
    return NormalisingDetector(UnionDetector(profile, (PatternDetector(), open_presidio(recase=profile == "strict"))))
