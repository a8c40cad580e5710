"""The roster: the clinic's own patients as a detector. An index of keyed digests, in which nobody can read a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RosterFacts:
    """What a report says of a roster; nothing of whom it holds.

    Args:
        sha256: of the index file.
        built_at: ISO 8601.
        people: rows taken in.
        entries: by kind (``name``, ``phone``, ``dob``, ``mrn``, ``email`` …), how many digests.
        key_id: id of its key.
    """

    sha256: str
    built_at: str
    people: int
    entries: Mapping[str, int]
    key_id: str
