"""What the charts draw: how long callers waited, what calls cost, and what the policy redacted, as the traces themselves report it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from audit.population import count, metadata, number
from audit.source import Run


@dataclass(frozen=True, slots=True)
class Timeline:
    """The measures of all runs.

    Args:
        ttft_ms: milliseconds from the end of the caller's speech to the first sound of the answer, sorted, one for each answered turn.
        costs_usd: US dollars for each agent turn, sorted.
        redactions: by policy field, how often the policy redacted it; ``unknown`` for fields nobody named.
        tools: by tool span, how often it ran.
        tool_errors: by tool span, how often it failed.
    """

    ttft_ms: tuple[float, ...] = ()
    costs_usd: tuple[float, ...] = ()
    redactions: Mapping[str, int] = field(default_factory=dict)
    tools: Mapping[str, int] = field(default_factory=dict)
    tool_errors: Mapping[str, int] = field(default_factory=dict)


class Watching:
    """Collects the measures run by run.

    Args:
        fields: the policy's fields; a redaction count under another name is counted under ``unknown``.
    """

    def __init__(self, fields: frozenset[str]) -> None:
        self._fields = fields
        self._ttft: list[float] = []
        self._costs: list[float] = []
        self._redactions: Counter[str] = Counter()
        self._tools: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()

    def add(self, run: Run, span: str) -> None:
        """Take in one run under its closed span name."""
        held = metadata(run)
        if span == "agent_turn":
            if "ttft_ms" in held:
                self._ttft.append(number(held["ttft_ms"]))
            if "cost_usd" in held:
                self._costs.append(number(held["cost_usd"]))
        elif span == "policy.guardrail":
            counts = held.get("redactions")
            for name, n in counts.items() if isinstance(counts, Mapping) else ():
                self._redactions[name if name in self._fields else "unknown"] += count(n)
        elif span.startswith("tool."):
            self._tools[span] += 1
            self._errors[span] += run.get("error") is not None

    def result(self) -> Timeline:
        """The measures so far."""
        return Timeline(
            tuple(sorted(self._ttft)),
            tuple(sorted(self._costs)),
            dict(self._redactions.most_common()),
            dict(sorted(self._tools.items())),
            dict(sorted((name, n) for name, n in self._errors.items() if n)),
        )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least ``share`` (0 to 1) of the sorted values do not exceed (nearest rank); None of none."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None
