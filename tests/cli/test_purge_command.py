"""``phi-audit purge``: what it refuses, what it asks first, and what its exit codes say."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import replace

import click
import pytest
import urllib3
from click.testing import CliRunner
from kept_reports import TRACES, finding, kept

from audit import chain, purge
from audit.cli import COMMANDS, main
from audit.cli import scan as scanning
from audit.purge_file import digest, read
from audit.report import json as as_json
from tracing.local.trace_store.faults import Faults
from tracing.local.trace_store.records import Selection
from tracing.local.trace_store.serve import LocalServer


@pytest.fixture
def server():
    with LocalServer(faults=Faults(), keep_raw=True) as server:
        post = [
            {
                "id": trace, "trace_id": trace, "dotted_order": f"20261120T100000000000Z{trace}", "name": "voice_session",
                "run_type": "chain", "start_time": "2026-11-20T10:00:00Z", "session_name": "clinic-prod", "inputs": {},
            }
            for trace in TRACES[:5]
        ]  # fmt: skip
        answer = urllib3.request("POST", f"{server.url}/runs/batch", body=json.dumps({"post": post}), headers={"x-api-key": "k"})
        assert answer.status == 202
        yield server


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """The audit's directory, and no waiting between looks."""
    monkeypatch.setitem(COMMANDS, "purge", ("audit.cli.purge:purge", ""))
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("LANGSMITH_API_KEY", "k")
    for name in ("LANGSMITH_PROJECT", "LANGSMITH_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(purge, "POLL_S", (0.01, 0.05))
    return tmp_path


@pytest.fixture
def report(at_home):
    """A report of this host with findings in two traces."""
    made = kept(findings=[finding(1), finding(2), finding(3, trace=1)])
    made = replace(made, manifest=replace(made.manifest, host="127.0.0.1"))
    path = at_home / "report.json"
    path.write_text(as_json.render(made), encoding="utf-8")
    return path


def call(server, *args):
    return CliRunner().invoke(main, ["purge", "--endpoint", server.url, *map(str, args)])


def left(server):
    return {run.trace_id for run in server.store.runs(Selection())}


def test_nothing_is_deleted_without_yes(server, report, at_home):
    """The count comes first; only --yes deletes, and --dry-run outweighs it."""
    for more in ([], ["--dry-run", "--yes", "-o", at_home / "receipts.json"]):
        done = call(server, report, *more)
        assert done.exit_code == 0, done.output
        assert "2 of 2 traces with findings to be deleted: clinic-prod at 127.0.0.1" in done.stderr
        assert "nothing was deleted" in done.stderr
    assert left(server) == set(TRACES[:5])
    assert not (at_home / "receipts.json").exists()
    assert [raw for raw in server.store.raw() if b"/runs/delete" in raw] == []
    assert call(server, report, "--yes").exit_code == 2  # where should the receipts go?
    assert left(server) == set(TRACES[:5])


def test_with_yes_they_are_gone_and_receipts_say_so(server, report, at_home):
    """Exit 0, receipts, and two entries of the audit's log."""
    out = at_home / "receipts.json"
    done = call(server, report, "--yes", "-o", out, "--format", "json")
    assert done.exit_code == 0, done.output
    assert left(server) == set(TRACES[2:5])
    told, held = json.loads(done.stdout), json.loads(out.read_text())
    assert told == held
    assert (held["schema"], held["counts"]["gone"]) == ("phi-audit.purge/1", 2)
    assert held["report_digest"] == json.loads(report.read_text())["digest"]
    assert any("weekend" in note for note in held["notes"])
    entries = [entry.event for entry in chain.entries(at_home / "audit")]
    assert entries[-2:] == ["purge_asked", "purge_done"]
    sha256 = hashlib.sha256(out.read_bytes()).hexdigest()
    assert list(chain.entries(at_home / "audit"))[-1].facts["receipts"] == sha256
    assert call(server, report, "--yes", "-o", out).exit_code == 2  # receipts are not written over


def test_a_scan_believes_receipts_that_the_log_knows(server, report, at_home):
    """What is gone by them is told with its runs; an edited file, and one of another project, are refused before anything is read."""
    out = at_home / "receipts.json"
    assert call(server, report, "--yes", "-o", out).exit_code == 0
    gone = scanning._purged((out,), "clinic-prod", "127.0.0.1")
    assert set(gone) == set(TRACES[:2])
    with pytest.raises(click.UsageError, match="another host"):
        scanning._purged((out,), "clinic-prod", "langsmith.example")
    assert all(trace in runs for trace, runs in gone.items())
    asked = ["scan", "--project", "clinic-dev", "--endpoint", server.url, "--receipts", str(out), "--known-answers", "0", "--env", "dev"]
    done = CliRunner().invoke(main, asked)
    assert (done.exit_code, "another project" in done.stderr) == (2, True)
    asked[2], asked[-1], whole = "clinic-prod", "prod", out.read_text()
    count, note = '"gone": 2', json.loads(whole)["notes"][0]
    for edited in (whole.replace(TRACES[0], TRACES[4]), whole.replace(count, '"gone": 9'), whole.replace(note, "x"), whole + "\n"):
        assert edited != whole
        out.write_text(edited)
        done = CliRunner().invoke(main, asked)
        assert (done.exit_code, "log knows no purge" in done.stderr) == (2, True)
    line = {"n": 99, "at": "", "event": "purge_done", "prev": "", "receipts": digest(read(out))}
    with (at_home / "audit" / chain.LOG).open("a") as log:
        log.write(json.dumps(line) + "\n")
    done = CliRunner().invoke(main, asked)
    assert (done.exit_code, "log does not hold" in done.stderr) == (2, True)


def test_one_trace_alone(server, report, at_home):
    """--trace deletes that one; a trace without a finding is refused."""
    assert call(server, report, "--yes", "-o", at_home / "r.json", "--trace", TRACES[1]).exit_code == 0
    assert left(server) == set(TRACES[:5]) - {TRACES[1]}
    done = call(server, report, "--yes", "-o", at_home / "s.json", "--trace", TRACES[4])
    assert (done.exit_code, "hold no finding" in done.stderr) == (2, True)


def test_not_gone_in_time_is_no_pass_and_it_goes_on_later(server, report, at_home):
    """Exit 3 while the store only says yes; --resume goes on from the receipts."""
    server.faults.delete_after_s = 3600
    out = at_home / "receipts.json"
    done = call(server, report, "--yes", "-o", out, "--wait", "0s")
    assert done.exit_code == 3
    assert "--resume" in done.stderr
    assert left(server) == set(TRACES[:5])
    assert call(server, "--resume", out, "--wait", "0s").exit_code == 0  # only counted
    assert call(server, "--resume", out, "--yes", "--wait", "0s").exit_code == 3
    server.store.delete_runs(TRACES[:2])
    done = call(server, "--resume", out, "--yes", "--wait", "5s")
    assert (done.exit_code, json.loads(out.read_text())["counts"]["gone"]) == (0, 2)


def test_interrupted_it_leaves_receipts(server, report, at_home):
    """Ctrl-C while it looks: 130, how to go on, and the receipts so far."""
    server.faults.delete_after_s = 3600
    out = at_home / "receipts.json"
    program = "from audit.cli import COMMANDS, main; COMMANDS['purge'] = ('audit.cli.purge:purge', ''); main()"
    command = [sys.executable, "-c", program, "purge", str(report), "--endpoint", server.url, "--yes", "-o", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while time.monotonic() < end and not (out.exists() and json.loads(out.read_text())["counts"]["asked"] == 2):
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert json.loads(out.read_text())["counts"]["asked"] == 2
    server.store.delete_runs(TRACES[:2])
    assert call(server, "--resume", out, "--yes").exit_code == 0


def test_another_host_or_project_is_refused(server, report, at_home):
    """Findings of one place never delete at another."""
    elsewhere = CliRunner().invoke(main, ["purge", str(report), "--endpoint", server.url.replace("127.0.0.1", "localhost")])
    assert (elsewhere.exit_code, "name the same" in elsewhere.stderr) == (2, True)
    assert call(server, report, "--project", "other").exit_code == 2
    made = kept(findings=[finding(1)])
    made = replace(made, manifest=replace(made.manifest, host="127.0.0.1", query={"protocol": "jsonl"}))
    path = at_home / "file.json"
    path.write_text(as_json.render(made), encoding="utf-8")
    assert call(server, path).exit_code == 2
    assert left(server) == set(TRACES[:5])


def test_an_altered_report_deletes_nothing(server, report):
    """A trace put into the findings by hand: exit 4."""
    report.write_text(report.read_text().replace(TRACES[1], str(uuid.UUID(int=99))), encoding="utf-8")
    done = call(server, report, "--yes", "-o", report.with_name("r.json"))
    assert done.exit_code == 4
    assert left(server) == set(TRACES[:5])


@pytest.mark.parametrize(
    "args", [[], ["--resume", "nowhere.json"], ["nowhere.json"], ["--wait", "soon"]], ids=["none", "resume", "file", "wait"]
)
def test_a_wrong_command_line_is_told(server, at_home, args):
    """Exit 2 and no traceback."""
    done = call(server, *args)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_a_dead_endpoint_is_told(report, at_home):
    """Nothing there: exit 3, in words, with the receipts of what was not done."""
    out = at_home / "receipts.json"
    done = CliRunner().invoke(main, ["purge", str(report), "--endpoint", "http://127.0.0.1:9", "--yes", "-o", str(out)])
    assert done.exit_code == 3
    assert "cannot be reached" in done.stderr
    assert json.loads(out.read_text())["counts"]["waiting"] == 2
