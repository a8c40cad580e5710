"""The border of an incident's file: JSON in the audit's own directory, written whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.incident import TEXT_MAX, Entry, Event, Extent, Incident, IncidentBroken, IncidentError, check, where
from audit.whole_file import write_whole

SCHEMA: Final = "phi-audit.incident/1"

_Count = Annotated[int, Field(ge=0)]
_Line = Annotated[str, Field(max_length=300)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Entry(_Part):
    n: _Count
    at: _Line
    event: Event
    by: _Line
    text: Annotated[str, Field(max_length=TEXT_MAX)]
    facts: dict[_Line, _Line | int]
    prev: _Line


class _Extent(_Part):
    traces: _Count
    linked: _Count
    runs: _Count
    entities: dict[_Line, _Count]
    spans: dict[_Line, _Count]


class _File(_Part):
    schema_name: Literal["phi-audit.incident/1"] = Field(alias="schema")
    id: _Line
    zone: _Line
    report_digest: _Line
    report_made_at: _Line
    project: _Line
    place: _Line
    extent: _Extent
    entries: Annotated[list[_Entry], Field(min_length=1)]


def read(directory: Path, name: str) -> Incident:
    """An incident out of the audit's directory.

    Raises:
        IncidentError: there is none of that name, or it cannot be read.
        IncidentBroken: it is not what was written.
    """
    path = where(directory, name)
    try:
        file = _File.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise IncidentError(f"{path}: there is no such incident; list them with: phi-audit incident show") from None
    except OSError as fault:
        raise IncidentError(f"{path}: cannot be read ({fault.strerror})") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False)
        lines = (f"{path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in errors[:20])
        raise IncidentBroken("\n".join(lines)) from None
    entries = tuple(Entry(**entry.model_dump()) for entry in file.entries)
    incident = Incident(
        file.id, file.zone, file.report_digest, file.report_made_at, file.project, file.place, Extent(**file.extent.model_dump()), entries
    )
    if incident.id != name:
        raise IncidentBroken(f"{path}: holds another incident than its name says")
    check(incident)
    try:
        incident.discovered.utcoffset()
    except ValueError:
        raise IncidentBroken(f"{path}: says at no time when it was discovered") from None
    return incident


def write(incident: Incident, directory: Path) -> Path:
    """Write an incident, whole or not at all; the file. Raises `FileNotWritten` where that cannot be."""
    path = where(directory, incident.id)
    write_whole(path, f"{as_json(incident)}\n".encode())
    return path


def as_json(incident: Incident, **more: object) -> str:
    """The incident as indented JSON, with what else is told beside it."""
    return json.dumps({"schema": SCHEMA, **asdict(incident), **more}, indent=1, ensure_ascii=False)


def moment(text: str) -> datetime:
    """A time as a person writes it, which must name its zone. Raises `IncidentError` if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise IncidentError("a time is written with its zone, such as 2026-11-20T10:00+01:00 or 2026-11-20T09:00Z")
    return found
