"""``phi-audit scan`` as a process: exit codes, streams, files, interruption. The detectors are the real ones."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

SECRET = "Ada Byron"


def leak(call):
    call[3]["tags"] = [SECRET]


def test_clean_export_is_unproven_without_evidence(phi_audit, exported):
    """Clean traces alone are not GO: exit 3, JSON on stdout alone, with no findings and the missing evidence named."""
    done = phi_audit("scan", "--from", exported(), "--known-answers", 1, "--seed", 1, "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (3, "")
    assert report["schema"] == "phi-audit.report/2"
    assert (report["verdict"]["state"], report["findings"]) == ("UNPROVEN", [])
    assert {g["name"]: g["state"] for g in report["gates"]}["phi_findings"] == "proven"


def test_a_scan_without_a_layer_proves_nothing(phi_audit, exported):
    """Whatever it finds or does not find, no gate of the census is proven, and the report says why."""
    done = phi_audit("scan", "--from", exported(), "--known-answers", 0, "--without", "minilm", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]["state"]) == (3, "UNPROVEN")
    assert "without minilm" in report["incomplete"]
    assert {g["name"]: g["state"] for g in report["gates"]}["phi_findings"] == "unproven"


def test_a_leak_is_no_go_and_turns_the_switch_off(phi_audit, exported, tmp_path):
    """A finding is exit 1; with --enforce the switch is off after it; no value is on any stream or in any file."""
    switch = tmp_path / "switch.json"
    assert phi_audit("switch", "on", "--reason", "test", PHI_GUARD_SWITCH=str(switch)).returncode == 0
    page, table = tmp_path / "r.html", tmp_path / "r.txt"
    done = phi_audit(
        "scan",
        "--from",
        exported(change=leak),
        "--known-answers",
        0,
        "--enforce",
        "--html",
        page,
        "-o",
        table,
        PHI_GUARD_SWITCH=str(switch),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "switch is off" in done.stderr
    assert table.read_text().startswith("NO-GO")
    assert page.read_text().startswith("<!doctype html>")
    assert not any(SECRET in text for text in (done.stderr, table.read_text(), page.read_text()))
    state = json.loads(phi_audit("switch", "status", "--format", "json", PHI_GUARD_SWITCH=str(switch)).stdout)
    assert (state["on"], state["hold"]) == (False, "leak")
    assert state["reason"].startswith("phi-audit: NO-GO, report ")


def test_without_enforce_the_switch_stays(phi_audit, exported, tmp_path):
    """A finding alone changes nothing but the exit code."""
    switch = tmp_path / "switch.json"
    phi_audit("switch", "on", "--reason", "test", PHI_GUARD_SWITCH=str(switch))
    assert phi_audit("scan", "--from", exported(change=leak), "--known-answers", 0, PHI_GUARD_SWITCH=str(switch)).returncode == 1
    assert json.loads(switch.read_text())["on"] is True


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--project NAME or --from FILE"),
        (["--project", "p", "--since", "yesterday"], "7d"),
        (["--project", "p", "--endpoint", "nowhere"], "endpoint"),
        (["--project", "p", "--env", "moon"], "moon"),
        (["--project", "p", "--policy", "none.yaml"], "none.yaml"),
        (["--project", "p", "--evidence", "none.json"], "none.json"),
        (["--format", "docx"], "docx"),
        (["--project", "p", "--format", "pdf"], "a PDF is no text"),
        (["--project", "p", "--without", "moon"], "patterns"),
        (["--project", "p", "--baseline", "none.yaml"], "none.yaml"),
        (["--project", "p", "--roster", "none.idx"], "none.idx"),
        (["--project", "p", "--earlier", "none.json"], "none.json"),
        (["--project", "p", "--now", "noon"], "zone"),
    ],
)
def test_usage_faults(phi_audit, args, said):
    """A bad option, policy, environment or evidence file is exit 2, told on stderr, with no traceback."""
    done = phi_audit("scan", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_policy_tells_every_fault(phi_audit, tmp_path):
    """A policy that cannot be used is exit 2, with each fault and its line."""
    path = tmp_path / "bad.yaml"
    path.write_text("version: 1\ndefault: publish\nfields:\n  phone: {action: redcat}\n")
    done = phi_audit("scan", "--project", "p", "--policy", path)
    assert done.returncode == 2
    assert "bad.yaml:2" in done.stderr
    assert "bad.yaml:4" in done.stderr


def test_a_dead_endpoint_is_unproven(phi_audit):
    """A closed port is exit 3 with the reason, in JSON too."""
    done = phi_audit("scan", "--project", "p", "--endpoint", "http://127.0.0.1:9", "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert report["verdict"]["state"] == "UNPROVEN"
    assert "cannot be reached" in report["incomplete"]
    assert "Traceback" not in done.stderr


@pytest.fixture
def slow_server():
    """A LangSmith that has the project, and takes a minute to answer what is in it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            data = json.dumps([{"id": "0192f000-0000-7000-8000-00000000aaaa", "name": "p"}]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            self.server.asked.set()
            self.server.stop.wait(60)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.stop, server.daemon_threads = threading.Event(), threading.Event(), True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


def test_ctrl_c_reports_what_there_is(slow_server):
    """Ctrl-C in the middle of reading is exit 130, with a report that says it is incomplete, and no traceback."""
    command = [
        sys.executable,
        "-m",
        "audit",
        "scan",
        "--project",
        "p",
        "--format",
        "json",
        "--endpoint",
        f"http://127.0.0.1:{slow_server.server_address[1]}",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert slow_server.asked.wait(30)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["incomplete"] == "interrupted"
    assert "Traceback" not in err


def test_a_reader_that_goes_away(exported):
    """Output into a pipe that nobody reads ends quietly, and never as a pass."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "audit", "scan", "--from", str(exported()), "--known-answers", "0", "--format", "json"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (3, "")
