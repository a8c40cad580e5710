"""What a go/no-go review comes to, for a person and for a program: the outcome, the weeks, the steps, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from audit.evidence import EvidenceError, load_evidence
from audit.gates import GO_LIVE, WEEKS, Judged
from audit.gonogo.alone import own_project
from audit.gonogo.asked import Asked
from audit.gonogo.kept import REPORT, SCAN
from audit.gonogo.record import Step
from audit.gonogo.run import ALERTS, REHEARSAL
from audit.report.model import Report
from audit.report.next_steps import REHEARSED_GATES, WATCHED_GATES, plants, steps
from audit.verdict import Verdict, by_week, through

SCHEMA: Final = "phi-audit.gonogo/1"
_MEND: Final[Mapping[str, str]] = {
    "census": "the policy, or what the agent sends",
    "rehearsal": "what it measured, or the machine it was measured on",
    "policy": "the policy and its examples",
    "review": "the policy, so that what people found is not sent",
    "alerts": "the rules of the alerts, or what keeps them from firing",
}
"""What must be another, by the kind of evidence that a gate stands on."""
PORT: Final = 1984
"""Where `phi-audit serve` listens unless it is told otherwise."""


def outcome(report: Report, week: int) -> Verdict:
    """The verdict on what must hold by the end of a week; by that of the go/no-go and later, the report's own."""
    return report.verdict if week >= GO_LIVE else through(report.gates, week, report.incomplete)


def next_commands(report: Report, asked: Asked, directory: Path, *, played: bool = True) -> tuple[tuple[str, str], ...]:
    """What to do and the command for it, in order; words in capitals are to be filled in.

    Args:
        report: as it was judged.
        asked: what the review was asked to do.
        directory: where it is.
        played: whether it played calls of its own.
    """
    left = {judged.gate.name: judged for judged in report.gates if judged.state != "proven" and judged.gate.week <= asked.week}
    here = shlex.quote(str(directory))
    if not left and not report.incomplete:
        return tuple(_approved(report, asked, here))
    rows = list(_after_a_leak(report, here))
    failed = [judged for judged in left.values() if judged.state == "failed" and judged.gate.name not in WATCHED_GATES]
    people = left.pop("human_review", None)
    watched: dict[str, Judged] = {name: left.pop(name) for name in WATCHED_GATES if name in left}
    here_too, there = asked.local or not played, _there(report)  # what is watched is what this review reads
    if failed:
        rows.append((_mend(failed), _again(here, asked, left, played=played, anew=True)))
    if watched:
        broke = any(judged.state == "failed" for judged in watched.values())
        rows += _watch(report, asked, here, here_too=here_too, broke=broke)
    lacking = {**({} if failed else left), **(watched if here_too else {})}
    if lacking or (report.incomplete and not failed):
        words = "Give what the gates lack: what still fits is not done again."
        rows.append((words, _again(here, asked, lacking, played=played, unread=bool(report.incomplete), there=there)))
    if people is not None and report.selection is not None:
        rows += _people(here, asked)
    return tuple(rows)


def _mend(failed: Sequence[Judged]) -> str:
    """What must change, by the kind of evidence that failed: with the same input the same is found."""
    kinds = dict.fromkeys(judged.gate.evidence for judged in failed)
    told = [f"{', '.join(j.gate.name for j in failed if j.gate.evidence == kind)} ({_MEND.get(kind, 'what it names')})" for kind in kinds]
    return f"Change what failed, or the answer stays the same: {'; '.join(told)}. Then hold it again: what hangs on it is done anew."


def _approved(report: Report, asked: Asked, here: str) -> Iterator[tuple[str, str]]:
    if asked.week < GO_LIVE:
        return
    if not any(signature.role == "approver" for signature in report.signatures):
        reviews = " --review ONE.json --review TWO.json" if report.review else ""
        yield "Somebody who did not review signs for it.", f"phi-audit gonogo -d {here} --resume{reviews} --sign KEY --name NAME"
    yield "Whoever relies on it checks it first, offline.", f"phi-audit verify {here}/{REPORT}"
    if asked.project and not asked.local:
        words = f"--env {asked.env} --project {shlex.quote(asked.project)} --reason 'audit: GO' --report {here}/{REPORT}"
        yield "Telemetry is turned on with it.", f"phi-audit switch on {words}"


def _after_a_leak(report: Report, here: str) -> Iterator[tuple[str, str]]:
    """The steps that a report itself asks for after findings; the rest of its steps are this command's own."""
    if report.verdict.state != "NO_GO":
        return
    for step in steps(report):
        if step.command.startswith(("phi-audit switch", "phi-audit incident", "phi-audit purge")):
            yield step.do, step.command.replace(REPORT, f"{here}/{REPORT}")


def _again(
    here: str, asked: Asked, left: Mapping[str, Judged], *, played: bool, anew: bool = False, unread: bool = False, there: str = "watch"
) -> str:
    """The command that goes on, with an option that is not as it was: without one, what was left would be taken as it is.

    A scan that did not read everything and a rehearsal of the alerts that did not pass are done again without one.
    """
    words: list[str] = []
    if "known_answer_recall" in left:
        known = plants(left)  # enough where all are found; where some were not, more show a lower recall that is still above the bar
        words.append(f"--known-answers {known if known > asked.known_answers else 2 * asked.known_answers}")
    calls, minutes = asked.calls, asked.minutes
    if "load_test" in left:
        gate = left["load_test"].gate
        calls = max(calls, round(gate.settings.get("calls", 0)), round(gate.bar or 0))
        minutes = max(minutes, gate.settings.get("minutes", 0.0))
    more = (calls, minutes) != (asked.calls, asked.minutes)
    words += [f"--calls {calls}", f"--minutes {minutes:g}"] * more
    measure = bool(set(left) & set(REHEARSED_GATES)) and not asked.measure
    words += ["--measure"] * measure
    rest = set(left) - {*WATCHED_GATES, "alerts_fire"}
    if not (more or measure) and (anew or (rest and not words and not unread)):
        words += [f"--callers {asked.seed + 1}"] if played else ["--from EXPORT"] if asked.file else [f"--seed {asked.scan_seed + 1}"]
        more = played
    if played and (more or measure) and not asked.local:
        words.append(f"--project {shlex.quote(own_project(asked.project))}")  # the calls so far are in the one before
    if set(left) & set(WATCHED_GATES):
        words += _others(asked)  # an option that is given again takes the place of all
        words.append(f"--evidence {there}/monitoring.json")
    return " ".join([f"phi-audit gonogo -d {here} --resume", *words])


def _there(report: Report) -> str:
    """Where it is watched next: a watch that has ended is not gone on with."""
    return "watch-again" if report.monitoring else "watch"


def _others(asked: Asked) -> list[str]:
    """The evidence that was given, but that of a watch: a new one takes its place, and two of a kind are refused."""
    return [f"--evidence {shlex.quote(path)}" for path in asked.evidence if not _of_a_watch(Path(path))]


def _of_a_watch(path: Path) -> bool:
    try:
        return load_evidence([path]).monitoring is not None
    except EvidenceError:
        return False


def _watch(report: Report, asked: Asked, here: str, *, here_too: bool, broke: bool) -> Iterator[tuple[str, str]]:
    """Operation is watched where the calls are; a review that played its own into another project is held once more beside it."""
    project = f"--project {shlex.quote(report.target.project or asked.project or 'PROJECT') if here_too else 'PROJECT'}"
    do, there = "Watch it in operation for 48 hours.", _there(report)
    yield f"Mend what broke. {do}" if broke else do, f"phi-audit watch {project} --env {asked.env} --hours 48 -d {there}"
    if here_too:
        return
    own = " ".join(_others(asked))
    own = own or f"--evidence {here}/{REHEARSAL} --evidence {here}/{ALERTS}"
    words = f"{project} --env {asked.env} --account STATE {own} --evidence {there}/monitoring.json"
    yield (
        "Hold the review of operation, in the project that was watched; STATE is its relay's state directory.",
        f"phi-audit gonogo -d DIRECTORY --week 6 {words}",
    )


def _people(here: str, asked: Asked) -> Iterator[tuple[str, str]]:
    there = f" --endpoint http://127.0.0.1:{PORT}" if asked.local else f" --from {shlex.quote(asked.file)}" if asked.file else ""
    if asked.local:
        yield "The traces are served, for the reviewers.", f"phi-audit serve --path {here}/{asked.store} --keep all"
    read = f"phi-audit review {here}/{SCAN} --reviewer NAME{there} -o NAME.json"
    yield "Two people, each alone, decide every trace of the sample.", read
    taken = f"phi-audit gonogo -d {here} --resume --review ONE.json --review TWO.json --sign KEY --name NAME"
    yield "Their reviews are taken in, and somebody who did not review signs.", taken


def as_json(report: Report, asked: Asked, directory: Path, done: Sequence[Step], switch: str = "") -> dict[str, Any]:
    """As JSON's own types."""
    said = outcome(report, asked.week)
    commands = next_commands(report, asked, directory, played=_played(asked, done))
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
        "next": [{"do": what, "command": command} for what, command in commands],
    }  # fmt: skip


def _played(asked: Asked, done: Sequence[Step]) -> bool:
    return any(step.name == "rehearsal" for step in done) if done else not asked.file


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
    commands = next_commands(report, asked, directory, played=_played(asked, done))
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
