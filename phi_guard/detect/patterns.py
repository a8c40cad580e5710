"""Our own patterns over one text: identifiers that have a form. Needs no model and no library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from phi_guard.detect.detector import merge
from phi_guard.detect.rule import PatternRule
from phi_guard.detect.rules import contacts, dates, identifiers, names, places, speech

if TYPE_CHECKING:
    from phi_guard.model import Detection

__all__ = ["RULES", "PatternDetector", "PatternRule"]

RULES: Final[tuple[PatternRule, ...]] = (
    *contacts.RULES, *dates.RULES, *identifiers.RULES, *names.RULES, *places.RULES, *speech.RULES,
)  # fmt: skip
"""Every rule, each proven by its own examples."""

_DIGIT: Final = re.compile(r"\d")


class PatternDetector:
    """All rules over a text, in time linear in its length."""

    __slots__ = ("_rules", "name")

    def __init__(self, rules: tuple[PatternRule, ...] = RULES) -> None:
        self.name = "patterns"
        self._rules = rules

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the rules find, merged. Total: no string makes it raise."""
        has_digit = _DIGIT.search(text) is not None
        found = [detection for rule in self._rules if has_digit or not rule.digits for detection in rule.find(text)]
        return merge(found, len(text))
