"""A rehearsal's evidence for a person."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from audit.evidence import Cost
from audit.rehearsal.measured import Evidence
from audit.rehearsal.rooms import SideMedia


def render_evidence(evidence: Evidence, *, width: int = 100, colour: bool = False) -> str:
    """The evidence as text, plain unless colour is asked for."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False, emoji=False)
    for line in _lines(evidence):
        console.print(line)
    for problem in evidence.problems:
        console.print(f"- {problem}")
    table = Table("cost on the agent's thread, microseconds", "p50", "p99", "max", "n", box=box.SIMPLE, pad_edge=False)
    for title, cost in (
        ("doing nothing", evidence.idle_us),
        ("recording an operation", evidence.overhead_us),
        ("LangSmith's create_run", evidence.langsmith_create_run_us),
        ("recording, inside the calls", evidence.in_call_record_us),
        ("an event handler, inside the calls", evidence.in_call_handler_us),
    ):
        if cost.n:
            table.add_row(title, *_row(cost))
    console.print(table)
    late = evidence.loop_lateness_us
    if "untraced_p99" in late:
        console.print(
            f"event loop lateness, us: p99 {late['p99']:.0f} traced, {late['untraced_p99']:.0f} untraced, {late['idle_p99']:.0f} idle"
            f" (caller and model run on the same loop; the untraced calls lasted {evidence.untraced_s:.0f} s)"
        )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _lines(evidence: Evidence) -> Iterator[str]:
    spans = evidence.spans
    ended = ", INTERRUPTED" if evidence.interrupted else ""
    yield f"{evidence.calls} calls in {evidence.took_s:.1f} s, sent to {evidence.endpoint} as {evidence.project} ({evidence.env}){ended}"
    if evidence.load is not None:
        yield f"load: {evidence.load.at_once} at once, the shortest {evidence.load.minutes:.2f} minutes; {_failed(evidence)}"
    for made in evidence.faults:
        yield f"fault made in the telemetry: {made.kind.replace('_', ' ')} for {made.lasted_s:.1f} s, {made.at_s:.1f} s into the calls"
    if evidence.scenes:
        yield "scenes: " + ", ".join(f"{name} {n}" for name, n in evidence.scenes.items())
        yield "languages: " + ", ".join(f"{name} {n}" for name, n in evidence.languages.items())
    sampled = f" + {spans.sampled} sampled out" if spans.sampled else ""
    yield (
        f"spans: {spans.offered} offered = {spans.delivered} delivered + {spans.withheld} withheld + {spans.pending} pending{sampled}"
        f" + {sum(spans.dropped.values())} dropped ({'adds up' if spans.adds_up else 'DOES NOT ADD UP'})"
    )
    if evidence.arrival is not None:
        yield f"read back: {evidence.arrival.found} of {evidence.arrival.expected} runs that were delivered"
    if evidence.completeness is not None:
        whole = evidence.completeness
        yield f"traces: {whole.complete} of {whole.expected} whole, {whole.arrived} arrived"
    if evidence.ttft_ms:
        yield f"TTFT-A: {len(evidence.ttft_ms)} answers, {min(evidence.ttft_ms):.0f} to {max(evidence.ttft_ms):.0f} ms, {_error(evidence)}"
    if evidence.canaries is not None:
        yield f"canaries: {evidence.canaries.arrived} of {evidence.canaries.planted} arrived in clear"
    for name, read in evidence.memory.items():
        yield f"memory of the {name}, MiB: {read.first:.0f} once warm, {read.last:.0f} at the end, {read.peak:.0f} at most (n {read.n})"
    if not evidence.memory:
        yield "memory: not measured; this system has no /proc"
    for n, pair in enumerate(evidence.media):
        yield f"media of room {n + 1}: agent {_media(pair.agent)}; caller {_media(pair.caller)}"
    if evidence.alerts is not None:
        failed = "" if evidence.alerts.passed else ", NOT PASSED"
        yield f"alerts: {evidence.alerts.fired} of {evidence.alerts.rules} fired and resolved{failed}"


def _failed(evidence: Evidence) -> str:
    return f"{evidence.calls_crashed} crashed, {evidence.unanswered_turns} turns unanswered, {evidence.tracer_faults} faults of the tracer"


def _error(evidence: Evidence) -> str:
    errors = evidence.ttft_errors
    if errors is None:
        return "not paired"
    left = f", {evidence.ttft_unpaired} not paired" if evidence.ttft_unpaired else ""
    return f"within {errors.max} ms of the stand-in's clock (p50 {errors.p50}, p99 {errors.p99}, n {errors.n}){left}"


def _media(side: SideMedia) -> str:
    told = [f"{name} {value:.1f}" for name, value in (("rtt ms", side.rtt_ms), ("jitter ms", side.jitter_ms), ("loss %", side.loss_pct))
            if value is not None]  # fmt: skip
    return f"{', '.join(told) or 'not measured'} ({side.windows} windows)"


def _row(cost: Cost) -> tuple[str, str, str, str]:
    return f"{cost.p50:.1f}", f"{cost.p99:.1f}", f"{cost.max:.1f}", str(cost.n)
