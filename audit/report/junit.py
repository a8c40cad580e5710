"""The report as JUnit XML, for a build server: a test case for each gate, and one for each class of findings."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from audit.report.model import Report
from audit.report.parts import counted

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def render(report: Report) -> str:
    """One suite for the gates, one for the findings. A gate without its evidence is an error, not a failure; neither passes."""
    at = report.target.made_at.removesuffix("Z")
    gates = []
    for judged in report.gates:
        told = {"failed": "failure", "unproven": "error"}.get(judged.state)
        gates.append(_case("phi-audit.gates", judged.gate.name, told, judged.state, judged.why, judged.gate.asks))
    if report.incomplete:
        gates.append(_case("phi-audit.gates", "census_whole", "error", "incomplete", report.incomplete, "The census is whole"))
    classes = Counter((f.entity, f.span, f.place) for f in report.leaks)
    found = [
        _case(
            "phi-audit.findings", f"{entity} in {span}", "failure", entity, f"{counted(n, 'finding')} in {place}s of {span}", "No finding"
        )
        for (entity, span, place), n in sorted(classes.items())
    ]
    if report.unlisted:
        found.append(_case("phi-audit.findings", "unlisted", "failure", "unlisted", counted(report.unlisted, "more finding"), "No finding"))
    if not found and report.population.runs and not report.incomplete:
        found.append(_case("phi-audit.findings", "none", None, "", "", ""))
    suites = (_suite("gates", gates, at), _suite("findings", found, at))
    properties = "".join(
        f"<property name={_quoted(name)} value={_quoted(value)}/>"
        for name, value in (("digest", report.digest), ("verdict", report.verdict.state), ("audit", report.id))
    )
    total, failures, errors = (sum(case.count(tag) for case in (*gates, *found)) for tag in ("<testcase ", "<failure ", "<error "))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name={_quoted("phi-audit " + report.target.project)} tests="{total}" failures="{failures}" errors="{errors}">\n'
        + suites[0].replace("\n", f"\n<properties>{properties}</properties>\n", 1)
        + suites[1]
        + "</testsuites>\n"
    )


def _suite(name: str, cases: list[str], at: str) -> str:
    failures, errors = (sum(f"<{tag} " in case for case in cases) for tag in ("failure", "error"))
    head = f'<testsuite name="{name}" tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="0" timestamp={_quoted(at)}>\n'
    return head + "".join(cases) + "</testsuite>\n"


def _case(suite: str, name: str, told: str | None, kind: str, why: str, asks: str) -> str:
    head = f"<testcase classname={_quoted(suite)} name={_quoted(name)}"
    if told is None:
        return f"{head}/>\n"
    return f"{head}><{told} type={_quoted(kind)} message={_quoted(why)}>{escape(_clean(asks))}</{told}></testcase>\n"


def _quoted(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
