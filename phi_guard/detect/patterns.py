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

    __slots__ = ("_needs", "_prefilter", "_rules", "name")

    def __init__(self, rules: tuple[PatternRule, ...] = RULES) -> None:
        self.name = "patterns"
        self._rules = rules
        self._prefilter = _prefilter(rules)
        self._needs = {rule.needs: re.compile(rule.needs) for rule in rules}

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the rules find, merged. Total: no string makes it raise."""
        places = self._prefilter.candidates(text)
        has_digit = _DIGIT.search(text) is not None
        needs: dict[str, bool] = {"": True}
        found: list[Detection] = []
        for place in places:
            rule = self._rules[place]
            if rule.digits and not has_digit:
                continue
            if rule.needs not in needs:
                needs[rule.needs] = self._needs[rule.needs].search(text) is not None
            if needs[rule.needs]:
                found += rule.find(text)
        return merge(found, len(text))


@cache
def _prefilter(rules: tuple[PatternRule, ...]) -> Prefilter:
    return Prefilter([rule.expression for rule in rules])
