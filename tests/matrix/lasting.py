"""Faults that last, and what takes long after one. Each has a relay of its own, so that their waits pass at the same time.

All calls are played first, one cell after the other: nothing else loads the agent's thread meanwhile. Then each cell is waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ground import Cell, Ground, until

DOWN_S = 600.0 if os.environ.get("PHI_GUARD_MATRIX_LONG") else 40.0
"""How long LangSmith is down: ten minutes when asked for, else long enough for several waits of the sender (up to 1, 2, 4, 8, 16 s)."""


def down_for_long(directory):
    """Down before the calls begin, all through them, and for long after."""
    ground = Ground(directory, wait=False)
    try:
        yield ground
        cell = Cell(ground, "down_for_long")
        ground.line.refuse()
        began = time.monotonic()
        cell.play()
        yield cell
        time.sleep(max(0.0, began + DOWN_S - time.monotonic()))
        assert ground.state() == "waiting_connection"
        assert ground.relay.ledger().pending == cell.before.pending + cell.offered
        ground.line.mend()
        cell.facts["down_s"] = DOWN_S
        cell.mended()
        cell.end()
        cell.close()
    finally:
        ground.close()


def hanging(directory):
    """Requests are taken and never answered."""
    ground = Ground(directory, wait=False)
    try:
        yield ground
        cell = Cell(ground, "hanging")
        ground.line.hang()
        cell.play()
        yield cell
        until(lambda: ground.line.struck, 20)
        until(lambda: ground.state() == "waiting_timeout", 30)
        ground.line.mend()
        cell.mended()
        cell.end()
        cell.close()
    finally:
        ground.close()


def _fill(filler):
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, b"\0" * 65536)
    os.close(file)
    assert os.statvfs(filler).f_bavail == 0


def disk_full(directory):
    """Nothing more can be stored, on a file system of 6 MB: records stay with the agent until there is room."""
    disk, filler = directory / "disk", directory / "disk" / "filler"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let us mount a file system")
    ground = Ground(directory, disk / "r", wait=False)
    try:
        yield ground
        cell = Cell(ground, "disk_full")
        _fill(filler)
        cell.play()
        assert cell.recorder.tally().pending
        until(lambda: "cannot store what comes" in cell.log(), 10)
        filler.unlink()
        cell.mend()
        yield cell
        cell.mended()
        cell.end()
        cell.close()
    finally:
        ground.close()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def outbox_corrupted_while_running(directory):
    """The outbox's pages are overwritten under a relay that serves: it takes another one, and says what was lost."""
    ground = Ground(directory, wait=False)
    try:
        yield ground
        cell = Cell(ground, "outbox_corrupted_while_running")

        def corrupt():
            cell.facts["corrupted"] = 0
            for path in [path for folder in ground.folders() for path in folder.glob("outbox.sqlite3*") if not path.name.endswith("-shm")]:
                size = path.stat().st_size
                with path.open("r+b") as file:
                    file.write(os.urandom(size))
                cell.facts["corrupted"] += size

        cell.play(during=corrupt)
        assert cell.facts["corrupted"]
        cell.mend()
        yield cell
        cell.mended()
        assert list(ground.relay.settings.state.glob("outbox.sqlite3.*")), "the damaged file was not put aside"
        cell.end(dropped=("outbox_lost",))
        cell.close()
    finally:
        ground.close()


def agent_killed(directory):
    """Another agent on the host dies in the middle of its call: its trace is ended for it, and what it still had is counted as lost."""
    ground = Ground(directory, wait=False)
    agent = None
    try:
        yield ground
        cell = Cell(ground, "agent_killed")
        command = [sys.executable, str(Path(__file__).parent / "agent.py"), ground.relay.settings.address]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert agent.stdout.readline().startswith("talking")
        cell.play(during=agent.kill)
        yield cell
        until(lambda: any(run["extra"]["metadata"].get("reason") == "agent_lost" for run in ground.store.runs()), 40)
        until(lambda: ground.pending() == cell.before.pending, 40)
        (lost,) = (run for run in ground.store.runs() if run.get("error") == "RealtimeError: agent_lost")
        assert lost["end_time"]
        assert agent.wait() == -signal.SIGKILL
        ledger = ground.relay.ledger()
        others = ledger.offered - cell.before.offered - cell.offered
        assert others >= 3  # opened, and closed by the relay
        cell.end(dropped=("agent_lost",), offered=others)
        cell.close()
    finally:
        if agent is not None:
            agent.kill()
            agent.wait()
            agent.stdout.close()
        ground.close()


CELLS = (down_for_long, disk_full, outbox_corrupted_while_running, agent_killed, hanging)


class Begun:
    """Cells of which the calls are played; what was wrong with one until then is told when that one is asked for."""

    def __init__(self, factory):
        self._cells = {make.__name__: make(factory.mktemp(make.__name__[:4])) for make in CELLS}
        self._faults = {}
        grounds = [self._go_on(name) for name in self._cells]  # all relays load at the same time
        for ground in filter(None, grounds):
            ground.ready()
        for name in self._cells:
            self._go_on(name)

    def _go_on(self, name):
        if name in self._faults:
            return None
        try:
            return next(self._cells[name], None)
        except (Exception, pytest.skip.Exception) as fault:  # noqa: BLE001  # raised again by `end`
            self._faults[name] = fault
            return None

    def end(self, name):
        self._go_on(name)
        if name in self._faults:
            raise self._faults[name]

    def close(self):
        for cell in self._cells.values():
            cell.close()
