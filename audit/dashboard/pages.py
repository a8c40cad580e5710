"""The pages, each from the index and the files beside it to the values of its template. No page changes anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from audit.calls.index import Choice, Page
from audit.dashboard import query
from audit.dashboard.query import Asked
from audit.dashboard.service import Beside, Service
from audit.dashboard.views.compliance import ComplianceView, compliance, last_verdict
from audit.dashboard.views.controls import switch_panel
from audit.dashboard.views.cost import CostView, cost
from audit.dashboard.views.errors import errors
from audit.dashboard.views.explanation import SLOW_MS, explain_call
from audit.dashboard.views.latency import latency
from audit.dashboard.views.overview import overview
from audit.dashboard.views.timeline import draw_call
from phi_guard.errors import PhiGuardError
from phi_guard.switch import SwitchState

ROWS: Final = 50
"""Calls on a page of the list."""
WEB: Final[Mapping[str, str]] = {
    f"{region}api.smith.langchain.com": f"https://{region}smith.langchain.com" for region in ("", "eu.", "apac.", "aws.")
}  # fmt: skip
"""LangSmith's own pages by the host of its API; each region has its own."""
Values: TypeAlias = dict[str, Any]


class NoSuchCall(LookupError):
    """The index holds no call of that id."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of the dashboard.

    Args:
        path: its address.
        name: as the navigation shows it.
        template: its file.
        values: what it shows.
        span: the length of time shown where none is asked for.
    """

    path: str
    name: str
    template: str
    values: Callable[[Service, Asked, datetime], Values]
    span: str = "30d"


def _overview(service: Service, asked: Asked, now: datetime) -> Values:
    beside = service.beside
    view = overview(
        service.index,
        asked.choice,
        now,
        verdict=last_verdict(beside.report, now),
        switch=_switch(beside),
        alerts=None if beside.alerts is None else beside.alerts(),
        cost=_cost_of(service, asked, now),
    )
    return {"view": view, "standing_tiles": view.tiles[:3], "number_tiles": view.tiles[3:]}


def _switch(beside: Beside) -> SwitchState | None:
    """Where the switch stands; one that cannot be asked counts as off, as it does for the relay."""
    if beside.switch is None:
        return None
    try:
        return beside.switch()
    except (PhiGuardError, OSError, ValueError):
        return SwitchState(False, "the switch cannot be asked", "")


def _sessions(service: Service, asked: Asked, now: datetime) -> Values:  # noqa: ARG001  # every page is asked alike
    faults, found = asked.faults, Page((), "", 0)
    if not faults:
        try:
            found = service.index.page(asked.choice, order=asked.order, descending=asked.descending, after=asked.after, limit=ROWS)
        except ValueError:
            faults = ("after: the list cannot be gone on with from there; begin at its first page",)
    everything = service.keep("everything", lambda: service.index.page(Choice(), limit=1).total)
    tools = service.keep("tools", lambda: tuple(sorted(service.index.tools(Choice()))))
    return {"found": found, "faults": faults, "everything": everything, "tools": tools, "rows": ROWS}


def _latency(service: Service, asked: Asked, now: datetime) -> Values:
    return {"view": service.keep(("latency", _key(asked)), lambda: latency(service.index, asked.choice, now))}


def _errors(service: Service, asked: Asked, now: datetime) -> Values:
    return {"view": service.keep(("errors", _key(asked)), lambda: errors(service.index, asked.choice, now))}


def _cost(service: Service, asked: Asked, now: datetime) -> Values:
    return {"view": _cost_of(service, asked, now)}


def _compliance(service: Service, asked: Asked, now: datetime) -> Values:
    beside = service.beside

    def look() -> ComplianceView:
        return compliance(
            beside.report, beside.log_dir, beside.switch, beside.account, service.index, asked.choice, beside.policy, now=now,
            anchor=beside.anchor, baseline=beside.baseline,
        )  # fmt: skip

    view = service.keep(("compliance", _key(asked)), look)
    return {"view": replace(view, switch=switch_panel(beside.switch, now))}  # an emergency off shows at once


SHEETS: Final = (
    Sheet("/", "Overview", "overview.html", _overview, "7d"),
    Sheet("/sessions", "Sessions", "sessions.html", _sessions),
    Sheet("/latency", "Latency", "latency.html", _latency),
    Sheet("/errors", "Errors", "errors.html", _errors),
    Sheet("/cost", "Cost", "cost.html", _cost),
    Sheet("/compliance", "Compliance", "compliance.html", _compliance),
)


def session(service: Service, trace_id: str) -> Values:
    """One call's page.

    Raises:
        NoSuchCall: there is none of that id.
    """
    detail = service.index.call(trace_id.lower()) if query.TRACE.fullmatch(trace_id.lower()) else None
    if detail is None:
        raise NoSuchCall
    told = explain_call(detail)
    by_turn = {each.turn: each for each in told if each.turn}
    return {
        "detail": detail, "call": detail.call, "timeline": draw_call(detail), "told": told, "by_turn": by_turn, "slow_ms": SLOW_MS,
        "web": WEB.get(urlsplit(service.beside.endpoint).hostname or "", ""),
    }  # fmt: skip


def frame(service: Service, asked: Asked, path: str, root: str) -> Values:
    """What stands around every page: the navigation, the filters' choices, and how fresh it is."""
    scope = {name: asked.given[name] for name in ("span", "from", "to", "env", "project") if name in asked.given}
    here = replace(asked, given=scope)
    return {
        "root": root,
        "path": path,
        "asked": asked,
        "nav": [(root + each.path, each.name, each.path == path) for each in SHEETS],
        "scope_link": here.link() if scope else "",
        "live": root + path + (asked.link(after=asked.after) if asked.given else ""),
        "projects": service.index.projects(),
        "standing": service.standing,
        "spans": query.SPANS,
        "outcomes": query.OUTCOMES,
        "orders": query.ORDERS,
    }


def _cost_of(service: Service, asked: Asked, now: datetime) -> CostView:
    return service.keep(("cost", _key(asked)), lambda: cost(service.index, asked.choice, now, prices_as_of=service.beside.prices_as_of))


def _key(asked: Asked) -> tuple[str, ...]:
    """The same for the same choice, though ``7d`` ends a second later each second."""
    return (asked.span, *(f"{name}={asked.given[name]}" for name in query.KNOWN if name in asked.given))
