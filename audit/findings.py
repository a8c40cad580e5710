"""A finding: where something stands that nobody can explain. It can be told apart from others and sought again, and holds no value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

UNEXPLAINED: Final = "UNEXPLAINED"
"""The entity of a value that no detector names and that no rule explains."""

Place: TypeAlias = Literal["key", "name", "tag", "error", "event", "number", "text", "attachment", "metadata", "row", "seam"]
Severity: TypeAlias = Literal["high", "medium", "low"]

SUSPICION: Final = "low"
"""The severity of what only the detectors' lowest thresholds give: it is told and looked at first by people, and fails no gate alone."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One value that must not be where it is.

    Args:
        run_id: the run that holds it; ``?`` if the id itself is no uuid.
        trace_id: likewise, the trace.
        span: the span's name if it is on the closed list, else ``?``.
        path: where in the run; an unknown key stands as ``?`` and its position, what was unwrapped as ``~`` and the wrapping
            (``outputs.result~base64``), and a seam as both its ends with ``+`` between them.
        place: what kind of place that is.
        entity: what a detector calls it, or `UNEXPLAINED`.
        start: offset of the stretch in the value, characters.
        length: of the stretch, characters.
        fingerprint: keyed BLAKE2b of the value in small letters and without space around it: equal values, equal fingerprints, under one
            key.
        source: the detector, or the rule of the closed list, that gave it.
        severity: ``high`` where a detector names an entity, ``medium`` where the value only does not belong, ``low`` for a suspicion.
    """

    run_id: str
    trace_id: str
    span: str
    path: str
    place: Place
    entity: str
    start: int
    length: int
    fingerprint: str
    source: str
    severity: Severity


def fingerprint(key: bytes, value: str) -> str:
    """The value's fingerprint under the audit's own key (`audit.keys`), the same however the value is capitalised or padded.

    45 CFR 164.514(c): a code must not be derived from the data. A keyed one tells nothing to who has not the key.
    """
    return hashlib.blake2b(value.strip().casefold().encode("utf-8", "surrogatepass"), key=key, digest_size=8).hexdigest()
