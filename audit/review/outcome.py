"""What reviews come to: how much was looked at, by whom, what they found, and how far they can be relied on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Final

from audit.finite import Looked, stratified
from audit.person import fold
from audit.review.record import Review, ReviewError, Said
from audit.sample import Selection
from audit.statistics import CONFIDENCE, lower_bound

REVIEWERS: Final = 2
"""People who must look: one alone saw 95.9 % of what there was, teams of three 99.8 % (D. A. Dorr et al., Methods of Information in
Medicine 45, 2006)."""
PLANTED_LEAST: Final = 10
"""Known answers a reviewer must have met before the recall says anything."""


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
        kappa: Cohen's, over traces and known answers that two reviewers both decided, the lowest of any two; None where it is not defined.
        recall: share of the known answers found, pooled; 0.0 where none were planted.
        recall_at_least: one-sided 95 % lower bound of the weakest reviewer's recall; 0.0 where none were planted.
        upper: one-sided 95 % upper bound on the share of leaking traces among those the machine found clean; hypergeometric, by stratum
            where the sample is stratified, each leak seen with the recall that the known answers show; see `join`.
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


def join(reviews: Sequence[Review], selection: Selection, *, report_sha256: str = "") -> ReviewOutcome:
    """What these reviews come to.

    The upper bound takes each part at 97.5 %, so that the whole holds at 95 % (Bonferroni): the recall by the known answers of the weakest
    reviewer, and the leaks over the strata. A trace left unsure counts as leaking there; one that nobody decided, as not looked at.

    Args:
        reviews: ended reviews, of different people.
        selection: the report's sample.
        report_sha256: the report's digest; empty takes the first review's.

    Raises:
        ReviewError: there is none, or one has not ended, is of another report or sample, or is of somebody who has one already.
    """
    _refuse_strangers(reviews, selection, report_sha256)
    said: dict[str, list[Said]] = {}
    for review in reviews:
        for decision in review.decisions:
            said.setdefault(decision.item, []).append(decision.said)
    planted, found = sum(len(r.planted) for r in reviews), sum(p.found for r in reviews for p in r.planted)
    weakest = min(reviews, key=lambda r: _recall(r, CONFIDENCE))
    each = (1 + CONFIDENCE) / 2
    strata = _looked(selection, said)
    recall = _recall(weakest, each)
    upper = stratified(strata, each, recall=recall).value if recall and said else 1.0
    pairs = [kappa(_said(one), _said(other)) for one, other in combinations(reviews, 2)]
    known = [value for value in pairs if value is not None]
    return ReviewOutcome(
        reviews[0].report_sha256, selection.sha256, tuple(_reviewer(review) for review in reviews), len(selection.trace_ids),
        len(said), sum(len(words) > 1 for words in said.values()), sum("leak" in words for words in said.values()),
        sum(len(set(words)) > 1 for words in said.values()), min(known, default=None),
        found / planted if planted else 0.0, _recall(weakest, CONFIDENCE), upper,
        "; ".join(_missing(reviews, selection, said)),
    )  # fmt: skip


def kappa(one: Mapping[str, str], other: Mapping[str, str]) -> float | None:
    """Cohen's kappa over what both decided: agreement beyond chance. None where chance alone would always agree.

    Source: J. Cohen, Educational and Psychological Measurement 20 (1960): (p_o - p_e) / (1 - p_e).

    Args:
        one: what one reviewer said, by item.
        other: what the other said.
    """
    both = sorted(one.keys() & other.keys())
    if not both:
        return None
    agreed = Fraction(sum(one[item] == other[item] for item in both), len(both))
    first, second = Counter(one[item] for item in both), Counter(other[item] for item in both)
    chance = Fraction(sum(first[word] * second[word] for word in first), len(both) ** 2)
    return None if chance == 1 else float((agreed - chance) / (1 - chance))


def _refuse_strangers(reviews: Sequence[Review], selection: Selection, report_sha256: str) -> None:
    if not reviews:
        msg = "there is no review to join"
        raise ReviewError(msg)
    report_sha256 = report_sha256 or reviews[0].report_sha256
    names: set[str] = set()
    for n, review in enumerate(reviews, 1):
        at = f"review {n}"
        if review.report_sha256 != report_sha256:
            raise ReviewError(f"{at}: is of another report; review this one")
        if review.selection_sha256 != selection.sha256:
            raise ReviewError(f"{at}: is of another sample; review this report's")
        if not review.ended:
            raise ReviewError(f"{at}: has not ended; go on with `phi-audit review` and end it")
        if fold(review.reviewer) in names:
            raise ReviewError(f"{at}: is of somebody who has one already; another person must review")
        if not {decision.item for decision in review.decisions} <= set(selection.trace_ids):
            raise ReviewError(f"{at}: decides traces that are not in the sample")
        names.add(fold(review.reviewer))


def _looked(selection: Selection, said: Mapping[str, Sequence[Said]]) -> list[Looked]:
    """The strata as people saw them; unsure counts as leaking."""
    seen, leaking = Counter[int](), Counter[int]()
    for trace, home in zip(selection.trace_ids, selection.homes or (0,) * len(selection.trace_ids), strict=True):
        seen[home] += trace in said
        leaking[home] += "leak" in said.get(trace, ()) or "unsure" in said.get(trace, ())
    return [Looked(stratum.name, stratum.traces, seen[n], leaking[n]) for n, stratum in enumerate(selection.strata)]


def _recall(review: Review, confidence: float) -> float:
    return lower_bound(sum(plant.found for plant in review.planted), len(review.planted), confidence)


def _said(review: Review) -> Mapping[str, str]:
    """All that a reviewer said. A known answer's token and a trace's id cannot be equal."""
    return {decision.item: decision.said for decision in review.decisions} | {plant.item: plant.said for plant in review.planted}


def _reviewer(review: Review) -> Reviewer:
    said = Counter(decision.said for decision in review.decisions)
    return Reviewer(
        review.reviewer, review.began, review.ended, len(review.decisions), said["leak"], said["unsure"], len(review.planted),
        sum(plant.found for plant in review.planted), review.sha256,
    )  # fmt: skip


def _missing(reviews: Sequence[Review], selection: Selection, said: Mapping[str, Sequence[Said]]) -> Iterator[str]:
    if len(reviews) < REVIEWERS:
        yield f"{len(reviews)} of {REVIEWERS} reviewers"
    if left := len(set(selection.trace_ids) - said.keys()):
        yield f"{left} of {len(selection.trace_ids)} sampled traces decided by nobody"
    elif left := sum(len(words) < REVIEWERS for words in said.values()):
        yield f"{left} of {len(selection.trace_ids)} sampled traces decided by one reviewer alone"
    if unsure := sum("unsure" in words for words in said.values()):
        yield f"{unsure} left unsure"
    if differ := sum(len(set(words)) > 1 for words in said.values()):
        yield f"on {differ} the reviewers differ"
    for n, review in enumerate(reviews, 1):
        if len(review.planted) < PLANTED_LEAST:
            yield f"reviewer {n} met {len(review.planted)} of {PLANTED_LEAST} known answers"
