"""The watch itself: round after round until its time is over, whatever fails meanwhile; each is written down before the next begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from audit.assessment import Assessment
from audit.containment import contain, write_log
from audit.report import Report
from audit.source import SourceError
from audit.watch import switching
from audit.watch.clock import Clock
from audit.watch.examining import Examined
from audit.watch.journal import Journal
from audit.watch.marks import Marks
from audit.watch.round import AlertLook, Census, Round, State, SwitchLook, census_of, short, stamp
from phi_guard.errors import PhiGuardError
from phi_guard.switch import LEAK, SwitchState

RETRY_S: Final = 30.0
"""Seconds to the next round after one that was not finished; twice as many after each further one, up to the time between rounds."""
LAST_TRIES: Final = 3
NOT_OFF: Final = "NOT OFF: turn it off by hand"
"""What is said of a switch that could not be turned off; it is tried again in each round."""


class Examines(Protocol):
    """Scans the project (`audit.watch.examining.Examiner`)."""

    def examine(self, begun: datetime, now: datetime, *, last: bool = False) -> Examined:
        """The scan of a window from the watch's beginning on."""


class Alarmed(Protocol):
    """Judges the alerts (`audit.watch.alarms.Alarms`)."""

    def look(self, now: datetime) -> tuple[AlertLook, tuple[str, ...]]:
        """How they stand, and what went wrong."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a watch ended.

    Args:
        at: when it was last looked at, with a zone.
        last: the scan of its whole time; None where it was stopped before.
    """

    at: datetime
    last: Assessment | None = None


class Watching:
    """The loop of a watch.

    Args:
        journal: begun.
        examiner: scans.
        alarms: judges the alerts.
        switch: says where the switch stands; never raises.
        clock: what time it is.
        marks: the journal's places in the audit's log.
        enforce: whether a round that is NO-GO turns the switch off.
        on_round: told of each round when it is over.
        on_problem: told at once of what a round cannot say itself: that it could not be written down.
        on_wait: told again and again while it waits how long it is to the next round, in seconds.
    """

    def __init__(
        self, journal: Journal, examiner: Examines, alarms: Alarmed, switch: Callable[[], SwitchState], clock: Clock,
        marks: Marks, *, enforce: bool = False, on_round: Callable[[Round], None] = lambda _: None,
        on_problem: Callable[[str], None] = lambda _: None, on_wait: Callable[[float], None] = lambda _: None,
    ) -> None:  # fmt: skip
        if journal.begun is None:
            msg = "the journal was not begun"
            raise ValueError(msg)
        self._journal, self._begun, self._examiner, self._alarms = journal, journal.begun, examiner, alarms
        self._switch, self._clock, self._marks, self._enforce = switch, clock, marks, enforce
        self._on_round, self._on_problem, self._on_wait = on_round, on_problem, on_wait

    @property
    def ends(self) -> datetime:
        """When its time is over."""
        return self._begun.moment + timedelta(hours=self._begun.hours)

    def run(self) -> Ended:
        """Go on to the end: the last round scans the whole time anew, and is the one the report stands on.

        Where that one cannot be finished it is tried again for as long as the time between two rounds, and `LAST_TRIES` times at least;
        then it ends as it stands.

        Raises:
            KeyboardInterrupt: Ctrl-C; every round that was finished is in the journal.
        """
        failures = tries = 0
        while True:
            now = self._now()
            last = now >= self.ends
            done, assessment = self._round(now, last=last)
            failures = 0 if done.finished else failures + 1
            tries += last
            if last and (done.finished or (tries >= LAST_TRIES and now >= self.ends + timedelta(seconds=self._begun.every_s))):
                return Ended(done.moment, assessment)
            wait = min(RETRY_S * 2 ** min(failures - 1, 16), self._begun.every_s) if failures else self._begun.every_s
            after = now + timedelta(seconds=wait)
            self._wait(self.ends if now < self.ends < after else after)

    def _round(self, now: datetime, *, last: bool) -> tuple[Round, Assessment | None]:
        steady, unwritten = self._clock.steady(), self._journal.unwritten
        before = self._journal.rounds[-1] if self._journal.rounds else None
        since = before.moment if before else self._begun.moment
        examined, state, why, problems = self._examined(now, last=last)
        if unwritten:
            problems = (f"{unwritten} lines of the journal could not be written yet ({self._journal.fault})", *problems)
        census = census_of(examined.assessment.report) if examined is not None else Census()
        enforced = ""
        if state == "NO_GO" and examined is not None:
            news = self._is_news(census)
            if news:
                problems += _logged(examined.assessment.report, now)
            if self._enforce and not self._held():
                enforced = _contained(census.report, now)
        alerts, wrong = self._alarms.look(now)
        switch = switching.look(self._switch, self._last_switch(), since, now)
        one = Round(
            n=(before.n if before else 0) + 1, at=stamp(now), took_s=round(max(0.0, self._clock.steady() - steady), 3), state=state,
            why=short(why), census=census, alerts=alerts, switch=switch, enforced=enforced,
            problems=tuple(short(text) for text in dict.fromkeys((*problems, *(each for each in wrong if not why or why not in each)))),
        )  # fmt: skip
        self._journal.add(one, self._now())
        unmarked = self._marks.after(before, one, self._now())
        self._on_round(one)
        if unmarked:
            self._on_problem(f"{unmarked}; this round's place in the journal is not in it, and is tried again with the next")
        if self._journal.fault:
            self._on_problem(f"the journal {self._journal.fault}; {self._journal.unwritten} lines wait, and the watch goes on in memory")
        return one, examined.assessment if examined is not None else None

    def _examined(self, now: datetime, *, last: bool) -> tuple[Examined | None, State, str, tuple[str, ...]]:
        try:
            examined = self._examiner.examine(self._begun.moment, now, last=last)
        except SourceError as fault:
            return None, "UNFINISHED", str(fault), ()
        except (PhiGuardError, OSError) as fault:
            why = str(fault) if isinstance(fault, PhiGuardError) else f"a file cannot be used ({fault.strerror})"
            return None, "UNFINISHED", why, ()
        except Exception as fault:  # noqa: BLE001  # a watch must not end; the fault's text could quote anything
            return None, "UNFINISHED", f"the round ended by a fault of its own ({type(fault).__name__}); please report it", ()
        if examined.interrupted:
            raise KeyboardInterrupt
        report = examined.assessment.report
        if report.verdict.state == "NO_GO":  # what was found is found, whether or not all was read
            failed = "; ".join(f"{judged.gate.name}: {judged.why}" for judged in report.gates if judged.state == "failed")
            return examined, "NO_GO", failed, examined.problems
        return examined, "UNFINISHED" if examined.why else "CLEAN", examined.why, examined.problems

    def _is_news(self, census: Census) -> bool:
        """Whether a NO-GO is another than that of the last round that was finished: what is known is not written down again each time."""
        last = next((one for one in reversed(self._journal.rounds) if one.finished), None)
        return last is None or last.state != "NO_GO" or (last.census.findings, last.census.failed) != (census.findings, census.failed)

    def _held(self) -> bool:
        """Whether the switch is off already, and held for a leak; one that cannot be asked is not known to be."""
        try:
            state = self._switch()
        except (PhiGuardError, OSError, ValueError):
            return False
        return not state.on and state.hold == LEAK

    def _last_switch(self) -> SwitchLook | None:
        return self._journal.rounds[-1].switch if self._journal.rounds else None

    def _now(self) -> datetime:
        """The time, never before the last round: a clock that went back must not make a round look at less than the one before."""
        now = self._clock.now().astimezone(UTC)
        last = self._journal.rounds[-1].moment if self._journal.rounds else self._begun.moment
        return max(now, last)

    def _wait(self, until: datetime) -> None:
        """Wait for an instant on the wall, or for as long by the steady clock: whichever comes first, so that no jump makes it wait on."""
        ends = self._clock.steady() + (until - self._now()).total_seconds()
        while (left := min((until - self._clock.now().astimezone(UTC)).total_seconds(), ends - self._clock.steady())) > 0:
            self._on_wait(left)
            self._clock.wait(left)


def log_facts(report: Report) -> dict[str, str | int]:
    """What the audit's log says of a report, as after a scan."""
    return {
        "report": report.digest, "id": report.id, "verdict": report.verdict.state, "findings": report.results.findings,
        "traces": report.population.traces, "runs": report.population.runs, "project": report.target.project, "env": report.target.env,
    }  # fmt: skip


def _logged(report: Report, now: datetime) -> tuple[str, ...]:
    """The audit's log holds the report of a NO-GO: the alert of a leak rests on it."""
    logged, why = write_log("report", log_facts(report), now)
    return () if logged else (why,)


def _contained(report: str, now: datetime) -> str:
    done = contain(report, now)
    state = f"off{' and held' * bool(done.hold)}" if done.off else NOT_OFF
    return f"{state} ({done.took_ms:.0f} ms){f'; {done.fault}' if done.fault else ''}"
