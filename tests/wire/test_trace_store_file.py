"""The store's file: brought up from version 1, read while it is written, kept as long as asked, and forgotten to the byte."""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import pytest

from tracing.local.trace_store import LocalServer, StoreUnavailable, TraceStore, ingest, moments
from tracing.local.trace_store.filters import parse_filter
from tracing.local.trace_store.query import Query, matching
from tracing.local.trace_store.records import Attachment, Batch, Selection
from tracing.local.trace_store.retention import DAY_US, Retention
from tracing.local.trace_store.stats import run_stats

VERSION_1 = Path(__file__).with_name("trace_store_version_1.sql")
NOW = dt.datetime.now(dt.UTC)


def run_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def post(number: int, *, days: float = 0.0, **fields) -> dict[str, object]:
    """A run that began so many days ago."""
    begin = NOW - dt.timedelta(days=days)
    base = {"id": run_id(number), "name": f"run-{number}", "run_type": "chain", "session_name": "clinic", "start_time": begin.isoformat()}
    return base | fields


def child(number: int, of: int, **fields) -> dict[str, object]:
    return post(number, trace_id=run_id(of), parent_run_id=run_id(of), **fields)


def fill(store: TraceStore, runs) -> None:
    store.take(Batch(tuple(ingest.operation("post", run) for run in runs)))


def ids(store: TraceStore) -> set[int]:
    return {uuid.UUID(run.id).int for run in store.runs(Selection())}


def held(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


# Version 1


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.sqlite3"
    db = sqlite3.connect(path)
    db.executescript(VERSION_1.read_text())
    db.close()
    return path


def test_a_file_of_version_1_is_brought_up(old):
    """Every run, project, attachment, feedback and kept request is there, and is found by the columns that version 1 did not have."""
    store = TraceStore(old)
    try:
        assert ids(store) == {1, 2, 3, 4, 5}
        assert {one.name for one in store.projects()} == {"clinic", "other"}
        for text, found in {
            'eq(name, "tool.book")': {3},
            'and(eq(metadata_key, "env"), eq(metadata_value, "dev"))': {1},
            'has(tags, "prod")': {1},
            'eq(feedback_key, "ok")': {2},
            "eq(total_tokens, 10)": {2},
            'gt(latency, "5s")': {1},
            "neq(error, null)": {3},
        }.items():
            query = Query(selection=Selection(), filters=(parse_filter(text),))
            assert {uuid.UUID(run.id).int for run in matching(store, query)} == found, text
        tool = store.run(run_id(3))
        assert (tool.body["inputs"], dict(tool.attachments)) == ({"who": "Zoë \ud800"}, {"rec": "audio/wav"})
        assert store.attachment(run_id(3), "rec").data == b"RIFF\x00"
        assert [one["score"] for one in store.feedback()] == [1.0]
        assert len(list(store.raw())) == 1
        project = next(one for one in store.projects() if one.name == "clinic")
        stats = run_stats(store, Query(selection=Selection(project_ids=(project.id,))))
        assert (stats["run_count"], stats["total_tokens"], stats["first_token_p50"]) == (3, 10, 0.25)
        fill(store, [post(4, trace_id=run_id(9), parent_run_id=run_id(9))])  # the create of an update that version 1 had taken
        assert (store.run(run_id(4)).body["outputs"], store.run(run_id(4)).project_id) == ({"a": 1}, project.id)
    finally:
        store.close()
    with sqlite3.connect(old) as db:
        assert (db.execute("PRAGMA user_version").fetchone(), db.execute("PRAGMA auto_vacuum").fetchone()) == ((2,), (2,))
    db.close()


def test_what_breaks_off_leaves_version_1(old, monkeypatch):
    """A fault in the middle changes nothing; the next opening brings the file up."""
    from tracing.local.trace_store import schema

    real, count = schema.mark, []

    def breaking(*given):
        count.append(1)
        if len(count) == 3:
            raise sqlite3.OperationalError("disk full")
        real(*given)

    monkeypatch.setattr(schema, "mark", breaking)
    with pytest.raises(StoreUnavailable, match="OperationalError"):
        TraceStore(old)
    db = sqlite3.connect(old)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert db.execute("SELECT count(*) FROM runs").fetchone() == (5,)
    db.close()
    store = TraceStore(old)
    assert len(ids(store)) == 5
    store.close()


# Reading beside writing


def test_a_reading_holds_up_no_writing(tmp_path):
    """While one view of the file is held open, batches are taken, and the view does not change."""
    store = TraceStore(tmp_path / "t.sqlite3")
    try:
        fill(store, [post(n) for n in range(1, 300)])
        slow = store.runs(Selection())
        next(slow)
        with store._connections.reading() as db:
            before = db.execute("SELECT count(*) FROM runs").fetchone()
            done = threading.Event()
            thread = threading.Thread(target=lambda: (fill(store, [post(900)]), done.set()))
            thread.start()
            assert done.wait(10)
            thread.join()
            assert db.execute("SELECT count(*) FROM runs").fetchone() == before
        assert store.run(run_id(900)) is not None
        assert len(list(slow)) >= 298
    finally:
        store.close()


def test_a_deletion_is_forgotten_once_the_readings_end(tmp_path):
    """A reading under way keeps the journal; the deletion waits for it, and then the bytes are gone."""
    folder = tmp_path / "store"
    folder.mkdir()
    store = TraceStore(folder / "t.sqlite3")
    try:
        fill(store, [post(1, inputs={"who": "Quillon Vantressa"}), post(2)])
        with store._connections.reading() as db:
            db.execute("SELECT count(*) FROM runs").fetchone()
            thread = threading.Thread(target=store.delete_runs, args=([run_id(1)],))
            thread.start()
            while store.rows("SELECT count(*) FROM runs") != [(1,)]:
                time.sleep(0.005)
            fill(store, [post(3)])  # what arrives meanwhile is taken
            assert thread.is_alive()
        thread.join(20)
        assert ids(store) == {2, 3}
        assert b"Quillon" not in held(folder)
    finally:
        store.close()


# Retention


def test_whole_traces_are_deleted_by_the_start_of_their_root(tmp_path):
    """Old by its root: gone with all its runs, marks, attachments and feedback. Young by its root: kept, even with an older run in it."""
    folder = tmp_path / "store"
    folder.mkdir()
    secret = "Quillon Vantressa"
    store = TraceStore(folder / "t.sqlite3", keep_raw=True)
    try:
        fill(store, [post(1, days=15, extra={"metadata": {"who": secret}}), child(2, 1, days=1, inputs={"who": secret}, tags=[secret])])
        fill(store, [post(3, days=13), child(4, 3, days=15), child(5, 99, days=15, error=secret), child(6, 98, days=1)])
        fill(store, [post(n, days=20 + n / 1000, outputs={"x": secret * 200}) for n in range(100, 400)])
        store.take(
            Batch(
                attachments=(Attachment(run_id(2), "a", "text/plain", secret.encode()), Attachment(run_id(4), "a", "text/plain", b"kept"))
            )
        )
        written = [{"id": run_id(70 + n), "run_id": run_id(n), "key": "note", "comment": secret if n == 1 else "kept"} for n in (1, 3)]
        store.take(Batch(feedback=tuple(written)))
        store.record("POST", "/runs", [], b"a request of today")
        size = (folder / "t.sqlite3").stat().st_size
        before = held(folder)
        assert Retention(store, 14).sweep() == 303
        assert ids(store) == {3, 4, 6}
        assert [one["comment"] for one in store.feedback()] == ["kept"]
        assert store.attachment(run_id(4), "a") is not None
        assert (secret.encode() in before, secret.encode() in held(folder), b"kept" in held(folder)) == (True, False, True)
        assert (folder / "t.sqlite3").stat().st_size < max(size, 2_000_000) / 2
        assert len(list(store.raw())) == 1
        assert Retention(store, 14).sweep() == 0
        assert Retention(store, 0).sweep(moments.now() + DAY_US) == 3
        assert list(store.raw()) == []
    finally:
        store.close()


def test_what_arrives_during_a_sweep_is_taken(tmp_path):
    """Batches go on arriving between the portions, and none of theirs is deleted."""
    store = TraceStore(tmp_path / "t.sqlite3")
    try:
        for at in range(0, 3000, 500):
            fill(store, [post(at + n + 1, days=30) for n in range(500)])
        stop, taken = threading.Event(), []

        def arrive():
            while not stop.is_set():
                fill(store, [post(10_000 + len(taken))])
                taken.append(1)

        thread = threading.Thread(target=arrive)
        thread.start()
        try:
            assert Retention(store).sweep() == 3000
        finally:
            during = len(taken)
            stop.set()
            thread.join()
        assert during > 10
        assert len(ids(store)) == len(taken)
    finally:
        store.close()


def test_retention_runs_in_the_server_as_a_process(tmp_path):
    """`--keep 14d` deletes what is too old once the server is up, without being asked."""
    import subprocess
    import sys

    path = tmp_path / "t.sqlite3"
    store = TraceStore(path)
    fill(store, [post(1, days=15), post(2)])
    store.close()
    command = [sys.executable, "-m", "tracing.local.trace_store", "--path", str(path), "--keep", "14d"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        url = json.loads(process.stdout.readline())["url"]
        end = time.monotonic() + 20
        while True:
            request = urllib.request.Request(url + "/runs/query", json.dumps({"id": [run_id(1), run_id(2)]}).encode(), {"x-api-key": "k"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                left = [run["id"] for run in json.load(answer)["runs"]]
            if left == [run_id(2)]:
                break
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


# Pages beside the API


def test_pages_stand_beside_the_api(tmp_path):
    """The pages get their own path with no key asked, and nothing of it is recorded; every other path is the API's, with its key."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    pages = Starlette(routes=[Route("/sessions", lambda request: PlainTextResponse(f"page below {request.scope['root_path']}"))])
    with LocalServer(tmp_path / "t.sqlite3", keep_raw=True, mount=lambda _store, _url: pages) as server:

        def get(path, **headers):
            request = urllib.request.Request(server.url + path, headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                with refused:
                    return refused.code, ""

        assert get("/dashboard/sessions") == (200, "page below /dashboard")
        assert get("/sessions") == (401, "")
        assert get("/sessions", **{"x-api-key": "k"}) == (200, "[]")
        assert get("/dashboard/nowhere") == (404, "")
        assert get("/api/v1/info")[0] == 200
        assert not [one for one in server.store.raw() if b"dashboard" in one]
