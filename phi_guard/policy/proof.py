"""How a policy's own examples come out one by one, and what none of them shows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from phi_guard.errors import PolicyError
from phi_guard.model import MARKER, Note
from phi_guard.policy import load_policy
from phi_guard.policy.compiled import Branch, Policy, Rule, Side, ToolRules
from phi_guard.policy.examples import differences, patterns_only
from phi_guard.policy.lines import Place, read, spell

State: TypeAlias = Literal["PASS", "FAIL", "ERROR"]
Walk: TypeAlias = Callable[[Policy, str, Mapping[str, object]], tuple[Mapping[str, object], tuple[Note, ...]]]
"""The real walk: a policy, a tool's bare name and its call's data become what is sent, and what was done on the way."""

SIDES: Final[tuple[Side, Side]] = ("inputs", "outputs")
_ABSENT: Final = object()
_EXAMPLE: Final = re.compile(r"examples\[(\d+)\]")
_FAULT: Final = re.compile(r"(.*?):(\d+): (.*?): (.*)", re.DOTALL)
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a file cannot be loaded.

    Args:
        file: the file it stands in; it may be one that the file extends.
        line: 1-based.
        path: the place in the file, such as ``fields.phone.action``.
        what: what is wrong, and what to write instead.
    """

    file: str
    line: int
    path: str
    what: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One example, tried.

    Args:
        line: where it begins in its file.
        tool: whose call it is.
        state: ``PASS`` it comes out as written (with an overlay: or sends less), ``FAIL`` it does not, ``ERROR`` it could not be run.
        why: each difference, or why it could not be run; for a pass under an overlay, where less is sent.
        inherited: True where it stands in a file that this one extends.
    """

    line: int
    tool: str
    state: State
    why: tuple[str, ...] = ()
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """Every example of a file, tried.

    Args:
        examples: in the file's order.
        uncovered: what no example shows, as ``tool.side.field`` or the path of a tool's own rule; judged once every example passes.
        faults: why the file cannot be loaded; empty if it can, but for examples that fail.
    """

    examples: tuple[Tried, ...]
    uncovered: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    def count(self, state: State) -> int:
        """How many examples came out so."""
        return sum(1 for example in self.examples if example.state == state)


def read_faults(refused: PolicyError) -> tuple[Fault, ...]:
    """The faults of a refused file in their parts; one that has none stands whole at line 1."""
    parts = ((_FAULT.fullmatch(text), text) for text in refused.faults)
    return tuple(Fault(m[1], int(m[2]), m[3], m[4]) if m else Fault("", 1, "file", text) for m, text in parts)


def prove(path: str | os.PathLike[str], walk: Walk, env: str = "") -> Proof:
    """Try each example of a file through the real walk.

    An overlay may only tighten, so with ``env`` an example passes too where less is sent than it says; where, is told.

    Args:
        path: the policy file.
        walk: the real walk, with the detectors of `patterns_only`: what an example promises must hold without a language model.
        env: ``dev`` or ``prod`` for that overlay, empty for the rules without one.
    """
    try:
        policy = load_policy(path, env)
    except PolicyError as refused:
        return _refused(path, refused)
    find = patterns_only()
    tried: list[Tried] = []
    shown: set[tuple[str, str]] = set()
    inherited = len(policy.examples) - sum(1 for _ in _listed(path))  # an extended file's own come first
    for n, example in enumerate(policy.examples):
        sent, notes = walk(policy, example.tool, example.given)
        shown |= {(example.tool, _INDEX.sub("[*]", note.path)) for note in notes}
        off = [(place[1:], what) for place, what in differences(policy, example, find)]
        more = tuple(what for place, what in off if not env or not _less(_at(sent, place), _at(example.sends, place)))
        less = tuple(f"sends less in {env} at {spell(place)}" for place, _ in off) if not more else ()
        tried.append(Tried(example.line, example.tool, "FAIL" if more else "PASS", more or less, n < inherited))
    return Proof(tuple(tried), tuple(_uncovered(policy, shown)))


def _refused(path: str | os.PathLike[str], refused: PolicyError) -> Proof:
    """The proof of a file that does not load: which examples are to blame, and whether anything else is."""
    faults = read_faults(refused)
    blamed: dict[int, list[Fault]] = {}
    for fault in faults:
        if match := _EXAMPLE.match(fault.path):
            blamed.setdefault(int(match[1]), []).append(fault)
    # Examples are run once all else is right, so a difference is never listed beside another fault.
    otherwise = all(_EXAMPLE.fullmatch(fault.path) and fault.what.startswith("would ") for fault in faults)
    tried: list[Tried] = []
    for n, (line, tool) in enumerate(_listed(path)):
        own = tuple(f"line {fault.line}: {fault.what}" for fault in blamed.get(n, ()))
        if otherwise:
            tried.append(Tried(line, tool, "FAIL" if own else "PASS", own))
        else:
            tried.append(Tried(line, tool, "ERROR", own or ("not run: the file has other faults",)))
    return Proof(tuple(tried), faults=() if otherwise else faults)


def _listed(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Line and tool of each example as the file has them, whatever else is wrong with it."""
    try:
        sheet = read(path)
    except PolicyError:
        return
    examples = sheet.value.get("examples") if isinstance(sheet.value, dict) else None
    for n, example in enumerate(examples if isinstance(examples, list) else ()):
        given = example.get("given") if isinstance(example, dict) else None
        tool = given.get("tool") if isinstance(given, dict) else None
        yield sheet.line(("examples", n)), tool if isinstance(tool, str) else "?"


def _at(value: object, place: Place) -> object:
    for step in place:
        known = step in value if isinstance(value, Mapping) else isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not known:
            return _ABSENT
        value = value[step]  # type: ignore[index]  # known to have it
    return value


def _less(got: object, expected: object) -> bool:
    """Whether nothing is in one that is not in the other: it is absent, a marker, or the same text with parts taken out or cut off."""
    if got is _ABSENT or got in (MARKER, expected):
        return True
    if isinstance(got, str) and isinstance(expected, str):
        at = 0
        for part in got.removesuffix("…").split(MARKER):
            found = expected.find(part.strip(), at)
            if found < 0:
                return False
            at = found + len(part.strip())
        return True
    return False


def _uncovered(policy: Policy, shown: Iterable[tuple[str, str]]) -> Iterator[str]:
    seen = list(shown)
    for tool, rules in policy.tools.items():
        places = [f"{side}.{name}" for side in SIDES for name in sorted(rules.side(side))]
        places += [path for path, _ in ruled(rules)]
        for place in places:
            met = (path == place or path.startswith((f"{place}.", f"{place}[")) for by, path in seen if by == tool)
            if not any(met):
                yield f"{tool}.{place}"


def ruled(rules: ToolRules) -> Iterator[tuple[str, Rule]]:
    """A tool's own rules, each with its path, such as ``inputs.contact[*].phone``."""
    for side in SIDES:
        if side in rules.paths:
            yield from _ruled(rules.paths[side], side)


def _ruled(branch: Branch, path: str) -> Iterator[tuple[str, Rule]]:
    if branch.rule is not None:
        yield path, branch.rule
    for key, below in branch.keys.items():
        yield from _ruled(below, f"{path}.{key}")
    if branch.items is not None:
        yield from _ruled(branch.items, f"{path}[*]")


def shown_value(policy: Policy, field: str) -> object:
    """A made-up value that the file's own examples give a field, or None; it is synthetic, since it stands in the policy."""
    for example in policy.examples:
        for side in SIDES:
            given = example.given.get(side)
            if isinstance(given, Mapping) and isinstance(given.get(field), str | int | float | bool):
                return given[field]
    return None
