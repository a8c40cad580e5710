"""One row of a file becomes one rule: every setting belongs to some actions and to no others, and what weakens a rule gives its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from phi_guard.policy.compiled import Action, Generalisation, Rule
from phi_guard.policy.lines import Place, Sheet, near, quote
from phi_guard.policy.rows import RuleRow
from phi_guard.policy.shapes import SHAPES, BadShape, read_shape

ALLOWABLE: Final = ("AGE", "DATE_TIME", "LOCATION", "NRP", "URL")
"""Classes a field may let pass: none of them is a name or a number that stands for one person."""
SAFE_MIN: Final = 3
"""Characters a safe value has at least; fewer stand inside anything."""
SAFE_MAX: Final = 80
"""Characters a safe value may have."""
SAFE_DIGITS: Final = 4
"""Digits a safe value may have; more are a number that could be somebody's."""

_BELONGS: Final[Mapping[str, tuple[str, ...]]] = {
    "shape": ("keep",),
    "unless_sent": ("keep",),
    "chars": ("truncate",),
    "to": ("generalise",),
    "allow_entities": ("scan", "truncate"),
    "safe_values": ("scan", "truncate"),
}
_NEEDED: Final[Mapping[str, tuple[str, str]]] = {
    "keep": ("shape", f"is missing, and a keep without a shape is blind; write {SHAPES}"),
    "truncate": ("chars", "is missing; write how many characters may be sent"),
    "generalise": ("to", "is missing; write what shall be left: year, age, zip3 or state"),
}


def compiled(
    row: RuleRow, name: str, place: Place, sheet: Sheet, lists: Mapping[str, Sequence[str]], known: Callable[[str, Place], object]
) -> Rule | None:
    """The rule that a row states, or None where its shape cannot be read; every fault is noted.

    Args:
        row: the row.
        name: the field's name.
        place: where the row stands.
        sheet: its file; takes the faults.
        lists: the lists that shapes may name.
        known: notes a fault if there is no such field.
    """
    for key, actions in _BELONGS.items():
        if getattr(row, key) is not None and row.action not in actions:
            what = f"only a {' or '.join(actions)} has {'a ' if key == 'shape' else ''}{key}"
            sheet.fault((*place, key), f"{what}; leave it out, or write action: {actions[0]}")
    if row.action in _NEEDED and getattr(row, _NEEDED[row.action][0]) is None:
        key, what = _NEEDED[row.action]
        sheet.fault((*place, key), what)
    shape = None
    if row.action == "keep" and row.shape is not None:
        try:
            shape = read_shape(row.shape, lists)
        except BadShape as error:
            sheet.fault((*place, "shape"), str(error))
            return None
    for n, other in enumerate(row.unless_sent or []):
        known(other, (*place, "unless_sent", n))
    return Rule(
        name,
        cast("Action", row.action),
        sheet.line(place),
        row.safe_harbor,
        row.chars or 0,
        shape,
        frozenset(row.unless_sent or []),
        cast("Generalisation | None", row.to),
        _allowed(row.allow_entities or {}, (*place, "allow_entities"), sheet),
        _safe(row.safe_values or {}, (*place, "safe_values"), sheet),
    )


def _allowed(given: Mapping[str, str], place: Place, sheet: Sheet) -> frozenset[str]:
    for entity, reason in given.items():
        if entity not in ALLOWABLE:
            what = f"is a class that may name one person{near(entity, ALLOWABLE)}; only {', '.join(ALLOWABLE)} may pass"
            sheet.fault((*place, entity), f"{what}, and safe_values lets single words pass")
        _reason(reason, (*place, entity), sheet)
    return frozenset(given)


def _safe(given: Mapping[str, str], place: Place, sheet: Sheet) -> frozenset[str]:
    for value, reason in given.items():
        if not SAFE_MIN <= len(value.strip()) <= SAFE_MAX or not any(c.isalpha() for c in value):
            sheet.fault((*place, value), f"will not do; write a word or two, with {SAFE_MIN} to {SAFE_MAX} characters")
        elif sum(c.isdecimal() for c in value) > SAFE_DIGITS:
            sheet.fault((*place, value), f"has more than {SAFE_DIGITS} digits, so it could be somebody's number; leave it out")
        _reason(reason, (*place, value), sheet)
    return frozenset(" ".join(value.lower().split()) for value in given)


def _reason(reason: str, place: Place, sheet: Sheet) -> None:
    if len(reason.strip()) < SAFE_MIN:
        sheet.fault(place, f"{quote(reason)} is no reason; write why this is nobody's")
