"""Keeping an index up to date for whoever polls: only what is new is read, and once a day all of it again for what came late."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit.calls.index import CallIndex
from audit.keys import audit_dir
from audit.population import CALL_MAX
from audit.source import Source, Window
from phi_guard.policy.compiled import Policy

NAME: Final = "calls.db"
"""Of the index among the audit's files."""
BACK: Final = timedelta(days=30)
OVERLAP: Final = timedelta(hours=2)
"""More than a call lasts (`CALL_MAX`): the end of one that was still going on is read with it."""
WHOLE_EVERY: Final = timedelta(days=1)
"""How often everything is read again: an outbox that waited for hours delivers runs that began long ago."""


def open_index(path: Path | None = None, *, policy: Policy | None = None) -> CallIndex:
    """The index in that file; None for the one among the audit's files.

    Args:
        path: of the index.
        policy: whose tools and fields may be named; None for the shipped one.

    Raises:
        PhiGuardError: it cannot be used.
    """
    return CallIndex(path or audit_dir() / NAME, policy=policy)


def bring_up_to_date(
    index: CallIndex,
    open_for: Callable[[Window], Source],
    now: datetime,
    back: timedelta = BACK,
    overlap: timedelta = OVERLAP,
) -> int:
    """Read what is new in a source since it was last read, and give how many runs changed something.

    A source that is not live, such as a file, is read whole each time.

    Args:
        index: brought up to date. What was read of each source is remembered in it.
        open_for: opens the source for a window; opening it reads nothing.
        now: the clock's time, with a zone.
        back: how far back the index is to reach.
        overlap: read again before the last reading; at least `CALL_MAX`.

    Raises:
        SourceError: it could not be read, or not to its end; the next call reads the same again.
    """
    everything = Window(now - back, now)
    source = open_for(everything)
    if not source.live:
        return index.refresh(source, now=now)
    key = _key(source.place, source.manifest().query.get("project", ""))
    last, whole, reaches = (index.remembered(f"{what} {key}") for what in ("last", "whole", "from"))
    if last and whole and reaches and whole <= now < whole + WHOLE_EVERY and everything.since >= reaches:
        since = max(everything.since, min(last, now) - max(overlap, CALL_MAX))
        changed = index.refresh(open_for(Window(since, now)), now=now)
    else:
        changed = index.refresh(source, now=now, since=everything.since)
        index.remember(f"whole {key}", now)
        index.remember(f"from {key}", everything.since)
    index.remember(f"last {key}", now)
    return changed


def _key(*names: str) -> str:
    return hashlib.blake2b("\n".join(names).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
