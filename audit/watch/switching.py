"""Telemetry's switch as a watch sees it: where it stands, and for how long it was off since the last look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from audit.watch.round import SwitchLook
from phi_guard.switch import SwitchState


def look(state: Callable[[], SwitchState], before: SwitchLook | None, since: datetime, now: datetime) -> SwitchLook:
    """Look once.

    The switch says since when it stands as it does, so a time off is known to the second where it was set once between two looks. Where it
    was set more often, what is not known counts as off.

    Args:
        state: says where it stands; never raises.
        before: as it was found last; None at the first look.
        since: when that was, or when the watch began.
        now: with a zone.
    """
    found = state()
    at = _moment(found.at)
    changed = before is not None and (before.on, before.at, before.hold) != (found.on, found.at, found.hold)
    whole = max(0.0, (now - since).total_seconds())
    if not found.on:
        still = before is None or before.on
        off = max(0.0, (now - max(at, since)).total_seconds()) if at is not None and still else whole
    elif before is not None and changed:
        off = max(0.0, min(whole, (at - since).total_seconds())) if at is not None else whole
    elif before is None and at is not None:
        off = max(0.0, min(whole, (at - since).total_seconds()))
    else:
        off = 0.0
    return SwitchLook(on=found.on, at=found.at, hold=found.hold, off_s=round(off, 3), changed=changed)


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None
