"""``phi-audit report``: a kept report in another format, its schema, and what changed between two."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.report import Report

FORMATS: Final = ("table", "json", "html", "md", "pdf", "sarif", "junit", "csv")
DIFF_SCHEMA: Final = "phi-audit.report-diff/1"
_file = click.Path(path_type=Path, dir_okay=False)


class _Reports(click.Group):
    """A group whose first word may be a report's file: ``phi-audit report R.json`` renders it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Reports)
def report() -> None:
    """Render a report again from its JSON, compare two, print the schema.

    \b
    Examples:
      phi-audit report signed.json --format pdf -o report.pdf
      phi-audit report signed.json --html report.html --sarif report.sarif
      phi-audit report diff last-week.json today.json
      phi-audit report --schema
    """  # noqa: D301  # \b is click's, against re-wrapping


@report.command()
@click.argument("file", required=False, type=_file)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a report, and end.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), help="Of what goes to stdout or to --output.  [default: table]")
@click.option("-o", "--output", type=_file, help="Write it there, not to stdout.")
@click.option("--json", "json_", type=_file, help="Write the report as JSON there too.")
@click.option("--html", type=_file, help="Write a page there too.")
@click.option("--md", type=_file, help="Write Markdown there too.")
@click.option("--pdf", type=_file, help="Write a PDF there too.")
@click.option("--sarif", type=_file, help="Write SARIF 2.1.0 there too.")
@click.option("--junit", type=_file, help="Write JUnit XML there too.")
@click.option("--csv", type=_file, help="Write the findings as CSV there too.")
def show(file: Path | None, schema: bool, fmt: str | None, output: Path | None, **further: Path | None) -> None:
    """Render FILE, a report's JSON. It does not check signatures: run phi-audit verify for that."""
    if schema:
        from audit.report.document import schema as published  # noqa: PLC0415  # not for --help

        click.echo(published(), nl=False)
        return
    if file is None:
        raise click.UsageError("name a report's JSON, or write --schema")
    from audit.report import render  # noqa: PLC0415  # not for --help

    held = read(file)
    wanted = {kind.rstrip("_"): path for kind, path in further.items() if path is not None}
    if fmt is not None or output is not None or not wanted:
        wanted = {"": output or Path("-")} | wanted
    tty = output is None and sys.stdout.isatty()
    made: list[tuple[Path, bytes]] = []
    for kind, path in wanted.items():
        chosen = kind or fmt or "table"
        plain = bool(kind) or not tty
        width = 120 if plain else shutil.get_terminal_size().columns
        text = render(held, chosen, frozenset(), width=width, colour=not plain and "NO_COLOR" not in os.environ)
        made.append((path, text.encode() if isinstance(text, str) else text))
    for path, content in made:  # all are rendered before one is written
        if path == Path("-"):
            if content.startswith(b"%PDF") and tty:
                raise click.UsageError("a PDF is not for a terminal; name a file with -o")
            click.echo(content, nl=False)
        else:
            write(path, content)


@report.command()
@click.argument("before", type=_file)
@click.argument("after", type=_file)
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def diff(before: Path, after: Path, fmt: str) -> None:
    """What is new, gone and the same from report BEFORE to report AFTER, and the gates that changed. 1 if there is something new."""
    from audit.comparison import compare  # noqa: PLC0415  # not for --help

    change = compare(read(before), read(after))
    if fmt == "json":
        click.echo(json.dumps({"schema": DIFF_SCHEMA, **change.as_json()}, indent=2, ensure_ascii=False))
    else:
        for line in change.lines():
            click.echo(line)
    if change.new or change.worse:
        raise click.exceptions.Exit(exits.NO_GO)


def read(file: Path) -> Report:
    """The report in a file; a fault in it is a usage error with every reason."""
    from audit.report import document  # noqa: PLC0415  # not for --help
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415

    try:
        held: Report = document.read(file)
    except OSError as fault:
        raise click.UsageError(f"{file}: cannot be read ({fault.strerror})") from None
    except PhiGuardError as fault:
        raise click.UsageError(str(fault)) from None
    return held


def write(path: Path, content: bytes) -> None:
    """Write a file whole: what is there stays until the new one is."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as fault:
        beside.unlink(missing_ok=True)
        raise click.UsageError(f"{path}: cannot be written ({fault.strerror})") from None
