"""A rehearsal's evidence for a person."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table

from audit.evidence import Cost
from audit.rehearsal.rehearsal import Evidence


def render_evidence(evidence: Evidence, *, width: int = 100, colour: bool = False) -> str:
    """The evidence as text, plain unless colour is asked for."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=colour, no_color=not colour, highlight=False, markup=False, emoji=False)
    spans = evidence.spans
    console.print(f"{evidence.calls} calls in {evidence.took_s:.1f} s, sent to {evidence.endpoint} as {evidence.project} ({evidence.env})")
    console.print(
        f"spans: {spans.offered} offered = {spans.delivered} delivered + {spans.withheld} withheld + {spans.pending} pending"
        f" + {sum(spans.dropped.values())} dropped ({'adds up' if spans.adds_up else 'DOES NOT ADD UP'})"
    )
    if evidence.ttft_ms:
        error = "not paired" if evidence.ttft_error_ms is None else f"within {evidence.ttft_error_ms} ms of the stand-in's clock"
        console.print(f"TTFT-A: {len(evidence.ttft_ms)} answers, {min(evidence.ttft_ms):.0f} to {max(evidence.ttft_ms):.0f} ms, {error}")
    if evidence.canaries is not None:
        console.print(f"canaries: {evidence.canaries.arrived} of {evidence.canaries.planted} arrived in clear")
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
            " (caller and model run on the same loop)"
        )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _row(cost: Cost) -> tuple[str, str, str, str]:
    return f"{cost.p50:.1f}", f"{cost.p99:.1f}", f"{cost.max:.1f}", str(cost.n)
