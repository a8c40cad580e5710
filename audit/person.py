"""Whether two names are written for the same person. Pure.

Four eyes are of two people: a name in other letters (``ADA``, ``Ada  Byron``, a Cyrillic ``А``) is no second one.
"""

from __future__ import annotations

import unicodedata


def fold(name: str) -> str:
    """What is left of a name when case, spaces, accents, marks, invisible characters and look-alike letters are taken away.

    Args:
        name: as somebody wrote it. One of which nothing is left, such as ``-``, stands for itself.
    """
    text = unicodedata.normalize("NFKD", name)
    if not text.isascii():
        from phi_guard.detect.confusables import LATIN  # noqa: PLC0415  # the detectors' package loads only for such a name

        text = unicodedata.normalize("NFKD", "".join(LATIN.get(char, char) for char in text))
    kept = "".join(char for char in text.casefold() if char.isalnum())
    return kept or name.strip().casefold()
