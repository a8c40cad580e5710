"""``phi-audit doctor``: whether the side doors of an agent's process are shut."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.rehearsal.doctor import Row

_WIDTH: Final = 120


@click.command(epilog="Exit codes: 0 every door is shut, 1 one is open, 2 usage.")
@click.option("--source", type=click.Path(path_type=Path), help="The agent's directory or file: its code is read, never run.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer there, not to stdout.")
def doctor(source: Path | None, fmt: str, output: Path | None) -> int:
    """Look for ways out of an agent that bypass the gate, and say how to shut each.

    Judged from the environment, the installed packages, the runtime directory and, with --source, the agent's code. Run it where the
    agent runs, with its variables. Inside the agent, tracing.harden(ctx) shuts the doors and says how each stands.

    \b
    Examples:
      phi-audit doctor
      phi-audit doctor --source agent/
      phi-audit doctor --source agent/ --format json | jq '.rows[] | select(.state == "FAIL")'
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.doctor import examine, is_shut, to_json  # noqa: PLC0415  # not for --help

    if source is not None and not _holds_python(source):
        raise click.UsageError(f"{source}: is no Python file and no directory that holds one; name the agent's own")
    rows = examine(os.environ, source)
    tty = output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    if fmt == "json":
        text = json.dumps(to_json(rows), indent=2, ensure_ascii=False)
    else:
        text = _table(rows, colour=colour, width=shutil.get_terminal_size().columns if tty else _WIDTH)
    if output is None:
        click.echo(text, color=colour)
    else:
        try:
            output.write_text(f"{text}\n", encoding="utf-8")
        except OSError as fault:
            raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
    return exits.GO if is_shut(rows) else exits.NO_GO


def _holds_python(path: Path) -> bool:
    try:
        return path.suffix == ".py" if path.is_file() else path.is_dir() and next(path.rglob("*.py"), None) is not None
    except OSError:
        return False


def _table(rows: tuple[Row, ...], *, colour: bool, width: int) -> str:
    """Failures first, with what to do under each; what passed, last."""
    colours = {"FAIL": "red", "NOTE": "yellow", "PASS": "green"}
    lines = []
    for state, hue in colours.items():
        shown = click.style(state, fg=hue, bold=True) if colour else state
        for row in (row for row in rows if row.state == state):
            where = f" {row.where}:" if row.where else ""
            told = textwrap.wrap(f"{row.door}:{where} {row.what}", max(width - 6, 40))
            fix = textwrap.wrap(f"-> {row.fix}", max(width - 6, 40)) if row.fix else []
            lines += [f"{shown}  {told[0]}", *(f"      {line}" for line in (*told[1:], *fix))]
    count = {state: sum(row.state == state for row in rows) for state in colours}
    found = f"{count['FAIL']} open" if count["FAIL"] else "no door found open"
    return "\n".join([*lines, "", f"{found}, {count['PASS']} shut, {count['NOTE']} that cannot be judged from here"])
