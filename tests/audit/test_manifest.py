"""The manifest: the same reading gives the same one, another reading another; a reading that broke off says how far it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from audit.population import Counting
from audit.source import SourceError, Window, open_source
from tracing.local.trace_store import Faults, LocalServer

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WINDOW = Window(NOW - timedelta(days=3), NOW)


@pytest.fixture
def server(made):
    with LocalServer(faults=Faults()) as running:
        post(running, [run for n in range(3) for run in made.call(n)])
        yield running


def post(server, runs):
    answer = urllib3.request("POST", f"{server.url}/runs/batch", json={"post": runs, "patch": []}, headers={"x-api-key": "k"}, timeout=10)
    assert answer.status == 202, answer.data


def opened(endpoint="", file=None):
    return open_source(project="clinic-dev", window=WINDOW, file=file, endpoint=endpoint, api_key="k", now=NOW)


def read(source):
    """The manifest of a source that was read to its end."""
    counting = Counting()
    for run in source.runs():
        counting.add(run, str(run["name"]), json.dumps(run, sort_keys=True).encode())
    return counting.complete(source.manifest())


def test_the_same_reading_gives_the_same_manifest(server, made):
    """Two readings are alike in every field; after one run more, the digests of runs and answers are others."""
    first, second = (read(opened(server.url)) for _ in range(2))
    assert first == second
    assert (first.host, first.read_at) == ("127.0.0.1", NOW.isoformat())
    assert {"project", "since", "until", "select", "protocol"} == set(first.query)
    assert "ATTACHMENTS" in first.query["select"]
    post(server, made.call(3))
    third = read(opened(server.url))
    assert first.runs_digest != third.runs_digest
    assert first.answers_sha256 != third.answers_sha256


def test_the_same_runs_by_another_way_have_the_same_digest(tmp_path, server, made):
    """A file in another order, with a row twice: other answers, the same runs."""
    runs = [run for n in range(3) for run in made.call(n)]
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for path, rows in zip(paths, (runs, [*runs[::-1], runs[4]]), strict=True):
        path.write_text("".join(json.dumps(run) + "\n" for run in rows))
    first, second = (read(opened(file=path)) for path in paths)
    assert first.runs_digest == second.runs_digest
    assert first.answers_sha256 != second.answers_sha256
    assert (first.read_at, first.requests, first.pages) == (NOW.isoformat(), 0, 1)


def test_a_reading_that_breaks_off_says_how_far_it_came(server):
    """After a fault half way the manifest counts what came until then."""
    source = opened(server.url)
    portions = source.pieces()
    for _ in range(3):
        list(next(portions).runs())
    server.faults.change({"status": 403, "remaining": -1})
    with pytest.raises(SourceError, match="refuses the key"):
        list(next(portions).runs())
    manifest = source.manifest()
    assert (manifest.pages, manifest.requests) == (3, 1 + 3 * 2 + 1)
