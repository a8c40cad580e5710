"""From the bytes of a request to a batch the store can take: decompression, the three JSON shapes, and what a run must look like."""

from __future__ import annotations

import json
from typing import Any, Final, Literal, NoReturn, TypeVar
from uuid import UUID

import msgspec
import zstandard

from tracing.local.trace_store import moments
from tracing.local.trace_store.multipart import parts
from tracing.local.trace_store.records import Attachment, Batch, Json, Operation
from tracing.local.trace_store.refusal import Refusal

DEEPEST: Final = 200
"""Levels of nesting taken. Python's JSON stops near 990; a run just below that could be stored, and then fail every reading."""
_SLICE: Final = 256  # bytes of input a step; zstd makes at most 128 KiB of a 4-byte block, so a step makes at most 8 MiB
_T = TypeVar("_T")


class _RunShape(msgspec.Struct):
    """What a run may look like on the wire; fields not named here pass as they are, and null is not given."""

    id: UUID
    trace_id: UUID | None = None
    parent_run_id: UUID | None = None
    session_id: UUID | None = None
    session_name: str | None = None
    name: str | None = None
    run_type: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    dotted_order: str | None = None
    error: str | None = None
    inputs: dict[str, Any] | None = None
    outputs: dict[str, Any] | None = None
    extra: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
    tags: list[str] | None = None


class _FeedbackShape(msgspec.Struct):
    id: UUID
    key: str
    run_id: UUID | None = None
    score: float | bool | None = None


class _BatchShape(msgspec.Struct):
    post: list[dict[str, Any]] | None = None
    patch: list[dict[str, Any]] | None = None


def inflated(body: bytes, limit: int) -> bytes:
    """The content of one or more zstd frames, with or without a content size, never more than ``limit`` bytes.

    Raises:
        Refusal: 413 beyond the limit (found before the memory is spent); 400 for broken or cut frames.
    """
    out = bytearray()
    frame = None
    try:
        for at in range(0, len(body), _SLICE):
            rest = body[at : at + _SLICE]
            while rest:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                out += frame.decompress(rest)
                if len(out) > limit:
                    raise Refusal(413, f"zstd: the content is larger than {limit} bytes; send smaller batches")
                rest = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError:
        raise Refusal(400, "zstd: the body is not a zstd frame") from None
    if frame is not None or not body:
        raise Refusal(400, "zstd: the frame is cut short")
    return bytes(out)


def document(body: bytes, what: str = "body") -> Any:
    """The JSON value of ``body``; ``what`` names the place in a refusal.

    Raises:
        Refusal: 400 for anything that is not JSON (NaN and Infinity are not), or is nested too deep to read.
    """
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, f"{what}: not JSON; send UTF-8 JSON as the LangSmith SDK does") from None
    if body.count(b"[") + body.count(b"{") > DEEPEST and _deeper(value, DEEPEST):
        raise Refusal(400, f"{what}: nested deeper than {DEEPEST} levels")
    return value


def _deeper(value: object, levels: int) -> bool:
    """Whether lists and objects lie in each other more than so many levels deep."""
    level = [value]
    for _ in range(levels):
        lists = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [inner for one in lists for inner in one]
    return any(isinstance(one, dict | list) for one in level)


def shaped(value: object, shape: type[_T], what: str) -> _T:
    """``value`` as the shape asks for it.

    Raises:
        Refusal: 422 with the place that does not fit; never its value.
    """
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as fault:
        raise Refusal(422, f"{what}: {fault}") from None


def from_multipart(content_type: str, body: bytes) -> Batch:
    """The batch of a ``/runs/multipart`` body: runs in pieces, attachments, feedback.

    Raises:
        Refusal: 400 for broken framing or JSON, 422 for a part or a run of the wrong shape.
    """
    runs: dict[tuple[Literal["post", "patch"], str], Json] = {}
    attachments, feedback = [], []
    for part in parts(content_type, body):
        kind, _, rest = part.name.partition(".")
        item_id, _, field = rest.partition(".")
        where = f"part {kind} {item_id[:36]}" if kind in {"post", "patch", "attachment", "feedback"} else "a part"
        item_id = _uuid(item_id, where)
        if kind in {"post", "patch"}:
            run = runs.setdefault((kind, item_id), {})  # type: ignore[arg-type]  # narrowed by the test above
            value = document(part.data, where)
            if field:
                run[field] = value
            else:
                run.update(shaped(value, dict[str, Any], where))
        elif kind == "attachment" and field:
            attachments.append(Attachment(item_id, _text(field, where), part.mime, part.data))
        elif kind == "feedback" and not field:
            feedback.append(feedback_of(document(part.data, where), where))
        else:
            raise Refusal(422, "multipart: a part is named post|patch.<id>[.<field>], attachment.<id>.<name> or feedback.<id>")
    operations = tuple(operation(kind, {"id": run_id} | run, run_id) for (kind, run_id), run in runs.items())
    return Batch(operations, tuple(attachments), tuple(feedback))


def from_batch(body: bytes) -> Batch:
    """The batch of a ``/runs/batch`` body: ``{"post": [...], "patch": [...]}``.

    Raises:
        Refusal: 400 for broken JSON, 422 for a run of the wrong shape.
    """
    lists = shaped(document(body), _BatchShape, "body")
    posts = [operation("post", run) for run in lists.post or ()]
    return Batch((*posts, *(operation("patch", run) for run in lists.patch or ())))


def operation(kind: Literal["post", "patch"], run: Json, run_id: str | None = None) -> Operation:
    """One checked create or update.

    Args:
        kind: ``post`` to create the run, ``patch`` to update it.
        run: the run's JSON object.
        run_id: the id the address or part name gives, if any; the body's own id must be the same.

    Raises:
        Refusal: 422 where a field has the wrong shape or a create lacks its name or type; 400 where two ids differ.
    """
    where = f"{kind} {run_id}" if run_id else kind
    shape = shaped(run, _RunShape, where)
    if run_id is not None and str(shape.id) != run_id:
        raise Refusal(400, f"{where}: the body has another id")
    if kind == "post" and not (shape.name and shape.run_type):
        raise Refusal(422, f"{where}: a run needs a name and a run_type")
    for key in ("start_time", "end_time"):
        if (moment := getattr(shape, key)) is not None:
            _moment(moment, f"{where}: {key}")
    ids = {key: str(value) for key in ("id", "trace_id", "parent_run_id", "session_id") if (value := getattr(shape, key)) is not None}
    for key in ("session_name", "name", "run_type", "dotted_order"):
        _text(getattr(shape, key) or "", f"{where}: {key}")
    return Operation(kind, ids["id"], {key: value for key, value in run.items() if value is not None} | ids)


def feedback_of(value: object, where: str = "feedback") -> Json:
    """One checked feedback object.

    Raises:
        Refusal: 422 where a field has the wrong shape.
    """
    shape = shaped(value, _FeedbackShape, where)
    _text(shape.key, where)
    given = shaped(value, dict[str, Any], where)
    now = moments.iso(moments.now())
    return {"created_at": now, "modified_at": now} | given | {"id": str(shape.id), "run_id": str(shape.run_id) if shape.run_id else None}


def _uuid(text: str, where: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Refusal(422, f"{where}: its id is not a UUID") from None


def _text(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal(422, f"{where}: half a surrogate pair is not text") from None
    return text


def _moment(text: str, where: str) -> None:
    try:
        moments.microseconds(text)
    except (ValueError, OverflowError):
        raise Refusal(422, f"{where}: not an ISO 8601 time") from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError
