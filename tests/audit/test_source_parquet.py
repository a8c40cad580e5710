"""Reading Parquet exports: JSON as text and as structs, row group by row group, and rows that cannot be read."""

from __future__ import annotations

import json
import tracemalloc
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.population import Counting
from audit.source import SourceError, Window, open_source
from audit.source.parquet import REQUIRED, ParquetExport

TEXT = ("inputs", "outputs", "extra", "events", "tags")


def table(runs, *, structs=False):
    """Runs as a table, content as JSON text, or as the structs Arrow makes of it; times as timestamps of either precision."""
    rows = [{key: value for key, value in run.items() if key != "session_name"} for run in runs]
    for row in rows:
        row["status"], row["tenant_id"] = "success", "t"
        for key in ("start_time", "end_time"):
            row[key] = datetime.fromisoformat(row[key])
        if structs:
            row["inputs"], row["outputs"] = row["inputs"] or None, row["outputs"] or None
        else:
            row |= {key: json.dumps(row[key]) for key in TEXT}
    made = pa.Table.from_pylist(rows)
    at = made.schema.get_field_index("start_time")
    return made.set_column(at, "start_time", made["start_time"].cast(pa.timestamp("ns", tz="UTC")))


@pytest.mark.parametrize("structs", [False, True], ids=["text", "structs"])
def test_rows_are_runs(tmp_path, made, structs):
    """What was exported is what is read: the population is that of the runs themselves, and content is where it was."""
    runs = [run for n in range(6) for run in made.call(n)]
    path = tmp_path / "export.parquet"
    pq.write_table(table(runs, structs=structs), path, row_group_size=10)
    source = open_source(project="", window=Window(*[None] * 2), file=path, endpoint="", api_key="")
    portions = list(source.pieces())
    assert len(portions) == 5
    assert len({portion.name for portion in portions}) == 5
    read = [run for portion in portions for run in portion.runs()]
    first, second = Counting(), Counting()
    for run in runs:
        first.add(run, run["name"])
    for run in read:
        second.add(run, run["name"])
    assert first.result(live=False) == second.result(live=False)
    tool = next(run for run in read if run["name"] == "tool.book_appointment")
    assert tool["inputs"] == made.call(0)[5]["inputs"]
    assert [run["extra"] for run in read] == [run["extra"] for run in runs]
    assert tool["start_time"] == "2026-11-20T10:00:05.000000Z"
    assert "tenant_id" not in tool
    manifest = source.manifest()
    assert (manifest.query["protocol"], manifest.pages, manifest.bytes) == ("parquet", 5, path.stat().st_size)
    assert len(manifest.answers_sha256) == 64


def test_a_directory_of_files(tmp_path, made):
    """An export's directory is read file by file, by name."""
    (tmp_path / "day=2").mkdir()
    for n, name in enumerate(("a.parquet", "day=2/b.parquet")):
        pq.write_table(table(made.call(n)), tmp_path / name)
    assert len({run["id"] for run in ParquetExport(tmp_path).runs()}) == 14
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match=r"no \.parquet file"):
        list(ParquetExport(tmp_path / "none").runs())


def test_rows_that_cannot_be_read_are_counted_and_a_fault(tmp_path, made):
    """They are passed over, the others are read, and at the end there is a fault that names the first and holds no value."""
    runs = table(made.call(0)).to_pylist()
    runs[2]["inputs"] = "Ada Byron"
    runs[4]["extra"] = "{"
    path = tmp_path / "export.parquet"
    pq.write_table(pa.Table.from_pylist(runs), path)
    source, read = ParquetExport(path), []
    with pytest.raises(SourceError) as fault:
        read += source.runs()
    assert fault.value.code == "malformed"
    assert "row 3 of row group 1 holds no JSON in inputs, and 1 more" in str(fault.value)
    assert "Ada" not in str(fault.value)
    assert len(read) == 5
    assert source.manifest().excluded == {"holds no JSON in extra": 1, "holds no JSON in inputs": 1}


def test_text_that_is_not_utf_8(tmp_path, made):
    """A column may say it is text and hold other bytes: that row is a fault, the others are read."""
    whole = table(made.call(0))
    names = [b"agent_turn"] * 6 + [b"\xff\xfe"]
    wrong = pa.array(names, type=pa.binary()).view(pa.string())
    path = tmp_path / "export.parquet"
    pq.write_table(whole.set_column(whole.schema.get_field_index("name"), "name", wrong), path)
    source, read = ParquetExport(path), []
    with pytest.raises(SourceError, match="cannot be read"):
        read += source.runs()
    assert len(read) == 6


@pytest.mark.parametrize("fault", ["absent", "text", "cut", "flipped"])
def test_files_that_are_none(tmp_path, made, fault):
    """A file that is not there, is something else, was cut or changed is a fault with a reason, and without a word of its content."""
    path = tmp_path / "export.parquet"
    if fault != "absent":
        pq.write_table(table(made.call(0)), path, compression="none", write_page_checksum=True)
        data = bytearray(path.read_bytes())
        if fault == "flipped":
            data[5 : len(data) // 2] = bytes(len(data) // 2 - 5)
        path.write_bytes(b"Ada Byron" if fault == "text" else data[: len(data) // 2] if fault == "cut" else data)
    with pytest.raises(SourceError) as raised:
        list(ParquetExport(path).runs())
    assert "Ada" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", REQUIRED)
def test_an_export_that_leaves_content_out(tmp_path, made, name):
    """A column that is missing could have held what is looked for: such an export is refused."""
    path = tmp_path / "export.parquet"
    pq.write_table(table(made.call(0)).drop_columns([name]), path)
    with pytest.raises(SourceError, match=f"no column {name}"):
        list(ParquetExport(path).runs())


def test_memory_holds_some_rows_only(tmp_path, made):
    """Rows are read a few at a time: ten times as many make no more runs at a time, and Arrow holds but a part of a row group."""
    peaks = []
    for calls in (60, 600):
        path = tmp_path / f"{calls}.parquet"
        whole = table([run | {"inputs": {"n": f"{n} {'x' * 2_000}"}} for n in range(calls) for run in made.call(n)])
        size = whole.nbytes
        pq.write_table(whole, path, use_dictionary=False)
        del whole
        before, arrow, seen = pa.total_allocated_bytes(), 0, 0
        tracemalloc.start()
        try:
            for _ in ParquetExport(path).runs():
                arrow, seen = max(arrow, pa.total_allocated_bytes() - before), seen + 1
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert seen == 7 * calls
    assert peaks[1] < 2 * peaks[0], peaks
    assert arrow < 0.7 * size, (arrow, size)
