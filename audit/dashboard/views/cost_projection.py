"""What a month will come to, from its whole days so far. Pure, and the same every time: the draws are seeded."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import fsum
from typing import Final

from audit.timeline import percentile

DAYS_MIN: Final = 3
"""Whole days before a month is projected at all."""
DRAWS: Final = 2_000
"""Of the bootstrap; its ends move by less than the figures shown, from one seed to another."""
SEED: Final = 20_261_123


@dataclass(frozen=True, slots=True)
class Projection:
    """What the month will come to, US dollars, the fixed part included.

    Args:
        value: mean of the whole days so far, times the days of the month, and the fixed part; never below what was spent already.
        low: of the range, 95 %: the days drawn anew with replacement (percentile bootstrap of the mean).
        high: likewise.
        days: whole days that it rests on.
    """

    value: float
    low: float
    high: float
    days: int


def project(days: Sequence[float], of_month: int, fixed: float, spent: float) -> Projection | None:
    """The projection, or None before `DAYS_MIN` whole days.

    Args:
        days: known cost of each whole day, US dollars.
        of_month: days of the month.
        fixed: US dollars that come on top whatever is called.
        spent: known cost of the month so far, today's included, without the fixed part.
    """
    n = len(days)
    if n < DAYS_MIN:
        return None
    draw = random.Random(SEED)  # noqa: S311  # the same range for the same days; it keeps no secret
    means = sorted(fsum(draw.choices(days, k=n)) / n for _ in range(DRAWS))
    low, high = percentile(means, 0.025) or 0.0, percentile(means, 0.975) or 0.0
    mean = fsum(days) / n
    value, low, high = (max(spent, each * of_month) + fixed for each in (mean, low, high))
    return Projection(value, low, high, n)


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """The first moment of the month, UTC, and of the next."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return first, (first + timedelta(days=32)).replace(day=1)


def used_up(traces: int, quota: int, days: float, now: datetime, end: datetime, *, a_day: float | None = None) -> date | None:
    """The day on which a month's quota is used up if it goes on so; None where the month ends first.

    Args:
        traces: so far.
        quota: of the month.
        days: in which they came, as a fraction.
        now: with a zone.
        end: of the month.
        a_day: expected a day, instead of what came, where that is of less than `DAYS_MIN` days; None for none.
    """
    if traces >= quota:
        return now.astimezone(UTC).date()
    rate = a_day if a_day is not None and days < DAYS_MIN else traces / max(days, 1.0)
    if rate <= 0:
        return None
    left = (quota - traces) / rate
    when = now.astimezone(UTC) + timedelta(days=min(left, 400.0))
    return when.date() if when < end else None
