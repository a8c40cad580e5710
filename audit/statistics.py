"""Exact bounds for rates seen in samples: what zero findings in n traces may be called, and what n plants caught says about recall.

Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934). Bounds are one-sided unless they say otherwise. No approximation is used:
the rule of three is too rough below thirty. `audit.finite` bounds a population that is counted, `audit.repeated` one that is looked at
again and again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, exp, fsum, lgamma, log, log1p, prod
from typing import Final, Literal

CONFIDENCE: Final = 0.95
_HALVINGS: Final = 80  # an interval of width 1 is halved below the spacing of doubles


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound on a rate, with all that a reader needs to compute it again.

    Args:
        method: how it was computed, with its name in the literature.
        sides: ``one`` (the rate is at most `value`) or ``two`` (it lies from `low` to `value`).
        level: confidence, above 0 and below 1.
        n: how many were looked at.
        found: how many of them had the property.
        population: how many there are in all; 0 where they are taken for a sample without end.
        value: the upper end, 0 to 1.
        low: the lower end, 0 to 1; 0.0 where one-sided.
        note: what else went into it, in words.
    """

    method: str
    sides: Literal["one", "two"]
    level: float
    n: int
    found: int
    population: int
    value: float
    low: float = 0.0
    note: str = ""


def clopper_pearson(found: int, n: int, confidence: float = CONFIDENCE, *, sides: Literal["one", "two"] = "one") -> Bound:
    """The exact bound on a rate, labelled. Two-sided, half of what may fail is given to each end. Arguments as `upper_bound`."""
    if sides == "one":
        return Bound("Clopper-Pearson", "one", confidence, n, found, 0, upper_bound(found, n, confidence))
    each = (1 + confidence) / 2
    return Bound("Clopper-Pearson", "two", confidence, n, found, 0, upper_bound(found, n, each), lower_bound(found, n, each))


def adjusted(found: int, n: int, recall: float, confidence: float = CONFIDENCE) -> Bound:
    """The bound where whoever looks sees a leak only with a recall that is known: exact, since what is seen has the rate times recall.

    Args:
        found: how many had the property, as far as could be seen.
        n: how many were looked at.
        recall: the share that is seen, above 0 and up to 1.
        confidence: one-sided.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_recall(recall)
    value = min(1.0, upper_bound(found, n, confidence) / recall)
    return Bound("Clopper-Pearson, divided by recall", "one", confidence, n, found, 0, value, note=f"recall {recall:.4g}")


def adjusted_by_plants(found: int, n: int, caught: int, planted: int, confidence: float = CONFIDENCE) -> Bound:
    """The bound where recall itself is only known from plants: half of what may fail is given to each of the two (Bonferroni).

    Both the bound on what is seen and the lower bound of recall hold together with at least this confidence, so their quotient does.

    Args:
        found: how many had the property, as far as could be seen.
        n: how many were looked at.
        caught: plants that were found.
        planted: plants.
        confidence: one-sided, of the quotient.

    Raises:
        ValueError: an argument is out of its range.
    """
    each = (1 + confidence) / 2
    recall = lower_bound(caught, planted, each)
    value = min(1.0, upper_bound(found, n, each) / recall) if recall else 1.0
    note = f"recall at least {recall:.4g} by {caught} of {planted} plants; each part at {each:.4g} (Bonferroni)"
    return Bound("Clopper-Pearson, divided by the lower bound of recall", "one", confidence, n, found, 0, value, note=note)


def upper_bound(found: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The largest rate that ``found`` of ``n`` does not rule out; 1.0 when nothing was looked at.

    Args:
        found: how many had the property, 0 to n.
        n: how many were looked at.
        confidence: one-sided, above 0 and below 1.

    Raises:
        ValueError: the counts or the confidence are impossible.
    """
    _check(found, n, confidence)
    if found == n:
        return 1.0
    alpha = 1 - confidence
    if found == 0:
        return float(1 - alpha ** (1 / n))
    return _bisect(lambda rate: _tail(n, rate, 0, found) > alpha)


def lower_bound(found: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The smallest rate that ``found`` of ``n`` does not rule out; 0.0 when nothing was looked at. Arguments as `upper_bound`."""
    _check(found, n, confidence)
    if found == 0:
        return 0.0
    alpha = 1 - confidence
    if found == n:
        return float(alpha ** (1 / n))
    if 2 * found > n:
        return _bisect(lambda rate: _tail(n, rate, found, n) < alpha)
    return _bisect(lambda rate: 1 - _tail(n, rate, 0, found - 1) < alpha)  # the shorter of the two tails is summed


def sample_to_rule_out(population: int, rate: float, confidence: float = CONFIDENCE) -> int:
    """How many of a finite population must be looked at, none of them leaking, to rule out ``rate`` or more of it leaking.

    Args:
        population: how many there are.
        rate: the leak rate to rule out, above 0 and up to 1; at least one leaking member is assumed.
        confidence: one-sided.

    Raises:
        ValueError: an argument is out of its range.
    """
    if population < 1 or not 0 < rate <= 1 or not 0 < confidence < 1:
        msg = f"need population >= 1, 0 < rate <= 1, 0 < confidence < 1; got {population}, {rate}, {confidence}"
        raise ValueError(msg)
    alpha = 1 - Fraction(str(confidence))
    leaking = ceil(Fraction(str(rate)) * population)
    whole = prod(population - i for i in range(leaking))

    def misses_too_often(n: int) -> bool:
        return prod(max(0, population - n - i) for i in range(leaking)) >= alpha * whole

    low, high = 0, population
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if misses_too_often(middle) else (low, middle)
    return low


def check_recall(recall: float) -> None:
    """Refuse a recall that is none. Raises ValueError."""
    if not 0 < recall <= 1:
        msg = f"need 0 < recall <= 1; got {recall}"
        raise ValueError(msg)


def _check(found: int, n: int, confidence: float) -> None:
    if n < 0 or not 0 <= found <= n or not 0 < confidence < 1:
        msg = f"need 0 <= found <= n and 0 < confidence < 1; got {found}, {n}, {confidence}"
        raise ValueError(msg)


def _tail(n: int, rate: float, first: int, last: int) -> float:
    """Probability of ``first`` to ``last`` successes out of ``n``, summed exactly enough in logarithms."""
    if rate <= 0.0:
        return 1.0 if first == 0 else 0.0
    if rate >= 1.0:
        return 1.0 if last == n else 0.0
    yes, no, whole = log(rate), log1p(-rate), lgamma(n + 1)
    return fsum(exp(whole - lgamma(k + 1) - lgamma(n - k + 1) + k * yes + (n - k) * no) for k in range(first, last + 1))


def _bisect(too_low: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)
    return (low + high) / 2
