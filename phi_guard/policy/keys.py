"""Which rule meets a key, at the top of a tool's side and anywhere below it: tables made once, so that a known key is one look-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi_guard.policy.names import KEY_MAX, spelling, without_number

if TYPE_CHECKING:
    from phi_guard.policy.compiled import Branch, Rule


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """A place in a payload that the policy knows.

    Args:
        name: the name it is sent under.
        rule: what is done with a value here; the default rule where only something below has a rule of its own.
        walks: whether a mapping or list here is walked into; else the rule holds for the whole of it.
        below: the keys of a mapping here.
        items: the items of a list here; None where they are what this place is.
    """

    name: str
    rule: Rule
    walks: bool
    below: Keys
    items: Step | None = None


class Keys:
    """The keys of one mapping, each with its step.

    Args:
        aliases: the field that a further spelling means.
        after: the keys that are known besides; those here go before them.
    """

    __slots__ = ("_after", "_aliases", "steps")

    def __init__(self, aliases: Mapping[str, str], after: Keys | None = None) -> None:
        self.steps: dict[str, Step] = {}
        """By name and by spelling. The walk looks here first, and calls `meet` only where it finds nothing."""
        self._aliases = aliases
        self._after = after

    def put(self, step: Step) -> None:
        """Know a name, however it is spelt."""
        self.steps[spelling(step.name)] = self.steps[step.name] = step

    def meet(self, key: str) -> Step | None:
        """The step of a key, however it is spelt; None for a key nobody named."""
        step = self.steps.get(key)
        if step is not None:
            return step
        if len(key) > KEY_MAX:
            return None
        spelt = spelling(without_number(key))
        step = self.steps.get(spelt) or self.steps.get(self._aliases.get(spelt, ""))
        if step is not None or self._after is None:
            return step
        return self._after.meet(key)


def everywhere(fields: Mapping[str, Rule], aliases: Mapping[str, str]) -> Keys:
    """The keys below any field: all the policy's fields, each by its own rule."""
    keys = Keys(aliases)
    for name, rule in fields.items():
        keys.put(plain(name, rule, keys))
    return keys


def side(listed: frozenset[str], branch: Branch | None, default: Rule, fields: Mapping[str, Rule], below: Keys) -> Keys:
    """The keys at the top of one side of a tool: those its list names, and those its own path rules begin with.

    Args:
        listed: the field names the tool lists there.
        branch: the tool's path rules for that side.
        default: the policy's default rule.
        fields: the policy's fields.
        below: from `everywhere`.
    """
    keys = Keys(below._aliases)  # the same class's own table, shared
    for name in listed:
        if name in fields:
            keys.put(plain(name, fields[name], below))
    for name, inner in (branch.keys if branch else {}).items():
        keys.put(_grown(name, inner, default, fields, below))
    return keys


def plain(name: str, rule: Rule, below: Keys) -> Step:
    """A field that no path rule speaks of."""
    return Step(name, rule, rule.action not in {"redact", "drop"}, below)


def _grown(name: str, branch: Branch, default: Rule, fields: Mapping[str, Rule], below: Keys) -> Step:
    """A place that path rules speak of, with all they say below it."""
    # A path that only passes through leaves plain values here to the field's own rule, and walks into the rest.
    rule = branch.rule or fields.get(name)
    keys = below
    if branch.keys:
        keys = Keys(below._aliases, below)  # see `side`
        for key, inner in branch.keys.items():
            keys.put(_grown(key, inner, default, fields, below))
    if branch.items is not None:
        items: Step | None = _grown(name, branch.items, default, fields, below)
    elif branch.keys:
        # What the path says of a mapping it does not say of the items of a list: those have the place's rule and no more.
        items = plain(name, rule, below) if rule is not None else Step(name, default, True, below)  # as the field reads
    else:
        items = None
    walks = branch.rule is None or branch.rule.action not in {"redact", "drop"}
    return Step(name, rule or default, walks, keys, items)
