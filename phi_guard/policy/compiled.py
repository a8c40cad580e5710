"""The policy as the gate uses it: frozen, looked up in O(1), with no trace of YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal, Protocol, TypeAlias

from phi_guard.policy.keys import Keys, Step, everywhere, side
from phi_guard.pseudonym import Pseudonyms

Action: TypeAlias = Literal["redact", "drop", "keep", "scan", "truncate", "pseudonym", "generalise"]
Generalisation: TypeAlias = Literal["year", "age", "zip3", "state"]
Side: TypeAlias = Literal["inputs", "outputs"]
SIDES: Final[tuple[Side, Side]] = ("inputs", "outputs")

PATTERN_VALUE_MAX = 200
"""Characters of a value that a pattern shape will look at; a longer value does not fit, so a pattern's cost stays bounded."""


class Shape(Protocol):
    """What a kept value must look like. Anything that does not fit is redacted."""

    @property
    def listed(self) -> bool:
        """True when every value that fits is written down in the policy itself, so that it tells nothing about a person."""

    def fits(self, value: object) -> bool:
        """Whether the value has this shape. Total: never raises."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A closed list of strings, matched exactly."""

    values: frozenset[str]
    listed: bool = True

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and value in self.values


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that the whole string must match."""

    source: str
    listed: bool = False
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.source))

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and len(value) <= PATTERN_VALUE_MAX and self._compiled.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Moment:
    """An ISO 8601 date, or date and time, and nothing around it."""

    time_too: bool
    listed: bool = False

    def fits(self, value: object) -> bool:
        if not isinstance(value, str) or not 8 <= len(value) <= 40 or not value.isascii():
            return False
        try:
            if self.time_too:
                datetime.fromisoformat(value)
            else:
                date.fromisoformat(value)
        except ValueError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within a range; booleans are not numbers here."""

    low: float
    high: float
    listed: bool = False

    def fits(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Flag:
    """True or False."""

    listed: bool = False

    def fits(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to one field.

    Args:
        field: the field's name in the policy, or ``?`` for the default rule.
        action: what is done.
        line: where the policy file says so, 1-based; 0 for the default rule.
        safe_harbor: which of the 18 identifiers of 45 CFR 164.514(b)(2)(i) it serves, or None.
        chars: for ``truncate``: the most characters that are sent.
        shape: for ``keep``: what a value must look like.
        unless_sent: for ``keep``: field names; if any of them survives in clear in the same payload, this one is redacted.
        to: for ``generalise``: what is left of the value.
        allow_entities: for ``scan`` and ``truncate``: entity classes that detectors may find here without its being redacted.
        safe_values: likewise: stretches of text, in lower case, that are no finding here.
        file: the file that says so, where it is not the policy's own but one that it extends.
    """

    field: str
    action: Action
    line: int = 0
    safe_harbor: int | None = None
    chars: int = 0
    shape: Shape | None = None
    unless_sent: frozenset[str] = frozenset()
    to: Generalisation | None = None
    allow_entities: frozenset[str] = frozenset()
    safe_values: frozenset[str] = frozenset()
    file: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a tool's own path rules say below one place: for each key, and for the items of a list.

    Args:
        rule: the rule of this very place; None where only something below it has one.
        keys: by key as it stands in the payload, in the policy's spelling.
        items: what holds for each item where the place is a list.
    """

    rule: Rule | None = None
    keys: Mapping[str, Branch] = field(default_factory=dict)
    items: Branch | None = None


@dataclass(frozen=True, slots=True)
class ToolRules:
    """Which fields a tool may name on either side; a field not listed is unknown there, even if the policy knows it elsewhere.

    Args:
        inputs: field names at the top of the inputs; likewise ``outputs``.
        line: where the policy file names the tool.
        paths: the tool's own rules by side; they go before the fields' rules.
    """

    inputs: frozenset[str]
    outputs: frozenset[str]
    line: int = 0
    paths: Mapping[Side, Branch] = field(default_factory=dict)

    def side(self, side: Side) -> frozenset[str]:
        return self.inputs if side == "inputs" else self.outputs


@dataclass(frozen=True, slots=True)
class Example:
    """One pair of the policy's own proof: this tool call, given, is sent so."""

    tool: str
    given: Mapping[str, object]
    sends: Mapping[str, object]
    line: int


@dataclass(frozen=True, slots=True)
class Policy:
    """A loaded policy for one environment.

    Args:
        file: where it was read from, as the caller gave it.
        env: the environment whose overlay is applied, such as ``prod``; empty for none.
        digest: BLAKE2b (16 hex digits) over the file's meaning: same rules, same digest.
        default: what an unknown field gets: ``redact`` (a marker stands for it) or ``drop``.
        fields: by field name.
        tools: by bare tool name (``book_appointment``).
        examples: the file's own examples.
        aliases: the field that a further spelling means (`phi_guard.policy.names.spelling`).
        pseudonyms: what makes pseudonyms, where a rule uses them.
    """

    file: str
    env: str
    digest: str
    default: Rule
    fields: Mapping[str, Rule]
    tools: Mapping[str, ToolRules]
    examples: tuple[Example, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    pseudonyms: Pseudonyms | None = field(default=None, repr=False, compare=False)
    names: frozenset[str] = field(init=False, repr=False, compare=False)
    """Every name the policy itself gives to a place: its fields, and the keys of its tools' path rules."""
    _below: Keys = field(init=False, repr=False, compare=False)
    _tops: Mapping[tuple[str, str], Keys] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        below = everywhere(self.fields, self.aliases)
        tops = {
            (name, which): side(rules.side(which), rules.paths.get(which), self.default, self.fields, below)
            for name, rules in self.tools.items()
            for which in SIDES
        }
        named = {key for rules in self.tools.values() for branch in rules.paths.values() for key in _names(branch)}
        for slot, value in (("_below", below), ("_tops", tops), ("names", frozenset({*self.fields, *named}))):
            object.__setattr__(self, slot, value)

    @property
    def listed(self) -> frozenset[str]:
        """Every text the policy itself writes down as no one's: safe values, and the members of the closed lists that kept fields have."""
        rules = [
            *self.fields.values(),
            *(rule for tool in self.tools.values() for branch in tool.paths.values() for rule in _rules(branch)),
        ]
        members = (rule.shape.values for rule in rules if isinstance(rule.shape, OneOf))
        return frozenset().union(*(rule.safe_values for rule in rules), *members)

    def top(self, tool: str, side: Side) -> Keys:
        """The keys at the top of a tool's side; none for a tool the policy does not name.

        Args:
            tool: bare tool name.
            side: ``inputs`` or ``outputs``.
        """
        return self._tops.get((tool, side)) or _NO_KEYS

    def rule_for(self, tool: str, side: Side, key: str, *, top: bool = True) -> Rule:
        """The rule for a key of a tool's inputs or outputs; the default rule where nobody named it.

        Args:
            tool: bare tool name; an unknown tool knows no field at all.
            side: ``inputs`` or ``outputs``.
            key: the field's name, however it is spelt in the payload.
            top: True for a key at the top of the side, which the tool must list; below it, any field of the policy is known.
        """
        keys = self.top(tool, side) if top or tool not in self.tools else self._below
        step = keys.meet(key)
        return step.rule if step is not None else self.default

    def at(self, tool: str, side: Side, steps: Sequence[str]) -> Step | None:
        """The place that steps lead to: keys, and ``[*]`` for the items of a list; None where a step is unknown, or out of reach.

        Args:
            tool: bare tool name.
            side: ``inputs`` or ``outputs``.
            steps: at least one; the first is a key.
        """
        step: Step | None = None
        for n, name in enumerate(steps):
            if n == 0:
                step = self.top(tool, side).meet(name)
            elif step is not None and step.walks:
                step = (step.items or step) if name == "[*]" else step.below.meet(name)
            else:
                return None
        return step


def _names(branch: Branch) -> Iterator[str]:
    for name, inner in branch.keys.items():
        yield name
        yield from _names(inner)
    if branch.items is not None:
        yield from _names(branch.items)


def _rules(branch: Branch) -> Iterator[Rule]:
    if branch.rule is not None:
        yield branch.rule
    for inner in (*branch.keys.values(), *([branch.items] if branch.items is not None else ())):
        yield from _rules(inner)


_NO_KEYS: Final = Keys({})
