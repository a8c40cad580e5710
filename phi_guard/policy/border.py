"""Where a file's mappings become typed rows: each of pydantic's errors becomes a fault with its line and what to write instead."""

from __future__ import annotations

import re
from typing import Final, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from phi_guard.policy.lines import Place, Sheet, near, quote


class Strict(BaseModel):
    """A row that takes no key it does not know and converts nothing. Each field's description says what to write."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_WORD: Final = re.compile(r"\w+")
_ASIDE: Final = re.compile(r"\([^)]*\)")
Row = TypeVar("Row", bound=Strict)


def take(model: type[Row], value: object, place: Place, sheet: Sheet) -> Row | None:
    """Read a value as a row, or note each of its faults.

    Args:
        model: the row's type.
        value: what the file holds there.
        place: where it stands.
        sheet: the file; takes the faults.

    Returns:
        The row, or None if it has a fault.
    """
    if not isinstance(value, dict):
        sheet.fault(place, f"{quote(value)} is no mapping; write {{{', '.join(f'{name}: ...' for name in model.model_fields)}}}")
        return None
    try:
        return model.model_validate(value)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_context=False):
            loc: Place = error["loc"]
            inside, hint = _hint(model, loc)
            given = error["input"]
            meant = near(given, _WORD.findall(_ASIDE.sub("", hint))) if error["type"] == "string_pattern_mismatch" else ""
            what = f"{quote(given)} will not do{meant}; write {hint}"
            if error["type"] == "missing":
                what = f"is missing; write {hint}"
            elif error["type"] == "extra_forbidden":
                key = str(loc[-1])
                what = f"this key is not known here{near(key, inside.model_fields)}; known are {', '.join(inside.model_fields)}"
            sheet.fault((*place, *loc), what)
        return None


def _hint(model: type[Strict], loc: Place) -> tuple[type[Strict], str]:
    """The row type a location leads into, and what its last named field wants."""
    hint = "a mapping"
    for step in loc:
        known = model.model_fields.get(step) if isinstance(step, str) else None
        if known is None:
            continue
        hint = known.description or hint
        for kind in (known.annotation, *get_args(known.annotation)):
            if isinstance(kind, type) and issubclass(kind, Strict):
                model = kind
    return model, hint
