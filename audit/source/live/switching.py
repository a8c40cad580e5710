"""The roll-back switch where a server keeps it: whether it answers, and how many workers obey it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

from audit.source.live.asking import Finding
from phi_guard.runtime import RuntimeDirectoryError
from phi_guard.switch import SwitchError, open_switch

SERVICE: Final = "Switch"


def examine_switch(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:  # noqa: ARG001  # the switch's own is shorter
    """Ask the server for the time and for the workers' acknowledgements, which changes nothing. A switch in a file is no service.

    Args:
        environ: the variables.
        timeout_s: not used: the switch waits no longer for its server than a worker would.
    """
    where = environ.get("PHI_GUARD_SWITCH", "")
    if not re.match(r"(?:rediss?|unix)://", where):
        return
    began = time.monotonic()
    try:
        workers = open_switch(where).workers()
    except (SwitchError, RuntimeDirectoryError) as fault:
        what, _, fix = str(fault).partition("; ")
        yield Finding(SERVICE, "FAIL", f"{what}: where it does not answer, telemetry is off", fix or "correct PHI_GUARD_SWITCH")
        return
    took = round((time.monotonic() - began) * 1000, 1)
    yield Finding(SERVICE, "PASS", f"its server answers; workers that act on it: {len(workers)}", took_ms=took)
