"""What SQL finds is what each run, asked in Python, says of itself: on any filter, any runs, any selection; and so are the statistics."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracing.local.trace_store import TraceStore, ingest
from tracing.local.trace_store.conditions import condition_of
from tracing.local.trace_store.filters import Comparison, Logic, matches, parse_filter
from tracing.local.trace_store.query import Query, added_up, matching
from tracing.local.trace_store.records import Batch, Run, Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.stats import counted, run_stats

HOUR = 3_600_000_000
KELVIN = "\u212a"
TEXTS = ["a", "b", "7", "7.0", "true", "null", "nan", "", "Zoë", KELVIN, 'q"uote', "x" * 101, "\ud800", "clinic", "a.b", "A"]
NUMBERS = [0, 1, 7, 7.0, -1, 2.5, 2**41, 2**53 + 1, 10**20, 1e300]


def run_id(number: int) -> str:
    return str(uuid.UUID(int=number))


texts = st.sampled_from(TEXTS)
leaves = texts | st.sampled_from(NUMBERS) | st.booleans() | st.none()
objects = st.dictionaries(
    st.sampled_from(["a", "b", "a.b", "", "session_id", "thread_id"]), leaves | st.lists(leaves, max_size=2), max_size=3
)
holdable = st.sampled_from([one for one in TEXTS if one and one != "\ud800"])
usages = st.fixed_dictionaries(
    {},
    optional={"input_tokens": st.sampled_from(NUMBERS), "output_tokens": st.sampled_from(NUMBERS), "total_cost": st.sampled_from(NUMBERS)},
)
moments = st.integers(0, 3 * HOUR).map(
    lambda us: f"2026-03-01T{us // HOUR:02}:{us // 60_000_000 % 60:02}:{us // 1_000_000 % 60:02}.{us % 1_000_000:06}Z"
)


@st.composite
def runs(draw):
    """One run as it may arrive: any field may be missing, and metadata holds whatever JSON does."""
    number = draw(st.integers(1, 12))
    run = {"id": run_id(number), "name": draw(holdable), "run_type": draw(st.sampled_from(["chain", "LLM", "tool"]))}
    fields = {
        "session_name": st.sampled_from(["clinic", "other"]),
        "start_time": moments,
        "end_time": moments,
        "error": texts,
        "tags": st.lists(texts, max_size=2),
        "trace_id": st.integers(1, 4).map(run_id),
        "parent_run_id": st.integers(1, 4).map(run_id),
        "inputs": objects,
        "reference_example_id": texts | st.integers(),
        "events": moments.map(lambda moment: [{"name": "new_token", "time": moment}]),
    }
    for name, values in fields.items():
        if draw(st.booleans()):
            run[name] = draw(values)
    run["extra"] = {"metadata": draw(objects) | draw(st.just({}) | usages.map(lambda one: {"usage_metadata": one}))}
    return draw(st.sampled_from(["post", "post", "post", "patch"])), run


literals = (
    leaves.map(json.dumps)
    | moments.map(json.dumps)
    | st.sampled_from(['"1s"', "5", "0.5"])
    | st.integers(1, 12).map(lambda n: json.dumps(run_id(n)))
)
FIELDS = [
    "id",
    "trace_id",
    "parent_run_id",
    "name",
    "run_type",
    "status",
    "error",
    "is_root",
    "latency",
    "start_time",
    "end_time",
    "first_token_time",
    "tags",
    "thread_id",
    "reference_example_id",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_cost",
    "total_cost",
    "metadata_key",
    "metadata_value",
    "input_key",
    "input_value",
    "feedback_key",
    "feedback_score",
    "inputs",
]
comparisons = st.builds(
    "{}({}, {})".format, st.sampled_from(["eq", "eq", "neq", "gt", "gte", "lt", "lte", "has", "like"]), st.sampled_from(FIELDS), literals
)
typical = st.one_of(
    st.builds('{}(status, "{}")'.format, st.sampled_from(["eq", "neq"]), st.sampled_from(["error", "success", "pending"])),
    st.builds("{}(error, {})".format, st.sampled_from(["eq", "neq"]), st.sampled_from(["true", "false", "null"])),
    st.builds("{}(is_root, {})".format, st.sampled_from(["eq", "neq"]), st.sampled_from(["true", "false"])),
    st.builds(
        "and(eq(metadata_key, {}), {}(metadata_value, {}))".format, holdable.map(json.dumps), st.sampled_from(["eq", "neq", "gt"]), literals
    ),
    st.builds("has(metadata, {})".format, objects.map(json.dumps).map(json.dumps)),
    st.builds("in({}, [{}])".format, st.sampled_from(FIELDS), st.lists(literals, max_size=3).map(", ".join)),
    st.builds('{}(name, "{}")'.format, st.sampled_from(["eq", "neq", "like"]), st.sampled_from(["a", "b", "7"])),
    st.builds("{}(latency, {})".format, st.sampled_from(["gt", "lte"]), st.sampled_from(['"1h"', "0", '"20m"'])),
    st.builds("search({})".format, holdable.map(json.dumps)),
)
filters = st.recursive(
    comparisons | typical,
    lambda inner: (
        st.builds("{}({})".format, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3).map(", ".join))
        | inner.map("not({})".format)
    ),
    max_leaves=5,
)
selections = st.fixed_dictionaries(
    {},
    optional={
        "is_root": st.booleans(),
        "run_type": st.sampled_from(["llm", "chain"]),
        "has_error": st.booleans(),
        "trace_id": st.integers(1, 4).map(run_id),
        "parent_id": st.integers(1, 4).map(run_id),
        "from_us": st.integers(0, 3 * HOUR).map(lambda us: 1_772_323_200_000_000 + us),
        "to_us": st.integers(0, 3 * HOUR).map(lambda us: 1_772_323_200_000_000 + us),
    },
)


def parsed(text: str):
    try:
        return parse_filter(text)
    except Refusal:
        return None


def selected(run: Run, asked: Selection) -> bool:
    """The meaning of a selection, in Python."""
    return (
        (asked.project_ids is None or run.project_id in asked.project_ids)
        and asked.is_root in {None, run.is_root}
        and asked.run_type in {None, str(run.body.get("run_type") or "").lower()}
        and asked.has_error in {None, run.status == "error"}
        and asked.trace_id in {None, run.trace_id}
        and asked.parent_id in {None, run.parent_id}
        and (asked.from_us is None or run.started_us >= asked.from_us)
        and (asked.to_us is None or run.started_us <= asked.to_us)
    )


@given(st.lists(runs(), max_size=14), filters, selections, st.sampled_from(["none", "one", "all"]), st.booleans())
@settings(max_examples=150)
def test_sql_finds_what_python_finds(arrived, text, asked, of, newest_first):
    """Any runs, merged in any order; any filter; any selection: the same runs in the same order, and the same statistics."""
    condition = parsed(text)
    if condition is None:
        return
    store = TraceStore()
    try:
        for kind, run in arrived:
            store.take(Batch((ingest.operation(kind, run),)))
        written = [{"id": run_id(90 + n), "run_id": run["id"], "key": "a", "score": n} for n, (_, run) in enumerate(arrived[:2])]
        store.take(Batch(feedback=tuple(written)))
        ids = tuple(one.id for one in store.projects())
        selection = Selection(**asked, project_ids={"none": None, "one": ids[:1], "all": ids}[of])
        every = sorted(store.runs(Selection()), key=lambda run: (run.started_us, run.id), reverse=newest_first)
        wanted = [run for run in every if selected(run, selection) and matches(condition, run)]
        query = Query(selection=selection, filters=(condition,), newest_first=newest_first)
        assert list(matching(store, query)) == wanted
        for _ in range(2):  # the second time what was counted is read
            summed = added_up(store, query)
            if summed is not None:
                again = counted(wanted)
                assert (summed.runs, summed.errors, summed.last_us) == (again.runs, again.errors, again.last_us)
                assert summed.sums == pytest.approx(again.sums)
                for ours, theirs in ((summed.latencies, again.latencies), (summed.waits, again.waits)):
                    assert [ours.quantile(share) for share in (0.5, 0.99)] == [theirs.quantile(share) for share in (0.5, 0.99)]
                assert sorted(one["id"] for one in summed.feedback) == sorted(one["id"] for one in again.feedback)
    finally:
        store.close()


@given(st.lists(runs(), max_size=14), st.lists(st.integers(1, 12), max_size=6), selections)
@settings(max_examples=100)
def test_statistics_follow_every_change(arrived, gone, asked):
    """Counted hours do not outlive a change of their runs: an update, a late project, a delete."""
    asked = {name: value for name, value in asked.items() if name not in {"trace_id", "parent_id"}}
    store = TraceStore()
    try:
        for kind, run in arrived:
            store.take(Batch((ingest.operation(kind, run),)))
            for project in store.projects():
                run_stats(store, Query(selection=Selection(**asked, project_ids=(project.id,))))
        store.delete_runs(map(run_id, gone))
        for project in store.projects():
            selection = Selection(**asked, project_ids=(project.id,))
            wanted = counted(run for run in store.runs(Selection()) if selected(run, selection))
            found = store.totals(selection, condition_of(()))
            assert (found.runs, found.errors, found.last_us) == (wanted.runs, wanted.errors, wanted.last_us)
            assert found.sums == pytest.approx(wanted.sums)
            assert found.latencies.quantile(0.5) == wanted.latencies.quantile(0.5)
        assert store.rows("SELECT count(*) FROM mark_names WHERE number NOT IN (SELECT mark_no FROM marks)") == [(0,)]
        assert store.rows("SELECT count(*) FROM marks WHERE run_no NOT IN (SELECT number FROM runs)") == [(0,)]
    finally:
        store.close()


@pytest.fixture(scope="module")
def various():
    """A dozen runs, each different in what a filter may ask of."""
    opened, at = TraceStore(), "2026-03-01T0{}:00:00Z".format
    usage = {"usage_metadata": {"input_tokens": 7, "output_tokens": 2**41, "total_cost": 2.5}}
    given = [
        {"tags": ["a", "7"], "extra": {"metadata": {"a": "b", "thread_id": "a", "a.b": "Zoë"}}, "end_time": at(1)},
        {"trace_id": run_id(1), "parent_run_id": run_id(1), "run_type": "LLM", "outputs": usage, "end_time": at(2)},
        {"trace_id": run_id(1), "parent_run_id": run_id(1), "error": "a", "tags": ["b"], "end_time": at(3)},
        {"error": "", "extra": {"metadata": {"a": ["b", 7, True, None], "usage_metadata": {"total_tokens": 7}}}},
        {"extra": {"metadata": {"a": {"b": "7"}, "session_id": 7}}, "reference_example_id": "a", "inputs": {"a": "b"}, "end_time": at(0)},
        {"name": "b", "run_type": "tool", "events": [{"name": "new_token", "time": at(1)}], "reference_example_id": run_id(1)},
        {"extra": {"metadata": {"a": "x" * 101, "b": "nan", "conversation_id": "Zoë"}}, "tags": ["nan", KELVIN]},
        {"name": KELVIN, "extra": {"metadata": {"a": 7.0, "b": False}}, "end_time": at(5), "error": "\ud800"},
    ]
    for n, fields in enumerate(given, 1):
        run = {"id": run_id(n), "name": "a", "run_type": "chain", "session_name": "clinic", "start_time": at(n // 2)} | fields
        opened.take(Batch((ingest.operation("post", run),)))
    opened.take(Batch((ingest.operation("patch", {"id": run_id(9), "outputs": {"a": 1}}),)))
    opened.take(
        Batch(feedback=({"id": run_id(70), "run_id": run_id(2), "key": "a", "score": 1}, {"id": run_id(71), "run_id": None, "key": "b"}))
    )
    yield opened
    opened.close()


LITERALS = [
    *('"a"', '"b"', '"7"', "7", "7.0", "0", "true", "false", "null", '"Zoë"', '"chain"', '"error"', '"nan"', '"1h"', '"A"', "2.5"),
    *(json.dumps(KELVIN), json.dumps("x" * 101), json.dumps(run_id(1)), '"2026-03-01T01:00:00Z"', '["a", null]', "[true, 7]", "[]"),
    json.dumps('{"a": "b"}'),
]


@pytest.mark.parametrize("field", FIELDS)
def test_every_comparison_and_its_contrary(various, field):
    """Each comparator with each kind of value, and the same denied: SQL finds the runs that Python does."""
    every = list(various.runs(Selection()))
    told = 0
    for comparator in ("eq", "neq", "gt", "gte", "lt", "lte", "has", "in", "like"):
        for literal in LITERALS:
            texts = [f"{comparator}({field}, {literal})"]
            if field == "metadata_value":
                texts.append(f'and(eq(metadata_key, "a"), {comparator}(metadata_value, {literal}))')
            for text in texts:
                condition = parsed(text)
                if condition is None:
                    continue
                for asked in (condition, Logic("not", (condition,)), Logic("or", (condition, Comparison("eq", "name", "b")))):
                    query = Query(selection=Selection(), filters=(asked,))
                    assert list(matching(various, query)) == [run for run in every if matches(asked, run)], (text, asked)
                    told += condition_of((asked,)).exact
    assert told > 10 or field.startswith(("input", "feedback_score", "metadata_key"))


LEADS = """eq(name, "a") | eq(thread_id, "a") | not(eq(thread_id, "a")) | in(thread_id, ["a"]) | gt(latency, "1s") | eq(run_type, "llm")
    eq(run_type, "chain") | has(tags, "a") | eq(is_root, true) | neq(error, null) | eq(status, "error") | in(name, ["a", "b"])
    and(eq(metadata_key, "a"), eq(metadata_value, "b")) | and(eq(thread_id, "a"), eq(parent_run_id, "b")) | in(is_root, []) | in(name, [])
    and(eq(name, "a"), eq(name, "b")) | and(eq(run_type, "llm"), eq(run_type, "tool")) | and(eq(thread_id, "a"), has(tags, "b"))
    and(neq(error, null), eq(name, "a")) | and(has(tags, "a"), gt(latency, 0)) | and(gt(latency, 0), eq(error, true)) | in(tags, [])
    and(eq(is_root, true), in(latency, [])) | and(neq(error, null), in(end_time, [])) | and(eq(thread_id, "a"), in(total_cost, []))"""


@pytest.mark.parametrize("text", [one.strip() for line in LEADS.splitlines() for one in line.split("|")])
def test_every_lead_with_every_selection(various, text):
    """Whichever index a filter leads to, and whatever else is selected, SQLite can take it; the runs and their count are Python's."""
    condition = parse_filter(text)
    project = tuple(one.id for one in various.projects())
    every = sorted(various.runs(Selection()), key=lambda run: (run.started_us, run.id))
    parts = [
        {},
        {"is_root": True},
        {"is_root": False},
        {"has_error": True},
        {"has_error": False},
        {"run_type": "llm"},
        {"run_type": "tool"},
    ]
    parts += [{"parent_id": run_id(1)}, {"trace_id": run_id(1)}, {"ids": (run_id(1), run_id(3))}, {"has_error": True, "is_root": True}]
    for part in parts:
        for of in (None, project):
            selection = Selection(**part, project_ids=of)
            query = Query(selection=selection, filters=(condition,), newest_first=False)
            there = [run for run in every if selected(run, selection) and (not selection.ids or run.id in selection.ids)]
            wanted = [run for run in there if matches(condition, run)]
            assert list(matching(various, query)) == wanted, selection
            summed = added_up(various, query)
            assert summed is None or summed.runs == len(wanted)


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ('eq(name, "a")', True),
        ('and(eq(run_type, "llm"), neq(error, null), gt(latency, "5s"))', True),
        ('and(eq(metadata_key, "env"), eq(metadata_value, "dev"))', True),
        ('not(or(has(tags, "a"), eq(status, "pending")))', True),
        ('has(metadata, \'{"a": "b"}\')', False),
        ('search("a")', False),
        ('eq(input_key, "a")', False),
        ('not(search("a"))', False),
        ("and(" * 35 + 'eq(name, "a")' + ")" * 35, False),
        ("or(" + ", ".join(['eq(latency, "1s")'] * 900) + ")", False),
    ],
)
def test_what_sql_can_tell_alone(text, exact):
    """The filters a dashboard asks are answered by SQL alone; what SQLite could not parse is left to Python, and found."""
    condition = parse_filter(text)
    assert condition_of((condition,)).exact is exact
    store = TraceStore()
    store.take(Batch((ingest.operation("post", {"id": run_id(1), "name": "a", "run_type": "llm", "tags": ["a"]}),)))
    query = Query(selection=Selection(), filters=(condition,))
    (run,) = store.runs(Selection())
    assert list(matching(store, query)) == ([run] if matches(condition, run) else [])
    store.close()
