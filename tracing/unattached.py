"""The call of an agent without telemetry: it takes what a `Call` takes, and does nothing."""

from __future__ import annotations


class Unattached:
    """What `tracing.attach` gives when telemetry is off or could not be attached. It is false, and never raises.

    Attributes:
        id: empty: there is no trace.
        faults: 0.
        media: None.
    """

    id = ""
    faults = 0
    media = None

    def __bool__(self) -> bool:
        return False

    def consent(self, state: str, version: str = "") -> None:
        """Nothing is recorded, so nothing changes. Arguments as `Call.consent`."""

    def detach(self, reason: str = "unknown") -> None:
        """There is nothing to end. Arguments as `Call.detach`."""

    async def flush(self, seconds: float = 3.0) -> bool:  # noqa: ARG002  # as Call.flush
        """Nothing waits: True at once. Arguments as `Call.flush`."""
        return True
