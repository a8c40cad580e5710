"""The report for a terminal: the verdict first, then what it rests on. Plain text unless the terminal takes colour."""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from audit.findings import Finding
from audit.report.model import Report
from audit.report.next_steps import steps
from audit.report.parts import percent
from audit.report.scope import LIMITS
from audit.source import NOT_READ

SHOWN = 20
"""Findings that are listed; the rest are counted, and stand in the other formats."""
_STYLE = {"GO": "bold green", "NO_GO": "bold red", "UNPROVEN": "bold yellow", "proven": "green", "failed": "red", "unproven": "yellow"}


def render(report: Report, *, width: int = 100, colour: bool = False) -> str:
    """The report as text.

    Args:
        report: what is told.
        width: columns to fill, at least 60.
        colour: True for ANSI colour.
    """
    out = io.StringIO()
    console = Console(
        file=out, width=max(width, 60), force_terminal=colour, no_color=not colour, color_system="standard" if colour else None,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    console.print(Text(report.verdict.state.replace("_", "-"), style=_STYLE[report.verdict.state]), end="  ")
    console.print(f"{report.target.project or report.target.place}, {report.target.env or 'no environment'}, {report.target.made_at}")
    for reason in report.verdict.reasons:
        console.print(Padding(Text(f"- {reason}"), (0, 0, 0, 2)))
    console.print()
    console.print(report.sentence)
    if report.incomplete:
        console.print(Text(f"Incomplete: {report.incomplete}", style="yellow"))
    _next(console, report)
    _section(console, "Gates", _gates(report))
    if report.leaks:
        _section(console, "Findings by entity and place", _counted(report))
        _section(console, _heading("Findings", len(report.leaks)), _findings(report.leaks))
    if report.suspicions:
        _section(console, _heading("Suspicions, which no gate counts", len(report.suspicions)), _findings(report.suspicions))
    if report.known_answers:
        _section(console, _planted(report), _known_answers(report))
    _section(console, "Population", _pairs(_population(report)))
    if evidence := list(_evidence(report)):
        _section(console, "Evidence", _pairs(evidence))
    if report.timeline.ttft_ms.n:
        _section(console, "Answers", _pairs(_answers(report)))
    _section(console, "Report", _pairs(_report(report)))
    console.print()
    for line in (*report.notes, *LIMITS):
        console.print(Text(f"- {line}", style="dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _section(console: Console, title: str, body: Table) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(body)


def _next(console: Console, report: Report) -> None:
    console.print()
    console.print(Text("What to do next", style="bold"))
    for n, step in enumerate(steps(report), 1):
        console.print(Padding(Text(f"{n}. {step.do}"), (0, 0, 0, 2)))
        if step.command:  # never broken, so that it can be copied
            console.print(Text(f"     {step.command}", style="cyan"), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        table.add_column(name.lstrip("#"), justify="right" if name.startswith("#") else "left", overflow="fold")
    return table


def _pairs(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _gates(report: Report) -> Table:
    table = _table("state", "week", "gate", "why")
    for judged in report.gates:
        table.add_row(Text(judged.state, style=_STYLE[judged.state]), str(judged.gate.week), judged.gate.name, judged.why)
    return table


def _counted(report: Report) -> Table:
    table = _table("entity", "place", "#findings")
    for (entity, place), n in report.by_entity.items():
        table.add_row(entity, place, str(n))
    return table


def _heading(what: str, n: int) -> str:
    return what if n <= SHOWN else f"{what} ({SHOWN} of {n}; all are in the JSON report)"


def _findings(findings: tuple[Finding, ...]) -> Table:
    table = _table("entity", "span", "path", "#chars", "run ends in", "source")
    for f in findings[:SHOWN]:
        table.add_row(f.entity, f.span, f.path, str(f.length), f.run_id[-12:], f.source)
    return table


def _planted(report: Report) -> str:
    proof = report.known_answers
    made_up = ", in a made-up span: this project has no free text" if proof and proof.synthetic else ""
    return f"Known answers (seed {proof.seed if proof else 0}{made_up})"


def _known_answers(report: Report) -> Table:
    table = _table("class", "style", "#found", "#of", "#recall at least (95 %)")
    for row in report.known_answers.rows if report.known_answers else ():
        table.add_row(row.kind, row.style, str(row.found), str(row.n), f"{row.at_least:.1%}")
    return table


def _population(report: Report) -> Iterable[tuple[str, str]]:
    population, target = report.population, report.target
    yield "read from", target.place
    yield "window", f"{target.since or 'all'} to {target.until}"
    yield "traces, runs", f"{population.traces}, {population.runs} (digest {population.digest or 'none'})"
    yield "policy", f"{target.policy_file}, digest {target.policy_digest}"
    if population.open or population.cut or population.repeated:
        yield "at the edges", f"{population.open} calls going on, {population.cut} cut by the window, {population.repeated} rows read twice"
    yield "not read", "; ".join(NOT_READ)


def _evidence(report: Report) -> Iterable[tuple[str, str]]:
    """What stands beside the scan, in a line each."""
    manifest, check, review, drawn = report.manifest, report.cross_check, report.review, report.selection
    if manifest is not None:
        yield "manifest", f"{manifest.pages} pages, {manifest.bytes} bytes, runs and content {manifest.runs_digest}"
    if check is not None:
        more = f", {check.purged} purged since" * bool(check.purged) + f", {check.not_drawn} calls not drawn" * bool(check.not_drawn)
        told = f"{check.matched} of {check.expected} found, {check.missing} missing, {check.unexpected} not expected"
        yield "against the relay", told + more
    if drawn is not None:
        yield "sample", f"{len(drawn.trace_ids)} of {drawn.population} traces, seed {drawn.seed}"
    if review is not None:
        yield "people", f"{review.leaking} leaking in {review.decided} traces by {len(review.reviewers)}: at most {percent(review.upper)}"
    if report.accepted or report.expired:
        yield "accepted", f"{len(report.accepted)} findings, {len(report.expired)} whose day has passed"
    for bound in report.bounds:
        yield f"bound, {bound.name}", f"{bound.leaking} of {bound.traces}: below {percent(bound.adjusted)} (95 %, one-sided, by recall)"


def _report(report: Report) -> Iterable[tuple[str, str]]:
    yield "SHA-256", report.digest
    yield "signed by", ", ".join(f"{s.name} ({s.role})" for s in report.signatures) or "nobody"


def _answers(report: Report) -> Iterable[tuple[str, str]]:
    values = report.timeline.ttft_ms
    shown = ", ".join(f"{name} {value or 0:.0f} ms" for name, value in (("p50", values.p50), ("p95", values.p95), ("p99", values.p99)))
    yield "speech end to first sound", f"{shown} of {values.n} turns"
