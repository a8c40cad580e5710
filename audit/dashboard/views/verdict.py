"""The newest report: whether it verifies, who signed, how old it is, its gates and what was found. Raises nothing for a file."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from audit.dashboard.views.parts import Panel, State, ago
from audit.moments import instant
from audit.report import Report, charts
from audit.report.content import Table
from audit.report.parts import counted, percent
from audit.verification import Verified, verify_report
from phi_guard.errors import PhiGuardError

AGE_MAX: Final = timedelta(days=7)
"""A GO older than this says nothing of this week's calls: a scan looks seven days back unless told otherwise."""
SCAN: Final = "phi-audit scan --project PROJECT --format json -o report.json"
INCIDENT: Final = "phi-audit incident open --report report.json --discovered TIME --zone ZONE"
_SCHEMA: Final = b'"phi-audit.report/'
_HEAD: Final = 512
_ROWS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The newest report.

    Args:
        verdict: ``GO``, ``NO-GO``, ``UNPROVEN``, or empty where there is no report that can be read.
        state: ``good`` only for a GO that verifies, is signed by an approver whose key is trusted now, and is not older than `AGE_MAX`.
        made_at: ISO 8601, or empty.
        age: such as ``3 h ago``, or empty.
        file: the report's name, without its directory; or empty.
        digest: 64 hexadecimal digits, or empty.
        holds: whether it verifies; False also where it could not be checked.
        signers: ``name (role)`` of each valid signature.
        findings: how many, suspicions left out; None where there is no report.
        traces: looked at.
        upper: the bound on the leak rate that its findings show, divided by recall where that is known; None where nothing is shown.
        words: sentences for the page.
        do: what to run next, or empty.
    """

    verdict: str
    state: State
    made_at: str
    age: str
    file: str
    digest: str
    holds: bool
    signers: tuple[str, ...]
    findings: int | None
    traces: int
    upper: float | None
    words: tuple[str, ...]
    do: str = ""


def newest(path: Path | None) -> Path | None:
    """The report meant: the file itself, or in a directory the report written last; None where there is none.

    A file that begins like a report counts, also where it is damaged since: an older one never stands in for it.
    """
    if path is None:
        return None
    try:
        if not path.is_dir():
            return path if path.exists() else None
        found = sorted(((file.stat().st_mtime_ns, file.name, file) for file in path.glob("*.json") if file.is_file()), reverse=True)
        return next((file for _, _, file in found if _is_report(file)), None)
    except OSError:
        return None


def last_verdict(path: Path | None, now: datetime, trust: Path | None = None) -> VerdictView:
    """The newest report alone, for the overview.

    Args:
        path: a report's JSON, or a directory; None for none.
        now: with a zone.
        trust: the list of trusted keys; None for the one in the audit's directory.
    """
    return view_of(*looked_at(path, now, trust), now)


def looked_at(path: Path | None, now: datetime, trust: Path | None = None) -> tuple[Path | None, Verified | None, str]:
    """The newest report, what a check of it says, and why there is none."""
    file = newest(path)
    if file is None:
        given = "no report was named" if path is None else f"there is no report at {path.name or path}"
        return None, None, f"Nothing is known of leaks: {given}."
    try:
        stat = file.stat()
        return file, _checked(file, trust, stat.st_mtime_ns, stat.st_size, now.replace(second=0, microsecond=0)), ""
    except (PhiGuardError, OSError) as fault:
        why = str(fault) if isinstance(fault, PhiGuardError) else f"{file.name}: cannot be read ({fault.strerror})"
        return file, None, f"{why}."


@lru_cache(maxsize=4)
def _checked(file: Path, trust: Path | None, _changed: int, _size: int, minute: datetime) -> Verified:
    """A check of a report, which takes a second for a large one: made anew where the file changed, and every minute."""
    return verify_report(file, trust, now=minute)


def view_of(file: Path | None, checked: Verified | None, why: str, now: datetime) -> VerdictView:
    """What is shown of it."""
    if file is None:
        return VerdictView("", "unknown", "", "", "", "", False, (), None, 0, None, (why,), SCAN)
    if checked is None or checked.report is None:
        faults = [why] if checked is None else [f"{fault}." for fault in checked.faults[:3]]
        words = ("The newest report cannot be relied on; an older one does not stand in for it.", *faults)
        return VerdictView("", "bad", "", "", file.name, "", False, (), None, 0, None, words, SCAN)
    report, made = checked.report, instant(checked.report.target.made_at)
    verdict, holds = report.verdict.state.replace("_", "-"), not checked.faults
    signers = tuple(f"{each.name} ({each.role})" for each in checked.signers)
    told = [f"{report.sentence}.", f"Made {ago(made, now)} of {report.target.project or report.target.place}." if made else ""]
    state: State = "good" if verdict == "GO" else "bad" if verdict == "NO-GO" else "watch"
    do = ""
    if not holds:
        state, do = "bad", f"phi-audit verify {shlex.quote(file.name)}"
        told.append(f"It does not verify: {checked.faults[0]}.")
    elif not any(each.role == "approver" for each in checked.standing):
        state, do = (
            ("watch" if state == "good" else state),
            f"phi-audit sign {shlex.quote(file.name)} --name NAME --role approver --key KEY -o signed.json",
        )
        told.append("No approver whose key is trusted has signed it: a verdict is a person's.")
    if made is None or now - made > AGE_MAX:
        state, do = ("watch" if state == "good" else state), do or SCAN
        told.append(f"It is older than {AGE_MAX.days} days: it says nothing of the calls since.")
    if verdict == "NO-GO":
        do = do or INCIDENT
    elif verdict == "UNPROVEN":
        do = do or SCAN
    bound = report.bound
    upper = (bound.adjusted if bound.recall else bound.upper) if bound.traces else None
    return VerdictView(
        verdict, state, report.target.made_at, ago(made, now) if made else "", file.name, checked.digest, holds, signers,
        report.results.findings, bound.traces, upper, tuple(text for text in told if text), do,
    )  # fmt: skip


def gates(report: Report | None) -> Panel:
    """Every gate and its state."""
    title = "Gates of the last report"
    if report is None:
        return Panel("gates", title, words=("Without a report no gate is judged.",), do=SCAN)
    states = [judged.state for judged in report.gates]
    state: State = "bad" if "failed" in states else "watch" if "unproven" in states else "good" if states else "unknown"
    not_so = f"{states.count('failed')} failed, {states.count('unproven')} unproven"
    words = f"{states.count('proven')} of {counted(len(states), 'gate')} proven, {not_so}."
    rows = tuple((j.state, j.gate.asks, j.why, f"{j.gate.name} · {j.gate.source}") for j in report.gates)
    table = Table("Gates", ("!State", "What must be true", "What the evidence says", "Gate, source"), rows)
    return Panel("gates", title, state, (words,), table=table)


def findings(report: Report | None) -> Panel:
    """Findings by class and place; never a value."""
    title = "Findings of the last report"
    if report is None:
        return Panel("findings", title, words=("Without a report nothing is known of what is in the traces.",), do=SCAN)
    results = report.results
    if not report.population.runs:
        return Panel("findings", title, words=("The report looked at no run, so nothing is shown.",), do=SCAN)
    more = (
        f" {counted(results.suspicions, 'suspicion')} beside, which no gate counts; people look at them first."
        if results.suspicions
        else ""
    )
    if not results.findings:
        return Panel("findings", title, "good", (f"None in {counted(results.scanned, 'run')}.{more}",))
    words = f"{counted(results.findings, 'finding')} in {counted(results.leaking, 'trace')}; values are not shown.{more}"
    listed = list(report.by_entity.items())[:_ROWS_MAX]
    table = Table("By class and place", ("Class", "Place", "#Findings"), tuple((name, place, f"{n:,}") for (name, place), n in listed))
    top = dict(list(results.by_entity.items())[:20])
    chart = charts.bars(top, title="Findings by class", style="bar bad") if top else None
    return Panel("findings", title, "bad", (words,), INCIDENT, chart, table if listed else None)


def bound(report: Report | None) -> Panel:
    """What so many traces without, or with so few, findings show of all calls."""
    title = "What that says of all calls"
    if report is None or not report.bound.traces:
        return Panel("bound", title, words=("Nothing was looked at, so nothing is shown of the leak rate.",), do=SCAN)
    held = report.bound
    drawing = charts.bound(held.traces, held.upper, held.adjusted, title="Bound against the number of traces")
    rows = [
        (each.name, f"{each.traces:,}", f"{each.leaking:,}", percent(each.upper), percent(each.adjusted) if each.recall else "–")
        for each in (held, *report.bounds)
    ]
    table = Table("Bounds at 95 %, one-sided, exact", ("Of", "#Traces", "#With a finding", "#At most", "#At most, by recall"), tuple(rows))
    return Panel("bound", title, "good" if not held.leaking else "bad", (f"{report.sentence}.",), chart=drawing, table=table)


def _is_report(file: Path) -> bool:
    with file.open("rb") as content:
        return _SCHEMA in content.read(_HEAD)
