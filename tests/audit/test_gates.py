"""Gates and verdict: what proves each, what fails it, and that missing evidence never passes."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import datetime, timedelta

import pytest

from audit.alerts import load_rules
from audit.alerts.rules import Silence
from audit.bars import weaker
from audit.binding import CLOCKS, OLDEST, Subject, figures_digest, rules_digest
from audit.evidence import (
    Alerts,
    Canaries,
    Completeness,
    Cost,
    EvidenceError,
    Fault,
    Lateness,
    Load,
    Monitoring,
    Rehearsal,
    Spans,
    load_evidence,
    load_rehearsal,
)
from audit.gates import CHECKS, OPERATION, Evidence, GatesError, Judged, comparable, judge, load_gates
from audit.gates_base import gates_digest
from audit.known_answers import KnownAnswers, Recall
from audit.manifest import CrossCheck
from audit.population import Population
from audit.review.outcome import Reviewer, ReviewOutcome
from audit.verdict import by_week, decide, through
from phi_guard.policy import shipped

GATES = load_gates(shipped("gates.yaml"))
SIX = load_gates(shipped("gates.yaml"), week=6)
ANA = Reviewer("Ana", "", "", decided=12, leaks=0, unsure=0, planted=12, planted_found=12, file_sha256="")
REVIEW = ReviewOutcome("", "", (ANA, replace(ANA, name="Ben")), 12, 12, 12, 0, 0, 1.0, 1.0, 0.88, 0.2)
POLICY, RULES, HELD = "a1" * 8, "b2" * 32, "2026-11-19T08:00:00+00:00"
SUBJECT = Subject("clinic-prod", "prod", POLICY, "2026-11-22T12:00:00Z")
THREE = ("error_rate", "ttft_p95", "tool_failure")
ALERTS = Alerts(
    THREE, THREE, started_at=HELD, policies={"dev": POLICY, "prod": POLICY}, rules={"dev": "c3" * 32, "prod": RULES}, false_alarms=0
)

WHOLE = Evidence(
    population=Population(
        traces=70, runs=500, offered=1000, lost=3, cost_usd=0.7, spans={"user_turn": 200, "tool.book": 12, "tool.cancel": 8},
    ),
    days=7.0,
    known_answers=KnownAnswers(1, (Recall("name", "written", 59, 59, 0.9505),), synthetic=False),
    rehearsal=Rehearsal(
        calls=10, overhead_us=Cost(7, 60, 900, 4000), spans=Spans(100, 100, 0, adds_up=True), loop_lateness_us=Lateness(1500, 1400),
        calls_crashed=0, canaries=Canaries(40, 0), load=Load(10, 5.0), completeness=Completeness(10, 10, 10),
        ttft_error_ms=50.0, ttft_unpaired=0, in_call_record_us=Cost(8, 50, 400, 900), in_call_handler_us=Cost(9, 70, 1200, 50_000),
        tracer_faults=0, unanswered_turns=0, faults=(Fault("relay_stands_still", 30.0, 3.0),),
        project="clinic-prod", env="prod", endpoint="127.0.0.1", policy_digest=POLICY, started_at=HELD, interrupted=False,
    ),
    examples=9, cross_check=CrossCheck("relay", 500, 500), review=REVIEW, alerts=ALERTS,
    tools={"tool.book": 12, "tool.cancel": 8, "tool.find": 1, "tool.hours": 1, "tool.move": 1, "tool.read": 1}, ttft_turns=100,
    monitoring=Monitoring(
        "2026-11-20T08:00:00Z", "2026-11-22T08:00:00Z", 48.0, 192, 1800.0, 20, no_go=0, unfinished=3, alerts={"error_rate": 0}, closed=True,
        project="clinic-prod", env="prod", policy_digest=POLICY, outcome="CLEAN", judged=THREE, rules_digest=RULES, journal_n=195,
        journal_sha256="d4" * 32, vouched=True,
    ),
    subject=SUBJECT,
)  # fmt: skip

ONE_MISS = KnownAnswers(1, (Recall("name", "written", 59, 58, 0.92),), synthetic=False)


def states(evidence):
    return {j.gate.name: j.state for j in judge(SIX, evidence)}


def population(**changes):
    return replace(WHOLE, population=replace(WHOLE.population, **changes))


def rehearsal(**changes):
    return replace(WHOLE, rehearsal=replace(WHOLE.rehearsal, **changes))


def slow_in_calls(longest, *, untraced_max, **changes):
    """One event handler that took so many microseconds, where the loop without a tracer was so late."""
    return rehearsal(
        in_call_handler_us=Cost(9, 70, longest, 50_000), loop_lateness_us=Lateness(1500, 1400, untraced_max=untraced_max), **changes
    )


def load(calls=10, **changes):
    return rehearsal(calls=calls, load=replace(WHOLE.rehearsal.load, **changes))


def monitoring(**changes):
    return replace(WHOLE, monitoring=replace(WHOLE.monitoring, **changes))


def test_full_evidence_proves_every_gate():
    """With evidence for all of them, all are proven and the verdict is GO."""
    assert {name for name, state in states(WHOLE).items() if state != "proven"} == set()
    assert decide(judge(GATES, WHOLE)).state == "GO"


@pytest.mark.parametrize(
    ("gate", "evidence", "state"),
    [
        ("phi_findings", replace(WHOLE, findings=1), "failed"),
        ("phi_findings", replace(WHOLE, incomplete="interrupted"), "unproven"),
        ("phi_findings", replace(WHOLE, findings=1, incomplete="interrupted"), "failed"),
        ("known_answer_recall", replace(WHOLE, known_answers=None), "unproven"),
        ("known_answer_recall", replace(WHOLE, known_answers=ONE_MISS), "unproven"),
        ("canaries", rehearsal(canaries=Canaries(40, 1)), "failed"),
        ("canaries", rehearsal(canaries=None), "unproven"),
        ("redaction_tests", replace(WHOLE, examples=0), "unproven"),
        ("guardrail_per_session", population(incomplete={"policy.guardrail": 1}), "failed"),
        ("one_trace_per_call", population(shared_rooms=1), "failed"),
        ("one_trace_per_call", population(incomplete={"one root only": 1}), "failed"),
        ("trace_complete", population(incomplete={"agent_turn": 1}), "failed"),
        ("trace_complete", population(open=1), "unproven"),
        ("trace_complete", replace(population(incomplete={"agent_turn": 1}), incomplete="interrupted"), "unproven"),
        ("one_trace_per_call", replace(population(incomplete={"root": 1}), incomplete="interrupted"), "unproven"),
        ("one_trace_per_call", replace(population(shared_rooms=1), incomplete="interrupted"), "failed"),
        ("errors_typed", population(errors=2, untyped=1), "failed"),
        ("overhead_p99_us", rehearsal(overhead_us=Cost(7, 1001, 1002, 4000)), "failed"),
        ("overhead_max_us", rehearsal(overhead_us=Cost(7, 60, 5001, 4000)), "failed"),
        ("overhead_p99_us", rehearsal(overhead_us=Cost(0, 0, 0, 0)), "unproven"),
        ("overhead_max_us", rehearsal(overhead_us=Cost(7, 60, 5001, 4000, cpu_max=40)), "unproven"),
        ("overhead_max_us", rehearsal(overhead_us=Cost(7, 60, 5002, 4000, cpu_max=5001)), "failed"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=Cost(9, 50_000, 900_000, 50_000)), "failed"),
        ("overhead_p99_us", rehearsal(in_call_record_us=Cost(8, 1001, 1002, 500)), "failed"),
        ("overhead_p99_us", rehearsal(in_call_record_us=Cost(8, 1000, 1002, 500)), "proven"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=Cost(9, 1001, 1002, 499)), "unproven"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=Cost(9, 1001, 1002, 499), overhead_us=Cost(7, 1001, 1002, 4000)), "failed"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=Cost(9, 1001, 1002, 499), in_call_record_us=Cost(8, 2000, 2000, 500)), "failed"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=Cost(9, 50_000, 900_000, 50_000), overhead_us=None), "failed"),
        ("overhead_p99_us", rehearsal(in_call_handler_us=None), "unproven"),
        ("overhead_p99_us", rehearsal(in_call_record_us=Cost(0, 0, 0, 0)), "unproven"),
        ("overhead_p99_us", rehearsal(overhead_us=None), "unproven"),
        ("overhead_max_us", rehearsal(in_call_handler_us=None), "unproven"),
        ("overhead_max_us", rehearsal(in_call_record_us=None), "unproven"),
        ("overhead_max_us", rehearsal(in_call_handler_us=Cost(9, 70, 5000, 50_000)), "proven"),
        ("overhead_max_us", rehearsal(in_call_handler_us=Cost(9, 70, 5001, 50_000)), "unproven"),  # by the clock, and no control to compare
        ("overhead_max_us", slow_in_calls(5001, untraced_max=5001), "unproven"),
        ("overhead_max_us", slow_in_calls(900_000, untraced_max=150_000), "failed"),
        ("overhead_max_us", slow_in_calls(5001, untraced_max=150_000, overhead_us=Cost(7, 60, 5002, 4000, cpu_max=5001)), "failed"),
        ("overhead_max_us", slow_in_calls(900_000, untraced_max=150_000, overhead_us=Cost(7, 60, 5002, 4000, cpu_max=40)), "failed"),
        ("loop_lateness_us", rehearsal(loop_lateness_us=Lateness(2500, 1400)), "unproven"),
        ("loop_lateness_us", rehearsal(loop_lateness_us=Lateness(6500, 1400)), "failed"),
        ("loop_lateness_us", rehearsal(loop_lateness_us=None), "unproven"),
        ("span_drop", population(lost=11), "failed"),
        ("span_drop", rehearsal(spans=Spans(1000, 900, 100, adds_up=True)), "failed"),
        ("span_drop", rehearsal(spans=Spans(1000, 900, 100, adds_up=True), env="dev"), "proven"),
        ("span_drop", rehearsal(spans=Spans(1000, 1000, 0, adds_up=False)), "unproven"),
        ("span_drop", rehearsal(interrupted=True), "unproven"),
        ("span_drop", population(uncounted=1), "unproven"),
        ("span_drop", replace(WHOLE, population=replace(WHOLE.population, offered=0), rehearsal=None), "unproven"),
        ("agent_survives", rehearsal(calls_crashed=1), "failed"),
        ("agent_survives", rehearsal(calls_crashed=None), "unproven"),
        ("agent_survives", rehearsal(tracer_faults=400), "failed"),
        ("agent_survives", rehearsal(unanswered_turns=1), "failed"),
        ("agent_survives", rehearsal(unanswered_turns=1, tracer_faults=None), "failed"),
        ("agent_survives", rehearsal(unanswered_turns=None), "unproven"),
        ("agent_survives", rehearsal(tracer_faults=None), "unproven"),
        ("agent_survives", rehearsal(faults=()), "unproven"),
        ("agent_survives", rehearsal(faults=(Fault("relay_stands_still", 0.4, 0.49),)), "unproven"),
        ("agent_survives", rehearsal(faults=(), tracer_faults=1), "failed"),
        ("accounted_for", replace(WHOLE, cross_check=None), "unproven"),
        ("accounted_for", replace(WHOLE, cross_check=CrossCheck("relay", 500, 499, missing=1)), "failed"),
        ("accounted_for", replace(WHOLE, cross_check=CrossCheck("relay", 500, 500, unexpected=1)), "failed"),
        ("accounted_for", replace(WHOLE, cross_check=CrossCheck("relay", 500, 500, why="of one host only")), "unproven"),
        ("human_review", replace(WHOLE, review=None), "unproven"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, leaking=1)), "failed"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, reviewers=(ANA,))), "unproven"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, reviewers=(ANA, ANA))), "unproven"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, twice=9)), "unproven"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, recall=0.85)), "unproven"),
        ("human_review", replace(WHOLE, review=replace(REVIEW, why="of another report")), "unproven"),
        ("alerts_fire", replace(WHOLE, alerts=None), "unproven"),
        ("alerts_fire", replace(WHOLE, alerts=replace(ALERTS, false_alarms=1)), "unproven"),
        ("alerts_fire", replace(WHOLE, alerts=replace(ALERTS, false_alarms=None)), "unproven"),
        ("alerts_fire", replace(WHOLE, alerts=replace(ALERTS, resolved=ALERTS.fired[:2])), "failed"),
        ("free_plan", population(traces=1400), "failed"),
        ("monthly_cost_usd", population(cost_usd=30.0), "failed"),
        ("monthly_cost_usd", population(cost_usd=9.0), "proven"),  # of five minutes each, in the load test
        ("monthly_cost_usd", population(cost_unknown=1), "unproven"),
        ("monthly_cost_usd", replace(population(cost_usd=9.0), rehearsal=replace(WHOLE.rehearsal, project="elsewhere")), "failed"),
        ("monthly_cost_usd", replace(population(cost_usd=9.0), rehearsal=replace(WHOLE.rehearsal, load=Load(10, 0.5))), "failed"),
        ("test_trace_visible", population(traces=0, runs=0), "unproven"),
        ("test_trace_visible", replace(WHOLE, incomplete="interrupted"), "unproven"),
        ("ten_complete_traces", population(traces=9), "unproven"),
        ("ten_complete_traces", population(traces=12, open=3), "unproven"),
        ("ten_complete_traces", population(traces=12, broken=3), "failed"),
        ("ten_complete_traces", replace(population(traces=12, broken=3), incomplete="interrupted"), "unproven"),
        ("ten_complete_traces", population(traces=13, broken=3), "proven"),
        ("twenty_clean_spans", population(spans={"tool.book": 19, "user_turn": 30}), "unproven"),
        ("twenty_clean_spans", replace(WHOLE, findings=1, tool_findings=1), "failed"),
        ("twenty_clean_spans", replace(WHOLE, findings=1), "proven"),
        ("tools_traced", replace(WHOLE, tools={**WHOLE.tools, "tool.find": 0}), "unproven"),
        ("tools_traced", replace(WHOLE, tools={"tool.book": 3}), "unproven"),
        ("tools_traced", replace(WHOLE, tools={**WHOLE.tools, "tool.new": 0}), "unproven"),
        ("tools_traced", population(incomplete={"a tool span": 1}), "failed"),
        ("tools_traced", replace(population(incomplete={"a tool span": 1}), incomplete="interrupted"), "unproven"),
        ("ttft_measured", replace(WHOLE, ttft_turns=99), "failed"),
        ("ttft_measured", population(open=1), "unproven"),
        ("ttft_measured", population(spans={"agent_turn": 3}), "unproven"),
        ("ttft_error_ms", rehearsal(ttft_error_ms=50.1), "failed"),
        ("ttft_error_ms", rehearsal(ttft_error_ms=None), "unproven"),
        ("ttft_error_ms", rehearsal(ttft_unpaired=1), "unproven"),
        ("ttft_error_ms", rehearsal(ttft_unpaired=None), "unproven"),
        ("ttft_error_ms", rehearsal(ttft_error_ms=50.1, ttft_unpaired=1), "failed"),
        ("load_test", replace(WHOLE, rehearsal=None), "unproven"),
        ("load_test", rehearsal(load=None), "unproven"),
        ("load_test", load(calls=9), "unproven"),
        ("load_test", load(at_once=9), "unproven"),
        ("load_test", load(minutes=4.9), "unproven"),
        ("load_completeness", rehearsal(completeness=Completeness(10, 10, 9, {"session_end": 1})), "failed"),
        ("load_completeness", rehearsal(completeness=Completeness(9, 9, 9)), "unproven"),
        ("load_completeness", rehearsal(completeness=Completeness(9, 9, 8)), "failed"),
        ("load_completeness", rehearsal(completeness=Completeness(0, 0, 0)), "unproven"),
        ("load_completeness", rehearsal(completeness=None), "unproven"),
        ("monitored_hours", replace(WHOLE, monitoring=None), "unproven"),
        ("monitored_hours", monitoring(hours=47.9), "unproven"),
        ("monitored_hours", monitoring(closed=False), "unproven"),
        ("stable", replace(WHOLE, monitoring=None), "unproven"),
        ("stable", monitoring(no_go=1), "failed"),
        ("stable", monitoring(switch_off_s=3.0), "failed"),
        ("stable", monitoring(longest_gap_s=3601.0), "unproven"),
        ("stable", monitoring(unfinished=192), "unproven"),
        ("stable", monitoring(calls=0), "unproven"),
        ("alerts_clean", replace(WHOLE, monitoring=None), "unproven"),
        ("alerts_clean", monitoring(alerts={"ttft_p95": 1}), "failed"),
        ("alerts_clean", monitoring(calls=0), "unproven"),
    ],
)  # fmt: skip
def test_each_gate_can_fail_or_stay_unproven(gate, evidence, state):
    """One change in the evidence changes that gate, and as it should."""
    assert states(evidence)[gate] == state


REHEARSED = {gate.name for gate in GATES if gate.evidence == "rehearsal"}
UNBOUND = {
    "another environment": {"env": "dev"},
    "another policy": {"policy_digest": "0" * 16},
    "no environment": {"env": ""},
    "no policy": {"policy_digest": ""},
    "no time": {"started_at": ""},
    "a time without a zone": {"started_at": "2026-11-19T08:00:00"},
    "too old": {"started_at": "2026-10-23T11:59:00Z"},
    "after the judgement": {"started_at": "2026-11-22T12:06:00Z"},
}


@pytest.mark.parametrize("what", sorted(UNBOUND))
def test_a_rehearsal_of_something_else_neither_proves_nor_fails(what):
    """Whatever it measured, every gate that stands on it waits, and says what to run."""
    for more in ({}, {"canaries": Canaries(40, 9), "calls_crashed": 3}):
        found = [row for row in judge(GATES, rehearsal(**UNBOUND[what], **more)) if row.gate.name in REHEARSED]
        assert {(row.state, row.measured) for row in found} == {("unproven", None)}
        assert all("run `phi-audit rehearse --env prod` again" in row.why for row in found)


@pytest.mark.parametrize("change", [{"interrupted": True}, {"interrupted": None}, {"spans": Spans(100, 100, 0, adds_up=False)},
                                    {"spans": Spans(100, 100, 0)}, {"spans": None}],
                         ids=["interrupted", "not said", "ledger", "ledger not said", "no ledger"])  # fmt: skip
def test_a_rehearsal_without_its_end_can_fail_and_not_prove(change):
    """What it found stays found; what it did not find may be what it did not come to."""
    found = {row.gate.name: row for row in judge(GATES, rehearsal(**change))}
    assert {found[name].state for name in REHEARSED} == {"unproven"}
    assert all("run `phi-audit rehearse` again" in found[name].why for name in REHEARSED)
    assert states(rehearsal(**change, canaries=Canaries(40, 1)))["canaries"] == "failed"


def test_a_rehearsal_in_another_project_counts_and_says_so():
    """Under the same policy and environment; a rehearsal as old as may be, and one whose clock is a little ahead, count too."""
    found = {row.gate.name: row for row in judge(GATES, rehearsal(project="clinic-fixed"))}
    assert {found[name].state for name in REHEARSED} == {"proven"}
    assert all("rehearsed in the project clinic-fixed, under the same policy and environment" in found[name].why for name in REHEARSED)
    now = datetime.fromisoformat(SUBJECT.at)
    for at in (now - OLDEST, now + CLOCKS):
        assert states(rehearsal(started_at=at.isoformat()))["canaries"] == "proven"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"policies": {"dev": POLICY}}, "does not say with which policy"), ({"policies": {"prod": "0" * 16}}, "another policy"),
     ({"rules": {}}, "does not say with which policy and rules"), ({"started_at": ""}, "does not say when"),
     ({"started_at": "2026-10-01T08:00:00Z"}, "52 days old, at most 30 are allowed")],
    ids=["environment", "policy", "rules", "time", "age"],
)  # fmt: skip
def test_a_rehearsal_of_alerts_that_is_of_something_else_proves_nothing(change, said):
    for alerts in (replace(ALERTS, **change), replace(ALERTS, resolved=(), **change)):
        (row,) = (row for row in judge(GATES, replace(WHOLE, alerts=alerts)) if row.gate.name == "alerts_fire")
        assert (row.state, said in row.why, "run `phi-audit alerts rehearse` again" in row.why) == ("unproven", True, True), row.why


WATCHES = {
    "another project": ({"project": "clinic-dev"}, "another project than is judged", OPERATION),
    "another environment": ({"env": "dev"}, "another environment", OPERATION),
    "another policy": ({"policy_digest": "0" * 16}, "another policy", OPERATION),
    "all of them": ({"project": "p", "env": "dev", "policy_digest": "0" * 16}, "project and environment and policy", OPERATION),
    "other gates": ({"gates_digest": "e5" * 32}, "with other gates than are judged by", OPERATION),
    "old": ({"ended_at": "2026-10-01T08:00:00Z"}, "days old, at most 30 are allowed", OPERATION),
    "not said": ({"project": ""}, "does not say what was watched", OPERATION),
    "unproven": ({"outcome": "UNPROVEN"}, "ended UNPROVEN", OPERATION),
    "no outcome": ({"outcome": ""}, "does not say how it ended", OPERATION),
    "not in the log": ({"vouched": False}, "the audit's log here does not hold", OPERATION),
    "a rule that was never judged": ({"judged": ("error_rate", "ttft_p95")}, "no round could judge: tool_failure", {"alerts_clean"}),
    "other rules than were rehearsed": ({"rules_digest": "e5" * 32}, "other rules of the alerts were watched", {"alerts_clean"}),
}


@pytest.mark.parametrize("what", sorted(WATCHES))
def test_a_watch_that_is_not_of_this_or_not_proven_proves_no_gate_of_week_six(what):
    """The gates that stand on it wait, with words that say why and what to do."""
    change, said, gates = WATCHES[what]
    found = {row.gate.name: row for row in judge(SIX, monitoring(**change))}
    assert {name for name in OPERATION if found[name].state == "unproven"} == set(gates)
    assert all(said in found[name].why and ("run `phi-audit" in found[name].why) for name in gates), [found[n].why for n in gates]
    assert {row.state for row in found.values() if row.gate.week < 6} == {"proven"}


NOW = datetime.fromisoformat(SUBJECT.at)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("at", "said"),
    [((NOW - OLDEST).isoformat(), ""), ((NOW - OLDEST - SECOND).isoformat(), "30 days old, at most 30 are allowed"),
     ((NOW + CLOCKS).isoformat(), ""), ((NOW + CLOCKS + SECOND).isoformat(), "held after the moment of this judgement"),
     ("", "does not say when"), ("2026-11-22T08:00:00", "does not say when")],
    ids=["a month", "a second more", "a clock ahead", "a second more ahead", "no time", "no zone"],
)  # fmt: skip
def test_how_old_evidence_may_be(at, said):
    """Whichever it is: to the second of its bound it proves, beyond it proves nothing, and fails nothing that it found either."""
    kinds = {
        "canaries": (rehearsal(started_at=at), rehearsal(started_at=at, canaries=Canaries(40, 9))),
        "alerts_fire": (replace(WHOLE, alerts=replace(ALERTS, started_at=at)),) * 2,
        "stable": (monitoring(ended_at=at), monitoring(ended_at=at, no_go=1)),
    }
    for gate, (good, bad) in kinds.items():
        (row,) = (row for row in judge(SIX, good) if row.gate.name == gate)
        assert (row.state, said in row.why) == ("unproven" if said else "proven", True), row
        if said:
            assert states(bad)[gate] == "unproven"
            assert "run `phi-audit" in row.why


def test_a_judgement_without_a_moment_believes_no_evidence():
    """Nothing can be held against a time that is none: neither a rehearsal nor a watch proves."""
    found = states(replace(WHOLE, subject=replace(SUBJECT, at="")))
    assert {found[name] for name in ("canaries", "alerts_fire", *OPERATION)} == {"unproven"}


def test_gates_that_were_lowered_for_a_watch_prove_nothing():
    """A watch says by which bars its rounds were judged: one that is lower is another, and so is one that is not said."""
    mine = replace(SUBJECT, gates_digest=gates_digest(GATES))

    def of_watch(digest):
        found = states(replace(monitoring(gates_digest=digest), subject=mine))
        return {found[name] for name in OPERATION}

    assert of_watch(gates_digest(GATES)) == of_watch(gates_digest(SIX)) == of_watch(gates_digest(GATES[::-1])) == {"proven"}
    lower = tuple(replace(gate, bar=1e6) if gate.name == "phi_findings" else gate for gate in GATES)
    setting = tuple(replace(gate, settings={**gate.settings, "traces": 1}) if gate.name == "human_review" else gate for gate in GATES)
    other = tuple(replace(gate, bound="below") if gate.name == "canaries" else gate for gate in GATES)
    for gates in (lower, setting, other, GATES[1:]):
        assert of_watch(gates_digest(gates)) == {"unproven"}
    assert of_watch("") == {"unproven"}


def test_what_broke_in_a_watch_of_this_stays_broken():
    """A NO-GO is not undone by an outcome that is missing, or by a log that does not hold it; one of another project says nothing here."""
    for change in ({"outcome": "UNPROVEN"}, {"vouched": False}):
        assert states(monitoring(no_go=1, **change))["stable"] == "failed"
    assert states(monitoring(no_go=1, project="clinic-dev"))["stable"] == "unproven"


def test_no_evidence_proves_nothing():
    """With nothing to judge by, no gate is proven."""
    assert set(states(Evidence()).values()) == {"unproven"}


def test_verdict():
    """A failed gate is NO_GO whatever else; a missing one UNPROVEN; GO needs all; nothing judged is nothing shown."""
    proven, failed, unproven = (Judged(GATES[0], state, None, "why") for state in ("proven", "failed", "unproven"))
    assert decide([proven]).state == "GO"
    assert decide([proven, unproven]).state == "UNPROVEN"
    assert decide([unproven, failed]).state == "NO_GO"
    assert decide([proven], "interrupted").state == "UNPROVEN"
    assert decide([]).state == "UNPROVEN"
    assert [decide(j).exit_code for j in ([proven], [failed], [unproven])] == [0, 1, 3]


def test_the_shipped_gates_are_all_there():
    """Every gate that can be judged stands in the shipped file, with its source."""
    assert {gate.name for gate in GATES} == set(CHECKS)
    assert {gate.name for gate in SIX} == {*CHECKS, *OPERATION}
    assert all(gate.source.startswith("section") for gate in SIX)
    assert {gate.week for gate in SIX} == {1, 2, 3, 4, 5, 6}
    assert {gate.name for gate in SIX if gate.week == 6} == set(OPERATION)


def test_each_week_is_judged_on_its_own_and_with_those_before_it():
    """A failed gate of week 3 leaves weeks 1 and 2 as they were, and every later verdict NO_GO; operation is asked for by name alone."""
    judged = judge(SIX, replace(WHOLE, findings=1, tool_findings=1, review=None, monitoring=None))
    weeks = {week.week: (week.state, week.verdict.state) for week in by_week(judged)}
    assert weeks == {
        1: ("proven", "GO"), 2: ("proven", "GO"), 3: ("failed", "NO_GO"), 4: ("proven", "NO_GO"), 5: ("failed", "NO_GO"),
        6: ("unproven", "NO_GO"),
    }  # fmt: skip
    assert through(judged, 2).state == "GO"
    assert through(judged, 2, "interrupted").state == "UNPROVEN"
    assert decide(judge(GATES, replace(WHOLE, monitoring=None))).state == "GO"
    assert decide(judge(SIX, replace(WHOLE, monitoring=None))).state == "UNPROVEN"


@pytest.mark.parametrize(
    ("name", "week", "said"),
    [
        ("phi_findings", "6", "phi_findings: week: 6 is too late"),
        ("stable", "5", "stable: week: must be 6"),
        ("canaries", "7", "gates.canaries.week"),
    ],
)
def test_a_gate_may_not_be_put_off(tmp_path, name, week, said):
    """A gate of the go/no-go cannot be moved behind it, and one of operation not before; a week that is none is refused."""
    text = shipped("gates.yaml").read_text(encoding="utf-8")
    head, _, tail = text.partition(f"\n  {name}:\n")
    path = tmp_path / "gates.yaml"
    path.write_text(head + f"\n  {name}:\n" + re.sub(r"week: \d", f"week: {week}", tail, count=1), encoding="utf-8")
    with pytest.raises(GatesError, match=said):
        load_gates(path)


def test_a_gates_file_of_before_is_told_what_it_lacks(tmp_path):
    """A file without weeks and without the newer gates: each that it lacks is named, with where to copy it from."""
    text = shipped("gates.yaml").read_text(encoding="utf-8")
    path = tmp_path / "gates.yaml"
    path.write_text(re.sub(r"    week: \d\n", "", text[: text.index("  test_trace_visible:")]), encoding="utf-8")
    with pytest.raises(GatesError, match=r"lacks alerts_clean, load_completeness, load_test, .*; copy what it lacks"):
        load_gates(path)
    kept = re.sub(r"    week: [1-5]\n", "", text)
    path.write_text(kept, encoding="utf-8")
    assert {gate.week for gate in load_gates(path)} == {5}  # without a week: by the go/no-go


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("  phi_findings:", "  phi_finding:"), "lacks phi_findings"),
        (("at_most: 0\n", "at_most: zero\n"), "at_most"),
        (("    evidence: census\n    at_most: 0\n", "    evidence: census\n"), "give one of"),
        (("version: 1", "version: [1"), "not YAML"),
        (("    at_least: 10\n    calls: 10\n", "    at_least: 10\n    calls: .nan\n"), r"gates.yaml:\d+: gates.load_test.calls: .*finite"),
        (("    gap_minutes: 60", "    gap_minutes: .inf"), r"gates.yaml:\d+: gates.stable.gap_minutes: .*finite"),
        (("    evidence: census\n    at_most: 0\n", "    evidence: census\n    at_most: .nan\n"), r"gates.yaml:26: .*at_most: .*finite"),
    ],
)
def test_a_bad_gates_file_is_refused(tmp_path, change, said):
    """A gate left out, a bar that is none, a broken file: refused with the place, and never judged by."""
    path = tmp_path / "gates.yaml"
    path.write_text(shipped("gates.yaml").read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    with pytest.raises(GatesError, match=said):
        load_gates(path)


def test_what_happened_in_the_calls_is_read(tmp_path):
    """Costs in the calls, faults of the tracer, unanswered turns, faults that were made, and how late the loop was without a tracer."""
    path = tmp_path / "rehearsal.json"
    cost = {"p50": 9, "p99": 70.5, "max": 1200, "n": 50, "cpu_max": None, "edges": [], "counts": []}
    late = {"p50": 1, "p99": 20, "max": 30, "n": 9, "untraced_p99": 10, "untraced_max": 150.5}
    made = {"kind": "relay_stands_still", "at_s": 1.5, "lasted_s": 3.0}
    told = {"in_call_record_us": {**cost, "max": 400}, "in_call_handler_us": cost, "loop_lateness_us": late, "tracer_faults": 4,
            "unanswered_turns": 3, "faults": [made]}  # fmt: skip
    path.write_text(json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 2, **told}))
    held = load_rehearsal(path)
    assert (held.in_call_record_us, held.in_call_handler_us) == (Cost(9, 70.5, 400, 50), Cost(9, 70.5, 1200, 50))
    assert held.loop_lateness_us == Lateness(20, 10, 150.5)
    assert (held.tracer_faults, held.unanswered_turns, held.faults) == (4, 3, (Fault("relay_stands_still", 1.5, 3.0),))


def test_rehearsal_file(tmp_path):
    """A rehearsal's file is read with what it has; what is pending or dropped is lost, and more keys than we know are no fault."""
    path = tmp_path / "rehearsal.json"
    path.write_text(
        '{"schema": "phi-audit.rehearsal/1", "calls": 2, "idle_us": {"p99": 1}, "overhead_us": {"p50": 7.5, "p99": 63, "max": 800, "n": 9},'
        '"spans": {"offered": 10, "delivered": 7, "pending": 1, "withheld": 1, "dropped": {"queue_full": 1}}}'
    )
    rehearsal = load_rehearsal(path)
    assert rehearsal.overhead_us == Cost(7.5, 63, 800, 9)
    assert rehearsal.spans == Spans(10, 7, 2, adds_up=None)
    assert (rehearsal.env, rehearsal.policy_digest, rehearsal.started_at, rehearsal.interrupted) == ("", "", "", None)
    assert rehearsal.canaries is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other/1", "calls": 1}', '{"schema": "phi-audit.rehearsal/1", "calls": -1}'])
def test_a_file_that_is_no_rehearsal(tmp_path, text):
    """Another file is refused, and so is an impossible count."""
    path = tmp_path / "rehearsal.json"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=str(path)):
        load_rehearsal(path)


def test_what_evidence_is_of_is_read(tmp_path):
    """Whose it is, when it was held and whether it came to its end; of problems only how many, of an address only the host."""
    rehearsed, alerts, watched = (tmp_path / f"{name}.json" for name in ("rehearsal", "alerts", "monitoring"))
    told = {"project": "clinic-prod", "env": "prod", "policy_digest": POLICY, "started_at": HELD}
    end = {"endpoint": "https://someone:secret@smith.example:8443/api", "interrupted": False, "problems": ["one", "two"]}
    spans = {"offered": 3, "delivered": 3, "adds_up": True}
    rehearsed.write_text(json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 1, "spans": spans, **told, **end}))
    by_env = {"policies": {"prod": POLICY}, "rules": {"prod": RULES}}
    alerts.write_text(json.dumps({"schema": "phi-audit.alerts-rehearsal/1", "alerts": [], "started_at": HELD, **by_env}))
    figures = {name: value for name, value in asdict(WHOLE.monitoring).items() if name != "vouched"}
    watched.write_text(json.dumps({"schema": "phi-audit.monitoring/1", **figures, "vouched": True}))
    given = load_evidence([rehearsed, alerts, watched])
    held = given.rehearsal
    assert {name: getattr(held, name) for name in told} == told
    assert (held.endpoint, held.interrupted, held.problems, held.spans.adds_up) == ("smith.example:8443", False, 2, True)
    assert (given.alerts.started_at, given.alerts.policies, given.alerts.rules) == (HELD, {"prod": POLICY}, {"prod": RULES})
    assert given.monitoring == replace(WHOLE.monitoring, judged=tuple(sorted(THREE)), vouched=False)  # no file vouches for itself
    assert figures_digest(given.monitoring) == figures_digest(replace(WHOLE.monitoring, judged=tuple(sorted(THREE))))


def test_settings_of_operation_are_held_against_those_in_force():
    """A watch judged with a longer gap asks for less; a report of week 5 is not asked for week 6, one that judged a part of it is."""
    loose = [replace(gate, settings={"gap_minutes": 600.0}) if gate.name == "stable" else gate for gate in SIX]
    assert list(weaker(loose, comparable(loose, SIX))) == ["stable takes 600 as its gap_minutes, and 60 is in force"]
    assert list(weaker(GATES, comparable(GATES, SIX))) == []
    part = [gate for gate in SIX if gate.name != "alerts_clean"]
    assert list(weaker(part, comparable(part, SIX))) == ["alerts_clean is not judged"]


def test_the_digest_of_rules_is_of_what_they_judge():
    """A silence changes nothing of it, a bar does; rules of another environment are not in it."""
    rules = load_rules(shipped("alerts.yaml"))
    quiet = [replace(rule, silences=(Silence("holiday", "ops"),)) for rule in reversed(rules)]
    assert rules_digest(quiet, "prod") == rules_digest(rules, "prod") != rules_digest(rules, "dev")
    assert rules_digest([replace(rules[0], bar=99.0), *rules[1:]], "prod") != rules_digest(rules, "prod")
