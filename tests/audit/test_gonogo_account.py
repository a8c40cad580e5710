"""Reviews that begin in the first hour of a day (UTC): their window begins the day before, and the relay's account does not."""

from __future__ import annotations

import json
import sqlite3
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from shipping import cleared_call, open_gate

from audit.crosscheck import OUTBOX
from audit.gonogo import Asked, Record, Step, hold, run
from audit.gonogo.alone import NotAlone, expect_own, expect_quiet
from audit.gonogo.record import digest, file_digest
from audit.gonogo.run import ACCOUNT, ALERTS, REHEARSAL
from audit.source import SourceError
from tracing.local.trace_store.serve import LocalServer
from tracing.relay.outbox import Outbox

PROJECT = "clinic-dev-gonogo"
UPDATED = ("voice_session", "policy.guardrail")
"""Spans that are updated once, at the call's end."""


def early(now):
    """The last moment within the first hour of a day that is some minutes ago, and less than a day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(minutes=5) if now - today >= timedelta(minutes=10) else today - timedelta(hours=23, minutes=5)


def at(runs, moment):
    """Runs as they would have been recorded then: their ids tell the time too."""
    stamp, order, ms = moment.isoformat(), moment.strftime("%Y%m%dT%H%M%S%fZ"), f"{int(moment.timestamp() * 1000):012x}"
    told = json.dumps([row | {"start_time": stamp, "end_time": stamp, "session_name": PROJECT} for row in runs])
    return json.loads(told.replace("20261120T100000000000Z", order).replace("0192f000-0000-7", f"{ms[:8]}-{ms[8:]}-7"))


def send(url, runs):
    body = json.dumps({"post": runs, "patch": []}).encode()
    request = urllib.request.Request(f"{url}/runs/batch", body, {"Content-Type": "application/json", "x-api-key": "k"})
    urllib.request.urlopen(request, timeout=20).close()


def account_of(directory, runs, day):
    """The account of a relay that was begun with the rehearsal and has delivered just these runs: its own outbox, of that day."""
    directory.mkdir(parents=True)
    cleared = cleared_call(open_gate())[0][-1]  # what was sent is not kept, so that one stands for all
    outbox = Outbox(directory / OUTBOX)
    try:
        for row in runs:
            for operation in ("create", "update") if row["name"] in UPDATED else ("create",):
                outbox.store(row["id"], operation, row["trace_id"], cleared)
        outbox.settle([waiting.seq for waiting in outbox.pending(99)], "delivered")
    finally:
        outbox.close()
    with closing(sqlite3.connect(directory / OUTBOX)) as db, db:
        db.execute("UPDATE totals SET day = ? WHERE day != ''", (day,))


def played(record, runs, began):
    """The record as it is when policy, rehearsal and alerts are done and the scan is not: what `hold` itself leaves."""
    where = record.directory
    record.write()
    account_of(where / ACCOUNT, runs, began.date().isoformat())
    told = {"schema": "phi-audit.rehearsal/1", "calls": 1, "trace_ids": [runs[0]["trace_id"]]}
    (where / REHEARSAL).write_text(json.dumps(told))
    (where / ALERTS).write_text(json.dumps({"schema": "phi-audit.alerts-rehearsal/1", "alerts": []}))
    review, ended = run._Review(record, lambda _: None, "k"), datetime.now(UTC).isoformat()
    inputs = {
        "policy": digest({"policy": review._policy.digest, "release": run.release()}),
        "rehearsal": review._wanted_rehearsal(),
        "alerts": digest({**review._of_alerts(), "release": run.release()}),
    }
    files = {"policy": (), "rehearsal": (REHEARSAL, f"{ACCOUNT}/{OUTBOX}"), "alerts": (ALERTS,)}
    for name, of in inputs.items():
        left = {file: file_digest(where / file) for file in files[name]}
        record.keep(Step(name, of, began.isoformat(timespec="seconds"), ended, left))


@pytest.fixture
def review(tmp_path, made, detectors, monkeypatch):
    """A review whose rehearsal began early in the day, with all of its call in the store; `change` is done to what is sent there."""
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setattr("audit.detectors.open_detectors", lambda *_, **__: detectors)  # no network loads, and no layer is left out
    began = early(datetime.now(UTC))

    def held(change=lambda runs: runs):
        runs = at(made.call(), began + timedelta(seconds=40))
        with LocalServer() as store:
            record = Record(tmp_path / "r", Asked(project=PROJECT, endpoint=store.url, known_answers=0, sample=0, scan_seed=7))
            played(record, runs, began)
            send(store.url, change(runs))
            return began, hold(Record.of(record.directory), lambda _: None, "k").report

    return held


def gate(report, name):
    return next(row for row in report.gates if row.gate.name == name)


def test_early_in_the_day_every_run_is_accounted_for(review):
    """The window of the scan begins on the day before the account does; the account is asked from the rehearsal on, and knows all."""
    began, report = review()
    assert datetime.fromisoformat(report.target.since).date() < began.date()
    assert (report.cross_check.matched, report.cross_check.missing, report.cross_check.unexpected, report.cross_check.why) == (7, 0, 0, "")
    assert (gate(report, "accounted_for").state, report.incomplete) == ("proven", "")


def test_early_in_the_day_what_is_missing_or_strange_is_found_all_the_same(review, made):
    """A run of the call that never arrived, and one that no relay sent."""

    def change(runs):
        strange = at([made.span("agent_turn", 0, trace=9)], datetime.fromisoformat(runs[0]["start_time"]))
        return [row for row in runs if row["name"] != "user_turn"] + strange

    _, report = review(change)
    assert (report.cross_check.matched, report.cross_check.missing, report.cross_check.unexpected) == (6, 1, 1)
    assert gate(report, "accounted_for").state == "failed"


def test_a_project_that_cannot_be_read_is_neither_quiet_nor_ones_own(made):
    """Before the calls are played nothing begins on a guess; that there is no such project yet is good. After them the scan says so."""
    for code in ("unreachable", "denied"):
        with pytest.raises(SourceError):
            expect_quiet(made.FixedSource([], SourceError(code, "down")), PROJECT)
    expect_quiet(made.FixedSource([], SourceError("no_project", "none")), PROJECT)
    expect_own(made.FixedSource(made.call(), SourceError("unreachable", "down")), [made.run_id(0)], PROJECT)
    with pytest.raises(NotAlone, match="1 calls came there"):
        expect_own(made.FixedSource(made.call()), [], PROJECT)
