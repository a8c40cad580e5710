"""The way of an event to its sinks: cleared, witnessed, tried again, in order for each sink, and only the newest after a long silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from audit.alerts.events import Event
from audit.alerts.state import AlertState, Message
from audit.alerts.witness import LogWitness
from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, LeakSeen
from phi_guard.gate import Gate
from phi_guard.model import Cleared, Payload
from phi_guard.outbound.sink import Sink

BACKOFF_S: Final = 5.0
"""Seconds after the first failure; twice as many after each further one."""
BACKOFF_MAX_S: Final = 900.0
HALTED_S: Final = 3600.0
"""Seconds after which a sink that refuses us is tried again: a person has to look at it."""
RETRY_AFTER_MAX_S: Final = 86_400.0
KEPT: Final = timedelta(days=7)
"""How long a message waits for a sink whose address is no longer given."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round of sending came to.

    Args:
        state: with what still waits.
        sent: messages that were taken.
        problems: what went wrong, in words; no address and no value is in them.
    """

    state: AlertState
    sent: int
    problems: tuple[str, ...]


def enqueue(state: AlertState, events: Sequence[Event], sinks: Mapping[str, Sink]) -> AlertState:
    """Give events to the sinks they name, as far as those are there.

    To a sink that fails, a new event takes the place of what waits of the same alert, so that its return brings the newest state of each
    and no flood. A firing message that never arrived stays one: the reminder that takes its place is told as the firing itself.
    """
    waiting = list(state.waiting)
    for event in events:
        for sink in event.sinks:
            if sink not in sinks:
                continue
            message = Message(sink=sink, event=event)
            failing = any(one.tries for one in waiting if one.sink == sink)
            older = [one for one in waiting if one.sink == sink and one.event.place == event.place] if failing else []
            if older:
                waiting = [one for one in waiting if one not in older]
                unsaid = any(one.event.state == "firing" for one in older) and event.state == "still_firing"
                last = max(older, key=lambda one: one.tries)
                told = replace(event, state="firing") if unsaid else event
                message = replace(message, event=told, tries=last.tries, not_before=last.not_before, fault=last.fault)
            waiting.append(message)
    return replace(state, waiting=tuple(waiting))


def deliver(state: AlertState, sinks: Mapping[str, Sink], gate: Gate, witness: LogWitness, now: datetime) -> Delivered:
    """Send what is due, one message after another; the first failure of a sink ends its round. Never raises.

    Args:
        state: with what waits.
        sinks: by name.
        gate: clears each message anew, right before it leaves.
        witness: told of each posting.
        now: with a zone.
    """
    left: list[Message] = []
    problems: list[str] = []
    sent = 0
    blocked = {one.sink for one in state.waiting if one.not_before is not None and now < one.not_before}
    for message in state.waiting:
        sink = sinks.get(message.sink)
        if sink is None or message.sink in blocked:
            if sink is None and now - message.event.at > KEPT:
                problems.append(f"{message.sink}: a message of {message.event.rule} is given up: the sink has no address any more")
            else:
                left.append(message)
            continue
        fault = _send(sink, message, gate, witness)
        if fault is None:
            sent += 1
        elif isinstance(fault, DeliveryRefused | LeakSeen):
            problems.append(f"{message.sink}: a message of {message.event.rule} is not taken ({fault.code}), and given up")
        else:
            blocked.add(message.sink)
            wait = _wait(fault, message.tries)
            left.append(replace(message, tries=message.tries + 1, not_before=now + timedelta(seconds=wait), fault=fault.code))
            what = "it refuses us; check its address or key" if isinstance(fault, DeliveryHalted) else "tried again"
            problems.append(f"{message.sink}: not delivered ({fault.code}); {what} in {wait:.0f} s")
    if witness.fault:
        problems.append(f"the audit's log does not hold what was sent: {witness.fault}")
    return Delivered(replace(state, waiting=tuple(left)), sent, tuple(problems))


def clear(gate: Gate, event: Event) -> Cleared | None:
    """An event as cleared bytes; None where the gate withholds it."""
    outcome = gate.clear(Payload("alert", event.alert, event.facts()))
    return outcome if isinstance(outcome, Cleared) else None


def _send(sink: Sink, message: Message, gate: Gate, witness: LogWitness) -> DeliveryError | None:
    cleared = clear(gate, message.event)
    if cleared is None:
        return DeliveryRefused("withheld")
    witness.tell(message.sink, message.event)
    try:
        sink.deliver([cleared], witness)
    except DeliveryError as fault:
        return fault
    except Exception:  # noqa: BLE001  # a fault of the sink's own must not end the watch; its text could quote the address
        return DeliveryError("fault")
    return None


def _wait(fault: DeliveryError, tries: int) -> float:
    own = HALTED_S if isinstance(fault, DeliveryHalted) else min(BACKOFF_S * 2 ** min(tries, 20), BACKOFF_MAX_S)
    return max(own, min(fault.retry_after_s or 0.0, RETRY_AFTER_MAX_S))
