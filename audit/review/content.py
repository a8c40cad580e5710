"""A trace as a person reads it: one line a value, each with its place. Kept in memory alone, and packed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from audit import structure
from audit.source import Run

HIDDEN: Final = frozenset({"id", "trace_id", "parent_run_id", "dotted_order", "start_time", "end_time", "session_name", "run_type"})
"""Fields that are not shown: the machine holds them to a shape that nothing can be written in, and they would tell a copy from a trace."""
_ORDER: Final = ("name", "inputs", "outputs", "error", "tags", "attachments", "events", "extra", "serialized")
_LEAVES_MAX: Final = 2_000
"""Values of one field that are shown; a run with more says so, and is no trace of ours."""


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a trace.

    Args:
        place: number of the run, field, number of the value in it: holds nothing of the trace.
        label: the path with its keys, for the screen alone.
        text: the value, for the screen alone.
    """

    place: str
    label: str
    text: str


def pack(runs: Iterable[Run]) -> bytes:
    """A trace's runs as its lines, in the order the runs began, packed."""
    ordered = sorted(runs, key=lambda run: (str(run.get("dotted_order") or ""), str(run.get("id"))))
    lines = [[line.place, line.label, line.text] for n, run in enumerate(ordered, 1) for line in _lines(n, run)]
    return zlib.compress(json.dumps(lines, ensure_ascii=True).encode())


def unpack(packed: bytes) -> tuple[Line, ...]:
    """The lines of a packed trace."""
    return tuple(Line(*parts) for parts in json.loads(zlib.decompress(packed)))


def _lines(n: int, run: Run) -> Iterator[Line]:
    name = str(run.get("name"))
    yield Line(f"{n}.name.1", "name", name)
    for field in (*_ORDER[1:], *sorted(set(run) - set(_ORDER) - HIDDEN)):
        value = run.get(field)
        if value in (None, "", [], {}):
            continue
        shown = field if field in _ORDER else "other"
        for k, (label, text) in enumerate(_leaves(value, field), 1):
            if k > _LEAVES_MAX:
                yield Line(f"{n}.{shown}.{k}", label, "(more than can be shown: call this a leak)")
                break
            yield Line(f"{n}.{shown}.{k}", label, text)


def _leaves(value: object, label: str) -> Iterator[tuple[str, str]]:
    stack = [(value, label)]
    while stack:
        value, label = stack.pop()
        if isinstance(value, Mapping) and value:
            stack += [(inner, f"{label}.{key}") for key, inner in reversed(list(value.items()))]
        elif isinstance(value, list) and value:
            stack += [(inner, f"{label}[{k}]") for k, inner in reversed(list(enumerate(value)))]
        elif structure.UUID(value):
            yield label, "(an id)"
        else:
            yield label, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
