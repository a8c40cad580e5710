"""Rows into Parquet, each column with its type: text, whole and broken numbers, flags, and instants in UTC to the microsecond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from audit.export.rows import Column, Sort

GROUP: Final = 5_000
"""Rows of a row group, and the most that are in memory."""
_TYPES: Final[Mapping[Sort, Any]] = {
    "text": pa.string(),
    "instant": pa.timestamp("us", tz="UTC"),
    "count": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
}


class ParquetRows:
    """One Parquet file; a column without a value holds null.

    Args:
        file: where to write.
        columns: of every row.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._schema = pa.schema([pa.field(column.name, _TYPES[column.sort]) for column in columns])
        self._file = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict[str, object]] = []

    def write(self, body: bytes) -> None:
        self._rows.append(msgspec.json.decode(body))
        if len(self._rows) >= GROUP:
            self._group()

    def finish(self) -> None:
        self._group()
        self._file.close()

    def _group(self) -> None:
        values = [[_value(row.get(column.name), column.sort) for row in self._rows] for column in self._columns]
        arrays = [pa.array(held, type=field.type) for held, field in zip(values, self._schema, strict=True)]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


def _value(value: object, sort: Sort) -> object:
    if value is None:
        return None
    if sort == "instant":
        return datetime.fromisoformat(str(value))
    return int(str(value)) if sort == "count" and not isinstance(value, float) else value
