"""Known answers: before a scan may say "none", it must find identifying values that it has never seen, planted in copies of these runs.

An audit that cannot find what is known to be there has not shown that nothing is there. The values are made anew for every scan, so no
detector can have been written to them; what is missed counts against the recall of its class, with an exact bound (`audit.two_stage`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from queue import SimpleQueue
from random import Random
from typing import Final

from audit import people, planting
from audit.people import STYLES, Style
from audit.planting import Plant, Seeker, free_text_slots
from audit.scan import Scanner
from audit.source import Run
from audit.two_stage import EXTENSION, goes_on, recall_at_least

__all__ = ["STYLES", "KnownAnswers", "Recall", "Style", "free_text_slots", "prove"]

TOLD_MIN: Final = 8
"""Characters of a planted value that the report is checked for; a shorter one, such as an age, stands in many a report by chance."""


@dataclass(frozen=True, slots=True)
class Recall:
    """How many plants of one class and style were found.

    Args:
        kind: the class, such as ``name``.
        style: one of `audit.people.STYLES`.
        n: how many were planted, in one stage or two.
        found: how many were found.
        at_least: the recall that this shows, one-sided 95 %, exact for the two-stage design of `audit.two_stage`.
        letter: the identifier's letter in 45 CFR 164.514(b)(2)(i).
    """

    kind: str
    style: Style
    n: int
    found: int
    at_least: float
    letter: str = ""


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """The outcome of one self-proof.

    Args:
        seed: makes the same plants again.
        rows: by class and style.
        synthetic: True where the project has no run with a free-text field, so that one had to be made up.
        languages: plants by the language of their words.
    """

    seed: int
    rows: tuple[Recall, ...]
    synthetic: bool
    languages: Mapping[str, int] = field(default_factory=dict)

    @property
    def weakest(self) -> float:
        """The lowest recall shown of any class and style; 0.0 where nothing was planted."""
        return min((row.at_least for row in self.rows), default=0.0)

    @property
    def in_text(self) -> float:
        """The recall in free text over all classes: found by planted; 0.0 where nothing was planted."""
        rows = [row for row in self.rows if row.style != "structural"]
        planted = sum(row.n for row in rows)
        return sum(row.found for row in rows) / planted if planted else 0.0


def prove(
    scanner: Scanner,
    bare: Scanner,
    runs: Sequence[Run],
    *,
    seed: int,
    n: int,
    tick: Callable[[], None] = lambda: None,
    missed: Callable[[Plant], None] = lambda _plant: None,
    executor: Executor | None = None,
    spare: Sequence[tuple[Scanner, Scanner]] = (),
) -> tuple[KnownAnswers, frozenset[str]]:
    """Plant and seek.

    A plant is found where a finding that fails a scan touches it: then the run it stands in cannot pass for clean.

    Args:
        scanner: the scanner whose findings the report gives.
        bare: the same without naming, for the structural plants: whether something is found does not hang on its name.
        runs: runs of the project to copy; they are not changed.
        seed: of the plants.
        n: plants of each class and style, in the first stage; a row with a few misses gets `EXTENSION` times as many in all.
        tick: called after each class and style, for a progress bar.
        missed: told every plant that was not found; they are synthetic.
        executor: threads that look at several rows at once, each with scanners of its own; the outcome is the same without.
        spare: further scanners like ``scanner`` and ``bare``, one pair for each thread beyond the first.

    Returns:
        The outcome, and the planted values of `TOLD_MIN` characters and more, for the check that the report holds none.
    """
    pairs: SimpleQueue[Seeker] = SimpleQueue()
    for pair in ((scanner, bare), *spare):
        seeker = Seeker(*pair, runs)
        pairs.put(seeker)

    def plant_row(what: tuple[str, Style]) -> _Row:
        mine = pairs.get()
        try:
            return _row(mine, *what, seed=seed, n=n)
        finally:
            pairs.put(mine)

    wanted = [(name, style) for name, kind in people.KINDS.items() for style in kind.styles if seeker.can(style)]
    values: set[str] = set()
    languages: Counter[str] = Counter()
    rows: list[Recall] = []
    for row in (executor.map if executor is not None else map)(plant_row, wanted):
        rows.append(row.recall)
        languages.update(row.languages)
        values.update(row.values)
        for plant in row.missed:
            missed(plant)
        tick()
    return KnownAnswers(seed, tuple(rows), seeker.synthetic, dict(sorted(languages.items()))), frozenset(values)


@dataclass(frozen=True, slots=True)
class _Row:
    recall: Recall
    languages: Mapping[str, int]
    values: frozenset[str]
    missed: tuple[Plant, ...]


def _row(seeker: Seeker, name: str, style: Style, *, seed: int, n: int) -> _Row:
    """One class in one style, in one stage or two. It draws from a spring of its own: that another goes on changes none of its plants."""
    kind = people.KINDS[name]
    random = Random(f"{seed}:{name}:{style}")  # noqa: S311  # plants, not secrets: the seed is told so that they can be made again
    plants: list[Plant] = []
    missed: list[Plant] = []
    for goal in (n, EXTENSION * n):
        if plants and not goes_on(n, len(missed)):
            break
        batch = [planting.make(name, kind, style, turn, random) for turn in range(len(plants), goal)]
        missed += [plant for plant, seen in zip(batch, seeker.find(batch), strict=True) if not seen]
        plants += batch
    recall = Recall(
        name, style, len(plants), len(plants) - len(missed), recall_at_least(n, len(plants), len(missed)), people.KINDS[name].letter
    )
    told = frozenset(plant.text for plant in plants if len(plant.text) >= TOLD_MIN)
    return _Row(recall, Counter(plant.value.language for plant in plants), told, tuple(missed))
