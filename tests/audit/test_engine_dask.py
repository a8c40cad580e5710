"""The engine on a Dask cluster: a real scheduler, real workers on this machine, some of them killed, and one that comes with other code."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_export import KEY, NAME, WITHOUT, auditing, engine, export_of

from audit.detectors import open_detectors
from audit.engine import TRIES, EngineError, wire
from audit.engine.dask import Cluster
from audit.engine.work import pieces_of, place_of
from audit.source.parquet import ParquetExport

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
BEGINS_S = 60


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def setup_of(policy):
    return wire.encode(wire.Setup(place_of(policy), policy.env, policy.digest, "clinic-dev", KEY, WITHOUT, pieces_of(policy, WITHOUT)))


class LocalCluster:
    """A scheduler, and workers of one thread, each with a nanny that begins it anew where it ends."""

    def __init__(self, folder, workers=2):
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = (folder / "log").open("wb")
        self.processes = [self._begin("dask_scheduler", "--port", str(self.port))]
        self._wait()
        self.nannies = [self.begin_worker() for _ in range(workers)]

    def begin_worker(self, product=ROOT):
        """A worker with the product that stands at a place."""
        arguments = [self.address, "--nthreads", "1", "--nworkers", "1", "--memory-limit", "0"]
        self.processes.append(self._begin("dask_worker", *arguments, product=product))
        return self.processes[-1]

    def _begin(self, name, *arguments, product=ROOT):
        here = ["--host", "127.0.0.1", "--no-dashboard"]
        words = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{name}", *arguments, *here]
        env = os.environ | {"PYTHONPATH": str(product), "DASK_TEMPORARY_DIRECTORY": str(self._folder)}
        return subprocess.Popen(words, env=env, cwd=self._folder, stdout=self._log, stderr=self._log)

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


def ready(held, setup, workers):
    """Wait until so many workers are there and may scan."""
    until = time.monotonic() + BEGINS_S
    while True:
        try:
            crew = Cluster(held.address, setup)
        except EngineError:
            slots = 0
        else:
            slots = crew.slots
            crew.close()
        if slots == workers:
            return
        assert time.monotonic() < until, "the workers did not come"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, policy):
    """One cluster for the module, with both its workers there."""
    held = LocalCluster(tmp_path_factory.mktemp("dask"))
    try:
        ready(held, setup_of(policy), 2)
        yield held
    finally:
        held.close()


@pytest.fixture
def impostor(tmp_path):
    """The product with some lines more, whose worker keeps what it is asked, and leaves a mark where it is given a partition."""
    product, mark, asked = tmp_path / "other", tmp_path / "given", tmp_path / "asked"
    shutil.copytree(ROOT / "audit", product / "audit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("phi_guard", "policies"):
        product.joinpath(name).symlink_to(ROOT / name)
    with product.joinpath("audit", "engine", "work.py").open("a") as code:
        code.write(f"\n\ndef scan_partition(setup, task):\n    open({str(mark)!r}, 'wb').write(setup)\n    return b''\n")
        code.write(f"\n\nown = look\n\n\ndef look(setup):\n    open({str(asked)!r}, 'wb').write(setup)\n    return own(setup)\n")
    return product, mark, asked


class Killing(Cluster):
    """A cluster that loses a worker once some partitions are scanned."""

    def __init__(self, held, setup):
        super().__init__(held.address, setup)
        self.cluster, self.killed, self.given_back = held, 0, 0

    def wait(self):
        answers = super().wait()
        self.given_back += len(answers)
        if not self.killed and self.given_back >= 6:
            self.killed = self.cluster.kill_a_worker()
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


class Late(Cluster):
    """A cluster that a worker with another product joins once some partitions are scanned."""

    def __init__(self, held, product, setup):
        super().__init__(held.address, setup)
        self.cluster, self._product, self.nanny, self.given_back = held, product, None, 0

    def wait(self):
        answers = super().wait()
        self.given_back += len(answers)
        if self.nanny is None and self.given_back >= 3:
            self.nanny = self.cluster.begin_worker(self._product)
            until = time.monotonic() + BEGINS_S
            while not self._left_out and time.monotonic() < until:
                self._look()
                for future in self._done():
                    if future in self._looks:
                        self._judge(future)
                    else:
                        answers += filter(None, [self._answer(future)])
        return answers


def test_a_worker_that_comes_late_with_other_code_is_given_nothing(cluster, impostor, made, policy, tmp_path):
    """It joins while a scan runs: it is asked first, and given neither the key nor a partition; the report is the same."""
    product, mark, asked = impostor
    audit, folder, crews = auditing(open_detectors(without=WITHOUT), policy, made.NOW), export_of(made, tmp_path / "e"), []
    alone, _ = audit(folder)

    def open_crew(setup):
        crews.append(Late(cluster, product, setup))
        return crews[-1]

    try:
        together, census = audit(folder, engine(open_crew))
    finally:
        if crews and crews[0].nanny is not None:
            crews[0].nanny.terminate()
            crews[0].nanny.wait(20)
    assert census.incomplete == ""
    assert together == alone
    assert ["rules of the audit" in why for why in crews[0]._left_out.values()] == [True]
    assert not mark.exists()
    assert wire.setup_of(asked.read_bytes()).key == b""


def test_lost_workers_and_those_that_come_instead(impostor, policy, made, tmp_path, monkeypatch):
    """What a lost worker had goes to the one that comes in its place, once that was looked at; and never to one that must not scan: where
    only such are left, the scan ends.
    """
    monkeypatch.setattr("audit.engine.dask.LOOK_S", 0.3)
    monkeypatch.setattr("audit.engine.dask.ALONE_S", 40)
    product, mark, asked = impostor
    part = next(ParquetExport(export_of(made, tmp_path / "e")).partitions())
    task = wire.encode(wire.Task(str(part.path), part.sha256, part.group, part.first, part.rows))
    (tmp_path / "dask").mkdir()
    held = LocalCluster(tmp_path / "dask", workers=1)
    try:
        ready(held, setup_of(policy), 1)
        crew = Cluster(held.address, setup_of(policy))
        before = set(crew._checked)
        assert held.kill_a_worker()
        crew.submit(0, task)
        (answer,) = crew.wait()
        assert len(wire.account_of(answer.content).rows) == part.rows
        assert not before & crew._checked
        held.begin_worker(product)
        until = time.monotonic() + BEGINS_S
        while not crew._left_out and time.monotonic() < until:
            crew._look()
            for future in crew._done():
                crew._judge(future)
        held.nannies[0].terminate()
        held.nannies[0].wait(20)
        monkeypatch.setattr("audit.engine.dask.ALONE_S", 2)
        crew.submit(1, task)
        with pytest.raises(
            EngineError, match=r"no worker that may scan for 2 s; 1 came that must not scan, such as tcp.*rules of the audit"
        ):
            crew.wait()
        crew.close()
        assert not mark.exists()
        assert KEY not in asked.read_bytes()
    finally:
        held.close()


def test_a_worker_of_another_machine_is_given_nothing_in_the_clear(cluster, policy, monkeypatch):
    """A scheduler on this machine may have workers elsewhere. One that is there is told before anything is sent, and one that comes late is
    not asked anything: no task names it.
    """
    crew = Cluster(cluster.address, setup_of(policy))
    try:
        real, far = dict(crew._workers()), {"tcp://10.0.0.7:1": {"local_directory": "far"}}
        monkeypatch.setattr(Cluster, "_workers", lambda self: real | far)
        sent = []
        monkeypatch.setattr(
            crew._client, "submit", lambda *_, workers, allow_other_workers, **__: sent.append((workers, allow_other_workers))
        )
        crew._look()
        assert "in the clear" in crew._left_out["tcp://10.0.0.7:1", "far"]
        crew.submit(0, b"")
        assert sent == [(sorted(real), False)]
        crew._futures.clear()
        with pytest.raises(EngineError, match=r"10\.0\.0\.7:1.*in the clear"):
            Cluster(cluster.address, setup_of(policy))
    finally:
        crew.close()


class Failing:
    """What is left of a question that nobody answered."""

    def result(self, timeout):
        raise RuntimeError(NAME)

    def release(self):
        pass


def test_a_worker_that_does_not_answer_is_asked_again_and_then_left_out(cluster, policy, monkeypatch):
    """Three times; what Dask says of it is not told, for it may quote anything."""
    crew, worker, asked = Cluster(cluster.address, setup_of(policy)), ("tcp://127.0.0.1:1", "there"), []
    try:
        monkeypatch.setattr(crew._client, "submit", lambda *_, key, **__: asked.append(key) or Failing())
        crew._ask(worker)
        while crew._looks:
            crew._judge(next(iter(crew._looks)))
        assert len(set(asked)) == TRIES
        assert "gave no answer (RuntimeError)" in crew._left_out[worker]
        assert NAME not in crew._left_out[worker]
    finally:
        crew.close()
