"""The sections on what a scan cannot have of itself: the sample, people's decisions, and the rehearsal."""

from __future__ import annotations

from collections.abc import Mapping

from audit.evidence import Canaries, Cost, Memory, Rehearsal
from audit.report import charts
from audit.report.content import Section, Table, pairs, rate
from audit.report.drawing import Drawing
from audit.report.model import Report
from audit.report.parts import percent


def sample(report: Report) -> Section:
    """How the traces for people were chosen."""
    drawn = report.selection
    if drawn is None:
        return Section("sample", "The sample for people", ("None was drawn.",))
    rows = pairs(
        "",
        (
            ("Unit", drawn.unit),
            ("Drawn", f"{len(drawn.trace_ids):,} of {drawn.population:,} in which the machine found nothing, without replacement"),
            ("Rule", drawn.rule),
            ("Seed", f"{drawn.seed}, {drawn.seed_by}"),
            ("Generator", drawn.generator),
            ("SHA-256 of the list", drawn.sha256),
        ),
    )
    strata = Table("Strata", ("Stratum", "#Traces", "#Drawn"), tuple((s.name, f"{s.traces:,}", f"{s.drawn:,}") for s in drawn.strata))
    return Section("sample", "The sample for people", tables=(rows, strata) if drawn.strata else (rows,))


def people(report: Report) -> Section:
    """What people found."""
    review = report.review
    if review is None:
        return Section("review", "What people found", ("Nobody has reviewed this report, or no review was given with it.",))
    texts = ["The names are those of staff, as they gave them."]
    if review.why:
        texts.append(f"It does not count yet: {review.why}")
    facts = pairs(
        "",
        (
            ("Sampled traces decided", f"{review.decided:,} of {review.traces:,}, {review.twice:,} of them by two people or more"),
            ("Of those, leaking", f"{review.leaking:,}"),
            ("Disagreements", f"{review.disagreements:,}"),
            ("Cohen's kappa", "not defined" if review.kappa is None else f"{review.kappa:.3f}"),
            ("Known answers found by people", f"{rate(review.recall)}; at least {rate(review.recall_at_least)} (95 %, one-sided)"),
            (
                "Leak rate among what the machine found clean",
                f"at most {percent(review.upper)} (95 %, one-sided, hypergeometric, by recall)",
            ),
            ("Report that was reviewed", review.report_sha256),
            ("Sample that was reviewed", review.selection_sha256),
        ),
    )
    columns = ("Reviewer", "From, to", "#Decided", "#Leaks", "#Unsure", "#Known answers found", "SHA-256 of the review")
    rows = tuple(
        (r.name, f"{r.began}, {r.ended}", str(r.decided), str(r.leaks), str(r.unsure), f"{r.planted_found} of {r.planted}", r.file_sha256)
        for r in review.reviewers
    )
    return Section("review", "What people found", tuple(texts), tables=(facts, Table("Reviewers", columns, rows)) if rows else (facts,))


def rehearsal(report: Report) -> Section:
    """What a rehearsal measured, and which alerts it saw."""
    held, alerts = report.rehearsal, report.alerts
    rows = [("Alerts", "")]
    if alerts is not None:
        rows = [("Alerts that fired", ", ".join(alerts.fired) or "none"), ("Of those, resolved", ", ".join(alerts.resolved) or "none")]
        rows.append(("Alerts that stayed silent", ", ".join(alerts.silent)))
    if held is None:
        tables = (pairs("", rows),) if alerts is not None else ()
        return Section("rehearsal", "Rehearsal", ("No rehearsal was given with --evidence.",), tables=tables)
    cost, spans, late, canaries = held.overhead_us, held.spans, held.loop_lateness_us, held.canaries
    facts = [
        ("Held", _held(held)),
        ("Calls played", f"{held.calls:,}"),
        ("Calls that crashed", "" if held.calls_crashed is None else str(held.calls_crashed)),
        ("Turns unanswered", "" if held.unanswered_turns is None else str(held.unanswered_turns)),
        ("Faults of the tracer", "" if held.tracer_faults is None else str(held.tracer_faults)),
        ("Made in the telemetry meanwhile", ", ".join(f"{made.kind.replace('_', ' ')} for {made.lasted_s:.1f} s" for made in held.faults)),
        ("Canaries", f"{canaries.arrived} of {canaries.planted} arrived in clear" if canaries else ""),
        ("Spans", f"{spans.offered:,} offered, {spans.delivered:,} delivered, {spans.lost:,} lost" if spans else ""),
        ("Recording an operation", _cost(cost) if cost and cost.n else ""),
        *_in_calls(held),
        ("Lateness of the event loop", f"p99 {late.p99:g} µs with the tracer, {late.untraced_p99:g} µs without" if late else ""),
        *_load(held),
    ]
    drawn = (_overhead(report, cost),) if cost and any(cost.counts) else ()
    return Section(
        "rehearsal",
        "Rehearsal",
        ("What a rehearsal measured on its own machine, with calls of its own.",),
        drawn,
        (pairs("", (*facts, *rows)), *_canaries(canaries), *_memory(held.memory)),
    )


def _in_calls(held: Rehearsal) -> list[tuple[str, str]]:
    """What telemetry cost inside the calls; only what was reported."""
    costs = (("Recording, in the calls", held.in_call_record_us), ("An event handler, in the calls", held.in_call_handler_us))
    return [(what, _cost(cost)) for what, cost in costs if cost is not None and cost.n]


def _held(held: Rehearsal) -> str:
    """When and where it was held, under which policy; empty where the file does not say."""
    if not held.started_at:
        return ""
    ended = ", interrupted" if held.interrupted else ""
    return f"{held.started_at}, {held.project} ({held.env}) at {held.endpoint}, policy {held.policy_digest}{ended}"


def monitoring(report: Report) -> Section:
    """What watching it in operation came to."""
    seen = report.monitoring
    if seen is None:
        return Section("monitoring", "In operation", ("It was not watched, or the file of the watch was not given with --evidence.",))
    fired = ", ".join(f"{name} {n} times" for name, n in seen.alerts.items() if n)
    log = "in the audit's log" if seen.vouched else "not in the audit's log with these figures"
    facts = (
        ("Watched", f"{seen.project} ({seen.env}), policy {seen.policy_digest}" if seen.project else ""),
        ("It ended", seen.outcome.replace("_", "-")),
        ("Journal", f"line {seen.journal_n}, SHA-256 {seen.journal_sha256}; {log}" if seen.journal_sha256 else ""),
        ("From, to", f"{seen.started_at}, {seen.ended_at}"),
        ("Hours", f"{seen.hours:.1f}{'' if seen.closed else ', not closed'}"),
        ("Rounds", f"{seen.rounds:,}, {seen.no_go:,} of them NO-GO, {seen.unfinished:,} not finished"),
        ("Longest time in which nobody looked", f"{seen.longest_gap_s:,.0f} s"),
        ("Calls", f"{seen.calls:,}"),
        ("Alerts that fired", fired or "none"),
        ("Telemetry was off for", f"{seen.switch_off_s:,.0f} s"),
    )
    return Section("monitoring", "In operation", ("What was seen while real calls went on.",), tables=(pairs("", facts),))


def _load(held: Rehearsal) -> list[tuple[str, str]]:
    """What went on at once, and whether its traces arrived whole; only what was reported."""
    rows = []
    if held.load is not None:
        rows.append(("Load", f"{held.load.at_once:,} calls at the same moment, the shortest {held.load.minutes:.1f} minutes"))
    if whole := held.completeness:
        lacks = "".join(f"; {name} lacking in {n:,}" for name, n in whole.lacks.items())
        rows.append(("Traces", f"{whole.complete:,} of {whole.expected:,} whole, {whole.arrived:,} read back{lacks}"))
    if held.ttft_error_ms is not None:
        left = f"; {held.ttft_unpaired:,} could not be held against it" if held.ttft_unpaired else ""
        rows.append(("TTFT-A beside the stand-in's clock", f"at most {held.ttft_error_ms:g} ms apart{left}"))
    for what, counts in (("Conversations", held.scenes), ("Languages", held.languages)):
        if counts:
            rows.append((what, ", ".join(f"{name} {n:,}" for name, n in counts.items())))
    return rows


def _memory(held: Mapping[str, Memory]) -> tuple[Table, ...]:
    """Resident memory of each process, over the rehearsal."""
    rows = tuple((name, f"{m.first:.1f}", f"{m.last:.1f}", f"{m.peak:.1f}", f"{m.n:,}") for name, m in held.items())
    return (Table("Memory, MiB", ("Process", "#Warm", "#At the end", "#Most", "#Readings"), rows),) if rows else ()


def _canaries(seen: Canaries | None) -> tuple[Table, ...]:
    """How many arrived, by class and by where they were planted."""
    if seen is None:
        return ()
    tables = (("Canaries by class", "Class", seen.by_class), ("Canaries by where they were planted", "Planted in", seen.by_origin))
    return tuple(
        Table(caption, (what, "#Planted", "#Arrived"), tuple((name, str(n.planted), str(n.arrived)) for name, n in rows.items()))
        for caption, what, rows in tables
        if rows
    )


def _cost(cost: Cost) -> str:
    return f"p50 {cost.p50:g} µs, p99 {cost.p99:g} µs, longest {cost.max:g} µs, of {cost.n:,}"


def _overhead(report: Report, cost: Cost) -> Drawing:
    bars = {j.gate.name: j.gate.bar for j in report.gates if j.gate.bar is not None}
    budgets = {"budget of p99": bars.get("overhead_p99_us"), "budget of the longest": bars.get("overhead_max_us")}
    return charts.histogram(
        cost.edges, cost.counts, title="What recording an operation costs the agent", unit="µs",
        marks={"p50": cost.p50, "p99": cost.p99, "longest": cost.max},
        budgets={name: value for name, value in budgets.items() if value is not None},
    )  # fmt: skip
