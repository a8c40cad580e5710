"""Markdown: how a page begins, tables, words in the font of code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

MADE: Final = "<!-- Made by docs/generate.py from the code; edit that, and run it again. -->"

BOUNDS: Final = {"at_most": "at most", "below": "below", "at_least": "at least"}


def begin(title: str, *said: str) -> list[str]:
    """A page's title, where it comes from, and its first words."""
    return [f"# {title}", "", MADE, "", *said, ""]


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table's lines, and an empty one."""
    head = list(heading)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return [*(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines), ""]


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    said = text[:1].upper() + text[1:]
    return said if not said or said.endswith(".") else f"{said}."


def code(text: object) -> str:
    """In the font of code."""
    return f"`{text}`"
