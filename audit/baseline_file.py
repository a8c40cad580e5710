"""The border where a baseline, and the findings of a report, enter: every fault is told with its line, and nothing else is converted."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.baseline import LIFETIME_MAX, SCHEMA, Accepted, BaselineError
from audit.findings import Finding, Place, Severity
from phi_guard.errors import PolicyError
from phi_guard.policy import border, lines

NAME: Final = "phi-audit.baseline.yaml"
_DAY: Final = r"\d{4}-\d\d-\d\d"
_LINE: Final = r"[^\x00-\x1f\x7f]{1,200}"

HEAD: Final = (
    "# Findings that somebody looked at and accepted. Made by `phi-audit baseline`; an entry that has expired is open again.\n"
    "# A fingerprint is keyed: it says nothing of the value. Write no value in a reason.\n"
)


class _Entry(border.Strict):
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$", description="the finding's fingerprint, 16 hexadecimal digits")
    path: str = Field(min_length=1, max_length=500, description="the finding's path without indexes, such as inputs.notes")
    entity: str = Field(pattern=r"^[A-Z][A-Z0-9_]{0,59}$", description="the finding's entity, such as UNEXPLAINED")
    severity: Literal["high", "medium"] = Field(description="high or medium, as the finding has it")
    reason: str = Field(pattern=rf"^{_LINE}$", description="why it is no leak, one line of at most 200 characters")
    owner: str = Field(pattern=rf"^{_LINE}$", description="who answers for it, one line of at most 200 characters")
    accepted: str = Field(pattern=rf"^{_DAY}$", description="the day it was accepted, such as 2026-11-20")
    expires: str = Field(pattern=rf"^{_DAY}$", description=f"the last day it holds, at most {LIFETIME_MAX.days} days later")


class _Finding(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    run_id: str
    trace_id: str
    span: str
    path: str
    place: Place
    entity: str = Field(pattern=r"^[A-Z][A-Z0-9_]{0,59}$")
    start: int
    length: int
    fingerprint: str = Field(pattern=r"^[0-9a-f]{16}$")
    source: str
    severity: Severity


class _Report(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    schema_name: str = Field(alias="schema", pattern=r"^phi-audit\.report/[1-9][0-9]?$")
    findings: list[_Finding]


def read(path: Path) -> tuple[Accepted, ...]:
    """The entries of a baseline, in their order.

    Raises:
        BaselineError: with every fault, each ``file:line: place: what, and what to write instead``.
    """
    try:
        sheet = lines.read(path)
    except PolicyError as fault:
        raise BaselineError("\n".join(fault.faults)) from None
    found = sheet.value
    entries: list[Accepted] = []
    if not isinstance(found, dict):
        sheet.fault((), f"is no mapping; write `schema: {SCHEMA}` and `accepted:` with a list")
    else:
        if found.get("schema") != SCHEMA:
            sheet.fault(("schema",), f"write schema: {SCHEMA}")
        for key in found.keys() - {"schema", "accepted"}:
            sheet.fault((key,), "this key is not known here; known are schema, accepted")
        listed = found.get("accepted")
        if not isinstance(listed, list):
            sheet.fault(("accepted",), "is no list; write `accepted: []` or entries")
        else:
            entries = _entries(listed, sheet)
    try:
        sheet.check()
    except PolicyError as fault:
        raise BaselineError("\n".join(fault.faults)) from None
    return tuple(entries)


def _entries(listed: Sequence[object], sheet: lines.Sheet) -> list[Accepted]:
    entries: list[Accepted] = []
    seen: dict[tuple[str, str, str], int] = {}
    for n, row in enumerate(listed):
        place: lines.Place = ("accepted", n)
        entry = _take(row, place, sheet)
        if entry is None:
            continue
        days: list[date] = []
        for name in ("accepted", "expires"):
            try:
                days.append(date.fromisoformat(getattr(entry, name)))
            except ValueError:
                sheet.fault((*place, name), "is no day of the calendar; write one such as 2026-11-20")
        if len(days) == 2 and days[1] < days[0]:
            sheet.fault((*place, "expires"), "is before the day it was accepted")
        elif len(days) == 2 and days[1] > days[0] + LIFETIME_MAX:
            sheet.fault(
                (*place, "expires"), f"is more than {LIFETIME_MAX.days} days after it was accepted; look at the finding again by then"
            )
        made = Accepted(
            entry.fingerprint, entry.path, entry.entity, entry.reason, entry.owner, entry.accepted, entry.expires, severity=entry.severity
        )
        if made.key in seen:
            sheet.fault(place, f"is the same finding as on line {seen[made.key]}; keep one of the two")
        seen.setdefault(made.key, sheet.line(place))
        entries.append(made)
    return entries


def _take(row: object, place: lines.Place, sheet: lines.Sheet) -> _Entry | None:
    """A row as an entry, or None with its faults noted: unlike a policy's, they do not quote what stands there, which could be a value."""
    try:
        return _Entry.model_validate(row)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_context=False, include_input=False):
            key = str(error["loc"][0]) if error["loc"] else ""
            known = _Entry.model_fields.get(key)
            if known is None:
                at, what = place, f"holds a key that is not known here, or is no mapping; known are {', '.join(_Entry.model_fields)}"
            else:
                missing = "is missing; " if error["type"] == "missing" else "will not do; "
                at, what = (*place, key), f"{missing}write {known.description}"
            sheet.fault(at, what)
        return None


def write(path: Path, entries: Iterable[Accepted]) -> None:
    """Write a baseline; it stands whole under its name or not at all.

    Raises:
        BaselineError: it cannot be written.
    """
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(render(entries))
            file.flush()
            os.fsync(file.fileno())
        Path(made).chmod(0o644)  # it is committed beside the policy, and holds no value
        Path(made).replace(path)
    except OSError as fault:
        if made:
            Path(made).unlink(missing_ok=True)
        raise BaselineError(f"{path}: cannot be written ({fault.strerror}); check the directory and the space left") from None


def render(entries: Iterable[Accepted]) -> str:
    """A baseline as YAML. Every text stands in JSON's quotes, which are YAML's too."""
    out = [HEAD, f"schema: {SCHEMA}\n"]
    rows = [{name: value for name, value in asdict(entry).items() if name != "matched"} for entry in entries]
    out.append("accepted:\n" if rows else "accepted: []\n")
    for row in rows:
        for n, (name, value) in enumerate(row.items()):
            out.append(f"{'  - ' if n == 0 else '    '}{name}: {_quoted(value)}\n")
    return "".join(out)


def _quoted(text: str) -> str:
    """A text in double quotes as JSON and YAML both read it; YAML folds U+2028, and knows no pairs of surrogates."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False))


def read_findings(path: Path) -> tuple[Finding, ...]:
    """The findings of a report in JSON; keys that are not known are passed over.

    Raises:
        BaselineError: it cannot be read, or is no report. No fault holds what stands in the file.
    """
    try:
        report = _Report.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BaselineError(f"{path}: cannot be read ({fault.strerror}); give the report.json of a scan") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False, include_context=False)[:20]
        told = [f"{path}: {'.'.join(str(step) for step in error['loc'] if isinstance(step, int) or step in _NAMES) or 'file'}: "
            f"{_WHY.get(error['type'], 'is not what a report holds there')}" for error in errors]  # fmt: skip
        raise BaselineError("\n".join([*told, f"{path}: give the report.json that `phi-audit scan --format json` wrote"])) from None
    return tuple(Finding(**finding.model_dump()) for finding in report.findings)


_NAMES: Final = frozenset({*_Finding.model_fields, "schema", "findings"})
_WHY: Final = {"missing": "is missing", "json_invalid": "is no JSON"}
