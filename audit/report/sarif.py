"""The report as SARIF 2.1.0, for code hosts and their dashboards. Places are logical: a trace, a run, a path; there is no file.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import json
from typing import Final

from audit.findings import Finding
from audit.report import wire
from audit.report.model import Report

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {"high": "error", "medium": "warning", "low": "note"}


def render(report: Report) -> str:
    """One run of the tool; its invocation says whether it came to an end."""
    rules = sorted({_rule(f) for f in report.findings})
    number = {rule: i for i, rule in enumerate(rules)}
    whole = not report.incomplete and bool(report.population.runs)
    said = [f"{report.verdict.state}: {reason}" for reason in report.verdict.reasons] or [report.verdict.state]
    invocation = {
        "executionSuccessful": whole,
        "exitCode": report.verdict.exit_code,
        "toolExecutionNotifications": [{"level": "note" if whole else "error", "message": {"text": text}} for text in said],
    }
    if report.target.made_at.endswith("Z"):
        invocation["endTimeUtc"] = report.target.made_at
    run = {
        "tool": {
            "driver": {
                "name": "phi-audit",
                "version": report.target.version,
                "rules": [{"id": rule, "shortDescription": {"text": _asks(rule)}} for rule in rules],
            }
        },
        "automationDetails": {"id": f"phi-audit/{report.target.project or report.target.place}/{report.id}"},
        "invocations": [invocation],
        "properties": {
            "digest": report.digest,
            "verdict": report.verdict.state,
            "bound": wire.plain(report.bound),
            "sentence": report.sentence,
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(f, number) for f in report.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> str:
    return f"{finding.entity}/{finding.source}"


def _asks(rule: str) -> str:
    entity, _, source = rule.partition("/")
    return f"{entity}, told by {source}: no such value may stand in a trace"


def _result(finding: Finding, number: dict[str, int]) -> dict[str, object]:
    rule = _rule(finding)
    where = f"{finding.trace_id}/{finding.run_id}#{finding.path}"
    return {
        "ruleId": rule,
        "ruleIndex": number[rule],
        "level": LEVELS.get(finding.severity, "warning"),
        "message": {"text": f"{finding.entity} of {finding.length} characters in {finding.span}, {finding.path}"},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": f"trace/{where}", "name": finding.path, "kind": "member"}]}],
        "partialFingerprints": {"phiAudit/v1": f"{finding.fingerprint}:{finding.path}"},
        "properties": {"severity": finding.severity, "place": finding.place, "start": finding.start, "length": finding.length},
    }
