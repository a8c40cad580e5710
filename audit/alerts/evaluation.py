"""The evaluation: rules and evidence in, the new state and what is to be said out. Pure: it reads no clock and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from audit.alerts.events import Event
from audit.alerts.evidence import Evidence
from audit.alerts.judging import judge
from audit.alerts.machine import HOUR, end, step
from audit.alerts.rules import WINDOWED, Rule
from audit.alerts.state import AlertState, Track

GRID_S: Final = 300
"""Seconds between the past instants that are judged again."""
HELD_MAX: Final = 20
"""Events of one rule that a silence keeps; the oldest whole episodes go first."""


def evaluate(rules: Sequence[Rule], facts: Evidence, before: AlertState, now: datetime) -> tuple[AlertState, tuple[Event, ...]]:
    """Judge every rule of this environment once.

    Windows of the hour that has gone are judged again, so that traces which come late make an alert fire, or end one. What is not judged
    now (other environments and projects) stays as it was. A clock that went back makes nothing wait for it to come round again.

    Args:
        rules: in force.
        facts: what they are judged by.
        before: what was remembered.
        now: with a zone.

    Returns:
        What is to be remembered, and what is to be said: of each rule in the order it happened.
    """
    now = now.astimezone(UTC)
    if before.at is not None and now < before.at:
        before = _rebased(before, before.at, now)
    tracks = dict(before.tracks)
    events: list[Event] = []
    judged = {_name(rule.name, facts): rule for rule in rules if facts.env in rule.environments}
    for name in [name for name, track in tracks.items() if (track.env, track.project) == (facts.env, facts.project)]:
        rule = judged.get(name)
        if rule is None or rule.metric != tracks[name].metric:  # its rule is gone, or another thing now
            _, told = end(tracks.pop(name), now)
            events += told
    for name, rule in judged.items():
        track = tracks.get(name) or Track(rule=rule.name, metric=rule.metric, env=facts.env, project=facts.project)
        track, told = _judged(rule, facts, track, now)
        tracks[name], told = _voiced(track, told, silent=_is_silent(rule, before, now))
        events += told
    silenced = {name: silence for name, silence in before.silenced.items() if silence.until is None or now < silence.until}
    return replace(before, at=now, tracks=tracks, silenced=silenced), tuple(events)


def _judged(rule: Rule, facts: Evidence, track: Track, now: datetime) -> tuple[Track, tuple[Event, ...]]:
    watched = track.watched or now
    track = replace(track, watched=watched)
    told: tuple[Event, ...] = ()
    if rule.metric in WINDOWED and track.phase == "ok":
        track, told = _looked_back(rule, facts, track, watched, now)
    found = judge(rule, facts, now, watched)
    if found.verdict in {"good", "between"} and _is_undone(rule, facts, track, watched, now):
        track, more = end(replace(track, value=found.value, n=found.n, bad=found.bad), now)
        told = (*told, *more)
    track, more = step(rule, track, found, now)
    return track, (*told, *more)


def _looked_back(rule: Rule, facts: Evidence, track: Track, watched: datetime, now: datetime) -> tuple[Track, tuple[Event, ...]]:
    """The track as it would stand had the past hour been judged by what is known now; as it is, where that says nothing new."""
    begin = max(now - HOUR, watched, *track.changes)
    again, events = track, list[Event]()
    at = datetime.fromtimestamp(begin.timestamp() // GRID_S * GRID_S + GRID_S, UTC)
    while at < now:
        late = track.judged is not None and at <= track.judged
        again, told = step(rule, again, judge(rule, facts, at, watched), at, late=late)
        events += told
        at += timedelta(seconds=GRID_S)
    return (again, tuple(events)) if events else (track, ())


def _is_undone(rule: Rule, facts: Evidence, track: Track, watched: datetime, now: datetime) -> bool:
    """Whether the window for which it fired is bad no more, by traces that came since."""
    if rule.metric not in WINDOWED or track.episode is None or now - track.episode.at > HOUR or track.flapping:
        return False
    return judge(rule, facts, track.episode.at, watched).verdict in {"good", "between"}


def _voiced(track: Track, told: tuple[Event, ...], *, silent: bool) -> tuple[Track, tuple[Event, ...]]:
    """Hold back what a silence keeps, and tell after it what it kept: no reminders, but every episode."""
    if silent:
        held = [*track.held, *(event for event in told if event.state != "still_firing")]
        while len(held) > HELD_MAX:
            first = 1 if held[0].state == "resolved" else 0  # the end of what was said before the silence stays
            del held[first : first + 2]
        return replace(track, held=tuple(held)), ()
    return (replace(track, held=()), (*track.held, *told)) if track.held else (track, told)


def _is_silent(rule: Rule, before: AlertState, now: datetime) -> bool:
    by_hand = before.silenced.get(rule.name)
    return rule.silent(now) or (by_hand is not None and by_hand.holds(now))


def _name(rule: str, facts: Evidence) -> str:
    return f"{facts.env}/{facts.project}/{rule}"


def _rebased(state: AlertState, then: datetime, now: datetime) -> AlertState:
    """No instant after now: where the clock went back, waiting begins anew instead of lasting until it comes round again."""

    def capped(at: datetime | None) -> datetime | None:
        return at if at is None else min(at, now)

    tracks = {
        name: replace(
            track, watched=capped(track.watched), judged=capped(track.judged), bad_since=capped(track.bad_since),
            good_since=capped(track.good_since), said=capped(track.said), changes=tuple(min(at, now) for at in track.changes),
        )
        for name, track in state.tracks.items()
    }  # fmt: skip
    waiting = tuple(replace(one, not_before=one.not_before and one.not_before - (then - now)) for one in state.waiting)
    return replace(state, tracks=tracks, waiting=waiting)
