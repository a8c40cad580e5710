"""``phi-audit explain``: what a word of a report, a gate, a lint rule or an exit code means."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from audit import exits

if TYPE_CHECKING:
    from audit.glossary import Entry

SCHEMA: Final = "phi-audit.explain/1"
_WIDTH: Final = 100


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001  # click's
    """Words that begin as what is typed, for the shell."""
    from audit.glossary import names  # noqa: PLC0415  # not for --help

    typed = incomplete.casefold()
    return [CompletionItem(name) for name in names() if name.casefold().startswith(typed)]


@click.command(epilog="Exit codes: 0 explained, 2 no such word.")
@click.argument("words", nargs=-1, metavar="[TERM]", shell_complete=complete)
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def explain(words: tuple[str, ...], fmt: str) -> int:
    """Say what TERM means: a term of a report, a gate, a rule of `phi-audit policy lint`, an exit code. Without TERM, list them.

    \b
    Examples:
      phi-audit explain withheld
      phi-audit explain PG002
      phi-audit explain span_drop
      phi-audit explain exit 3
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.glossary import find, near, read_all  # noqa: PLC0415  # not for --help

    entries = read_all()
    word = " ".join(words)
    found = find(word, entries) if word else entries
    if not found:
        close = near(word, entries)
        advice = f"did you mean {', '.join(close)}?" if close else "`phi-audit explain` lists what is explained"
        raise click.UsageError(f"{click.format_filename(word[:60], shorten=False)}: is not explained; {advice}")
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "entries": [asdict(entry) for entry in found]}, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_told(found) if word else _listed(found)))
    return exits.GO


def _told(found: tuple[Entry, ...]) -> list[str]:
    lines: list[str] = []
    for entry in found:
        lines += [""] * bool(lines)
        lines += [f"{entry.name} ({entry.kind})"]
        lines += textwrap.wrap(entry.text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
        lines += [f"  See docs/{entry.page}"]
    return lines


def _listed(entries: tuple[Entry, ...]) -> list[str]:
    lines = []
    for kind in dict.fromkeys(entry.kind for entry in entries):
        some = ", ".join(entry.name for entry in entries if entry.kind == kind)
        lines += textwrap.wrap(f"{kind}s: {some}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines
