"""The three profiles: which layers look, how closely, and what each costs in harmless words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from phi_guard.detect.probes import PATTERNS_ALONE, prove
from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from phi_guard.detect.detector import Detector

Profile: TypeAlias = Literal["strict", "balanced", "scan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one profile is made of.

    Args:
        layers: names of the layers, as in `LAYERS`.
        second: those of them that are asked only where the others leave something to judge; see `SecondOpinionDetector`.
        threshold: P(not harmless) from which a word counts for the networks.
        dates: likewise for a date, where it differs: patterns and the spoken rules find dates, and a network takes any number for one.
        windows: stretches of a text that a network reads, or None for all of it.
        vetted: whether names that the statistical layers make of certainly harmless words are taken back.
        entities: whether spaCy's network looks, beside Presidio's patterns.
        groups: whether groups, religions and politics count.
    """

    layers: tuple[str, ...]
    second: tuple[str, ...]
    threshold: float
    dates: float
    windows: int | None
    vetted: bool
    entities: bool
    groups: bool


_CLOSE: Final = ("patterns", "spoken", "vocabulary", "presidio", "rampart", "minilm")
_LOOSE: Final = ("patterns", "spoken", "presidio", "rampart", "minilm")

PLANS: Final[Mapping[Profile, Plan]] = {
    "strict": Plan(_CLOSE, ("rampart", "presidio"), threshold=0.03, dates=0.3, windows=20, vetted=True, entities=True, groups=False),
    "balanced": Plan(_LOOSE, ("rampart",), threshold=0.2, dates=0.5, windows=20, vetted=True, entities=False, groups=False),
    "scan": Plan(_CLOSE, (), threshold=0.01, dates=0.01, windows=None, vetted=False, entities=True, groups=True),
}
"""``strict`` guards what leaves. ``balanced`` keeps more words and is faster: it has no vocabulary, and spaCy's network does not look.
``scan`` looks for what the gate may have missed, so it counts all that any layer finds at its lowest threshold."""

PROFILES: Final[tuple[Profile, ...]] = tuple(PLANS)

LAYERS: Final = ("patterns", "spoken", "vocabulary", "presidio", "rampart", "minilm")
"""The layers in the order in which they are asked; the normaliser stands around them all."""

GUESSED: Final = frozenset({"patterns.capitalised_words"})
"""Rules that go by the look of a word alone, and so take a drug for a person."""


def layers(profile: Profile, harmless: Iterable[str] = ()) -> dict[str, Detector]:
    """The loaded layers of a profile by name, in the order of `LAYERS`; what takes long is loaded side by side.

    Args:
        profile: one of `PROFILES`.
        harmless: further words that are no one's name: those of the policy's own closed lists.

    Raises:
        DetectorUnavailable: no such profile, a piece is not installed, or a layer does not find what it must; nothing is ever downloaded.
    """
    if profile not in PLANS:
        msg = f"no such detector profile; write one of: {', '.join(PROFILES)}"
        raise DetectorUnavailable(msg)
    plan = PLANS[profile]
    own = frozenset(word.lower() for word in harmless)
    with ThreadPoolExecutor(len(plan.layers)) as pool:
        loading = {name: pool.submit(_opened, name, plan, own) for name in plan.layers}
        return {name: future.result() for name, future in loading.items()}


def _opened(name: str, plan: Plan, own: frozenset[str]) -> Detector:
    layer = _OPENERS[name](plan, own)
    prove(PATTERNS_ALONE if name == "presidio" and not plan.entities else name, layer, own)
    return layer


def _open_patterns(plan: Plan, own: frozenset[str]) -> Detector:
    from phi_guard.detect.patterns import PatternDetector  # noqa: PLC0415 - each layer loads when it is asked for

    return _vetted(PatternDetector(), plan, own, GUESSED)


def _open_spoken(_: Plan, __: frozenset[str]) -> Detector:
    from phi_guard.detect.spoken import SpokenDetector  # noqa: PLC0415 - as above

    return SpokenDetector()


def _open_vocabulary(_: Plan, own: frozenset[str]) -> Detector:
    from phi_guard.detect.vocabulary import VocabularyDetector  # noqa: PLC0415 - as above

    return VocabularyDetector(own)


def _open_presidio(plan: Plan, own: frozenset[str]) -> Detector:
    from phi_guard.detect.presidio import open_presidio  # noqa: PLC0415 - as above

    return _vetted(open_presidio(entities=plan.entities, groups=plan.groups), plan, own)


def _open_rampart(plan: Plan, own: frozenset[str]) -> Detector:
    from phi_guard.detect.rampart import open_rampart  # noqa: PLC0415 - as above

    return _vetted(open_rampart(threshold=plan.threshold, windows=plan.windows), plan, own)


def _open_minilm(plan: Plan, own: frozenset[str]) -> Detector:
    from phi_guard.detect.minilm import open_minilm  # noqa: PLC0415 - as above

    return _vetted(open_minilm(threshold=plan.threshold, thresholds={"DATE": plan.dates}, windows=plan.windows), plan, own)


def _vetted(detector: Detector, plan: Plan, own: frozenset[str], sources: frozenset[str] | None = None) -> Detector:
    if not plan.vetted:
        return detector
    from phi_guard.detect.vetted import VettedDetector  # noqa: PLC0415 - as above
    from phi_guard.detect.vocabulary import certain_words  # noqa: PLC0415 - as above

    return VettedDetector(detector, certain_words() | own, sources)


_OPENERS: Final[Mapping[str, Callable[[Plan, frozenset[str]], Detector]]] = {
    "patterns": _open_patterns,
    "spoken": _open_spoken,
    "vocabulary": _open_vocabulary,
    "presidio": _open_presidio,
    "rampart": _open_rampart,
    "minilm": _open_minilm,
}
