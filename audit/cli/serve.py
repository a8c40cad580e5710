"""``phi-audit serve``: the local trace store, for a team that wants to look before it sends anything anywhere."""

from __future__ import annotations

from pathlib import Path

import click

from audit import exits


@click.command(epilog="Exit codes: 0 stopped by a signal other than Ctrl-C, 2 usage (such as a port in use), 130 Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=1984, show_default=True, help="On 127.0.0.1; 0 takes a free one.")
@click.option("--path", type=click.Path(path_type=Path, dir_okay=False), default=Path("traces.sqlite3"), show_default=True,
              help="SQLite file the traces are kept in.")  # fmt: skip
def serve(port: int, path: Path) -> int:
    """Run the local trace store, which speaks LangSmith's API, on this machine only.

    \b
    Examples:
      phi-audit serve
      LANGSMITH_ENDPOINT=http://127.0.0.1:1984 LANGSMITH_API_KEY=local python my_agent.py
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.serving import serve_store  # noqa: PLC0415  # not for --help

    fault = serve_store(port, path, lambda url: click.echo(f"serving {path} at {url}; Ctrl-C stops", err=True))
    if fault:
        raise click.UsageError(fault)
    return exits.GO
