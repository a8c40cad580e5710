"""``phi-audit serve``: the local trace store, for a team that wants to look before it sends anything anywhere."""

from __future__ import annotations

from pathlib import Path

import click

from audit import exits


@click.command(epilog="Exit codes: 0 stopped by a signal other than Ctrl-C, 2 usage (such as a port in use), 130 Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), default=1984, show_default=True, help="On 127.0.0.1; 0 takes a free one.")
@click.option("--path", type=click.Path(path_type=Path, dir_okay=False), default=Path("traces.sqlite3"), show_default=True,
              help="SQLite file the traces are kept in.")  # fmt: skip
@click.option("--keep", type=click.Choice(["14d", "400d", "all"]), default="14d", show_default=True, envvar="PHI_AUDIT_KEEP",
              show_envvar=True, help="Delete whole traces that began longer ago.")  # fmt: skip
@click.option("--dashboard/--no-dashboard", default=True, show_default=True, help="Show the dashboard over the same store.")
def serve(port: int, path: Path, keep: str, dashboard: bool) -> int:
    """Run the local trace store, which speaks LangSmith's API, and the dashboard over it, on this machine only.

    Retention is LangSmith's: 14 days in its base tier, 400 in the extended one. Feedback does not lengthen it here, as it does there.
    What is deleted is gone from the file's bytes.

    \b
    Examples:
      phi-audit serve
      phi-audit serve --keep all --no-dashboard
      LANGSMITH_ENDPOINT=http://127.0.0.1:1984 LANGSMITH_API_KEY=local python my_agent.py
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.serving import serve_store  # noqa: PLC0415  # not for --help

    def ready(url: str, pages: str) -> None:
        click.echo(f"serving {path} at {url}; Ctrl-C stops", err=True)
        if pages:
            click.echo(f"dashboard, for the browser that opens this first: {pages}", err=True)

    fault = serve_store(port, path, ready, keep_days={"14d": 14, "400d": 400, "all": None}[keep], dashboard=dashboard)
    if fault:
        raise click.UsageError(fault)
    return exits.GO
