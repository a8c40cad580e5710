"""What a call's tools did, out of the session's events: nothing is wrapped, no tool's schema is touched.

LiveKit tells of a tool's start and end as it happens, and of a whole batch when its last tool has ended; the class of what a tool raised
is logged in between. So a tool that failed is told with its batch, any other at its end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tracing.faults import ToolFaults
from tracing.identity import new_id

STARTED_KEPT: Final = 64
"""Tool calls whose end has been told and whose batch may still come."""


@dataclass(slots=True)
class ToolRun:
    """One call of one tool. Times are monotonic nanoseconds; ``turn`` is the span it stands under, ``(monotonic start, span id)``.

    Args:
        status: ``ok``, ``error`` or ``cancelled``; empty while it runs.
    """

    key: str
    call_id: str
    tool: str
    arguments: str
    start_ns: int
    turn: tuple[int, str] | None
    end_ns: int = 0
    status: str = ""
    output: str = ""
    error_type: str = ""
    handoff: bool = False


class ToolTracker:
    """Follows the tools of one call.

    Args:
        turn: the agent turn that a tool starting now belongs to, ``(monotonic start in ns, span id)``, or None.
        took: told the nanoseconds a tool ran, when it ends.
        done: told of each finished tool, once.
    """

    def __init__(self, turn: Callable[[], tuple[int, str] | None], took: Callable[[int], None], done: Callable[[ToolRun], None]) -> None:
        self._turn, self._took, self._done = turn, took, done
        self._running: dict[str, ToolRun] = {}
        self._started: deque[str] = deque(maxlen=STARTED_KEPT)
        self._faults = ToolFaults()

    def install(self) -> None:
        """Start to watch LiveKit's log for the classes of what tools raise."""
        self._faults.install()

    def remove(self) -> None:
        """Stop to watch it."""
        self._faults.remove()

    def see(self, event: Any, now: int) -> None:
        """Take a ``tool_execution_updated`` event."""
        update = event.update
        if update.type == "tool_call_started":
            self._started.append(update.function_call.call_id)
            self._running[update.function_call.call_id] = self._begin(update.function_call, now)
        elif update.type == "tool_call_ended":
            tool = self._running.get(update.call_id)
            if tool is not None:
                tool.end_ns, tool.status = now, {"done": "ok"}.get(update.status, update.status)
                tool.output = update.message or ""
                self._took(now - tool.start_ns)
                if tool.status != "error":  # the class of an error is logged after this event: it waits for the batch's end
                    self._tell(self._running.pop(update.call_id))

    def see_batch(self, event: Any, now: int) -> None:
        """Take a ``function_tools_executed`` event."""
        for call in event.function_calls:
            tool = self._running.get(call.call_id)
            if tool is not None and tool.status:
                self._tell(self._running.pop(call.call_id))
            elif call.call_id not in self._started:  # a tool that does not exist: the model made it up, and nothing ever started
                tool = self._begin(call, now)
                tool.status = "error"
                self._tell(tool)

    def finish(self) -> list[ToolRun]:
        """The call is over: what still runs, to be told by the caller one by one."""
        left = list(self._running.values())
        self._running.clear()
        return left

    def tell(self, tool: ToolRun) -> None:
        """Tell of a tool that `finish` gave."""
        self._tell(tool)

    def _begin(self, call: Any, now: int) -> ToolRun:
        return ToolRun(new_id(), call.call_id, call.name, call.arguments, now, self._turn())

    def _tell(self, tool: ToolRun) -> None:
        tool.end_ns = tool.end_ns or time.monotonic_ns()
        tool.status = tool.status or "cancelled"
        if tool.status == "error":
            tool.error_type = self._faults.take(tool.call_id, tool.tool) or "UnknownError"
        self._done(tool)
