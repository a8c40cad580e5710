"""The go/no-go review in one go: rehearsal, alerts, policy, scan, report, and what to do next; each step kept, so that it can go on."""

from __future__ import annotations

from audit.gonogo.asked import Asked
from audit.gonogo.record import Record, RecordError, Step
from audit.gonogo.run import Held, hold

__all__ = ["Asked", "Held", "Record", "RecordError", "Step", "hold"]
