"""What every request passes before a route sees it: size limits, the raw record, faults, the key, and the address made plain."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from tracing.local.trace_store.ingest import inflated
from tracing.local.trace_store.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tracing.local.trace_store.faults import Faults
    from tracing.local.trace_store.store import TraceStore

BODY: Final = "trace_store.body"
"""Where a route finds the whole, decompressed body in its scope."""

transport: contextvars.ContextVar[asyncio.Transport | None] = contextvars.ContextVar("transport", default=None)
"""The connection of the request at hand, set by the server in `serve`, so that a fault can break it."""

_PREFIX: Final = re.compile(r"^(?:/api)?(?:/(v[12]))?(?=/)")
_PORT: Final = re.compile(r":[0-9]*$")
_SECRET: Final = frozenset({"x-api-key", "authorization", "cookie", "x-service-key"})
_OPEN: Final = re.compile(r"^/(?:info|attachments/.*|_control)$")
_HOSTS: Final = re.compile(r"127(?:\.[0-9]{1,3}){3}|localhost|\[::1\]", re.IGNORECASE)
"""Names the store answers to: this machine's. A page elsewhere that points its own name here (DNS rebinding) asks under that name."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The most a request may hold; beyond it the answer is 413. `/info` tells the SDK to stay at 20 MiB.

    Args:
        body_bytes: as it arrives, compressed or not.
        content_bytes: after decompression.
    """

    body_bytes: int = 64 * 1024 * 1024
    content_bytes: int = 128 * 1024 * 1024


class Reception:
    """ASGI middleware around the routes. A fault of the store itself becomes a 500 in JSON, without its text."""

    def __init__(self, app: ASGIApp, store: TraceStore, faults: Faults | None, limits: Limits) -> None:
        self.app = app
        self.store = store
        self.faults = faults
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self._receive(scope, receive, send)
        except Refusal as no:
            await JSONResponse({"detail": no.detail}, no.status)(scope, receive, send)
        except RecursionError:
            await JSONResponse({"detail": "body: nested too deep"}, 400)(scope, receive, send)
        except Exception as fault:  # noqa: BLE001 - the text of any fault may hold content, so only its class is told
            _log.error("trace store: %s while answering %s", type(fault).__name__, scope["method"])
            await JSONResponse({"detail": f"the trace store failed: {type(fault).__name__}"}, 500)(scope, receive, send)

    async def _receive(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent_path = scope["path"]
        version = _PREFIX.match(sent_path)
        scope["path"] = ("/v2" if version and version[1] == "v2" else "") + _PREFIX.sub("", sent_path)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not _HOSTS.fullmatch(_PORT.sub("", headers.get("host", ""))):
            raise Refusal(403, "Host: the store answers to 127.0.0.1 and localhost alone; use the address it printed")
        body, whole = await _whole(receive, self.limits.body_bytes)
        faults = None if scope["path"] == "/_control" else self.faults
        await run_in_threadpool(self._admit, scope, headers, body, whole)
        blow = faults.strike(sent_path) if faults else None
        if blow is not None and blow.delay_s:
            await asyncio.sleep(blow.delay_s)
        failing = blow is not None and (blow.reset or blow.status is not None)
        if blow is None or not failing or blow.late:
            if not headers.get("x-api-key") and not _OPEN.match(scope["path"]):
                raise Refusal(401, "x-api-key: the header is missing; any key that is not empty will do")
            await self.app(scope, receive, _nowhere if failing else send)
        if blow is None or not failing:
            return
        line = transport.get()
        if blow.reset and line is not None:
            await _break(line, receive)
            return
        answer = {"detail": "a fault, as asked for"}
        retry = {"Retry-After": blow.retry_after} if blow.retry_after else None
        await JSONResponse(answer, blow.status or 503, headers=retry)(scope, receive, send)

    def _admit(self, scope: Scope, headers: dict[str, str], body: bytes, whole: bool) -> None:
        """Decompress and record the body; what is refused is recorded too, as far as it was read."""
        refusal, content = None, body
        encoding = headers.get("content-encoding", "identity").lower()
        try:
            if not whole:
                raise Refusal(413, f"the body is larger than {self.limits.body_bytes} bytes; send smaller batches")
            if encoding == "zstd":
                content = inflated(body, self.limits.content_bytes)
            elif encoding != "identity":
                raise Refusal(415, "Content-Encoding: send zstd or nothing")
        except Refusal as no:
            refusal = no
        kept = [(name, "<not kept>" if name in _SECRET else value) for name, value in headers.items()]
        address = scope["raw_path"].decode("latin-1") + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        if scope["path"] != "/_control":
            self.store.record(scope["method"], address, kept, content)
        if refusal is not None:
            raise refusal
        scope[BODY] = content


async def _whole(receive: Receive, limit: int) -> tuple[bytes, bool]:
    """The body, or its first ``limit`` bytes and False; a longer one is read on a while, so that the sender hears the answer."""
    body, size = bytearray(), 0
    while True:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        body += piece[: limit - len(body)]
        if message["type"] == "http.disconnect" or not message.get("more_body") or size > 8 * limit:
            return bytes(body), size <= limit


async def _break(line: asyncio.Transport, receive: Receive) -> None:
    """Close the connection so that the other side sees a reset, and wait until the server knows."""
    if (sock := line.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    line.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _nowhere(_: Message) -> None:
    """Drop an answer that a fault replaces."""
