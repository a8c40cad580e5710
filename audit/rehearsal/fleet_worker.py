"""One worker of a measured fleet: it asks the switch before each send, as a relay does, and writes down when it sent last.

``python -m audit.rehearsal.fleet_worker FILE NUMBER``; the switch is named by ``PHI_GUARD_SWITCH``. What runs in it is the switch, its
watching thread where there is one, and an acknowledgement at each change and once a second. What does not: a gate, an outbox, a network; a
send is a note of the time in FILE, every `STEP_S`.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path
from typing import Final

from phi_guard.switch import Worker, open_switch

STEP_S: Final = 0.01
"""Between two sends."""
SLOT: Final = struct.Struct("<qq")
"""When it sent last, monotonic nanoseconds, which processes of one machine share; and how often it has."""

_TELL_S: Final = 1.0


def main(path: Path, number: int) -> None:
    """Send until the parent is gone."""
    switch = open_switch()
    worker = Worker(f"{number:032x}", "measured")
    parent, told, due, sent = os.getppid(), ("", False), 0.0, 0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        while os.getppid() == parent:
            state = switch.state()
            if state.on:
                sent += 1
                SLOT.pack_into(shared, number * SLOT.size, time.monotonic_ns(), sent)
            now = time.monotonic()
            if (state.at, state.on) != told or now > due:
                switch.acknowledge(worker, state)
                told, due = (state.at, state.on), now + _TELL_S
            time.sleep(STEP_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
