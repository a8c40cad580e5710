"""Exports: the sums are the index's, nothing but closed facts is in them, and with a cursor each call comes once, whatever is killed."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
import signal
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
import stores
from hypothesis import given
from hypothesis import strategies as st

from audit.calls.index import CallIndex, Choice
from audit.export import handover
from audit.export.cursor import CursorUnusable, read_cursor, sole_use
from audit.export.handover import Order, RowsWithheld, export_files, export_next, export_to
from audit.export.rows import COLUMNS, PORTIONS, Clearing, facts_of
from audit.whole_file import FileNotWritten
from phi_guard import facts
from phi_guard.gate import Gate

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOW = stores.END


def order(portions=PORTIONS, fmt="jsonl", now=NOW, floor=LONG_AGO):
    return Order(tuple(portions), fmt, Choice(), now, floor)


def indexed(policy, runs):
    index = CallIndex(policy=policy)
    for run in runs:
        index.add(run)
    return index


def cleared(policy):
    return Clearing(Gate(policy, None))


def exported(policy, index, fmt, portion, clearing=None):
    file = io.BytesIO()
    export_to(file, index, order([portion], fmt), clearing or cleared(policy))
    return file.getvalue()


def read(data, fmt):
    """The rows of an export by a reader that is not ours, as text to the microsecond or numbers; what is empty left out."""
    if fmt == "jsonl":
        return [json.loads(line) for line in data.decode().splitlines()]
    if fmt == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    return pq.read_table(io.BytesIO(data)).to_pylist()


@pytest.fixture(scope="module")
def runs():
    made = [run for call in stores.invent(24, 3) for run in call]
    root = next(run for run in made if run["name"] == "voice_session")
    media = {"agent_rtt_ms_p95": 80.5, "agent_media_windows": 3, "agent_quality_worst": "poor", "client_loss_pct_max": 2.5}
    root["extra"]["metadata"] |= {**media, "agent_version": "1.2.0", "cost_unknown": True}
    return made


@pytest.fixture(scope="module")
def index(policy, runs):
    with closing(indexed(policy, runs)) as made:
        yield made


@pytest.mark.parametrize("fmt", ["csv", "parquet", "jsonl"])
def test_the_sums_are_the_indexs(policy, index, fmt):
    """Read back by another reader, an export adds up to what the index answers."""
    calls, turns, tools = (read(exported(policy, index, fmt, portion), fmt) for portion in PORTIONS)
    rates = index.rates(LONG_AGO, NOW + timedelta(days=1), Choice())
    assert len(calls) == rates.started == 24
    assert round(sum(float(row["cost_usd"]) for row in calls), 6) == rates.cost_usd
    assert sum(int(row["offered"]) for row in calls) == rates.offered
    assert sum(int(row["redactions"]) for row in calls) == sum(index.redactions(Choice()).values())
    assert sum(int(row["errors"]) for row in calls) == sum(index.errors(Choice()).values())
    waits = sorted(float(row["ttft_ms"]) for row in turns if row.get("ttft_ms") not in (None, ""))
    seen = index.histogram("ttft_ms", Choice())
    assert (len(waits), round(sum(waits), 3), waits[-1]) == (seen.n, round(seen.total, 3), seen.max)
    by_tool = Counter(row["tool"] for row in tools)
    failed = Counter(row["tool"] for row in tools if str(row["failed"]).lower() == "true")
    assert {tool: (n, failed[tool]) for tool, n in by_tool.items()} == index.tools(Choice())
    assert {row["trace_id"] for row in turns + tools} <= {row["trace_id"] for row in calls}


@pytest.mark.parametrize("portion", PORTIONS)
def test_every_format_has_the_same_rows(policy, index, portion):
    """CSV and Parquet say what JSON Lines says; what is not in a row is empty there, and null here."""
    lines = read(exported(policy, index, "jsonl", portion), "jsonl")
    cells = read(exported(policy, index, "csv", portion), "csv")
    typed = read(exported(policy, index, "parquet", portion), "parquet")
    names = [column.name for column in COLUMNS[portion]]
    assert len(lines) == len(cells) == len(typed) > 0
    for line, cell, value in zip(lines, cells, typed, strict=True):
        assert list(cell) == list(value) == names
        assert set(line) <= set(names)
        assert {name: text for name, text in cell.items() if text} == {
            name: str(held).lower() if isinstance(held, bool) else str(held) for name, held in line.items()
        }
        for name, held in value.items():
            want = line.get(name)
            assert (held.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(held, datetime) else held) == want


def test_a_column_that_exists_is_never_lost(policy, index):
    """Each fact of a row has a column, each column has a shape at the gate, and no value of a clean store is left out or withheld."""
    clearing = cleared(policy)
    for portion in PORTIONS:
        names = {column.name for column in COLUMNS[portion]}
        assert names <= {*facts.ROW, "tool"}
        for detail in index.each(Choice()):
            for row in facts_of(detail, portion):
                assert set(row) == names
        exported(policy, index, "jsonl", portion, clearing)
    assert (clearing.left_out, clearing.withheld) == (Counter(), Counter())


def test_parquet_has_types(policy, index):
    """Times are times in UTC, costs are numbers, counts are whole, in a file without a row too."""
    full = pq.read_schema(io.BytesIO(exported(policy, index, "parquet", "session")))
    with closing(indexed(policy, [])) as empty:
        none = pq.read_table(io.BytesIO(exported(policy, empty, "parquet", "session")))
    assert none.num_rows == 0
    assert none.schema.equals(full)
    types = {field.name: str(field.type) for field in full}
    assert (types["start"], types["cost_usd"], types["offered"], types["failed"], types["reason"]) == (
        "timestamp[us, tz=UTC]", "double", "int64", "bool", "string",
    )  # fmt: skip


def test_csv_by_the_rfc(policy, index):
    """A header always, lines end in CRLF, every line has as many cells as the header."""
    with closing(indexed(policy, [])) as empty:
        header = exported(policy, empty, "csv", "tool")
    assert header == (",".join(column.name for column in COLUMNS["tool"]) + "\r\n").encode()
    data = exported(policy, index, "csv", "tool").decode()
    assert data.endswith("\r\n")
    assert data.count("\n") == data.count("\r\n")
    assert {len(row) for row in csv.reader(io.StringIO(data, newline=""))} == {len(COLUMNS["tool"])}


@given(text=st.text(max_size=40), first=st.sampled_from("=+-@\t\r\n|%"))
def test_no_cell_can_be_a_formula(policy, text, first):
    """Whatever follows, the gate lets no value into a column that a spreadsheet would run."""
    names = {column.name for portion in PORTIONS for column in COLUMNS[portion] if column.sort in {"text", "instant"}}
    for name in names - {"tool"}:
        assert not facts.ROW[name].fits(first + text), name
    clearing = cleared(policy)
    row = dict.fromkeys(names, first + text)
    assert json.loads(clearing._gate.clear(handover_payload(row)).body) == {}


def handover_payload(row):
    from phi_guard.model import Payload

    return Payload("row", "call", row)


@pytest.mark.parametrize("fmt", ["csv", "parquet", "jsonl"])
def test_no_planted_value_is_in_an_export(policy, fmt):
    """A store with eighty leaks of every kind: none of their values is in any row."""
    calls, planted = stores.leaky(120, plants=stores.PLANTS | stores.MORE)
    with closing(indexed(policy, [run for call in calls for run in call])) as index:
        text = "".join(repr(read(exported(policy, index, fmt, portion), fmt)) for portion in PORTIONS)
    # Short digits stand in ids and times by chance, and a count or time that was planted within its shape is one.
    values = {value for what, (_, hidden) in planted.items() for value in hidden if not what.startswith(("number as a count", "birth as"))}
    found = {value for value in values if len(value) >= 6 and value in text}
    assert found == set()
    assert stores.NAME not in text


# With a cursor.


def begun(call):
    """The same call while it is going on."""
    return [{**run, "end_time": None, "extra": {"metadata": {"env": "dev"}}} for run in call if run["name"] == "voice_session"]


@pytest.fixture
def schedule(tmp_path, policy):
    """One run of a scheduled export over a store, at a time; gives its account and, by number, the traces of its files."""
    cursor = tmp_path / "cursor.json"

    def run(runs, now=NOW, portions=("session",), floor=LONG_AGO):
        with closing(indexed(policy, runs)) as index:
            return export_next(
                cursor, "P", lambda portion, n: tmp_path / f"{portion}-{n:06}.jsonl", index, order(portions, now=now, floor=floor),
                cleared(policy), empty=False,
            )  # fmt: skip

    run.cursor = cursor
    run.traces = lambda portion="session": [
        json.loads(line)["trace_id"] for file in sorted(tmp_path.glob(f"{portion}-*.jsonl")) for line in file.read_text().splitlines()
    ]
    run.folder = tmp_path
    return run


def test_each_call_once_and_after_it_ended(schedule, made):
    """A call that is going on waits for its end; one that ended is exported, once; files are numbered and their owner's alone."""
    going, ended = made.call(0), made.call(1)
    first = schedule(begun(going) + ended, now=datetime(2026, 11, 20, 10, 30, tzinfo=UTC))
    assert (first.calls, first.waiting, [file.name for file in first.files]) == (1, 1, ["session-000001.jsonl"])
    again = schedule(begun(going) + ended, now=datetime(2026, 11, 20, 10, 31, tzinfo=UTC))
    assert (again.calls, again.waiting, again.files) == (0, 1, [])
    last = schedule(going + ended, now=datetime(2026, 11, 20, 10, 32, tzinfo=UTC))
    assert (last.calls, last.waiting, [file.name for file in last.files]) == (1, 0, ["session-000002.jsonl"])
    assert schedule.traces() == [made.run_id(1000), made.run_id(0)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in schedule.folder.iterdir() if path.is_file()} == {0o600}


def test_a_call_without_an_end_is_exported_once_it_cannot_be_going_on(schedule, made):
    """An hour after it began a call is exported as it is; when its end comes after all, it does not come twice."""
    call = made.call(0)
    assert schedule(begun(call), now=datetime(2026, 11, 20, 11, 0, tzinfo=UTC)).calls == 0
    assert schedule(begun(call), now=datetime(2026, 11, 20, 11, 0, 1, tzinfo=UTC)).calls == 1
    assert schedule(call, now=datetime(2026, 11, 20, 16, tzinfo=UTC)).calls == 0
    assert schedule.traces() == [made.run_id(0)]


def test_a_call_that_arrives_late_is_exported(schedule, made):
    """What an outbox held back for days is exported when it comes, as long as the window reaches back to it; and never twice after it."""
    week = timedelta(days=7)
    assert [schedule(made.call(0), now=NOW, floor=NOW - timedelta(hours=3)).calls for _ in range(3)] == [1, 0, 0]
    at = NOW + timedelta(days=6)
    assert schedule(made.call(0) + made.call(1), now=at, floor=at - week).calls == 1
    at = NOW + timedelta(days=8)
    assert schedule(made.call(0) + made.call(1) + made.call(2), now=at, floor=at - week).calls == 0
    at = NOW + timedelta(days=30)
    schedule([], now=at, floor=at - week)
    assert read_cursor(schedule.cursor, "P").done == {}
    assert schedule(made.call(0) + made.call(1), now=at, floor=LONG_AGO).calls == 0  # a longer window does not bring them back
    assert schedule.traces() == [made.run_id(0), made.run_id(1000)]


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
from datetime import UTC, datetime
from pathlib import Path
import json
from audit.calls.index import CallIndex, Choice
from audit.export import handover
from audit.export.rows import Clearing
from phi_guard.gate import Gate
from phi_guard.policy import load_policy, shipped

folder, where, nth = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
left = [nth]
def die_before(real):
    def call(*given, **more):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **more)
    return call
if where == "row":
    Clearing.rows_of = die_before(Clearing.rows_of)
elif where == "replace":
    Path.replace = die_before(Path.replace)
elif where == "fsync":
    os.fsync = die_before(os.fsync)
policy = load_policy(shipped("clinic.yaml"))
index = CallIndex(policy=policy)
for line in open(folder / "runs.jsonl"):
    index.add(json.loads(line))
order = handover.Order(("session", "tool"), "jsonl", Choice(), datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))
handover.export_next(folder / "cursor.json", "P", lambda portion, n: folder / f"{{portion}}-{{n:06}}.jsonl", index, order,
                     Clearing(Gate(policy, None)), empty=False)
"""


@pytest.mark.parametrize(("where", "nth"), [("row", 2), ("fsync", 0), ("replace", 0), ("replace", 1), ("replace", 2)])
def test_a_run_that_is_killed_loses_nothing_and_doubles_nothing(schedule, made, where, nth):
    """Killed between rows, before or between its files' places, or just before the cursor's: the next run makes good, new calls with it."""
    calls = [made.call(n) for n in range(4)]
    schedule([run for call in calls[:1] for run in call], portions=("session", "tool"))
    lines = [json.dumps(run) + "\n" for call in calls[:3] for run in call]
    (schedule.folder / "runs.jsonl").write_text("".join(lines), encoding="utf-8")
    code = KILLED.format(paths=sys.path)
    died = subprocess.run([sys.executable, "-c", code, str(schedule.folder), where, str(nth)], capture_output=True, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert read_cursor(schedule.cursor, "P").number == 2
    schedule([run for call in calls for run in call], portions=("session", "tool"))
    wanted = sorted(made.run_id(1000 * n) for n in range(4))
    assert sorted(schedule.traces()) == sorted(schedule.traces("tool")) == wanted
    assert list(schedule.folder.glob(".*.part")) == []
    assert schedule([run for call in calls for run in call], portions=("session", "tool")).calls == 0


def test_withheld_rows_hand_nothing_over(tmp_path, policy, index):
    """A gate that withholds leaves the cursor where it was and no file behind; without a cursor the rows are counted."""
    shut = Clearing(Gate(None, None))
    with pytest.raises(RowsWithheld, match="policy_unreadable"):
        export_next(tmp_path / "c.json", "P", lambda portion, _: tmp_path / f"{portion}.jsonl", index, order(), shut, empty=False)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {".c.json.lock"}
    assert exported(policy, index, "jsonl", "session", shut) == b""
    assert shut.withheld["policy_unreadable"] >= 24


@pytest.mark.parametrize(
    "spoil",
    [
        lambda held: held.update(schema="phi-audit.export-cursor/2"), lambda held: held.update(floor="yesterday"),
        lambda held: held.update(done=[1]), lambda held: held.update(number="x"), lambda held: held.pop("of"), lambda held: held.clear(),
    ],
    ids=["version", "floor", "done", "number", "of", "empty"],
)  # fmt: skip
def test_a_damaged_cursor_is_not_begun_anew(schedule, made, spoil):
    """Beginning anew would export every call again: a person decides that."""
    schedule(made.call(0))
    held = json.loads(schedule.cursor.read_text())
    spoil(held)
    schedule.cursor.write_text(json.dumps(held))
    with pytest.raises(CursorUnusable, match="is no cursor of this version"):
        schedule(made.call(0) + made.call(1))
    assert schedule.traces() == [made.run_id(0)]


def test_a_clock_that_was_ahead(schedule, made):
    """A run whose clock was years ahead moved the window past every call to come: the next one says so, and does not lose them silently."""
    schedule(made.call(0), now=NOW + timedelta(days=900), floor=NOW + timedelta(days=893))
    with pytest.raises(CursorUnusable, match="clock was ahead"):
        schedule(made.call(1))


def test_a_cursor_of_something_else_or_in_use(schedule, made):
    """It goes on with the same export alone, and for one process at a time."""
    schedule(made.call(0))
    with pytest.raises(CursorUnusable, match="is of an export of P"):
        read_cursor(schedule.cursor, "Q")
    with sole_use(schedule.cursor), pytest.raises(CursorUnusable, match="another export is using it"):
        schedule(made.call(1))
    assert schedule(made.call(0) + made.call(1)).calls == 1


def test_a_file_that_cannot_be_written(tmp_path, policy, index, monkeypatch):
    """A full disk, a folder that is not there: the fault is told, no file stands there by half, what stood there stands."""
    there = tmp_path / "session.csv"
    there.write_text("before")
    with pytest.raises(FileNotWritten, match="cannot be written"):
        export_files([there, tmp_path / "none" / "turn.csv"], index, order(["session", "turn"], "csv"), cleared(policy))

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(handover.os, "fsync", full)
    with pytest.raises(FileNotWritten, match="No space left"):
        export_files([there], index, order(["session"], "csv"), cleared(policy))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["session.csv"]
    assert there.read_text() == "before"


def test_no_column_is_named_for_content():
    """There is no column for what a tool was given or gave back, nor for what was said."""
    names = {column.name for portion in PORTIONS for column in COLUMNS[portion]}
    assert not [name for name in names if re.search("input(?!_tokens)|output(?!_tokens)|text|notes|name|argument|result|transcript", name)]


def test_a_name_in_every_place_of_a_call(policy, made):
    """A call whose every value is a name gives rows without it."""
    call = copy.deepcopy(made.call(0))
    for run in call:
        run["extra"]["metadata"] = dict.fromkeys(run["extra"]["metadata"], stores.NAME)
        run |= {"error": stores.NAME, "session_name": stores.NAME}
    with closing(indexed(policy, call)) as index:
        for portion in PORTIONS:
            data = exported(policy, index, "jsonl", portion)
            assert data
            assert b"Quarrendon" not in data
