"""The demo: everything the product does, on one machine, without a key or a network, left in one directory to be looked at."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from audit.assessment import Beside, assess
from audit.census import Plan
from audit.crosscheck import OUTBOX
from audit.detectors import open_detectors
from audit.evidence import load_rehearsal
from audit.gates import load_gates
from audit.rehearsal.conversation import invent_calls
from audit.rehearsal.measured import Evidence
from audit.rehearsal.rehearsal import rehearse
from audit.rehearsal.serving import run_store
from audit.rehearsal.tree import draw_tree
from audit.report import Report, render
from audit.source import Window, open_source
from phi_guard.policy import load_policy, shipped

PROJECT: Final = "medical-voice-agent-dev"
CALLS: Final = 3
KEY: Final = "local"


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo made.

    Args:
        evidence: of the rehearsal.
        report: of the scan.
        table: the report as text.
        tree: one call's trace, line by line.
        files: what was left where, by what it is.
    """

    evidence: Evidence
    report: Report
    table: str
    tree: list[str]
    files: dict[str, Path]


def show(directory: Path, *, seed: int, known_answers: int, say: Callable[[str], None], width: int = 100, colour: bool = False) -> Demo:
    """Play, scan, judge, and write the report.

    Args:
        directory: where everything is left.
        seed: of the callers.
        known_answers: plants of each class and style the scan must find first.
        say: told what is going on.
        width: columns of the table.
        colour: ANSI colour in it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {
        "traces (SQLite)": directory / "traces.sqlite3",
        "rehearsal (JSON)": directory / "rehearsal.json",
        "relay's account (SQLite)": directory / "account" / OUTBOX,
        "report (JSON)": directory / "report.json",
        "report (HTML)": directory / "report.html",
    }
    begun = datetime.now(UTC)
    say("the local trace store starts")
    with run_store(files["traces (SQLite)"]) as url:
        account = directory / "account"
        evidence = rehearse(
            invent_calls(CALLS, seed),
            at_once=CALLS,
            say=say,
            project=PROJECT,
            env="dev",
            policy=str(shipped("clinic.yaml")),
            endpoint=url,
            api_key=KEY,
            keep_account=account,
        )
        files["rehearsal (JSON)"].write_text(json.dumps(evidence.as_json(), indent=2) + "\n", encoding="utf-8")
        say("the scan proves itself and reads every trace")
        now = datetime.now(UTC)
        window = Window(begun, now + timedelta(minutes=1))  # this demo's calls and no others; the account cannot speak for those
        source = open_source(project=PROJECT, window=window, file=None, endpoint=url, api_key=KEY)
        policy = load_policy(shipped("clinic.yaml"), env="dev")
        plan = Plan(policy, PROJECT, secrets.randbelow(2**32), known_answers, since=window.since, until=window.until)
        rehearsal = load_rehearsal(files["rehearsal (JSON)"])
        beside = Beside(rehearsal, account=account, sample=2)
        done = assess(source, plan, load_gates(shipped("gates.yaml")), open_detectors, now=now, beside=beside)
        tree = draw_tree(source.runs(), evidence.trace_ids[0])
    values = done.census.values
    table = render(done.report, "table", values, width=width, colour=colour)
    files["report (JSON)"].write_text(render(done.report, "json", values), encoding="utf-8")
    files["report (HTML)"].write_text(render(done.report, "html", values), encoding="utf-8")
    return Demo(evidence, done.report, table, tree, files)
