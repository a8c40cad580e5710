"""The door of a server that shows pages beside the API: the pages below one path, the API everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

PAGES: Final = "/dashboard"
"""Where the pages are. LangSmith's API has ``/sessions`` too, so that they cannot be at the root."""


def beside(api: ASGIApp, pages: ASGIApp) -> ASGIApp:
    """Both in one application. The pages make their own checks: no key is asked for on their paths, and nothing of them is recorded."""
    routes = [Route("/", _to_pages), Route(PAGES, _to_pages), Mount(PAGES, pages)]
    return Router(routes, redirect_slashes=False, default=api)


def _to_pages(_: Request) -> RedirectResponse:
    return RedirectResponse(f"{PAGES}/")
