"""The method: with what the traces were looked at, in which versions, and what it cannot see."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the scan.

    Args:
        name: of the layer, model, list or file.
        version: of the package it comes from, or empty.
        sha256: of its content, where it is a file.
        threshold: the least score that counts, or None where there is none.
    """

    name: str
    version: str = ""
    sha256: str = ""
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """How the traces were looked at.

    Args:
        pieces: detectors, models, lists, policy and gates files.
        digest: of all pieces: what was found with one digest need not hold with another.
        languages: that the detectors know.
        fields: what is looked at of each run.
        not_read: what is not.
        blind_spots: what this method is known not to see, in words.
    """

    pieces: tuple[Piece, ...] = ()
    digest: str = ""
    languages: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    not_read: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
