"""The border where ``alerts.yaml`` enters: text becomes frozen rules, or one error with every fault, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from audit.alerts.rules import SHARES, UNITS, Metric, Rule, RulesError, Silence
from phi_guard.errors import PolicyError
from phi_guard.policy import lines
from phi_guard.policy.border import Strict, take
from phi_guard.policy.lines import Place, Sheet, near, quote

SINKS: Final = ("slack", "webhook", "pagerduty")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHLY: Final = frozenset({"budget", "plan_quota"})
"""Metrics of the month so far, which have no window of their own."""
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_LENGTH: Final = r"^(0|[1-9][0-9]{0,4})[smhd]$"

_Length = Annotated[str, Field(pattern=_LENGTH)]
_Bar = Annotated[float, Field(ge=0, le=1_000_000_000)]
_Count = Annotated[int, Field(ge=0, le=1_000_000)]
_Line = Annotated[str, Field(min_length=3, max_length=120)]


class _SilenceRow(Strict):
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = Field(
        None, description="weekdays of a silence that recurs, such as [sat, sun]; leave out for every day"
    )
    begin: str = Field(description='a time of day such as "22:00", or a date with time and zone: "2026-12-24T18:00:00+01:00"')
    end: str = Field(description="likewise, when it ends")
    zone: str | None = Field(None, description='of the times of day, such as "America/New_York"; UTC if left out')
    rules: list[str] | None = Field(None, description="which rules it is of; leave out for all but those of a leak, which must be named")
    reason: _Line = Field(description="why, in 3 to 120 characters; no names of patients")
    owner: _Line = Field(description="who answers for it, in 3 to 120 characters")


class _RuleRow(Strict):
    metric: Metric = Field(description=f"what is watched ({', '.join(get_args(Metric))})")
    above: _Bar | None = Field(None, description="the bar: a value above it is bad; either this or at_least")
    at_least: _Bar | None = Field(None, description="the bar: a value at it or above is bad; either this or above")
    window: _Length | None = Field(None, description="how far back it looks, such as 15m, 1h, 7d; budget and plan_quota look at the month")
    min_count: _Count = Field(0, description="what a value must rest on: calls, turns, uses of tools, spans; 0 or more")
    min_bad: _Count | None = Field(None, description="how many must count against it; of shares alone: error_rate, tool_failure, span_drop")
    shown: Literal["either", "counts", "bound"] | None = Field(
        None, description="what a share must show: counts (min_count), bound (its exact lower bound lies above the bar), or either"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] | None = Field(None, description="one-sided, of that bound: 0.95 if left out")
    hold_for: _Length = Field("0s", description="how long it must be bad before it fires, such as 5m; 0s for at once")
    resolve_at_most: _Bar = Field(description="what it must come down to again, in the unit of the bar and not above it")
    resolve_for: _Length = Field(description="how long it must stay there before it is called resolved, such as 15m; 0s for at once")
    remind_every: _Length = Field("0s", description="how often it is said again while it fires, such as 4h; 0s for never")
    severity: Literal["info", "warning", "critical"] = Field(description="how bad it is (info, warning, critical)")
    environments: list[Literal["dev", "prod"]] = Field(default=["dev", "prod"], min_length=1, description="where it is judged: dev, prod")
    sinks: list[Literal["slack", "webhook", "pagerduty"]] | None = Field(
        None, description="where it is sent (slack, webhook, pagerduty); where the file says if left out"
    )
    fixed_usd: _Bar | None = Field(None, description="of budget: what a month costs with no call, US dollars")
    project_after: _Length | None = Field(None, description="of budget: when to begin to project the month, such as 7d; 0s for never")
    quota: Annotated[int, Field(ge=1)] | None = Field(None, description="of plan_quota: traces a month, such as 5000")
    grace: _Length | None = Field(None, description="of no_traces: how long a trace may take to arrive, such as 10m")


class _File(Strict):
    version: Literal[1] = Field(description="1")
    sinks: list[Literal["slack", "webhook", "pagerduty"]] = Field(description="where alerts are sent: slack, webhook, pagerduty")
    rules: dict[str, Any] = Field(min_length=1, description="a mapping of rules by name")
    silences: list[Any] = Field(default=[], description="a list of silences; each {begin: ..., end: ..., reason: ..., owner: ...}")


_ONLY: Final = {
    "fixed_usd": {"budget"}, "project_after": {"budget"}, "quota": {"plan_quota"}, "grace": {"no_traces"}, "min_bad": SHARES,
    "shown": SHARES, "confidence": SHARES,
}  # fmt: skip
"""Keys that belong to some metrics alone."""


def read(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, in its order.

    Raises:
        RulesError: with every fault, in the order of the file's lines.
    """
    try:
        sheet = lines.read(path)
        rules = _rules(sheet)
        sheet.check()
    except PolicyError as refused:
        raise RulesError("\n".join(refused.faults)) from None
    return rules


def _rules(sheet: Sheet) -> tuple[Rule, ...]:
    file = take(_File, sheet.value, (), sheet)
    if file is None:  # its rows are looked at all the same, so that every fault is told at once
        given = sheet.value if isinstance(sheet.value, dict) else {}
        rows, quiet = given.get("rules"), given.get("silences")
        file = _File.model_construct(
            version=1, sinks=[], rules=rows if isinstance(rows, dict) else {}, silences=quiet if isinstance(quiet, list) else []
        )
    silences = [_silence(row, ("silences", n), file, sheet) for n, row in enumerate(file.silences)]
    rules: list[Rule] = []
    for name, given in file.rules.items():
        place: Place = ("rules", name)
        if not _NAME.fullmatch(name):
            sheet.fault(place, "a rule's name is lower-case letters, digits and _, at most 40; write such as error_rate")
        row = take(_RuleRow, given, place, sheet)
        if row is not None:
            _check(row, place, sheet)
            rules.append(_compiled(name, row, file.sinks, tuple(_silences_of(name, row, silences))))
    return tuple(rules)


def _silences_of(name: str, row: _RuleRow, silences: Iterable[tuple[Silence, frozenset[str]] | None]) -> Iterator[Silence]:
    """Those that name a rule, and those that name none; a leak is silenced by its name alone."""
    for found in silences:
        if found is not None and (name in found[1] or (not found[1] and row.metric != "leak")):
            yield found[0]


def _check(row: _RuleRow, place: Place, sheet: Sheet) -> None:
    """What holds between the keys of one rule."""
    if (row.above is None) == (row.at_least is None):
        sheet.fault((*place, "above"), "give the bar once: above, or at_least")
    bar = row.above if row.above is not None else row.at_least
    if bar is not None and (row.resolve_at_most > bar or (row.above is None and row.resolve_at_most == bar)):
        sheet.fault((*place, "resolve_at_most"), f"{row.resolve_at_most:g} is not below the bar; what fires would be resolved at once")
    for key, metrics in _ONLY.items():
        if getattr(row, key) is not None and row.metric not in metrics:
            sheet.fault((*place, key), f"this belongs to {', '.join(sorted(metrics))} alone; leave it out")
    if row.metric in MONTHLY:
        if row.window is not None:
            sheet.fault((*place, "window"), f"{row.metric} looks at the month; leave it out")
    elif row.metric not in {"leak", "switch_off", "stale"} and (row.window is None or seconds(row.window) == 0):
        sheet.fault((*place, "window"), "is missing; write how far back it looks, such as 1h")
    for key, metric in (("quota", "plan_quota"), ("fixed_usd", "budget")):
        if row.metric == metric and getattr(row, key) is None:
            sheet.fault((*place, key), f"is missing; {metric} needs it")


def _compiled(name: str, row: _RuleRow, sinks: Sequence[str], silences: tuple[Silence, ...]) -> Rule:
    share = row.metric in SHARES
    return Rule(
        name=name, metric=row.metric, bar=row.above if row.above is not None else row.at_least or 0.0, inclusive=row.above is None,
        window_s=seconds(row.window or "1h"), min_count=row.min_count, min_bad=(2 if row.min_bad is None else row.min_bad) if share else 0,
        shown=row.shown or "either", confidence=row.confidence or 0.95, hold_s=seconds(row.hold_for), resolve_bar=row.resolve_at_most,
        resolve_s=seconds(row.resolve_for), remind_s=seconds(row.remind_every), severity=row.severity,
        environments=frozenset(row.environments), sinks=tuple(dict.fromkeys(sinks if row.sinks is None else row.sinks)),
        silences=silences, fixed_usd=row.fixed_usd or 0.0, project_after_s=seconds(row.project_after or "0s"), quota=row.quota or 0,
        grace_s=seconds(row.grace or "0s"),
    )  # fmt: skip


def _silence(given: object, place: Place, file: _File, sheet: Sheet) -> tuple[Silence, frozenset[str]] | None:
    """A silence and the rules it names."""
    row = take(_SilenceRow, given, place, sheet)
    if row is None:
        return None
    for n, name in enumerate(row.rules or ()):
        if name not in file.rules:
            sheet.fault((*place, "rules", n), f"{quote(name)} is no rule of this file{near(name, file.rules)}")
    names = frozenset(row.rules or ())
    begin, end = _CLOCK.fullmatch(row.begin), _CLOCK.fullmatch(row.end)
    if begin and end:
        try:
            zone = ZoneInfo(row.zone or "UTC").key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            sheet.fault((*place, "zone"), f"{quote(row.zone)} is no time zone; write such as America/New_York")
            return None
        days = frozenset(DAYS.index(day) for day in row.days or ())
        minutes = (int(begin[1]) * 60 + int(begin[2]), int(end[1]) * 60 + int(end[2]))
        return Silence(row.reason, row.owner, days, *minutes, zone), names
    since, until = (_instant(row.begin, (*place, "begin"), sheet), _instant(row.end, (*place, "end"), sheet))
    if row.days is not None or row.zone is not None:
        sheet.fault(place, "days and zone belong to times of day; leave them out beside dates")
    if since is None or until is None:
        return None
    if until <= since:
        sheet.fault((*place, "end"), "is not after begin; write the later one here")
    return Silence(row.reason, row.owner, since=since, until=until), names


def _instant(text: str, place: Place, sheet: Sheet) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        sheet.fault(place, f'{quote(text)} will not do; write a time of day such as "22:00", or a date with time and zone')
        return None
    return at.astimezone(UTC)


def seconds(length: str) -> int:
    """Seconds of a length such as ``15m``."""
    return int(length[:-1]) * _SECONDS[length[-1]]


def schema() -> dict[str, Any]:
    """The JSON schema of the file, draft 2020-12, for editors. It refuses what can be judged key by key; the loader refuses more."""
    file = _plain(_File.model_json_schema())
    file["properties"]["rules"] |= {"propertyNames": {"pattern": f"^{_NAME.pattern}$"}, "additionalProperties": {"$ref": "#/$defs/rule"}}
    file["properties"]["silences"]["items"] = {"$ref": "#/$defs/silence"}
    units = "; ".join(f"{metric} in {unit}" for metric, unit in UNITS.items())
    about = f"What is watched, and when somebody is told. Bars are in the metric's unit: {units}."
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "phi-guard alerts", "description": about}
    return file | head | {"$defs": {"rule": _plain(_RuleRow.model_json_schema()), "silence": _plain(_SilenceRow.model_json_schema())}}


def _plain(made: dict[str, Any]) -> dict[str, Any]:
    """A row's schema without titles and without the null that stands for a key left out."""
    for value in made["properties"].values():
        value.pop("title", None)
        value.pop("default", None)
        if choices := [dict(choice) for choice in value.pop("anyOf", ()) if choice.get("type") != "null"]:
            value.update(choices[0])
    return {key: value for key, value in made.items() if key != "title"}
