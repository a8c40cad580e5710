"""What every sink is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from phi_guard.model import Cleared


class Sink(Protocol):
    """Somewhere cleared bytes go. Synchronous: when `deliver` returns, the other side has taken the whole batch."""

    def deliver(self, batch: Sequence[Cleared]) -> None:
        """Deliver a batch, all or nothing.

        Raises:
            DeliveryRefused: these bytes will never be taken.
            DeliveryHalted: we are refused, whatever we send.
            DeliveryError: not now.
        """
