"""Whole reports to keep, sign, change and compare: every part filled in, agreeing with itself, of synthetic calls alone."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from audit import sample
from audit.assessment import rejudge
from audit.custody import Custody
from audit.evidence import Alerts, Canaries, Completeness, Cost, Fault, Lateness, Load, Rehearsal, Spans
from audit.findings import Finding
from audit.gates import ALERTS, Evidence, Judged, judge, load_gates
from audit.known_answers import KnownAnswers, Recall
from audit.manifest import CrossCheck, Manifest, TraceFacts
from audit.method import Method, Piece
from audit.population import Population
from audit.report.model import Report, Target, bound_of
from audit.review.outcome import Reviewer, ReviewOutcome
from audit.statistics import lower_bound
from audit.timeline import Histogram, Timeline
from audit.two_stage import recall_at_least
from audit.verdict import decide
from phi_guard.policy import shipped

TRACES = [str(uuid.UUID(int=n)) for n in range(1, 41)]
TOOLS = {f"tool.tool_{n}": 6 for n in range(6)}
SPANS = {"agent_turn": 200, "user_turn": 180, "voice_session": 40, **TOOLS}
TTFT = Histogram((0.0, 50.0), (150,), 150, 40.0, 45.0, 48.0, 49.0, 6000.0)
MADE_AT = "2026-11-20T12:00:00Z"
RULES = "5" * 64


def passed(gate):
    """The gate, proven by a number at its bar."""
    measured = None if gate.bar is None else gate.bar if gate.bound in {"at_least", "at_most"} else 0.0
    return Judged(gate, "proven", measured, "as it must be")


def finding(n=0, *, entity="PERSON", path="outputs.result.note", trace=0, fingerprint=""):
    """A finding in a trace."""
    return Finding(TRACES[trace], TRACES[trace], "tool.confirm_call", path, "text", entity, 3, 9, fingerprint or f"{n:016x}", "ner", "high")


def kept(*, findings=(), custody=None, made_at=MADE_AT):
    """A report of forty traces as it was scanned: NO-GO with findings, and without them waiting for people, so UNPROVEN."""
    findings = tuple(findings)
    held = (datetime.fromisoformat(made_at) - timedelta(days=1)).isoformat()
    gates = []
    for gate in load_gates(shipped("gates.yaml")):
        row = passed(gate) if gate.evidence != "review" else judge((gate,), Evidence())[0]
        if gate.name == "phi_findings":
            row = replace(row, measured=len(findings), state="failed" if findings else "proven")
        if gate.name == "twenty_clean_spans" and findings:  # they lie in a tool's span
            row = replace(row, measured=0, state="failed")
        gates.append(row)
    proof = KnownAnswers(
        7,
        (
            Recall("name", "written", 59, 59, recall_at_least(59, 59, 0)),
            Recall("phone", "written", 295, 294, recall_at_least(59, 295, 1)),
        ),
        synthetic=False,
    )
    leaking = {each.trace_id for each in findings}
    facts = [TraceFacts(trace, "none", "open", "1", "prod", 12) for trace in TRACES if trace not in leaking]
    return Report(
        Target("clinic-prod", "smith.example", "2026-11-13T12:00:00Z", MADE_AT, "clinic.yaml", "prod", "0" * 16, "0.9", made_at),
        decide(gates),
        tuple(gates),
        findings,
        Population(
            traces=40, runs=480, spans={"agent_turn": 200, "user_turn": 180, "voice_session": 40, **TOOLS}, digest="d" * 32, offered=480
        ),
        bound_of(40, len(leaking), proof.weakest),
        proof,
        Timeline(ttft_ms=TTFT, tools={"tool.confirm_call": 3}),
        "",
        notes=("made for a test",),
        manifest=Manifest({"project": "clinic-prod", "protocol": "v2"}, "smith.example", MADE_AT, 5, 0, 5, 1000, "a" * 64, "b" * 64),
        method=Method((Piece("patterns", "1", "c" * 64, 0.5),), "e" * 64, ("en",), ("inputs",), (), ("voice",)),
        cross_check=CrossCheck("/var/lib/relay", 480, 480, 0, 0),
        rehearsal=Rehearsal(
            100,
            Cost(20.0, 90.0, 400.0, 5000),
            Spans(1200, 1200, 0, adds_up=True),
            Lateness(210.0, 200.0),
            0,
            Canaries(50, 0),
            load=Load(10, 5.1),
            completeness=Completeness(100, 100, 100),
            ttft_error_ms=12.0,
            ttft_unpaired=0,
            in_call_record_us=Cost(20.0, 90.0, 400.0, 900),
            in_call_handler_us=Cost(20.0, 90.0, 400.0, 56_000),
            tracer_faults=0,
            unanswered_turns=0,
            faults=(Fault("relay_stands_still", 30.0, 3.0),),
            project="clinic-prod",
            env="prod",
            endpoint="smith.example",
            policy_digest="0" * 16,
            started_at=held,
            interrupted=False,
        ),
        alerts=Alerts(ALERTS, ALERTS, started_at=held, policies={"prod": "0" * 16}, rules={"prod": RULES}, false_alarms=0),
        selection=sample.draw(facts, n=10, seed=3, seed_by="given before reading"),
        custody=custody or Custody("ada@host", "f" * 16, 4, "1" * 64, "/mnt/anchor"),
        reproduce="phi-audit scan --project clinic-prod --seed 7",
        tools=TOOLS,
    )


def judged_by(report, policy, **target):
    """The report and the evidence in it, of another policy."""
    return replace(
        report,
        target=replace(report.target, policy_digest=policy, **target),
        rehearsal=replace(report.rehearsal, policy_digest=policy),
        alerts=replace(report.alerts, policies={report.target.env: policy}),
    )


def reviewed(report, *names, leaks=0):
    """The report with reviews of everything by so many people, naming the one it takes the place of; GO where two found nothing."""
    drawn = len(report.selection.trace_ids)
    people = tuple(Reviewer(name, MADE_AT, MADE_AT, drawn, leaks, 0, 10, 10, "9" * 64) for name in names)
    outcome = ReviewOutcome(
        report.digest, report.selection.sha256, people, drawn, drawn, drawn if len(names) > 1 else 0, leaks, 0, 1.0, 1.0,
        lower_bound(10, 10), 0.3,
    )  # fmt: skip
    return replace(rejudge(report, outcome), custody=replace(report.custody, supersedes=report.digest))


def later(days):
    """A moment after the reports were made."""
    return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(days=days)
