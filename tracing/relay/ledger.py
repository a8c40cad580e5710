"""The ledger: where every operation is.

``offered = delivered + pending + withheld + quarantined + sampled + sum(dropped)``, exactly, at any time.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tracing.relay.outbox import DELIVERED, LOST, PENDING, QUARANTINED, SAMPLED, Outbox

SILENT_S: Final = 15.0
"""A recorder that has something to send speaks at least every five seconds: after three times as long, what it still had is lost."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of span operations (a create or an update).

    Args:
        offered: recorded by agents, and made by the relay for agents that died.
        delivered: taken by the sink with their content.
        withheld: taken by the sink as a bare skeleton.
        pending: in an agent's memory, on the socket or in the outbox.
        sampled: not sent and never will be, because their calls had nothing to remark and were not drawn. No loss, and not ``dropped``.
        quarantined: in the outbox since before the switch went off; sent only if a person releases it.
        dropped: not sent and never will be, by reason. ``agent_lost`` is what a silent agent had not handed over; if it speaks again, it
            is pending again. ``outbox_lost`` is what a damaged outbox no longer gives: a row that waited in it, or, where not even its
            counts could be read, all that a living agent had handed over before, of which a part may have been delivered. ``quota`` and
            ``ttl``: more waited, or it waited longer, than `tracing.relay.outbox.Limits` allow.
    """

    offered: int = 0
    delivered: int = 0
    withheld: int = 0
    pending: int = 0
    quarantined: int = 0
    sampled: int = 0
    dropped: dict[str, int] = {}

    @property
    def adds_up(self) -> bool:
        """Whether the law above holds and no count is below zero."""
        counts = (self.delivered, self.withheld, self.pending, self.quarantined, self.sampled, *self.dropped.values())
        return min(counts) >= 0 and self.offered == sum(counts)


def read_ledger(outbox: Outbox, made_here: str, call: str | None = None) -> Ledger:
    """The ledger as the outbox tells it.

    Args:
        outbox: the relay's outbox.
        made_here: the sender under which the relay counts operations it made itself.
        call: for one call alone; then ``offered`` counts what has arrived of it.
    """
    with outbox.base.snapshot():
        return _read(outbox, made_here, call)


def _read(outbox: Outbox, made_here: str, call: str | None) -> Ledger:
    delivered = withheld = quarantined = sampled = stored = 0
    dropped: dict[str, int] = {}
    for state, reason, why, n in outbox.counts(call):
        stored += n
        if state == DELIVERED:
            delivered, withheld = (delivered, withheld + n) if why else (delivered + n, withheld)
        elif state == QUARANTINED:
            quarantined += n
        elif state == SAMPLED:
            sampled += n
        elif state != PENDING:
            dropped[reason] = dropped.get(reason, 0) + n
    offered = stored
    if call is None:
        offered = outbox.offered()
        for known in outbox.unsettled_senders():
            if known.sender != made_here:
                lost = {f"agent_{reason}": n for reason, n in known.dropped.items()}
                lost[LOST] = known.lost
                if known.silent_s > SILENT_S and known.missing > 0:
                    lost["agent_lost"] = lost.get("agent_lost", 0) + known.missing
                for reason, n in lost.items():
                    if n:
                        dropped[reason] = dropped.get(reason, 0) + n
    told = {"delivered": delivered, "withheld": withheld, "quarantined": quarantined, "sampled": sampled}
    return Ledger(offered=offered, pending=offered - sum(told.values()) - sum(dropped.values()), dropped=dropped, **told)
