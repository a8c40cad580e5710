"""The policy file as JSON Schema, for editors: made from the rows that the loader reads by, so that both know the same keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from phi_guard.policy.backtracking import SOURCE_MAX
from phi_guard.policy.border import Strict
from phi_guard.policy.names import NAME
from phi_guard.policy.rows import EnvironmentRow, ExampleRow, Extension, FieldRow, File, OverlayToolRow, RuleRow, ToolRow

Json: TypeAlias = dict[str, Any]

MODELINE: Final = "# yaml-language-server: $schema=schema/policy.schema.json"
"""The line with which a policy beside the folder ``schema`` tells an editor where its schema is."""

_ALTERNATIVES: Final = re.compile(r"\^\(([\w|]+)\)\$|\^(\w+)\$")
_PATH: Final = rf"^(inputs|outputs)\.{NAME.pattern}(\.{NAME.pattern}|\[\*\])*$"

MEANS: Final[Mapping[str, str]] = {
    "action": "What is done with a value: redact (a marker is sent), drop (nothing is sent), keep (sent if it has the shape), "
    "scan (free text without what detectors find), truncate (scan, then cut), pseudonym (a keyed code), generalise (something coarser).",
    "aliases": "Other names under which this field comes. patientName, patient-name and PatientName need none.",
    "allow_entities": "Classes that detectors may find here without its being redacted, each with the reason.",
    "chars": "How many characters a truncate may send.",
    "default": "What becomes of a field that nobody named: a marker stands for it, or nothing is sent. Nothing lets it through.",
    "environments": "What dev or prod does more strictly. An environment may only tighten.",
    "examples": "The policy's own proof: each is run when the file is loaded. Every field and every tool needs one. Made-up people only.",
    "extends": "A policy that this one adds to, by its path from this file's folder.",
    "fields": "One rule for each field name, the same in every tool.",
    "given": "A tool call as it happened, with made-up values.",
    "inputs": "What the tool takes.",
    "lists": "Lists of words that shapes name: {in: the_list}. Every word of them may be sent.",
    "outputs": "What the tool gives back; a plain text or a list is the field result.",
    "rules": "Rules for single places of this tool, by path, such as inputs.patient.contact[*].phone. They go before the fields' rules.",
    "safe_harbor": "Which of the 18 identifiers of 45 CFR 164.514(b)(2)(i) the field holds. It changes nothing in what is sent.",
    "safe_values": "Words that are no finding here although detectors take them for one, each with the reason.",
    "sends": "The same call as it may leave.",
    "shape": "What a kept value looks like. What does not fit is redacted.",
    "standard": "safe_harbor: the file is refused unless it serves all 18 identifiers.",
    "to": "What is left of a generalised value: its year, its age up to 89, the first digits of a ZIP code, its state.",
    "tool": "The tool's bare name, such as book_appointment.",
    "tools": "Which fields each tool takes and gives back. A field it does not name is unknown there.",
    "unless_sent": "The value is redacted after all if one of these fields is sent in clear in the same call.",
    "version": "The version of this format.",
}
"""What each key is for, as an editor shows it."""

SHAPE: Final[Json] = {
    "title": "shape",
    "description": MEANS["shape"],
    "anyOf": [
        {"enum": ["datetime", "date", "flag"], "description": "ISO 8601 date and time, ISO 8601 date, or true and false"},
        {
            "type": "string", "pattern": r"[\\^$.|?*+()\[\]{}]", "maxLength": SOURCE_MAX,
            "description": "a regular expression; the whole value must match it",
        },
        {
            "type": "object", "description": "a number in a range", "required": ["number"], "additionalProperties": False,
            "properties": {"number": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}},
        },
        {
            "type": "object", "description": "one of a list: its name under lists, or the values themselves", "required": ["in"],
            "additionalProperties": False,
            "properties": {
                "in": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}]}
            },
        },
    ],
}  # fmt: skip
"""A kept value's shape; which regular expressions are too costly or too wide, only the loader can tell."""

# What belongs to one action alone, and what that action needs.
_ONLY: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "shape": (("keep",), ("keep",)),
    "unless_sent": (("keep",), ()),
    "chars": (("truncate",), ("truncate",)),
    "to": (("generalise",), ("generalise",)),
    "allow_entities": (("scan", "truncate"), ()),
    "safe_values": (("scan", "truncate"), ()),
}


def policy_schema() -> Json:
    """The schema, draft 2020-12. It refuses what can be judged key by key; the loader refuses more, and says why."""
    file = _object(Extension)
    names = {"pattern": f"^{NAME.pattern}$"}
    file["properties"] |= {
        "fields": _mapping("fields", "#/$defs/field", names),
        "tools": _mapping("tools", "#/$defs/tool", names),
        "environments": _mapping("environments", "#/$defs/environment", {"enum": ["dev", "prod"]}),
        "lists": _told("lists", {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1}}),
        "examples": _told("examples", {"type": "array", "items": {"$ref": "#/$defs/example"}}),
    }
    tool = _object(ToolRow)
    tool["properties"]["rules"] = _mapping("rules", "#/$defs/rule", {"pattern": _PATH})
    overlay_tool = _object(OverlayToolRow)
    overlay_tool["properties"]["rules"] = _mapping("rules", "#/$defs/rule", {"pattern": _PATH})
    environment = _object(EnvironmentRow)
    environment["properties"] |= {
        "fields": _mapping("fields", "#/$defs/field", names), "tools": _mapping("tools", "#/$defs/overlay_tool", names),
    }  # fmt: skip
    # A file of its own says everything that the loader cannot do without; one that extends another need not.
    whole = [key for key, field in File.model_fields.items() if field.is_required()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "phi-guard policy",
        "description": "What may leave about a call. Everything not named here stays inside.",
        **file,
        "anyOf": [{"required": ["extends"]}, {"required": whole}],
        "$defs": {
            "field": _rule(FieldRow), "rule": _rule(RuleRow), "tool": tool, "overlay_tool": overlay_tool, "environment": environment,
            "example": _example(),
        },
    }  # fmt: skip


def _rule(row: type[Strict]) -> Json:
    """A rule, with what each action needs and what belongs to it alone."""
    rule = _object(row)
    rule["properties"]["shape"] = SHAPE
    conditions: list[Json] = []
    for key, (owners, needed_by) in _ONLY.items():
        if key in rule["properties"]:
            conditions.append({"if": {"required": [key]}, "then": {"properties": {"action": {"enum": list(owners)}}}})
            conditions += [_needs(action, key) for action in needed_by]
    return {**rule, "allOf": conditions}


def _needs(action: str, key: str) -> Json:
    return {"if": {"properties": {"action": {"const": action}}, "required": ["action"]}, "then": {"required": [key]}}


def _example() -> Json:
    example = _object(ExampleRow)
    sides: Json = {side: _told(side, {"type": "object"}) for side in ("inputs", "outputs")}
    given = {"type": "object", "properties": {"tool": _told("tool", {"type": "string"}), **sides}, "required": ["tool"]}
    example["properties"]["given"] = _told("given", given | {"additionalProperties": False})
    example["properties"]["sends"] = _told("sends", {"type": "object", "properties": sides, "additionalProperties": False})
    return example


def _object(row: type[Strict]) -> Json:
    """A row as a schema: its keys as pydantic sees them, without the null that stands for a key left out."""
    made = row.model_json_schema()
    properties = {key: _told(key, _plain(value)) for key, value in made["properties"].items()}
    return {"type": "object", "properties": properties, "required": made.get("required", []), "additionalProperties": False}


def _plain(value: Json) -> Json:
    kept = {key: inner for key, inner in value.items() if key not in {"anyOf", "default", "title", "description"}}
    kept |= next((dict(choice) for choice in value.get("anyOf", ()) if choice.get("type") != "null"), {})
    if alternatives := _ALTERNATIVES.fullmatch(str(kept.get("pattern", ""))):
        del kept["pattern"]
        kept["enum"] = (alternatives[1] or alternatives[2]).split("|")  # an editor offers these
    if "minimum" in kept and kept["minimum"] == kept.get("maximum"):
        return {"const": kept["minimum"]}
    return kept


def _told(key: str, value: Json) -> Json:
    return {"title": key, "description": MEANS[key], **value}


def _mapping(key: str, ref: str, names: Json) -> Json:
    return _told(key, {"type": "object", "propertyNames": names, "additionalProperties": {"$ref": ref}})
