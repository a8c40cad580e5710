"""The word lists and templates beside this file, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final
from unicodedata import combining, normalize
from zlib import crc32

FOLDER: Final = Path(__file__).parent
HELD_OUT_SHARE: Final = 10
"""One in so many names and templates is kept out of training, so that recall can be measured on what the model never saw."""


@cache
def words(file: str) -> dict[str, tuple[str, ...]]:
    """Lists of a file by their heading; a heading stands in square brackets, entries are parted by commas or line ends.

    Args:
        file: its name in this folder, as ``terms.txt``.

    Raises:
        ValueError: an entry stands before the first heading.
    """
    return {
        heading: tuple(dict.fromkeys(e.strip() for line in lines for e in line.split(",") if e.strip()))
        for heading, lines in lines_of(file)
    }


@cache
def lines_of(file: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Headings of a file with the lines under each, in order; empty lines and lines that begin with ``;`` are left out.

    Raises:
        ValueError: a line stands before the first heading.
    """
    found: dict[str, list[str]] = {}
    heading = ""
    for number, line in enumerate((FOLDER / file).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith(";"):
            continue
        if line.startswith("[") and line.endswith("]") and not line.startswith("[["):
            heading = line[1:-1]
            found.setdefault(heading, [])
        elif heading:
            found[heading].append(line)
        else:
            msg = f"{file}, line {number}: stands before the first [heading]; put it under one"
            raise ValueError(msg)
    return tuple((key, tuple(value)) for key, value in found.items())


def is_held_out(entry: str) -> bool:
    """Whether a name or template is kept out of training: by a hash of it alone, so that adding others changes nothing.

    Neither case nor accents count.
    """
    plain = "".join(char for char in normalize("NFKD", entry.lower()) if not combining(char))
    return crc32(plain.encode()) % HELD_OUT_SHARE == 0
