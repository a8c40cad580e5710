"""Reading an exported file."""

from __future__ import annotations

import json

import pytest

from audit.source import SourceError
from audit.source.export import ExportFile


def test_lines_are_runs(tmp_path):
    """Each line is a run, blank lines are none, and links to attachments become their names."""
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps({"id": 1, "s3_urls": {"attachment.a": {}}}) + "\n\n" + json.dumps({"id": 2}) + "\n")
    assert list(ExportFile(path).runs()) == [{"id": 1, "attachments": ["attachment.a"]}, {"id": 2}]


@pytest.mark.parametrize("line", ["Ada Byron", "[1]", "[" * 100_000, b"\xff\xfe"], ids=["text", "list", "deep", "bytes"])
def test_a_line_that_is_no_run(tmp_path, line):
    """Anything else is a fault that names the place and not the content."""
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"{}\n" + (line if isinstance(line, bytes) else line.encode()))
    with pytest.raises(SourceError) as fault:
        list(ExportFile(path).runs())
    assert fault.value.code == "malformed"
    assert "Ada" not in str(fault.value)


def test_no_file(tmp_path):
    """A file that is not there is a fault with a reason."""
    with pytest.raises(SourceError, match="cannot be read"):
        list(ExportFile(tmp_path / "none.jsonl").runs())
