"""What a person should know before believing the rest of a rehearsal's evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.evidence import Canaries, Completeness
from audit.rehearsal.measured import Arrival
from audit.rehearsal.play import PlayedCall
from tracing.recorder import Tally
from tracing.relay.intake import Answer


def of_calls(calls: Sequence[PlayedCall]) -> Iterator[str]:
    """What went wrong in the calls."""
    for call in calls:
        if call.crashed:
            yield f"a call ended with {call.crashed}"
    if untraced := sum(not call.trace_id and not call.cut for call in calls):
        yield f"{untraced} of {len(calls)} calls have no trace: the tracer did not attach; see phi-audit doctor"
    if unpaired := sum(call.ttft_unpaired for call in calls):
        yield f"{unpaired} TTFT-A could not be paired with the stand-in's clock, so that their error is not known"


def of_delivery(answer: Answer | None, tally: Tally) -> Iterator[str]:
    """What was not delivered, by the relay's own account."""
    if answer is None:
        yield "the relay no longer answers"
        return
    if answer.fault:
        yield f"the gate withholds every content: {answer.fault}"
    if answer.ledger.pending:
        yield f"{answer.ledger.pending} operations were not delivered in time; the shipper is {answer.state}"
    if answer.ledger.quarantined:
        yield f"{answer.ledger.quarantined} operations were quarantined, since the switch went off"
    if answer.ledger.dropped:
        yield "dropped: " + ", ".join(f"{n} {reason}" for reason, n in sorted(answer.ledger.dropped.items()))
    if not answer.ledger.adds_up or answer.ledger.offered != tally.offered:
        yield "the ledger does not add up"


def of_arrival(*, delivered: bool, completeness: Completeness | None, arrival: Arrival | None, canaries: Canaries | None) -> Iterator[str]:
    """What did not arrive, or not whole.

    Args:
        delivered: whether the relay says that anything was.
        completeness: of the traces as they were read; None where they could not be read.
        arrival: what was delivered against what was read; likewise.
        canaries: what became of them.
    """
    if canaries is not None and canaries.arrived:
        yield f"{canaries.arrived} canaries arrived in clear"
    if delivered and completeness is None:
        yield "the traces could not be read back, so nothing is known of what arrived; check the key's right to read"
    if completeness is not None:
        if absent := completeness.expected - completeness.arrived:
            yield f"{absent} of {completeness.expected} traces did not arrive"
        if broken := completeness.arrived - completeness.complete:
            lacks = ", ".join(f"{n} {reason}" for reason, n in completeness.lacks.items() if reason != "trace")
            yield f"{broken} of {completeness.expected} traces are not whole; they lack: {lacks}"
    if arrival is not None and arrival.missing:
        yield f"{arrival.missing} of {arrival.expected} runs were delivered and cannot be read back"
