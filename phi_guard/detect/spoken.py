"""What a caller dictates and a recogniser writes down: digits, dates, letters, addresses and names said aloud."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.detector import merge
from phi_guard.detect.speech import dates, digits, dwellings, handles, letters, mail, names, reported, sounded, streets, towns
from phi_guard.detect.speech.utterance import SpokenRule, listen
from phi_guard.model import Detection

RULES: Final[tuple[SpokenRule, ...]] = (
    *digits.RULES, *dates.RULES, *letters.RULES, *sounded.RULES, *mail.RULES, *handles.RULES, *streets.RULES, *dwellings.RULES,
    *names.RULES, *reported.RULES, *towns.RULES,
)  # fmt: skip
"""Every spoken rule; each carries its own examples."""

HITS: Final[tuple[str, ...]] = tuple(text for rule in RULES for text in rule.hits)
"""Texts in which the layer must find something."""

MISSES: Final[tuple[str, ...]] = (
    "take two tablets three times a day", "blood pressure one forty over ninety", "i have had a cough for five or six days",
    "my temperature was ninety nine point four last night", "we close at five thirty p m", "i drink two to three beers on weekends",
    "she is forty two and has two kids", "an m r i and an e k g", "it may help to march in place", "i weigh one hundred and eighty pounds",
    "thank you so much doctor", "this is getting worse", "hello how can i help you", "it's a two hour drive", "look at the red dot",
)  # fmt: skip
"""Harmless talk in which the whole layer finds nothing."""


class SpokenDetector:
    """Runs the spoken rules over a text cut into words once, in time linear in its length."""

    __slots__ = ("_rules", "name")

    def __init__(self, rules: tuple[SpokenRule, ...] = RULES) -> None:
        self.name = "spoken"
        self._rules = rules

    def find(self, text: str) -> tuple[Detection, ...]:
        """What the rules find, merged. Total: no string makes it raise."""
        heard = listen(text)
        if not heard.words:
            return ()
        return merge([detection for rule in self._rules for detection in rule.search(heard)], len(text))
