"""Rules for a tool that has none yet: from its signature or from calls seen, redacted by default, with an example, ready to paste.

Names are taken from what is read, values never: those of the examples are made up here, or stand in the policy already.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from phi_guard.policy.compiled import Policy, Rule, ToolRules
from phi_guard.policy.examples import PSEUDONYM
from phi_guard.policy.lines import spell
from phi_guard.policy.names import NAME, spelling
from phi_guard.policy.proof import SIDES, Walk, shown_value
from phi_guard.policy.samples import HARBOR, PLACEHOLDERS

BARE: Final = "result"
"""The field a tool's plain text or list is."""
_STAND_IN: Final = re.compile(r"<REDACTED_KEY_\d+>")
_LONG_NUMBER: Final = re.compile(r"\d{4}")
_CONSTANTS: Final = frozenset({"true", "false", "null"})
_OPAQUE: Final = frozenset({"RunContext", "Context"})
_SECTION: Final = re.compile(r"(\w+):(.*)")


@dataclass(slots=True)
class Seen:
    """A tool as it was found.

    Args:
        tool: bare name.
        inputs: name of each input, with the shape its type gives (``flag``, ``{in: [...]}``), empty where it gives none.
        outputs: likewise of what it gives back.
        nameless: keys that are no names of fields, and may be somebody's name: left out.
    """

    tool: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    nameless: int = 0

    def side(self, side: str) -> dict[str, str]:
        """The fields of one side."""
        return self.inputs if side == "inputs" else self.outputs


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to paste for one tool.

    Args:
        tool: bare name.
        fields: lines for under ``fields``; empty where every field is known.
        row: lines for under ``tools``.
        example: lines for under ``examples``.
        replaces: 1-based line of the row that ``row`` stands in for, 0 for a new tool.
        nameless: keys that were left out.
    """

    tool: str
    fields: tuple[str, ...]
    row: tuple[str, ...]
    example: tuple[str, ...]
    replaces: int = 0
    nameless: int = 0


def read_tools(module: object) -> Iterator[Seen]:
    """The function tools of a module that is loaded, and of the classes in it, by what LiveKit's tools look like.

    Args:
        module: the module; anything with attributes.
    """
    holders = [module, *(value for value in vars(module).values() if isinstance(value, type))]
    tools = {id(value): value for holder in holders for value in _members(holder) if _is_tool(value)}
    for tool in tools.values():
        yield _read_tool(tool)


def _members(holder: object) -> Iterator[object]:
    for owner in holder.__mro__ if isinstance(holder, type) else (holder,):
        yield from list(vars(owner).values())


def _is_tool(value: object) -> bool:
    info = getattr(value, "info", None) if not isinstance(value, type) and callable(value) else None
    return isinstance(getattr(info, "name", None), str) and hasattr(value, "__wrapped__")


def _read_tool(tool: Any) -> Seen:
    seen = Seen(tool.info.name)
    function = inspect.unwrap(tool)
    hints = _hints(function)
    raw = getattr(tool.info, "raw_schema", None)
    if isinstance(raw, Mapping):
        properties = raw.get("parameters", {}).get("properties", {})
        found = {name: _shape_of_schema(inner) for name, inner in properties.items()}
    else:
        bound = {"self", "cls"}
        taken = [
            p
            for p in inspect.signature(function).parameters.values()
            if p.name not in bound and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        ]
        found = {p.name: _shape(hints.get(p.name)) for p in taken if _type_name(hints.get(p.name, p.annotation)) not in _OPAQUE}
    for name, shape in found.items():
        _note(seen, "inputs", name, shape)
    for name, shape in _returned(hints.get("return")).items():
        _note(seen, "outputs", name, shape)
    return seen


def _hints(thing: Any) -> dict[str, object]:
    """The types that annotations name, each by itself: one that is only there for a type checker takes none of the others with it."""
    known: dict[str, object] = {}
    for name, given in getattr(thing, "__annotations__", {}).items():
        alone = types.SimpleNamespace(__annotations__={name: given})
        try:
            known |= typing.get_type_hints(alone, globalns=getattr(thing, "__globals__", None) or _globals(thing))
        except Exception:  # noqa: BLE001  # whatever an annotation of somebody's code does, the field's name is known still
            known[name] = given
    return known


def _globals(thing: object) -> dict[str, object]:
    return dict(vars(sys.modules.get(getattr(thing, "__module__", ""), types.ModuleType("none"))))


def _type_name(hint: object) -> str:
    """The bare name of a type, whether it is one, has arguments, or is still text."""
    origin = typing.get_origin(hint) or hint
    name = getattr(origin, "__name__", str(origin))
    return name.partition("[")[0].rpartition(".")[2]


def _returned(hint: object) -> dict[str, str]:
    """The keys of what is given back, where its type names them."""
    named = dataclasses.is_dataclass(hint) or hasattr(hint, "__total__") or hasattr(hint, "model_fields")
    if not isinstance(hint, type) or not named:
        return {BARE: ""}
    fields = {name: inner for kind in reversed(hint.__mro__) for name, inner in _hints(kind).items()}
    own = {name: inner for name, inner in fields.items() if _type_name(inner) != "ClassVar"}
    return {name: _shape(inner) for name, inner in own.items() if not name.startswith("_")}


def _shape(hint: object) -> str:
    """The shape that a type alone gives: its values stand in the program, so they are nobody's."""
    if hint is bool:
        return "flag"
    choices: list[object] = []
    if typing.get_origin(hint) is typing.Literal:
        choices = list(typing.get_args(hint))
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        choices = [member.value for member in hint]
    return _shape_of_schema({"enum": choices})


def _shape_of_schema(schema: object) -> str:
    given = schema if isinstance(schema, Mapping) else {}
    if given.get("type") == "boolean":
        return "flag"
    choices = given.get("enum")
    listed = isinstance(choices, list) and choices and all(isinstance(choice, str) and choice for choice in choices)
    return f"{{in: {json.dumps(choices, ensure_ascii=False)}}}" if listed else ""


def read_calls(records: Iterable[Mapping[str, object]]) -> list[Seen]:
    """The tools of recorded calls, with the names of what they took and gave back.

    Args:
        records: ``{"tool", "inputs", "outputs"}``, or runs as they are exported (``name`` is ``tool.<name>``).
    """
    found: dict[str, Seen] = {}
    for record in records:
        tool, name = record.get("tool"), record.get("name")
        bare = tool if isinstance(tool, str) else name.removeprefix("tool.") if isinstance(name, str) and name.startswith("tool.") else ""
        if not bare or bare == "unknown":
            continue
        seen = found.setdefault(bare, Seen(bare))
        for side in SIDES:
            given = record.get(side)
            for key in given if isinstance(given, Mapping) else () if given is None else (BARE,):
                if not _STAND_IN.fullmatch(str(key)):
                    _note(seen, side, key, "")
    return list(found.values())


def _note(seen: Seen, side: str, name: object, shape: str) -> None:
    """Add a field, unless its key may be somebody's name or number: what stands in a policy is read by everyone, and sent."""
    if isinstance(name, str) and NAME.fullmatch(name) and name not in _CONSTANTS and not _LONG_NUMBER.search(name):
        seen.side(side).setdefault(name, shape)
    else:
        seen.nameless += 1


def propose(policy: Policy, seen: Seen, walk: Walk) -> Proposal | None:
    """What to paste for a tool, or None if the policy knows it and every field of it.

    Args:
        policy: the policy it is for. A field it knows keeps its rule.
        seen: the tool.
        walk: the real walk with the patterns, which the example's other half comes from.
    """
    if not NAME.fullmatch(seen.tool) or seen.tool == "unknown":
        return None
    meant = {spelling(name): name for name in policy.fields} | dict(policy.aliases)
    old = policy.tools.get(seen.tool)
    sides: dict[str, list[str]] = {side: sorted(old.side(side)) if old else [] for side in SIDES}
    new: dict[str, str] = {}
    for side in SIDES:
        for name, shape in seen.side(side).items():
            known = meant.setdefault(spelling(name), name)
            if known not in sides[side]:
                sides[side].append(known)
            if known not in policy.fields:
                new.setdefault(known, shape)
    if old and not new and all(set(sides[side]) == old.side(side) for side in SIDES):
        return None
    trial = replace(
        policy,
        fields={**policy.fields, **{name: Rule(name, "redact") for name in new}},
        tools={
            **policy.tools,
            seen.tool: ToolRules(frozenset(sides["inputs"]), frozenset(sides["outputs"]), paths=old.paths if old else {}),
        },
    )
    given: dict[str, object] = {side: {name: _placeholder(policy, name, new) for name in sides[side]} for side in SIDES if sides[side]} or {
        "inputs": {}
    }
    sent, _ = walk(trial, seen.tool, given)
    row = [f"  {seen.tool}:", *(f"    {side}: [{', '.join(sides[side])}]" for side in SIDES)]
    return Proposal(
        seen.tool,
        tuple(_field(name, shape) for name, shape in new.items()),
        tuple(row),
        ("  - given:", f"      tool: {seen.tool}", *_block(given), "    sends:", *_block(_anyones(policy, sent))),
        old.line if old else 0,
        seen.nameless,
    )


def _anyones(policy: Policy, value: object) -> Any:
    """What is sent, with a pseudonym as examples write it: its tag is another with every key."""
    if isinstance(value, Mapping):
        return {key: _anyones(policy, inner) for key, inner in value.items()}
    own = policy.pseudonyms is not None and isinstance(value, str) and policy.pseudonyms.made(value)
    return PSEUDONYM if own else value


def _field(name: str, shape: str) -> str:
    number = next((n for word, n in HARBOR.items() if f"_{word}" in _snake(name)), 0)
    held = f", safe_harbor: {number}" if number else ""
    comment = f" # if it can never tell who: {{action: keep, shape: {shape}}}" if shape and not number else ""
    return f"  {name}: {{action: redact{held}}}{comment}"


def _snake(name: str) -> str:
    """A name as ``_lower_case_words``, so that a word is found where it begins."""
    return "_" + re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).casefold()


def _placeholder(policy: Policy, name: str, new: Mapping[str, str]) -> object:
    """A made-up value: the policy's own for a field it knows, else one after the field's name."""
    shape = new.get(name, "")
    if shape == "flag":
        return True
    if shape:
        return json.loads(shape.removeprefix("{in: ").removesuffix("}"))[0]
    shown = None if name in new else shown_value(policy, name)
    if shown is not None:
        return shown
    return next((value for word, value in PLACEHOLDERS.items() if f"_{word}" in _snake(name)), "something only the caller would say")


def _block(sides: Mapping[str, object]) -> list[str]:
    lines = []
    for side, values in sides.items():
        rows = values.items() if isinstance(values, Mapping) else ()
        lines += [
            f"      {side}:" if rows else f"      {side}: {{}}",
            *(f"        {json.dumps(key) if '<' in key else key}: {json.dumps(value, ensure_ascii=False)}" for key, value in rows),
        ]
    return lines


class NoRoom(ValueError):
    """A file has no section of the usual form to paste into; the message says which."""


def pasted(text: str, proposal: Proposal) -> str:
    """A policy file's text with a proposal put at the end of its sections.

    Raises:
        NoRoom: the file has no such section in block form, or names the tool already.
    """
    if proposal.replaces:
        msg = f"{spell(('tools', proposal.tool))} is already there (line {proposal.replaces}); put the new rows in place of it by hand"
        raise NoRoom(msg)
    lines = text.splitlines()
    for section, added in (("fields", proposal.fields), ("tools", proposal.row), ("examples", proposal.example)):
        if added:
            end = _end(lines, section)
            lines[end:end] = ["", *added] if section == "examples" else added
    return "\n".join(lines) + "\n"


def _end(lines: list[str], section: str) -> int:
    """Behind the last line of a section: what is indented, up to the next key that is not."""
    begins = next((n for n, line in enumerate(lines) if (m := _SECTION.fullmatch(line)) and m[1] == section), None)
    if begins is None or lines[begins].partition(":")[2].partition("#")[0].strip():
        msg = f"there is no section `{section}:` with one line for each entry; paste by hand"
        raise NoRoom(msg)
    end = begins + 1
    for n in range(begins + 1, len(lines)):
        if lines[n][:1] not in {"", " ", "#"}:
            break
        if lines[n].startswith(" "):
            end = n + 1
    return end


def spell_proposal(proposal: Proposal) -> list[str]:
    """A proposal as text to paste, each part with where it goes."""
    told = [f"# {proposal.tool}: {proposal.nameless} keys look like nobody's field and are left out"] if proposal.nameless else []
    if proposal.fields:
        told += ["# under fields:", *proposal.fields]
    told += [f"# under tools, in place of line {proposal.replaces}:" if proposal.replaces else "# under tools:", *proposal.row]
    return [*told, "# under examples:", *proposal.example]
