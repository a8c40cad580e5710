"""The engine on a Dask cluster: a real scheduler, two real workers on this machine, and one of them killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_export import WITHOUT, auditing, engine, export_of

from audit.detectors import open_detectors
from audit.engine import EngineError
from audit.engine.dask import Cluster

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BEGINS_S = 60


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


class LocalCluster:
    """A scheduler, and two workers of one thread, each with a nanny that begins it anew where it ends."""

    def __init__(self, folder):
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._env = os.environ | {"PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(folder)}
        self._log = (folder / "log").open("wb")
        here = ["--host", "127.0.0.1", "--no-dashboard"]
        self.processes = [self._begin("dask_scheduler", *here, "--port", str(self.port))]
        self._wait()
        self.nannies = [
            self._begin("dask_worker", self.address, *here, "--nthreads", "1", "--nworkers", "1", "--memory-limit", "0") for _ in range(2)
        ]
        self.processes += self.nannies

    def _begin(self, name, *arguments):
        words = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{name}", *arguments]
        return subprocess.Popen(words, env=self._env, stdout=self._log, stderr=self._log)

    def _wait(self):
        until = time.monotonic() + BEGINS_S
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.2)
        pytest.fail("no scheduler")

    def kill_a_worker(self):
        """SIGKILL to the process that scans, not to its nanny."""
        for task in Path(f"/proc/{self.nannies[0].pid}/task").iterdir():
            for child in task.joinpath("children").read_text().split():
                if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)
                    return int(child)
        return 0

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One cluster for the module, with both its workers there."""
    held = LocalCluster(tmp_path_factory.mktemp("dask"))
    try:
        until = time.monotonic() + BEGINS_S
        while True:
            try:
                crew = Cluster(held.address, b"")
            except EngineError:
                slots = 0
            else:
                slots = crew.slots
                crew.close()
            if slots == 2:
                break
            assert time.monotonic() < until, "the workers did not come"
            time.sleep(0.5)
        yield held
    finally:
        held.close()


class Killing(Cluster):
    """A cluster that loses a worker once some partitions are scanned."""

    def __init__(self, held, setup):
        super().__init__(held.address, setup)
        self._held, self.killed, self._done = held, 0, 0

    def wait(self):
        answers = super().wait()
        self._done += len(answers)
        if not self.killed and self._done >= 6:
            self.killed = self._held.kill_a_worker()
        return answers


def test_a_cluster_gives_the_same_report_and_so_it_does_when_a_worker_is_killed(cluster, made, policy, tmp_path):
    """One process, two workers, and two workers of which one is killed half way: the same bytes three times."""
    looked = open_detectors(without=WITHOUT)
    audit, folder, crews = auditing(looked, policy, made.NOW), export_of(made, tmp_path), []
    alone, census = audit(folder)

    def open_crew(setup):
        crews.append(Killing(cluster, setup))
        return crews[-1]

    together, _ = audit(folder, engine(lambda setup: Cluster(cluster.address, setup)))
    assert together == alone
    lost, after = audit(folder, engine(open_crew))
    assert crews[0].killed
    assert lost == alone
    assert after.incomplete == census.incomplete == ""


def test_no_scheduler_there(monkeypatch):
    """What cannot be reached is told with its address, and without a traceback."""
    monkeypatch.setattr("audit.engine.dask.CONNECT_S", 1)
    with pytest.raises(EngineError, match="no Dask scheduler answers"):
        Cluster(f"tcp://127.0.0.1:{free_port()}", b"")


def test_a_worker_of_another_machine_is_refused_in_the_clear(cluster, monkeypatch):
    """A scheduler on this machine may have workers elsewhere: they are looked at too, before anything is sent."""
    crew = Cluster(cluster.address, b"")
    try:
        monkeypatch.setattr(crew._client, "scheduler_info", lambda **_: {"workers": {"tcp://10.0.0.7:1": {}}})
        with pytest.raises(EngineError, match=r"10\.0\.0\.7:1.*in the clear"):
            crew._look()
    finally:
        crew.close()
