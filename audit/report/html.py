"""The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined, select_autoescape

from audit.report import charts
from audit.report.model import LIMITS, Report
from audit.source import FIELDS, NOT_READ
from audit.timeline import percentile

TEMPLATE: Final = Path(__file__).with_name("template.html.j2")
SHOWN: Final = 500
"""Findings that are listed; the rest are counted, and stand in the JSON report."""


def render(report: Report) -> str:
    """The report as a page."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    timeline = report.timeline
    places: dict[str, int] = {}
    for finding in report.findings:
        label = f"{finding.entity} · {finding.path.split('[')[0]}"
        places[label] = places.get(label, 0) + 1
    places = dict(sorted(places.items(), key=lambda item: (-item[1], item[0])))
    bar = next((j.gate.bar for j in report.gates if j.gate.name == "known_answer_recall" and j.gate.bar), 0.95)
    proof = report.known_answers
    return template.render(
        report=report,
        shown=report.findings[:SHOWN],
        limits=LIMITS,
        fields=FIELDS,
        not_read=NOT_READ,
        ttft=charts.histogram(timeline.ttft_ms, title="Time to first answer", unit="ms") if timeline.ttft_ms else None,
        ttft_marks={f"p{share}": percentile(timeline.ttft_ms, share / 100) for share in (50, 95, 99)} if timeline.ttft_ms else {},
        places=places,
        findings_chart=charts.bars(dict(list(places.items())[:20]), title="Findings by place", style="bar bad") if places else None,
        redactions_chart=charts.bars(dict(timeline.redactions), title="Redactions by field") if timeline.redactions else None,
        recall_chart=charts.intervals(proof.rows, title="Known answers found", bar=bar) if proof and proof.rows else None,
    )
