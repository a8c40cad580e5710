"""Several detectors as one: what any of them finds is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from phi_guard.detect.detector import find_many, merge
from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector
    from phi_guard.model import Detection

_Asked = TypeVar("_Asked")
_Found = TypeVar("_Found")


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
            found.extend(_asked(part.name, part.find, text))
        return merge(found, len(text))

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; each part is given all of them at once.

        Raises:
            DetectorUnavailable: as `find`.
        """
        found: list[list[Detection]] = [[] for _ in texts]
        for part in self.parts:
            each = _asked(part.name, partial(find_many, part), texts)
            for held, more in zip(found, each, strict=True):
                held.extend(more)
        return [merge(held, len(text)) for held, text in zip(found, texts, strict=True)]


def _asked(name: str, find: Callable[[_Asked], _Found], what: _Asked) -> _Found:
    try:
        return find(what)
    except DetectorUnavailable:
        raise
    except Exception as exc:  # noqa: BLE001 - any fault means the text was not judged; a library's message may quote it
        fault = type(exc).__name__
    # outside the handler, so that the cause, which may hold the text, is not chained
    msg = f"detector {name} broke on a text ({fault}); the text was not judged: withhold it, and report the fault"
    raise DetectorUnavailable(msg)
