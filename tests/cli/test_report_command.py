"""``phi-audit report``: a kept report rendered again, its schema, and what changed between two."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from kept_reports import TRACES, finding, kept

from audit.cli.report import report as command
from audit.report import json as as_json
from audit.report import render


@pytest.fixture
def file(tmp_path):
    """Write a report to a file of that name."""

    def write(name, report):
        path = tmp_path / name
        path.write_text(as_json.render(report), encoding="utf-8")
        return path

    return write


def plain():
    return replace(kept(findings=[finding(1)]), selection=None)


def run(*args):
    return CliRunner().invoke(command, [str(arg) for arg in args])


@pytest.mark.parametrize("fmt", ["table", "json", "html", "md", "pdf", "sarif", "junit", "csv"])
def test_it_renders_what_the_scan_would_have(file, tmp_path, fmt):
    """To a file and to stdout, the same bytes."""
    held = plain()
    text = render(held, fmt, frozenset(), width=120, colour=False)
    wanted = text.encode() if isinstance(text, str) else text
    path = file("r.json", held)
    assert run(path, "--format", fmt, "-o", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out").read_bytes() == wanted
    assert run(path, "--format", fmt).stdout_bytes == wanted


def test_several_at_once(file, tmp_path):
    """And nothing on stdout where nobody asked for it."""
    path = file("r.json", plain())
    done = run(path, "--html", tmp_path / "r.html", "--sarif", tmp_path / "r.sarif")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "r.html").read_text().lower().startswith("<!doctype html>")
    assert json.loads((tmp_path / "r.sarif").read_text())["version"] == "2.1.0"
    assert run(path, "--html", tmp_path / "r.html", "--format", "json").stdout == as_json.render(plain())


def test_the_schema_is_the_published_one():
    """`phi-audit report --schema` prints it, and no report is needed."""
    done = run("--schema")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["title"] == "A report of phi-audit"


def test_what_is_no_report_is_a_usage_error(tmp_path):
    """With the place, and nothing is written."""
    path = tmp_path / "r.json"
    for content in ("", "{}", "[1]", as_json.render(plain())[:-20], as_json.render(plain()).replace('"NO_GO"', '"GO"')):
        path.write_text(content)
        done = run(path, "--html", tmp_path / "out.html")
        assert done.exit_code == 2, content[:20]
        assert "r.json" in done.stderr
        assert not (tmp_path / "out.html").exists()
    assert run(tmp_path / "none.json").exit_code == 2
    assert run("show").exit_code == 2


def test_a_place_that_cannot_be_written_is_told(file, tmp_path):
    """And what was there stays."""
    path = file("r.json", plain())
    done = run(path, "--html", tmp_path / "none" / "r.html")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


# -- diff -----------------------------------------------------------------------------------------------------------------------------


def test_diff_says_what_is_new_gone_and_the_same(file):
    """By fingerprint, place and entity, whatever the trace; and the gates that changed."""
    same, gone, new = finding(1), finding(2, trace=1), finding(3, path="outputs.result[2].note", trace=2)
    before = file("a.json", kept(findings=[same, gone]))
    after = file("b.json", kept(findings=[replace(same, trace_id=TRACES[5], run_id=TRACES[5]), new, replace(new, run_id=TRACES[9])]))
    done = run("diff", before, after, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["schema"], told["before"], told["after"]) == (1, "phi-audit.report-diff/1", "NO_GO", "NO_GO")
    assert [(g["fingerprint"], g["n"]) for g in told["new"]] == [(new.fingerprint, 2)]
    assert [g["path"] for g in told["new"]] == ["outputs.result"]
    assert [g["fingerprint"] for g in told["gone"]] == [gone.fingerprint]
    assert [g["fingerprint"] for g in told["same"]] == [same.fingerprint]
    assert told["gates"] == []
    table = run("diff", before, after).stdout
    assert table.startswith("NO-GO -> NO-GO: 1 new, 1 gone, 1 same\n+ PERSON")


def test_diff_tells_a_gate_that_changed(file):
    """From UNPROVEN to NO-GO is 1; the other way, with nothing new, is 0."""
    good, bad = file("a.json", kept()), file("b.json", kept(findings=[finding(1)]))
    worse = run("diff", good, bad)
    assert worse.exit_code == 1
    assert "gate phi_findings: proven -> failed" in worse.stdout
    better = run("diff", bad, good)
    assert better.exit_code == 0
    assert "gate phi_findings: failed -> proven" in better.stdout
    assert run("diff", good, good).stdout == "UNPROVEN -> UNPROVEN: 0 new, 0 gone, 0 same\n"


def test_diff_says_why_two_cannot_be_compared(file):
    """Another key, another policy, another method."""
    one = kept(findings=[finding(1)])
    other = replace(
        one,
        custody=replace(one.custody, fingerprint_key="0" * 16),
        target=replace(one.target, policy_digest="1" * 16),
        method=replace(one.method, digest="2" * 64),
        unlisted=3,
    )
    notes = json.loads(run("diff", file("a.json", one), file("b.json", other), "--format", "json").stdout)["notes"]
    assert len(notes) == 4
    assert notes[0].startswith("the fingerprints are under two keys")
