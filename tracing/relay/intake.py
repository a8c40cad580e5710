"""The intake: takes batches off the local socket, clears each record, stores what was cleared, and only then acknowledges."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from phi_guard.envelope import METADATA
from phi_guard.gate import VOID, Gate
from phi_guard.model import Cleared, Outcome, Withheld
from phi_guard.switch import FileSwitch
from tracing.cost import Pricing
from tracing.identity import new_id
from tracing.record import (
    Ack,
    AgentTurn,
    AnyRecord,
    Batch,
    CallClosed,
    CallEnded,
    CallOpened,
    Consent,
    GuardrailClosed,
    ToolCall,
)
from tracing.relay.ledger import Ledger, read_ledger
from tracing.relay.outbox import Outbox
from tracing.relay.span import cost_of, op_of, payload_of

LOST_S: Final = 10.0
"""A sender with an open call that has been silent for so long is taken for dead; it beats every second while it lives."""
_NOT_OURS: Final = (msgspec.MsgspecError, IndexError, OverflowError, RecursionError, UnicodeError)
"""What decoding raises on bytes that no recorder of ours wrote."""
_TOUCHED: Final = frozenset({"redact", "drop", "scan", "truncate", "pseudonym", "generalise", "misfit"})


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask", forbid_unknown_fields=True):
    """Asks the relay for its `Answer`. Takes no field, or any map at all, such as another version's batch, would be a question."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How the relay is.

    Args:
        ledger: all its counts.
        state: what the shipper does: ``idle``, ``sending``, ``off``, ``waiting_<code>`` or ``halted_<code>``.
        fault: why the gate withholds everything; empty when it does not.
        policy: digest of its policy.
        refused: messages on the socket that were not ours.
    """

    ledger: Ledger
    state: str
    fault: str
    policy: str
    refused: int


_decode_batch: Final = msgspec.msgpack.Decoder(Batch).decode
_decode_ask: Final = msgspec.msgpack.Decoder(Ask).decode
_decode_record: Final[Callable[[bytes | msgspec.Raw], AnyRecord]] = msgspec.msgpack.Decoder(AnyRecord).decode
_encode: Final = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Intake:
    """What the relay does with records.

    Args:
        outbox: where cleared bytes wait.
        gate: the mint.
        switch: while it is off, records are counted and let go.
        pricing: the price list, or None when it could not be read: then costs are unknown, not zero.
        project: LangSmith project.
        env: ``dev`` or ``prod``.
        here: the sender under which operations made by the relay itself are counted.
        state: tells what the shipper does.
        fault: why the gate withholds everything; empty when it does not.
    """

    outbox: Outbox
    gate: Gate
    switch: FileSwitch
    pricing: Pricing | None
    project: str
    env: str
    here: str
    state: Callable[[], str] = lambda: "idle"
    fault: str = ""
    refused: int = 0
    _heard: dict[str, float] = field(default_factory=dict)

    def take(self, data: bytes) -> bytes | None:
        """Handle one message.

        Returns:
            What to send back, or None. A batch is acknowledged only after each of its records is committed.

        Raises:
            sqlite3.Error: nothing can be stored now; the batch is not acknowledged and comes again.
        """
        try:
            batch = _decode_batch(data)
        except _NOT_OURS:
            return self._answer(data)
        self._heard[batch.sender] = time.monotonic()
        with self._writing(batch):
            pass  # a beat without records counts too
        for n, raw in enumerate(batch.records):
            self._take(batch, n, self._decode(raw))
        return _encode(Ack(number=batch.number)) if batch.number else None

    def _take(self, batch: Batch, n: int, record: AnyRecord | None) -> None:
        """Store one record, or that it was lost, in a transaction of its own: what is wrong with it must not stop those beside it."""
        if record is None:
            with self._writing(batch):
                self.outbox.store_dropped(f"{batch.sender}.{batch.number}.{n}", "create", "", "undecodable")
            return
        try:
            outcome: Outcome | None = None
            if isinstance(record, ToolCall) and self.switch.state().on:
                with self._writing(batch):
                    if self.outbox.holds(record.id, op_of(record)):
                        return
                outcome = self._clear(record)  # may take seconds over a long text: the outbox is not locked meanwhile
            with self._writing(batch):
                self._store(record, batch.sender, outcome)
        except sqlite3.Error:
            raise
        except Exception:  # noqa: BLE001  # the record can never be told; the fault's text could hold its content
            with self._writing(batch):
                self.outbox.store_dropped(record.id, op_of(record), record.call, "relay_fault")

    @contextmanager
    def _writing(self, batch: Batch) -> Iterator[None]:
        """A transaction in which what is stored is the batch's sender's."""
        with self.outbox.writing():
            self.outbox.heard(batch.sender, batch.offered, batch.dropped)
            yield

    def _answer(self, data: bytes) -> bytes | None:
        try:
            _decode_ask(data)
            ledger = read_ledger(self.outbox, self.here)
            return _encode(Answer(ledger=ledger, state=self.state(), fault=self.fault, policy=self.gate.digest, refused=self.refused))
        except _NOT_OURS:
            self.refused += 1
            return None

    def end_lost(self, now: float) -> None:
        """End the trace of every open call whose agent is gone."""
        for call, sender, opening, consent in self.outbox.open_calls():
            silent_since = self._heard.setdefault(sender, now)
            if now - silent_since <= LOST_S:
                continue
            record = self._decode(opening)
            if isinstance(record, CallOpened):
                self._end(record, self._decode(consent) if consent else None)
            else:
                self.outbox.close_call(call)  # stored by another version: nothing is left to end it with

    def _decode(self, raw: bytes | msgspec.Raw) -> AnyRecord | None:
        try:
            return _decode_record(raw)
        except _NOT_OURS:
            return None

    def _store(self, record: AnyRecord, sender: str, outcome: Outcome | None = None) -> None:
        op = op_of(record)
        if self.outbox.holds(record.id, op):
            return  # sent again because our acknowledgement was lost
        reason = "switch_off" if not self.switch.state().on else self.outbox.root_dropped(record.call)
        if reason:
            self.outbox.store_dropped(record.id, op, record.call, reason)
            self._after(record)
            return
        if isinstance(record, CallOpened):
            self.outbox.open_call(record.call, sender, record.start_ns, _encode(_shaped(record)))
        elif isinstance(record, Consent):
            self.outbox.note_consent(record.call, _encode(_shaped(record)))
        elif isinstance(record, AgentTurn) and record.responses:
            usd = cost_of(record, self.pricing)
            self.outbox.add_cost(record.call, None if usd is None else str(usd))
        match outcome or self._clear(record):
            case Cleared() as cleared:
                self.outbox.store(record.id, op, record.call, cleared)
                touched = Counter("unknown" if note.field == "?" else note.field for note in cleared.notes if note.action in _TOUCHED)
                self.outbox.add_redactions(record.call, touched)
            case Withheld(reason, skeleton) if skeleton.kind != VOID:
                self.outbox.store(record.id, op, record.call, skeleton, withheld=reason)
            case Withheld(reason, _):
                self.outbox.store_dropped(record.id, op, record.call, reason)
        self._after(record)

    def _clear(self, record: AnyRecord) -> Outcome:
        return self.gate.clear(payload_of(record, project=self.project, env=self.env, facts=self._facts(record)))

    def _after(self, record: AnyRecord) -> None:
        if isinstance(record, CallClosed):
            self.outbox.close_call(record.call)
            self.gate.forget(record.call)

    def _facts(self, record: AnyRecord) -> dict[str, object]:
        """What only the relay knows of a call."""
        facts: dict[str, object] = {}
        if isinstance(record, CallOpened | CallClosed | Consent | GuardrailClosed):
            facts["policy_digest"] = self.gate.digest
        if isinstance(record, AgentTurn) and record.responses:
            usd = cost_of(record, self.pricing)
            tokens_in, tokens_out = record.input_text + record.input_audio, record.output_text + record.output_audio
            usage: dict[str, object] = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
            facts |= {"cost_unknown": True} if usd is None else {"cost_usd": float(usd)}
            facts["usage_metadata"] = usage if usd is None else usage | {"total_cost": float(usd)}
        elif isinstance(record, CallClosed):
            usd_so_far, unknown = self.outbox.cost(record.call)
            facts |= {"cost_usd": usd_so_far} | ({"cost_unknown": True} if unknown else {})
            facts |= self._counts(record.call, record.offered)
        elif isinstance(record, CallEnded):
            facts |= self._counts(record.call, record.offered)
        elif isinstance(record, GuardrailClosed):
            facts["redactions"] = self.outbox.redactions(record.call)
        return facts

    def _counts(self, call: str, offered: int) -> dict[str, object]:
        """The call's ledger so far. What the agent has offered and has not arrived, and what waits in the outbox, is pending."""
        ledger = read_ledger(self.outbox, self.here, call)
        told = max(offered, ledger.offered)
        dropped = sum(ledger.dropped.values())
        return {
            "spans_offered": told,
            "spans_delivered": ledger.delivered,
            "spans_withheld": ledger.withheld,
            "spans_dropped": dropped,
            "spans_pending": told - ledger.delivered - ledger.withheld - dropped,
        }

    def _end(self, opening: CallOpened, consent: AnyRecord | None) -> None:
        """End a call for an agent that cannot."""
        call, end, last = opening.call, time.time_ns(), new_id()
        closing: list[AnyRecord] = [
            CallEnded(call=call, id=last, at=(*opening.at, (end, last)), end_ns=end, reason="agent_lost", errors=1),
            CallClosed(
                call=call,
                id=call,
                at=opening.at,
                end_ns=end,
                reason="agent_lost",
                room_sid=opening.room_sid,
                participant_sid=opening.participant_sid,
                agent_version=opening.agent_version,
                error_message="agent_lost",
            ),
        ]
        if isinstance(consent, Consent):
            said = GuardrailClosed(
                call=call, id=consent.id, at=consent.at, end_ns=end, consent=consent.consent, consent_version=consent.consent_version
            )
            closing.insert(1, said)
        with self.outbox.writing():
            self.outbox.offer_here(self.here, len(closing))
            for record in closing:
                self._store(record, self.here)


def _shaped(record: CallOpened | Consent) -> CallOpened | Consent:
    """The record with every text that does not have the envelope's shape emptied: on disk there is only what could also be sent."""
    texts = {name: value for name in record.__struct_fields__ if isinstance(value := getattr(record, name), str) and name in METADATA}
    return msgspec.structs.replace(record, **{name: "" for name, value in texts.items() if value and not METADATA[name].fits(value)})
