"""``phi-audit completion``: the script with which a shell completes commands, options and their values."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from audit import exits

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_PHI_AUDIT_COMPLETE"
"""By which the script asks for completions; click derives the name from the program's."""


def layers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001  # click's
    """The layers of the detectors that begin as what is typed, for the shell."""
    from phi_guard.detect import LAYERS  # noqa: PLC0415  # not for --help

    return [CompletionItem(name) for name in LAYERS if name.startswith(incomplete)]


@click.command(epilog="Exit codes: 0 printed, 2 no such shell.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print the script that lets SHELL complete commands, options and their values. Bash must be 4.4 or newer.

    \b
    Examples:
      eval "$(phi-audit completion bash)"                                        # in ~/.bashrc
      eval "$(phi-audit completion zsh)"                                         # in ~/.zshrc, after compinit
      phi-audit completion fish > ~/.config/fish/completions/phi-audit.fish
    """  # noqa: D301  # \b is click's, against re-wrapping
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101  # click has the three that may be chosen
    made = kind(ctx.find_root().command, {}, "phi-audit", VARIABLE)
    click.echo(made.source_template % made.source_vars())  # its source() would start a bash to ask for its version
    return exits.GO
