"""``phi-audit settings``: what is in force, and where each setting comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

import click

from audit import exits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phi_guard.project_file import ProjectFile, Setting

SCHEMA: Final = "phi-audit.settings/1"
GIVEN: Final = "audit.cli.settings.given"
"""Where in click's `meta` the root leaves the environment as it was before the file was applied."""
SECRETS: Final = (
    "LANGSMITH_API_KEY", "LANGSMITH_WORKSPACE_ID", "LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "AZURE_OPENAI_ENDPOINT",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_DEPLOYMENT", "PHI_GUARD_PSEUDONYM_KEY", "SLACK_WEBHOOK_URL", "PAGERDUTY_ROUTING_KEY",
    "PHI_GUARD_ALERT_WEBHOOK_URL", "PHI_GUARD_ALERT_WEBHOOK_SECRET",
)  # fmt: skip
"""Given by the environment alone; that they are there is told, what they hold is not."""


class _Told(TypedDict):
    name: str
    variable: str
    value: str | None
    source: str


@click.command(epilog="Exit codes: 0 shown, 2 the settings file cannot be used.")
@click.option("--env", type=click.Choice(["dev", "prod"]), help="Show what holds for this environment.  [default: the one in force]")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file.  [default: phi-guard.toml, upwards from here]"
)
@click.option("--no-config", is_flag=True, help="As if there were no settings file.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.pass_context
def settings(ctx: click.Context, env: str | None, config: Path | None, no_config: bool, fmt: str) -> int:
    """Show each setting and where it comes from: an option, the environment, a line of phi-guard.toml, or the default.

    Secrets are shown as set or not set.

    \b
    Examples:
      phi-audit settings
      phi-audit settings --env prod
      phi-audit settings --format json | jq '.settings[] | select(.source == "default")'
    """  # noqa: D301  # \b is click's, against re-wrapping
    from phi_guard.project_file import named_file, read_file  # noqa: PLC0415  # not for --help

    environ: Mapping[str, str] = ctx.meta.get(GIVEN, os.environ)
    path = None if no_config else config or named_file(environ)
    file = read_file(path) if path else None
    rows = _rows(file, environ, env or "")
    secrets = {name: bool(environ.get(name)) for name in SECRETS}
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "file": str(path) if path else None, "settings": rows, "secrets": secrets}, indent=2))
        return exits.GO
    width = max(len(row["name"]) for row in rows) + 2
    wide = min(max(len(row["value"] or "") for row in rows), 60) + 2
    lines = [f"settings file: {path or 'none'}", ""]
    lines += [f"{row['name']:<{width}}{row['value'] or '-':<{wide}}{row['source']}" for row in rows]
    lines += ["", *(f"{name:<32}{'set' if there else 'not set'}" for name, there in secrets.items())]
    click.echo("\n".join(lines))
    return exits.GO


def _rows(file: ProjectFile | None, environ: Mapping[str, str], env: str) -> list[_Told]:
    """Every setting as it stands, one for each variable it is read from where those differ."""
    from phi_guard.project_keys import ENVIRONMENTS, KEYS  # noqa: PLC0415  # not for --help

    named = environ.get("PHI_GUARD_ENV", "")
    chosen = env or (named if named in ENVIRONMENTS else "") or (file.env if file else "")
    said: dict[str, Setting] = file.in_force(chosen) if file else {}
    rows: list[_Told] = []
    for key in KEYS:
        line = said.get(key.name)
        sources: dict[str, Any] = {}
        for variable in key.variables:
            if key.name == "project.env" and env:
                told: tuple[str | None, str] = (env, "flag")
            elif environ.get(variable):
                told = (_safe(environ[variable]), f"environment: {variable}")
            elif line is not None and file is not None:
                told = (line.value, f"{file.path}:{line.line}")
            else:
                told = (None, f"default: {key.default}")
            sources.setdefault(str(told), (variable, told))
        rows += [_Told(name=key.name, variable=variable, value=told[0], source=told[1]) for variable, told in sources.values()]
    return rows


def _safe(value: str) -> str:
    """A value of the environment, without what may be a password in an address."""
    scheme, mark, rest = value.partition("://")
    return f"{scheme}://***@{rest.rpartition('@')[2]}" if mark and "@" in rest else value
