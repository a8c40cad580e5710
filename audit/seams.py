"""The seams between values: what two neighbours hold only together, such as a number cut in two or a name of one letter an item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final, TypeAlias

from phi_guard.model import MARKER, Detection

Find: TypeAlias = Callable[[str], Sequence[Detection]]

REACH: Final = 48
"""Characters on either side of a seam that are read with it: longer than a name, a number or an address of mail."""
SHORT_MAX: Final = 3
"""Words of a text that is no sentence, so that the words of two may be one name."""
_NAMES: Final = frozenset({"PERSON", "LOCATION", "NRP", "ADDRESS"})
_SPOKEN: Final = frozenset(
    """
    zero oh nought one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand double triple at dot dash hyphen underscore point
    null eins zwei drei vier fuenf sechs sieben acht neun zéro un deux trois quatre cinq sept huit neuf
    january february march april may june july august september october november december
    """.split()  # noqa: SIM905  # easier to read and to keep in order
)
SMALL_MAX: Final = 3
"""Characters of a value that may be one piece of many: a letter, or digits in twos and threes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A value that passed by itself.

    Args:
        parent: the path of what it lies in.
        path: its own.
        text: the value.
    """

    parent: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Seam:
    """What shows only once parts are joined.

    Args:
        path: the first part's and the last part's, with ``+`` between them.
        text: the stretch that was found.
        found: the detection in the joined text.
    """

    path: str
    text: str
    found: Detection


def across(parts: Sequence[Part], find: Find, find_forms: Find) -> Iterator[Seam]:
    """Every detection that lies across a seam.

    Args:
        parts: in the order in which they stand in the run.
        find: every detector; it reads two neighbours with a space between them, and small pieces put together.
        find_forms: the detectors that go by form; they also read two neighbours without a space, where any two words would make one that
            nobody knows.
    """
    seen: set[str] = set()
    for _, group in groupby(parts, lambda part: part.parent):
        for run in _small(list(group)):
            path = f"{run[0].path}+{run[-1].path}"
            texts = [part.text.strip() for part in run]
            for glue in ("", " "):
                joined, seams = _joined(texts, glue)
                for d in _crossing(find(joined), seams):
                    if path not in seen:
                        seen.add(path)
                        yield Seam(path, joined[d.start : d.end], d)
    for left, right in pairwise(parts):
        path = f"{left.path}+{right.path}"
        ends = [left.text[-REACH:].rpartition(MARKER)[2], right.text[:REACH].partition(MARKER)[0]]
        if path in seen or not all(any(c.isalnum() for c in end) for end in ends):
            continue
        looks: list[tuple[str, Find]] = [("", _figures(find_forms))]
        if all(len(end.split()) <= SHORT_MAX for end in ends):
            looks.append((" ", find))
        elif _spells(ends[0].split()[-1]) and _spells(ends[1].split()[0]):
            looks.append((" ", _figures(find)))
        for glue, look in looks:
            joined, seams = _joined(ends, glue)
            whole = next(_crossing(look(joined), seams), None)
            if whole is not None and not _known_alone(whole, ends, look, len(glue)):
                yield Seam(path, joined[whole.start : whole.end], whole)
                break


def _figures(find: Find) -> Find:
    """A detector without names and places: across two sentences any two words look like one."""
    return lambda text: [d for d in find(text) if d.entity not in _NAMES or d.source == "roster"]


def _spells(word: str) -> bool:
    """Whether a word may be part of a number, a spelling or an address that is said or written piece by piece."""
    bare = word.strip(".,;:!?").lower()
    return len(bare) == 1 or bare in _SPOKEN or any(c.isdecimal() or c == "@" for c in bare)


def _small(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """Three or more small values in a row."""
    for small, run in groupby(parts, lambda part: len(part.text.strip()) <= SMALL_MAX):
        pieces = list(run)
        if small and len(pieces) >= 3:
            yield pieces


def _joined(texts: Sequence[str], glue: str) -> tuple[str, list[int]]:
    """The texts with the glue between them, and where each but the first begins."""
    seams, at = [], 0
    for text in texts[:-1]:
        at += len(text) + len(glue)
        seams.append(at)
    return glue.join(texts), seams


def _crossing(found: Sequence[Detection], seams: Sequence[int]) -> Iterator[Detection]:
    return (d for d in found if any(d.start < seam < d.end for seam in seams))


def _known_alone(whole: Detection, ends: Sequence[str], look: Find, glue: int) -> bool:
    """Whether either side alone gives a detection: then it is a finding of its own, or one that the policy lets pass."""
    left = [d for d in look(ends[0]) if d.end > whole.start]
    right = [d for d in look(ends[1]) if d.start + len(ends[0]) + glue < whole.end]
    return bool(left or right)
