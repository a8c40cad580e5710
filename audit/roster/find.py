"""The roster as a detector: whether a text names one of the clinic's own patients, without knowing who they are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from audit.keys import key_id
from audit.roster.days import days
from audit.roster.entries import GLUED_MIN, SOUND_MIN, STREET_MAX, email_of, pair_form, street_form
from audit.roster.facts import RosterError, RosterFacts
from audit.roster.index import Digests, Index
from audit.roster.letters import SPELLED_MIN, spelled
from audit.roster.numbers import DIGITS_MAX, ID_MIN, MRN_MIN, MRN_SURE, NUMBERS, PHONE_MIN, Unit, national, runs
from audit.roster.words import (
    LONE_NEAR_MIN,
    NAME_MAX,
    NEAR_MIN,
    PARTICLES,
    fold,
    ordinary_words,
    shortened,
    sound,
    strong_words,
    sure_words,
)  # fmt: skip
from phi_guard.detect import NormalisingDetector, merge
from phi_guard.model import Detection

SOURCE: Final = "roster"
WORDS_MAX: Final = 50_000
"""Words whose answer is remembered, in memory only."""
WINDOW: Final = 3
"""How far apart two words of a name may stand: two words between, initials or small words."""
YOUNGEST: Final = timedelta(days=366)
"""A day later than this before the index was built counts only after a word of birth: it is an appointment's more often than a child's."""

EXACT: Final = 1.0
ALONE: Final = 0.8
NEAR: Final = 0.7
SOUNDS: Final = 0.6
LONE_NEAR: Final = 0.5

_KNOWN, _ORDINARY, _SURE, _GLUED, _NEAR = 1, 2, 4, 8, 16

_Span: TypeAlias = tuple[int, int]
_Word: TypeAlias = tuple[str, int, int, int]

_UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_INSTANT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
_STRUCTURE: Final = re.compile(
    rf"{_UUID}|{_INSTANT}|\d{{8}}T\d{{6,12}}Z?|(?<![^\W_])(?=[0-9a-fA-F]*[a-fA-F])(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{{12,}}(?![^\W_])"
    r"|(?<![\w.+-])-?\d{1,12}\.\d{1,17}(?:[eE][+-]?\d{1,3})?(?![\w.-]*\d)|\b(?:RM|PA|TR|SID)_[A-Za-z0-9]{6,24}"
)
"""Ids, instants, hashes and decimals: their digits are nobody's."""
_HOUSE_MAX: Final = 6
_HOUSE_SAID: Final = 20
"""Characters that a house number takes: ``221 b``, ``twelve oh four``."""
_DIGIT: Final = re.compile(r"\d")
_TOKEN: Final = re.compile(r"[^\W_]+(?:'[^\W\d_]+)*")
_HUMP: Final = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}(?![a-z])")
_HUMPED_MIN: Final = 8
_LETTERED: Final = re.compile(r"[^\W\d_]{4,}(?=\d{1,4}\Z)")
_SOFT: Final = re.compile(r"[\s,.'_()@+/-]{0,4}")
_TITLES: Final = frozenset("mr mrs ms miss mx herr frau monsieur madame mme mlle".split())  # noqa: SIM905
_SAID: Final = re.compile(r"\b(?:name(?: is|'s)?|this is|i am|i'm|patient|called|caller|heisse|bin|appelle|nom)[\s:,]*\Z")
_BETWEEN: Final = PARTICLES | frozenset("uh um er like".split())  # noqa: SIM905
_EMAIL: Final = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_SPOKEN_EMAIL: Final = re.compile(
    r"((?:[a-z0-9]+ )?)([a-z0-9]+(?:(?: (?:dot|punkt|point|underscore|dash|hyphen|minus) |[._-])[a-z0-9]+)*) "
    r"(?:at|at sign|arobase|klammeraffe) ([a-z0-9-]+(?:(?: (?:dot|punkt|point) |\.)[a-z0-9-]+)+)"
)
_SIGNS: Final = {"dot": ".", "punkt": ".", "point": ".", "underscore": "_", "dash": "-", "hyphen": "-", "minus": "-"}
_NUMBER_WORD: Final = re.compile(
    rf"\b(?:{'|'.join(sorted(NUMBERS, key=lambda word: (-len(word), word)))}|first|second|third"
    r"|[a-z]+(?:teenth|ieth|hundert[a-z]*|zig|te[nr]?))\b"
)
_CUE: Final = re.compile(r"\b(?:mrn|record|chart|patient|patientennummer|dossier|number|nummer|numero|file|id)\b[^.\n]{0,20}\Z|#\s?\Z")


class Roster:
    """A roster that is open. It satisfies `phi_guard.detect.Detector`; what hides a value (`NormalisingDetector`) is undone.

    A full name is a finding in either order, glued, spelled out, with one slip or another spelling of the same sound in one of its words.
    One word of a name alone is a finding unless it is an ordinary word (`audit.roster.words.ordinary_words`); a word that is both, as
    Grace and Long, counts behind a title, or beside the other word of the name where both have capitals, are the whole text, or somebody
    is named there. A number counts where it stands whole. A day counts with its year.

    Args:
        index: the index.
        key: its key.
        harmless: further ordinary words, such as those of a policy's closed lists.
    """

    def __init__(self, index: Index, key: bytes, harmless: Iterable[str] = ()) -> None:
        self._index = index
        self._digests = Digests(key)
        self._harmless = frozenset(word for text in harmless for word in _TOKEN.findall(fold(text)[0]))
        self._words: dict[str, int] = {}
        self._sections = {kind for kind, count in index.facts.entries.items() if count}
        built = date.fromisoformat(index.facts.built_at[:10])
        self._youngest, self._year = built - YOUNGEST, built.year
        self._plain = _AsItIs(self)
        self._undone = NormalisingDetector(self._plain)
        ordinary_words()

    @classmethod
    def open(cls, path: Path, key: bytes, harmless: Iterable[str] = ()) -> Roster:
        """Open an index.

        Args:
            path: of the index.
            key: the key it was built with.
            harmless: see `Roster`.

        Raises:
            RosterError: it cannot be read, was changed, or was built with another key.
        """
        index = Index(path)
        if index.facts.key_id != key_id(key):
            mine, its = key_id(key), index.facts.key_id
            raise RosterError(f"{path}: was built with key {its}, not with {mine}; give its key with --key, or build it again")
        return cls(index, key, harmless)

    @property
    def name(self) -> str:
        """``roster``."""
        return SOURCE

    @property
    def facts(self) -> RosterFacts:
        """What a report says of it."""
        return self._index.facts

    def find(self, text: str) -> tuple[Detection, ...]:
        """Where the text names somebody on the roster, as `Detector.find`: entities ``ROSTER_NAME``, ``ROSTER_PHONE`` and so on.

        The score is `EXACT` for a whole value, less for a word alone (`ALONE`), one slip (`NEAR`), the same sound (`SOUNDS`) and one slip
        in a lone word (`LONE_NEAR`). Ids, instants and hashes are passed over. Total: no string makes it raise.
        """
        if _STRUCTURE.fullmatch(text):
            return ()
        named = ((_entity(d), d) for d in self._undone.find(text))
        return tuple(Detection(d.start, d.end, entity, d.score, SOURCE, d.also - {entity}) for entity, d in named if entity)

    def find_plain(self, text: str) -> tuple[Detection, ...]:
        """As `find`, in the text as it stands."""
        numbered = _DIGIT.search(text) is not None
        if numbered:
            text = _STRUCTURE.sub(lambda match: " " * len(match.group()), text)
        folded, places = fold(text)
        found: list[tuple[_Span, str, float]] = []
        if "name" in self._sections:
            found += (((start, end), "NAME", score) for start, end, score in self._names(text, folded, places))
        if numbered or _NUMBER_WORD.search(folded):
            found += self._numbers(folded)
        if "email" in self._sections:
            found += ((span, "EMAIL", EXACT) for span in self._emails(folded))
        if not found:
            return ()
        return merge((_placed(span, places, entity, score) for span, entity, score in found), len(text))

    def _holds(self, kind: str, form: str) -> bool:
        return self._index.holds(kind, self._digests.digest(kind, form))

    def _has(self, form: str) -> bool:
        return self._index.holds("name", self._digests.digest("name", form))

    def _kind_of(self, word: str, written: str) -> int:
        """What is known of a word, as bits; asked of the index once, and then remembered.

        Args:
            word: folded.
            written: in lower case, as the text has it.
        """
        known = self._words.get(written)
        if known is not None:
            return known
        if not 2 <= len(word) <= 2 * NAME_MAX:
            return 0
        bits = 0
        if word in self._harmless or written in sure_words():
            bits = _ORDINARY | _SURE
        elif written in ordinary_words():
            bits = _ORDINARY
        if self._has(f"w:{word}"):
            bits |= _KNOWN
        if not bits:
            if len(word) >= GLUED_MIN and self._has(f"g:{word}"):
                bits |= _GLUED
            elif len(word) >= LONE_NEAR_MIN and any(self._has(f"y:{word[0]}{rest}") for rest in {word[1:], *shortened(word[1:])}):
                bits |= _NEAR
        if len(self._words) >= WORDS_MAX:
            self._words.clear()
        self._words[written] = bits
        return bits

    def _names(self, text: str, folded: str, places: list[int]) -> Iterator[tuple[int, int, float]]:
        words: list[_Word] = []
        seen = 0
        for start, end in _tokens(text, folded, places):
            word = folded[start:end]
            if "'" in word:
                word = word.removesuffix("'s").replace("'", "")
            written = unicodedata.normalize("NFC", text[_at(start, places) : _at(end, places)]).lower() if places else word
            bits = self._kind_of(word, word if written.isascii() else written)
            seen |= bits & ~_ORDINARY & ~_SURE
            words.append((word, start, end, bits))
        if seen:
            for at, (word, start, end, bits) in enumerate(words):
                if bits & _GLUED:
                    yield start, end, EXACT
                elif bits & _NEAR:
                    yield start, end, LONE_NEAR
                elif bits & _KNOWN:
                    if not bits & _ORDINARY:
                        if len(word) > 2 or text[_at(start, places) : _at(end, places)].istitle():
                            yield start, end, ALONE
                    elif not bits & _SURE and at and words[at - 1][0] in _TITLES and _soft(folded, words[at - 1][2], start):
                        yield start, end, ALONE
                    yield from self._pairs(text, folded, places, words, at)
        for run in spelled(folded):
            for word, start, end in run.words():
                bits = self._kind_of(word, word)
                told = len(word) > SPELLED_MIN or not bits & _ORDINARY or _SAID.search(folded, max(0, start - 24), start)
                if (bits & _KNOWN and told) or (len(word) >= GLUED_MIN and self._has(f"g:{word}")):
                    yield start, end, EXACT
                    break

    def _pairs(self, text: str, folded: str, places: list[int], words: list[_Word], at: int) -> Iterator[tuple[int, int, float]]:
        """Full names, one word of which is the known one at an index."""
        for step in (1, -1):
            last = at
            for near in range(at + step, at + step * (WINDOW + 1), step):
                if not 0 <= near < len(words):
                    break
                left, right = min(last, near), max(last, near)
                if not _soft(folded, words[left][2], words[right][1]):
                    break
                score = self._pair(text, folded, places, words, at, near)
                if score:
                    yield words[min(at, near)][1], words[max(at, near)][2], score
                    break
                between, bits = words[near][0], words[near][3]
                if bits & _ORDINARY and len(between) > 1 and between not in _BETWEEN and not bits & _KNOWN:
                    break
                last = near

    def _pair(self, text: str, folded: str, places: list[int], words: list[_Word], at: int, near: int) -> float:
        """The score of two words as a full name, 0 if they are none."""
        (a, a_start, a_end, a_bits), (b, b_start, b_end, b_bits) = words[at], words[near]
        if a == b:
            return 0
        if b_bits & _KNOWN:
            if near < at:
                return 0  # asked already, from the other side
            if a_bits & b_bits & _ORDINARY:
                first, second = (b, a) if "," in folded[a_end:b_start] else (a, b)
                named = (
                    len(words) == near - at + 1
                    or folded[b_end : b_end + 1] == "@"
                    or (a in strong_words() and b in strong_words())
                    or (_capital(text, a_start, places) and _capital(text, b_start, places))
                    or _SAID.search(folded, max(0, a_start - 24), a_start) is not None
                )
                return EXACT if named and self._has(f"o:{first}|{second}") else 0
            if self._has(pair_form(a, b)):
                return EXACT
        if b_bits & _ORDINARY or len(b) < NEAR_MIN or b_bits & _GLUED:
            return 0
        if any(self._has(f"x:{a}|{rest}") for rest in {b, *shortened(b)}):
            return NEAR
        return SOUNDS if len(heard := sound(b)) >= SOUND_MIN and self._has(f"c:{a}|{heard}") else 0

    def _numbers(self, folded: str) -> Iterator[tuple[_Span, str, float]]:
        if "dob" in self._sections:
            for day in days(folded, self._year):
                if any(self._holds("dob", born.isoformat()) for born in day.dates if day.cued or born <= self._youngest):
                    yield (day.start, day.end), "DOB", EXACT
        asked = self._sections & {"phone", "mrn", "id", "address"}
        for run in runs(folded) if asked else ():
            for first, unit in enumerate(run):
                joined = ""
                for last in run[first:]:
                    joined += last.chars
                    if len(joined) > DIGITS_MAX:
                        break
                    if (
                        "address" in asked
                        and len(joined) <= _HOUSE_MAX
                        and joined[0] in "123456789"
                        and last.start - unit.start <= _HOUSE_SAID
                    ):
                        yield from (((start, end), "ADDRESS", EXACT) for start, end in self._homes(folded, joined, unit, last))
                    if len(joined) >= MRN_MIN and (entity := self._number(folded, joined, unit)):
                        yield (unit.start, last.end), entity, EXACT

    def _number(self, folded: str, joined: str, unit: Unit) -> str:
        """What number somebody on the roster has, or nothing."""
        digits = joined.isdecimal()
        if digits and len(joined) >= PHONE_MIN and any(self._holds("phone", n) for n in national(joined, abroad=unit.abroad)):
            return "PHONE"
        if len(joined) >= ID_MIN and self._holds("id", joined):
            return "ID"
        if not digits and not any(map(str.isdecimal, joined)):
            return ""
        sure = not digits or len(joined) >= MRN_SURE or _CUE.search(folded, max(0, unit.start - 40), unit.start) is not None
        return "MRN" if sure and self._holds("mrn", joined) else ""

    def _homes(self, folded: str, house: str, first: Unit, last: Unit) -> Iterator[_Span]:
        """Where a house number has the street of somebody on the roster before or behind it."""
        words: list[str] = []
        at = last.end
        for match in _TOKEN.finditer(folded, last.end):
            if not _soft(folded, at, match.start()) or len(words) == STREET_MAX:
                break
            words.append(match.group())
            at = match.end()
            if self._holds("address", f"{house}|{street_form(words)}"):
                yield first.start, at
        before = [match.span() for match in _TOKEN.finditer(folded, max(0, first.start - 64), first.start)]
        words, at = [], first.start
        for start, end in reversed(before):
            if not _soft(folded, end, at) or len(words) == STREET_MAX:
                break
            words.insert(0, folded[start:end])
            at = start
            if self._holds("address", f"{house}|{street_form(words)}"):
                yield at, last.end

    def _emails(self, folded: str) -> Iterator[_Span]:
        if "@" in folded:
            for match in _EMAIL.finditer(folded):
                if self._holds("email", email_of(match.group().strip("."))):
                    yield match.span()
        if " at " in folded or " arobase " in folded or " klammeraffe " in folded:
            for match in _SPOKEN_EMAIL.finditer(folded):
                local, host = ("".join(_SIGNS.get(part, part) for part in told.split()) for told in (match[2], match[3]))
                if self._holds("email", f"{local}@{host}"):
                    yield match.start(2), match.end()
                elif match[1] and self._holds("email", f"{match[1].strip()}{local}@{host}"):
                    yield match.span()


class _AsItIs:
    """The roster on the text as it stands, for `NormalisingDetector` to ask of each reading."""

    name = SOURCE

    def __init__(self, roster: Roster) -> None:
        self.find = roster.find_plain


def _entity(found: Detection) -> str:
    """What a detection says of the roster, or nothing: `NormalisingDetector` adds some of its own, and joins what overlaps.

    What stands in an encoded token is one finding, ``ROSTER_ENCODED``, whatever kind of value it is.
    """
    ours = sorted(entity for entity in {found.entity, *found.also} if entity.startswith("ROSTER_"))
    if found.entity in ours:
        return found.entity
    return ours[0] if ours else "ROSTER_ENCODED" if "normalise.encoded" in found.source.split("+") else ""


def _tokens(text: str, folded: str, places: list[int]) -> Iterator[_Span]:
    """The words of a text: runs of letters, the letters before a few figures (``byron58``), and the parts of ``requestForByron``."""
    for match in _TOKEN.finditer(folded):
        start, end = match.span()
        word = match.group()
        if word.isalpha() or "'" in word:
            yield start, end
            if (
                end - start >= 8
                and not places
                and not text[start:end].islower()
                and len(parts := list(_HUMP.finditer(text, start, end))) > 1
            ):
                yield from (part.span() for part in parts if part.end() - part.start() > 2)
        elif lettered := _LETTERED.match(word):
            yield start, start + lettered.end()


def _soft(folded: str, end: int, start: int) -> bool:
    """Whether nothing stands between two words that parts them."""
    return start >= end and _SOFT.fullmatch(folded, end, start) is not None


def _at(place: int, places: list[int]) -> int:
    return places[place] if places else place


def _capital(text: str, place: int, places: list[int]) -> bool:
    return text[_at(place, places)].isupper()


def _placed(span: _Span, places: list[int], entity: str, score: float) -> Detection:
    start, end = span
    if places:
        start, end = places[start], max(places[end], places[end - 1] + 1)
    return Detection(start, end, f"ROSTER_{entity}", score, SOURCE)
