"""The policy file's border: text becomes a frozen `Policy`, or one PolicyError that lists every fault with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast

from phi_guard.policy.border import take
from phi_guard.policy.compiled import Action, Example, Policy, Rule, Side, ToolRules
from phi_guard.policy.digest import digest
from phi_guard.policy.examples import differences, patterns_only
from phi_guard.policy.lines import Place, Sheet, near, quote, read
from phi_guard.policy.overlay import loosening
from phi_guard.policy.rows import EnvironmentRow, ExampleRow, FieldRow, File, ToolRow
from phi_guard.policy.shapes import SHAPES, BadShape, read_shape

ENVIRONMENTS: Final = ("dev", "prod")
SIDES: Final[tuple[Side, Side]] = ("inputs", "outputs")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def load(path: str | os.PathLike[str], env: str = "") -> Policy:
    """Read, check, prove and compile a policy file.

    Every overlay is checked, whichever is asked for. The examples prove the rules without an overlay, which can then only send less; they
    are run once all else is right, since a rule that cannot be read would fail them all.

    Args:
        path: the YAML file.
        env: one of `ENVIRONMENTS`, or empty for the rules without an overlay.

    Raises:
        PolicyError: with every fault, in the order of the file's lines.
    """
    sheet = read(path)
    if env not in {"", *ENVIRONMENTS}:
        sheet.fault(("env",), f"{quote(env)} is no environment{near(str(env), ENVIRONMENTS)}; use dev or prod", line=1)
    take(File, sheet.value, (), sheet)
    draft = _Draft(sheet, sheet.value if isinstance(sheet.value, dict) else {})
    draft.fill()
    sheet.check()
    default = Rule("?", cast("Action", draft.file["default"]))
    base = Policy(sheet.name, "", digest(default, draft.fields, draft.tools), default, draft.fields, draft.tools, tuple(draft.examples))
    find = patterns_only()
    for n, example in enumerate(base.examples):
        for place, what in differences(base, example, find):
            sheet.fault(("examples", n), what, line=sheet.line(("examples", n, *place)))
    sheet.check()
    if not env:
        return base
    fields = {**base.fields, **draft.overlays.get(env, {})}
    return replace(base, env=env, fields=fields, digest=digest(default, fields, base.tools))


@dataclass(slots=True)
class _Draft:
    """The file's parts as far as they could be read."""

    sheet: Sheet
    file: Mapping[str, object]
    lists: dict[str, list[str]] = field(default_factory=dict)
    fields: dict[str, Rule] = field(default_factory=dict)
    tools: dict[str, ToolRules] = field(default_factory=dict)
    overlays: dict[str, dict[str, Rule]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    def part(self, *place: str) -> Mapping[str, object]:
        """A mapping of the file, empty where the file has something else (which is a fault already)."""
        value: object = self.file
        for step in place:
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def fill(self) -> None:
        """Read every part, noting every fault."""
        for name, words in self.part("lists").items():
            self.lists[name] = [word for word in words if isinstance(word, str) and word] if isinstance(words, list) else []
            if not self.lists[name]:
                self.sheet.fault(("lists", name), "the list has no words; write [first, second]")
        self.fields = self.rules(("fields",))
        for name, given in self.part("tools").items():
            self.tool(name, given)
        for env, given in self.part("environments").items():
            self.environment(env, given)
        given_examples = self.file.get("examples")
        for n, given in enumerate(given_examples if isinstance(given_examples, list) else []):
            self.example(n, given)
        self.coverage(given_examples if isinstance(given_examples, list) else [])

    def rules(self, place: tuple[str, ...]) -> dict[str, Rule]:
        """The rules of a mapping of fields, those that could be read."""
        rules = {name: self.rule((*place, name), name, given) for name, given in self.part(*place).items()}
        return {name: rule for name, rule in rules.items() if rule is not None}

    def rule(self, place: Place, name: str, given: object) -> Rule | None:
        """One field's rule, or None if it has a fault."""
        sheet = self.sheet
        if not _NAME.fullmatch(name):
            sheet.fault(place, "a field's name is sent in clear; write letters, digits, _ and - (at most 64)")
        row = take(FieldRow, given, place, sheet)
        if row is None:
            return None
        shape = None
        if row.action != "keep":
            for key in ("shape", "unless_sent"):
                if getattr(row, key) is not None:
                    sheet.fault((*place, key), f"only a keep has a {key}; leave it out, or write action: keep")
        elif row.shape is None:
            sheet.fault((*place, "shape"), f"is missing, and a keep without a shape is blind; write {SHAPES}")
        else:
            try:
                shape = read_shape(row.shape, self.lists)
            except BadShape as error:
                sheet.fault((*place, "shape"), str(error))
                return None
        if (row.chars is None) == (row.action == "truncate"):
            what = "is missing; write how many characters may be sent" if row.chars is None else "only a truncate has chars; leave it out"
            sheet.fault((*place, "chars"), what)
        unless = row.unless_sent or []
        for n, other in enumerate(unless):
            self.known_field(other, (*place, "unless_sent", n))
        action = cast("Action", row.action)
        return Rule(name, action, sheet.line(place), row.safe_harbor, row.chars or 0, shape, frozenset(unless))

    def tool(self, name: str, given: object) -> None:
        """One tool's fields; each must be known."""
        place = ("tools", name)
        if not _NAME.fullmatch(name) or name == "unknown":
            self.sheet.fault(place, "is no tool name; write the bare function name, such as book_appointment (unknown is taken)")
        row = take(ToolRow, given, place, self.sheet)
        if row is None:
            return
        for side in SIDES:
            names: list[str] = getattr(row, side)
            for n, name_ in enumerate(names):
                self.known_field(name_, (*place, side, n))
                if name_ in names[:n]:
                    self.sheet.fault((*place, side, n), f"'{name_}' is already in this list; leave one out")
        self.tools[name] = ToolRules(frozenset(row.inputs), frozenset(row.outputs), self.sheet.line(place))

    def environment(self, env: str, given: object) -> None:
        """One overlay; each of its rules must be at least as tight as the rule it replaces."""
        place = ("environments", env)
        if env not in ENVIRONMENTS:
            self.sheet.fault(place, f"is no environment{near(env, ENVIRONMENTS)}; known are dev and prod")
        if take(EnvironmentRow, given, place, self.sheet) is None:
            return
        overlay: dict[str, Rule] = {}
        for name, rule in self.rules((*place, "fields")).items():
            at = (*place, "fields", name)
            base = self.fields.get(name)
            if base is None:
                self.known_field(name, at)
                continue
            if what := loosening(base, rule):
                self.sheet.fault(at, what)
            if rule.safe_harbor not in {None, base.safe_harbor}:
                self.sheet.fault((*at, "safe_harbor"), "an environment does not change what a field is; leave it out")
            overlay[name] = replace(rule, safe_harbor=base.safe_harbor)
        self.overlays[env] = overlay

    def example(self, n: int, given: object) -> None:
        """One example; its tool must be known."""
        place: Place = ("examples", n)
        row = take(ExampleRow, given, place, self.sheet)
        if row is None:
            return
        tools = self.part("tools")
        if row.given.tool not in tools:
            what = f"there is no tool '{row.given.tool}'{near(row.given.tool, tools)}; write it under tools"
            self.sheet.fault((*place, "given", "tool"), what)
        self.examples.append(Example(row.given.tool, row.given.sides(), row.sends.sides(), self.sheet.line(place)))

    def known_field(self, name: str, place: Place) -> None:
        """Note a fault if the file does not define the field."""
        known = self.part("fields")
        if name not in known:
            self.sheet.fault(place, f"there is no field {quote(name)}{near(name, known)}; write it under fields, or leave it out")

    def coverage(self, examples: Sequence[object]) -> None:
        """Note each field and tool that no example shows. Taken from the raw examples, so that a faulty one still counts."""
        shown: set[str] = set()
        used: set[str] = set()
        for example in examples:
            given = example.get("given") if isinstance(example, dict) else None
            if isinstance(given, dict) and isinstance(given.get("tool"), str):
                used.add(given["tool"])
                shown.update(self.shown_by(given))
        for name in self.part("tools"):
            if name not in used:
                self.sheet.fault(("tools", name), "no example calls this tool; add one under examples")
        listed = {name for tool in self.tools.values() for side in SIDES for name in tool.side(side)}
        for name in self.part("fields"):
            if name not in shown:
                also = "" if name in listed else " and no tool lists it"
                self.sheet.fault(("fields", name), f"no example shows this field{also}; add one under examples, or leave the field out")

    def shown_by(self, given: Mapping[str, object]) -> Iterator[str]:
        """The fields whose rules an example puts to use: those its tool lists, and any below a field that is walked into."""
        tool = self.tools.get(str(given.get("tool")))
        for side in SIDES if tool else ():
            top = given.get(side)
            for name, value in top.items() if isinstance(top, dict) else ():
                if tool and name in tool.side(side):
                    yield name
                    rule = self.fields.get(name)
                    if rule is not None and rule.action not in {"redact", "drop"}:
                        yield from _keys(value)


def _keys(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
