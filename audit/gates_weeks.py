"""The checks behind the exit criteria of the six weeks (requirements, section 13): traces seen, tools traced, a load held, hours watched.

Where a criterion asks for so many of something, fewer of them are no failure: nothing was shown yet, so the gate stays unproven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from audit import binding
from audit.evidence import Monitoring, Rehearsal
from audit.gates_base import ALERTS, Answer, Check, Evidence, Gate, against, bound, of_census, of_rehearsal, unless_open

TOOL: Final = "tool."
_MINUTE_S: Final = 60.0


@of_census
def trace_visible(gate: Gate, evidence: Evidence) -> Answer:
    """Week 1: a trace that was sent can be read back."""
    return _enough(gate, evidence.population.traces, f"{evidence.population.traces} traces read back")


@of_census
def complete_traces(gate: Gate, evidence: Evidence) -> Answer:
    """Week 2: so many whole traces. Failed only where there were calls enough and too few of them are whole."""
    population = evidence.population
    whole = population.traces - population.broken - population.open - population.cut
    told = f"{whole} of {population.traces} traces are whole"
    if whole < (gate.bar or 0) <= whole + population.broken and not evidence.incomplete:
        return "failed", whole, told
    return _enough(gate, whole, told)


@of_census
def clean_tool_spans(gate: Gate, evidence: Evidence) -> Answer:
    """Week 3: so many spans of tools, and no finding in any of them."""
    spans = sum(n for name, n in evidence.population.spans.items() if name.startswith(TOOL))
    told = f"{evidence.tool_findings} findings in {spans} spans of tools"
    if evidence.tool_findings:
        return "failed", 0, told
    return _enough(gate, spans, told)


@of_census
def tools_traced(gate: Gate, evidence: Evidence) -> Answer:
    """Week 3: each tool of the policy has a span; failed where an answer called a tool and the trace holds no span of it."""
    untold = evidence.population.incomplete.get("a tool span", 0)
    unseen = [name for name, n in evidence.tools.items() if not n]
    seen = len(evidence.tools) - len(unseen)
    told = f"{seen} of the {len(evidence.tools)} tools of the policy were traced"
    if unseen:
        told += f"; no trace holds {', '.join(unseen)}"
    if untold:
        why = f"{told}; a tool was called without a span in {untold} traces"
        return ("unproven", seen, f"{why}; {evidence.incomplete}") if evidence.incomplete else ("failed", seen, why)
    if unseen:
        return "unproven", seen, f"{told}; play or await calls that use them"
    return _enough(gate, seen, told)


@of_census
def ttft_measured(gate: Gate, evidence: Evidence) -> Answer:
    """Week 4: of the answers to a caller, so large a share reports its TTFT-A.

    An answer that was never heard has none, such as one that the caller cut off: so the share is of the callers' turns, and not all.
    """
    turns = evidence.population.spans.get("user_turn", 0)
    if not turns:
        return "unproven", None, "no caller has spoken in any trace"
    share = min(1.0, evidence.ttft_turns / turns)
    told = f"{evidence.ttft_turns} answers report their TTFT-A, to {turns} turns of callers"
    return unless_open(evidence, *against(gate, share, told))


def ttft_error(gate: Gate, evidence: Evidence) -> Answer:
    """Week 4: how far a recorded TTFT-A was from the stand-in's own clock, milliseconds; proven only where each was held against it."""
    state, measured, told = of_rehearsal(_ttft_error)(gate, evidence)
    unpaired = evidence.rehearsal.ttft_unpaired if evidence.rehearsal else 0
    if state != "proven" or unpaired == 0:
        return state, measured, told
    left = "whether all were held against it is not reported" if unpaired is None else f"{unpaired} could not be held against it"
    return "unproven", measured, f"{told}; {left}; run `phi-audit rehearse` again"


def _ttft_error(rehearsal: Rehearsal) -> tuple[float | None, str]:
    error = rehearsal.ttft_error_ms
    if error is None:
        return None, "how far TTFT-A was from the stand-in's clock"
    return error, f"TTFT-A within {error:g} ms of the stand-in's clock"


@bound
def load_held(gate: Gate, evidence: Evidence) -> Answer:
    """Week 5: so many calls at the same moment, each so long. A smaller load shows nothing of this one."""
    rehearsal = evidence.rehearsal
    if rehearsal is None or rehearsal.load is None:
        return "unproven", None, "no load test; run `phi-audit rehearse --calls 10 --minutes 5` and give its file with --evidence"
    load, calls, minutes = rehearsal.load, gate.settings.get("calls", 0.0), gate.settings.get("minutes", 0.0)
    told = f"{rehearsal.calls} calls, {load.at_once} at the same moment, the shortest {load.minutes:.1f} minutes"
    lacks = [f"{calls:g} calls are asked for"] * (rehearsal.calls < calls)
    lacks += [f"{minutes:g} minutes are asked for"] * (load.minutes < minutes)
    if lacks:
        return "unproven", load.at_once, f"{told}; {'; '.join(lacks)}"
    return _enough(gate, load.at_once, told)


def load_completeness(gate: Gate, evidence: Evidence) -> Answer:
    """Week 5: the share of the rehearsal's calls whose trace was read back whole; all that were played must have been looked for."""
    state, measured, why = of_rehearsal(_complete)(gate, evidence)
    held = evidence.rehearsal
    if state == "proven" and held is not None and held.completeness is not None and held.completeness.expected < held.calls:
        short = f"only {held.completeness.expected} of the {held.calls} calls that were played were looked for"
        return "unproven", measured, f"{why}; {short}; run `phi-audit rehearse` again"
    return state, measured, why


def _complete(rehearsal: Rehearsal) -> tuple[float | None, str]:
    seen = rehearsal.completeness
    if seen is None or not seen.expected:
        return None, "whether its traces arrived whole"
    lacks = "".join(f"; {name} lacking in {n}" for name, n in seen.lacks.items())
    return seen.complete / seen.expected, f"{seen.complete} of {seen.expected} calls have a whole trace, {seen.arrived} have one{lacks}"


def _of_monitoring(check: Callable[[Gate, Monitoring], Answer]) -> Check:
    def checked(gate: Gate, evidence: Evidence) -> Answer:
        if evidence.monitoring is None:
            return (
                "unproven",
                None,
                "nobody has watched it in operation; run `phi-audit watch`, and give its file with --evidence",
            )
        if foreign := binding.foreign_monitoring(evidence.monitoring, evidence.subject):
            return "unproven", None, "; ".join(foreign)
        state, measured, why = check(gate, evidence.monitoring)
        if state == "proven" and (broken := binding.broken_monitoring(evidence.monitoring)):
            return "unproven", measured, "; ".join((why, *broken))
        return state, measured, why

    return checked


@_of_monitoring
def monitored_hours(gate: Gate, seen: Monitoring) -> Answer:
    """Week 6: so many hours of operation were watched, to the end. Fewer are no failure: they are not over yet."""
    told = f"{seen.hours:.1f} hours from {seen.started_at}, {seen.rounds} rounds, {seen.calls} calls"
    if not seen.closed:
        return "unproven", seen.hours, f"{told}; it is not closed, so it may be going on"
    return _enough(gate, seen.hours, told)


@_of_monitoring
def stable(gate: Gate, seen: Monitoring) -> Answer:
    """Week 6: no round was NO-GO and telemetry was never off; and somebody looked often enough to know."""
    broken = seen.no_go + (seen.switch_off_s > 0)
    told = f"{seen.no_go} of {seen.rounds} rounds NO-GO, telemetry off for {seen.switch_off_s:.0f} s"
    state, measured, why = against(gate, broken, told)
    lacks = []
    if not seen.calls:
        lacks.append("no call took place")
    if seen.unfinished >= seen.rounds:
        lacks.append("no round was finished")
    minutes, gap = gate.settings.get("gap_minutes", 0.0), seen.longest_gap_s / _MINUTE_S
    if gap > minutes:
        lacks.append(f"nobody looked for {gap:.0f} minutes, at most {minutes:g} are allowed")
    if state == "proven" and lacks:
        return "unproven", measured, f"{why}; {'; '.join(lacks)}"
    return state, measured, why


def alerts_clean(gate: Gate, evidence: Evidence) -> Answer:
    """Week 6: no alert fired in operation, by the rules that were rehearsed."""
    state, measured, why = _alerts_clean(gate, evidence)
    if state == "proven" and evidence.monitoring is not None and binding.other_rules(evidence.monitoring, evidence.alerts):
        do = "run `phi-audit alerts rehearse` with the rules that were watched, or watch with those that were rehearsed"
        return "unproven", measured, f"{why}; other rules of the alerts were watched than were rehearsed; {do}"
    return state, measured, why


@_of_monitoring
def _alerts_clean(gate: Gate, seen: Monitoring) -> Answer:
    fired = {name: n for name, n in seen.alerts.items() if n}
    told = ", ".join(f"{name} fired {n} times" for name, n in fired.items()) or f"no alert fired in {seen.calls} calls"
    state, measured, why = against(gate, sum(fired.values()), told)
    if state == "proven" and not seen.calls:
        return "unproven", measured, "no call took place, so no alert could fire"
    if state == "proven" and (left := binding.unjudged(seen, ALERTS)):
        do = "see in watch.md why, and run `phi-audit watch` again"
        return "unproven", measured, f"{why}; alerts that no round could judge: {', '.join(left)}; {do}"
    return state, measured, why


def _enough(gate: Gate, measured: float, told: str) -> Answer:
    """So many are asked for; fewer show nothing."""
    state, measured_, why = against(gate, measured, told)
    if state == "failed":
        return "unproven", measured_, f"{why}; {gate.bar:g} are asked for"
    return state, measured_, why
