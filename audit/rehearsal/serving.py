"""The local trace store as a command and as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from phi_guard.errors import PhiGuardError


class StoreError(PhiGuardError):
    """The local trace store did not start; the message says what to do."""


def serve_store(port: int, path: Path, on_ready: Callable[[str], None]) -> str:
    """Serve until told to stop.

    Args:
        port: on loopback; 0 takes a free one.
        path: the SQLite file.
        on_ready: told the address.

    Returns:
        Why it could not serve; empty when it did.

    Raises:
        KeyboardInterrupt: it was told to stop.
    """
    from tracing.local.trace_store import StoreUnavailable, serve  # noqa: PLC0415  # starlette and uvicorn load only to serve

    try:
        serve("127.0.0.1", port, path, on_ready=on_ready)
    except OSError as fault:
        return f"port {port}: {fault.strerror}; choose another with --port"
    except (StoreUnavailable, ValueError) as fault:
        return str(fault)
    return ""


@contextmanager
def run_store(path: Path) -> Iterator[str]:
    """The store in a process of its own; gives its address.

    Raises:
        StoreError: it did not start.
    """
    command = [sys.executable, "-m", "tracing.local.trace_store", "--port", "0", "--path", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603  # our own module
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            msg = f"the local trace store did not start; check that {path.parent} can be written"
            raise StoreError(msg)
        yield str(json.loads(line)["url"])
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
