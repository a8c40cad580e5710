"""What the rules are judged by, behind one Protocol: the call index, the switch, the audit's log, the relay's account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from audit.calls.index import Rates
from phi_guard.errors import PhiGuardError
from phi_guard.switch import SwitchState


class NotKnown(PhiGuardError):
    """A piece of evidence cannot be had now, so what rests on it cannot be judged; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A sign of a leak that nothing has settled yet.

    Args:
        at: when it was known, with a zone.
        cause: ``report`` (a report that says NO-GO), ``hold`` (the switch is held for it), ``purge`` or ``incident``.
        report: digest of the report it rests on, or empty.
    """

    at: datetime
    cause: str
    report: str = ""


class Evidence(Protocol):
    """All that one evaluation looks at. It says the same however often it is asked within one; each answer may raise `NotKnown`."""

    @property
    def env(self) -> str:
        """Environment that is judged: ``dev`` or ``prod``."""

    @property
    def project(self) -> str:
        """Name of the project, or empty."""

    @property
    def read_at(self) -> datetime | None:
        """When the traces were last read whole, with a zone; None if they never were."""

    def rates(self, since: datetime, until: datetime) -> Rates:
        """The counts of the calls of a window, from ``since`` on and before ``until``."""

    def leaks(self, now: datetime) -> tuple[Leak, ...]:
        """What speaks of a leak and is not settled, oldest first."""

    def switch(self) -> SwitchState:
        """Where telemetry's switch stands."""

    def calls_ran(self, since: datetime, until: datetime) -> int | None:
        """Calls that began in a window, by an account that does not rest on traces; None where there is none."""
