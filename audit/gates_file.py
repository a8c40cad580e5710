"""The border where ``gates.yaml`` enters: every fault is named with the file and the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from audit.gates_base import GO_LIVE, WEEKS, Gate, GatesError

_BOUNDS = ("at_most", "below", "at_least")
_SETTINGS = ("calls_per_day", "fixed_usd", "fails_above", "reviewers", "traces", "recall", "calls", "minutes", "gap_minutes")


class _Gate(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)  # no number reaches a bar that is none, or all do

    asks: str
    source: str
    evidence: Literal["census", "known_answers", "rehearsal", "policy", "alerts", "review", "monitoring"]
    week: int = Field(GO_LIVE, ge=1, le=WEEKS[-1])
    at_most: float | None = None
    below: float | None = None
    at_least: float | None = None
    calls_per_day: float | None = None
    fixed_usd: float | None = None
    fails_above: float | None = None
    reviewers: float | None = None
    traces: float | None = None
    recall: float | None = None
    calls: float | None = None
    minutes: float | None = None
    gap_minutes: float | None = None

    @model_validator(mode="after")
    def _one_bar(self) -> _Gate:
        bars = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(bars) != 1:
            msg = f"give one of {', '.join(_BOUNDS)}"
            raise ValueError(msg)
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    gates: dict[str, _Gate]


def read(path: Path, known: frozenset[str], operation: frozenset[str] = frozenset()) -> tuple[Gate, ...]:
    """The gates of a file.

    Args:
        path: the YAML file.
        known: the gates of the go/no-go; one may be asked for earlier, never later.
        operation: those of week 6. All of both must stand there, and no other.

    Raises:
        GatesError: with the faults.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = _File.model_validate(yaml.safe_load(text))
    except OSError as fault:
        raise GatesError(f"{path}: cannot be read ({fault.strerror}); name another with --gates") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        mark = getattr(fault, "problem_mark", None)
        raise GatesError(f"{path}:{mark.line + 1 if mark else 1}: is not YAML; correct it") from None
    except ValidationError as fault:  # a ValueError too
        lines = (
            f"{path}:{_line(text, error['loc'])}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}"
            for error in fault.errors(include_input=False)
        )
        raise GatesError("\n".join(lines)) from None
    except (RecursionError, ValueError):  # YAML nested too deep, or a number without end
        raise GatesError(f"{path}:1: is nested too deep, or holds what YAML cannot; correct it") from None
    missing, strange = (known | operation) - file.gates.keys(), file.gates.keys() - known - operation
    if missing or strange:
        words = [f"lacks {', '.join(sorted(missing))}"] * bool(missing) + [f"has unknown {', '.join(sorted(strange))}"] * bool(strange)
        do = "; copy what it lacks out of gates.yaml as shipped" * bool(missing)
        raise GatesError(f"{path}: gates: {' and '.join(words)}; a bar may change, a gate may not be left out{do}")
    for name, gate in file.gates.items():
        if name in known and gate.week > GO_LIVE:
            raise GatesError(f"{path}: gates: {name}: week: {gate.week} is too late; the go/no-go in week {GO_LIVE} rests on it")
        if name in operation and gate.week <= GO_LIVE:
            raise GatesError(f"{path}: gates: {name}: week: must be {WEEKS[-1]}; before it is in operation nobody can watch it")
    return tuple(_compiled(name, gate) for name, gate in file.gates.items())


def _line(text: str, place: tuple[int | str, ...]) -> int:
    """The line of a place in YAML that was read before, or of the nearest one around it."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for step in place:
        rows = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((key, value) for key, value in rows if key.value == str(step)), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _compiled(name: str, gate: _Gate) -> Gate:
    bound = next((b for b in _BOUNDS if getattr(gate, b) is not None), "")
    settings = {key: value for key in _SETTINGS if (value := getattr(gate, key)) is not None}
    return Gate(name, gate.asks, gate.source, gate.evidence, getattr(gate, bound) if bound else None, bound, settings, gate.week)
