"""Which fields of which tools were seen in traces, what became of them, and what of the policy nobody has ever used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from audit.source import Run
from phi_guard.model import MARKER, Note
from phi_guard.policy.compiled import Policy, Rule, Side
from phi_guard.policy.examples import patterns_only
from phi_guard.redact import redact_tool

Fate: TypeAlias = Literal["redacted", "kept", "misfit", "sent", "dropped", "unknown"]
FATES: Final[tuple[Fate, ...]] = ("redacted", "kept", "misfit", "sent", "dropped", "unknown")
"""What became of a value: a marker was sent; it was kept, for it fits; it did not fit and a marker was sent; free text (or what was made of
the value) was sent, with nothing or only parts of it redacted; nothing was sent; nobody had named its key."""
SIDES: Final[tuple[Side, Side]] = ("inputs", "outputs")
UNKNOWN: Final = "?"
"""Stands for every key that nobody named, and every tool: their names may be somebody's."""

_STAND_IN: Final = re.compile(r"<REDACTED_KEY_\d+>")
_OF_NOTE: Final[Mapping[str, Fate]] = {"redact": "redacted", "keep": "kept", "misfit": "misfit", "drop": "dropped"}


@dataclass(frozen=True, slots=True)
class FieldCoverage:
    """One field of one side of one tool.

    Args:
        tool: bare name, or ``?`` for a tool the policy does not name.
        side: ``inputs`` or ``outputs``.
        field: the field, or ``?`` for every key nobody named.
        fates: how many values met each of `FATES`; those of none are left out.
    """

    tool: str
    side: str
    field: str
    fates: Mapping[str, int]

    @property
    def seen(self) -> int:
        """How many values were met."""
        return sum(self.fates.values())


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was met, and what was not.

    Args:
        calls: tool calls that were read.
        fields: what was met, by tool and side.
        unseen: fields of the policy never met, as ``tool.side.field``, where their tool was called.
        uncalled: tools of the policy that were never called.
        raw: calls among them that held raw values, which were put through the walk here (with the patterns alone).
    """

    calls: int
    fields: tuple[FieldCoverage, ...]
    unseen: tuple[str, ...]
    uncalled: tuple[str, ...]
    raw: int = 0


def cover(policy: Policy, runs: Iterable[Run]) -> Coverage:
    """Count what became of each field.

    Args:
        policy: says which fields there are.
        runs: runs as stored, of which only tool calls count; or records ``{"tool", "inputs", "outputs"}`` with raw values, of which is
            counted what would be sent. No value is kept.
    """
    work = _Counting(policy)
    for run in runs:
        work.add(run)
    return work.result()


@dataclass(slots=True)
class _Counting:
    policy: Policy
    met: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)
    called: Counter[str] = field(default_factory=Counter)
    raw: int = 0

    def add(self, run: Run) -> None:
        bare, name = run.get("tool"), run.get("name")
        if isinstance(bare, str):
            tool = self._tool(bare)
            self.raw += 1
            sides: dict[str, object] = {side: run[side] for side in SIDES if side in run}
            for note in redact_tool(self.policy, bare, sides, patterns_only()).notes:
                self._note(tool, note)
        elif isinstance(name, str) and name.startswith("tool."):
            tool = self._tool(name.removeprefix("tool."))
            for side in SIDES:
                for field_, value, rule in self._leaves(tool, side, run.get(side)):
                    self._count(tool, side, field_, _fate(value, rule))

    def _tool(self, bare: str) -> str:
        tool = bare if bare in self.policy.tools else UNKNOWN
        self.called[tool] += 1
        return tool

    def _count(self, tool: str, side: str, name: str, fate: Fate) -> None:
        self.met.setdefault((tool, side, name), Counter())[fate] += 1

    def _note(self, tool: str, note: Note) -> None:
        side = note.path.partition(".")[0]
        fate: Fate = "unknown" if note.field == UNKNOWN else _OF_NOTE.get(note.action, "sent")
        self._count(tool, side, note.field, fate)

    def _leaves(self, tool: str, side: Side, given: object) -> Iterator[tuple[str, object, Rule]]:
        """Each plain value of a stored side with the field it is counted as, and its rule."""
        default = self.policy.default
        stack: list[tuple[object, tuple[str, ...], str, Rule]] = [(given, (), UNKNOWN, default)]
        while stack:
            value, steps, name, rule = stack.pop()
            if isinstance(value, Mapping):
                for key, inner in value.items():
                    inside = (*steps, key) if isinstance(key, str) else ()
                    step = self.policy.at(tool, side, inside) if inside and not _STAND_IN.fullmatch(inside[-1]) else None
                    known = step is not None and step.rule is not default
                    stack.append((inner, inside, step.rule.field if step and known else UNKNOWN, step.rule if step and known else default))
            elif isinstance(value, list | tuple):
                stack += [(inner, (*steps, "[*]"), name, rule) for inner in value]
            elif value is not None and steps:
                yield name, value, rule

    def result(self) -> Coverage:
        fields = tuple(FieldCoverage(*place, dict(fates)) for place, fates in sorted(self.met.items()))
        tools = self.policy.tools
        unseen = tuple(
            f"{tool}.{side}.{name}"
            for tool, rules in tools.items()
            for side in SIDES
            for name in sorted(rules.side(side))
            if tool in self.called and (tool, side, name) not in self.met
        )
        return Coverage(self.called.total(), fields, unseen, tuple(tool for tool in tools if tool not in self.called), self.raw)


def _fate(value: object, rule: Rule) -> Fate:
    """What became of a value, from what is stored of it."""
    if rule.field == UNKNOWN:
        return "unknown"
    if value == MARKER:
        return "misfit" if rule.action == "keep" else "redacted"
    return "kept" if rule.action == "keep" else "sent"
