"""What the field rules redact in a call becomes, for the rest of that call, a deny-list for its free text. In memory only.

A detector may not know a name; the payload that says ``patient_name`` beside the free text does.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from phi_guard.model import Detection

TERMS_MAX: Final = 500
"""Values remembered for one call; later ones are not learnt, so memory and the cost of a search stay bounded."""
VALUE_MAX: Final = 200
"""Characters of a value worth learning; longer ones are free text themselves."""
DIGITS_MIN: Final = 5
"""Fewer digits are a year, a time or a dose."""
_WORD: Final = re.compile(r"[^\W\d_][\w'’-]{2,}")
_DIGITS: Final = re.compile(r"\d(?:[\s().+/-]{0,3}\d){4,}")


class KnownValues:
    """The identifying values of one call, and where they stand in a text: whole, by name part, or as the same digits spaced otherwise.

    Cost: `add` is O(length); `find` is one pass of one compiled pattern over the text, rebuilt only after an `add`.
    """

    __slots__ = ("_digits", "_pattern", "_terms")

    def __init__(self) -> None:
        self._terms: set[str] = set()
        self._digits: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str, *, named: bool) -> None:
        """Learn a redacted value.

        Args:
            value: the raw value.
            named: True when the policy names its field; of an unknown field's value only capitalised words and digits are learnt,
                since it may be an ordinary word.
        """
        value = unicodedata.normalize("NFC", value.strip())
        if not 2 <= len(value) <= VALUE_MAX or len(self._terms) >= TERMS_MAX or "<REDACTED" in value:
            return
        words = _WORD.findall(value)
        terms = {w for w in words if named or w[:1].isupper()}
        if named and len(value) > 3:  # shorter wholes are initials and would hit ordinary words
            terms.add(value)
        self._terms |= {t.lower() for t in terms}
        digits = "".join(c for c in value if c.isdecimal())
        if len(digits) >= DIGITS_MIN:
            self._digits.add(digits)
        self._pattern = None

    def is_one(self, value: str) -> bool:
        """Whether a whole value is one that was learnt, in any case, or has the same digits."""
        folded = value.strip().lower()
        digits = "".join(c for c in value if c.isdecimal())
        return folded in self._terms or digits in self._digits

    def find(self, text: str) -> list[Detection]:
        """Where learnt values stand in the text, in any case; digits whatever stands between them."""
        found: list[Detection] = []
        if self._terms:
            if self._pattern is None:
                longest_first = sorted(self._terms, key=lambda t: (-len(t), t))
                self._pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)", re.IGNORECASE)
            found += [Detection(m.start(), m.end(), "KNOWN_VALUE", 1.0, "known_values") for m in self._pattern.finditer(text)]
        if self._digits:
            for m in _DIGITS.finditer(text):
                digits = "".join(c for c in m.group() if c.isdecimal())
                national = digits.lstrip("0")  # 079 … is +41 79 … to those who dial it
                if any(k in digits or (len(national) >= DIGITS_MIN and national in k) for k in self._digits):
                    found.append(Detection(m.start(), m.end(), "KNOWN_VALUE", 1.0, "known_values"))
        return found
