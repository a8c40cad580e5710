"""``python -m tracing.local.otlp_sink``: a collector of OpenTelemetry traces that keeps nothing, on this machine only.

It prints one line ``{"url": ...}`` when ready. ``POST /v1/traces`` is answered as OTLP/HTTP asks, with an empty message
(https://opentelemetry.io/docs/specs/otlp/#otlphttp-response); ``GET /received`` tells how much came.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

PATH: Final = "/v1/traces"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OtlpSink

    def do_POST(self) -> None:
        """Take one export and forget it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != PATH:
            self._answer(404, "text/plain", b"")
            return
        self.server.note(len(body))
        self._answer(200, "application/x-protobuf", b"")

    def do_GET(self) -> None:
        """How many exports came, and their bytes."""
        self._answer(200, "application/json", json.dumps({"requests": self.server.requests, "bytes": self.server.bytes}).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class OtlpSink(ThreadingHTTPServer):
    """The collector, on a free port of 127.0.0.1.

    Attributes:
        requests: exports taken.
        bytes: their bodies' bytes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = self.bytes = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where exports go."""
        return f"http://127.0.0.1:{self.server_address[1]}{PATH}"

    def note(self, size: int) -> None:
        """Count one export."""
        with self._lock:
            self.requests += 1
            self.bytes += size


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with OtlpSink() as sink:
        sys.stdout.write(json.dumps({"url": sink.url}) + "\n")
        sys.stdout.flush()
        sink.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
