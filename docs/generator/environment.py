"""The pages of the environment and of the settings file, held against what the code reads."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

import click

from audit.cli.settings import SECRETS
from generator.commands import commands
from generator.tables import ROOT, begin, code, table
from generator.variables import LOOKED_AT, OURS, SERVICES, SYSTEM
from phi_guard.project_keys import KEYS, OVERLAID, WRITE
from tracing.doors import VARIABLES as DOORS

_NAMED: Final = re.compile(
    r"(?:PHI_GUARD|PHI_AUDIT|LANGSMITH|LANGCHAIN|LIVEKIT|LK|AZURE_OPENAI|OPENAI|SLACK|PAGERDUTY|OTEL|XDG|SSL|REQUESTS)_[A-Z0-9_]*[A-Z0-9]"
    r"|NO_COLOR|NO_PROXY|HTTPS?_PROXY"
)
"""Texts of the code that are names of variables, wherever they stand."""

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


def read_in_code() -> dict[str, set[str]]:
    """Each variable that the code names or reads, and the packages that do."""
    found: dict[str, set[str]] = {}
    for package in ("phi_guard", "tracing", "audit"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in variables_of(ast.parse(path.read_text("utf-8"))):
                found.setdefault(name, set()).add(package)
    return found


def variables_of(tree: ast.AST) -> Iterator[str]:
    """Names of variables that a module holds or reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMED.fullmatch(node.value):
            yield node.value
        elif isinstance(node, ast.Subscript) and _is_environ(node.value):
            yield from _text(node.slice)
        elif isinstance(node, ast.Call) and node.args and _reads(node.func):
            yield from _text(node.args[0])


def _reads(node: ast.expr) -> bool:
    """Whether a call asks the environment for what its first argument names."""
    if not isinstance(node, ast.Attribute):
        return False
    return node.attr == "getenv" or (node.attr in {"get", "pop", "setdefault"} and _is_environ(node.value))


def _is_environ(node: ast.expr) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) in {"environ", "environment", "given"} and not isinstance(node, ast.Call)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", node.value):
        yield node.value


def environment() -> list[str]:
    """Every variable; stops where one has no sentence, or a sentence no variable."""
    doors = {name for door in DOORS for name in door.names}
    doors |= {name.partition("_")[2] for name in doors}  # written once there, for both of LangSmith's prefixes
    told = {**OURS, **SERVICES, **SYSTEM, **LOOKED_AT}
    found = set(read_in_code())
    if missing := found - set(told) - doors:
        raise SystemExit(f"docs/generator/variables.py lacks {', '.join(sorted(missing))}; the code reads it: say what it sets")
    if stale := set(told) - found:
        raise SystemExit(f"docs/generator/variables.py has {', '.join(sorted(stale))}; no code reads it: take it out")
    lines = begin("Environment", "An option of a command wins over a variable, a variable over `phi-guard.toml`,",
                   "and that over the default.",
                   "`phi-audit settings` shows what is in force, and where it comes from.")  # fmt: skip
    lines += ["## phi-guard's own", "", *_of(OURS)]
    lines += ["## Services", "", "Those marked as secret are shown as set or not set, and never by their value.",
              "`phi-guard.toml` refuses them.", "",
              *_of(SERVICES)]  # fmt: skip
    lines += ["## System", "", *table(("Variable", "What it sets"), ((code(name), what) for name, what in SYSTEM.items()))]
    lines += ["## Variables that open a way past the gate", ""]
    lines += [
        "Leave these unset in the agent. `phi-audit doctor` says which are set, `tracing.harden(ctx)` takes them out of the process.",
        "",
    ]
    lines += table(
        ("Variables", "What they open", "What to do"), ((", ".join(map(code, door.names)), door.opens, door.fix) for door in DOORS)
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
        rows.append((code(name), what + " Secret." * (name in SECRETS) + default, "; ".join(also)))
    return table(("Variable", "What it sets", "The same as"), rows)


def settings() -> list[str]:
    """Every key of the settings file."""
    lines = begin(
        "phi-guard.toml", "One file that says how a project is set up; `phi-audit init` writes one.",
        "A key that is not here is refused, with its line.",
        "It holds no secret: keys come from the [environment](environment.md).",
    )  # fmt: skip
    told = {**OURS, **SERVICES}
    lines += table(
        ("Key", "What it sets", "Write", "Default", "Variables"),
        ((code(key.name), told[key.variables[0]], WRITE[key.kind].removeprefix("write "), key.default,
          ", ".join(map(code, key.variables)))
         for key in KEYS),
    )  # fmt: skip
    only = ", ".join(code(key.name) for key in KEYS if key not in OVERLAID)
    lines += [
        "## For one environment",
        "",
        f"All but {only} may stand under `[environments.dev]` or `[environments.prod]` too, and hold there.",
        "",
    ]
    lines += ["## Example", "", "```toml", *EXAMPLE_TOML.strip().splitlines(), "```", ""]
    return lines
