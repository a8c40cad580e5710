"""What to do next: for each gate that is not proven, the command that can prove it, in the order in which they are run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, log
from typing import Final

from audit.gates import Judged
from audit.report.model import Report
from audit.statistics import CONFIDENCE

REHEARSED: Final = (
    "phi-audit rehearse --calls 10 --minutes 5{env} --project {project} --keep-account account-rehearsed --format json -o rehearsal.json"
)
"""Of the environment that is judged, since a rehearsal of another proves nothing of it; into a project of its own, since its calls would be
strange to the account that the scan is given."""
REHEARSED_GATES: Final = (
    "load_test", "load_completeness", "ttft_error_ms", "canaries", "overhead_p99_us", "overhead_max_us", "loop_lateness_us",
    "agent_survives",
)  # fmt: skip
WATCHED_GATES: Final = ("monitored_hours", "stable", "alerts_clean")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Args:
        gates: the gates it is for; empty if for the verdict as a whole.
        do: what, in words.
        command: what to type; words in capitals are to be filled in; empty where no command does it.
    """

    gates: tuple[str, ...]
    do: str
    command: str = ""


def steps(report: Report) -> tuple[Step, ...]:
    """The steps from this verdict to the next, in order; those after GO are a person's signature and the switch."""
    if report.verdict.state == "GO":
        return _signed(report)
    return tuple(_steps(report, {judged.gate.name: judged for judged in report.gates if judged.state != "proven"}))


def _signed(report: Report) -> tuple[Step, ...]:
    found: list[Step] = []
    if not any(signature.role == "approver" for signature in report.signatures):
        sign = "phi-audit sign report.json --name NAME --role approver --key KEY -o signed.json"
        found.append(Step((), "Somebody who did not review signs for the verdict.", sign))
    found.append(Step((), "Whoever relies on it checks it first, offline.", "phi-audit verify signed.json"))
    found.append(Step((), "Telemetry may be turned on with it.", 'phi-audit switch on --reason "audit: GO" --report signed.json'))
    return tuple(found)


def _steps(report: Report, left: dict[str, Judged]) -> Iterator[Step]:
    leak, people = left.pop("phi_findings", None), left.pop("human_review", None)
    if leak is not None and leak.state == "failed":
        off = 'phi-audit switch off --reason "findings in an audit" --hold leak'
        yield Step((leak.gate.name,), "Stop sending until it is known what left; look at each finding where its trace is kept.", off)
        opened = "phi-audit incident open --report report.json --discovered TIME --zone ZONE"
        yield Step((leak.gate.name,), "If a value of a patient left, begin the record that the law asks for.", opened)
        yield Step((leak.gate.name,), "Delete the traces that hold it, and mend the policy.", "phi-audit purge report.json")
    if people is not None and people.state == "failed":
        do = "What people found is a leak: begin the record, and mend the policy."
        yield Step((people.gate.name,), do, "phi-audit incident open --report report.json --discovered TIME --zone ZONE")
    flags: list[str] = []
    played = tuple(name for name in REHEARSED_GATES if name in left)
    if played:
        again = "Rehearse again, with more calls, on a machine with nothing else to do." if report.rehearsal else ""
        failed = "Mend what the gates say, and rehearse again." if any(left[name].state == "failed" for name in played) else ""
        yield Step(
            played,
            failed or again or "Play calls with canaries in them through the whole pipe.",
            REHEARSED.format(env=_env(report), project=_rehearsed(report)),
        )
    if played or report.rehearsal:
        flags.append("--evidence rehearsal.json")
    if "alerts_fire" in left:
        do = "Make each alert fire and resolve, in a rehearsal that needs no keys and no network."
        yield Step(("alerts_fire",), do, "phi-audit alerts rehearse --format json -o alerts.json")
    if "alerts_fire" in left or report.alerts:
        flags.append("--evidence alerts.json")
    watched = tuple(name for name in WATCHED_GATES if name in left)
    there = "watch-again" if watched and report.monitoring else "watch"  # one that has ended is not gone on with
    rest = tuple(name for name in left if name not in watched)
    if leak is not None:
        rest = (leak.gate.name, *rest)
    if watched:
        do = "Watch it in operation for 48 hours; what it leaves is the evidence."
        broke = any(left[name].state == "failed" for name in watched)
        command = f"phi-audit watch{_project(report)}{_env(report)} --hours 48 -d {there}"
        yield Step(watched, f"Mend what broke. {do}" if broke else do, command)
    if watched or report.monitoring:
        flags.append(f"--evidence {there}/monitoring.json")
    if rest or watched or report.incomplete:
        yield Step(rest, " ".join(_scan_words(report, left)), _scan(report, left, flags))
    if people is not None:
        do = "Two people, each alone, decide every trace of the new report's sample."
        yield Step((people.gate.name,), do, "phi-audit review report.json --reviewer NAME -o NAME.json")
        taken = "phi-audit sign report.json --review ONE.json --review TWO.json --name NAME --role reviewer --key KEY -o reviewed.json"
        yield Step((people.gate.name,), "Their reviews are taken in, and the gates are judged again.", taken)


def _scan_words(report: Report, left: dict[str, Judged]) -> Iterator[str]:
    yield "Scan again, with all of that." if set(left) & {*REHEARSED_GATES, "alerts_fire"} else "Scan again."
    if report.incomplete:
        yield "This time everything must be read; --resume goes on with what was."
    if "accounted_for" in left or report.cross_check is not None:
        yield "STATE is the account of the relay that sent these traces: its state directory, or what --keep-account kept then."
    if "accounted_for" in left and report.cross_check is not None:
        yield "The window must begin after the relay's account does, and nothing may be missing from it."
    if "known_answer_recall" in left:
        yield f"With {plants(left)} plants of each class and style, all of them found, the bar can be shown."
    if set(left) & {"ten_complete_traces", "twenty_clean_spans", "tools_traced"}:
        yield "Widen the window or let more calls take place, with every tool."
    if "monthly_cost_usd" in left and left["monthly_cost_usd"].state == "unproven":
        yield "Add the deployments without a price to pricing.yaml first."
    if report.population.open:
        yield "Wait until the calls that are going on have ended."


def _scan(report: Report, left: dict[str, Judged], flags: list[str]) -> str:
    target = report.target
    words = ["phi-audit scan", f"--project {shlex.quote(target.project)}" if target.project else "--from EXPORT"]
    words += [f"--env {shlex.quote(target.env)}"] if target.env else []
    words += ["--resume"] if report.incomplete else []
    words += ["--account STATE"] if "accounted_for" in left or report.cross_check is not None else []
    words += [f"--known-answers {plants(left)}"] if "known_answer_recall" in left else []
    return " ".join([*words, *flags, "--format json -o report.json"])


def _env(report: Report) -> str:
    return f" --env {report.target.env}" if report.target.env in {"dev", "prod"} else ""


def _rehearsed(report: Report) -> str:
    return shlex.quote(f"{report.target.project}-rehearsed") if report.target.project else "PROJECT"


def _project(report: Report) -> str:
    return f" --project {shlex.quote(report.target.project)}" if report.target.project else ""


def plants(left: Mapping[str, Judged]) -> int:
    """The fewest that can show the bar when all are found: the smallest n of which bar**n is below what confidence leaves."""
    bar = left["known_answer_recall"].gate.bar or CONFIDENCE
    return ceil(log(1 - CONFIDENCE) / log(bar)) if 0 < bar < 1 else 1
