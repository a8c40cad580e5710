"""The rehearsal of alerts: each rule as shipped fires and resolves, end to end, a quiet day is silent, and what does not is said so."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit import evidence_file
from audit.alerts import load_rules
from audit.binding import Subject, foreign_alerts, rules_digest
from audit.rehearsal import alerts, alerts_stage
from audit.rehearsal.alerts import evidence_of, opened, rehearse_alerts, render
from phi_guard.facts import ALERTS
from phi_guard.policy import load_policy, shipped

RULES = {
    rule.name: replace(rule, quota=40) if rule.quota else rule  # 5,000 traces say nothing that 40 do not
    for rule in load_rules(shipped("alerts.yaml"))
}


@pytest.fixture(scope="module")
def rehearsal():
    told = []
    result = rehearse_alerts(list(RULES.values()), on_rule=told.append)
    assert tuple(told) == result.alerts
    return result


@pytest.fixture
def of(rehearsal):
    return {one.name: one for one in rehearsal.alerts}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_fires_and_resolves(of, name):
    one, rule = of[name], RULES[name]
    prefix = f"[{one.env.upper()}][OBS] [REHEARSAL] "
    assert (one.fired, one.resolved) == (True, True), one.problems
    assert one.message.startswith(prefix)
    assert one.resolved_message.startswith(f"{prefix}Resolved: ")
    assert "Next: " in one.message
    assert one.env in rule.environments
    assert rule.hold_s <= one.after_s <= rule.hold_s + rule.grace_s + alerts.LEEWAY_S + (rule.bar / 1000 if name == "stale" else 0)
    assert one.resolved_after_s >= rule.resolve_s


def test_the_rules_rehearsed_are_all_there_are(rehearsal):
    assert {one.metric for one in rehearsal.alerts} == ALERTS - {"test"}


def test_a_quiet_day_is_silent(rehearsal):
    assert rehearsal.quiet_messages == ()
    assert (rehearsal.quiet_calls, rehearsal.quiet_looks) == (10, 48)
    assert rehearsal.passed


def test_the_message_says_what_was_measured(of):
    assert re.search(r"Error rate \d+ % over 1 h \(5 of \d+ calls\), above 5 %", of["error_rate"].message)
    assert re.search(r"TTFT-A p95 3600 ms over 15 min \(\d+ turns\), above 3000 ms", of["ttft_p95"].message)
    assert re.search(r"Tool failures of book_appointment \d+ % over 30 min \(6 of \d+ uses\), above 10 %", of["tool_failure"].message)
    for name in ("error_rate", "ttft_p95", "tool_failure"):
        assert re.search(r"^Traces: [0-9a-f-]{36}", of[name].message, re.MULTILINE)


def test_the_evidence_is_read_as_evidence(rehearsal, tmp_path):
    """As a scan reads it for its gate."""
    path = tmp_path / "alerts.json"
    path.write_text(json.dumps(evidence_of(rehearsal)))
    read = evidence_file.read_alerts(path)
    assert {"error_rate", "ttft_p95", "tool_failure"} <= set(read.fired)
    assert set(read.fired) == set(read.resolved) == set(RULES)
    assert evidence_file.read_any(path) == read
    assert read.policies == {env: load_policy(shipped("clinic.yaml"), env=env).digest for env in ("dev", "prod")}
    assert read.rules == {env: rules_digest(RULES.values(), env) for env in ("dev", "prod")}
    subject = Subject("any", "prod", read.policies["prod"], datetime.now(UTC).isoformat())
    assert foreign_alerts(read, subject) == ()
    assert foreign_alerts(read, replace(subject, at=(datetime.now(UTC) + timedelta(days=31)).isoformat())) != ()


def test_the_table_shows_each_message(rehearsal):
    table = render(rehearsal)
    assert all(one.message.splitlines()[0] in table for one in rehearsal.alerts)
    assert "every rule fired and resolved" in table


def test_rules_that_nothing_can_reach_are_said_not_to_have_fired(tmp_path):
    names = ("error_rate", "ttft_p95", "tool_failure")
    result = rehearse_alerts([opened(RULES[name]) for name in names])
    assert [(one.fired, one.resolved, one.message, one.after_s) for one in result.alerts] == [(False, False, "", None)] * 3
    assert all("no message arrived" in one.problems for one in result.alerts)
    assert not result.passed
    path = tmp_path / "alerts.json"
    path.write_text(json.dumps(evidence_of(result)))
    assert evidence_file.read_alerts(path).fired == ()
    assert "NOT PASSED" in render(result)


def test_one_sink_that_does_not_get_it_is_enough(monkeypatch):
    """The webhook's other side has another secret: it refuses, and Slack's having it does not make up for that."""
    monkeypatch.setattr(alerts_stage, "SECRET", "another-" * 4)
    (one,) = rehearse_alerts([RULES["leak"]]).alerts
    assert (one.fired, one.resolved) == (False, False)
    assert any("bad_signature" in problem for problem in one.problems)


def test_a_rule_that_tells_nobody_has_not_fired():
    (one,) = rehearse_alerts([replace(RULES["leak"], sinks=())]).alerts
    assert (one.fired, one.problems) == (False, ("it names no sink, so nobody would be told",))


def test_a_rule_that_cries_wolf_does_not_pass():
    jumpy = replace(RULES["error_rate"], bar=1.0, min_count=1, min_bad=1, shown="counts", resolve_bar=0.5)
    result = rehearse_alerts([jumpy])
    assert any("Error rate 100 % over 1 h (1 of 1 calls)" in title for title in result.quiet_messages)
    assert not result.passed
    assert "false alarm" in render(result)


def test_a_rule_that_fires_without_a_cause_has_not_fired_for_one():
    jumpy = replace(RULES["ttft_p95"], bar=100.0, min_count=1, resolve_bar=50.0)  # ordinary answers take longer
    (one,) = rehearse_alerts([jumpy]).alerts
    assert not one.fired
    assert "a message arrived before there was a cause" in one.problems
