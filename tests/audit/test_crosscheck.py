"""The cross-check against a real relay's account: what it delivered is there, what is gone is missed, what others sent is seen."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import urllib3
from fakes import Relay, Store, call_records, until

from audit.crosscheck import check
from audit.population import Counting
from audit.source import Window
from audit.source.langsmith import LangSmithProject
from tracing.recorder import Recorder

CALLS = 3
SPANS = 5
"""Spans of each call; seven operations, since two of the spans are updated."""


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A relay that has delivered three calls to a store, and is still there."""
    place = tmp_path_factory.mktemp("r")
    store = Store(place)
    runtime = place / "run"
    runtime.mkdir(mode=0o700)
    relay = Relay(runtime, store.url)
    try:
        assert relay.handle.wait_ready(180)
        recorder = Recorder(relay.settings.address)
        calls = []
        for _ in range(CALLS):
            records = call_records()
            recorder.open_call(records[0].call)
            for record in records:
                recorder.record(record)
            recorder.close_call(records[0].call)
            calls.append(records[0].call)
        until(lambda: relay.ledger().delivered == CALLS * 7)
        yield SimpleNamespace(store=store, relay=relay, calls=calls, account=relay.settings.state, project=relay.settings.project)
        recorder.close(5.0)
    finally:
        relay.stop()
        store.stop()


def window():
    now = datetime.now(UTC)
    return Window(now - timedelta(days=3), now + timedelta(minutes=10))


def read(line, leave_out=()):
    counting = Counting()
    for run in LangSmithProject(endpoint=line.store.url, api_key="k", project=line.project, window=window()).runs():
        if run["id"] not in leave_out:
            counting.add(run, str(run["name"]))
    return counting


def ids(line, call, name):
    return next(run["id"] for run in line.store.runs() if run["trace_id"] == call and run["name"] == name)


def test_all_that_was_delivered_is_there(line):
    """Three calls, nothing added, nothing gone."""
    found = check(line.account, read(line), window())
    assert (found.expected, found.matched, found.missing, found.unexpected) == (CALLS * SPANS, CALLS * SPANS, 0, 0)
    assert (found.account, found.missing_ids, found.unexpected_ids) == ("outbox.sqlite3", (), ())
    assert check(line.account / "outbox.sqlite3", read(line), window()) == found


@pytest.mark.parametrize("name", ["voice_session", "policy.guardrail", "tool.book_appointment", "session.end"])
def test_a_run_that_is_gone(line, name):
    """One run less is one missing: named by its own id where others hang under it or it is the root, else by its call's."""
    call = line.calls[1]
    gone = ids(line, call, name)
    found = check(line.account, read(line, {gone}), window())
    assert (found.expected, found.matched, found.missing, found.unexpected) == (CALLS * SPANS, CALLS * SPANS - 1, 1, 0)
    assert found.missing_ids == (gone if name == "voice_session" else call,)


def test_two_runs_of_a_call_that_are_gone(line):
    """Two spans that were created and never updated are two runs, and not one that was updated."""
    call = line.calls[1]
    found = check(line.account, read(line, {ids(line, call, "session.start"), ids(line, call, "tool.book_appointment")}), window())
    assert (found.missing, found.missing_ids) == (2, (call,))


def test_a_run_that_is_gone_and_has_children(line):
    """Where a run that was read hangs under the one that is gone, that one's own id is known, and the account confirms it."""
    call = line.calls[0]
    gone = ids(line, call, "tool.book_appointment")
    seen = Counting()
    for run in line.store.runs():
        if run["id"] != gone:
            child = run["trace_id"] == call and run["name"] == "session.end"
            seen.add(run | {"parent_run_id": gone} if child else run, str(run["name"]))
    found = check(line.account, seen, window())
    assert (found.missing, found.missing_ids) == (1, (gone,))


def test_a_call_that_is_gone(line):
    """A call of which nothing is left is missing with all its runs."""
    call = line.calls[2]
    found = check(line.account, read(line, {run["id"] for run in line.store.runs() if run["trace_id"] == call}), window())
    assert (found.matched, found.missing) == ((CALLS - 1) * SPANS, SPANS)
    assert set(found.missing_ids) == {call}


def test_calls_that_reach_beyond_the_window_are_not_judged(line):
    """A call that began before the window, one too young to be in the store, one that had not ended when it was read: said, not missed."""
    call, now = line.calls[2], datetime.now(UTC)
    of_call = {run["id"] for run in line.store.runs() if run["trace_id"] == call}
    for part in (Window(now, now + timedelta(minutes=10)), Window(now - timedelta(days=3), now)):
        found = check(line.account, read(line, of_call), part)
        assert (found.missing, "1 calls reach beyond the window" in found.why) == (0, True)
    ends = {ids(line, call, "voice_session"), ids(line, call, "session.end")}
    found = check(line.account, read(line, ends), window())
    assert (found.missing, "1 calls reach beyond the window" in found.why) == (0, True)


def test_a_call_that_is_gone_and_that_the_account_has_no_counts_of(line, tmp_path):
    """After an hour of service only marks are left: the operations are still missed, though nobody can say whose they are."""
    copy = copied(line, tmp_path, "DELETE FROM call_totals")
    assert check(copy, read(line), window()).missing == 0
    call = line.calls[0]
    found = check(copy, read(line, {run["id"] for run in line.store.runs() if run["trace_id"] == call}), window())
    assert (found.missing, found.missing_ids) == (7, ())
    assert "no id is known" in found.why
    short = Window(datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC))
    found = check(copy, read(line, {run["id"] for run in line.store.runs() if run["trace_id"] == call}), short)
    assert found.missing == 0
    assert "7 operations that were settled belong to no run that was read" in found.why


@pytest.mark.parametrize("forgotten", [False, True], ids=["counts", "marks-alone"])
def test_a_call_that_was_purged_is_not_missed(line, tmp_path, forgotten):
    """By receipts that name its runs it is neither expected nor missing, also where only marks are left; a run they do not name is."""
    account = copied(line, tmp_path, "DELETE FROM call_totals") if forgotten else line.account
    call = line.calls[0]
    gone = {run["id"] for run in line.store.runs() if run["trace_id"] == call}
    rest = (CALLS - 1) * SPANS
    found = check(account, read(line, gone), window(), purged={call.upper(): sorted(gone)})
    assert (found.expected, found.matched, found.missing, found.unexpected, found.purged) == (rest, rest, 0, 0, SPANS)
    one = ids(line, call, "tool.book_appointment")
    found = check(account, read(line, gone), window(), purged={call: sorted(gone - {one})})
    assert (found.matched, found.missing, found.purged) == (rest, 1, SPANS - 1)
    other = str(uuid.UUID(int=7))
    found = check(account, read(line, gone), window(), purged={other: [other]})
    assert found.missing >= SPANS
    assert found.purged == 0


def test_a_run_that_was_purged_and_is_there_is_matched(line):
    """Receipts take nothing away from what was read."""
    call = line.calls[0]
    found = check(line.account, read(line), window(), purged={call: [run["id"] for run in line.store.runs() if run["trace_id"] == call]})
    assert (found.matched, found.missing, found.unexpected, found.purged) == (CALLS * SPANS, 0, 0, 0)


def test_what_others_sent(line, made):
    """A run posted straight to the project is unexpected; one as old as the account's memory cannot be judged, and that is said."""
    now = datetime.now(UTC)
    seen = read(line)
    for n, age in ((1, timedelta(minutes=1)), (2, timedelta(days=2))):
        seen.add(made.span("agent_turn", 0, trace=n, start_time=(now - age).strftime("%Y-%m-%dT%H:%M:%S.%fZ")), "agent_turn")
    found = check(line.account, seen, window())
    assert (found.matched, found.missing, found.unexpected) == (CALLS * SPANS, 0, 1)
    assert found.unexpected_ids == (made.run_id(1000),)
    assert "1 runs began before" in found.why


def test_an_id_that_is_none_is_not_told(line):
    """What stands where an id should be may be anything: it is counted and not repeated."""
    seen = read(line)
    for odd in ("Ada Byron", "\ud800"):
        seen.add({"id": odd, "start_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}, "?")
    found = check(line.account, seen, window())
    assert (found.unexpected, set(found.unexpected_ids)) == (2, {"(no id)"})
    assert "Ada" not in repr(found)


def test_a_posted_run_is_read_and_unexpected(line, made):
    """The same over the wire: somebody posts to the store beside the relay."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    stranger = made.span("agent_turn", 0, trace=77, start_time=at, end_time=at, session_name=line.project)
    stamp = at.replace("-", "").replace(":", "").replace(".", "")
    stranger["dotted_order"] = f"{stamp}{stranger['id']}"
    try:
        answer = urllib3.request(
            "POST", f"{line.store.url}/runs/batch", json={"post": [stranger], "patch": []}, headers={"x-api-key": "k"}, timeout=10
        )
        assert answer.status == 202, answer.data
        found = check(line.account, read(line), window())
        assert (found.missing, found.unexpected, found.unexpected_ids) == (0, 1, (stranger["id"],))
    finally:
        body = {"session_id": session(line), "trace_ids": [stranger["id"]]}
        urllib3.request("POST", f"{line.store.url}/runs/delete", json=body, headers={"x-api-key": "k"}, timeout=10)


def test_accounts_that_cannot_be_read(line, tmp_path):
    """Nothing there, something else, another version, damage: no counts, the reason, and no traceback."""
    assert "is not there" in check(tmp_path, Counting(), window()).why
    other = tmp_path / "other.sqlite3"
    other.write_bytes(b"no database" * 100)
    assert "cannot be read" in check(other, Counting(), window()).why
    assert "of version 9" in check(copied(line, tmp_path, "PRAGMA user_version = 9"), Counting(), window()).why
    half = copied(line, tmp_path, "SELECT 1")
    os.truncate(half, half.stat().st_size // 2)
    assert "cannot be read" in check(half, Counting(), window()).why


def test_the_account_is_only_read(line):
    """Checking writes nothing: the relay goes on, and its counts are what they were."""
    before = line.relay.ledger()
    check(line.account, read(line), window())
    assert line.relay.ledger() == before


def copied(line, tmp_path, statement):
    """The account as it is now, with something done to it."""
    copy = tmp_path / f"copy{time.monotonic_ns()}.sqlite3"
    with sqlite3.connect(line.account / "outbox.sqlite3") as live, sqlite3.connect(copy) as db:
        live.backup(db)
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute(statement)
        db.commit()
    live.close()
    db.close()
    return copy


def session(line):
    with urllib.request.urlopen(
        urllib.request.Request(f"{line.store.url}/sessions?name={line.project}", headers={"x-api-key": "k"})
    ) as got:
        return json.loads(got.read())[0]["id"]
