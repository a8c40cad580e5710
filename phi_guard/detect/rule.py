"""One pattern rule: an expression, and the examples that prove it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from phi_guard.detect.prefilter import Expression
from phi_guard.model import Detection


@dataclass(frozen=True, slots=True)
class PatternRule:
    """One rule: a regular expression that runs in linear time, and what proves it.

    Args:
        name: lower-case name; a detection's source is ``patterns.<name>``.
        entity: the class found, in capitals.
        regex: source of the expression; every repetition in it is bounded, or cannot overlap what follows it.
        hits: texts in which it must find something.
        misses: harmless texts in which it must find nothing.
        check: says of the matched text whether it counts (a check digit), or None where the form is enough.
        parts: the stretches of the matched text that count, as offsets into it, or None where all of it does; asked before the check.
        group: which group of the expression is the value; 0 for the whole match.
        score: 0.0 to 1.0; where rules overlap, the highest names the entity.
        digits: True where no match can lack a digit, so that a text without one is not searched.
        needs: source of an expression that is quick to search for, case observed, and without which in the text there is no match.
    """

    name: str
    entity: str
    regex: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    check: Callable[[str], bool] | None = None
    parts: Callable[[str], Iterable[tuple[int, int]]] | None = None
    group: int = 0
    score: float = 0.9
    digits: bool = False
    needs: str = ""
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.regex, re.IGNORECASE))

    @property
    def expression(self) -> Expression:
        """What a prefilter is built from."""
        return Expression(self.regex, re.IGNORECASE)

    def find(self, text: str) -> list[Detection]:
        """What this rule alone finds, in order."""
        found = []
        for match in self._compiled.finditer(text):
            start, end = match.span(self.group)
            if start >= end:
                continue
            for low, high in ((0, end - start),) if self.parts is None else self.parts(text[start:end]):
                if self.check is None or self.check(text[start + low : start + high]):
                    found.append(Detection(start + low, start + high, self.entity, self.score, f"patterns.{self.name}"))
        return found
