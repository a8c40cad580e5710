"""The witness of alerts: each message is an entry of the audit's log before its first byte leaves, and another when its fate is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit import chain
from audit.alerts.events import Event
from phi_guard.errors import PhiGuardError
from phi_guard.outbound.sink import Posting

SENDING: Final = "alert_sending"
SENT: Final = "alert_sent"
MISSED_MAX: Final = 200
"""Entries that are kept until the log can be written again; the oldest go first."""


@dataclass(frozen=True, slots=True)
class _Missed:
    event: str
    facts: Mapping[str, object]


class LogWitness:
    """Writes to the audit's log.

    A log that cannot be written does not keep an alert from leaving: it holds closed facts alone, and a full disk is what somebody must be
    told of. What could not be written is kept and written with the next, with the time at which it happened among its facts.

    Args:
        directory: of the audit's log.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._about: dict[str, object] = {}
        self._missed: list[_Missed] = []
        self.fault = ""
        """Why the log took no entry, the last time it did not; empty while it does."""

    def tell(self, sink: str, event: Event) -> None:
        """Say what the next posting is about."""
        self._about = {"sink": sink, "alert": event.alert, "state": event.state, "key": event.key, "env": event.env}

    def intend(self, posting: Posting) -> None:
        """As `Witness.intend`; it lets the alert leave even where the log takes nothing."""
        facts = {"to": posting.destination, "bytes": posting.bytes, "body": posting.body_sha256}
        self._write(SENDING, self._about | facts | {"policies": list(posting.policies)})

    def settle(self, outcome: str) -> None:
        """As `Witness.settle`."""
        self._write(SENT, self._about | {"outcome": outcome})

    def _write(self, event: str, facts: Mapping[str, object]) -> None:
        now = datetime.now(UTC)
        waiting = [*self._missed, _Missed(event, facts)]
        self.fault = ""
        while waiting:
            try:
                chain.append(self._directory, waiting[0].event, waiting[0].facts, now=now)
            except (PhiGuardError, OSError) as fault:
                self.fault = str(fault) if isinstance(fault, PhiGuardError) else str(fault.strerror)
                waiting[-1] = _Missed(event, {**facts, "happened": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})
                break
            waiting.pop(0)
        self._missed = waiting[-MISSED_MAX:]
