"""Rules and how they stand, in words a person reads in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from audit.alerts.rules import SHARES, Rule
from audit.alerts.state import AlertState, Track

_OF: Final = {"error_rate": "calls", "tool_failure": "uses of tools", "span_drop": "spans", "ttft_p95": "turns"}
_SUBJECT: Final = {
    "error_rate": "failed calls", "tool_failure": "failed uses of tools", "span_drop": "dropped spans", "ttft_p95": "TTFT-A p95",
    "leak": "signs of a leak", "switch_off": "the switch being off", "no_traces": "calls without a trace", "budget": "the month's cost",
    "plan_quota": "the plan's traces of the month", "stale": "the age of what was read",
}  # fmt: skip
_LENGTHS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def length(seconds: float) -> str:
    """Seconds as people say them, such as ``90 s``, ``15 min``, ``7 d``."""
    whole = round(seconds)
    for size, name in _LENGTHS:
        if whole >= size and (whole % size == 0 or whole >= 10 * size):
            return f"{whole // size} {name}"
    return f"{whole} s"


def amount(value: float | None, metric: str) -> str:
    """A value with its unit; a dash for none."""
    if value is None:
        return "-"
    if metric == "stale":
        return length(value / 1000)
    unit = {"ttft_p95": " ms", "budget": " USD", "plan_quota": " %"}.get(metric, " %" if metric in SHARES else "")
    return f"{value:,.0f}{unit}" if value >= 1_000 or value == int(value) else f"{value:.2f}{unit}".replace(".00", "")


def wants(rule: Rule) -> str:
    """What it takes for a rule to fire, and to be resolved."""
    bar = amount(rule.bar, rule.metric)
    said = f"{_SUBJECT[rule.metric]} {'at least' if rule.inclusive else 'above'} {bar}"
    if rule.metric in {"switch_off", "leak"}:
        said = f"any of {_SUBJECT[rule.metric]}" if rule.metric == "leak" else _SUBJECT[rule.metric]
    elif rule.metric == "no_traces":
        said = f"{rule.min_count} or more calls in {length(rule.window_s)} of which no trace came within {length(rule.grace_s)}"
    elif rule.metric in _OF:
        said += f" over {length(rule.window_s)}"
    if rule.metric == "plan_quota":
        said += f" of {rule.quota:,}"
    if rule.metric == "budget":
        said += f", {rule.fixed_usd:g} USD fixed in it"
        said += f", or projected after {length(rule.project_after_s)} and {rule.min_count} calls" if rule.project_after_s else ""
    if rule.metric in SHARES:
        counts, bound = f"{rule.min_count} {_OF[rule.metric]}", f"its lower bound ({rule.confidence:.0%}) above {bar}"
        shown = {"counts": counts, "bound": bound, "either": f"{counts} or {bound}"}[rule.shown]
        said += f", at least {rule.min_bad} of them, and {shown}"
    elif rule.metric == "ttft_p95":
        said += f", of {rule.min_count} turns or more"
    said += f", for {length(rule.hold_s)}" if rule.hold_s else ""
    calm = f" for {length(rule.resolve_s)}" if rule.resolve_s else ""
    return f"{said}; resolved at {amount(rule.resolve_bar, rule.metric)} or less{calm}"


def stands(track: Track, now: datetime) -> str:
    """How a rule stands, in a few words."""
    if not track.known:
        return f"cannot be judged: {track.why}"
    beside = (
        f" ({track.bad} of {track.n})"
        if track.metric in SHARES and track.n
        else f" (n {track.n})"
        if track.metric in _OF and track.n
        else ""
    )
    why = f"; {track.why}" if track.why else ""
    said = f"{amount(track.value, track.metric)}{beside}{why}"
    if track.episode is not None:
        said += f"; since {length((now - track.episode.since).total_seconds())}, at its worst {amount(track.worst, track.metric)}"
    return f"{said}; flapping" if track.flapping else said


def table(tracks: Mapping[str, Track], rules: tuple[Rule, ...], state: AlertState, now: datetime) -> list[str]:
    """A line for each rule: its name, its state, how it stands.

    Args:
        tracks: by rule.
        rules: to be shown.
        state: whose silences count.
        now: with a zone.
    """
    width = max((len(rule.name) for rule in rules), default=4)
    rows: list[str] = []
    for rule in rules:
        track = tracks.get(rule.name)
        phase = "not judged yet" if track is None else track.phase if track.known else "unknown"
        by_hand = state.silenced.get(rule.name)
        quiet = " silenced" if rule.silent(now) or (by_hand is not None and by_hand.holds(now)) else ""
        rows.append(f"{rule.name:<{width}}  {phase + quiet:<16}  {stands(track, now) if track else ''}".rstrip())
    return rows
