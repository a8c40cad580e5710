"""What is remembered between two evaluations: how each rule stands, what is still to be said, and to whom. One file, mode 0600."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from audit.alerts.events import Event
from audit.alerts.rules import Silence
from audit.whole_file import write_whole
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.alerts-state/1"
FILE: Final = "alerts.json"
"""Name of the state's file in the audit's directory."""
SIZE_MAX: Final = 16 << 20

Phase: TypeAlias = Literal["ok", "pending", "firing", "resolving"]


class StateUnusable(PhiGuardError):
    """The state cannot be read: it is damaged, or of another version; the message names the file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """How one rule stands in one environment and project.

    Args:
        rule: its name.
        metric: what it watches.
        severity: as its rule says.
        env: environment.
        project: name, or empty.
        phase: ``ok``, ``pending`` (bad, not yet for long enough), ``firing``, ``resolving`` (good again, not yet for long enough).
        watched: since when it is judged.
        judged: the instant that was judged last.
        known: whether it could be judged then.
        why: why not, or what it was judged by, in words.
        value: as judged last; None where nothing was in the window.
        n: what that rests on.
        bad: how many of them count against it.
        bad_since: since when it is bad without a break.
        good_since: since when it is good without a break, while it fires.
        episode: what it fired with; None while it does not fire.
        worst: value of the episode.
        said: when that was last said.
        changes: when it fired or resolved, within the last hour.
        flapping: whether it is held until it has been calm for an hour.
        held: what could not be said yet, since a silence was in force; oldest first.
    """

    rule: str
    metric: str = ""
    severity: str = ""
    env: str = ""
    project: str = ""
    phase: Phase = "ok"
    watched: datetime | None = None
    judged: datetime | None = None
    known: bool = True
    why: str = ""
    value: float | None = None
    n: int = 0
    bad: int = 0
    bad_since: datetime | None = None
    good_since: datetime | None = None
    episode: Event | None = None
    worst: float | None = None
    said: datetime | None = None
    changes: tuple[datetime, ...] = ()
    flapping: bool = False
    held: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An event on its way to one sink.

    Args:
        sink: its name.
        event: what is to be said.
        tries: how often that failed.
        not_before: when it may be tried again; None for at once.
        fault: code of the last failure, or empty.
    """

    sink: str
    event: Event
    tries: int = 0
    not_before: datetime | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires now, for whoever shows it.

    Args:
        rule: its name.
        metric: what it watches.
        severity: ``info``, ``warning`` or ``critical``.
        env: environment.
        project: name, or empty.
        since: when it began to be bad.
        fired: the instant for which it fired.
        value: as judged last.
        worst: of the episode.
        known: whether it could be judged last time.
        flapping: whether it is held because it changed so often.
    """

    rule: str
    metric: str
    severity: str
    env: str
    project: str
    since: datetime
    fired: datetime
    value: float | None
    worst: float | None
    known: bool = True
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class AlertState:
    """Everything that is remembered.

    Args:
        at: when it was last judged; None if it never was.
        tracks: by rule, environment and project.
        waiting: what is not delivered yet, oldest first.
        silenced: rules that somebody silenced by hand.
        notes: what a person should know of the state itself, such as that it was begun anew.
    """

    at: datetime | None = None
    tracks: Mapping[str, Track] = field(default_factory=dict)
    waiting: tuple[Message, ...] = ()
    silenced: Mapping[str, Silence] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def firing(self) -> tuple[Firing, ...]:
        """What fires now, longest first."""
        rows = [
            Firing(t.rule, t.metric, t.severity, t.env, t.project, e.since, e.at, t.value, t.worst, t.known, t.flapping)
            for t in self.tracks.values()
            if (e := t.episode) is not None
        ]
        return tuple(sorted(rows, key=lambda row: (row.since, row.rule)))


class _File(msgspec.Struct, frozen=True):
    schema: str
    state: AlertState


def read_state(path: Path) -> AlertState:
    """What a state file remembers; an empty state where there is no file.

    Raises:
        StateUnusable: it cannot be read, is damaged, or of another version.
    """
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        return AlertState()
    except OSError as fault:
        raise StateUnusable(f"{path}: cannot be read ({fault.strerror}); check the file and its owner") from None
    try:
        if len(content) > SIZE_MAX:
            raise ValueError  # told below like all else that is no state
        held = msgspec.json.decode(content, type=_File)
        if held.schema != SCHEMA or not _zoned(held.state):
            raise ValueError  # as above
    except (ValueError, RecursionError):  # msgspec's faults are ValueErrors; their text could quote the file
        raise StateUnusable(f"{path}: is damaged, or of another version; move it away, and the next check begins anew") from None
    return held.state


def write_state(path: Path, state: AlertState) -> None:
    """Write the state, whole or not at all, mode 0600.

    Raises:
        FileNotWritten: it cannot be written; what stood there stands there still.
    """
    write_whole(path, msgspec.json.encode(_File(SCHEMA, state)) + b"\n")


def _zoned(state: AlertState) -> bool:
    """Whether every instant has a zone: one without could be compared with none of ours."""
    held: list[datetime | None] = [state.at]
    events = [message.event for message in state.waiting]
    for track in state.tracks.values():
        held += [track.watched, track.judged, track.bad_since, track.good_since, track.said, *track.changes]
        events += [*track.held, *([track.episode] if track.episode else [])]
    held += [at for event in events for at in (event.since, event.at)] + [message.not_before for message in state.waiting]
    held += [at for silence in state.silenced.values() for at in (silence.since, silence.until)]
    return all(at is None or at.tzinfo is not None for at in held)
