"""The sections of a report's document, each from its part of the report; a part that is missing is said to be missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from audit.known_answers import Recall
from audit.report import charts
from audit.report.content import NO_VALUES, Section, Table, rate, tally
from audit.report.drawing import Drawing
from audit.report.evidence_sections import monitoring, people, rehearsal, sample
from audit.report.model import RULE, Report
from audit.report.next_steps import steps
from audit.report.parts import Bound, counted, percent
from audit.report.scope import LIMITS
from audit.report.source_sections import custody, method, population, scope
from audit.timeline import Histogram

FIELDS_MAX: Final = 20
ROWS_MAX: Final = 22
"""Rows of a chart, so that it fits a page."""
DAYS_MAX: Final = 120
TTFT_P95_MS: Final = 3_000.0
"""The requirements, section 12: above it an alert fires."""
RECALL_BAR: Final = 0.95
"""Where the chart draws its line if the gates name no bar."""


def build(report: Report, shown: int) -> Iterator[Section]:
    """Every section in order; ``shown`` findings are listed."""
    yield _next(report)
    yield _gates(report)
    yield _findings(report, shown)
    yield _known(report)
    yield _bounds(report)
    yield sample(report)
    yield people(report)
    yield _accepted(report)
    yield rehearsal(report)
    if report.monitoring is not None:
        yield monitoring(report)
    yield _answers(report)
    yield _traffic(report)
    yield population(report)
    yield method(report)
    yield scope(report)
    yield custody(report)
    yield Section("limits", "Limits", points=(*report.notes, *LIMITS))


def _next(report: Report) -> Section:
    rows = tuple((step.do, step.command or "–", ", ".join(step.gates) or "the verdict") for step in steps(report))
    return Section("next", "What to do next", tables=(Table("", ("What", "$Command", "For"), rows),) if rows else ())


def _gates(report: Report) -> Section:
    rows = tuple((j.state, j.gate.asks, j.why, f"{j.gate.name} · week {j.gate.week} · {j.gate.source}") for j in report.gates)
    table = Table("", ("!State", "What must be true", "What the evidence says", "Gate, source"), rows)
    return Section("gates", "Gates", texts=(f"The rule: {RULE}",), tables=(table,) if rows else ())


def _findings(report: Report, shown: int) -> Section:
    results, leaks = report.results, report.leaks
    texts = ["None." if report.population.runs else "Nothing was looked at."]
    if results.findings:
        texts = [f"{counted(results.findings, 'finding')} in {counted(results.leaking, 'trace')}."]
    tables = list[Table]()
    drawn: tuple[Drawing, ...] = ()
    if results.findings:
        top = dict(list(results.by_field.items())[:FIELDS_MAX])
        drawn = (charts.bars(top, title="Findings by field", style="bar bad"),) if top else ()
        caption = f"{min(shown, len(leaks)):,} of {results.findings:,} findings. {NO_VALUES}"
        listed = tuple(
            (
                str(f.severity),
                f.entity,
                f"{f.span} {f.path}",
                str(f.length),
                f"…{f.run_id[-12:]}",
                f"{f.fingerprint} {f.source.replace('+', ' + ')}",
            )
            for f in leaks[:shown]
        )
        columns = ("!Severity", "Entity", "Span and path", "#Characters", "Run ends in", "Fingerprint, source")
        if listed:
            tables.append(Table(caption, columns, listed))
        tables += [tally("By class", "Class", results.by_entity), tally("By span", "Span", results.by_tool)]
        if results.by_release:
            told = {"not told" if version == "?" else version: n for version, n in results.by_release.items()}
            tables.append(tally("By version of the agent", "Version", told))
        if results.unlisted:
            texts.append(f"{counted(results.unlisted, 'more finding')} were counted and are not listed.")
    low = report.suspicions
    if low:
        texts.append(
            f"{counted(len(low), 'suspicion')}: what a detector saw below the threshold that counts. No gate counts them; people look"
            " at them first."
        )
        rows = tuple((f.entity, f"{f.span} {f.path}", str(f.length), f"…{f.run_id[-12:]}", f.fingerprint) for f in low[:shown])
        caption = f"{min(shown, len(low)):,} of {len(low):,} suspicions"
        tables.append(Table(caption, ("Entity", "Span and path", "#Characters", "Run ends in", "Fingerprint"), rows))
    return Section("findings", "Findings", tuple(texts), drawn, tuple(tables))


def _known(report: Report) -> Section:
    proof = report.known_answers
    if proof is None or not proof.rows:
        return Section("known", "Known answers", ("Not run, so nothing is shown of what the scan can find.",))
    bar = next((j.gate.bar for j in report.gates if j.gate.name == "known_answer_recall" and j.gate.bar), RECALL_BAR)
    home = "a made-up span, since this project has no free text" if proof.synthetic else "this project's own runs"
    text = (
        f"Before it may say “none”, the scan must find planted values it has never seen, in copies of {home}."
        " The dot is what was found, of each class in the style found least; the line reaches down to the"
        " recall that this shows (one-sided 95 %, Clopper–Pearson); the dashed line is the bar."
        f" Seed {proof.seed}."
    )
    rows = tuple((row.kind, row.style, str(row.found), str(row.n), percent(row.at_least)) for row in proof.rows)
    table = Table("Known answers found", ("Class", "Style", "#Found", "#Of", "#Recall at least"), rows, folded=True)
    return Section(
        "known", "Known answers", (text,), (charts.intervals(_weakest(proof.rows), title="Known answers found", bar=bar),), (table,)
    )


def _weakest(rows: Sequence[Recall]) -> tuple[Recall, ...]:
    """All rows where a chart has room for them, else of each class the one that shows least."""
    if len(rows) <= ROWS_MAX:
        return tuple(rows)
    least: dict[str, Recall] = {}
    for row in rows:
        if row.kind not in least or row.at_least < least[row.kind].at_least:
            least[row.kind] = row
    return tuple(sorted(least.values(), key=lambda row: (row.at_least, row.kind))[:ROWS_MAX])


def _bounds(report: Report) -> Section:
    bound = report.bound
    if not bound.traces:
        return Section("bound", "What this says of all calls", ("Nothing was looked at, so nothing is shown.",))
    text = (
        f"{report.sentence}. Exact, {bound.sides}, at {percent(bound.confidence)}; the unit is the trace, one call, for the runs of a call"
        " are not independent of one another."
    )
    rows = tuple(_bound_row(b) for b in (bound, *report.bounds))
    table = Table("", ("Of", "#Traces", "#With a finding", "#At most", "#Recall shown", "#At most, by recall", "Method"), rows)
    drawn = charts.bound(bound.traces, bound.upper, bound.adjusted, title="Bound against the number of traces")
    return Section("bound", "What this says of all calls", (text,), (drawn,), (table,))


def _bound_row(b: Bound) -> tuple[str, ...]:
    how = f"{b.method}, {b.sides}, {percent(b.confidence)}"
    return b.name, f"{b.traces:,}", f"{b.leaking:,}", percent(b.upper), rate(b.recall), percent(b.adjusted), how


def _accepted(report: Report) -> Section:
    if not report.accepted and not report.expired:
        return Section("accepted", "Accepted findings", ("None.",))
    columns = ("!State", "Fingerprint", "Class and path", "Reason", "Owner", "Accepted, until", "#Findings")
    rows = tuple(
        (state, a.fingerprint, f"{a.entity} {a.path}", a.reason, a.owner, f"{a.accepted}, {a.expires}", str(a.matched))
        for state, entries in (("expired", report.expired), ("accepted", report.accepted))
        for a in entries
    )
    text = "Findings that somebody has looked at and answers for. One whose day has passed counts again."
    return Section("accepted", "Accepted findings", (text,), tables=(Table("", columns, rows),))


def _answers(report: Report) -> Section:
    values = report.timeline.ttft_ms
    if not values.n:
        return Section("answers", "Time to first answer", ("No turn reports it.",))
    text = f"From the end of the caller's speech to the first sound of the answer, {counted(values.n, 'turn')}."
    budget = {"limit of p95": TTFT_P95_MS}
    drawn = charts.histogram(values.edges, values.counts, title="Time to first answer", unit="ms", marks=marks(values), budgets=budget)
    return Section("answers", "Time to first answer", (text,), (drawn,), (_spread("Time to first answer", values, "ms"),))


def _traffic(report: Report) -> Section:
    timeline, drawn, tables = report.timeline, list[Drawing](), list[Table]()
    if timeline.by_day:
        days = dict(list(timeline.by_day.items())[-DAYS_MAX:])
        cells = {day: (n.traces, n.errors) for day, n in days.items()}
        drawn.append(charts.columns(cells, title="Traces by day", whole="traces", part="runs with an error"))
        rows = tuple((day, f"{n.traces:,}", f"{n.runs:,}", f"{n.errors:,}") for day, n in days.items())
        tables.append(Table("Traces by day", ("Day", "#Traces", "#Runs", "#Errors"), rows, folded=True))
    if report.tools:
        drawn.append(charts.bars(dict(list(report.tools.items())[:ROWS_MAX]), title="Runs of each tool of the policy"))
        of_tools = tuple((name, f"{n:,}", f"{timeline.tool_errors.get(name, 0):,}") for name, n in report.tools.items())
        tables.append(Table("Runs of each tool of the policy", ("Tool", "#Runs", "#Failed"), of_tools, folded=True))
    if timeline.redactions:
        drawn.append(charts.bars(dict(list(timeline.redactions.items())[:FIELDS_MAX]), title="Redactions by field"))
        tables.append(tally("Redactions by field", "Field", timeline.redactions, folded=True))
    unseen = [name for name, n in report.tools.items() if not n]
    texts = [f"Tools of the policy that no trace holds, so that nothing is shown of them: {', '.join(unseen)}."] if unseen else []
    if timeline.redactions:
        texts.append("How often the policy redacted each field, as the traces' policy.guardrail reports.")
    else:
        texts.append("No trace reports a redaction.")
    if timeline.sessions_ms.n:
        tables.append(_spread("How long calls took", timeline.sessions_ms, "ms"))
    if timeline.costs_usd.n:
        tables.append(_spread("What agent turns cost", timeline.costs_usd, "USD"))
    return Section("traffic", "What the traces tell", tuple(texts), tuple(drawn), tuple(tables))


def marks(values: Histogram) -> dict[str, float]:
    """The percentiles by name, those there are."""
    found = {"p50": values.p50, "p95": values.p95, "p99": values.p99}
    return {name: value for name, value in found.items() if value is not None}


def _spread(caption: str, values: Histogram, unit: str) -> Table:
    rows = {**marks(values), "longest" if unit == "ms" else "most": values.max or 0.0}
    of = [("values", f"{values.n:,}"), *((name, f"{value:,.6g} {unit}") for name, value in rows.items())]
    return Table(caption, ("", "#"), tuple(of), folded=True)
