"""A sink that keeps what it is given: for tests, and for trying a policy without sending anything."""

from __future__ import annotations

from collections.abc import Sequence

from phi_guard.model import Cleared


class MemorySink:
    """Keeps the bodies it took, in order, in ``bodies``."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def deliver(self, batch: Sequence[Cleared]) -> None:
        self.bodies += [cleared.body for cleared in batch]
