"""An event: what is said of an alert, once, in closed facts alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

Said: TypeAlias = Literal["firing", "still_firing", "resolved"]
VALUE_MAX: Final = 1_000_000_000.0
"""Largest value that is said; a larger one is said as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to be said of an alert.

    Args:
        state: ``firing``, ``still_firing`` (a reminder) or ``resolved``.
        rule: name of the rule.
        alert: its metric, which is the alert's name.
        severity: ``info``, ``warning`` or ``critical``.
        env: ``dev`` or ``prod``.
        project: name, or empty.
        value: as judged, in the rule's unit; None where a window holds nothing any more.
        worst: the worst value of the episode so far.
        threshold: the rule's bar.
        unit: of both.
        n: what the value rests on.
        bad: how many of them count against it.
        window_s: seconds that were looked at.
        since: when the episode began to be bad.
        at: the instant that was judged; of late data, in the past.
        key: the same from firing to resolved.
        sinks: where it goes.
        tool: that alone failed, or empty.
        trace_ids: of the calls that count most, at most five.
        report: digest of the report that a leak rests on, or empty.
        late: whether traces that came late changed a window already judged.
        flapping: whether it changed so often that it is held until it has been calm for an hour.
        rehearsal: whether nothing is wrong and it is only tried.
    """

    state: Said
    rule: str
    alert: str
    severity: str
    env: str
    project: str
    value: float | None
    threshold: float
    unit: str
    window_s: int
    since: datetime
    at: datetime
    key: str
    worst: float | None = None
    n: int = 0
    bad: int = 0
    sinks: tuple[str, ...] = ()
    tool: str = ""
    trace_ids: tuple[str, ...] = ()
    report: str = ""
    late: bool = False
    flapping: bool = False
    rehearsal: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """Rule, environment and project: of events with the same, the newest says how it stands."""
        return self.rule, self.env, self.project

    def facts(self) -> dict[str, object]:
        """As the gate takes them (`phi_guard.facts.ALERT`); what is empty is left out."""
        given: dict[str, object] = {
            "alert": self.alert, "state": self.state, "severity": self.severity, "env": self.env, "project": self.project,
            "value": _number(self.value), "worst": _number(self.worst), "threshold": self.threshold, "unit": self.unit, "n": self.n,
            "bad": self.bad, "window_s": self.window_s, "since": stamp(self.since), "at": stamp(self.at), "key": self.key,
            "tool": self.tool, "trace_ids": list(self.trace_ids), "report": self.report,
        }  # fmt: skip
        given |= {name: True for name in ("late", "flapping", "rehearsal") if getattr(self, name)}
        return {key: value for key, value in given.items() if value not in (None, "", [])}


def stamp(at: datetime) -> str:
    """An instant as the gate takes it: UTC, six digits of a second, ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _number(value: float | None) -> float | None:
    return None if value is None else min(max(round(value, 4), 0.0), VALUE_MAX)
