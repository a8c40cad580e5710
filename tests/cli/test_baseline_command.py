"""``phi-audit baseline``: findings accepted, shown, compared and pruned from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from audit.baseline import Accepted, BaselineError
from audit.baseline_file import read
from audit.cli.baseline import baseline

NOW = ("--now", "2026-11-20")
WHO = ("--owner", "M. Rey", "--reason", "label of the test clinic")
RUN = "00000000-0000-4000-8000-000000000001"


def row(fingerprint="a" * 16, severity="medium", path="inputs.notes[0]", entity="UNEXPLAINED"):
    return {
        "run_id": RUN, "trace_id": RUN, "span": "tool.x", "path": path, "place": "text", "entity": entity, "start": 0, "length": 4,
        "fingerprint": fingerprint, "source": "structure.shape", "severity": severity, "new_field": {"of": "a later version"},
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Run the command; what it wrote, and the exit code. Files are relative to tmp_path."""

    def invoke(*args):
        with_files = [str(tmp_path / arg) if arg.endswith((".json", ".yaml")) else arg for arg in args]
        return CliRunner().invoke(baseline, with_files)

    return invoke


@pytest.fixture
def report(tmp_path):
    def write(*rows, name="report.json", **more):
        (tmp_path / name).write_text(json.dumps({"schema": "phi-audit.report/2", "findings": list(rows), **more}))
        return name

    return write


def test_create_show_and_diff(run, report, tmp_path):
    """A report's findings, once accepted, are open no more; a new one is, and the exit code says so."""
    done = run("create", report(row(), row(path="inputs.notes[1]"), row("b" * 16)), *WHO, "--expires", "90d", "-o", "b.yaml", *NOW)
    assert done.exit_code == 0, done.output
    assert [e.fingerprint for e in read(tmp_path / "b.yaml")] == ["a" * 16, "b" * 16]
    assert read(tmp_path / "b.yaml")[0] == Accepted(
        "a" * 16, "inputs.notes", "UNEXPLAINED", "label of the test clinic", "M. Rey", "2026-11-20", "2027-02-18"
    )
    assert "holds: label of the test clinic (M. Rey, 2026-11-20 to 2027-02-18)" in run("show", "-o", "b.yaml", *NOW).stdout
    assert run("diff", "report.json", "-o", "b.yaml", *NOW).exit_code == 0
    done = run("diff", report(row(), row("c" * 16), row("d" * 16, "low")), "-o", "b.yaml", *NOW, "--format", "json")
    told = json.loads(done.stdout)
    assert done.exit_code == 1
    assert (told["schema"], told["open"], told["open_fingerprints"]) == ("phi-audit.baseline-answer/1", 2, ["c" * 16, "d" * 16])
    assert [(e["fingerprint"], e["state"]) for e in told["entries"]] == [("a" * 16, "accepted"), ("b" * 16, "unused")]


def test_suspicions_alone_fail_nothing(run, report):
    run("create", report(), *WHO, "-o", "b.yaml", *NOW)
    assert run("diff", report(row(severity="low")), "-o", "b.yaml", *NOW).exit_code == 0


def test_an_expired_entry_fails_and_is_pruned(run, report, tmp_path):
    """After its day the entry's findings are open again; prune takes it out, and a dry run does not."""
    run("create", report(row()), *WHO, "--expires", "2026-11-25", "-o", "b.yaml", *NOW)
    later = ("--now", "2026-11-26")
    done = run("diff", "report.json", "-o", "b.yaml", *later)
    assert done.exit_code == 1
    assert "expired, 1 findings" in done.stdout
    run("prune", "-o", "b.yaml", "--dry-run", *later)
    assert len(read(tmp_path / "b.yaml")) == 1
    assert "expired, taken out" in run("prune", "-o", "b.yaml", *later).stdout
    assert read(tmp_path / "b.yaml") == ()


def test_prune_by_a_report_takes_out_what_covers_nothing(run, report, tmp_path):
    run("create", report(row(), row("b" * 16)), *WHO, "-o", "b.yaml", *NOW)
    assert run("prune", "-o", "b.yaml", "--report", report(row("b" * 16)), *NOW).exit_code == 0
    assert [e.fingerprint for e in read(tmp_path / "b.yaml")] == ["b" * 16]


def test_update_adds_what_is_open_and_keeps_what_holds(run, report, tmp_path):
    run("create", report(row()), *WHO, "--expires", "10d", "-o", "b.yaml", *NOW)
    done = run("update", report(row(), row("b" * 16)), "--owner", "A. Other", "--reason", "another", "-o", "b.yaml", "--now", "2026-11-21")
    assert done.exit_code == 0, done.output
    first, second = read(tmp_path / "b.yaml")
    assert (first.owner, first.expires) == ("M. Rey", "2026-11-30")
    assert (second.owner, second.expires) == ("A. Other", "2027-02-19")
    run("update", "report.json", "--owner", "A. Other", "--reason", "again", "-o", "b.yaml", "--now", "2026-12-24")
    renewed = {e.fingerprint: e for e in read(tmp_path / "b.yaml")}
    assert len(renewed) == 2
    assert (renewed["a" * 16].reason, renewed["a" * 16].accepted) == ("again", "2026-12-24")


def test_high_needs_its_own_reason(run, report, tmp_path):
    report(row(severity="high", entity="PERSON"), row("b" * 16))
    done = run("create", "report.json", *WHO, "-o", "b.yaml", *NOW)
    assert done.exit_code == 2
    assert "--accept-high" in done.stderr
    assert not (tmp_path / "b.yaml").exists()
    assert run("create", "report.json", *WHO, "-o", "b.yaml", *NOW, "--finding", "b" * 16).exit_code == 0
    done = run("update", "report.json", *WHO, "-o", "b.yaml", *NOW, "--accept-high", "the clinic's own name")
    assert done.exit_code == 0, done.output
    assert {(e.severity, e.reason) for e in read(tmp_path / "b.yaml")} == {
        ("high", "the clinic's own name"),
        ("medium", "label of the test clinic"),
    }


def test_what_is_accepted_as_high_is_not_asked_for_again(run, report):
    report(row(severity="high", entity="PERSON"))
    run("create", "report.json", *WHO, "-o", "b.yaml", *NOW, "--accept-high", "the clinic's own name")
    assert run("update", report(row(severity="high", entity="PERSON"), row("b" * 16)), *WHO, "-o", "b.yaml", *NOW).exit_code == 0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--expires", "366d"), "1 to 365 days"), (("--expires", "0d"), "1 to 365 days"), (("--expires", "soon"), "give days such as 90d"),
        (("--finding", "f" * 16), "1 of 1 stand on no open finding"), (("--now", "yesterday"), "give a day"),
    ],
    ids=["too long", "no day", "no time", "unknown finding", "no now"],
)  # fmt: skip
def test_a_command_line_that_cannot_be_used(run, report, tmp_path, args, told):
    done = run("create", report(row()), *WHO, "-o", "b.yaml", *NOW, *args)
    assert done.exit_code == 2
    assert told in done.stderr
    assert not (tmp_path / "b.yaml").exists()


def test_a_baseline_that_is_there_is_not_overwritten(run, report, tmp_path):
    run("create", report(row()), *WHO, "-o", "b.yaml", *NOW)
    before = (tmp_path / "b.yaml").read_text()
    done = run("create", "report.json", "--owner", "x", "--reason", "y", "-o", "b.yaml", *NOW)
    assert (done.exit_code, (tmp_path / "b.yaml").read_text()) == (2, before)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"schema": "phi-audit.report/2"}', '{"schema": "other/1", "findings": []}',
     '{"schema": "phi-audit.report/2", "findings": [{"path": "Ada Byron", "Ada Byron": 1, "severity": "Ada Byron"}]}'],
    ids=["empty", "list", "no findings", "other", "broken finding"],
)  # fmt: skip
def test_what_is_no_report_is_refused_without_quoting_it(run, tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    done = run("create", "report.json", *WHO, "-o", "b.yaml", *NOW)
    assert isinstance(done.exception, BaselineError)
    assert "give the report.json" in str(done.exception)
    assert "Byron" not in str(done.exception)


def test_the_golden_report_is_read(run, tmp_path):
    """The report that the scan writes is one that this command reads."""
    from pathlib import Path

    golden = Path(__file__).parents[1] / "audit" / "golden_report.json"
    (tmp_path / "report.json").write_bytes(golden.read_bytes())
    done = run("create", "report.json", *WHO, "--accept-high", "synthetic", "-o", "b.yaml", *NOW)
    assert done.exit_code == 0, done.output
    assert run("diff", "report.json", "-o", "b.yaml", *NOW).exit_code == 0
    assert len(read(tmp_path / "b.yaml")) > 0


def test_the_help_gives_examples(run):
    done = run("--help")
    assert "phi-audit baseline create report.json" in done.stdout
