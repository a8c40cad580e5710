"""What a reader asks: the v1 and v2 request bodies made into one query, and the pages that answer it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

import msgspec

from tracing.local.trace_store import moments
from tracing.local.trace_store.conditions import condition_of
from tracing.local.trace_store.filters import Filter, matches, parse_filter, search_filter
from tracing.local.trace_store.ingest import shaped
from tracing.local.trace_store.records import Position, Run, Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.views import SELECTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracing.local.trace_store.store import TraceStore
    from tracing.local.trace_store.tallies import Totals

V1_PAGE: Final = 100
"""Largest v1 ``limit``; hosted LangSmith answers 400 above it."""
V2_PAGE: Final = 1000
"""Largest v2 ``page_size``; without one, 100."""
DAY_US: Final = 24 * 3600 * 1_000_000
"""What v2 shows without a ``min_start_time``."""


class _V1Body(msgspec.Struct):
    session: list[UUID] | None = None
    id: list[UUID] | None = None
    trace: UUID | None = None
    parent_run: UUID | None = None
    reference_example: list[UUID] | None = None
    run_type: str | None = None
    is_root: bool | None = None
    execution_order: int | None = None
    error: bool | None = None
    start_time: str | None = None
    end_time: str | None = None
    query: str | None = None
    filter: str | None = None
    trace_filter: str | None = None
    tree_filter: str | None = None
    select: list[str] | None = None
    limit: int | None = None
    cursor: str | None = None
    order: Literal["asc", "desc"] | None = None


class _V2Body(msgspec.Struct):
    project_ids: list[UUID] | None = None
    ids: list[UUID] | None = None
    trace_id: UUID | None = None
    reference_examples: list[UUID] | None = None
    run_type: str | None = None
    is_root: bool | None = None
    has_error: bool | None = None
    min_start_time: str | None = None
    max_start_time: str | None = None
    filter: str | None = None
    trace_filter: str | None = None
    tree_filter: str | None = None
    selects: list[str] | None = None
    page_size: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question to the store.

    Args:
        filters: asked of the run itself, all of them.
        trace_filter: asked of the root of the run's trace.
        tree_filter: asked of every run of the trace; one that fits is enough.
        reference_examples: ids of dataset examples the run must be linked to, or None.
        select: names to show, empty for the API's default.
        page: most runs in one answer.
    """

    selection: Selection
    filters: tuple[Filter, ...] = ()
    trace_filter: Filter | None = None
    tree_filter: Filter | None = None
    reference_examples: frozenset[str] | None = None
    select: tuple[str, ...] = ()
    page: int = V1_PAGE
    after: Position | None = None
    newest_first: bool = True


def v1_query(body: Any) -> Query:
    """The query of a v1 body (``/runs/query``, ``/runs/stats``).

    Raises:
        Refusal: 400 or 422 for what hosted LangSmith refuses too: no scope, a limit over `V1_PAGE`, a bad filter or time.
    """
    asked = shaped(body, _V1Body, "body")
    if not (asked.session or asked.id or asked.trace or asked.parent_run or asked.reference_example):
        raise Refusal(400, "body: at least one of session, id, trace, parent_run or reference_example must be given")
    if asked.limit is not None and not 1 <= asked.limit <= V1_PAGE:
        raise Refusal(400, f"limit: must be 1 to {V1_PAGE}; read on with the cursor")
    return Query(
        selection=Selection(
            ids=_texts(asked.id),
            project_ids=_texts(asked.session),
            trace_id=str(asked.trace) if asked.trace else None,
            parent_id=str(asked.parent_run) if asked.parent_run else None,
            is_root=True if asked.execution_order == 1 else asked.is_root,  # the first of a trace, as it was once asked for
            run_type=asked.run_type.lower() if asked.run_type else None,
            has_error=asked.error,
            from_us=instant(asked.start_time, "start_time"),
            to_us=instant(asked.end_time, "end_time"),
        ),
        filters=_filters(asked.filter) + ((search_filter(asked.query.lower()),) if asked.query else ()),
        trace_filter=parse_filter(asked.trace_filter) if asked.trace_filter else None,
        tree_filter=parse_filter(asked.tree_filter) if asked.tree_filter else None,
        reference_examples=frozenset(_texts(asked.reference_example) or ()) or None,
        select=tuple(asked.select or ()),
        page=asked.limit or V1_PAGE,
        after=cursor_position(asked.cursor),
        newest_first=asked.order != "asc",
    )


def v2_query(body: Any) -> Query:
    """The query of a v2 body (``/api/v2/runs/query``): without ``min_start_time`` the last 24 hours, as hosted.

    Raises:
        Refusal: 400 or 422 for no project, a page size over `V2_PAGE`, an unknown select, a bad filter or time.
    """
    asked = shaped(body, _V2Body, "body")
    if not asked.project_ids:
        raise Refusal(400, "project_ids: must name at least one project")
    if asked.page_size is not None and not 1 <= asked.page_size <= V2_PAGE:
        raise Refusal(400, f"page_size: must be 1 to {V2_PAGE}; read on with the cursor")
    earliest = instant(asked.min_start_time, "min_start_time")
    return Query(
        selection=Selection(
            ids=_texts(asked.ids),
            project_ids=_texts(asked.project_ids),
            trace_id=str(asked.trace_id) if asked.trace_id else None,
            is_root=asked.is_root,
            run_type=asked.run_type.lower() if asked.run_type else None,
            has_error=asked.has_error,
            from_us=moments.now() - DAY_US if earliest is None else earliest,
            to_us=instant(asked.max_start_time, "max_start_time"),
        ),
        filters=_filters(asked.filter),
        trace_filter=parse_filter(asked.trace_filter) if asked.trace_filter else None,
        tree_filter=parse_filter(asked.tree_filter) if asked.tree_filter else None,
        reference_examples=frozenset(_texts(asked.reference_examples) or ()) or None,
        select=v2_selects(asked.selects or ()),
        page=asked.page_size or 100,
        after=cursor_position(asked.cursor),
    )


def v2_selects(names: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """The names, all of them known to v2.

    Raises:
        Refusal: 400 for another name, since hosted LangSmith refuses it too.
    """
    if not SELECTS.issuperset(names):
        raise Refusal(400, f"selects: only these, in capitals: {', '.join(sorted(SELECTS))}")
    return tuple(names)


def matching(store: TraceStore, query: Query) -> Iterator[Run]:
    """Every run that answers a query, from its position on."""
    roots: dict[str, bool] = {}
    trees: dict[str, bool] = {}
    condition = condition_of(query.filters)
    for run in store.runs(query.selection, query.after, newest_first=query.newest_first, condition=condition):
        if query.reference_examples is not None and run.body.get("reference_example_id") not in query.reference_examples:
            continue
        if not condition.exact and not all(matches(one, run) for one in query.filters):
            continue
        trace_id = run.trace_id
        if query.trace_filter is not None:
            if trace_id not in roots:
                root = store.run(trace_id)
                roots[trace_id] = root is not None and matches(query.trace_filter, root)
            if not roots[trace_id]:
                continue
        if query.tree_filter is not None:
            if trace_id not in trees:
                trees[trace_id] = any(matches(query.tree_filter, one) for one in store.runs(Selection(trace_id=trace_id)))
            if not trees[trace_id]:
                continue
        yield run


def added_up(store: TraceStore, query: Query) -> Totals | None:
    """The totals of the runs a query finds, or None where SQL alone cannot tell which those are."""
    condition = condition_of(query.filters)
    if not condition.exact or query.after or query.trace_filter or query.tree_filter or query.reference_examples is not None:
        return None
    return store.totals(query.selection, condition)


def page(store: TraceStore, query: Query) -> tuple[list[Run], str | None]:
    """One page of runs, and the cursor of the next or None."""
    runs: list[Run] = []
    for run in matching(store, query):
        if len(runs) == query.page:
            last = runs[-1]
            return runs, base64.urlsafe_b64encode(f"{last.started_us} {last.id}".encode()).decode()
        runs.append(run)
    return runs, None


def cursor_position(cursor: str | None) -> Position | None:
    """The place that a cursor of this store stands for.

    Raises:
        Refusal: 400 for any other text.
    """
    if cursor is None:
        return None
    try:
        started_us, run_id = base64.urlsafe_b64decode(cursor).decode().split(" ")
        return Position(int(started_us), str(UUID(run_id)))
    except ValueError:
        raise Refusal(400, "cursor: not one this store gave; pass the last answer's cursor unchanged") from None


def instant(text: str | None, name: str) -> int | None:
    """The moment of a field that may be missing, microseconds since 1970.

    Raises:
        Refusal: 422 where it is not an ISO 8601 time.
    """
    try:
        return None if text is None else moments.microseconds(text)
    except (ValueError, OverflowError):
        raise Refusal(422, f"{name}: not an ISO 8601 time") from None


def _filters(text: str | None) -> tuple[Filter, ...]:
    return (parse_filter(text),) if text else ()


def _texts(ids: list[UUID] | None) -> tuple[str, ...] | None:
    return None if ids is None else tuple(map(str, ids))
