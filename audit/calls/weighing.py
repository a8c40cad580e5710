"""What traces stand for where only a share of the calls is sent: estimates that are right on average, and bounds that hold.

The relay draws whole calls. What failed, was slow or lost something is always sent; of the rest a share is, and each root tells with which
chance. A count in which each trace weighs one over its chance is right on average, whatever was drawn: D. G. Horvitz and D. J. Thompson,
Journal of the American Statistical Association 47 (1952).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, exp, fsum, lgamma, log, log1p
from typing import Final

from audit.statistics import CONFIDENCE, Bound, clopper_pearson, lower_bound, upper_bound

SMALLEST: Final = 1e-4
"""Chance below which a call weighs no more. The relay takes no smaller rate; one trace must not stand for more calls than a large
clinic has in weeks, whatever its root tells."""
_ENOUGH: Final = 1e-17
"""A term of a tail that adds less than this part of it ends the sum: the terms fall from there on."""
_HALVINGS: Final = 80
_TIE: Final = 1e-6
"""Rounding makes a limit that is a whole number no narrower."""


def weight_of(rate: float | None) -> float:
    """How many calls a trace stands for: one over the chance it was sent with; 1 where that is not told, or is none.

    Args:
        rate: ``sampling_rate`` of its root, or None.
    """
    if rate is None or not 0 < rate <= 1:
        return 1.0
    return 1 / max(rate, SMALLEST)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A part of a count: what was sent with one chance below 1.

    Args:
        rate: the chance, above 0 and below 1.
        n: so many were sent. 0 where calls were drawn with this chance, and none of them came into the count.
        bad: of them, that count against it.
    """

    rate: float
    n: int
    bad: int = 0

    @property
    def unsent(self) -> float:
        """For how many more they stand."""
        return self.n * (1 / self.rate - 1)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, as they were sent, and what they stand for.

    Args:
        n: sent.
        bad: of them, that count against it; at most ``n``.
        drawn: the parts that were sent with a chance below 1; empty where each stands for itself.
        largest: how many of them one call holds at most, since calls are drawn and not what is in them: 1 for calls.
    """

    n: int
    bad: int
    drawn: tuple[Drawn, ...] = ()
    largest: int = 1

    @property
    def about(self) -> float:
        """How many there are, sent or not, estimated (Horvitz and Thompson)."""
        return fsum((self.n, *(part.unsent for part in self.drawn)))

    @property
    def bad_about(self) -> float:
        """How many of them count against it, likewise."""
        return fsum((self.bad, *(part.bad * (1 / part.rate - 1) for part in self.drawn)))

    @property
    def rate(self) -> float | None:
        """The share, estimated; None of nothing."""
        return self.bad_about / self.about if self.n else None

    def most(self, confidence: float) -> int:
        """How many there are at most, sent or not, while what is bad was all sent.

        Of those that were drawn with a chance it is known how many came, and not of how many: that is bounded from above for each chance,
        and what may fail is given to them in equal parts (Bonferroni).

        Args:
            confidence: with which this holds, above 0.5 and below 1.
        """
        miss = (1 - confidence) / max(1, len(self.drawn))
        return self.n + sum(
            at_most(part.n - part.bad, part.rate, miss, largest=self.largest) - (part.n - part.bad) for part in self.drawn
        )  # fmt: skip


def lowest(share: Share, confidence: float = CONFIDENCE) -> float:
    """The smallest rate that a share does not rule out, one-sided.

    Where nothing was drawn it is the bound of Clopper and Pearson. Else half of what may fail is given to how many there are at most
    (`Share.most`), half to that bound, which falls as the number grows: so both hold together, and their result does (Bonferroni).

    Args:
        share: what was seen.
        confidence: above 0 and below 1.
    """
    if not share.drawn:
        return lower_bound(share.bad, share.n, confidence)
    each = (1 + confidence) / 2
    return lower_bound(share.bad, share.most(each), each)


def highest(share: Share, confidence: float = CONFIDENCE) -> float:
    """The largest rate that a share does not rule out, one-sided; as `lowest`, with how many there are at least.

    What is bad and was drawn all the same, which the relay does not do, is bounded from above.
    """
    if not share.drawn:
        return upper_bound(share.bad, share.n, confidence)
    each = (1 + confidence) / 2
    strange = [part for part in share.drawn if part.bad]
    miss = (1 - each) / (len(share.drawn) + len(strange))
    bad = share.bad + sum(at_most(part.bad, part.rate, miss, largest=share.largest) - part.bad for part in strange)
    good = share.n - share.bad
    for part in share.drawn:
        came = part.n - part.bad
        good += at_least(came, part.rate, miss, largest=share.largest) - came
    return upper_bound(bad, bad + good, each)


def interval(share: Share, confidence: float = CONFIDENCE) -> Bound:
    """The two-sided interval of a share, half of what may fail given to each end; labelled."""
    if not share.drawn:
        return clopper_pearson(share.bad, share.n, confidence, sides="two")
    each = (1 + confidence) / 2
    method = "Clopper-Pearson, over limits of how many were not sent"
    return Bound(method, "two", confidence, share.n, share.bad, 0, highest(share, each), lowest(share, each))


def at_most(seen: int, rate: float, miss: float, *, largest: int = 1) -> int:
    """Of how many at most so many came, each call with a chance.

    One to a call: the largest number of which so few come with more than the chance of missing (exact; the number of trials until so many
    come is negative binomial). Several to a call: by the bound of H. Chernoff, Annals of Mathematical Statistics 23 (1952), which for parts
    of different sizes is worst where each is the largest, since log(1 - p + p exp(-s v)) is convex in v.

    Args:
        seen: so many came.
        rate: the chance, above 0 and below 1.
        miss: how often the answer may be too small, above 0 and below 0.5.
        largest: in one call.
    """
    if largest > 1:
        calls = seen / largest
        step = (calls + 1) / rate
        high = calls / rate + step
        while _chernoff(calls, high, rate) > miss:
            high += step
        return max(seen, int(largest * _border(calls / rate, high, lambda m: _chernoff(calls, m, rate) > miss) + _TIE))
    low = int(seen / rate)  # half of the time so few come of so many
    high = low + (step := 1 + ceil(2 / rate))
    while _below(high, rate, seen) > miss:
        low, high, step = high, high + 2 * step, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _below(middle, rate, seen) > miss else (low, middle)
    return low


def at_least(seen: int, rate: float, miss: float, *, largest: int = 1) -> int:
    """Of how many at least so many came. Arguments as `at_most`; ``miss`` is how often the answer may be too large."""
    if largest > 1:
        calls = seen / largest
        return max(seen, ceil(largest * _border(calls, calls / rate, lambda m: _chernoff(calls, m, rate) <= miss) - _TIE))
    low, high = seen - 1, max(seen, ceil(seen / rate))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _above(middle, rate, seen) > miss else (middle, high)
    return high


def _below(n: int, rate: float, last: int) -> float:
    """How likely at most so many of n come, for no more than are to be expected."""
    if last >= n:
        return 1.0
    term = exp(lgamma(n + 1) - lgamma(last + 1) - lgamma(n - last + 1) + last * log(rate) + (n - last) * log1p(-rate))
    total, odds = term, (1 - rate) / rate
    for k in range(last, 0, -1):
        term *= k / (n - k + 1) * odds
        total += term
        if term < _ENOUGH * total:
            break
    return min(1.0, total)


def _above(n: int, rate: float, first: int) -> float:
    """How likely at least so many of n come, for no fewer than are to be expected."""
    if first <= 0:
        return 1.0
    if first > n:
        return 0.0
    term = exp(lgamma(n + 1) - lgamma(first + 1) - lgamma(n - first + 1) + first * log(rate) + (n - first) * log1p(-rate))
    total, odds = term, rate / (1 - rate)
    for k in range(first, n):
        term *= (n - k) / (k + 1) * odds
        total += term
        if term < _ENOUGH * total:
            break
    return min(1.0, total)


def _chernoff(came: float, of: float, rate: float) -> float:
    """A bound on how likely so many or fewer come of so many, or so many or more: whichever is not to be expected. Neither is whole."""
    share = min(1.0, came / of) if of > 0 else rate
    yes = share * log(share / rate) if share > 0 else 0.0
    no = (1 - share) * log((1 - share) / (1 - rate)) if share < 1 else 0.0
    return exp(-of * max(0.0, yes + no))


def _border(low: float, high: float, is_below: Callable[[float], bool]) -> float:
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2
