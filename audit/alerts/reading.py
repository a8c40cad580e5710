"""Bringing the call index up to date for the alerts, and opening the sinks the environment names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit.alerts.judging import month_of
from audit.alerts.rules import Rule
from audit.calls.index import CallIndex
from audit.source import Window, open_source
from phi_guard.outbound.sink import Sink

LOOK_BACK: Final = timedelta(hours=6)
"""How far back runs are read again: traces come late, and a call that goes on began some time ago."""
KEPT: Final = timedelta(days=31)
"""How much longer calls are kept than any rule asks for: a watch tells of the hours since it began."""
SLACK: Final = "SLACK_WEBHOOK_URL"
WEBHOOK: Final = "PHI_GUARD_ALERT_WEBHOOK_URL"
WEBHOOK_SECRET: Final = "PHI_GUARD_ALERT_WEBHOOK_SECRET"  # noqa: S105  # the variable's name
PAGERDUTY: Final = "PAGERDUTY_ROUTING_KEY"


class Reading:
    """Reads a source into an index, from the month's begin at first, then what is new.

    Args:
        index: that takes the calls.
        rules: whose windows must be in it.
        project: name of the LangSmith project.
        file: an export in its place, or None.
        endpoint: LangSmith's address.
        api_key: LangSmith's key.
    """

    def __init__(self, index: CallIndex, rules: Sequence[Rule], *, project: str, file: Path | None, endpoint: str, api_key: str) -> None:
        self._index = index
        self._longest = timedelta(seconds=max((rule.window_s for rule in rules), default=0)) + LOOK_BACK
        self._project, self._file, self._endpoint, self._api_key = project, file, endpoint, api_key

    def refresh(self, now: datetime) -> None:
        """Read what is new, and drop what no rule can ask for any more.

        Raises:
            SourceError: it could not be read, or not to its end.
        """
        last = self._index.refreshed
        begin = needed = min(month_of(now)[0], now - self._longest)
        if last is not None and last <= now:
            begin = max(begin, last - LOOK_BACK)
        source = open_source(
            project=self._project, window=Window(begin, now), file=self._file, endpoint=self._endpoint, api_key=self._api_key, now=now
        )
        # all that began since then is in it: a call that is not was deleted, such as by a purge
        self._index.refresh(source, now=now, since=begin if source.live else None)
        if source.live:  # a file's calls may be of any time, and its index does not outlive the command
            self._index.drop_before(needed - KEPT)


@contextmanager
def opened(directory: Path, *, project: str, file: Path | None, endpoint: str) -> Iterator[CallIndex]:
    """The index of a source: kept in the audit's directory for a project, for a file only while it is used.

    Raises:
        PhiGuardError: it cannot be used as an index.
    """
    of = hashlib.blake2b(f"{endpoint}\n{project}".encode(), digest_size=8).hexdigest()
    index = CallIndex(None if file is not None else directory / f"alerts-calls-{of}.sqlite3")
    try:
        yield index
    finally:
        index.close()


def sinks_of(environ: Mapping[str, str]) -> dict[str, Sink]:
    """The sinks whose address the environment gives, by name.

    Raises:
        PhiGuardError: an address is none; the message does not hold it.
    """
    sinks: dict[str, Sink] = {}
    if url := environ.get(SLACK):
        from phi_guard.outbound.slack import SlackSink  # noqa: PLC0415  # each loads its own client

        sinks["slack"] = SlackSink(url)
    if url := environ.get(WEBHOOK):
        from phi_guard.outbound.webhook import WebhookSink  # noqa: PLC0415

        sinks["webhook"] = WebhookSink(url, environ.get(WEBHOOK_SECRET) or None)
    if key := environ.get(PAGERDUTY):
        from phi_guard.outbound.pagerduty import PagerDutySink  # noqa: PLC0415

        sinks["pagerduty"] = PagerDutySink(key)
    return sinks
