"""``python -m audit.rehearsal.warden PID``: ends that process once stdin closes, which it does when whoever started us is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from typing import Final

GRACE_S: Final = 10.0
"""Seconds from SIGTERM to SIGKILL, as long as the relay is given by who ends it in order."""


def main(pid: int) -> int:
    """Wait for the end of stdin, then end the process; 0 when it has ended.

    Args:
        pid: of a process of the same user. It is held by a descriptor, so that another which gets its number later is not meant.
    """
    try:
        held = os.pidfd_open(pid)
    except OSError:
        return 0  # it has ended already
    except AttributeError:  # no Linux: there the number has to do
        _wait()
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)
        return 0
    _wait()
    for number, seconds in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        with suppress(OSError):
            signal.pidfd_send_signal(held, number)
        if select.select([held], [], [], seconds)[0]:
            return 0
    return 1


def _wait() -> None:
    with suppress(OSError):
        while os.read(0, 512):
            pass


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
