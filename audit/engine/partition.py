"""A partition: a portion of an export that another process can read, since its file is at the same place there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audit.source import Portion


@dataclass(frozen=True, slots=True)
class Partition(Portion):
    """Rows of one row group of a Parquet file.

    Args:
        path: of the file.
        sha256: of the file.
        group: which row group, from 0.
        first: the first row of it, from 0.
        rows: how many.
        begin: called by who takes the partition up, in the order of the export: counts its file for the manifest.
        ids: reads the ids of these rows and nothing else of them, in order; raises `audit.source.SourceError` where it cannot.
    """

    path: Path
    sha256: bytes
    group: int
    first: int
    rows: int
    begin: Callable[[], None]
    ids: Callable[[], Iterator[object]]


class Partitioned(Protocol):
    """A source that is read in partitions."""

    def partitions(self) -> Iterator[Partition]:
        """The partitions, in order; none is begun. Raises `audit.source.SourceError` where a file cannot be read at all."""
