"""Makes the reference pages from the code: ``python docs/generate.py`` writes them, ``--check`` says which differ and exits 1."""

# ruff: noqa: INP001, T201  # a script beside the pages; it prints

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
import yaml
from variables import LOOKED_AT, OURS, SERVICES, SYSTEM

from audit.cli import main as phi_audit
from audit.cli.settings import SECRETS
from audit.glossary import read_all
from audit.glossary.exit_codes import EXIT_CODES
from audit.glossary.lint_rules import LINT_RULES
from audit.glossary.terms import TERMS
from phi_guard.policy.lint import CODES
from phi_guard.project_keys import KEYS, OVERLAID, WRITE
from tracing.doors import VARIABLES as DOORS

ROOT: Final = Path(__file__).resolve().parents[1]
WHERE: Final = ROOT / "docs" / "reference"
WIDTH: Final = 100
"""Characters of a line of help."""
MADE: Final = "<!-- Made by docs/generate.py from the code; edit that, and run it again. -->"
_NAMED: Final = re.compile(
    r"(?:PHI_GUARD|PHI_AUDIT|LANGSMITH|LANGCHAIN|LIVEKIT|LK|AZURE_OPENAI|OPENAI|SLACK|PAGERDUTY|OTEL|XDG|SSL|REQUESTS)_[A-Z0-9_]*[A-Z0-9]"
    r"|NO_COLOR|NO_PROXY|HTTPS?_PROXY"
)
"""Texts of the code that are names of variables, wherever they stand."""
_BOUNDS: Final = {"at_most": "at most", "below": "below", "at_least": "at least"}


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    made = {
        "cli.md": _cli(), "exit-codes.md": _exit_codes(), "environment.md": _environment(), "settings.md": _settings(),
        "policy.md": _policy(), "lint.md": _lint(), "gates.md": _gates(), "alerts.md": _alerts(), "terms.md": _terms(),
    }  # fmt: skip
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def _begin(title: str, *said: str) -> list[str]:
    return [f"# {title}", "", MADE, "", *said, ""]


def _table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(heading)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return [*(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines), ""]


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _sentence(text: str) -> str:
    said = text[:1].upper() + text[1:]
    return said if not said or said.endswith(".") else f"{said}."


def _code(text: object) -> str:
    return f"`{text}`"


def commands(command: click.Command = phi_audit, context: click.Context | None = None) -> Iterator[click.Context]:
    """A command and all below it, each with the context that its help is told in."""
    context = context or click.Context(command, info_name="phi-audit", terminal_width=WIDTH, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, click.Context(below, info_name=name, parent=context))


def _help(context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())


def _cli() -> list[str]:
    every = list(commands())
    lines = _begin(
        "Commands", "Every command with its options, as `--help` prints it. Results go to stdout, progress and warnings to stderr."
    )
    direct = [context for context in every if context.parent is every[0]]
    lines += _table(
        ("Command", "Does"),
        ((f"[`{one.command_path}`](#{one.command_path.replace(' ', '-')})", one.command.get_short_help_str(200)) for one in direct),
    )
    for context in every:
        level = "##" if context.parent in (None, every[0]) else "###"
        lines += [f"{level} {context.command_path}", "", "```text", _help(context), "```", ""]
    return lines


def _exit_codes() -> list[str]:
    lines = _begin("Exit codes", "One meaning each, the same for every command, so that a script can trust them.")
    lines += _table(("Code", "Name", "What to make of it"), ((str(code), name, what) for code, (name, what) in EXIT_CODES.items()))
    lines += ["## Command by command", "", "What the codes say of a command where it tells more than the table above.", ""]
    told = [(one.command_path, re.sub(r"\s+", " ", one.command.epilog or "")) for one in commands()]
    return lines + _table(
        ("Command", "Codes"), ((_code(name), text.removeprefix("Exit codes: ")) for name, text in told if "Exit codes" in text)
    )


def read_in_code() -> dict[str, set[str]]:
    """Each variable that the code names or reads, and the packages that do."""
    found: dict[str, set[str]] = {}
    for package in ("phi_guard", "tracing", "audit"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in _variables_of(ast.parse(path.read_text("utf-8"))):
                found.setdefault(name, set()).add(package)
    return found


def _variables_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMED.fullmatch(node.value):
            yield node.value
        elif isinstance(node, ast.Subscript) and _is_environ(node.value):
            yield from _text(node.slice)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            if node.func.attr == "getenv" or (node.func.attr in {"get", "pop", "setdefault"} and _is_environ(node.func.value)):
                yield from _text(node.args[0])


def _is_environ(node: ast.expr) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) in {"environ", "environment", "given"} and not isinstance(node, ast.Call)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", node.value):
        yield node.value


def _environment() -> list[str]:
    doors = {name for door in DOORS for name in door.names}
    doors |= {name.partition("_")[2] for name in doors}  # written once there, for both of LangSmith's prefixes
    told = {**OURS, **SERVICES, **SYSTEM, **LOOKED_AT}
    found = set(read_in_code())
    if missing := found - set(told) - doors:
        raise SystemExit(f"docs/variables.py lacks {', '.join(sorted(missing))}; the code reads it: say what it sets")
    if stale := set(told) - found:
        raise SystemExit(f"docs/variables.py has {', '.join(sorted(stale))}; no code reads it: take it out")
    lines = _begin("Environment", "An option of a command wins over a variable, a variable over `phi-guard.toml`, and that over the default.",
                   "`phi-audit settings` shows what is in force, and where it comes from.")  # fmt: skip
    lines += ["## phi-guard's own", "", *_of(OURS)]
    lines += ["## Services", "", "Those marked as secret are shown as set or not set, and never by their value. `phi-guard.toml` refuses them.", "",
              *_of(SERVICES)]  # fmt: skip
    lines += ["## System", "", *_table(("Variable", "What it sets"), ((_code(name), what) for name, what in SYSTEM.items()))]
    lines += ["## Variables that open a way past the gate", ""]
    lines += [
        "Leave these unset in the agent. `phi-audit doctor` says which are set, `tracing.harden(ctx)` takes them out of the process.",
        "",
    ]
    lines += _table(
        ("Variables", "What they open", "What to do"), ((", ".join(map(_code, door.names)), door.opens, door.fix) for door in DOORS)
    )
    lines += ["The doctor looks at these, too:", ""]
    return lines + [f"- `{name}` {what}" for name, what in LOOKED_AT.items()]


def _of(told: Mapping[str, str]) -> list[str]:
    """Variables with what they set, the option and the key that say the same, and the default."""
    keys = {name: key for key in KEYS for name in key.variables}
    options: dict[str, dict[str, list[str]]] = {}
    for context in commands():
        for parameter in context.command.params:
            named = parameter.envvar or ()
            for name in [named] if isinstance(named, str) else named:
                opened = max(parameter.opts, key=len) if isinstance(parameter, click.Option) else parameter.human_readable_name
                options.setdefault(name, {}).setdefault(opened, []).append(context.command_path.removeprefix("phi-audit "))
    rows = []
    for name, what in told.items():
        also = [f"`{option}` of {', '.join(of)}" for option, of in options.get(name, {}).items()]
        also += [f"`{keys[name].name}` in [phi-guard.toml](settings.md)"] if name in keys else []
        default = f" Default: {keys[name].default}." if name in keys else ""
        rows.append((_code(name), what + " Secret." * (name in SECRETS) + default, "; ".join(also)))
    return _table(("Variable", "What it sets", "The same as"), rows)


def _settings() -> list[str]:
    lines = _begin(
        "phi-guard.toml", "One file that says how a project is set up; `phi-audit init` writes one. A key that is not here is refused, with its line.",
        "It holds no secret: keys come from the [environment](environment.md).",
    )  # fmt: skip
    told = {**OURS, **SERVICES}
    lines += _table(
        ("Key", "What it sets", "Write", "Default", "Variables"),
        ((_code(key.name), told[key.variables[0]], WRITE[key.kind].removeprefix("write "), key.default, ", ".join(map(_code, key.variables)))
         for key in KEYS),
    )  # fmt: skip
    only = ", ".join(_code(key.name) for key in KEYS if key not in OVERLAID)
    lines += [
        "## For one environment",
        "",
        f"All but {only} may stand under `[environments.dev]` or `[environments.prod]` too, and hold there.",
        "",
    ]
    lines += ["## Example", "", "```toml", *EXAMPLE_TOML.strip().splitlines(), "```", ""]
    return lines


EXAMPLE_TOML: Final = """
[project]
env = "dev"
policy = "policies/clinic.yaml"

[relay]
outbox_max_mb = 256

[environments.prod.project]
name = "medical-voice-agent-prod"

[environments.prod.audit]
since = "24h"
account = "/var/lib/phi-guard"
"""


def _policy() -> list[str]:
    schema = json.loads((ROOT / "policies" / "schema" / "policy.schema.json").read_text("utf-8"))
    lines = _begin(
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


def _keys(schema: Mapping[str, Any]) -> list[str]:
    needed = schema.get("required", [])
    rows = [
        (_code(name), _kind(value) + (", needed" if name in needed else ""), _sentence(value.get("description", "")))
        for name, value in schema["properties"].items()
    ]
    return _table(("Key", "Holds", "Means"), rows)


_REFERRED: Final = {"field": "rules", "rule": "rules", "tool": "tools", "overlay_tool": "tools", "example": "examples", "environment": "environments",
                    "silence": "silences"}  # fmt: skip


def _kind(value: Mapping[str, Any]) -> str:
    """What may be written, in words."""
    if "const" in value:
        return _code(value["const"])
    if "enum" in value:
        return ", ".join(_code(one) for one in value["enum"])
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
    said = f"{', '.join(_code(name) for name in names)}: " if "enum" in value else f"`{{{names[0]}}}`: " if names else ""
    return said + str(value.get("description", _kind(value)))


def _plural(kind: str) -> str:
    return {"text": "texts", "a mapping": "mappings", "anything": "values"}.get(kind, kind)


def _needs(schema: Mapping[str, Any]) -> Iterator[str]:
    """Which key goes with which action, in words."""
    for rule in schema.get("allOf", ()):
        when, then = rule["if"], rule["then"]
        if "properties" in when and "required" in then:
            yield f"`{when['properties']['action']['const']}` needs {', '.join(map(_code, then['required']))}."
        elif "properties" in then:
            with_ = ", ".join(_code(one) for one in then["properties"]["action"]["enum"])
            yield f"{', '.join(map(_code, when['required']))} goes with {with_} alone."


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


def _lint() -> list[str]:
    lines = _begin("Lint rules", "What `phi-audit policy lint` tells about a policy that loads: what is risky or doubtful in it. A file that cannot be loaded is",
                   "refused before, with every fault.")  # fmt: skip
    lines += _table(
        ("Rule", "Severity", "About"), ((f"[{rule.code}](#{rule.code.lower()})", rule.severity, CODES[rule.code]) for rule in LINT_RULES)
    )
    for rule in LINT_RULES:
        about = CODES[rule.code]
        lines += [f"## {rule.code}", "", f"{about[:1].upper()}{about[1:]} ({rule.severity}).", ""]
        lines += [f"- **Why**: {rule.why}.", f"- **Instead**: {rule.instead}.", ""]
    return lines


def _gates() -> list[str]:
    gates = yaml.safe_load((ROOT / "policies" / "gates.yaml").read_text("utf-8"))["gates"]
    lines = _begin("Gates", "What must be proven before a verdict is GO: each criterion of the requirements, its source, what can prove it, and its bar.",
                   "They stand in `policies/gates.yaml`. `--gates FILE` sets other bars; a gate may not be left out.")  # fmt: skip
    lines += _table(("Gate", "Asks", "Evidence", "Bar", "Week"), (
        (f"[`{name}`](#{name})", gate["asks"], gate["evidence"], _bar(gate), str(gate.get("week", ""))) for name, gate in gates.items()
    ))  # fmt: skip
    for name, gate in gates.items():
        further = {key: value for key, value in gate.items() if key not in {"asks", "source", "evidence", "week", *_BOUNDS}}
        lines += [f"## {name}", "", f"{gate['asks']}.", "", f"- **Source**: {gate['source']}.", f"- **Evidence**: `{gate['evidence']}`.",
                  f"- **Bar**: {_bar(gate)}."]  # fmt: skip
        lines += [f"- **Week**: must hold from week {gate['week']} on."] * ("week" in gate)
        lines += [f"- **Set beside it**: {', '.join(f'`{key}: {value:g}`' for key, value in further.items())}."] * bool(further)
        lines += [""]
    return lines


def _bar(gate: Mapping[str, Any]) -> str:
    return next(f"{words} {gate[bound]:g}" for bound, words in _BOUNDS.items() if bound in gate)


def _alerts() -> list[str]:
    schema = json.loads((ROOT / "policies" / "schema" / "alerts.schema.json").read_text("utf-8"))
    shipped = yaml.safe_load((ROOT / "policies" / "alerts.yaml").read_text("utf-8"))
    lines = _begin("Alerts", schema["description"], "How they reach somebody is in [Day to day](../day-to-day.md#the-alerts).")
    rows = []
    for name, rule in shipped["rules"].items():
        bar = f"above {rule['above']:g}" if "above" in rule else f"at least {rule['at_least']:g}"
        where = ", ".join(rule.get("environments", ("dev", "prod")))
        rows.append(
            (_code(name), _code(rule["metric"]), bar, rule.get("window", ""), rule["severity"], where, rule.get("remind_every", ""))
        )
    lines += ["## Rules as shipped", "", "`policies/alerts.yaml`; `--rules FILE` takes others.", ""]
    lines += _table(("Rule", "Metric", "Bar", "Window", "Severity", "Where", "Again every"), rows)
    lines += ["## The file", "", *_keys(schema), "## A rule", "", *_keys(schema["$defs"]["rule"]), "## A silence", ""]
    return lines + _keys(schema["$defs"]["silence"])


def _terms() -> list[str]:
    lines = _begin("Terms", "The words of reports, commands and these pages. `phi-audit explain TERM` prints the same, and knows gates, lint rules and exit",
                   "codes as well.")  # fmt: skip
    pages_of = {entry.name: entry.page for entry in read_all() if entry.kind == "term"}
    for term in TERMS:
        lines += [f"## {term.name}", "", term.text, ""]
        if term.more:
            page = pages_of[term.name]
            to = page.removeprefix("reference/") if page.startswith("reference/") else f"../{page}"
            lines += [f"More: [{page.partition('#')[0]}]({to})", ""]
    return lines


def main(arguments: list[str]) -> int:
    """Write the pages; with ``--check`` say which of them differ from what stands there."""
    made = pages()
    there = {path.name for path in WHERE.glob("*.md")}
    different = sorted(there - made.keys()) + [
        name for name, text in made.items() if name not in there or (WHERE / name).read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for name in different:
            print(f"docs/reference/{name} is not what the code says; run python docs/generate.py")
        return 1 if different else 0
    WHERE.mkdir(exist_ok=True)
    for name in different:
        if name in made:
            (WHERE / name).write_text(made[name], "utf-8")
        else:
            (WHERE / name).unlink()
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
