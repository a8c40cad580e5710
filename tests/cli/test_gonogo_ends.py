"""What a review and a rehearsal leave running when they are told to end, and when they are killed: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from fakes import until

from audit import exits
from audit.containment import contain
from audit.rehearsal.rehearsal import _switch
from phi_guard.switch import FileSwitch, open_switch
from tracing.settings import read_settings

ROOT = Path(__file__).parents[2]
PATIENTLY = 120.0
PARTS = ("tracing.local.trace_store", "tracing.relay", "audit.rehearsal.warden")


@pytest.fixture
def place():
    """A directory with a short name: a unix socket's path has room for a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="phi-") as name:
        for part in ("audit", "run"):
            Path(name, part).mkdir(mode=0o700)
        yield Path(name)


def start(place, *args):
    """A command as a process of its own."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PHI_", "LANGSMITH_"))}
    environ |= {"TMPDIR": str(place), "PHI_AUDIT_DIR": str(place / "audit"), "PHI_GUARD_RUNTIME_DIR": str(place / "run")}
    environ |= {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "audit", *args], cwd=place, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def parts_of(process):
    """The store, the relay and the warden that it started, by what they are."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            line = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        found |= {part: child for part in PARTS if part in line}
    return found


def gone(found):
    """Whether none of them runs any more."""
    return not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in found.values())


def begun(process, wanted):
    """Its parts, once all of them run and the relay loads its models; they are ended with the test whatever becomes of it."""
    found = {}

    def all_there():
        assert process.poll() is None, process.stderr.read()[-2000:]
        found.update(parts_of(process))
        return set(found) == set(wanted)

    until(all_there, PATIENTLY)
    return found


def end(found):
    for child in found.values():
        if child.is_running():
            child.kill()


GONOGO = ("gonogo", "-d", "review", "--local", "--calls", "1", "--minutes", "0", "--no-measure")
REHEARSE = ("rehearse", "--calls", "1", "--endpoint", "http://127.0.0.1:9", "--no-measure")


@pytest.mark.slow
@pytest.mark.parametrize(("command", "parts"), [(GONOGO, PARTS), (REHEARSE, PARTS[1:])], ids=["gonogo", "rehearse"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_nothing_is_left_running(place, command, parts, number):
    """SIGTERM ends it as Ctrl-C does, exit 130, with all that it started; after SIGKILL, which nobody can heed, they end by themselves."""
    process = start(place, *command)
    found = {}
    try:
        found = begun(process, parts)
        process.send_signal(number)
        err = process.communicate(timeout=PATIENTLY)[1]
        assert process.returncode == (exits.INTERRUPTED if number == signal.SIGTERM else -number)
        assert "Traceback" not in err
        until(lambda: gone(found), PATIENTLY)
    finally:
        process.kill()
        process.wait()
        end(found)


def test_a_switch_on_a_server_is_the_one_that_is_heeded_and_turned_off(place, monkeypatch):
    """The rehearsal's relay is given it and not one of its own, and a NO-GO turns it off for everybody."""
    socket = place / "r.sock"
    command = ["/usr/bin/redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([*command, "--dir", str(place)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists)
        url = f"unix://{socket}#clinic"
        monkeypatch.setenv("PHI_GUARD_SWITCH", url)
        monkeypatch.setenv("PHI_AUDIT_DIR", str(place / "audit"))
        open_switch().turn_on("before")
        said = []
        settings = read_settings(runtime=place / "run", state=place / "run")
        assert (_switch(settings, said.append), said) == (url, [])
        done = contain("a" * 64, datetime.now(UTC))
        assert (done.off, done.hold) == (True, "leak")
        assert not open_switch().state().on
        assert _switch(settings, said.append) == url
        assert [f"the switch {open_switch().place} is off: calls are played and nothing is sent" in one for one in said] == [True]
        own = _switch(settings, said.append, own_switch=True)  # of an endpoint of its own
        assert (own, FileSwitch(own).state().on, len(said)) == (settings.runtime / "switch.json", True, 1)
    finally:
        server.kill()
        server.wait()
