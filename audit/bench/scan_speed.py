"""How long a scan takes beside Presidio's batch engine over the same strings, and how its memory grows with the number of traces."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Final, TypeAlias

from audit.bench.recorded import PROJECT, invent
from audit.census import Detectors, Plan, take
from audit.manifest import Manifest
from audit.scan import ASKED_MAX, Find
from audit.source import Portion, Run
from phi_guard.policy.compiled import Policy

RIVAL: Final = "presidio-batch"
BAR: Final = 5.0
"""The scan is to be at least so many times as fast as the rival."""
EVERY: Final = "every string"
FREE: Final = "free text, findings"
"""The detectors whose findings fail, over each different free text: the same work as the rival's."""
SUSPECTED: Final = "free text, and suspicions"
"""The same, and the networks once more at their lowest thresholds: work that the rival does not do."""
STATM: Final = Path("/proc/self/statm")
PAGE_MB: Final = 4096 / 1e6

SCHEMA: Final = "phi-audit.bench-scan/1"

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """One way to hold the two against each other.

    Args:
        what: which strings the rival is given.
        strings: how many.
        characters: of all of them.
        rounds: how many.
        ours_s: seconds of ours: of the whole scan (reading, structure, detectors, suspicions, counting), or of the detectors where it is
            free text; median of the rounds.
        rival_s: seconds of the rival over the strings, likewise.
        ratio: median over the rounds of the rival's time over ours in the same round, by the clock.
        worst: the least of these.
        processor_ratio: as ``ratio``, by what the two took of the processors, all threads.
    """

    what: str
    strings: int
    characters: int
    rounds: int
    ours_s: float
    rival_s: float
    ratio: float
    worst: float
    processor_ratio: float


@dataclass(frozen=True, slots=True)
class _Time:
    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class _Round:
    strings: int
    characters: int
    ours: _Time
    rival: _Time


@dataclass(frozen=True, slots=True)
class Memory:
    """The process's resident memory on the way.

    Args:
        traces: read so far.
        resident_mb: then, MB.
        per_second: traces a second up to there.
        texts: different free texts up to there; each is judged once, and remembered while there is room.
    """

    traces: int
    resident_mb: float
    per_second: float
    texts: int


class InventedCalls:
    """A source of calls made up as they are read, so that none of them is kept.

    Args:
        n: how many.
        seed: of their ids, times and texts.
        seen: called with the number of calls given so far, after each.

    Attributes:
        texts: hashes of the different free texts given so far.
    """

    live = False
    place = "invented calls"

    def __init__(self, n: int, seed: int = 1, seen: Callable[[int], None] = lambda _n: None) -> None:
        self.texts: set[int] = set()
        self._n, self._seed, self._seen = n, seed, seen

    def pieces(self) -> Iterator[Portion]:
        yield Portion("all", self.runs)

    def manifest(self) -> Manifest:
        return Manifest(query={"calls": str(self._n), "seed": str(self._seed)}, host="invented calls")

    def runs(self) -> Iterator[Run]:
        for i, call in enumerate(invent(self._n, self._seed), 1):
            self.texts.update(map(hash, _free_text(call)))
            yield from call
            self._seen(i)


def measure_pace(
    policy: Policy, detectors: Detectors, rival: Callable[[Sequence[str]], int], *, calls: int, rounds: int, say: Say
) -> tuple[Pace, ...]:
    """Scan the same calls and give their strings to the rival, in turn; each round has new calls, so nothing is remembered.

    Args:
        policy: to scan under.
        detectors: loaded.
        rival: from `audit.bench.rivals.open_batch_rival`.
        calls: in each round.
        rounds: at least one.
        say: told how far it is.
    """
    taken: dict[str, list[_Round]] = {}
    for n in range(1, rounds + 1):
        runs = [run for call in invent(calls, seed=n) for run in call]
        every = [text for run in runs for text in strings(run)]
        texts = list(dict.fromkeys(_free_text(runs)))
        given = {EVERY: every, "each different string once": list(dict.fromkeys(every)), FREE: texts, SUSPECTED: texts}
        plan = Plan(policy, PROJECT, seed=n, known_answers=0)
        scan = _timed(partial(take, InventedCalls(calls, n), plan, lambda: detectors))
        free = _timed(partial(_find_all, texts, detectors.strict))
        suspected = _timed(partial(_find_all, texts, detectors.strict, detectors.suspicions))
        ours = {FREE: free, SUSPECTED: suspected}
        rivals = {id(held): _timed(partial(rival, held)) for held in (every, given["each different string once"], texts)}
        for what, held in given.items():
            taken.setdefault(what, []).append(_Round(len(held), sum(map(len, held)), ours.get(what, scan), rivals[id(held)]))
        say(f"round {n} of {rounds}: {len(runs)} runs, {len(every)} strings")
    return tuple(_pace(what, rows) for what, rows in taken.items())


def measure_memory(policy: Policy, detectors: Detectors, marks: Sequence[int], say: Say) -> tuple[Memory, ...]:
    """Scan as many calls as the last mark says in one go, and look at the process's memory at each mark.

    Args:
        policy: to scan under.
        detectors: loaded.
        marks: numbers of traces, ascending.
        say: told at each mark.
    """
    rows: list[Memory] = []
    began = perf_counter()

    def look(n: int) -> None:
        if n in wanted:
            gc.collect()
            rows.append(Memory(n, resident_mb(), n / (perf_counter() - began), len(source.texts)))
            say(f"{n} traces: {rows[-1].resident_mb:.0f} MB, {rows[-1].per_second:.0f} traces/s")

    wanted = frozenset(marks)
    source = InventedCalls(max(marks), seed=7, seen=look)
    take(source, Plan(policy, PROJECT, seed=1, known_answers=0), lambda: detectors)
    return tuple(rows)


def strings(value: object) -> Iterator[str]:
    """Every key and string of a run, at any depth, in order."""
    stack = [value]
    while stack:
        held = stack.pop()
        if isinstance(held, str):
            yield held
        elif isinstance(held, Mapping):
            stack += [part for key, inner in reversed(list(held.items())) for part in (inner, key)]
        elif isinstance(held, list | tuple):
            stack += reversed(held)


def resident_mb() -> float:
    """The resident memory of this process, MB; 0.0 where the system does not tell."""
    try:
        return int(STATM.read_text().split()[1]) * PAGE_MB
    except (OSError, ValueError, IndexError):
        return 0.0


def _free_text(runs: Sequence[Run]) -> Iterator[str]:
    for run in runs:
        inputs = run.get("inputs")
        for field in ("notes", "reason_for_visit", "symptoms"):
            text = inputs.get(field) if isinstance(inputs, Mapping) else None
            if isinstance(text, str):
                yield text


def _find_all(texts: Sequence[str], *finds: Find | None) -> None:
    """As the scan asks: so many texts at once, where the detector takes many."""
    for find in finds:
        many = getattr(getattr(find, "__self__", None), "find_many", None)
        for at in range(0, len(texts) if find is not None else 0, ASKED_MAX):
            some = texts[at : at + ASKED_MAX]
            if many is not None:
                many(some)
            elif find is not None:
                for text in some:
                    find(text)


def _timed(work: Callable[[], object]) -> _Time:
    gc.collect()
    wall, processor = perf_counter(), process_time()
    work()
    return _Time(perf_counter() - wall, process_time() - processor)


def _pace(what: str, rows: Sequence[_Round]) -> Pace:
    walls = [row.rival.wall / row.ours.wall for row in rows]
    processors = [row.rival.processor / row.ours.processor for row in rows]
    return Pace(
        what, rows[-1].strings, rows[-1].characters, len(rows), median(row.ours.wall for row in rows),
        median(row.rival.wall for row in rows), median(walls), min(walls), median(processors),
    )  # fmt: skip


def as_json(paces: Sequence[Pace], memory: Sequence[Memory], version: str) -> dict[str, object]:
    """The figures as ``phi-audit bench scan --format json`` gives them."""
    return {
        "schema": SCHEMA, "version": version, "rival": RIVAL, "bar": BAR, "reached": reached(paces),
        "pace": [asdict(pace) for pace in paces], "memory": [asdict(row) for row in memory],
    }  # fmt: skip


def reached(paces: Sequence[Pace]) -> bool:
    """Whether the scan is `BAR` times as fast as the rival over every string; the other rows are told, not judged."""
    return bool(paces) and paces[0].ratio >= BAR


def as_text(paces: Sequence[Pace], memory: Sequence[Memory]) -> str:
    """The figures as lines."""
    lines = [f"{'what the rival is given':<28}{'strings':>9}{'ours s':>9}{'rival s':>9}{'times':>8}{'least':>8}{'by CPU':>8}"]
    lines += [
        f"{p.what:<28}{p.strings:>9}{p.ours_s:>9.2f}{p.rival_s:>9.2f}{p.ratio:>8.1f}{p.worst:>8.1f}{p.processor_ratio:>8.1f}" for p in paces
    ]
    if memory:
        lines += ["", f"{'traces':>8}{'MB':>8}{'traces/s':>10}{'different texts':>17}"]
        lines += [f"{row.traces:>8}{row.resident_mb:>8.0f}{row.per_second:>10.0f}{row.texts:>17}" for row in memory]
    return "\n".join(lines) + "\n"
