"""Whether a report agrees with itself: every number that follows from others is computed again. Pure.

A digest shows that a report was changed by somebody who did not compute it anew, and a signature that it is not the one that was signed.
This shows a report in which the parts contradict each other, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from audit import sample, statistics, verdict
from audit.gates import CHECKS, Evidence, Gate, Judged, judge
from audit.known_answers import KnownAnswers
from audit.person import fold
from audit.report.model import Bound, Report, evidence_of
from audit.report.scope import SAFE_HARBOR, STANDARDS
from audit.review.outcome import ReviewOutcome
from audit.standard import enforced
from audit.two_stage import EXTENSION, recall_at_least

_NEAR = 1e-6
"""Relative; the report's numbers are written with more digits than that."""

_NOT_AGAIN = frozenset({"redaction_tests", "free_plan", "monthly_cost_usd"})
"""Gates that are judged by more than a report holds."""


def check(report: Report) -> Iterator[str]:
    """Each contradiction, ``path: what``; nothing of any value."""
    yield from _of_verdict(report)
    for place, row in enumerate(report.gates):
        yield from _of_gate(f"gates[{place}]", row)
    yield from _of_evidence(report)
    yield from _of_findings(report)
    yield from _of_bounds(report)
    yield from _of_standard(report)
    if report.known_answers is not None:
        yield from _of_known_answers(report.known_answers)
    yield from _of_sample(report)
    if report.review is not None:
        yield from _of_review(report, report.review)


def _of_verdict(report: Report) -> Iterator[str]:
    follows = verdict.decide(report.gates, report.incomplete)
    if follows.state != report.verdict.state:
        yield f"verdict.state: is {report.verdict.state}, and {follows.state} follows from the gates"
    elif follows.reasons != report.verdict.reasons:
        yield "verdict.reasons: are not those of the gates"
    if report.verdict.state == "GO" and any(piece.name.startswith("without ") for piece in report.method.pieces):
        yield "verdict.state: is GO, and a layer of the detectors was left out"
    names = [row.gate.name for row in report.gates]
    if missing := sorted(set(CHECKS) - set(names)):
        yield f"gates: not all are judged: {', '.join(missing)}"
    if len(names) != len(set(names)):
        yield "gates: one is judged twice"
    evidence = Evidence(population=report.population, review=report.review, incomplete=report.incomplete)
    for row in report.gates:
        if row.gate.evidence == "review" and row != _judged(row.gate, evidence):
            yield f"gates: {row.gate.name}: is not what the reviews in this report come to"


def _of_gate(path: str, row: Judged) -> Iterator[str]:
    gate = row.gate
    if gate.bound and gate.bound not in {"at_most", "below", "at_least"}:
        yield f"{path}.bound: is none"
        return
    if row.state != "proven" or not gate.bound:
        return
    if row.measured is None or gate.bar is None:
        yield f"{path}.state: is proven, and nothing was measured against a bar"
        return
    reached = {"at_most": row.measured <= gate.bar, "below": row.measured < gate.bar, "at_least": row.measured >= gate.bar}
    if not reached[gate.bound]:
        yield f"{path}.state: is proven, and what was measured does not reach the bar"


def _of_evidence(report: Report) -> Iterator[str]:
    """Gates whose evidence stands in the report, judged again; those that need the policy's examples or the length of the window cannot."""
    evidence = evidence_of(report)
    for row in report.gates:
        if row.gate.name in _NOT_AGAIN:
            continue
        again = _judged(row.gate, evidence)
        if again is None or again.state != row.state:
            follows = again.state if again else "nothing"
            yield f"gates: {row.gate.name}.state: is {row.state}, and {follows} follows from the evidence in this report"


def _judged(gate: Gate, evidence: Evidence) -> Judged | None:
    """The gate judged again; None where it is no gate, or its numbers are none that evidence can have."""
    try:
        return judge((gate,), evidence)[0]
    except (ArithmeticError, LookupError, ValueError):
        return None


def _of_findings(report: Report) -> Iterator[str]:
    leaks, results = report.leaks, report.results
    leaking = min(len({finding.trace_id for finding in leaks}), report.population.traces)  # a row without a trace is in none of them
    exact = not report.unlisted
    if (leaking != report.bound.leaking) if exact else (leaking > report.bound.leaking):
        yield f"bound.leaking: is {report.bound.leaking}, and the findings lie in {leaking} traces"
    by_name = {row.gate.name: row for row in report.gates}
    counted = by_name.get("phi_findings")
    if counted is not None and counted.measured is not None and counted.measured != results.findings:
        yield f"gates: phi_findings.measured: is {counted.measured:g}, and there are {results.findings} findings"
    if counted is not None and counted.state == "proven" and results.findings:
        yield "gates: phi_findings.state: is proven, and there are findings"
    if results.scanned < 0 or report.unlisted < 0 or report.unscanned < 0:
        yield "results: more runs are left out than there are"


def _of_bounds(report: Report) -> Iterator[str]:
    population, bound = report.population, report.bound
    if bound.traces != population.traces:
        yield f"bound.traces: is {bound.traces}, and the population has {population.traces}"
    weakest = report.known_answers.weakest if report.known_answers else 0.0
    if not isclose(bound.recall, weakest, rel_tol=_NEAR, abs_tol=1e-9):
        yield "bound.recall: is not the weakest that the known answers show"
    yield from _of_bound("bound", bound)
    for place, further in enumerate(report.bounds):
        yield from _of_bound(f"bounds[{place}]", further)


def _of_bound(path: str, bound: Bound) -> Iterator[str]:
    if not 0 <= bound.leaking <= max(0, bound.traces):
        yield f"{path}.leaking: is not between 0 and the number of traces"
        return
    if bound.method.startswith("Clopper-Pearson"):
        upper = statistics.upper_bound(bound.leaking, bound.traces) if bound.traces else 1.0
        if bound.confidence == statistics.CONFIDENCE and not isclose(bound.upper, upper, rel_tol=_NEAR, abs_tol=1e-9):
            yield f"{path}.upper: is not what {bound.leaking} of {bound.traces} show"
    adjusted = min(1.0, bound.upper / bound.recall) if bound.recall else 1.0
    if not isclose(bound.adjusted, adjusted, rel_tol=_NEAR, abs_tol=1e-9):
        yield f"{path}.adjusted: is not the bound divided by the recall"


def _of_standard(report: Report) -> Iterator[str]:
    """Whether the policy meets what is claimed cannot be seen here; whether the traces were made under it can."""
    standard = report.scope.standard
    if standard not in STANDARDS:
        yield "scope.standard: is none that a report can have"
    elif standard == SAFE_HARBOR and not enforced(report.target.policy_digest, report.population):
        yield "scope.standard: is Safe Harbor, and not every trace was made under the policy"


def _of_known_answers(proof: KnownAnswers) -> Iterator[str]:
    """The design has one first stage for all rows, and a row may have gone on to the second: the number planted first is not written."""
    least = min((row.n for row in proof.rows), default=0)
    designs = [list(_of_design(proof, first)) for first in (least, least // EXTENSION)]
    yield from min(designs, key=len)


def _of_design(proof: KnownAnswers, first: int) -> Iterator[str]:
    for place, row in enumerate(proof.rows):
        path = f"known_answers.rows[{place}]"
        try:
            shown = recall_at_least(first, row.n, row.n - row.found)
        except ValueError:
            yield f"{path}: {row.found} of {row.n} cannot come out of the design"
            continue
        if not isclose(row.at_least, shown, rel_tol=_NEAR, abs_tol=1e-9):
            yield f"{path}.at_least: is not what {row.found} of {row.n} show"


def _of_sample(report: Report) -> Iterator[str]:
    if report.selection is not None:
        yield from (f"selection: {fault}" for fault in sample.check(report.selection))


def _of_review(report: Report, review: ReviewOutcome) -> Iterator[str]:
    if review.report_sha256 != report.custody.supersedes:
        yield "review.report_sha256: is not the report that this one takes the place of (custody.supersedes)"
    if report.selection is None:
        yield "review: there is none without a sample"
    elif review.selection_sha256 != report.selection.sha256:
        yield "review.selection_sha256: is of another sample"
    elif review.traces != len(report.selection.trace_ids):
        yield f"review.traces: is {review.traces}, and {len(report.selection.trace_ids)} were drawn"
    for place, each in enumerate(review.reviewers):
        if not (0 <= each.leaks + each.unsure <= each.decided <= review.traces and 0 <= each.planted_found <= each.planted):
            yield f"review.reviewers[{place}]: what was decided does not add up"
    if not 0 <= review.twice <= review.decided <= review.traces or not 0 <= review.leaking <= review.decided:
        yield "review: what was decided does not add up"
    yield from _of_reviewers(review)


def _of_reviewers(review: ReviewOutcome) -> Iterator[str]:
    planted, found = sum(each.planted for each in review.reviewers), sum(each.planted_found for each in review.reviewers)
    if not isclose(review.recall, found / planted if planted else 0.0, rel_tol=_NEAR, abs_tol=1e-9):
        yield "review.recall: is not the share of the known answers that were found"
    sane = [each for each in review.reviewers if 0 <= each.planted_found <= each.planted]
    weakest = min((statistics.lower_bound(each.planted_found, each.planted) for each in sane), default=0.0)
    if not isclose(review.recall_at_least, weakest, rel_tol=_NEAR, abs_tol=1e-9):
        yield "review.recall_at_least: is not what the known answers of the weakest reviewer show"
    if len({fold(each.name) for each in review.reviewers}) != len(review.reviewers):
        yield "review.reviewers: one stands in it twice"
