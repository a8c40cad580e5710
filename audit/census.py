"""The census: every run of a source counted, scanned and measured, and the scan proven on known answers. What ends early says so."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from audit.findings import Finding
from audit.known_answers import KnownAnswers, free_text_slots, prove
from audit.population import Counting, Population
from audit.scan import Find, Scanner
from audit.source import Run, Source, SourceError
from audit.timeline import Timeline, Watching
from phi_guard.errors import DetectorUnavailable
from phi_guard.policy.compiled import Policy

KEPT_RUNS: Final = 24
"""Runs of each kind that are kept to plant known answers in."""

Progress = Callable[[str, int], None]
"""Called with what is being done and how much of it is done."""


@dataclass(frozen=True, slots=True)
class Detectors:
    """What the scan looks with.

    Args:
        strict: every detector.
        patterns: the pattern detectors alone.
    """

    strict: Find
    patterns: Find


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Args:
        policy: says which fields may hold what.
        project: the project's name, or empty where any is allowed.
        seed: of the known answers.
        known_answers: plants of each class and style.
        since: where the window begins, or None for a file.
        until: where it ends.
        key: of the fingerprints; made anew for each report.
    """

    policy: Policy
    project: str
    seed: int
    known_answers: int
    since: datetime | None = None
    until: datetime | None = None
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


@dataclass(frozen=True, slots=True)
class Census:
    """What was found, and of what.

    Args:
        findings: every one, none with a value.
        population: what was covered.
        timeline: the measures of the runs.
        known_answers: the self-proof, or None if it could not be made.
        incomplete: why this is not the whole, in words; empty if it is.
        interrupted: True after Ctrl-C.
        values: raw values that were found or planted. Only for the check that no report holds one; never written.
    """

    findings: tuple[Finding, ...]
    population: Population
    timeline: Timeline
    known_answers: KnownAnswers | None
    incomplete: str
    interrupted: bool
    values: frozenset[str] = field(repr=False)


def take(source: Source, plan: Plan, open_detectors: Callable[[], Detectors], progress: Progress = lambda _what, _done: None) -> Census:
    """Read, scan and prove.

    A fault or Ctrl-C ends the work, not the report: what was found stays found, and the census is marked incomplete.

    Args:
        source: where the runs come from.
        plan: what to do.
        open_detectors: loads the detectors; called only when there is a run to scan.
        progress: told how far it is.
    """
    work = _Work(plan)
    why, interrupted = "", False
    try:
        runs = source.runs()
        first = next(runs, None)
        if first is None:
            why = f"{source.place} holds no run in the window; check --project and --since"
        else:
            progress("loading detectors", 0)
            work.start(open_detectors())
            work.scan(first, runs, progress)
            work.prove(progress)
    except KeyboardInterrupt:
        why, interrupted = "interrupted", True
    except (SourceError, DetectorUnavailable) as fault:
        why = str(fault)
    except Exception as fault:  # noqa: BLE001  # whatever broke, the census is no census; the fault's text could hold a value
        why = f"the scan broke ({type(fault).__name__}); what it had found until then is reported"
    population = work.counting.result(live=source.live, since=plan.since if source.live else None, until=plan.until)
    return Census(tuple(work.findings), population, work.watching.result(), work.known_answers, why, interrupted, frozenset(work.values))


class _Work:
    """The census as it goes."""

    def __init__(self, plan: Plan) -> None:
        self.counting = Counting()
        self.watching = Watching(frozenset(plan.policy.fields))
        self.findings: list[Finding] = []
        self.known_answers: KnownAnswers | None = None
        self._plan = plan
        self._planted: frozenset[str] = frozenset()
        self._scanners: list[Scanner] = []
        self._texts: list[Run] = []
        self._others: dict[str, Run] = {}

    @property
    def values(self) -> Iterator[str]:
        yield from self._planted
        for scanner in self._scanners:
            yield from scanner.values

    def start(self, detectors: Detectors) -> None:
        plan = self._plan
        for naming in (True, False):
            self._scanners.append(
                Scanner(plan.policy, detectors.strict, detectors.patterns, project=plan.project, key=plan.key, naming=naming)
            )

    def scan(self, first: Run, rest: Iterator[Run], progress: Progress) -> None:
        run: Run | None = first
        done = 0
        while run is not None:
            self._one(run)
            done += 1
            progress("scanning runs", done)
            run = next(rest, None)

    def _one(self, run: Run) -> None:
        scanner = self._scanners[0]
        span = scanner.span_name(run.get("name"))
        self.findings += scanner.scan(run)
        if self.counting.add(run, span):
            self.watching.add(run, span)
        if len(self._texts) < KEPT_RUNS and any(free_text_slots(self._plan.policy, span)):
            self._texts.append(run)
        elif span != "?":
            self._others.setdefault(span, run)

    def prove(self, progress: Progress) -> None:
        plan, done = self._plan, 0

        def tick() -> None:
            nonlocal done
            done += 1
            progress("seeking known answers", done)

        progress("seeking known answers", 0)
        scanner, bare = self._scanners
        kept = [*self._texts, *self._others.values()]
        self.known_answers, self._planted = prove(scanner, bare, kept, seed=plan.seed, n=plan.known_answers, tick=tick)
