"""Tokens, costs and the first token, read from where LangSmith reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracing.local.trace_store import moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracing.local.trace_store.records import Run


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run says it used. Tokens are counts, costs USD; None where the run does not say.

    Args:
        first_token_us: time of the first ``new_token`` event, microseconds since 1970.
        details: the four breakdowns, by LangSmith's names (``prompt_token_details`` ...).
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_cost: float | None = None
    completion_cost: float | None = None
    total_cost: float | None = None
    first_token_us: int | None = None
    details: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def usage(run: Run) -> Usage:
    """The usage of one run, without its children's: ``outputs.usage_metadata``, else ``extra.metadata.usage_metadata``."""
    said = (run.body.get("outputs") or {}).get("usage_metadata") or run.metadata.get("usage_metadata")
    said = said if isinstance(said, dict) else {}
    tokens_in, tokens_out = _count(said.get("input_tokens")), _count(said.get("output_tokens"))
    cost_in, cost_out = _amount(said.get("input_cost")), _amount(said.get("output_cost"))
    tokens, cost = _count(said.get("total_tokens")), _amount(said.get("total_cost"))
    details = {
        f"{ours}_{kind}_details": {str(key): amount for key, value in found.items() if (amount := _amount(value)) is not None}
        for ours, theirs in (("prompt", "input"), ("completion", "output"))
        for kind in ("token", "cost")
        if isinstance(found := said.get(f"{theirs}_{kind}_details"), dict)
    }
    return Usage(
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        total_tokens=_sum(tokens_in, tokens_out) if tokens is None else tokens,
        prompt_cost=cost_in,
        completion_cost=cost_out,
        total_cost=_sum(cost_in, cost_out) if cost is None else cost,
        first_token_us=_first_token(run),
        details=details,
    )


def _first_token(run: Run) -> int | None:
    for event in run.body.get("events") or ():
        if event.get("name") == "new_token" and isinstance(event.get("time"), str):
            try:
                return moments.microseconds(event["time"])
            except (ValueError, OverflowError):
                continue
    return None


def _amount(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _sum(one: Any, other: Any) -> Any:
    return None if one is None and other is None else (one or 0) + (other or 0)
