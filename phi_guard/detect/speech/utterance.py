"""A text cut into words once, with the class of each, for all rules to read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from phi_guard.detect.speech.lexicon import CLASSES, GERMAN_STREETS, LETTER, NUMBER, NUMERAL, STREET
from phi_guard.model import Detection

SOFT: Final = 0
"""Between two words stand blanks, a hyphen or a comma."""
DOT: Final = 1
"""A full stop stands between."""
HARD: Final = 2
"""Something that ends a thought: a new line, a colon, a question mark."""

_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[@#*+/_]")
_GAPS: Final = {" ": SOFT, "": SOFT, ", ": SOFT, "-": SOFT, ". ": DOT, ".": DOT, "  ": SOFT}
_GERMAN_NUMBER: Final = re.compile(
    r"(?:ein|eins|zwei|zwo|drei|vier|fünf|sechs|sech|sieben|sieb|acht|neun|zehn|elf|zwölf|zwan|und|[zß]ig|ssig|hundert|tausend){2,14}"
)
_LONGEST_GAP: Final = 6


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text as words: five lists of one length, a word an index.

    Args:
        words: each in lower case, with a straight apostrophe.
        starts: offset of each into the text.
        ends: offset past each.
        kinds: classes of each, bits of `lexicon`.
        gaps: what stands before each: ``SOFT``, ``DOT`` or ``HARD``.
        seen: every class that occurs.
        text: the text as given.
    """

    words: list[str]
    starts: list[int]
    ends: list[int]
    kinds: list[int]
    gaps: list[int]
    seen: int
    text: str

    def is_capital(self, index: int) -> bool:
        """Whether a word begins with a capital."""
        return self.text[self.starts[index]].isupper()


Stretch: TypeAlias = tuple[int, int]
"""Words ``i`` to ``j - 1``."""


def listen(text: str) -> Utterance:
    """The text as words, in one pass. Total: no string makes it raise."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    kinds: list[int] = []
    gaps: list[int] = []
    seen = last = 0
    look_up = CLASSES.get
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        word = match.group().lower()
        if "’" in word:
            word = word.replace("’", "'")
        kind = look_up(word)
        if kind is None:
            kind = _unlisted(word)
        elif end - start == 1 and word.isalpha():
            kind |= LETTER
        gap = text[last:start]
        code = _GAPS.get(gap)
        words.append(word)
        starts.append(start)
        ends.append(end)
        kinds.append(kind)
        gaps.append(_gap(gap) if code is None else code)
        seen |= kind
        last = end
    return Utterance(words, starts, ends, kinds, gaps, seen, text)


def _unlisted(word: str) -> int:
    if len(word) == 1:
        return NUMERAL if word.isdecimal() else LETTER if word.isalpha() else 0
    if word[0].isdecimal():
        return NUMERAL
    if len(word) > 6:
        if _GERMAN_NUMBER.fullmatch(word):
            return NUMBER
        if word.endswith(GERMAN_STREETS):
            return STREET
    return 0


def _gap(gap: str) -> int:
    if len(gap) > _LONGEST_GAP or any(char in '\n?!;:()[]{}<>|"' for char in gap):
        return HARD
    return DOT if "." in gap or "…" in gap else SOFT


@dataclass(frozen=True, slots=True)
class SpokenRule:
    """One rule over an utterance, and what proves it.

    Args:
        name: lower-case name; a detection's source is ``spoken.<name>``.
        entity: the class found, in capitals.
        needs: classes of which at least one must occur, or the rule is not asked; 0 where it is always asked.
        scan: gives the stretches of words found, in time linear in their number.
        hits: texts in which it must find something.
        misses: harmless texts in which it must find nothing.
        score: 0.0 to 1.0; where rules overlap, the highest names the entity.
    """

    name: str
    entity: str
    needs: int
    scan: Callable[[Utterance], Iterator[Stretch]]
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    score: float = 0.6

    def search(self, heard: Utterance) -> Iterator[Detection]:
        """What this rule alone finds."""
        if not self.needs or heard.seen & self.needs:
            for first, past in self.scan(heard):
                yield Detection(heard.starts[first], heard.ends[past - 1], self.entity, self.score, f"spoken.{self.name}")

    def find(self, text: str) -> list[Detection]:
        """What this rule alone finds in a text."""
        return list(self.search(listen(text)))
