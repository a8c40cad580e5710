"""What may be told of a roster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit import exits
from phi_guard.errors import PhiGuardError


class RosterError(PhiGuardError):
    """A roster cannot be built, opened or trusted; the message names the file, the reason, and what to do. It holds no value of a row."""

    exit_code = exits.USAGE


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
