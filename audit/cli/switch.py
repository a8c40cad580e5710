"""``phi-audit switch``: telemetry's roll-back switch, for people and scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from phi_guard.switch import FileSwitch

SCHEMA: Final = "phi-audit.switch/1"

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_output = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer there, not to stdout.")


@click.group()
def switch() -> None:
    """Show telemetry's switch, turn it off, turn it on.

    Off stops sending within a second on every worker of this machine; calls go on. A switch that is missing or unreadable is off.

    \b
    Examples:
      phi-audit switch status
      phi-audit switch off --reason "leak suspected in notes"
      phi-audit switch on --reason "audit of 20 November: GO"
    """  # noqa: D301  # \b is click's, against re-wrapping


@switch.command()
@_format
@_output
def status(fmt: str, output: Path | None) -> None:
    """Say where the switch stands, since when and why."""
    _tell(_open(), fmt, output)


@switch.command()
@click.option("--reason", default="by hand", show_default=True, help="Why; it is kept with the switch. No names.")
@_format
@_output
def off(reason: str, fmt: str, output: Path | None) -> None:
    """Stop sending telemetry."""
    _set(on=False, reason=reason, fmt=fmt, output=output)


@switch.command()
@click.option("--reason", required=True, help="Why it may be on again, such as the audit that said GO. No names.")
@_format
@_output
def on(reason: str, fmt: str, output: Path | None) -> None:
    """Let telemetry be sent again."""
    _set(on=True, reason=reason, fmt=fmt, output=output)


def _open() -> FileSwitch:
    from phi_guard.switch import FileSwitch, default_path  # noqa: PLC0415  # not for --help

    return FileSwitch(default_path())


def _set(*, on: bool, reason: str, fmt: str, output: Path | None) -> None:
    held = _open()
    (held.turn_on if on else held.turn_off)(reason)
    _tell(held, fmt, output)


def _tell(held: FileSwitch, fmt: str, output: Path | None) -> None:
    state = held.state()
    if fmt == "json":
        told = {"schema": SCHEMA, "on": state.on, "reason": state.reason, "at": state.at, "path": str(held.path)}
        text = json.dumps(told, indent=2, ensure_ascii=False)
    else:
        since = f" since {state.at}" if state.at else ""
        text = f"{'on' if state.on else 'off'}{since}: {state.reason}\n{held.path}"
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
