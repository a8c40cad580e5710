"""The watch, over simulated time: a real store that calls arrive at while it goes on, real scans, real alerts, a real switch."""

from __future__ import annotations

import fcntl
import gc
import json
import resource
import sys
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from audit import chain, exits
from audit.alerts import AlertState, Track, load_rules, write_state
from audit.alerts.watch import WatchBusy, alone
from audit.assessment import Beside, assess
from audit.bench.recorded import invent
from audit.census import Plan
from audit.evidence import load_evidence
from audit.gates import OPERATION, load_gates
from audit.manifest import Manifest
from audit.method import describe
from audit.source import Portion, Window
from audit.source.langsmith import LangSmithProject
from audit.vouching import places, vouched
from audit.watch import Journal, JournalUnusable, document
from audit.watch.journal_file import encode_head
from audit.watch.opening import Asked, WatchRefused, default_directory, hold
from phi_guard.disclosure_chain import mark
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch
from tracing.local.trace_store import Faults, LocalServer

PROJECT, ENV = "clinic-dev", "dev"
SECRET = "Ada Byron"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Simulated:
    """A clock that stands still but for waiting; what is to happen at a time happens when it comes by."""

    def __init__(self, now):
        self.begin, self._now, self._steady, self._plan = now, now, 0.0, []

    def at(self, after, what):
        """Let something happen so long after the beginning."""
        self._plan = sorted([*self._plan, (self.begin + after, len(self._plan), what)])

    def now(self):
        return self._now

    def steady(self):
        return self._steady

    def wait(self, seconds):
        until = self._now + timedelta(seconds=seconds)
        self._steady += seconds
        while self._plan and self._plan[0][0] <= until:
            at, _, what = self._plan.pop(0)
            self._now = max(self._now, at)
            what()
        self._now = max(self._now, until)

    def jump(self, by):
        """The clock on the wall alone: a machine that slept, or a clock that was set."""
        self._now += by


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The audit's own directory and a switch that is on."""
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    monkeypatch.delenv("PHI_AUDIT_ANCHOR", raising=False)
    FileSwitch(tmp_path / "switch.json").turn_on("a test")
    (tmp_path / "audit").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def store():
    with LocalServer(faults=Faults()) as running:
        yield running


@pytest.fixture
def clock():
    return Simulated(datetime.now(UTC).replace(minute=0, second=0, microsecond=0))


def gates():
    """The shipped gates; one plant of each class and style shows a recall of 5 %, and here that is enough."""
    shipped_ones = load_gates(shipped("gates.yaml"))
    return tuple(replace(gate, bar=0.04) if gate.name == "known_answer_recall" else gate for gate in shipped_ones)


class Place:
    """A project at a store, and a watch of it."""

    def __init__(self, store, clock, home, detectors, policy):
        self.store, self.clock, self.home, self.opened, self.rounds, self.sent = store, clock, home, 0, [], 0
        self.switch = FileSwitch(home / "switch.json")
        self._detectors = detectors
        self.asked = Asked(
            project=PROJECT, env=ENV, place="LangSmith at 127.0.0.1", hours=4.0, every_s=900.0, directory=home / "w", audit=home / "audit",
            key=b"k" * 32, policy=policy, gates=gates(),
            rules=tuple(rule for rule in load_rules(shipped("alerts.yaml")) if ENV in rule.environments),
            open_source=self.open_source, open_detectors=self.load, describe=lambda: describe(policy), switch=self.switch.state,
            endpoint=store.url, api_key="local", known_answers=1,
        )  # fmt: skip

    def load(self):
        self.opened += 1
        return self._detectors

    def open_source(self, window, now):
        return LangSmithProject(
            endpoint=self.asked.endpoint, api_key="local", project=PROJECT, window=window, now=now, sleep=lambda _: None
        )

    def call(self, *, change=lambda runs: None):
        """A whole call, as a tracer would have sent it just now."""
        self.sent += 1
        (runs,) = invent(1, self.sent, self.clock.now() - 3 * MINUTE, 0)
        for run in runs:
            run["session_name"] = PROJECT
            run["extra"]["metadata"]["env"] = ENV
        change(runs)
        request = urllib.request.Request(
            f"{self.store.url}/runs/batch", json.dumps({"post": runs}).encode(), {"x-api-key": "local", "content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 202

    def hold(self, **more):
        asked = replace(self.asked, **more)
        return hold(asked, self.clock, on_round=self.rounds.append)


@pytest.fixture
def place(store, clock, home, detectors, monkeypatch):
    made = Place(store, clock, home, detectors, load_policy(shipped("clinic.yaml"), env=ENV))

    def without_waiting(*, project, window, now, **_):
        return made.open_source(window, now)

    monkeypatch.setattr("audit.alerts.reading.open_source", without_waiting)
    return made


@pytest.fixture
def no_answers(monkeypatch):
    """Rounds without known answers, which take most of a round's time."""
    monkeypatch.setattr("audit.watch.examining.ROUND_ANSWERS", 0)


def states(place):
    return [one.state for one in place.rounds]


def files_of(directory):
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_a_quiet_time_is_clean(place, home):
    """Calls come, nothing is wrong: every round clean, the report over the whole time, the evidence as the gates read it, exit 0."""
    place.call()
    for n in range(2):
        place.clock.at(n * HOUR + 20 * MINUTE, place.call)
    done = place.hold(hours=2.0, every_s=1800.0)
    closing = done.closing
    assert (closing.outcome, closing.exit_code, closing.reasons) == ("CLEAN", exits.GO, ())
    assert states(place) == ["CLEAN"] * 5
    assert [one.census.calls for one in place.rounds] == [1, 2, 2, 3, 3]
    assert place.opened == 1
    seen = load_evidence([home / "w" / "monitoring.json"]).monitoring
    assert seen == closing.monitoring
    assert (seen.hours, seen.rounds, seen.longest_gap_s, seen.calls, seen.no_go, seen.unfinished) == (2.0, 5, 1800.0, 3, 0, 0)
    assert (seen.alerts, seen.switch_off_s, seen.closed) == ({}, 0.0, True)
    report = json.loads((home / "w" / "report.json").read_text())
    assert (report["population"]["traces"], report["digest"]) == (3, closing.report.digest)
    assert [row.calls for row in closing.hours] == [1, 1, 1]
    assert all(row.ttft_p95_ms for row in closing.hours)
    logged = [entry for entry in chain.entries(home / "audit") if entry.event == "report"]
    assert [(entry.facts["report"], entry.facts["journal_n"]) for entry in logged] == [(report["digest"], 6)]
    assert Journal(home / "w").closed
    assert (seen.project, seen.env, seen.policy_digest, seen.outcome) == (PROJECT, ENV, place.asked.policy.digest, "CLEAN")
    assert {"error_rate", "ttft_p95", "tool_failure", "leak"} <= set(seen.judged)
    assert "stale" not in seen.judged
    assert scanned_with(place, seen) == dict.fromkeys(OPERATION, "proven")
    assert scanned_with(place, replace(seen, hours=3.0)) == dict.fromkeys(OPERATION, "unproven")  # figures that the log does not hold
    assert scanned_with(place, seen, project="clinic-other") == dict.fromkeys(OPERATION, "unproven")
    assert scanned_with(place, seen, gates=load_gates(shipped("gates.yaml"))) == dict.fromkeys(OPERATION, "unproven")  # lowered for it
    place.clock.jump(timedelta(days=31))
    assert scanned_with(place, seen) == dict.fromkeys(OPERATION, "unproven")  # too old
    place.clock.jump(timedelta(days=-1, hours=-2))
    assert scanned_with(place, seen) == dict.fromkeys(OPERATION, "proven")
    assert not vouched(replace(seen, journal_n=4), home / "audit", None).vouched
    log = home / "audit" / "audit-log.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"why":"begun"', b'"why":"other"'))
    assert not vouched(seen, home / "audit", None).vouched  # a log that does not hold vouches for nothing
    assert {path.name for path in done.files} == {
        "report.json", "report.html", "report.md", "watch.json", "watch.md", "monitoring.json"
    }  # fmt: skip


def scanned_with(place, seen, project=PROJECT, gates=()):
    """The states of the gates of week 6 in a scan of the project that is given the watch's evidence; two hours are enough here."""
    now = place.clock.now()
    operation = [gate for gate in load_gates(shipped("gates.yaml"), week=6) if gate.name in OPERATION]
    hours = [replace(gate, bar=2.0) if gate.name == "monitored_hours" else gate for gate in operation]
    judged_by = (*(gates or place.asked.gates), *hours)
    window = Window(now - 3 * HOUR, now)
    plan = Plan(place.asked.policy, project, 1, 0, since=window.since, until=window.until)
    done = assess(place.open_source(window, now), plan, judged_by, place.load, now=now, beside=Beside(monitoring=seen))
    assert done.report.monitoring.project == PROJECT
    return {row.gate.name: row.state for row in done.report.gates if row.gate.name in OPERATION}


def leak(runs):
    runs[3]["tags"] = [SECRET]


def test_a_leak_turns_the_switch_off_at_once_and_once(place, home, no_answers):
    """The round that sees it is NO-GO, the switch is off and held, the alert fires; the watch goes on, and says no value anywhere."""
    place.call()
    place.clock.at(40 * MINUTE, lambda: place.call(change=leak))
    closing = place.hold(hours=2.0, every_s=1800.0, enforce=True).closing
    assert states(place) == ["CLEAN", "CLEAN", "NO_GO", "NO_GO", "NO_GO"]
    assert place.rounds[2].why.startswith("phi_findings: 1 findings")
    assert [one.enforced.split(" (")[0] for one in place.rounds] == ["", "", "off and held", "", ""]
    assert (place.switch.state().on, place.switch.state().hold) == (False, "leak")
    assert (closing.outcome, closing.exit_code) == ("NO_GO", exits.NO_GO)
    assert "leak" in closing.monitoring.alerts
    assert closing.monitoring.no_go == 3
    assert closing.monitoring.switch_off_s > 0
    events = [(entry.event, entry.facts.get("verdict", "")) for entry in chain.entries(home / "audit") if entry.event != "watch"]
    assert events == [("begin", ""), ("report", "NO_GO"), ("enforced", ""), ("report", "NO_GO")]
    assert SECRET.encode() not in files_of(home / "w")


def test_without_enforce_the_switch_is_left_as_it_is(place, no_answers):
    place.call(change=leak)
    closing = place.hold(hours=0.5, every_s=900.0).closing
    assert states(place) == ["NO_GO"] * 3
    assert place.switch.state().on
    assert (closing.exit_code, closing.monitoring.switch_off_s) == (exits.NO_GO, 0.0)


def test_a_leak_is_enforced_though_it_was_seen_before(place, no_answers):
    """Somebody turns the switch on again while the same finding still stands: the next round turns it off, and no round does so twice."""

    def by_hand():
        (place.home / "switch.json").unlink()
        FileSwitch(place.home / "switch.json").turn_on("by hand")

    place.call(change=leak)
    place.clock.at(20 * MINUTE, by_hand)
    place.hold(hours=1.0, every_s=900.0, enforce=True)
    assert states(place) == ["NO_GO"] * 5
    assert [bool(one.enforced) for one in place.rounds] == [True, False, True, False, False]
    assert (place.switch.state().on, place.switch.state().hold) == (False, "leak")


@pytest.mark.parametrize(("minutes", "outcome"), [(20, "CLEAN"), (70, "UNPROVEN")])
def test_an_endpoint_that_is_down_is_tried_again_with_backoff(place, no_answers, minutes, outcome):
    """A short outage is counted and nothing more; one in which nobody looked for more than an hour leaves the watch unproven."""
    place.call()
    away = replace(place.asked, endpoint="http://127.0.0.1:9")
    here = place.asked
    place.clock.at(20 * MINUTE, lambda: setattr(place, "asked", away))
    place.clock.at((20 + minutes) * MINUTE, lambda: setattr(place, "asked", here))
    closing = place.hold(hours=2.0, every_s=900.0).closing
    failed = [one for one in place.rounds if not one.finished]
    gaps = [(b.moment - a.moment).total_seconds() for a, b in pairwise(failed)]
    assert gaps[:3] == [30.0, 60.0, 120.0]
    assert max(gaps) <= 900.0
    assert "cannot be reached" in failed[0].why
    assert closing.monitoring.unfinished == len(failed)
    assert closing.outcome == outcome
    assert closing.monitoring.calls == 1


def test_a_machine_that_slept_tells_the_gap(place, no_answers):
    """Two hours that nobody looked in: the next round comes as soon as it wakes, and the watch is not proven."""
    place.call()
    place.clock.at(20 * MINUTE, lambda: place.clock.jump(2 * HOUR))
    closing = place.hold(hours=3.0, every_s=1800.0).closing
    assert closing.monitoring.longest_gap_s >= 2 * 3600
    assert closing.outcome == "UNPROVEN"
    assert "nobody looked for" in closing.reasons[0]
    assert [one.moment - place.clock.begin for one in place.rounds[:3]] == [0 * MINUTE, 140 * MINUTE, 170 * MINUTE]


def test_a_clock_that_goes_back_makes_no_round_look_at_less(place, no_answers):
    place.call()
    place.clock.at(40 * MINUTE, lambda: place.clock.jump(-2 * HOUR))
    closing = place.hold(hours=1.0, every_s=1200.0).closing
    moments = [one.moment for one in place.rounds]
    assert moments == sorted(moments)
    assert min(one.census.calls for one in place.rounds) == 1
    assert closing.monitoring.hours == 1.0


def test_ctrl_c_keeps_what_was_done_and_the_same_command_goes_on(place, home, no_answers):
    """130 and an incomplete report; then the same watch to its end, with the time between in it."""

    def stop():
        raise KeyboardInterrupt

    place.call()
    place.clock.at(50 * MINUTE, stop)
    done = place.hold(hours=2.0, every_s=1800.0)
    assert (done.closing.exit_code, done.closing.interrupted) == (exits.INTERRUPTED, True)
    assert (len(place.rounds), done.closing.monitoring.closed) == (2, False)
    assert "stopped after 0.83 of 2 hours" in done.closing.reasons[0]
    assert json.loads((home / "w" / "monitoring.json").read_text())["closed"] is False
    assert not (home / "w" / "report.json").exists()
    done = place.hold(hours=2.0, every_s=1800.0, resume=True)
    assert [one.n for one in place.rounds] == [1, 2, 3, 4, 5, 6]
    assert [(one.moment - place.clock.begin) // MINUTE for one in place.rounds] == [0, 30, 50, 80, 110, 120]
    assert (done.closing.outcome, len(done.closing.resumed)) == ("CLEAN", 1)
    assert done.closing.monitoring.started_at == place.rounds[0].at
    assert done.closing.monitoring.hours >= 2.0


def forge(directory, keep):
    """Cut the journal and make its head fit, as somebody would who may write to its directory; the name of what was cut."""
    path = directory / "watch.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:keep]))
    (directory / "watch.head").write_bytes(encode_head(mark(keep - 1, lines[keep - 1].rstrip(b"\n"))))
    assert Journal(directory).head.n == keep - 1  # by itself it holds
    return [json.loads(line).get("round", {}).get("state", "") for line in lines[keep:]]


def test_a_tail_cut_between_stop_and_resume_is_refused(place, home, no_answers):
    """A NO-GO round is cut off and the head made to fit; the audit's log has seen it: 4, what to do, and nothing is written."""

    def stop():
        raise KeyboardInterrupt

    place.call()
    place.clock.at(20 * MINUTE, lambda: place.call(change=leak))
    place.clock.at(40 * MINUTE, stop)
    place.hold(hours=2.0, every_s=1800.0)
    assert [entry.facts["why"] for entry in places(home / "audit")] == ["begun", "no_go", "stopped"]
    assert forge(home / "w", 2) == ["NO_GO", ""]
    before = files_of(home / "w")
    with pytest.raises(JournalUnusable, match=r"its end was cut off; keep it, and begin another watch with -d") as refused:
        place.hold(hours=2.0, every_s=1800.0, resume=True)
    assert refused.value.exit_code == exits.BROKEN_EVIDENCE
    assert files_of(home / "w") == before


def test_a_journal_that_the_log_does_not_know_is_refused(place, home, no_answers):
    """Taken up again under another directory of the audit, whose log has not seen it begin."""

    def stop():
        raise KeyboardInterrupt

    place.call()
    place.clock.at(20 * MINUTE, stop)
    place.hold(hours=1.0, every_s=1800.0)
    (home / "other").mkdir(mode=0o700)
    chain.append(home / "other", "key_made", {}, now=place.clock.now())
    with pytest.raises(JournalUnusable, match="knows nothing of this journal; go on with the PHI_AUDIT_DIR"):
        place.hold(hours=1.0, every_s=1800.0, audit=home / "other")


def test_a_journal_exchanged_while_it_goes_on_ends_unproven(place, home, no_answers, monkeypatch):
    """The journal in memory is taken in by the exchange too, so that only the log can tell; nothing clean comes of it."""
    place.call()
    monkeypatch.setattr(Journal, "check", lambda _: "")
    place.clock.at(80 * MINUTE, lambda: forge(home / "w", 2))
    closing = place.hold(hours=1.5, every_s=1800.0).closing
    assert (closing.outcome, closing.monitoring.outcome) == ("UNPROVEN", "UNPROVEN")
    assert "the audit's log has seen" in closing.reasons[-1]


def test_the_log_is_told_every_hour_and_at_the_end(place, home, no_answers):
    """Rounds in which nothing is wrong are marked once an hour, so that no more than that can be cut off."""
    place.call()
    place.hold(hours=2.0, every_s=1200.0)
    marked = [(entry.facts["why"], entry.facts["journal_n"]) for entry in places(home / "audit")]
    assert marked == [("begun", 0), ("hour", 4), ("hour", 7), ("closed", 7)]


def test_figures_that_the_log_does_not_take_are_not_proven(place, home, no_answers, monkeypatch):
    """Another process holds the log from the first hour on: that is told, and the watch ends UNPROVEN, as its evidence does."""
    told, held = [], []
    monkeypatch.setattr("audit.chain.writing.WAIT_S", 0.1)
    place.call()
    place.clock.at(50 * MINUTE, lambda: held.append(locked(home / "audit" / "audit-log.jsonl")))
    asked = replace(place.asked, hours=1.0, every_s=1200.0)
    try:
        done = hold(asked, place.clock, on_round=place.rounds.append, on_problem=told.append)
    finally:
        held[0].close()
    assert any("another process has held it" in text and "tried again" in text for text in told), told
    assert done.closing.outcome == "UNPROVEN"
    assert "so that it does not hold these figures" in done.closing.reasons[-1]
    seen = load_evidence([home / "w" / "monitoring.json"]).monitoring
    assert (seen.outcome, vouched(seen, home / "audit", None).vouched) == ("UNPROVEN", False)


def test_a_close_that_the_log_did_not_take_is_made_up_for_by_the_same_command(place, home, no_answers, monkeypatch):
    """The log is held at the end alone: UNPROVEN, and the journal is left open; once the log is free it is closed, proven and known."""
    held = []
    monkeypatch.setattr("audit.chain.writing.WAIT_S", 0.1)
    place.call()
    place.clock.at(50 * MINUTE, lambda: held.append(locked(home / "audit" / "audit-log.jsonl")))
    try:
        done = place.hold(hours=1.0, every_s=1200.0)
    finally:
        held[0].close()
    assert (done.closing.outcome, done.closing.exit_code, done.closing.monitoring.closed) == ("UNPROVEN", exits.UNPROVEN, True)
    assert any("the same command goes on with it: the journal is left open" in text for text in done.problems), done.problems
    assert not Journal(home / "w").closed
    done = place.hold(hours=1.0, every_s=1200.0)
    assert (done.closing.outcome, done.closing.reasons, done.problems) == ("CLEAN", (), ())
    assert (Journal(home / "w").closed, len(done.closing.resumed)) == (True, 1)
    assert [entry.facts["why"] for entry in places(home / "audit")][-2:] == ["resumed", "closed"]
    assert vouched(load_evidence([home / "w" / "monitoring.json"]).monitoring, home / "audit", None).vouched


def test_a_watch_that_ended_before_its_first_mark_is_gone_on_with(place, home, no_answers, monkeypatch):
    """The log was held when it began, which is told at once; ended there, before any round, it is no journal that anybody cut."""
    monkeypatch.setattr("audit.chain.writing.WAIT_S", 0.1)
    place.call()
    chain.append(home / "audit", "key_made", {}, now=place.clock.now())
    log, told = locked(home / "audit" / "audit-log.jsonl"), []

    def stop(text):
        told.append(text)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hold(replace(place.asked, hours=1.0, every_s=1200.0), place.clock, on_problem=stop)
    log.close()
    assert "is proven only where the log holds its journal: mend that while it goes on" in told[0]
    assert (list(places(home / "audit")), Journal(home / "w").rounds) == ([], [])
    closing = place.hold(hours=1.0, every_s=1200.0, resume=True).closing
    assert (closing.outcome, states(place)) == ("CLEAN", ["CLEAN"] * 4)
    assert [entry.facts["why"] for entry in places(home / "audit")] == ["resumed", "hour", "closed"]


def locked(path):
    """The file, under a lock, as who writes to it has it."""
    file = path.open("rb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def test_a_watch_is_not_gone_on_with_by_other_rules(place, no_answers):
    def stop():
        raise KeyboardInterrupt

    place.call()
    place.clock.at(20 * MINUTE, stop)
    place.hold(hours=1.0, every_s=1800.0)
    with pytest.raises(WatchRefused, match="begun with another rules"):
        place.hold(hours=1.0, every_s=1800.0, rules=place.asked.rules[1:])
    lowered = tuple(replace(gate, bar=1e6) if gate.name == "phi_findings" else gate for gate in place.asked.gates)
    with pytest.raises(WatchRefused, match="begun with another gates"):
        place.hold(hours=1.0, every_s=1800.0, gates=lowered)


def test_a_full_disk_is_told_and_the_watch_goes_on(place, home, no_answers):
    """No file can grow for an hour: the rounds go on in memory, and are written when there is room again."""
    place.call()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    place.clock.at(20 * MINUTE, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1])))
    place.clock.at(80 * MINUTE, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before))
    on_disk = []
    place.clock.at(50 * MINUTE, lambda: on_disk.append((home / "w" / "watch.jsonl").read_bytes().count(b"\n")))
    try:
        closing = place.hold(hours=2.0, every_s=1800.0).closing
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert on_disk == [2]
    assert states(place)[1] == "CLEAN"
    assert any("in memory" in problem for problem in place.rounds[1].problems), place.rounds[1].problems
    assert any("journal" in problem for problem in place.rounds[2].problems), place.rounds[2].problems
    assert len(Journal(home / "w").rounds) == len(place.rounds) == 5
    assert closing.monitoring.rounds == 5


def test_a_scan_that_went_blind_is_no_clean_round(place):
    """Detectors that find nothing: the rounds are not finished, and nothing is proven."""
    place.call()
    place._detectors = replace(place._detectors, strict=lambda _: (), patterns=lambda _: ())
    closing = place.hold(hours=0.2, every_s=900.0).closing
    assert set(states(place)) == {"UNFINISHED"}
    assert "known answers" in place.rounds[0].why
    assert (closing.outcome, closing.exit_code) == ("UNPROVEN", exits.UNPROVEN)


def test_a_time_without_a_call_proves_nothing(place, no_answers):
    """The project is there, and nobody rings: each round is finished, and the end is UNPROVEN."""
    place.clock._now += 5 * HOUR
    place.clock.begin += 5 * HOUR
    place.clock.jump(-5 * HOUR)
    place.call()  # five hours before the watch begins
    place.clock.jump(5 * HOUR)
    closing = place.hold(hours=0.5, every_s=900.0).closing
    assert states(place) == ["CLEAN"] * 3
    assert (closing.outcome, closing.monitoring.calls) == ("UNPROVEN", 0)
    assert "there was no call to look at" in closing.reasons


def fail(runs):
    root = next(run for run in runs if run["name"] == "voice_session")
    root["error"] = "RuntimeError: session_error"
    root["extra"]["metadata"] |= {"error_type": "RuntimeError", "error_message": "session_error"}


def test_an_alert_that_fires_is_counted_and_not_sent(place, home, no_answers):
    """Failing calls: the scan stays clean, the alert fires once, the outcome is not clean; the state of others is not touched."""
    place.call()
    for n in range(3):
        place.clock.at((16 + n) * MINUTE, lambda: place.call(change=fail))
    closing = place.hold(hours=1.0, every_s=900.0).closing
    assert states(place) == ["CLEAN"] * 5
    assert closing.monitoring.alerts.get("error_rate") == 1
    assert closing.exit_code == exits.NO_GO
    assert any("alert error_rate fired" in what for _, what in document.timeline(closing.rounds))
    assert not (home / "audit" / "alerts.json").exists()


class Kept:
    """A sink that keeps what it is given."""

    name = "slack"

    def __init__(self):
        self.bodies = []

    def deliver(self, batch, witness):
        self.bodies += [json.loads(cleared.body) for cleared in batch]


def test_with_deliver_the_alerts_are_sent_once_and_nobody_else_may(place, home, no_answers):
    place.call()
    for n in range(3):
        place.clock.at((16 + n) * MINUTE, lambda: place.call(change=fail))
    slack = Kept()
    with alone(home / "audit" / "alerts-watch.lock", wait_s=0.0), pytest.raises(WatchBusy):
        place.hold(deliver={"slack": slack})
    closing = place.hold(hours=1.0, every_s=900.0, deliver={"slack": slack}).closing
    sent = [body for body in slack.bodies if body["alert"] == "error_rate" and body["state"] == "firing"]
    assert (len(sent), closing.monitoring.alerts["error_rate"]) == (1, 1)
    assert (home / "audit" / "alerts.json").exists()


def test_what_alerts_watch_saw_fire_between_two_rounds_counts(place, home, no_answers):
    """An alert that fired and was over before the next round is in the other's state: it counts, once."""
    place.call()

    def other():
        at = place.clock.now()
        track = Track(rule="ttft_p95", metric="ttft_p95", env=ENV, project=PROJECT, changes=(at - 5 * MINUTE, at - MINUTE))
        write_state(home / "audit" / "alerts.json", AlertState(at=at, tracks={"one": track}))

    place.clock.at(25 * MINUTE, other)
    closing = place.hold(hours=1.0, every_s=900.0).closing
    assert closing.monitoring.alerts == {"ttft_p95": 1}


def test_two_watches_do_not_share_a_directory(place, home):
    (home / "w").mkdir(mode=0o700)
    with alone(home / "w" / "watch.lock", wait_s=0.0), pytest.raises(WatchBusy):
        place.hold()


def test_a_directory_of_another_watch_is_refused(place, home, no_answers):
    """Of another project, another policy, other hours, or one that has ended; and --resume where there is none."""
    with pytest.raises(WatchRefused, match="no watch to go on with"):
        place.hold(resume=True)
    place.call()

    def stop():
        raise KeyboardInterrupt

    place.clock.at(MINUTE, stop)
    place.hold(hours=0.5)
    for more, named in (({"project": "other-dev"}, "project"), ({"hours": 1.0}, "hours"), ({"env": "prod"}, "env")):
        with pytest.raises(WatchRefused, match=f"with another {named}"):
            place.hold(**{"hours": 0.5, **more})
    place.hold(hours=0.5)
    with pytest.raises(WatchRefused, match="has ended"):
        place.hold(hours=0.5)


def test_the_default_directory_is_the_last_that_goes_on(place, home, no_answers):
    """Its name tells nothing of the project; a watch that has ended makes way for another."""
    one = default_directory(home / "audit", b"k" * 32, project=PROJECT, endpoint="e")
    assert PROJECT not in str(one)
    assert default_directory(home / "audit", b"k" * 32, project=PROJECT, endpoint="e") == one
    place.call()
    place.hold(hours=0.1, directory=one)
    assert default_directory(home / "audit", b"k" * 32, project=PROJECT, endpoint="e") != one


def test_a_journal_that_was_edited_while_it_went_on_is_told(place, home, no_answers):
    """The outcome of a watch whose journal is not the one that was written is no proof."""
    place.call()

    def edit():
        path = home / "w" / "watch.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"calls":1', b'"calls":2'))

    place.clock.at(20 * MINUTE, edit)
    closing = place.hold(hours=0.5).closing
    assert closing.outcome == "UNPROVEN"
    assert "was changed after it was written" in closing.reasons[-1]


class InMemory:
    """A live source that holds its runs, so that many rounds are quick."""

    live, place = True, "memory"

    def __init__(self, runs, window):
        self._runs = [run for run in runs if window.since <= datetime.fromisoformat(run["start_time"]) < window.until]

    def runs(self):
        yield from self._runs

    def pieces(self):
        yield Portion("all", self.runs)

    def manifest(self):
        return Manifest()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_192_rounds_load_the_detectors_once_and_need_no_more_memory(place, no_answers, monkeypatch):
    """48 hours at a round a quarter of an hour: what the process holds after the last rounds is what it held after half of them."""
    calls = [run for n in range(4) for run in next(invent(1, n, place.clock.begin + n * HOUR, 0))]
    monkeypatch.setattr(place, "open_source", lambda window, _: InMemory(calls, window))
    place.rounds = Sizes()
    closing = place.hold(hours=48.0, open_source=place.open_source, known_answers=0).closing
    assert (closing.monitoring.rounds, closing.monitoring.unfinished, closing.monitoring.calls, place.opened) == (193, 0, 4, 1)
    (blocks, size), (blocks_then, size_then) = place.rounds.seen
    assert blocks_then - blocks < 90 * 40  # what a round leaves is the round: its times, counts and states
    assert size_then - size < 16 * 2**20  # beside what other tests of this process give back or take
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) < 200


class Sizes(list):
    """Rounds, and after the 100th and the 190th what the process holds: blocks of Python's allocator, and resident bytes."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def append(self, one):
        super().append(one)
        if len(self) in {100, 190}:
            gc.collect()
            self.seen.append((sys.getallocatedblocks(), int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()))
