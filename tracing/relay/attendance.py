"""The relay's presence at the switch: who it is, what it acts on, and that nothing of it is on its way any more."""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard.switch_state import Worker
from tracing.relay.outbox import PENDING, QUARANTINED, Outbox

if TYPE_CHECKING:
    from phi_guard.switch_state import Switch

TICK_S: Final = 0.05
"""How often the switch is looked at."""
TELL_S: Final = 1.0
"""How often the relay tells what it acts on where that has not changed."""

_FILE: Final = "worker.id"
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Attendance(threading.Thread):
    """A daemon thread that acknowledges what the relay acts on: at once where that changes. Never raises.

    Args:
        switch: where it is told.
        worker_id: of this relay.
        policy: digest of its policy.
        path: the outbox, for its counts; the thread opens its own connection.
        quiet: whether nothing is on its way to the sink. Asked after the switch: what begins later sees at least what was seen here.
    """

    def __init__(self, switch: Switch, worker_id: str, policy: str, path: Path, quiet: Callable[[], bool]) -> None:
        super().__init__(name="phi-guard-attendance", daemon=True)
        self._switch, self._id, self._policy, self._path, self._quiet = switch, worker_id, policy, path, quiet
        self._over = threading.Event()
        self._counts = (0, 0)

    def stop(self) -> None:
        """Tell that the relay has ended."""
        self._over.set()
        self.join(2.0)
        self._switch.dismiss(self._id)

    def run(self) -> None:
        outbox: Outbox | None = None
        told: object = None
        due = 0.0
        while not self._over.wait(TICK_S):
            state, now = self._switch.state(), time.monotonic()
            quiet = self._quiet()
            acts = (state.on, state.at, quiet or state.on)
            if acts == told and now < due:
                continue
            with suppress(Exception):  # a full disk, a damaged file: what it acts on is told all the same
                outbox = outbox or Outbox(self._path)
                self._count(outbox)
            pending, quarantined = self._counts
            worker = Worker(self._id, "relay", self._policy, pending, quarantined, quiet)
            if self._switch.acknowledge(worker, state):
                told, due = acts, now + TELL_S
        if outbox is not None:
            with suppress(sqlite3.Error, OSError):
                outbox.close()

    def _count(self, outbox: Outbox) -> None:
        counts = outbox.waiting_counts()
        self._counts = (max(0, counts.get(PENDING, 0)), max(0, counts.get(QUARANTINED, 0)))


def read_worker_id(path: Path) -> str:
    """The relay's id, made once per state directory; random, so that it tells nothing of the host.

    Args:
        path: the state directory.

    Raises:
        OSError: it cannot be written.
    """
    file = path / _FILE
    with suppress(OSError, UnicodeError):
        if _ID.fullmatch(found := file.read_text(encoding="ascii").strip()):
            return found
    made = secrets.token_hex(16)
    draft = file.with_suffix(".new")
    draft.write_text(made, encoding="ascii")
    draft.chmod(0o600)
    draft.replace(file)
    return made
