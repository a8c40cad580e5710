"""One look after another: read what is remembered, judge, write it down, send. Two may not do so at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from audit.alerts.delivery import deliver, enqueue
from audit.alerts.evaluation import evaluate
from audit.alerts.events import Event
from audit.alerts.evidence import Evidence
from audit.alerts.rules import Rule
from audit.alerts.state import FILE, AlertState, StateUnusable, Track, read_state, write_state
from audit.alerts.witness import LogWitness
from audit.whole_file import FileNotWritten
from phi_guard.errors import PhiGuardError
from phi_guard.gate import Gate
from phi_guard.outbound.sink import Sink

LOCK: Final = "alerts.lock"
"""Held while the state is read, changed and written."""
WATCHING: Final = "alerts-watch.lock"
"""Held by a watch as long as it lives."""
WAIT_S: Final = 30.0
"""How long to wait for another look to end."""


class WatchBusy(PhiGuardError):
    """Another process watches already, or is in the midst of a look; the message names the file."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look came to.

    Args:
        state: as it is now.
        events: what there was to say.
        tracks: of the rules that were judged, in their order.
        sent: messages that were taken by a sink.
        problems: what went wrong, in words.
    """

    state: AlertState
    events: tuple[Event, ...]
    tracks: tuple[Track, ...]
    sent: int = 0
    problems: tuple[str, ...] = ()


class Watch:
    """Looks at the evidence and tells the sinks.

    Args:
        directory: the audit's own, where the state and the log are.
        rules: in force.
        gate: clears what leaves.
        sinks: by name; those that a rule names and that are not there are left out.
    """

    def __init__(self, directory: Path, rules: Sequence[Rule], gate: Gate, sinks: Mapping[str, Sink]) -> None:
        self._directory, self._rules, self._gate, self._sinks = directory, tuple(rules), gate, dict(sinks)
        self._witness = LogWitness(directory)
        self._unsaved: AlertState | None = None

    def look(self, facts: Evidence, now: datetime) -> Look:
        """Judge once, remember it, and send what is due.

        What is to be said is written down before it is sent: a crash between the two says it again, and loses nothing. Where the state
        cannot be written it is said all the same.

        Raises:
            WatchBusy: another process is in the midst of a look.
        """
        with alone(self._directory / LOCK, wait_s=WAIT_S):
            before, problems = self._remembered(now)
            state, events = evaluate(self._rules, facts, before, now)
            state = enqueue(state, events, self._sinks)
            problems += self._kept(state)
            done = deliver(state, self._sinks, self._gate, self._witness, now)
            if done.state != state or self._unsaved is not None:
                problems += self._kept(done.state)
        tracks = tracks_of(done.state, self._rules, facts)
        return Look(done.state, events, tracks, done.sent, tuple(dict.fromkeys((*problems, *done.problems))))

    def say(self, event: Event, now: datetime) -> tuple[int, tuple[str, ...]]:
        """Send one event by itself, outside of what is remembered: how many sinks took it, and what went wrong."""
        done = deliver(enqueue(AlertState(), [event], self._sinks), self._sinks, self._gate, self._witness, now)
        return done.sent, done.problems

    def _remembered(self, now: datetime) -> tuple[AlertState, list[str]]:
        if self._unsaved is not None:  # newer than what the disk holds
            return self._unsaved, []
        return remembered(self._directory / FILE, now)

    def _kept(self, state: AlertState) -> list[str]:
        try:
            write_state(self._directory / FILE, state)
        except FileNotWritten as fault:
            self._unsaved = state
            return [f"{fault}; until then a message may be said twice"]
        self._unsaved = None
        return []


def remembered(path: Path, now: datetime) -> tuple[AlertState, list[str]]:
    """The state of a file; a damaged one is put aside and begun anew, and that is said once."""
    try:
        return read_state(path), []
    except StateUnusable:
        aside = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
        with suppress(OSError):
            path.replace(aside)
        note = f"{path.name} was damaged or of another version: put aside as {aside.name}, and begun anew; what fired is said again"
        return AlertState(notes=(note,)), [note]


def change(directory: Path, how: Callable[[AlertState], AlertState], now: datetime) -> AlertState:
    """Change what is remembered, such as a silence.

    Raises:
        WatchBusy: another process holds it.
        FileNotWritten: it cannot be written.
    """
    with alone(directory / LOCK, wait_s=WAIT_S):
        before, _ = remembered(directory / FILE, now)
        after = how(before)
        write_state(directory / FILE, after)
    return after


@contextmanager
def alone(path: Path, *, wait_s: float) -> Iterator[None]:
    """Within, no other process is within. A file system that cannot be written does not keep us from looking.

    Raises:
        WatchBusy: another still is after so many seconds.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        handle = -1
    if handle < 0:
        yield
        return
    try:
        until = time.monotonic() + wait_s
        while not _locked(handle):
            if time.monotonic() >= until:
                raise WatchBusy(f"{path}: another process watches already; end that one, or leave it to it")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def tracks_of(state: AlertState, rules: Sequence[Rule], facts: Evidence) -> tuple[Track, ...]:
    """How the rules stand in the environment and project that is judged, in the rules' order."""
    here = {track.rule: track for track in state.tracks.values() if (track.env, track.project) == (facts.env, facts.project)}
    return tuple(here[rule.name] for rule in rules if rule.name in here)
