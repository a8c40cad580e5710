"""Our own patterns over one text: identifiers that have a form. Needs no model and no library."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import merge
from phi_guard.detect.prefilter import Prefilter
from phi_guard.detect.rule import PatternRule
from phi_guard.detect.rules import contacts, dates, finance, identifiers, names, national, phones, places, things

if TYPE_CHECKING:
    from phi_guard.model import Detection

__all__ = ["RULES", "PatternDetector", "PatternRule"]

RULES: Final[tuple[PatternRule, ...]] = (
    *contacts.RULES, *phones.RULES, *dates.RULES, *identifiers.RULES, *national.RULES, *finance.RULES, *things.RULES, *names.RULES,
    *places.RULES,
)  # fmt: skip
"""Every rule, each proven by its own examples."""

_DIGIT: Final = re.compile(r"\d")


class PatternDetector:
    """All rules over a text, in time linear in its length; only the rules that a prefilter does not rule out are run.

    Args:
        rules: the rules; those of one tuple share one prefilter in the process.
    """

    __slots__ = ("_prefilter", "_rules", "name")

    def __init__(self, rules: tuple[PatternRule, ...] = RULES) -> None:
        self.name = "patterns"
        self._rules = rules
        self._prefilter = _prefilter(rules)

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the rules find, merged. Total: no string makes it raise."""
        places = self._prefilter.candidates(text)
        if not places:
            return ()
        has_digit = _DIGIT.search(text) is not None
        rules = (self._rules[place] for place in places)
        return merge((found for rule in rules if has_digit or not rule.digits for found in rule.find(text)), len(text))


@cache
def _prefilter(rules: tuple[PatternRule, ...]) -> Prefilter:
    return Prefilter([rule.expression for rule in rules])
