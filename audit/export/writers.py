"""Writing rows that the gate cleared: CSV by RFC 4180, JSON Lines; Parquet is a module of its own, since it loads 100 MB."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import BinaryIO, Final, Literal, Protocol, TypeAlias

import msgspec

from audit.export.rows import Column

Format: TypeAlias = Literal["csv", "parquet", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "parquet", "jsonl")


class Writer(Protocol):
    """Writes rows into a binary file that somebody else opens and closes."""

    def write(self, body: bytes) -> None:
        """One row: the canonical JSON that was cleared, unchanged."""

    def finish(self) -> None:
        """Write what is still held back. The file is whole after this."""


def open_writer(fmt: Format, file: BinaryIO, columns: Sequence[Column]) -> Writer:
    """The writer of a format.

    Args:
        fmt: its name.
        file: where to write.
        columns: of every row; each format has them all, in this order, whatever the rows hold.
    """
    if fmt == "parquet":
        from audit.export.parquet import ParquetRows  # noqa: PLC0415  # loads pyarrow

        return ParquetRows(file, columns)
    return CsvRows(file, columns) if fmt == "csv" else JsonRows(file)


class CsvRows:
    """CSV by RFC 4180: a header always, lines that end in CRLF, UTF-8; an empty cell for what is not known.

    No cell can be a spreadsheet's formula: no shape of a column lets a value begin with ``=``, ``+``, ``-``, ``@``, a tab or a line break.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = file
        self._line = io.StringIO(newline="")
        self._csv = csv.writer(self._line, lineterminator="\r\n")
        self._put(self._names)

    def write(self, body: bytes) -> None:
        row = msgspec.json.decode(body)
        self._put([_cell(row.get(name)) for name in self._names])

    def finish(self) -> None:
        pass

    def _put(self, cells: Sequence[object]) -> None:
        self._csv.writerow(cells)
        self._file.write(self._line.getvalue().encode())
        self._line.seek(0)
        self._line.truncate()


class JsonRows:
    """JSON Lines: the cleared bytes themselves, a row a line; what is not known is not in the row."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, body: bytes) -> None:
        self._file.write(body + b"\n")

    def finish(self) -> None:
        pass


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
