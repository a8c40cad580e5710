"""The real evidence: an index of calls, the audit's log, the relay's account."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from alert_evidence import T0, minutes

from audit import chain
from audit.alerts import NotKnown
from audit.alerts.judging import judge, month_of
from audit.alerts.known import Known, open_leaks
from audit.alerts.reading import Reading, opened, sinks_of
from audit.alerts.rules import load_rules
from audit.calls.index import CallIndex, Choice
from audit.manifest import Manifest
from audit.source import SourceError
from phi_guard.outbound.pagerduty import PagerDutySink
from phi_guard.outbound.slack import SlackSink
from phi_guard.outbound.webhook import WebhookSink
from phi_guard.policy import shipped
from phi_guard.switch import SwitchState
from tracing.relay.outbox import Outbox

ON = SwitchState(on=True, reason="told", at="")


def known(index=None, switch=lambda: ON, **more):
    return Known(index or CallIndex(None), env="prod", switch=switch, **more)


def entry(event, n=0, **facts):
    return chain.Entry(n, (T0 + minutes(n)).isoformat(), event, facts, "", "")


def told(*entries, project=""):
    return [
        (leak.cause, leak.report) for leak in open_leaks([entry(event, n, **facts) for n, (event, facts) in enumerate(entries)], project)
    ]


A, B = "a" * 64, "b" * 64
NO_GO, GO, UNPROVEN = ({"report": A, "verdict": verdict} for verdict in ("NO_GO", "GO", "UNPROVEN"))


def test_a_report_that_says_no_go_is_a_leak_until_one_says_go():
    assert told(("report", NO_GO)) == [("report", A)]
    assert told(("report", NO_GO), ("report", UNPROVEN)) == [("report", A)]
    assert told(("report", NO_GO), ("report", GO)) == []
    assert told(("report", GO), ("report", NO_GO)) == [("report", A)]


def test_a_go_of_another_project_settles_nothing():
    one, two = {**NO_GO, "project": "one"}, {**GO, "project": "two"}
    assert told(("report", one), ("report", two)) == [("report", A)]
    assert told(("report", one), ("report", two), project="two") == []
    assert told(("report", one), ("report", {**GO, "project": "one"})) == []


def test_a_purge_is_settled_when_all_is_gone_and_an_incident_when_it_is_closed():
    asked, part, whole = ({"report": A, "traces": 3, "gone": gone} for gone in (0, 2, 3))
    assert told(("purge_asked", asked), ("purge_done", part)) == [("purge", A)]
    assert told(("purge_asked", asked), ("purge_done", part), ("purge_done", whole)) == []
    opened_, noted, closed = ({"incident": "i1", "what": what} for what in ("opened", "noted", "closed"))
    assert told(("incident", opened_), ("incident", noted)) == [("incident", "")]
    assert told(("incident", opened_), ("incident", closed)) == []
    assert told(("incident", opened_), ("report", GO)) == [("incident", "")]


def test_a_switch_that_is_held_for_a_leak_is_one(tmp_path):
    held = SwitchState(on=False, reason="told", at="2026-03-10T08:00:00Z", hold="leak")
    (leak,) = known(switch=lambda: held, log=tmp_path).leaks(T0)
    assert (leak.cause, leak.at) == ("hold", T0 - minutes(60))
    other = SwitchState(on=False, reason="told", at="", hold="overhead")
    assert known(switch=lambda: other, log=tmp_path).leaks(T0) == ()


def test_the_real_log_is_read(tmp_path):
    home = tmp_path / "audit"
    chain.append(home, "report", {"report": A, "verdict": "NO_GO"}, now=T0)
    (leak,) = known(log=home).leaks(T0)
    assert (leak.cause, leak.report, leak.at) == ("report", A, T0)


def test_a_log_that_cannot_be_read_is_not_silence(tmp_path):
    (tmp_path / chain.LOG).mkdir()
    facts = known(log=tmp_path)
    rules = {made.metric: made for made in load_rules(shipped("alerts.yaml"))}
    found = judge(rules["leak"], facts, T0, T0)
    assert found.verdict == "unknown"
    assert chain.LOG in found.why


def uuid7(at, n):
    ms = int(at.timestamp() * 1000)
    return f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7000-8000-{n:012x}"


@pytest.fixture
def account(tmp_path):
    """A real outbox, with calls that began at these instants."""

    def made(*begun, dark=()):
        path = tmp_path / "outbox.sqlite3"
        Outbox(path).close()
        with closing(sqlite3.connect(path)) as db:
            for n, at in enumerate(begun):
                db.execute("INSERT INTO calls (call, dark) VALUES (?, ?)", (uuid7(at, n), "refused" if n in dark else ""))
            db.execute("INSERT INTO call_totals VALUES (?, 'delivered', '', '', 3)", (uuid7(T0 + minutes(5), 99),))
            db.commit()
        return path

    return made


def test_the_account_counts_calls_by_the_time_in_their_ids(account, tmp_path):
    path = account(T0 - minutes(61), T0 - minutes(60), T0 - minutes(1), T0 - minutes(2), dark={3})
    facts = known(account=path)
    assert facts.calls_ran(T0 - minutes(60), T0) == 2  # one began before, of one nothing may be sent
    assert facts.calls_ran(T0, T0 + minutes(10)) == 1
    assert known(account=tmp_path).calls_ran(T0 - minutes(60), T0) == 2
    assert known(account=path, ran=7).calls_ran(T0, T0) == 7
    assert known().calls_ran(T0, T0) is None


def test_an_account_that_cannot_be_read_is_not_silence(tmp_path):
    for content in (None, b"no database", b""):
        path = tmp_path / "x.sqlite3"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(NotKnown):
            known(account=path).calls_ran(T0, T0)


def test_a_source_that_fails_leaves_the_last_whole_reading_as_it_was(tmp_path):
    rules = load_rules(shipped("alerts.yaml"))
    file = tmp_path / "export.jsonl"
    file.write_text("")
    with opened(tmp_path, project="", file=file, endpoint="") as index:
        reading = Reading(index, rules, project="", file=file, endpoint="", api_key="")
        reading.refresh(T0)
        assert index.refreshed == T0
        file.unlink()
        with pytest.raises(SourceError):
            reading.refresh(T0 + minutes(30))
        assert index.refreshed == T0
        found = {
            made.name: judge(made, known(index), T0 + minutes(30), T0).verdict for made in rules if made.metric in {"stale", "ttft_p95"}
        }
    assert found == {"stale": "bad", "ttft_p95": "unknown", "ttft_p95_week": "unknown"}


def test_it_reads_the_whole_month_at_first_and_then_what_is_new(tmp_path, monkeypatch):
    asked = []

    class Nothing:
        live = True

        def runs(self):
            return iter(())

        def pieces(self):
            return iter(())

        def manifest(self):
            return Manifest()

    def opens(*, window, **_more):
        asked.append((window.since, window.until))
        return Nothing()

    monkeypatch.setattr("audit.alerts.reading.open_source", opens)
    with opened(tmp_path, project="p", file=None, endpoint="http://127.0.0.1:9") as index:
        reading = Reading(index, load_rules(shipped("alerts.yaml")), project="p", file=None, endpoint="", api_key="")
        for at in (T0, T0 + minutes(1), T0 - timedelta(days=3)):
            reading.refresh(at)
    assert asked[0] == (datetime(2026, 3, 1, tzinfo=UTC), T0)
    assert asked[1] == (T0 - timedelta(hours=6), T0 + minutes(1))
    assert asked[2][0] == datetime(2026, 2, 28, 3, tzinfo=UTC)  # a clock that went back: as at first, and the week before


def test_what_no_rule_can_ask_for_any_more_is_dropped(tmp_path, monkeypatch):
    """Four months, read each day: the index holds two of them, and every rate of the month and of each window is as if it held all."""
    rules, day, every = load_rules(shipped("alerts.yaml")), timedelta(days=1), []

    def call(n):
        ended = {"end_time": (T0 + n * day + minutes(5)).isoformat(), "error": "RuntimeError: session_error" if n % 3 else None}
        run = {"id": f"{n:032x}", "name": "voice_session", "start_time": (T0 + n * day).isoformat(), "session_name": "p", **ended}
        return run | {"id": str(UUID(run["id"])), "trace_id": str(UUID(run["id"])), "extra": {"metadata": {"env": "prod", "cost_usd": 0.5}}}

    class Daily:
        live = True

        def __init__(self, window):
            self._window = window

        def manifest(self):
            return Manifest(query={"project": "p"})

        def runs(self):
            yield from (run for run in every if self._window.since <= datetime.fromisoformat(run["start_time"]) < self._window.until)

    monkeypatch.setattr("audit.alerts.reading.open_source", lambda *, window, **_more: Daily(window))
    with opened(tmp_path, project="p", file=None, endpoint="") as index, closing(CallIndex(None)) as whole:
        reading = Reading(index, rules, project="p", file=None, endpoint="", api_key="")
        for n in range(120):
            every.append(call(n))
            whole.add(every[-1])
            now = T0 + n * day + minutes(10)
            reading.refresh(now)
            for since in (month_of(now)[0], *(now - timedelta(seconds=rule.window_s) for rule in rules)):
                assert index.rates(since, now, Choice()) == whole.rates(since, now, Choice())
        assert whole.page(Choice()).total == 120
        assert 31 + 6 <= index.page(Choice()).total <= 31 + 31 + 1


def test_the_sinks_are_those_the_environment_names():
    assert sinks_of({}) == {}
    made = sinks_of({
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/xyz", "PHI_GUARD_ALERT_WEBHOOK_URL": "https://alerts.example/in",
        "PHI_GUARD_ALERT_WEBHOOK_SECRET": "s" * 32, "PAGERDUTY_ROUTING_KEY": "a" * 32,
    })  # fmt: skip
    assert [type(sink) for sink in made.values()] == [SlackSink, WebhookSink, PagerDutySink]
