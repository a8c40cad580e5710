"""LangSmith's filter language, such as ``and(eq(run_type, "llm"), gt(latency, "5s"))``: parsed whole, then asked of each run.

Source: LangSmith, "Trace query syntax"; the fields and comparators the SDK's documentation uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tracing.local.trace_store import moments
from tracing.local.trace_store.entries import entries, plain
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    from tracing.local.trace_store.records import Run

_MOST_CHARS: Final = 20_000
_DEEPEST: Final = 40
_TOKEN: Final = re.compile(
    r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)|([A-Za-z_]\w*)|([(),\[\]]))""", re.DOTALL
)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}
_PAIRS: Final = {
    "metadata_value": "metadata_key",
    "input_value": "input_key",
    "output_value": "output_key",
    "feedback_score": "feedback_key",
}
_LOGIC: Final = frozenset({"and", "or", "not"})
_COMPARATORS: Final = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "has", "in", "like", "search"})
_TIMES: Final = frozenset({"start_time", "end_time", "first_token_time"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparator on one field.

    Args:
        keys: for the value half of a pair (``metadata_value``): the only keys whose values count, or None for all.
    """

    comparator: str
    field: str
    value: Any
    keys: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Logic:
    """``and``, ``or`` or ``not`` of other filters."""

    operator: str
    parts: tuple[Filter, ...]


Filter: TypeAlias = Comparison | Logic


def parse_filter(text: str) -> Filter:
    """Parse a filter.

    Raises:
        Refusal: 400 with the position of the fault; the text itself is not repeated, since it may hold a patient's data.
    """
    if len(text) > _MOST_CHARS:
        raise Refusal(400, f"filter: longer than {_MOST_CHARS} characters")
    reader = _Reader(text)
    found = reader.filter(0)
    if reader.kind != "end":
        raise reader.fault("nothing more after the closing parenthesis")
    return found


def matches(condition: Filter, run: Run) -> bool:
    """Whether a run fulfils a filter."""
    if isinstance(condition, Comparison):
        return _compare(condition, run)
    if condition.operator == "not":
        return not matches(condition.parts[0], run)
    return (all if condition.operator == "and" else any)(matches(part, run) for part in condition.parts)


def search_filter(text: str) -> Filter:
    """The filter of a plain full-text ``query``."""
    return Comparison("search", "", text)


class _Reader:
    """One pass over the text; `kind` and `value` are the token at hand, `at` where it stands."""

    def __init__(self, text: str) -> None:
        self.text, self.end = text, 0
        self.advance()

    def advance(self) -> None:
        self.at = self.end
        if not self.text[self.end :].strip():
            self.kind, self.value = "end", ""
            return
        found = _TOKEN.match(self.text, self.end)
        if found is None:
            raise self.fault("a name, a number, a quoted string, a bracket or a comma")
        self.end = found.end()
        self.kind = ("string", "number", "name", "mark")[(found.lastindex or 1) - 1]
        self.value = found[found.lastindex or 1]

    def fault(self, wanted: str) -> Refusal:
        return Refusal(400, f"filter: position {self.at}: expected {wanted}")

    def mark(self, mark: str) -> None:
        if self.kind != "mark" or self.value != mark:
            raise self.fault(f"'{mark}'")
        self.advance()

    def name(self, known: frozenset[str], what: str) -> str:
        if self.kind != "name" or self.value not in known:
            raise self.fault(f"{what}: one of {', '.join(sorted(known))}")
        name = self.value
        self.advance()
        return name

    def filter(self, depth: int) -> Filter:
        if depth > _DEEPEST:
            raise self.fault(f"at most {_DEEPEST} levels")
        name = self.name(_LOGIC | _COMPARATORS, "an operator")
        self.mark("(")
        found = self.logic(name, depth) if name in _LOGIC else self.comparison(name)
        self.mark(")")
        return found

    def logic(self, operator: str, depth: int) -> Filter:
        parts = [self.filter(depth + 1)]
        while self.kind == "mark" and self.value == ",":
            self.advance()
            parts.append(self.filter(depth + 1))
        if operator == "not" and len(parts) > 1:
            raise self.fault("one filter inside not()")
        return Logic(operator, _paired(parts) if operator == "and" else tuple(parts))

    def comparison(self, comparator: str) -> Filter:
        if comparator == "search" and self.kind == "string":
            return Comparison("search", "", self.literal())
        field = self.name(frozenset(_FIELDS), "a field")
        self.mark(",")
        at = self.at
        value = self.list() if comparator == "in" else self.literal()
        try:
            return Comparison(comparator, field, _prepared(comparator, field, value))
        except (ValueError, TypeError, OverflowError, AttributeError):
            self.at = at
            raise self.fault(f"a value that {comparator}({field}, ...) can use") from None

    def list(self) -> tuple[Any, ...]:
        self.mark("[")
        found: list[Any] = []
        while not (self.kind == "mark" and self.value == "]"):
            if found:
                self.mark(",")
            found.append(self.literal())
        self.advance()
        return tuple(found)

    def literal(self) -> Any:
        kind, value = self.kind, self.value
        words = {"true": True, "false": False, "null": None}
        if kind == "number":
            found: Any = float(value) if re.search("[.eE]", value) else int(value[:300])
        elif kind == "string":
            found = self.string(value)
        elif kind == "name" and value in words:
            found = words[value]
        else:
            raise self.fault("a string, a number, true, false or null")
        self.advance()
        return found

    def string(self, quoted: str) -> str:
        if quoted[0] == "'":
            return re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)
        try:
            return str(json.loads(quoted, strict=False))
        except ValueError:
            raise self.fault("a string with JSON escapes") from None


def _paired(parts: list[Filter]) -> tuple[Filter, ...]:
    """Within one ``and``, a value and a key mean the same entry: ``and(eq(metadata_key, "a"), eq(metadata_value, "b"))``."""
    keys: dict[str, set[str]] = {}
    for part in parts:
        if isinstance(part, Comparison) and part.comparator == "eq" and part.field in _PAIRS.values():
            keys.setdefault(part.field, set()).add(part.value)
    return tuple(
        replace(part, keys=frozenset(keys[_PAIRS[part.field]])) if isinstance(part, Comparison) and _PAIRS.get(part.field) in keys else part
        for part in parts
    )


def _prepared(comparator: str, field: str, value: Any) -> Any:
    """The value as its field compares it."""
    if comparator == "in":
        return tuple(_prepared("eq", field, one) for one in value)
    if value is None and comparator in {"eq", "neq"}:
        return None
    if comparator in {"like", "search"}:
        return (
            re.compile(re.escape(value).replace("%", ".*").replace("_", "."), re.IGNORECASE | re.DOTALL)
            if comparator == "like"
            else value.lower()
        )
    if comparator == "has" and field in {"metadata", "inputs", "outputs"}:
        wanted = json.loads(value)
        return dict(wanted)
    if field in _TIMES:
        return moments.microseconds(value)
    if field == "latency":
        return _seconds(value)
    if field in {"status", "run_type"}:
        return value.lower()
    if field.endswith("_value"):
        return value if comparator in {"gt", "gte", "lt", "lte"} else plain(value)
    if field.endswith("_key") and not isinstance(value, str):
        raise TypeError
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is None:
            raise ValueError
        return float(found[1]) * _UNIT_S[found[2]]
    return float(value)


def _compare(condition: Comparison, run: Run) -> bool:
    comparator, wanted = condition.comparator, condition.value
    if comparator == "search":
        return _contains(run, condition)
    actual = _FIELDS[condition.field](run, condition.keys)
    if condition.field == "error" and isinstance(wanted, bool):
        actual = bool(actual)
    if comparator == "has" and isinstance(wanted, dict):
        return isinstance(actual, dict) and all(key in actual and actual[key] == value for key, value in wanted.items())
    several = actual if isinstance(actual, tuple) else (actual,)
    if comparator == "neq":
        return all(not _equal(one, wanted) for one in several)
    return any(_holds(comparator, one, wanted) for one in several)


def _holds(comparator: str, actual: Any, wanted: Any) -> bool:
    if comparator in {"eq", "has"}:
        return _equal(actual, wanted)
    if comparator == "in":
        return any(_equal(actual, one) for one in wanted)
    if comparator == "like":
        return isinstance(actual, str) and wanted.fullmatch(actual) is not None
    comparable = (_number(actual) and _number(wanted)) or (isinstance(actual, str) and isinstance(wanted, str))
    if not comparable:
        return False
    orders = {"gt": actual > wanted, "gte": actual >= wanted, "lt": actual < wanted, "lte": actual <= wanted}
    return bool(orders[comparator])


def _equal(actual: Any, wanted: Any) -> bool:
    return bool(actual == wanted) and isinstance(actual, bool) == isinstance(wanted, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(run: Run, condition: Comparison) -> bool:
    where = _FIELDS[condition.field](run, None) if condition.field else run.body
    return str(condition.value) in json.dumps(where, ensure_ascii=False, default=str).lower()


_Reading: TypeAlias = Callable[["Run", frozenset[str] | None], Any]


def _of_keys(read: Callable[[Run], object]) -> _Reading:
    return lambda run, _: tuple(key for key, _value in entries(read(run)))


def _of_values(read: Callable[[Run], object]) -> _Reading:
    # Numbers stay numbers beside their text, so that both eq(.., "7") and gt(.., 5) hold.
    return lambda run, keys: tuple(
        form
        for key, value in entries(read(run))
        if keys is None or key in keys
        for form in ((plain(value), value) if _number(value) else (plain(value),))
    )


def _of_body(name: str) -> _Reading:
    return lambda run, _: run.body.get(name)


def _of_usage(name: str) -> _Reading:
    return lambda run, _: getattr(usage(run), name)


_FIELDS: Final[dict[str, _Reading]] = {
    "id": lambda run, _: run.id,
    "trace_id": lambda run, _: run.trace_id,
    "parent_run_id": lambda run, _: run.parent_id,
    "name": _of_body("name"),
    "run_type": lambda run, _: str(run.body.get("run_type") or "chain").lower(),
    "status": lambda run, _: run.status,
    "error": _of_body("error"),
    "inputs": _of_body("inputs"),
    "outputs": _of_body("outputs"),
    "metadata": lambda run, _: run.metadata,
    "is_root": lambda run, _: run.is_root,
    "latency": lambda run, _: run.latency_s,
    "start_time": lambda run, _: run.started_us,
    "end_time": lambda run, _: run.ended_us,
    "first_token_time": _of_usage("first_token_us"),
    "tags": lambda run, _: tuple(run.body.get("tags") or ()),
    "thread_id": lambda run, _: run.thread_id,
    "reference_example_id": _of_body("reference_example_id"),
    "prompt_tokens": _of_usage("prompt_tokens"),
    "completion_tokens": _of_usage("completion_tokens"),
    "total_tokens": _of_usage("total_tokens"),
    "prompt_cost": _of_usage("prompt_cost"),
    "completion_cost": _of_usage("completion_cost"),
    "total_cost": _of_usage("total_cost"),
    "metadata_key": _of_keys(lambda run: run.metadata),
    "metadata_value": _of_values(lambda run: run.metadata),
    "input_key": _of_keys(lambda run: run.body.get("inputs")),
    "input_value": _of_values(lambda run: run.body.get("inputs")),
    "output_key": _of_keys(lambda run: run.body.get("outputs")),
    "output_value": _of_values(lambda run: run.body.get("outputs")),
    "feedback_key": lambda run, _: tuple(one["key"] for one in run.feedback),
    "feedback_score": lambda run, keys: tuple(one.get("score") for one in run.feedback if keys is None or one["key"] in keys),
}
