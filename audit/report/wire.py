"""How a report is written for machines: plain values, one way to write each, and a digest over them.

Canonical JSON: keys sorted, no spaces, UTF-8, and a number without a fraction written as a whole number (as RFC 8785 does), so that the
same report has the same bytes whether it was made here or read from a file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any, Final

UNSIGNED: Final = ("digest", "signatures")
"""Keys of a report that its digest leaves out: itself, and what is signed over it."""
_EXACT: Final = 2**53


def plain(value: object, where: str = "report") -> Any:
    """A value as JSON knows it: mappings, lists, text, numbers, true, false, null.

    Args:
        value: dataclasses, mappings, tuples and scalars.
        where: its place, for the error.

    Raises:
        ValueError: a number is not finite, or a value is of no kind that JSON has.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, float):
        if not isfinite(value):
            msg = f"{where}: a number is not finite"
            raise ValueError(msg)
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(held, f"{where}.{name}") for name, held in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):  # a NamedTuple: its names are worth as much as a dataclass's
        return {name: plain(held, f"{where}.{name}") for name, held in zip(value._fields, value, strict=True)}
    if isinstance(value, list | tuple):
        return [plain(held, where) for held in value]
    msg = f"{where}: a {type(value).__name__} has no place in a report"
    raise ValueError(msg)


def canonical(content: Mapping[str, object]) -> bytes:
    """The one way to write it."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def digest(content: Mapping[str, object]) -> str:
    """SHA-256 over the canonical JSON without `UNSIGNED`; for a report's JSON as read, this is what was signed."""
    return hashlib.sha256(canonical({name: held for name, held in content.items() if name not in UNSIGNED})).hexdigest()


def mapping(value: object) -> dict[str, Any]:
    """A plain mapping, for the type."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[dict[str, Any]]:
    """A list of plain mappings, for the type."""
    return value if isinstance(value, list) else []


def gate_row(judged: Mapping[str, Any]) -> dict[str, Any]:
    """A judged gate as one flat row: its name first, then what the evidence says."""
    gate = dict(judged["gate"])
    row = {"name": gate.pop("name"), "state": judged["state"], "why": judged["why"], "measured": judged["measured"]}
    rest = {name: held for name, held in judged.items() if name not in {"gate", *row}}
    order = ("bound", "bar", "asks", "source", "evidence")
    return row | {name: gate.pop(name) for name in order} | gate | rest


def gate_of(row: Mapping[str, Any], of_gate: frozenset[str]) -> dict[str, Any]:
    """The reverse of `gate_row`; ``of_gate`` are the names that a gate itself has."""
    gate = {name: held for name, held in row.items() if name in of_gate}
    return {"gate": gate} | {name: held for name, held in row.items() if name not in of_gate}
