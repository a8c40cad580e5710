"""The bench's report as one HTML file that needs nothing else, in the style of the audit's report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from jinja2 import Environment, StrictUndefined, select_autoescape

from audit.bench import cells
from audit.bench.report import Bench, Row
from audit.known_answers import Recall, Style
from audit.report import charts, svg
from audit.report.html import house_style

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE: Final = Path(__file__).with_name("page.html.j2")
RECALL_BAR: Final = 0.95
"""Where the charts draw the line: the recall that the audit's gate asks its scanner to show (known_answer_recall)."""


def render(bench: Bench) -> str:
    """The report as a page."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        bench=bench,
        style=house_style(),
        leaks=[leaks for form in ("written", "spoken") if (leaks := _leaks(bench, form))],
        classes=[(name, chart) for name in bench.detectors if (chart := _classes(bench, name))],
        cells=cells,
        layers=cells.layer_names(bench),
    )


def _leaks(bench: Bench, form: str) -> tuple[str, Markup] | None:
    rows = [row for row in bench.totals if row.form == form]
    documents = sum(cells.any_figures(row).documents for row in rows)
    if not documents:
        return None
    counts = {name: sum(row.figures[name].leaked for row in rows) for name in bench.detectors}
    title = f"Of {documents} {form} documents, as given and derived: those with a wholly missed direct identifier"
    return title, svg.draw(charts.bars(counts, title=title, style="bar bad"))


def _classes(bench: Bench, detector: str) -> Markup | None:
    rows = [_recall(row, detector) for row in bench.classes]
    return svg.draw(charts.intervals(rows, title=f"Recall by class, {detector}", bar=RECALL_BAR)) if rows else None


def _recall(row: Row, detector: str) -> Recall:
    figures = row.figures[detector]
    # the chart's rows have a class and a style; ours are said in two forms
    return Recall(row.name, cast("Style", row.form), figures.spans, figures.touched, figures.recall_any_at_least or 0.0)
