"""Lets through at a glance what a closed list settles: plain talk made of certainly harmless words is not read any closer.

Most of what is said in a call is such talk. It costs a fraction of a millisecond here, and many in the networks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import find_many

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector
    from phi_guard.model import Detection

WORDS_MIN: Final = 3
"""Fewer words are a field, not talk: there even an ordinary word may be someone's name."""

SKIMMED_MAX: Final = 400
"""Characters of a text that is short enough to be one turn of talk; a longer one is read."""

_CAPITAL_WITHIN: Final = re.compile(r"[a-z0-9,;:] (?!I\b)[A-Z]")
_TELLING: Final = frozenset(
    """
    street st avenue ave road rd lane drive court place square terrace close way boulevard highway route corner county city town village
    apartment suite unit building floor house box hospital clinic center centre school college university church pharmacy practice
    care medical dental health surgery dermatology pediatrics medicine therapy address live lives
    name named called calling doctor dr mr mrs ms miss mister missus spoke talked texted starring patient pt caller client
    password passphrase passcode pin secret answer maiden code room visa maestro amex mastercard discover plate member policy passport
    username login memorable safe birthday birthdate born ninety hundred slash initials handle party
    """.split()  # noqa: SIM905 - easier to read and to keep in order
)
"""Words beside which harmless words become a place or a name: ``main street``, ``desert springs clinic``, ``his name is``."""
_SIGNS: Final = str.maketrans(dict.fromkeys(".,;:!?\"'()-", " "))


@dataclass(frozen=True, slots=True)
class SkimmingDetector:
    """Its inner detector, not asked about talk in which every word is certainly harmless.

    A word that is harmless nearly everywhere is someone's name where only a name stands (``my son gift has a cough``), so the layers that
    read in microseconds are asked all the same.

    Args:
        inner: what reads the rest; its name is kept.
        is_harmless: whether every word of a text is certainly harmless, and none a number.
        glances: quick detectors that must find nothing in what is settled.
    """

    inner: Detector
    is_harmless: Callable[[str], bool]
    glances: tuple[Detector, ...] = ()

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the inner detector finds, and nothing in talk that is settled."""
        return () if self._settles(text) else self.inner.find(text)

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; the inner detector is given the unsettled ones at once."""
        settled = [self._settles(text) for text in texts]
        read = iter(find_many(self.inner, [text for text, plain in zip(texts, settled, strict=True) if not plain]))
        return [() if plain else next(read) for plain in settled]

    def _settles(self, text: str) -> bool:
        return (
            len(text) <= SKIMMED_MAX
            and text.count(" ") >= WORDS_MIN - 1
            and _CAPITAL_WITHIN.search(text) is None
            and _TELLING.isdisjoint(text.lower().translate(_SIGNS).split())
            and self.is_harmless(text)
            and not any(detector.find(text) for detector in self.glances)
        )
