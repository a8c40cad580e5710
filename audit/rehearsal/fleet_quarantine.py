"""What the relay of this host keeps and does not send: listed, released on the strength of a verified GO, or dropped for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.switch_state import LEAK, Switch
from tracing.relay.outbox import Outbox, OutboxUnusable
from tracing.relay.quarantine import REASONS, SWITCH_OFF, Held
from tracing.settings import read_settings

OUTBOX: Final = "outbox.sqlite3"
RELEASABLE: Final = (SWITCH_OFF, LEAK)
"""What the last look itself met is only dropped."""


class QuarantineError(PhiGuardError):
    """The quarantine cannot be read or changed; the message says why and what to do."""


def list_quarantine(state: Path | None) -> tuple[Held, ...]:
    """What is quarantined, oldest first.

    Args:
        state: the relay's state directory; None for the one that the settings give.

    Raises:
        QuarantineError: there is no outbox, or it cannot be read.
    """
    with _outbox(state) as outbox:
        return tuple(outbox.held())


def release_quarantine(state: Path | None, switch: Switch, reasons: Iterable[str], log: Callable[[int, str], str]) -> int:
    """Let the relay send what is quarantined: it looks at each operation's seal and policy, and the last look at its bytes, as ever.

    Args:
        state: the relay's state directory; None for the one that the settings give.
        switch: it must be on, and with a release: the digest of a report that said GO.
        reasons: out of `RELEASABLE`; none for all of these.
        log: writes down how many operations are released on which release, before they are; why it could not, or empty.

    Returns:
        How many operations were released.

    Raises:
        QuarantineError: the switch is not on with a release, a reason is none of these, the log takes no entry, or the outbox is of no use.
    """
    chosen = _checked(reasons, RELEASABLE, "what the last look met is only dropped: phi-audit switch quarantine drop")
    stands = switch.state()
    if not stands.on or not stands.release:
        what = "is off" if not stands.on else "was turned on without a report"
        advice = "give one that says GO: phi-audit switch on --report FILE"
        raise QuarantineError(f"{switch.place}: the switch {what}, so nothing is released; {advice}")
    with _outbox(state) as outbox:
        n = sum(held.operations for held in outbox.held() if held.reason in chosen)
        if n and (fault := log(n, stands.release)):
            raise QuarantineError(f"nothing is released, since the audit's log takes no entry: {fault}")
        return outbox.release(chosen) if n else 0


def drop_quarantine(state: Path | None, reasons: Iterable[str]) -> int:
    """Drop what is quarantined for good; the relay's ledger counts it as dropped.

    Args:
        state: the relay's state directory; None for the one that the settings give.
        reasons: out of `tracing.relay.quarantine.REASONS`; none for all.

    Returns:
        How many operations were dropped.

    Raises:
        QuarantineError: a reason is none of these, or the outbox is of no use.
    """
    chosen = _checked(reasons, REASONS, "")
    with _outbox(state) as outbox:
        return outbox.drop_quarantined(chosen)


def _checked(reasons: Iterable[str], known: tuple[str, ...], advice: str) -> tuple[str, ...]:
    chosen = tuple(reasons)
    if not set(chosen) <= set(known):
        raise QuarantineError("; ".join(filter(None, (f"a reason is one of {', '.join(known)}", advice))))
    return chosen or known


@contextmanager
def _outbox(state: Path | None) -> Iterator[Outbox]:
    path = (state if state is not None else read_settings().state) / OUTBOX
    if not path.is_file():
        raise QuarantineError(f"{path}: there is no outbox; name the relay's state directory with --state")
    try:
        outbox = Outbox(path)
    except OutboxUnusable as fault:
        raise QuarantineError(f"{fault}; the relay puts it aside and goes on with a new one") from None
    except (sqlite3.Error, OSError):
        raise QuarantineError(f"{path}: cannot be opened; check its owner and the disk") from None
    try:
        yield outbox
    except sqlite3.Error as fault:
        raise QuarantineError(f"{path}: cannot be changed ({fault.sqlite_errorname}); check the space left, and try again") from None
    finally:
        outbox.close()
