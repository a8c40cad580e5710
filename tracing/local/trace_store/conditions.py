"""Filters as SQL, as far as the columns and marks of a run answer them; the rest is asked of the run itself.

A condition never leaves out a run that its filter finds. Where it finds no other run either, it is exact.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracing.local.trace_store.columns import SUMS, TAG, is_mark
from tracing.local.trace_store.entries import plain
from tracing.local.trace_store.filters import Comparison, Filter

if TYPE_CHECKING:
    from collections.abc import Iterable

_ORDERS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEXTS: Final = {
    "id": "runs.id",
    "trace_id": "runs.trace_id",
    "parent_run_id": "runs.parent_id",
    "name": "runs.name",
    "run_type": "ifnull(nullif(runs.run_type, ''), 'chain')",
    "status": "CASE WHEN runs.has_error = 1 THEN 'error' WHEN runs.ended_us IS NULL THEN 'pending' ELSE 'success' END",
    "thread_id": "runs.thread_id",
    "reference_example_id": "runs.example_id",
}
_PARTLY_KEPT: Final = frozenset({"thread_id", "reference_example_id"})  # null also stands for what SQLite cannot hold
_NUMBERS: Final = {
    "latency": "runs.latency_us / 1e6",
    "start_time": "runs.started_us",
    "end_time": "runs.ended_us",
    "first_token_time": "runs.first_token_us",
    **{name: f"runs.{name}" for name in SUMS},
}
_LARGEST: Final = 2**40  # beyond it a count may be kept rounded
_BRACKETS: Final = re.compile("[()]")
_DEEPEST: Final = 20
_LONGEST_CHAIN: Final = 400
_NEVER: Final = "runs.number < 0"  # for a plain 0 SQLite forgets the other clauses, and with them the index it was told to take
_HALF_A_PAIR: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Condition:
    """A clause over ``runs`` with its values.

    Args:
        exact: whether the clause alone decides, so that nothing need be asked of the run itself.
        marks: marks of which every run that fits bears each; the rarest may lead the search.
        name: the one name that every run that fits has, or None.
        run_type: the one type, in the same way.
        longer_us: no run that fits is shorter, microseconds; None where one may be.
        states: of ``error``, ``root`` and ``thread``: every run that fits has an error, is a root, is of one thread.
    """

    sql: str = "1"
    values: tuple[Any, ...] = ()
    exact: bool = True
    marks: tuple[tuple[str, str], ...] = ()
    name: str | None = None
    run_type: str | None = None
    longer_us: int | None = None
    states: frozenset[str] = frozenset()


NOTHING_KNOWN: Final = Condition(exact=False)
"""Of a filter that no column answers."""
_FAILED: Final = Condition("runs.has_error <> 0 AND runs.has_error = 1", states=frozenset({"error"}))  # the first part leads to the index


def condition_of(filters: Iterable[Filter]) -> Condition:
    """The condition of filters that must all hold."""
    found = _all(tuple(filters))
    return found if _fits(found.sql) else NOTHING_KNOWN


def _fits(sql: str) -> bool:
    """Whether SQLite can parse it: its stack holds a hundred things, and a chain of operators a thousand."""
    depth = deepest = 0
    for mark in _BRACKETS.findall(sql):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    return deepest <= _DEEPEST and sql.count(" AND ") + sql.count(" OR ") <= _LONGEST_CHAIN


def _condition(asked: Filter) -> Condition:
    if isinstance(asked, Comparison):
        return _comparison(asked)
    if asked.operator == "and":
        return _all(asked.parts)
    parts = [_condition(part) for part in asked.parts]
    if asked.operator == "or":
        sql = " OR ".join(f"({part.sql})" for part in parts)
        return Condition(sql, _values(parts), all(part.exact for part in parts))
    return Condition(f"NOT ifnull(({parts[0].sql}), 0)", parts[0].values) if parts[0].exact else NOTHING_KNOWN


def _all(filters: tuple[Filter, ...]) -> Condition:
    """All of them; a key is not asked for again where a value under that one key is."""
    known = {
        one.keys
        for one in filters
        if isinstance(one, Comparison) and one.comparator == "eq" and one.field == "metadata_value" and _comparison(one).exact
    }
    parts = [Condition() if isinstance(one, Comparison) and _implied(one, known) else _condition(one) for one in filters]
    return Condition(
        " AND ".join(f"({part.sql})" for part in parts if part.sql != "1") or "1",
        _values(parts),
        all(part.exact for part in parts),
        tuple(mark for part in parts for mark in part.marks),
        next((part.name for part in parts if part.name is not None), None),
        next((part.run_type for part in parts if part.run_type is not None), None),
        max((part.longer_us for part in parts if part.longer_us is not None), default=None),
        frozenset(state for part in parts for state in part.states),
    )


def _implied(asked: Comparison, known: set[frozenset[str] | None]) -> bool:
    return asked.comparator == "eq" and asked.field == "metadata_key" and frozenset({asked.value}) in known


def _values(parts: Iterable[Condition]) -> tuple[Any, ...]:
    return tuple(value for part in parts for value in part.values)


def _comparison(asked: Comparison) -> Condition:
    if asked.comparator in {"like", "search"}:
        return NOTHING_KNOWN
    if asked.comparator == "in" and asked.field in _TEXTS and all(map(_holdable, asked.value)):
        listed = f"{_TEXTS[asked.field]} IN (SELECT value FROM json_each(?))"  # noqa: S608  # a fixed column
        return Condition(listed, (json.dumps(asked.value),))
    if asked.comparator == "in" and asked.field == "error":
        return NOTHING_KNOWN
    if asked.comparator == "in":
        parts = [_comparison(Comparison("eq", asked.field, one, asked.keys)) for one in asked.value]
        return Condition(" OR ".join(f"({part.sql})" for part in parts) or _NEVER, _values(parts), all(part.exact for part in parts))
    if asked.field in _TEXTS:
        return _text(asked)
    if asked.field in _NUMBERS:
        return _number(asked)
    if asked.field in {"tags", "metadata_value", "metadata"}:
        return _mark(asked)
    if asked.field == "feedback_key" and asked.comparator in {"eq", "has"} and _holdable(asked.value):
        return Condition("runs.id IN (SELECT run_id FROM feedback WHERE key = ?)", (asked.value,))
    if asked.comparator in {"eq", "neq"}:
        return _state(asked)
    return NOTHING_KNOWN


def _text(asked: Comparison) -> Condition:
    column, value = _TEXTS[asked.field], asked.value
    equal, whole = asked.comparator in {"eq", "has"}, asked.field not in _PARTLY_KEPT
    if value is None and whole and asked.comparator in {"eq", "neq"}:
        return Condition(f"{column} IS {'' if equal else 'NOT '}NULL")
    if not _holdable(value):
        return NOTHING_KNOWN
    if asked.comparator == "neq":
        return Condition(f"{column} IS NOT ?", (value,))
    if equal and asked.field == "status" and value == "error":
        return _FAILED
    if equal:
        states = frozenset({"thread"} if asked.field == "thread_id" else ())
        name = value if asked.field == "name" else None
        run_type = value if asked.field == "run_type" and value != "chain" else None  # a run that says none is a chain too
        return Condition(f"{column} = ?", (value,), name=name, run_type=run_type, states=states)
    return Condition(f"{column} {_ORDERS[asked.comparator]} ?", (value,)) if whole else NOTHING_KNOWN


def _number(asked: Comparison) -> Condition:
    column, value = _NUMBERS[asked.field], asked.value
    if value is None and asked.comparator in {"eq", "neq"}:
        return Condition(f"{column} IS {'' if asked.comparator == 'eq' else 'NOT '}NULL")
    if not isinstance(value, int | float) or isinstance(value, bool) or not (abs(value) < _LARGEST or asked.field.endswith("_time")):
        return NOTHING_KNOWN
    if asked.comparator == "neq":
        return Condition(f"{column} IS NOT ?", (value,))
    longer = int(value * 1e6) - 1 if asked.field == "latency" and asked.comparator in {"gt", "gte"} else None
    return Condition(f"{column} {_ORDERS.get(asked.comparator, '=')} ?", (value,), longer_us=longer)


def _mark(asked: Comparison) -> Condition:
    value = asked.value
    if asked.field == "tags":
        wanted = [(TAG, value)]
    elif asked.field == "metadata_value":
        wanted = [(key, value) for key in sorted(asked.keys or ())]
    else:
        wanted = [(key, plain(one)) for key, one in value.items() if isinstance(one, str)] if isinstance(value, dict) else []
    of_dict = asked.field == "metadata"
    usable = [(key, text) for key, text in wanted if isinstance(text, str) and (key or not of_dict) and is_mark(key, text)]
    if not usable or (not of_dict and len(usable) != len(wanted)) or asked.comparator not in {"eq", "has", "neq"}:
        return NOTHING_KNOWN
    one = (
        "EXISTS (SELECT 1 FROM marks WHERE mark_no = (SELECT number FROM mark_names WHERE key = ? AND value = ?) "
        "AND started_us = runs.started_us AND run_no = runs.number)"
    )
    sql = (" AND " if of_dict else " OR ").join([one] * len(usable))
    values = tuple(text for mark in usable for text in mark)
    if asked.comparator == "neq":
        return Condition(f"NOT ({sql})", values) if not of_dict else NOTHING_KNOWN
    if of_dict and asked.comparator != "has":
        return NOTHING_KNOWN
    return Condition(sql, values, not of_dict, tuple(usable) if of_dict or len(usable) == 1 else ())


def _state(asked: Comparison) -> Condition:
    equal, value = asked.comparator == "eq", asked.value
    if asked.field == "is_root" and isinstance(value, bool):
        return Condition("runs.is_root = 1", states=frozenset({"root"})) if value == equal else Condition("runs.is_root = 0")
    if asked.field == "error" and isinstance(value, bool):
        return _FAILED if value == equal else Condition("runs.has_error <> 1")
    if asked.field == "error" and value is None:
        return Condition("runs.has_error = 0") if equal else Condition("runs.has_error <> 0", states=frozenset({"error"}))
    return NOTHING_KNOWN


def _holdable(value: object) -> bool:
    """Whether it is a text that SQLite can hold."""
    return isinstance(value, str) and not _HALF_A_PAIR.search(value)
