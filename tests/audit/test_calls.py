"""The index of calls: what it reads of runs, that the order of arrival is no matter, what it answers, and its file."""

from __future__ import annotations

import copy
import itertools
import json
import math
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import stores
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.calls import refreshing
from audit.calls.index import CallIndex, Choice
from audit.calls.records import Call
from audit.calls.table import IndexUnusable
from audit.manifest import Manifest
from audit.source import SourceError, Window
from audit.timeline import TTFT_EDGES, Watching
from phi_guard import facts
from phi_guard.runtime import RuntimeDirectoryError

END = stores.END
ALWAYS = Choice()


@pytest.fixture
def index(policy):
    with closing(CallIndex(policy=policy)) as made:
        yield made


def filled(policy, runs):
    made = CallIndex(policy=policy)
    for run in runs:
        made.add(run)
    return made


def everything(index):
    """All that an index answers about all calls, and the rows it stands on."""
    details = list(index.each(ALWAYS))
    whole = (
        [index.page(ALWAYS, order=order).calls for order in ("start", "duration", "ttft", "cost", "errors")],
        index.histogram("ttft_ms", ALWAYS), index.histogram("session_ms", ALWAYS), index.tools(ALWAYS), index.errors(ALWAYS),
        index.redactions(ALWAYS), index.rates(END - timedelta(days=60), END + timedelta(days=1), ALWAYS), index.projects(),
    )  # fmt: skip
    return details, whole


@pytest.fixture(scope="module")
def store():
    return [run for call in stores.invent(30) for run in call]


@pytest.fixture(scope="module")
def full(policy, store):
    with closing(filled(policy, store)) as made:
        yield made


def test_a_call(index, made):
    """A whole call as the tracer sends it: each row says what its span says, and nothing else."""
    for run in made.call(0):
        assert index.add(run)
    page = index.page(ALWAYS)
    assert (page.total, page.after, len(page.calls)) == (1, "", 1)
    call = page.calls[0]
    assert (call.trace_id, call.env, call.reason, call.error) == (made.run_id(0), "dev", "participant_disconnected", "")
    assert (call.user_turns, call.agent_turns, call.tools, call.tool_errors, call.errors) == (1, 1, 1, 0, 0)
    assert (call.ttft_p95_ms, call.ttft_max_ms, call.consent, call.agent_version) == (640.0, 640.0, "granted", "1.2.0")
    assert (call.offered, call.delivered, call.dropped, call.withheld) == (14, 12, 0, None)
    assert (call.redactions, call.failed, call.project) == ({"patient_name": 2, "unknown": 1}, False, "clinic-dev")
    detail = index.call(call.trace_id)
    assert detail.call == call
    user, agent = detail.turns
    assert (user.speaker, user.audio_ms, agent.speaker, agent.ttft_ms, agent.cost_usd) == ("user", 1200.5, "agent", 640.0, 0.012)
    (tool,) = detail.tools
    assert (tool.tool, tool.turn_id, tool.status, tool.failed) == ("tool.book_appointment", agent.run_id, "ok", False)
    assert index.call(made.run_id(999)) is None
    assert index.call("Ottilie Quarrendon") is None


def test_the_same_run_again_changes_nothing(index, made):
    """A run that says nothing new is told from one that does."""
    call = made.call(0)
    assert [index.add(run) for run in call] == [True] * 7
    assert [index.add(run) for run in call] == [False] * 7
    index.projects()  # what waited is written
    assert [index.add(run) for run in copy.deepcopy(call)] == [False] * 7
    call[0]["extra"]["metadata"]["turns"] = 3  # a key that is not read
    assert not index.add(call[0])
    call[0]["extra"]["metadata"]["cost_usd"] = 0.5
    assert index.add(call[0])
    assert index.call(made.run_id(0)).call.cost_usd == 0.5


def test_an_update_replaces_the_create(index, made):
    """A call that is going on has no end; its update gives it one, and a create that comes late takes nothing back."""
    root, *others = made.call(0)
    begun = copy.deepcopy(root)
    begun["end_time"] = None
    begun["extra"]["metadata"] = {"env": "dev", "room_sid": "RM_abcdef0000"}
    index.add(begun)
    for run in others[:-1]:
        index.add(run)
    waiting = index.call(made.run_id(0)).call
    assert (waiting.end, waiting.reason, waiting.duration_s) == (None, "", None)
    assert [call.trace_id for call in index.page(Choice(outcome="open")).calls] == [made.run_id(0)]
    assert index.add(root)
    assert not index.add(begun)
    assert index.call(made.run_id(0)).call.end is not None
    assert index.page(Choice(outcome="open")).total == 0
    assert index.page(Choice(outcome="ok")).total == 1


def test_a_lost_agent_that_speaks_again(index, made):
    """The end that was told for a lost agent counts as failed; its own end, though earlier, replaces it, whichever came first."""
    call = made.call(0)
    lost = copy.deepcopy(call[0])
    lost |= {"end_time": "2026-11-20T10:09:00.000000Z", "error": "RealtimeError: agent_lost"}
    lost["extra"]["metadata"]["reason"] = "agent_lost"
    index.add(lost)
    assert index.call(made.run_id(0)).call.failed
    window = (datetime(2026, 11, 20, 10, 9, tzinfo=UTC), datetime(2026, 11, 20, 10, 10, tzinfo=UTC), ALWAYS)
    assert (index.rates(*window).calls, index.rates(*window).failed) == (1, 1)
    assert index.rates(*window).worst["error_rate"] == (made.run_id(0),)
    for run in call:
        index.add(run)
    assert not index.add(lost)
    told = index.call(made.run_id(0)).call
    assert (told.failed, told.reason, told.error) == (False, "participant_disconnected", "")
    assert index.rates(*window).calls == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.randoms(use_true_random=False), cuts=st.sets(st.integers(0, 80), max_size=4))
def test_order_of_arrival_is_no_matter(policy, seed, cuts):
    """Creates, updates and repeats in any order, written in any portions, with queries between: the same answers."""
    runs = [run for call in stores.invent(4, 7) for run in call]
    begun = [{**run, "end_time": None, "extra": {"metadata": {"env": "dev"}}} for run in runs if run["name"] == "voice_session"]
    with closing(filled(policy, runs + begun)) as straight, closing(CallIndex(policy=policy)) as shuffled:
        arriving = runs + begun + runs[::3]
        seed.shuffle(arriving)
        for n, run in enumerate(arriving):
            shuffled.add(run)
            if n in cuts:
                shuffled.page(ALWAYS)
        assert everything(shuffled) == everything(straight)


def test_it_agrees_with_the_audits_own_measures(full, store):
    """What the charts of a report count out of the same runs, by code of its own, is what the index answers."""
    watching = Watching(frozenset(full.redactions(ALWAYS)))
    for run in store:
        watching.add(run, str(run["name"]))
    seen = watching.result()
    assert full.histogram("ttft_ms", ALWAYS) == seen.ttft_ms
    assert full.histogram("session_ms", ALWAYS) == seen.sessions_ms
    assert {name: n for name, (n, _) in full.tools(ALWAYS).items()} == seen.tools
    assert {name: failed for name, (_, failed) in full.tools(ALWAYS).items() if failed} == seen.tool_errors
    assert full.redactions(ALWAYS) == seen.redactions
    of_calls = full.histogram("cost_usd", ALWAYS)
    assert of_calls.n == 30
    assert of_calls.total == pytest.approx(seen.costs_usd.total, abs=1e-6)
    rates = full.rates(END - timedelta(days=30), END + timedelta(days=1), ALWAYS)
    assert (rates.turns, rates.ttft_p95_ms) == (seen.ttft_ms.n, seen.ttft_ms.p95)
    assert (rates.calls, rates.started, rates.cost_usd) == (30, 30, of_calls.total)
    assert (rates.tool_uses, rates.tool_failures) == (sum(seen.tools.values()), sum(seen.tool_errors.values()))
    assert full.errors(ALWAYS) == {"LookupError: tool_raised": 10}


@pytest.mark.parametrize("order", ["start", "duration", "ttft", "cost", "errors"])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_give_each_call_once_in_order(full, order, descending):
    """Page by page, every call comes once, and in the order asked for."""
    seen, after = [], ""
    for _ in range(20):
        page = full.page(ALWAYS, order=order, descending=descending, after=after, limit=7)
        assert page.total == 30
        seen += page.calls
        after = page.after
        if not after:
            break
    assert len(seen) == 30 == len({call.trace_id for call in seen})
    value = {
        "start": lambda c: c.start, "duration": lambda c: c.duration_s, "ttft": lambda c: c.ttft_p95_ms or -1.0,
        "cost": lambda c: c.cost_usd, "errors": lambda c: c.errors,
    }[order]  # fmt: skip
    assert [value(call) for call in seen] == sorted((value(call) for call in seen), reverse=descending)


@pytest.mark.parametrize("after", ["x", "start.d.1.2", "ttft.d.1.0.00000000-0000-0000-0000-000000000000", "' OR 1=1", "start.d.\ud800.x"])
def test_a_place_that_is_none_of_ours(full, after):
    """A cursor that somebody made up is refused; the message does not quote it."""
    with pytest.raises(ValueError, match="no place in that order") as caught:
        full.page(ALWAYS, after=after)
    assert after not in str(caught.value)


CHOICES = {
    "since": (Choice(since=END - timedelta(days=3)), lambda d: d.call.start >= END - timedelta(days=3)),
    "until": (Choice(until=END - timedelta(days=3)), lambda d: d.call.start < END - timedelta(days=3)),
    "project": (Choice(project=stores.PROJECT), lambda d: d.call.project == stores.PROJECT),
    "another project": (Choice(project="another"), lambda d: False),
    "env": (Choice(env="prod"), lambda d: d.call.env == "prod"),
    "ok": (Choice(outcome="ok"), lambda d: d.call.end is not None and not d.call.failed),
    "failed": (Choice(outcome="failed"), lambda d: d.call.failed),
    "tool failed": (Choice(outcome="tool_failed"), lambda d: any(tool.failed for tool in d.tools)),
    "no outcome we know": (Choice(outcome="'; DROP TABLE calls"), lambda d: False),
    "tool": (Choice(tool="tool.book_appointment"), lambda d: any(tool.tool == "tool.book_appointment" for tool in d.tools)),
    "slower": (Choice(slower_ms=400.0), lambda d: any((turn.ttft_ms or 0) > 400 for turn in d.turns)),
    "no trace": (Choice(trace="zz%"), lambda d: False),
    "several": (
        Choice(since=END - timedelta(days=5), env="dev", outcome="tool_failed", slower_ms=1.0),
        lambda d: d.call.start >= END - timedelta(days=5) and any(tool.failed for tool in d.tools) and bool(d.call.ttft_max_ms),
    ),
}


@pytest.mark.parametrize("which", CHOICES)
def test_a_choice(full, which):
    """Each choice gives the calls that a plain look at every call gives, in pages, one by one, and in every measure."""
    choice, meant = CHOICES[which]
    details = list(full.each(ALWAYS))
    wanted = [detail for detail in details if meant(detail)]
    assert which in {"another project", "env", "failed", "no outcome we know", "no trace"} or 0 < len(wanted) <= len(details)
    assert list(full.each(choice)) == wanted
    page = full.page(choice, descending=False, limit=100)
    assert (list(page.calls), page.total) == ([detail.call for detail in wanted], len(wanted))
    waits = [turn.ttft_ms for detail in wanted for turn in detail.turns if turn.ttft_ms is not None]
    seen = full.histogram("ttft_ms", choice)
    assert (seen.n, seen.total) == (len(waits), round(math.fsum(waits), 6))
    assert sum(n for n, _ in full.tools(choice).values()) == sum(len(detail.tools) for detail in wanted)
    assert sum(full.errors(choice).values()) == sum(detail.call.errors for detail in wanted)
    assert sum(full.redactions(choice).values()) == sum(sum(detail.call.redactions.values()) for detail in wanted)
    times = [tool.duration_ms for detail in wanted for tool in detail.tools if tool.tool == "tool.book_appointment"]
    assert full.histogram("tool_ms", choice, tool="tool.book_appointment").n == len(times)


def test_a_trace_by_its_beginning(full):
    """Some digits of a trace's id find it, in capitals too."""
    call = full.page(ALWAYS, limit=1).calls[0]
    assert full.page(Choice(trace=call.trace_id[:9].upper())).calls == (call,)
    assert full.page(Choice(trace=call.trace_id)).total == 1


def test_a_trend(full):
    """Each step holds the turns that began in it, steps begin at their multiples, and all of them come."""
    points = full.trend("ttft_ms", ALWAYS, step_s=86_400)
    assert sum(point.n for point in points) == full.histogram("ttft_ms", ALWAYS).n
    assert all((point.at.hour, point.at.minute) == (0, 0) for point in points)
    assert [point.at for point in points] == sorted({point.at for point in points})
    assert sum(point.failed for point in full.trend("tool_ms", ALWAYS, step_s=3_600)) == 10
    with pytest.raises(ValueError, match="step"):
        full.trend("ttft_ms", ALWAYS, step_s=0)


def test_percentiles_are_those_of_nearest_rank(index, made):
    """Twenty turns: the 95th percentile is the nineteenth; a histogram's bins hold their lower edge, the last what is above it."""
    values = [50.0, *(float(100 * n) for n in range(1, 19)), 99_999.0]
    for n, value in enumerate(values):
        index.add(made.span("agent_turn", 4, trace=n, metadata={"ttft_ms": value}))
    seen = index.histogram("ttft_ms", ALWAYS)
    assert (seen.n, seen.p50, seen.p95, seen.max) == (20, 900.0, 1_800.0, 99_999.0)
    assert (seen.counts[TTFT_EDGES.index(50.0)], seen.counts[-1], sum(seen.counts)) == (1, 1, 20)


def test_a_late_run_changes_its_own_window(index, made):
    """What arrives late counts in the window its time lies in, and in no other."""
    call = made.call(0)
    late = made.span("agent_turn", 9, metadata={"ttft_ms": 9_000.0}, start_time="2026-11-20T10:00:10Z", end_time="2026-11-20T10:00:12Z")
    for run in call:
        index.add(run)
    past = (datetime(2026, 11, 20, 10, 0, tzinfo=UTC), datetime(2026, 11, 20, 10, 1, tzinfo=UTC), ALWAYS)
    now = (datetime(2026, 11, 20, 12, 0, tzinfo=UTC), datetime(2026, 11, 20, 13, 0, tzinfo=UTC), ALWAYS)
    before = index.rates(*past), index.rates(*now)
    assert before[0].turns == 1
    index.add(late)
    assert index.rates(*past).turns == 2
    assert index.rates(*past).worst["ttft_p95"] == (made.run_id(0),)
    assert index.rates(*past).ttft_p95_ms == 9_000.0
    assert index.rates(*now) == before[1]


@pytest.mark.parametrize("n", [0, 1, 2, 19, 20, 21, 100, 301])
def test_the_rate_of_waits_is_the_same_percentile(policy, made, n):
    """The 95th percentile that alerts are judged by is the histogram's, however many turns there are; the slowest call comes first."""
    values = [float((7_919 * k) % 5_000) for k in range(n)]
    runs = [made.span("agent_turn", 4, trace=k, metadata={"ttft_ms": value}) for k, value in enumerate(values)]
    with closing(filled(policy, runs)) as index:
        rates = index.rates(END - timedelta(days=1), END, ALWAYS)
        assert (rates.turns, rates.ttft_p95_ms) == (n, index.histogram("ttft_ms", ALWAYS).p95)
        slowest = sorted(range(n), key=lambda k: -values[k])[:5]
        assert rates.worst["ttft_p95"] == tuple(made.run_id(1000 * k) for k in slowest)


def test_a_window_takes_its_beginning_and_leaves_its_end(index, made):
    """A call that ends at an edge is counted in one of two windows that touch."""
    for run in made.call(0):
        index.add(run)
    end = index.call(made.run_id(0)).call.end
    hour = timedelta(hours=1)
    assert index.rates(end - hour, end, ALWAYS).calls == 0
    assert index.rates(end, end + hour, ALWAYS).calls == 1
    assert index.rates(end, end + hour, Choice(env="prod")).calls == 0
    assert index.rates(end, end + hour, Choice(project="another")).calls == 0


def test_costs_that_are_not_known(index, made):
    """A call without a known cost is counted beside the sum, never as free."""
    known, unknown, partly = made.call(0), made.call(1), made.call(2)
    known[0]["extra"]["metadata"]["cost_usd"] = 0.25
    partly[0]["extra"]["metadata"] |= {"cost_usd": 0.5, "cost_unknown": True}
    for run in known + unknown + partly:
        index.add(run)
    rates = index.rates(END - timedelta(days=1), END, ALWAYS)
    assert (rates.started, rates.cost_usd, rates.cost_unknown) == (3, 0.75, 2)


NAME = stores.NAME
HOSTILE = (
    NAME, "Ottilie", "ottilie", f"tool.{NAME}", "tool.ottilie_quarrendon", "Ottilie-Quarrendon", f"KeyError: {NAME}", "\ud800", "", "\x00",
    -1, 10**400, 41795550144, float("nan"), float("inf"), -0.5, True, None, [], [NAME], {}, {NAME: NAME}, {"metadata": NAME},
    {"metadata": {"env": NAME, "redactions": {NAME: 3}, "cost_usd": float("nan"), "ttft_ms": 10**400}}, "1961-03-12T00:00:00Z",
    "2026-11-20T10:00:00.000000Z", "9999-12-31T23:59:59Z", b"bytes", object,
)  # fmt: skip
PLACES = ("id", "trace_id", "parent_run_id", "name", "run_type", "start_time", "end_time", "session_name", "error", "extra")


def held(index):
    """Every value in every table of an index, as text."""
    tables = [name for (name,) in index._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = [row for table in tables for row in index._db.execute(f"SELECT * FROM {table}")]
    return "\n".join(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for row in rows for value in row)


def test_hostile_runs_leave_nothing_and_raise_nothing(index, made):
    """Wrong types, huge numbers, half characters and names in every place and every metadata key: no row holds any of it."""
    template = [run for call in stores.recorded() for run in call]
    keys = sorted({key for run in template for key in run["extra"]["metadata"]} | {"withheld", "consent", "handoff", "spans_dropped"})
    for n, (run, value) in enumerate(itertools.product(template, HOSTILE)):
        for place in PLACES:
            one = copy.deepcopy(run)
            one[place] = value
            index.add(one)
        one = copy.deepcopy(run)
        one["trace_id"] = made.run_id(n)
        one["extra"]["metadata"] = dict.fromkeys(keys, value)
        index.add(one)
    details = list(index.each(ALWAYS))
    text = held(index) + repr(details)
    for hidden in ("Ottilie", "ottilie", "Quarrendon", "quarrendon", "41795550144", "1961", "\ud800", "nan", "inf\n"):
        assert hidden not in text, hidden
    everything(index)
    assert details


def test_a_name_for_a_tool_or_a_field_that_the_policy_does_not_have(index, made):
    """A tool nobody named is counted as unknown, and so are redactions of fields nobody named."""
    index.add(made.span("tool.ottilie_quarrendon", 5, metadata={"status": "error"}))
    index.add(made.span("policy.guardrail", 2, metadata={"redactions": {"ottilie": 2, "patient_name": 1}}))
    index.add(made.span("ottilie", 7, run_type="tool"))
    detail = index.call(made.run_id(0))
    assert [tool.tool for tool in detail.tools] == ["tool.unknown", "tool.unknown"]
    assert detail.call.redactions == {"patient_name": 1, "unknown": 2}
    assert index.tools(ALWAYS) == {"tool.unknown": (2, 1)}


def test_an_error_that_is_not_typed_is_an_error(index, made):
    """Free text of an error is left out; that there was one is not."""
    call = made.call(0)
    call[0]["error"] = f"KeyError: {NAME}"
    call[5]["error"] = NAME
    for run in call:
        index.add(run)
    told = index.call(made.run_id(0))
    assert (told.call.error, told.call.failed, told.call.errors) == ("UnknownError: session_error", True, 2)
    assert told.tools[0].error == "UnknownError: tool_raised"
    assert index.errors(ALWAYS) == {"UnknownError: session_error": 1, "UnknownError: tool_raised": 1}


def test_what_a_row_says_the_gate_lets_through(full):
    """Every closed value of the rows has the shape that an export's row must have."""
    for detail in full.each(ALWAYS):
        call = detail.call
        for key in ("trace_id", "project", "env", "reason", "consent", "policy_digest", "user_turns", "tools", "errors", "offered"):
            value = getattr(call, key)
            assert value in (None, "") or facts.ROW[key].fits(value), key


def test_runs_of_other_things_make_no_call(index, made):
    """A trace without a span of ours is no call; it comes to be one with the first."""
    index.add(made.span("ChatOpenAI", 1, run_type="llm"))
    assert index.page(ALWAYS).total == 0
    index.add(made.span("user_turn", 2))
    assert index.page(ALWAYS).total == 1


class Poll:
    """A live source that keeps what it was asked for; it gives the runs that began in the window."""

    live, place = True, "LangSmith at clinic.test"

    def __init__(self, runs, window, asked, project=""):
        self._runs, self._window, self._asked, self._project = runs, window, asked, project

    def manifest(self):
        return Manifest(query={"project": self._project})

    def runs(self):
        self._asked.append(self._window)
        edges = (self._window.since.isoformat(), self._window.until.isoformat())
        for run in self._runs:
            if isinstance(run, Exception):
                raise run
            if edges[0] <= run["start_time"].replace("Z", "+00:00") < edges[1]:
                yield run

    def pieces(self):
        raise NotImplementedError


def test_a_poll_reads_what_is_new(index, made):
    """First everything, then since the last reading less the overlap, and everything again after a day, or to reach further back."""
    asked, now = [], made.NOW
    runs = made.call(0)

    def poll(at, back=timedelta(days=7)):
        return refreshing.bring_up_to_date(index, lambda window: Poll(runs, window, asked), at, back)

    assert index.refreshed is None
    assert poll(now) == 7
    assert poll(now + timedelta(minutes=10)) == 0
    runs += made.call(1)  # began at ten; the overlap reaches to ten past
    assert poll(now + timedelta(minutes=11)) == 0
    assert poll(now - timedelta(minutes=1)) == 7  # a clock that was set back reads more, not less
    poll(now + timedelta(days=1))
    poll(now + timedelta(days=1, minutes=2), timedelta(days=30))
    poll(now + timedelta(days=1, minutes=3), timedelta(days=30))
    lengths = [window.until - window.since for window in asked]
    week, hours, minute = timedelta(days=7), timedelta(hours=2), timedelta(minutes=1)
    assert lengths == [week, hours + 10 * minute, hours + minute, week, week, timedelta(days=30), hours + minute]
    assert index.refreshed == now + timedelta(days=1, minutes=3)


def test_what_was_deleted_at_the_source_is_forgotten(index, made):
    """A reading of all there is drops the calls that are gone; one of a part, or one that breaks off, drops nothing."""
    asked, runs = [], [*made.call(0), *made.call(1), *made.call(2)]

    def poll(at):
        return refreshing.bring_up_to_date(index, lambda window: Poll(runs, window, asked), at, timedelta(days=7))

    poll(made.NOW)
    gone = runs[0]["trace_id"]
    runs[:] = [run for run in runs if run["trace_id"] != gone]
    poll(made.NOW + timedelta(minutes=1))
    assert index.page(ALWAYS).total == 3
    runs.append(SourceError("unreachable", "no"))
    with pytest.raises(SourceError):
        poll(made.NOW + timedelta(days=1))
    assert index.page(ALWAYS).total == 3
    runs.pop()
    poll(made.NOW + timedelta(days=1))
    assert index.page(ALWAYS).total == 2
    assert everything(index) == everything(filled(None, runs))
    assert index.add(made.call(0)[0])  # one that comes after all is taken in again
    runs.clear()
    poll(made.NOW + timedelta(days=2))
    assert index.page(ALWAYS).total == 0


def test_what_is_no_call_is_forgotten_too(policy, made, tmp_path):
    """Runs of other things, which make no call, leave nothing behind once their trace is deleted; and none of another project's."""
    path, since = tmp_path / "calls.db", made.NOW - timedelta(days=7)
    other = [made.span("ChatOpenAI", 1, trace=n, run_type="llm") for n in (1, 2, 3)]
    other[1]["start_time"] = None
    theirs = made.span("ChatOpenAI", 1, trace=4, run_type="llm", session_name="clinic-prod")
    becomes = [made.span("ChatOpenAI", 1, trace=5, run_type="llm"), made.span("user_turn", 2, trace=5)]
    poll = {"now": made.NOW, "since": since}
    with closing(CallIndex(path, policy=policy)) as index:

        def held():
            with closing(sqlite3.connect(path)) as db:
                (parts,), (strays,) = (db.execute(f"SELECT count(DISTINCT trace) FROM {name}").fetchone() for name in ("parts", "strays"))
            return parts, strays

        assert index.add(other[1])  # one that no source shows by its time
        index.refresh(Poll([other[0], other[2], theirs, becomes[0]], Window(since, made.NOW), [], "clinic-dev"), now=made.NOW)
        index.refresh(Poll([becomes[1]], Window(since, made.NOW), [], "clinic-dev"), now=made.NOW)
        assert held() == (5, 4)
        assert index.page(ALWAYS).total == 1
        index.refresh(Poll([other[2], *becomes], Window(since, made.NOW), [], "clinic-dev"), **poll)
        assert held() == (3, 2)
        index.refresh(Poll([], Window(since, made.NOW), [], "clinic-dev"), **poll)
        assert held() == (1, 1)
        index.refresh(Poll([], Window(since, made.NOW), [], "clinic-prod"), **poll)
        assert held() == (0, 0)


def test_what_is_over_is_dropped_and_nothing_else(index, made):
    """A call that ended before the instant goes with all its rows; one that was still going on then stays, as does one without an end."""
    at = datetime(2026, 11, 20, 10, 5, tzinfo=UTC)
    before = made.call(0)
    across = made.call(1)
    across[0]["end_time"] = "2026-11-20T10:05:00.000000Z"
    after = [made.span("voice_session", 0, trace=2, minute=5, end_time=None)]
    lost = [made.span("voice_session", 0, trace=3, end_time=None)]
    stray = made.span("ChatOpenAI", 1, trace=4, run_type="llm")
    for run in (*before, *across, *after, *lost, stray):
        index.add(run)
    assert index.drop_before(at) == 3
    assert {call.trace_id for call in index.page(ALWAYS).calls} == {made.run_id(1000), made.run_id(2000)}
    assert everything(index) == everything(filled(None, [*across, *after]))
    assert index.drop_before(at) == 0


def test_another_project_s_calls_stay(index, made):
    """What is read of one project says nothing of another's."""
    since = made.NOW - timedelta(days=7)
    for name, n in (("one", 0), ("two", 1)):
        runs = [{**run, "session_name": name} for run in made.call(n)]
        index.refresh(Poll(runs, Window(since, made.NOW), [], name), now=made.NOW, since=since)
    assert index.projects() == ("one", "two")
    index.refresh(Poll([], Window(since, made.NOW), [], "one"), now=made.NOW, since=since)
    assert index.projects() == ("two",)


def test_a_source_that_breaks_off(index, made):
    """What came is kept, the fault is told, and the next poll reads the same again."""
    asked, runs = [], [*made.call(0)[:3], SourceError("unreachable", "no"), *made.call(0)[3:]]

    def poll():
        return refreshing.bring_up_to_date(index, lambda window: Poll(runs, window, asked), made.NOW, timedelta(days=7))

    with pytest.raises(SourceError):
        poll()
    assert index.refreshed is None
    assert index.page(ALWAYS).total == 1
    del runs[3]
    assert poll() == 4
    assert [window.until - window.since for window in asked] == [timedelta(days=7)] * 2
    assert index.refreshed == made.NOW


def test_the_project_that_was_asked_for(index, made):
    """LangSmith's rows do not name their project: it is the one that was asked for."""
    runs = [{k: v for k, v in run.items() if k != "session_name"} for run in made.call(0)]
    index.refresh(Poll(runs, Window(made.NOW - timedelta(days=7), made.NOW), [], "Byron"), now=made.NOW)
    assert index.projects() == ("Byron",)


def test_its_file(tmp_path, policy, made):
    """Only its owner can read it; what was written is there for the next, and for another process meanwhile."""
    path = tmp_path / "calls.db"
    writer = CallIndex(path, policy=policy)
    for run in made.call(0):
        writer.add(run)
    writer.remember("refreshed", made.NOW)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("calls.db*")} == {0o600}
    told = "import sys; from pathlib import Path; from audit.calls.index import *; print(CallIndex(Path(sys.argv[1])).page(Choice()).total)"
    other = subprocess.run([sys.executable, "-c", told, str(path)], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout == "1\n"
    writer.close()
    with closing(CallIndex(path, policy=policy)) as again:
        assert (again.page(ALWAYS).total, again.refreshed) == (1, made.NOW)


def spoilt_pages(path):
    data = bytearray(path.read_bytes())
    data[4_096:] = b"\xff" * (len(data) - 4_096)
    path.write_bytes(data)


def another_version(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")


def another_database(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE patients (name)")
        db.commit()


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"no database" * 999), spoilt_pages, another_version, another_database],
                         ids=["no database", "spoilt pages", "another version", "another database"])  # fmt: skip
def test_a_file_that_cannot_be_used_is_put_aside(tmp_path, policy, made, spoil):
    """It is only an index: a damaged one, or another version's, is kept beside and begun anew."""
    path = tmp_path / "calls.db"
    with closing(CallIndex(path, policy=policy)) as index:
        for run in made.call(0):
            index.add(run)
    spoil(path)
    before = path.read_bytes()
    with closing(CallIndex(path, policy=policy)) as index:
        assert index.page(ALWAYS).total == 0
        assert index.add(made.call(0)[0])
    assert (tmp_path / "calls.db.aside").read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_path_that_cannot_be_used(tmp_path):
    """A folder that is not there, or a link, is refused in words."""
    with pytest.raises(IndexUnusable, match="cannot be used as an index"):
        CallIndex(tmp_path / "none" / "calls.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "other.db")
    with pytest.raises(RuntimeDirectoryError, match="is a link"):
        CallIndex(tmp_path / "link.db")


def test_a_closed_index_says_so(policy):
    """What is asked of it afterwards is a fault in words."""
    index = CallIndex(policy=policy)
    index.close()
    with pytest.raises(IndexUnusable, match="cannot be read or written"):
        index.page(ALWAYS)


def test_a_full_disk(tmp_path, policy, store):
    """Where no more can be written the fault is told, what was there is still answered, and nothing is there by half."""
    path = tmp_path / "calls.db"
    with closing(CallIndex(path, policy=policy)) as index:
        for run in store[:20]:
            index.add(run)
        before = index.page(ALWAYS).total
        (pages,) = index._db.execute("PRAGMA page_count").fetchone()
        index._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        for run in store[20:]:
            index.add(run)
        with pytest.raises(IndexUnusable, match="SQLITE_FULL"):
            index.page(ALWAYS)
        with closing(CallIndex(path, policy=policy)) as reader:
            assert reader.page(ALWAYS).total == before
        index._db.execute("PRAGMA max_page_count = 1000000")
        assert index.page(ALWAYS).total == 30


def test_threads(policy, store):
    """Several threads add and ask at once; in the end it is as if one had."""
    with closing(CallIndex(policy=policy)) as index, closing(filled(policy, store)) as straight:
        faults = []

        def work(k):
            try:
                for n, run in enumerate(store[k::4]):
                    index.add(run)
                    if n % 20 == k:
                        index.page(ALWAYS)
                        index.rates(END - timedelta(days=9), END, ALWAYS)
            except Exception as fault:  # noqa: BLE001  # whatever it is, it is told below
                faults.append(fault)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert everything(index) == everything(straight)


def test_two_processes_write_the_same_file(tmp_path, policy, store):
    """A dashboard and the alerts may share an index: both write, neither fails, nothing is lost."""
    path = tmp_path / "calls.db"
    lines = tmp_path / "runs.jsonl"
    lines.write_text("".join(json.dumps(run) + "\n" for run in store), encoding="utf-8")
    code = (
        "import json, sys; from pathlib import Path; from audit.calls.index import *; i = CallIndex(Path(sys.argv[1]))\n"
        "for n, line in enumerate(open(sys.argv[2])):\n    i.add(json.loads(line))\n    n % 10 or i.page(Choice())\ni.close()"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(path), str(lines)]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    with closing(CallIndex(path, policy=policy)) as index, closing(filled(policy, store)) as straight:
        assert everything(index) == everything(straight)


def test_two_that_write_at_once_keep_what_says_more(tmp_path, policy, made):
    """One still holds a call's beginning in memory when another writes its end: the end stays."""
    path = tmp_path / "calls.db"
    call = made.call(0)
    begun = {**call[0], "end_time": None, "extra": {"metadata": {"env": "dev"}}}
    with closing(CallIndex(path, policy=policy)) as slow, closing(CallIndex(path, policy=policy)) as quick:
        assert slow.add(begun)
        for run in call:
            quick.add(run)
        assert quick.call(made.run_id(0)).call.end is not None
        assert slow.call(made.run_id(0)) == quick.call(made.run_id(0))
        assert slow.page(Choice(outcome="open")).total == 0


def test_a_call_stands_for_itself():
    """A call with no facts is open, not failed, and has no length."""
    call = Call("0192f000-0000-7000-8000-000000000001")
    assert (call.failed, call.duration_s) == (False, None)
    assert replace(call, reason="agent_lost").failed
