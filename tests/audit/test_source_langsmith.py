"""Reading a LangSmith project: a real server on this machine that speaks the protocol, and the faults such servers have."""

from __future__ import annotations

import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from audit.source import SourceError, Window
from audit.source.langsmith import LangSmithProject

NOW = datetime.now(UTC)
WINDOW = Window(NOW - timedelta(days=30), NOW + timedelta(minutes=1))
PROJECT_ID = "0192f000-0000-7000-8000-00000000aaaa"


class Server(ThreadingHTTPServer):
    """A LangSmith that holds rows and can be told to fail; it keeps what it was asked."""

    daemon_threads = True

    def __init__(self, rows, *, has_v2=True, answers=()):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows, self.has_v2, self.answers, self.asked = rows, has_v2, list(answers), []
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
            return self._send(200, [{"id": PROJECT_ID, "name": "clinic-dev"}])
        v2 = self.path.startswith("/api/v2")
        if v2 and not server.has_v2:
            return self._send(404, {"detail": "Not Found"})
        start, size = int(body.get("cursor") or 0), body["page_size" if v2 else "limit"]
        rows, more = server.rows[start : start + size], str(start + size) if start + size < len(server.rows) else None
        return self._send(200, {"items": rows, "next_cursor": more} if v2 else {"runs": rows, "cursors": {"next": more}})

    def _send(self, status, answer, headers=()):
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
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
    server = serve(rows_v2(250))
    runs = list(project(server).runs())
    assert [run["id"] for run in runs] == [f"id-{i}" for i in range(250)]
    assert runs[3]["extra"] == {"metadata": {"a": 3}}
    assert runs[3]["run_type"] == "llm"
    questions = [asked for asked in server.asked if asked[0] == "POST"]
    assert len(questions) == 3
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
    assert waits == [7.0, 2.0, 4.0]


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
