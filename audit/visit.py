"""The walk through one run: each value against what is expected at its place, each free text against the detectors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from audit import content, figures, seams, structure
from audit.expected import Each, Expect, Expected, Field, Leaf, Nothing, Table, in_list
from audit.findings import UNEXPLAINED, Finding, Place, Severity
from audit.source import Run
from phi_guard.generalise import generalise
from phi_guard.model import MARKER, Detection
from phi_guard.policy.compiled import Moment, Pattern, Policy, Rule
from phi_guard.policy.keys import Step
from phi_guard.policy.names import without_number
from phi_guard.scrub import heeded

if TYPE_CHECKING:
    from audit.scan import Scanner

_MACHINE: Final = re.compile(r"[0-9a-f-]{36}|[0-9T:.Z+-]{19,40}|[0-9a-fTZ.-]{50,300}|<REDACTED>|")
"""Ids and instants: nobody's name or number, whatever its digits are."""
PARTS_MAX: Final = 500
"""Values of a run whose seams are read; a run with more passes as the first of them do, and says so by a finding."""
NAMED_MAX: Final = 500
"""Values of a run out of place that the detectors are asked to name; more are findings without a name, so that no run costs hours."""


class Visit:
    """The walk through one run.

    Args:
        scanner: knows the policy and asks the detectors.
        run: as stored; it is not changed.
    """

    def __init__(self, scanner: Scanner, run: Run) -> None:
        self._scanner = scanner
        self._run = run
        self._policy: Policy = scanner.policy
        self._expected: Expected = scanner.expected
        self._span = scanner.span_name(run.get("name"))
        self._run_id = _shown_id(run.get("id"))
        self._trace_id = _shown_id(run.get("trace_id"))
        self._found: list[Finding] = []
        self._named = 0
        self._survivors: set[str] = set()
        self._conditional: list[tuple[str, str, Rule]] = []
        self._passed: list[seams.Part] = []
        self._stack: list[tuple[object, str, Expect]] = []

    def findings(self) -> list[Finding]:
        """Every finding, in the order of the walk."""
        self._stack.append((self._run, "", self._expected.of(self._span)))
        while self._stack:
            value, path, expect = self._stack.pop()
            if value is None or (isinstance(value, str) and value in {"", MARKER}):
                continue
            if isinstance(value, Mapping):
                self._mapping(value, path, expect)
            elif isinstance(value, list | tuple):
                inner = expect.item if isinstance(expect, Each) else in_list(expect)
                self._stack += [(item, f"{path}[{n}]", inner) for n, item in reversed(list(enumerate(value)))]
            else:
                before = len(self._found)
                self._scalar(value, path, expect)
                if len(self._found) == before and self._scanner.has_roster:
                    self._patients(value, path, expect)
        for text, path, rule in self._conditional:
            if rule.unless_sent & self._survivors:
                self._unexplained(text, path, "text", "policy.unless_sent")
        if len(self._passed) > 1:
            self._seams()
        return self._found

    def _mapping(self, value: Mapping[object, object], path: str, expect: Expect) -> None:
        below: list[tuple[object, str, Expect]] = []
        for n, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str) else str(key)
            known, inner_expect = self._key(name, expect)
            named = known or (isinstance(expect, Field) and name in self._policy.names)  # in the policy: no secret
            at = f"{path}.{name if named else f'?{n}'}" if path else (name if named else f"?{n}")
            if not known and not structure.is_stand_in(name, len(value)):
                self._unexplained(name, at, "key", "structure.key")
            below.append((inner, at, inner_expect))
        self._stack += reversed(below)

    def _key(self, name: str, expect: Expect) -> tuple[bool, Expect]:
        """Whether a key is expected, and what may stand under it."""
        match expect:
            case Table(keys, place):
                return name in keys, keys.get(name, Nothing(place))
            case Field(keys, step):
                found = keys.meet(name) if step is None or step.walks else None
                # The gate sends the policy's own name, numbered where a mapping has two; any other spelling came another way.
                if found is None or found.name != without_number(name):
                    return False, Nothing("text")
                return True, Field(found.below, found)
            case Leaf(_, place) | Nothing(place):
                return False, Nothing(place)
            case Each(item):
                return False, in_list(item)

    def _scalar(self, value: object, path: str, expect: Expect) -> None:
        match expect:
            case Leaf(check, place, is_open, most):
                if not check(value):
                    self._unexplained(_text(value), path, place, "structure.shape")
                elif is_open and (self._scanner.forms_hit(_text(value)) or any(form.certain for form in content.forms(_text(value)))):
                    self._unexplained(_text(value), path, place, "structure.label")
                elif most is not None and isinstance(value, int | float) and value > most:
                    entity, severity = figures.told(value)
                    self._add(_text(value), path, "number", entity, 0, "structure.unlikely", severity)
            case Field(_, step):
                self._policy_value(value, path, step)
            case Table(_, place) | Nothing(place):
                number = isinstance(value, int | float) and not isinstance(value, bool)
                self._unexplained(_text(value), path, "number" if number else place, "structure.place")
            case Each():
                self._unexplained(_text(value), path, "text", "structure.place")

    def _patients(self, value: object, path: str, expect: Expect) -> None:
        """What the roster knows of a value that passed otherwise; ids, instants and short numbers are nobody."""
        text = _text(value)
        if isinstance(value, str) and _MACHINE.fullmatch(text) is None:
            place: Place = expect.place if isinstance(expect, Leaf) else "text"
        elif isinstance(value, int) and not isinstance(value, bool) and len(text) >= figures.NUMBER_MIN:
            place = "number"
        else:
            return
        for d in self._scanner.roster(text):
            self._add(text[d.start : d.end], path, place, d.entity, d.start, "roster")

    def _policy_value(self, value: object, path: str, step: Step | None) -> None:
        text, rule = _text(value), step.rule if step is not None else None
        place: Place = "text" if isinstance(value, str) else "number"
        if rule is not None and rule.action != "generalise" and _says_something(text):
            self._survivors.add(rule.field)
        if step is None or rule is None or rule.action in {"redact", "drop"}:
            self._unexplained(text, path, place, f"policy.{rule.action if rule else 'default'}")
        elif rule.action == "keep":
            shape = rule.shape
            if shape is None or not shape.fits(value):
                self._unexplained(text, path, place, "policy.shape")
            elif isinstance(shape, Pattern) and self._scanner.forms_hit(text):
                self._unexplained(text, path, "text", "policy.patterns")
            elif isinstance(shape, Moment) and not figures.is_near(value, self._day()):
                self._add(text, path, "text", "DATE_TIME", 0, "policy.unlikely")
            elif rule.unless_sent:
                self._conditional.append((text, path, rule))
        elif rule.action == "pseudonym":
            pseudonyms = self._policy.pseudonyms
            if pseudonyms is None or not pseudonyms.made(text):
                self._unexplained(text, path, place, "policy.pseudonym")
        elif rule.to is not None:
            if generalise(value, rule.to, self._day()) != value:
                self._unexplained(text, path, place, "policy.generalise")
        elif not isinstance(value, str):
            self._unexplained(text, path, "number", "policy.free_text")
        else:
            self._free_text(value, path, step)

    def _day(self) -> date:
        """The day the run began, to which ages were counted; today where it does not say."""
        start = self._run.get("start_time")
        return date.fromisoformat(start[:10]) if isinstance(start, str) and structure.TIME(start) else date.today()

    def _free_text(self, text: str, path: str, step: Step) -> None:
        rule = step.rule
        inner = list(content.unwrapped(text))
        if inner and path.count("~") >= content.DEPTH_MAX:
            self._unexplained(text, path, "text", "content.depth")
            return
        for kind, value in inner:
            if content.is_transcript(value):
                self._add(text, f"{path}~{kind}", "text", "TRANSCRIPT", 0, "content.form")
            self._stack.append((value, f"{path}~{kind}", Field(step.below, step)))
        if inner and inner[0][0] == "json" and not isinstance(inner[0][1], str):
            return
        if not self._judged(text, path, rule):
            if rule.action == "truncate" and len(text) > rule.chars and "~" not in path:
                self._unexplained(text, path, "text", "policy.chars")
            elif len(self._passed) < PARTS_MAX:
                parent = path.rpartition("[")[0] if path.endswith("]") else path.rpartition(".")[0]
                self._passed.append(seams.Part(parent, path, text))

    def _judged(self, text: str, path: str, rule: Rule) -> bool:
        """Whether anything in a free text is a finding that fails; suspicions are added and do not count."""
        told: list[tuple[int, int]] = []
        for d in self._scanner.roster(text):
            self._add(text[d.start : d.end], path, "text", d.entity, d.start, "roster")
            told.append((d.start, d.end))
        for form in content.forms(text):
            if form.certain and _apart(form.start, form.end, told):
                self._add(text[form.start : form.end], path, "text", form.entity, form.start, "content.form")
                told.append((form.start, form.end))
            elif not form.certain:
                self._add(text[form.start : form.end], path, "text", form.entity, form.start, "content.form", "low")
        for d in heeded(rule, text, self._scanner.find(text)):
            if not _apart(d.start, d.end, told):
                continue
            if d.end - d.start == 1 and text[d.start].isalpha():
                # A lone letter names nobody; and beside a cut, which the gate made after it had judged, it looks like an initial.
                self._add(text[d.start], path, "text", d.entity, d.start, d.source, "low")
                continue
            self._add(text[d.start : d.end], path, "text", d.entity, d.start, d.source)
            told.append((d.start, d.end))
        for d in heeded(rule, text, self._scanner.suspicions(text)):
            if _apart(d.start, d.end, told):
                self._add(text[d.start : d.end], path, "text", d.entity, d.start, d.source, "low")
        return bool(told)

    def _seams(self) -> None:
        def look(text: str) -> Sequence[Detection]:
            return [*self._scanner.roster(text), *self._scanner.find(text)]

        def look_for_forms(text: str) -> Sequence[Detection]:
            return [*self._scanner.roster(text), *self._scanner.forms_hit(text)]

        for seam in seams.across(self._passed, look, look_for_forms):
            self._add(seam.text, seam.path, "seam", seam.found.entity, 0, seam.found.source)

    def _unexplained(self, text: str, path: str, place: Place, source: str) -> None:
        form = next((form for form in content.forms(text) if form.certain), None)
        if form is not None:
            self._add(text, path, place, form.entity, 0, f"{source}+content.form")
            return
        self._named += 1
        named = self._scanner.name(text) if self._named <= NAMED_MAX else None
        self._add(text, path, place, named.entity if named else UNEXPLAINED, 0, f"{source}+{named.source}" if named else source)

    def _add(self, text: str, path: str, place: Place, entity: str, start: int, source: str, severity: Severity | None = None) -> None:
        self._found.append(
            Finding(
                run_id=self._run_id,
                trace_id=self._trace_id,
                span=self._span,
                path=path,
                place=place,
                entity=entity,
                start=start,
                length=len(text),
                fingerprint=self._scanner.fingerprint(text),
                source=source,
                severity=severity or ("medium" if entity == UNEXPLAINED else "high"),
            )
        )


def _apart(start: int, end: int, told: Sequence[tuple[int, int]]) -> bool:
    return all(end <= a or start >= b for a, b in told)


def _shown_id(value: object) -> str:
    return str(value) if structure.UUID(value) else "?"


def _says_something(text: str) -> bool:
    return any(c.isalnum() for c in text.replace(MARKER, ""))


def _text(value: object) -> str:
    """A scalar as text. Numbers beyond what Python prints are given in hex, so that no length of number ends the scan."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and value.bit_length() > 10_000:
        return hex(value)
    return json.dumps(value) if isinstance(value, bool) else str(value)
