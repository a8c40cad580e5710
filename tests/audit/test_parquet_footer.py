"""The footer of a Parquet file: parsed once for all of its row groups, and anew where the file is another."""

from __future__ import annotations

import os

import pytest
from made_export import write

from audit.source import SourceError
from audit.source import parquet as reader
from audit.source.parquet import ParquetExport

CALLS, GROUP = 6, 7
"""Seven runs to a call: a row group for each."""


@pytest.fixture
def file(tmp_path, made):
    reader._footer.cache_clear()
    path = tmp_path / "a.parquet"
    write([run for n in range(CALLS) for run in made.call(n)], path, group=GROUP)
    return path


def as_it_was(path, seen):
    """The file's times put back, so that it looks like the one that was there."""
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def spoil_footer(path):
    """Exchange the last bytes of the file, in which its footer and the footer's length stand; its rows are left."""
    with path.open("r+b") as content:
        content.seek(-40, os.SEEK_END)
        content.write(b"\xff" * 40)


def test_a_footer_is_parsed_once_for_a_file_and_not_for_each_partition(file):
    """Once it was read, the rows of every row group can be, and their ids, though the file has no footer any more."""
    seen, parts = file.stat(), list(ParquetExport(file).partitions())
    assert len(parts) == CALLS
    spoil_footer(file)
    as_it_was(file, seen)
    assert [len(list(part.runs())) for part in parts] == [GROUP] * CALLS
    assert [len(list(part.ids())) for part in parts] == [GROUP] * CALLS
    assert reader._footer.cache_info().misses == 1


@pytest.mark.parametrize("how", ["another time", "another file", "another length"])
def test_a_file_that_is_another_is_parsed_anew(file, how):
    """By its time, its place on the disk or its size; what is read of it is what stands there, which here is no export any more."""
    seen, (part, *_) = file.stat(), ParquetExport(file).partitions()
    assert len(list(part.runs())) == GROUP
    if how == "another file":
        held = file.read_bytes()
        file.with_name("new").write_bytes(held)
        file.with_name("new").replace(file)
    elif how == "another length":
        with file.open("ab") as content:
            content.write(b"\xff" * 40)
    spoil_footer(file)
    if how != "another time":
        as_it_was(file, seen)
    with pytest.raises(SourceError) as fault:
        list(part.runs())
    assert fault.value.code == "malformed"


def test_two_files_have_two_footers(tmp_path, made):
    """Each row is read out of the file it is in, whichever was read before."""
    for n, rows in ((0, 2), (1, 3)):
        write([run for call in range(rows) for run in made.call(10 * n + call)], tmp_path / f"{n}.parquet", group=GROUP)
    parts = list(ParquetExport(tmp_path).partitions())
    for part in (*parts, *reversed(parts)):
        assert [run["id"] for run in part.runs()] == list(part.ids())
    assert len({run["id"] for part in parts for run in part.runs()}) == 5 * GROUP
