"""A bound that holds however often one looks: daily audits add up to one sample, and nobody may pick the best day.

A bound that fails once in twenty fails sooner or later when it is printed every day. The confidence sequence here fails, over all days
together, at most once in twenty. It is the mixture method of H. Robbins, Annals of Mathematical Statistics 41 (1970), with Ville's
inequality; S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, Annals of Statistics 49 (2021), call it a time-uniform bound. Half of the
mixture stands on "nothing leaks", half is spread by Beta(1/2, 1/2): with nothing found the price is a factor of two in what may fail.

It takes the rate for the same on every day. With another agent version or policy, begin a new sequence.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, inf, lgamma, log, log1p
from typing import Final

from audit.statistics import CONFIDENCE, Bound

_HALVINGS: Final = 60
_A: Final = 0.5


def cumulative(days: Iterable[tuple[int, int]], confidence: float = CONFIDENCE) -> Bound:
    """The upper bound on the leak rate after these days, which holds on every day at once.

    Args:
        days: of each day how many traces leak and how many were looked at; no trace on two days.
        confidence: one-sided, over all days together.

    Raises:
        ValueError: a count or the confidence is impossible.
    """
    found = n = looks = 0
    for leaking, traces in days:
        if not 0 <= leaking <= traces:
            msg = f"need 0 <= found <= n on each day; got {leaking}, {traces}"
            raise ValueError(msg)
        found, n, looks = found + leaking, n + traces, looks + 1
    if not 0 < confidence < 1:
        msg = f"need 0 < confidence < 1; got {confidence}"
        raise ValueError(msg)
    low, high = (found / n, 1.0) if n else (1.0, 1.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _evidence(found, n, middle) >= -log(1 - confidence) else (middle, high)
    note = f"{looks} looks; holds on all of them at once"
    return Bound("confidence sequence (Robbins' mixture)", "one", confidence, n, found, 0, high, note=note)


def _evidence(found: int, n: int, rate: float) -> float:
    """Logarithm of the mixture's likelihood over that of ``rate``; under ``rate`` it is rarely large, on any day."""
    if rate >= 1:
        return inf if found < n else 0.0
    of_rate = (found * log(rate) if found else 0.0) + (n - found) * log1p(-rate)
    spread = _log_beta(_A + found, _A + n - found) - _log_beta(_A, _A) - log(2)
    none = -log(2) if not found else -inf
    top = max(spread, none)
    return top + log(exp(spread - top) + exp(none - top)) - of_rate


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
