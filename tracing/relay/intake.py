"""The intake: takes batches off the local socket, clears each record, stores what was cleared, and only then acknowledges."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec

from phi_guard.envelope import METADATA
from phi_guard.gate import VOID, Gate
from phi_guard.model import Cleared, Outcome, Payload, Withheld
from phi_guard.switch import Switch
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
from tracing.relay.ledger import read_ledger
from tracing.relay.messages import Answer, Ask, Overrun
from tracing.relay.order import Order
from tracing.relay.outbox import QUOTA, Outbox
from tracing.relay.presence import LOST_S
from tracing.relay.sampling import Sampler, Sampling
from tracing.relay.span import cost_of, is_billed, op_of, payload_of, tokens_of
from tracing.relay.trip import Tripwire

HOLD_S: Final = 20.0
"""How long a record may wait for its call's consent, while a batch of its agent that came before is not stored yet."""
HELD_MAX: Final = 10_000
"""Calls of which that is remembered at once; of any more, what comes without a consent is withheld at once. Likewise consents."""
MAY_TELL: Final = frozenset({"granted", "not_asked"})
"""With any other consent, also one that is no word of ours, a call's spans go out as skeletons."""
_NOT_OURS: Final = (msgspec.MsgspecError, IndexError, OverflowError, RecursionError, UnicodeError)
"""What decoding raises on bytes that no recorder of ours wrote."""
_ABOVE_CONSENT: Final = CallOpened | CallClosed | Consent | GuardrailClosed
"""Root and guardrail: they say that there was a call, and what was consented to."""
_TOUCHED: Final = frozenset({"redact", "drop", "scan", "truncate", "pseudonym", "generalise", "misfit"})


__all__ = ["LOST_S", "Answer", "Ask", "Intake"]

_decode_batch: Final = msgspec.msgpack.Decoder(Batch).decode
_decode_asked: Final = msgspec.msgpack.Decoder(Ask | Overrun).decode
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
        fault: why the gate withholds everything since the relay began; empty when it does not.
        trip: told what must turn the switch off.
        sampling: which calls are sent.
    """

    outbox: Outbox
    gate: Gate
    switch: Switch
    pricing: Pricing | None
    project: str
    env: str
    here: str
    state: Callable[[], str] = lambda: "idle"
    fault: str = ""
    trip: Tripwire | None = None
    sampling: Sampling = field(default_factory=Sampling)
    refused: int = 0
    _held: dict[str, float] = field(default_factory=dict)
    _heard: dict[str, str] = field(default_factory=dict)
    _order: Order = field(default_factory=Order)
    _more_to_come: bool = False
    _room: bool = True
    _room_for_new: bool = True
    _sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        self._sampler = Sampler(self.outbox, self.sampling, self.env, self.here)

    def take(self, data: bytes) -> bytes | None:
        """Store one batch.

        Returns:
            What to send back, or None. A batch is acknowledged only after each of its records is committed.

        Raises:
            sqlite3.Error: nothing can be stored now; the batch is not acknowledged and comes again.
        """
        batch = self.read(data)
        if batch is None:
            return None
        self._more_to_come = bool(batch.number) and self._order.hear(batch.sender, batch.number, time.monotonic())
        self.outbox.follow(self.switch.state())  # what waited when it went off is marked before anything new stands behind it
        records = [self._decode(raw) for raw in batch.records]
        outcomes = self._look_ahead(batch, records)
        with self._writing(batch):
            self._room, self._room_for_new = self.outbox.has_room(for_new=False), self.outbox.has_room(for_new=True)
            taken = [self._take(batch, n, record, outcomes.get(n)) for n, record in enumerate(records)]
        if not batch.number or not all(taken):
            return None
        self._order.store(batch.sender, batch.number)
        return _encode(Ack(number=batch.number))

    def read(self, data: bytes) -> Batch | None:
        """Hear who speaks, and of which calls; None for what is no batch. On any thread, whatever `take` is at."""
        try:
            batch = _decode_batch(data)
        except _NOT_OURS:
            return None
        self.outbox.presence.hear(batch.sender, batch.open_calls, time.monotonic())
        return batch

    def _look_ahead(self, batch: Batch, records: list[AnyRecord | None]) -> dict[int, Outcome]:
        """The outcomes of those records that detectors must look at: that may take seconds, and the outbox is not locked meanwhile."""
        tools = [(n, record) for n, record in enumerate(records) if isinstance(record, ToolCall)]
        if not tools or not self.switch.state().on:
            return {}
        with self._writing(batch):
            pass  # on a full disk nothing is looked at that could not be stored
        said = {record.call: record.consent for record in records if isinstance(record, Consent)}
        outcomes: dict[int, Outcome] = {}
        for n, record in tools:
            consent = self._consent_of(record.call) or said.get(record.call, "")
            if consent in MAY_TELL and not self.outbox.root_dropped(record.call) and not self.outbox.holds(record.id, op_of(record)):
                try:
                    outcomes[n] = self._clear(record)
                except sqlite3.Error:
                    raise
                except Exception:  # noqa: BLE001, S112  # it fails again where it is stored, and is counted there
                    continue
        return outcomes

    def _take(self, batch: Batch, n: int, record: AnyRecord | None, outcome: Outcome | None) -> bool:
        """Store one record, or that it was lost, and say whether that is done; what is wrong with it must not stop those beside it."""
        if record is None:
            self.outbox.store_dropped(f"{batch.sender}.{batch.number}.{n}", "create", "", "undecodable")
            return True
        try:
            with self.outbox.trying():
                return self._store(record, batch.sender, outcome)
        except sqlite3.Error:
            raise
        except Exception:  # noqa: BLE001  # the record can never be told; the fault's text could hold its content
            self.outbox.store_dropped(record.id, op_of(record), record.call, "relay_fault")
            return True

    @contextmanager
    def _writing(self, batch: Batch) -> Iterator[None]:
        """A transaction in which what is stored is the batch's sender's."""
        with self.outbox.writing():
            self.outbox.heard(batch.sender, batch.offered, batch.dropped, batch.acked)
            yield

    def answer(self, data: bytes, outbox: Outbox) -> bytes | None:
        """Answer who asks how the relay is; None for what is no question.

        Args:
            data: a message that is no batch.
            outbox: the same outbox, of the thread that calls.
        """
        try:
            asked = _decode_asked(data)
            if isinstance(asked, Overrun):
                if self.trip is not None:
                    self.trip.note_overrun(asked)
                return None
            ledger = read_ledger(outbox, self.here)
            return _encode(Answer(ledger=ledger, state=self.state(), fault=self.fault, policy=self.gate.digest, refused=self.refused))
        except _NOT_OURS:
            self.refused += 1
            return None

    def end_lost(self, now: float, waiting: Collection[str] = ()) -> None:
        """End the trace of every open call whose agent is gone.

        Args:
            now: steady time.
            waiting: agents of whom something has come that is not stored yet: perhaps the end of the call.
        """
        for call, sender, opening, guardrail in self.outbox.open_calls():
            if sender in waiting:
                continue
            all_told = self.outbox.missing(sender) <= 0
            if not self.outbox.presence.is_lost(call, sender, all_told=all_told, now=now):
                continue
            record = self._decode(opening)
            if isinstance(record, CallOpened):
                self._end(record, self._decode(guardrail) if guardrail else None)
            else:  # stored by another version: nothing is left to end it with
                with self.outbox.writing():
                    self.outbox.close_call(call)

    def _decode(self, raw: bytes | msgspec.Raw) -> AnyRecord | None:
        try:
            return _decode_record(raw)
        except _NOT_OURS:
            return None

    def _store(self, record: AnyRecord, sender: str, outcome: Outcome | None = None) -> bool:
        """Store a record, or why it is not sent; False where something of its call must come first, and the record must come again."""
        op = op_of(record)
        if self.outbox.holds(record.id, op):
            return True  # sent again because our acknowledgement was lost
        self._note_consent(record)  # also of a record that is dropped
        reason = self._refusal(record)
        if reason:
            self.outbox.store_dropped(record.id, op, record.call, reason)
            self._after(record)
            return True
        may_tell = isinstance(record, _ABOVE_CONSENT) or self._may_tell(record, sender)
        admitted = None if may_tell is None else self._sampler.admit(record, more_to_come=self._more_to_come)
        if admitted is None:
            return False
        if not admitted:
            self.outbox.store_sampled(record.id, op, record.call)
            self._after(record)
            return True
        if isinstance(record, CallOpened):
            self.outbox.open_call(record.call, sender, _encode(_shaped(record)))
        elif isinstance(record, AgentTurn) and is_billed(record):
            usd = cost_of(record, self.pricing)
            self.outbox.add_cost(record.call, None if usd is None else str(usd))
        match (outcome or self._clear(record)) if may_tell else self.gate.withhold(self._payload(record), "consent_refused"):
            case Cleared() as cleared:
                self.outbox.store(record.id, op, record.call, cleared)
                touched = Counter("unknown" if note.field == "?" else note.field for note in cleared.notes if note.action in _TOUCHED)
                self.outbox.add_redactions(record.call, touched)
            case Withheld(reason, skeleton) if skeleton.kind != VOID:
                self.outbox.store(record.id, op, record.call, skeleton, withheld=reason)
                if self.trip is not None and not self.fault:
                    self.trip.note_withheld(reason)
            case Withheld(reason, _):
                self.outbox.store_dropped(record.id, op, record.call, reason)
        self._after(record)
        return True

    def _refusal(self, record: AnyRecord) -> str:
        """Why an operation is not even looked at; empty where it is."""
        if not self.switch.state().on:
            return "switch_off"
        if dark := self.outbox.root_dropped(record.call):
            return dark
        return "" if self._room and (self._room_for_new or not isinstance(record, CallOpened)) else QUOTA

    def _may_tell(self, record: AnyRecord, sender: str) -> bool | None:
        """Whether the call's person lets its spans be told; None where that may yet be heard.

        A recorder tells a call's consent before anything else of it. Where something came first, a batch before this one may wait to come
        again: for so long this one waits too. Where none does, the consent never comes, and the call's spans are withheld at once: the
        agent's other calls must not wait behind it.
        """
        consent = self._consent_of(record.call)
        if consent or sender == self.here:
            return consent in MAY_TELL
        if not self._more_to_come:
            return False
        now = time.monotonic()
        if now - self._held.setdefault(record.call, now) <= HOLD_S and len(self._held) <= HELD_MAX:
            return None
        if len(self._held) > HELD_MAX:
            del self._held[next(iter(self._held))]
        return False

    def _consent_of(self, call: str) -> str:
        """What the call's person consented to; empty where nothing was heard. A damaged outbox may have forgotten, we have not."""
        return self.outbox.consent(call) or self._heard.get(call, "")

    def _note_consent(self, record: AnyRecord) -> None:
        """Remember what was consented to; what waits of a call whose person refuses now goes out without its content."""
        if not isinstance(record, Consent | GuardrailClosed):
            return
        consent = record.consent if record.consent in MAY_TELL else "refused"
        self._held.pop(record.call, None)
        if self._heard.pop(record.call, "") == "refused":
            consent = "refused"
        self._heard[record.call] = consent
        if len(self._heard) > HELD_MAX:
            del self._heard[next(iter(self._heard))]
        self.outbox.note_consent(record.call, consent, _encode(_shaped(record)) if isinstance(record, Consent) else None)
        if consent == "refused":
            for seq, kind, name, body in self.outbox.waiting(record.call):
                if name not in {"voice_session", "policy.guardrail"}:
                    skeleton = self.gate.withhold(Payload(kind, name, msgspec.json.decode(body)), "consent_refused").skeleton
                    self.outbox.withhold(seq, skeleton, "consent_refused")

    def _clear(self, record: AnyRecord) -> Outcome:
        return self.gate.clear(self._payload(record))

    def _payload(self, record: AnyRecord) -> Payload:
        return payload_of(record, project=self.project, env=self.env, facts=self._facts(record))

    def _after(self, record: AnyRecord) -> None:
        if isinstance(record, CallClosed):
            self.outbox.close_call(record.call)
            self.gate.forget(record.call)

    def _facts(self, record: AnyRecord) -> dict[str, object]:
        """What only the relay knows of a call."""
        facts: dict[str, object] = {}
        if isinstance(record, CallOpened | CallClosed | Consent | GuardrailClosed):
            facts["policy_digest"] = self.gate.digest
        if isinstance(record, AgentTurn) and is_billed(record):
            usd = cost_of(record, self.pricing)
            tokens_in, tokens_out = tokens_of(record)
            usage: dict[str, object] = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
            facts |= {"cost_unknown": True} if usd is None else {"cost_usd": float(usd)}
            facts["usage_metadata"] = usage if usd is None else usage | {"total_cost": float(usd)}
        elif isinstance(record, CallClosed):
            usd_so_far, unknown = self.outbox.cost(record.call)
            facts |= ({"cost_usd": usd_so_far} if usd_so_far or not unknown else {}) | ({"cost_unknown": True} if unknown else {})
            facts |= self._counts(record.call, record.offered)
            if self.sampling.rate < 1:
                facts["sampling_rate"] = self.outbox.rate_of(record.call)
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
        call, last = opening.call, new_id()
        end = max(time.time_ns(), opening.start_ns)  # an agent's clock may be ahead of ours
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
                call=call,
                id=consent.id,
                at=consent.at,
                end_ns=end,
                consent=self.outbox.consent(call) or consent.consent,
                consent_version=consent.consent_version,
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
