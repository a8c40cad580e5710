"""What a run may hold, span by span: the closed list of `audit.structure` and the policy's fields, put together once for each name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from audit import structure
from audit.findings import Place
from audit.structure import Check
from phi_guard.policy.compiled import SIDES, Policy
from phi_guard.policy.keys import Keys, Step


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a known shape.

    Args:
        check: whether a value has the shape.
        place: what kind of place it is.
        open: whether the shape could still hold a name, so that the patterns look too.
        most: the largest number that is likely there; a larger one that fits the shape is still told.
    """

    check: Check
    place: Place
    open: bool = False
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping with these keys and no others."""

    keys: Mapping[str, Expect]
    place: Place


@dataclass(frozen=True, slots=True)
class Each:
    """A list of these."""

    item: Expect


@dataclass(frozen=True, slots=True)
class Nothing:
    """A place that holds nothing: empty or a marker."""

    place: Place


@dataclass(frozen=True, slots=True)
class Field:
    """A place of a tool's inputs or outputs under a rule of the policy; ``step`` is None for the side itself."""

    keys: Keys
    step: Step | None = None


Expect: TypeAlias = Leaf | Table | Each | Nothing | Field


class Expected:
    """What runs may hold under one policy.

    Args:
        policy: says which fields of which tools may hold what.
        project: the project's name, which runs may name; empty where it is not known.
    """

    def __init__(self, policy: Policy, project: str) -> None:
        self._policy = policy
        self._project = project
        self._row = _row(policy)
        self._spans: dict[str, Table] = {}
        self.own_words = frozenset({*policy.names, *policy.tools, *self._row, *structure.METADATA, *structure.SPANS})
        """Names that paths are made of, which tell nothing even where they do not belong."""

    def span_name(self, value: object) -> str:
        """The run's name if it is on the closed list, else ``?``."""
        if not isinstance(value, str):
            return "?"
        tool = value.removeprefix(structure.TOOL)
        known = value in structure.SPANS or value == structure.UNKNOWN_TOOL or (tool != value and tool in self._policy.tools)
        return value if known else "?"

    def of(self, span: str) -> Table:
        """What a run of this name may hold; ``?`` for a name that is not on the closed list."""
        if span not in self._spans:  # as many as the closed list has names
            self._spans[span] = self._table(span)
        return self._spans[span]

    def _table(self, span: str) -> Table:
        project = self._project
        session = Leaf(lambda v: v == project, "row") if project else Leaf(structure.LABEL, "row", open=True)
        keys: dict[str, Expect] = {**self._row, "name": Leaf(lambda v: self.span_name(v) != "?", "name"), "session_name": session}
        for side in SIDES:
            if span.startswith(structure.TOOL):
                keys[side] = Field(self._policy.top(span.removeprefix(structure.TOOL), side))
            else:
                keys[side] = Nothing("text")
        return Table(keys, "row")


def _row(policy: Policy) -> Mapping[str, Expect]:
    """What any run may hold, apart from name, inputs, outputs and session_name."""
    metadata: dict[str, Expect] = {
        key: Leaf(check, "metadata", key in structure.OPEN, structure.LIKELY.get(key)) for key, check in structure.METADATA.items()
    }
    fields = (*policy.names, "unknown")
    metadata["redactions"] = Table({name: Leaf(structure.COUNT, "metadata", most=structure.MANY) for name in fields}, "metadata")
    usage = {k: Leaf(check, "metadata", most=structure.LIKELY.get(k)) for k, check in structure.USAGE.items()}
    metadata["usage_metadata"] = Table(usage, "metadata")
    held = Table(metadata, "metadata")
    event = Table(
        {"name": Leaf(lambda v: v == "new_token", "event"), "time": Leaf(structure.TIME, "event"), "kwargs": Nothing("event")}, "event"
    )
    row: dict[str, Expect] = {k: Leaf(check, "row", most=structure.LIKELY.get(k)) for k, check in structure.ADDED_BY_LANGSMITH.items()}
    row |= {key: Leaf(check, "row") for key, check in structure.ROW.items()}
    row |= {
        "error": Leaf(structure.typed_error, "error"),
        "extra": Table({"metadata": held, "metadata_in_extra": held, "runtime": Nothing("metadata")}, "metadata"),
        "events": Each(event),
        "tags": Nothing("tag"),
        "attachments": Nothing("attachment"),
        "serialized": Nothing("text"),
    }
    return row


def in_list(expect: Expect) -> Expect:
    """What an item of a list may be, where the list itself was not expected: a table or leaf does not repeat."""
    if isinstance(expect, Field):
        item = expect.step and (expect.step.items or expect.step)
        return Field(item.below, item) if item is not None else expect
    return expect if isinstance(expect, Nothing) else Nothing(expect.place if not isinstance(expect, Each) else "text")
