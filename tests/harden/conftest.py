"""A collector on loopback that stands in for LiveKit Cloud, LangSmith and any OpenTelemetry backend, and probes run beside it."""

from __future__ import annotations

import gzip
import json
import os
import select
import subprocess
import sys
import threading
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

ROOT = Path(__file__).parents[2]
CANARY = b"Zqxjkvorn"


@dataclass(frozen=True)
class Request:
    """What came in: method, path and body, unpacked."""

    method: str
    path: str
    body: bytes


class Collector:
    """A server that keeps what it is sent and accepts all of it."""

    def __init__(self):
        self.requests = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    body = b"".join(self.chunks())
                else:
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                collector.requests.append(Request(self.command, self.path, unpacked(body, self.headers.get("Content-Encoding", ""))))
                told = b"{}"
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def chunks(self):
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()

            do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815  # the base class's names

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a process that ends may cut its connection
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def leaked(self):
        """Paths whose body held what was said."""
        return sorted({request.path for request in self.requests if CANARY in request.body or CANARY.decode() in request.path})

    def kinds(self, *names):
        """Which of these words came after the canary's hyphen, in any body."""
        bodies = b"\n".join(request.body for request in self.requests)
        return {name for name in names if CANARY + b"-" + name.encode() in bodies}

    def written(self):
        """Every request that was more than a question."""
        return sorted({(request.method, request.path) for request in self.requests if request.method != "GET"})


def unpacked(body, encoding):
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(body).read()
    return body


@pytest.fixture
def collector():
    held = Collector()
    held.thread.start()
    yield held
    held.server.shutdown()
    held.server.server_close()
    held.thread.join(10)


@pytest.fixture(scope="session")
def warm():
    """The process that probes are forked from."""
    command = [sys.executable, str(Path(__file__).with_name("warm.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def probe(collector, tmp_path, request):
    """Run one of `probes` in a process of its own, hardened or not; gives what it told. A ``fresh`` one has loaded nothing before."""

    def run(name, *, hardened, fresh=False, **environment):
        collector.requests.clear()
        known = {
            key: value for key, value in os.environ.items() if not key.startswith(("LANGSMITH", "LANGCHAIN", "LIVEKIT", "LK_", "OTEL"))
        }
        known |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", **environment}
        arguments = [name, "on" if hardened else "off", collector.url]
        if not fresh:
            process = request.getfixturevalue("warm")
            asked = {"arguments": arguments, "environment": known, "directory": str(tmp_path)}
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], 90)
            assert ready, "the probe does not end"
            assert json.loads(process.stdout.readline()) == [0], (tmp_path / "stderr").read_text()[-3000:]
            return json.loads((tmp_path / "stdout").read_text().splitlines()[-1])
        command = [sys.executable, str(Path(__file__).with_name("probes.py")), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=90, check=False, env=known)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run
