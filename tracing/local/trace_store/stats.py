"""Aggregates over runs, under LangSmith's names. There is no p95 in that API, so there is none here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tracing.local.trace_store import moments
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracing.local.trace_store.records import Json, Run

_SUMS = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cost", "completion_cost", "total_cost")


def quantile(values: Sequence[float], share: float) -> float | None:
    """The quantile by linear interpolation between the two nearest values; None of nothing.

    Args:
        values: in any order.
        share: 0.0 to 1.0, such as 0.99.
    """
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place % 1)


def run_stats(runs: Iterable[Run]) -> dict[str, Any]:
    """Count, latency and first-token quantiles (seconds), error rate (0 to 1), tokens and costs (USD) of the runs.

    Tokens and costs are the sum of what each run says of itself, so a parent that repeats its children's counts twice.
    """
    count = errors = 0
    latencies: list[float] = []
    first_tokens: list[float] = []
    sums: dict[str, float | None] = dict.fromkeys(_SUMS)
    last: int | None = None
    feedback: list[Json] = []
    for run in runs:
        count += 1
        errors += run.status == "error"
        last = run.started_us if last is None else max(last, run.started_us)
        if run.latency_s is not None:
            latencies.append(run.latency_s)
        used = usage(run)
        if used.first_token_us is not None:
            first_tokens.append((used.first_token_us - run.started_us) / 1e6)
        for name in _SUMS:
            if (amount := getattr(used, name)) is not None:
                sums[name] = (sums[name] or 0) + amount
        feedback += run.feedback
    tokens = {name: sums[name] or 0 for name in _SUMS[:3]}
    return {
        "run_count": count,
        "latency_p50": quantile(latencies, 0.50),
        "latency_p99": quantile(latencies, 0.99),
        "first_token_p50": quantile(first_tokens, 0.50),
        "first_token_p99": quantile(first_tokens, 0.99),
        "error_rate": errors / count if count else None,
        **sums,
        **tokens,
        "last_run_start_time": None if last is None else moments.iso(last),
        "feedback_stats": feedback_stats(feedback),
        "session_feedback_stats": {},
        "run_facets": [],
    }


def feedback_stats(feedback: Iterable[Json]) -> Mapping[str, Json]:
    """Count and mean score of feedback by its key."""
    scores: dict[str, list[float | None]] = {}
    for one in feedback:
        scores.setdefault(one["key"], []).append(one.get("score"))
    found: dict[str, Json] = {}
    for key, given in scores.items():
        numbers = [float(score) for score in given if score is not None]
        found[key] = {"n": len(given), "avg": sum(numbers) / len(numbers) if numbers else None, "values": {}}
    return found
