"""``phi-audit rehearse``, ``demo`` and ``serve`` as processes: exit codes, streams, and what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from fakes import Store

from audit.rehearsal.conversation import invent_calls
from audit.rehearsal.script import ScriptError, lengthen, plan, read_script, repeat_calls

ONE_CALL = {
    "calls": [
        {"turns": [{"tools": [{"name": "book_appointment", "args": {"patient_name": "Zqxjk"}, "result": {}}], "agent": {"speech_ms": 100}}]}
    ]
}


def phi_audit(*arguments, timeout=120, **environment):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LANGS", "LANGCHAIN"))} | environment
    return subprocess.run(
        [sys.executable, "-m", "audit", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("calls: [", "not YAML"),
        ("calls: []", "calls"),
        ("calls: [{turns: [{tools: [{nome: x}]}]}]", "nome"),
        ("calls: [{turns: [{user: {speech_ms: zqxjk}}]}]", "speech_ms"),
        ("\x00", "YAML"),
    ],
)
def test_a_script_that_cannot_be_played_is_a_usage_error_without_its_values(tmp_path, script, fault):
    """Exit 2, the place, no traceback, and nothing of the value, which could be a patient's."""
    path = tmp_path / "calls.yaml"
    path.write_text(script)
    done = phi_audit("rehearse", "--script", str(path), LANGSMITH_API_KEY="k")
    assert (done.returncode, done.stdout) == (2, "")
    assert fault in done.stderr
    assert "calls.yaml" in done.stderr
    assert "Traceback" not in done.stderr
    assert "zqxjk" not in done.stderr


def test_without_a_key_nothing_is_sent_to_the_outside():
    """A hosted endpoint needs a key; the error says what to set."""
    done = phi_audit("rehearse", "--calls", "1")
    assert done.returncode == 2
    assert "LANGSMITH_API_KEY" in done.stderr


def test_a_dead_endpoint_leaves_the_rehearsal_unproven(tmp_path):
    """The calls are played, the books add up, nothing was delivered: exit 3, and the evidence says so."""
    script = tmp_path / "calls.json"
    script.write_text(json.dumps(ONE_CALL))
    done = phi_audit(
        "rehearse", "--script", str(script), "--endpoint", "http://127.0.0.1:9", "--no-measure", "--deliver", "3", "--format", "json"
    )
    assert done.returncode == 3, done.stderr
    evidence = json.loads(done.stdout)
    assert evidence["schema"] == "phi-audit.rehearsal/1"
    assert evidence["spans"]["adds_up"]
    assert (evidence["spans"]["delivered"], evidence["calls_crashed"]) == (0, 0)
    assert any("not delivered" in problem for problem in evidence["problems"])


def test_the_account_is_kept_for_the_scan(tmp_path):
    """The relay's outbox and log, for the owner alone, in one file each; a scan of those traces is held against it, run by run."""
    script, account, store = tmp_path / "calls.json", tmp_path / "account", Store(tmp_path)
    script.write_text(json.dumps(ONE_CALL))
    try:
        options = ("--script", str(script), "--no-measure", "--keep-account", str(account))
        done = phi_audit("rehearse", *options, "--endpoint", store.url, "--format", "json", LANGSMITH_API_KEY="k")
        assert done.returncode == 0, done.stderr
        sent = {run["id"] for run in store.runs()}
    finally:
        store.stop()
    assert {path.name: path.stat().st_mode & 0o777 for path in account.iterdir()} == {"outbox.sqlite3": 0o600, "relay.log": 0o600}
    assert account.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(f"file:{account / 'outbox.sqlite3'}?mode=ro&immutable=1", uri=True)) as kept:
        delivered = kept.execute("SELECT sum(n) FROM totals WHERE state = 'delivered'").fetchone()[0]
        assert kept.execute("SELECT count(*) FROM ops").fetchone() == (0,)
    evidence = json.loads(done.stdout)
    assert delivered == evidence["spans"]["delivered"] >= len(sent) > 0
    # and all this although the relay stood still while the call went on
    assert [fault["kind"] for fault in evidence["faults"]] == ["relay_stands_still"]
    assert evidence["faults"][0]["lasted_s"] > 0
    assert evidence["in_call_handler_us"]["n"] > evidence["in_call_record_us"]["n"] > 0


def test_an_account_that_cannot_be_kept_is_said(tmp_path):
    """Its directory is a file's child: no traceback, the place, and what to name instead."""
    script = tmp_path / "calls.json"
    script.write_text(json.dumps(ONE_CALL))
    where = script / "account"
    done = phi_audit(
        "rehearse",
        "--script",
        str(script),
        "--endpoint",
        "http://127.0.0.1:9",
        "--no-measure",
        "--deliver",
        "1",
        "--keep-account",
        str(where),
    )
    assert done.returncode not in {0, 1}
    assert str(where) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_switch_that_is_off_is_obeyed(tmp_path):
    """Someone rolled back: calls are played, nothing is sent, and the rehearsal says why."""
    assert phi_audit("switch", "off", "--reason", "a test").returncode == 0
    script = tmp_path / "calls.json"
    script.write_text(json.dumps(ONE_CALL))
    store = Store(tmp_path)
    try:
        done = phi_audit("rehearse", "--script", str(script), "--endpoint", store.url, "--no-measure", "--format", "json")
        assert store.runs() == []
    finally:
        store.stop()
    evidence = json.loads(done.stdout)
    assert done.returncode == 3
    assert "is off" in done.stderr
    assert evidence["spans"]["dropped"] == {"switch_off": evidence["spans"]["offered"]}
    assert evidence["spans"]["adds_up"]


@pytest.fixture
def short_path():
    """A directory with a short name: a unix socket's path has room for a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="phi-") as name:
        yield Path(name)


def test_ctrl_c_ends_it_at_once_with_evidence_and_leaves_no_relay(short_path):
    """Exit 130, the evidence of what was done says that it was ended, and the processes it started are gone."""
    tmp_path = short_path
    env = {k: v for k, v in os.environ.items() if not k.startswith("LANGS")} | {"TMPDIR": str(tmp_path)}
    options = ["--calls", "3", "--at-once", "2", "--minutes", "1", "--endpoint", "http://127.0.0.1:9", "--no-measure", "--format", "json"]
    command = [sys.executable, "-m", "audit", "rehearse", *options]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "calls under way" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Traceback" not in err
    evidence = json.loads(out)
    assert evidence["interrupted"]
    assert any("ended before" in problem for problem in evidence["problems"])
    assert (evidence["calls"], len(evidence["trace_ids"])) == (2, 2)  # the third had not been placed
    assert evidence["load"]["at_once"] == 2
    assert 0 < evidence["load"]["minutes"] < 0.9
    assert evidence["spans"]["offered"] > 0
    running = subprocess.run(["pgrep", "-f", f"tracing.relay --runtime {tmp_path}"], capture_output=True, check=False)
    assert running.stdout == b""


@pytest.mark.alone  # its verdict counts how late the loop was
def test_the_demo_shows_the_whole_path_and_says_where_everything_is(tmp_path):
    """The tree, the verdict with its reasons, and a report that opens."""
    done = phi_audit("demo", "--directory", str(tmp_path / "demo"), "--known-answers", "3", timeout=170)
    assert done.returncode == 0, done.stderr
    assert "voice_session" in done.stdout
    assert "└─ tool.book_appointment" in done.stdout
    assert "patient_name=<REDACTED>" in done.stdout
    assert "UNPROVEN" in done.stdout
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert (report["verdict"]["state"], report["findings"]) == ("UNPROVEN", [])
    states = {gate["name"]: gate["state"] for gate in report["gates"]}
    assert (states["accounted_for"], states["canaries"]) == ("proven", "proven")
    assert report["cross_check"]["matched"] == report["cross_check"]["expected"] == report["population"]["runs"] > 0
    assert {"room_name", "participant_identity", "participant_attribute"} <= set(report["rehearsal"]["canaries"]["by_origin"])
    assert "What to do next" in done.stdout
    page = (tmp_path / "demo" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert str(tmp_path / "demo" / "report.html") in done.stdout
    assert "demo: 3 calls" in done.stderr


def test_serve_says_a_port_in_use_and_stops_on_ctrl_c(tmp_path):
    """The store runs until it is told to stop; two cannot share a port."""
    env = dict(os.environ)
    command = [sys.executable, "-m", "audit", "serve", "--port", "0", "--path", str(tmp_path / "t.sqlite3")]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    port = line.split("127.0.0.1:")[1].split(";")[0]
    second = phi_audit("serve", "--port", port, "--path", str(tmp_path / "u.sqlite3"))
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1]
    assert second.returncode == 2
    assert port in second.stderr
    assert process.returncode == 130
    assert "Traceback" not in err


def test_invented_callers_are_the_same_for_the_same_seed():
    """Reproducible, and not all alike."""
    assert invent_calls(6, 3) == invent_calls(6, 3)
    assert invent_calls(6, 3) != invent_calls(6, 4)


def test_scripts_can_be_repeated_and_lengthened():
    """More calls than the script has begin it again; longer calls say their turns again."""
    calls = plan({"calls": [{"turns": [{"agent": {"speech_ms": 1000}}]}, {"consent": "refused", "turns": [{}]}]})
    assert [call.consent for call in repeat_calls(calls, 3)] == ["granted", "refused", "granted"]
    assert 30 <= len(lengthen(calls[0], 1.0).turns) <= 36
    assert lengthen(calls[0], 0.0) == calls[0]


def test_a_date_in_a_script_is_the_text_it_was(tmp_path):
    """YAML makes a date of it; a tool's argument is text."""
    path = tmp_path / "calls.yaml"
    path.write_text("calls: [{turns: [{tools: [{name: x, args: {dob: 1958-03-14, at: 2027-03-15T14:00:00}}]}]}]")
    assert read_script(path)[0].turns[0].tools[0].arguments == {"dob": "1958-03-14", "at": "2027-03-15T14:00:00"}
    with pytest.raises(ScriptError, match=r"nowhere\.yaml"):
        read_script(tmp_path / "nowhere.yaml")
