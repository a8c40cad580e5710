"""The measures: bins, exact percentiles, days."""

from __future__ import annotations

import random

import pytest

from audit.timeline import TTFT_EDGES, Day, Histogram, Watching, percentile


def watched(*runs):
    watching = Watching(frozenset({"patient_name"}))
    for run in runs:
        watching.add(run, str(run["name"]))
    return watching.result()


def test_a_call(made):
    """One call's measures stand where they belong."""
    seen = watched(*made.call(0))
    assert (seen.ttft_ms.n, seen.ttft_ms.p50, seen.ttft_ms.max, seen.ttft_ms.total) == (1, 640.0, 640.0, 640.0)
    assert seen.ttft_ms.counts[TTFT_EDGES.index(600.0)] == 1
    assert (seen.costs_usd.total, seen.sessions_ms.n) == (0.012, 1)
    assert (seen.redactions, seen.tools, seen.tool_errors) == ({"patient_name": 2, "unknown": 1}, {"tool.book_appointment": 1}, {})
    assert seen.by_day == {"2026-11-20": Day(traces=1, runs=7, errors=0)}
    assert watched() == type(seen)()
    assert watched().ttft_ms == Histogram()


@pytest.mark.parametrize("n", [1, 2, 19, 20, 21, 100, 1_000])
def test_percentiles_are_exact(made, n):
    """They are those of the sorted values by nearest rank, whatever the bins; each value is in one bin, the largest in the last."""
    draw = random.Random(n)
    values = [draw.choice([0.0, 50.0, 2_999.999, 10_000.0, draw.uniform(0, 30_000)]) for _ in range(n)]
    runs = [made.span("agent_turn", 0, trace=i, metadata={"ttft_ms": value}) for i, value in enumerate(values)]
    found = watched(*runs).ttft_ms
    ordered = sorted(values)
    assert (found.p50, found.p95, found.p99, found.max) == tuple(percentile(ordered, share) for share in (0.5, 0.95, 0.99, 1.0))
    assert (found.n, sum(found.counts), len(found.edges)) == (n, n, len(found.counts) + 1)
    for low, high, count in zip(found.edges[:-2], found.edges[1:-1], found.counts[:-1], strict=True):
        assert count == sum(low <= value < high for value in values)
    assert found.counts[-1] == sum(value >= found.edges[-2] for value in values)


def test_days_and_calls_without_an_end(made):
    """Runs count on the day they began; a call without an end, or with one before its beginning, has no length."""
    root = made.span("voice_session", 0, end_time="2026-11-20T10:02:00.500000Z")
    without_end = made.span("voice_session", 0, trace=1, end_time=None, start_time="2026-11-21T23:59:59.999999Z", error="x")
    backwards = made.span("voice_session", 0, trace=2, end_time="2026-11-20T09:00:00Z")
    odd = made.span("agent_turn", 3, trace=2, start_time="yesterday")
    found = watched(root, without_end, backwards, odd)
    assert (found.sessions_ms.n, found.sessions_ms.max) == (1, 120_500.0)
    assert found.by_day == {"2026-11-20": Day(2, 2, 0), "2026-11-21": Day(1, 1, 1)}
