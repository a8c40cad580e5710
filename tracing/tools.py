"""What a call's tools did, out of the session's events: nothing is wrapped, no tool's schema is touched.

LiveKit tells of a tool's start and end as it happens, and of a whole batch when its last tool has ended. A tool is told at its end,
unless only the batch can say what its result was: a hand-off to another agent, or something LiveKit did not take for a result.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tracing.faults import ToolFaults
from tracing.guarded import Note, offer_spans, take_note
from tracing.identity import new_id
from tracing.record import TOOL_TEXT_MAX

STARTED_KEPT: Final = 1_024
"""Tool calls that are known again when their batch comes."""

RUNNING_MAX: Final = 256
"""Tools that run at once, or wait for their batch; of more the oldest is told as it stands, since each holds its texts."""

_STATUS: Final = {"done": "ok", "error": "error", "cancelled": "cancelled"}
_OBJECT: Final = " object at 0x"  # in the repr of an Agent, and of any other object that says nothing of itself
_TAIL: Final = 512


@dataclass(slots=True)
class ToolRun:
    """One call of one tool. Times are monotonic nanoseconds; ``turn`` is the span it stands under, ``(monotonic start, span id)``.

    Args:
        arguments: LiveKit's own text, no copy; so is ``output``.
        status: ``ok``, ``error`` or ``cancelled``; empty while it runs.
        output: what the model was given as a result; empty for an agent, and where the tool failed.
        handoff: the tool gave the call to another agent.
        batched: its batch has been told, so nothing more will be.
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
    batched: bool = False
    note: Note | None = None


class ToolTracker:
    """Follows the tools of one call. Takes events of any shape and passes over what it cannot read.

    Args:
        turn: the agent turn that a tool starting now belongs to, ``(monotonic start in ns, span id)``, or None.
        took: told the nanoseconds a tool ran, when it ends.
        done: told of each finished tool, once.
    """

    def __init__(self, turn: Callable[[], tuple[int, str] | None], took: Callable[[int], None], done: Callable[[ToolRun], None]) -> None:
        self._turn, self._took, self._done = turn, took, done
        self._running: dict[str, ToolRun] = {}
        self._started: dict[str, None] = {}
        self._faults = ToolFaults()
        self._thread = 0

    def install(self) -> None:
        """Start to watch LiveKit's log for the classes of what tools raise, and to make spans for wrapped functions in this context."""
        self._thread = threading.get_ident()
        self._faults.install()
        offer_spans(self)

    def remove(self) -> None:
        """Stop to do either."""
        self._thread = 0
        self._faults.remove()

    def see(self, event: Any, now: int) -> None:
        """Take a ``tool_execution_updated`` event."""
        update = getattr(event, "update", None)
        kind = getattr(update, "type", None)
        if kind == "tool_call_started":
            call = getattr(update, "function_call", None)
            call_id = _text(call, "call_id")
            if call_id and call_id not in self._running:
                self._remember(call_id)
                self._running[call_id] = self._begin(call, now)
                self._faults.expect(call_id)
                if len(self._running) > RUNNING_MAX:
                    self._tell(self._running.pop(next(iter(self._running))))
        elif kind == "tool_call_ended":
            tool = self._running.get(_text(update, "call_id"))
            if tool is not None and not tool.status:
                self._end(tool, _text(update, "status"), _text(update, "message"), now)

    def see_batch(self, event: Any, now: int) -> None:
        """Take a ``function_tools_executed`` event."""
        outputs = {_text(out, "call_id"): out for out in _listed(event, "function_call_outputs")}
        calls = [(call, _text(call, "call_id")) for call in _listed(event, "function_calls")]
        handed = self._handed([call_id for _, call_id in calls], outputs) if getattr(event, "has_agent_handoff", False) is True else ""
        for call, call_id in calls:
            tool, out = self._running.get(call_id), outputs.get(call_id)
            if tool is not None and not tool.status:
                tool.batched = True  # it told the model something already and goes on
            elif tool is not None:
                self._settle(tool, out, handoff=call_id == handed)
                self._tell(self._running.pop(call_id))
            elif (call_id or _text(call, "name")) and call_id not in self._started:
                self._remember(call_id)  # LiveKit turned it away before it started, most often since the model made the tool up
                tool = self._begin(call, now)
                refused = getattr(out, "is_error", True) is not False
                tool.status, tool.output = ("error", "") if refused else ("ok", _text(out, "output"))
                tool.error_type = self._faults.take("", tool.tool) if refused else ""
                tool.end_ns = now
                self._tell(tool)

    def finish(self) -> list[ToolRun]:
        """The call is over: what still runs, to be told by the caller one by one."""
        left = list(self._running.values())
        self._running.clear()
        return left

    def tell(self, tool: ToolRun) -> None:
        """Tell of a tool that `finish` gave."""
        self._tell(tool)

    def begin_own(self, name: str) -> ToolRun | None:
        """A wrapped function outside LiveKit's tools begins; None where this call has no span for it.

        It stands under the call, not under a turn: no answer waits for it that we know of, so its time is no tool time of a turn.
        Another thread's function has none: a call's records are counted on its own thread. Nor has one of a name that runs as a tool
        just now: it may be that tool.
        """
        if threading.get_ident() != self._thread or any(run.tool == name and run.call_id != run.key for run in self._running.values()):
            return None
        key = new_id()
        self._running[key] = run = ToolRun(key, key, name, "", time.monotonic_ns(), None)
        return run

    def end_own(self, run: ToolRun, status: str, error_type: str) -> None:
        """It has ended."""
        if threading.get_ident() == self._thread and self._running.pop(run.key, None) is not None:
            run.end_ns, run.status, run.error_type = time.monotonic_ns(), status, error_type
            self._tell(run)

    def _remember(self, call_id: str) -> None:
        self._started[call_id] = None
        if len(self._started) > STARTED_KEPT:
            del self._started[next(iter(self._started))]

    def _begin(self, call: Any, now: int) -> ToolRun:
        return ToolRun(new_id(), _text(call, "call_id"), _text(call, "name"), _text(call, "arguments"), now, self._turn())

    def _end(self, tool: ToolRun, status: str, message: str, now: int) -> None:
        tool.end_ns, tool.status = now, _STATUS.get(status, "error")
        tool.note = note = take_note(tool.call_id)
        if note is not None:
            tool.start_ns, tool.end_ns = note.start_ns, note.end_ns
        self._took(tool.end_ns - tool.start_ns)
        if tool.status == "error":
            tool.error_type = (note.error_type if note is not None else "") or self._faults.take(tool.call_id)
            waits = not tool.error_type
        else:
            tool.output = message if tool.status == "ok" else ""
            waits = tool.status == "ok" and (not message or message[0] in "([" or _shows_object(message))
        if tool.batched or not waits:
            self._tell(self._running.pop(tool.call_id))

    def _handed(self, calls: list[str], outputs: dict[str, Any]) -> str:
        """Which of a batch's calls gave the agent; empty where the events leave more than one, and none of them is wrapped."""
        sure: list[str] = []
        able: list[str] = []
        for call_id in calls:
            tool = self._running.get(call_id)
            if tool is None or tool.status != "ok" or getattr(outputs.get(call_id), "is_error", True):
                continue
            if tool.note is not None:
                if tool.note.handoff:
                    return call_id
            elif _shows_object(tool.output):  # any other object in it would have made it an error
                sure.append(call_id)
            elif not tool.output or tool.output != _text(outputs[call_id], "output"):
                able.append(call_id)
        found = sure or able
        return found[0] if len(found) == 1 else ""

    def _settle(self, tool: ToolRun, out: Any, *, handoff: bool) -> None:
        """What the batch says of a tool that had ended: what the model was given, which is not always what the tool returned."""
        tool.handoff = handoff
        if tool.status != "ok" or out is None:
            return
        if getattr(out, "is_error", False) is True:  # LiveKit took no such result, or a hand-off did not happen any more
            tool.status, tool.output = "error", ""
        elif tool.output != (given := _text(out, "output")):  # such as what is left of a list when the agent in it is taken out
            tool.output = given

    def _tell(self, tool: ToolRun) -> None:
        tool.end_ns = max(tool.end_ns or time.monotonic_ns(), tool.start_ns)
        tool.status = tool.status or "cancelled"
        tool.note = None
        if tool.status == "error":
            tool.error_type, tool.output = tool.error_type or self._faults.take(tool.call_id) or "UnknownError", ""
        else:
            tool.error_type = ""
            if _shows_object(tool.output):  # an object's address is nobody's result
                tool.output = ""
        self._done(tool)


def _shows_object(text: str) -> bool:
    """Whether an object's repr stands in what would be recorded of a text, or at its end. Copies nothing, whatever the length."""
    return text.find(_OBJECT, 0, TOOL_TEXT_MAX) >= 0 or text.find(_OBJECT, max(0, len(text) - _TAIL)) >= 0


def _text(of: Any, name: str) -> str:
    value = getattr(of, name, None)
    return value if isinstance(value, str) else ""


def _listed(of: Any, name: str) -> Iterable[Any]:
    value = getattr(of, name, None)
    return value if isinstance(value, list | tuple) else ()
