"""Traces as v2 shows them: the root runs of a project page by page, with what the whole trace used, and the runs of one trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec

from tracing.local.trace_store import moments, views
from tracing.local.trace_store.filters import parse_filter
from tracing.local.trace_store.ingest import shaped
from tracing.local.trace_store.query import DAY_US, Query, cursor_position, instant, matching, page, v2_selects
from tracing.local.trace_store.records import Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import QueryParams

    from tracing.local.trace_store.store import TraceStore

MOST: Final = 100
"""Largest ``page_size``; without one, 20. langsmith 0.15.0, types/trace_query_params.py."""
_OF_THE_TRACE: Final = frozenset({"TOTAL_TOKENS", "TOTAL_COST", "FIRST_TOKEN_TIME"})


class _Body(msgspec.Struct):
    project_id: UUID
    min_start_time: str | None = None
    max_start_time: str | None = None
    trace_filter: str | None = None
    tree_filter: str | None = None
    selects: list[str] | None = None
    page_size: int = 20
    cursor: str | None = None


class _Narrow(msgspec.Struct):
    project_id: UUID
    filter: str | None = None
    min_start_time: str | None = None
    max_start_time: str | None = None


def trace_page(store: TraceStore, body: Any, address: Callable[[str, str], str]) -> dict[str, Any]:
    """One page of traces, the newest first.

    Args:
        store: what is asked.
        body: of the request.
        address: where the bytes of an attachment are, from run id and name.

    Raises:
        Refusal: 400 or 422 for no project, a page size over `MOST`, an unknown select, a bad filter or time.
    """
    asked = shaped(body, _Body, "body")
    if not 1 <= asked.page_size <= MOST:
        raise Refusal(400, f"page_size: must be 1 to {MOST}; read on with the cursor")
    selects = v2_selects(asked.selects or ())
    earliest, latest = instant(asked.min_start_time, "min_start_time"), instant(asked.max_start_time, "max_start_time")
    selection = Selection(
        project_ids=(str(asked.project_id),),
        is_root=True,
        from_us=moments.now() - DAY_US if earliest is None else earliest,
        to_us=None if latest is None else latest - 1,
    )
    query = Query(
        selection=selection,
        filters=(parse_filter(asked.trace_filter),) if asked.trace_filter else (),
        tree_filter=parse_filter(asked.tree_filter) if asked.tree_filter else None,
        page=asked.page_size,
        after=cursor_position(asked.cursor),
    )
    roots, cursor = page(store, query)
    items = []
    for root in roots:
        item: dict[str, Any] = {"root_run": views.v2_row(root, address, [name for name in selects if name not in _OF_THE_TRACE])}
        if wanted := _OF_THE_TRACE.intersection(selects):
            item["trace_aggregates"] = _aggregates(store, root.trace_id, wanted)
        items.append(item)
    return {"items": items, "next_cursor": cursor}


def _aggregates(store: TraceStore, trace_id: str, wanted: frozenset[str]) -> dict[str, Any]:
    used = [usage(run) for run in store.runs(Selection(trace_id=trace_id))]
    first = min((one.first_token_us for one in used if one.first_token_us is not None), default=None)
    values = {
        "TOTAL_TOKENS": sum(one.total_tokens or 0 for one in used),
        "TOTAL_COST": sum(one.total_cost or 0.0 for one in used),
        "FIRST_TOKEN_TIME": None if first is None else moments.iso(first),
    }
    return {name.lower(): values[name] for name in wanted}


def trace_runs(store: TraceStore, trace_id: str, asked: QueryParams, address: Callable[[str, str], str]) -> dict[str, Any]:
    """The runs of one trace, the oldest first.

    Args:
        store: what is asked.
        trace_id: its id.
        asked: ``project_id``, and what the address gives of ``filter``, ``min_start_time``, ``max_start_time`` and ``selects``.
        address: as for `trace_page`.

    Raises:
        Refusal: 400 or 422 where one of them cannot be used.
    """
    body = {name: asked[name] for name in ("project_id", "filter", "min_start_time", "max_start_time") if name in asked}
    given = shaped(body, _Narrow, "query")
    selects = v2_selects(asked.getlist("selects"))
    selection = Selection(
        project_ids=(str(given.project_id),),
        trace_id=trace_id,
        from_us=instant(given.min_start_time, "min_start_time"),
        to_us=instant(given.max_start_time, "max_start_time"),
    )
    query = Query(selection=selection, filters=(parse_filter(given.filter),) if given.filter else (), newest_first=False)
    return {"items": [views.v2_row(run, address, selects) for run in matching(store, query)]}
