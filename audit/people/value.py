"""An identifying value of nobody, with the words that say what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

LANGUAGES: Final = ("en", "fr", "de")
"""Languages of the words around a value; its form goes with them."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value as it is written.

    Args:
        text: the value alone, such as ``4471 2290``.
        cue: what is written around it, with ``{}`` for the value, such as ``MRN {}``; a bare number is nobody's until something says so.
        language: one of `LANGUAGES`.
        person: whether a sentence can speak of it as of somebody.
    """

    text: str = field(repr=False)
    cue: str
    language: str
    person: bool = False

    @property
    def phrase(self) -> str:
        """The value with its cue."""
        return self.cue.format(self.text)
