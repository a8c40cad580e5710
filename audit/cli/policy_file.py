"""What the commands of ``phi-audit policy`` share: which file is read, the real walk, and how a result is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from phi_guard.errors import PolicyError
    from phi_guard.model import Note
    from phi_guard.policy.compiled import Policy
    from phi_guard.policy.proof import Walk
    from phi_guard.scrub import Find

Command = TypeVar("Command", bound=Callable[..., object])
ENVIRONMENTS: Final = click.Choice(["dev", "prod"])
FILE: Final = click.Path(path_type=Path)

file_argument = click.argument("file", type=FILE, required=False, envvar="PHI_GUARD_POLICY")
policy_option = click.option("--policy", "file", type=FILE, envvar="PHI_GUARD_POLICY", show_envvar=True,
                       help="Policy file.  [default: clinic.yaml as shipped]")  # fmt: skip
env_option = click.option("--env", type=ENVIRONMENTS, default=None, help="Apply this environment's overlay.  [default: none]")


def shown(command: Command) -> Command:
    """The two options that every command has."""
    fmt = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the result.")
    output = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the result there, not to stdout.")
    return fmt(output(command))


def path_of(file: Path | None) -> Path:
    """The file to read: the one named, or the shipped one."""
    from phi_guard.policy import shipped  # noqa: PLC0415  # not for --help

    return file or shipped("clinic.yaml")


def load(path: Path, env: str = "") -> Policy:
    """A policy, or a usage error with every reason why it cannot be loaded."""
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.policy import load_policy  # noqa: PLC0415

    try:
        return load_policy(path, env)
    except PolicyError as fault:
        raise refused(fault) from None


def refused(fault: PolicyError) -> click.UsageError:
    """A file that cannot be loaded, as a usage fault with every reason."""
    return click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults))


def real_walk(find: Find) -> Walk:
    """The real walk with these detectors."""
    from phi_guard.redact import redact_tool  # noqa: PLC0415  # not for --help

    def walk(rules: Policy, tool: str, data: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Note, ...]]:
        done = redact_tool(rules, tool, data, find)
        return done.value, done.notes

    return walk


def as_json(name: str, path: Path, told: Mapping[str, object]) -> list[str]:
    """A result of one of the commands as JSON, with the name of its form."""
    return [json.dumps({"schema": f"phi-audit.policy-{name}/1", "file": os.fspath(path), **told}, indent=2, ensure_ascii=False)]


def tell(lines: Iterable[str], output: Path | None) -> None:
    """Write a result, to stdout or to a file."""
    text = "".join(f"{line}\n" for line in lines)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
