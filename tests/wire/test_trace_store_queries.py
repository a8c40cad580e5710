"""What the trace store answers: the filter language, pages, statistics, deletion, and the merge of posts and patches."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import urllib.error
import urllib.request
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.local.trace_store import LocalServer, TraceStore, ingest
from tracing.local.trace_store.filters import matches, parse_filter
from tracing.local.trace_store.query import Query, matching
from tracing.local.trace_store.records import Batch, Run, Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.tallies import Ranked

BEGIN = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)


def at(seconds: float) -> str:
    return (BEGIN + dt.timedelta(seconds=seconds)).isoformat()


def run_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def post(number: int, *, seconds: float = 1.0, **fields) -> dict[str, object]:
    """A finished run that starts ``number`` seconds after `BEGIN`."""
    base = {"id": run_id(number), "name": f"run-{number}", "run_type": "chain", "session_name": "clinic"}
    return base | {"start_time": at(number), "end_time": at(number + seconds)} | fields


def ask(server: LocalServer, method: str, path: str, body: object = None, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, {"x-api-key": "k"} | headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def fill(store: TraceStore, runs) -> None:
    store.take(Batch(tuple(ingest.operation("post", run) for run in runs)))


@pytest.fixture
def store():
    opened = TraceStore()
    yield opened
    opened.close()


@pytest.fixture
def server():
    with LocalServer() as running:
        yield running


@pytest.fixture
def clinic(store):
    """Five runs of two traces, each different in what filters look at."""
    usage = {"usage_metadata": {"input_tokens": 7, "output_tokens": 3, "total_cost": 0.5}}
    root = post(1, seconds=9, name="voice_session", tags=["prod", "eu"], extra={"metadata": {"thread_id": "t-1", "a": "x", "b": "y"}})
    child = {"trace_id": run_id(1), "parent_run_id": run_id(1)}
    turn = post(2, seconds=6, name="agent_turn", run_type="llm", outputs=usage, extra={"metadata": {"a": "y", "turn": 7}}, **child)
    tool = post(3, seconds=0.2, name="tool.book", run_type="tool", inputs={"who": {"name": "Zoë"}, "n": 5}, error="LookupError", **child)
    other = post(4, name="voice_session", end_time=None)
    with_example = post(5, name="50%_x", trace_id=run_id(4), parent_run_id=run_id(4), reference_example_id=run_id(99))
    fill(store, [root, turn, tool, other, with_example])
    store.take(Batch(feedback=({"id": run_id(70), "run_id": run_id(2), "key": "ok", "score": 1.0},)))
    return store


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('eq(name, "voice_session")', {1, 4}),
        ('neq(name, "voice_session")', {2, 3, 5}),
        ('eq(run_type, "LLM")', {2}),
        ('eq(status, "pending")', {4}),
        ('in(status, ["error", "pending"])', {3, 4}),
        ("neq(error, null)", {3}),
        ("eq(error, true)", {3}),
        ("eq(is_root, true)", {1, 4}),
        ('gt(latency, "5s")', {1, 2}),
        ("gte(latency, 6)", {1, 2}),
        ('lt(latency, "500ms")', {3}),
        (f'gte(start_time, "{at(4)}")', {4, 5}),
        ('lt(start_time, "2026-03-01T09:00:02Z")', {1}),
        ('has(tags, "prod")', {1}),
        ('eq(tags, "eu")', {1}),
        ('neq(tags, "eu")', {2, 3, 4, 5}),
        ('eq(metadata_key, "a")', {1, 2}),
        ('eq(metadata_value, "y")', {1, 2}),
        ('and(eq(metadata_key, "a"), eq(metadata_value, "y"))', {2}),
        ("gt(metadata_value, 6)", {2}),
        ('eq(metadata_value, "7")', {2}),
        ('has(metadata, \'{"a": "x"}\')', {1}),
        ('and(eq(input_key, "who.name"), eq(input_value, "Zoë"))', {3}),
        ('and(eq(input_key, "n"), eq(input_value, "Zoë"))', set()),
        ('eq(output_key, "usage_metadata.total_cost")', {2}),
        ("eq(total_tokens, 10)", {2}),
        ("gt(total_cost, 0.4)", {2}),
        ('eq(thread_id, "t-1")', {1}),
        ('and(eq(feedback_key, "ok"), eq(feedback_score, 1))', {2}),
        ('and(eq(feedback_key, "bad"), eq(feedback_score, 1))', set()),
        ('search("zoë")', {3}),
        ('search(name, "TOOL")', {3}),
        ('like(name, "%session")', {1, 4}),
        ('like(name, "agent_turn")', {2}),
        ('not(or(eq(run_type, "chain"), eq(run_type, "tool")))', {2}),
        (f'eq(trace_id, "{run_id(4)}")', {4, 5}),
        (f'eq(reference_example_id, "{run_id(99)}")', {5}),
    ],
)
def test_filter_finds(clinic, text, found):
    """Each operator and field of the filter language, on runs that differ in it."""
    asked = Query(selection=Selection(), filters=(parse_filter(text),))
    assert {uuid.UUID(run.id).int for run in matching(clinic, asked)} == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "eq",
        "eq(",
        "eq(name)",
        'eq(nam, "x")',
        'eq(name, "x"',
        'eq(name, "x") eq',
        "gt(latency, soon)",
        'gt(latency, "soon")',
        'gt(start_time, "soon")',
        "in(name, 3)",
        "in(name, [1 2])",
        "not()",
        'frob(name, "x")',
        "eq(name, @)",
        'has(metadata, "{")',
        "and(" * 50,
    ],
)
def test_filter_refuses(text):
    """A filter that cannot be read is a 400 with a position, and does not repeat the text."""
    with pytest.raises(Refusal, match=r"^filter: position \d+: expected") as refused:
        parse_filter(text)
    assert refused.value.status == 400
    assert "soon" not in refused.value.detail.split("expected")[0]


@given(
    st.text(max_size=60) | st.from_regex(r"(and|eq|not|in)\((name|latency|[a-z]+), ?(\"[^\"]*\"|\[.*\]|-?[0-9.eE]{1,6})\)+", fullmatch=True)
)
def test_filter_never_fails_otherwise(text):
    """Any text is either a filter that runs or a refusal."""
    try:
        condition = parse_filter(text)
    except Refusal:
        return
    matches(
        condition, Run(run_id(1), None, run_id(1), None, 0, 1, {"name": "x", "inputs": {"a": [1, "x", None]}, "extra": {"metadata": None}})
    )


def test_trace_and_tree_filters_look_at_the_whole_trace(clinic):
    """`trace_filter` asks the root, `tree_filter` any run of the trace."""
    by_root = Query(selection=Selection(is_root=False), trace_filter=parse_filter('has(tags, "prod")'))
    by_tree = Query(selection=Selection(is_root=True), tree_filter=parse_filter("neq(error, null)"))
    assert {run.id for run in matching(clinic, by_root)} == {run_id(2), run_id(3)}
    assert [run.id for run in matching(clinic, by_tree)] == [run_id(1)]


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_v1_pages_give_each_run_once(server, order):
    """250 runs, many with the same start, come in pages of 100, 100 and 50, while new runs arrive."""
    fill(server.store, [post(n, start_time=at(n // 20)) for n in range(1, 251)])
    (project,) = server.store.projects()
    asked = {"session": [project.id], "limit": 100, "order": order, "select": ["id"]}
    sizes, ids, cursor = [], [], None
    while sizes == [] or cursor:
        _, answer = ask(server, "POST", "/runs/query", asked | ({"cursor": cursor} if cursor else {}))
        fill(server.store, [post(1000 + len(sizes), start_time=at(5000 if order == "desc" else -5000))])
        sizes.append(len(answer["runs"]))
        ids += [run["id"] for run in answer["runs"]]
        cursor = answer["cursors"]["next"]
    assert sizes == [100, 100, 50]
    assert set(ids) == {run_id(n) for n in range(1, 251)}
    assert {"id", "name", "run_type", "start_time"} <= answer["runs"][0].keys()
    assert "inputs" not in answer["runs"][0]


def test_v2_pages_hold_up_to_a_thousand(server):
    """A v2 page may hold 1000 runs and starts after the cursor."""
    fill(server.store, [post(n) for n in range(1, 1101)])
    (project,) = server.store.projects()
    asked = {"project_ids": [project.id], "min_start_time": at(0), "page_size": 1000}
    _, first = ask(server, "POST", "/api/v2/runs/query", asked)
    _, second = ask(server, "POST", "/api/v2/runs/query", asked | {"cursor": first["next_cursor"]})
    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (1000, 100, None)
    assert first["items"][0] == {"id": run_id(1100)}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/runs/query", {}, 400),
        ("/runs/query", {"session": [run_id(1)], "limit": 101}, 400),
        ("/runs/query", {"session": [run_id(1)], "limit": 0}, 400),
        ("/runs/query", {"session": ["clinic"]}, 422),
        ("/runs/query", {"session": [run_id(1)], "cursor": "soon"}, 400),
        ("/runs/query", {"session": [run_id(1)], "filter": "eq("}, 400),
        ("/runs/query", {"session": [run_id(1)], "start_time": "soon"}, 422),
        ("/runs/query", [], 422),
        ("/api/v2/runs/query", {}, 400),
        ("/api/v2/runs/query", {"project_ids": [run_id(1)], "page_size": 1001}, 400),
        ("/api/v2/runs/query", {"project_ids": [run_id(1)], "selects": ["name"]}, 400),
        ("/runs/delete", {"session_id": run_id(1), "trace_ids": []}, 422),
        ("/runs/delete", {"trace_ids": [run_id(1)]}, 422),
        ("/sessions", {"name": ""}, 422),
        ("/runs/stats", {"session": 3}, 422),
        ("/nowhere", {}, 404),
    ],
)
def test_bad_questions_are_refused(server, path, body, status):
    """A question hosted LangSmith refuses is refused here too, in JSON."""
    answered, answer = ask(server, "POST", path, body)
    assert (answered, list(answer)) == (status, ["detail"])


def test_statistics_interpolate():
    """p50 and p99 are interpolated between neighbours, as LangSmith's database does."""
    assert Ranked(4, [1, 2, 3, 4]).quantile(0.5) == 2.5
    assert Ranked(101, range(1, 102)).quantile(0.99) == 100.0
    assert Ranked(4, {2: 3, 3: 4}).quantile(0.99) == pytest.approx(3.97)
    assert Ranked().quantile(0.5) is None


def test_statistics_of_a_project(server):
    """Latency and errors come from root runs, tokens and first tokens from all; a filter narrows /runs/stats."""
    said = {"usage_metadata": {"input_tokens": 2, "output_tokens": 1}}
    for n in range(1, 5):
        first = [{"name": "new_token", "time": at(10 * n + 0.1 * n)}]
        root = post(10 * n, seconds=n, error="E" if n == 1 else None)
        turn = post(10 * n + 1, run_type="llm", start_time=at(10 * n), trace_id=run_id(10 * n), parent_run_id=run_id(10 * n))
        fill(server.store, [root, turn | {"outputs": said, "events": first}])
    _, (project,) = ask(server, "GET", "/sessions?include_stats=True&name=clinic")
    assert (project["run_count"], project["latency_p50"], project["error_rate"]) == (4, 2.5, 0.25)
    assert project["latency_p99"] == pytest.approx(3.97)
    assert (project["total_tokens"], project["first_token_p50"]) == (12, pytest.approx(0.25))
    _, llm = ask(server, "POST", "/runs/stats", {"session": [project["id"]], "filter": 'eq(run_type, "llm")'})
    assert (llm["run_count"], llm["error_rate"]) == (4, 0.0)


OPERATIONS = [
    (
        "post",
        {"name": "turn", "run_type": "llm", "session_name": "clinic", "inputs": {"a": 1}, "outputs": {}, "extra": {"metadata": {"v": 1}}},
    ),
    ("patch", {"end_time": at(3), "outputs": {"b": 2}, "inputs": None, "tags": None, "extra": {"metadata": {"v": 2}}}),
    ("patch", {"error": "E", "outputs": None}),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_post_and_patches_merge_in_any_order(store, order):
    """Whatever comes first, the run ends the same: patches win over the post, and null means not given."""
    for index in order:
        kind, fields = OPERATIONS[index]
        operation = ingest.operation(kind, {"id": run_id(7), "dotted_order": f"20260301T090001000000Z{run_id(7)}"} | fields)
        store.take(Batch((operation,)))
    run = store.run(run_id(7))
    assert (run.body["inputs"], run.body["outputs"], run.metadata) == ({"a": 1}, {"b": 2}, {"v": 2})
    assert (run.status, run.latency_s, run.started_us) == ("error", 2.0, int((BEGIN + dt.timedelta(seconds=1)).timestamp() * 1e6))
    assert store.projects()[0].id == run.project_id


def test_an_early_patch_finds_its_project_through_its_trace(store):
    """An update that came before its create, and names no project, is found in the project once its trace is known."""
    store.take(Batch((ingest.operation("patch", {"id": run_id(2), "trace_id": run_id(1), "outputs": {"a": 1}}),)))
    assert store.projects() == []
    fill(store, [post(1)])
    assert store.run(run_id(2)).project_id == store.projects()[0].id


def test_a_batch_is_stored_whole_or_not_at_all(server):
    """One run for a project that is not there refuses the batch, and its neighbours are not stored."""
    body = {"post": [post(1), post(2, session_id=run_id(50))]}
    assert ask(server, "POST", "/runs/batch", body)[0] == 404
    assert server.store.run(run_id(1)) is None
    assert server.store.projects() == []


def test_deleted_traces_are_gone_from_every_byte(tmp_path):
    """After a delete by trace and one by metadata no trace of the content is left in the file or its journal."""
    folder = tmp_path / "store"
    folder.mkdir()
    secret = "Quillon Vantressa"
    with LocalServer(folder / "t.db") as server:
        runs = [post(1, inputs={"who": secret}), post(2, trace_id=run_id(1), parent_run_id=run_id(1), error=secret)]
        runs += [post(3, extra={"metadata": {"leak": secret}}), post(4, inputs={"who": "kept"})]
        assert ask(server, "POST", "/runs/batch", {"post": runs})[0] == 202
        held = b"".join(file.read_bytes() for file in folder.iterdir())
        (project,) = server.store.projects()
        assert ask(server, "POST", "/runs/delete", {"session_id": project.id, "trace_ids": [run_id(1)]})[0] == 202
        assert ask(server, "POST", "/runs/delete", {"metadata": {"leak": secret, "other": 1}})[0] == 202
        left = [run.id for run in server.store.runs(Selection())]
        bytes_left = b"".join(file.read_bytes() for file in folder.iterdir())
        gone = ask(server, "GET", f"/runs/{run_id(1)}")
    assert (left, gone) == ([run_id(4)], (404, {"detail": "Run not found"}))
    assert secret.encode() in held
    assert secret.encode() not in bytes_left
    assert b"kept" in bytes_left


def test_traces_of_another_project_are_not_deleted(server):
    """A delete names its project; a trace elsewhere stays."""
    fill(server.store, [post(1), post(2, session_name="other")])
    other = next(one for one in server.store.projects() if one.name == "other")
    ask(server, "POST", "/runs/delete", {"session_id": other.id, "trace_ids": [run_id(1), run_id(2)]})
    assert [run.id for run in server.store.runs(Selection())] == [run_id(1)]
