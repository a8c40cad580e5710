"""Who may look: the host names we answer to, the address that opens once, the token, and what every answer says to the browser.

A page of somebody else that points its own name at this machine (DNS rebinding) is refused by the Host header; another user of this machine
by the cookie; a guesser is slowed down.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "phi_audit_dashboard"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load, run and send to (Content Security Policy, level 3): only what this server gives."""
FREE_TRIES: Final = 3
SLOWEST_S: Final = 300.0
"""Seconds between two tries of one client, at most."""
CLIENTS_MAX: Final = 1_000
"""Whose failures are remembered."""
TARGET_MAX: Final = 4_096
"""Bytes of a path and query; ours have a few hundred."""


class Access:
    """Lets in who opened the printed address or gave the token.

    Args:
        token: what the login page asks for; None where none is asked for.
        once: opens ``/open?token=...`` one time; empty where there is no such address. Without either, everybody is let in.
        clock: seconds, rising.
    """

    def __init__(self, token: str | None, once: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.by_token = token is not None
        self._token = token or ""
        self._once = once
        self._free = token is None and not once
        self._clock = clock
        self._cookie = secrets.token_urlsafe(32)
        self._name = f"{COOKIE}_{secrets.token_hex(4)}"  # cookies know no port: another dashboard of this machine keeps its own
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def known(self, request: Request) -> bool:
        """Whether this browser has been let in."""
        return self._free or _same(request.cookies.get(self._name, ""), self._cookie)

    def opens(self, given: str) -> bool:
        """Whether this is the address that opens once; from then on it is not. Its 256 bits need no protection against guessing."""
        if not self._once or not _same(given, self._once):
            return False
        self._once = ""
        return True

    def wait_s(self, client: str) -> float:
        """Seconds until a client's next try is looked at; 0 where it would be now."""
        return max(0.0, self._tries.get(client, (0, 0.0))[1] - self._clock())

    def token_is(self, given: str, client: str) -> bool:
        """Whether this is the token. A try before `wait_s` is over is none, whatever it says."""
        if not self.by_token or self.wait_s(client):
            return False
        if _same(given, self._token):
            self._tries.pop(client, None)
            return True
        failures = self._tries.get(client, (0, 0.0))[0] + 1
        wait = min(SLOWEST_S, 2.0 ** (failures - FREE_TRIES)) if failures >= FREE_TRIES else 0.0
        self._tries[client] = (failures, self._clock() + wait)
        self._tries.move_to_end(client)
        while len(self._tries) > CLIENTS_MAX:
            self._tries.popitem(last=False)
        return False

    def let_in(self, answer: Response, path: str) -> Response:
        """Give the browser its cookie, which no script reads and no other site sends."""
        answer.set_cookie(self._name, self._cookie, httponly=True, samesite="strict", path=path or "/")
        return answer


class Border:
    """Around the pages: refuses what is not asked of us by name, and tells the browser on every answer what a page may do.

    Args:
        app: the pages.
        hosts: names and addresses we answer to, without a port.
    """

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lasting = "/static/" in scope["path"]

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["Cache-Control"] = "no-cache" if lasting and message["status"] < HTTPStatus.BAD_REQUEST else "no-store"
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        if host_of(Headers(scope=scope).get("host", "")) not in self._hosts:
            words = "this server does not answer under that name; open the address that was printed\n"
            await PlainTextResponse(words, HTTPStatus.FORBIDDEN)(scope, receive, told)
        elif len(scope.get("raw_path") or b"") + len(scope["query_string"]) > TARGET_MAX:
            await PlainTextResponse("the address is too long\n", HTTPStatus.REQUEST_URI_TOO_LONG)(scope, receive, told)
        else:
            await self._app(scope, receive, told)


def host_of(header: str) -> str:
    """The name in a Host header, lower-case, without its port; IPv6 without its brackets."""
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _same(given: str, wanted: str) -> bool:
    """Compared in a time that does not tell where they differ."""
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode("utf-8", "replace"))
