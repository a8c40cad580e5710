"""Default-deny on words: what is no known harmless word is found, and a word that is also a name is found unless its context clears it.
Words that are certainly harmless in talk count where nothing but a name stands: ``mr hurt``, ``last name an``.

The lists beside this file (``words/SOURCES.md`` tells of them) know no names: a name is found because nobody listed it as harmless.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from phi_guard.detect import vocabulary_context as context
from phi_guard.model import Detection

SCORE: Final = 0.3
"""Of everything this layer finds: what any other layer says of the same words is worth more."""

HITS: Final = (
    "f/u wanjiru knee pain", "call back Oyelaran about the refill", "will byron needs a refill", "my name is mark and i cough", "Rose",
    "mark long", "spoke to Grace about it", "error_for_byron", "requestForByron failed", "ticket 7fq2k", "Mr. White called",
    "no record of Zoë", "his name is will", "seen with Hope today", "o'byrne called", "spoke to hall today", "patient: Young",
    "hall called about the refill", "this is may calling", "Dr Parkinson", "parkinson called", "ivan\u0430", "grace hope",
    "mr hurt is waiting", "dr reason said it was fine", "last name an", "Mere", "So Oh", "starring key for tuesday", "love's file",
    "gift's appointment is at ten", "Seen with Peace today",
)  # fmt: skip
"""Texts in which something must be found."""
MISSES: Final = (
    "will you call me back in the morning", "may i book an appointment", "it hurts on the right side, mm-hmm", "grace period",
    "the rose garden pollen makes me sneeze", "i hope so", "metformin 500mg twice a day and vitamin b12", "book_appointment",
    "a1c of 7, covid-19 test on the 2nd at 10am", "l4-l5 disc, q6h", "getAppointmentStatus timed out", "Crohn's disease and Parkinson's",
    "white blood cells", "In March or on May 5", "I don't know, doctor.", "naïve café", "a long time ago", "the patient's cough",
    "ich habe seit gestern starke Schmerzen und Husten", "j'ai mal à la tête depuis hier", "YES OR NO", "", "12 34", "ICD E11.9",
    "KeyError: 'appointment_status'", "the hall is cold", "步", "my gene test", "do you speak Spanish or English",
    "my name is not on the list", "i saw the doctor today", "root canal", "X-ray", "self", "an", "so", "Perfect.", "the doctor's note",
    "the future's appointment book", "Seen with Pain today", "a train with Wheels",
)  # fmt: skip
"""Harmless texts in which nothing must be found."""

_FOLDER: Final = Path(__file__).parent / "words"
_ASCII: Final = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*")
_TOKEN: Final = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+(?:['’](?:[^\W_]|[\u0300-\u036f])+)*")
_HUMP: Final = re.compile(r"[a-z][A-Z]")
_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_UNIT: Final = (
    "mgs?|mcg|ug|g|gm|kg|lbs?|oz|ml|dl|l|cc|cm|mm|m|km|ft|in|k|hrs?|h|mins?|secs?|s|ms|d|days?|wks?|w|weeks?|mos?|months?|yrs?|y|yo|years?|am|pm|a|p|x|f|c"
    "|st|nd|rd|th|iu|units?|meq|mmhg|mmol|bpm|kb|mb|gb|px|pt|hz|khz|mhz|er|e"
)
_CODE: Final = re.compile(
    rf"[0-9]{{1,6}}(?:{_UNIT})|(?:19|20)?[0-9]0s|[0-9]{{1,2}}h[0-9]{{0,2}}|[0-9]{{1,2}}m[0-9]{{1,2}}s"
    r"|b(?:1|2|3|5|6|7|9|12)|[dk][23]|hba1c|a1c|[tlcs][0-9]{1,2}|h[1-9]n[1-9]|q[0-9]{1,2}(?:h|hr|hrs|hours|d|days)|x[0-9]{1,3}|[ivx]{1,4}|covid19|co2|h2o|spo2|o2|p53"
    r"|g6pd|v[0-9]{1,3}|rfc[0-9]{3,4}|utf8|utf16|sha(?:1|256)|md5|base64|http2|oauth2|ipv[46]|s3|ec2|k8s|i18n|mp[34]|gpt[45]o?|x86|py3|h264|2fa|u2f|a4|x64|int(?:8|16|32|64)|float(?:16|32|64)"
)
_ICD: Final = re.compile(r"[a-tv-z][0-9][0-9a-b]")
_CAPITAL_WITHIN: Final = re.compile(r"[a-z,] [A-HJ-Z]")
_SUFFIX: Final = re.compile(r"'(?:s|d|ll|ve|re|em)?\Z")
_NUMBERED: Final = re.compile(r"([a-z]{4,20})[0-9]{1,2}")
_WRITTEN_OTHERWISE: Final = re.compile(r"[0-9@/\\]|\.\S|_")
_NOT_PLAIN: Final = (
    context.MONTHS | context.STREETS | {"dot", "com", "net", "org", "www", "underscore", "hyphen", "dash", "slash", "double", "triple"}
)


@dataclass(frozen=True, slots=True)
class _Lists:
    certain: frozenset[str]
    doubtful: dict[str, str]
    foreign: dict[str, str]


@cache
def _lists() -> _Lists:
    certain = (_FOLDER / "certain.txt").read_text(encoding="utf-8").split()
    doubtful, foreign = (
        dict(line.split() for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines()) for name in ("doubtful.txt", "foreign.txt")
    )
    return _Lists(frozenset(certain), doubtful, foreign)


@cache
def _plain_words() -> frozenset[str]:
    return _lists().certain - _NOT_PLAIN | {"i", "a"}


def certain_words() -> frozenset[str]:
    """Words, lower-case, that are harmless whatever stands around them: on no list of names with a share that counts."""
    return _lists().certain


def is_harmless_text(text: str) -> bool:
    """Whether a text can hold nothing that identifies: every word certain, no digit, address, month, street or two words of number.

    Cost: linear; an empty text, and one without words, is harmless.
    """
    if not text.isascii() or _WRITTEN_OTHERWISE.search(text):
        return False
    words = _ASCII.findall(text.lower().replace("'s", ""))
    return _plain_words().issuperset(words) and sum(map(context.NUMBERS.__contains__, words)) < 2


class VocabularyDetector:
    """Finds words that are not known to be harmless (``UNKNOWN_WORD``) and words that count as a name where they stand (``PERSON``).

    Digits alone, single letters and other scripts are left to the layers that own them.
    """

    __slots__ = ("_extra",)

    def __init__(self, extra: Iterable[str] = ()) -> None:
        """Reads the lists, once in a process.

        Args:
            extra: further harmless words, as the values of a policy's closed lists (``no_show``, ``telehealth``): each is taken apart
                into words, and these are harmless wherever they stand, also alone in a field.
        """
        _lists()
        self._extra = frozenset(word for text in extra for word in _TOKEN.findall(text.lower().replace("’", "'")))

    @property
    def name(self) -> str:
        """``vocabulary``."""
        return "vocabulary"

    def find(self, text: str) -> tuple[Detection, ...]:
        """As `Detector.find`. Cost: linear in the text."""
        lists = _lists()
        pattern = _ASCII if text.isascii() else _TOKEN
        found = pattern.findall(text.lower())
        if (
            lists.certain.issuperset(found)
            and len(found) > context.LONGEST_FIELD
            and context.CUES.isdisjoint(found)
            and _CAPITAL_WITHIN.search(text) is None
        ):
            return ()
        words = self._words(text, pattern)
        _clear_foreign(words, lists.foreign)
        return tuple(
            Detection(word.start, word.end, "PERSON", SCORE, "vocabulary.doubtful")
            if word.kinds != context.UNKNOWN
            else Detection(word.start, word.end, "UNKNOWN_WORD", SCORE, "vocabulary.unknown")
            for word in context.counting(text, words, self._extra)
        )

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """As `find` for each text."""
        return [self.find(text) for text in texts]

    def _words(self, text: str, pattern: re.Pattern[str]) -> list[context.Word]:
        certain, words = _lists().certain, []
        for match in pattern.finditer(text):
            raw, start = match.group(), match.start()
            lower = raw.lower()
            if lower in certain:
                words.append(context.Word(start, match.end(), raw, lower, ""))
            elif _HUMP.search(raw):
                for part in _PART.finditer(raw):
                    piece = part.group().lower()
                    words.append(context.Word(start + part.start(), start + part.end(), part.group(), piece, self._kinds(piece, "")))
            else:
                words.append(context.Word(start, match.end(), raw, lower, self._kinds(lower, text[match.end() : match.end() + 2])))
        return words

    def _kinds(self, word: str, after: str) -> str:
        """What a lower-case word is: empty for harmless, the kinds of `words/doubtful.txt`, or `context.UNKNOWN`."""
        lists = _lists()
        if len(word) == 1 or word.isdigit() or word in lists.certain or word in self._extra:
            return ""
        if not word.isascii():
            if not any(unicodedata.name(char, "").startswith("LATIN") for char in word if char.isalpha()):
                return ""
            word = unicodedata.normalize("NFC", word).replace("’", "'")
            if word in lists.certain or word in self._extra:
                return ""
        if word in lists.doubtful:
            return lists.doubtful[word]
        base = _SUFFIX.sub("", word)
        if len(base) < 2 or base in lists.certain or base in self._extra or base in lists.doubtful:
            return lists.doubtful.get(base, "") if len(base) > 1 else context.UNKNOWN
        numbered = _NUMBERED.fullmatch(word)
        coded = _CODE.fullmatch(word) or (_ICD.fullmatch(word) and after[:1] == "." and after[1:].isalnum())
        return "" if coded or (numbered and numbered[1] in lists.certain) else context.UNKNOWN


def _clear_foreign(words: list[context.Word], foreign: dict[str, str]) -> None:
    """Take German or French words for harmless where at least three different ones of that language stand in the text."""
    known: dict[str, set[str]] = {}
    for word in words:
        for language in foreign.get(word.lower, "").split(",") if word.kinds == context.UNKNOWN else ():
            known.setdefault(language, set()).add(word.lower)
    for language, said in known.items():
        if language and len(said) >= 3:
            for word in words:
                if word.kinds == context.UNKNOWN and language in foreign.get(word.lower, ""):
                    word.kinds = ""
