"""Particles of names, as in Anna von der Heide: alone they are ordinary words of their language, and no part of a name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

PARTICLES: Final = frozenset(
    """
    am auf dem den der des im und vom von zu zum zur
    de het op te ten ter van
    des du la le les
    del las los
    da das dos
    dai dal dall dalla dalle degli dei dell della delle dello di
    """.split()  # noqa: SIM905  # reads as the lists it is
)
"""Of German, Dutch, French, Spanish, Portuguese and Italian names. ``do``, ``li`` and ``lo`` are family names of many, and not here."""
_BEFORE: Final = 40
"""Characters in front of a name in which its particles are looked for: ``von und zu der``."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_RUN: Final = re.compile(rf"(?<![^\W\d_])(?:(?:{'|'.join(sorted(PARTICLES))})[\W_]{{1,3}})+$")


def particles_in(pieces: Iterable[str]) -> set[str]:
    """Those of a value's words that are particles in it: in small letters, beside a name in capitals.

    So the Le of Minh Le and of Le Minh, and the Les of Les Brown, are names, as is whatever stands in a field by itself or without
    capitals; the von of Goethe, Johann von is none. A word that is a name in one place of the value and a particle in another is a name.

    Args:
        pieces: the words as they are written, in order, without hyphens and apostrophes.
    """
    pieces = list(pieces)
    if not any(piece[:1].isupper() and piece.lower() not in PARTICLES for piece in pieces):
        return set()
    names = {piece.lower() for piece in pieces if not piece.islower()}
    return {piece for piece in pieces if piece in PARTICLES} - names


def begin(folded: str, start: int, particles: Collection[str]) -> int:
    """Where a name begins, with those particles that stand right in front of it.

    Args:
        folded: a text.
        start: where a name was found in it.
        particles: of the names that are known.
    """
    run = _RUN.search(folded, max(0, start - _BEFORE), start) if particles else None
    if run is None:
        return start
    for particle in reversed(list(_WORD.finditer(folded, *run.span()))):
        if particle.group() not in particles:
            break
        start = particle.start()
    return start
