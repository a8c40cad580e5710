"""Workers that leave out, make up or do not see: the scan ends, is unproven, and says of which file and rows."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from made_export import KEY, NAME, WITHOUT, engine, outcome, write

from audit.census import Detectors, Plan, take
from audit.detectors import open_detectors
from audit.engine import Answer, plants, wire, work
from audit.engine.plants import HANDFUL, Planted, Plants
from audit.engine.work import pieces_of, place_of, scan_partition
from audit.planting import made_up
from audit.source import parquet as reader
from audit.source.parquet import ParquetExport, ids_of, runs_of
from phi_guard.detect import NormalisingDetector, profiles

SEED = 3
GROUP = 70


class Told:
    """Answers that are known, to the tasks that are given; ``seen`` keeps the tasks."""

    slots = 2

    def __init__(self, answer):
        self._answer, self.seen, self._waiting = answer, {}, []

    def submit(self, n, task):
        self.seen[n] = task
        self._waiting.append(n)

    def wait(self):
        n = self._waiting.pop()
        return [Answer(n, self._answer(n, self.seen[n]))]

    def close(self):
        pass


@pytest.fixture(scope="module")
def export(tmp_path_factory, made):
    """Thirty calls in three partitions, some with a name in them."""
    calls = [made.call(n) for n in range(30)]
    for n in (2, 13, 25):
        calls[n][4]["tags"] = [f"{NAME} {n}"]
    path = tmp_path_factory.mktemp("export") / "a.parquet"
    write([run for call in calls for run in call], path, group=GROUP)
    return path


@pytest.fixture(scope="module")
def looked():
    return open_detectors(without=WITHOUT)


@pytest.fixture(scope="module")
def setup(policy):
    return wire.encode(
        wire.Setup(place_of(policy), policy.env, policy.digest, "clinic-dev", KEY, WITHOUT, pieces_of(policy, WITHOUT))
    )  # fmt: skip


@pytest.fixture
def scan(export, policy, looked, setup):
    """A scan whose worker is honest but for what it is told to do to an account; ``None`` for one without a worker."""

    def scanned(tamper=lambda _n, account: account, source=export):
        def answer(n, task):
            return wire.encode(tamper(n, wire.account_of(scan_partition(setup, task))))

        crew = None if tamper is None else engine(lambda _setup: Told(answer))
        return take(ParquetExport(source), Plan(policy, "clinic-dev", SEED, 0, key=KEY, engine=crew), lambda: looked)

    return scanned


def changed(account, **fields):
    return wire.Account(**{name: getattr(account, name) for name in account.__struct_fields__} | fields)


def at(n, do):
    """Do it to the account of one partition."""
    return lambda number, account: do(account) if number == n else account


@pytest.mark.parametrize("rows", [0, 35, GROUP - 1, GROUP + 1])
def test_an_account_of_fewer_rows_or_more(scan, rows):
    """Rows that a worker leaves out, all of a partition or one of it, and such as it makes up, are missed by the file's own count."""

    def cut(account):
        return changed(account, rows=(account.rows * 2)[:rows], measures=(account.measures * 2)[:rows], findings=[], values=[])

    census = scan(at(1, cut))
    assert "a.parquet, rows 1 to 70 of row group 2: a worker gave an account of" in census.incomplete
    assert f"of {rows} rows" in census.incomplete
    assert "the file holds 70 there" in census.incomplete
    assert census.population.runs == GROUP
    assert census.known_answers is None


def test_an_account_of_other_rows(scan):
    """As many rows as there are, and one of them told twice instead of another: the ids in the file are others."""

    def twice(account):
        return changed(account, rows=[*account.rows[:40], account.rows[39], *account.rows[41:]])

    census = scan(at(2, twice))
    assert "row group 3: what a worker gave for row 41 is of another run than stands there" in census.incomplete
    assert census.population.runs == 2 * GROUP


def test_measures_and_findings_of_rows_that_are_not_there(scan):
    """Nor can an account hold measures of fewer runs, or findings in a run that it has not."""
    short = scan(at(0, lambda account: changed(account, measures=account.measures[1:])))
    assert "of 70 rows, measures of 69" in short.incomplete
    for place in (-1, GROUP):
        beyond = scan(at(0, lambda account, place=place: changed(account, findings=[(place, account.findings[0][1])])))
        assert "told of findings in rows that are not there" in beyond.incomplete


def test_a_worker_that_does_not_see(scan, monkeypatch, policy):
    """Its detectors find nothing, and it says so of all that it reads: it finds nothing in what was planted for it either."""

    def blind(_without):
        return Detectors(strict=lambda _text: (), patterns=lambda _text: ())

    monkeypatch.setattr(work, "_detectors", blind)
    monkeypatch.setattr(work, "_opened", [])
    census = scan()
    assert "rows 1 to 70 of row group 1: a worker found other than this machine in a planted name, written, and in" in census.incomplete
    assert census.population.runs == 0
    values = [plant.run["inputs" if plant.path.startswith("inputs") else "outputs"] for plant in Plants(policy, SEED).handful]
    assert not any(text in census.incomplete for held in values for text in held.values())


@pytest.mark.parametrize("layer", ["patterns", "spoken", "vocabulary"])
def test_a_worker_of_which_one_layer_is_blind(scan, monkeypatch, layer):
    """It went blind after it was opened. Where others still see, the value is found; but not by all that find it on this machine."""

    class Blind(NormalisingDetector):
        name = layer

        def find(self, _text):
            return ()

        def find_many(self, texts):
            return [() for _ in texts]

    opener = profiles._OPENERS[layer]
    with monkeypatch.context() as broken:
        broken.setitem(profiles._OPENERS, layer, lambda plan, own: Blind(opener(plan, own)))
        broken.setattr(profiles, "prove", lambda *_: None)
        held = open_detectors(without=WITHOUT)
    monkeypatch.setattr(work, "_detectors", lambda _without: held)
    monkeypatch.setattr(work, "_opened", [])
    census = scan()
    assert "a worker found other than this machine in a planted" in census.incomplete
    assert census.population.runs == 0


def test_a_worker_that_goes_blind_later(scan, monkeypatch, policy):
    """It remembers the handful, and does not see what is new: now and then there is something new."""
    monkeypatch.setattr(plants, "EVERY", 10)
    n = len(HANDFUL)

    def forgetful(account):
        assert len(account.planted) >= n + 4
        return changed(account, planted=[*account.planted[:n], *([] for _ in account.planted[n:])])

    census = scan(at(1, forgetful))
    assert "row group 2: a worker found other than this machine in a planted" in census.incomplete
    assert census.population.runs == GROUP
    fewer = scan(at(1, lambda account: changed(account, planted=account.planted[:-1])))
    assert "row group 2: a worker told of" in fewer.incomplete


def test_what_this_machine_misses_too_is_no_fault_of_the_worker(scan, monkeypatch):
    """It counts against the recall of the known answers; and the value planted does not stay among those that were found."""
    unseen = Planted("name", "written", made_up("tool.book_appointment") | {"inputs": {"notes": "called"}}, "inputs.notes", 0, 6)
    seen = Planted("name", "written", unseen.run | {"inputs": {"notes": "Olivia Hartwell called"}}, "inputs.notes", 0, 15)
    monkeypatch.setattr(Plants, "fresh", lambda _self, _partition: (unseen,))
    assert scan().incomplete == ""
    monkeypatch.setattr(Plants, "fresh", lambda _self, _partition: (seen,))
    assert scan().incomplete == ""
    census = scan(at(0, lambda account: changed(account, planted=[*account.planted[:-1], []])))
    assert "a planted name, written, and in 0 of 7 more" in census.incomplete
    assert not any("Hartwell" in value for value in census.values)


@pytest.mark.parametrize("every", [10, 10**9])
def test_plants_change_no_outcome(scan, monkeypatch, every):
    """With many, with none but the handful, and with no worker at all: the same findings, counts and values."""
    alone = scan(None)
    monkeypatch.setattr(plants, "EVERY", every)
    together = scan()
    assert together.incomplete == ""
    assert outcome(together) == outcome(alone)
    assert together.values == alone.values


def test_plants_hang_on_the_seed_and_the_partition_alone(policy, export, monkeypatch):
    """The same each time and for each worker, others with another seed; all of the handful has a place in the shipped policy."""
    monkeypatch.setattr(plants, "EVERY", 10)
    parts = list(ParquetExport(export).partitions())
    first, again, other = Plants(policy, SEED), Plants(policy, SEED), Plants(policy, SEED + 1)
    assert [(plant.kind, plant.style) for plant in first.handful] == list(HANDFUL)
    assert first.handful == again.handful
    assert [first.fresh(part) for part in parts] == [again.fresh(part) for part in reversed(parts)][::-1]
    assert not {str(plant.run) for plant in first.handful} & {str(plant.run) for plant in other.handful}
    assert [first.fresh(part) for part in parts] != [other.fresh(part) for part in parts]
    drawn = [str(first.fresh(part)) for part in parts]
    assert len(set(drawn)) == len(parts)
    assert all(plant.path.partition(".")[2] in str(plant.run) for part in parts for plant in first.fresh(part))


def test_one_new_plant_for_so_many_rows(policy, export):
    """Over many partitions their number is that of the rows, so that small partitions do not cost more than large ones."""
    part, held = next(ParquetExport(export).partitions()), Plants(policy, SEED)
    numbers = random.Random(1).sample(range(10**6), 400)
    fresh = [held.fresh(replace(part, first=n, rows=6_000)) for n in numbers]
    assert sum(map(len, fresh)) == pytest.approx(400 * 6_000 / plants.EVERY, rel=0.2)


def test_ids_are_those_of_the_runs(export, monkeypatch):
    """Read alone, whole or in slices, they are what the runs have."""
    monkeypatch.setattr(reader, "IDS", 32)
    for first, rows in ((0, GROUP), (0, 20), (20, 50), (69, 1), (0, 0)):
        assert list(ids_of(export, 1, first, rows)) == [run["id"] for run in runs_of(export, 1, first, rows)]
