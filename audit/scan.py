"""The scan of one run: every string, number, key and name of it, at any depth, is on the closed list, redacted, or a finding.

Suspicious by default. A value is clean only where its place and shape are known (`audit.structure`), where it is a marker, where the
policy keeps it and it fits, or where the policy lets free text stand and the detectors find nothing in it, in what it hides
(`audit.content`) and in what its neighbours make of it (`audit.seams`). The walk keeps its own stack, so that no depth of nesting can
end it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from audit.expected import Expected
from audit.findings import Finding, fingerprint
from audit.memo import Memo
from audit.source import Run
from audit.visit import Visit
from phi_guard.detect.detector import merge
from phi_guard.model import MARKER, Detection
from phi_guard.policy.compiled import Policy

Find: TypeAlias = Callable[[str], Sequence[Detection]]
FindMany: TypeAlias = Callable[[Sequence[str]], Sequence[Sequence[Detection]]]

VALUES_MAX: Final = 5_000
"""Different raw values that are remembered for a report's check of itself."""
ROUNDS_MAX: Final = 12
"""How often a batch is walked again for texts that showed only once others were known; then they are judged one by one."""
_SIGNS: Final = frozenset({"So", "Co", "Cn", "Cs", "Cf"})
"""Kinds of character, by Unicode, that may stand for letters."""
ASKED_MAX: Final = 64
"""Texts that the detectors are asked about at once."""


class Scanner:
    """Scans runs under one policy.

    Args:
        policy: says which fields of which tools may hold what.
        find: the detectors whose finding fails; what they raise is raised on. If it is a method of an object that has ``find_many``,
            that is asked where many texts come at once.
        find_patterns: the pattern detectors alone, for values of a shape that is no closed list.
        project: the project's name, which runs may name; empty where it is not known.
        key: of the fingerprints.
        naming: False leaves the naming of structural findings out (they are found all the same), which saves the detectors' time.
        find_roster: finds the clinic's own patients, in whatever text; None without a roster.
        find_suspicions: detectors at their lowest thresholds, whose findings are of severity ``low``; None without.

    Attributes:
        values: raw values found, the first `VALUES_MAX` different ones, for the check that a report holds none. In memory only.
    """

    def __init__(
        self,
        policy: Policy,
        find: Find,
        find_patterns: Find,
        *,
        project: str,
        key: bytes,
        naming: bool = True,
        find_roster: Find | None = None,
        find_suspicions: Find | None = None,
    ) -> None:
        self.values: set[str] = set()
        self.policy = policy
        self.expected = Expected(policy, project)
        self._project = project
        self._key = key
        self._naming = naming
        self._strict = _Asked(find)
        self._patterns = _Asked(find_patterns)
        self._roster = _Asked(find_roster) if find_roster is not None else None
        self._suspicions = _Asked(find_suspicions) if find_suspicions is not None else None

    def scan(self, run: Run) -> tuple[Finding, ...]:
        """Every finding of one run, in the order of the walk; the run is not changed."""
        return tuple(Visit(self, run).findings())

    def scan_many(self, runs: Sequence[Run]) -> list[tuple[Finding, ...]]:
        """As `scan` for each run; the detectors are asked about the texts of all of them at once."""
        asked = [part for part in (self._strict, self._suspicions) if part is not None]
        left = list(range(len(runs)))
        out: list[tuple[Finding, ...]] = [()] * len(runs)
        for _ in range(ROUNDS_MAX):
            again: list[int] = []
            for part in asked:
                part.wait()
            for i in left:
                for part in asked:
                    part.short = False
                found = tuple(Visit(self, runs[i]).findings())
                if any(part.short for part in asked):
                    again.append(i)
                else:
                    out[i] = found
            for part in asked:
                part.answer()
            left = again
            if not left:
                return out
        for i in left:
            out[i] = self.scan(runs[i])
        return out

    def span_name(self, value: object) -> str:
        """The run's name if it is on the closed list, else ``?``."""
        return self.expected.span_name(value)

    def find(self, text: str) -> Sequence[Detection]:
        """What the detectors find outside the markers of a text."""
        return self._strict.outside_markers(text)

    def suspicions(self, text: str) -> Sequence[Detection]:
        """What only the lowest thresholds give outside the markers of a text; nothing without such detectors."""
        return self._suspicions.outside_markers(text) if self._suspicions is not None else ()

    @property
    def has_roster(self) -> bool:
        """Whether the clinic's own patients are looked for."""
        return self._roster is not None

    def roster(self, text: str) -> Sequence[Detection]:
        """Whom of the clinic's patients a text names; nobody without a roster."""
        return self._roster.outside_markers(text) if self._roster is not None else ()

    def forms_hit(self, text: str) -> Sequence[Detection]:
        """What the patterns find in a text."""
        return self._patterns.of(text)

    def fingerprint(self, value: str) -> str:
        """The value's fingerprint; the value is remembered for the report's own check, unless it is a word of ours."""
        if len(self.values) < VALUES_MAX and value not in self.expected.own_words:
            self.values.add(value)
        return fingerprint(self._key, value)

    def name(self, text: str) -> Detection | None:
        """What the detectors call a text that does not belong where it is: the longest stretch they find, or None."""
        patient = max(self.roster(text), key=_length, default=None)
        if patient is not None or not self._naming:
            return patient
        return max(self.find(text.replace("_", " ")), key=_length, default=None)


def _length(found: Detection) -> int:
    return found.end - found.start


def _says(text: str) -> bool:
    """Whether a text could say anything: letters, digits, or signs that stand for them, such as letters in discs."""
    return any(c.isalnum() or unicodedata.category(c) in _SIGNS for c in text)


class _Asked:
    """One detector, with what it answered before: the same text stands in many runs.

    Attributes:
        short: whether a text was asked for since it was last set False that is still to be judged.
    """

    def __init__(self, find: Find) -> None:
        self._find = find
        many = getattr(getattr(find, "__self__", None), "find_many", None)
        self._many: FindMany | None = many if callable(many) else None
        self._memo: Memo[Sequence[Detection]] = Memo()
        self._open: dict[str, None] | None = None
        self.short = False

    def wait(self) -> None:
        """From now on, note what is asked for and not known, and answer it with nothing."""
        self._open = {}

    def answer(self) -> None:
        """Judge all that was noted, and answer at once from now on."""
        texts, self._open = list(self._open or ()), None
        for at in range(0, len(texts), ASKED_MAX):
            some = texts[at : at + ASKED_MAX]
            found = self._many(some) if self._many is not None else [self._find(text) for text in some]
            for text, each in zip(some, found, strict=True):
                self._memo.put(text, tuple(each))

    def of(self, text: str) -> Sequence[Detection]:
        """What the detector finds in a text."""
        known = self._memo.get(text)
        if known is not None:
            return known
        if self._open is not None:
            self._open[text] = None
            self.short = True
            return ()
        found = tuple(self._find(text))
        self._memo.put(text, found)
        return found

    def outside_markers(self, text: str) -> Sequence[Detection]:
        """What the detector finds in the stretches between markers, offsets into the whole text."""
        if MARKER not in text:
            return self.of(text) if _says(text) else ()
        found: list[Detection] = []
        start = 0
        for part in text.split(MARKER):
            if _says(part):
                found += [Detection(d.start + start, d.end + start, d.entity, d.score, d.source, d.also) for d in self.of(part)]
            start += len(part) + len(MARKER)
        return merge(found, len(text))
