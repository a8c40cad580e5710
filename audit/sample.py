"""The sample for people: drawn by a seed, stratified, written down before anybody has looked."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from audit.manifest import TraceFacts
from audit.plan import MAX_LEAK, allocate, plan
from audit.statistics import CONFIDENCE

UNIT: Final = "trace"
SUSPICIONS: Final = "suspicions"
"""The stratum of the traces in which the machine found nothing that counts, but something it suspects: all of them are read."""
OVERSAMPLE: Final = 2.0
"""How much oftener than its share a stratum with errors, or of the newest version, is drawn."""
GENERATOR: Final = (
    "order by BLAKE2b-128 of the trace id, keyed with the seed: the lowest of each stratum are drawn, in whatever order they were read; "
    "strata are tools, outcome, version and environment; at least one each, the rest in proportion to size, errors and the newest version "
    f"counted {OVERSAMPLE:g}-fold; suspicions are drawn all, in addition; a trace that cannot be read is not replaced"
)


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
        homes: of each drawn trace, in the same order, the number of its stratum, from 0.
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
    homes: tuple[int, ...] = ()


def draw(
    traces: Iterable[TraceFacts], *, n: int | None, seed: int, seed_by: str, suspected: Callable[[str], bool] = lambda _: False
) -> Selection:
    """Draw the sample in one pass. Memory does not grow with the number of traces: they wait in a temporary file, as ids.

    Args:
        traces: every trace; those with findings are left out.
        n: how many to draw, suspicions not counted; None for what rules out one leaking trace in a thousand at 95 %. Each stratum gives
            at least one, so more may come.
        seed: of the order.
        seed_by: who chose it, and when.
        suspected: whether a trace without findings holds something that is suspected.
    """
    with closing(sqlite3.connect("")) as held:  # "" is a private file on disk that goes with the connection
        held.execute(
            "CREATE TABLE traces (stratum TEXT, place BLOB, id TEXT, version TEXT, error INT,"
            " PRIMARY KEY (stratum, place, id)) WITHOUT ROWID"
        )
        held.executemany("INSERT OR IGNORE INTO traces VALUES (?, ?, ?, ?, ?)", _rows(traces, seed, suspected))
        groups = held.execute("SELECT stratum, count(*), min(version), min(error) FROM traces GROUP BY stratum ORDER BY stratum").fetchall()
        drawable = [group for group in groups if group[0] != SUSPICIONS]
        suspicions = sum(count for stratum, count, _, _ in groups if stratum == SUSPICIONS)
        total = sum(count for _, count, _, _ in drawable)
        n, rule = _number(n, total)
        newest = max((_version(version) for _, _, version, _ in drawable), default=())
        several = len({version for _, _, version, _ in drawable}) > 1
        weights = [OVERSAMPLE if error or (several and _version(version) == newest) else 1.0 for _, _, version, error in drawable]
        counts = allocate([count for _, count, _, _ in drawable], n, weights)
        strata = [Stratum(SUSPICIONS, suspicions, suspicions)] * bool(suspicions)
        chosen = [(b"", trace, 0) for trace in _lowest(held, SUSPICIONS, suspicions)]
        rest: list[tuple[bytes, str, int]] = []
        for (stratum, count, _, _), k in zip(drawable, counts, strict=True):
            rest += [(place, trace, len(strata)) for place, trace in _lowest_placed(held, stratum, k)]
            strata.append(Stratum(stratum, count, k))
        chosen += sorted(rest)
    ids = tuple(trace for _, trace, _ in chosen)
    return Selection(
        UNIT, seed, seed_by, GENERATOR, rule, total + suspicions, tuple(strata), ids, digest(ids), tuple(home for _, _, home in chosen)
    )


def digest(trace_ids: Sequence[str]) -> str:
    """SHA-256 of the drawn ids, one a line."""
    return hashlib.sha256("".join(f"{each}\n" for each in trace_ids).encode()).hexdigest()


def check(
    selection: Selection, traces: Iterable[TraceFacts] | None = None, *, suspected: Callable[[str], bool] = lambda _: False
) -> tuple[str, ...]:
    """What does not hold in a selection; empty if all does.

    Args:
        selection: as it was read from somewhere.
        traces: every trace, to draw again; None checks the selection against itself alone.
        suspected: as for `draw`.
    """
    faults: list[str] = []
    ids, strata, homes = selection.trace_ids, selection.strata, selection.homes
    if selection.sha256 != digest(ids):
        faults.append("the digest is not that of the drawn ids")
    if len(set(ids)) != len(ids):
        faults.append("a trace stands in it twice")
    if selection.unit != UNIT or selection.generator != GENERATOR:
        faults.append("unit or generator are not those of this version")
    if len(ids) != sum(each.drawn for each in strata):
        faults.append("the strata do not add up to the drawn ids")
    if selection.population != sum(each.traces for each in strata):
        faults.append("the strata do not add up to the population")
    if len({each.name for each in strata}) != len(strata):
        faults.append("a stratum stands in it twice")
    if any(not min(1, each.traces) <= each.drawn <= each.traces for each in strata):
        faults.append("a stratum has fewer drawn than one or more than it has")
    if len(homes) != len(ids) or [homes.count(n) for n in range(len(strata))] != [each.drawn for each in strata]:
        faults.append("the traces are not those of their strata")
    if not faults and traces is not None:
        n = sum(each.drawn for each in strata if each.name != SUSPICIONS)
        again = draw(traces, n=n, seed=selection.seed, seed_by=selection.seed_by, suspected=suspected)
        if (again.trace_ids, again.strata, again.homes) != (ids, strata, homes):
            faults.append("drawn again by its seed, it comes out differently")
    return tuple(faults)


def _rows(traces: Iterable[TraceFacts], seed: int, suspected: Callable[[str], bool]) -> Iterator[tuple[str, bytes, str, str, int]]:
    key = hashlib.blake2b(f"phi-audit sample {seed}".encode(), digest_size=32).digest()
    for each in traces:
        if each.findings:
            continue
        place = hashlib.blake2b(each.trace_id.encode(), key=key, digest_size=16).digest()
        stratum = SUSPICIONS if suspected(each.trace_id) else f"{each.tools} · {each.outcome} · {each.version} · {each.env}"
        yield stratum, place, each.trace_id, each.version, int(each.outcome == "error")


def _number(n: int | None, total: int) -> tuple[int, str]:
    if n is not None:
        return min(n, total), f"{n} were asked for" if n <= total else f"{n} were asked for; all are drawn"
    if not total:
        return 0, "there is nothing to draw from"
    asked = plan(population=total).n
    if asked is None:  # cannot be at full recall; all is the answer that is never too few
        return total, "all"
    return asked, f"rules out {MAX_LEAK:.1%} or more leaking traces at {CONFIDENCE:.0%} if nothing is found, strata apart (hypergeometric)"


def _lowest_placed(held: sqlite3.Connection, stratum: str, k: int) -> list[tuple[bytes, str]]:
    return held.execute("SELECT place, id FROM traces WHERE stratum = ? ORDER BY place, id LIMIT ?", (stratum, k)).fetchall()


def _lowest(held: sqlite3.Connection, stratum: str, k: int) -> list[str]:
    return [trace for _, trace in _lowest_placed(held, stratum, k)]


def _version(version: str) -> tuple[tuple[int, int, str], ...]:
    """Orders 1.10.0 after 1.9.2, and a version that is not known before all."""
    parts = re.findall(r"[0-9]+|[A-Za-z]+", version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
