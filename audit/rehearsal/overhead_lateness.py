"""How much later a loop's ticks come than an idle one's, and between what that lies: noise is told from a difference round by round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

ONE_SIDE: Final = 0.05
"""How often, at most, the median lies beyond each bound: both are one-sided bounds of 95 %."""
ROUNDS_MIN: Final = 5
"""With fewer rounds there is no such bound: four alike come by chance once in sixteen times."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """The p99 of a loop's lateness beyond that of the idle one beside it, in percent: the median over rounds.

    Args:
        share: as measured.
        low: the least the median may be, by `ONE_SIDE`; None where there are fewer rounds than `ROUNDS_MIN`.
        high: the most, likewise.
        rounds: pairs that were compared.
    """

    share: float
    low: float | None
    high: float | None
    rounds: int


def compare(idle: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> Beyond | None:
    """Lateness of a loop beside that of an idle one, watched by turns.

    Each round is compared with itself: what a machine does for seconds then hits both sides. The bounds are order statistics of the rounds
    (the sign test turned round: Conover, Practical Nonparametric Statistics, 1999, 3.2), true whatever the noise looks like.

    Args:
        idle: nanoseconds of lateness, by round.
        other: likewise; its rounds lie beside idle's.

    Returns:
        None where there is nothing to compare: no ticks, or an idle loop that was never late.
    """
    shares = sorted(100 * (_p99(late) / _p99(still) - 1) for still, late in zip(idle, other, strict=True) if late and _p99(still))
    if not shares:
        return None
    n, share = len(shares), round(statistics.median(shares), 1)
    if n < ROUNDS_MIN:
        return Beyond(share, None, None, n)
    at = _outermost(n)
    return Beyond(share, round(shares[at], 1), round(shares[n - 1 - at], 1), n)


def _outermost(n: int) -> int:
    """The largest index whose order statistic is above the median of what was drawn from with a chance of `ONE_SIDE` at most."""
    at, chance = -1, 0.0
    while True:
        chance += comb(n, at + 1) / 2**n
        if chance > ONE_SIDE:
            return at
        at += 1


def _p99(ticks: Sequence[int]) -> int:
    ordered = sorted(ticks)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if ordered else 0
