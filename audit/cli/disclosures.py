"""``phi-audit disclosures``: what the relay wrote down of each posting, read and checked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits
from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = "phi-audit.disclosures/1"

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_directory = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Where the log is; default: the relay's state directory."
)


class LogUnreadable(PhiGuardError):
    """The log cannot be read; the message names it and the reason."""


@click.group()
def disclosures() -> None:
    """Show and check the log of what was sent: when, where to, under which policy, how much. It holds no content.

    \b
    Examples:
      phi-audit disclosures verify
      phi-audit disclosures show --last 20
      phi-audit disclosures show --format json > postings.json
    """  # noqa: D301  # \b is click's, against re-wrapping


@disclosures.command()
@_directory
@_format
def verify(directory: Path | None, fmt: str) -> None:
    """Read the whole chain. Exit code 0: it holds; 4: a line was changed, lost or moved; 3: it cannot be read."""
    from phi_guard import disclosure_chain as chain  # noqa: PLC0415  # not for --help

    where = directory or _place()
    try:
        verdict = chain.verify(where)
    except OSError as fault:
        raise LogUnreadable(f"{where / chain.LOG}: cannot be read ({fault.strerror}); name its directory with --dir") from None
    if fmt == "json":
        told = {
            "schema": SCHEMA,
            "holds": verdict.holds,
            "entries": verdict.entries,
            "postings": verdict.postings,
            "unsettled": list(verdict.unsettled),
            "faults": list(verdict.faults),
            "head": {"n": verdict.head.n, "sha256": verdict.head.sha256},
            "directory": str(where),
        }
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"{'holds' if verdict.holds else 'DOES NOT HOLD'}: {verdict.entries} entries, {verdict.postings} postings")
        if verdict.unsettled:
            click.echo(f"{len(verdict.unsettled)} postings without an outcome: they may have arrived")
        for what in verdict.faults:
            click.echo(f"  {what}")
        click.echo(f"head {verdict.head.n} {verdict.head.sha256} (a copy of it kept elsewhere finds a log that was written anew)\n{where}")
    if not verdict.holds:
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE)


@disclosures.command()
@_directory
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="How many postings, the newest.")
@_format
def show(directory: Path | None, last: int, fmt: str) -> None:
    """List the newest postings. It does not check the chain: run verify for that."""
    from collections import deque  # noqa: PLC0415  # not for --help

    where = directory or _place()
    rows = list(deque(_postings(where), maxlen=last))
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "postings": rows, "directory": str(where)}, indent=2))
        return
    for row in rows:
        size = f"{row['operations']} operations of {row['calls']} calls, {row['bytes']} B"
        click.echo(f"{row['n']:>8}  {row['at']}  {row['outcome'] or 'no outcome':<12}  {row['destination']}  {size}")
    click.echo(f"{len(rows)} postings, {where}")


def _place() -> Path:
    from phi_guard.runtime import runtime_dir, where_state_is  # noqa: PLC0415  # not for --help

    return where_state_is(runtime_dir(), os.environ)


def _postings(where: Path) -> Iterator[dict[str, object]]:
    """Each posting with its outcome, empty where there is none; lines that are no entries are left out."""
    from phi_guard import disclosure_chain as chain  # noqa: PLC0415  # not for --help

    named = ("n", "at", "destination", "projects", "policies", "operations", "calls", "bytes", "body_sha256")
    waiting: dict[str, object] | None = None
    try:
        for _, raw in chain.read(where):
            entry = chain.decode_line(raw.removesuffix(b"\n"))
            if entry is None or entry["event"] not in {"intent", "outcome"}:
                continue
            if waiting is not None:
                settled = entry["event"] == "outcome" and entry["of"] == waiting["n"]
                yield waiting | {"outcome": str(entry.get("outcome", "")) if settled else ""}
                waiting = None
            if entry["event"] == "intent":
                waiting = {key: entry.get(key, "") for key in named}
    except OSError as fault:
        raise LogUnreadable(f"{where / chain.LOG}: cannot be read ({fault.strerror}); name its directory with --dir") from None
    if waiting is not None:
        yield waiting | {"outcome": ""}
