"""``phi-audit watch`` as a process, against a local trace store in a process of its own. The detectors are the real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from audit.bench.recorded import invent
from audit.rehearsal.serving import run_store
from phi_guard.switch import FileSwitch

PROJECT = "clinic-dev"
_RUN = "from audit.cli import COMMANDS, main; COMMANDS.setdefault('watch', ('audit.cli.watch:watch', 'Watch.')); main()"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two whole calls of a few minutes ago."""
    with run_store(tmp_path_factory.mktemp("store") / "t.sqlite3") as url:
        for seed in (1, 2):
            (runs,) = invent(1, seed, datetime.now(UTC) - timedelta(minutes=2), 0)
            for run in runs:
                run["session_name"] = PROJECT
                run["extra"]["metadata"]["env"] = "dev"
            headers = {"x-api-key": "local", "content-type": "application/json"}
            body = json.dumps({"post": runs}).encode()
            with urllib.request.urlopen(urllib.request.Request(f"{url}/runs/batch", body, headers)) as answer:
                assert answer.status == 202
        yield url


@pytest.fixture
def command(tmp_path, store):
    """The command with its environment: own keys, a switch that is on."""
    FileSwitch(tmp_path / "switch.json").turn_on("a test")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PHI_AUDIT")}
    environment = {
        **kept, "PHI_AUDIT_DIR": str(tmp_path / "audit"), "PHI_GUARD_SWITCH": str(tmp_path / "switch.json"), "LANGSMITH_API_KEY": "local",
        "LANGSMITH_ENDPOINT": store, "PHI_GUARD_ENV": "dev",
    }  # fmt: skip

    def make(*args):
        return {"args": [sys.executable, "-c", _RUN, "watch", *map(str, args)], "env": environment, "cwd": tmp_path, "text": True}

    return make


def run(command, *args):
    return subprocess.run(**command(*args), capture_output=True, check=False, timeout=120)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_and_stopped_it_goes_on_to_its_end(command, tmp_path):
    """Killed in the midst, taken up again and stopped by Ctrl-C, taken up again: one watch, one journal, one closing report."""
    options = ("--project", PROJECT, "--hours", 0.015, "--every", "2s", "-d", "week6", "--known-answers", 1)
    journal = tmp_path / "week6" / "watch.jsonl"
    for how, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
        before = journal.read_bytes().count(b'"event":"round"') if journal.exists() else 0
        process = subprocess.Popen(**command(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = time.monotonic() + 100
        while (not journal.exists() or journal.read_bytes().count(b'"event":"round"') <= before) and time.monotonic() < until:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, err
    assert "INCOMPLETE" in out
    assert "goes on with the watch" in err
    assert json.loads((tmp_path / "week6" / "monitoring.json").read_text())["closed"] is False
    done = run(command, *options, "--resume", "--format", "json")
    closing = json.loads(done.stdout)
    assert (closing["schema"], len(closing["resumed"]), closing["interrupted"]) == ("phi-audit.watch/1", 2, False)
    assert (closing["monitoring"]["calls"], closing["monitoring"]["no_go"], closing["monitoring"]["closed"]) == (2, 0, True)
    assert closing["monitoring"]["rounds"] >= 3
    assert closing["monitoring"]["hours"] >= 0.015
    assert [reason.partition(":")[0] for reason in closing["reasons"]] == ["known_answer_recall"], closing["reasons"]
    assert done.returncode == closing["exit_code"] == 3
    assert "Traceback" not in done.stderr + err
    rounds = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [row["n"] for row in rounds] == list(range(len(rounds)))
    page = (tmp_path / "week6" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    again = run(command, *options)
    assert (again.returncode, again.stdout) == (2, "")
    assert "has ended" in again.stderr


def test_a_dead_endpoint_ends_unproven(command):
    done = run(command, "--project", PROJECT, "--endpoint", "http://127.0.0.1:9", "--hours", 0.0005, "--every", "1s", "--known-answers", 0)
    assert done.returncode == 3
    assert done.stdout.startswith("UNPROVEN")
    assert "cannot be reached" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        pytest.param([], "--project NAME", id="no project"),
        pytest.param(["--project", "p", "--every", "2h"], "1s to 30m", id="every"),
        pytest.param(["--project", "p", "--every", "soon"], "1s to 30m", id="no time"),
        pytest.param(["--project", "p", "--hours", "0"], "--hours", id="hours"),
        pytest.param(["--project", "p-prod", "--env", "dev"], "give --env prod", id="environment"),
        pytest.param(["--project", "p", "--policy", "none.yaml"], "the policy cannot be used", id="policy"),
        pytest.param(["--project", "p", "--rules", "none.yaml"], "the rules cannot be used", id="rules"),
        pytest.param(["--project", "p", "--gates", "none.yaml"], "none.yaml", id="gates"),
        pytest.param(["--project", "p", "--endpoint", "nowhere"], "endpoint", id="endpoint"),
        pytest.param(["--project", "p", "--baseline", "none.yaml"], "none.yaml", id="baseline"),
        pytest.param(["--project", "p", "--roster", "none.idx"], "none.idx", id="roster"),
        pytest.param(["--project", "p", "-o", "no/such/file"], "cannot be written", id="output"),
        pytest.param(["--project", "p", "--resume"], "no watch to go on with", id="resume"),
    ],
)
def test_usage_is_told_and_exits_2(tmp_path, monkeypatch, args, said):
    from click.testing import CliRunner

    from audit import cli

    cli.COMMANDS.setdefault("watch", ("audit.cli.watch:watch", "Watch."))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    for name in ("PHI_AUDIT_GATES", "PHI_AUDIT_ALERTS", "PHI_AUDIT_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)
    try:
        done = CliRunner().invoke(cli.main, ["watch", *args])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    assert said in done.stderr
    assert "Traceback" not in done.output
