"""Why one place of a tool call is treated as it is: which rule decides, from which line, and what would be sent for a value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from phi_guard.model import MARKER, Note
from phi_guard.policy.compiled import Flag, Moment, Number, OneOf, Pattern, Policy, Rule, Shape, Side, ToolRules
from phi_guard.policy.keys import Step
from phi_guard.policy.lines import near, quote
from phi_guard.policy.paths import ITEM, Path, read_path, spelt
from phi_guard.policy.proof import Walk, ruled

NOT_SENT: Final = object()
"""Stands for a value of which nothing is sent."""
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule that decides a place.

    Args:
        rule: the rule; the policy's default where nobody named the place.
        where: the rule's place in the file, such as ``fields.phone``.
        why: how it came to decide, in sentences.
    """

    rule: Rule
    where: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one value.

    Args:
        sent: what would be sent, `NOT_SENT` for nothing. May hold the value: shown only to whom it was asked for.
        treated: the gate's own note (``redact``, ``misfit``, ``keep``, ``pass``, ...).
        because: why, in a sentence that does not hold the value.
    """

    sent: object
    treated: str
    because: str


def parse_path(path: str) -> Path:
    """A place such as ``inputs.patient.contact[*].phone``; an index stands for every item.

    Raises:
        BadPath: it leads to no place of a tool call; the message says what to write.
    """
    return read_path(_INDEX.sub(ITEM, path))


def decide(policy: Policy, tool: str, place: Path) -> Decision:
    """Which rule decides a place, by the tables that the walk itself goes by.

    Args:
        policy: the policy.
        tool: bare tool name.
        place: from `parse_path`.
    """
    side, steps = place
    rules = policy.tools.get(tool)
    if rules is None:
        why = f"no tool is called '{tool}'{near(tool, policy.tools)}: it is sent as tool.unknown, and no field of it is known"
        return Decision(policy.default, "default", (why,))
    above: Decision | None = None
    for n in range(1, len(steps) + 1):
        here = (side, steps[:n])
        step = policy.at(tool, side, steps[:n])
        if step is None:
            return Decision(policy.default, "default", (_stranger(policy, tool, side, steps[n - 1], top=n == 1),))
        above = _reason(policy, tool, rules, side, step, spelt(here), asked=steps[n - 1], top=n == 1)
        if not step.walks and n < len(steps):
            return Decision(above.rule, above.where, (*above.why, f"{spelt(here)} goes whole, so nothing below it is looked at"))
    assert above is not None  # noqa: S101  # a path has a step
    return above


def _reason(policy: Policy, tool: str, rules: ToolRules, side: Side, step: Step, here: str, *, asked: str, top: bool) -> Decision:
    """Why a known place has the rule it has."""
    rule = step.rule
    own = next((path for path, of in ruled(rules) if of is rule), "")
    if own:
        why = f"tool '{tool}' has a rule of its own for {own} (line {rule.line}), which goes before the field's"
        return Decision(rule, f"tools.{tool}.rules: {own}", (why if own == here else f"{why}, and holds for {here} too",))
    if rule is policy.default:
        return Decision(rule, "default", (f"only places below {here} have rules: a plain value here is unknown",))
    listed = f"tool '{tool}' lists it in its {side} (line {rules.line})" if top else "below the top, every field of the policy is known"
    alias = f"'{asked}' is read as '{step.name}'" if asked not in {step.name, ITEM} else ""
    why = f"{listed}, and fields.{rule.field} (line {rule.line}) says {rule.action}"
    return Decision(rule, f"fields.{rule.field}", (alias, why) if alias else (why,))


def _stranger(policy: Policy, tool: str, side: Side, key: str, *, top: bool) -> str:
    """Why a key is unknown at a place."""
    gone = "neither its value nor its name is sent" if policy.default.action == "redact" else "nothing of it is sent"
    if top and key in policy.fields:
        return f"tool '{tool}' (line {policy.tools[tool].line}) does not list '{key}' in its {side}, so there it is unknown: {gone}"
    return f"no field is called '{key}'{near(key, policy.fields)}: {gone}"


def conditions(rule: Rule) -> tuple[str, ...]:
    """What else has to hold for a value under a rule to be sent, in sentences; and what the rule sends."""
    told = [f"{MEANS[rule.action]}"]
    if rule.shape is not None:
        told.append(f"shape: {spell_shape(rule.shape)}; what does not fit is redacted")
    if rule.shape is not None and not rule.shape.listed:
        told.append("a value that repeats one of this call's redacted values is redacted all the same")
    if rule.unless_sent:
        told.append(f"redacted after all if one of these is sent in clear in the same call: {', '.join(sorted(rule.unless_sent))}")
    if rule.chars:
        told.append(f"at most {rule.chars} characters are sent")
    if rule.to is not None:
        told.append(f"generalised to: {rule.to}")
    if rule.allow_entities:
        told.append(f"detectors may find these here without its being redacted: {', '.join(sorted(rule.allow_entities))}")
    if rule.safe_values:
        told.append(f"these stretches are no finding here: {', '.join(sorted(rule.safe_values))}")
    if rule.safe_harbor is not None:
        told.append(f"holds identifier {rule.safe_harbor} of 45 CFR 164.514(b)(2)(i)")
    return tuple(told)


MEANS: Final[Mapping[str, str]] = {
    "redact": "redact: a marker is sent in its place",
    "drop": "drop: nothing is sent, not even the field's name",
    "keep": "keep: sent as it is where it has the shape",
    "scan": "scan: free text, sent without what the detectors find in it",
    "truncate": "truncate: free text, sent without what the detectors find in it, and then cut",
    "pseudonym": "pseudonym: a keyed code is sent in its place, the same for the same value in one environment",
    "generalise": "generalise: something coarser is sent in its place",
}
"""What each action does, in a sentence."""


def spell_shape(shape: Shape) -> str:
    """A shape in words. The values of a list stand in the policy itself, so they are told."""
    match shape:
        case OneOf(values=values):
            some = ", ".join(quote(value) for value in sorted(values)[:8])
            return f"one of {some}{f' and {len(values) - 8} more' if len(values) > 8 else ''}"
        case Pattern(source=source):
            return f"the whole value matches {source}"
        case Moment(time_too=time_too):
            return "an ISO 8601 date, with or without a time" if time_too else "an ISO 8601 date"
        case Number(low=low, high=high):
            return f"a number from {low:g} to {high:g}"
        case Flag():
            return "true or false"
    return type(shape).__name__.lower()


Typed: TypeAlias = str | int | float | bool


def typed(text: str, rule: Rule) -> Typed:
    """A value typed on a command line: text, unless only a number or a flag can have the rule's shape."""
    if rule.shape is None or rule.shape.fits(text):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, int | float | bool) and rule.shape.fits(value) else text


def outcome(policy: Policy, tool: str, place: Path, value: object, walk: Walk) -> Outcome:
    """What becomes of a value that stands alone at a place, by the real walk.

    Args:
        policy: the policy.
        tool: bare tool name.
        place: from `parse_path`.
        value: what would stand there.
        walk: the real walk, with the detectors wanted.
    """
    side, steps = place
    data = value
    for step in reversed(steps):
        data = [data] if step == ITEM else {step: data}
    sent, notes = walk(policy, tool, {side: data})
    last = notes[-1] if notes else Note("", "?", "pass")
    return Outcome(_sent(sent), last.action, _BECAUSE.get(last.action, _why_other)(decide(policy, tool, place).rule))


def _sent(value: object) -> object:
    """The leaf of what was sent, whatever its keys are called now."""
    while isinstance(value, Mapping | list):
        if not value:
            return NOT_SENT
        value = next(iter(value.values())) if isinstance(value, Mapping) else value[0]
    return value


def _why_misfit(rule: Rule) -> str:
    return (
        f"redacted: it has not the shape ({spell_shape(rule.shape)})" if rule.shape else "redacted: it has not the form the rule asks for"
    )


def _why_other(rule: Rule) -> str:
    return f"treated by {rule.action}"


_BECAUSE: Final[Mapping[str, Callable[[Rule], str]]] = {
    "keep": lambda _: "sent as it is: it has the shape",
    "misfit": _why_misfit,
    "redact": lambda rule: "redacted" if rule.field != "?" else "redacted: nobody named this place",
    "drop": lambda _: "nothing is sent",
    "pass": lambda _: "sent as it is: the detectors find nothing in it",
    "scan": lambda _: "sent without what the detectors find in it",
    "truncate": lambda _: "sent without what the detectors find in it, and cut",
    "pseudonym": lambda _: "a keyed code is sent in its place",
    "generalise": lambda rule: f"only its {rule.to} is sent",
}


def describe(sent: object) -> str:
    """What would be sent without saying it: a marker as it is, else its kind and length."""
    if sent is NOT_SENT:
        return "nothing"
    if sent == MARKER:
        return MARKER
    if isinstance(sent, str):
        marks = sent.count(MARKER)
        held = f", {marks} of them redacted stretches" if marks > 1 else ", one redacted stretch in them" if marks else ""
        return f"{len(sent)} characters{held}"
    return {bool: "a flag", int: "a number", float: "a number"}.get(type(sent), "null")
