"""Invented calendar days, and the many forms in which a date is written."""

from __future__ import annotations

import random
from dataclasses import dataclass

from phi_guard.detect.training.dictation import MONTHS


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day."""

    year: int
    month: int
    day: int


def day(rng: random.Random, *, birth: bool) -> Day:
    """A day of birth (1925 to 2026), or one of the last or next few years."""
    return Day(
        rng.randrange(1925, 2027) if birth else rng.choice((2019, 2021, 2022, 2023, 2024, 2024, 2025, 2025, 2026, 2026, 2027)),
        rng.randrange(1, 13),
        rng.randrange(1, 29) if rng.random() < 0.92 else rng.randrange(28, 31),
    )


def written_date(when: Day, rng: random.Random, *, language: str = "en", with_year: bool = True) -> str:
    """The day as written, in the forms of the language and in forms of machines."""
    y, m, d = when.year, when.month, when.day
    name = MONTHS[language][m - 1]
    name = name if language == "fr" else name.capitalize()
    if language == "fr":
        return (
            f"{'1er' if d == 1 else d} {name} {y}"
            if with_year and rng.random() < 0.6
            else f"{d:02d}/{m:02d}/{y}"
            if with_year
            else f"{d} {name}"
        )
    if language == "de":
        return (
            rng.choice((f"{d}. {name} {y}", f"{d:02d}.{m:02d}.{y}", f"{d}.{m}.{y}"))
            if with_year
            else rng.choice((f"{d}. {name}", f"{d}.{m}."))
        )
    short = name[:3]
    nth = f"{d}{'th' if 10 < d < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(d % 10, 'th')}"
    if not with_year:
        return rng.choice(
            (
                f"{name} {d}",
                f"{name} {nth}",
                f"{short} {d}",
                f"{nth} of {name}",
                f"{d} {name}",
                f"{short}. {nth}",
                f"{m}/{d}",
                f"{m:02d}/{d:02d}",
                f"the {nth} of {name}",
                f"{d}-{short}",
            )
        )
    return rng.choice(
        (
            f"{m:02d}/{d:02d}/{y}",
            f"{m:02d}/{d:02d}/{y}",
            f"{m}/{d}/{y}",
            f"{m}/{d}/{y % 100:02d}",
            f"{m:02d}-{d:02d}-{y}",
            f"{y}-{m:02d}-{d:02d}",
            f"{y}-{m:02d}-{d:02d}",
            f"{name} {d}, {y}",
            f"{name} {d}, {y}",
            f"{name} {nth}, {y}",
            f"{name} {nth} {y}",
            f"{d} {name} {y}",
            f"{nth} {name} {y}",
            f"the {nth} of {name}, {y}",
            f"{short} {d}, {y}",
            f"{short} {d} {y}",
            f"{short}. {d}, {y}",
            f"{d}-{short}-{y}",
            f"{d:02d}/{m:02d}/{y}",
            f"{d:02d}.{m:02d}.{y}",
            f"{y}{m:02d}{d:02d}",
            f"{m:02d}{d:02d}{y}",
            f"{y}/{m:02d}/{d:02d}",
            f"{name.upper()} {d} {y}",
            f"{m}-{d}-{y % 100:02d}",
            f"{d} {short} {y}",
            f"{m}.{d}.{y}",
            f"{y}-{m:02d}-{d:02d}T{rng.randrange(24):02d}:{rng.randrange(60):02d}:00Z",
            f"{d:02d}{short.upper()}{y}",
            f"{name} of the {nth}, {y}",
        )
    )
