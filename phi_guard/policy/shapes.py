"""Reads what the policy file says a kept value looks like."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from phi_guard.policy.backtracking import BadPattern, vet
from phi_guard.policy.compiled import Flag, Moment, Number, OneOf, Pattern, Shape
from phi_guard.policy.lines import near, quote

SHAPES: Final = "datetime, date, flag, {number: [low, high]}, {in: a list} or a regular expression"
_WORDS: Final[Mapping[str, Shape]] = {"datetime": Moment(time_too=True), "date": Moment(time_too=False), "flag": Flag()}
_META: Final = re.compile(r"[\\^$.|?*+()\[\]{}]")
_STRANGER: Final = "Ada Byron, born 10 December 1815, ada@example.org, +44 20 7946 0958"
"""A pattern that fits this fits anything: it would keep blindly. Synthetic."""


class BadShape(ValueError):  # turned into a fault by the caller
    """A shape that cannot be used; the message says what to write instead."""


def read_shape(given: object, lists: Mapping[str, Sequence[str]]) -> Shape:
    """The shape a file's value stands for.

    Args:
        given: what stands under ``shape``.
        lists: the file's own lists, by name.

    Raises:
        BadShape: it is none of `SHAPES`.
    """
    match given:
        case str() if given in _WORDS:
            return _WORDS[given]
        case str():
            return _pattern(given)
        case {"number": [int() | float() as low, int() | float() as high], **rest} if not rest and not _flags(low, high):
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                msg = f"{quote([low, high])} is no range; write the lower number first"
                raise BadShape(msg)
            return Number(float(low), float(high))
        case {"in": str() as name, **rest} if not rest:
            if name not in lists:
                msg = f"there is no list '{name}'{near(name, lists)}; write it under lists, or {{in: [...]}}"
                raise BadShape(msg)
            return OneOf(frozenset(lists[name]))
        case {"in": [*values], **rest} if not rest and values and all(isinstance(v, str) and v for v in values):
            return OneOf(frozenset(str(v) for v in values))
    msg = f"{quote(given)} is no shape; write {SHAPES}"
    raise BadShape(msg)


def _pattern(source: str) -> Pattern:
    """A pattern; the whole value must match it, whether or not the author wrote ``^`` and ``$``."""
    if not _META.search(source):  # a plain word is a misspelt shape, or one value of a list
        msg = f"{quote(source)} is no shape{near(source, _WORDS)}; write {SHAPES}"
        raise BadShape(msg)
    try:
        vet(source)
    except BadPattern as error:
        raise BadShape(str(error)) from None
    pattern = Pattern(source)
    if pattern.fits(_STRANGER):
        msg = "the pattern fits any text, so it keeps blindly; say what the value looks like, or use action: scan"
        raise BadShape(msg)
    return pattern


def _flags(*values: object) -> bool:
    return any(isinstance(value, bool) for value in values)
