"""Layers that the audit asks about a text twice, as the gate does and of every text, and that answer from memory the second time.

What a layer finds in a text does not hang on who asks (`audit.detectors`), so it is not sought twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from audit.memo import LONG
from phi_guard.detect import Detector, find_many

if TYPE_CHECKING:
    from phi_guard.model import Detection

KEPT: Final = 1_024
"""Answers that a layer keeps: who asks again does so within the same few hundred texts."""


class RememberingDetector:
    """Its inner detector, not asked again about a text that it was asked about shortly before; any thread may ask.

    Args:
        inner: what judges; its name is kept.
        most: answers that are kept; the oldest goes first.
    """

    def __init__(self, inner: Detector, most: int = KEPT) -> None:
        self._inner = inner
        self._most = most
        self._held: dict[str, tuple[Detection, ...]] = {}
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self._inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the inner detector finds, or found.

        Raises:
            DetectorUnavailable: the inner detector raised; then nothing is remembered.
        """
        known = self._held.get(text)
        if known is None:
            known = self._inner.find(text)
            self._keep(text, known)
        return known

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; the inner detector is given the unknown ones at once, each once.

        Raises:
            DetectorUnavailable: as `find`.
        """
        found = {text: self._held.get(text) for text in texts}
        unknown = [text for text, known in found.items() if known is None]
        if unknown:
            for text, fresh in zip(unknown, find_many(self._inner, unknown), strict=True):
                found[text] = fresh
                self._keep(text, fresh)
        return [found[text] or () for text in texts]

    def _keep(self, text: str, found: tuple[Detection, ...]) -> None:
        if len(text) > LONG:
            return
        with self._lock:
            self._held[text] = found
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]


def with_layers(detector: Detector, layers: Mapping[str, Detector]) -> Detector:
    """The same composition of detectors with other layers in it.

    Args:
        detector: dataclasses one within the other, as `phi_guard.detect.open_detector` gives them.
        layers: by name, what stands in the place of the layer of that name.
    """
    if detector.name in layers:
        return layers[detector.name]
    composed: Any = detector
    if not hasattr(composed, "__dataclass_fields__"):
        return detector
    changed: dict[str, Any] = {}
    for field in fields(composed):
        held = getattr(detector, field.name)
        if isinstance(held, tuple) and held and all(hasattr(part, "find") for part in held):
            changed[field.name] = tuple(with_layers(part, layers) for part in held)
        elif hasattr(held, "find") and hasattr(held, "name"):
            changed[field.name] = with_layers(held, layers)
    exchanged: Detector = replace(composed, **changed)
    return exchanged
