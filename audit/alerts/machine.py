"""The machine of one rule: ok, pending, firing, resolving. One firing message to an episode, one resolved message after it. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from audit.alerts.events import Event, stamp
from audit.alerts.judging import Judged
from audit.alerts.rules import Rule
from audit.alerts.state import Track

HOUR: Final = timedelta(hours=1)
CHANGES_MAX: Final = 4
"""Times an hour that an alert may fire or resolve; one that would more often is flapping, and held until it has been calm for an hour."""


def step(rule: Rule, track: Track, found: Judged, at: datetime, *, late: bool = False) -> tuple[Track, tuple[Event, ...]]:
    """Go on by one judgement.

    Args:
        rule: in force.
        track: how it stood.
        found: what it comes to now.
        at: the instant that was judged, not before the last.
        late: whether that instant had been judged before, without the traces that came since.

    Returns:
        How it stands, and what is to be said.
    """
    known = found.verdict != "unknown"
    track = replace(track, judged=at, known=known, why=found.why, severity=rule.severity)
    if not known:  # it stays as it is: what cannot be judged neither fires nor resolves
        track = replace(track, phase="firing" if track.phase == "resolving" else track.phase, good_since=None)
    else:
        track = replace(track, value=found.value, n=found.n, bad=found.bad, changes=tuple(c for c in track.changes if at - c < HOUR))
    if track.episode is None:
        return _quiet(rule, track, found, at, late=late)
    return _firing(rule, track, track.episode, found, at)


def end(track: Track, at: datetime) -> tuple[Track, tuple[Event, ...]]:
    """Resolve what fires, whatever its value: its window was not bad after all, or its rule is gone."""
    if track.episode is None:
        return track, ()
    told = replace(
        track.episode, state="resolved", at=at, value=track.value, n=track.n, bad=track.bad, worst=track.worst, flapping=track.flapping
    )
    calm = replace(track, phase="ok", episode=None, worst=None, said=None, bad_since=None, good_since=None, flapping=False)
    return replace(calm, changes=(*track.changes, at)), (told,)


def _quiet(rule: Rule, track: Track, found: Judged, at: datetime, *, late: bool) -> tuple[Track, tuple[Event, ...]]:
    if found.verdict == "unknown":
        return track, ()
    if found.verdict != "bad":
        return replace(track, phase="ok", bad_since=None), ()
    since = track.bad_since or at
    if at - since < timedelta(seconds=rule.hold_s):
        return replace(track, phase="pending", bad_since=since), ()
    changes = (*track.changes, at)
    flapping = len(changes) > CHANGES_MAX
    event = Event(
        state="firing", rule=rule.name, alert=rule.metric, severity=rule.severity, env=track.env, project=track.project,
        value=found.value, worst=found.value, threshold=rule.bar, unit=rule.unit, window_s=found.window_s, since=since, at=at,
        key=_key(track, at), n=found.n, bad=found.bad, sinks=rule.sinks, tool=found.tool, trace_ids=found.trace_ids,
        report=found.report, late=late, flapping=flapping,
    )  # fmt: skip
    fired = replace(track, phase="firing", bad_since=since, good_since=None, episode=event, worst=found.value, said=at)
    return replace(fired, changes=changes, flapping=flapping), (event,)


def _firing(rule: Rule, track: Track, episode: Event, found: Judged, at: datetime) -> tuple[Track, tuple[Event, ...]]:
    if found.verdict == "bad":
        worst = max(track.worst or 0.0, found.value or 0.0)
        track = replace(track, phase="firing", good_since=None, worst=worst)
    elif found.verdict in {"good", "off"}:
        since = track.good_since or at
        track = replace(track, phase="resolving", good_since=since)
        calm = max(timedelta(seconds=rule.resolve_s), HOUR if track.flapping else timedelta())
        if at - since >= calm:
            if track.flapping or len(track.changes) < CHANGES_MAX:
                return end(track, at)
            track = replace(track, flapping=True, said=at)
            return track, (_again(track, episode, found, at),)
    elif found.verdict == "between":
        track = replace(track, phase="firing", good_since=None)
    due = rule.remind_s and track.phase == "firing" and track.said is not None and at - track.said >= timedelta(seconds=rule.remind_s)
    if not due:
        return track, ()
    track = replace(track, said=at)
    return track, (_again(track, episode, found, at),)


def _again(track: Track, episode: Event, found: Judged, at: datetime) -> Event:
    told = replace(episode, state="still_firing", at=at, value=track.value, n=track.n, bad=track.bad, worst=track.worst)
    return replace(told, flapping=track.flapping, trace_ids=found.trace_ids or episode.trace_ids, report=found.report or episode.report)


def _key(track: Track, at: datetime) -> str:
    """The same from firing to resolved, another for each episode."""
    return hashlib.blake2b(f"{track.env}\n{track.project}\n{track.rule}\n{stamp(at)}".encode(), digest_size=16).hexdigest()
