"""``phi-audit bench scan``: what is measured is what is told, with quick detectors and a rival whose slowness is known."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner

from audit.bench import recorded, scan_speed
from audit.census import Detectors
from audit.cli.bench import bench
from phi_guard.detect import PatternDetector
from phi_guard.policy import load_policy, shipped


class Quick:
    """The patterns alone, and how it was asked."""

    def __init__(self):
        self.batches: list[int] = []
        self.texts = 0

    def find(self, text):
        self.texts += 1
        return PatternDetector().find(text)

    def find_many(self, texts):
        self.batches.append(len(texts))
        return [self.find(text) for text in texts]


@pytest.fixture
def quick():
    return Quick()


@pytest.fixture
def given(monkeypatch, quick):
    """The command with quick detectors and a rival that takes as long as ``slow`` says, in seconds for each call of it."""
    state = {"slow": 0.0, "given": []}

    def rival(texts):
        state["given"].append(list(texts))
        time.sleep(state["slow"])
        return 0

    monkeypatch.setattr("audit.detectors.open_detectors", lambda: Detectors(quick.find, PatternDetector().find))
    monkeypatch.setattr("audit.bench.rivals.open_batch_rival", lambda: rival)
    return state


def run(*args):
    return CliRunner().invoke(bench, ["scan", *args], standalone_mode=False)


def test_the_figures_are_told(given):
    """Every row and mark, as JSON and as a table."""
    told = json.loads(run("--calls", "3", "--rounds", "2", "--memory", "6", "--format", "json").stdout)
    assert told["schema"] == "phi-audit.bench-scan/1"
    assert [row["what"] for row in told["pace"]] == [
        scan_speed.EVERY, "each different string once", scan_speed.FREE, scan_speed.SUSPECTED,
    ]  # fmt: skip
    assert all(row["rounds"] == 2 and row["worst"] <= row["ratio"] and row["strings"] for row in told["pace"])
    (mark,) = told["memory"]
    assert mark["traces"] == 6
    assert mark["resident_mb"] > 1
    assert 1 <= mark["texts"] <= 18
    table = run("--calls", "3", "--rounds", "1", "--memory", "6").stdout
    assert "free text, findings" in table
    assert "different texts" in table


def test_the_rival_gets_the_strings_of_the_calls(given):
    """All of them, each once, and the free texts: of new calls in each round."""
    run("--calls", "3", "--rounds", "2")
    first, second = given["given"][:3], given["given"][3:]
    every, once, texts = first
    calls = [text for call in recorded.invent(3, seed=1) for r in call for text in scan_speed.strings(r)]
    assert every == calls
    assert once == list(dict.fromkeys(calls))
    assert set(texts) < set(once)
    assert len(set(texts)) == len(texts)
    assert set(second[1]) != set(once)


def test_free_text_is_asked_as_the_scan_asks(given, quick):
    """Many at once, never one by one."""
    run("--calls", "3", "--rounds", "1")
    assert quick.texts == sum(quick.batches)
    assert max(quick.batches) > 1


@pytest.mark.parametrize(("slow", "code"), [(5.0, 0), (0.0, 1)], ids=["slow rival", "quick rival"])
def test_the_bar_is_checked(given, slow, code, monkeypatch):
    """Five times as fast over every string passes; a rival that takes no time cannot be beaten."""
    monkeypatch.setattr(scan_speed, "perf_counter", clock(given, slow))
    monkeypatch.setattr(scan_speed, "process_time", clock(given, slow))
    result = run("--calls", "3", "--rounds", "1", "--check", "--format", "json")
    assert result.return_value == code
    assert json.loads(result.stdout)["reached"] is (code == 0)


def clock(given, slow):
    """A clock on which whatever is done takes a second, and the rival so many more."""
    state = {"now": 0.0, "seen": 0}

    def now():
        state["now"] += 1.0 + (len(given["given"]) - state["seen"]) * slow
        state["seen"] = len(given["given"])
        return state["now"]

    return now


def test_memory_is_looked_at_on_the_way(given, quick):
    """At each mark, when so many calls were read and no more."""
    said: list[str] = []
    policy = load_policy(shipped("clinic.yaml"), env="dev")
    rows = scan_speed.measure_memory(policy, Detectors(quick.find, PatternDetector().find), (3, 9), said.append)
    assert [row.traces for row in rows] == [3, 9]
    assert rows[0].texts < rows[1].texts
    assert all(row.per_second > 0 for row in rows)
    assert [line.split()[0] for line in said] == ["3", "9"]


def test_no_memory_where_the_system_does_not_tell(monkeypatch, tmp_path):
    """Zero, not a fault."""
    monkeypatch.setattr(scan_speed, "STATM", tmp_path / "none")
    assert scan_speed.resident_mb() == 0.0


def test_calls_are_new_and_clean():
    """Another seed, other ids and texts; the same one, the same; no call holds another's id."""
    one, again, other = (list(recorded.invent(6, seed)) for seed in (1, 1, 2))
    assert one == again
    ids = [{run["id"] for run in call} for call in (*one, *other)]
    assert len(set().union(*ids)) == sum(map(len, ids))
    assert [run["inputs"] for call in one for run in call] != [run["inputs"] for call in other for run in call]
