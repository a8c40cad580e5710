"""The baseline: findings that somebody has looked at and accepted, with a reason, an owner and a day on which that ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted finding. It holds no value.

    Args:
        fingerprint: of the value, under the audit's own key.
        path: where it stands, indexes left out.
        entity: what it was called.
        reason: why it is no leak.
        owner: who answers for it.
        accepted: the day it was accepted, ISO 8601.
        expires: the last day it holds, ISO 8601.
        matched: findings of this report that it covers.
    """

    fingerprint: str
    path: str
    entity: str
    reason: str
    owner: str
    accepted: str
    expires: str
    matched: int = 0
