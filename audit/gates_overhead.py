"""The gates on what telemetry costs the agent: an operation timed by itself after the calls, and each one inside them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from audit.evidence import Cost, Rehearsal
from audit.gates_base import Answer, Evidence, Gate, State, of_rehearsal

FEW: Final = 500
"""Operations below which a p99 is one of the five longest: the machine's doing as well as ours, so that it proves and does not fail."""
_LACKS: Final = "what recording and the event handlers cost in its calls; run `phi-audit rehearse` again"


def p99(gate: Gate, evidence: Evidence) -> Answer:
    """So many operations in a hundred stay within the bar: timed by themselves, and recording and the event handlers in the calls."""

    def worst(held: Rehearsal) -> tuple[float | None, str]:
        alone, told = held.overhead_us, [f"{cost.p99:.1f} µs of {cost.n} {what}" for what, cost in _in_calls(held)]
        words = [f"p50 {alone.p50:.1f} µs, p99 {alone.p99:.1f} µs of {alone.n} operations"] if alone and alone.n else []
        return _worst(held, [cost.p99 for cost in _costs(held)], [*words, *([f"in the calls p99 {', '.join(told)}"] if told else [])])

    state, measured, why = of_rehearsal(worst)(gate, evidence)
    held, bar = evidence.rehearsal, gate.bar or 0.0
    if state == "failed" and held is not None and all(cost.n < FEW for _, cost in _in_calls(held) if cost.p99 > bar):
        alone = held.overhead_us
        if alone is None or alone.p99 <= bar:
            return "unproven", measured, f"{why}; the p99 of fewer than {FEW} is one of the longest: rehearse more or longer calls"
    return _unless_lacking(held, state, measured, why)


def longest(gate: Gate, evidence: Evidence) -> Answer:
    """No operation takes longer than the bar, by itself or in the calls.

    A thread that the machine puts aside for a while takes longer without costing more. By itself the processor's own count tells the two
    apart; in the calls there is only the clock, and beside it how late the same loop came without a tracer: what is longer than that
    fails, what is not shows nothing.
    """

    def worst(held: Rehearsal) -> tuple[float | None, str]:
        alone, told = held.overhead_us, [f"{cost.max:.1f} µs of {cost.n} {what}" for what, cost in _in_calls(held)]
        words = [f"longest of {alone.n} operations {alone.max:.1f} µs"] if alone and alone.n else []
        return _worst(held, [cost.max for cost in _costs(held)], [*words, *([f"in the calls {', '.join(told)}"] if told else [])])

    state, measured, why = of_rehearsal(worst)(gate, evidence)
    held = evidence.rehearsal
    if state == "failed" and held is not None and (excuses := _excuses(held, gate.bar or 0.0)):
        return "unproven", measured, "; ".join((why, *excuses, "run it on a machine with nothing else to do"))
    return _unless_lacking(held, state, measured, why)


def _in_calls(held: Rehearsal) -> list[tuple[str, Cost]]:
    """What was timed in the calls, and was not nothing."""
    costs = (("records", held.in_call_record_us), ("handlers", held.in_call_handler_us))
    return [(what, cost) for what, cost in costs if cost is not None and cost.n]


def _costs(held: Rehearsal) -> Iterator[Cost]:
    if held.overhead_us is not None and held.overhead_us.n:
        yield held.overhead_us
    yield from (cost for _, cost in _in_calls(held))


def _worst(held: Rehearsal, numbers: list[float], told: list[str]) -> tuple[float | None, str]:
    return (max(numbers), "; ".join(told)) if numbers else (None, _lacking(held))


def _lacking(held: Rehearsal) -> str:
    """What the rehearsal should report of its costs and does not; empty where it has all."""
    if held.overhead_us is None or not held.overhead_us.n:
        return "its overhead"
    return _LACKS if len(_in_calls(held)) < 2 else ""


def _unless_lacking(held: Rehearsal | None, state: State, measured: float | None, why: str) -> Answer:
    """The answer; but what was measured in part can fail a gate, not prove it."""
    if state == "proven" and held is not None and (lacking := _lacking(held)):
        return "unproven", measured, f"{why}; the rehearsal does not report {lacking}"
    return state, measured, why


def _excuses(held: Rehearsal, bar: float) -> list[str]:
    """Why each cost over the bar may be the machine's; empty where one of them cannot be."""
    told = []
    alone, late = held.overhead_us, held.loop_lateness_us
    if alone is not None and alone.n and alone.max > bar:
        if alone.cpu_max is None or alone.cpu_max > bar:
            return []
        told.append(f"by itself {alone.cpu_max:.1f} µs of it on the processor")
    over = max((cost.max for _, cost in _in_calls(held)), default=0.0)
    if over > bar:
        untraced = late.untraced_max if late is not None else None
        if untraced is not None and over > untraced:
            return []
        than = "nothing was measured" if untraced is None else f"the same loop came up to {untraced:.0f} µs late"
        told.append(f"in the calls that is by the clock, which measures the machine too: without a tracer {than}")
    return told
