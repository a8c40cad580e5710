"""``phi-audit export``: options, places, exit codes, and what is said where."""

from __future__ import annotations

import csv
import io
import json
import stat
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import urllib3
from click.testing import CliRunner

from audit import exits
from audit.cli.export import export
from audit.source import SourceError
from tracing.local.trace_store import Faults, LocalServer


def run(*args):
    return CliRunner(env={"LANGSMITH_API_KEY": "k"}).invoke(export, [str(arg) for arg in args], standalone_mode=False)


def test_to_stdout(exported):
    """Rows go to stdout and nothing else does; what was done is said on stderr."""
    done = run("--from", exported(calls=3))
    assert (done.exception, done.return_value) == (None, exits.GO)
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert [row["reason"] for row in rows] == ["participant_disconnected"] * 3
    assert done.stderr == "phi-audit: 3 calls; rows: 3 by session\n"
    lines = run("--from", exported(calls=3), "--by", "tool", "--format", "jsonl", "-o", "-").stdout.splitlines()
    assert [json.loads(line)["tool"] for line in lines] == ["tool.book_appointment"] * 3


def test_to_a_file_and_to_a_directory(exported, tmp_path):
    """One portion into a named file; several into a directory, a file each; all their owner's alone."""
    source, one = exported(calls=2), tmp_path / "one.parquet"
    assert run("--from", source, "--by", "turn", "--format", "parquet", "-o", one).return_value == exits.GO
    assert pq.read_table(one).num_rows == 4
    folder = tmp_path / "out"
    folder.mkdir()
    done = run("--from", source, "--by", "turn", "--by", "session", "--by", "turn", "--directory", folder)
    assert "2 by session, 4 by turn" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["session.csv", "turn.csv"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in [one, *folder.iterdir()]} == {0o600}


def test_a_cursor(exported, tmp_path):
    """Run again, nothing comes again; another format is refused; a file named with -o is there each time."""
    cursor = tmp_path / "cursor.json"
    first = run("--from", exported(calls=2), "--directory", tmp_path, "--cursor", cursor)
    assert "2 calls" in first.stderr
    assert "session-000001.csv" in first.stderr
    again = run("--from", exported(calls=3), "--directory", tmp_path, "--cursor", cursor)
    assert "1 calls" in again.stderr
    assert (tmp_path / "session-000002.csv").read_text().count("\n") == 2
    none = run("--from", exported(calls=3), "--directory", tmp_path, "--cursor", cursor)
    assert "0 calls" in none.stderr
    assert not (tmp_path / "session-000003.csv").exists()
    other = run("--from", exported(calls=3), "--directory", tmp_path, "--cursor", cursor, "--format", "jsonl")
    assert "go on with the same options" in str(other.exception)
    file, second = tmp_path / "o.csv", tmp_path / "second.json"
    assert run("--from", exported(calls=1), "-o", file, "--cursor", second).return_value == exits.GO
    assert run("--from", exported(calls=1), "-o", file, "--cursor", second).return_value == exits.GO
    assert file.read_text().count("\n") == 1  # the header alone: nothing new


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ((), "name what to read"),
        (("--project", "P", "--by", "session", "--by", "turn"), "--directory"),
        (("--project", "P", "-o", "x", "--directory", "."), "one place"),
        (("--project", "P", "--cursor", "c"), "needs a file"),
        (("--project", "P", "-o", "-", "--cursor", "c"), "needs a file"),
        (("--project", "P", "--policy", "none.yaml"), "policy cannot be used"),
        (("--project", "P", "--endpoint", "ftp://x"), "not an http or https address"),
        (("--project", "P", "--since", "x"), "write a number and a unit"),
    ],
    ids=["nothing", "two portions", "two places", "cursor to stdout", "cursor to -", "policy", "endpoint", "since"],
)
def test_what_cannot_be_asked(args, why):
    """A usage error says what to do."""
    caught = run(*args).exception
    assert caught is not None
    assert caught.exit_code == exits.USAGE
    assert why in caught.format_message()


def test_by_project_and_environment(exported):
    """Only calls of the project and the environment that are named."""
    assert "1 calls" in run("--from", exported(), "--env", "dev", "--project", "clinic-dev").stderr
    assert "0 calls" in run("--from", exported(), "--env", "prod").stderr
    assert "0 calls" in run("--from", exported(), "--project", "another-dev").stderr


def test_a_source_that_is_not_whole(exported, tmp_path):
    """Of a file that is cut short nothing is written: an export that lacks calls must not look whole."""
    source, file = exported(calls=2), tmp_path / "o.csv"
    source.write_text(source.read_text()[:-200])
    caught = run("--from", source, "-o", file).exception
    assert isinstance(caught, SourceError)
    assert not file.exists()
    assert "Dr. Lee" not in str(caught)


def test_help_loads_nothing_heavy():
    """Before --help nothing that reads, writes or judges is loaded; it says that no content is exported."""
    code = (
        "import sys; from audit.cli.export import export\n"
        "try:\n    export(['--help'])\nexcept SystemExit:\n    pass\n"
        "bad = {'pyarrow', 'yaml', 'pydantic', 'sqlite3', 'urllib3', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "what a tool was given or gave back is in no column" in " ".join(done.stdout.split())
    assert "Examples:" in done.stdout


@pytest.fixture
def server():
    with LocalServer(faults=Faults()) as running:
        yield running


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_from_a_project(server, tmp_path, fixtures, version):
    """From a store over its API: calls that began in the window, whole ones, under the project that was asked for; then only new ones."""
    if version == "v1":
        server.faults.change({"status": 404, "remaining": -1, "match": "/api/v2"})

    def send(runs):
        told = {"post": runs, "patch": []}
        answer = urllib3.request("POST", f"{server.url}/runs/batch", json=told, headers={"x-api-key": "k"}, timeout=10)
        assert answer.status == 202

    def scheduled(now):
        return run("--project", "clinic-dev", "--endpoint", server.url, "--since", "3h", "--directory", tmp_path, "--by", "turn",
                   "--by", "session", "--cursor", tmp_path / "cursor.json", "--now", now)  # fmt: skip

    send([one for n in range(2) for one in fixtures.call(n)])
    first = scheduled("2026-11-20T12:00:00Z")
    assert (first.exception, first.return_value) == (None, exits.GO)
    assert "2 calls; rows: 2 by session, 4 by turn" in first.stderr
    send(fixtures.call(2))
    assert "1 calls; rows: 1 by session, 2 by turn" in scheduled("2026-11-20T12:10:00Z").stderr
    rows = [row for file in sorted(tmp_path.glob("session-*.csv")) for row in csv.DictReader(file.read_text().splitlines())]
    assert len({row["trace_id"] for row in rows}) == len(rows) == 3
    assert {(row["project"], row["env"], row["ttft_p95_ms"]) for row in rows} == {("clinic-dev", "dev", "640.0")}
    send(fixtures.call(3))
    assert "0 calls" in scheduled("2026-11-20T13:00:01Z").stderr  # it began at ten: before the window, whose runs are read all the same


def test_a_project_that_is_not_there(server, tmp_path):
    """Where there is no such project nothing is written and the cursor stays."""
    cursor = tmp_path / "cursor.json"
    caught = run("--project", "none-there", "--endpoint", server.url, "--directory", tmp_path, "--cursor", cursor).exception
    assert isinstance(caught, SourceError)
    assert caught.code == "no_project"
    assert list(tmp_path.glob("session-*")) == []
    assert not cursor.exists()
