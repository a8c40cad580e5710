"""The relay's life: started once, started again when it dies and only then, ended on purpose, and closed to other users."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import pytest
from fakes import Store, call_records, until

import tracing
from phi_guard.switch import FileSwitch
from tracing import keeper
from tracing.launch import NICE
from tracing.settings import read_settings

# A worker's main, which starts the relay and then is only there.
MAIN = """
import sys, time, tracing
relay = tracing.start_relay(runtime=sys.argv[1])
assert not relay.fault, relay.fault
print("started", relay.process.pid, flush=True)
time.sleep(120)
"""

# A process that records and ends, without a word to the recorder.
SHORT = """
import tracing
from fakes import call_records
from tracing.settings import read_settings
recorder = tracing._recorder(read_settings())
for record in call_records(): recorder.record(record)
"""


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def runtime(tmp_path, store, monkeypatch):
    """A host: its environment, its switch on; whatever relay is left there is killed with the test."""
    runtime = tmp_path / "run"
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("LANGSMITH_ENDPOINT", store.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "test")
    monkeypatch.delenv("PHI_GUARD_TELEMETRY", raising=False)
    FileSwitch(read_settings().switch).turn_on("a test")
    yield runtime
    with contextlib.suppress(FileNotFoundError):
        keeper.forget(runtime)
    if (pid := keeper.holder(runtime)) not in {0, os.getpid()}:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def mains(runtime):
    """Start a worker's main; gives its process."""
    started = []

    def start():
        main = subprocess.Popen([sys.executable, "-c", MAIN, str(runtime)], stdout=subprocess.PIPE)
        started.append(main)
        assert main.stdout.readline().startswith(b"started")
        return main

    yield start
    for main in started:
        main.kill()
        main.wait()
        main.stdout.close()


@pytest.fixture
def relay(runtime):
    """The relay as this process starts it."""
    relay = tracing.start_relay()
    assert not relay.fault, relay.fault
    yield relay
    relay.stop()


@pytest.fixture
def recorder(runtime, monkeypatch):
    """This process's recorder, which does not wait long for a relay."""
    monkeypatch.setattr("tracing.recorder.ALONE_S", 1.0)
    monkeypatch.setattr("tracing.keeper.GAP_S", 1.0)
    recorder = tracing._recorder(read_settings())
    yield recorder
    tracing._recorders.pop((os.getpid(), read_settings().address), None)
    recorder.close()


def served(runtime, other_than=0):
    """Wait for a relay, not the one with this number; gives its number."""
    until(lambda: keeper.holder(runtime) not in {0, other_than}, 60)
    return keeper.holder(runtime)


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def offer(recorder):
    records = call_records()
    for record in records:
        recorder.record(record)
    return len(records)


def settled(relay, n):
    until(lambda: (said := relay.ask()) is not None and said.ledger.delivered == n, 60)
    return relay.ask().ledger


@pytest.mark.slow
def test_a_relay_whose_directory_goes_away_makes_room_for_another(relay, recorder, runtime):
    """As at the end of a login: the first can no longer be reached, so it ends; another serves in a new directory and delivers."""
    assert relay.wait_ready(90)
    first = relay.process
    n = offer(recorder)
    assert recorder.drain(90)
    settled(relay, n)
    shutil.rmtree(runtime)
    first.wait(60)
    n += offer(recorder)
    served(runtime, first.pid)
    FileSwitch(read_settings().switch).turn_on("it went with the directory")
    assert recorder.drain(90)
    until(lambda: relay.ask().ledger.pending == 0, 60)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is part of it
def test_a_relay_that_dies_is_started_again_and_one_that_is_stopped_is_not(relay, recorder, runtime, monkeypatch):
    """Killed twice under records: each time another one serves, and all is delivered once. After stop() nobody starts one."""
    monkeypatch.setattr("tracing.keeper.GAP_S", 60.0)  # the recorder leaves it to the keeper
    assert relay.wait_ready(90)
    assert os.getpriority(os.PRIO_PROCESS, relay.process.pid) == NICE
    n = offer(recorder)
    assert recorder.drain(90)
    for _ in range(2):
        died = relay.process.pid
        kill(died)
        n += offer(recorder)
        assert served(runtime, died) != died
        assert recorder.drain(90)
    ledger = settled(relay, n)
    assert ledger.adds_up
    assert (ledger.offered, ledger.dropped, relay.keeper.restarts) == (n, {}, 2)

    os.kill(relay.process.pid, signal.SIGSTOP)  # stands still, and is alive: what it holds is not given up for that
    offer(recorder)
    time.sleep(2.0)
    os.kill(relay.process.pid, signal.SIGCONT)
    assert recorder.drain(90)
    assert relay.keeper.restarts == 2

    if (child := os.fork()) == 0:  # whoever forks the main does not own its relay
        relay.stop()
        os._exit(0)
    os.waitpid(child, 0)
    assert relay.ask() is not None

    relay.stop()
    monkeypatch.setattr("tracing.keeper.GAP_S", 1.0)
    offer(recorder)
    time.sleep(3.0)  # six looks of the keeper, three of the recorder
    assert keeper.holder(runtime) == 0
    assert relay.keeper.faults == 0


@pytest.mark.slow
def test_two_mains_share_one_relay_and_either_may_go(mains, runtime, recorder):
    """The second main's relay ends at once. The first main dies: the relay serves on. The relay dies: the second main starts another."""
    first = mains()
    pid = served(runtime)
    second = mains()
    until(lambda: "nothing to do" in (runtime / "relay.log").read_text(), 30)
    kill(first.pid)
    first.wait()
    offer(recorder)
    assert recorder.drain(90)
    assert keeper.holder(runtime) == pid
    kill(pid)
    assert served(runtime, pid)
    assert second.poll() is None
    offer(recorder)
    assert recorder.drain(90)


@pytest.mark.slow
def test_a_worker_whose_main_is_gone_gets_a_relay_nevertheless(mains, runtime, recorder):
    """Recording began before there was any relay; the main that started one is killed, then the relay: the recorder has another started."""
    offer(recorder)
    main = mains()
    pid = served(runtime)
    assert recorder.drain(90)
    kill(main.pid)
    main.wait()
    kill(pid)
    offer(recorder)
    assert served(runtime, pid)
    assert recorder.drain(90)
    assert recorder.faults == 0


@pytest.mark.slow
def test_a_process_that_just_ends_hands_over_what_it_recorded(relay, runtime):
    """No flush, no close: at exit there is a moment for it."""
    assert relay.wait_ready(90)
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", SHORT], env={**os.environ, "PYTHONPATH": tests}, check=True, timeout=30)
    assert settled(relay, len(call_records())).adds_up


@pytest.mark.slow
def test_a_relay_that_cannot_live_is_not_started_over_and_over(runtime):
    """Here its lock is a directory: three more starts within some seconds, and then a minute's rest."""
    (runtime / "relay.lock").mkdir()
    relay = tracing.start_relay()
    try:
        until(lambda: (runtime / "relay.log").read_text().count("ended by IsADirectoryError") == 1 + keeper.BURST, 60)
        time.sleep(9.0)  # longer than the longest of the short pauses
        assert relay.keeper.restarts == keeper.BURST
    finally:
        relay.stop()


def test_nothing_is_started_where_it_may_not(runtime, monkeypatch):
    """Not without a start before, not with telemetry off, not without the key, not right after another start."""
    settings = read_settings()
    started = []
    monkeypatch.setattr(keeper, "launch", lambda found: started.append(found) or tracing.launch.RelayHandle(found, None))
    keeper.revive(runtime)
    keeper.note(settings)
    with monkeypatch.context() as without:
        without.delenv("LANGSMITH_API_KEY")
        keeper.revive(runtime)
    with monkeypatch.context() as off:
        off.setenv("PHI_GUARD_TELEMETRY", "off")
        keeper.revive(runtime)
    assert started == []
    keeper.revive(runtime)
    keeper.revive(runtime)
    assert started == [settings]


def test_what_is_started_again_is_what_was_started_last(runtime, tmp_path):
    """The settings go round whole, in a file of our own that holds no key; what is no such file is nobody's word."""
    settings = read_settings(policy=tmp_path / "tight.yaml", env="prod", project="p", pricing=tmp_path / "prices.yaml")
    keeper.note(settings)
    assert keeper.noted(runtime) == settings
    path = runtime / keeper.NOTED
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b'"test"' not in path.read_bytes()
    for junk in (b"", b"[]", b'{"policy": 1}'):
        path.write_bytes(junk)
        assert keeper.noted(runtime) is None
    keeper.forget(runtime)
    assert keeper.noted(runtime) is None


def test_a_number_that_another_process_got_is_not_a_relay(runtime):
    """The lock file of a relay that is long dead names a process that has nothing to do with it."""
    for pid in (os.getpid(), 2**22 + 1, 1, -1, 2**70):
        (runtime / "relay.lock").write_bytes(msgspec.json.encode({"pid": pid}) if pid < 2**63 else b'{"pid": %d}' % pid)
        assert keeper.holder(runtime) == 0


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # forking is how
def test_another_user_of_the_host_cannot_speak_to_the_relay(store, monkeypatch):
    """As ``nobody``: not through the directory, and not through the socket either, were the directory open."""
    place = Path(tempfile.mkdtemp(prefix="phi-guard-", dir="/tmp"))
    place.chmod(0o755)
    runtime = place / "run"
    for name, value in {"RUNTIME_DIR": str(runtime), "SWITCH": str(place / "switch.json")}.items():
        monkeypatch.setenv(f"PHI_GUARD_{name}", value)
    monkeypatch.setenv("LANGSMITH_API_KEY", "test")
    relay = tracing.start_relay(endpoint=store.url)
    try:
        assert relay.wait_ready(90)
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
        assert stat.S_IMODE((runtime / "relay.sock").stat().st_mode) & 0o077 == 0
        assert _knock_as_nobody(runtime) == "PermissionError"
        runtime.chmod(0o755)
        assert _knock_as_nobody(runtime) == "PermissionError"
        with socket.socket(socket.AF_UNIX) as ours:
            ours.connect(str(runtime / "relay.sock"))
    finally:
        runtime.chmod(0o700)
        relay.stop()
        shutil.rmtree(place)


def _knock_as_nobody(runtime):
    """What becomes of a connection, tried in a forked child that has given up being root."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            socket.socket(socket.AF_UNIX).connect(str(runtime / "relay.sock"))
            os.write(write, b"came in")
        except OSError as fault:
            os.write(write, type(fault).__name__.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as told:
        return told.read()
