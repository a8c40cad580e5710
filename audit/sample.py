"""The sample for people: drawn by a seed, stratified, written down before anybody has looked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stratum:
    """One stratum: traces alike in tool, outcome, version and environment.

    Args:
        name: ``tools · outcome · version · env``.
        traces: how many there are.
        drawn: how many of them are in the sample.
    """

    name: str
    traces: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is to be looked at, and how they were chosen.

    Args:
        unit: what was drawn: ``trace``.
        seed: draws the same again.
        seed_by: who chose the seed, and when: ``given before reading`` or ``drawn at random``.
        generator: the generator and the rule of drawing, in words.
        rule: how the number came about, in words.
        population: traces there were to draw from: those in which the machine found nothing.
        strata: each stratum.
        trace_ids: those drawn, in the order to be looked at.
        sha256: of the drawn ids, one a line.
    """

    unit: str
    seed: int
    seed_by: str
    generator: str
    rule: str
    population: int
    strata: tuple[Stratum, ...]
    trace_ids: tuple[str, ...]
    sha256: str
