"""A stand-in for Slack, PagerDuty and a webhook of one's own, on loopback: it judges what comes as they do, answers so, and keeps it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from phi_guard.outbound.webhook import HEADER, verify

SLACK: Final = "/services/T0REHEARSAL/B0REHEARSAL/rehearsal"
WEBHOOK: Final = "/alerts"
PAGERDUTY: Final = "/v2/enqueue"
DOWN: Final = "/down"
"""Below it every request is answered with 503, as a server that is out of order does."""
ROUTING_KEY: Final = "rehearsalrehearsalrehearsal00000"
SECRET: Final = "rehearsal-" * 4
BODY_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it arrived.

    Args:
        sink: ``slack``, ``webhook`` or ``pagerduty``.
        title: its first line; empty where the other side shows none, as PagerDuty of the end of an incident.
        text: all of it, as it would be read.
        state: ``firing``, ``still_firing``, ``resolved``, or ``trigger`` and ``resolve`` of PagerDuty; empty where only the words tell.
        key: by which a firing and its end are known to be of one alert; empty where there is none.
    """

    sink: str
    title: str
    text: str
    state: str = ""
    key: str = ""


class Receiver:
    """Serves while it is used as a context."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        """What was taken, in order."""
        self.refused: list[str] = []
        """Why each message that was not taken was not."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), BODY_MAX)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, body = receiver._judge(self.path, headers, self.rfile.read(length))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            do_GET = do_POST  # noqa: N815  # the library's own name

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the signature is the library's
                """Say nothing: what arrives is kept, not told."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _judge(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """The answer; what is taken is kept before it is given."""
        if path.startswith(DOWN):
            return 503, b"out of order"
        judge = {SLACK: self._slack, WEBHOOK: self._webhook, PAGERDUTY: self._pagerduty}.get(path)
        try:
            told = json.loads(body) if judge is not None else None
        except ValueError:
            told = None
        if judge is None or not isinstance(told, dict):
            self.refused.append("no service" if judge is None else "no JSON object")
            return (404, b"no_service") if judge is None else (400, b"invalid_payload")
        status, answer = judge(told, headers, body)
        if status >= 400:
            self.refused.append(answer.decode())
        return status, answer

    def _slack(self, told: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:  # noqa: ARG002  # as each
        blocks = told.get("blocks")
        if not told.get("text"):
            return 400, b"no_text"
        if not isinstance(blocks, list) or not 0 < len(blocks) <= 50 or not all(_holds(block) for block in blocks):
            return 400, b"invalid_blocks"
        self.arrived.append(Arrived("slack", blocks[0]["text"]["text"], str(told["text"])))
        return 200, b"ok"

    def _webhook(self, told: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        if not verify(SECRET, body, headers.get(HEADER.lower(), ""), time.time()):
            return 401, b"bad_signature"
        facts = told.get("facts", {})
        state, key = str(facts.get("state")), str(facts.get("key"))
        self.arrived.append(Arrived("webhook", str(told.get("title")), str(told.get("text")), state, key))
        return 200, b""

    def _pagerduty(self, told: Mapping[str, Any], headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:  # noqa: ARG002  # as each
        action, payload = told.get("event_action"), told.get("payload", {})
        whole = action == "resolve" or (action == "trigger" and all(payload.get(key) for key in ("summary", "source", "severity")))
        if told.get("routing_key") != ROUTING_KEY or not told.get("dedup_key") or not whole:
            return 400, b'{"status":"invalid event","message":"Event object is invalid"}'
        title = str(payload.get("summary", ""))
        self.arrived.append(Arrived("pagerduty", title, title, str(action), str(told["dedup_key"])))
        return 202, b'{"status":"success","message":"Event processed"}'


def _holds(block: Mapping[str, Any]) -> bool:
    """Whether a block keeps Slack's limits (https://docs.slack.dev/reference/block-kit/blocks)."""
    text = block.get("text", {}).get("text", "")
    fields, elements = block.get("fields", []), block.get("elements", [])
    return (
        len(text) <= (150 if block.get("type") == "header" else 3000)
        and bool(text or fields or elements)
        and len(fields) <= 10
        and len(elements) <= 10
        and all(0 < len(field["text"]) <= 2000 for field in fields)
    )
