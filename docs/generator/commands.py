"""The pages of the command line: every command's help, and what its exit codes mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click

from audit.cli import main as phi_audit
from audit.glossary.exit_codes import EXIT_CODES
from generator.tables import begin, code, table

WIDTH: Final = 100
"""Characters of a line of help."""


def commands(command: click.Command = phi_audit, context: click.Context | None = None) -> Iterator[click.Context]:
    """A command and all below it, each with the context that its help is told in."""
    context = context or click.Context(command, info_name="phi-audit", terminal_width=WIDTH, **command.context_settings)
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from commands(below, click.Context(below, info_name=name, parent=context))


def _help(context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in context.command.get_help(context).splitlines())


def cli() -> list[str]:
    """Every command's help."""
    every = list(commands())
    lines = begin(
        "Commands", "Every command with its options, as `--help` prints it. Results go to stdout, progress and warnings to stderr."
    )
    direct = [context for context in every if context.parent is every[0]]
    lines += table(
        ("Command", "Does"),
        ((f"[`{one.command_path}`](#{one.command_path.replace(' ', '-')})", one.command.get_short_help_str(200)) for one in direct),
    )
    for context in every:
        level = "##" if context.parent in (None, every[0]) else "###"
        lines += [f"{level} {context.command_path}", "", "```text", _help(context), "```", ""]
    return lines


def exit_codes() -> list[str]:
    """Every exit code, and what commands say of theirs."""
    lines = begin("Exit codes", "One meaning each, the same for every command, so that a script can trust them.")
    lines += table(("Code", "Name", "What to make of it"), ((str(code), name, what) for code, (name, what) in EXIT_CODES.items()))
    lines += ["## Command by command", "", "What the codes say of a command where it tells more than the table above.", ""]
    told = [(one.command_path, re.sub(r"\s+", " ", one.command.epilog or "")) for one in commands()]
    return lines + table(
        ("Command", "Codes"), ((code(name), text.removeprefix("Exit codes: ")) for name, text in told if "Exit codes" in text)
    )
