"""Bounds for a population that is counted: of N traces n were read, and what was found in them says at most how many others leak.

Source: the hypergeometric distribution, inverted exactly (W. G. Cochran, Sampling Techniques, 3rd ed. 1977, section 3.6); for strata, a sum
of hypergeometrics is one of independent yes-or-no events, whose lower tail a Poisson of the same mean covers (W. Hoeffding, Annals of
Mathematical Statistics 27, 1956; D. W. Walkup, 1979).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, comb, exp, fsum, lgamma, log, log1p, perm, sqrt
from typing import Final

from audit.statistics import CONFIDENCE, Bound, check_recall, sample_to_rule_out, upper_bound

_SAMPLE_MAX: Final = 10_000_000
_EXACT: Final = 2_000
"""Up to so many drawn or leaking the sum is one of integers; above, of logarithms."""
_EDGE: Final = 1e-7
"""Probabilities summed in logarithms that come as near to alpha as this count as above it: the bound errs towards leaks."""


@dataclass(frozen=True, slots=True)
class Looked:
    """One stratum, as far as it was looked at.

    Args:
        name: of the stratum.
        population: traces it has.
        n: how many of them were looked at, drawn at random.
        found: how many of those leak, as far as could be seen.
    """

    name: str
    population: int
    n: int
    found: int


def largest_count(found: int, n: int, population: int, confidence: float = CONFIDENCE, *, recall: float = 1.0) -> int:
    """The largest number of leaking traces among ``population`` that ``found`` of ``n`` drawn does not rule out.

    Args:
        found: how many of those drawn leak, as far as could be seen.
        n: how many were drawn, without replacement.
        population: how many there are.
        confidence: one-sided.
        recall: the share of leaking traces that is seen as such when looked at, each on its own.

    Raises:
        ValueError: an argument is out of its range.
    """
    if not 0 <= found <= n <= population or not 0 < confidence < 1:
        msg = f"need 0 <= found <= n <= population and 0 < confidence < 1; got {found}, {n}, {population}, {confidence}"
        raise ValueError(msg)
    check_recall(recall)
    low, step = found, 1
    while low + step <= population and not _ruled_out(found, n, population, low + step, confidence, recall):
        low, step = low + step, step * 2
    high = min(population + 1, low + step)  # the first that is ruled out lies above low and at most here
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _ruled_out(found, n, population, middle, confidence, recall) else (middle, high)
    return low


def hypergeometric(found: int, n: int, population: int, confidence: float = CONFIDENCE, *, recall: float = 1.0) -> Bound:
    """`largest_count` as a labelled rate. Nothing counted: anything is possible."""
    most = largest_count(found, n, population, confidence, recall=recall)
    value = most / population if population else 1.0
    note = f"at most {most} of {population}" + ("" if recall == 1 else f"; each seen with recall {recall:.4g}")
    return Bound("hypergeometric", "one", confidence, n, found, population, value, note=note)


def sample_size(rate: float, confidence: float = CONFIDENCE, *, population: int = 0, allow: int = 0, recall: float = 1.0) -> int | None:
    """How many must be looked at so that at most ``allow`` leaks seen rule out a leak rate of ``rate`` or more.

    Args:
        rate: to rule out, above 0 and up to 1.
        confidence: one-sided.
        population: how many there are; 0 for a sample without end. In a counted population at least one leaking trace is ruled out.
        allow: leaks that may be seen.
        recall: the share of leaking traces that is seen as such.

    Returns:
        The number, or None where even looking at all once does not show it.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_recall(recall)
    if allow < 0 or population < 0 or not 0 < rate <= 1 or not 0 < confidence < 1:
        msg = f"need allow >= 0, population >= 0, 0 < rate <= 1, 0 < confidence < 1; got {allow}, {population}, {rate}, {confidence}"
        raise ValueError(msg)
    if not population:
        seen = rate * recall
        return _first(_SAMPLE_MAX, lambda n: n > allow and upper_bound(allow, n, confidence) < seen)
    if not allow and recall == 1:
        return sample_to_rule_out(population, rate, confidence)
    leaking = ceil(Fraction(str(rate)) * population)
    return _first(population, lambda n: _ruled_out(allow, n, population, leaking, confidence, recall))


def stratified(strata: Sequence[Looked], confidence: float = CONFIDENCE, *, recall: float = 1.0) -> Bound:
    """The bound on the share of leaking traces over all strata, whichever strata the leaks hide in.

    One stratum: `hypergeometric`. Several, nothing found and full recall: the exact worst case over every way of spreading the leaks. Else
    the Poisson bound on the number found, with leaks hiding where the fewest were drawn; it is never below the exact one.

    Args:
        strata: as far as they were looked at.
        confidence: one-sided, of the whole.
        recall: the share of leaking traces that is seen as such.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_recall(recall)
    counted = [each for each in strata if each.population]
    if any(not 0 <= each.found <= each.n <= each.population for each in counted) or not 0 < confidence < 1:
        msg = "need 0 <= found <= n <= population in each stratum and 0 < confidence < 1"
        raise ValueError(msg)
    population, n, found = sum(s.population for s in counted), sum(s.n for s in counted), sum(s.found for s in counted)
    if not population:
        return Bound("hypergeometric", "one", confidence, 0, 0, 0, 1.0, note="there is nothing to look at")
    if len(counted) == 1:
        return hypergeometric(found, n, population, confidence, recall=recall)
    if not found and recall == 1:
        most, method = _spread(counted, log(1 - confidence)), "stratified hypergeometric, exact worst case"
    else:
        most, method = _hidden(counted, _poisson_mean(found, confidence) / recall), "stratified, Poisson bound (Hoeffding)"
    most = min(population, max(most, found))
    note = f"at most {most} of {population} in {len(counted)} strata" + ("" if recall == 1 else f"; each seen with recall {recall:.4g}")
    return Bound(method, "one", confidence, n, found, population, most / population, note=note)


def estimated_rate(strata: Sequence[Looked]) -> float:
    """The estimated share of leaking traces: each one found stands for as many as it was drawn from (Horvitz and Thompson, 1952).

    A stratum of which nothing was looked at adds nothing; the bound says what that is worth.
    """
    population = sum(each.population for each in strata)
    return fsum(each.found * each.population / each.n for each in strata if each.n) / population if population else 0.0


def _first(last: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to last for which a condition that stays true once it is so holds, or None."""
    low, high = 0, 1
    while not holds(high):
        if high >= last:
            return None
        low, high = high, min(last, high * 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _ruled_out(found: int, n: int, population: int, leaking: int, confidence: float, recall: float) -> bool:
    """Whether so few leaks seen would be rarer than alpha if ``leaking`` of the population leaked."""
    few, many = sorted((n, leaking))  # the distribution is the same with the two exchanged
    least = max(0, n + leaking - population)
    if recall == 1:
        if found < least:
            return True
        if few <= _EXACT:
            met = sum(comb(few, k) * perm(many, k) * perm(population - many, few - k) for k in range(least, min(found, few) + 1))
            return met < (1 - Fraction(str(confidence))) * perm(population, few)
    whole = _log_comb(population, many)
    terms = []
    for k in range(least, few + 1):
        unseen = 1.0 if k <= found else _at_most(found, k, recall)
        if unseen:
            terms.append(unseen * exp(_log_comb(few, k) + _log_comb(population - few, many - k) - whole))
    return fsum(terms) < (1 - confidence) * (1 - _EDGE)


def _at_most(found: int, k: int, recall: float) -> float:
    """Probability that at most ``found`` of ``k`` leaks are seen."""
    if recall == 1:
        return 0.0
    return fsum(exp(_log_comb(k, i) + i * log(recall) + (k - i) * log1p(-recall)) for i in range(found + 1))


def _log_comb(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _spread(strata: Sequence[Looked], budget: float) -> int:
    """The most leaks that may all have been missed with a probability of at least alpha.

    One more leak in a stratum costs log(1 - n/(N - D)), each dearer than the one before, so the cheapest each time is the
    worst case.
    """
    heap = [(-log1p(-each.n / each.population), each.n, each.population, 0) for each in strata if each.n < each.population]
    heapq.heapify(heap)
    most, spent = 0, 0.0
    while heap:
        cost, n, population, placed = heapq.heappop(heap)
        spent += cost
        if -spent < budget - _EDGE:
            break
        most += 1
        left = population - placed - 1
        if n < left:
            heapq.heappush(heap, (-log1p(-n / left), n, population, placed + 1))
    return most


def _hidden(strata: Sequence[Looked], mean: float) -> int:
    """The most leaks of which on average no more than ``mean`` are drawn: they fill the strata of which the least was drawn first."""
    most = 0
    for share, population in sorted((each.n / each.population, each.population) for each in strata):
        fit = population if share * population <= mean else int(mean / share + _EDGE)
        most += fit
        mean -= fit * share
        if fit < population:
            break
    return most


def _poisson_mean(found: int, confidence: float) -> float:
    """The largest mean of a Poisson that so few do not rule out, and at least one more than was found, as Hoeffding's theorem asks."""
    low, high = float(found), found + 10.0 * sqrt(found + 1) - log(1 - confidence) + 10
    for _ in range(100):
        middle = (low + high) / 2
        below = fsum(exp(k * log(middle) - middle - lgamma(k + 1)) for k in range(found + 1)) if middle > 0 else 1.0
        low, high = (middle, high) if below > 1 - confidence else (low, middle)
    return max(high, found + 1.0)
