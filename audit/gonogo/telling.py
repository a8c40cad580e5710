"""What a go/no-go review comes to, for a person and for a program: the outcome, the weeks, the steps, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from audit.gates import GO_LIVE, WEEKS, Judged
from audit.gonogo.asked import Asked
from audit.gonogo.record import Step
from audit.gonogo.run import SCAN, TRACES
from audit.report.model import Report
from audit.report.next_steps import REHEARSED_GATES, WATCHED_GATES, plants, steps
from audit.verdict import Verdict, by_week, through

SCHEMA: Final = "phi-audit.gonogo/1"
REPORT: Final = "report.json"
PORT: Final = 1984
"""Where `phi-audit serve` listens unless it is told otherwise."""


def outcome(report: Report, week: int) -> Verdict:
    """The verdict on what must hold by the end of a week; by that of the go/no-go and later, the report's own."""
    return report.verdict if week >= GO_LIVE else through(report.gates, week, report.incomplete)


def next_commands(report: Report, asked: Asked, directory: Path) -> tuple[tuple[str, str], ...]:
    """What to do and the command for it, in order; words in capitals are to be filled in."""
    left = {judged.gate.name: judged for judged in report.gates if judged.state != "proven" and judged.gate.week <= asked.week}
    here = shlex.quote(str(directory))
    if not left and not report.incomplete:
        return tuple(_approved(report, asked, here))
    rows = list(_after_a_leak(report, here))
    failed = any(judged.state == "failed" for judged in left.values())
    people = left.pop("human_review", None)
    if failed:
        rows.append(("Mend what the gates name, then hold the review again: what changed is done anew.", _again(here, asked, left)))
    elif left or report.incomplete:
        rows += _watch(report, asked, left)
        rows.append(("Give what the gates lack: what still fits is not done again.", _again(here, asked, left)))
    if people is not None and report.selection is not None:
        rows += _people(here, asked)
    return tuple(rows)


def _approved(report: Report, asked: Asked, here: str) -> Iterator[tuple[str, str]]:
    if asked.week < GO_LIVE:
        return
    if not any(signature.role == "approver" for signature in report.signatures):
        reviews = " --review ONE.json --review TWO.json" if report.review else ""
        yield "Somebody who did not review signs for it.", f"phi-audit gonogo -d {here} --resume{reviews} --sign KEY --name NAME"
    yield "Whoever relies on it checks it first, offline.", f"phi-audit verify {here}/{REPORT}"


def _after_a_leak(report: Report, here: str) -> Iterator[tuple[str, str]]:
    """The steps that a report itself asks for after findings; the rest of its steps are this command's own."""
    if report.verdict.state != "NO_GO":
        return
    for step in steps(report):
        if step.command.startswith(("phi-audit switch", "phi-audit incident", "phi-audit purge")):
            yield step.do, step.command.replace(REPORT, f"{here}/{REPORT}")


def _again(here: str, asked: Asked, left: Mapping[str, Judged]) -> str:
    words = [f"phi-audit gonogo -d {here} --resume"]
    if "known_answer_recall" in left:
        words.append(f"--known-answers {plants(left)}")
    if "load_test" in left:
        gate = left["load_test"].gate
        words.append(f"--calls {max(asked.calls, round(gate.settings.get('calls', 0)), round(gate.bar or 0))}")
        words.append(f"--minutes {max(asked.minutes, gate.settings.get('minutes', 0.0)):g}")
    elif set(left) & set(REHEARSED_GATES) and (asked.measure or asked.script):
        words.append(f"--callers {asked.seed + 1}")  # others call, so the rehearsal is held anew
    if set(left) & set(REHEARSED_GATES) and not asked.measure:
        words.append("--measure")
    if set(left) & set(WATCHED_GATES):
        words.append("--evidence watch/monitoring.json")
    return " ".join(words)


def _watch(report: Report, asked: Asked, left: Mapping[str, Judged]) -> Iterator[tuple[str, str]]:
    if set(left) & set(WATCHED_GATES):
        project = shlex.quote(report.target.project or asked.project or "PROJECT")
        yield "Watch it in operation for 48 hours.", f"phi-audit watch --project {project} --hours 48 -d watch"


def _people(here: str, asked: Asked) -> Iterator[tuple[str, str]]:
    there = f" --endpoint http://127.0.0.1:{PORT}" if asked.local else f" --from {shlex.quote(asked.file)}" if asked.file else ""
    if asked.local:
        yield "The traces are served, for the reviewers.", f"phi-audit serve --path {here}/{TRACES} --keep all"
    read = f"phi-audit review {here}/{SCAN} --reviewer NAME{there} -o NAME.json"
    yield "Two people, each alone, decide every trace of the sample.", read
    taken = f"phi-audit gonogo -d {here} --resume --review ONE.json --review TWO.json --sign KEY --name NAME"
    yield "Their reviews are taken in, and somebody who did not review signs.", taken


def as_json(report: Report, asked: Asked, directory: Path, done: Sequence[Step], switch: str = "") -> dict[str, Any]:
    """As JSON's own types."""
    said = outcome(report, asked.week)
    return {
        "schema": SCHEMA,
        "outcome": said.state,
        "exit_code": said.exit_code,
        "week": asked.week,
        "reasons": list(said.reasons),
        "verdict": report.verdict.state,
        "report": {
            "file": str(directory / REPORT), "digest": report.digest,
            "signed": [{"name": each.name, "role": each.role} for each in report.signatures],
        },
        "weeks": weeks_json(report),
        "steps": [{"name": s.name, "began": s.began, "ended": s.ended, "again": s.again, "said": s.said} for s in done],
        "switch": switch,
        "next": [{"do": what, "command": command} for what, command in next_commands(report, asked, directory)],
    }  # fmt: skip


def weeks_json(report: Report) -> list[dict[str, Any]]:
    """Each week with its gates, as JSON's own types."""
    return [
        {
            "week": week.week, "state": week.state, "verdict": week.verdict.state,
            "gates": [{"name": j.gate.name, "state": j.state, "measured": j.measured, "why": j.why} for j in week.gates],
        }
        for week in by_week(report.gates, report.incomplete)
    ]  # fmt: skip


def as_text(report: Report, asked: Asked, directory: Path, done: Sequence[Step], switch: str = "") -> str:
    """For a person, plain."""
    said = outcome(report, asked.week)
    lines = [f"{said.state.replace('_', '-')}  week {asked.week}: {report.target.project or report.target.place}, {report.target.env}"]
    lines += [f"  - {reason}" for reason in said.reasons]
    lines += ["", *weeks_text(report, asked.week), "", "steps"]
    lines += [f"  {step.name:<10} {'as it was left' if step.again else 'done'}: {step.said}" for step in done]
    signed = ", ".join(f"{each.name} ({each.role})" for each in report.signatures) or "nobody"
    lines += ["", f"report  {directory / REPORT}", f"        SHA-256 {report.digest}, signed by {signed}"]
    lines += [switch] if switch else []
    commands = next_commands(report, asked, directory)
    if commands:
        lines += ["", "What to do next"]
        for n, (what, command) in enumerate(commands, 1):
            lines += [f"  {n}. {what}", *([f"     {command}"] if command else [])]
    return "\n".join(lines) + "\n"


def weeks_text(report: Report, shown: int = WEEKS[-1]) -> Iterable[str]:
    """A line for each week, and up to week ``shown`` one for each of its gates that is not proven."""
    yield "week  state     proven  verdict on it and the weeks before"
    for week in by_week(report.gates, report.incomplete):
        good = sum(judged.state == "proven" for judged in week.gates)
        yield f"{week.week:<4}  {week.state:<8}  {f'{good} of {len(week.gates)}':<7} {week.verdict.state.replace('_', '-')}"
        yield from (f"        {j.state} {j.gate.name}: {j.why}" for j in week.gates if j.state != "proven" and week.week <= shown)
