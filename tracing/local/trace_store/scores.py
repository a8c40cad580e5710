"""The scores that feedback gave, added up by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracing.local.trace_store.records import Json


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
