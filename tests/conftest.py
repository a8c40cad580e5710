"""What every test stands on: no key, endpoint or switch of the machine reaches a test, and no socket leaves it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import fakes
import pytest
from hypothesis import settings

from tracing.launch import NICE

_OURS = ("LANG", "LIVEKIT", "AZURE", "OPENAI", "PHI_GUARD", "SLACK", "OTEL", "NO_COLOR", "FORCE_COLOR")
_real_connect = socket.socket.connect


# Every run draws the same examples, so that what passed passes again; `make search` draws new ones, and prints what it finds.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("repeatable")


# A shell that runs us in the background has Ctrl-C ignored, and what is ignored stays so in every process a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    """Wipe the variables that steer us, and give each test its own runtime directory; what its code sets goes with it.

    `tracing.start_relay` sets some, for the jobs of its process: what is made for a module later would stand in that test's directories.
    """
    before = set(os.environ)
    for name in list(os.environ):
        if name.startswith(_OURS) and name not in {"LANG", "LANGUAGE"}:
            monkeypatch.delenv(name)
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(runtime))
    yield
    for name in set(os.environ) - before:
        if name.startswith(_OURS):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch):
    """Refuse any connection that is not to this machine."""

    def connect(self, address):
        host = address[0] if isinstance(address, tuple) else ""
        if host and host not in {"127.0.0.1", "::1", "localhost"}:
            msg = f"a test tried to reach {host}"
            raise PermissionError(msg)
        return _real_connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def _no_relay_left():
    """Kill what a test that failed half way left running: it would go on to post to a port that another test gets."""
    before = len(fakes.STARTED)
    yield
    for process in fakes.STARTED[before:]:
        if process.poll() is None:
            process.kill()
            process.wait()
    del fakes.STARTED[before:]


# Which tests nothing else may run beside: they measure time, or play as many calls as the machine has room for.
# What real calls and processes do by the clock: a machine that stands still for a second makes another story of it, so such a test is
# played again, twice at most, and named in the summary. What is wrong fails every time. All else has one chance, and so has a leak: a
# test that says "leaked" is not played again.
PLAYED = (
    "local/", "tracing/", "relay/", "matrix/", "room/", "wire/", "browser/", "harden/", "cli/", "gate/test_switch",
    "audit/test_end_to_end.py", "audit/test_engine", "audit/test_watch", "audit/test_gonogo",
)  # fmt: skip
ALONE = ("matrix/", "room/", "relay/test_chaos.py", "cli/test_bench_overhead.py", "tracing/test_turn_rules_played.py",
         "local/test_scenes_played.py", "cli/test_story.py")  # fmt: skip


# The files that take longest, the longest first: side by side each process begins with some of them, so that none is left with one
# at the end.
LONGEST = (
    "relay/test_faults.py", "audit/test_watch.py", "tracing/test_lifecycle.py", "audit/test_formats.py", "tracing/test_processes.py",
    "audit/test_engine_dask.py", "harden/test_harden.py", "audit/test_planted_store.py", "cli/test_gonogo_command.py", "relay/test_disk.py",
    "browser/test_report_page.py", "audit/test_engine.py", "wire/test_canary.py", "relay/test_tenure.py",
    "gate/test_redact_reference.py", "cli/test_init_command.py", "cli/test_scan_faults.py",
    "cli/test_rehearse_command.py", "cli/test_watch_command.py", "audit/test_report.py", "audit/test_leaks_in_outputs.py",
    "cli/test_gonogo_ends.py", "cli/test_bench_scan.py",
)  # fmt: skip


def pytest_configure():
    """Beside other tests none has the right of way: a relay stands behind its agents, and four busy tests would keep it from starting."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        with contextlib.suppress(OSError):
            os.setsid()  # a scheduling group of its own, sched(7): what is said of it is not said of the shell that runs the tests
            Path("/proc/self/autogroup").write_text(str(NICE), encoding="ascii")


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        where = item.path.relative_to(here).as_posix()
        if where.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
        if where.startswith(PLAYED):
            item.add_marker(pytest.mark.flaky(reruns=2, rerun_except="leaked"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if processes:
        items[:] = spread(items, processes)


def spread(items, processes):
    """The tests in as many equal parts as there are processes, the longest files first in each; a file's tests stay together."""
    files = {}
    for item in items:
        files.setdefault(item.path.relative_to(Path(__file__).parent).as_posix(), []).append(item)
    parts = [[] for _ in range(processes)]
    longest = [file for file in LONGEST if file in files]
    for n, file in enumerate(longest):
        turn = n % (2 * processes)  # there and back again, so that the first has not the longest of each round
        parts[min(turn, 2 * processes - 1 - turn)] += files.pop(file)
    for tests in files.values():
        min(parts, key=len).extend(tests)
    return [item for part in parts for item in part]
