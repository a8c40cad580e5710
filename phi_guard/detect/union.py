"""Several detectors as one: what any of them finds is found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi_guard.detect.detector import merge
from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector
    from phi_guard.model import Detection


@dataclass(frozen=True, slots=True)
class UnionDetector:
    """Finds what any of its parts finds; if one part breaks, the whole has found nothing it could vouch for.

    Args:
        name: a short closed name.
        parts: the detectors asked, each of them every time.
    """

    name: str
    parts: tuple[Detector, ...]

    def find(self, text: str) -> tuple[Detection, ...]:
        """What all parts find, merged.

        Raises:
            DetectorUnavailable: a part raised. The message holds the part's name and the class of the fault, never the text.
        """
        found: list[Detection] = []
        for part in self.parts:
            fault = ""
            try:
                found.extend(part.find(text))
            except DetectorUnavailable:
                raise
            except Exception as exc:  # noqa: BLE001 - any fault means the text was not judged; a library's message may quote it
                fault = type(exc).__name__
            if fault:  # outside the handler, so that the cause, which may hold the text, is not chained
                msg = f"detector {part.name} broke on a text ({fault}); the text was not judged: withhold it, and report the fault"
                raise DetectorUnavailable(msg)
        return merge(found, len(text))
