"""A Parquet export of three hundred calls with findings, and what engines' tests ask of it."""

from __future__ import annotations

import json
import random
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from audit.assessment import assess
from audit.census import Plan
from audit.engine import Engine
from audit.gates import load_gates
from audit.source.parquet import ParquetExport
from phi_guard.policy import shipped

WITHOUT = ("minilm", "presidio", "rampart")
"""Left out, so that a worker is ready within a second or two; what is left is real."""
KEY = b"k" * 32
NAME, PHONE = "Ada Byron", "+41 79 555 01 23"
TRACES = 300


def write(runs, path, *, group=140):
    """Runs as a bulk export has them: content as JSON text, times as timestamps."""
    rows = [{key: value for key, value in run.items() if key != "session_name"} for run in runs]
    for row in rows:
        row |= {key: json.dumps(row[key]) for key in ("inputs", "outputs", "extra", "events", "tags")}
        row |= {key: datetime.fromisoformat(row[key]) for key in ("start_time", "end_time")}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)


def calls(made):
    """Three hundred calls with findings of every severity, an id that is none, a run that comes twice, and one that comes twice changed."""
    random.seed(5)
    calls = [made.call(n, ttft=round(random.uniform(300, 1_500), 2)) for n in range(TRACES)]
    for n, call in enumerate(calls):
        if n % 9 == 0:
            call[4]["tags"] = [f"{NAME} {n}"]
        if n % 31 == 0:
            call[5]["inputs"]["notes"] = f"called from {PHONE}"
        if n % 37 == 0:
            call[3]["inputs"] = {"q": f"{NAME.upper() if n % 2 else NAME} 4 {n % 3}"}
        if n % 50 == 0:
            call[5]["error"] = "ToolError: tool_raised"
    calls[70][3]["id"] = "somebody"
    calls[200].append(calls[9][4])
    calls[220].append(calls[11][5] | {"tags": ["Tom Baker"]})
    return calls


def export_of(made, folder):
    """The calls in two files, sixteen partitions."""
    whole = calls(made)
    write([run for call in whole[:160] for run in call], folder / "day=1" / "a.parquet")
    write([run for call in whole[160:] for run in call], folder / "day=2" / "b.parquet")
    return folder


def engine(open_crew):
    return Engine("test", open_crew, WITHOUT)


def auditing(looked, own_policy, now):
    """Assesses an export; gives the report's bytes and the census."""
    gates = load_gates(shipped("gates.yaml"))

    def audit(folder, engine=None, *, workspace=None, resume=False, progress=lambda _what, _done: None, policy=own_policy):
        plan = Plan(policy, "clinic-dev", 3, 2, key=KEY, workspace=workspace, resume=resume, engine=engine)
        done = assess(ParquetExport(folder, now=now), plan, gates, lambda: looked, now=now, progress=progress)
        return json.dumps(done.report.as_json()).encode(), done.census

    return audit


def outcome(census):
    """All that is said of the traces."""
    return (
        census.findings, census.population, census.timeline, census.severities, census.leaking, census.incomplete,
        census.counting.runs_digest(), dict(census.by_trace),
    )  # fmt: skip
