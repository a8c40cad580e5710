"""What reviews come to: how much was looked at, by whom, what they found, and how far they can be relied on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One reviewer's part.

    Args:
        name: as the reviewer gave it.
        began: ISO 8601.
        ended: ISO 8601.
        decided: sampled traces decided.
        leaks: of those, how many the reviewer says hold something.
        unsure: of those, how many were left undecided.
        planted: known answers that stood among them.
        planted_found: those of them that the reviewer marked.
        file_sha256: of the review's file.
    """

    name: str
    began: str
    ended: str
    decided: int
    leaks: int
    unsure: int
    planted: int
    planted_found: int
    file_sha256: str


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """All reviews of one report.

    Args:
        report_sha256: digest of the report that was reviewed.
        selection_sha256: of the sample.
        reviewers: in the order of their files.
        traces: sampled traces.
        decided: traces that at least one reviewer decided.
        twice: traces that two or more decided.
        leaking: traces that any reviewer says hold something.
        disagreements: traces on which reviewers differ.
        kappa: Cohen's, over traces and known answers that two reviewers both decided; None where it is not defined.
        recall: share of the known answers found, pooled; 0.0 where none were planted.
        recall_at_least: its one-sided 95 % lower bound.
        upper: one-sided 95 % upper bound on the share of leaking traces among those the machine found clean; hypergeometric, by stratum
            where the sample is stratified, divided by `recall_at_least`, at most 1.0.
        why: what is missing for it to count, in words; empty if nothing is.
    """

    report_sha256: str
    selection_sha256: str
    reviewers: tuple[Reviewer, ...]
    traces: int
    decided: int
    twice: int
    leaking: int
    disagreements: int
    kappa: float | None
    recall: float
    recall_at_least: float
    upper: float
    why: str = ""
