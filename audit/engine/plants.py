"""Plants for the workers: synthetic values that each partition's task carries, so that no worker's "none" is believed unproven.

The known answers (`audit.known_answers`) prove the detectors of the process that merges. A worker has detectors of its own, and proves
them on these: a handful, the same for each task of a scan, whose findings must be those of the process that merges; and now and then one
that no worker has seen, so that a worker that goes blind later is found out too. They are drawn from the scan's seed and the partition,
whichever worker gets it, and are in no count: what becomes of them changes no report, it can only end a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from audit import people, planting
from audit.people import Style
from audit.structure import TOOL

if TYPE_CHECKING:
    from audit.engine.partition import Partition
    from audit.findings import Finding
    from phi_guard.policy.compiled import Policy

HANDFUL: Final[tuple[tuple[str, Style], ...]] = (
    ("name", "written"), ("name", "lower-case"), ("address", "written"), ("phone", "spoken"), ("date", "lower-case"),
    ("email", "disguised"),
)  # fmt: skip
"""What each task carries, by class and style. With all six, a worker in which patterns, spoken rules, vocabulary, Presidio or MiniLM give
nothing tells other findings than the process that merges (measured with each of them silenced, eight seeds: in three plants at least).
Rampart is asked only where these leave something to judge, in one plant of a hundred: that it is the same stands on its digest."""
EVERY: Final = 16_384
"""Rows for each of which a partition has one plant more that is new; a smaller partition has one with the chance of its share. A new text
costs a worker 20 to 40 ms, and so many rows with known texts 3.7 s (docs/scale.md): that is 1 %."""
STYLES: Final[tuple[Style, ...]] = ("written", "lower-case", "spoken", "disguised")
"""Styles that the detectors are asked about; the others are found by the walk, whose code the method's digest holds."""
CHARS: Final = 200
"""Characters of a plant at most: no recordings."""
_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Planted:
    """A made-up run with a value in one of its free texts.

    Args:
        kind: the class of the value.
        style: how it stands there.
        run: as a task carries it.
        path: of the text that holds it.
        start: of the value in that text, characters.
        end: likewise.
    """

    kind: str
    style: Style
    run: dict[str, Any] = field(repr=False)
    path: str = ""
    start: int = 0
    end: int = 0

    def shown_by(self, findings: Sequence[Finding]) -> bool:
        """Whether a finding that fails a scan touches the value, in the text or in what the text hides."""
        return any(
            f.severity != "low"
            and (
                f.path.startswith(f"{self.path}~")
                or (f.path == self.path and not f.source.startswith("policy.") and f.start < self.end and f.start + f.length > self.start)
            )
            for f in findings
        )


class Plants:
    """The plants of one scan.

    Args:
        policy: says where free text may stand; where it lets none, nothing is planted, for no detector is asked there.
        seed: of the scan.

    Attributes:
        handful: what each task carries.
    """

    def __init__(self, policy: Policy, seed: int) -> None:
        self._seed = seed
        spans = (f"{TOOL}{tool}" for tool in policy.tools)
        self._homes = [(span, *slot) for span in spans for slot in planting.free_text_slots(policy, span)]
        random = Random(f"{seed}:workers")  # noqa: S311  # plants, not secrets
        made = (self._make(kind, style, random) for kind, style in HANDFUL)
        self.handful = tuple(plant for plant in made if plant is not None)

    def fresh(self, partition: Partition) -> tuple[Planted, ...]:
        """What a partition's task carries besides: the same whenever it is asked for, and in every scan with this seed."""
        random = Random(f"{self._seed}:{partition.sha256.hex()}:{partition.group}:{partition.first}")  # noqa: S311  # likewise
        n = int(partition.rows / EVERY + random.random())
        drawn = ((name, random.choice(wanted)) for name in random.choices(tuple(people.KINDS), k=n) if (wanted := _styles(name)))
        made = (self._make(kind, style, random) for kind, style in drawn)
        return tuple(plant for plant in made if plant is not None)

    def _make(self, kind: str, style: Style, random: Random) -> Planted | None:
        """A plant and its run; None where the policy's fields are too short for it."""
        for turn in range(_TRIES):
            plant = planting.make(kind, people.KINDS[kind], style, turn, random)
            fitting = [home for home in self._homes if len(plant.phrase) <= (CHARS if home[3] is None else home[3])]
            if fitting:
                span, side, name, _ = random.choice(fitting)
                run = {**planting.made_up(span), side: {name: plant.phrase}}
                start = len(plant.before)
                return Planted(kind, style, run, f"{side}.{name}", start, start + len(plant.text))
        return None


def _styles(kind: str) -> tuple[Style, ...]:
    return tuple(style for style in people.KINDS[kind].styles if style in STYLES)
