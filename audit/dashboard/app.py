"""The dashboard as an application: for a server of its own, or mounted under another's path."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request  # noqa: TC002  # Starlette looks at the annotations of an endpoint
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from audit.dashboard import pages, query
from audit.dashboard.access import Access, Border
from audit.dashboard.pages import NoSuchCall, Sheet, Values
from audit.dashboard.rendering import STATIC, render
from audit.dashboard.service import Service

BODY_MAX: Final = 4_096
"""Bytes of the login form; ours has a few hundred."""
OPEN_PRINTED: Final = "Open the address that was printed when the dashboard was started. It opens once; for another, start it again."


def create_app(service: Service, *, token: str | None, hosts: frozenset[str], once: str = "") -> Starlette:
    """The pages over a service.

    Args:
        service: what they show; it is neither started nor closed here.
        token: what the login page asks for. With neither a token nor ``once``, everybody who reaches the pages sees them.
        hosts: names and addresses that the pages answer to, without a port; any other Host is refused (DNS rebinding).
        once: ``/open?token=<once>`` lets a browser in, one time.
    """
    site = _Site(service, Access(token, once))
    routes = [
        *(Route(sheet.path, site.sheet(sheet)) for sheet in pages.SHEETS),
        Route("/sessions/{trace_id}", site.session),
        Route("/open", site.open),
        Route("/login", site.login, methods=["GET", "POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Border, hosts=hosts)], exception_handlers={HTTPException: site.refused})


class _Site:
    def __init__(self, service: Service, access: Access) -> None:
        self._service = service
        self._access = access

    def sheet(self, sheet: Sheet) -> Callable[[Request], Response]:
        """The endpoint of a page; not a coroutine, so that a query to the index runs beside the loop."""

        def show(request: Request) -> Response:
            asked = query.read(request.query_params, self._service.clock(), span=sheet.span)

            def values() -> Values:
                return {"title": sheet.name, **sheet.values(self._service, asked, self._service.clock())}

            return self._page(request, sheet.template, asked, values, sheet.path)

        return show

    def session(self, request: Request) -> Response:
        """The endpoint of one call's page."""
        asked = query.read({}, self._service.clock())

        def values() -> Values:
            return {"title": "Session", **pages.session(self._service, request.path_params["trace_id"])}

        return self._page(request, "session.html", asked, values, f"/sessions/{request.path_params['trace_id']}")

    async def open(self, request: Request) -> Response:
        """The address that lets one browser in. It answers with a page that leads on, for after a redirect from elsewhere the browser would
        not send the cookie it just got.
        """
        if request.method != "GET" or not self._access.opens(request.query_params.get("token", "")):
            return self._shut(request)
        root = _root(request)
        text = render("opened.html", self._service.clock(), {"root": root})
        return self._access.let_in(HTMLResponse(text), root)

    async def login(self, request: Request) -> Response:
        """The form that asks for the token, and what becomes of an answer."""
        if request.method != "POST":
            return self._shut(request) if not self._access.known(request) else RedirectResponse(_root(request) + "/", HTTPStatus.SEE_OTHER)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > BODY_MAX:
                return self._shut(request, "The form is too large.")
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0].strip()
        if self._access.token_is(given, _client(request)):
            return self._access.let_in(RedirectResponse(_root(request) + "/", HTTPStatus.SEE_OTHER), _root(request))
        return self._shut(request, "That is not the token.")

    async def refused(self, request: Request, fault: Exception) -> Response:
        """A path or a method that is not ours."""
        status = fault.status_code if isinstance(fault, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
        if not self._access.known(request):
            return self._shut(request)
        words = "There is no such page." if status == HTTPStatus.NOT_FOUND else "Pages are only read here: nothing can be sent to them."
        return self._said(request, status, words)

    def _page(self, request: Request, template: str, asked: query.Asked, values: Callable[[], Values], path: str) -> Response:
        if not self._access.known(request):
            return self._shut(request)
        try:
            made = values()
            framed = pages.frame(self._service, asked, path, _root(request))
            status = HTTPStatus.BAD_REQUEST if made.get("faults", asked.faults) else HTTPStatus.OK
            text = render(template, self._service.clock(), {"faults": asked.faults, **framed, **made})
        except NoSuchCall:
            words = "No call of that id is here. It may lie before the time that was read (--since), or its trace has not come yet."
            return self._said(request, HTTPStatus.NOT_FOUND, words)
        except Exception as fault:  # noqa: BLE001  # its text could quote anything: only its class is told
            words = f"This page cannot be made ({type(fault).__name__}). The other pages may work; please report it."
            return self._said(request, HTTPStatus.INTERNAL_SERVER_ERROR, words)
        return HTMLResponse(text, status)

    def _said(self, request: Request, status: int, words: str) -> Response:
        title = "Not here" if status == HTTPStatus.NOT_FOUND else "That did not work"
        return HTMLResponse(render("said.html", self._service.clock(), {"root": _root(request), "title": title, "words": words}), status)

    def _shut(self, request: Request, fault: str = "") -> Response:
        wait = self._access.wait_s(_client(request))
        status = HTTPStatus.TOO_MANY_REQUESTS if wait else HTTPStatus.UNAUTHORIZED if self._access.by_token else HTTPStatus.FORBIDDEN
        told = {"root": _root(request), "fault": fault, "by_token": self._access.by_token, "wait": wait, "words": OPEN_PRINTED}
        answer = HTMLResponse(render("login.html", self._service.clock(), told), status)
        answer.headers["HX-Refresh"] = "true"  # a part of a page that asked is not filled with a login form: the page is
        if wait:
            answer.headers["Retry-After"] = f"{wait + 1:.0f}"
        return answer


def _root(request: Request) -> str:
    """The path the pages are mounted under, without a slash at its end; empty for none."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _client(request: Request) -> str:
    return request.client.host if request.client else ""
