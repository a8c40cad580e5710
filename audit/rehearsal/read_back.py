"""The rehearsal's traces, read back from where they were sent, as an audit reads them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit.crosscheck import check
from audit.population import Counting
from audit.rehearsal.measured import Arrival
from audit.source import Run, SourceError, Window, open_source
from tracing.settings import Settings

AGAIN_S: Final = 0.5
"""Seconds to the second reading; each next waits twice as long, up to `AGAIN_MAX_S`."""
AGAIN_MAX_S: Final = 4.0


def window_of(since: datetime) -> Window:
    """The window that holds a rehearsal that began then, also where clocks differ by a minute."""
    return Window(since - timedelta(minutes=1), since + timedelta(days=1))


def read_back(
    settings: Settings,
    trace_ids: Collection[str],
    *,
    api_key: str,
    since: datetime,
    seconds: float,
    whole: Callable[[Sequence[Run]], bool],
) -> list[Run] | None:
    """Read the traces until they are whole or time is up: a hosted store shows what it took with a delay.

    Args:
        settings: where they were sent.
        trace_ids: the rehearsal's; those of others are not looked at.
        api_key: the key to read with.
        since: when the rehearsal began.
        seconds: how long to try; at least once.
        whole: whether what was read is all.

    Returns:
        The last reading that came to its end; None where none did.
    """
    end, pause = time.monotonic() + seconds, AGAIN_S
    wanted = {trace_id for trace_id in trace_ids if trace_id}
    runs: list[Run] | None = None
    while True:
        try:
            source = open_source(project=settings.project, window=window_of(since), file=None, endpoint=settings.endpoint, api_key=api_key)
            runs = [run for run in source.runs() if run.get("trace_id") in wanted]
        except SourceError:
            pass  # not there yet, or out of order: what was read before stands
        if (runs is not None and whole(runs)) or time.monotonic() + pause > end:
            return runs
        time.sleep(pause)
        pause = min(2 * pause, AGAIN_MAX_S)


def ended(runs: Sequence[Run], trace_ids: Collection[str]) -> bool:
    """Whether each of the traces has its end."""
    return {run.get("trace_id") for run in runs if run.get("name") == "session.end"} >= {trace for trace in trace_ids if trace}


def compare(account: Path, runs: Sequence[Run], since: datetime) -> Arrival:
    """What the relay's account says it delivered, against what was read back.

    Args:
        account: the relay's outbox.
        runs: what was read.
        since: when the rehearsal began.
    """
    counting = Counting()
    for run in runs:
        counting.add(run, str(run.get("name")))
    found = check(account, counting, window_of(since))
    return Arrival(found.expected, found.matched, found.missing, found.why)
