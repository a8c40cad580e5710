"""Files of a review that cannot be used, written or moved: each is said with its place, and nothing is lost by it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import pytest

from audit.gonogo import standing
from audit.gonogo.asked import Asked
from audit.gonogo.kept import keep_scan, keep_signed
from audit.gonogo.record import FILE, LARGEST, LOG, Record, RecordError, Step, file_digest, write_whole
from audit.gonogo.standing import LASTS, release

SIGNED = {"digest": "ab" * 32, "signatures": [{"name": "Cleo"}]}


def left(directory, **files):
    for name, content in files.items():
        (directory / name.replace("_", ".")).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    "held",
    [SIGNED | {"digest": "../../elsewhere"}, SIGNED | {"digest": "abc"}, SIGNED | {"digest": ["ab" * 32]}, "[1]", "{ torn", "[" * 100_000],
    ids=["a path", "too short", "no text", "a list", "torn", "deep"],
)
def test_nothing_that_a_file_says_of_itself_becomes_a_path(tmp_path, held):
    """What is signed, or cannot be read and so might be, is put aside under the digest of its bytes."""
    left(tmp_path, report_json=held)
    content = (tmp_path / "report.json").read_bytes()
    name = f"report-{hashlib.sha256(content).hexdigest()[:12]}.json"
    assert keep_signed(tmp_path) == name
    assert ([path.name for path in tmp_path.glob("*.json")], (tmp_path / name).read_bytes()) == ([name], content)


def test_a_report_that_cannot_be_read_or_moved_is_not_written_over(tmp_path):
    """It might be signed: the one who is about to write is stopped, and told which file it is."""
    (tmp_path / "report.json").mkdir()
    with pytest.raises(RecordError, match=r"report.json: cannot be read \(Is a directory\), so nothing is written over it"):
        keep_signed(tmp_path)
    (tmp_path / "report.json").rmdir()
    left(tmp_path, report_json=SIGNED, report_html="page")
    (tmp_path / "report-abababababab.html").mkdir()
    with pytest.raises(RecordError, match=r"report.html: cannot be moved to report-abababababab.html \(Is a directory\)"):
        keep_signed(tmp_path)
    assert json.loads((tmp_path / "report-abababababab.json").read_text()) == SIGNED
    assert (tmp_path / "report.html").read_text() == "page"


def test_a_scan_is_kept_beside_those_of_before(tmp_path):
    """Under its digest, numbered where there is one already; where there is none nothing is done."""
    assert keep_scan(tmp_path) == ""
    for name in ("scan-abababababab.json", "scan-abababababab-2.json", "scan-abababababab-3.json"):
        left(tmp_path, scan_json=SIGNED)
        assert keep_scan(tmp_path) == name
    (tmp_path / "scan.json").mkdir()
    with pytest.raises(RecordError, match=r"scan.json: cannot be read"):
        keep_scan(tmp_path)


def test_a_directory_that_cannot_be_made_is_said(tmp_path):
    left(tmp_path, review="a file")
    with pytest.raises(RecordError, match=r"review: cannot be made \(File exists\); name another with --directory"):
        Record(tmp_path / "review", Asked())
    with pytest.raises(RecordError, match=r"review/deeper: cannot be made \(Not a directory\)"):
        Record(tmp_path / "review" / "deeper", Asked())


def test_a_record_that_is_too_large_is_none(tmp_path):
    """It is not read into memory."""
    with (tmp_path / FILE).open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(RecordError, match=f"{FILE}: is larger than 4 MiB, so it is no record"):
        Record.of(tmp_path)


def test_what_cannot_be_written_is_said_and_leaves_no_half_of_it(tmp_path):
    """The record, its log, and any file of a step: the one that was there stays, and no draft is left."""
    record = Record(tmp_path, Asked())
    (tmp_path / LOG).mkdir()
    with pytest.raises(RecordError, match=rf"{LOG}: cannot be written \(Is a directory\); check the directory"):
        record.log("scan begins")
    (tmp_path / FILE).mkdir()
    with pytest.raises(RecordError, match=rf"{FILE}: cannot be written \(Is a directory\)"):
        record.keep(Step("scan", "i", "b", "e"))
    with pytest.raises(RecordError, match=r"none/scan.json: cannot be written \(No such file or directory\)"):
        write_whole(tmp_path / "none" / "scan.json", b"{}")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FILE, LOG, "run"])  # run: every test's own


def test_a_file_that_cannot_be_read_fits_no_digest(tmp_path):
    """Neither one that is gone nor a directory in its place is what the step left."""
    left(tmp_path, a_json="{}")
    record = Record(tmp_path / "r", Asked())
    (tmp_path / "r" / "a.json").write_text("{}")
    record.keep(Step("scan", "i", "b", "e", {"a.json": file_digest(tmp_path / "a.json")}))
    assert record.fits("scan", "i") is not None
    (tmp_path / "r" / "a.json").unlink()
    (tmp_path / "r" / "a.json").mkdir()
    assert (file_digest(tmp_path / "r" / "a.json"), record.fits("scan", "i")) == ("", None)


def test_a_clock_that_is_a_little_ahead_is_no_time_to_come(tmp_path):
    """Another machine's step, or a clock that was put back by minutes since."""
    record = Record(tmp_path, Asked())
    for ahead, fits in ((timedelta(minutes=4), True), (timedelta(minutes=6), False)):
        record.keep(Step("alerts", "i", "b", (datetime.now(UTC) + ahead).isoformat()))
        assert (record.fits("alerts", "i", LASTS) is not None) == fits


@pytest.mark.parametrize("told", [{"calls": True}, {"local": 1}, {"minutes": True}, {"evidence": "a.json"}, {"project": None}], ids=str)
def test_what_was_asked_is_of_its_own_kind(told):
    """A truth is no number, a text no list; a whole number stands for one with a fraction."""
    with pytest.raises(TypeError):
        Asked.of(told)
    assert Asked.of({"minutes": 5, "evidence": ["a.json"]}) == Asked(minutes=5.0, evidence=("a.json",))


def test_a_release_is_its_version_and_every_line_of_its_code(tmp_path, monkeypatch):
    """Another line, or another name, in any of the three packages is another release; what is no code of them is not."""
    monkeypatch.setattr(standing, "__file__", str(tmp_path / "audit" / "gonogo" / "standing.py"))
    files = [tmp_path / package / "deep" / "a.py" for package in ("audit", "phi_guard", "tracing")]
    for path in files:
        path.parent.mkdir(parents=True)
        path.write_text("one = 1\n")
    made = release.__wrapped__
    before = made()
    assert before.startswith(version("phi-guard-toolkit"))
    for path in files:
        path.write_text("one = 2\n")
        changed = made()
        path.rename(path.with_name("b.py"))
        assert len({before, changed, made()}) == 3
        path.with_name("b.py").unlink()
        path.write_text("one = 1\n")
        assert made() == before
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").touch()
    (tmp_path / "audit" / "deep" / "a.yaml").touch()
    assert made() == before

    def missing(_):
        raise PackageNotFoundError

    monkeypatch.setattr(standing, "version", missing)
    assert made() == f"unknown {before.partition(' ')[2]}"
