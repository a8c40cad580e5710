"""The scan of a round: the same census, gates and report as `phi-audit scan`, with detectors that are loaded once and kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import SystemRandom
from typing import Final

from audit.assessment import Assessment, Beside, assess
from audit.census import Detectors, Plan, Progress
from audit.gates import Gate
from audit.known_answers import KnownAnswers
from audit.manifest import Manifest
from audit.method import Method
from audit.population import CALL_MAX
from audit.source import Portion, Run, Source, Window
from audit.statistics import lower_bound
from phi_guard.policy.compiled import Policy

OVERLAP: Final = CALL_MAX
"""How far before its beginning a watch reads: calls that were going on then are looked at whole."""
ROUND_ANSWERS: Final = 1
"""Plants of each class and style in a round (120 in all): enough to see a scan that has gone blind, not to show a recall."""
RECALL: Final = 0.95
"""Below this recall, shown at 95 %, the scan of a round is blind."""
_SEEDS: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Examined:
    """What the scan of a round gave.

    Args:
        assessment: the report, and the census it was made from.
        since: where its window begins.
        why: why the project was not read to its end, or cannot be judged; empty where it was. A window without a run is whole.
        interrupted: whether Ctrl-C ended it.
        problems: what else went wrong, in words.
    """

    assessment: Assessment
    since: datetime
    why: str
    interrupted: bool = False
    problems: tuple[str, ...] = ()


class Examiner:
    """Scans a project again and again.

    Args:
        open_source: the project in a window, read at an instant. May raise `SourceError`.
        policy: to judge by.
        gates: to judge by.
        open_detectors: loads the detectors; called once.
        describe: says with what is looked; called once.
        project: its name.
        key: the audit's own.
        workspace: file of the results and of what need not be scanned again; None for none.
        beside: what is judged beside the traces.
        known_answers: plants of each class and style in the last scan, on which the report stands.
        progress: told how far a scan is.
    """

    def __init__(
        self, open_source: Callable[[Window, datetime], Source], *, policy: Policy, gates: tuple[Gate, ...],
        open_detectors: Callable[[], Detectors], describe: Callable[[], Method], project: str, key: bytes, workspace: Path | None,
        beside: Beside, known_answers: int, progress: Progress = lambda _what, _done: None,
    ) -> None:  # fmt: skip
        self._open_source, self._policy, self._gates, self._project, self._key = open_source, policy, gates, project, key
        self._open, self._describe, self._workspace, self._beside = open_detectors, describe, workspace, beside
        self._known_answers, self._progress = known_answers, progress
        self._detectors: Detectors | None = None
        self._method: Method | None = None

    def examine(self, begun: datetime, now: datetime, *, last: bool = False) -> Examined:
        """Scan the whole window of the watch.

        Args:
            begun: when the watch began.
            now: up to when, with a zone.
            last: whether this is the scan the closing report stands on, with all its known answers and the sample for people.

        Raises:
            SourceError: the endpoint is no address.
        """
        window = Window(begun - OVERLAP, max(now, begun + timedelta(microseconds=1)))
        problems: tuple[str, ...] = ()
        try:
            done, source = self._assess(window, now, self._workspace, last=last)
        except (OSError, sqlite3.Error) as fault:
            problems = (f"the scan's files cannot be written ({type(fault).__name__}): every run is scanned anew, in memory",)
            done, source = self._assess(window, now, None, last=last)
        why = done.report.incomplete
        if source.whole and not done.census.population.runs:
            why = ""
        why = why or _blind(done.report.known_answers)
        return Examined(done, window.since, why, done.census.interrupted, problems)

    def _assess(self, window: Window, now: datetime, workspace: Path | None, *, last: bool) -> tuple[Assessment, Observed]:
        source = Observed(self._open_source(window, now))
        plan = Plan(
            self._policy, self._project, _SEEDS.randrange(2**32), self._known_answers if last else ROUND_ANSWERS, since=window.since,
            until=window.until, key=self._key, workspace=workspace,
        )  # fmt: skip
        beside = self._beside if last else replace(self._beside, sample=0)
        return assess(
            source, plan, self._gates, self._loaded, now=now, beside=beside, describe=self._described, progress=self._progress
        ), source  # fmt: skip

    def _loaded(self) -> Detectors:
        if self._detectors is None:
            self._detectors = self._open()
        return self._detectors

    def _described(self) -> Method:
        if self._method is None:
            self._method = self._describe()
        return self._method


@dataclass(slots=True)
class Observed:
    """A source, and whether it was read to its end.

    Args:
        inner: the source.
        whole: whether every portion was.
    """

    inner: Source
    whole: bool = False
    _left: set[str] = field(default_factory=set)

    @property
    def place(self) -> str:
        """As `Source.place`."""
        return self.inner.place

    @property
    def live(self) -> bool:
        """As `Source.live`."""
        return self.inner.live

    def runs(self) -> Iterator[Run]:
        """As `Source.runs`."""
        for portion in self.pieces():
            yield from portion.runs()

    def pieces(self) -> Iterator[Portion]:
        """As `Source.pieces`; it is whole when the last portion was asked for and read."""
        self.whole = False
        for portion in self.inner.pieces():
            self._left.add(portion.name)
            yield Portion(portion.name, lambda one=portion: self._read(one))  # type: ignore[misc]  # bound as it is now
        self.whole = not self._left

    def manifest(self) -> Manifest:
        """As `Source.manifest`."""
        return self.inner.manifest()

    def _read(self, portion: Portion) -> Iterator[Run]:
        yield from portion.runs()
        self._left.discard(portion.name)


def _blind(proof: KnownAnswers | None) -> str:
    """Why the scan of a round sees too little to be believed; empty where it sees enough."""
    if proof is None or not any(row.n for row in proof.rows):
        return ""
    kinds: dict[str, tuple[int, int]] = {}
    for row in proof.rows:
        n, missed = kinds.get(row.kind, (0, 0))
        kinds[row.kind] = n + row.n, missed + row.n - row.found
    planted, missed = (sum(column) for column in zip(*kinds.values(), strict=True))
    gone = sorted(kind for kind, (n, lost) in kinds.items() if n == lost)
    if gone or lower_bound(missed, planted) > 1 - RECALL:
        named = f"; of {', '.join(gone)} it found none" if gone else ""
        return f"the scan missed {missed} of {planted} known answers, so that it found nothing says nothing{named}"
    return ""
