"""What is said on the relay's socket beside batches: the question how it is, the answer, and an agent's complaint."""

from __future__ import annotations

import msgspec

from tracing.own_cost import Overrun
from tracing.relay.ledger import Ledger

__all__ = ["Answer", "Ask", "Overrun"]


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask", forbid_unknown_fields=True):
    """Asks the relay for its `Answer`. Takes no field, or any map at all, such as another version's batch, would be a question."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How the relay is.

    Args:
        ledger: all its counts.
        state: what the shipper does: ``idle``, ``sending``, ``off``, ``off_last_look_<rule>``, ``waiting_<code>`` or
            ``halted_<code>``.
        fault: why the gate withholds everything; empty when it does not.
        policy: digest of its policy.
        refused: messages on the socket that were not ours.
    """

    ledger: Ledger
    state: str
    fault: str
    policy: str
    refused: int
