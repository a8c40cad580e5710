"""The scan of one run: every string, number, key and name of it, at any depth, is on the closed list, redacted, or a finding.

Suspicious by default. A value is clean only where its place and shape are known (`audit.structure`), where it is a marker, where the
policy keeps it and it fits, or where the policy lets free text stand and the detectors find nothing in it. The walk keeps its own
stack, so that no depth of nesting can end it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, TypeAlias

from audit import structure
from audit.findings import UNEXPLAINED, Finding, Place, fingerprint
from audit.source import Run
from audit.structure import Check
from phi_guard.generalise import generalise
from phi_guard.model import MARKER, Detection
from phi_guard.policy.compiled import SIDES, Pattern, Policy, Rule
from phi_guard.policy.keys import Keys, Step
from phi_guard.policy.names import without_number
from phi_guard.scrub import find_outside_markers, heeded

Find: TypeAlias = Callable[[str], Sequence[Detection]]

MEMORY_MAX: Final = 20_000
"""Texts whose detections are remembered, since the same text stands in many runs."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One value of a known shape; ``open`` if the shape could still hold a name, so that the patterns look too."""

    check: Check
    place: Place
    open: bool = False


@dataclass(frozen=True, slots=True)
class _Table:
    """A mapping with these keys and no others."""

    keys: Mapping[str, _Expect]
    place: Place


@dataclass(frozen=True, slots=True)
class _Each:
    """A list of these."""

    item: _Expect


@dataclass(frozen=True, slots=True)
class _Nothing:
    """A place that holds nothing: empty or a marker."""

    place: Place


@dataclass(frozen=True, slots=True)
class _Field:
    """A place of a tool's inputs or outputs under a rule of the policy; ``step`` is None for the side itself."""

    keys: Keys
    step: Step | None = None


_Expect: TypeAlias = _Leaf | _Table | _Each | _Nothing | _Field


class Scanner:
    """Scans runs under one policy.

    Args:
        policy: says which fields of which tools may hold what.
        find: the strict detectors; what they raise is raised on.
        find_patterns: the pattern detectors alone, for values of a shape that is no closed list.
        project: the project's name, which runs may name; empty where it is not known.
        key: of the fingerprints; made for one report.
        naming: False leaves the naming of structural findings out (they are found all the same), which saves the detectors' time.

    Attributes:
        values: every raw value found, for the check that a report holds none of them. In memory only.
    """

    def __init__(self, policy: Policy, find: Find, find_patterns: Find, *, project: str, key: bytes, naming: bool = True) -> None:
        self.values: set[str] = set()
        self._policy = policy
        self._find_strict = find
        self._find_patterns = find_patterns
        self._project = project
        self._key = key
        self._naming = naming
        self._memory: dict[str, Sequence[Detection]] = {}

    def scan(self, run: Run) -> tuple[Finding, ...]:
        """Every finding of one run, in the order of the walk; the run is not changed."""
        return tuple(_Visit(self, run).findings())

    def span_name(self, value: object) -> str:
        """The run's name if it is on the closed list, else ``?``."""
        if not isinstance(value, str):
            return "?"
        tool = value.removeprefix(structure.TOOL)
        known = value in structure.SPANS or value == structure.UNKNOWN_TOOL or (tool != value and tool in self._policy.tools)
        return value if known else "?"

    def find(self, text: str) -> Sequence[Detection]:
        """What the strict detectors find outside the markers of a text."""
        if text not in self._memory:
            if len(self._memory) >= MEMORY_MAX:
                self._memory.clear()
            self._memory[text] = tuple(find_outside_markers(self._find_strict, text))
        return self._memory[text]

    @cached_property
    def _own_words(self) -> frozenset[str]:
        """Names that paths are made of, which tell nothing even where they do not belong."""
        return frozenset({*self._policy.names, *self._policy.tools, *self.row, *structure.METADATA, *structure.LABELS, *structure.SPANS})

    @cached_property
    def row(self) -> Mapping[str, _Expect]:
        """What any run may hold, apart from name, inputs, outputs and session_name."""
        metadata: dict[str, _Expect] = {
            key: _Leaf(structure.METADATA.get(key, structure.LABEL), "metadata", open=key in structure.OPEN)
            for key in (*structure.METADATA, *structure.LABELS)
        }
        fields = (*self._policy.names, "unknown")
        metadata["redactions"] = _Table({name: _Leaf(structure.COUNT, "metadata") for name in fields}, "metadata")
        metadata["usage_metadata"] = _Table({k: _Leaf(check, "metadata") for k, check in structure.USAGE.items()}, "metadata")
        held = _Table(metadata, "metadata")
        event = _Table(
            {"name": _Leaf(lambda v: v == "new_token", "event"), "time": _Leaf(structure.TIME, "event"), "kwargs": _Nothing("event")},
            "event",
        )
        row: dict[str, _Expect] = {key: _Leaf(check, "row") for key, check in structure.ADDED_BY_LANGSMITH.items()}
        row |= {key: _Leaf(check, "row") for key, check in structure.ROW.items()}
        row |= {
            "error": _Leaf(structure.typed_error, "error"),
            "extra": _Table({"metadata": held, "metadata_in_extra": held, "runtime": _Nothing("metadata")}, "metadata"),
            "events": _Each(event),
            "tags": _Nothing("tag"),
            "attachments": _Nothing("attachment"),
            "serialized": _Nothing("text"),
        }
        return row

    def expected(self, span: str) -> _Table:
        """What a run of this name may hold; ``?`` for a name that is not on the closed list."""
        session = _Leaf(lambda v: v == self._project, "row") if self._project else _Leaf(structure.LABEL, "row", open=True)
        keys: dict[str, _Expect] = {**self.row, "name": _Leaf(lambda v: self.span_name(v) != "?", "name"), "session_name": session}
        for side in SIDES:
            if span.startswith(structure.TOOL):
                keys[side] = _Field(self._policy.top(span.removeprefix(structure.TOOL), side))
            else:
                keys[side] = _Nothing("text")
        return _Table(keys, "row")

    @property
    def policy(self) -> Policy:
        """The policy it scans under."""
        return self._policy

    def fingerprint(self, value: str) -> str:
        """The value's fingerprint in this report; the value is remembered for the report's own check, unless it is a word of ours."""
        if value not in self._own_words:
            self.values.add(value)
        return fingerprint(self._key, value)

    def name(self, text: str) -> Detection | None:
        """What the detectors call a text that does not belong where it is: the longest stretch they find, or None."""
        found = self.find(text.replace("_", " ")) if self._naming else ()
        return max(found, key=lambda d: d.end - d.start, default=None)

    def patterns_hit(self, text: str) -> bool:
        """Whether the patterns find anything in a text."""
        return bool(self._find_patterns(text))


class _Visit:
    """The walk through one run."""

    def __init__(self, scanner: Scanner, run: Run) -> None:
        self._scanner = scanner
        self._run = run
        self._span = scanner.span_name(run.get("name"))
        self._found: list[Finding] = []
        self._survivors: set[str] = set()
        self._conditional: list[tuple[str, str, Rule]] = []
        self._stack: list[tuple[object, str, _Expect]] = []

    def findings(self) -> list[Finding]:
        self._stack.append((self._run, "", self._scanner.expected(self._span)))
        while self._stack:
            value, path, expect = self._stack.pop()
            if value is None or (isinstance(value, str) and value in {"", MARKER}):
                continue
            if isinstance(value, Mapping):
                self._mapping(value, path, expect)
            elif isinstance(value, list | tuple):
                inner = expect.item if isinstance(expect, _Each) else _in_list(expect)
                self._stack += [(item, f"{path}[{n}]", inner) for n, item in reversed(list(enumerate(value)))]
            else:
                self._scalar(value, path, expect)
        for text, path, rule in self._conditional:
            if rule.unless_sent & self._survivors:
                self._unexplained(text, path, "text", "policy.unless_sent")
        return self._found

    def _mapping(self, value: Mapping[object, object], path: str, expect: _Expect) -> None:
        below: list[tuple[object, str, _Expect]] = []
        for n, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str) else str(key)
            known, inner_expect = self._key(name, expect)
            named = known or (isinstance(expect, _Field) and name in self._scanner.policy.names)  # in the policy: no secret
            at = f"{path}.{name if named else f'?{n}'}" if path else (name if named else f"?{n}")
            if not known and structure.STAND_IN.fullmatch(name) is None:
                self._unexplained(name, at, "key", "structure.key")
            below.append((inner, at, inner_expect))
        self._stack += reversed(below)

    def _key(self, name: str, expect: _Expect) -> tuple[bool, _Expect]:
        """Whether a key is expected, and what may stand under it."""
        match expect:
            case _Table(keys, place):
                return name in keys, keys.get(name, _Nothing(place))
            case _Field(keys, step):
                found = keys.meet(name) if step is None or step.walks else None
                # The gate sends the policy's own name, numbered where a mapping has two; any other spelling came another way.
                if found is None or found.name != without_number(name):
                    return False, _Nothing("text")
                return True, _Field(found.below, found)
            case _Leaf(_, place) | _Nothing(place):
                return False, _Nothing(place)
            case _Each(item):
                return False, _in_list(item)

    def _scalar(self, value: object, path: str, expect: _Expect) -> None:
        match expect:
            case _Leaf(check, place, is_open):
                if not check(value):
                    self._unexplained(_text(value), path, place, "structure.shape")
                elif is_open and self._scanner.patterns_hit(_text(value)):
                    self._unexplained(_text(value), path, place, "structure.label")
            case _Field(_, step):
                self._policy_value(value, path, step)
            case _Table(_, place) | _Nothing(place):
                number = isinstance(value, int | float) and not isinstance(value, bool)
                self._unexplained(_text(value), path, "number" if number else place, "structure.place")
            case _Each():
                self._unexplained(_text(value), path, "text", "structure.place")

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
            elif isinstance(shape, Pattern) and self._scanner.patterns_hit(text):
                self._unexplained(text, path, "text", "policy.patterns")
            elif rule.unless_sent:
                self._conditional.append((text, path, rule))
        elif rule.action == "pseudonym":
            pseudonyms = self._scanner.policy.pseudonyms
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
        nested = _container(text)
        if nested is not None:
            self._stack.append((nested, path, _Field(step.below, step)))
            return
        found = heeded(rule, text, self._scanner.find(text))
        for d in found:
            self._add(text[d.start : d.end], path, "text", d.entity, d.start, d.source)
        if not found and rule.action == "truncate" and len(text) > rule.chars:
            self._unexplained(text, path, "text", "policy.chars")

    def _unexplained(self, text: str, path: str, place: Place, source: str) -> None:
        named = self._scanner.name(text)
        self._add(text, path, place, named.entity if named else UNEXPLAINED, 0, f"{source}+{named.source}" if named else source)

    def _add(self, text: str, path: str, place: Place, entity: str, start: int, source: str) -> None:
        self._found.append(
            Finding(
                run_id=_shown_id(self._run.get("id")),
                trace_id=_shown_id(self._run.get("trace_id")),
                span=self._span,
                path=path,
                place=place,
                entity=entity,
                start=start,
                length=len(text),
                fingerprint=self._scanner.fingerprint(text),
                source=source,
                severity="medium" if entity == UNEXPLAINED else "high",
            )
        )


def _in_list(expect: _Expect) -> _Expect:
    """What an item of a list may be, where the list itself was not expected: a table or leaf does not repeat."""
    if isinstance(expect, _Field):
        item = expect.step and (expect.step.items or expect.step)
        return _Field(item.below, item) if item is not None else expect
    return expect if isinstance(expect, _Nothing) else _Nothing(expect.place if not isinstance(expect, _Each) else "text")


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


def _container(text: str) -> object | None:
    """The mapping or list that a text holds as JSON, or None."""
    if text[:1] not in {"{", "["} or text[-1:] not in {"}", "]"}:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None
