"""The class of the exception a tool raised, and nothing else of it.

LiveKit's events carry a failed tool's text, which can hold a patient's data, but not its class. Its logger is given the exception itself;
a filter that lets everything through is the one place to read the class without wrapping the tools.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from typing import Final

LOGGER: Final = "livekit.agents"
_KEPT: Final = 64


class ToolFaults(logging.Filter):
    """Remembers, for the last failed tools, ``(call id or tool name, class name)``; changes and stops no log record."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    def install(self) -> None:
        """Start to watch; installing twice watches once."""
        logging.getLogger(LOGGER).addFilter(self)

    def remove(self) -> None:
        """Stop to watch."""
        logging.getLogger(LOGGER).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at a record and let it through. What a filter raises comes out of the agent's own logging call, so nothing does."""
        with contextlib.suppress(Exception):
            self._look(record)
        return True

    def _look(self, record: logging.LogRecord) -> None:
        function = getattr(record, "function", None)
        if isinstance(function, str):
            raised = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
            name = raised.__name__ if raised is not None else "ToolError" if record.levelno == logging.WARNING else ""
            if name:
                self._seen.append((str(getattr(record, "call_id", function)), name))

    def take(self, call_id: str, tool: str) -> str:
        """The class name of what this call raised, by its id or else by the tool's name; empty when it was not seen. Forgets it."""
        for key in (call_id, tool):
            for entry in tuple(self._seen):  # another thread's tool may fail meanwhile
                if entry[0] == key:
                    with contextlib.suppress(ValueError):
                        self._seen.remove(entry)
                    return entry[1]
        return ""
