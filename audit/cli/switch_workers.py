"""Who acts on the switch, for ``phi-audit switch``: as rows, as lines, and waited for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from phi_guard.switch import Switch, SwitchState, Worker

LOOK_S: Final = 0.05


def rows(workers: Sequence[Worker], state: SwitchState) -> list[dict[str, Any]]:
    """Each worker, and whether it has acknowledged the state."""
    return [
        {
            "id": worker.id, "label": worker.label, "policy": worker.policy, "status": _status(worker, state), "on": worker.on,
            "seen": worker.seen, "quiet": worker.quiet, "pending": worker.pending, "quarantined": worker.quarantined,
            "age_s": round(worker.age_s, 1),
        }
        for worker in workers
    ]  # fmt: skip


def lines(workers: Sequence[Worker], state: SwitchState) -> list[str]:
    """The same, to be read."""
    return [
        f"  {worker.label} {worker.id[:12]}  {_status(worker, state):<17}{'on' if worker.on else 'off':<4}{worker.pending:>6} waiting"
        f"{worker.quarantined:>6} quarantined, heard {worker.age_s:.1f} s ago"
        for worker in workers
    ]


def wait_for(switch: Switch, seconds: float) -> list[Worker]:
    """Wait until every live worker has acknowledged that the switch is off; those that have not.

    Live is who was heard within `phi_guard.switch.STALE_S` when we began, and who is heard since.

    Raises:
        SwitchError: the workers cannot be read.
    """
    end = time.monotonic() + seconds
    live: set[str] = set()
    while True:
        state, workers = switch.state(), switch.workers()
        live |= {worker.id for worker in workers if not worker.stale}
        late = [worker for worker in workers if worker.id in live and not worker.acts_on(state)]
        if not late or time.monotonic() >= end:
            return late
        time.sleep(LOOK_S)


def _status(worker: Worker, state: SwitchState) -> str:
    return "stale" if worker.stale else "acknowledged" if worker.acts_on(state) else "not acknowledged"
