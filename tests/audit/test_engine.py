"""The engines: wherever an export's partitions are scanned, and whatever becomes of the workers, the report is the same to the byte."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_export import KEY, NAME, PHONE, WITHOUT, auditing, calls, engine, export_of, outcome, write

from audit.census import Plan, take
from audit.cli.scan import scan as command
from audit.detectors import open_detectors
from audit.engine import AHEAD, TRIES, Answer, EngineError, in_order, wire
from audit.engine.choice import LARGE, choose
from audit.engine.merging import Merging
from audit.engine.plants import Plants
from audit.engine.processes import Processes
from audit.engine.work import SHIPPED, pieces_of, place_of, scan_partition
from audit.roster.build import build_roster
from audit.roster.find import Roster
from audit.roster.people import PeopleList
from audit.source import SourceError
from audit.source import parquet as reader
from audit.source.parquet import ParquetExport
from phi_guard.policy import load_policy, shipped


@pytest.fixture(scope="module")
def export(tmp_path_factory, made):
    """An export of two files."""
    return export_of(made, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def looked():
    """Detectors, loaded once for this process."""
    return open_detectors(without=WITHOUT)


@pytest.fixture(scope="module")
def audit(looked, policy, made):
    """Assesses an export; gives the report's bytes and the census."""
    return auditing(looked, policy, made.NOW)


@pytest.fixture(scope="module")
def serial(audit, export):
    """What one process finds."""
    return audit(export)


@pytest.fixture(scope="module")
def accounts(export, policy):
    """What workers tell of every partition."""
    setup = setup_of(policy)
    return [scan_partition(setup, task) for task in tasks(export, policy)]


def setup_of(policy, **changed):
    of = {
        "policy": place_of(policy), "env": policy.env, "policy_digest": policy.digest, "project": "clinic-dev", "key": KEY,
        "without": WITHOUT, "pieces": pieces_of(policy, WITHOUT),
    }  # fmt: skip
    return wire.encode(wire.Setup(**of | changed))


def tasks(folder, policy):
    """The tasks as a scan with the seed of these tests makes them."""
    plants = Plants(policy, 3)
    return [
        wire.encode(
            wire.Task(
                str(part.path), part.sha256, part.group, part.first, part.rows,
                tuple(plant.run for plant in (*plants.handful, *plants.fresh(part))),
            )
        )
        for part in ParquetExport(folder).partitions()
    ]  # fmt: skip


class Killing(Processes):
    """Processes of which some are killed: ``deadly`` says of which tasks, and how often."""

    def __init__(self, slots, setup, deadly):
        super().__init__(slots, setup)
        self.left, self.killed = dict(deadly), []

    def _assign(self):
        super()._assign()
        for worker in self._workers:
            n = worker.task[0] if worker.task else None
            if self.left.get(n, 0) and worker._process.pid not in self.killed:
                self.left[n] -= 1
                self.killed.append(worker._process.pid)
                os.kill(worker._process.pid, signal.SIGKILL)


class Told:
    """A crew whose answers are known, and come in an order that is given, some of them twice."""

    def __init__(self, answers, order, *, slots=2, twice=False):
        self.slots, self._answers, self._order, self._twice = slots, answers, order, twice
        self.waiting, self.most, self.closed = [], 0, False

    def submit(self, n, task):
        self.waiting.append(n)
        self.most = max(self.most, len(self.waiting))

    def wait(self):
        n = self.waiting.pop(self._order(len(self.waiting)))
        return [Answer(n, self._answers[n])] * (1 + self._twice)

    def close(self):
        self.closed = True


@pytest.mark.slow
def test_processes_give_the_same_report(audit, export, serial):
    """Two processes, the same bytes; and the values that the report must not hold are known here."""
    report, census = audit(export, engine(lambda setup: Processes(2, setup)))
    assert census.incomplete == ""
    assert sum(census.severities.values()) > 60
    assert report == serial[0]
    assert census.values >= {value for value in serial[1].values if NAME.casefold() in value.casefold()}


@pytest.mark.slow
def test_a_worker_that_is_killed_changes_nothing(audit, export, serial):
    """Of four processes some are killed in the midst of their partitions: they are replaced, and what they had is counted once."""
    crews = []

    def open_crew(setup):
        crews.append(Killing(4, setup, {1: 1, 7: 2, 11: 1}))
        return crews[0]

    report, census = audit(export, engine(open_crew))
    assert len(crews[0].killed) == 4
    assert report == serial[0]
    assert census.values >= serial[1].values - {""}


@pytest.mark.slow
def test_a_partition_that_kills_every_worker(audit, export, serial):
    """It is begun so many times and no more; the others are scanned, and the scan says that it is not whole and what is missing."""
    crews = []

    def open_crew(setup):
        crews.append(Killing(2, setup, {4: 99}))
        return crews[0]

    _, census = audit(export, engine(open_crew))
    assert len(crews[0].killed) == TRIES
    assert "a.parquet, rows 1 to 140 of row group 5" in census.incomplete
    assert census.known_answers is None
    assert census.population.runs == serial[1].population.runs - 140
    assert crews[0]._workers == []


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_done_and_another_engine_goes_on(audit, export, serial, tmp_path):
    """Interrupted among processes, the census is marked; one process goes on with what is left, and the report is the same."""
    where, seen = tmp_path / "scans" / "w.sqlite", []

    def interrupt(what, done):
        seen.append(done)
        if done >= 700:
            raise KeyboardInterrupt

    _, census = audit(export, engine(lambda setup: Processes(2, setup)), workspace=where, progress=interrupt)
    assert census.interrupted
    assert census.incomplete == "interrupted"
    assert 700 <= census.population.runs < serial[1].population.runs
    again = []
    report, census = audit(export, workspace=where, resume=True, progress=lambda what, done: again.append((what, done)))
    assert census.resumed
    assert report == serial[0]
    assert min(done for what, done in again if what == "scanning runs") > 700


def test_the_order_of_answers_changes_nothing(export, serial, accounts, policy, looked):
    """Whichever partition comes first, and whether it comes twice, the merged whole is what one process finds."""

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
    @given(seed=st.integers(0, 2**32), slots=st.integers(1, 9), twice=st.booleans())
    def merged(seed, slots, twice):
        crew = Told(accounts, random.Random(seed).randrange, slots=slots, twice=twice)
        plan = Plan(policy, "clinic-dev", 3, 0, key=KEY, engine=engine(lambda _setup: crew))
        census = take(ParquetExport(export), plan, lambda: looked)
        assert outcome(census) == outcome(serial[1])
        assert crew.most <= AHEAD * slots
        assert crew.closed

    merged()


@pytest.mark.parametrize("group", [23, 700, 5_000])
def test_where_the_export_is_cut_changes_nothing(audit, tmp_path, made, serial, group, monkeypatch, policy):
    """Partitions are put together like one: cut elsewhere, or a row group read in slices, the same is found and counted."""
    monkeypatch.setattr(reader, "SLICE", 256)
    whole = calls(made)
    write([run for call in whole for run in call], tmp_path / "e" / "all.parquet", group=group)
    setup = setup_of(policy)
    names = [part.name for part in ParquetExport(tmp_path / "e").partitions()]
    assert len(names) == len(set(names)) == {23: 92, 700: 10, 5_000: 9}[group]
    told = [scan_partition(setup, task) for task in tasks(tmp_path / "e", policy)]
    _, census = audit(tmp_path / "e", engine(lambda _setup: Told(told, lambda n: n - 1)))
    assert outcome(census) == outcome(serial[1])


def test_accounts_hold_no_value(accounts):
    """What goes from a worker to the scan names nobody, and no id that is none."""
    for account in accounts:
        for value in (NAME, NAME.upper(), PHONE, "Tom Baker", "somebody", "Byron"):
            assert value.encode() not in account
    assert sum(len(wire.account_of(account).findings) for account in accounts) > 40


def test_a_row_that_cannot_be_read_is_told_as_one_process_tells_it(audit, tmp_path, made):
    """A fault in a partition ends the scan in its turn, with what came before it counted: the same report again."""
    runs = [run for n in range(60) for run in made.call(n)]
    write(runs, tmp_path / "e" / "a.parquet", group=70)
    table = pq.read_table(tmp_path / "e" / "a.parquet").to_pylist()
    table[222]["inputs"] = NAME
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "e" / "a.parquet", row_group_size=70)
    whole = load_policy(shipped("clinic.yaml"), env="prod")
    told = [scan_partition(setup_of(whole), task) for task in tasks(tmp_path / "e", whole)]
    alone, census = audit(tmp_path / "e")
    assert "row 13 of row group 4 holds no JSON in inputs" in census.incomplete
    together, _ = audit(tmp_path / "e", engine(lambda _setup: Told(told, lambda n: n - 1)))
    assert together == alone


def test_a_file_that_cannot_be_read_at_all(audit, export, tmp_path, accounts):
    """What lies before it is scanned, then the scan says so; the manifest is the same as one process's."""
    for path in sorted(export.rglob("*.parquet")):
        to = tmp_path / "e" / path.relative_to(export)
        to.parent.mkdir(parents=True)
        to.write_bytes(path.read_bytes())
        os.utime(to, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    (tmp_path / "e" / "z.parquet").write_bytes(b"none")
    alone, census = audit(tmp_path / "e")
    assert "z.parquet: is damaged" in census.incomplete
    together, _ = audit(tmp_path / "e", engine(lambda _setup: Told(accounts, lambda n: 0)))
    assert together == alone


def test_a_worker_that_reads_other_files(export, accounts, policy, audit):
    """An export that changed, or is another on the worker's machine, is refused there; one that the worker has not is told."""
    task = wire.task_of(tasks(export, policy)[0])
    other = wire.account_of(scan_partition(setup_of(policy), wire.encode(replace_struct(task, sha256=b"x" * 32))))
    assert "is not the file that this machine reads" in other.refused
    absent = wire.account_of(scan_partition(setup_of(policy), wire.encode(replace_struct(task, path="/nowhere/a.parquet"))))
    assert absent.fault == "FileNotFoundError"
    told = [wire.encode(absent), *accounts[1:]]
    _, census = audit(export, engine(lambda _setup: Told(told, lambda n: 0)))
    assert "a worker could not scan it (FileNotFoundError), though this machine could" in census.incomplete


def replace_struct(struct, **changed):
    return type(struct)(**{name: getattr(struct, name) for name in struct.__struct_fields__} | changed)


def test_a_worker_with_another_policy_or_version_refuses(tmp_path, export, audit):
    """The policy's file changed since, or the worker's package is another: no run is scanned, and the scan says what differs."""
    path = tmp_path / "own.yaml"
    path.write_text(shipped("clinic.yaml").read_text())
    policy = load_policy(path, env="prod")
    assert place_of(policy) == str(path)
    path.write_text(path.read_text().replace("notes: {action: truncate, chars: 50", "notes: {action: truncate, chars: 60"))
    assert load_policy(path, env="prod").digest != policy.digest
    _, census = audit(export, engine(lambda setup: Processes(1, setup)), policy=policy)
    assert f"own.yaml has the digest {load_policy(path, env='prod').digest}, not {policy.digest}" in census.incomplete
    assert census.population.runs == 0
    other = load_policy(shipped("clinic.yaml"), env="prod")
    assert place_of(other) == f"{SHIPPED}clinic.yaml"
    pieces = tuple((name, "x" if name in {"scanner", "vocabulary"} else held) for name, held in pieces_of(other, WITHOUT))
    account = wire.account_of(scan_partition(setup_of(other, pieces=pieces), tasks(export, other)[0]))
    assert "scanner, vocabulary differ; install the same version there" in account.refused


def test_workers_look_in_the_roster(tmp_path, export, policy, made):
    """A roster goes with the setup, by its path and its key: what only it knows is found there as it is here."""
    (tmp_path / "people.csv").write_text("Name\nLee Byron\n", encoding="utf-8")
    path = tmp_path / "r.idx"
    build_roster(PeopleList(tmp_path / "people.csv"), path, KEY, now=made.NOW)
    knows = open_detectors(roster=Roster.open(path, KEY, policy.listed).find, without=WITHOUT)
    plan = Plan(policy, "clinic-dev", 3, 0, key=KEY)
    alone = take(ParquetExport(export), plan, lambda: knows)
    assert sum(finding.source.endswith("roster") for finding in alone.findings) > 30
    given = tasks(export, policy)
    held = replace(engine(lambda setup: Told([scan_partition(setup, task) for task in given], lambda n: 0)), roster=path, roster_key=KEY)
    together = take(ParquetExport(export), replace(plan, engine=held), lambda: knows)
    assert outcome(together) == outcome(alone)


def test_a_worker_that_lies_is_found_out(audit, export, accounts):
    """Runs with values that were not met before are scanned here too: what is told otherwise ends the scan."""
    account = wire.account_of(accounts[0])
    findings = account.findings[0][1]
    findings[0] = replace(findings[0], entity="URL")
    _, census = audit(export, engine(lambda _setup: Told([wire.encode(account), *accounts[1:]], lambda n: 0)))
    assert "a worker found other than this machine" in census.incomplete
    _, census = audit(export, engine(lambda _setup: Told([b"\x93", *accounts[1:]], lambda n: 0)))
    assert "answered with what is no account" in census.incomplete


def test_a_known_value_is_not_sought_twice(export, accounts, policy, looked, monkeypatch):
    """A value that stands in many runs costs this process the runs of one page and no more."""
    plan = Plan(policy, "clinic-dev", 3, 0, key=KEY, engine=engine(lambda _setup: Told(accounts, lambda n: 0)))
    learnt = []
    own = Merging._learn

    def learn(self, partition, account, found):
        before = len(self._scanner.values)
        own(self, partition, account, found)
        learnt.append((partition.name, len(self._scanner.values) - before, len(found)))

    monkeypatch.setattr(Merging, "_learn", learn)
    census = take(ParquetExport(export), plan, lambda: looked)
    assert sum(new for _, new, _ in learnt) == len(census.values)
    monkeypatch.setattr("audit.engine.merging.VALUES_MAX", 3)
    few = take(ParquetExport(export), plan_again(plan, accounts), lambda: looked)
    assert 3 <= len(few.values) < len(census.values)
    assert outcome(few) == outcome(census)


def plan_again(plan, accounts):
    return replace(plan, engine=engine(lambda _setup: Told(accounts, lambda n: 0)))


def test_in_order_hands_over_each_once_and_bounds_what_is_in_hand():
    """Answers come in the order of the tasks, however they arrive; tasks are asked for only as there is room."""
    asked = []

    def numbered():
        for n in range(40):
            asked.append(n)
            yield b"%d" % n

    crew = Told([b"%d" % n for n in range(40)], random.Random(1).randrange, slots=3, twice=True)
    answers = in_order(crew, numbered())
    first = list(islice(answers, 5))
    assert [answer.n for answer in first] == [0, 1, 2, 3, 4]
    assert len(asked) <= 4 + AHEAD * 3
    assert [answer.n for answer in answers] == list(range(5, 40))
    assert crew.closed


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("threads", "there is no such engine"),
        ("processes:0", "there is no such engine"),
        ("processes:999", "at most 256"),
        ("dask://cluster.example:8786", "in the clear"),
        ("dask://10.1.2.3:8786", "in the clear"),
    ],
)
def test_engines_that_are_none(tmp_path, asked, says):
    """They are refused, and what is right is said; what would go to another machine in the clear is refused before anything is sent."""
    with pytest.raises(EngineError, match=says):
        choose(asked, tmp_path).open(b"")  # type: ignore[union-attr]


def test_dask_that_is_not_installed(tmp_path, monkeypatch):
    """The extra is named, with the command that installs it."""
    monkeypatch.delitem(sys.modules, "audit.engine.dask", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"distributed is not installed; run: pip install 'phi-guard-toolkit\[dask\]'"):
        choose("dask://127.0.0.1:8786", tmp_path)


def test_only_a_parquet_export_has_partitions(tmp_path):
    """An engine asked for by name is no wish: where it cannot be, the command says so. By default nothing changes."""
    for file in (None, tmp_path / "a.jsonl", Path("-")):
        assert choose("auto", file) is None
        assert choose("serial", file) is None
        with pytest.raises(EngineError, match="only a Parquet export"):
            choose("processes:2", file)
    with pytest.raises(EngineError, match="roster stays on this machine"):
        choose("dask://127.0.0.1:8786", tmp_path, roster=tmp_path / "r")


def test_auto_goes_by_size_processors_and_memory(tmp_path, monkeypatch):
    """A small export is scanned here, as is one on a machine without room; a large one by as many processes as there are processors."""
    path = tmp_path / "a.parquet"
    path.write_bytes(b"")
    assert choose("auto", path) is None
    os.truncate(path, LARGE)
    monkeypatch.setattr("audit.engine.choice._cores", lambda: 3)
    monkeypatch.setattr("audit.engine.choice.MEMINFO", tmp_path / "meminfo")
    assert choose("auto", path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9\nMemAvailable:   16000000 kB\n")
    chosen = choose("auto", tmp_path)
    assert chosen is not None
    assert chosen.open.args == (3,)  # type: ignore[attr-defined]
    (tmp_path / "meminfo").write_text("MemAvailable:   1500000 kB\n")
    assert choose("auto", path) is None


@pytest.mark.slow
def test_the_command(tmp_path, export, monkeypatch):
    """``--engine processes:2`` and ``--engine serial`` write the same JSON; an engine that cannot be is a usage error."""
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    without = [word for layer in WITHOUT for word in ("--without", layer)]
    shared = ["--from", str(export), "--seed", "1", "--known-answers", "1", "--now", "2026-11-20T12:00:00Z", "--by", "t", "--no-cache"]
    made = []
    for name in ("serial", "processes:2"):
        out = tmp_path / f"{len(made)}.json"
        done = CliRunner().invoke(command, [*shared, *without, "--engine", name, "--format", "json", "-o", str(out)], standalone_mode=False)
        assert done.exception is None, done.output
        held = json.loads(out.read_text())
        held["custody"] = None  # the log has gone on by one report
        made.append({key: value for key, value in held.items() if key not in {"digest", "id"}})
    assert made[0] == made[1]
    done = CliRunner().invoke(command, [*shared, *without, "--engine", "dask://far.example:1"], standalone_mode=False)
    assert done.return_value == 3
    assert "in the clear" in done.output
    done = CliRunner().invoke(command, [*shared, "--engine", "many"])
    assert done.exit_code == 2
    assert "there is no such engine" in done.output


def test_a_source_error_is_still_one(tmp_path):
    """An empty folder has no partition, and says what to do."""
    with pytest.raises(SourceError, match=r"no \.parquet"):
        list(ParquetExport(tmp_path).partitions())
