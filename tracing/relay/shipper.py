"""The shipper: takes what is pending out of the outbox, asks the switch, and hands it to the sink; waits and tries again when refused."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, SealBroken
from tracing.relay.outbox import DELIVERED, DROPPED, Outbox, Row

if TYPE_CHECKING:
    from phi_guard.gate import Gate
    from phi_guard.model import Cleared
    from phi_guard.outbound.sink import Sink
    from phi_guard.switch import FileSwitch

BATCH: Final = 100
IDLE_S: Final = 0.1
BACKOFF_S: Final = (0.5, 30.0)
HALT_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 300.0


class Shipper(threading.Thread):
    """A daemon thread that ships one outbox to one sink.

    Args:
        path: the outbox file; the thread opens its own connection.
        gate: knows its own bytes again; what it does not know is not sent.
        sink: where they go.
        switch: asked before every delivery; off means nothing is sent and nothing is lost.
    """

    def __init__(self, path: Path, gate: Gate, sink: Sink, switch: FileSwitch) -> None:
        super().__init__(name="phi-guard-shipper", daemon=True)
        self._path, self._gate, self._sink, self._switch = path, gate, sink, switch
        self._stop_at: float | None = None
        self._wake = threading.Event()
        self.state = "idle"
        self.last_ack = 0.0

    def stop(self, seconds: float) -> None:
        """Ship what is pending for at most ``seconds``, then end."""
        self._stop_at = time.monotonic() + seconds
        self._wake.set()
        self.join(seconds + 1.0)

    def run(self) -> None:
        outbox: Outbox | None = None
        failures = 0
        try:
            while True:
                wait = IDLE_S
                try:
                    outbox = outbox or Outbox(self._path)
                    rows = outbox.pending(BATCH)
                    if not self._switch.state().on:
                        self.state = "off"
                    elif rows:
                        self._ship(outbox, rows)
                        self.state, failures, wait = "sending", 0, 0.0
                        self.last_ack = time.time()
                    else:
                        self.state = "idle"
                except DeliveryHalted as fault:
                    self.state, wait = f"halted_{fault.code}", HALT_S
                except DeliveryError as fault:
                    failures += 1
                    wait = fault.retry_after_s if fault.retry_after_s is not None else _backoff(failures)
                    self.state = f"waiting_{fault.code}"
                except Exception:  # noqa: BLE001  # a dead shipper would lose all that follows; the fault's text may quote a body
                    failures += 1
                    self.state, wait = "waiting_fault", _backoff(failures)
                if self._stop_at is not None and (self.state != "sending" or time.monotonic() > self._stop_at):
                    return
                self._wake.wait(min(wait, RETRY_AFTER_MAX_S))
        finally:
            if outbox is not None:
                outbox.close()

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
        if not batch or not self._switch.state().on:  # halving can take many deliveries: the switch may be turned off meanwhile
            return
        try:
            self._sink.deliver([cleared for _, cleared in batch])
        except DeliveryHalted:
            raise
        except DeliveryRefused as fault:
            if len(batch) == 1:
                outbox.settle([batch[0][0].seq], DROPPED, fault.code)
                return
            half = len(batch) // 2
            self._deliver(outbox, batch[:half])
            self._deliver(outbox, batch[half:])
        else:
            outbox.settle([row.seq for row, _ in batch], DELIVERED)


def _backoff(failures: int) -> float:
    low, high = BACKOFF_S
    return random.uniform(low / 2, min(high, low * 2 ** min(failures, 10)))  # noqa: S311  # jitter, not a secret
