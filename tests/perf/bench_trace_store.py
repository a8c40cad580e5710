"""What the local trace store answers in, over many runs, beside a plain full scan of the same table; and what retention costs.

Run it: ``PYTHONPATH=tests python tests/perf/bench_trace_store.py --runs 1000000 --path /tmp/bench.sqlite3``. Not a test: it prints what
it measures now. A file that is there already, made by an earlier run, is asked as it is.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sqlite3
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from random import Random

from audit.bench.recorded import PROJECT, invent
from tracing.local.trace_store import LocalServer, TraceStore, ingest
from tracing.local.trace_store.records import Batch
from tracing.local.trace_store.retention import Retention

END = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)
DAYS = 60
RUNS_A_CALL = 28 / 3


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def line(what: str, spent: list[float], more: str = "") -> None:
    spent = sorted(spent)
    at = [spent[min(int(len(spent) * share), len(spent) - 1)] for share in (0.5, 0.95, 0.99)]
    say(f"{what:<44} p50 {at[0]:8.1f} p95 {at[1]:8.1f} p99 {at[2]:8.1f} max {spent[-1]:8.1f} ms  n {len(spent):<5} {more}")


def timely(call: list[dict[str, object]], random: Random) -> list[dict[str, object]]:
    """The call with ids that begin with their time (UUIDv7), as the tracer and LangSmith's SDK make them."""
    text = json.dumps(call)
    for run in call:
        moment = int(dt.datetime.fromisoformat(str(run["start_time"])).timestamp() * 1000)
        number = moment << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62)
        text = text.replace(str(run["id"]), str(uuid.UUID(int=number)))
    return json.loads(text)


def fill(path: Path, runs: int, seed: int) -> None:
    """Real-shaped calls over `DAYS` days, a run in a hundred failed, one in five hundred tagged; 100 runs a batch, as a relay sends."""
    random, store = Random(seed), TraceStore(path)
    batch, spent, count, slowest = [], 0.0, 0, 0.0
    for made in invent(int(runs / RUNS_A_CALL) + 1, seed, END, DAYS):
        call = timely(made, random)
        for run in call:
            if random.random() < 0.01:
                run["error"] = "TimeoutError"
            if random.random() < 0.002:
                run["tags"] = [random.choice(("canary", "eu", "load"))]
            batch.append(ingest.operation("post", run))
        if len(batch) >= 100:
            began = time.perf_counter()
            store.take(Batch(tuple(batch)))
            took = time.perf_counter() - began
            spent, count, slowest, batch = spent + took, count + len(batch), max(slowest, took), []
            if count % 100_000 < 120:
                say(f"  {count} runs in {spent:.0f} s of taking; slowest batch {slowest * 1e3:.0f} ms; {path.stat().st_size / 1e6:.0f} MB")
    store.close()
    say(f"ingest: {count} runs, {count / spent:.0f} runs/s, file {path.stat().st_size / 1e6:.0f} MB")


def ask(url: str, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"x-api-key": "k"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def questions(db: sqlite3.Connection, project: str, random: Random):
    """Each kind of question: path, a maker of bodies, and the predicate of a scan that knows of no column but the body."""
    traces = [row[0] for row in db.execute("SELECT trace_id FROM runs WHERE is_root = 1 LIMIT 5000")]
    rooms = [
        row[0]
        for row in db.execute("SELECT json_extract(body, '$.extra.metadata.room_sid') FROM runs WHERE is_root = 1 LIMIT 5000")
        if row[0]
    ]

    def window(days: float) -> dict[str, str]:
        end = END - dt.timedelta(days=random.random() * (DAYS - days))
        return {"start_time": (end - dt.timedelta(days=days)).isoformat(), "end_time": end.isoformat()}

    def v1(**more):
        return lambda: {"session": [project], "limit": 100} | {key: value() if callable(value) else value for key, value in more.items()}

    def filtered(make):
        return lambda: {"session": [project], "limit": 100, "filter": make()}

    def v2():
        end = END - dt.timedelta(days=random.random() * DAYS)
        return {
            "project_ids": [project],
            "min_start_time": (end - dt.timedelta(days=3)).isoformat(),
            "max_start_time": end.isoformat(),
            "selects": ["NAME", "STATUS", "LATENCY_SECONDS", "METADATA"],
        }

    metadata = "json_extract(body, '$.extra.metadata."
    return [
        ("project page, v1", "/runs/query", v1(), "1"),
        ("project page, v2, 3 days", "/api/v2/runs/query", v2, "json_extract(body, '$.start_time') < '2026-10-20'"),
        ("one trace", "/runs/query", lambda: {"trace": random.choice(traces)}, f"json_extract(body, '$.trace_id') = '{traces[7]}'"),
        ("roots only", "/runs/query", v1(is_root=True), "json_extract(body, '$.parent_run_id') IS NULL"),
        ("window of a day", "/runs/query", lambda: v1()() | window(1), "json_extract(body, '$.start_time') LIKE '2026-10-20%'"),
        ("failed", "/runs/query", v1(error=True), "json_extract(body, '$.error') IS NOT NULL"),
        (
            "failed roots, oldest first",
            "/runs/query",
            v1(error=True, is_root=True, order="asc"),
            "json_extract(body, '$.error') IS NOT NULL",
        ),
        ("run_type tool", "/runs/query", v1(run_type="tool"), "json_extract(body, '$.run_type') = 'tool'"),
        ("run_type that never was", "/runs/query", v1(run_type="retriever"), "json_extract(body, '$.run_type') = 'retriever'"),
        (
            "name",
            "/runs/query",
            filtered(lambda: 'eq(name, "tool.book_appointment")'),
            "json_extract(body, '$.name') = 'tool.book_appointment'",
        ),
        ("tag", "/runs/query", filtered(lambda: 'has(tags, "canary")'), "body LIKE '%\"canary\"%'"),
        (
            "metadata: one room",
            "/runs/query",
            filtered(lambda: f'and(eq(metadata_key, "room_sid"), eq(metadata_value, "{random.choice(rooms)}"))'),
            f"{metadata}room_sid') = '{rooms[7]}'",
        ),
        (
            "metadata: env, in every run",
            "/runs/query",
            filtered(lambda: 'and(eq(metadata_key, "env"), eq(metadata_value, "dev"))'),
            f"{metadata}env') = 'dev'",
        ),
        (
            "slow turns: llm over 1 s",
            "/runs/query",
            filtered(lambda: 'and(eq(run_type, "llm"), gt(latency, "1s"))'),
            "json_extract(body, '$.run_type') = 'llm' AND ended_us - started_us > 1000000",
        ),
        ("longer than any", "/runs/query", filtered(lambda: 'gt(latency, "1h")'), "ended_us - started_us > 3600000000"),
        (
            "stats of a day",
            "/runs/stats",
            lambda: {"session": [project]} | window(1),
            "json_extract(body, '$.start_time') LIKE '2026-10-20%'",
        ),
        (
            "stats of a week, roots",
            "/runs/stats",
            lambda: {"session": [project], "is_root": True} | window(7),
            "json_extract(body, '$.parent_run_id') IS NULL",
        ),
        (
            "stats of a week",
            "/runs/stats",
            lambda: {"session": [project]} | window(7),
            "json_extract(body, '$.start_time') LIKE '2026-10-1%'",
        ),
        ("stats of the project", "/runs/stats", lambda: {"session": [project]}, "1"),
        ("project with its stats", f"/sessions/{project}?include_stats=true", None, "1"),
    ]


def queries(path: Path, times: int, scans: int) -> None:
    db = sqlite3.connect(path)
    (runs,) = db.execute("SELECT count(*) FROM runs").fetchone()
    say(f"\nqueries over {runs} runs, over HTTP on loopback")
    with LocalServer(path) as server:
        project = next(one.id for one in server.store.projects() if one.name == PROJECT)
        kinds = questions(db, project, Random(5))
        began = time.perf_counter()
        ask(server.url, "/runs/stats", {"session": [project]})
        say(f"first statistics of the project, which count every hour: {(time.perf_counter() - began) * 1e3:.0f} ms")
        for what, address, make, predicate in kinds:
            spent, found = [], 0
            for _ in range(times):
                body = make() if make else None
                began = time.perf_counter()
                answer = ask(server.url, address, body)
                spent.append((time.perf_counter() - began) * 1e3)
                found = len(answer.get("runs", answer.get("items", ()))) or answer.get("run_count", 0)
            line(what, spent, f"found {found}")
            scanned = []
            for _ in range(scans):
                began = time.perf_counter()
                sql = f"SELECT id, body FROM runs NOT INDEXED WHERE {predicate} ORDER BY started_us DESC LIMIT 100"
                if "stats" in what:
                    cost = "json_extract(body, '$.extra.metadata.usage_metadata.total_cost')"
                    sql = f"SELECT count(*), sum({cost}) FROM runs NOT INDEXED WHERE {predicate}"
                db.execute(sql).fetchall()
                scanned.append((time.perf_counter() - began) * 1e3)
            if scanned:
                say(f"    full scan {min(scanned):.0f} to {max(scanned):.0f} ms, n {scans}")
    db.close()


def retention(path: Path, share: float) -> None:
    """Delete the oldest share of the runs while batches of 20 keep coming, and see what those wait."""
    store = TraceStore(path)
    size = path.stat().st_size
    before = store.rows("SELECT count(*), min(started_us) FROM runs")[0]
    cutoff = store.rows("SELECT started_us FROM runs ORDER BY started_us LIMIT 1 OFFSET ?", (int(before[0] * share),))[0][0]
    stop, waits = threading.Event(), []

    def arrive() -> None:
        while not stop.wait(0.02):
            runs = [
                {"id": str(uuid.uuid4()), "name": "tool.ping", "run_type": "tool", "session_name": PROJECT, "start_time": END.isoformat()}
                for _ in range(20)
            ]
            batch = Batch(tuple(ingest.operation("post", run) for run in runs))
            began = time.perf_counter()
            store.take(batch)
            waits.append((time.perf_counter() - began) * 1e3)

    thread = threading.Thread(target=arrive)
    thread.start()
    time.sleep(5)
    quiet = len(waits)
    began = time.perf_counter()
    gone = Retention(store).sweep(cutoff)
    took = time.perf_counter() - began
    stop.set()
    thread.join()
    sizes = f"{size / 1e6:.0f} -> {path.stat().st_size / 1e6:.0f} MB"
    say(f"\nretention: {gone} of {before[0]} runs in {took:.1f} s ({gone / took:.0f} runs/s); file {sizes}")
    line("a batch of 20 arriving, before", waits[:quiet])
    line("a batch of 20 arriving, meanwhile", waits[quiet:])
    store.close()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--runs", type=int, default=100_000)
    asked.add_argument("--path", type=Path, default=Path("/tmp/bench_trace_store.sqlite3"))
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--times", type=int, default=50, help="of each question")
    asked.add_argument("--scans", type=int, default=3, help="full scans beside each question; 0 for none")
    asked.add_argument("--expire", type=float, default=0.1, help="share of the runs that retention deletes at the end; 0 for none")
    given = asked.parse_args()
    if not given.path.exists():
        fill(given.path, given.runs, given.seed)
    queries(given.path, given.times, given.scans)
    if given.expire:
        retention(given.path, given.expire)


if __name__ == "__main__":
    main()
