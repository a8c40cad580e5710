"""A short name for what a policy means: same rules, same digest, whatever the file's layout, comments and examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

from phi_guard.policy.compiled import Branch, Flag, Moment, Number, OneOf, Pattern, Rule, Shape, ToolRules

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


def digest(default: Rule, fields: Mapping[str, Rule], tools: Mapping[str, ToolRules], aliases: Mapping[str, str] = EMPTY) -> str:
    """BLAKE2b over every rule in force, as 16 hex digits.

    Files, lines, reasons, and the order of fields and tools do not count; of pseudonyms it says that they are used, and nothing of the key.
    """
    meaning = [
        default.action,
        {name: _rule(rule) for name, rule in fields.items()},
        {
            name: [sorted(tool.inputs), sorted(tool.outputs), {side: _branch(branch) for side, branch in tool.paths.items()}]
            for name, tool in tools.items()
        },
        dict(aliases),
    ]
    canonical = json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=8, person=b"phi-guard policy").hexdigest()


def _rule(rule: Rule) -> list[object]:
    allowed = [sorted(rule.allow_entities), sorted(rule.safe_values)]
    return [rule.action, rule.safe_harbor, rule.chars, _shape(rule.shape), sorted(rule.unless_sent), rule.to, *allowed]


def _branch(branch: Branch) -> list[object]:
    keys = {key: _branch(inner) for key, inner in branch.keys.items()}
    return [_rule(branch.rule) if branch.rule else None, keys, _branch(branch.items) if branch.items else None]


def _shape(shape: Shape | None) -> list[object]:
    match shape:
        case None:
            return []
        case OneOf(values=values):
            return ["in", *sorted(values)]
        case Pattern(source=source):
            return ["pattern", source]
        case Moment(time_too=time_too):
            return ["moment", time_too]
        case Number(low=low, high=high):
            return ["number", low, high]
        case Flag():
            return ["flag"]
    msg = f"a shape without a digest: {type(shape).__name__}"
    raise TypeError(msg)
