"""The review as a page on this machine: one address with a token that opens once, nothing loaded from anywhere, nothing kept.

The page is plain forms; a short script adds keys. Only who opened the token's address has the session's cookie, only forms that this page
made are taken, and the server takes no request under another host's name (against DNS rebinding). It ends by itself when the review does.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from audit.review import page
from audit.review.record import ReviewError

if TYPE_CHECKING:
    import socket

    from starlette.requests import Request

    from audit.review.session import Session

COOKIE: Final = "phi_audit_review"
BODY_MAX: Final = 4_096
"""Bytes of a form; ours have a few hundred."""
HOST: Final = "127.0.0.1"


class Pages:
    """The routes of one review.

    Args:
        session: the review.
        consented: called once, when the reviewer has agreed to see content; may raise `ReviewError`.
        finished: called once, when the review has ended or is left for later.
    """

    def __init__(self, session: Session, consented: Callable[[], None], finished: Callable[[], None]) -> None:
        self._session = session
        self._consented = consented
        self._finished = finished
        self._once = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._form = secrets.token_urlsafe(32)
        self._agreed = False
        self._over = ""

    @property
    def first(self) -> str:
        """Path and query that open the review, once."""
        return f"/open?token={self._once}"

    def app(self) -> Starlette:
        """The application."""
        return Starlette(routes=[Route("/open", self._open), Route("/", self._show), Route("/{act}", self._act, methods=["POST"])])

    async def _open(self, request: Request) -> Response:
        given = request.query_params.get("token", "")
        if not _ours(request) or not self._once or not secrets.compare_digest(given.encode(), self._once.encode()):
            return _refused("this address opens once, and has been opened or is not the one that was printed")
        self._once = ""
        answer = _safe(RedirectResponse("/", HTTPStatus.SEE_OTHER))
        answer.set_cookie(COOKIE, self._cookie, httponly=True, samesite="strict")
        return answer

    async def _show(self, request: Request) -> Response:
        if not self._known(request):
            return _refused("open the address that was printed")
        return self._page("")

    async def _act(self, request: Request) -> Response:
        if not self._known(request):
            return _refused("open the address that was printed")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_MAX:
                return _refused("the form is too large")
        form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()}
        if not secrets.compare_digest(form.get("form", "").encode(), self._form.encode()):
            return _refused("this form is not of this page; load the page again")
        try:
            await run_in_threadpool(self._do, request.path_params["act"], form)
        except ReviewError as fault:
            return self._page(str(fault), HTTPStatus.CONFLICT)
        return _safe(RedirectResponse("/", HTTPStatus.SEE_OTHER)) if not self._over else self._page("")

    def _do(self, act: str, form: Mapping[str, str]) -> None:
        session = self._session
        if self._over:
            return
        if act == "consent":
            if form.get("word") != page.CONSENT:
                msg = f"type {page.CONSENT} to see the content"
                raise ReviewError(msg)
            if not self._agreed:
                self._consented()
            self._agreed = True
        elif act == "later":
            self._over = "later"
            self._finished()
        elif not self._agreed:
            msg = "agree first"
            raise ReviewError(msg)
        elif act == "decide":
            place = form.get("place", "") if form.get("said") == "leak" else ""
            session.decide(
                form.get("item", ""), form.get("said", ""), entity=form.get("entity", ""), place=place, comment=form.get("comment", "")
            )
        elif act == "undo":
            session.undo()
        elif act == "end":
            if session.current() is not None:
                msg = "not all are decided yet; go on, or leave the rest for later"
                raise ReviewError(msg)
            session.close()
            self._over = "ended"
            self._finished()

    def _page(self, fault: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
        nonce = secrets.token_urlsafe(16)
        if self._over:
            text = page.over(self._over, nonce)
        elif not self._agreed:
            text = page.consent(self._session, self._form, fault, nonce)
        else:
            text = page.item(self._session, self._form, fault, nonce)
        return _safe(HTMLResponse(text, status), nonce)

    def _known(self, request: Request) -> bool:
        return _ours(request) and secrets.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie.encode())


def serve(session: Session, *, port: int, consented: Callable[[], None], announce: Callable[[str], None]) -> None:
    """Serve the review on 127.0.0.1 until it ends or is left.

    Args:
        session: the review.
        port: 0 takes a free one.
        consented: called once, when the reviewer has agreed to see content.
        announce: told the address.

    Raises:
        ReviewError: the port is taken.
    """
    servers: list[uvicorn.Server] = []

    def finished() -> None:
        for each in servers:
            each.should_exit = True

    pages = Pages(session, consented, finished)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(f"http://{HOST}:{self.servers[0].sockets[0].getsockname()[1]}{pages.first}")

    # No logs: an address holds the token.
    server = Server(
        uvicorn.Config(
            pages.app(), host=HOST, port=port, lifespan="off", log_config=None, log_level="critical", access_log=False,
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    servers.append(server)
    try:
        server.run()
    except SystemExit:
        raise ReviewError(f"port {port}: cannot be used; choose another with --port") from None


def _ours(request: Request) -> bool:
    """Whether the request names this machine as its host, so that no foreign name has been pointed here."""
    return request.headers.get("host", "").rpartition(":")[0] in {HOST, "localhost"}


def _refused(why: str) -> Response:
    return _safe(Response(f"{why}\n", HTTPStatus.FORBIDDEN, media_type="text/plain"))


def _safe(answer: Response, nonce: str = "") -> Response:
    own = f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; form-action 'self'; img-src data:; " if nonce else ""
    answer.headers["Content-Security-Policy"] = f"default-src 'none'; {own}base-uri 'none'; frame-ancestors 'none'"
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["X-Frame-Options"] = "DENY"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return answer
