"""What reaches the trace store: framing, compression, limits, refusals, the raw record, faults, and life as a process."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import urllib.request
import uuid

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from langsmith._internal._compressed_traces import CompressedTraces
from langsmith._internal._multipart import MultipartPartsAndContext
from langsmith._internal._operations import compress_multipart_parts_and_context
from requests_toolbelt.multipart import MultipartEncoder

from tracing.local.trace_store import Faults, Limits, LocalServer, StoreUnavailable, TraceStore, serve
from tracing.local.trace_store.ingest import inflated
from tracing.local.trace_store.multipart import Part, parts
from tracing.local.trace_store.refusal import Refusal

RUN = {"id": str(uuid.UUID(int=1)), "name": "turn", "run_type": "llm", "session_name": "clinic", "start_time": "2026-03-01T09:00:00Z"}
KEY = {"x-api-key": "k"}

names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"'), min_size=1, max_size=20)
contents = st.binary(max_size=60) | st.sampled_from([b"\r\n--b", b"\r\n--b--\r\n", b"--b\r\n\r\n", b""])


def send(server, method, path, body=b"", headers=KEY):
    host = server.url.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=20)
    try:
        line.request(method, path, json.dumps(body) if isinstance(body, dict) else body, headers)
        answer = line.getresponse()
        return answer.status, json.loads(answer.read() or b"null"), answer.headers
    finally:
        line.close()


def frame(content: bytes, **settings) -> bytes:
    compressor = zstandard.ZstdCompressor(**settings).compressobj()
    return compressor.compress(content) + compressor.flush()


@pytest.fixture
def server():
    with LocalServer(keep_raw=True, faults=Faults(), limits=Limits(body_bytes=100_000, content_bytes=200_000)) as running:
        yield running


# Framing


@given(st.lists(st.tuples(names, contents), max_size=5))
def test_what_the_sdk_frames_is_read_back(pieces):
    """Its own encoder, which gives each part its length, with bytes that look like the boundary inside."""
    framed = [(name, (None, data, "application/json", {"Content-Length": str(len(data))})) for name, data in pieces]
    traces = CompressedTraces()
    compress_multipart_parts_and_context(MultipartPartsAndContext(framed, ""), traces, "b")
    traces.compressor_writer.write(b"--b--\r\n")
    traces.compressor_writer.close()
    found = list(parts('multipart/form-data; boundary="b"', inflated(traces.buffer.getvalue(), 10_000)))
    assert found == [Part(name, "application/json", data) for name, data in pieces]


@given(st.lists(st.tuples(names, contents, st.booleans()), min_size=1, max_size=5))
def test_what_the_plain_encoder_frames_is_read_back(pieces):
    """The encoder of its uncompressed requests, which names a length only sometimes; then the boundary ends the part."""
    fields = []
    for name, data, says_length in pieces:
        mime = f"x/y; length={len(data)}" if says_length else "x/y"
        fields.append((name, (None, data, mime)))
    encoder = MultipartEncoder(fields, boundary="3f9a0c5e7b")
    found = list(parts(encoder.content_type, encoder.read()))
    assert found == [Part(name, "x/y", data) for name, data, _ in pieces]


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"--b", b"\r\n", b"--", b'Content-Disposition: form-data; name="a"', b"x"])).map(b"".join)
)
def test_broken_framing_is_refused(body):
    """Any other bytes are parts or a refusal, never another error."""
    with contextlib.suppress(Refusal):
        list(parts("multipart/form-data; boundary=b", body))


def test_a_length_that_lies_is_refused():
    """A part whose length does not end at a boundary is not guessed at."""
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Length: 2\r\n\r\nabc\r\n--b--\r\n'
    with pytest.raises(Refusal, match="no boundary where"):
        list(parts("multipart/form-data; boundary=b", body))


# Compression


@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=3))
def test_zstd_frames_are_read_back(contents):
    """One frame or several in a row, none of which says how long its content is."""
    assert inflated(b"".join(map(frame, contents)), 20_000) == b"".join(contents)


@pytest.mark.parametrize("body", [b"", b"plain", frame(b"x" * 5000)[:-4], frame(b"x") + b"rest"])
def test_broken_zstd_is_refused(body):
    """A frame that is missing, cut short or followed by something else stores nothing."""
    with pytest.raises(Refusal) as refused:
        inflated(body, 10_000)
    assert refused.value.status == 400


def test_a_zip_bomb_stops_at_the_limit(server):
    """A few KB that would become 400 MB are refused after a step, not after the memory is spent."""
    compressor = zstandard.ZstdCompressor().compressobj()
    bomb = b"".join(compressor.compress(bytes(1_000_000)) for _ in range(400)) + compressor.flush()
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as refused:
            inflated(bomb, 200_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (refused.value.status, peak < 40_000_000) == (413, True)
    assert send(server, "POST", "/runs/multipart", bomb, KEY | {"Content-Encoding": "zstd"})[0] == 413


def test_a_large_body_is_refused_and_the_server_lives(server):
    """Beyond the limit the answer is 413, declared or chunked, and the next request is served."""
    assert send(server, "POST", "/runs", b"x" * 100_001)[0] == 413
    assert send(server, "POST", "/runs", iter([b"x" * 60_000] * 2))[0] == 413
    assert send(server, "POST", "/runs", RUN)[0] == 202


# Refusals


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 5000, 400),
        (b'{"id": NaN}', 400),
        (b"[]", 422),
        (RUN | {"id": "Quillon"}, 422),
        (RUN | {"name": None}, 422),
        (RUN | {"start_time": "Quillon"}, 422),
        (RUN | {"inputs": ["Quillon"]}, 422),
        (RUN | {"events": ["Quillon"]}, 422),
        (RUN | {"tags": "Quillon"}, 422),
        (RUN | {"extra": 5}, 422),
        (RUN | {"session_name": "\ud800"}, 422),
    ],
)
def test_bad_runs_are_refused(server, body, status):
    """A run of the wrong shape is a 4xx in JSON that does not repeat its values, and nothing is stored."""
    answered, answer, _ = send(server, "POST", "/runs", body)
    assert (answered, list(answer)) == (status, ["detail"])
    assert "Quillon" not in answer["detail"]
    assert server.store.projects() == []


def test_what_is_taken_can_be_read(server):
    """Nesting is limited on the way in, so that no run can be stored that makes every later reading fail."""
    for depth, status in ((190, 202), (210, 400), (985, 400)):
        deep = json.dumps(RUN).encode()[:-1] + b', "inputs": {"a": ' + b"[" * depth + b"]" * depth + b"}}"
        assert send(server, "POST", "/runs", deep)[0] == status
    (project,) = server.store.projects()
    asked = {"session": [project.id], "filter": 'or(eq(input_key, "b"), search("turn"))'}
    assert len(send(server, "POST", "/runs/query", asked)[1]["runs"]) == 1


def test_half_a_surrogate_in_content_comes_back(server):
    """JSON may hold what UTF-8 cannot; it is kept and shown, not a failure."""
    assert send(server, "POST", "/runs", RUN | {"inputs": {"\udcff": "\ud800"}})[0] == 202
    assert send(server, "GET", f"/runs/{RUN['id']}")[1]["inputs"] == {"\udcff": "\ud800"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/sessions"), ("POST", "/runs"), ("POST", "/api/v2/runs/query"), ("GET", "/nowhere")])
def test_a_key_is_needed(server, method, path):
    """Without a key, or with an empty one, nothing is answered; with any key it is."""
    assert send(server, method, path, headers={})[0] == 401
    assert send(server, method, path, headers={"x-api-key": ""})[0] == 401
    assert send(server, method, path)[0] != 401


def test_the_handshake_holds_every_key(server):
    """A key missing from /info stops the SDK's sending thread without a word, so the keys are fixed here."""
    for prefix in ("", "/api", "/api/v1"):
        _, info, _ = send(server, "GET", f"{prefix}/info")
        assert set(info["instance_flags"]) == {"zstd_compression_enabled", "ch_query_enabled", "sdb_query_enabled"}
        wanted = (
            "use_multipart_endpoint size_limit size_limit_bytes scale_up_qsize_trigger scale_up_nthreads_limit scale_down_nempty_trigger"
        )
        assert set(info["batch_ingest_config"]) == set(wanted.split())


def test_attachments_are_not_guessed(server):
    """The bytes are given out without a key only at the address a reading with a key named."""
    part = f'--b\r\nContent-Disposition: form-data; name="attachment.{RUN["id"]}.x"\r\nContent-Length: 2\r\n\r\nab\r\n--b--\r\n'
    send(server, "POST", "/runs", RUN)
    status, _, _ = send(server, "POST", "/runs/multipart", part.encode(), KEY | {"Content-Type": "multipart/form-data; boundary=b"})
    assert status == 202
    address = send(server, "GET", f"/runs/{RUN['id']}")[1]["s3_urls"]["attachment.x"]["presigned_url"]
    assert urllib.request.urlopen(address).read() == b"ab"
    ticket = address.removeprefix(server.url).split("/")[2]
    assert send(server, "GET", address.removeprefix(server.url).replace(ticket, "guess"), headers={})[0] == 404


def test_a_failure_of_the_store_is_told_without_its_text(server, caplog):
    """A fault inside is a 500 in JSON that names the class only, with no traceback in the log."""
    server.store._db.execute("DROP TABLE feedback")
    server.store._db.execute("DROP TABLE projects")
    status, answer, _ = send(server, "POST", "/runs", RUN)
    assert (status, answer) == (500, {"detail": "the trace store failed: OperationalError"})
    assert "Traceback" not in caplog.text


# The raw record


def test_every_byte_that_arrived_is_kept(server):
    """Heads, addresses and bodies are kept as they came, also of what was refused; the key is not."""
    send(server, "POST", "/runs?q=in-address", RUN, KEY | {"x-note": "in-head", "x-api-key": "in-key"})
    send(server, "POST", "/runs", b"{in-broken-json")
    send(server, "POST", "/runs/multipart", frame(b"in-zstd"), KEY | {"Content-Encoding": "zstd"})
    send(server, "POST", "/runs/multipart", b"in-broken-zstd", KEY | {"Content-Encoding": "zstd"})
    send(server, "POST", "/runs", b"in-large" + bytes(200_000))
    send(server, "POST", "/runs", b"in-keyless", {})
    server.faults.change({"status": 500, "remaining": 1})
    send(server, "POST", "/runs", b"in-fault")
    everything = b"\n".join(server.store.raw())
    for canary in (b"in-address", b"in-head", b"in-broken-json", b"in-zstd", b"in-broken-zstd", b"in-large", b"in-keyless", b"in-fault"):
        assert canary in everything
    assert b"in-key\r\n" not in everything
    assert len(list(server.store.raw())) == 7


def test_nothing_raw_is_kept_unasked():
    """Without `keep_raw` the record stays empty."""
    with LocalServer() as server:
        send(server, "POST", "/runs", RUN)
        assert list(server.store.raw()) == []


# Faults


def test_faults_hit_what_matches_and_run_out(server):
    """Two of the matching requests get the status and its Retry-After; others and later ones pass."""
    server.faults.change({"status": 429, "remaining": 2, "retry_after": "7", "match": "/runs"})
    assert send(server, "GET", "/sessions")[0] == 200
    answers = [send(server, "POST", "/runs", RUN) for _ in range(3)]
    assert [status for status, _, _ in answers] == [429, 429, 202]
    assert [headers["Retry-After"] for _, _, headers in answers] == ["7", "7", None]
    assert server.faults.hits == 2


def test_a_reset_breaks_the_connection(server):
    """The sender sees a broken connection and no answer; nothing is stored."""
    server.faults.change({"reset": True, "remaining": 1})
    with pytest.raises(ConnectionError):
        send(server, "POST", "/runs", RUN)
    assert server.store.run(RUN["id"]) is None
    assert send(server, "POST", "/runs", RUN)[0] == 202


def test_a_late_fault_takes_the_request_first(server):
    """The run is there although its sender was told 500: what a retry must survive."""
    server.faults.change({"status": 500, "remaining": 1, "late": True})
    assert send(server, "POST", "/runs", RUN)[0] == 500
    assert server.store.run(RUN["id"]) is not None
    assert send(server, "POST", "/runs", RUN)[0] == 202


def test_a_delay_holds_only_its_own_request(server):
    """A slow answer does not hold up its neighbours."""
    server.faults.change({"delay_s": 1.5, "remaining": 1})
    slow = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=20)
    begin = time.monotonic()
    slow.request("GET", "/sessions", headers=KEY)
    while server.faults.hits == 0:
        time.sleep(0.005)
    assert send(server, "GET", "/sessions")[0] == 200
    assert time.monotonic() - begin < 1.4
    assert slow.getresponse().status == 200
    assert time.monotonic() - begin >= 1.5
    slow.close()


def test_control_sets_faults_from_outside(server):
    """/_control takes the same names, refuses others whole, and is not there without faults."""
    assert send(server, "POST", "/_control", {"status": 503, "remaining": -1, "match": "/sessions"}, {})[1]["status"] == 503
    assert [send(server, "GET", "/sessions")[0] for _ in range(2)] == [503, 503]
    assert send(server, "POST", "/_control", {"remaining": 0, "frob": 1})[0] == 422
    assert send(server, "POST", "/_control", {"status": "x"})[0] == 422
    assert server.faults.remaining == -1
    send(server, "POST", "/_control", {"remaining": 0})
    assert send(server, "GET", "/sessions")[0] == 200
    with LocalServer() as plain:
        assert send(plain, "POST", "/_control", {"remaining": 1})[0] == 404


# The file and the process


def test_a_file_outlives_its_server(tmp_path):
    """What one server stored the next one shows; the file is its owner's alone."""
    with LocalServer(tmp_path / "t.db") as server:
        send(server, "POST", "/runs", RUN)
    assert (tmp_path / "t.db").stat().st_mode & 0o777 == 0o600
    with LocalServer(tmp_path / "t.db") as server:
        assert send(server, "GET", f"/api/v1/runs/{RUN['id']}")[1]["name"] == "turn"


def test_another_file_is_not_touched(tmp_path):
    """A file that is no trace store, or no file at all, is refused by name and left as it was."""
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE mine (a)")
    other.close()
    (tmp_path / "text").write_text("hello, this is no database at all" * 9)
    for path in (tmp_path / "other.db", tmp_path / "text", tmp_path, tmp_path / "no" / "where"):
        with pytest.raises(StoreUnavailable, match=re.escape(str(path))):
            TraceStore(path)
    assert (tmp_path / "text").read_text().startswith("hello")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org", "192.0.2.1"])
def test_only_this_machine_is_served(host):
    """The store takes any key, so it never listens where another machine could reach it."""
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        serve(host, 0, ":memory:")


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("LocalHost:1984", 200), ("127.0.0.2:9", 200), ("[::1]:9", 200)],
)
def test_a_page_that_points_its_name_here_is_refused(server, host, status):
    """The Host header must name this machine, at every address, also where no key is asked for; what is refused is not kept."""
    assert send(server, "GET", "/info", headers={"Host": host})[0] == status
    assert send(server, "GET", "/sessions", headers={"Host": host, **KEY})[0] == status
    before = len(list(server.store.raw()))
    send(server, "POST", "/runs", RUN, {"Host": "evil.example", **KEY})
    assert len(list(server.store.raw())) == before


def test_as_a_process(tmp_path):
    """One JSON line when ready, served and controlled from outside, ended by SIGTERM with exit code 0 and the file closed."""
    command = [sys.executable, "-m", "tracing.local.trace_store", "--port", "0", "--path", str(tmp_path / "t.db"), "--keep-raw", "--faults"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = json.loads(process.stdout.readline())["url"]

            class Away:
                pass

            away = Away()
            away.url = url
            assert send(away, "POST", "/_control", {"status": 500, "remaining": 1})[0] == 200
            assert [send(away, "POST", "/runs", RUN)[0] for _ in range(2)] == [500, 202]
            port_taken = [*command[:4], url.rsplit(":", 1)[1], "--path", str(tmp_path / "u.db")]
            second = subprocess.run(port_taken, capture_output=True, text=True, timeout=60, check=False)
        finally:
            process.terminate()
            _, complaints = process.communicate(timeout=20)
    assert (process.returncode, complaints) == (0, "")
    assert (second.returncode, second.stdout) == (2, "")
    assert "in use" in second.stderr
    assert "Traceback" not in second.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("t.db")] == ["t.db"]
    reopened = TraceStore(tmp_path / "t.db")
    assert (reopened.run(RUN["id"]).body["name"], len(list(reopened.raw()))) == ("turn", 2)
    reopened.close()
