"""Alerts: what a person must look at, told once when it begins: a time and a code, in the relay's log and in a small file."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from tracing.relay.log import say

FILE: Final = "alerts.jsonl"
SIZE_MAX: Final = 262_144
"""Bytes of the file; beyond them it is begun anew and the former one kept as ``alerts.jsonl.1``."""


class Alerts:
    """Tells of a state that needs a person, once for as long as it lasts. Never raises.

    Args:
        directory: where the file is kept, readable by its owner alone.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._told = ""

    def note(self, code: str) -> None:
        """The relay is in this state now; a state that was told already is not told again until `clear`.

        Args:
            code: such as ``halted_http_401``; never anything of what is sent.
        """
        if code == self._told:
            return
        self._told = code
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        say(f"ALERT {code}")
        with suppress(OSError):
            self._append(json.dumps({"schema": "phi-guard.alert/1", "at": at, "code": code}) + "\n")

    def clear(self) -> None:
        """Whatever it was, it is over."""
        self._told = ""

    def _append(self, line: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._path, flags, 0o600)
        try:
            os.write(handle, line.encode())
            size = os.fstat(handle).st_size
        finally:
            os.close(handle)
        if size > SIZE_MAX:
            self._path.replace(self._path.with_name(f"{FILE}.1"))
