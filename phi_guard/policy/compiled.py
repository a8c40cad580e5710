"""The policy as the gate uses it: frozen, looked up in O(1), with no trace of YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol, TypeAlias

Action: TypeAlias = Literal["redact", "drop", "keep", "scan", "truncate"]
Side: TypeAlias = Literal["inputs", "outputs"]

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
    """

    field: str
    action: Action
    line: int = 0
    safe_harbor: int | None = None
    chars: int = 0
    shape: Shape | None = None
    unless_sent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ToolRules:
    """Which fields a tool may name on either side; a field not listed is unknown there, even if the policy knows it elsewhere."""

    inputs: frozenset[str]
    outputs: frozenset[str]
    line: int = 0

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
    """

    file: str
    env: str
    digest: str
    default: Rule
    fields: Mapping[str, Rule]
    tools: Mapping[str, ToolRules]
    examples: tuple[Example, ...] = ()

    def rule_for(self, tool: str, side: Side, key: str, *, top: bool = True) -> Rule:
        """The rule for a key of a tool's inputs or outputs; the default rule where nobody named it.

        Args:
            tool: bare tool name; an unknown tool knows no field at all.
            side: ``inputs`` or ``outputs``.
            key: the field's name as it stands in the payload.
            top: True for a key at the top of the side, which the tool must list; below it, any field of the policy is known.
        """
        rules = self.tools.get(tool)
        if rules is None or (top and key not in rules.side(side)):
            return self.default
        return self.fields.get(key, self.default)
