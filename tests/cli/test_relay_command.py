"""``phi-audit relay``: the relay as a service, in a process of its own, and its account of itself."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from fakes import Store, call_records, until

from tracing.recorder import Recorder

# The command as `phi-audit` runs it, whether or not the root knows it yet.
COMMAND = """
import audit.cli as root
root.COMMANDS.setdefault("relay", ("audit.cli.relay:relay", "Run the relay as a service."))
root.main()
"""


@pytest.fixture
def runtime(tmp_path):
    return tmp_path / "service"


def command(*arguments, **environment):
    given = {k: v for k, v in os.environ.items() if not k.startswith(("LANGSMITH", "PHI_GUARD"))} | environment
    return {"args": [sys.executable, "-c", COMMAND, "relay", *map(str, arguments)], "env": given}


def run(*arguments, **environment):
    return subprocess.run(**command(*arguments, **environment), capture_output=True, text=True, timeout=90, check=False)


@pytest.fixture
def service(runtime, tmp_path):
    """Start the service; it is ended with the test."""
    started = []

    def start(*arguments, **environment):
        log = (tmp_path / f"log{len(started)}").open("w+")
        process = subprocess.Popen(**command("--runtime", runtime, *arguments, **environment), stdout=log, stderr=log)
        started.append((process, log))
        return process

    yield start
    for process, log in started:
        process.kill()
        process.wait()
        log.close()


def ask(runtime):
    done = run("status", "--runtime", runtime, "--format", "json", "--wait", "2")
    return done.returncode, json.loads(done.stdout)


def test_nobody_there_is_three_and_says_where(runtime):
    """A supervisor's check fails while nothing serves; the answer is still JSON."""
    code, said = ask(runtime)
    assert (code, said) == (3, {"schema": "phi-audit.relay/1", "serving": False, "runtime": str(runtime)})
    table = run("status", "--runtime", runtime, "--wait", "0.2")
    assert (table.returncode, table.stdout) == (3, f"no relay answers in {runtime}\n")
    assert "phi-audit relay --runtime" in table.stderr


def test_a_directory_that_others_may_enter_is_refused(runtime):
    """Two, and what to do; no traceback."""
    runtime.mkdir(mode=0o755)
    for arguments in (["status", "--runtime", runtime], ["--runtime", runtime]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "chmod 700" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"two words\n", b"\xff\xfe"])
def test_a_key_file_that_holds_no_key_is_refused(runtime, tmp_path, content):
    """Before anything is served; what stands in the file is not told."""
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    done = run("--runtime", runtime, "--key-file", path)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "two words" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_it_serves_with_the_key_of_a_file_tells_its_ledger_and_drains_at_sigterm(service, runtime, tmp_path):
    """As systemd runs it: foreground, a credential in a file, status for the watch, SIGTERM at the end."""
    key = tmp_path / "key"
    key.write_text("from-the-file\n")
    store = Store(tmp_path)
    try:
        switch = tmp_path / "switch.json"
        switch_on = f"from phi_guard.switch import FileSwitch; import pathlib; FileSwitch(pathlib.Path({str(switch)!r})).turn_on('a test')"
        subprocess.run([sys.executable, "-c", switch_on], check=True)
        process = service("--endpoint", store.url, "--key-file", key, PHI_GUARD_SWITCH=str(switch), LANGSMITH_TRACING="true")
        until(lambda: ask(runtime)[0] == 0, 60)
        recorder = Recorder(f"ipc://{runtime}/relay.sock")
        records = call_records()
        for record in records:
            recorder.record(record)
        assert recorder.drain(30)
        until(lambda: ask(runtime)[1]["ledger"]["delivered"] == len(records), 30)
        recorder.close()
        table = run("status", "--runtime", runtime).stdout.splitlines()
        assert f"delivered  {len(records)}" in [" ".join(line.split(maxsplit=1)).replace(" ", "  ", 1) for line in table]
        environment = subprocess.run(["cat", f"/proc/{process.pid}/environ"], capture_output=True, check=False).stdout
        assert b"from-the-file" not in environment
        # The same key by another way is the same relay; with another key this one would have to give way.
        second = service("--endpoint", store.url, PHI_GUARD_SWITCH=str(switch), LANGSMITH_API_KEY="from-the-file")
        assert second.wait(60) == 0
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert ask(runtime)[0] == 3
    finally:
        store.stop()
    for path in runtime.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name
