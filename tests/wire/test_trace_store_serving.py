"""The store and the dashboard over it as one command: two addresses printed, one store shown, retention as asked."""

from __future__ import annotations

import datetime as dt
import http.cookiejar
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from audit.bench.recorded import invent
from tracing.local.trace_store import TraceStore, ingest
from tracing.local.trace_store.records import Batch, Run, Selection


@contextmanager
def serving(path, *options):
    """The command; gives what it printed on standard error until it was ready."""
    command = [sys.executable, "-m", "audit", "serve", "--port", "0", "--path", str(path), *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = [process.stderr.readline()]
        if "--no-dashboard" not in options:
            lines.append(process.stderr.readline())
        yield lines
        process.send_signal(signal.SIGINT)
        assert "Traceback" not in process.communicate(timeout=20)[1]
        assert process.returncode == 130
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


@pytest.fixture
def path(tmp_path):
    """A store with a call of an hour ago, and one of twenty days ago."""
    now = dt.datetime.now(dt.UTC)
    store = TraceStore(tmp_path / "t.sqlite3")
    for seed, age in ((1, dt.timedelta(hours=1)), (2, dt.timedelta(days=20))):
        for call in invent(1, seed, now - age, 0.01):
            store.take(Batch(tuple(ingest.operation("post", run) for run in call)))
    store.close()
    return tmp_path / "t.sqlite3"


def traces(path) -> dict[str, int]:
    """The age in days of each trace."""
    now = dt.datetime.now(dt.UTC)
    return {run.trace_id: (now - dt.datetime.fromtimestamp(run.started_us / 1e6, dt.UTC)).days for run in bodies(path)}


def bodies(path) -> list[Run]:
    store = TraceStore(path)
    found = list(store.runs(Selection()))
    store.close()
    return found


def test_the_dashboard_shows_the_store_it_is_served_with(path):
    """The printed address lets one browser in; its pages show the call of the store, and nothing that the call carried."""
    assert "CONF-" in str([run.body for run in bodies(path)])
    young = next(trace for trace, days in traces(path).items() if days == 0)
    with serving(path) as (first, second):
        url, once = first.split(" at ")[1].split(";")[0], second.split(": ", 1)[1].strip()
        assert once.startswith(f"{url}/dashboard/open?token=")
        assert status(f"{url}/dashboard/sessions") == 403
        assert status(f"{url}/dashboard/", Host="evil.example") == 403
        assert (status(f"{url}/sessions"), status(f"{url}/sessions", **{"x-api-key": "k"})) == (401, 200)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        browser.open(once, timeout=20).close()
        end = time.monotonic() + 30
        while True:
            with browser.open(f"{url}/dashboard/sessions", timeout=20) as answer:
                page = answer.read().decode()
            if young[:8] in page:
                break
            assert time.monotonic() < end
            time.sleep(0.1)
        assert "CONF-" not in page
        assert status(once) == 403
    assert list(traces(path)) == [young]  # the other was older than 14 days


def test_all_is_kept_and_no_page_is_shown_where_asked(path):
    """Without the dashboard its path is no address of the API; with `--keep all` nothing is deleted."""
    before = traces(path)
    with serving(path, "--keep", "all", "--no-dashboard") as (first,):
        url = first.split(" at ")[1].split(";")[0]
        assert status(f"{url}/dashboard/", **{"x-api-key": "k"}) == 404
    assert traces(path) == before
    assert len(before) == 2
