"""The audit's own detectors: all that the gate's find and more, so that what the gate let through by mistake is still found.

The gate's detectors (``strict``) pass over talk that a closed list settles, and ask the slower layers only where the quicker ones left
something to judge. The audit also asks patterns, spoken rules, vocabulary and Presidio about every text: they add no false alarm, and so
what they find fails a gate. The networks are asked about every text at their lowest thresholds too; what that adds is a suspicion, which
people look at first. Measured on 967 different texts that the gate had cleared (of 1,024: notes, talk, single words and identifiers,
written and as they are said), alarms per 1,000 of them:

    layer                                          alarms      counts as
    patterns, vetted                                  0.0      finding
    spoken                                            0.0      finding
    vocabulary                                        0.0      finding
    presidio and spaCy, vetted, with a digit or letter 0.0     finding
    patterns, guesses not vetted                      5.2      suspicion
    rampart at 0.01, vetted                          14.5      suspicion
    minilm at 0.01, vetted                           41.4      suspicion
    presidio and spaCy, not vetted                   49.6      not asked
    rampart at 0.01, not vetted                     155.1      not asked
    minilm at 0.01, not vetted                      312.3      not asked
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit.census import Detectors
from audit.scan import Find

if TYPE_CHECKING:
    from phi_guard.detect import Detector
    from phi_guard.model import Detection

CERTAIN: Final = ("patterns", "spoken", "vocabulary", "presidio")
"""Layers that give no false alarm on cleared text, asked about every text."""
SUSPECTING: Final = ("patterns", "minilm", "rampart")
"""Layers whose lowest threshold gives suspicions."""


@dataclass(frozen=True, slots=True)
class _Telling:
    """Its inner detector, without what holds neither letter nor digit: ``::`` has the form of an address of IPv6."""

    inner: Detector

    @property
    def name(self) -> str:
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        return self._told(text, self.inner.find(text))

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        from phi_guard.detect import find_many  # noqa: PLC0415  # loads the detectors' libraries

        return [self._told(text, found) for text, found in zip(texts, find_many(self.inner, texts), strict=True)]

    def _told(self, text: str, found: tuple[Detection, ...]) -> tuple[Detection, ...]:
        return tuple(d for d in found if any(c.isalnum() for c in text[d.start : d.end]))


def open_detectors(*, roster: Find | None = None, without: Iterable[str] = (), digest: Callable[[], str] | None = None) -> Detectors:
    """The detectors a scan looks with.

    Args:
        roster: finds the clinic's own patients; None without a roster.
        without: layers left out, by name, to show what a scanner without them misses; never for a verdict.
        digest: gives the method's digest; by default that of `audit.method.describe` is used by who calls.

    Raises:
        DetectorUnavailable: a piece is not installed.
    """
    from audit.sharing import RememberingDetector, with_layers  # noqa: PLC0415  # loads the detectors' libraries
    from phi_guard.detect import NormalisingDetector, PatternDetector, UnionDetector, open_detector  # noqa: PLC0415
    from phi_guard.detect.bounded import BoundedDetector  # noqa: PLC0415
    from phi_guard.detect.profiles import layers  # noqa: PLC0415  # spaCy and Presidio load with the first run
    from phi_guard.detect.vetted import VettedDetector  # noqa: PLC0415
    from phi_guard.detect.vocabulary import certain_words  # noqa: PLC0415

    left_out = frozenset(without)
    close = {name: layer for name, layer in layers("strict").items() if name not in left_out}
    wide = {name: layer for name, layer in layers("scan").items() if name not in left_out}
    words = certain_words()

    def together(name: str, layers: Sequence[Detector]) -> Detector:
        # Past three pages all is a finding, as it is to the gate, which sends no such text; nothing there need be read.
        return BoundedDetector(NormalisingDetector(UnionDetector(name, tuple(layers))))

    shared: dict[str, Detector] = {name: RememberingDetector(layer) for name, layer in close.items()}
    certain: list[Detector] = [_Telling(shared[name]) for name in CERTAIN if name in shared]
    if left_out:
        # The gate's own order of asking needs all its layers; what is left is asked one by one.
        certain += [layer for name, layer in shared.items() if name not in CERTAIN]
        first: tuple[Detector, ...] = (together("audit", certain),)
    else:
        first = (with_layers(open_detector("strict"), shared), together("audit", certain))
    low: list[Detector] = [wide[name] if name == "patterns" else VettedDetector(wide[name], words) for name in SUSPECTING if name in wide]
    return Detectors(
        strict=UnionDetector("audit", first).find,
        patterns=PatternDetector().find if "patterns" not in left_out else _nothing,
        roster=roster,
        suspicions=together("suspicion", low).find if low else None,
        digest=digest() if digest is not None else "",
    )


def _nothing(_: str) -> Sequence[Detection]:
    return ()
