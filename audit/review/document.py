"""The border where a review's file enters, and how it is written: whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from audit.review.record import COMMENTS, ENTITIES, SCHEMA, Decision, Planted, Review, ReviewError, Said

NAME_MAX = 100
_Count = Annotated[int, Field(ge=0)]
_Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Token = Annotated[str, Field(pattern=r"^[0-9a-f-]{1,64}$")]
_Place = Annotated[str, Field(pattern=r"^([0-9]{1,6}\.[a-z]{1,20}\.[0-9]{1,6})?$")]
_When = Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}([+-][0-9]{2}:[0-9]{2}|Z)?)?$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Decision(_Part):
    item: _Token
    said: Said
    entity: str
    place: _Place
    comment: str
    at: _When

    @field_validator("entity")
    @classmethod
    def _entity(cls, value: str) -> str:
        if value and value not in ENTITIES:
            msg = "is none of the classes"
            raise ValueError(msg)
        return value

    @field_validator("comment")
    @classmethod
    def _comment(cls, value: str) -> str:
        if value not in COMMENTS:
            msg = "is none of the comments"
            raise ValueError(msg)
        return value


class _Planted(_Part):
    item: _Token
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]{0,40}$")]
    place: _Place
    said: Said
    found: bool


class _File(_Part):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    schema_name: Literal["phi-audit.review/1"] = Field(alias="schema")
    reviewer: Annotated[str, Field(min_length=1, max_length=NAME_MAX)]
    report_sha256: _Sha
    selection_sha256: _Sha
    began: _When
    ended: _When
    items: _Count
    missing: _Count
    undone: _Count
    decisions: list[_Decision]
    planted: list[_Planted]
    sha256: _Sha


def read(path: Path) -> Review:
    """The review in a file. Raises `ReviewError` if it is none, or is not as it was written."""
    try:
        file = _File.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise ReviewError(f"{path}: cannot be read ({fault.strerror})") from None
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False)
        lines = (f"{path}: {'.'.join(map(str, error['loc'])) or 'file'}: {error['msg']}" for error in errors[:20])
        raise ReviewError("\n".join(lines)) from None
    told = file.model_dump(by_alias=True, exclude={"schema_name", "decisions", "planted"})
    decisions = tuple(Decision(**each.model_dump()) for each in file.decisions)
    review = Review(**told, decisions=decisions, planted=tuple(Planted(**each.model_dump()) for each in file.planted))
    if review.sha256 != digest(review):
        raise ReviewError(f"{path}: sha256: is not that of the rest; the file was changed after it was written")
    if len({each.item for each in decisions}) != len(decisions):
        raise ReviewError(f"{path}: decisions: one trace is decided twice")
    return review


def digest(review: Review) -> str:
    """SHA-256 over the review's canonical JSON (sorted keys, no spaces, UTF-8) without the digest itself."""
    told = {"schema": SCHEMA, **asdict(review)}
    del told["sha256"]
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def write(review: Review, path: Path) -> Review:
    """Write a review, whole or not at all, readable by its owner alone; gives it with its digest.

    Raises:
        ReviewError: it cannot be written.
    """
    review = replace(review, sha256=digest(review))
    text = json.dumps({"schema": SCHEMA, **asdict(review)}, indent=2, ensure_ascii=False)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as fault:
        beside.unlink(missing_ok=True)
        raise ReviewError(f"{path}: cannot be written ({fault.strerror}); what was decided before is kept") from None
    return review
