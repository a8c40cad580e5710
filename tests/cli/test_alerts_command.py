"""``phi-audit alerts``: the commands, their exit codes, and what they print, against real runs in an export and real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from audit import chain, cli
from audit.alerts import read_state
from phi_guard.switch import FileSwitch

NOW = "2026-11-20T10:10:00Z"
OURS = frozenset({"alert_sending", "alert_sent", "alert_silenced", "alert_unsilenced"})
MAIN = ("-m", "audit")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("PAGERDUTY_ROUTING_KEY", "LANGSMITH_PROJECT", "LANGSMITH_ENDPOINT", "PHI_AUDIT_ALERTS", "PHI_AUDIT_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    FileSwitch(tmp_path / "switch.json").turn_on("a test")
    return tmp_path / "audit"


@pytest.fixture
def run(home):
    return lambda *args: CliRunner().invoke(cli.main, ["alerts", *map(str, args)])


@pytest.fixture
def export(tmp_path, fixtures):
    """So many calls, of which so many failed, as an export."""

    def write(calls=6, failed=0):
        path = tmp_path / "export.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for n in range(calls):
                runs = fixtures.call(n)
                if n < failed:
                    runs[0]["error"] = "RuntimeError: session_error"
                file.writelines(json.dumps(row) + "\n" for row in runs)
        return path

    return write


def test_a_quiet_hour_exits_0_and_says_nothing(run, export):
    done = run("check", "--from", export(), "--env", "dev", "--now", NOW)
    assert done.exit_code == 0, done.output
    assert "[OBS]" not in done.stdout
    assert done.stdout.startswith("error_rate")


def test_failing_calls_exit_1_and_are_told_once(run, export, home):
    path = export(6, 3)
    done = run("check", "--from", path, "--env", "dev", "--project", "clinic-dev", "--now", NOW, "--format", "json")
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    assert told["schema"] == "phi-audit.alerts/1"
    (message,) = told["messages"]
    assert (message["alert"], message["state"], message["env"], message["bad"], message["n"]) == ("error_rate", "firing", "dev", 3, 6)
    assert len(message["trace_ids"]) == 3
    again = run("check", "--from", path, "--env", "dev", "--project", "clinic-dev", "--now", NOW)
    assert again.exit_code == 1
    assert "[DEV][OBS]" not in again.stdout
    assert [firing.rule for firing in read_state(home / "alerts.json").firing] == ["error_rate"]


def test_a_dry_run_says_what_it_would_and_remembers_nothing(run, export, home):
    for _ in range(2):
        done = run("check", "--from", export(6, 3), "--env", "dev", "--now", NOW, "--dry-run")
        assert done.exit_code == 1
        assert "[DEV][OBS] Error rate 50 %" in done.stdout
    assert not (home / "alerts.json").exists()


def test_what_cannot_be_read_exits_3_and_is_no_silence(run):
    done = run("check", "--project", "p", "--endpoint", "http://127.0.0.1:9", "--env", "dev")
    assert done.exit_code == 3, done.output
    assert "cannot be judged" in done.stdout
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param(("check",), "--project NAME or --from FILE", id="nothing to read"),
        pytest.param(("check", "--project", "clinic-dev", "--env", "prod"), "give --env dev", id="environment"),
        pytest.param(("check", "--project", "p", "--rules", "no.yaml"), "there is no such file", id="rules"),
        pytest.param(("check", "--project", "p", "--policy", "no.yaml"), "the policy cannot be used", id="policy"),
        pytest.param(("watch", "--project", "p", "--every", "1y"), "--every", id="every"),
        pytest.param(("silence", "error_rat", "--for", "2h", "--reason", "a drill"), "did you mean 'error_rate'?", id="name"),
        pytest.param(("silence", "leak", "--for", "2h", "--reason", "x"), "3 to 120", id="reason"),
        pytest.param(("unsilence", "leak"), "is not silenced", id="unsilence"),
        pytest.param(("test", "--sink", "slack"), "SLACK_WEBHOOK_URL", id="no address"),
    ],
)
def test_usage_is_told_and_exits_2(run, args, told):
    done = run(*args)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.output


def test_an_address_that_is_none_is_refused_without_being_told(run, monkeypatch):
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "ftp://hooks.slack.com/services/T0/B0/geheim")
    done = run("test", "--sink", "slack")
    assert done.exit_code == 2
    assert "geheim" not in done.output


def test_a_silence_is_kept_logged_shown_and_ended(run, export, home):
    assert run("silence", "error_rate", "--for", "2h", "--reason", "load test").exit_code == 0
    shown = json.loads(run("list", "--format", "json").stdout)
    assert shown["schema"] == "phi-audit.alerts-list/1"
    (row,) = [row for row in shown["rules"] if row["rule"] == "error_rate"]
    assert "load test" in row["silenced"][0]
    assert "silenced: load test" in run("list").stdout
    assert run("unsilence", "error_rate").exit_code == 0
    assert "silenced" not in run("list").stdout
    assert [entry.event for entry in chain.entries(home) if entry.event in OURS] == ["alert_silenced", "alert_unsilenced"]


def test_the_list_says_what_each_rule_takes_and_how_it_stood(run, export):
    run("check", "--from", export(6, 3), "--env", "dev", "--now", NOW)
    text = run("list", "--env", "dev").stdout
    assert "failed calls above 5 % over 1 h, at least 2 of them, and 5 calls or its lower bound (95%) above 5 %" in text
    assert "firing; 50 % (3 of 6)" in text
    assert "error_rate_week" not in text


def test_the_schema_is_printed(run):
    assert json.loads(run("schema").stdout)["title"] == "phi-guard alerts"


def test_a_test_message_passes_the_gate(run):
    done = run("test", "--sink", "slack", "--env", "dev", "--dry-run")
    told = json.loads(done.stdout)
    assert (told["alert"], told["env"], told["rehearsal"]) == ("test", "dev", True)


def test_a_report_that_says_no_go_is_a_leak(run, export, tmp_path):
    from kept_reports import finding, kept

    from audit.report import json as as_json

    path = tmp_path / "report.json"
    path.write_text(as_json.render(kept(findings=(finding(),))), encoding="utf-8")
    done = run("check", "--from", export(), "--env", "dev", "--now", NOW, "--report", path, "--format", "json")
    assert done.exit_code == 1, done.output
    (message,) = json.loads(done.stdout)["messages"]
    assert (message["alert"], len(message["report"])) == ("leak", 64)


def watching(export, *args):
    command = [sys.executable, *MAIN, "alerts", "watch", "--from", str(export), "--env", "dev", "--every", "1s", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def looked(home, process):
    end = time.monotonic() + 60
    while not (home / "alerts.json").exists():
        assert time.monotonic() < end
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_watch_tells_what_fires_and_ends_cleanly(home, export, tmp_path, number, code):
    path = export(6, 3)
    now = datetime.now(UTC)
    shift = now - datetime(2026, 11, 20, 10, 1, tzinfo=UTC) - timedelta(minutes=5)
    moved = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        for key in ("start_time", "end_time"):
            row[key] = (datetime.fromisoformat(row[key]) + shift).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        moved.append(json.dumps(row))
    path.write_text("\n".join(moved) + "\n")
    process = watching(path)
    try:
        looked(home, process)
        second = subprocess.run(
            [sys.executable, *MAIN, "alerts", "watch", "--from", str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert second.returncode == 3
        assert "another process watches already" in second.stderr
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert out.count("[DEV][OBS]") == 1
    assert "Error rate 50 %" in out


def test_help_loads_nothing_heavy(run):
    code = (
        "import sys; from audit.cli import COMMANDS, main; COMMANDS['alerts'] = ('audit.cli.alerts:alerts', 'Tell.')\n"
        "try: main(['alerts', 'check', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'yaml', 'pydantic', 'requests', 'urllib3', 'slack_sdk', 'sqlite3', 'spacy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
