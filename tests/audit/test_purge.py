"""The purge against a store that speaks LangSmith's API, which deletes late, says no, or is not there."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import urllib3
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import purge as purging
from audit.purge import PurgeError, Receipt, Store, begin
from audit.purge_file import as_json, read, write
from tracing.local.trace_store.faults import Faults
from tracing.local.trace_store.serve import LocalServer

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PROJECT = "clinic-dev"


def trace_id(n):
    return f"0192f000-0000-7000-8000-{n:012x}"


def fill(server, traces, project=PROJECT):
    """Traces of a root and one child each, sent as a client sends them."""
    post = []
    for n in traces:
        root = trace_id(n * 10)
        at = "2026-11-20T10:00:00.000000Z"
        order = f"20261120T100000000000Z{root}"
        row = {"trace_id": root, "name": "voice_session", "run_type": "chain", "start_time": at, "session_name": project, "inputs": {}}
        post.append(row | {"id": root, "dotted_order": order})
        child = trace_id(n * 10 + 1)
        post.append(row | {"id": child, "parent_run_id": root, "dotted_order": f"{order}.20261120T100000000000Z{child}"})
    answer = urllib3.request("POST", f"{server.url}/runs/batch", body=json.dumps({"post": post}), headers={"x-api-key": "k"})
    assert answer.status == 202


@pytest.fixture
def server():
    with LocalServer(faults=Faults(), keep_raw=True) as server:
        fill(server, range(1, 6))
        yield server


class Waits:
    """Sleeps for real, but never long, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, seconds):
        self.asked.append(seconds)
        time.sleep(min(seconds, 0.02))


def run(*args, **options):
    return purging.run(*args, sleep=Waits(), **options)


def store_of(server, sleep, project=PROJECT):
    return Store(endpoint=server.url, api_key="k", project=project, sleep=sleep)


def purge_of(*numbers, only=()):
    return begin(map(trace_id, numbers), report_digest="d" * 64, host="127.0.0.1", project=PROJECT, only=only, now=NOW)


def left(server):
    from tracing.local.trace_store.records import Selection

    return {run.trace_id for run in server.store.runs(Selection())}


def test_it_deletes_what_holds_findings_and_nothing_else(server):
    """Both looks find nothing afterwards, the other traces stay, and only ids left this machine."""
    kept = []
    done = run(purge_of(10, 30), store_of(server, Waits()), kept.append, wait_s=5)
    assert done.done
    assert [(row.state, row.status, row.seen_by) for row in done.receipts] == [("gone", 202, "query+read")] * 2
    assert left(server) == {trace_id(20), trace_id(40), trace_id(50)}
    (sent,) = [raw for raw in server.store.raw() if b"/runs/delete" in raw]
    assert json.loads(sent.partition(b"\r\n\r\n")[2]).keys() == {"session_id", "trace_ids"}
    assert kept[-1] == done


def test_receipts_name_the_runs_that_went(server):
    """Each run's id, over as many pages as it takes, by v2 and by v1; a trace that was never there has none."""
    trace = trace_id(888)
    order = "20261120T100000000000Z{}".format
    runs = []
    for n in range(purging.PAGE * 2 + 5):
        one = trace_id(9000 + n) if n else trace
        run_of = {"id": one, "trace_id": trace, "name": "x", "run_type": "tool", "inputs": {}, "session_name": PROJECT}
        runs.append(run_of | {"start_time": "2026-11-20T10:00:00Z", "dotted_order": order(trace) + (f".{order(one)}" if n else "")})
    urllib3.request("POST", f"{server.url}/runs/batch", headers={"x-api-key": "k"}, body=json.dumps({"post": runs}))
    store = store_of(server, Waits())
    expected = tuple(sorted(run["id"] for run in runs))
    assert store.runs(trace) == expected
    store._no_v2 = True
    assert store.runs(trace) == expected
    done = run(purge_of(888), store_of(server, Waits()), lambda _: None, wait_s=5)
    assert done.receipts[0].runs == expected
    assert store_of(server, Waits()).runs(trace) == ()


def test_an_answer_is_no_proof(server):
    """While the server only says yes, nothing is gone; it is gone once it is."""
    server.faults.delete_after_s = 3600
    first = run(purge_of(10), store_of(server, Waits()), lambda _: None, wait_s=0)
    assert [(row.state, row.status, row.gone_at) for row in first.receipts] == [("asked", 202, "")]
    assert not first.done
    server.faults.delete_after_s = 0.3
    waited = lambda _: time.sleep(0.15)  # noqa: E731  # longer than a Waits: the server answers at once
    again = purging.run(purge_of(10), store_of(server, Waits()), lambda _: None, wait_s=60, sleep=waited)
    assert again.done
    assert again.receipts[0].checks > 1


def test_gone_needs_both_looks(server):
    """A trace whose root is still read, though the query shows nothing of it, is not gone; nor the other way round."""
    store = store_of(server, Waits())
    purge = run(purge_of(10), store, lambda _: None, wait_s=0)
    assert purge.done
    store._rows = lambda _: []
    assert store.look(trace_id(20), both=False) == "read"
    fresh = store_of(server, Waits())
    order = f"20261120T100000000000Z{trace_id(777)}.20261120T100000000000Z{trace_id(21)}"
    child = {"id": trace_id(21), "trace_id": trace_id(777), "dotted_order": order, "name": "x", "run_type": "tool", "inputs": {}}
    child |= {"session_name": PROJECT, "start_time": "2026-11-20T10:00:00Z"}
    urllib3.request("POST", f"{server.url}/runs/batch", headers={"x-api-key": "k"}, body=json.dumps({"post": [child]}))
    assert fresh.look(trace_id(777), both=True) == "query"


def test_what_was_never_there_is_not_gone(server):
    """An id that the project does not show is absent, and is not asked for."""
    done = run(purge_of(10, 990), store_of(server, Waits()), lambda _: None, wait_s=5)
    assert [row.state for row in done.receipts] == ["gone", "absent"]
    assert not done.done
    (sent,) = [raw for raw in server.store.raw() if b"/runs/delete" in raw]
    assert trace_id(990).encode() not in sent


def test_retry_after_is_obeyed_and_reading_slows_down(server):
    """Asked to wait 2 s, it waits 2 s; and after a 429 its reads keep to 30 a minute."""
    server.faults.change({"status": 429, "remaining": 2, "retry_after": "2", "match": "/runs/delete"})
    waits = Waits()
    done = run(purge_of(10, 20), store_of(server, waits), lambda _: None, wait_s=5)
    assert done.done
    assert waits.asked.count(2.0) == 2 + 2  # two answers, two reads after them
    server.faults.change({"status": 429, "remaining": -1, "retry_after": "900", "match": "/runs/query"})
    with pytest.raises(PurgeError, match="asks to wait 900 s"):
        run(purge_of(30), store_of(server, Waits()), lambda _: None, wait_s=5)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 401}, "refuses the key"),
        ({"status": 503}, "still answers HTTP 503"),
        ({"reset": True}, "cannot be reached"),
    ],
    ids=["key", "down", "reset"],
)
def test_a_server_that_fails_ends_it_in_words_and_keeps_the_receipts(server, fault, message):
    """Nothing is called gone, and what was asked before the fault is kept as asked."""
    server.faults.change(fault | {"remaining": -1, "match": "/runs/delete"})
    kept = []
    with pytest.raises(PurgeError, match=message):
        run(purge_of(10), store_of(server, Waits()), kept.append, wait_s=5)
    assert [(row.state, row.status) for row in kept[-1].receipts] == [("asked", 0)]
    server.faults.change({"remaining": 0})
    assert run(kept[-1], store_of(server, Waits()), kept.append, wait_s=5).done


@pytest.mark.parametrize("status", [307, 404, 422])
def test_a_refused_deletion_is_not_gone(server, status):
    """Any answer but a yes, a redirect too, leaves each trace refused, with the status."""
    server.faults.change({"status": status, "remaining": -1, "match": "/runs/delete"})
    done = run(purge_of(10), store_of(server, Waits()), lambda _: None, wait_s=0)
    assert [(row.state, row.status) for row in done.receipts] == [("refused", status)]


def test_cut_off_at_any_point_it_goes_on_from_its_receipts(server, tmp_path):
    """Interrupted at each keeping in turn, then resumed from the file: the end is the same and nothing else is deleted."""
    path = tmp_path / "receipts.json"
    for stop in range(1, 7):
        n = stop + 100
        fill(server, [n, n + 100])
        count = 0

        def keep(purge, stop=stop):
            nonlocal count
            count += 1
            write(purge, path)
            if count == stop:
                raise KeyboardInterrupt

        purge = purge_of(n * 10, (n + 100) * 10)
        with suppress(KeyboardInterrupt):
            run(purge, store_of(server, Waits()), keep, wait_s=5)
        done = run(read(path), store_of(server, Waits()), lambda now: write(now, path), wait_s=5)
        assert done.done, stop
        assert read(path) == done
    assert left(server) == {trace_id(n * 10) for n in range(1, 6)}


def test_another_project_is_not_touched(server):
    """The project is named with each deletion; a name nobody has ends it."""
    fill(server, [9], project="other")
    done = run(purge_of(90), store_of(server, Waits()), lambda _: None, wait_s=0)
    assert done.receipts[0].state != "gone"
    assert trace_id(90) in left(server)
    with pytest.raises(PurgeError, match="no project of that name"):
        run(purge_of(10), store_of(server, Waits(), "nobody"), lambda _: None, wait_s=0)


def test_only_traces_of_the_findings_can_be_named():
    """An id that holds no finding is refused; a finding without one makes the purge unfinished."""
    with pytest.raises(PurgeError, match="hold no finding"):
        purge_of(10, only=[trace_id(20)])
    assert purge_of(10, 20, only=[trace_id(20)]).receipts == (Receipt(trace_id(20)),)
    some = begin([trace_id(1), "?"], report_digest="", host="h", project="p", now=NOW)
    assert (len(some.receipts), some.unnamed, some.done) == (1, 1, False)


def test_more_than_a_thousand_are_asked_for_in_parts():
    """No request names more than 1,000 ids."""

    class Counted:
        def __init__(self):
            self.sizes, self.deleted = [], set()

        def look(self, trace, *, both):
            return "" if trace in self.deleted else "query"

        def runs(self, trace):
            return (trace,)

        def delete(self, ids):
            ids = list(ids)
            self.sizes.append(len(ids))
            self.deleted |= set(ids)
            return 202

    counted = Counted()
    assert run(purge_of(*range(2345)), counted, lambda _: None, wait_s=5).done
    assert counted.sizes == [1000, 1000, 345]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 900))
def test_receipts_that_were_cut_are_refused(tmp_path_factory, cut):
    """A file cut at any byte is told in words, and never half read."""
    path = tmp_path_factory.mktemp("cut") / "receipts.json"
    text = as_json(purge_of(10, 20))
    assert len(text) > 900
    path.write_text(text[:cut])
    with pytest.raises(PurgeError, match=r"receipts\.json"):
        read(path)


def test_an_id_that_is_none_never_gets_into_an_address(tmp_path):
    """Receipts are a file that people can edit: an id that is no id is refused."""
    path = tmp_path / "receipts.json"
    path.write_text(as_json(purge_of(10)).replace(trace_id(10), "../sessions"))
    with pytest.raises(PurgeError, match="trace_id"):
        read(path)
