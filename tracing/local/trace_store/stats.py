"""Aggregates over runs, under LangSmith's names. There is no p95 in that API, so there is none here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracing.local.trace_store import moments
from tracing.local.trace_store.columns import SUMS
from tracing.local.trace_store.query import added_up, matching
from tracing.local.trace_store.scores import feedback_stats
from tracing.local.trace_store.tallies import Ranked, Totals
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracing.local.trace_store.query import Query
    from tracing.local.trace_store.records import Run
    from tracing.local.trace_store.store import TraceStore


def run_stats(store: TraceStore, query: Query) -> dict[str, Any]:
    """Count, latency and first-token quantiles (seconds), error rate (0 to 1), tokens and costs (USD) of the runs a query finds.

    Tokens and costs are the sum of what each run says of itself, so a parent that repeats its children's counts twice.
    SQL adds up where it alone can tell which runs are meant; else each run is read.
    """
    found = added_up(store, query)
    return _shown(counted(matching(store, query)) if found is None else found)


def counted(runs: Iterable[Run]) -> Totals:
    """The totals of runs, each of them read."""
    found, latencies, waits = Totals(), list[int](), list[int]()
    for run in runs:
        used = usage(run)
        ended, answered = run.ended_us is not None, used.first_token_us is not None
        found.add(1, run.status == "error", run.started_us, ended, answered, [getattr(used, name) for name in SUMS])
        if run.ended_us is not None:
            latencies.append(run.ended_us - run.started_us)
        if used.first_token_us is not None:
            waits.append(used.first_token_us - run.started_us)
        found.feedback += run.feedback
    latencies.sort()
    waits.sort()
    found.latencies, found.waits = Ranked(len(latencies), latencies), Ranked(len(waits), waits)
    return found


def _shown(found: Totals) -> dict[str, Any]:
    return {
        "run_count": found.runs,
        "latency_p50": _seconds(found.latencies, 0.50),
        "latency_p99": _seconds(found.latencies, 0.99),
        "first_token_p50": _seconds(found.waits, 0.50),
        "first_token_p99": _seconds(found.waits, 0.99),
        "error_rate": found.errors / found.runs if found.runs else None,
        **found.sums,
        **{name: found.sums[name] or 0 for name in SUMS[:3]},
        "last_run_start_time": None if found.last_us is None else moments.iso(found.last_us),
        "feedback_stats": feedback_stats(found.feedback),
        "session_feedback_stats": {},
        "run_facets": [],
    }


def _seconds(numbers: Ranked, share: float) -> float | None:
    found = numbers.quantile(share)
    return None if found is None else found / 1e6
