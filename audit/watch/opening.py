"""A watch from its first file to its last: the directory, the lock, the journal, what looks, and what is left behind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from audit.alerts import Rule
from audit.alerts.reading import Reading, opened
from audit.alerts.watch import WATCHING, alone
from audit.assessment import Assessment, Beside
from audit.binding import figures_digest, rules_digest
from audit.calls.index import CallIndex
from audit.census import Detectors, Progress
from audit.containment import write_log
from audit.gates import Gate as Criterion
from audit.gates_base import gates_digest
from audit.method import Method
from audit.report import render as render_report
from audit.source import Source, Window
from audit.watch.alarms import BLIND, Alarms, Reader
from audit.watch.clock import Clock
from audit.watch.closing import Closing, Hour, close, doubted, hours_of
from audit.watch.document import evidence, render
from audit.watch.examining import OVERLAP, Examiner
from audit.watch.journal import FILE, Begun, Journal
from audit.watch.marks import Marks
from audit.watch.round import Round, stamp
from audit.watch.watching import Ended, Watching, log_facts
from audit.whole_file import FileNotWritten, write_whole
from audit.workspace import location
from phi_guard.errors import PhiGuardError
from phi_guard.gate import Gate
from phi_guard.outbound.sink import Sink
from phi_guard.policy.compiled import Policy
from phi_guard.runtime import state_dir
from phi_guard.switch import SwitchState

LOCK: Final = "watch.lock"
REPORT: Final = "report"
CLOSING: Final = "watch"
MONITORING: Final = "monitoring.json"


class WatchRefused(PhiGuardError):
    """The directory holds another watch, or none to go on with; the message says what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be watched, with what, and how.

    Args:
        project: its name.
        env: ``dev`` or ``prod``.
        place: what is read, in words.
        hours: how long.
        every_s: seconds from one round to the next.
        directory: of the watch; made with mode 0700 if it is not there.
        audit: the audit's own directory.
        key: the audit's own.
        policy: to judge by.
        gates: to judge by.
        rules: of the alerts, those of the environment.
        open_source: the project in a window, read at an instant.
        open_detectors: loads the detectors.
        describe: says with what is looked.
        switch: says where telemetry's switch stands; never raises.
        endpoint: what the calls are read from for the alerts.
        api_key: its key.
        beside: what is judged beside the traces.
        known_answers: plants of each class and style in the last scan.
        enforce: whether a round that is NO-GO turns the switch off.
        deliver: where alerts are sent; None to send nothing.
        resume: whether there must be a watch to go on with.
    """

    project: str
    env: str
    place: str
    hours: float
    every_s: float
    directory: Path
    audit: Path
    key: bytes = field(repr=False)
    policy: Policy
    gates: tuple[Criterion, ...]
    rules: tuple[Rule, ...]
    open_source: Callable[[Window, datetime], Source]
    open_detectors: Callable[[], Detectors]
    describe: Callable[[], Method]
    switch: Callable[[], SwitchState]
    endpoint: str
    api_key: str = field(default="", repr=False)
    beside: Beside = field(default_factory=Beside)
    known_answers: int
    enforce: bool = False
    deliver: Mapping[str, Sink] | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A watch that has ended, or was stopped.

    Args:
        closing: what it came to.
        files: what was written, in the watch's directory.
        problems: what could not be, in words.
    """

    closing: Closing
    files: tuple[Path, ...]
    problems: tuple[str, ...]


def default_directory(audit: Path, key: bytes, *, project: str, endpoint: str) -> Path:
    """Where the watch of a project stands that nobody named a directory for: the last that is not closed, or a new one.

    The name tells neither project nor endpoint.
    """
    held = hashlib.blake2b(json.dumps([project, endpoint]).encode(), key=key, digest_size=8, person=b"phi watch").hexdigest()
    state_dir(audit / "watches")
    n = 1
    while (audit / "watches" / f"{held}-{n}" / MONITORING).exists() and _is_closed(audit / "watches" / f"{held}-{n}"):
        n += 1
    return audit / "watches" / f"{held}-{n}"


def hold(
    asked: Asked, clock: Clock, *, on_begin: Callable[[Begun, bool], None] = lambda *_: None,
    on_round: Callable[[Round], None] = lambda _: None, on_problem: Callable[[str], None] = lambda _: None,
    on_wait: Callable[[float], None] = lambda _: None, progress: Progress = lambda _what, _done: None,
) -> Done:  # fmt: skip
    """Watch, to the end or until Ctrl-C, and write the closing report.

    Args:
        asked: what.
        clock: what time it is.
        on_begin: told what is watched, and whether it is gone on with.
        on_round: told of each round.
        on_problem: told at once that a round could not be written down.
        on_wait: told while it waits how long it is to the next round, seconds.
        progress: told how far a scan is.

    Raises:
        WatchRefused: the directory holds another watch, or none to go on with.
        WatchBusy: another process watches there, or delivers alerts.
        JournalUnusable: the journal cannot be used, or is not the one that was written.
        RuntimeDirectoryError: the directory cannot be made or trusted.
    """
    state_dir(asked.directory)
    with alone(asked.directory / LOCK, wait_s=0.0), _delivering(asked), _index(asked) as index:
        journal, marks = _journal(asked, clock, on_begin, on_problem)
        reading = Reading(
            index, asked.rules, project=asked.project, file=None, endpoint=asked.endpoint, api_key=asked.api_key
        )  # fmt: skip
        watching = Watching(
            journal, _examiner(asked, progress), _alarms(asked, index, reading, journal), asked.switch, clock, marks,
            enforce=asked.enforce, on_round=on_round, on_problem=on_problem, on_wait=on_wait,
        )  # fmt: skip
        ended: Ended | None = None
        try:
            ended = watching.run()
        except KeyboardInterrupt:
            journal.stop(clock.now())
        return _left(asked, journal, marks, index, ended, clock)


def _journal(
    asked: Asked, clock: Clock, on_begin: Callable[[Begun, bool], None], on_problem: Callable[[str], None]
) -> tuple[Journal, Marks]:
    """The journal, begun or gone on with, and its marks in the audit's log."""
    journal = Journal(asked.directory)
    marks = Marks(journal, asked.audit, {"project": asked.project, "env": asked.env})
    begun = journal.begun
    if begun is None:
        if asked.resume:
            raise WatchRefused(f"{asked.directory}: there is no watch to go on with; leave --resume out, or name its directory with -d")
        begun = Begun(
            at=stamp(clock.now()), hours=asked.hours, every_s=asked.every_s, project=asked.project, env=asked.env, place=asked.place,
            policy=asked.policy.digest, rules=tuple(sorted(rule.name for rule in asked.rules if rule.metric not in BLIND)),
            rules_digest=rules_digest(asked.rules, asked.env), gates_digest=gates_digest(asked.gates),
        )  # fmt: skip
        journal.begin(begun, clock.now())
        on_begin(begun, False)  # not gone on with
        _mark(marks, "begun", clock, on_problem)
        return journal, marks
    if journal.closed:
        raise WatchRefused(f"{asked.directory}: the watch in it has ended, and its report stands there; name another directory with -d")
    mine = replace(
        begun, project=asked.project, env=asked.env, place=asked.place, policy=asked.policy.digest, hours=asked.hours,
        rules_digest=rules_digest(asked.rules, asked.env), gates_digest=gates_digest(asked.gates),
    )  # fmt: skip
    named = {name: name for name in ("project", "env", "place", "policy", "hours")} | {"rules_digest": "rules", "gates_digest": "gates"}
    other = [word for name, word in named.items() if getattr(mine, name) != getattr(begun, name)]
    if other:
        what = f"the watch in it was begun with another {', '.join(other)}"
        raise WatchRefused(f"{asked.directory}: {what}; go on with the same, or name another directory with -d")
    marks.demand()
    journal.resume(clock.now())
    on_begin(begun, True)  # gone on with
    _mark(marks, "resumed", clock, on_problem)
    return journal, marks


def _mark(marks: Marks, why: str, clock: Clock, on_problem: Callable[[str], None]) -> None:
    if fault := marks.make(why, clock.now()):
        on_problem(f"{fault}; the watch goes on, and is proven only where the log holds its journal: mend that while it goes on")


def _examiner(asked: Asked, progress: Progress) -> Examiner:
    return Examiner(
        asked.open_source, policy=asked.policy, gates=asked.gates, open_detectors=asked.open_detectors, describe=asked.describe,
        project=asked.project, key=asked.key, beside=asked.beside, known_answers=asked.known_answers, progress=progress,
        workspace=location(asked.directory, asked.key, project=asked.project, place=asked.place, policy=asked.policy.digest),
    )  # fmt: skip


def _alarms(asked: Asked, index: CallIndex, reading: Reader, journal: Journal) -> Alarms:
    own = asked.deliver is None
    return Alarms(
        asked.directory if own else asked.audit, asked.rules, Gate(asked.policy, None), asked.deliver or {}, index=index, reading=reading,
        env=asked.env, project=asked.project, switch=asked.switch, log=asked.audit, account=asked.beside.account,
        elsewhere=asked.audit if own else None, begun=journal.began, told=[one.alerts for one in journal.rounds],
    )  # fmt: skip


@contextmanager
def _index(asked: Asked) -> Iterator[CallIndex]:
    """The calls, for the alerts: those of `phi-audit alerts watch` only where this watch is that."""
    directory = asked.directory if asked.deliver is None else asked.audit
    with opened(directory, project=asked.project, file=None, endpoint=asked.endpoint) as index:
        yield index


@contextmanager
def _delivering(asked: Asked) -> Iterator[None]:
    """Within, nobody else delivers alerts, where this watch does."""
    if asked.deliver is None:
        yield
        return
    with alone(asked.audit / WATCHING, wait_s=0.0):
        yield


def _left(asked: Asked, journal: Journal, marks: Marks, index: CallIndex, ended: Ended | None, clock: Clock) -> Done:
    """The closing report, the evidence, the last line of the journal, and the entry of the audit's log that holds them."""
    begun = journal.begun
    if begun is None:
        raise WatchRefused(f"{asked.directory}: there is no watch")
    problems: list[str] = []
    last = ended.last if ended is not None else None
    at = ended.at if ended is not None else max(clock.now(), *(one.moment for one in journal.rounds[-1:]), begun.moment)
    hours: tuple[Hour, ...] = ()
    try:
        hours = hours_of(index, begun.moment - OVERLAP, at)
    except PhiGuardError as fault:
        problems.append(f"the hours cannot be told: {fault}")
    closing = close(
        begun, journal.rounds, at=at, ended=ended is not None, report=last.report if last is not None else None, hours=hours,
        resumed=journal.resumed, fault=journal.check() or marks.check(), journal=(journal.head.n, journal.head.sha256),
    )  # fmt: skip
    if unmarked := marks.make(
        "closed" if ended else "stopped", clock.now(), outcome=closing.outcome, figures=figures_digest(closing.monitoring)
    ):
        problems.append(f"{unmarked}; mend that, and the same command goes on with it: the journal is left open")
        closing = doubted(closing, f"{unmarked}, so that it does not hold these figures")
    files = _written(asked.directory, closing, last, problems)
    if ended is not None and not unmarked:  # one that no log vouches for can be gone on with, and closed when it does
        facts = {"outcome": closing.outcome, "rounds": closing.monitoring.rounds, "report": closing.report.digest if closing.report else ""}
        journal.close(facts, clock.now())
        if journal.fault:
            problems.append(f"{asked.directory / FILE}: {journal.fault}")
        if closing.report is not None:
            mark: dict[str, str | int] = {"journal_n": journal.head.n, "journal_sha256": journal.head.sha256}
            logged, why = write_log("report", log_facts(closing.report) | mark, clock.now(), asked.audit)
            problems += [] if logged else [why]
    return Done(closing, files, tuple(problems))


def _written(directory: Path, closing: Closing, last: Assessment | None, problems: list[str]) -> tuple[Path, ...]:
    made: dict[str, Callable[[], str]] = {
        f"{CLOSING}.json": lambda: render(closing, "json"),
        f"{CLOSING}.md": lambda: render(closing, "md"),
        MONITORING: lambda: json.dumps(evidence(closing.monitoring), indent=2) + "\n",
    }
    if last is not None:
        done = last
        for fmt in ("json", "html", "md"):
            made[f"{REPORT}.{fmt}"] = lambda fmt=fmt: str(render_report(done.report, fmt, done.census.values))  # type: ignore[misc]
    files = []
    for name, content in made.items():
        try:
            write_whole(directory / name, content().encode())
        except (FileNotWritten, PhiGuardError) as fault:
            problems.append(str(fault))
        else:
            files.append(directory / name)
    return tuple(files)


def _is_closed(directory: Path) -> bool:
    try:
        return Journal(directory).closed
    except PhiGuardError:
        return True  # it cannot be gone on with
