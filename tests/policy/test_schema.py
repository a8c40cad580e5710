"""The JSON Schema of the policy file: current, right about every shipped policy, and wrong about none that is broken."""

from __future__ import annotations

import json
import re

import pytest

from phi_guard.policy import shipped
from phi_guard.policy.lines import read
from phi_guard.policy.schema import MODELINE, policy_schema

FOLDER = shipped("clinic.yaml").parent
POLICIES = [path for path in sorted(FOLDER.glob("*.yaml")) if "\ntools:" in path.read_text("utf-8")]
SCHEMA = policy_schema()
KINDS = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int}
KEYWORDS = {
    "$schema", "$defs", "$ref", "title", "description", "type", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "minItems", "maxItems", "items", "properties", "required", "additionalProperties", "propertyNames", "anyOf", "allOf", "if", "then",
}  # fmt: skip


def valid(value, schema, root=SCHEMA):
    """Whether a value satisfies a schema: the keywords that ours uses, by the words of the standard."""
    assert set(schema) <= KEYWORDS, set(schema) - KEYWORDS
    if "$ref" in schema:
        return valid(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or isinstance(value, bool)):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and (value != schema["const"] or isinstance(value, bool)):
        return False
    return (
        all(valid(value, part) for part in schema.get("allOf", ()))
        and ("anyOf" not in schema or any(valid(value, part) for part in schema["anyOf"]))
        and ("if" not in schema or not valid(value, schema["if"]) or valid(value, schema["then"]))
        and (not isinstance(value, str) or text(value, schema))
        and (not isinstance(value, int | float) or schema.get("minimum", value) <= value <= schema.get("maximum", value))
        and (not isinstance(value, list) or items(value, schema))
        and (not isinstance(value, dict) or mapping(value, schema))
    )


def text(value, schema):
    length = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return length and re.search(schema.get("pattern", ""), value) is not None


def items(value, schema):
    length = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
    return length and all(valid(item, schema.get("items", {})) for item in value)


def mapping(value, schema):
    if any(key not in value for key in schema.get("required", ())):
        return False
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key, inner in value.items():
        if not valid(key, schema.get("propertyNames", {})):
            return False
        if key in known:
            if not valid(inner, known[key]):
                return False
        elif others is False or not valid(inner, others):
            return False
    return True


def test_the_file_that_editors_read_is_current():
    """Made anew it is the same; else run `phi-audit policy schema --format json -o policies/schema/policy.schema.json`."""
    assert json.loads((FOLDER / "schema" / "policy.schema.json").read_text("utf-8")) == SCHEMA


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_a_shipped_policy_fits_and_names_its_schema(path):
    """It is valid, and its first line leads an editor to the schema."""
    assert valid(read(path).value, SCHEMA)
    assert path.read_text("utf-8").splitlines()[0] == MODELINE


def test_a_small_policy_fits(write):
    """So is the policy that the other tests use, and a file that extends another."""
    assert valid(read(write()).value, SCHEMA)
    assert valid({"version": 1, "extends": "clinic.yaml", "environments": {"prod": {"fields": {"notes": {"action": "drop"}}}}}, SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("version: 1", "version: true"),
        ("default: redact", "default: keep"),
        ("lists:", "feilds: {}\nlists:"),
        ('doctors: ["Dr. Lee", "Dr. Chen"]', "doctors: []"),
        ("{action: scan}", "{action: scn}"),
        ("{action: scan}", "{action: scan, chars: 40}"),
        ("{action: scan}", "{action: scan, shape: date}"),
        ("{action: scan}", "{}"),
        ("{action: scan}", "scan"),
        ("{action: truncate, chars: 40}", "{action: truncate}"),
        ("{action: truncate, chars: 40}", "{action: truncate, chars: 0}"),
        ("{action: truncate, chars: 40}", "{action: truncate, chars: forty}"),
        ("shape: {in: doctors}", "shapes: {in: doctors}"),
        ("{action: keep, shape: {in: doctors}}", "{action: keep}"),
        ("shape: datetime", "shape: datetme"),
        ("shape: {number: [0, 89]}", "shape: {number: [0]}"),
        ("safe_harbor: 1", "safe_harbor: 19"),
        ("  name: {", "  Ada Byron: {"),
        ("    outputs: [code]\n", ""),
        ("    outputs: [code]\n", "    outputs: code\n"),
        ("  prod: {", "  staging: {"),
        ("      tool: book\n", ""),
        ("  - given:", "  - givn:"),
    ],
)
def test_a_broken_policy_does_not_fit(write, old, new):
    """Each fault by itself."""
    assert not valid(read(write((old, new))).value, SCHEMA)


def test_every_key_tells_what_it_is_for():
    """An editor has a sentence to show for each."""

    def described(schema):
        for key, inner in schema.get("properties", {}).items():
            if key not in {"number", "in"}:
                assert inner["description"], key
                assert inner["title"] == key
            described(inner)
        for inner in schema.get("$defs", {}).values():
            described(inner)

    described(SCHEMA)
