"""Reading a LangSmith project: a real server on this machine that speaks the protocol, and the faults such servers have."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from audit.population import Counting
from audit.source import SourceError, Window, api
from audit.source.langsmith import LangSmithProject, cut
from tracing.local.trace_store import Faults, LocalServer

HOUR = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
WINDOW = Window(HOUR, HOUR + timedelta(minutes=50))
"""Short enough to be read in one portion."""
PROJECT_ID = "0192f000-0000-7000-8000-00000000aaaa"


class Server(ThreadingHTTPServer):
    """A LangSmith that holds rows and can be told to fail; it keeps what it was asked."""

    daemon_threads = True

    def __init__(self, rows, *, has_v2=True, answers=(), page_max=1000, largest=10**9):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows, self.has_v2, self.answers, self.asked = rows, has_v2, list(answers), []
        self.page_max, self.largest, self.projects = page_max, largest, [{"id": PROJECT_ID, "name": "clinic-dev"}]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def _answer(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")
        server.asked.append((self.command, self.path.split("?")[0], dict(self.headers), body))
        if server.answers:
            status, headers, answer = server.answers.pop(0)
            if status:
                return self._send(status, answer, headers)
        if self.path.startswith("/sessions"):
            return self._send(200, server.projects)
        v2 = self.path.startswith("/api/v2")
        if v2 and not server.has_v2:
            return self._send(404, {"detail": "Not Found"})
        start, size = int(body.get("cursor") or 0), body["page_size" if v2 else "limit"]
        if size > server.page_max:
            return self._send(400, {"detail": "page_size"})
        if size > server.largest:
            return self._send(413, {"detail": "too large"})
        rows, more = server.rows[start : start + size], str(start + size) if start + size < len(server.rows) else None
        return self._send(200, {"items": rows, "next_cursor": more} if v2 else {"runs": rows, "cursors": {"next": more}})

    def _send(self, status, answer, headers=()):
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        (self.send_response_only if "Date" in dict(headers) else self.send_response)(status)
        for name, value in (("Content-Length", str(len(data))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def serve():
    servers = []

    def start(rows=(), **how):
        servers.append(Server(list(rows), **how))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def project(server, *, name="clinic-dev", waits=None, key="secret"):
    sleep = (lambda _s: None) if waits is None else waits.append
    return LangSmithProject(endpoint=server.url, api_key=key, project=name, window=WINDOW, sleep=sleep)


def rows_v2(n):
    return [
        {"id": f"id-{i}", "name": "agent_turn", "run_type": "LLM", "extra": {}, "metadata": {"a": i}, "parent_run_ids": []}
        for i in range(n)
    ]


def test_every_page_is_read(serve):
    """A project of two and a half pages is read whole, with the window, the selection and the key in every question, and no downloads."""
    server = serve(rows_v2(250), page_max=100)
    runs = list(project(server).runs())
    assert [run["id"] for run in runs] == [f"id-{i}" for i in range(250)]
    assert runs[3]["extra"] == {"metadata": {"a": 3}}
    assert runs[3]["run_type"] == "llm"
    first, *questions = [asked for asked in server.asked if asked[0] == "POST"]
    assert (first[3]["page_size"], len(questions)) == (1000, 3)  # the server does not give as much, and is not asked for it again
    for _, path, headers, body in questions:
        assert path == "/api/v2/runs/query"
        assert headers["x-api-key"] == "secret"
        assert body["page_size"] <= 100
        assert body["min_start_time"] == WINDOW.since.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert {"INPUTS", "OUTPUTS", "ERROR", "EVENTS", "TAGS", "EXTRA", "METADATA"} <= set(body["selects"])


def test_a_server_without_v2(serve):
    """Where v2 is not there, v1 is read with pages of at most 100; attachments are told by name."""
    row = {"id": "id-1", "name": "agent_turn", "run_type": "llm", "s3_urls": {"attachment.voice.wav": {"presigned_url": "/never"}}}
    server = serve([row] * 150, has_v2=False)
    runs = list(project(server).runs())
    assert len(runs) == 150
    assert runs[0]["attachments"] == ["attachment.voice.wav"]
    assert "s3_urls" not in runs[0]
    asked = [body for _, path, _, body in server.asked if path == "/runs/query"]
    assert all(body["limit"] <= 100 and body["session"] == [PROJECT_ID] for body in asked)
    assert "/never" not in {path for _, path, _, _ in server.asked}


def test_metadata_that_differs_is_kept_twice(serve):
    """If a row's metadata is not the one in extra, both can be scanned."""
    row = {"id": "id-1", "extra": {"metadata": {"a": 1}}, "metadata": {"b": 2}}
    (run,) = project(serve([row])).runs()
    assert run["extra"] == {"metadata": {"b": 2}, "metadata_in_extra": {"a": 1}}


def test_too_many_requests_are_waited_for(serve):
    """A 429 is tried again after the time that was asked for, a 5xx after a growing one."""
    waits = []
    server = serve(rows_v2(1), answers=[(429, (("Retry-After", "7"),), {}), (503, (), {}), (500, (), {})])
    assert len(list(project(server, waits=waits).runs())) == 1
    asked, *others = [wait for wait in waits if wait > 0.25]  # a quarter of a second is what requests are spaced by after a 429
    assert 7.0 <= asked <= 7.7
    assert [1.0 <= others[0] <= 2.0, 2.0 <= others[1] <= 4.0, len(others)] == [True, True, 2]
    assert waits.count(0.25) >= 2


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([(401, (), b"who is Ada Byron")], "refused"),
        ([(403, (), b"who is Ada Byron")], "refused"),
        ([(429, (("Retry-After", "3600"),), b"")], "throttled"),
        ([(429, (), b"")] * 5, "throttled"),
        ([(500, (), b"Ada Byron")] * 5, "server_error"),
        ([(400, (), b"Ada Byron")], "malformed"),
        ([(302, (("Location", "http://127.0.0.1:1/"),), b"")], "malformed"),
        ([(200, (), b"Ada Byron")], "malformed"),
        ([(200, (), b"[" * 200_000 + b"]" * 200_000)], "malformed"),
        ([(200, (), [])], "no_project"),
        ([(200, (), [{"id": "x", "name": "other"}])], "no_project"),
        ([(0, (), None), (200, (), {"items": "Ada Byron"})], "malformed"),
        ([(0, (), None), (200, (), {"items": ["Ada Byron"]})], "malformed"),
        ([(0, (), None)] + [(200, (), {"items": [], "next_cursor": "same"})] * 3, "malformed"),
        ([(0, (), None), (200, (), {"items": [{"id": "1"}], "next_cursor": "1"}), (404, (), b"Ada Byron")], "malformed"),
        ([(0, (), None), (400, (), b"")] + [(200, (), {"items": [{"id": "1"}], "next_cursor": "1"}), (400, (), b"")] * 3, "server_error"),
        ([(0, (), None)] + [(413, (), b"")] * 10, "server_error"),
        ([(429, (("Retry-After", "Fri, 20 Nov 2026 11:00:00 GMT"), ("Date", "Fri, 20 Nov 2026 10:00:00 GMT")), b"")], "throttled"),
    ],
)
def test_faults_have_a_reason_and_hold_no_answer(serve, answers, code):
    """Whatever the server answers, the fault has a code and says what to do, and nothing of the answer is in it."""
    server = serve(rows_v2(1), answers=answers)
    with pytest.raises(SourceError) as fault:
        list(project(server).runs())
    assert fault.value.code == code
    assert "Ada" not in str(fault.value)
    assert fault.value.__cause__ is None


def test_a_dead_endpoint():
    """A port that nobody listens on is told as unreachable, soon."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    source = LangSmithProject(endpoint=f"http://127.0.0.1:{port}/api/v1", api_key="", project="p", window=WINDOW, sleep=lambda _s: None)
    with pytest.raises(SourceError) as fault:
        list(source.runs())
    assert fault.value.code == "unreachable"


@pytest.mark.parametrize("endpoint", ["", "file:///etc/passwd", "ftp://host", "smith"])
def test_an_endpoint_that_is_none(endpoint):
    """Only http and https addresses are endpoints."""
    with pytest.raises(SourceError, match="endpoint"):
        LangSmithProject(endpoint=endpoint, api_key="", project="p", window=WINDOW)


@pytest.mark.parametrize(("asked", "low", "high"), [("3", 3.0, 3.3), ("Fri, 20 Nov 2026 10:00:08 GMT", 8.0, 8.8), ("soon", 0.5, 1.0)])
def test_retry_after_is_a_number_or_a_date(serve, asked, low, high):
    """Both forms are obeyed, a date by the server's clock; what is neither counts as not said."""
    waits = []
    headers = (("Retry-After", asked), ("Date", "Fri, 20 Nov 2026 10:00:00 GMT"))
    assert len(list(project(serve(rows_v2(1), answers=[(503, headers, {})]), waits=waits).runs())) == 1
    assert low <= waits[0] <= high


def test_waiting_ends(serve):
    """A server that always asks for one more minute is given up after half an hour in all, not waited for for ever."""
    waits = []
    minute = (429, (("Retry-After", "59"),), b"")
    server = serve(rows_v2(4_000), page_max=100, answers=[minute, minute, minute, (0, (), None)] * 40)
    with pytest.raises(SourceError, match="30 minutes in all"):
        list(project(server, waits=waits).runs())
    assert sum(waits) <= 1_800


def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(serve):
    """A 413 halves the page until it fits, and nothing is lost or skipped."""
    server = serve(rows_v2(250), largest=70)
    assert [run["id"] for run in project(server).runs()] == [f"id-{i}" for i in range(250)]
    sizes = [body["page_size"] for _, path, _, body in server.asked if path.endswith("/runs/query")]
    assert sizes == [1000, 500, 250, 125, 62, 62, 62, 62, 62]


def test_an_answer_longer_than_memory_allows_is_asked_for_in_smaller_ones(serve, monkeypatch):
    """The length of an answer is bounded whatever the server sends: here 40 rows are too much."""
    monkeypatch.setattr(api, "ANSWER_MAX", 5_000)
    rows = [row | {"inputs": {"a": "x" * 100}} for row in rows_v2(90)]
    server = serve(rows)
    assert len(list(project(server).runs())) == 90
    sizes = [body["page_size"] for _, path, _, body in server.asked if path.endswith("/runs/query")]
    assert sizes[0] == 1000
    assert max(sizes[-3:]) < 40


def test_a_cursor_that_is_lost_begins_the_portion_anew(serve):
    """A cursor the server no longer knows does not end the scan: the portion is read again, and the repeats are known by their ids."""
    page = (200, (), {"items": rows_v2(2), "next_cursor": "gone"})
    server = serve(rows_v2(3), page_max=100, answers=[(0, (), None), (400, (), b""), page, (400, (), b"")])
    counting = Counting()
    runs = list(project(server).runs())
    assert [run["id"] for run in runs if counting.add(run, "agent_turn")] == ["id-0", "id-1", "id-2"]
    assert len(runs) == 5


def test_a_project_that_is_deleted_while_it_is_read(serve):
    """Such a project answers with empty pages and no fault: it is asked for once more before the portion counts as read."""
    server = serve()
    source = project(server)
    (portion,) = source.pieces()
    server.projects = []
    with pytest.raises(SourceError) as fault:
        list(portion.runs())
    assert fault.value.code == "no_project"


def test_the_window_is_cut_where_it_can_be_cut_again():
    """Portions begin at full days or hours, whatever time it is now, and together they are the window."""
    since = datetime(2026, 11, 18, 9, 17, 3, tzinfo=UTC)
    days = [*cut(Window(since, since + timedelta(days=3)))]
    assert [part.since.isoformat()[8:16] for part in days] == ["18T09:17", "19T00:00", "20T00:00", "21T00:00"]
    assert [part.until for part in days[:-1]] == [part.since for part in days[1:]]
    assert (days[0].since, days[-1].until) == (since, since + timedelta(days=3))
    hours = [*cut(Window(since, since + timedelta(hours=2)))]
    assert [part.since.isoformat()[8:16] for part in hours] == ["18T09:17", "18T10:00", "18T11:00"]


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_runs_at_the_edges_of_portions_come_once(version, made):
    """A real store, runs on and beside each cut: each comes once, by both versions; the manifest says what was asked and what came."""
    with LocalServer(faults=Faults()) as server:
        if version == "v1":
            server.faults.change({"status": 404, "remaining": -1, "match": "/api/v2"})
        moments = [HOUR + timedelta(hours=h, microseconds=us) for h in range(4) for us in (-1500, -1000, -1, 0, 1, 1000, 1500)]
        runs = [
            made.span("agent_turn", 0, trace=n, start_time=at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
            | {"dotted_order": f"{at.strftime('%Y%m%dT%H%M%S%fZ')}{made.run_id(n * 1000)}"}
            for n, at in enumerate(moments)
        ]
        answer = urllib3.request("POST", f"{server.url}/runs/batch", json={"post": runs, "patch": []}, headers={"x-api-key": "k"})
        assert answer.status == 202
        window = Window(HOUR - timedelta(hours=1), HOUR + timedelta(hours=5))
        source = LangSmithProject(endpoint=server.url, api_key="k", project="clinic-dev", window=window, now=HOUR, sleep=lambda _s: None)
        read = [run["id"] for run in source.runs()]
        assert sorted(read) == sorted(run["id"] for run in runs)
        manifest = source.manifest()
    assert (manifest.query["protocol"], manifest.read_at, manifest.pages) == (version, HOUR.isoformat(), 6)
    assert manifest.query["since"] == "2026-11-20T09:00:00.000000Z"
    assert (manifest.requests, manifest.retries) == (6 + 7 + (version == "v1"), 0)
    assert len(manifest.answers_sha256) == 64
    assert manifest.bytes > 0


def test_a_store_that_fails_now_and_then_is_read_whole(made):
    """429 with a time to wait, 500 and 503 now and then: nothing is missing, and the manifest counts what was asked again."""
    with LocalServer(faults=Faults()) as server:
        runs = [run for n in range(4) for run in made.call(n)]
        urllib3.request("POST", f"{server.url}/runs/batch", json={"post": runs, "patch": []}, headers={"x-api-key": "k"})
        waits = []
        window = Window(HOUR - timedelta(days=3), HOUR + timedelta(days=1))
        source = LangSmithProject(endpoint=server.url, api_key="k", project="clinic-dev", window=window, sleep=waits.append)
        read = []
        for n, portion in enumerate(source.pieces()):
            server.faults.change({"status": (429, 500, 503)[n % 3], "remaining": 1, "match": "/runs/query", "retry_after": "2"})
            read += [run["id"] for run in portion.runs()]
        assert sorted(read) == sorted(run["id"] for run in runs)
        assert source.manifest().retries == 5
        assert all(wait >= 2.0 for wait in waits if wait > 0.3)


def test_a_connection_that_breaks_off_now_and_then(made):
    """Three times in a row the connection is reset, half way: the same page is asked for again until it comes."""
    with LocalServer(faults=Faults()) as server:
        runs = made.call(0)
        urllib3.request("POST", f"{server.url}/runs/batch", json={"post": runs, "patch": []}, headers={"x-api-key": "k"})
        window = Window(HOUR, HOUR + timedelta(minutes=50))
        source = LangSmithProject(endpoint=server.url, api_key="k", project="clinic-dev", window=window, sleep=lambda _s: None)
        (portion,) = source.pieces()
        server.faults.change({"reset": True, "remaining": 3, "match": "/runs/query"})
        assert len(list(portion.runs())) == 7
        assert (server.faults.hits, source.manifest().retries) == (3, 3)
