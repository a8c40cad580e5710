"""How many ways a regular expression may try before it gives up: refuses the ones whose cost explodes, before a call pays for it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from re import _constants, _parser  # type: ignore[attr-defined]  # typeshed leaves out what `re` is built of
from typing import Any, Final

from phi_guard.policy.compiled import PATTERN_VALUE_MAX

WAYS_MAX: Final = 10_000_000
"""More ways than this are refused. Measured: eight million take about 0.1 s, 201**3 (three plain repeats without end) 2 ms."""
SOURCE_MAX: Final = 200
"""Characters a pattern may have."""


class BadPattern(ValueError):  # a verdict on a pattern, turned into a fault by the caller
    """A pattern that cannot be used; the message says why and what to write instead."""


def vet(source: str) -> None:
    """Refuse a pattern that does not compile or may backtrack without bound.

    The bound is structural and errs on the safe side: it counts the ways a value of `PATTERN_VALUE_MAX` characters could be cut up among
    the pattern's repeats and choices, whether or not characters would ever let them overlap. A repeat counts each length it may have, a
    choice the sum and a sequence the product of its parts; so ``(a+)+``, ``(a|ab?)*`` and ``(a?){40}`` are refused, and so is a harmless
    pattern now and then, which bounded repeats (``{1,20}``) then make acceptable.

    Args:
        source: the pattern as the file has it.

    Raises:
        BadPattern: it is too long, does not compile, or may take more than `WAYS_MAX` ways.
    """
    if len(source) > SOURCE_MAX:
        msg = f"the pattern has more than {SOURCE_MAX} characters; write a shorter one"
        raise BadPattern(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what `re` warns of ("possible nested set") is not what the author meant
            re.compile(source)
            ways = _sequence(_parser.parse(source))
    except (re.error, RecursionError, OverflowError, Warning) as error:
        reason = error.msg if isinstance(error, re.error) else "it is too nested or doubtful to read"
        msg = f"the pattern does not compile: {reason}; try it with Python's re.fullmatch"
        raise BadPattern(msg) from None
    if ways > WAYS_MAX:
        msg = "the pattern may try for hours (repeats within repeats, or too many in a row); bound them, such as {1,20}"
        raise BadPattern(msg)


def _sequence(parts: Iterable[tuple[Any, Any]]) -> int:
    ways = 1
    for op, given in parts:
        ways = min(ways * _part(op, given), WAYS_MAX + 1)
    return ways


def _part(op: Any, given: Any) -> int:  # the parser's own untyped tuples
    match str(op):
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = given
            return _repeat(min(int(low), PATTERN_VALUE_MAX), min(int(high), PATTERN_VALUE_MAX), _sequence(inner))
        case "BRANCH":
            return sum(_sequence(choice) for choice in given[1])
        case "SUBPATTERN":
            return _sequence(given[3])
        case "ATOMIC_GROUP":
            return _sequence(given)
        case "ASSERT" | "ASSERT_NOT":
            return _sequence(given[1])
        case "GROUPREF_EXISTS":
            _, yes, no = given
            return _sequence(yes) + (_sequence(no) if no else 1)
    return 1 if op in _SINGLE else WAYS_MAX + 1  # an operation we do not know is refused


_SINGLE: Final = frozenset(
    {
        _constants.ANY, _constants.ANY_ALL, _constants.AT, _constants.CATEGORY, _constants.FAILURE, _constants.GROUPREF,
        _constants.IN, _constants.LITERAL, _constants.NOT_LITERAL, _constants.RANGE,
    }
)  # fmt: skip


def _repeat(low: int, high: int, inner: int) -> int:
    if inner == 1:
        return high - low + 1
    ways = 0
    for times in range(low, high + 1):
        ways += inner ** min(times, 64)  # 2**64 is far beyond the limit already
        if ways > WAYS_MAX:
            return WAYS_MAX + 1
    return ways
