"""``phi-audit bench overhead``: what it measures for real, what it says of budgets and absent rivals, exit codes and streams."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jsonschema
import psutil
import pytest
from click.testing import CliRunner
from fakes import Store, until

import audit.rehearsal.overhead
from audit import exits
from audit.cli import main
from audit.evidence import Cost
from audit.rehearsal.footprint import Loading, Memory
from audit.rehearsal.overhead_lateness import Beyond, compare
from audit.rehearsal.overhead_report import AGAIN, BESIDE, IDLE, LOADED, OURS, QUIET, Late, Load, Operation, OverheadReport, judge, notes_on
from audit.rehearsal.overhead_text import render_overhead
from audit.rehearsal.timing import ProcessError, running, summarise

FAST = Cost(2.0, 9.0, 80.0, 100, 60.0)
NONE = Cost(0.2, 0.9, 3.0, 100, 2.0)


SCHEMA = json.loads(Path(__file__).with_name("bench_overhead.schema.json").read_text("utf-8"))
STILL = Beyond(0.5, -1.0, 2.0, 8)


def report(*, ours=FAST, loaded=FAST, late=STILL, again=STILL, grown=4.0, loading=30.0, memory=True, absent=None, cores=0.9):
    """A report of those figures, judged as the command judges it."""
    cost = {("nothing", c): NONE for c in (QUIET, LOADED)} | {("ours", QUIET): ours, ("ours", LOADED): loaded}
    lateness = {name: Cost(10.0, 100.0, 900.0, 400) for name in (IDLE, BESIDE, OURS, AGAIN)}
    beyond = {BESIDE: STILL, OURS: late, AGAIN: again}
    held = Memory(3.0, 3.5, grown, grown, 1000, 12_000) if memory else None
    took = Loading(loading, loading, loading, 5, beyond_livekit=True)
    return OverheadReport(
        made_at="2027-01-01T00:00:00+00:00",
        version="0",
        machine={"system": "Linux", "machine": "x", "cores": 2, "python": "3.11"},
        n=100,
        seconds=1.0,
        operations=tuple(Operation(name, condition, each) for (name, condition), each in cost.items()),
        lateness=tuple(Late(name, each) for name, each in lateness.items()),
        beyond_idle=beyond,
        load=Load(cores, 50),
        memory=held,
        loading=took,
        absent=absent or {},
        budgets=tuple(judge(cost, beyond, held, took, Load(cores, 50))),
        notes=notes_on(beyond),
    )


@pytest.mark.parametrize(
    ("figures", "over"),
    [
        ({}, []),
        ({"ours": replace(FAST, p50=5.01)}, ["operation p50, quiet"]),
        ({"loaded": replace(FAST, p99=25.1)}, ["operation p99, relay at full load"]),
        ({"ours": replace(FAST, max=1000.1)}, ["operation max, quiet"]),
        ({"late": Beyond(9.0, 5.1, 12.0, 8)}, ["loop lateness p99, beyond idle"]),
        ({"grown": 10.1}, ["memory"]),
        ({"loading": 60.1}, ["import of tracing"]),
        ({"ours": replace(FAST, p50=5.0, p99=25.0, max=1000.0), "late": Beyond(4.0, 1.0, 5.0, 8), "grown": 10.0, "loading": 60.0}, []),
    ],
)
def test_a_figure_over_its_budget_is_named(figures, over):
    """Each budget alone; what reaches it is within."""
    made = report(**figures)
    assert list(made.over) == over
    assert render_overhead(made).count("OVER") == len(over)


@pytest.mark.parametrize(
    ("late", "within"),
    [
        (Beyond(-3.0, -4.0, -1.0, 8), True),
        (Beyond(3.0, 1.0, 5.1, 8), None),
        (Beyond(9.0, 5.0, 12.0, 8), None),
        (Beyond(9.0, 5.1, 12.0, 8), False),
        (Beyond(1.0, None, None, 4), None),
        (None, None),
    ],
)
def test_lateness_is_judged_by_what_it_may_be(late, within):
    """Within where the most is, over where the least is; noise is neither, and is told."""
    made = report(late=late)
    (budget,) = (each for each in made.budgets if each.name.startswith("loop"))
    assert budget.within is within
    assert late is None or "idle against idle: +0.5 (-1.0 to +2.0) %" in budget.note
    assert (budget.name in made.unjudged) is (within is None)


def test_a_machine_that_is_too_noisy_is_told():
    """Two idle loops that may differ by more than twice the budget."""
    assert any("Two idle loops" in note for note in report(again=Beyond(0.0, -6.0, 5.0, 8)).notes)
    assert not any("Two idle loops" in note for note in report().notes)


def rounds(n, *, spread, factor=1.0, seed=1):
    """Ticks of n rounds, late by up to a millisecond or so; each round has a mood of its own."""
    chance = random.Random(seed)
    moods = [factor * (1e6 + chance.uniform(-spread, spread)) for _ in range(n)]
    return [[int(mood * chance.uniform(0.5, 1.0)) for _ in range(180)] for mood in moods]


@pytest.mark.parametrize(("factor", "low", "high"), [(1.0, -5, 5), (1.5, 40, 60), (0.8, -25, -15)])
def test_a_difference_is_found_where_there_is_one(factor, low, high):
    """The bounds hold what was put in, and are narrow where rounds are alike."""
    found = compare(rounds(20, spread=1e4), rounds(20, spread=1e4, factor=factor, seed=2))
    assert low < found.low <= 100 * (factor - 1) <= found.high < high
    assert found.low <= found.share <= found.high


def test_noise_makes_the_bounds_wide():
    """Rounds that differ as much among themselves hide a tenth; few rounds say nothing of it."""
    noisy = compare(rounds(8, spread=8e5), rounds(8, spread=8e5, factor=1.1, seed=2))
    assert noisy.low < 5 < noisy.high
    few = compare(rounds(4, spread=1e4), rounds(4, spread=1e4))
    assert (few.low, few.high, few.rounds) == (None, None, 4)
    assert compare([[0, 0]] * 8, [[5, 5]] * 8) is None
    assert compare([], []) is None


def test_the_bounds_fail_as_rarely_as_they_say():
    """Loops that are alike, a thousand times, in noise with a long tail: each bound lies on the wrong side of nothing in 5 % at most."""
    chance = random.Random(1)
    wrong = Counter()
    for _ in range(1000):
        idle, same = ([[int(1e6 * chance.paretovariate(1.5))] for _ in range(8)] for _ in range(2))
        found = compare(idle, same)
        wrong["low"] += found.low > 0
        wrong["high"] += found.high < 0
    assert 0 < max(wrong.values()) <= 65  # 35 are due to come; 65 are five deviations above
    assert compare([[100]] * 5, [[n] for n in (101, 102, 103, 104, 105)]) == Beyond(3.0, 1.0, 5.0, 5)
    assert compare([[100]] * 8, [[n] for n in range(101, 109)]) == Beyond(4.5, 2.0, 7.0, 8)


def test_lateness_beside_a_relay_that_had_little_to_do_is_not_judged():
    """Neither a pass nor a fault, and it says why."""
    for late in (STILL, Beyond(50.0, 40.0, 60.0, 8)):
        (budget,) = (each for each in report(late=late, cores=0.2).budgets if each.name.startswith("loop"))
        assert budget.within is None
        assert "not at full load" in budget.note


def test_the_table_fits_a_terminal():
    """Of 80 columns, with figures of a busy machine and long notes."""
    slow = Cost(2222.2, 99999.9, 99999.9, 10_000, 99999.9)
    text = render_overhead(
        report(ours=slow, loaded=slow, cores=0.2, late=Beyond(123.4, -110.1, 222.2, 8), again=Beyond(99.9, -88.8, 111.1, 8))
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "not at full load" in " ".join(text.split())


def test_what_was_not_measured_is_not_judged():
    """No psutil: no figure, no verdict, and it says so."""
    (budget,) = (each for each in report(memory=False).budgets if each.name == "memory")
    assert (budget.measured, budget.within) == (None, None)
    assert "psutil" in budget.note


def test_a_summary_of_known_durations():
    """p50, p99 and max of one to a hundred microseconds."""
    assert summarise([n * 1000 for n in range(100, 0, -1)]) == Cost(51.0, 100.0, 100.0, 100)


@pytest.fixture
def measured(monkeypatch):
    """The command measures nothing and reports this."""
    told = {}

    def use(made):
        monkeypatch.setattr(audit.rehearsal.overhead, "measure", lambda n, seconds, say, version: told.update(n=n, seconds=seconds) or made)
        return told

    return use


def overhead(*args):
    return CliRunner().invoke(main, ["bench", "overhead", *map(str, args)])


def test_measured_is_exit_0_and_check_is_exit_1_when_over(measured):
    """A benchmark is no gate, unless it is asked to be."""
    told = measured(report(grown=11.0))
    assert overhead("--n", 60, "--seconds", 2).exit_code == exits.GO
    assert told == {"n": 60, "seconds": 2.0}
    assert overhead("--check").exit_code == exits.NO_GO
    measured(report())
    assert overhead("--check").exit_code == exits.GO
    measured(report(memory=False))
    assert overhead().exit_code == exits.GO
    unsure = overhead("--check")
    assert unsure.exit_code == exits.UNPROVEN
    assert "not judged: memory" in unsure.stderr
    measured(report(memory=False, grown=11.0, loading=61.0))
    assert overhead("--check").exit_code == exits.NO_GO  # what is over is over


def test_json_carries_its_schema_and_goes_into_a_file(measured, tmp_path):
    """Nothing on stdout then; an absent rival is said in both forms."""
    measured(report(absent={"opentelemetry": "opentelemetry is not installed"}, loading=70.0))
    path = tmp_path / "overhead.json"
    done = overhead("--format", "json", "-o", path)
    assert (done.exit_code, done.stdout) == (exits.GO, "")
    told = json.loads(path.read_text())
    jsonschema.validate(told, SCHEMA)
    assert told["over"] == ["import of tracing"]
    assert told["absent"] == {"opentelemetry": "opentelemetry is not installed"}
    assert "opentelemetry: absent, opentelemetry is not installed" in overhead().stdout


@pytest.mark.parametrize(("args", "said"), [(["--n", "1"], "--n"), (["--seconds", "0"], "--seconds"), (["-o", "nowhere/x"], "nowhere/x")])
def test_usage_faults(measured, args, said):
    """Exit 2 before anything is measured."""
    told = measured(report())
    done = overhead(*args)
    assert (done.exit_code, done.stdout, told) == (exits.USAGE, "", {})
    assert said in done.stderr


def test_a_rival_that_is_not_installed_is_absent():
    """A contender whose library cannot be imported says so and is no crash."""
    code = (
        "import sys; sys.modules['opentelemetry'] = None; from audit.rehearsal.contender import main; sys.exit(main('opentelemetry', ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (3, "")
    assert json.loads(done.stdout)["absent"].startswith("opentelemetry")


def test_a_process_that_ends_is_told_by_its_name():
    """No traceback out of a pipe: the module, its code and what to run."""
    with (
        running("audit.rehearsal.contender", "nobody", "") as process,
        pytest.raises(ProcessError, match=r"audit\.rehearsal\.contender ended"),
    ):
        process.hear()


def test_the_collector_takes_what_opentelemetry_sends():
    """The rival is timed while it really delivers: the sink counts its exports."""
    with running("tracing.local.otlp_sink") as sink:
        url = sink.hear()["url"]
        with running("audit.rehearsal.contender", "opentelemetry", url) as rival:
            assert rival.hear() == {"ready": "opentelemetry"}
            assert len(rival.ask('{"time": 600}')["took"]) == 600  # more than one batch of 512

            def received():
                with urllib.request.urlopen(url.replace("/v1/traces", "/received")) as answer:
                    return json.load(answer)

            until(lambda: received()["requests"] >= 1)
            assert received()["bytes"] > 512 * 300


def test_the_store_takes_what_langsmiths_client_sends(tmp_path):
    """Likewise: each run of the rival is stored with its beginning and its end."""
    store = Store(tmp_path)
    try:
        with running("audit.rehearsal.contender", "langsmith", store.url) as rival:
            rival.hear()
            rival.ask('{"time": 50}')
            until(lambda: len(store.runs()) == 100)  # 50 before the first that is timed
            until(lambda: all(run.get("end_time") for run in store.runs()))
        assert {run["name"] for run in store.runs()} == {"agent_turn", "book_appointment"}
    finally:
        store.stop()


def test_the_schema_refuses_what_it_does_not_know():
    """Or it would be none."""
    good = json.loads(json.dumps(report(late=None).as_json()))
    jsonschema.validate(good, SCHEMA)
    for break_it in (
        lambda told: told.pop("load"),
        lambda told: told.update(more=1),
        lambda told: told["budgets"][0].update(within="yes"),
        lambda told: told["operations"][0]["cost"].pop("p99"),
        lambda told: told.update(schema="phi-audit.bench.overhead/2"),
    ):
        bad = json.loads(json.dumps(good))
        break_it(bad)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, SCHEMA)


def test_the_real_thing_measures_every_contender(monkeypatch):
    """A short run with a real relay at work: all rows are there, the relay was busy, and ours is cheaper than either rival."""
    monkeypatch.setattr(audit.rehearsal.overhead, "LOADINGS", 1)  # each loads LiveKit, for seconds
    done = overhead("--n", "100", "--seconds", "1", "--format", "json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    jsonschema.validate(told, SCHEMA)
    assert told["absent"] == {}
    cost = {(each["contender"], each["condition"]): each["cost"] for each in told["operations"]}
    assert cost.keys() == {(name, c) for name in ("nothing", "ours", "langsmith", "opentelemetry") for c in (QUIET, LOADED)}
    for condition in (QUIET, LOADED):
        assert cost["nothing", condition]["p50"] < cost["ours", condition]["p50"] < cost["opentelemetry", condition]["p50"]
        assert cost["ours", condition]["p50"] < cost["langsmith", condition]["p50"]
        assert all(cost[name, condition]["n"] == 100 for name in ("nothing", "ours", "langsmith", "opentelemetry"))
    assert told["load"]["read"] > 0
    assert told["load"]["cores"] > 0.0
    assert told["memory"]["records"] >= 1000 * (2 * 6 + 6)  # six more of each call: opened, consent, started, ended, and two closings
    assert {each["condition"] for each in told["lateness"]} == {IDLE, BESIDE, OURS, "langsmith", "opentelemetry", AGAIN}
    assert len(told["budgets"]) == 9
    assert all(line.startswith("bench: ") for line in done.stderr.splitlines())


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    """Exit 130, no traceback, and the contenders, the relay and the servers are gone."""
    code = (
        "import audit.rehearsal.overhead as o; o.measure_loading = o.measure_memory = lambda _: None;"  # not what is ended here
        " from audit.cli import main; main(['bench', 'overhead', '--n', '100000', '--seconds', '60'], prog_name='phi-audit')"
    )
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True, env=dict(os.environ)
    )
    try:
        assert any("the relay idle" in line for line in iter(process.stderr.readline, ""))
        started = psutil.Process(process.pid).children(recursive=True)
        assert len(started) == 10  # store, collector, relay, null relay, load; four contenders, and ours once more for the real relay
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (exits.INTERRUPTED, "")
    assert "Traceback" not in err
    assert psutil.wait_procs(started, timeout=10)[1] == []
