"""Which kept values the last look would take for an identifier: each would stop every agent's telemetry, so it is said beforehand."""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Iterator, Mapping
from re import _parser  # type: ignore[attr-defined]  # typeshed leaves out what `re` is built of
from typing import Any, Final

from phi_guard.last_look import LastLook
from phi_guard.policy.compiled import Number, Pattern, Policy, Shape

DRAWN: Final = 300
"""Values drawn of one shape: what one value in a hundred has is met with 95 %."""
_REPEAT_MAX: Final = 8
_ALPHABET: Final = string.ascii_letters + string.digits + " .-_@+/:"


def in_examples(policy: Policy) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """``(line, tool, rules)`` of each example that sends what the last look would stop.

    Args:
        policy: what it writes down as no one's is known to the look, as in the relay.
    """
    look = LastLook(policy.listed)
    for example in policy.examples:
        if rules := look.rules_in(dict(example.sends)):
            yield example.line, example.tool, tuple(sorted(rules))


def in_shape(name: str, shape: Shape, safe: Iterable[str] = ()) -> tuple[int, tuple[str, ...]]:
    """``(how many, rules)``: of `DRAWN` values that fit a kept shape, how many the last look would stop under that name.

    Args:
        name: the field's, which stands beside the value.
        shape: patterns and numbers are drawn from; any other gives 0.
        safe: what the policy writes down as no one's.
    """
    look, draw = LastLook(safe), random.Random(name)  # noqa: S311  # the same values each time, and no secret
    met: list[frozenset[str]] = [rules for value in _values(shape, draw) if (rules := look.rules_in({name: value}))]
    return len(met), tuple(sorted(frozenset().union(*met)))


def _values(shape: Shape, draw: random.Random) -> Iterator[str | int]:
    if isinstance(shape, Number):
        yield from (draw.randint(int(shape.low), max(int(shape.low), int(shape.high))) for _ in range(DRAWN))
    elif isinstance(shape, Pattern):
        parsed = _parser.parse(shape.source)
        drawn = (_draw(parsed, draw, {}) for _ in range(4 * DRAWN))
        # A look-ahead or a word's edge is not drawn by: what does not fit after all is passed over.
        yield from [value for value in drawn if shape.fits(value)][:DRAWN]


def _draw(parts: Iterable[tuple[Any, Any]], draw: random.Random, groups: dict[int, str]) -> str:
    return "".join(_part(str(op), given, draw, groups) for op, given in parts)


def _part(op: str, given: Any, draw: random.Random, groups: dict[int, str]) -> str:  # the parser's own untyped tuples
    match op:
        case "LITERAL":
            return chr(given)
        case "NOT_LITERAL" | "ANY" | "ANY_ALL":
            return draw.choice(_ALPHABET)
        case "IN":
            return draw.choice(_members(given) or _ALPHABET)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            low, high, inner = given
            most = min(int(high), max(int(low), _REPEAT_MAX if int(high) > 64 else int(high)))  # without end
            return "".join(_draw(inner, draw, groups) for _ in range(draw.randint(int(low), most)))
        case "BRANCH":
            return _draw(draw.choice(given[1]), draw, groups)
        case "SUBPATTERN":
            text = _draw(given[3], draw, groups)
            if given[0] is not None:
                groups[given[0]] = text
            return text
        case "ATOMIC_GROUP":
            return _draw(given, draw, groups)
        case "GROUPREF":
            return groups.get(given, "")
    return ""


_CLASSES: Final[Mapping[str, str]] = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
    "CATEGORY_SPACE": " ",
}


def _members(given: Iterable[tuple[Any, Any]]) -> str:
    """The plain characters of a set; those that it excludes are found out by the shape itself."""
    members, excluded = set[str](), False
    for op, value in given:
        match str(op):
            case "NEGATE":
                excluded = True
            case "LITERAL":
                members.add(chr(value))
            case "RANGE":
                members |= set(map(chr, range(value[0], min(value[1], value[0] + 127) + 1)))
            case "CATEGORY":
                members |= set(_CLASSES.get(str(value), _ALPHABET))
    return "".join(sorted(set(_ALPHABET) - members if excluded else members))
