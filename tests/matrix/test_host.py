"""The host fails while calls go on: the relay, its disk, the agent, the switch; and calls that are many, or large."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from calls import RESULT, play
from ground import Cell, Ground, until


def test_relay_killed_mid_call_and_restarted(cell, ground):
    """What it had not acknowledged stays with the agent, what it had stored with the outbox."""

    def kill():
        ground.relay.kill()
        cell.facts["killed"] = True

    cell.play(during=kill)
    assert cell.facts["killed"]
    ground.restart()
    cell.mended()
    cell.end()


def test_relay_stopped_then_continued(cell, ground):
    """SIGSTOP: it is there and does nothing. Records wait with the agent."""
    process = ground.relay.handle.process
    cell.play(during=lambda: process.send_signal(signal.SIGSTOP))
    assert cell.recorder.tally().pending
    process.send_signal(signal.SIGCONT)
    cell.mended()
    cell.end()


def test_tool_result_of_5_mb(cell, monkeypatch):
    """It is cut before it leaves the agent's thread; what is left goes through the policy."""
    # The model echoes the item, and LiveKit's client would close on a message of more than 4 MiB, tracer or no tracer.
    connect = aiohttp.ClientSession.ws_connect
    monkeypatch.setattr(aiohttp.ClientSession, "ws_connect", lambda self, *a, **how: connect(self, *a, **how | {"max_msg_size": 0}))
    notes = f"{RESULT} " * (5_000_000 // (len(RESULT) + 1))
    cell.play(calls=1, result={"confirmation_id": "CONF-1234", "patient_name": RESULT, "notes": notes})
    cell.mended(150.0)
    cell.end(passes=False)  # half a JSON document is text, and is redacted as one


def test_switch_flipped_under_load(cell, ground):
    """Off and on while calls go on: what comes while it is off is counted and let go, the rest is delivered."""
    switch = ground.relay.switch

    def flip():
        for _ in range(6):
            switch.turn_off("a test")
            time.sleep(0.3)
            switch.turn_on("a test")
            time.sleep(0.15)

    try:
        cell.play(calls=4, during=flip)
    finally:
        switch.turn_on("a test")
    cell.mended()
    cell.end(dropped=("switch_off",), passes=False)  # the booking may have come while it was off


def test_50_calls_at_once(cell, ground):
    """Fifty sessions in one process, each with its caller and its model on the same two processors."""
    cell.play(calls=50, turns=1)
    cell.mended(120.0)
    cell.end()


def test_agent_killed(cell, ground):
    """Another agent on the host dies in the middle of its call: its trace is ended for it, and what it still had is counted as lost."""
    command = [sys.executable, str(Path(__file__).parent / "agent.py"), ground.relay.settings.address]
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert agent.stdout.readline().startswith("talking")
        cell.play()
        agent.send_signal(signal.SIGKILL)
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()
    until(lambda: any(run["extra"]["metadata"].get("reason") == "agent_lost" for run in ground.store.runs()), 40)
    until(lambda: ground.relay.ledger().pending == cell.before.pending, 40)
    ledger = ground.relay.ledger()
    (lost,) = (run for run in ground.store.runs() if run.get("error") == "RealtimeError: agent_lost")
    assert lost["end_time"]
    others = ledger.offered - cell.before.offered - cell.recorder.tally().offered
    assert others >= 3  # opened, and closed by the relay
    cell.facts["agent_lost"] = ledger.dropped.get("agent_lost", 0)
    cell.end(dropped=("agent_lost",), offered=others)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 6 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(where)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a file system")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_disk_full(small_disk, tmp_path, monkeypatch):
    """Nothing more can be stored: records stay with the agent until there is room."""
    ground = Ground(tmp_path, small_disk / "r")
    cell = Cell(ground, "disk_full", monkeypatch)
    filler = small_disk / "filler"

    def fill():
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
            except OSError:
                cell.facts["full"] = True

    try:
        fill()
        cell.play()
        assert cell.facts["full"]
        assert cell.recorder.tally().pending
        filler.unlink()
        cell.mended()
        cell.end()
    finally:
        cell.close()
        ground.close()


def test_outbox_corrupted_while_running(tmp_path, monkeypatch):
    """The outbox's pages are overwritten under a relay that serves: it takes another one, and says what was lost."""
    ground = Ground(tmp_path)
    cell = Cell(ground, "outbox_corrupted_while_running", monkeypatch)

    def corrupt():
        cell.facts["corrupted"] = 0
        for path in [path for folder in ground.folders() for path in folder.glob("outbox.sqlite3*") if not path.name.endswith("-shm")]:
            size = path.stat().st_size
            with path.open("r+b") as file:
                file.write(os.urandom(size))
            cell.facts["corrupted"] += size

    try:
        cell.play(calls=3, during=corrupt)
        assert cell.facts["corrupted"]
        cell.mended()
        cell.end(dropped=("outbox_lost",))
    finally:
        cell.close()
        ground.close()


def test_the_meter_sees_what_blocks(monkeypatch):
    """A recorder that waits is seen by the clock and not by the processor's time; one that works is seen by both."""

    class Slow:
        def __init__(self, act):
            self.act, self.seen = act, 0

        def record(self, record):
            self.act()

        def open_call(self, call):
            pass

        close_call = open_call

        def tally(self):
            pass

    def work():
        end = time.thread_time_ns() + 2_000_000
        while time.thread_time_ns() < end:
            pass

    for act, cpu in ((lambda: time.sleep(0.002), False), (work, True)):
        _, meter = play(Slow(act), monkeypatch, calls=1, turns=1)
        cost = meter.figures()["record"]
        assert cost["p50"] > 2000
        assert (cost["cpu_p99"] > 1900) is cpu
        assert cost["cpu_n"] == cost["n"]
