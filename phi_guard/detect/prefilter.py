"""Which of many regular expressions can match in a text at all, told in microseconds.

From Python's own parse of an expression follow strings of which one must occur wherever it matches, and whether a digit must. All the
strings go into one hyperscan automaton. So it may say yes too often and never no wrongly: only `re` decides what is found.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from re import _constants as sre  # type: ignore[attr-defined] # typeshed leaves out what `re` is built of
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final

try:
    import hyperscan
except ImportError:  # there is a wheel for Linux on x86-64 only
    hyperscan = None  # type: ignore[assignment]

ASCII: Final = 128
WORD_MIN: Final = 2
"""Letters of the shortest string that is looked for; a sign such as ``@`` is looked for by itself."""
WORDS_MAX: Final = 400
"""Strings that one expression may ask for."""
FEW: Final = 6
"""Characters of a class that is still taken apart into strings."""
_FOLDED: Final = str.maketrans({"ı": "i", "İ": "i", "ſ": "s", "\u212a": "k", "\u212b": "å"})
"""The characters beyond ASCII that, case ignored, match an ASCII letter, the only ones in Python's case folding; and the Angstrom sign."""
_WITH_LIKES: Final = frozenset(map(chr, (*range(0xC0, 0xD7), *range(0xD8, 0xDF), *range(0xE0, 0xF7), *range(0xF8, 0xFF), 0x2018, 0x2019)))
"""Characters beyond ASCII that are looked for: those whose only other case is one capital or small letter, and the curly quotes."""
_DIGIT: Final = re.compile(r"\d")
_NOTHING: Final = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Expression:
    """One regular expression as `re` or `regex` takes it.

    Args:
        source: its text.
        flags: as `re.compile` takes them.
    """

    source: str
    flags: int = 0


class Prefilter:
    """Says which expressions can match in a text.

    Cost: some microseconds for a short text, linear in its length. Without hyperscan only the want of a digit rules any out.

    Args:
        expressions: in an order by which they are known afterwards; one of which nothing is known may always match.
    """

    __slots__ = ("_always", "_database", "_owners", "_threads", "_without_digit")

    def __init__(self, expressions: Sequence[Expression]) -> None:
        owners: dict[str, list[int]] = {}
        always: list[int] = []
        digit: set[int] = set()
        for index, expression in enumerate(expressions):
            words, needs_digit = requirements(expression)
            for word in words:
                owners.setdefault(word, []).append(index)
            if not words or hyperscan is None:
                always.append(index)
            if needs_digit:
                digit.add(index)
        self._always = frozenset(always)
        self._without_digit = frozenset(range(len(expressions))) - digit
        self._owners = tuple(tuple(asking) for asking in owners.values())
        self._database = _compiled(tuple(owners))
        self._threads = threading.local()

    def candidates(self, text: str) -> Collection[int]:
        """Places, in no order, of the expressions that can match in the text: all that do are among them."""
        found = set(self._always)
        if self._database is not None:
            data = text if text.isascii() else text.translate(_FOLDED)
            met: list[int] = []
            self._database.scan(data.encode("utf-8", "replace"), _note, context=met, scratch=self._scratch())
            for place in met:
                found.update(self._owners[place])
        return found if _DIGIT.search(text) else found & self._without_digit

    def _scratch(self) -> Any:
        """Hyperscan's working memory, which two threads must not share."""
        scratch = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = self._threads.scratch = hyperscan.Scratch(self._database)
        return scratch


def _note(place: int, _start: int, _end: int, _flags: int, met: list[int]) -> None:
    met.append(place)


def _compiled(words: Sequence[str]) -> Any:
    if hyperscan is None or not words:
        return None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[word.encode("utf-8") for word in words],
        ids=list(range(len(words))),
        elements=len(words),
        flags=hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS,
        literal=True,
    )
    return database


def requirements(expression: Expression) -> tuple[frozenset[str], bool]:
    """What any text must hold in which the expression matches.

    Returns:
        Strings of which one occurs, its ASCII letters in any case; empty where there are none. And whether a decimal digit occurs.
    """
    try:
        parsed = _parser.parse(expression.source, expression.flags)
    except re.error:  # the dialect of `regex` has more than Python's
        return _NOTHING, False
    if parsed.state.flags & re.VERBOSE:
        return _NOTHING, False
    exact, best = _literals(parsed)
    return _better(best, exact), _needs_digit(parsed)


def _better(one: frozenset[str], other: frozenset[str] | None) -> frozenset[str]:
    """The set whose shortest string is longer, of those worth looking for; between equals, the one of longer strings."""
    sets = [each for each in (one, other) if each and all(len(word) >= WORD_MIN or _is_sign(word) for word in each)]
    return max(sets, key=lambda each: (min(4, *map(len, each)), sum(map(len, each)) / len(each), -len(each)), default=_NOTHING)


def _is_sign(word: str) -> bool:
    return len(word) == 1 and not word.isalnum() and not word.isspace()


def _literals(parsed: Iterable[Any]) -> tuple[frozenset[str] | None, frozenset[str]]:
    """All strings a sequence can match, where they are few, and the best set of strings of which one must occur."""
    run = frozenset({""})
    best = _NOTHING
    exact = True
    for operator, argument in parsed:
        if operator in {sre.AT, sre.ASSERT, sre.ASSERT_NOT}:
            continue
        strings, inner = _node_literals(operator, argument)
        if strings is not None and len(run) * len(strings) <= WORDS_MAX:
            run = frozenset(front + back for front in run for back in strings)
            continue
        best = _better(_better(best, run), inner)
        exact = False
        run = frozenset({""}) if strings is None else strings
    return (run if exact else None), _better(best, run)


def _node_literals(operator: Any, argument: Any) -> tuple[frozenset[str] | None, frozenset[str]]:
    if operator is sre.LITERAL:
        return _likes(argument), _NOTHING
    if operator is sre.IN and len(argument) <= FEW and all(kind is sre.LITERAL and _likes(code) for kind, code in argument):
        return frozenset(like for _, code in argument for like in _likes(code) or ()), _NOTHING
    if operator is sre.SUBPATTERN:
        return _literals(argument[3])
    if operator is sre.ATOMIC_GROUP:
        return _literals(argument)
    if operator is sre.BRANCH:
        return _branch_literals(argument[1])
    if operator in _REPEATS:
        strings, best = _literals(argument[2])
        if (int(argument[0]), int(argument[1])) == (0, 1):
            return (None if strings is None else strings | {""}), _NOTHING
        return None, (_better(best, strings) if argument[0] else _NOTHING)
    return None, _NOTHING


def _likes(code: int) -> frozenset[str] | None:
    """The character in each case the automaton does not fold, or None where that is not known."""
    char = chr(code)
    if code < ASCII:
        return frozenset({char.lower()})
    return frozenset({char.lower(), char.upper()}) if char in _WITH_LIKES else None


def _branch_literals(ways: Sequence[Any]) -> tuple[frozenset[str] | None, frozenset[str]]:
    exact: frozenset[str] | None = _NOTHING
    needed: frozenset[str] | None = _NOTHING
    for way in ways:
        strings, best = _literals(way)
        exact = None if exact is None or strings is None or len(exact) > WORDS_MAX else exact | strings
        better = _better(best, strings)
        needed = None if needed is None or not better else needed | better
    return exact, needed or _NOTHING


def _needs_digit(parsed: Iterable[Any]) -> bool:
    """Whether any match of the sequence holds a decimal digit, or is preceded or followed by one it asks for."""
    return any(_node_needs_digit(operator, argument) for operator, argument in parsed)


def _node_needs_digit(operator: Any, argument: Any) -> bool:
    if operator is sre.LITERAL:
        return chr(argument).isdecimal()
    if operator is sre.IN:
        return all(_is_digits(kind, value) for kind, value in argument)
    if operator is sre.SUBPATTERN:
        return _needs_digit(argument[3])
    if operator is sre.ATOMIC_GROUP:
        return _needs_digit(argument)
    if operator is sre.ASSERT:
        return _needs_digit(argument[1])
    if operator is sre.BRANCH:
        return all(_needs_digit(way) for way in argument[1])
    return bool(operator in _REPEATS and argument[0] > 0 and _needs_digit(argument[2]))


def _is_digits(kind: Any, value: Any) -> bool:
    if kind is sre.CATEGORY:
        return bool(value is sre.CATEGORY_DIGIT)
    if kind is sre.RANGE:
        return bool(ord("0") <= value[0] and value[1] <= ord("9"))
    return bool(kind is sre.LITERAL and chr(value).isdecimal())


_REPEATS: Final = frozenset({sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT})
