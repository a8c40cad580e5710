"""The bars that a report was judged by, held against those that are in force: where they ask for less. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from audit.gates import Gate

MORE_ASKS_MORE: Final = ("calls_per_day", "fixed_usd", "reviewers", "traces", "recall", "calls", "minutes")
"""Settings that may be raised and not lowered."""
LESS_ASKS_MORE: Final = ("gap_minutes",)
"""Settings that may be lowered and not raised."""


def weaker(judged: Iterable[Gate], in_force: Iterable[Gate]) -> Iterator[str]:
    """Each gate that asks for less than the one in force, in words; a bar that asks for more is none of them.

    Args:
        judged: the gates of the report.
        in_force: the gates that count.
    """
    by_name = {gate.name: gate for gate in judged}
    for gate in in_force:
        held = by_name.get(gate.name)
        if held is None:
            yield f"{gate.name} is not judged"
        elif (held.bound, held.evidence) != (gate.bound, gate.evidence):
            yield f"{gate.name} is judged in another way"
        elif not _reaches(held, gate):
            yield f"{gate.name} asks for {_said(held.bar)}, and {_said(gate.bar)} is in force"
        else:
            for name in MORE_ASKS_MORE:
                has, must = held.settings.get(name), gate.settings.get(name)
                if must is not None and (has is None or has < must):
                    yield f"{gate.name} takes {_said(has)} as its {name}, and {_said(must)} is in force"
            for name in LESS_ASKS_MORE:
                has, must = held.settings.get(name), gate.settings.get(name)
                if must is not None and (has is None or has > must):
                    yield f"{gate.name} takes {_said(has)} as its {name}, and {_said(must)} is in force"


def _reaches(held: Gate, gate: Gate) -> bool:
    if held.bar is None or gate.bar is None:
        return held.bar == gate.bar
    return held.bar >= gate.bar if gate.bound == "at_least" else held.bar <= gate.bar


def _said(number: float | None) -> str:
    return "none" if number is None else f"{number:g}"
