"""What loads but is risky or doubtful in a policy: each with a code, its line, why it matters and what to write instead."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations
from typing import Final, Literal, TypeAlias

from phi_guard.policy import alarms, load_policy
from phi_guard.policy.compiled import Moment, Number, Pattern, Policy, Rule, Shape
from phi_guard.policy.examples import patterns_only
from phi_guard.policy.lines import Sheet, quote, read
from phi_guard.policy.proof import SIDES, ruled
from phi_guard.policy.samples import AGE_MAX, GIVEN, IDENTIFY, SAID, SAMPLES, SENTENCES

Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error")
"""The least serious first."""

CODES: Final[Mapping[str, str]] = {
    "PG001": "no tool lists a field and no path names it",
    "PG002": "a shape is so wide that an identifying value fits it",
    "PG003": "free text is kept",
    "PG004": "a patient's words are scanned and sent at any length",
    "PG005": "two names are nearly the same",
    "PG006": "a tool names no output",
    "PG007": "a list holds what looks like a person's name or number",
    "PG008": "a field of the 18 identifiers is kept",
    "PG009": "a field whose name says it identifies a person is not redacted",
    "PG010": "a range of ages goes beyond 89",
    "PG011": "the detectors are silenced where they find identifiers",
    "PG012": "a list is not used",
    "PG013": "a date is kept whatever is sent beside it",
    "PG014": "a value that is sent would be taken for an identifier on its way out, and all telemetry would stop",
}
"""Every code and what it is about."""

_MILD: Final = frozenset({"a run of digits", "a date of birth"})

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STRONG: Final = frozenset({"LOCATION", "URL"})  # identifiers 2 and 14, in a text that a patient may have spoken; the loader refuses others
_ALIKE: Final = 0.88


@dataclass(frozen=True, slots=True)
class Finding:
    """One doubt about a policy that loads.

    Args:
        code: one of `CODES`.
        severity: ``error`` or ``warning`` for what should be changed, ``info`` for what should be known.
        line: 1-based.
        path: the place, such as ``fields.phone``.
        what: what is so.
        why: what can come of it.
        fix: what to write instead.
    """

    code: str
    severity: Severity
    line: int
    path: str
    what: str
    why: str
    fix: str


def lint(path: str | os.PathLike[str]) -> tuple[Finding, ...]:
    """Every doubt about a policy, in the order of its lines.

    Args:
        path: the policy file.

    Raises:
        PolicyError: it cannot be loaded; that comes first.
    """
    policy, sheet = load_policy(path), read(path)
    found = [*_rules(policy), *_names(policy), *_tools(policy), *_lists(sheet), *_alarms(policy)]
    return tuple(sorted(found, key=lambda finding: (finding.line, finding.code, finding.path)))


def _rules(policy: Policy) -> Iterator[Finding]:
    """Doubts about each rule of the file itself; those of a file it extends belong to that one's own lint."""
    listed = {name for rules in policy.tools.values() for side in SIDES for name in rules.side(side)}
    by_path = {f"tools.{tool}.rules: {path}": rule for tool, rules in policy.tools.items() for path, rule in ruled(rules)}
    steps = {step for path in by_path for step in re.findall(r"\.(\w[\w-]*)", path.partition(": ")[2])}
    for name, rule in policy.fields.items():
        if not rule.file and name not in listed | steps:
            yield Finding(
                "PG001", "info", rule.line, f"fields.{name}", "no tool lists this field and no path names it",
                "only a key of this name inside another field meets it", "list it under the tool that has it, or leave it out",
            )  # fmt: skip
    for path, rule in {**{f"fields.{name}": rule for name, rule in policy.fields.items()}, **by_path}.items():
        if rule.file:
            continue
        if rule.action == "keep" and rule.shape is not None:
            yield from _shape(rule.field, rule.shape, rule.line, path)
        yield from _kept(rule, path)
        yield from _silenced(rule, path)


def _shape(name: str, shape: Shape, line: int, path: str) -> Iterator[Finding]:
    """Whether identifying values, or free text, fit a kept field's shape."""
    if isinstance(shape, Pattern):
        if fits := [sample for sample in SENTENCES if shape.fits(sample)]:
            yield Finding(
                "PG003", "error", line, path, f"the pattern fits a sentence ({quote(fits[0])})", "what callers say names people",
                "write action: scan, or truncate with chars; or say exactly what the value looks like",
            )  # fmt: skip
            return
        hits = {kind: sample for kind, samples in SAMPLES.items() for sample in reversed(samples) if shape.fits(sample)}
        if hits:
            told = "; ".join(f"{kind} ({quote(sample)})" for kind, sample in hits.items())
            yield Finding(
                "PG002", "warning" if hits.keys() <= _MILD else "error", line, path, f"the pattern fits {told}",
                "such a value said or mistaken for this one leaves in clear",
                "write the prefix, the letters and the number of digits that only this value has, or a list: {in: [...]}",
            )  # fmt: skip
    elif isinstance(shape, Number):
        if _words(name) & {"age", "ages"} and shape.high > AGE_MAX:
            yield Finding(
                "PG010", "warning", line, path, f"ages up to {shape.high:g} are sent",
                "over 89 so few are left that an age names someone (45 CFR 164.514(b)(2)(i)(C))", "write {number: [0, 89]}",
            )  # fmt: skip
        elif shape.high >= 1e5 and shape.high - shape.low >= 1e5:
            yield Finding(
                "PG002", "warning", line, path, f"the range up to {shape.high:g} has room for a record number or a telephone number",
                "such a number leaves in clear", "write the range the value really has",
            )  # fmt: skip


def _kept(rule: Rule, path: str) -> Iterator[Finding]:
    """Doubts about a field that sends something, from what it is called and said to be."""
    at, name = (rule.line, path), rule.field
    if rule.action not in {"keep", "scan", "truncate"}:
        return
    words = _words(name)
    open_ = rule.shape is None or not rule.shape.listed
    if said := sorted(words & IDENTIFY) if open_ else []:
        yield Finding(
            "PG009", "error" if rule.action == "keep" else "warning", *at, f"'{name}' ({said[0]}) is not redacted but {rule.action}",
            "detectors and shapes let some values by; a rule lets none", "write action: redact",
        )  # fmt: skip
    if isinstance(rule.shape, Moment) and not rule.unless_sent:
        yield Finding(
            "PG013", "warning", *at, "a date is kept without a condition", "beside a name, a date tells who was where and when",
            "add unless_sent: [...] with the fields that name the patient",
        )  # fmt: skip
    if rule.action == "scan" and words & SAID:
        yield Finding(
            "PG004", "info", *at, "a patient's own words are sent at any length", "the more is said, the more a detector can miss",
            "write action: truncate with chars",
        )  # fmt: skip
    if rule.action == "keep" and rule.safe_harbor is not None:
        yield Finding(
            "PG008", "info", *at, f"holds identifier {rule.safe_harbor} of 45 CFR 164.514(b)(2)(i) and is kept",
            "what is sent is not de-identified in the sense of Safe Harbor", "if that is not meant, write action: redact",
        )  # fmt: skip


def _silenced(rule: Rule, path: str) -> Iterator[Finding]:
    at = (rule.line, path)
    if strong := sorted(rule.allow_entities & _STRONG):
        yield Finding(
            "PG011", "warning", *at, f"{', '.join(strong)} may be found here without its being redacted",
            "every such value in this field leaves", "list what is harmless under safe_values instead",
        )  # fmt: skip
    for value in sorted(rule.safe_values):
        if kind := _person(value):
            yield Finding(
                "PG011", "warning", *at, f"the safe value {quote(value)} looks like {kind}", "whoever has it is named in clear",
                "leave it out, or make it longer so that it can only be what you mean",
            )  # fmt: skip


def _names(policy: Policy) -> Iterator[Finding]:
    """Names that are nearly the same: the one may be a slip of the pen, and then its rule is not the one meant."""
    for what, known in (("fields", policy.fields), ("tools", policy.tools)):
        for one, other in combinations(known, 2):
            own = what == "tools" or not policy.fields[other].file
            if own and _alike(one, other):
                same = what == "fields" and policy.fields[one].action == policy.fields[other].action
                yield Finding(
                    "PG005", "info" if same else "warning", known[other].line, f"{what}.{other}",
                    f"'{other}' and '{one}' (line {known[one].line}) are nearly the same name",
                    "if one is a slip, calls meet the other's rule or none", "use one name in tools and policy, if one thing is meant",
                )  # fmt: skip


def _alike(one: str, other: str) -> bool:
    bare, bare_other = (re.sub(r"[-_]", "", name).casefold() for name in (one, other))
    return bare == bare_other or (bare[0] == bare_other[0] and SequenceMatcher(None, bare, bare_other).ratio() >= _ALIKE)


def _tools(policy: Policy) -> Iterator[Finding]:
    for name, rules in policy.tools.items():
        if not rules.outputs:
            yield Finding(
                "PG006", "warning", rules.line, f"tools.{name}.outputs", "the tool names no output",
                "whatever it gives back is unknown, so a trace shows no result",
                "name its outputs; a plain text or a list is `result`",
            )  # fmt: skip


def _lists(sheet: Sheet) -> Iterator[Finding]:
    """The file's own lists, and those written into a shape: every value in them is sent in clear."""
    file = sheet.value if isinstance(sheet.value, dict) else {}
    used = {str(name) for name in _under(file, "in") if isinstance(name, str)}
    lists = file.get("lists")
    for name, words in lists.items() if isinstance(lists, dict) else ():
        if name not in used:
            yield Finding(
                "PG012", "warning", sheet.line(("lists", name)), f"lists.{name}", "no shape uses this list",
                "who reads it believes that its values are sent", f"write shape: {{in: {name}}} where it is meant, or leave it out",
            )  # fmt: skip
        yield from (found for n, word in enumerate(words) for found in _entry(sheet, ("lists", name, n), f"lists.{name}[{n}]", word))
    fields = file.get("fields")
    for name, row in fields.items() if isinstance(fields, dict) else ():
        for words in _under(row, "in"):
            for word in words if isinstance(words, list) else ():
                yield from _entry(sheet, ("fields", name, "shape"), f"fields.{name}.shape", word)


def _entry(sheet: Sheet, place: tuple[str | int, ...], path: str, word: object) -> Iterator[Finding]:
    if isinstance(word, str) and (kind := _person(word)):
        severity: Severity = "warning" if kind == "a person's name" else "error"
        yield Finding(
            "PG007", severity, sheet.line(place), path, f"{quote(word)} looks like {kind}", "every value of a list is sent in clear",
            "list only what belongs to the clinic; write staff with a title, such as Dr. Lee",
        )  # fmt: skip


def _alarms(policy: Policy) -> Iterator[Finding]:
    """What the relay's last look would stop: it turns the switch off for every agent on the host, until a person turns it on again."""
    why = "the last look before sending knows no policy: at the first such value it turns telemetry off until a person turns it on"
    for line, tool, rules in alarms.in_examples(policy):
        yield Finding(
            "PG014", "error", line, "examples", f"what this example of '{tool}' sends looks like an identifier ({', '.join(rules)})", why,
            "redact that field, or write the value down as the clinic's own: in a list ({in: [...]}) or under safe_values",
        )  # fmt: skip
    named = {f"fields.{name}": rule for name, rule in policy.fields.items()}
    ruled_by = {f"tools.{tool}.rules: {path}": rule for tool, rules in policy.tools.items() for path, rule in ruled(rules)}
    for path, rule in {**named, **ruled_by}.items():
        if rule.file or rule.action != "keep" or rule.shape is None:
            continue
        n, rules = alarms.in_shape(rule.field, rule.shape, policy.listed)
        if n:
            share = f"{n} of {alarms.DRAWN} values drawn by this shape look like an identifier ({', '.join(rules)})"
            fix = "write the letters, the length or the prefix that only this value has, list the values ({in: [...]}), or redact the field"
            yield Finding("PG014", "error", rule.line, path, share, why, fix)


def _person(text: str) -> str:
    """What a listed text looks like: a name, a number of somebody's, or (empty) neither."""
    if any(c.isdigit() or c == "@" for c in text):
        found = patterns_only()(text)
        if found and any(any(c.isdigit() or c == "@" for c in text[d.start : d.end]) for d in found):
            return f"an identifier ({found[0].entity})"
        return "an identifier (a run of digits)" if re.search(r"\d(?:\W?\d){5,}", text) else ""
    first, *rest = text.split() or [""]
    named = first.casefold().rstrip(",") in GIVEN or (bool(rest) and first.endswith(",") and rest[0].casefold() in GIVEN)
    return "a person's name" if named and len(rest) <= 2 else ""


def _words(name: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(name))


def _under(value: object, key: str) -> Iterator[object]:
    """Every value that stands under a key, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from _under(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _under(inner, key)
