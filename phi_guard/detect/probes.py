"""Each layer finds something of its own kind before it is used.

Layers overlap: with one that finds nothing any more the others still find what is planted in whole, so neither the gate nor known answers
would miss it. So each is asked alone, once, when it is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector

PATTERNS_ALONE: Final = "presidio without a network"
"""Presidio in a profile in which spaCy's network does not look."""

NAMES: Final = ("Whitfield", "Subramanian", "Kowalczyk")
"""One that the policy itself lists as harmless, such as a doctor's, would not be found."""

_NAMED: Final = tuple(
    (f"My name is {given} {name} and I live in Boston.", name) for given, name in zip(("Ann", "Rajesh", "Ewa"), NAMES, strict=True)
)
_ADDRESSED: Final = ("It was sent from 203.0.113.7 this morning.", "203.0.113.7")
PROBES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "patterns": (("Call me on 415-555-0172 tomorrow.", "415-555-0172"), ("Write to m.wz@example.org about it.", "m.wz@example.org")),
    "spoken": (
        ("my number is four one five five five five oh one seven two", "four one five five five five oh one seven two"),
        ("it's margaret at example dot org", "margaret at example dot org"),
    ),
    "vocabulary": (("the visit with zqwhitfelk went well", "zqwhitfelk"),),
    "presidio": (*_NAMED, _ADDRESSED),
    PATTERNS_ALONE: (_ADDRESSED,),
    "rampart": _NAMED,
    "minilm": _NAMED,
}
"""By layer: texts with what it must find in each, whatever it finds beside; all of it made up."""


def prove(name: str, layer: Detector, harmless: Collection[str] = ()) -> None:
    """Ask a layer for what it must find.

    Args:
        name: a key of `PROBES`.
        layer: as it will be used.
        harmless: words, lower-case, that this layer was told are no one's name: those it need not find.

    Raises:
        DetectorUnavailable: it does not find it.
    """
    for text, made_up in PROBES[name]:
        if made_up.lower() in harmless:
            continue
        start = text.index(made_up)
        covered = {at for found in layer.find(text) for at in range(found.start, found.end)}
        if not covered.issuperset(range(start, start + len(made_up))):
            msg = (
                f"the detector {name} does not find what it is made to find; install the requirements again: pip install phi-guard-toolkit"
            )
            raise DetectorUnavailable(msg)
