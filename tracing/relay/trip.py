"""What turns the switch off by itself: an agent that telemetry costs too much, and a gate that has broken while it ran. Both are held.

The third, a leak met by the last look, is the shipper's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from phi_guard.switch_state import SwitchError
from tracing.relay.log import say

if TYPE_CHECKING:
    from phi_guard.switch_state import Switch
    from tracing.own_cost import Overrun
    from tracing.relay.alerts import Alerts

OVERHEAD: Final = "overhead"
"""The hold of an agent that telemetry costs too much."""
GATE: Final = "gate"
"""The hold of a gate that has broken."""
BROKEN: Final = frozenset({"gate_fault", "detector_unavailable", "policy_unreadable"})
"""Why a content is withheld that is no decision of the policy's: the gate could not decide."""
BROKEN_MAX: Final = 10
"""So many in `WINDOW_S` are let pass: one odd record comes in several operations."""
WINDOW_S: Final = 60.0
AGAIN_S: Final = 5.0
"""A trip that could not be written is tried again after so long, where its cause goes on."""


class Tripwire:
    """Turns the switch off, held, and tells a person. Never raises. Any thread may call it.

    Args:
        switch: the switch.
        alerts: told what happened.
    """

    def __init__(self, switch: Switch, alerts: Alerts | None = None) -> None:
        self._switch, self._alerts = switch, alerts
        self._lock = threading.Lock()
        self._broken: deque[float] = deque(maxlen=BROKEN_MAX + 1)
        self._tried = float("-inf")

    def note_withheld(self, reason: str) -> None:
        """A content was withheld.

        Args:
            reason: the gate's own.
        """
        if reason not in BROKEN:
            return
        now = time.monotonic()
        self._broken.append(now)
        if len(self._broken) > BROKEN_MAX and now - self._broken[0] <= WINDOW_S:
            self._trip(f"the gate is broken: over {BROKEN_MAX} contents withheld in a minute ({reason})", GATE)

    def note_overrun(self, told: Overrun) -> None:
        """An agent tells that telemetry cost it too much."""
        facts = f"{told.slow} of the last {told.of} operations over {told.limit_us} us, the slowest {told.slowest_us} us"
        self._trip(f"telemetry costs an agent too much: {facts}", OVERHEAD)

    def _trip(self, reason: str, hold: str) -> None:
        with self._lock:
            now = time.monotonic()
            state = self._switch.state()
            if (not state.on and state.hold) or now - self._tried < AGAIN_S:
                return
            self._tried = now
            try:
                self._switch.turn_off(reason, hold)
            except SwitchError:
                say(f"ALERT tripped_{hold}: the switch cannot be written")
            self._broken.clear()
            if self._alerts is not None:
                self._alerts.note(f"tripped_{hold}")
