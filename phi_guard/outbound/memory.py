"""A sink that keeps what it is given: for tests, and for trying a policy without sending anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from phi_guard.errors import DeliveryError, DisclosureUnwritable
from phi_guard.model import Cleared
from phi_guard.outbound.sink import Posting, Witness


class MemorySink:
    """Keeps the bodies it took, in order, in ``bodies``."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        body = b"\n".join(cleared.body for cleared in batch)
        policies = tuple(sorted({cleared.policy for cleared in batch}))
        try:
            witness.intend(Posting("memory", (), policies, len(batch), 0, len(body), hashlib.sha256(body).hexdigest()))
        except DisclosureUnwritable:
            code = "disclosure"
            raise DeliveryError(code) from None
        self.bodies += [cleared.body for cleared in batch]
        witness.settle("kept")
