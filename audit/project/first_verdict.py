"""The first verdict: three played calls under the project's own policy, on this machine, scanned and judged in under a minute."""

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
from audit.rehearsal.rehearsal import rehearse
from audit.rehearsal.serving import run_store
from audit.report import Report, render
from audit.source import Window, open_source
from phi_guard.policy import load_policy, shipped

CALLS: Final = 3
KNOWN_ANSWERS: Final = 3
"""Plants of each class and style: enough to see that the detectors work, too few to show a recall of 95 %, which takes 59."""
PROJECT: Final = "first-verdict"
"""A project of its own: nothing of it is taken for a call."""


@dataclass(frozen=True, slots=True)
class FirstVerdict:
    """What came of it.

    Args:
        report: of the scan.
        page: the report as a page.
        problems: what went wrong in the rehearsal; empty where nothing did.
    """

    report: Report
    page: Path
    problems: tuple[str, ...]


def reach_verdict(directory: Path, policy: Path, say: Callable[[str], None], seed: int = 1) -> FirstVerdict:
    """Play calls, send them through the gate to a local trace store, scan what arrived, and judge it.

    Args:
        directory: where everything is left.
        policy: what the calls are gated by and the traces judged by.
        say: told what is going on.
        seed: of the callers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    begun = datetime.now(UTC)
    with run_store(directory / "traces.sqlite3") as url:
        evidence = rehearse(
            invent_calls(CALLS, seed), at_once=CALLS, say=say, project=PROJECT, env="dev", policy=str(policy), endpoint=url,
            api_key="local", measure=False, keep_account=directory / "account",
        )  # fmt: skip
        path = directory / "rehearsal.json"
        path.write_text(json.dumps(evidence.as_json(), indent=2) + "\n", encoding="utf-8")
        say("the scan proves itself and reads every trace")
        now = datetime.now(UTC)
        window = Window(begun, now + timedelta(minutes=1))
        source = open_source(project=PROJECT, window=window, file=None, endpoint=url, api_key="local")
        plan = Plan(
            load_policy(policy, env="dev"), PROJECT, secrets.randbelow(2**32), KNOWN_ANSWERS, since=window.since, until=window.until
        )
        beside = Beside(load_rehearsal(path), account=directory / "account" / OUTBOX, sample=2)
        done = assess(source, plan, load_gates(shipped("gates.yaml")), open_detectors, now=now, beside=beside)
    for name, fmt in (("report.json", "json"), ("report.html", "html")):
        made = render(done.report, fmt, done.census.values)
        (directory / name).write_bytes(made.encode() if isinstance(made, str) else made)
    return FirstVerdict(done.report, directory / "report.html", tuple(evidence.problems))
