"""Path rules: ``inputs.patient.contact[*].phone`` names one place of one tool's payload, and goes before the field's own rule there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias, cast

from phi_guard.policy.compiled import Branch, Rule, Side
from phi_guard.policy.names import NAME

ITEM: Final = "[*]"
"""The step into the items of a list."""
STEPS_MAX: Final = 16
"""Steps a path may have; the walk goes deeper than any payload of a tool."""

Path: TypeAlias = tuple[Side, tuple[str, ...]]
"""A side, and the steps below it: keys, and `ITEM` for the items of a list."""

_STEP: Final = re.compile(rf"\.({NAME.pattern})|(\[\*\])")


class BadPath(ValueError):  # turned into a fault by the caller
    """A path that cannot be read; the message says what to write instead."""


def read_path(text: str) -> Path:
    """The path a file's key stands for.

    Raises:
        BadPath: it is no path.
    """
    side, rest = next(((s, text[len(s) :]) for s in ("inputs", "outputs") if text.startswith(s)), ("", text))
    steps = [found[1] or ITEM for found in _STEP.finditer(rest)]
    if not side or not steps or steps[0] == ITEM or "".join(s if s == ITEM else f".{s}" for s in steps) != rest:
        msg = "is no path; write inputs or outputs, then keys and [*] for the items of a list, such as inputs.patient.contact[*].phone"
        raise BadPath(msg)
    if len(steps) > STEPS_MAX:
        msg = f"has more than {STEPS_MAX} steps; write a rule for a place further up"
        raise BadPath(msg)
    return cast("Side", side), tuple(steps)


def spelt(path: Path) -> str:
    """A path as a file has it."""
    side, steps = path
    return side + "".join(step if step == ITEM else f".{step}" for step in steps)


def field_of(path: Path) -> str:
    """The name of the place: the last key on the way to it."""
    return next(step for step in reversed(path[1]) if step != ITEM)


def around(path: Path) -> Iterator[Path]:
    """The places on the way to a path, the outermost first."""
    side, steps = path
    for n in range(1, len(steps)):
        yield side, steps[:n]


def branches(rules: Mapping[Path, Rule]) -> dict[Side, Branch]:
    """The rules as a tree for each side that has any."""
    return {side: _branch(None, {path[1]: rule for path, rule in rules.items() if path[0] == side}) for side in {s for s, _ in rules}}


def _branch(rule: Rule | None, below: Mapping[tuple[str, ...], Rule]) -> Branch:
    heads = dict.fromkeys(steps[0] for steps in below)
    inner = {
        head: _branch(below.get((head,)), {steps[1:]: r for steps, r in below.items() if steps[0] == head and len(steps) > 1})
        for head in heads
    }
    items = inner.pop(ITEM, None)
    return Branch(rule, inner, items)
