"""Layers and networks that the audit asks about a text more than once, and that answer from memory the second time.

The gate's detectors and the audit's own ask the same layers (`audit.detectors`), at two thresholds the same networks. What a layer finds
in a text does not hang on who asks, and what a network computes does not hang on the threshold: neither is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

from audit.memo import LONG
from phi_guard.detect import Detector, find_many
from phi_guard.detect.classifier import TokenClassifier
from phi_guard.detect.vetted import VettedDetector

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi_guard.detect.classifier import Session
    from phi_guard.model import Detection

KEPT: Final = 1_024
"""Answers that are kept: who asks again does so within the same few hundred texts."""

_Key = TypeVar("_Key", str, bytes)
_Answer = TypeVar("_Answer")


class _Last(Generic[_Key, _Answer]):
    """The answers given last, at most so many; any thread may ask."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._held: dict[_Key, _Answer] = {}
        self._lock = Lock()

    def get(self, key: _Key) -> _Answer | None:
        return self._held.get(key)

    def put(self, key: _Key, answer: _Answer) -> None:
        with self._lock:
            self._held[key] = answer
            while len(self._held) > self._most:
                del self._held[next(iter(self._held))]


class RememberingDetector:
    """Its inner detector, not asked again about a text that it was asked about shortly before.

    Args:
        inner: what judges; its name is kept.
    """

    def __init__(self, inner: Detector) -> None:
        self._inner = inner
        self._last: _Last[str, tuple[Detection, ...]] = _Last()

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self._inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the inner detector finds, or found.

        Raises:
            DetectorUnavailable: the inner detector raised; then nothing is remembered.
        """
        known = self._last.get(text)
        if known is None:
            known = self._inner.find(text)
            self._keep(text, known)
        return known

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; the inner detector is given the unknown ones at once, each once.

        Raises:
            DetectorUnavailable: as `find`.
        """
        found = {text: self._last.get(text) for text in texts}
        unknown = [text for text, known in found.items() if known is None]
        if unknown:
            for text, fresh in zip(unknown, find_many(self._inner, unknown), strict=True):
                found[text] = fresh
                self._keep(text, fresh)
        return [found[text] or () for text in texts]

    def _keep(self, text: str, found: tuple[Detection, ...]) -> None:
        if len(text) <= LONG:
            self._last.put(text, found)


class RememberingSession:
    """A network's session that does not compute again what it computed shortly before; each row of a batch is known by its word pieces.

    Args:
        inner: what computes.
    """

    def __init__(self, inner: Session) -> None:
        self._inner = inner
        self._last: _Last[bytes, NDArray[np.float32]] = _Last()

    def get_inputs(self) -> Sequence[Any]:
        """The inner session's."""
        return self._inner.get_inputs()

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.int64]]) -> Sequence[Any]:
        """As the inner session's; outputs at padding are 0.

        Raises:
            Exception: what the inner session raises; then nothing is remembered.
        """
        ids, mask = input_feed["input_ids"], input_feed.get("attention_mask")
        if mask is None:  # nothing tells where a row ends
            return self._inner.run(output_names, input_feed)
        lengths = [int(n) for n in mask.sum(axis=1)]
        keys = [ids[row, :n].tobytes() for row, n in enumerate(lengths)]
        rows = [self._last.get(key) for key in keys]
        unknown = [row for row, known in enumerate(rows) if known is None]
        if unknown:
            width = max(lengths[row] for row in unknown)
            computed = self._inner.run(output_names, {name: value[unknown, :width] for name, value in input_feed.items()})[0]
            logits = np.asarray(computed, dtype=np.float32)
            if logits.ndim != 3 or logits.shape[:2] != (len(unknown), width) or not np.isfinite(logits).all():
                return [logits] if len(unknown) == len(rows) else self._inner.run(output_names, input_feed)  # who asked refuses it
            for row, of_row in zip(unknown, logits, strict=True):
                rows[row] = of_row[: lengths[row]].copy()
                self._last.put(keys[row], rows[row])
        labels = next(known.shape[1] for known in rows if known is not None)
        whole = np.zeros((*ids.shape, labels), dtype=np.float32)
        for row, known in enumerate(rows):
            whole[row, : lengths[row]] = known
        return [whole]


def with_layers(detector: Detector, layers: Mapping[str, Detector]) -> Detector:
    """The same composition of detectors with other layers in it.

    Args:
        detector: dataclasses one within the other, as `phi_guard.detect.open_detector` gives them.
        layers: by name, what stands in the place of the layer of that name.
    """
    if detector.name in layers:
        return layers[detector.name]
    if not is_dataclass(detector) or isinstance(detector, type):
        return detector
    changed = {}
    for field in fields(detector):
        held = getattr(detector, field.name)
        if isinstance(held, tuple) and held and all(hasattr(part, "find") for part in held):
            changed[field.name] = tuple(with_layers(part, layers) for part in held)
        elif hasattr(held, "find") and hasattr(held, "name"):
            changed[field.name] = with_layers(held, layers)
    return replace(detector, **changed)


def share_networks(layers: Iterable[Detector]) -> None:
    """Let layers that ask the same network ask it once for the same word pieces; they find what they found before.

    Args:
        layers: the audit's own, vetted or not; what is no network is passed over.
    """
    shared: dict[int, RememberingSession] = {}
    for layer in layers:
        network = layer.inner if isinstance(layer, VettedDetector) else layer
        if isinstance(network, TokenClassifier):
            session = network._session  # noqa: SLF001  # the gate's class offers no other way in, and the gate needs none
            network._session = shared.setdefault(id(session), RememberingSession(session))  # noqa: SLF001  # as above
