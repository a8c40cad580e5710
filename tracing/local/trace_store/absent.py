"""The parts of LangSmith that a local store does not have, each answered with words, so that nobody looks for a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

_ABSENT: Final = {
    "datasets and examples": ("datasets", "examples"),
    "prompts": ("repos", "commits", "likes"),
    "annotation queues": ("annotation-queues",),
    "comparisons of experiments": ("comparative", "evaluators"),
    "tokens, configurations and formulas of feedback": ("feedback-configs", "feedback/tokens", "feedback/formulas"),
    "sharing": ("public", "runs/{run_id}/share"),
    "threads as a resource; query runs with eq(thread_id, ...) instead": ("threads", "runs/group"),
    "insights, dashboards and alerts": ("sessions/{project_id}/insights", "sessions/{project_id}/dashboard", "platform"),
    "agent addresses": ("sessions/resolutions",),
    "workspaces and settings": ("workspaces", "settings", "orgs", "api-key"),
}
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def routes() -> list[Route]:
    """A route for each, and for all below it: 501 with what is missing. They come before the routes that would take a part for an id."""
    found = []
    for what, paths in _ABSENT.items():
        answer = _answer(what)
        for path in paths:
            for prefix in ("", "/v2"):
                found.append(Route(f"{prefix}/{path}", answer, methods=_METHODS))
                found.append(Route(f"{prefix}/{path}/{{rest:path}}", answer, methods=_METHODS))
    return found


def _answer(what: str) -> Callable[[Request], JSONResponse]:
    def say(_: Request) -> JSONResponse:
        return JSONResponse({"detail": f"the local trace store has no {what}"}, 501)

    return say
