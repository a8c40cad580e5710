"""``python -m tracing.local.trace_store --port 0 --path FILE``: prints one line ``{"url": ...}`` when ready, and serves until stopped."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from contextlib import suppress

from tracing.local.trace_store.faults import Faults
from tracing.local.trace_store.retention import KEEPS
from tracing.local.trace_store.serve import serve
from tracing.local.trace_store.store import StoreUnavailable


def main() -> int:
    """Serve as the arguments say; 0 when stopped, 2 when it cannot start."""
    parser = argparse.ArgumentParser(
        prog="python -m tracing.local.trace_store", description="A LangSmith-compatible trace store on this machine."
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free one")
    parser.add_argument("--path", default=":memory:", help="the store's file (default: %(default)s)")
    parser.add_argument("--keep", choices=list(KEEPS), default="all", help="delete whole traces that are older (default: %(default)s)")
    parser.add_argument("--keep-raw", action="store_true", help="keep every request as it arrived")
    parser.add_argument("--faults", action="store_true", help="let POST /_control ask for faults")
    parser.add_argument("--with-stdin", action="store_true", help="stop when stdin ends, as it does when whoever holds its other end does")
    asked = parser.parse_args()
    if asked.with_stdin:
        threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    try:
        faults = Faults() if asked.faults else None
        serve(asked.host, asked.port, asked.path, on_ready=_say, keep_raw=asked.keep_raw, faults=faults, keep_days=KEEPS[asked.keep])
    except KeyboardInterrupt:
        return 0
    except (OSError, OverflowError, ValueError, StoreUnavailable) as fault:
        sys.stderr.write(f"trace store: {fault}\n")
        return 2
    return 0


def _stop_with_stdin() -> None:
    with suppress(OSError):
        while os.read(0, 512):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
