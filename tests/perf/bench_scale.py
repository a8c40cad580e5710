"""Traces by the million: makes an export, scans it with each engine, kills a worker half way, and prints digests, rates and memory.

    python tests/perf/bench_scale.py make --traces 1000000 --texts 5000 --ids random -o DIR
    python tests/perf/bench_scale.py run DIR --engine processes:2 --kill -o FILE
    python tests/perf/bench_scale.py costs DIR

The calls are synthetic: six runs each, ids, times, texts, doctors and clinics drawn from a seed; one call in ten thousand leaks a made-up
name, so that there is something to find. Ids and times go up with the calls, as a tracer makes them and an export has them; with
``--ids random`` they do not, which is the worst case for who counts them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PROJECT = "medical-voice-agent-prod"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GROUP = 6_000
"""Rows of a row group: a thousand calls."""
CHARS = 50
"""Of a note at most, as the policy cuts them; a cut within a word would look like a name."""
LEAK_EVERY = 10_000
NAMES = ("Ada Byron", "Emil Hauser", "Claire Dubois", "Tom Baker", "Nora Keller")
PARTS = (
    ("a sore throat", "a headache", "back pain", "a cough", "a mild fever", "a rash on the arm", "knee pain", "stomach pain", "ear pain",
     "dizziness", "a sprained ankle", "trouble sleeping", "high blood pressure", "an itchy eye", "a stiff neck", "a toothache"),
    ("for three days", "since last week", "since yesterday", "for a month", "after a fall", "at night", "in the morning", "again",
     "after lunch", "on and off", "when it rains", "while walking"),
    ("", "please call back", "is in pain", "feels better now", "prefers the afternoon", "has a question", "wants a check-up"),
    ("", "took a tablet", "drank water", "stayed in bed", "no change", "slightly worse", "better after rest", "not the first time",
     "wants advice", "can wait"),
    ("", "<REDACTED>"),
)  # fmt: skip
DOCTORS = ("Dr. Lee", "Dr. Chen", "Dr. Dubois", "Dr. Keller", "Dr. Rossi", "Dr. Martin", "Dr. Osei")
CLINICS = ("Main Clinic", "North Clinic", "Lausanne Gare", "Riverside", "Hillcrest")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type")),
        *((name, pa.timestamp("us", tz="UTC")) for name in ("start_time", "end_time")),
        *((name, pa.string()) for name in ("inputs", "outputs", "error", "extra", "events", "tags", "status")),
    ]
)


def tell(text: str) -> None:
    """A line to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def texts(n: int, seed: int) -> list[str]:
    """So many different short texts as callers' notes are, of words that name nobody."""
    r, found = random.Random(seed), dict[str, None]()
    while len(found) < n:
        what, *more = (r.choice(part) for part in PARTS)
        words = [what, *filter(None, more[:1])] + [f", {part}" for part in filter(None, more[1:])]
        text = " ".join(words).replace(" ,", ",")
        found[text if len(text) <= CHARS else text[: CHARS - 1].rpartition(" ")[0].rstrip(",") + "…"] = None
    return list(found)


def write(job: tuple[str, int, int, int, int, int]) -> int:
    """One file of the export: so many traces, as a seed has them; with a total, ids and times go up over all of it."""
    path, first, n, different, seed, total = job
    notes, r = texts(different, 1), random.Random(f"{seed}:{first}")
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as file:
        for at in range(first, first + n, GROUP // 6):
            rows = [run for i in range(at, min(at + GROUP // 6, first + n)) for run in call(i, r, notes, total)]
            file.write_table(pa.table({name: [row[name] for row in rows] for name in SCHEMA.names}, schema=SCHEMA))
    return Path(path).stat().st_size


def new_id(r: random.Random, at: datetime, *, ordered: bool) -> str:
    """A random id, or one that begins with its time."""
    if not ordered:
        return str(uuid.UUID(int=r.getrandbits(128), version=4))
    return str(uuid.UUID(int=(int(at.timestamp() * 1_000) << 80) | (7 << 76) | (r.getrandbits(12) << 64) | (2 << 62) | r.getrandbits(62)))


def call(i: int, r: random.Random, notes: list[str], total: int) -> list[dict[str, Any]]:
    """A short whole call: root, start, guardrail, an agent's turn, a tool, the end."""
    begin = NOW - timedelta(seconds=6 * 86_400 * (1 - i / total if total else r.random()) + 60)
    root = new_id(r, begin, ordered=bool(total))
    ttft, cost = round(r.lognormvariate(6.3, 0.35), 2), round(r.uniform(0.002, 0.02), 6)
    counts = {"spans_offered": 6, "spans_delivered": 5, "spans_dropped": 0, "spans_pending": 1, "spans_withheld": 0}
    ends = {"reason": r.choice(("participant_disconnected", "user_initiated")), **counts}
    tokens = {"input_tokens": r.randint(80, 400), "output_tokens": r.randint(20, 200)}
    note = r.choice(notes)
    if i % LEAK_EVERY == LEAK_EVERY // 2:
        note = f"{NAMES[i // LEAK_EVERY % len(NAMES)]} called"
    given = {"patient_name": "<REDACTED>", "phone": "<REDACTED>", "notes": note, "doctor_name": r.choice(DOCTORS)}
    gave = {"confirmation_id": f"CONF-{r.randint(1000, 9999)}", "status": "confirmed", "clinic_location": r.choice(CLINICS)}
    redacted = {"patient_name": 1, "phone": 1}
    room = "RM_" + "".join(r.choices("abcdefghjkmnpqrstuvwxyzABCDEFGH23456789", k=12))
    spans: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ("voice_session", "chain", {"room_sid": room, "agent_version": "1.2.0", "vad_type": "server_vad", **ends}, {}, {}),
        ("session.start", "chain", {}, {}, {}),
        ("policy.guardrail", "chain", {"consent": "granted", "redactions": redacted}, {}, {}),
        ("agent_turn", "llm", {"ttft_ms": ttft, "ttft_source": "azure_events", "cost_usd": cost, "deployment": "gpt-realtime",
                               "tool_calls": 1, "usage_metadata": {**tokens, "total_tokens": sum(tokens.values())}}, {}, {}),
        ("tool.book_appointment", "tool", {"status": "ok"}, given, gave),
        ("session.end", "chain", ends, {}, {}),
    ]  # fmt: skip
    rows = []
    for n, (name, kind, metadata, inputs, outputs) in enumerate(spans):
        at = begin + timedelta(milliseconds=700 * n)
        me = root if n == 0 else new_id(r, at, ordered=bool(total))
        stamp = begin.strftime("%Y%m%dT%H%M%S%fZ")
        order = f"{stamp}{root}" + ("" if n == 0 else f".{at.strftime('%Y%m%dT%H%M%S%fZ')}{me}")
        held = {"env": "prod", "trace_id": root, "thread_id": root, **metadata}
        rows.append(
            {
                "id": me, "trace_id": root, "parent_run_id": None if n == 0 else rows[3]["id"] if n == 4 else root, "dotted_order": order,
                "name": name, "run_type": kind, "start_time": at, "end_time": at + timedelta(milliseconds=5_000 if n == 0 else 400),
                "inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "error": None, "extra": json.dumps({"metadata": held}),
                "events": "[]", "tags": "[]", "status": "success",
            }
        )  # fmt: skip
    return rows


def make(arguments: argparse.Namespace) -> None:
    """The export, in files of ten thousand calls."""
    folder, each = Path(arguments.output), min(10_000, arguments.traces)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = (arguments.texts, arguments.seed, 0 if arguments.ids == "random" else arguments.traces)
    jobs = [
        (str(folder / f"part-{first // each:05}.parquet"), first, min(each, arguments.traces - first), *drawn)
        for first in range(0, arguments.traces, each)
    ]
    began = time.monotonic()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        size = sum(pool.map(write, jobs))
    told = {"traces": arguments.traces, "runs": 6 * arguments.traces, "texts": arguments.texts, "seed": arguments.seed, "bytes": size}
    (folder / "about.json").write_text(json.dumps(told))
    tell(f"{told} in {time.monotonic() - began:.0f} s")


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at most so far, MB; 0.0 of one that has ended."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(lines["VmRSS"].split()[0]) / 1e3, int(lines["VmHWM"].split()[0]) / 1e3
    except (OSError, KeyError):
        return 0.0, 0.0


def cpu_s(pid: int) -> float:
    """Processor seconds of a process, all threads."""
    try:
        held = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(held[11]) + int(held[12])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """Processes begun by a process that hold a scan's worker: the networks' library is in their memory."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += [int(child) for child in task.joinpath("children").read_text().split()]
        except OSError:
            continue
    return [child for child in found if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]


class Watch(threading.Thread):
    """Looks at the workers on the way: their memory and processor time; kills one once so many runs are done, if asked to."""

    def __init__(self, workers: Any, total: int, *, kill: bool, every_s: float, say: Any) -> None:
        super().__init__(daemon=True)
        self.done, self.total, self._workers, self._kill, self._every, self._say = 0, total, workers, kill, every_s, say
        self.killed = 0
        self.cpu: dict[int, float] = {}
        self.rows: list[tuple[float, int, dict[int, float]]] = []
        self.ends = threading.Event()

    def run(self) -> None:
        began, told = time.monotonic(), 0.0
        while not self.ends.wait(1.0):
            pids = [pid for pid in self._workers() if memory_mb(pid)[0]]
            self.cpu |= {pid: cpu_s(pid) for pid in pids}
            if self._kill and not self.killed and pids and self.done > self.total / 2:
                self.killed = pids[0]
                os.kill(self.killed, signal.SIGKILL)
                self._say(f"killed worker {self.killed} after {self.done} of {self.total} runs")
            if time.monotonic() - told >= self._every:
                told = time.monotonic()
                resident = {pid: memory_mb(pid)[0] for pid in [os.getpid(), *pids]}
                self.rows.append((told - began, self.done, resident))
                self._say(f"{told - began:7.0f} s {self.done:>10} runs  MB {', '.join(f'{mb:.0f}' for mb in resident.values())}")


def run(arguments: argparse.Namespace) -> None:
    """One scan of an export with an engine."""
    from audit.census import Plan, take
    from audit.detectors import open_detectors
    from audit.engine.choice import choose
    from audit.source.parquet import ParquetExport
    from phi_guard.policy import load_policy, shipped

    folder = Path(arguments.folder)
    about = json.loads((folder / "about.json").read_text())

    def say(text: str) -> None:
        line = f"{datetime.now(UTC):%H:%M:%S} {text}"
        if not arguments.output:
            tell(line)
            return
        with Path(arguments.output).open("a") as out:
            out.write(line + "\n")

    cluster: list[subprocess.Popen[bytes]] = []
    engine = arguments.engine
    if engine == "dask":
        engine, cluster = begin_cluster()
    try:
        watched = cluster[1:]
        watch = Watch(
            (lambda: [child for worker in watched for child in children(worker.pid)]) if cluster else (lambda: children(os.getpid())),
            about["runs"], kill=arguments.kill, every_s=arguments.every, say=say,
        )  # fmt: skip
        say(f"{about}; engine {engine}{', a worker killed half way' if arguments.kill else ''}; load of the machine {os.getloadavg()}")
        policy = load_policy(shipped("clinic.yaml"), env="prod")
        plan = Plan(policy, PROJECT, 1, arguments.known_answers, key=b"k" * 32, engine=choose(engine, folder))
        loaded = None if plan.engine else open_detectors()  # their loading is none of the rate of a scan in one process

        def told(what: str, done: int) -> None:
            watch.done = done if what == "scanning runs" else watch.done

        watch.start()
        began, own = time.monotonic(), time.process_time()
        census = take(ParquetExport(folder), plan, lambda: loaded or open_detectors(), told)
        wall, own = time.monotonic() - began, time.process_time() - own
        watch.ends.set()
        watch.join()
        whole = hashlib.sha256(repr((census.findings, census.population, census.timeline, census.severities, census.incomplete)).encode())
        assert census.counting is not None
        whole.update(census.counting.runs_digest().encode())
        population, workers = census.population, sum(watch.cpu.values())
        peaks = [max((row[2][pid] for row in watch.rows if pid in row[2]), default=0.0) for pid in watch.cpu]
        say(f"digest of the outcome {whole.hexdigest()[:32]}; of the population {population.digest}")
        say(f"incomplete: {census.incomplete or 'no'}")
        say(f"{population.traces} traces, {population.runs} runs, findings {dict(census.severities)}, values here {len(census.values)}")
        say(f"{wall:.0f} s by the clock: {population.traces / wall:.0f} traces/s, {population.runs / wall:.0f} runs/s")
        both = workers + own
        say(f"processor seconds: workers {workers:.0f}, this process {own:.0f}")
        say(f"per core: {population.traces / both:.0f} traces/s, {population.runs / both:.0f} runs/s")
        say(f"most resident, MB: workers {', '.join(f'{mb:.0f}' for mb in peaks)}; this process {memory_mb(os.getpid())[1]:.0f}")
        say(f"machine's load at the end {os.getloadavg()}")
    finally:
        for process in reversed(cluster):
            process.terminate()
        for process in cluster:
            process.wait(30)


def begin_cluster() -> tuple[str, list[subprocess.Popen[bytes]]]:
    """A scheduler and two workers of one thread each, on this machine; a nanny replaces a worker that is killed."""
    with socket.socket() as free:  # nobody else's workers come to a port that nobody else knows
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    spec = [sys.executable, "-m", "distributed.cli.dask_worker"]
    settings = ("MEMORY__SPILL", "MEMORY__TARGET", "PROFILE__ENABLED")
    env = os.environ | {f"DASK_DISTRIBUTED__WORKER__{name}": "False" for name in settings}
    at = f"tcp://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    cluster = [subprocess.Popen([*python, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"], env=env, **quiet)]
    cluster += [
        subprocess.Popen([*spec, at, "--nthreads", "1", "--nworkers", "1", "--no-dashboard", "--memory-limit", "0"], env=env, **quiet)
        for _ in range(2)
    ]
    time.sleep(8)
    return at.replace("tcp", "dask"), cluster


def costs(arguments: argparse.Namespace) -> None:
    """What a run costs where every text is known, what a new text costs, and what merging costs: processor seconds of one core."""
    from audit.census import Plan
    from audit.detectors import open_detectors
    from audit.engine import Engine, wire
    from audit.engine.merging import Merging
    from audit.engine.work import _Looker
    from audit.population import Counting
    from audit.scan import Scanner
    from audit.source.parquet import ParquetExport
    from audit.timeline import Watching
    from audit.workspace import Workspace
    from phi_guard.policy import load_policy, shipped

    policy, key = load_policy(shipped("clinic.yaml"), env="prod"), b"k" * 32
    plan = Plan(policy, PROJECT, 1, 0, key=key)
    workspace = Workspace(Path(arguments.folder) / "merging.sqlite", key=key, identity="costs")
    held = open_detectors()
    merging = Merging(
        Engine("costs", lambda _setup: None), plan, workspace, Counting(workspace.db), Watching(frozenset(policy.fields), workspace.db),  # type: ignore[arg-type, return-value]
        Scanner(policy, held.strict, held.patterns, project=PROJECT, key=key, find_suspicions=held.suspicions),
    )  # fmt: skip
    looker = _Looker(merging._setup())
    parts = list(ParquetExport(Path(arguments.folder)).partitions())[: arguments.partitions]
    tasks = [wire.Task(str(part.path), part.sha256, part.group, part.first, part.rows) for part in parts]
    asked: set[str] = set()
    for part in parts:
        asked.update(run["inputs"]["notes"] for run in part.runs() if run["name"] == "tool.book_appointment")
    runs = sum(part.rows for part in parts)
    tell(f"{len(parts)} partitions, {runs} runs, {len(asked)} different texts")
    began = time.process_time()
    for task in tasks:
        looker.account(task)
    new = time.process_time() - began
    began = time.process_time()
    accounts = [wire.encode(looker.account(task)) for task in tasks]
    known = time.process_time() - began
    merging._learn = lambda *_: None  # type: ignore[method-assign, assignment]  # what it costs hangs on what was found
    began = time.process_time()
    for part, account in zip(parts, accounts, strict=True):
        merging.take(part, wire.account_of(account))
    merged = time.process_time() - began
    began = time.process_time()
    merging._counting.result(live=False)
    merging._counting.runs_digest()
    merging._watching.result()
    summed = time.process_time() - began
    tell(f"a run where its text is known   {1e6 * known / runs:8.1f} us")
    tell(f"a new text                      {1e3 * (new - known) / len(asked):8.3f} ms")
    tell(f"merging a run                   {1e6 * merged / runs:8.1f} us")
    tell(f"counting a run at the end       {1e6 * summed / runs:8.1f} us")
    tell(f"an account, bytes a run         {sum(map(len, accounts)) / runs:8.0f}")
    Path(arguments.folder, "merging.sqlite").unlink()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    making = commands.add_parser("make")
    making.add_argument("--traces", type=int, default=1_000)
    making.add_argument("--texts", type=int, default=1_000)
    making.add_argument("--ids", choices=("ordered", "random"), default="ordered")
    making.add_argument("--seed", type=int, default=1)
    making.add_argument("-o", "--output", required=True)
    making.set_defaults(do=make)
    running = commands.add_parser("run")
    running.add_argument("folder")
    running.add_argument("--engine", default="serial")
    running.add_argument("--kill", action="store_true")
    running.add_argument("--known-answers", type=int, default=0)
    running.add_argument("--every", type=float, default=30.0)
    running.add_argument("-o", "--output")
    running.set_defaults(do=run)
    costing = commands.add_parser("costs")
    costing.add_argument("folder")
    costing.add_argument("--partitions", type=int, default=5)
    costing.set_defaults(do=costs)
    arguments = parser.parse_args()
    arguments.do(arguments)


if __name__ == "__main__":
    main()
