"""A policy file's parts as far as they can be read, on top of the files it extends; every fault is noted on the file it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from phi_guard.policy import coverage, paths
from phi_guard.policy.border import take
from phi_guard.policy.compiled import SIDES, Action, Example, Policy, Rule, ToolRules
from phi_guard.policy.digest import digest
from phi_guard.policy.lines import Place, Sheet, near, quote
from phi_guard.policy.names import NAME, spelling
from phi_guard.policy.overlay import keeps_number, loosening, released, tighter
from phi_guard.policy.paths import BadPath, Path, read_path
from phi_guard.policy.rows import EnvironmentRow, ExampleRow, Extension, FieldRow, File, OverlayToolRow, RuleRow, ToolRow
from phi_guard.policy.rules import compiled
from phi_guard.pseudonym import Pseudonyms

ENVIRONMENTS: Final = ("dev", "prod")
_ALIAS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,63}")


@dataclass(frozen=True, slots=True)
class Overlay:
    """What one environment tightens in one file."""

    sheet: Sheet
    env: str
    fields: Mapping[str, Rule]
    paths: Mapping[str, Mapping[Path, Rule]]


@dataclass(frozen=True, slots=True)
class Shown:
    """An example, and where it stands."""

    example: Example
    sheet: Sheet
    n: int


@dataclass(slots=True)
class Draft:
    """One file after the other, the outermost base first.

    Args:
        sheets: the files; the last is the policy's own.
    """

    sheets: tuple[Sheet, ...]
    default: str = ""
    standard: tuple[Sheet, ...] = ()
    lists: dict[str, list[str]] = field(default_factory=dict)
    fields: dict[str, Rule] = field(default_factory=dict)
    homes: dict[str, tuple[Sheet, Place]] = field(default_factory=dict)
    """Each field that is named, readable or not, and where."""
    spellings: dict[str, str] = field(default_factory=dict)
    """The field each spelling means."""
    tools: dict[str, ToolRules] = field(default_factory=dict)
    paths: dict[str, dict[Path, Rule]] = field(default_factory=dict)
    overlays: list[Overlay] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    _layers: list[_Layer] = field(default_factory=list)

    def fill(self) -> None:
        """Read every part of every file, noting every fault."""
        self._layers = [_Layer(self, sheet, n == 0, n == len(self.sheets) - 1) for n, sheet in enumerate(self.sheets)]
        for layer in self._layers:
            layer.read_lists()  # a file's own list takes the place of its base's, in the base's rules as well
        for layer in self._layers:
            layer.read()
        coverage.check(self, self._layers)

    def policy(self, env: str, pseudonyms: Pseudonyms | None) -> Policy:
        """The rules in force in an environment; empty for those without an overlay."""
        fields, by_path = self.effective(env)
        tools = {name: replace(tool, paths=paths.branches(by_path.get(name, {}))) for name, tool in self.tools.items()}
        default = Rule("?", cast("Action", self.default or "redact"))
        aliases = {spelt: name for spelt, name in self.spellings.items() if spelt != spelling(name)}
        meaning = digest(default, fields, tools, aliases)
        examples = tuple(shown.example for shown in self.shown)
        return Policy(self.sheets[-1].name, env, meaning, default, fields, tools, examples, aliases, pseudonyms)

    def effective(self, env: str) -> tuple[dict[str, Rule], dict[str, dict[Path, Rule]]]:
        """The fields' rules and the tools' path rules in an environment: of those that speak of a place, the tighter."""
        fields, by_path = dict(self.fields), {tool: dict(rules) for tool, rules in self.paths.items()}
        for overlay in self.overlays:
            if overlay.env == env:
                tighten(fields, by_path, overlay.fields)
                for tool, rules in overlay.paths.items():
                    for path, rule in rules.items():
                        base = by_path.setdefault(tool, {}).get(path) or fields[paths.field_of(path)]
                        by_path[tool][path] = keeps_number(base, tighter(base, rule))
        return fields, by_path

    def every_rule(self) -> Iterator[tuple[Sheet, Place, Rule]]:
        """Each rule that could be read, without those of overlays, and where it stands."""
        for name, rule in self.fields.items():
            yield *self.homes[name], rule
        for tool, rules in self.paths.items():
            for path, rule in rules.items():
                yield self.sheet_of(rule), ("tools", tool, "rules", paths.spelt(path)), rule

    def sheet_of(self, rule: Rule) -> Sheet:
        """The file a rule stands in."""
        return next((sheet for sheet in self.sheets if sheet.name == rule.file), self.sheets[-1])


def tighten(fields: dict[str, Rule], by_path: dict[str, dict[Path, Rule]], over: Mapping[str, Rule]) -> None:
    """Put rules over others, in both tables: a field that is tightened is tightened at each place that a path rule gives it, too."""
    for name, rule in over.items():
        fields[name] = keeps_number(fields[name], tighter(fields[name], rule))
        for rules in by_path.values():
            for path, base in rules.items():
                if base.field == name:
                    rules[path] = keeps_number(base, tighter(base, rule))


@dataclass(slots=True)
class _Layer:
    """One file on top of those before it."""

    draft: Draft
    sheet: Sheet
    first: bool
    last: bool
    file: Mapping[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self.file = self.sheet.value if isinstance(self.sheet.value, dict) else {}

    def part(self, *place: str) -> Mapping[str, object]:
        """A mapping of the file, empty where the file has something else (which is a fault already)."""
        value: object = self.file
        for step in place:
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def examples(self) -> list[object]:
        """The file's examples, readable or not."""
        given = self.file.get("examples")
        return given if isinstance(given, list) else []

    def given(self) -> Iterator[dict[str, object]]:
        """The calls of the examples, as far as they are calls."""
        for example in self.examples():
            given = example.get("given") if isinstance(example, dict) else None
            if isinstance(given, dict) and isinstance(given.get("tool"), str):
                yield given

    def read_lists(self) -> None:
        """Read the lists; one that has the name of an earlier file's takes its place."""
        for name, words in self.part("lists").items():
            self.draft.lists[name] = [word for word in words if isinstance(word, str) and word] if isinstance(words, list) else []
            if not self.draft.lists[name]:
                self.sheet.fault(("lists", name), "the list has no words; write [first, second]")

    def read(self) -> None:
        """Read all the rest."""
        take(File if self.first else Extension, self.sheet.value, (), self.sheet)
        draft, default = self.draft, self.file.get("default")
        if draft.default == "drop" and default == "redact":
            self.sheet.fault(("default",), "redact is looser than drop, and here it may only be tightened; leave it out")
        elif isinstance(default, str) and default in {"redact", "drop"}:
            draft.default = str(default)
        if self.file.get("standard") == "safe_harbor":
            draft.standard = (*draft.standard, self.sheet)
        for name in self.part("fields"):  # before any alias, so that of two the alias is at fault
            draft.homes.setdefault(name, (self.sheet, ("fields", name)))
            self.spelt(name, name, ("fields", name))
        before = dict(draft.fields)
        for name, given in self.part("fields").items():
            self.field(name, given)
        for name, given in self.part("tools").items():
            self.tool(name, given)
        waiting = {f"fields.{name}": rule for name, rule in draft.fields.items()}
        for name, place in released(before, {n: draft.fields[n] for n in self.part("fields") if n in draft.fields}, waiting):
            self.releases(("fields", name), name, place)
        for env, given in self.part("environments").items():
            self.environment(env, given)
        for n, given in enumerate(self.examples()):
            self.example(n, given)

    def field(self, name: str, given: object) -> None:
        """One field; one that an earlier file has may only be tightened."""
        place: Place = ("fields", name)
        if not NAME.fullmatch(name):
            self.sheet.fault(place, "a field's name is sent in clear; write letters, digits, _ and - (at most 64)")
        row = take(FieldRow, given, place, self.sheet)
        if row is None:
            return
        for n, alias in enumerate(row.aliases or []):
            self.alias(name, alias, (*place, "aliases", n))
        rule = self.rule(row, name, place)
        if rule is None:
            return
        base = self.draft.fields.get(name)
        if base is None:
            self.draft.fields[name] = rule
        elif self.tightens(base, rule, place):
            tighten(self.draft.fields, self.draft.paths, {name: rule})

    def rule(self, row: RuleRow, name: str, place: Place) -> Rule | None:
        """The rule a row states."""
        rule = compiled(row, name, place, self.sheet, self.draft.lists, self.known_field)
        return replace(rule, file="" if self.last else self.sheet.name) if rule is not None else None

    def spelt(self, name: str, key: str, place: Place) -> None:
        """Let a spelling mean a field; it can mean but one."""
        other = self.draft.spellings.setdefault(spelling(key), name)
        if other != name:
            self.sheet.fault(place, f"{quote(key)} and '{other}' are one name however they are spelt; leave one out")

    def alias(self, name: str, alias: str, place: Place) -> None:
        """One alias."""
        if not _ALIAS.fullmatch(alias):
            self.sheet.fault(place, f"{quote(alias)} is no name; write letters, digits, _, - and spaces (at most 64)")
        elif spelling(alias) == spelling(name):
            self.sheet.fault(place, f"{quote(alias)} is '{name}' already, however it is spelt; leave it out")
        else:
            self.spelt(name, alias, place)

    def tightens(self, base: Rule, rule: Rule, place: Place) -> bool:
        """Whether a rule may take another's place; notes a fault if not."""
        what = loosening(base, rule)
        if what:
            self.sheet.fault(place, what)
        if rule.safe_harbor not in {None, base.safe_harbor}:
            self.sheet.fault((*place, "safe_harbor"), "what a field is does not change here; leave it out")
        return not what

    def tool(self, name: str, given: object) -> None:
        """One tool's fields, each of which must be known, and its own rules."""
        place: Place = ("tools", name)
        if not NAME.fullmatch(name) or name == "unknown":
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
        base = self.draft.tools.get(name)
        new = ToolRules(frozenset(row.inputs), frozenset(row.outputs), self.sheet.line(place))
        before = self.draft.paths.setdefault(name, {})
        rules = self.path_rules(row.rules, (*place, "rules"))
        for path, rule in rules.items():
            at = (*place, "rules", paths.spelt(path))
            if base is not None and not self.fits_base(name, base, path, rule, at):
                continue
            before[path] = rule
        self.draft.tools[name] = replace(base, inputs=base.inputs | new.inputs, outputs=base.outputs | new.outputs) if base else new
        self.unreached(name, place)

    def path_rules(self, given: Mapping[str, object], place: Place) -> dict[Path, Rule]:
        """The path rules of a mapping, those that could be read."""
        rules: dict[Path, Rule] = {}
        for text, row_ in given.items():
            at = (*place, text)
            try:
                path = read_path(text)
            except BadPath as error:
                self.sheet.fault(at, str(error))
                continue
            for step in path[1]:
                meant = self.draft.spellings.get(spelling(step), step)
                if step not in {meant, paths.ITEM}:
                    self.sheet.fault(at, f"{quote(step)} is '{meant}' under fields, however it is spelt; write {meant}")
            row = take(RuleRow, row_, at, self.sheet)
            rule = self.rule(row, paths.field_of(path), at) if row is not None else None
            if rule is not None:
                general = self.draft.fields.get(rule.field)
                rules[path] = replace(rule, safe_harbor=rule.safe_harbor or (general.safe_harbor if general else None))
        return rules

    def fits_base(self, tool: str, base: ToolRules, path: Path, rule: Rule, at: Place) -> bool:
        """Whether a path rule may be added to a tool of an earlier file: it tightens a rule there, or speaks of what was unknown there."""
        before = self.draft.paths.get(tool, {})
        if (was := self.stands(tool, base, path)) is not None:
            return self.tightens(was, rule, at)
        top = path[1][0]
        if top in base.side(path[0]) or any(other[0] == path[0] and other[1][0] == top for other in before):
            what = f"the tool's own file says what happens to '{top}', and here it may only be tightened; write a rule for a place it names"
            self.sheet.fault(at, what)
            return False
        return True

    def stands(self, tool: str, base: ToolRules, path: Path) -> Rule | None:
        """The rule that a place has so far: its path rule, or its field's where it is a field of the tool."""
        rule = self.draft.paths.get(tool, {}).get(path)
        if rule is None and len(path[1]) == 1 and path[1][0] in base.side(path[0]):
            rule = self.draft.fields.get(path[1][0])
        return rule

    def unreached(self, tool: str, place: Place) -> None:
        """Note the path rules that no value can meet, and the places that have two names."""
        rules = self.draft.paths[tool]
        spelt: dict[object, tuple[str, ...]] = {}
        for side, steps in rules:
            at = (*place, "rules", paths.spelt((side, steps)))
            for outer in paths.around((side, steps)):
                if outer in rules and rules[outer].action in {"redact", "drop"}:
                    what = f"is never met, since {paths.spelt(outer)} is set to {rules[outer].action} as a whole; leave one out"
                    self.sheet.fault(at, what)
            for n in range(1, len(steps) + 1):
                other = spelt.setdefault((side, *map(spelling, steps[:n])), steps[:n])
                if other != steps[:n]:
                    self.sheet.fault(at, f"'{steps[n - 1]}' and '{other[-1]}' are one name however they are spelt; write one of them")
                    break

    def environment(self, env: str, given: object) -> None:
        """One overlay; each of its rules must be at least as tight as the rule it replaces."""
        place = ("environments", env)
        if env not in ENVIRONMENTS:
            self.sheet.fault(place, f"is no environment{near(env, ENVIRONMENTS)}; known are dev and prod")
        if take(EnvironmentRow, given, place, self.sheet) is None:
            return
        fields: dict[str, Rule] = {}
        for name, row_ in self.part(*place, "fields").items():
            at: Place = (*place, "fields", name)
            row = take(RuleRow, row_, at, self.sheet)
            rule = self.rule(row, name, at) if row is not None else None
            base = self.draft.fields.get(name)
            if base is None:
                self.known_field(name, at)
            elif rule is not None:
                self.tightens(base, rule, at)
                fields[name] = rule
        overlay = Overlay(self.sheet, env, fields, self.overlaid_tools(place))
        self.draft.overlays.append(overlay)
        after, by_path = self.draft.effective(env)
        waiting = {f"fields.{name}": rule for name, rule in after.items()}
        waiting |= {f"tools.{tool}.rules.{paths.spelt(p)}": r for tool, rules in by_path.items() for p, r in rules.items()}
        for name, freed in released(self.draft.fields, {name: after[name] for name in fields}, waiting):
            self.releases((*place, "fields", name), name, freed)

    def overlaid_tools(self, place: tuple[str, ...]) -> dict[str, dict[Path, Rule]]:
        """What an environment says of single tools."""
        found: dict[str, dict[Path, Rule]] = {}
        for tool, given in self.part(*place, "tools").items():
            at = (*place, "tools", tool)
            base = self.draft.tools.get(tool)
            row = take(OverlayToolRow, given, at, self.sheet)
            if base is None:
                self.sheet.fault(at, f"there is no tool '{tool}'{near(tool, self.draft.tools)}; write it under tools, or leave it out")
            elif row is not None:
                found[tool] = {}
                for path, rule in self.path_rules(row.rules, (*at, "rules")).items():
                    was = self.stands(tool, base, path)
                    where = (*at, "rules", paths.spelt(path))
                    if was is None:
                        self.sheet.fault(where, f"the tool has no rule for this place; write it under tools.{tool}.rules first")
                    else:
                        self.tightens(was, rule, where)
                        found[tool][path] = rule
        return found

    def releases(self, place: Place, name: str, freed: str) -> None:
        """Note that tightening one field would set another free."""
        what = f"with '{name}' tightened, {freed} would be sent where it is not now, since it waits for it (unless_sent)"
        self.sheet.fault(place, f"{what}; set that to redact or drop here too")

    def example(self, n: int, given: object) -> None:
        """One example; its tool must be known. One whose call an earlier file shows too takes that one's place."""
        place: Place = ("examples", n)
        row = take(ExampleRow, given, place, self.sheet)
        if row is None:
            return
        tools = {**self.draft.tools, **self.part("tools")}
        if row.given.tool not in tools:
            what = f"there is no tool '{row.given.tool}'{near(row.given.tool, tools)}; write it under tools"
            self.sheet.fault((*place, "given", "tool"), what)
        example = Example(row.given.tool, row.given.sides(), row.sends.sides(), self.sheet.line(place))
        self.draft.shown = [
            s for s in self.draft.shown
            if s.sheet is self.sheet or (s.example.tool, s.example.given) != (example.tool, example.given)
        ]  # fmt: skip
        self.draft.shown.append(Shown(example, self.sheet, n))

    def known_field(self, name: str, place: Place) -> None:
        """Note a fault if neither this file nor an earlier one defines the field."""
        known = self.draft.homes
        if name not in known:
            self.sheet.fault(place, f"there is no field {quote(name)}{near(name, known)}; write it under fields, or leave it out")
