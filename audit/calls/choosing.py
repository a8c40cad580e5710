"""What a choice of calls is in SQL: closed text, and values beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from audit.calls.answers import Choice
from audit.calls.reading import microseconds

ORDERS: Final[Mapping[str, str]] = {
    "start": "start",
    "duration": "duration",
    "ttft": "ttft",
    "cost": "ifnull(cost, -1)",
    "errors": "errors",
}
"""What calls are ordered by."""
_OUTCOMES: Final[Mapping[str, str]] = {
    "ok": "end IS NOT NULL AND NOT failed",
    "failed": "failed",
    "open": "end IS NULL",
    "tool_failed": "tool_errors",
}
_PREFIX: Final = re.compile("[0-9a-f-]{0,36}")
_AFTER: Final = re.compile(r"([a-z]{4,8})\.([ad])\.(-?[0-9.e+-]{1,30})\.([0-9a-f-]{36})")


def of_calls(choice: Choice) -> tuple[str, tuple[object, ...]]:
    """The condition on ``calls c`` that a choice is, and its values."""
    terms, values = ["1"], list[object]()
    for term, value in (
        ("c.start >= ?", microseconds(choice.since)),
        ("c.start < ?", microseconds(choice.until)),
        ("c.project = ?", choice.project or None),
        ("c.env = ?", choice.env or None),
        ("c.trace IN (SELECT trace FROM tools WHERE tool = ?)", choice.tool or None),
        ("c.slowest > ?", choice.slower_ms),
    ):
        if value is not None:
            terms.append(term)
            values.append(value)
    if choice.outcome:
        terms.append(f"({_OUTCOMES.get(choice.outcome, '0')})")
    if choice.trace:
        prefix = choice.trace.lower()
        known = _PREFIX.fullmatch(prefix) is not None
        terms.append("c.trace >= ? AND c.trace < ?" if known else "0")
        values += (prefix, f"{prefix}g") if known else ()
    return " AND ".join(terms), tuple(values)


def below_calls(choice: Choice) -> tuple[str, tuple[object, ...]]:
    """The same on what lies below calls: their turns and tools hold when their call began, its project and its env."""
    where, values = of_calls(choice)
    if choice.tool or choice.outcome or choice.trace or choice.slower_ms is not None:
        return f"c.trace IN (SELECT c.trace FROM calls c WHERE {where})", values  # noqa: S608
    return where.replace("c.start", "c.began"), values


def place_of(after: str, order: str, *, descending: bool) -> tuple[float, str]:
    """The value and the trace a page ended with."""
    found = _AFTER.fullmatch(after)
    if found is None or found[1] != order or found[2] != ("d" if descending else "a"):
        msg = "this is no place in that order of calls; begin with the first page"
        raise ValueError(msg)
    return (int(found[3]) if found[3].lstrip("-").isdigit() else float(found[3])), found[4]
