"""The closing report of a watch: as JSON, as a table for a terminal, as Markdown; and its figures as evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Final, Literal, TypeAlias

from audit.alerts.words import length
from audit.evidence import Monitoring
from audit.report.markdown import escape
from audit.watch.closing import Closing, patience_s
from audit.watch.round import Round

SCHEMA: Final = "phi-audit.watch/1"
EVIDENCE: Final = "phi-audit.monitoring/1"
Format: TypeAlias = Literal["table", "json", "md"]
FORMATS: Final = ("table", "json", "md")
_WORDS: Final = {
    "CLEAN": "stable and clean", "NO_GO": "not clean", "UNPROVEN": "not proven",
}  # fmt: skip
_HOURS: Final = ("hour (UTC)", "#calls", "#failed", "#cost USD", "#answers", "#TTFT-A p50 ms", "#p95 ms")


def evidence(monitoring: Monitoring) -> dict[str, object]:
    """The figures as a file of evidence holds them (`audit.evidence_file`)."""
    return {"schema": EVIDENCE, **_figures_of(monitoring)}


def _figures_of(monitoring: Monitoring) -> dict[str, object]:
    """All of it but whether the audit's log holds it, which whoever reads it finds out."""
    return {name: value for name, value in asdict(monitoring).items() if name != "vouched"}


def as_json(closing: Closing) -> dict[str, object]:
    """The closing report as plain values."""
    report = closing.report
    return {
        "schema": SCHEMA, "outcome": closing.outcome, "exit_code": closing.exit_code, "reasons": list(closing.reasons),
        "interrupted": closing.interrupted, "begun": asdict(closing.begun), "resumed": list(closing.resumed),
        "patience_s": patience_s(closing.begun), "monitoring": _figures_of(closing.monitoring),
        "hours": [asdict(hour) for hour in closing.hours],
        "timeline": [{"at": at, "what": what} for at, what in timeline(closing.rounds)],
        "report": {"digest": report.digest, "id": report.id, "verdict": report.verdict.state} if report is not None else None,
        "journal": {"n": closing.journal[0], "sha256": closing.journal[1]},
    }  # fmt: skip


def render(closing: Closing, fmt: str) -> str:
    """The closing report in one of `FORMATS`."""
    if fmt == "json":
        return json.dumps(as_json(closing), indent=2) + "\n"
    lines = _markdown(closing) if fmt == "md" else _table(closing)
    return "\n".join(lines).rstrip() + "\n"


def line(one: Round) -> str:
    """A round in one line; why it is NO-GO is said apart."""
    census, parts = one.census, [f"round {one.n}"]
    parts.append({"CLEAN": "clean", "NO_GO": "NO-GO", "UNFINISHED": "not finished"}[one.state])
    if one.finished:
        parts.append(f"{_many(census.calls, 'call')}, {_many(census.findings, 'finding')}")
    if one.alerts.firing:
        parts.append(f"alerts firing: {', '.join(one.alerts.firing)}")
    if not one.switch.on:
        parts.append(f"telemetry is off{f', held for {one.switch.hold}' if one.switch.hold else ''}")
    if one.why and not one.finished:
        parts.append(one.why)
    return f"{_clock(one.at)}  {'; '.join(parts)}"


def timeline(rounds: tuple[Round, ...]) -> Iterator[tuple[str, str]]:
    """When, and what: of each round that found otherwise than the one before, only that."""
    before: Round | None = None
    for one in rounds:
        for what in _changes(before, one):
            yield one.at, what
        before = one


def _changes(before: Round | None, one: Round) -> Iterator[str]:
    told = (before.state, before.why) if before is not None else ("CLEAN", "")
    if (one.state, one.why) != told:
        if one.state == "CLEAN":
            yield "clean again"
        else:
            yield f"{'NO-GO' if one.state == 'NO_GO' else 'not finished'}: {one.why}"
    elif before is None:
        yield f"the first round: {one.census.calls} calls, clean"
    if one.enforced and (before is None or one.enforced != before.enforced):
        yield f"telemetry's switch is {one.enforced}"
    fired = {rule: max(len(one.alerts.fired.get(rule, ())), len(one.alerts.elsewhere.get(rule, ()))) for rule in _rules(one)}
    for rule, n in fired.items():
        yield f"alert {rule} fired{f' {n} times' if n > 1 else ''}"
    for rule in sorted(set(before.alerts.firing if before else ()) - set(one.alerts.firing)):
        yield f"alert {rule} was over"
    switched = before is not None and before.switch.on != one.switch.on
    if switched or (before is None and not one.switch.on):
        hold = f", held for {one.switch.hold}" if one.switch.hold else ""
        since = f" since {_clock(one.switch.at)}" if one.switch.at else ""
        yield f"telemetry's switch was {'on' if one.switch.on else 'off'}{since}{hold}"
    elif one.switch.changed:
        yield f"telemetry's switch was set at {_clock(one.switch.at) if one.switch.at else 'an unknown time'}; it was {_on(one)} then"
    for problem in one.problems:
        if before is None or problem not in before.problems:
            yield problem


def _table(closing: Closing) -> Iterator[str]:
    seen = closing.monitoring
    yield f"{closing.outcome.replace('_', '-')}: {closing.begun.project} ({closing.begun.env}) was {_WORDS[closing.outcome]}"
    if closing.interrupted:
        yield "INCOMPLETE: it was stopped before its end; the same command goes on with it"
    yield from (f"  - {reason}" for reason in closing.reasons)
    yield ""
    width = max(len(name) for name, _ in _figures(closing))
    yield from (f"{name:<{width}}  {value}" for name, value in _figures(closing))
    if seen.alerts:
        yield ""
        yield "Alerts that fired"
        yield from (f"  {rule}: {n}" for rule, n in seen.alerts.items())
    yield ""
    yield "What differed"
    yield from (f"  {_clock(at)}  {what}" for at, what in timeline(closing.rounds))
    if closing.hours:
        rows = [[name.lstrip("#") for name in _HOURS], *_hours(closing)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HOURS))]
        yield ""
        for row in rows:
            yield "  ".join(f"{cell:>{w}}" if i else f"{cell:<{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip()


def _markdown(closing: Closing) -> Iterator[str]:
    yield f"# {closing.outcome.replace('_', '-')}: {escape(closing.begun.project)} was {_WORDS[closing.outcome]}"
    yield ""
    if closing.interrupted:
        yield from ("> INCOMPLETE: it was stopped before its end.", "")
    yield from (f"- {escape(reason)}" for reason in closing.reasons)
    yield from ("", "| Figure | Value |", "| --- | --- |")
    yield from (f"| {escape(name)} | {escape(value)} |" for name, value in _figures(closing))
    if closing.monitoring.alerts:
        yield from ("", "## Alerts that fired", "", "| Alert | Times |", "| --- | ---: |")
        yield from (f"| {escape(rule)} | {n} |" for rule, n in closing.monitoring.alerts.items())
    yield from ("", "## What differed", "", "| When | What |", "| --- | --- |")
    yield from (f"| {_clock(at)} | {escape(what)} |" for at, what in timeline(closing.rounds))
    if closing.hours:
        yield from ("", "## Hour by hour", "", "| " + " | ".join(name.lstrip("#") for name in _HOURS) + " |")
        yield "|" + "|".join(" ---: " if name.startswith("#") else " --- " for name in _HOURS) + "|"
        yield from ("| " + " | ".join(row) + " |" for row in _hours(closing))


def _figures(closing: Closing) -> list[tuple[str, str]]:
    seen, last = closing.monitoring, next((one for one in reversed(closing.rounds) if one.finished), None)
    rows = [
        ("watched", f"{seen.hours:.2f} of {closing.begun.hours:g} h, from {_clock(seen.started_at)} to {_clock(seen.ended_at)}"),
        ("rounds", f"{seen.rounds}, of them {seen.no_go} NO-GO and {seen.unfinished} not finished"),
        ("longest gap", f"{seen.longest_gap_s:.0f} s; {patience_s(closing.begun):.0f} s are allowed"),
        ("taken up again", f"{len(closing.resumed)} times"),
        ("calls", f"{seen.calls}, those that began in the hour before it among them"),
    ]
    if last is not None:
        census = last.census
        rows += [
            ("findings", f"{census.findings}, and {_many(census.suspicions, 'suspicion')}"),
            ("calls going on", str(census.open)),
            ("spans lost", f"{census.lost} of {census.offered}"),
            ("TTFT-A", f"p50 {_number(census.ttft_p50_ms)} ms, p95 {_number(census.ttft_p95_ms)} ms"),
            ("cost", f"{census.cost_usd:.2f} USD"),
        ]
        if census.missing is not None:
            rows.append(("relay's account", f"{census.missing} runs missing, {census.unexpected} not its own"))
    rows.append(("alerts fired", str(sum(seen.alerts.values()))))
    rows.append(("telemetry off", length(seen.switch_off_s) if seen.switch_off_s else "never"))
    if closing.report is not None:
        rows.append(("report", f"{closing.report.digest} ({closing.report.verdict.state})"))
    rows.append(("journal", f"line {closing.journal[0]}, SHA-256 {closing.journal[1]}"))
    return rows


def _hours(closing: Closing) -> Iterator[list[str]]:
    for hour in closing.hours:
        yield [
            hour.at[:16].replace("T", " "), str(hour.calls), str(hour.failed), f"{hour.cost_usd:.2f}", str(hour.turns),
            _number(hour.ttft_p50_ms), _number(hour.ttft_p95_ms),
        ]  # fmt: skip


def _rules(one: Round) -> list[str]:
    return sorted({*one.alerts.fired, *one.alerts.elsewhere})


def _on(one: Round) -> str:
    return "on" if one.switch.on else "off"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _clock(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M:%S")
