"""The unmodified LangSmith SDK writes to the trace store, in each of its shapes, and reads back what it wrote."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager

import pytest
from langsmith import Client, RunTree, utils

from tracing.local.trace_store import LocalServer
from tracing.local.trace_store.records import Project

# list_runs and read_run are what this file is about, and the SDK warns that they go in 2027.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated and will be removed after Jan 31, 2027.*")


@pytest.fixture(autouse=True)
def _no_langsmith_settings():
    """Nothing in the environment steers the SDK (tests/conftest.py wipes it), nor does what it remembers of another test's."""
    assert not [name for name in os.environ if name.startswith(("LANGSMITH_", "LANGCHAIN_"))]
    utils.get_env_var.cache_clear()
    yield
    utils.get_env_var.cache_clear()


@pytest.fixture
def server():
    with LocalServer(keep_raw=True) as running:
        yield running


@contextmanager
def open_client(url: str, **settings):
    failures = []
    client = Client(api_url=url, api_key="key", tracing_error_callback=failures.append, omit_traced_runtime_info=True, **settings)
    try:
        yield client
        client.flush()
    finally:
        client.close()
    assert not failures


def wait_until(holds, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def play_call(client: Client, project: str = "clinic") -> RunTree:
    """A call of one turn and one failing tool, with an attachment, a tag, an event and usage."""
    begin = dt.datetime.now(dt.UTC)
    root = RunTree(
        name="voice_session",
        inputs={"channel": "sip"},
        project_name=project,
        client=client,
        tags=["prod"],
        start_time=begin,
        extra={"metadata": {"thread_id": "t-1"}},
    )
    root.post()
    turn = root.create_child("agent_turn", run_type="llm", inputs={"text": "Grüße an Zoë"}, start_time=begin)
    turn.post()
    turn.add_event({"name": "new_token", "time": (begin + dt.timedelta(milliseconds=250)).isoformat()})
    said = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "total_cost": 0.012, "output_token_details": {"audio": 4}}
    turn.end(outputs={"usage_metadata": said}, end_time=begin + dt.timedelta(seconds=2))
    turn.patch()
    tool = root.create_child("tool.book", run_type="tool", inputs={"n": 1}, attachments={"rec": ("audio/wav", b"RIFF\r\n--\x00")})
    tool.post()
    tool.end(error="LookupError")
    tool.patch()
    root.end(outputs={"ok": True}, end_time=begin + dt.timedelta(seconds=4))
    root.patch()
    client.flush()
    return root


def read_back(client: Client, root: RunTree) -> dict[str, object]:
    runs = {run.name: run for run in client.list_runs(project_name="clinic")}
    assert set(runs) == {"voice_session", "agent_turn", "tool.book"}
    assert {run.trace_id for run in runs.values()} == {root.id}
    return runs


def content_encodings(server: LocalServer, path: bytes) -> list[bool]:
    return [b"content-encoding: zstd" in one for one in server.store.raw() if one.startswith(b"POST " + path)]


@pytest.mark.parametrize("base", ["", "/api", "/api/v1"])
def test_zstd_multipart_arrives_whole(server, base):
    """The hosted default: compressed multipart, at each address LangSmith answers under."""
    with open_client(server.url + base) as client:
        wait_until(lambda: client.compressed_traces is not None)  # before its handshake is answered, the SDK sends uncompressed
        root = play_call(client)
        runs = read_back(client, root)
    turn, tool = runs["agent_turn"], runs["tool.book"]
    assert turn.inputs == {"text": "Grüße an Zoë"}
    assert (turn.total_tokens, float(turn.total_cost), turn.outputs["usage_metadata"]["output_token_details"]) == (15, 0.012, {"audio": 4})
    assert turn.first_token_time - turn.start_time == dt.timedelta(milliseconds=250)
    assert (turn.latency, turn.status, tool.status, tool.error) == (2.0, "success", "error", "LookupError")
    assert tool.attachments["rec"]["reader"].read() == b"RIFF\r\n--\x00"
    assert (runs["voice_session"].tags, turn.parent_run_ids) == (["prod"], [root.id])
    assert set(content_encodings(server, f"{base}/runs/multipart".encode())) == {True}
    assert b"Gr\xc3\xbc\xc3\x9fe an Zo\xc3\xab" in b"".join(server.store.raw())


def test_plain_multipart_arrives_whole(server, monkeypatch, tmp_path):
    """Without compression the SDK frames with another encoder, and a file attachment has its length in the content type."""
    monkeypatch.setenv("LANGSMITH_DISABLE_RUN_COMPRESSION", "true")
    (tmp_path / "a.bin").write_bytes(b"\r\n--cut")
    with open_client(server.url) as client:
        root = play_call(client)
        with_file = RunTree(name="file", client=client, project_name="files", attachments={"a": ("text/x", tmp_path / "a.bin")})
        with_file.dangerously_allow_filesystem = True
        with_file.post()
        client.flush()
        runs = read_back(client, root)
        (stored,) = client.list_runs(project_name="files")
    assert runs["tool.book"].attachments["rec"]["reader"].read() == b"RIFF\r\n--\x00"
    assert stored.attachments["a"]["reader"].read() == b"\r\n--cut"
    assert stored.attachments["a"]["mime_type"] == "text/x"
    assert not any(content_encodings(server, b"/runs/multipart"))


def test_batch_arrives_whole(server):
    """The JSON batch, which the SDK falls back to where multipart is not offered."""
    config = {"use_multipart_endpoint": False, "size_limit": 100, "scale_up_qsize_trigger": 1000, "scale_up_nthreads_limit": 4}
    with open_client(server.url, info={"version": "0.18.0", "batch_ingest_config": config}) as client:
        runs = read_back(client, play_call(client))
    assert runs["agent_turn"].outputs["usage_metadata"]["total_tokens"] == 15
    assert len(content_encodings(server, b"/runs/batch")) > 0


def test_single_runs_arrive_whole(server):
    """POST /runs and PATCH /runs/{id}, which the SDK uses without batching."""
    with open_client(server.url, auto_batch_tracing=False) as client:
        runs = read_back(client, play_call(client))
    assert runs["voice_session"].outputs == {"ok": True}
    assert sum(one.startswith(b"PATCH /runs/") for one in server.store.raw()) == 3


def test_reading_v1(server):
    """Every v1 reader an audit uses: one run with its children, selects, filters, projects, statistics."""
    with open_client(server.url) as client:
        root = play_call(client)
        project = client.read_project(project_name="clinic", include_stats=True)
        whole = client.read_run(root.id, load_child_runs=True)
        roots = list(client.list_runs(project_name="clinic", is_root=True))
        llm = list(
            client.list_runs(project_id=project.id, filter='and(eq(run_type, "llm"), gt(latency, "1s"))', select=["name", "run_type"])
        )
        stats = client.get_run_stats(project_ids=[str(project.id)], run_type="llm")
        missing = [client.has_project(name) for name in ("clinic", "nowhere")]
        failed = list(client.list_runs(project_name="clinic", error=True))
    assert [child.name for child in whole.child_runs] == ["agent_turn", "tool.book"]
    assert [run.name for run in roots] == ["voice_session"]
    assert [(run.name, run.inputs, run.attachments) for run in llm] == [("agent_turn", {}, {})]
    assert [run.name for run in failed] == ["tool.book"]
    assert (stats["run_count"], stats["latency_p50"], stats["first_token_p50"], stats["total_tokens"]) == (1, 2.0, 0.25, 15)
    assert (project.run_count, project.latency_p50, project.total_tokens) == (1, dt.timedelta(seconds=4), 15)
    assert missing == [True, False]


def test_reading_v2(server):
    """`runs.query` and `runs.retrieve`: only what is selected, names and states in v2's spelling."""
    with open_client(server.url) as client:
        root = play_call(client)
        project_id = str(client.read_project(project_name="clinic").id)

        async def read():
            wanted = ["ID", "NAME", "RUN_TYPE", "STATUS", "LATENCY_SECONDS", "IS_ROOT", "ATTACHMENTS", "COMPLETION_TOKEN_DETAILS"]
            rows = [row async for row in client.runs.query(project_ids=[project_id], selects=wanted, page_size=2)]
            bare = [row async for row in client.runs.query(project_ids=[project_id], is_root=True)]
            one = await client.runs.retrieve(str(root.id), project_id=project_id, selects=["NAME", "METADATA"])
            failed = [row.id async for row in client.runs.query(project_ids=[project_id], has_error=True)]
            await client._get_langsmith_api().close()
            return {row.name: row for row in rows}, bare, one, failed

        rows, bare, one, failed = asyncio.run(read())
    turn = rows["agent_turn"]
    assert (turn.run_type, turn.status, turn.latency_seconds, turn.is_root) == ("LLM", "SUCCESS", 2.0, False)
    assert turn.completion_token_details.raw == {"audio": 4}
    assert (turn.inputs, turn.events, rows["tool.book"].status) == (None, None, "ERROR")
    assert list(rows["tool.book"].attachments) == ["rec"]
    assert [(row.id, row.name) for row in bare] == [(str(root.id), None)]
    assert (one.name, one.metadata["thread_id"]) == ("voice_session", "t-1")
    assert failed == [rows["tool.book"].id]


def test_v2_shows_the_last_day_unless_asked(server):
    """A v2 query without a start time leaves out what is older than 24 hours, as hosted does."""
    old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=25)
    with open_client(server.url) as client:
        for name, begin in (("old", old), ("new", dt.datetime.now(dt.UTC))):
            client.create_run(name, {}, "chain", id=uuid.uuid4(), project_name="clinic", start_time=begin)
        project_id = str(client.read_project(project_name="clinic").id)
        runs = client._get_langsmith_api_sync().runs
        usual = [run.name for run in runs.query_v2(project_ids=[project_id], selects=["NAME"])]
        asked = [run.name for run in runs.query_v2(project_ids=[project_id], selects=["NAME"], min_start_time=old)]
        client._get_langsmith_api_sync().close()
    assert (usual, asked) == (["new"], ["new", "old"])


def test_projects_are_made_listed_and_deleted(server):
    """Projects: create once, upsert, page through more than a hundred, delete with all runs in it."""
    with open_client(server.url) as client:
        made = client.create_project("p-0", description="first")
        with pytest.raises(utils.LangSmithConflictError):
            client.create_project("p-0")
        assert client.create_project("p-0", upsert=True).id == made.id
        for number in range(1, 121):
            server.store.add_project(Project(str(uuid.uuid4()), f"p-{number}", number, {}))
        names = [project.name for project in client.list_projects(name_contains="p-")]
        assert len(set(names)) == len(names) == 121
        play_call(client)
        client.delete_project(project_name="clinic")
        assert not client.has_project("clinic")
        assert sum(1 for _ in client.list_runs(project_id=made.id)) == 0
    assert server.store.projects()


def test_feedback_is_kept_with_its_run(server):
    """Feedback rides the multipart body and can be filtered on."""
    with open_client(server.url) as client:
        root = play_call(client)
        project_id = client.read_project(project_name="clinic").id
        client.create_feedback(run_id=root.id, trace_id=root.id, session_id=project_id, key="phi_leak", score=0.25)
        client.flush()
        found = list(client.list_feedback(run_ids=[root.id]))
        asked = 'and(eq(feedback_key, "phi_leak"), lt(feedback_score, 0.5))'
        runs = list(client.list_runs(project_name="clinic", filter=asked))
    assert [(one.key, one.score) for one in found] == [("phi_leak", 0.25)]
    assert [run.feedback_stats["phi_leak"]["avg"] for run in runs] == [0.25]


def test_importing_the_store_loads_nothing_heavy():
    """The store starts fast: it needs neither the SDK, nor LiveKit, nor any detector."""
    heavy = {"livekit", "langsmith", "presidio_analyzer", "spacy", "pydantic"}
    code = f"import sys, tracing.local.trace_store; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
