"""What plants show of recall when a class that misses one may be tried once more, with more plants.

With 59 plants one miss leaves 95 % unproven, so that over a hundred classes and styles a detector of 99.95 % would fail every twentieth
scan or oftener by chance alone, and one of 99.9 % nearly every scan. So a row is planted in two stages, fixed before anything is looked at:

1. ``n`` plants. None missed: the row ends here. More missed than any second stage could make good: it ends here too.
2. Else once more, up to `EXTENSION` times ``n`` in all.

The bound is exact for this design: the confidence limit that orders outcomes by the stage at which they stop (C. Jennison and B. W.
Turnbull, Technometrics 25 (1983), 49-58), which without a second stage is that of Clopper and Pearson. The level of 5 % holds for each
row. All rows must be shown, so the claim about all of them holds at the same level without a correction (an intersection-union test:
R. L. Berger, Technometrics 24 (1982), 295-300).
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, fsum, lgamma, log, log1p
from typing import Final

from audit.statistics import CONFIDENCE

EXTENSION: Final = 5
"""How many times the first stage's plants both stages have: 59 become 295, of which 4 may be missed."""
BAR: Final = 0.95
"""The recall for which the second stage is laid out."""
_HALVINGS: Final = 80


@lru_cache(maxsize=64)
def misses_allowed(n: int) -> int:
    """The most misses, in both stages together, with which recall is still shown to reach `BAR`; 0 where a second stage cannot show it.

    Args:
        n: plants of the first stage.
    """
    allowed = 0
    while n and _as_good(BAR, n, allowed + 1, allowed + 1) <= 1 - CONFIDENCE:
        allowed += 1
    return allowed


def goes_on(n: int, missed: int) -> bool:
    """Whether a row with so many misses of the first stage's ``n`` is given the second."""
    return 1 <= missed <= misses_allowed(n)


@lru_cache(maxsize=4096)
def recall_at_least(n: int, planted: int, missed: int) -> float:
    """The lowest recall that an outcome does not rule out, one-sided at `CONFIDENCE`.

    Args:
        n: plants of the first stage.
        planted: ``n``, or `EXTENSION` times as many where the row went on.
        missed: of all planted.

    Raises:
        ValueError: the counts are no outcome of the design.
    """
    if planted not in {n, EXTENSION * n} or not 0 <= missed <= planted or (planted > n and (missed == 0 or not misses_allowed(n))):
        msg = f"no outcome of {n} plants and then {EXTENSION * n}: {missed} missed of {planted}"
        raise ValueError(msg)
    if planted in {0, missed}:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        chance = _as_good(middle, n, misses_allowed(n), missed) if planted > n else _cumulative(n, 1 - middle, missed)
        low, high = (middle, high) if chance < 1 - CONFIDENCE else (low, middle)
    return (low + high) / 2


def _as_good(recall: float, n: int, allowed: int, missed: int) -> float:
    """Probability of an end without a miss at the first stage, or of at most so many misses at the end of the second."""
    miss, more = 1 - recall, (EXTENSION - 1) * n
    clean = _chance(n, miss, 0)
    return clean + fsum(_chance(n, miss, k) * _cumulative(more, miss, missed - k) for k in range(1, min(allowed, missed) + 1))


def _cumulative(n: int, rate: float, most: int) -> float:
    return fsum(_chance(n, rate, k) for k in range(min(n, most) + 1))


def _chance(n: int, rate: float, k: int) -> float:
    """Probability of exactly ``k`` of ``n``."""
    if rate <= 0.0 or rate >= 1.0:
        return float(k == (n if rate >= 1.0 else 0))
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(rate) + (n - k) * log1p(-rate))
