"""One word and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["term", "exit code", "lint rule", "gate"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is told about one word.

    Args:
        name: the word, as it is written in reports and commands.
        kind: what sort of word it is.
        text: one paragraph.
        page: the page of the documentation that has more, with its anchor, from ``docs/``.
        also: other spellings under which it is asked for.
    """

    name: str
    kind: Kind
    text: str
    page: str
    also: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """The heading of this word on its page, as the page's address has it."""
        return self.page.partition("#")[2]
