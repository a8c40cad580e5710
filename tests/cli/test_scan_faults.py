"""``phi-audit scan`` when things go wrong, each for real: UNPROVEN with the reason or a usage fault, never a traceback, never GO."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stores
import urllib3

from tracing.local.trace_store.faults import Faults
from tracing.local.trace_store.serve import LocalServer

NOW = "2026-11-20T12:00:00Z"
SOME = ("name in notes", "tag", "error text")
CALLS = 21


def exported(path, *, calls=2):
    return stores.write_jsonl(path, list(stores.invent(calls, 7)))


@pytest.fixture
def audit(tmp_path):
    """The audit's own directory."""
    made = tmp_path / "audit"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def begin(tmp_path, audit):
    """Start a scan in a process of its own."""

    def run(*args, directory=audit, key="k", inside=(), stdout=subprocess.PIPE):
        return subprocess.Popen(
            [*inside, *command(*args)], stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "PHI_AUDIT_DIR": str(directory), "LANGSMITH_API_KEY": key},
        )  # fmt: skip

    return run


@pytest.fixture
def scan(begin):
    """A scan to its end: exit code, report (None without one), stderr."""
    return lambda *args, **how: ended(begin(*args, **how))


def ended(process):
    out, err = process.communicate(timeout=150)
    assert "Traceback" not in err + (out or "")
    return process.returncode, json.loads(out) if out and out.startswith("{") else None, err


def command(*args):
    words = [sys.executable, "-m", "audit", "scan", "--known-answers", "1", "--seed", "1", "--now", NOW, "--format", "json", *args]
    return [str(word) for word in words]


@pytest.fixture(scope="module")
def store():
    """A trace store over HTTP with calls of six days, three of which leak."""
    calls, _ = stores.leaky(CALLS, 3, {what: stores.PLANTS[what] for what in SOME})
    with LocalServer(faults=Faults()) as running:
        for call in calls:
            answer = urllib3.request(
                "POST", f"{running.url}/runs/batch", json={"post": call, "patch": []}, headers={"x-api-key": "k"}, timeout=20
            )
            assert answer.status == 202, answer.data
        yield running


@pytest.fixture
def server(store):
    yield store
    store.faults.change({"status": None, "remaining": 0, "delay_s": 0.0, "match": "", "retry_after": None, "reset": False})


def live(server, *more):
    return ("--project", stores.PROJECT, "--env", "dev", "--endpoint", server.url, *more)


def unproven(outcome, said):
    code, report, _ = outcome
    assert (code, report["verdict"]["state"]) == (3, "UNPROVEN")
    assert said in report["incomplete"]
    assert any(said in reason for reason in report["verdict"]["reasons"])


def test_no_trace(scan, server):
    """A window with no trace proves nothing."""
    unproven(scan(*live(server, "--since", "1m"), "--now", "2026-01-01T00:00:00Z"), "holds no run")


def test_an_empty_file(scan, tmp_path):
    """Nor does an empty export."""
    (tmp_path / "none.jsonl").write_bytes(b"")
    unproven(scan("--from", "none.jsonl"), "holds no run")


def test_no_key(scan, server):
    """Without a key the store itself refuses."""
    unproven(scan(*live(server), key=""), "refuses the key (HTTP 401)")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 403}, "refuses the key (HTTP 403)"),
        ({"status": 429, "retry_after": "0"}, "too many requests"),
        ({"status": 429, "retry_after": "86400"}, "asks to wait 86400 s"),
        ({"status": 503, "retry_after": "0"}, "503"),
        ({"reset": True}, "cannot be reached"),
    ],
)
def test_a_store_that_fails(scan, server, fault, said):
    """Refusals, storms and breaks that do not end are told; the work ends."""
    server.faults.change({"remaining": -1, **fault})
    unproven(scan(*live(server)), said)


def wait_for(ready, process):
    """Until something is so, while the scan goes on."""
    for _ in range(2_400):
        if ready() or process.poll() is not None:
            return
        time.sleep(0.05)


def read_some(server, process, pages=4):
    """Let the scan read some pages of seven, each of which takes a while."""
    wait_for(lambda: server.faults.hits >= pages, process)
    assert process.poll() is None, "the scan ended before it could be disturbed"


@pytest.fixture
def slow(server):
    """The store, taking its time over every page."""
    server.faults.change({"remaining": -1, "match": "/runs/query", "delay_s": 1.0, "hits": 0})
    return server


def test_a_store_that_fails_half_way(begin, slow):
    """What was read is judged, the rest is named as missing: a finding is a finding, and none is no proof."""
    process = begin(*live(slow))
    read_some(slow, process)
    slow.faults.change({"status": 500, "retry_after": "0", "delay_s": 0.0})
    code, report, _ = ended(process)
    assert "500" in report["incomplete"]
    assert 0 < report["population"]["traces"] < CALLS
    assert (code, report["verdict"]["state"]) == ((1, "NO_GO") if report["results"]["leaking"] else (3, "UNPROVEN"))
    assert {g["name"]: g["state"] for g in report["gates"]}["phi_findings"] != "proven"


@pytest.fixture(scope="module")
def in_one_go(store, tmp_path_factory):
    """The audit's directory as it was before, and what a scan that nobody disturbs says."""
    directory = tmp_path_factory.mktemp("whole")
    directory.chmod(0o700)
    (directory / "fingerprint.key").write_bytes(b"k" * 32)
    (directory / "fingerprint.key").chmod(0o600)
    before = tmp_path_factory.mktemp("before") / "audit"
    shutil.copytree(directory, before)
    store.faults.change({"status": None, "remaining": 0, "delay_s": 0.0})
    environ = {**os.environ, "PHI_AUDIT_DIR": str(directory), "LANGSMITH_API_KEY": "k"}
    done = subprocess.run(command(*live(store)), capture_output=True, text=True, check=False, env=environ, timeout=150)
    assert done.returncode == 1, done.stderr
    return before, json.loads(done.stdout)


TOLD = ("verdict", "gates", "findings", "population", "bound", "results", "known_answers", "timeline", "selection", "releases", "sentence")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_going_on(begin, slow, in_one_go, tmp_path, how):
    """Ctrl-C reports what there is, marked, with exit 130; after it, or after a kill, --resume says what one go would have said."""
    before, whole = in_one_go
    directory = tmp_path / "again"
    shutil.copytree(before, directory)
    directory.chmod(0o700)
    process = begin(*live(slow), directory=directory)
    read_some(slow, process, 5)
    process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGKILL)
    code, report, _ = ended(process)
    if how == "interrupt":
        assert (code, report["incomplete"]) == (130, "interrupted")
        assert 0 < report["population"]["traces"] < CALLS
        assert report["verdict"]["state"] != "GO"
    else:
        assert (code, report) == (-signal.SIGKILL, None)
    slow.faults.change({"remaining": 0, "delay_s": 0.0})
    code, report, said = ended(begin(*live(slow, "--resume"), directory=directory))
    assert code == 1, said
    assert {part: report[part] for part in TOLD} == {part: whole[part] for part in TOLD}
    assert report["results"]["leaking"] == len(SOME)


def cut_plain(path):
    path.write_bytes(path.read_bytes()[:-700])
    return path


def cut_gzip(path):
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes())[:-400])
    return packed


def cut_parquet(path):
    packed = path.with_suffix(".parquet")
    packed.write_bytes(b"PAR1" + path.read_bytes()[:5_000])
    return packed


def project_of_another(path):
    path.write_text(path.read_text(encoding="utf-8").replace(stores.PROJECT, "another-project"), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("spoil", "said"), [(cut_plain, "is not JSON"), (cut_gzip, "cut short"), (cut_parquet, "export")], ids=["plain", "gzip", "parquet"]
)
def test_a_file_that_was_cut(scan, tmp_path, spoil, said):
    """What can be read of it is judged; it is no whole population."""
    code, report, _ = scan("--from", spoil(exported(tmp_path / "e.jsonl")))
    assert said in report["incomplete"]
    assert any(said in reason for reason in report["verdict"]["reasons"])
    # The trace that was cut may fail a gate of its own; what it did not break, it does not prove.
    assert (code, report["verdict"]["state"]) in {(3, "UNPROVEN"), (1, "NO_GO")}
    gates = {gate["name"]: gate["state"] for gate in report["gates"]}
    assert (gates["phi_findings"], "proven" in {state for name, state in gates.items() if name != "redaction_tests"}) == ("unproven", False)


def test_runs_that_come_twice(scan, tmp_path):
    """Duplicates are told and counted once."""
    path = exported(tmp_path / "e.jsonl")
    path.write_bytes(path.read_bytes() * 2)
    code, report, _ = scan("--from", path)
    assert (code, report["population"]["traces"], report["results"]["leaking"]) == (3, 2, 0)
    assert report["population"]["repeated"] == report["population"]["runs"] > 10


def test_another_project_in_the_file(scan, tmp_path):
    """Runs of a project that was not asked for are findings."""
    code, report, _ = scan("--from", project_of_another(exported(tmp_path / "e.jsonl")), "--project", stores.PROJECT)
    assert (code, report["results"]["leaking"]) == (1, 2)
    assert {f["path"] for f in report["findings"]} == {"session_name"}


def test_a_project_that_is_replaced_meanwhile(begin, slow):
    """A project deleted while it is read answers with nothing; that is no end of it."""
    process = begin(*live(slow))
    read_some(slow, process, 3)
    slow.faults.change({"status": 404, "match": "/sessions", "delay_s": 0.0})
    code, report, _ = ended(process)
    assert code in {1, 3}
    assert "deleted or replaced" in report["incomplete"]


def limit(size):
    """A disk that takes no more than some bytes a file."""
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); os.execv(sys.argv[2], sys.argv[2:])"
    )
    return [sys.executable, "-c", limited, str(size)]


def test_a_full_disk_under_the_report(scan, tmp_path):
    """A report that cannot be written is a fault, whatever its verdict."""
    code, report, said = scan("--from", exported(tmp_path / "e.jsonl"), "-o", "/dev/full")
    assert (code, report) == (2, None)
    assert "/dev/full: cannot be written" in said


def test_a_full_disk_under_stdout(begin, tmp_path):
    """Nor is one that ends in a full pipe a pass."""
    with Path("/dev/full").open("w") as full:
        code, _, said = ended(begin("--from", exported(tmp_path / "e.jsonl"), stdout=full))
    assert code not in {0, 1}
    assert said


@pytest.mark.parametrize("size", [0, 30_000, 90_000])
def test_a_full_disk_under_the_audit(scan, tmp_path, size):
    """Without room for key or results there is no verdict."""
    code, report, said = scan("--from", exported(tmp_path / "e.jsonl", calls=60), inside=limit(size))
    assert code == 3, said
    assert report is None or report["verdict"]["state"] == "UNPROVEN"
    assert said or report["incomplete"]


@pytest.mark.parametrize("place", ["file", "link", "open", "proc"])
def test_an_audit_directory_that_cannot_be_used(scan, tmp_path, place):
    """A file in its place, a link that leads nowhere, rights for everybody, a place where nothing can be made."""
    where = tmp_path / "where"
    if place == "file":
        where.write_text("x")
    elif place == "link":
        where.symlink_to(tmp_path / "missing" / "deep")
    elif place == "open":
        where.mkdir()
        where.chmod(0o777)
    else:
        where = "/proc/1/audit"
    code, report, said = scan("--from", exported(tmp_path / "e.jsonl"), directory=where)
    assert (code in {2, 3}, report) == (True, None)
    assert str(where) in said


def test_the_same_again(scan, audit, tmp_path, monkeypatch):
    """Same file, seed, instant, key and log: the same digest, in another process, in another order of hashing, scanned or remembered."""
    path = exported(tmp_path / "e.jsonl", calls=4)
    (audit / "fingerprint.key").write_bytes(b"k" * 32)
    (audit / "fingerprint.key").chmod(0o600)
    shutil.copytree(audit, tmp_path / "first")
    digests = []
    for n, more in enumerate([(), ("--no-cache",)]):
        directory = tmp_path / f"again{n}"
        shutil.copytree(tmp_path / "first", directory)
        directory.chmod(0o700)
        monkeypatch.setenv("PYTHONHASHSEED", str(n + 1))
        digests.append(scan("--from", path, *more, directory=directory)[1]["digest"])
    scans = tmp_path / "again0" / "scans"
    assert scans.is_dir()
    remembering = tmp_path / "again2"
    shutil.copytree(tmp_path / "first", remembering)
    shutil.copytree(scans, remembering / "scans")
    remembering.chmod(0o700)
    digests.append(scan("--from", path, directory=remembering)[1]["digest"])
    assert len(set(digests)) == 1
