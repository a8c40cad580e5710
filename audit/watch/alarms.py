"""The alerts of a watch: judged each round with the rules, the evidence and the state machine of `audit.alerts`, and counted.

Unless it is asked to deliver, a watch sends nothing and keeps a state of its own, so that it may run beside `phi-audit alerts watch`; what
that one saw fire is read from its state, and of two accounts of the same rule the larger counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from audit.alerts import Evidence, Rule, StateUnusable, Track, read_state
from audit.alerts.known import Known
from audit.alerts.state import FILE
from audit.alerts.watch import Watch
from audit.calls.index import CallIndex
from audit.source import SourceError
from audit.watch.round import AlertLook, stamp
from phi_guard.errors import PhiGuardError
from phi_guard.gate import Gate
from phi_guard.outbound.sink import Sink
from phi_guard.switch import SwitchState

BLIND: frozenset[str] = frozenset({"stale"})
"""Metrics of the reading itself: how long nobody looked is counted by the watch, whose gaps they are."""


class Reader(Protocol):
    """Brings the index up to date (`audit.alerts.reading.Reading`)."""

    def refresh(self, now: datetime) -> None:
        """Read what is new. Raises `SourceError` where it cannot."""


class Alarms:
    """Judges the alerts.

    Args:
        directory: where the state is kept: the audit's own where messages are delivered, else the watch's.
        rules: in force in the environment that is watched.
        gate: clears what leaves.
        sinks: by name; none where nothing is delivered.
        index: the calls.
        reading: brings it up to date.
        env: ``dev`` or ``prod``.
        project: name.
        switch: says where the switch stands.
        log: directory of the audit's log.
        account: of the relay, or None.
        elsewhere: state of `phi-audit alerts watch`, to be read; None where this watch writes that very state.
        begun: when the watch began: what had fired and was over before does not count.
        told: what earlier rounds have told of alerts, where the watch is gone on with.
    """

    def __init__(
        self, directory: Path, rules: Sequence[Rule], gate: Gate, sinks: Mapping[str, Sink], *, index: CallIndex, reading: Reader, env: str,
        project: str, switch: Callable[[], SwitchState], log: Path, account: Path | None = None, elsewhere: Path | None = None,
        begun: datetime, told: Iterable[AlertLook] = (),
    ) -> None:  # fmt: skip
        self.index = index
        self._rules = tuple(rule for rule in rules if rule.metric not in BLIND)
        self._watch = Watch(directory, self._rules, gate, sinks)
        self._reading, self._env, self._project = reading, env, project
        self._switch, self._log, self._account, self._elsewhere = switch, log, account, elsewhere
        self._own, self._others = _Told(begun), _Told(begun)
        for one in told:
            self._own.know(one.fired)
            self._others.know(one.elsewhere)

    def look(self, now: datetime) -> tuple[AlertLook, tuple[str, ...]]:
        """Judge once: how the alerts stand, and what went wrong, in words. Never raises what a file or the network can cause.

        Args:
            now: with a zone.
        """
        problems: list[str] = []
        try:
            self._reading.refresh(now)
        except SourceError as fault:
            problems.append(f"alerts: {fault}")
        except (PhiGuardError, OSError) as fault:
            return self._unknown(), (f"alerts: {_told(fault)}",)
        facts: Evidence = Known(self.index, env=self._env, project=self._project, switch=self._switch, log=self._log, account=self._account)
        try:
            look = self._watch.look(facts, now)
        except (PhiGuardError, OSError) as fault:
            return self._unknown(), (*problems, f"alerts: {_told(fault)}")
        problems += [f"alerts: {problem}" for problem in look.problems]
        tracks = look.tracks
        return (
            AlertLook(
                fired=self._own.news(tracks),
                elsewhere=self._other(problems),
                firing=tuple(track.rule for track in tracks if track.episode is not None),
                unjudged=tuple(track.rule for track in tracks if not track.known),
                sent=look.sent,
            ),
            tuple(problems),
        )

    def _other(self, problems: list[str]) -> dict[str, tuple[str, ...]]:
        if self._elsewhere is None:
            return {}
        try:
            state = read_state(self._elsewhere / FILE)
        except StateUnusable as fault:
            problems.append(f"alerts: {fault}")
            return {}
        here = [t for t in state.tracks.values() if (t.env, t.project) == (self._env, self._project) and t.metric not in BLIND]
        return self._others.news(here)

    def _unknown(self) -> AlertLook:
        return AlertLook(unjudged=tuple(rule.name for rule in self._rules))


class _Told:
    """Which firings of an account were told, by rule and instant: each is told once, however long it can be seen."""

    def __init__(self, begun: datetime) -> None:
        self._begun = begun
        self._known: dict[str, set[str]] = {}

    def know(self, told: Mapping[str, tuple[str, ...]]) -> None:
        """Take in what was told before."""
        for rule, instants in told.items():
            self._known.setdefault(rule, set()).update(instants)

    def news(self, tracks: Sequence[Track]) -> dict[str, tuple[str, ...]]:
        """By rule, the firings that were not told yet."""
        found: dict[str, tuple[str, ...]] = {}
        for track in tracks:
            fresh = {stamp(at) for at in self._instants(track)} - self._known.get(track.rule, set())
            if fresh:
                found[track.rule] = tuple(sorted(fresh))
        self.know(found)
        return found

    def _instants(self, track: Track) -> Iterator[datetime]:
        """When it fired: a track keeps the changes of the last hour, firing and resolved in turn, and the last is as it stands."""
        changes = track.changes[-1::-2] if track.episode is not None else track.changes[-2::-2]
        yield from (at for at in changes if at > self._begun)
        if track.episode is not None:
            yield track.episode.at


def _told(fault: Exception) -> str:
    if isinstance(fault, PhiGuardError):
        return str(fault)
    return f"a file cannot be used ({fault.strerror})" if isinstance(fault, OSError) else type(fault).__name__
