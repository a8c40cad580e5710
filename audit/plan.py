"""The plan: how many traces people must read before "nothing was found" says something, and what it then says.

ISO 2859-1 with an acceptance number of zero is there by name, since buyers ask for it. Its AQL protects the producer: the bound that a
plan leaves is what counts here, and it is printed beside the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from audit.finite import Looked, hypergeometric, sample_size, stratified
from audit.statistics import CONFIDENCE, Bound, adjusted, clopper_pearson

MAX_LEAK: Final = 0.001
"""The leak rate that a sample is to rule out where nothing else is asked: one call in a thousand."""

ALL_BELOW: Final = 3_000
"""Below so many traces a sample that rules out 0.1 % is nearly all of them (951 of 1,000): the machine reads all of them instead."""

ISO_2859: Final[Mapping[str, int]] = {
    "iso-2859-aql-0.10": 125,
    "iso-2859-aql-0.065": 200,
    "iso-2859-aql-0.040": 315,
    "iso-2859-aql-0.025": 500,
    "iso-2859-aql-0.015": 800,
    "iso-2859-aql-0.010": 1_250,
}
"""Single sampling with acceptance number 0 (ISO 2859-1:1999, table 2-A): the name, and how many are read."""


@dataclass(frozen=True, slots=True)
class Step:
    """What reading so many shows if so many leaks are seen.

    Args:
        allow: leaks seen.
        n: traces to read, or None where reading all of them once does not show it.
    """

    allow: int
    n: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One stratum's part of the plan.

    Args:
        name: of the stratum.
        population: traces it has.
        n: how many of them are to be read.
        bound: what nothing found in them shows of this stratum alone.
    """

    name: str
    population: int
    n: int
    bound: Bound


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is to be read, and what it shows.

    Args:
        rule: how the number came about, in words.
        max_leak: leak rate to rule out; 0.0 for a plan by name.
        confidence: one-sided.
        population: traces there are; 0 for a sample without end.
        recall: with which people see a leak.
        allow: leaks that may be seen.
        n: traces to read, or None where reading all of them once does not show it.
        bound: what ``allow`` found in n shows.
        two_sided: the same, two-sided, for who compares with a two-sided figure; of the rate that is seen.
        steps: how many are needed for a few leaks seen.
        parts: by stratum; empty where there are none.
        beside: for comparison, what nothing found in 10 of 50 shows.
    """

    rule: str
    max_leak: float
    confidence: float
    population: int
    recall: float
    allow: int
    n: int | None
    bound: Bound | None
    two_sided: Bound | None
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]
    beside: Bound


def plan(
    max_leak: float = MAX_LEAK, confidence: float = CONFIDENCE, *, population: int = 0, recall: float = 1.0, allow: int = 0,
    strata: Mapping[str, int] | None = None, named: str = "",
) -> Plan:  # fmt: skip
    """The plan for these demands.

    Args:
        max_leak: leak rate to rule out.
        confidence: one-sided.
        population: traces there are; 0 for a sample without end; with strata, their sum counts.
        recall: with which people see a leak.
        allow: leaks that may be seen.
        strata: traces by stratum.
        named: one of `ISO_2859`; the demands on the rate then do not count.

    Raises:
        ValueError: an argument is out of its range, or there is no plan of that name.
    """
    sizes = dict(strata or {})
    population = sum(sizes.values()) or population
    parts: tuple[Part, ...] = ()
    if named:
        n = ISO_2859.get(named)
        if n is None:
            msg = f"there is no plan {named}; there are {', '.join(ISO_2859)}"
            raise ValueError(msg)
        if population:
            n = min(n, population)
        max_leak, allow = 0.0, 0
        rule = f"{named}: acceptance number 0; an AQL protects the producer, so look at the bound"
    else:
        n = sample_size(max_leak, confidence, population=population, allow=allow, recall=recall)
        rule = f"the smallest sample in which {_leaks(allow)} seen rules out a leak rate of {max_leak:.4g} or more at {confidence:.4g}"
    if n is not None and sizes:
        n = n if named or allow else _enough(sizes, n, max_leak, confidence, recall)
    if n is not None and sizes:
        drawn = allocate(list(sizes.values()), n)
        parts = tuple(
            Part(name, size, k, hypergeometric(0, k, size, confidence, recall=recall))
            for (name, size), k in zip(sizes.items(), drawn, strict=True)
        )
        n = sum(drawn)
    return Plan(
        rule, max_leak, confidence, population, recall, allow, n,
        _shown(allow, n, population, confidence, recall, parts), clopper_pearson(allow, n, confidence, sides="two") if n else None,
        () if named else tuple(Step(k, sample_size(max_leak, confidence, population=population, allow=k, recall=recall)) for k in range(4)),
        parts, hypergeometric(0, 10, 50, confidence),
    )  # fmt: skip


def allocate(sizes: Sequence[int], n: int, weights: Sequence[float] | None = None) -> list[int]:
    """``n`` spread over strata: one each at least, the rest in proportion to size times weight, none above its size.

    Where there are more strata than ``n``, each gets one all the same. Remainders go to the largest first, then to the first.

    Args:
        sizes: traces of each stratum.
        n: how many are to be drawn in all.
        weights: more than 1 draws a stratum oftener than its share.
    """
    heft = [size * (weights[i] if weights else 1.0) for i, size in enumerate(sizes)]
    drawn = [min(1, size) for size in sizes]
    left = min(n, sum(sizes)) - sum(drawn)
    while left > 0:
        room = [i for i, size in enumerate(sizes) if drawn[i] < size]
        whole = sum(heft[i] for i in room)
        exact = {i: left * heft[i] / whole for i in room}
        given = {i: min(floor(exact[i]), sizes[i] - drawn[i]) for i in room}
        if not any(given.values()):
            for i in sorted(room, key=lambda i: (-exact[i], i))[:left]:
                given[i] = 1
        for i, k in given.items():
            drawn[i] += k
        left -= sum(given.values())
    return drawn


def _enough(sizes: Mapping[str, int], n: int, max_leak: float, confidence: float, recall: float) -> int | None:
    """The sample, no smaller than without strata, of which nothing found shows the rate whichever stratum the leaks hide in."""
    population = sum(sizes.values())

    def shows(n: int) -> bool:
        drawn = allocate(list(sizes.values()), n)
        looked = [Looked(name, size, k, 0) for (name, size), k in zip(sizes.items(), drawn, strict=True)]
        return stratified(looked, confidence, recall=recall).value < max_leak

    if shows(n):
        return n
    low, high = n, population
    if not shows(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high


def _shown(allow: int, n: int | None, population: int, confidence: float, recall: float, parts: Sequence[Part]) -> Bound | None:
    if n is None:
        return None
    if parts and not allow:
        return stratified([Looked(part.name, part.population, part.n, 0) for part in parts], confidence, recall=recall)
    if population:
        return hypergeometric(allow, n, population, confidence, recall=recall)
    return adjusted(allow, n, recall, confidence)


def _leaks(n: int) -> str:
    return {0: "no leak", 1: "one leak"}.get(n, f"{n} leaks")
