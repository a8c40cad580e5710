"""The border where a report's JSON enters again, and its published schema. Only this package's `model` says what a report is."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Final, NoReturn

from pydantic import TypeAdapter, ValidationError

from audit import (
    baseline,
    custody,
    evidence,
    findings,
    gates,
    known_answers,
    manifest,
    method,
    population,
    roster,
    sample,
    timeline,
    verdict,
)
from audit.gates import Gate
from audit.report import model, parts, scope, wire
from audit.report.model import SCHEMA, Report, Results
from audit.review import outcome
from phi_guard.errors import PhiGuardError

LARGEST: Final = 512 * 2**20
"""Bytes: no report is larger."""
FAULTS_MAX: Final = 20
_OF_GATE: Final = frozenset(f.name for f in fields(Gate))
_DERIVED: Final = frozenset({"schema", "id", "digest", "sentence", "results", "limits"})
"""Keys of the JSON that the report's other parts give."""
_MODULES: Final = (
    model, parts, scope, baseline, custody, evidence, findings, gates, known_answers, manifest, method, population, roster, sample,
    timeline, verdict, outcome,
)  # fmt: skip


class DocumentError(PhiGuardError):
    """A file is no report that holds together. Each fault says file, path and what; none says what stands there.

    Args:
        code: ``unreadable`` (there is no such file), ``malformed`` (no report), ``version`` (of another schema), ``altered`` (what it says
            of itself is not so).
        faults: one a line.
    """

    def __init__(self, code: str, faults: tuple[str, ...]) -> None:
        self.code = code
        self.faults = faults
        super().__init__("\n".join(faults))


def read(path: Path) -> Report:
    """The report in a file. What follows from its parts (counts, sentence, digest) is computed again and must be as it says.

    Raises:
        DocumentError: it cannot be read, or is no report, or one that was altered.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DocumentError("malformed", (f"{path}: file: is larger than {LARGEST >> 20} MiB, so it is no report",))
        data = path.read_bytes()
    except OSError as fault:
        raise DocumentError("unreadable", (f"{path}: file: cannot be read ({fault.strerror}); name the JSON that a scan wrote",)) from None
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Report:
    """The report in some bytes; ``name`` stands in faults. Raises as `read`."""
    try:
        held = json.loads(data, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except _FaultyJson as fault:
        raise DocumentError("malformed", (f"{name}: file: {fault}",)) from None
    except (ValueError, RecursionError):
        raise DocumentError("malformed", (f"{name}: file: is no JSON, or is cut",)) from None
    if not isinstance(held, dict) or not isinstance(schema := held.get("schema"), str):
        raise DocumentError("malformed", (f"{name}: schema: is missing, so this is no report",))
    if schema != SCHEMA:
        said = "of another version of phi-audit; read it with that one" if schema.startswith("phi-audit.report/") else "not a report's"
        raise DocumentError("version", (f"{name}: schema: is {said} (wanted: {SCHEMA})",))
    try:
        report = _adapter().validate_json(json.dumps(_inside(held)), strict=True)
        again = report.as_json()
    except ValidationError as fault:
        errors = fault.errors(include_input=False, include_url=False, include_context=False)
        lines = tuple(f"{name}: {_path(error['loc'])}: {error['msg']}" for error in errors[:FAULTS_MAX])
        raise DocumentError("malformed", lines) from None
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError):
        raise DocumentError("malformed", (f"{name}: file: has not the parts of a report",)) from None
    differing = tuple(f"{name}: {where}: {what}" for where, what in _differences(held, again, ""))[:FAULTS_MAX]
    if differing:
        raise DocumentError("altered", differing)
    return report


class _FaultyJson(ValueError):
    """What JSON allows and a report does not."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        raise _FaultyJson("a key stands twice in one object")
    return held


def _no_constant(_name: str) -> NoReturn:
    raise _FaultyJson("holds a number that is not finite")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _FaultyJson("holds a number that is not finite")
    return number


def _inside(held: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON in the shape of the dataclasses."""
    inner = {name: value for name, value in held.items() if name not in _DERIVED}
    inner["gates"] = [wire.gate_of(row, _OF_GATE) for row in held["gates"]]
    inner["verdict"] = {name: value for name, value in held["verdict"].items() if name not in {"exit_code", "rule"}}
    return inner


def _differences(held: Any, again: Any, where: str) -> Iterator[tuple[str, str]]:
    """Where the file says other than the report that was read from it."""
    if isinstance(held, dict) and isinstance(again, dict):
        for name in held.keys() | again.keys():
            path = f"{where}.{name}" if where else name
            if name not in again:
                yield where or "report", "holds a key that no report has"
            elif name not in held:
                yield path, "is missing"
            else:
                yield from _differences(held[name], again[name], path)
    elif isinstance(held, list) and isinstance(again, list) and len(held) == len(again):
        for i, (one, other) in enumerate(zip(held, again, strict=True)):
            yield from _differences(one, other, f"{where}[{i}]")
    elif type(held) is not type(again) or held != again:
        yield where, "is not what the rest of the report gives"


def _path(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc) or "file"


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def schema() -> str:
    """The JSON Schema of a report, as published in ``report.schema.json``."""
    whole = _named(_adapter().json_schema(ref_template="#/$defs/{model}"))
    defs: dict[str, Any] = whole.pop("$defs")
    results = TypeAdapter(Results).json_schema(ref_template="#/$defs/{model}")
    defs |= results.pop("$defs", {}) | {"Results": results}
    judged, gate = defs["Judged"]["properties"], defs.pop("Gate")["properties"]
    defs["Judged"]["properties"] = {"name": gate["name"]} | {n: p for n, p in judged.items() if n != "gate"} | gate
    of_verdict = defs["Verdict"]["properties"]
    of_verdict["exit_code"] = {"type": "integer", "enum": [0, 1, 3], "description": "0 GO, 1 NO-GO, 3 UNPROVEN"}
    of_verdict["rule"] = {"type": "string", "description": "the rule that gave it, in words"}
    hexadecimal = {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "SHA-256 over the canonical JSON without digest and signatures",
    }
    whole["properties"] |= {
        "schema": {"const": SCHEMA},
        "id": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "names the audit, before and after review"},
        "digest": hexadecimal,
        "sentence": {"type": "string", "description": "what the findings come to, in a sentence"},
        "results": {"$ref": "#/$defs/Results"},
        "limits": {"type": "array", "items": {"type": "string"}, "description": "what a reader must know before relying on it"},
    }
    docs = {name: inspect.getdoc(held) or "" for module in _MODULES for name, held in vars(module).items() if inspect.isclass(held)}
    for name, part in {**defs, "Report": whole}.items():
        _close(part, docs.get(name, ""))
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A report of phi-audit",
        "description": docs["Report"].split("\n")[0],
    }
    return json.dumps(head | whole | {"$defs": dict(sorted(defs.items()))}, indent=2, ensure_ascii=False) + "\n"


def _named(part: Any) -> Any:
    """The schema with every NamedTuple as the object that `wire.plain` writes."""
    if isinstance(part, list):
        return [_named(each) for each in part]
    if not isinstance(part, dict):
        return part
    if "prefixItems" in part:
        names = {str(item["title"]).lower(): {"type": item["type"]} for item in part["prefixItems"]}
        return {"type": "object", "properties": names, "required": sorted(names), "additionalProperties": False}
    return {name: _named(each) for name, each in part.items()}


def _close(part: dict[str, Any], doc: str) -> None:
    """No key more, none less; what each means, out of the dataclass's own words."""
    if "properties" not in part:
        return
    told = {name: " ".join(words.split()) for name, words in re.findall(r"^    (\w+): (.+?)(?=^    \w+: |\Z|^\n)", doc, re.M | re.S)}
    for name, rule in part["properties"].items():
        rule.pop("default", None)
        rule.pop("title", None)
        if name in told:
            rule["description"] = told[name]
    part.pop("title", None)
    part["description"] = doc.split("\n", maxsplit=1)[0] or part.get("description", "")
    part["additionalProperties"] = False
    part["required"] = sorted(part["properties"])
