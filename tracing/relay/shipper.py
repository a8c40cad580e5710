"""The shipper: takes what is pending out of the outbox, asks the switch, and hands it to the sink; waits and tries again when refused."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, LeakSeen, SealBroken
from phi_guard.switch import LEAK, SwitchError
from tracing.relay.alerts import Alerts
from tracing.relay.disclosure import DisclosureLog
from tracing.relay.outbox import DELIVERED, DROPPED, Outbox, Row

if TYPE_CHECKING:
    from phi_guard.gate import Gate
    from phi_guard.model import Cleared
    from phi_guard.outbound.sink import Sink
    from phi_guard.switch import Switch

BATCH: Final = 100
"""Operations in one posting: LangSmith's own limit."""
BATCH_BYTES: Final = 4_000_000
"""Cleared bytes in one posting; LangSmith takes 20 MB, proxies before it often less."""
IDLE_S: Final = 0.1
BACKOFF_S: Final = (1.0, 30.0)
"""The first bound and the last of the wait after a failure: it doubles, and the wait is drawn from all of it (full jitter)."""
HALT_S: Final = (30.0, 300.0)
"""Likewise where we are refused as who we are: a person must act, so we ask rarely, and with one operation alone."""
RETRY_AFTER_MAX_S: Final = 300.0
NEEDS_A_PERSON: Final = (
    "halted_", "off_last_look", "waiting_disclosure", "waiting_last_look", "waiting_unexpected", "waiting_nothing", "waiting_fault",
)  # fmt: skip
"""States that are alerted."""


class Shipper(threading.Thread):
    """A daemon thread that ships one outbox to one sink, in the order in which it was stored: a span's update never before its create.

    An update carries its whole run. So where a create is refused for good, and dropped, the update still goes, and the span is seen.

    What it does is read from ``state``: ``idle``, ``sending``, ``off`` (the switch), ``off_last_look_<rule>`` (the last look turned it
    off), ``halted_<code>`` (we are refused), ``waiting_<code>`` (not now). ``last_ack`` is when a posting was last taken, seconds since
    1970.

    Args:
        path: the outbox file; the thread opens its own connection. The disclosure log and the alerts are kept beside it.
        gate: knows its own bytes again; what it does not know is not sent.
        sink: where they go.
        switch: asked before every delivery, and ten times a second while there is nothing to do. While it is off nothing is sent, and what
            waited when it was turned off is quarantined.
    """

    def __init__(self, path: Path, gate: Gate, sink: Sink, switch: Switch) -> None:
        super().__init__(name="phi-guard-shipper", daemon=True)
        self._path, self._gate, self._sink, self._switch = path, gate, sink, switch
        self._disclosures = DisclosureLog(path.parent)
        self._alerts = Alerts(path.parent)
        self._stop_at: float | None = None
        self._wake = threading.Event()
        self._failures = 0
        self._tripped: LeakSeen | None = None
        self._seen_off = False
        self._sending = False
        self.state = "idle"
        self.last_ack = 0.0

    @property
    def quiet(self) -> bool:
        """Whether nothing is on its way. Whoever has seen the switch off before he asks knows that nothing will be."""
        return not self._sending

    def stop(self, seconds: float) -> None:
        """Ship what is pending for at most ``seconds``, then end. What is on its way then is not waited for: it stays pending."""
        self._stop_at = time.monotonic() + seconds
        self._wake.set()
        self.join(seconds + 1.0)

    def run(self) -> None:
        outbox: Outbox | None = None
        try:
            while True:
                try:
                    outbox = outbox or Outbox(self._path)
                    wait = self._turn(outbox)
                except Exception:  # noqa: BLE001  # a dead shipper would lose all that follows; the fault's text may quote a body
                    wait = self._wait_for("fault", None)
                    if outbox is not None:
                        outbox.close()
                        outbox = None
                self._alert()
                if self._is_over():
                    return
                if outbox is None:
                    self._wake.wait(wait)
                else:
                    self._rest(outbox, wait)
                if self._stop_at is not None and self.state.startswith(("halted_", "waiting_")):
                    return
        finally:
            self._disclosures.close()
            if outbox is not None:
                outbox.close()

    def _is_over(self) -> bool:
        return self._stop_at is not None and (self.state != "sending" or time.monotonic() > self._stop_at)

    def _turn(self, outbox: Outbox) -> float:
        """Ship what is next; seconds to wait before the turn after."""
        if not self._may_send(outbox):
            return IDLE_S
        rows = self._next(outbox)
        if not rows:
            self.state = "idle"
            return IDLE_S
        try:
            self._ship(outbox, rows)
        except LeakSeen as leak:
            self._trip(outbox, leak, rows)
            return IDLE_S
        except DeliveryHalted as fault:
            self._failures += 1
            self.state = f"halted_{fault.code}"
            return _bound(HALT_S, self._failures)
        except DeliveryError as fault:
            return self._wait_for(fault.code, fault.retry_after_s)
        self.state, self._failures = "sending", 0
        return 0.0

    def _rest(self, outbox: Outbox, seconds: float) -> None:
        """Send nothing for so long, and look at the switch meanwhile."""
        end, state = time.monotonic() + seconds, self.state
        while (left := end - time.monotonic()) > 0 and not self._wake.wait(min(IDLE_S, left)):
            try:
                if left > IDLE_S and self._may_send(outbox):
                    self.state = state
            except Exception:  # noqa: BLE001  # the next turn meets it again, and tells
                return

    def _wait_for(self, code: str, asked_s: float | None) -> float:
        self._failures += 1
        self.state = f"waiting_{code}"
        if asked_s is None:
            return random.uniform(0.0, _bound(BACKOFF_S, self._failures))  # noqa: S311  # jitter, not a secret
        return min(asked_s, RETRY_AFTER_MAX_S) + random.uniform(0.0, 1.0)  # noqa: S311  # many relays were told the same second

    def _alert(self) -> None:
        if self.state.startswith(NEEDS_A_PERSON):
            self._alerts.note(self.state)
        elif self.state in {"sending", "idle"}:
            self._alerts.clear()

    # -- the switch and the last look ------------------------------------------------------------------------------------------------

    def _may_send(self, outbox: Outbox) -> bool:
        """Whether the switch is on; and, after the last look has turned it off, whether a person has turned it on again.

        Nothing is in hand here, so that what waits can be quarantined.
        """
        state = self._switch.state()
        try:
            outbox.follow(state)
        except sqlite3.OperationalError:  # a full disk, say; it is looked at again before anything is sent
            if state.on:
                raise
        if not state.on:
            self._seen_off = True
            self.state = f"off_{self._tripped.code}" if self._tripped else "off"
            return False
        if self._tripped is not None and not self._seen_off:  # it could not even be turned off
            self.state = f"off_{self._tripped.code}"
            return False
        self._tripped = None
        return True

    def _trip(self, outbox: Outbox, leak: LeakSeen, rows: list[Row]) -> None:
        """Turn the switch off. All that waits is quarantined; what was met is never sent, whoever turns the switch on again."""
        self._tripped, self._seen_off = leak, False
        try:
            outbox.note_met([row.seq for row in rows if row.span in leak.spans])
        finally:
            self._turn_off(leak)
            self.state = f"off_{leak.code}"

    def _turn_off(self, leak: LeakSeen) -> None:
        try:
            self._switch.turn_off(f"last look: {leak.rule}", LEAK)
        except SwitchError:
            return
        self._seen_off = True

    # -- delivery ----------------------------------------------------------------------------------------------------------------------

    def _next(self, outbox: Outbox) -> list[Row]:
        """The oldest rows that fit in one posting; one alone while we are refused as who we are."""
        rows = outbox.pending(1 if self.state.startswith("halted_") else BATCH)
        return list(_fitting(rows, BATCH_BYTES))

    def _ship(self, outbox: Outbox, rows: list[Row]) -> None:
        batch: list[tuple[Row, Cleared]] = []
        for row in rows:
            if row.policy != self._gate.digest:
                outbox.settle([row.seq], DROPPED, "stale_policy")  # cleared under rules that no longer hold
                continue
            try:
                batch.append((row, self._gate.restore(kind=row.kind, name=row.name, body=row.body, policy=row.policy, seal=row.seal)))
            except SealBroken:
                outbox.settle([row.seq], DROPPED, "seal_broken")
        self._deliver(outbox, batch)

    def _deliver(self, outbox: Outbox, batch: list[tuple[Row, Cleared]]) -> None:
        """Deliver; where the batch is refused for good, halve it until the operation that poisons it stands alone, and drop that one."""
        if not batch:
            return
        self._sending = True  # before the switch is asked: see `quiet`
        try:
            if not self._switch.state().on:  # halving can take many deliveries: the switch may be turned off meanwhile
                return
            self._sink.deliver([cleared for _, cleared in batch], self._disclosures)
        except DeliveryRefused as fault:
            if len(batch) == 1:
                outbox.settle([batch[0][0].seq], DROPPED, fault.code)
                return
            half = len(batch) // 2
            self._deliver(outbox, batch[:half])
            self._deliver(outbox, batch[half:])
        else:
            outbox.settle([row.seq for row, _ in batch], DELIVERED)
            self.last_ack = time.time()
        finally:
            self._sending = False


def _fitting(rows: Iterable[Row], limit: int) -> Iterator[Row]:
    """The first rows whose bodies fit together; at least one."""
    size = 0
    for row in rows:
        size += len(row.body)
        if size > limit and size > len(row.body):
            return
        yield row


def _bound(bounds: tuple[float, float], failures: int) -> float:
    return min(bounds[1], bounds[0] * 2.0 ** min(failures - 1, 16))
