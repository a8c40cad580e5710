"""Gates and verdict: what proves each, what fails it, and that missing evidence never passes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from audit.evidence import (
    Alerts,
    Canaries,
    Completeness,
    Cost,
    EvidenceError,
    Lateness,
    Load,
    Monitoring,
    Rehearsal,
    Spans,
    load_rehearsal,
)
from audit.gates import CHECKS, OPERATION, Evidence, GatesError, Judged, judge, load_gates
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
ALERTS = Alerts(fired=("error_rate", "ttft_p95", "tool_failure"), resolved=("error_rate", "ttft_p95", "tool_failure"))

WHOLE = Evidence(
    population=Population(
        traces=70, runs=500, offered=1000, lost=3, cost_usd=0.7, spans={"user_turn": 200, "tool.book": 12, "tool.cancel": 8},
    ),
    days=7.0,
    known_answers=KnownAnswers(1, (Recall("name", "written", 59, 59, 0.9505),), synthetic=False),
    rehearsal=Rehearsal(
        calls=10, overhead_us=Cost(7, 60, 900, 4000), spans=Spans(100, 100, 0), loop_lateness_us=Lateness(1500, 1400), calls_crashed=0,
        canaries=Canaries(40, 0), load=Load(10, 5.0), completeness=Completeness(2, 2, 2), ttft_error_ms=50.0,
    ),
    examples=9, cross_check=CrossCheck("relay", 500, 500), review=REVIEW, alerts=ALERTS,
    tools={"tool.book": 12, "tool.cancel": 8, "tool.find": 1, "tool.hours": 1, "tool.move": 1, "tool.read": 1}, ttft_turns=100,
    monitoring=Monitoring(
        "2026-11-20T08:00:00Z", "2026-11-22T08:00:00Z", 48.0, 192, 1800.0, 20, no_go=0, unfinished=3, alerts={"error_rate": 0}, closed=True,
    ),
)  # fmt: skip

ONE_MISS = KnownAnswers(1, (Recall("name", "written", 59, 58, 0.92),), synthetic=False)


def states(evidence):
    return {j.gate.name: j.state for j in judge(SIX, evidence)}


def population(**changes):
    return replace(WHOLE, population=replace(WHOLE.population, **changes))


def rehearsal(**changes):
    return replace(WHOLE, rehearsal=replace(WHOLE.rehearsal, **changes))


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
        ("loop_lateness_us", rehearsal(loop_lateness_us=Lateness(2500, 1400)), "unproven"),
        ("loop_lateness_us", rehearsal(loop_lateness_us=Lateness(6500, 1400)), "failed"),
        ("loop_lateness_us", rehearsal(loop_lateness_us=None), "unproven"),
        ("span_drop", population(lost=11), "failed"),
        ("span_drop", rehearsal(spans=Spans(1000, 900, 100)), "failed"),
        ("span_drop", population(uncounted=1), "unproven"),
        ("span_drop", replace(WHOLE, population=replace(WHOLE.population, offered=0), rehearsal=None), "unproven"),
        ("agent_survives", rehearsal(calls_crashed=1), "failed"),
        ("agent_survives", rehearsal(calls_crashed=None), "unproven"),
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
        ("alerts_fire", replace(WHOLE, alerts=replace(ALERTS, resolved=ALERTS.fired[:2])), "failed"),
        ("free_plan", population(traces=1400), "failed"),
        ("monthly_cost_usd", population(cost_usd=9.0), "failed"),
        ("monthly_cost_usd", population(cost_unknown=1), "unproven"),
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
        ("load_test", replace(WHOLE, rehearsal=None), "unproven"),
        ("load_test", rehearsal(load=None), "unproven"),
        ("load_test", load(calls=9), "unproven"),
        ("load_test", load(at_once=9), "unproven"),
        ("load_test", load(minutes=4.9), "unproven"),
        ("load_completeness", rehearsal(completeness=Completeness(2, 2, 1, {"session_end": 1})), "failed"),
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
    ],
)
def test_a_bad_gates_file_is_refused(tmp_path, change, said):
    """A gate left out, a bar that is none, a broken file: refused with the place, and never judged by."""
    path = tmp_path / "gates.yaml"
    path.write_text(shipped("gates.yaml").read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    with pytest.raises(GatesError, match=said):
        load_gates(path)


def test_rehearsal_file(tmp_path):
    """A rehearsal's file is read with what it has; what is pending or dropped is lost, and more keys than we know are no fault."""
    path = tmp_path / "rehearsal.json"
    path.write_text(
        '{"schema": "phi-audit.rehearsal/1", "calls": 2, "idle_us": {"p99": 1}, "overhead_us": {"p50": 7.5, "p99": 63, "max": 800, "n": 9},'
        '"spans": {"offered": 10, "delivered": 7, "pending": 1, "withheld": 1, "dropped": {"queue_full": 1}}}'
    )
    rehearsal = load_rehearsal(path)
    assert rehearsal.overhead_us == Cost(7.5, 63, 800, 9)
    assert rehearsal.spans == Spans(10, 7, 2)
    assert rehearsal.canaries is None


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "other/1", "calls": 1}', '{"schema": "phi-audit.rehearsal/1", "calls": -1}'])
def test_a_file_that_is_no_rehearsal(tmp_path, text):
    """Another file is refused, and so is an impossible count."""
    path = tmp_path / "rehearsal.json"
    path.write_text(text)
    with pytest.raises(EvidenceError, match=str(path)):
        load_rehearsal(path)
