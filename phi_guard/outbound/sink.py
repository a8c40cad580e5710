"""What every sink is, and who must know of each posting before it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from phi_guard.model import Cleared


@dataclass(frozen=True, slots=True)
class Posting:
    """What is said of one request that leaves: where it goes and how much it holds, never what.

    Args:
        destination: host and port.
        projects: names of the projects it goes to, sorted.
        policies: digests of the policies that cleared it, sorted.
        operations: span operations in it.
        calls: calls they belong to.
        bytes: length of the body.
        body_sha256: SHA-256 of the exact body, hexadecimal.
    """

    destination: str
    projects: tuple[str, ...]
    policies: tuple[str, ...]
    operations: int
    calls: int
    bytes: int
    body_sha256: str


class Witness(Protocol):
    """Told of every posting: before its first byte leaves, and once more when it is known what became of it."""

    def intend(self, posting: Posting) -> None:
        """Write down that this is about to leave.

        Raises:
            DisclosureUnwritable: it cannot be written down, so it must not leave.
        """

    def settle(self, outcome: str) -> None:
        """Write down what became of it. Never raises: it has left, and an intent without an outcome says that it may have arrived.

        Args:
            outcome: a closed code, such as ``http_202`` or ``connection``.
        """


class Sink(Protocol):
    """Somewhere cleared bytes go. Synchronous: when `deliver` returns, the other side has taken the whole batch."""

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        """Deliver a batch in one request, all or nothing.

        Args:
            batch: what is to be delivered, in the order it was recorded.
            witness: told before and after.

        Raises:
            DeliveryRefused: these bytes will never be taken.
            DeliveryHalted: we are refused, whatever we send.
            LeakSeen: the last look met an identifier in them.
            DeliveryError: not now.
        """
