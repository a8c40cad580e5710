"""The first thing after a leak: telemetry's switch off, held, and written down. It never raises."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from phi_guard.errors import PhiGuardError
from phi_guard.switch import LEAK, open_switch


@dataclass(frozen=True, slots=True)
class Contained:
    """What turning the switch off came to.

    Args:
        off: whether the switch is off now.
        already: whether it was off and held for a leak before; then nothing was written.
        at: since when it is off, ISO 8601; empty where its file does not say.
        took_ms: how long it took, milliseconds.
        hold: what it is held for.
        logged: whether the audit's log took an entry.
        fault: what went wrong, in words; empty if nothing did.
    """

    off: bool
    already: bool
    at: str
    took_ms: float
    hold: str
    logged: bool
    fault: str = ""


def contain(report_digest: str, now: datetime, *, log: Path | None = None, cause: str = "NO-GO") -> Contained:
    """Turn telemetry's switch off and hold it for a leak; doing it again changes nothing. Never raises.

    A file that cannot be written is removed, which is off too. Where even that fails, ``off`` is False and ``fault`` says so.

    Args:
        report_digest: of the report that found the leak.
        now: the time of the log's entry.
        log: directory of the audit's log; None for the audit's own.
        cause: the reason's first words.
    """
    began = time.perf_counter()
    fault = ""
    already, unset, switch = False, False, None
    try:
        switch = open_switch()
        before = switch.state()
        unset = not before.at and not before.hold
        already = not before.on and before.hold == LEAK  # any other hold is raised to this one
        if not already:
            switch.turn_off(f"phi-audit: {cause}, report {report_digest[:16] or 'unnamed'}", LEAK)
    except PhiGuardError as error:
        fault = str(error)
    took_ms = (time.perf_counter() - began) * 1000
    state = switch.state() if switch is not None else None
    if state is not None and not state.on and not state.hold and not fault:
        fault = "the switch could not be written: it is off, and nothing holds it"
    if switch is not None and unset and not fault:
        fault = f"no switch was at {switch.place} before: if the relay has another, it still sends; name that with PHI_GUARD_SWITCH"
    off, hold = state is not None and not state.on, state.hold if state is not None else ""
    facts: dict[str, str | int] = {
        "report": report_digest,
        "off": int(off),
        "already": int(already),
        "hold": hold,
        "took_us": int(took_ms * 1000),
    }
    logged, why = write_log("enforced", facts, now, log)
    return Contained(off, already, state.at if state else "", took_ms, hold, logged, "; ".join(filter(None, (fault, why))))


def write_log(event: str, facts: Mapping[str, str | int], now: datetime, directory: Path | None = None) -> tuple[bool, str]:
    """Add an entry to the audit's log: whether it took it, and why not. Never raises what a file can cause."""
    from audit import chain  # noqa: PLC0415  # the log is for who writes it
    from audit.keys import audit_dir  # noqa: PLC0415

    try:
        chain.append(directory or audit_dir(), event, dict(facts), now=now)
    except (PhiGuardError, OSError) as fault:
        return False, f"the audit's log takes no entry ({fault if isinstance(fault, PhiGuardError) else fault.strerror})"
    return True, ""
