"""``phi-audit relay``: the relay as a service, and how it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from audit import exits

SCHEMA: Final = "phi-audit.relay/1"

_runtime = click.option("--runtime", metavar="DIR", help="Private directory of socket, log and lock.  [default: PHI_GUARD_RUNTIME_DIR]")


@click.group(invoke_without_command=True,
             epilog="Exit codes: 0 stopped as told, or one like it serves already; 2 a setting or the directory is wrong.")  # fmt: skip
@_runtime
@click.option("--policy", metavar="FILE", help="Policy.  [default: PHI_GUARD_POLICY, else the shipped clinic.yaml]")
@click.option("--env", type=click.Choice(["dev", "prod"]), help="[default: PHI_GUARD_ENV, else dev]")
@click.option("--project", metavar="NAME", help="LangSmith project.  [default: PHI_GUARD_PROJECT, else medical-voice-agent-ENV]")
@click.option("--endpoint", metavar="URL", help="LangSmith API.  [default: LANGSMITH_ENDPOINT]")
@click.option("--pricing", metavar="FILE", help="Price list.  [default: PHI_GUARD_PRICING, else the shipped pricing.yaml]")
@click.option("--key-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="File that holds the API key, such as a systemd credential.  [default: LANGSMITH_API_KEY]")  # fmt: skip
@click.pass_context
def relay(ctx: click.Context, /, key_file: Path | None, **settings: str | None) -> int | None:
    """Run the relay in the foreground, for systemd or a container; or ask the one that runs how it is.

    SIGTERM lets it ship what it can within five seconds, then ends it. Its log goes to stderr and holds codes and counts only.
    Agents on the host need no more than PHI_GUARD_RUNTIME_DIR and tracing.attach(); docs/relay.md has a unit file.

    \b
    Examples:
      phi-audit relay --runtime /run/phi-guard --env prod --policy /etc/phi-guard/clinic.yaml
      phi-audit relay status --runtime /run/phi-guard
      phi-audit relay status --format json
    """  # noqa: D301  # \b is click's, against re-wrapping
    if ctx.invoked_subcommand is not None:
        ctx.obj = settings["runtime"]
        return None
    from audit.rehearsal.relay_service import KeyUnreadable, serve_relay  # noqa: PLC0415  # not for --help

    try:
        return serve_relay(key_file, settings)
    except KeyUnreadable as fault:
        raise click.UsageError(str(fault)) from None


@relay.command(epilog="Exit codes: 0 it serves, 2 the directory is not ours alone, 3 none answers.")
@_runtime
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.option("--wait", "seconds", type=click.FloatRange(0.1, 600), default=5.0, show_default=True,
              help="Seconds to wait for an answer: a relay that clears long texts answers late.")  # fmt: skip
@click.pass_obj
def status(outer: str | None, runtime: str | None, fmt: str, seconds: float) -> int:
    """Print the relay's own account: its ledger, what it does, and what is wrong.

    \b
    Examples:
      phi-audit relay status
      phi-audit relay status --format json | jq .ledger.pending
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.relay_service import ask_relay  # noqa: PLC0415  # not for --help
    from phi_guard.runtime import RuntimeDirectoryError  # noqa: PLC0415  # as above

    try:
        where, answer = ask_relay(runtime or outer, seconds)
    except (ValueError, RuntimeDirectoryError) as fault:
        raise click.UsageError(str(fault)) from None
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "serving": answer is not None, "runtime": str(where)} | (answer or {}), indent=2))
    elif answer is not None:
        click.echo("\n".join(_lines(str(where), answer)))
    else:
        click.echo(f"no relay answers in {where}")
    if answer is None:
        click.echo(f"start one with `phi-audit relay --runtime {where}`, or look into {where / 'relay.log'}", err=True)
    return exits.GO if answer is not None else exits.UNPROVEN


def _lines(where: str, answer: dict[str, Any]) -> list[str]:
    """The answer as a table of two columns; a count of drops for each reason there is."""
    told = dict(answer)
    ledger = dict(told.pop("ledger"))
    dropped = ledger.pop("dropped")
    rows = [("relay", where), *((name, told.pop(name)) for name in ("state", "fault", "policy") if name in told)]
    rows += [*ledger.items(), ("dropped", sum(dropped.values())), *((f"  {reason}", n) for reason, n in sorted(dropped.items()))]
    rows += [(name, value) for name, value in told.items() if not isinstance(value, dict | list)]
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{'none' if value == '' else value}" for name, value in rows]
