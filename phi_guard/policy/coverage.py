"""What no example of a policy shows: a field, a tool or a path rule that nobody has seen at work is a fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from phi_guard.policy import paths
from phi_guard.policy.compiled import SIDES, Policy, Rule
from phi_guard.policy.examples import reached
from phi_guard.policy.lines import Sheet

if TYPE_CHECKING:
    from phi_guard.policy.draft import Draft


class Layer(Protocol):
    """One file of a draft, as far as it could be read."""

    @property
    def sheet(self) -> Sheet:
        """The file."""

    def part(self, *place: str) -> Mapping[str, object]:
        """A mapping of it."""

    def given(self) -> Iterator[dict[str, object]]:
        """The calls of its examples, from the raw file, so that an example with a fault still shows what it shows."""


def check(draft: Draft, layers: Sequence[Layer]) -> None:
    """Note each field, path rule and tool that no example shows, on the file it stands in."""
    unread = {name: Rule(name, "redact") for name in draft.homes}
    tools = {name: replace(tool, paths=paths.branches(draft.paths.get(name, {}))) for name, tool in draft.tools.items()}
    policy = Policy("", "", "", Rule("?", "redact"), {**unread, **draft.fields}, tools, (), draft.spellings)
    calls = [given for layer in layers for given in layer.given()]
    used = {str(given["tool"]) for given in calls}
    met = {id(rule) for given in calls for rule in reached(policy, str(given["tool"]), given)}
    for layer in layers:
        for name in layer.part("tools"):
            if name not in used:
                layer.sheet.fault(("tools", name), "no example calls this tool; add one under examples")
    for name, rules in draft.paths.items():
        for path, rule in rules.items():
            if id(rule) not in met and name in used:
                what = "no example shows this place; add one under examples, or leave the rule out"
                draft.sheet_of(rule).fault(("tools", name, "rules", paths.spelt(path)), what)
    listed = {name for tool in draft.tools.values() for side in SIDES for name in tool.side(side)}
    listed |= {step for rules in draft.paths.values() for _, steps in rules for step in steps}
    for name, (sheet, place) in draft.homes.items():
        if id(policy.fields[name]) not in met:
            also = "" if name in listed else " and no tool lists it"
            sheet.fault(place, f"no example shows this field{also}; add one under examples, or leave the field out")
