"""A value that stands anywhere in a trace stands in nothing that the audit writes, prints or keeps, whatever the place and the format."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import audit.detectors
from audit.cli import main

MARK = "Zorvathquill"
FORMATS = ("json", "html", "md", "pdf", "sarif", "junit", "csv")


def at(*path, run=3):
    """Puts a value at a place of one run of a call."""

    def put(call, value):
        held = call[run]
        for key in path[:-1]:
            held = held.setdefault(key, {})
        held[path[-1]] = value

    return put


PLACES = {
    "id": at("id"), "trace": at("trace_id"), "root's trace": at("trace_id", run=0), "parent": at("parent_run_id"),
    "order": at("dotted_order"), "name": at("name", run=5), "type": at("run_type"), "start": at("start_time"),
    "project": at("session_name"),
    "error": at("error"), "tags": at("tags"), "events": at("events"), "column": at(f"{MARK}_column"), "input": at("inputs", "x"),
    "key": at("inputs", MARK), "env": at("extra", "metadata", "env"), "version": at("extra", "metadata", "agent_version", run=0),
    "room": at("extra", "metadata", "room_sid", run=0), "reason": at("extra", "metadata", "reason", run=6),
    "policy": at("extra", "metadata", "policy_digest", run=2), "redactions": at("extra", "metadata", "redactions", run=2),
    "metadata's key": at("extra", "metadata", MARK),
}  # fmt: skip
VALUES = {"words": f"{MARK} Hoolerby", "object": {f"{MARK}key": MARK}, "list": [MARK], "word": MARK}


@pytest.fixture
def run(monkeypatch, tmp_path, detectors):
    """The command with quick detectors, and every directory it may write to below one."""
    monkeypatch.setattr(audit.detectors, "open_detectors", lambda **_: detectors)
    made = tmp_path / "made"
    for variable, name in (("PHI_AUDIT_DIR", "audit"), ("PHI_GUARD_RUNTIME_DIR", "run"), ("HOME", "home"), ("TMPDIR", "tmp")):
        (made / name).mkdir(parents=True, mode=0o700)
        monkeypatch.setenv(variable, str(made / name))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(made / "switch.json"))
    monkeypatch.chdir(made)
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args])


def scan(run, made, calls, tmp_path):
    """Scan an export into every format there is."""
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for call in calls for each in call), encoding="utf-8")
    named = [part for fmt in FORMATS for part in (f"--{fmt}", made / f"report.{fmt}")]
    return run("scan", "--from", path, "--known-answers", 0, "--seed", 1, "--sample", 2, "--enforce", "-o", made / "report.txt", *named)


def holding(tmp_path, done, mark=MARK):
    """Where a value stands among all that was written and said, the export left out."""
    told = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    files = {str(path.relative_to(tmp_path)): path.read_bytes() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert "audit/audit-log.jsonl" in {name.removeprefix("made/") for name in files}
    return [name for name, held in (told | files).items() if mark.lower().encode() in held.lower() or mark.lower() in name.lower()]


@pytest.mark.parametrize("place", PLACES)
def test_no_value_of_a_trace_is_written(run, made, tmp_path, place):
    """In none of the formats, the log, the workspace, the switch and what is printed; and it is found, never GO."""
    calls = []
    for n, value in enumerate(VALUES.values()):
        calls.append(made.call(n))
        PLACES[place](calls[-1], value)
    done = scan(run, tmp_path / "made", calls, tmp_path)
    assert done.exit_code == 1, done.output
    assert holding(tmp_path, done) == []
    report = json.loads((tmp_path / "made" / "report.json").read_text())
    assert report["results"]["findings"] >= 1


def test_the_search_itself_finds(run, made, tmp_path):
    """What stands in a file or on a stream is seen: by the test's own eyes."""
    done = scan(run, tmp_path / "made", [made.call(0)], tmp_path)
    assert holding(tmp_path, done) == []
    (tmp_path / "made" / "home" / "left.txt").write_text(f"of {MARK.upper()}")
    assert holding(tmp_path, done) == ["made/home/left.txt"]
    assert "made/report.txt" in holding(tmp_path, done, "unproven")


@pytest.mark.parametrize(
    "content", [f'{{"id": "{MARK}', f'"{MARK}"', f"{MARK}\x00\xff", f'[{{"{MARK}": 1}}]'], ids=["cut", "text", "bytes", "list"]
)
def test_a_file_that_is_no_export_is_not_quoted(run, tmp_path, content):
    """However it is broken, the fault names the line and not what stands there."""
    path = tmp_path / "export.jsonl"
    path.write_text(content, encoding="latin-1")
    done = run("scan", "--from", path, "--known-answers", 0, "--seed", 1)
    assert done.exit_code in {1, 2, 3}
    assert MARK not in done.output
    assert "fault of its own" not in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ("verify",), ("report", "show"), ("report", "diff", "."), ("purge",), ("incident", "open", "--report"), ("baseline", "show"),
        ("review", "--reviewer", "A", "--from", "x.jsonl", "-o", "r.json"), ("roster", "show"),
        ("switch", "on", "--reason", "r", "--report"),
        ("scan", "--from", "x.jsonl", "--gates"), ("scan", "--from", "x.jsonl", "--evidence"), ("scan", "--from", "x.jsonl", "--baseline"),
        ("scan", "--from", "x.jsonl", "--earlier"), ("scan", "--from", "x.jsonl", "--policy"), ("scan", "--from", "x.jsonl", "--roster"),
    ],
    ids=lambda args: " ".join(args[:2]) + (args[-1] if args[0] == "scan" else ""),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["report", "cut", "yaml", "deep", "number"])
def test_a_file_that_somebody_else_wrote_is_not_quoted(run, tmp_path, args, kind):
    """Any command, any file: told in words, with one of the exit codes, and with nothing that stands in it.

    A file of settings has its unknown keys named, since people write them; its values are not.
    """
    key = "strange" if {"--gates", "--policy", "--baseline"} & set(args) else MARK
    content = {
        "report": json.dumps({"schema": "phi-audit.report/2", key: [MARK], "gates": [{"name": MARK}], "verdict": {"state": MARK}}),
        "cut": f'{{"schema": "phi-audit.report/2", "a": "{MARK}',
        "yaml": f"version: 1\n{key}: {{{key}: [{MARK}]}}\n",
        "deep": "[" * 50_000,
        "number": f'{{"schema": "phi-audit.report/2", "n": {"9" * 6000}}}',
    }[kind]
    path = tmp_path / "given.json"
    path.write_text(content, encoding="utf-8")
    done = run(*args, path)
    assert done.exit_code in {2, 3, 4}, done.output
    assert MARK not in done.output, done.output
    assert "fault of its own" not in done.stderr, done.stderr
    assert done.output.strip()
