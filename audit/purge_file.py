"""The border of a purge's receipts: JSON, written whole after each step, and read again to go on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audit.purge import NOTES, Purge, PurgeError, Receipt
from audit.whole_file import write_whole

SCHEMA: Final = "phi-audit.purge/1"

_Count = Annotated[int, Field(ge=0)]
_Id = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
_Line = Annotated[str, Field(max_length=300)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    trace_id: _Id  # goes into an address
    state: Literal["waiting", "asked", "gone", "absent", "refused"]
    asked_at: _Line
    status: _Count
    gone_at: _Line
    checks: _Count
    seen_by: Literal["", "query", "read", "query+read"]
    runs: list[_Id] = []  # an older file has none


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_name: Literal["phi-audit.purge/1"] = Field(alias="schema")
    report_digest: _Line
    host: _Line
    project: _Line
    begun_at: _Line
    unnamed: _Count
    counts: dict[str, _Count]
    receipts: list[_Row]
    notes: list[str]


def read(path: Path) -> Purge:
    """The purge whose receipts a file holds. Raises `PurgeError` if it holds none."""
    return read_with_digest(path)[0]


def read_with_digest(path: Path) -> tuple[Purge, str]:
    """The purge whose receipts a file holds, and the SHA-256 of that file's bytes. Raises `PurgeError` if it holds none."""
    try:
        content = path.read_bytes()
        file = _File.model_validate_json(content)
    except OSError as fault:
        raise PurgeError(f"{path}: cannot be read ({fault.strerror})") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False)
        lines = (f"{path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in errors[:20])
        raise PurgeError("\n".join(lines)) from None
    receipts = tuple(Receipt(**row.model_dump() | {"runs": tuple(row.runs)}) for row in file.receipts)
    return Purge(file.report_digest, file.host, file.project, file.begun_at, receipts, file.unnamed), hashlib.sha256(content).hexdigest()


def write(purge: Purge, path: Path) -> None:
    """Write the receipts, whole or not at all. Raises `FileNotWritten` where that cannot be."""
    write_whole(path, _written(purge))


def digest(purge: Purge) -> str:
    """SHA-256 of the bytes that `write` writes, hexadecimal: what the audit's log keeps of them, and ``sha256sum`` prints."""
    return hashlib.sha256(_written(purge)).hexdigest()


def _written(purge: Purge) -> bytes:
    return f"{as_json(purge)}\n".encode()


def as_json(purge: Purge) -> str:
    """The receipts as indented JSON."""
    counts = {state: purge.count(state) for state in ("gone", "asked", "waiting", "refused", "absent")}
    head: dict[str, object] = {"schema": SCHEMA, "report_digest": purge.report_digest, "host": purge.host, "project": purge.project}
    head |= {"begun_at": purge.begun_at, "unnamed": purge.unnamed, "counts": counts}
    return json.dumps(head | {"receipts": [asdict(receipt) for receipt in purge.receipts], "notes": list(NOTES)}, indent=1)
