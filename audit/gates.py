"""The gates: each criterion of the requirements, its bar out of ``gates.yaml``, and whether this evidence reaches it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from audit import binding, gates_overhead, gates_weeks
from audit.evidence import Rehearsal
from audit.gates_base import (
    ALERTS,
    GO_LIVE,
    WEEKS,
    Answer,
    Check,
    Evidence,
    Gate,
    GatesError,
    Judged,
    State,
    against,
    of_census,
    of_rehearsal,
    unless_open,
)
from audit.statistics import lower_bound

__all__ = ["ALERTS", "CHECKS", "GO_LIVE", "OPERATION", "WEEKS", "Evidence", "Gate", "GatesError", "Judged", "State", "comparable",
           "judge", "load_gates"]  # fmt: skip

DAYS_A_MONTH: Final = 30
FAULT_S: Final = 0.5
"""Seconds that a fault in the telemetry lasts at least to be one: five of the recorder's longest waits before it sends."""
_AGAIN: Final = "run `phi-audit rehearse` again, with calls of some seconds"


def judge(gates: tuple[Gate, ...], evidence: Evidence) -> tuple[Judged, ...]:
    """Every gate with its state, in the file's order."""
    return tuple(Judged(gate, *(CHECKS.get(gate.name) or OPERATION[gate.name])(gate, evidence)) for gate in gates)


@of_census
def _findings(gate: Gate, evidence: Evidence) -> Answer:
    population = evidence.population
    beside = f"; {evidence.accepted} accepted by the baseline" if evidence.accepted else ""
    beside += f"; {evidence.suspicions} suspicions for people to look at" if evidence.suspicions else ""
    found = f"{evidence.findings} findings in {population.runs} runs of {population.traces} traces{beside}"
    return against(gate, evidence.findings, found)


@of_census
def _accounted(gate: Gate, evidence: Evidence) -> Answer:
    check = evidence.cross_check
    if check is None:
        return "unproven", None, "no account of the relay to hold it against; give its state directory with --account"
    told = f"{check.matched} of {check.expected} delivered runs are there, {check.missing} missing; {check.unexpected} were not sent by it"
    told += f"; {check.purged} were purged since" * bool(check.purged)
    state, measured, why = against(gate, check.missing + check.unexpected, told)
    if state == "proven" and check.why:
        return "unproven", measured, f"{told}; {check.why}"
    return unless_open(evidence, state, measured, why)


def _recall(gate: Gate, evidence: Evidence) -> Answer:
    proof = evidence.known_answers
    if proof is None or not proof.rows:
        return "unproven", None, "the known answers were not run"
    bar = gate.bar or 1.0
    planted = min(row.n for row in proof.rows)
    if lower_bound(planted, planted) < bar:
        return "unproven", proof.weakest, f"{planted} plants of each class and style cannot show {bar:.0%}, whatever is found; plant more"
    weak = [f"{row.kind} {row.style} {row.found}/{row.n}" for row in proof.rows if row.at_least < bar]
    if weak:
        return "unproven", proof.weakest, f"recall not shown to reach {bar:.0%} for: {', '.join(weak)}"
    return "proven", proof.weakest, f"each of {len(proof.rows)} classes and styles at {proof.weakest:.1%} or more"


@of_census
def _guardrail(gate: Gate, evidence: Evidence) -> Answer:
    return _lacking(gate, evidence, ("policy.guardrail",), "without policy.guardrail")


@of_census
def _one_root(gate: Gate, evidence: Evidence) -> Answer:
    lacks = evidence.population.incomplete
    bad = lacks.get("root", 0) + lacks.get("one root only", 0) + evidence.population.shared_rooms
    state, measured, why = against(gate, bad, f"{bad} traces or rooms break it")
    if state == "failed" and evidence.incomplete and bad == lacks.get("root", 0):  # a root may be what was not read
        return "unproven", measured, f"{why}; {evidence.incomplete}"
    return unless_open(evidence, state, measured, why)


@of_census
def _complete(gate: Gate, evidence: Evidence) -> Answer:
    lacks = ("session.start", "agent_turn", "session.end", "a tool span", "a parent run", "root", "one root only")
    return _lacking(gate, evidence, lacks, "incomplete")


def _lacking(gate: Gate, evidence: Evidence, lacks: tuple[str, ...], what: str) -> Answer:
    missing = {name: n for name, n in evidence.population.incomplete.items() if name in lacks}
    bad = max(missing.values(), default=0)
    detail = ", ".join(f"{name} missing in {n}" for name, n in missing.items())
    why = f"{detail}" if missing else f"0 of {evidence.population.traces} traces {what}"
    state, measured, why = against(gate, bad, why)
    if state == "failed" and evidence.incomplete:  # what is missing may be what was not read
        return "unproven", measured, f"{why}; {evidence.incomplete}"
    return unless_open(evidence, state, measured, why)


@of_census
def _typed(gate: Gate, evidence: Evidence) -> Answer:
    population = evidence.population
    return against(gate, population.untyped, f"{population.untyped} of {population.errors} errors are not typed")


@of_census
def _drop(gate: Gate, evidence: Evidence) -> Answer:
    population = evidence.population
    told = [(population.lost, population.offered, "as the traces' ends report")]
    held, beside, lacks = evidence.rehearsal, "", tuple[str, ...]()
    if held is not None and (foreign := binding.foreign_rehearsal(held, evidence.subject)):
        beside = f"; the rehearsal is left out: {'; '.join(foreign)}"
    elif held is not None and held.spans is not None:
        told.append((held.spans.lost, held.spans.offered, "in the rehearsal"))
        lacks = binding.broken_rehearsal(held)
    shares = [(lost / offered, f"{lost} of {offered} spans lost {where}") for lost, offered, where in told if offered]
    if not shares:
        return "unproven", None, "no trace reports how many spans were offered"
    # The same spans may be in both accounts, so they are not added up: the worse one counts.
    state, measured, why = against(gate, max(share for share, _ in shares), "; ".join(words for _, words in shares) + beside)
    if state == "proven" and lacks:
        return "unproven", measured, "; ".join((why, *lacks))
    if state == "proven" and population.uncounted:
        return "unproven", measured, f"{population.uncounted} traces report no counts"
    return unless_open(evidence, state, measured, why)


@of_census
def _free_plan(gate: Gate, evidence: Evidence) -> Answer:
    a_month = _calls_a_day(gate, evidence) * DAYS_A_MONTH
    return against(gate, a_month, f"{a_month:.0f} traces a month")


@of_census
def _cost(gate: Gate, evidence: Evidence) -> Answer:
    population, fixed = evidence.population, gate.settings.get("fixed_usd", 0.0)
    if population.cost_unknown:
        return "unproven", None, f"the cost of {population.cost_unknown} traces is unknown; add their deployment to pricing.yaml"
    if not population.cost_usd:
        return "unproven", None, "no trace reports a cost"
    a_call, told = population.cost_usd / population.traces, ""
    planned, played = gate.settings.get("minutes", 0.0), _minutes_played(evidence)
    if planned and played > planned:  # shorter ones show no load (`load_test`), and little of what a minute costs
        a_call, told = a_call / played * planned, f" of {planned:g} minutes, by what a minute of the rehearsed calls cost"
    a_day = _calls_a_day(gate, evidence)
    total = fixed + a_call * a_day * DAYS_A_MONTH
    return against(gate, round(total, 2), f"${total:.2f}: ${fixed:.0f} fixed, ${a_call:.4f} a call{told}, {a_day:.1f} calls a day")


def _minutes_played(evidence: Evidence) -> float:
    """Minutes of the calls that are judged, where they were rehearsed: as long as they were told to be, not as callers are. 0 where not."""
    held = evidence.rehearsal
    if held is None or held.load is None or not held.project or held.project != evidence.subject.project:
        return 0.0
    return held.load.minutes  # of the shortest, so that a minute costs rather more


def _calls_a_day(gate: Gate, evidence: Evidence) -> float:
    """The planned volume, or what was seen where that is more; a window below a day shows no volume."""
    seen = evidence.population.traces / evidence.days if evidence.days >= 1 else 0.0
    return max(gate.settings.get("calls_per_day", 0.0), seen)


def _lateness(gate: Gate, evidence: Evidence) -> Answer:
    def added(rehearsal: Rehearsal) -> tuple[float | None, str]:
        late = rehearsal.loop_lateness_us
        if late is None:
            return None, "the event loop's lateness with and without a tracer"
        return max(0.0, late.p99 - late.untraced_p99), f"p99 {late.p99:.0f} µs traced, {late.untraced_p99:.0f} µs untraced"

    state, measured, why = of_rehearsal(added)(gate, evidence)
    if state == "failed" and measured is not None and measured <= gate.settings.get("fails_above", 0.0):
        return "unproven", measured, f"{why}; run it on a machine with nothing else to do, with more calls"
    return state, measured, why


def _survives(gate: Gate, evidence: Evidence) -> Answer:
    def harmed(held: Rehearsal) -> tuple[float | None, str]:
        if held.calls_crashed is None or not held.calls:
            return None, "crashed calls"
        told = f"{held.calls_crashed} of {held.calls} calls crashed"
        told += "" if held.unanswered_turns is None else f", {held.unanswered_turns} turns unanswered"
        told += "" if held.tracer_faults is None else f", {held.tracer_faults} faults of the tracer"
        told += "".join(f"; {made.kind.replace('_', ' ')} for {made.lasted_s:.1f} s" for made in held.faults)
        return held.calls_crashed + (held.unanswered_turns or 0) + (held.tracer_faults or 0), told

    state, measured, why = of_rehearsal(harmed)(gate, evidence)
    held = evidence.rehearsal
    if state != "proven" or held is None:
        return state, measured, why
    if held.unanswered_turns is None or held.tracer_faults is None:
        return "unproven", measured, f"{why}; it does not report unanswered turns and faults of the tracer; {_AGAIN}"
    if max((made.lasted_s for made in held.faults), default=0.0) < FAULT_S:
        return "unproven", measured, f"{why}; no fault of {FAULT_S:g} s was made in the telemetry while calls went on; {_AGAIN}"
    return state, measured, why


def _canaries(rehearsal: Rehearsal) -> tuple[float | None, str]:
    seen = rehearsal.canaries
    return (seen.arrived, f"{seen.arrived} of {seen.planted} canaries arrived") if seen and seen.planted else (None, "its canaries")


def _examples(gate: Gate, evidence: Evidence) -> Answer:
    if not evidence.examples:
        return "unproven", 0, "the policy has no examples"
    return against(gate, evidence.examples, f"{evidence.examples} examples came out as written when the policy was loaded")


def _review(gate: Gate, evidence: Evidence) -> Answer:
    review = evidence.review
    if review is None:
        return "unproven", None, "no evidence of a signed review was given; see `phi-audit review`"
    told = f"{review.decided} of {review.traces} sampled traces read, {review.twice} of them twice, {review.leaking} leaking"
    if review.leaking:
        return "failed", review.leaking, told
    lacks = [review.why] * bool(review.why)
    reviewers, traces = int(gate.settings.get("reviewers", 2)), int(gate.settings.get("traces", 1))
    if len({each.name for each in review.reviewers}) < reviewers:
        lacks.append(f"{reviewers} reviewers are asked for")
    if review.twice < min(traces, evidence.population.traces):
        lacks.append(f"{review.twice} traces were read by two, {min(traces, evidence.population.traces)} are asked for")
    if review.recall < gate.settings.get("recall", 0.0):
        lacks.append(f"of the planted known answers {review.recall:.0%} were found, {gate.settings['recall']:.0%} are asked for")
    if lacks:
        return "unproven", review.leaking, f"{told}; {'; '.join(lacks)}"
    state, measured, why = against(gate, review.leaking, f"{told}; leak rate below {review.upper:.1%} (95 %, one-sided)")
    return state, measured, why


def _alerts(gate: Gate, evidence: Evidence) -> Answer:
    alerts = evidence.alerts
    if alerts is None:
        return "unproven", None, "no evidence of alerts that fired was given"
    if foreign := binding.foreign_alerts(alerts, evidence.subject):
        return "unproven", None, "; ".join(foreign)
    both = [name for name in ALERTS if name in alerts.fired and name in alerts.resolved]
    lacks = [name for name in ALERTS if name not in both]
    told = f"{len(both)} of {len(ALERTS)} fired and resolved" + (f"; not {', '.join(lacks)}" if lacks else "")
    state, measured, why = against(gate, len(both), told)
    if state == "proven" and alerts.false_alarms != 0:
        n = "not reported" if alerts.false_alarms is None else f"{alerts.false_alarms}"
        return "unproven", measured, f"{why}; false alarms on a quiet day: {n}; run `phi-audit alerts rehearse` again"
    return state, measured, why


CHECKS: Final[Mapping[str, Check]] = {
    "test_trace_visible": gates_weeks.trace_visible,
    "ten_complete_traces": gates_weeks.complete_traces,
    "twenty_clean_spans": gates_weeks.clean_tool_spans,
    "tools_traced": gates_weeks.tools_traced,
    "ttft_measured": gates_weeks.ttft_measured,
    "ttft_error_ms": gates_weeks.ttft_error,
    "load_test": gates_weeks.load_held,
    "load_completeness": gates_weeks.load_completeness,
    "phi_findings": _findings,
    "accounted_for": _accounted,
    "known_answer_recall": _recall,
    "canaries": of_rehearsal(_canaries),
    "redaction_tests": _examples,
    "human_review": _review,
    "guardrail_per_session": _guardrail,
    "one_trace_per_call": _one_root,
    "trace_complete": _complete,
    "errors_typed": _typed,
    "overhead_p99_us": gates_overhead.p99,
    "overhead_max_us": gates_overhead.longest,
    "loop_lateness_us": _lateness,
    "span_drop": _drop,
    "agent_survives": _survives,
    "alerts_fire": _alerts,
    "free_plan": _free_plan,
    "monthly_cost_usd": _cost,
}
"""How each gate of the go/no-go is judged; every report holds all of them."""
OPERATION: Final[Mapping[str, Check]] = {
    "monitored_hours": gates_weeks.monitored_hours,
    "stable": gates_weeks.stable,
    "alerts_clean": gates_weeks.alerts_clean,
}
"""Likewise those of operation, week 6, which are judged only where they are asked for."""


def load_gates(path: Path, *, week: int = GO_LIVE) -> tuple[Gate, ...]:
    """The gates of a file, in its order: those of the go/no-go, and with week 6 those of operation too.

    There are no fewer for an earlier week: what must hold in it is told by each gate's own ``week`` (`audit.verdict.through`), so that a
    report's verdict is never about less than the go/no-go.

    Args:
        path: the file; it must name all gates.
        week: 6 for those of operation too.

    Raises:
        GatesError: the file cannot be read, is no YAML, or does not hold exactly the gates there are.
    """
    from audit.gates_file import read  # noqa: PLC0415  # YAML and pydantic load only with a file

    gates = read(path, frozenset(CHECKS), frozenset(OPERATION))
    return tuple(gate for gate in gates if gate.name in CHECKS or week > GO_LIVE)


def comparable(judged: Iterable[Gate], in_force: Iterable[Gate]) -> tuple[Gate, ...]:
    """Those of the gates in force that a report must answer to: all of the go/no-go, and those of operation where it judged one of them.

    Args:
        judged: the gates of the report.
        in_force: all gates that count, those of week 6 among them.
    """
    operation = any(gate.name in OPERATION for gate in judged)
    return tuple(gate for gate in in_force if operation or gate.name not in OPERATION)
