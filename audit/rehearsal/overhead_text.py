"""The overhead report for a terminal, in plain text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from audit.evidence import Cost
from audit.rehearsal.overhead_report import OverheadReport

TITLE: Final = "Overhead of telemetry"
WIDTH: Final = 80
_HEAD: Final = ("p50", "p99", "max", "cpu max", "n")


def render_overhead(report: OverheadReport) -> str:
    """The report as text, in 80 columns as long as no figure passes a second."""
    return "\n".join(line.rstrip() for line in _lines(report)) + "\n"


def _lines(report: OverheadReport) -> Iterator[str]:
    machine = report.machine
    yield f"{TITLE}, {report.made_at}, version {report.version}"
    yield f"{machine['system']} {machine['machine']}, {machine['cores']} cores, Python {machine['python']}"
    yield ""
    yield "One operation on the agent's thread, microseconds"
    rows = [(f"{each.contender}, {each.condition}", *_cells(each.cost)) for each in report.operations]
    yield from _table(("", *_HEAD), rows)
    for name, why in report.absent.items():
        yield f"  {name}: absent, {why}"
    yield ""
    yield "Lateness of the event loop's 5 ms ticks, microseconds"
    rows = [(each.condition, *_cells(each.cost)) for each in report.lateness]
    yield from _table(("", "p50", "p99", "max", "n"), [(*row[:4], row[5]) for row in rows])
    cores = "unknown" if report.load.cores is None else f"{report.load.cores}"
    yield f"  the relay at full load: {cores} cores, {report.load.read} tool calls with talk read"
    yield ""
    if report.memory is not None:
        m = report.memory
        yield f"Memory beyond LiveKit over {m.calls} calls, MB"
        yield f"  imported {m.imported}, first call {m.attached}, peak {m.peak}, end {m.end}"
    yield f"Import of tracing, ms: {report.loading.median}, median of {report.loading.n}"
    yield ""
    yield "Budgets"
    rows = []
    for each in report.budgets:
        verdict = "not judged" if each.within is None else "within" if each.within else "OVER"
        measured = "-" if each.measured is None else f"{each.measured:g}"
        rows.append((each.name, verdict, measured, f"<= {each.budget:g} {each.unit}"))
    head, *lines = _table(("", "", "measured", "budget"), rows)
    yield head
    for line, each in zip(lines, report.budgets, strict=True):
        yield line
        yield from textwrap.wrap(each.note, WIDTH, initial_indent="      ", subsequent_indent="      ")
    yield ""
    for note in report.notes:
        yield from textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _cells(cost: Cost) -> tuple[str, ...]:
    cpu = "" if cost.cpu_max is None else f"{cost.cpu_max:.1f}"
    return (f"{cost.p50:.1f}", f"{cost.p99:.1f}", f"{cost.max:.1f}", cpu, str(cost.n))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns under their heads: words to the left, figures to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = (
            cell.ljust(width) if _is_words(head[i], i) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  " + "  ".join(cells)


def _is_words(title: str, column: int) -> bool:
    return column == 0 or not title
