"""Parquet files as a source: LangSmith's bulk export, or what was made of it. One row group at a time, and of that some rows at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from audit.engine.partition import Partition
from audit.manifest import Manifest
from audit.moments import wire
from audit.source import Portion, Run, SourceError
from audit.source.export import name_attachments, version_of
from audit.source.tally import Tally

BATCH: Final = 64
"""Rows that are in memory at a time."""
IDS: Final = 4_096
"""Rows that are in memory at a time where only their ids are read."""
SLICE: Final = 16_384
"""Rows of a portion; a row group of more is read in slices, so that its account fits into memory and many can read it."""
SLICES_MAX: Final = 16
"""Slices of one row group: each but the first decodes the rows before it once more."""
REQUIRED: Final = ("id", "trace_id", "name", "run_type", "start_time", "inputs", "outputs", "error", "extra", "events", "tags")
"""Columns without which a client's content would go unseen; an export can be told to leave some out."""
DECODED: Final = frozenset({"inputs", "outputs", "extra", "events", "serialized", "manifest", "metadata", "s3_urls", "attachments"})
"""Columns that hold JSON, as text or as structs. ``tags`` may be a list or such text."""
ADDED: Final = frozenset(
    {
        "tenant_id", "child_run_ids", "direct_child_run_ids", "feedback_stats", "is_root", "in_dataset", "last_queued_at", "manifest_id",
        "manifest_s3_id", "share_token", "price_model_id", "reference_dataset_id", "trace_min_start_time", "trace_max_start_time",
        "trace_first_received_at", "received_at", "ttl_seconds", "trace_upgrade", "prompt_token_details", "completion_token_details",
        "prompt_cost_details", "completion_cost_details", "prompt_token_count", "completion_token_count", "total_token_count",
    }
)  # fmt: skip
"""What LangSmith adds to a row itself, and no client can set."""


class _Unreadable(Exception):  # never leaves this module
    """A row that cannot be made a run; the message says why, without a value."""


class ParquetExport:
    """Runs out of Parquet files. All of them: the window of the command does not apply to a file.

    A row that cannot be read is counted and passed over; when the others of its row group are read, it is a fault.

    Args:
        path: a file, or a directory whose ``*.parquet`` files are read, at any depth, by name.
        now: when reading begins, for the manifest.
    """

    live = False

    def __init__(self, path: Path, *, now: datetime | None = None) -> None:
        self._path = path
        self._tally = Tally(path.name, {"protocol": "parquet"}, now)

    @property
    def place(self) -> str:
        return f"{'directory' if self._path.is_dir() else 'file'} {self._path.name}"

    def manifest(self) -> Manifest:
        return self._tally.manifest()

    def runs(self) -> Iterator[Run]:
        for portion in self.pieces():
            yield from portion.runs()

    def pieces(self) -> Iterator[Portion]:
        """The row groups, file by file; one of many rows in slices. A file is hashed before its first."""
        for part in self.partitions():
            part.begin()
            yield part

    def partitions(self) -> Iterator[Partition]:
        """The same for who hands them to others to read: none is begun."""
        files = sorted(self._path.rglob("*.parquet")) if self._path.is_dir() else [self._path]
        if not files:
            raise SourceError("no_file", f"{self._path.name}: holds no .parquet file; name the export's directory")
        for path in files:
            try:
                told = _open(path).metadata
                sizes = [told.row_group(group).num_rows for group in range(told.num_row_groups)] or [0]
                with path.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").digest()
                size = path.stat().st_size
            except (OSError, pa.ArrowException) as fault:
                raise _unusable(path, fault) from None
            name = f"{path.relative_to(self._path) if self._path.is_dir() else path.name} {version_of(path)}"
            begin: Callable[[], None] = partial(self._begin, digest, size, told.num_row_groups)
            for group, rows in enumerate(sizes):
                for first, most in _slices(rows):
                    of = f"{name} {group}{f'.{first}' if most < rows else ''}"
                    read = partial(runs_of, path, group, first, most, self._tally)
                    ids = partial(ids_of, path, group, first, most)
                    yield Partition(of, read, path.absolute(), digest, group, first, most, begin, ids)
                    begin = _nothing

    def _begin(self, digest: bytes, size: int, groups: int) -> None:
        self._tally.page(digest, size)
        self._tally.pages += groups - 1


def runs_of(path: Path, group: int, first: int, rows: int, tally: Tally | None = None) -> Iterator[Run]:
    """Rows of a row group as runs.

    Args:
        path: of the file.
        group: from 0.
        first: the first row of the group, from 0.
        rows: how many.
        tally: counts what was left out.

    Raises:
        SourceError: at once where the file cannot be read, at the end where a row could not.
    """
    fault, bad, number = "", 0, first
    if not rows:
        return
    try:
        for batch in _batches(path, group, first, rows):
            for row in _rows(batch):
                number += 1
                try:
                    run = _run(row)
                except _Unreadable as why:
                    bad += 1
                    fault = fault or f"{path.name}: row {number} of row group {group + 1} {why}"
                    if tally is not None:
                        tally.excluded[str(why)] += 1
                    continue
                if tally is not None:
                    tally.attached += bool(run.get("attachments"))
                yield run
    except (OSError, pa.ArrowException) as broken:
        raise _unusable(path, broken) from None
    if bad:
        raise SourceError("malformed", f"{fault}, and {bad - 1} more; export the data again")


def ids_of(path: Path, group: int, first: int, rows: int) -> Iterator[object]:
    """The ids of rows of a row group, as `runs_of` gives them, without the rest of them being read.

    Args:
        path: of the file.
        group: from 0.
        first: the first row of the group, from 0.
        rows: how many.

    Raises:
        SourceError: the file cannot be read.
    """
    if not rows:
        return
    try:
        for batch in _batches(path, group, first, rows, size=IDS, columns=["id"]):
            yield from map(_plain, batch.column(0).to_pylist())
    except (OSError, ValueError, _Unreadable, pa.ArrowException) as broken:
        raise _unusable(path, broken) from None


def _batches(
    path: Path, group: int, first: int, rows: int, *, size: int = BATCH, columns: list[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows by batches; those before the first are decoded and left."""
    at, end = 0, first + rows
    for batch in _open(path).iter_batches(batch_size=size, row_groups=[group], columns=columns):
        skip, at = max(0, first - at), at + batch.num_rows
        if skip < batch.num_rows:
            yield batch.slice(skip, batch.num_rows - skip - max(0, at - end))
        if at >= end:
            return


def _slices(rows: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of each slice of a row group."""
    most = max(SLICE, -(-rows // SLICES_MAX))
    for first in range(0, max(1, rows), most):
        yield first, min(most, rows - first)


def _nothing() -> None:
    """The file was counted with the partition before."""


@lru_cache(maxsize=4)
def _footer(path: Path, _size: int, _mtime_ns: int, _inode: int) -> pq.FileMetaData:
    """A file's footer, parsed once: it grows with its row groups, and each of them opens the file."""
    return pq.read_metadata(path)


def _open(path: Path) -> pq.ParquetFile:
    seen = path.stat()
    footer = _footer(path, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    file = pq.ParquetFile(path, metadata=footer, memory_map=False, pre_buffer=False, buffer_size=1 << 20)
    lacking = [name for name in REQUIRED if name not in file.schema_arrow.names]
    if lacking:
        what = f"{path.name}: has no column {', '.join(lacking)}; an export that leaves fields out cannot be audited, export all of them"
        raise SourceError("malformed", what)
    return file


def _unusable(path: Path, fault: Exception) -> SourceError:
    """The fault of a file; of what the library says nothing is told, since it may quote the data."""
    if isinstance(fault, OSError) and fault.errno is not None:
        return SourceError("no_file", f"{path.name}: cannot be read ({fault.strerror}); name a Parquet file")
    return SourceError("malformed", f"{path.name}: is damaged, or no Parquet file ({type(fault).__name__}); export it again")


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch; None for one whose values cannot be taken out."""
    columns = [_microseconds(column) for column in batch.columns]
    for i in range(batch.num_rows):
        try:
            values = [column[i].as_py(maps_as_pydicts="strict") for column in columns]
        except (ValueError, KeyError, OverflowError, pa.ArrowException):  # a text that is not UTF-8, a key twice, a year beyond 9999
            yield None
        else:
            yield dict(zip(batch.schema.names, values, strict=True))


def _microseconds(column: pa.Array) -> pa.Array:
    """Nanoseconds cut to what Python's instants hold."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    return column


def _run(row: Mapping[str, Any] | None) -> dict[str, object]:
    """A row under v1's names."""
    if row is None:
        raise _Unreadable("holds a value that cannot be read")
    run: dict[str, object] = {}
    for name, value in row.items():
        if name in ADDED or (value is None and name not in REQUIRED):
            continue
        decoded = name in DECODED or (name == "tags" and isinstance(value, str))
        run[name] = _json(name, value) if decoded and isinstance(value, str) else _plain(value)
    parents = run.pop("parent_run_ids", None)
    if "parent_run_id" not in run:
        run["parent_run_id"] = parents[-1] if isinstance(parents, list) and parents else None
    if "manifest" in run and "serialized" not in run:
        run["serialized"] = run.pop("manifest")
    kind = run["run_type"]
    run["run_type"] = kind.lower() if isinstance(kind, str) else kind
    if not run["id"]:
        raise _Unreadable("has no id")
    _merge_metadata(run)
    name_attachments(run)
    if isinstance(run.get("attachments"), dict):
        run["attachments"] = sorted(run["attachments"])  # type: ignore[call-overload]  # a dictionary of links: their names
    return run


def _merge_metadata(run: dict[str, object]) -> None:
    """Metadata in a column of its own goes where it belongs; where ``extra`` has others, both are kept and both are judged."""
    if "metadata" not in run:
        return
    held, extra = run.pop("metadata"), run.get("extra")
    extra = dict(extra) if isinstance(extra, dict) else {}
    if held and extra.get("metadata") != held:
        if extra.get("metadata"):
            extra["metadata_in_extra"] = extra["metadata"]
        run["extra"] = extra | {"metadata": held}


def _json(name: str, text: str) -> object:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Unreadable(f"holds no JSON in {name}") from None


def _plain(value: object) -> object:
    """A value as JSON has it. A struct's field that is null is not there: the struct has the fields of all rows."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return wire(value if value.tzinfo else value.replace(tzinfo=UTC))
        case date() | UUID():
            return str(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {str(key): _plain(one) for key, one in value.items() if one is not None}
        case list():
            return [_plain(one) for one in value]
    raise _Unreadable("holds a value of a kind that JSON has not")
