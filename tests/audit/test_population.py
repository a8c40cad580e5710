"""What was audited: whole and broken traces, edges of the window, and the counts the gates rest on."""

from __future__ import annotations

import random
import resource
import sqlite3
import tracemalloc
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.manifest import Manifest, TraceFacts
from audit.population import Counting
from audit.tables import temporary
from audit.timeline import Watching


def counted(*calls, live=False, since=None, until=None):
    counting = Counting()
    for call in calls:
        for run in call:
            counting.add(run, str(run["name"]))
    return counting.result(live=live, since=since, until=until)


def without(call, name):
    return [run for run in call if run["name"] != name]


def test_whole_calls(made):
    """Two whole calls: nothing is missing, and the sums are theirs."""
    population = counted(made.call(0), made.call(1))
    assert (population.traces, population.runs, population.broken) == (2, 14, 0)
    assert (population.offered, population.lost, population.cost_usd) == (28, 0, 0.024)


@pytest.mark.parametrize(
    "name", ["session.start", "policy.guardrail", "agent_turn", "session.end", "voice_session", "tool.book_appointment"]
)
def test_a_missing_span_breaks_a_trace(made, name):
    """A trace that lacks any of its parts is broken, and by what."""
    population = counted(made.call(0), without(made.call(1), name))
    lacks = {"voice_session": "root", "tool.book_appointment": "a tool span"}.get(name, name)
    assert population.broken == 1
    assert population.incomplete[lacks] == 1


def test_a_run_whose_parent_is_not_there(made):
    """A run that hangs under one which nobody read shows that not all was read."""
    call = made.call(0)
    call[3]["parent_run_id"] = made.run_id(999)
    assert counted(call).incomplete == {"a parent run": 1}


def test_two_traces_of_one_room(made):
    """Two traces that name one room are not one trace per call."""
    first, second = made.call(0), made.call(1)
    second[0]["extra"]["metadata"]["room_sid"] = first[0]["extra"]["metadata"]["room_sid"]
    assert counted(first, second).shared_rooms == 1


def test_order_and_repetition_change_nothing(made):
    """Rows may come in any order and twice: the population is the same, and the repeats are counted."""
    call = made.call(0)
    forward, backward = counted(call), counted(call[::-1], call)
    assert backward.repeated == 7
    assert (forward.digest, forward.runs, forward.cost_usd) == (backward.digest, backward.runs, backward.cost_usd)


def test_edges_of_the_window(made):
    """A call still going on, and one cut by the window's beginning, are told apart from broken ones; in a file nothing goes on."""
    start = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    going_on = without(made.call(0), "session.end")
    late = counted(going_on, live=True, since=start - timedelta(days=7), until=start + timedelta(minutes=5))
    assert (late.open, late.broken) == (1, 0)
    assert counted(going_on, live=True, until=start + timedelta(days=1)).broken == 1
    assert counted(going_on, until=start + timedelta(minutes=5)).broken == 1
    cut = without(without(made.call(0), "voice_session"), "session.start")
    assert counted(cut, live=True, since=start - timedelta(minutes=1), until=start + timedelta(days=1)).cut == 1


def test_errors_must_be_typed(made):
    """An error counts as typed only with class and code, in the error and in the metadata."""
    typed, bare, raw = made.call(0), made.call(1), made.call(2)
    for call in (typed, bare):
        call[5]["error"] = "KeyError: tool_raised"
    typed[5]["extra"]["metadata"] |= {"error_type": "KeyError", "error_message": "tool_raised"}
    raw[5]["error"] = "KeyError: no such patient"
    population = counted(typed, bare, raw)
    assert (population.errors, population.untyped) == (3, 2)


def all_of(runs, db=None):
    """Everything that is told of runs: population, digest, traces, timeline."""
    counting, watching = Counting(db), Watching(frozenset({"patient_name"}), db)
    for run in runs:
        if counting.add(run, str(run["name"]), f"digest of {run['id']}".encode()):
            watching.add(run, str(run["name"]))
    return told(counting, watching)


def told(counting, watching):
    population = replace(counting.result(live=False), repeated=0)
    return population, counting.runs_digest(), tuple(counting.traces()), watching.result()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), calls=st.integers(1, 5), odd=st.lists(st.text(max_size=4), max_size=3))
def test_any_order_and_any_repetition_give_the_same(made, seed, calls, odd):
    """Runs of whole, torn and odd traces, shuffled and repeated: all that is told of them is the same to the last digit."""
    draw = random.Random(seed)
    runs = [run for n in range(calls) for run in made.call(n, ttft=draw.uniform(0, 20_000)) if draw.random() < 0.9]
    for run in runs:
        run["extra"]["metadata"]["cost_usd"] = draw.uniform(0, 1)
    runs += [{"id": text, "name": "?", "error": text, "parent_run_id": draw.choice(odd)} for text in dict.fromkeys(odd)]
    again = runs + draw.choices(runs, k=5) if runs else []
    draw.shuffle(again)
    assert all_of(again) == all_of(runs)


def test_costs_are_summed_exactly(made):
    """Cents that vanish beside a large sum, one by one, do not vanish together: the sum is rounded once, whatever came first."""
    runs = [made.span("agent_turn", n, metadata={"cost_usd": cost}) for n, cost in enumerate([1e9] + [3e-8] * 50)]
    assert counted(runs).cost_usd == counted(runs[::-1]).cost_usd == round(1e9 + 1.5e-6, 6)


def test_traces_as_a_sample_is_drawn_from_them(made):
    """Tools, outcome, version and environment of each trace out of closed lists, sorted by id; findings are those given."""
    plain, failed, going_on, strange, bare = (made.call(n) for n in range(5))
    failed[5]["error"] = "KeyError: 'Ada Byron'"
    going_on[0]["extra"]["metadata"].pop("reason")
    going_on = without(going_on, "session.end")
    strange[5] |= {"name": "tool.unknown"}
    strange[6]["extra"]["metadata"] |= {"reason": "Ada Byron", "env": "Ada"}
    strange[0]["extra"]["metadata"] |= {"reason": "Ada Byron", "agent_version": "Ada Byron"}
    bare = without(without(bare, "tool.book_appointment"), "session.end")
    bare[0]["extra"]["metadata"]["reason"] = "error"
    counting = Counting()
    for call in (bare, strange, going_on, failed, plain):
        for run in call:
            counting.add(run, str(run["name"]))
    book, at = "book_appointment", [made.run_id(n * 1000) for n in range(5)]
    assert list(counting.traces({at[1]: 3})) == [
        TraceFacts(at[0], book, "participant_disconnected", "1.2.0", "dev", 7),
        TraceFacts(at[1], book, "error", "1.2.0", "dev", 7, 3),
        TraceFacts(at[2], book, "open", "1.2.0", "dev", 6),
        TraceFacts(at[3], "?", "unknown", "?", "dev", 7),
        TraceFacts(at[4], "none", "error", "1.2.0", "dev", 5),
    ]


def test_several_tools_and_several_versions(made):
    """Tools are named once each and sorted; a trace of two versions has none."""
    call = made.call(0)
    call += [made.span(f"tool.{name}", 10 + n) for n, name in enumerate(("cancel", "book_appointment", "unknown"))]
    call[1]["extra"]["metadata"]["agent_version"] = "1.3.0"
    counting = Counting()
    for run in call:
        counting.add(run, str(run["name"]))
    (facts,) = counting.traces()
    assert (facts.tools, facts.version) == ("?+book_appointment+cancel", "?")


def test_what_is_kept_in_a_file_is_gone_on_with(tmp_path, made):
    """Two readings on one file, with a portion rolled back between them, are as one; nothing is committed behind the caller's back."""
    runs = [run for n in range(4) for run in made.call(n)]
    path = tmp_path / "scan.sqlite3"
    for part, kept in ((runs[:10], True), (runs[10:20], False), (runs[10:], True)):
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN")
            all_of(part, db)
            assert db.in_transaction
            db.execute("COMMIT" if kept else "ROLLBACK")
    with closing(sqlite3.connect(path)) as db:
        counting = Counting(db)
        assert told(counting, Watching(frozenset({"patient_name"}), db)) == all_of(runs)
        assert (counting.known(runs[0]["id"]), counting.known(made.run_id(999))) == (True, False)


def test_no_value_of_a_trace_is_kept(tmp_path, made):
    """What is kept are ids, closed names and numbers: a value in any other place is not in the file."""
    call = made.call(0)
    for run in call:
        run["extra"]["metadata"] |= dict.fromkeys(
            ("room_sid", "policy_digest", "reason", "agent_version", "env", "redactions"), "Ada Byron"
        )
        run |= {
            "error": "Ada Byron",
            "inputs": {"Ada Byron": 1},
            "start_time": "Ada Byron",
            "run_type": "Ada Byron",
            "attachments": ["Ada Byron"],
        }
    call[2]["extra"]["metadata"]["redactions"] = {"Ada Byron": 2}
    path = tmp_path / "scan.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        all_of(call, db)
        db.commit()
    assert b"voice_session" in path.read_bytes()
    assert b"Byron" not in path.read_bytes()


def test_the_manifest_is_completed(made):
    """The runs' digest changes with any run or its content, and runs with attachments are counted once."""
    call = made.call(0)
    call[2]["attachments"] = ["attachment.voice.wav"]
    one, other = Counting(), Counting()
    for run in [*call, call[2]]:
        one.add(run, "?", b"1")
        other.add(run, "?", b"2" if run is call[3] else b"1")
    manifest = one.complete(Manifest(host="h"))
    assert (manifest.host, manifest.attached, len(manifest.runs_digest)) == ("h", 1, 32)
    assert other.runs_digest() != manifest.runs_digest


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_what_is_kept_lies_on_the_disk():
    """A hundred megabytes in the temporary file do not make the process larger by a quarter of that."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    with closing(temporary()) as db:
        db.execute("CREATE TABLE held (content BLOB)")
        before = resident()
        for _ in range(200):
            db.execute("INSERT INTO held VALUES (randomblob(500000))")
        assert db.execute("SELECT sum(length(content)) FROM held").fetchone() == (100_000_000,)
        assert resident() - before < 25_000_000


def test_memory_does_not_grow_with_the_traces(made):
    """Ten times the traces, no more memory: what grows lies on the disk."""
    peaks = []
    for calls in (200, 2_000):
        counting, watching = Counting(), Watching(frozenset())
        tracemalloc.start()
        try:
            for n in range(calls):
                for run in made.call(n):
                    counting.add(run, run["name"])
                    watching.add(run, run["name"])
            assert counting.result(live=False).traces == sum(1 for _ in counting.traces()) == calls
            assert watching.result().ttft_ms.n == calls
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
            counting.close()
            watching.close()
    assert peaks[1] < 2 * peaks[0], peaks
