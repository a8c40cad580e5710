"""``phi-audit log``: the audit's own log, read and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.chain import Entry

SCHEMA: Final = "phi-audit.log-view/1"

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_directory = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Where the log is; default: the audit's directory."
)


@click.group()
def log() -> None:
    """Show and check the audit's own log: reports, signatures, looks at values, switches, purges. It holds no content.

    \b
    Examples:
      phi-audit log verify
      phi-audit log verify --anchor /mnt/other/phi-audit.anchor
      phi-audit log show --last 20
    """  # noqa: D301  # \b is click's, against re-wrapping


@log.command()
@_directory
@click.option("--anchor", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_AUDIT_ANCHOR", show_envvar=True,
              help="Copy of the log's heads, kept elsewhere.")  # fmt: skip
@_format
def verify(directory: Path | None, anchor: Path | None, fmt: str) -> None:
    """Read the whole log. Exit code 0: it holds; 4: a line was changed, lost, moved or cut off; 3: it cannot be read."""
    from audit.chain import verify as check  # noqa: PLC0415  # not for --help

    where = directory or _place()
    verdict = check(where, anchor)
    if fmt == "json":
        told = {
            "schema": SCHEMA,
            "holds": verdict.holds,
            "entries": verdict.entries,
            "anchored": verdict.anchored,
            "faults": list(verdict.faults),
            "head": {"n": verdict.head.n, "sha256": verdict.head.sha256},
            "directory": str(where),
        }
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"{'holds' if verdict.holds else 'DOES NOT HOLD'}: {verdict.entries} entries")
        for what in verdict.faults:
            click.echo(f"  {what}")
        named = f"anchored up to entry {verdict.anchored}" if anchor else "no anchor: who may write here could have begun it anew"
        click.echo(f"head {verdict.head.n} {verdict.head.sha256}; {named}\n{where}")
    if not verdict.holds:
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE)


@log.command()
@_directory
@click.option("--last", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many entries, the newest.")
@click.option("--event", default="", help="Only entries of this kind, such as signed.")
@_format
def show(directory: Path | None, last: int, event: str, fmt: str) -> None:
    """List the newest entries. It does not check the chain: run verify for that."""
    from collections import deque  # noqa: PLC0415  # not for --help

    from audit.chain import EVENTS, entries  # noqa: PLC0415

    if event and event not in EVENTS:
        raise click.UsageError(f"there is no event of that name; there are {', '.join(sorted(EVENTS))}")
    where = directory or _place()
    rows: list[Entry] = list(deque((entry for entry in entries(where) if not event or entry.event == event), maxlen=last))
    if fmt == "json":
        told = [{"n": entry.n, "at": entry.at, "event": entry.event, **entry.facts, "sha256": entry.sha256} for entry in rows]
        click.echo(json.dumps({"schema": SCHEMA, "entries": told, "directory": str(where)}, indent=2, ensure_ascii=False))
        return
    for entry in rows:
        facts = " ".join(f"{key}={_short(value)}" for key, value in entry.facts.items() if key not in {"schema", "salt"})
        click.echo(f"{entry.n:>6}  {entry.at[:19]}Z  {entry.event:<13} {facts}".rstrip())
    click.echo(f"{len(rows)} entries, {where}")


def _short(value: object) -> str:
    text = f"{len(value)} of them" if isinstance(value, list) else "-" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:16]}…"


def _place() -> Path:
    from audit.keys import audit_dir  # noqa: PLC0415  # not for --help

    return audit_dir()
