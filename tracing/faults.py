"""The class of the exception a tool raised, and nothing else of it.

LiveKit's events carry a failed tool's text, which can hold a patient's data, but not its class. Its logger is given the exception itself;
a filter that lets everything through is the one place to read the class without wrapping the tools.

Which call failed is told by the task: LiveKit tells of a tool's start, and logs what the tool raised, in one and the same task. So two
calls of one tool that fail at once are not mixed up, nor are those of two sessions in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict, deque
from typing import Any, Final
from weakref import WeakKeyDictionary

LOGGER: Final = "livekit.agents"
_KEPT: Final = 64
_EXPECTED: Final = 1_024
_NAME_MAX: Final = 64

# By task: which watch waits for it, and for which call. Shared, so that a watch knows what is another's.
_calls: WeakKeyDictionary[asyncio.Task[Any], tuple[object, str]] = WeakKeyDictionary()


class ToolFaults(logging.Filter):
    """Remembers the class name of what the last tools raised; changes and stops no log record."""

    def __init__(self) -> None:
        super().__init__()
        self._own = object()
        self._expected: OrderedDict[str, None] = OrderedDict()
        self._by_call: OrderedDict[str, str] = OrderedDict()
        self._by_name: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    def install(self) -> None:
        """Start to watch, before any other filter that could take the exception away; installing twice watches once."""
        logger = logging.getLogger(LOGGER)
        if self not in logger.filters:
            logger.filters.insert(0, self)

    def remove(self) -> None:
        """Stop to watch."""
        logging.getLogger(LOGGER).removeFilter(self)

    def expect(self, call_id: str) -> None:
        """This call of a tool starts now, in the task that runs; what that task logs is its."""
        task = current_task()
        if task is not None:
            _calls[task] = (self._own, call_id)
        self._expected[call_id] = None
        while len(self._expected) > _EXPECTED:
            self._expected.popitem(last=False)

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at a record and let it through. What a filter raises comes out of the agent's own logging call, so nothing does."""
        with contextlib.suppress(Exception):
            self._look(record)
        return True

    def _look(self, record: logging.LogRecord) -> None:
        function = getattr(record, "function", None)
        if not isinstance(function, str):
            return
        raised = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        name = raised.__name__[:_NAME_MAX] if raised is not None else "ToolError" if record.levelno == logging.WARNING else ""
        if not name:
            return
        task = current_task()
        owner, call_id = _calls.get(task, (None, "")) if task is not None else (None, "")
        told = getattr(record, "call_id", None)
        if owner is self._own or (isinstance(told, str) and told in self._expected):
            self._by_call[call_id or str(told)] = name
            while len(self._by_call) > _KEPT:
                self._by_call.popitem(last=False)
        elif owner is None and told is None:  # it failed before it could start; LiveKit tells no more of it than the tool's name
            self._by_name.append((function, name))

    def take(self, call_id: str, tool: str = "") -> str:
        """The class name of what a call raised; empty when it was not seen. Forgets it.

        Args:
            call_id: the call, for one that had started.
            tool: the tool's name, for one that failed before it could start: of those the oldest.
        """
        found = self._by_call.pop(call_id, "")
        for entry in tuple(self._by_name) if tool and not found else ():  # another thread's tool may fail meanwhile
            if entry[0] == tool:
                with contextlib.suppress(ValueError):
                    self._by_name.remove(entry)
                return entry[1]
        return found


def current_task() -> asyncio.Task[Any] | None:
    """The task that runs here; None outside a loop, such as in another thread."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None
