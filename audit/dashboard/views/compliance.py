"""The compliance page: the last verdict, what was redacted, the switch, the ledger, the audit's own log, and what was accepted.

It reads files and raises nothing for them: what is missing or broken is said, with the command that mends it. It shows no value of a trace.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from audit.calls.index import CallIndex, Choice
from audit.dashboard.views.accounts import account_panel, ledger
from audit.dashboard.views.controls import accepted, coverage, log_panel, switch_panel
from audit.dashboard.views.parts import Panel
from audit.dashboard.views.verdict import VerdictView, bound, findings, gates, last_verdict, looked_at, view_of
from phi_guard.policy.compiled import Policy
from phi_guard.switch import SwitchState

__all__ = ["ComplianceView", "VerdictView", "compliance", "last_verdict"]


@dataclass(frozen=True, slots=True)
class ComplianceView:
    """All of the page; see the parts."""

    verdict: VerdictView
    gates: Panel
    findings: Panel
    bound: Panel
    coverage: Panel
    switch: Panel
    ledger: Panel
    account: Panel
    log: Panel
    accepted: Panel

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All but the verdict, in order."""
        return (self.gates, self.findings, self.bound, self.coverage, self.switch, self.ledger, self.account, self.log, self.accepted)


def compliance(
    report_path: Path | None,
    log_dir: Path | None,
    switch: Callable[[], SwitchState] | None,
    account: Path | None,
    index: CallIndex,
    choice: Choice,
    policy: Policy | None,
    *,
    now: datetime,
    trust: Path | None = None,
    anchor: Path | None = None,
    baseline: Path | None = None,
) -> ComplianceView:
    """The page.

    Args:
        report_path: a report's JSON, or a directory whose newest report counts; None for none.
        log_dir: where the audit's log is; None for none.
        switch: tells the switch's state, such as ``open_switch().state``; None where it is not known.
        account: the relay's state directory or outbox, or None.
        index: the calls.
        choice: which of them.
        policy: whose fields are held against what was redacted; None where it could not be loaded.
        now: with a zone.
        trust: the list of trusted keys; None for the one in the audit's directory.
        anchor: the copy of the log's heads, or None.
        baseline: the file of accepted findings, or None: those of the report alone.
    """
    file, checked, why = looked_at(report_path, now, trust)
    report = checked.report if checked is not None else None
    return ComplianceView(
        verdict=view_of(file, checked, why, now),
        gates=gates(report),
        findings=findings(report),
        bound=bound(report),
        coverage=coverage(index.redactions(choice), policy),
        switch=switch_panel(switch, now),
        ledger=ledger(index, choice),
        account=account_panel(account, report.cross_check if report is not None else None),
        log=log_panel(log_dir, anchor),
        accepted=accepted(baseline, report, now),
    )
