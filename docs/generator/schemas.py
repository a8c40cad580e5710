"""The pages of the policy and of the alerts, out of their schemas and the files as shipped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from generator.tables import ROOT, begin, code, sentence, table

_REFERRED: Final = {"field": "rules", "rule": "rules", "tool": "tools", "overlay_tool": "tools", "example": "examples",
                    "environment": "environments",
                    "silence": "silences"}  # fmt: skip

EXAMPLE_POLICY: Final = """
version: 1
default: redact
fields:
  patient_name: {action: redact, safe_harbor: 1}
  confirmation_id: {action: keep, shape: "^CONF-[0-9]{4}$"}
  note: {action: truncate, chars: 80}
tools:
  book_visit:
    inputs: [patient_name, note]
    outputs: [confirmation_id]
examples:
  - given:
      tool: book_visit
      inputs: {patient_name: "Ada Byron", note: "call back at +41 79 555 01 23"}
      outputs: {confirmation_id: CONF-1234}
    sends:
      inputs: {patient_name: <REDACTED>, note: "call back at <REDACTED>"}
      outputs: {confirmation_id: CONF-1234}
"""


def policy() -> list[str]:
    """The keys of a policy."""
    schema = json.loads((ROOT / "policies" / "schema" / "policy.schema.json").read_text("utf-8"))
    lines = begin(
        "Policy", f"{schema['description']} Each key, as the loader takes it; a key that is not here is refused, with its line.",
        "Editors have the same from `policies/schema/policy.schema.json`. How to add a tool is in [Add a tool](../add-a-tool.md).",
    )  # fmt: skip
    lines += ["## The file", "", *_keys(schema)]
    for name, title in (
        ("field", "A field's rule"), ("tool", "A tool"), ("example", "An example"), ("environment", "An environment"),
    ):  # fmt: skip
        definition = schema["$defs"][name]
        lines += [f"## {title}", "", *_keys(definition)]
        lines += [line for needs in _needs(definition) for line in (f"- {needs}",)] + [""]
        if name == "example":
            for side in ("given", "sends"):
                lines += [f"Under `{side}`:", "", *_keys(definition["properties"][side])]
    lines += ["## Example", "", "Small, and whole: it loads as it stands.", "", "```yaml", *EXAMPLE_POLICY.strip().splitlines(), "```", ""]
    return lines


def alerts() -> list[str]:
    """The rules as shipped, and the keys of their file."""
    schema = json.loads((ROOT / "policies" / "schema" / "alerts.schema.json").read_text("utf-8"))
    shipped = yaml.safe_load((ROOT / "policies" / "alerts.yaml").read_text("utf-8"))
    lines = begin("Alerts", schema["description"], "How they reach somebody is in [Day to day](../day-to-day.md#the-alerts).")
    rows = []
    for name, rule in shipped["rules"].items():
        bar = f"above {rule['above']:g}" if "above" in rule else f"at least {rule['at_least']:g}"
        where = ", ".join(rule.get("environments", ("dev", "prod")))
        rows.append((code(name), code(rule["metric"]), bar, rule.get("window", ""), rule["severity"], where, rule.get("remind_every", "")))
    lines += ["## Rules as shipped", "", "`policies/alerts.yaml`; `--rules FILE` takes others.", ""]
    lines += table(("Rule", "Metric", "Bar", "Window", "Severity", "Where", "Again every"), rows)
    lines += ["## The file", "", *_keys(schema), "## A rule", "", *_keys(schema["$defs"]["rule"]), "## A silence", ""]
    return lines + _keys(schema["$defs"]["silence"])


def _keys(schema: Mapping[str, Any]) -> list[str]:
    needed = schema.get("required", [])
    rows = [
        (code(name), _kind(value) + (", needed" if name in needed else ""), sentence(value.get("description", "")))
        for name, value in schema["properties"].items()
    ]
    return table(("Key", "Holds", "Means"), rows)


def _kind(value: Mapping[str, Any]) -> str:
    """What may be written, in words."""
    if "const" in value:
        return code(value["const"])
    if "enum" in value:
        return ", ".join(code(one) for one in value["enum"])
    if "anyOf" in value:
        return "; or ".join(_one_of(each) for each in value["anyOf"])
    if "$ref" in value:
        return _REFERRED[value["$ref"].rpartition("/")[2]]
    kind = value.get("type")
    if kind == "array":
        return f"a list of {_plural(_kind(value.get('items', {})))}"
    if kind == "object":
        inner = value.get("additionalProperties")
        return f"a mapping by name of {_plural(_kind(inner))}" if isinstance(inner, dict) else "a mapping"
    if kind in {"integer", "number"}:
        low, high = value.get("minimum", value.get("exclusiveMinimum")), value.get("maximum", value.get("exclusiveMaximum"))
        span = f" from {low:g}" if low is not None else ""
        return ("a whole number" if kind == "integer" else "a number") + span + (f" to {high:g}" if high is not None and high < 1e6 else "")
    return {"string": "text", "boolean": "true or false"}.get(str(kind), "anything")


def _one_of(value: Mapping[str, Any]) -> str:
    names = [*value.get("enum", ()), *(f"{name}: ..." for name in value.get("required", ()))]
    said = f"{', '.join(code(name) for name in names)}: " if "enum" in value else f"`{{{names[0]}}}`: " if names else ""
    return said + str(value.get("description", _kind(value)))


def _plural(kind: str) -> str:
    return {"text": "texts", "a mapping": "mappings", "anything": "values"}.get(kind, kind)


def _needs(schema: Mapping[str, Any]) -> Iterator[str]:
    """Which key goes with which action, in words."""
    for rule in schema.get("allOf", ()):
        when, then = rule["if"], rule["then"]
        if "properties" in when and "required" in then:
            yield f"`{when['properties']['action']['const']}` needs {', '.join(map(code, then['required']))}."
        elif "properties" in then:
            with_ = ", ".join(code(one) for one in then["properties"]["action"]["enum"])
            yield f"{', '.join(map(code, when['required']))} goes with {with_} alone."
