"""The census: every run of a source counted, scanned and measured, and the scan proven on known answers. What ends early says so."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from audit import structure
from audit.engine import Engine, EngineError
from audit.findings import Finding
from audit.known_answers import KnownAnswers, free_text_slots, prove
from audit.population import Counting, Population
from audit.scan import VALUES_MAX, Find, Scanner
from audit.source import Portion, Run, Source, SourceError
from audit.timeline import Timeline, Watching
from audit.workspace import LISTED_MAX, FindingsByTrace, Workspace, content_digest
from phi_guard.errors import DetectorUnavailable
from phi_guard.policy.compiled import Policy

if TYPE_CHECKING:
    from audit.engine.partition import Partition

KEPT_RUNS: Final = 24
"""Runs of each kind that are kept to plant known answers in."""
PAGE: Final = 64
"""Runs that are scanned at a time: the networks read many short texts at once."""
THREADS: Final = 2
"""Threads that seek known answers; the networks compute outside the interpreter's lock."""
SCANNER: Final = "3"
"""Version of the scan itself (`audit.scan` and what it calls): what an older one found is not taken for what this one would."""

Progress = Callable[[str, int], None]
"""Called with what is being done and how much of it is done."""


@dataclass(frozen=True, slots=True)
class Detectors:
    """What the scan looks with.

    Args:
        strict: every detector whose finding fails.
        patterns: the pattern detectors alone.
        roster: finds the clinic's own patients; None without a roster.
        suspicions: detectors at their lowest thresholds; None without.
        digest: of the method (`audit.method.describe`); empty where nothing may be remembered from one scan to the next.
    """

    strict: Find
    patterns: Find
    roster: Find | None = None
    suspicions: Find | None = None
    digest: str = ""


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
        key: of the fingerprints and of all that is remembered; the audit's own (`audit.keys`), or made anew where nothing shall last.
        workspace: the file of the results, so that an interrupted scan can go on, and beside it of what need not be scanned again; None
            for temporary files.
        resume: whether to go on with an unfinished scan.
        engine: where partitions of an export are scanned; None for this process. Then nothing is remembered of single runs.
    """

    policy: Policy
    project: str
    seed: int
    known_answers: int
    since: datetime | None = None
    until: datetime | None = None
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    workspace: Path | None = None
    resume: bool = False
    engine: Engine | None = None


@dataclass(frozen=True, slots=True)
class Census:
    """What was found, and of what.

    Args:
        findings: none with a value; all, or the gravest `audit.workspace.LISTED_MAX`, in the order they were found.
        population: what was covered.
        timeline: the measures of the runs.
        known_answers: the self-proof, or None if it could not be made.
        incomplete: why this is not the whole, in words; empty if it is.
        interrupted: True after Ctrl-C.
        values: raw values that were found or planted. Only for the check that no report holds one; never written.
        severities: how many findings of each severity, listed or not.
        leaking: traces with a finding that is no mere suspicion.
        remembered: runs that were not scanned anew, since they were scanned before with the same content and method.
        resumed: whether this went on with an unfinished scan.
        notes: what the workspace had to say.
        counting: the count, which can still be asked for its traces.
        by_trace: findings by trace id, which can still be asked.
    """

    findings: tuple[Finding, ...]
    population: Population
    timeline: Timeline
    known_answers: KnownAnswers | None
    incomplete: str
    interrupted: bool
    values: frozenset[str] = field(repr=False)
    severities: Mapping[str, int] = field(default_factory=dict)
    leaking: int = 0
    remembered: int = 0
    resumed: bool = False
    notes: tuple[str, ...] = ()
    counting: Counting | None = field(default=None, compare=False, repr=False)
    by_trace: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def failing(self) -> int:
        """Findings that are no mere suspicions, listed or not."""
        return sum(n for severity, n in self.severities.items() if severity != "low")

    @property
    def unlisted(self) -> int:
        """Findings that are counted and not listed one by one."""
        return sum(self.severities.values()) - len(self.findings)


def take(source: Source, plan: Plan, open_detectors: Callable[[], Detectors], progress: Progress = lambda _what, _done: None) -> Census:
    """Read, scan and prove.

    A fault or Ctrl-C ends the work, not the report: what was found stays found, and the census is marked incomplete. With a workspace,
    portions that were finished are not read again by a scan that goes on.

    Args:
        source: where the runs come from.
        plan: what to do.
        open_detectors: loads the detectors; called only when there is a run to scan.
        progress: told how far it is.

    Raises:
        OSError: the workspace's files cannot be made.
        sqlite3.Error: likewise.
    """
    work = _Work(source, plan, open_detectors, progress)
    why, interrupted = "", False
    try:
        work.scan()
        if work.done:
            work.prove()
        else:
            why = f"{source.place} holds no run in the window; check --project and --since"
    except KeyboardInterrupt:
        why, interrupted = "interrupted", True
    except (SourceError, DetectorUnavailable, EngineError) as fault:
        why = str(fault)
    except Exception as fault:  # noqa: BLE001  # whatever broke, the census is no census; the fault's text could hold a value
        why = f"the scan broke ({type(fault).__name__}); what it had found until then is reported"
    return work.census(why, interrupted=interrupted)


class _Work:
    """The census as it goes."""

    def __init__(self, source: Source, plan: Plan, open_detectors: Callable[[], Detectors], progress: Progress) -> None:
        self.done = 0
        self._source = source
        self._plan = plan
        self._open = open_detectors
        self._progress = progress
        self._workspace = Workspace(plan.workspace, key=plan.key, identity=_identity(source, plan), resume=plan.resume)
        self._workspace.note_window(plan.since, plan.until)
        self._counting = Counting(self._workspace.db)
        self._watching = Watching(frozenset(plan.policy.fields), self._workspace.db)
        self._known_answers: KnownAnswers | None = None
        self._planted: frozenset[str] = frozenset()
        self._scanners: list[Scanner] = []
        self._method = b""
        self._remembered = 0
        self._texts: list[Run] = []
        self._others: dict[str, Run] = {}

    def scan(self) -> None:
        """Every portion that is not done yet."""
        if self._workspace.resumed:
            self._start()  # what was done with other detectors is not gone on with
        partitions = getattr(self._source, "partitions", None)
        if self._plan.engine is not None and partitions is not None:
            self._merge(self._plan.engine, partitions())
            return
        for portion in _portions(self._source):
            self._scan_here(portion)

    def _scan_here(self, portion: Portion) -> None:
        """One portion, in this process, unless it is done."""
        before = self._workspace.done(portion.name)
        if before is not None:
            self.done += before
            self._keep_again(portion)
            return
        n = 0
        for page in _pages(portion.runs()):
            self._take(portion.name, page)
            n += len(page)
            self.done += len(page)
            self._progress("scanning runs", self.done)
        self._workspace.finish(portion.name, n)

    def _merge(self, engine: Engine, partitions: Iterator[Partition]) -> None:
        """Every partition, by an engine's workers; what they tell is merged in the order of the export."""
        from audit.engine.merging import Merging  # noqa: PLC0415  # only where there are workers

        if not self._scanners:
            self._start()
        merging = Merging(engine, self._plan, self._workspace, self._counting, self._watching, self._scanners[0])
        with closing(merging.accounts(partitions)) as accounts:
            for partition, account in accounts:
                if account is None:
                    self._scan_here(partition)
                    continue
                merging.take(partition, account)
                self.done += len(account.rows)
                if any(self._wanted(row[3]) for row in account.rows):
                    self._keep_again(partition)
                self._progress("scanning runs", self.done)

    def _wanted(self, span: str) -> bool:
        """Whether a run of this name would be kept to plant known answers in."""
        if len(self._texts) >= KEPT_RUNS:
            return False
        return any(free_text_slots(self._plan.policy, span)) or (span != "?" and span not in self._others)

    def _keep_again(self, portion: Portion) -> None:
        """Known answers are planted in the first runs there are, also where those were scanned before."""
        if len(self._texts) < KEPT_RUNS:
            for run in portion.runs():
                self._keep(run, self._scanners[0].span_name(run.get("name")))
                if len(self._texts) >= KEPT_RUNS:
                    return

    def _keep(self, run: Run, span: str) -> None:
        if len(self._texts) >= KEPT_RUNS:
            return
        if any(free_text_slots(self._plan.policy, span)):
            self._texts.append(run)
        elif span != "?":
            self._others.setdefault(span, run)

    def _take(self, portion: str, page: Sequence[Run]) -> None:
        if not self._scanners:
            self._start()
        scanner = self._scanners[0]
        digests = [self._digest(run) for run in page]
        found: list[tuple[Finding, ...] | None] = [self._recalled(digest) for digest in digests]
        left = [i for i, known in enumerate(found) if known is None]
        for i, fresh in zip(left, scanner.scan_many([page[i] for i in left]), strict=True):
            found[i] = fresh
            digest = digests[i]
            if digest is not None and self._method and structure.TIME(page[i].get("start_time")):  # else ages are counted to today
                self._workspace.remember(self._method, digest, fresh)
        for run, digest, of_run in zip(page, digests, found, strict=True):
            self._account(portion, run, digest or b"", of_run or ())

    def _start(self) -> None:
        plan = self._plan
        self._progress("loading detectors", 0)
        detectors = self._open()
        strict, patterns, roster = detectors.strict, detectors.patterns, detectors.roster
        scanner = Scanner(
            plan.policy, strict, patterns, project=plan.project, key=plan.key, find_roster=roster, find_suspicions=detectors.suspicions
        )
        self._scanners = [scanner, *self._proving(detectors), *self._proving(detectors)]
        if self._workspace.bind(detectors.digest):
            self.done = 0
        if detectors.digest:
            held = [detectors.digest, SCANNER, plan.policy.digest, plan.policy.env, plan.project]
            self._method = hashlib.blake2b(repr(held).encode(), digest_size=16).digest()
            self._workspace.forget_others(self._method)

    def _proving(self, detectors: Detectors) -> Iterator[Scanner]:
        """A scanner for known answers and its bare twin: they are sought by what fails alone, for a suspicion would be a miss."""
        plan = self._plan
        for naming in (True, False):
            yield Scanner(
                plan.policy, detectors.strict, detectors.patterns, project=plan.project, key=plan.key, naming=naming,
                find_roster=detectors.roster,
            )  # fmt: skip

    def _digest(self, run: Run) -> bytes | None:
        """The run's keyed content digest; None where it has none, and so cannot be remembered."""
        try:
            return content_digest(run, self._plan.key)
        except (ValueError, TypeError, RecursionError):
            return None

    def _recalled(self, digest: bytes | None) -> tuple[Finding, ...] | None:
        """What the run gave before, unless its values are needed for the report's check of itself: they are kept nowhere."""
        if digest is None or not self._method:
            return None
        known = self._workspace.recall(self._method, digest)
        if known is None or (known and len(self._scanners[0].values) < VALUES_MAX):
            return None
        self._remembered += 1
        return known

    def _account(self, portion: str, run: Run, digest: bytes, found: Sequence[Finding]) -> None:
        span = self._scanners[0].span_name(run.get("name"))
        kept = shown(run, self._plan.key) if found else run
        fresh = self._counting.add(kept, span, digest)
        if fresh:
            self._watching.add(kept, span)
        self._workspace.add(portion, found, again=not fresh)
        self._keep(run, span)

    def prove(self) -> None:
        """Plant and seek known answers in copies of what was read."""
        if not self._scanners:
            self._start()
        plan, done = self._plan, 0

        def tick() -> None:
            nonlocal done
            done += 1
            self._progress("seeking known answers", done)

        self._progress("seeking known answers", 0)
        _, scanner, bare, *others = self._scanners
        kept = [*self._texts, *self._others.values()]
        threads = ThreadPoolExecutor(THREADS)
        try:
            self._known_answers, self._planted = prove(
                scanner, bare, kept, seed=plan.seed, n=plan.known_answers, tick=tick, executor=threads, spare=[(others[0], others[1])]
            )
        finally:
            threads.shutdown(cancel_futures=True)

    def census(self, why: str, *, interrupted: bool) -> Census:
        """What there is, whole or not; what a portion that was not finished gave is in it, and is then forgotten."""
        plan, live, workspace = self._plan, self._source.live, self._workspace
        census = Census(
            findings=workspace.listed(LISTED_MAX),
            population=self._counting.result(live=live, since=plan.since if live else None, until=plan.until),
            timeline=self._watching.result(),
            known_answers=self._known_answers,
            incomplete=why,
            interrupted=interrupted,
            values=self._planted.union(*(scanner.values for scanner in self._scanners)),
            severities=workspace.severities(),
            leaking=workspace.leaking(),
            remembered=self._remembered,
            resumed=workspace.resumed,
            notes=tuple(workspace.notes),
            counting=self._counting,
            by_trace=FindingsByTrace(workspace),
        )
        workspace.close(whole=not why)
        return census


def _portions(source: Source) -> Iterator[Portion]:
    pieces = getattr(source, "pieces", None)
    return iter((Portion("all", source.runs),)) if pieces is None else pieces()


def _pages(runs: Iterator[Run]) -> Iterator[list[Run]]:
    """The runs by pages. A source that breaks, or Ctrl-C, first gives what was read."""
    page: list[Run] = []
    broken: BaseException | None = None
    while broken is None:
        try:
            page.append(next(runs))
        except StopIteration:
            break
        except BaseException as fault:  # noqa: BLE001  # raised on below
            broken = fault
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
    if broken is not None:
        raise broken


def _identity(source: Source, plan: Plan) -> str:
    """What is scanned and how far back, apart from the detectors, which are not loaded yet."""
    held = [SCANNER, source.place, plan.project, plan.policy.digest, plan.policy.env, str(plan.since), str(plan.until)]
    return hashlib.blake2b(repr(held).encode(), key=plan.key, digest_size=16).hexdigest()


def shown(run: Run, key: bytes) -> Run:
    """The run as the count may keep it: an id that is none could be a value, so it becomes a keyed digest."""
    kept = dict(run)
    for name in ("id", "trace_id", "parent_run_id"):
        value = kept.get(name)
        if value is not None and not structure.UUID(value):
            kept[name] = "?" + hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), key=key, digest_size=12).hexdigest()
    return kept
