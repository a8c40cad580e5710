"""Reading an exported file."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from audit.source import SourceError, Window, open_source
from audit.source import export as module
from audit.source.export import ExportFile

PACKED = {
    ".jsonl": lambda data: data,
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.compress(data[:50]) + zstandard.compress(data[50:]),  # two frames, as a tool that appends writes them
}


def rows(n):
    return b"".join(json.dumps({"id": f"id-{i}", "name": "agent_turn"}).encode() + b"\n" for i in range(n))


def ids(n):
    return [f"id-{i}" for i in range(n)]


def test_lines_are_runs(tmp_path):
    """Each line is a run, blank lines are none, and links to attachments become their names."""
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps({"id": 1, "s3_urls": {"attachment.a": {}}}) + "\n\n" + json.dumps({"id": 2}) + "\n")
    assert list(ExportFile(path).runs()) == [{"id": 1, "attachments": ["attachment.a"]}, {"id": 2}]


@pytest.mark.parametrize("line", ["Ada Byron", "[1]", "[" * 100_000, b"\xff\xfe"], ids=["text", "list", "deep", "bytes"])
def test_a_line_that_is_no_run(tmp_path, line):
    """It is passed over and counted; when the others are read, it is a fault that names the place and not the content."""
    path = tmp_path / "export.jsonl"
    bad = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(b"{}\n" + bad + b"\n" + rows(2) + bad + b"\n")
    source, read = ExportFile(path), []
    with pytest.raises(SourceError) as fault:
        read += source.runs()  # a list takes in what comes before a fault
    assert fault.value.code == "malformed"
    assert "export.jsonl:2:" in str(fault.value)
    assert "1 more" in str(fault.value)
    assert "Ada" not in str(fault.value)
    assert [run.get("id") for run in read] == [None, *ids(2)]
    assert sum(source.manifest().excluded.values()) == 2


def test_no_file(tmp_path):
    """A file that is not there is a fault with a reason."""
    with pytest.raises(SourceError, match="cannot be read"):
        list(ExportFile(tmp_path / "none.jsonl").runs())


@pytest.mark.parametrize("suffix", sorted(PACKED))
def test_packed_files_and_their_manifest(tmp_path, suffix):
    """Plain, gzip and Zstandard give the same runs; the manifest has the size and SHA-256 of the file as it lies there."""
    path = tmp_path / f"export{suffix}"
    path.write_bytes(PACKED[suffix](rows(500)))
    source = open_source(project="", window=Window(*[None] * 2), file=path, endpoint="", api_key="")
    (portion,) = source.pieces()
    assert [run["id"] for run in portion.runs()] == ids(500)
    manifest = source.manifest()
    assert (manifest.bytes, manifest.answers_sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert (manifest.query, manifest.host, manifest.requests) == ({"protocol": "jsonl"}, path.name, 0)
    assert [portion.name for portion in ExportFile(path).pieces()] == [portion.name]
    path.write_bytes(PACKED[suffix](rows(501)))
    assert [portion.name for portion in ExportFile(path).pieces()] != [portion.name]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("fault", ["cut", "changed"])
def test_a_damaged_packed_file_is_never_silently_short(tmp_path, suffix, fault):
    """A packed file that ends too early, or was changed, is a fault."""
    data = bytearray(gzip.compress(rows(5_000)) if suffix == ".gz" else zstandard.ZstdCompressor(write_checksum=True).compress(rows(5_000)))
    if fault == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 0xFF
    path = tmp_path / f"export{suffix}"
    path.write_bytes(data)
    with pytest.raises(SourceError) as raised:
        list(ExportFile(path).runs())
    assert path.name in str(raised.value)
    assert raised.value.__cause__ is None


def test_standard_input_is_read_once(monkeypatch):
    """``-`` is standard input; a second reading is refused and not taken for an empty file."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(rows(3))))
    source = ExportFile(Path("-"))
    assert [run["id"] for run in source.runs()] == ids(3)
    assert source.manifest().answers_sha256 == hashlib.sha256(rows(3)).hexdigest()
    with pytest.raises(SourceError, match="only once"):
        list(source.runs())


def test_a_line_without_end(tmp_path, monkeypatch):
    """A line longer than any run is refused before it fills the memory."""
    monkeypatch.setattr(module, "LINE_MAX", 1_000)
    path = tmp_path / "export.jsonl"
    path.write_bytes(rows(1) + b'{"id": "' + b"x" * 2_000)
    with pytest.raises(SourceError, match="cannot be audited"):
        list(ExportFile(path).runs())
