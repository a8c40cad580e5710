"""``phi-audit bench overhead``: what it measures for real, what it says of budgets and absent rivals, exit codes and streams."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace

import psutil
import pytest
from click.testing import CliRunner
from fakes import Store, until

import audit.rehearsal.overhead
from audit import exits
from audit.cli import main
from audit.evidence import Cost
from audit.rehearsal.footprint import Loading, Memory
from audit.rehearsal.overhead_report import AGAIN, BESIDE, IDLE, LOADED, OURS, QUIET, Late, Load, Operation, OverheadReport, judge, notes_on
from audit.rehearsal.overhead_text import render_overhead
from audit.rehearsal.timing import ProcessError, running, summarise

FAST = Cost(2.0, 9.0, 80.0, 100, 60.0)
NONE = Cost(0.2, 0.9, 3.0, 100, 2.0)


def report(*, ours=FAST, loaded=FAST, late=101.0, again=100.0, grown=4.0, loading=30.0, memory=True, absent=None, cores=0.9):
    """A report of those figures, judged as the command judges it."""
    cost = {("nothing", c): NONE for c in (QUIET, LOADED)} | {("ours", QUIET): ours, ("ours", LOADED): loaded}
    lateness = {IDLE: 100.0, BESIDE: 102.0, OURS: late, AGAIN: again}
    lateness = {name: Cost(10.0, p99, 900.0, 400) for name, p99 in lateness.items()}
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
        load=Load(cores, 50),
        memory=held,
        loading=took,
        absent=absent or {},
        budgets=tuple(judge(cost, lateness, held, took, Load(cores, 50))),
        notes=notes_on(lateness),
    )


@pytest.mark.parametrize(
    ("figures", "over"),
    [
        ({}, []),
        ({"ours": replace(FAST, p50=5.01)}, ["operation p50, quiet"]),
        ({"loaded": replace(FAST, p99=25.1)}, ["operation p99, relay at full load"]),
        ({"ours": replace(FAST, max=1000.1)}, ["operation max, quiet"]),
        ({"late": 105.1}, ["loop lateness p99, relay at full load, beyond idle"]),
        ({"grown": 10.1}, ["memory"]),
        ({"loading": 60.1}, ["import of tracing"]),
        ({"ours": replace(FAST, p50=5.0, p99=25.0, max=1000.0), "late": 105.0, "grown": 10.0, "loading": 60.0}, []),
    ],
)
def test_a_figure_over_its_budget_is_named(figures, over):
    """Each budget alone; what reaches it is within."""
    made = report(**figures)
    assert list(made.over) == over
    assert render_overhead(made).count("OVER") == len(over)


@pytest.mark.parametrize(
    ("late", "again", "within"),
    [(101, 100, True), (101, 120, None), (110, 120, None), (140, 120, False), (80, 60, None), (110, 104, False)],
)
def test_lateness_is_not_judged_where_idle_differs_as_much_from_itself(late, again, within):
    """Noise is neither a pass nor a fault, and is told; what stands out of it is over."""
    made = report(late=late, again=again)
    (budget,) = (each for each in made.budgets if each.name.startswith("loop"))
    assert budget.within is within
    assert f"idle against idle: {again - 100.0:+.1f} %" in budget.note
    assert any("too noisy" in note for note in made.notes) == (abs(again - 100) > 5)


def test_lateness_beside_a_relay_that_had_little_to_do_is_not_judged():
    """Neither a pass nor a fault, and it says why."""
    for late in (101.0, 150.0):
        (budget,) = (each for each in report(late=late, cores=0.2).budgets if each.name.startswith("loop"))
        assert budget.within is None
        assert "not at full load" in budget.note


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


def test_json_carries_its_schema_and_goes_into_a_file(measured, tmp_path):
    """Nothing on stdout then; an absent rival is said in both forms."""
    measured(report(absent={"opentelemetry": "opentelemetry is not installed"}, loading=70.0))
    path = tmp_path / "overhead.json"
    done = overhead("--format", "json", "-o", path)
    assert (done.exit_code, done.stdout) == (exits.GO, "")
    told = json.loads(path.read_text())
    assert told["schema"] == "phi-audit.bench.overhead/1"
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


def test_the_real_thing_measures_every_contender(phi_audit):
    """A short run with a real relay at work: all rows are there, the relay was busy, and ours is cheaper than either rival."""
    done = phi_audit("bench", "overhead", "--n", "100", "--seconds", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
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
    command = [sys.executable, "-m", "audit", "bench", "overhead", "--n", "100000", "--seconds", "60"]
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
