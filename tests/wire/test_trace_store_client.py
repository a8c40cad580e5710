"""LangSmith's own client against the trace store: what its makers test of runs, projects, statistics, feedback, filters and paging."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections import Counter
from contextlib import closing
from decimal import Decimal

import pytest
from langsmith import Client, traceable, tracing_context, utils
from langsmith.run_helpers import get_current_run_tree, trace

from tracing.local.trace_store import LocalServer, ingest
from tracing.local.trace_store.records import Batch

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed after Jan 31, 2027.*")

BEGIN = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)


@pytest.fixture(scope="module")
def server():
    with LocalServer() as running:
        yield running


@pytest.fixture
def client(server):
    utils.get_env_var.cache_clear()
    failures = []
    opened = Client(api_url=server.url, api_key="key", tracing_error_callback=failures.append, omit_traced_runtime_info=True)
    yield opened
    opened.flush()
    opened.close()
    assert not failures


@pytest.fixture
def project():
    return f"p-{uuid.uuid4().hex[:12]}"


def made(server, project: str, *runs: dict[str, object]) -> list[str]:
    """Runs put into the store; each begins a second after the one before and lasts one."""
    ids = []
    for n, fields in enumerate(runs):
        begin = BEGIN + dt.timedelta(seconds=n)
        run = {"id": str(uuid.uuid4()), "name": f"run-{n}", "run_type": "chain", "session_name": project, "start_time": begin.isoformat()}
        run |= {"end_time": (begin + dt.timedelta(seconds=1)).isoformat()} | fields
        ids.append(str(run["id"]))
        server.store.take(Batch((ingest.operation("post", run),)))
    return ids


# Runs


def test_nested_functions_become_a_tree(client, project):
    """Decorated functions and their threads make one trace: types, tags, inputs, parents; all share the caller's metadata."""

    @traceable(run_type="llm")
    def answer(text: str) -> str:
        return f"said: {text}"

    @traceable(run_type="tool")
    def look_up(text: str) -> str:
        return answer(text)

    @traceable(run_type="chain", tags=["foo", "bar"])
    async def call(text: str) -> str:
        look_up(text)
        return await asyncio.to_thread(look_up, text)

    with tracing_context(enabled=True, client=client, project_name=project):
        asyncio.run(call("hello", langsmith_extra={"metadata": {"test_run": "a1"}}))
    client.flush()
    asked = "and(eq(metadata_key,'test_run'),eq(metadata_value,'a1'))"
    runs = list(client.list_runs(project_name=project, filter=asked))
    names = Counter(run.name for run in runs)
    assert names == {"call": 1, "look_up": 2, "answer": 2}
    (root,) = [run for run in runs if run.name == "call"]
    tools = {run.id for run in runs if run.name == "look_up"}
    assert (root.parent_run_id, root.tags, root.run_type) == (None, ["foo", "bar"], "chain")
    assert {run.parent_run_id for run in runs if run.name == "look_up"} == {root.id}
    assert {run.parent_run_id for run in runs if run.name == "answer"} == tools
    assert {run.status for run in runs} == {"success"}
    assert sorted(run.dotted_order for run in client.list_runs(trace_id=root.id)) == sorted(run.dotted_order for run in runs)
    (first,) = client.list_runs(project_name=project, filter=asked, execution_order=1)
    assert (first.id, [child.name for child in client._load_child_runs(first).child_runs]) == (root.id, ["look_up", "look_up"])


def test_generators_and_their_outputs(client, project):
    """What a generator yielded is its output, as a list or as it was reduced; an async one too."""

    @traceable
    def plain(n: int):
        for i in range(n):
            yield f"Yielded {i}"

    @traceable(reduce_fn=lambda items: {"joined": " ".join(items)})
    async def reduced(n: int):
        for i in range(n):
            yield f"Yielded {i}"

    async def read() -> list[str]:
        return [one async for one in reduced(3)]

    with tracing_context(enabled=True, client=client, project_name=project):
        list(plain(2))
        asyncio.run(read())
    client.flush()
    outputs = {run.name: run.outputs for run in client.list_runs(project_name=project)}
    assert outputs == {"plain": {"output": ["Yielded 0", "Yielded 1"]}, "reduced": {"joined": "Yielded 0 Yielded 1 Yielded 2"}}


def test_an_error_and_a_context_manager(client, project):
    """A failing block is an error with its text; a block inside it is its child."""
    with (
        pytest.raises(KeyError),
        tracing_context(enabled=True, client=client, project_name=project),
        trace("outer", "chain", metadata={"m": 1}) as outer,
        trace("inner", "tool", inputs={"n": 1}),
    ):
        raise KeyError("no such slot")
    client.flush()
    runs = {run.name: run for run in client.list_runs(project_name=project, error=True)}
    assert set(runs) == {"outer", "inner"}
    assert "no such slot" in runs["inner"].error
    assert (runs["inner"].parent_run_id, runs["inner"].inputs, runs["outer"].metadata["m"]) == (outer.id, {"n": 1}, 1)
    assert list(client.list_runs(project_name=project, error=False)) == []


def test_usage_is_read_from_outputs_and_from_metadata(client, project):
    """Tokens, costs and their details, exact to the micro-dollar, whichever of the two places they were said in."""
    said = {
        "input_tokens": 10,
        "output_tokens": 20,
        "total_tokens": 30,
        "input_cost": 1e-6,
        "output_cost": 2e-6,
        "total_cost": 3e-6,
        "input_token_details": {"audio": 1},
        "output_cost_details": {"reasoning": 3e-7},
    }

    @traceable(run_type="llm")
    def in_outputs() -> dict[str, object]:
        return {"usage_metadata": said}

    @traceable(run_type="llm")
    def in_metadata() -> dict[str, object]:
        get_current_run_tree().set(usage_metadata=said)
        return {}

    with tracing_context(enabled=True, client=client, project_name=project):
        in_outputs()
        in_metadata()
    client.flush()
    for run in client.list_runs(project_name=project):
        assert (run.input_tokens, run.output_tokens, run.total_tokens) == (10, 20, 30)
        assert (run.input_cost, run.output_cost, run.total_cost) == (Decimal("1e-6"), Decimal("2e-6"), Decimal("3e-6"))
        assert (run.input_token_details, run.output_cost_details) == ({"audio": 1}, {"reasoning": Decimal("3e-7")})
    stats = client.get_run_stats(project_names=[project])
    assert (stats["run_count"], stats["total_tokens"], stats["total_cost"]) == (2, 60, pytest.approx(6e-6))


def test_an_update_may_come_before_its_create(client, project):
    """The same run, whichever of the two arrives first; an update changes name, outputs and extra."""
    for patch_first in (False, True):
        run_id, begin = uuid.uuid4(), dt.datetime.now(dt.UTC)
        placed = {"trace_id": run_id, "dotted_order": f"{begin.strftime('%Y%m%dT%H%M%S%fZ')}{run_id}"}
        steps = [
            lambda: client.create_run("made", {"a": 1}, "llm", id=run_id, project_name=project, start_time=begin, extra={"e": 1}, **placed),  # noqa: B023
            lambda: client.update_run(run_id, name="updated", outputs={"b": 2}, end_time=begin, extra={"e": 2}, **placed),  # noqa: B023
        ]
        for step in reversed(steps) if patch_first else steps:
            step()
            client.flush()
        run = client.read_run(run_id)
        assert (run.name, run.inputs, run.outputs, run.extra["e"], run.status) == ("updated", {"a": 1}, {"b": 2}, 2, "success")
        assert run.start_time == begin


def test_a_trace_of_a_thousand_children(client, server, project):
    """All of them come, page by page, and the tree is whole."""
    root = str(uuid.uuid4())
    runs = [{"id": root, "dotted_order": f"20260301T090000000000Z{root}"}]
    for n in range(1000):
        child = str(uuid.uuid4())
        order = f"20260301T090000000000Z{root}.20260301T0900{n // 60 % 60:02}{n:06}Z{child}"
        runs.append({"id": child, "trace_id": root, "parent_run_id": root, "dotted_order": order})
    made(server, project, *runs)
    whole = client.read_run(root, load_child_runs=True)
    assert len(whole.child_runs) == 1000
    assert [one.dotted_order for one in whole.child_runs] == sorted(one.dotted_order for one in whole.child_runs)
    assert sum(1 for _ in client.list_runs(parent_run_id=root)) == 1000
    assert sum(1 for _ in client.list_runs(project_name=project, limit=100)) == 100


def test_runs_by_id_by_example_and_of_several_projects(client, server, project):
    """`id`, `reference_example_id` and a list of projects each find theirs, the newest first."""
    example = str(uuid.uuid4())
    first = made(server, project, {}, {"reference_example_id": example})
    second = made(server, f"{project}-b", {"start_time": (BEGIN + dt.timedelta(seconds=0.5)).isoformat()})
    assert [str(run.id) for run in client.list_runs(id=[first[0]])] == [first[0]]
    assert [str(run.id) for run in client.list_runs(reference_example_id=example)] == [first[1]]
    both = list(client.list_runs(project_name=[project, f"{project}-b"]))
    assert [str(run.id) for run in both] == [first[1], *second, first[0]]
    assert len({run.session_id for run in both}) == 2
    with pytest.raises(utils.LangSmithNotFoundError):
        client.read_run(uuid.uuid4())


def test_pages_are_stable_while_runs_arrive(client, server, project):
    """A reading that has begun gives each run that was there once, whatever comes meanwhile."""
    ids = made(server, project, *({} for _ in range(250)))
    reading = client.list_runs(project_name=project)
    seen = [str(next(reading).id) for _ in range(50)]
    made(server, project, *({"start_time": dt.datetime.now(dt.UTC).isoformat()} for _ in range(120)))
    seen += [str(run.id) for run in reading]
    assert seen == ids[::-1]


def test_the_address_of_a_run(client, server, project):
    """`get_run_url` leads to LangSmith's own page of it, under this host."""
    (run_id,) = made(server, project, {})
    url = client.get_run_url(run=client.read_run(run_id), project_name=project)
    assert run_id in url
    assert str(client.read_project(project_name=project).id) in url


# Filters: each example of LangSmith's documentation, with what it must find


@pytest.fixture(scope="module")
def documented(server):
    """Five roots that differ in what the documentation's examples ask of, three with a child."""
    project = f"docs-{uuid.uuid4().hex[:8]}"
    usage = {"usage_metadata": {"input_tokens": 4000, "output_tokens": 2000}}
    early = (BEGIN - dt.timedelta(days=300)).isoformat()
    slow = (BEGIN + dt.timedelta(seconds=30)).isoformat()
    ids = made(
        server,
        project,
        {"name": "extractor", "run_type": "llm", "outputs": usage, "tags": ["experimental"], "end_time": slow},
        {"name": "ChatOpenAI", "extra": {"metadata": {"conversation_id": "c-1", "user_id": "u-1"}}, "tags": ["2", "beta"]},
        {"name": "RetrieveDocs", "run_type": "retriever", "inputs": {"question": "image classification"}, "error": "Timeout"},
        {"name": "extractor", "start_time": early, "end_time": early, "extra": {"metadata": {"user_id": "u-2", "group_id": "c-1"}}},
        {"name": "open", "end_time": None, "outputs": {"text": "an answer"}, "inputs": {"user": {"name": "Ada"}}},
    )
    children = made(
        server,
        project,
        {"name": "ExpandQuery", "trace_id": ids[1], "parent_run_id": ids[1]},
        {"name": "inner", "run_type": "llm", "trace_id": ids[2], "parent_run_id": ids[2]},
        {"name": "inner", "run_type": "llm", "trace_id": ids[0], "parent_run_id": ids[0], "error": "Broken"},
    )
    written = [(ids[1], "user_score", 1), (ids[0], "user_score", 0), (ids[2], "star_rating", 4.5)]
    feedback = [{"id": str(uuid.uuid4()), "run_id": run, "key": key, "score": score} for run, key, score in written]
    server.store.take(Batch(feedback=tuple(feedback)))
    return project, dict(zip([*"ABCDE", *"xyz"], ids + children, strict=True))


RECENT = (BEGIN - dt.timedelta(hours=1)).isoformat()
EXAMPLES = [
    ({"run_type": "llm"}, "Ayz"),
    ({"is_root": True}, "ABCDE"),
    ({"error": False}, "ABDExy"),
    ({"start_time": BEGIN - dt.timedelta(days=1), "run_type": "llm"}, "Ayz"),
    ({"filter": 'eq(name, "extractor")'}, "AD"),
    ({"filter": f'gt(start_time, "{RECENT}")'}, "ABCExyz"),
    ({"filter": 'and(eq(run_type, "llm"), gt(latency, 5))'}, "A"),
    ({"filter": 'gt(latency, "5s")'}, "A"),
    ({"filter": "neq(error, null)"}, "Cz"),
    ({"filter": "gt(total_tokens, 5000)"}, "A"),
    ({"filter": "gt(start_time, '2023-07-15T12:34:56Z')"}, "ABCDExyz"),
    ({"filter": 'and(eq(feedback_key, "user_score"), eq(feedback_score, 1))'}, "B"),
    ({"filter": 'and(eq(feedback_key, "star_rating"), gt(feedback_score, 4))'}, "C"),
    ({"filter": 'and(eq(feedback_key, "user_score"), eq(feedback_score, 0))', "is_root": True}, "A"),
    ({"trace_filter": 'and(eq(feedback_key, "user_score"), eq(feedback_score, 1))', "filter": 'eq(name, "ExpandQuery")'}, "x"),
    ({"tree_filter": 'eq(name, "ExpandQuery")', "filter": 'eq(name, "ChatOpenAI")'}, "B"),
    ({"filter": 'eq(name, "RetrieveDocs")', "trace_filter": "neq(error, null)"}, "C"),
    ({"filter": "eq(is_root, true)", "tree_filter": 'and(eq(run_type, "llm"), neq(error, null))'}, "A"),
    (
        {"filter": f'and(gt(start_time, "{RECENT}"), or(neq(error, null), and(eq(feedback_key, "user_score"), eq(feedback_score, 0.0))))'},
        "ACz",
    ),
    ({"filter": 'and(or(has(tags, "experimental"), has(tags, "beta")), gt(latency, 2))'}, "A"),
    ({"filter": 'and(has(tags, "2"), has(tags, "beta"))'}, "B"),
    ({"filter": 'search("image classification")'}, "C"),
    ({"filter": 'eq(metadata_key, "user_id")'}, "BD"),
    ({"filter": 'and(eq(metadata_key, "user_id"), eq(metadata_value, "u-1"))'}, "B"),
    ({"filter": 'and(in(metadata_key, ["session_id","conversation_id","thread_id"]), eq(metadata_value, "c-1"))'}, "B"),
    ({"filter": 'and(eq(name, "ChatOpenAI"), eq(metadata_key, "conversation_id"), eq(metadata_value, "c-1"))'}, "B"),
    ({"filter": 'has(metadata, \'{"user_id": "u-1"}\')'}, "B"),
    ({"filter": 'eq(thread_id, "c-1")'}, "B"),
    ({"filter": 'and(eq(input_key, "user.name"), eq(input_value, "Ada"))'}, "E"),
    ({"filter": 'eq(output_key, "text")'}, "E"),
    ({"filter": 'like(name, "%tract%")'}, "AD"),
    ({"filter": 'not(eq(status, "success"))'}, "CEz"),
    ({"filter": 'and(eq(run_type, "llm"), not(eq(is_root, true)))', "error": True}, "z"),
    ({"query": "image"}, "C"),
]


@pytest.mark.parametrize(("asked", "found"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_documented_filters(client, documented, asked, found):
    """Each argument and filter that LangSmith's "Trace query syntax" and "Query traces" show, in shape if not in name."""
    project, ids = documented
    runs = {str(run.id) for run in client.list_runs(project_name=project, **asked)}
    assert {letter for letter, run_id in ids.items() if run_id in runs} == set(found)
    assert len(runs) == len(found)


# Projects, statistics, feedback, v2


def test_projects(client, server, project):
    """Create, read, update, list by name and metadata, look for, delete."""
    made_one = client.create_project(project, description="first", metadata={"team": "a", "n": 1})
    client.create_project(f"{project}-other", metadata={"team": "b"})
    changed = client.update_project(made_one.id, name=f"{project}-new", description="second", metadata={"team": "c"})
    assert (changed.id, changed.name, changed.description) == (made_one.id, f"{project}-new", "second")
    assert [one.name for one in client.list_projects(name=f"{project}-new")] == [f"{project}-new"]
    assert {one.name for one in client.list_projects(name_contains=project)} == {f"{project}-new", f"{project}-other"}
    assert [one.name for one in client.list_projects(name_contains=project, metadata={"team": "b"})] == [f"{project}-other"]
    assert [one.id for one in client.list_projects(project_ids=[made_one.id])] == [made_one.id]
    assert len(list(client.list_projects(limit=1))) == 1
    assert (client.has_project(f"{project}-new"), client.has_project(project)) == (True, False)
    client.delete_project(project_id=str(made_one.id))
    with pytest.raises(utils.LangSmithNotFoundError):
        client.read_project(project_name=f"{project}-new")


def test_statistics_of_a_project_and_of_runs(client, server, project):
    """Counts, latency, errors, tokens and feedback, of all runs and of those a filter leaves; the project's own are of its roots."""
    said = {"usage_metadata": {"input_tokens": 2, "output_tokens": 3, "total_cost": 0.5}}
    ids = made(server, project, {"outputs": said, "error": "E"}, {"outputs": said}, {"end_time": None})
    made(server, project, {"run_type": "llm", "trace_id": ids[0], "parent_run_id": ids[0], "outputs": said})
    session_id = client.read_project(project_name=project).id
    client.create_feedback(ids[0], "ok", score=1, session_id=session_id)
    client.create_feedback(ids[1], "ok", score=0, session_id=session_id)
    client.flush()
    stats = client.get_run_stats(project_names=[project])
    assert (stats["run_count"], stats["error_rate"], stats["latency_p50"], stats["total_tokens"]) == (4, 0.25, 1.0, 15)
    assert (stats["feedback_stats"]["ok"]["n"], stats["feedback_stats"]["ok"]["avg"]) == (2, 0.5)
    assert client.get_run_stats(project_names=[project], filter='eq(run_type, "llm")')["run_count"] == 1
    assert client.get_run_stats(project_names=[project], is_root=True)["total_cost"] == 1.0
    assert client.get_run_stats(project_names=[project], error=True)["run_count"] == 1
    with_stats = client.read_project(project_name=project, include_stats=True)
    assert (with_stats.run_count, with_stats.error_rate, with_stats.total_tokens) == (3, pytest.approx(1 / 3), 15)


def test_feedback(client, server, project):
    """Create, read, list by run and key over more than a page, update, delete."""
    ids = made(server, project, {}, {})
    session_id = client.read_project(project_name=project).id
    one = client.create_feedback(
        ids[0], "note", score=0.5, value="fair", comment="so so", correction={"better": "x"}, session_id=session_id
    )
    client.flush()
    read = client.read_feedback(one.id)
    assert (read.key, read.score, read.value, read.comment, read.correction, str(read.run_id)) == (
        "note",
        0.5,
        "fair",
        "so so",
        {"better": "x"},
        ids[0],
    )
    client.update_feedback(one.id, score=1, comment=None)
    read = client.read_feedback(one.id)
    assert (read.score, read.comment, read.value) == (1, None, "fair")
    many = [{"id": str(uuid.uuid4()), "run_id": ids[1], "key": f"k{n % 2}", "score": n} for n in range(230)]
    server.store.take(Batch(feedback=tuple(map(ingest.feedback_of, many))))
    listed = [feedback.score for feedback in client.list_feedback(run_ids=[ids[1]])]
    assert listed == list(range(230))
    assert sum(1 for _ in client.list_feedback(run_ids=[ids[1]], feedback_key=["k0"])) == 115
    assert sum(1 for _ in client.list_feedback(run_ids=ids, limit=7)) == 7
    client.delete_feedback(one.id)
    with pytest.raises(utils.LangSmithNotFoundError):
        client.read_feedback(one.id)
    with pytest.raises(utils.LangSmithNotFoundError):
        client.update_feedback(one.id, score=0)


def test_v2_resources(client, server, project):
    """Traces with their aggregates, the runs of one, a run's address, and projects as a resource."""
    said = {"usage_metadata": {"input_tokens": 2, "output_tokens": 3, "total_cost": 0.5}}
    now = dt.datetime.now(dt.UTC)
    (a, b) = made(server, project, {"name": "a", "outputs": said}, {"name": "b", "error": "E"})
    made(
        server, project, {"name": "c", "trace_id": a, "parent_run_id": a, "outputs": said, "run_type": "llm", "start_time": now.isoformat()}
    )
    project_id = str(client.read_project(project_name=project).id)

    async def read():
        window = {"min_start_time": BEGIN - dt.timedelta(hours=1), "max_start_time": now + dt.timedelta(minutes=5)}
        page = await client.traces.query(project_id=project_id, page_size=1, selects=["NAME", "TOTAL_TOKENS"], **window)
        rows = [(one.root_run.name, one.trace_aggregates.total_tokens) async for one in page]
        failed = await client.traces.query(project_id=project_id, trace_filter='eq(status, "error")', **window)
        runs = await client.traces.list_runs(a, project_id=project_id, selects=["NAME"])
        llm = await client.traces.list_runs(a, project_id=project_id, filter='eq(run_type, "llm")', selects=["NAME"])
        made_one = await client.sessions.create_v2(name=f"{project}-v2", description="d", type="PROJECT")
        changed = await client.sessions.update_v2(str(made_one.id), name=f"{project}-v2b")
        found = [one.name async for one in client.sessions.list_v2(name=f"{project}-v2b", page_size=10)]
        await client.sessions.delete(str(made_one.id))
        await client._get_langsmith_api().close()
        return (
            rows,
            [one.root_run.id for one in failed.items],
            [one.name for one in runs.items],
            [one.name for one in llm.items],
            changed,
            found,
        )

    rows, failed, runs, llm, changed, found = asyncio.run(read())
    assert (rows, failed) == ([("b", 0), ("a", 10)], [b])
    assert (runs, llm) == (["a", "c"], ["c"])
    assert (changed.name, found) == (f"{project}-v2b", [f"{project}-v2b"])


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.create_dataset("d"),
        lambda client: list(client.list_datasets()),
        lambda client: client.read_example(uuid.uuid4()),
        lambda client: list(client.list_annotation_queues()),
        lambda client: client.list_prompts(),
        lambda client: client.share_run(uuid.uuid4()),
    ],
    ids=["create_dataset", "list_datasets", "read_example", "list_annotation_queues", "list_prompts", "share_run"],
)
def test_what_is_not_there_is_said(server, ask):
    """Datasets, prompts, queues and sharing are refused with words, not with a fault of the store."""
    with (
        closing(Client(api_url=server.url, api_key="key", info={})) as opened,
        pytest.raises(utils.LangSmithError, match="the local trace store has no"),
    ):
        ask(opened)


def test_a_key_without_a_project_reads_nothing(server):
    """A query without a scope is refused, as hosted does."""
    with (
        closing(Client(api_url=server.url, api_key="key", info={})) as opened,
        pytest.raises(utils.LangSmithError, match="at least one of session"),
    ):
        next(opened.list_runs())
