"""``phi-audit demo``: the whole path on one machine."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from audit import exits


@click.command(epilog="Exit codes: 0 GO or UNPROVEN (the reasons are given), 1 NO-GO, 3 a part of it failed, 130 interrupted.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False),
              help="Where everything is left.  [default: .phi-guard/demo-TIME]")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Of the callers.")
@click.option("--known-answers", type=click.IntRange(min=0), default=59, show_default=True, help="Plants the scan must find first.")
def demo(directory: Path | None, seed: int, known_answers: int) -> int:
    """Show the whole path on this machine: calls, traces, scan, verdict, report. No keys, no network.

    A local trace store stands in for LangSmith, a stand-in for Azure answers, and the calls are made by the real livekit-agents library.

    \b
    Examples:
      phi-audit demo
      phi-audit demo --seed 7 --directory /tmp/demo
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.demo import show  # noqa: PLC0415  # not for --help
    from audit.rehearsal.summary import render_evidence  # noqa: PLC0415

    where = directory or Path(".phi-guard") / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    tty = sys.stdout.isatty()
    width, colour = (shutil.get_terminal_size().columns if tty else 120), tty and "NO_COLOR" not in os.environ
    shown = show(where, seed=seed, known_answers=known_answers, say=_say, width=width, colour=colour)
    click.echo("The trace of one call, as it left\n")
    for line in shown.tree:
        click.echo(line)
    click.echo("\nThe rehearsal\n")
    click.echo(render_evidence(shown.evidence, width=width, colour=colour))
    click.echo("The verdict\n")
    click.echo(shown.table, color=colour)
    for what, path in shown.files.items():
        click.echo(f"{what}: {path}")
    if shown.evidence.problems:
        return exits.UNPROVEN
    return exits.NO_GO if shown.report.verdict.state == "NO_GO" else exits.GO


def _say(what: str) -> None:
    click.echo(f"demo: {what}", err=True)
