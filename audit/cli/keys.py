"""``phi-audit keys``: who signs, and whose signatures count."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

import click

T = TypeVar("T")

SCHEMA: Final = "phi-audit.keys/1"
ROLES: Final = ("scan", "reviewer", "approver")

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_from = click.option("--passphrase-from", "source", default="", metavar="VARIABLE|prompt",
                     help="Environment variable that holds the key's passphrase, or `prompt` to be asked.")  # fmt: skip


@click.group()
def keys() -> None:
    """Make keys that sign reports, and say whose signatures count, and as what.

    A public key is trusted because a person compared it with its owner, not because it came with a report.

    \b
    Examples:
      phi-audit keys new ada --passphrase-from prompt
      phi-audit keys trust "Ada Keller" 3b6a…29 --role approver
      phi-audit keys list
      phi-audit keys untrust "Ada Keller"
    """  # noqa: D301  # \b is click's, against re-wrapping


@keys.command()
@click.argument("name")
@_from
@_format
def new(name: str, source: str, fmt: str) -> None:
    """Make a key called NAME. Its public half is printed; the private one never leaves its file."""
    from audit.chain import append  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.signing import make_key  # noqa: PLC0415

    where = audit_dir()
    public = _used(lambda: make_key(where, name, read_passphrase(source, confirm=True)))
    append(where, "key_made", {"name": name, "public_key": public, "encrypted": bool(source)}, now=datetime.now(UTC))
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "name": name, "public_key": public, "encrypted": bool(source)}, indent=2))
        return
    click.echo(public)
    if not source:
        click.echo(f"{name}: kept without a passphrase; whoever can read the file can sign with it (--passphrase-from prompt)", err=True)


@keys.command("list")
@_format
def list_(fmt: str) -> None:
    """List our own keys, and those that are trusted."""
    from dataclasses import asdict  # noqa: PLC0415  # not for --help

    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.signing import TRUSTED, own_keys, read_trusted  # noqa: PLC0415

    where = audit_dir()
    own, trusted = own_keys(where), read_trusted(where / TRUSTED)
    if fmt == "json":
        click.echo(
            json.dumps({"schema": SCHEMA, "own": own, "trusted": [asdict(each) for each in trusted], "directory": str(where)}, indent=2)
        )
        return
    for name in own:
        click.echo(f"own      {name}")
    for each in trusted:
        ends = f"until {each.until}" if each.until else "still"
        click.echo(f"trusted  {each.name:<20} {each.role:<9} {each.public_key}  from {each.since}, {ends}")
    click.echo(f"{len(own)} own, {len(trusted)} trusted, {where}")


@keys.command()
@click.argument("name")
@click.argument("public_key")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What its signatures count as.")
@click.option("--since", default="", help="From when, ISO 8601 with a zone.  [default: now]")
@click.option("--until", default="", help="Until when, ISO 8601 with a zone.  [default: without end]")
def trust(name: str, public_key: str, role: str, since: str, until: str) -> None:
    """Trust PUBLIC_KEY as NAME's in a role. Compare it with its owner first. NAME is the person's, as it will stand after sign --name."""
    from audit.chain import append  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.signing import Trusted, trust  # noqa: PLC0415

    where, now = audit_dir(), datetime.now(UTC)
    since, until = _moment(since, "--since") or now.isoformat(timespec="seconds"), _moment(until, "--until")
    entry = Trusted(name, role, public_key.lower(), since, until)
    _used(lambda: trust(where, entry))
    append(where, "key_trusted", {"name": name, "role": role, "public_key": entry.public_key}, now=now)
    click.echo(f"{name}: trusted as {role} from {since}{f' until {until}' if until else ''}")


@keys.command()
@click.argument("name")
def untrust(name: str) -> None:
    """End the trust in the keys of NAME from now on. What they signed before stays valid."""
    from audit.chain import append  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.signing import untrust  # noqa: PLC0415

    where, now = audit_dir(), datetime.now(UTC)
    ended = untrust(where, name, now.isoformat(timespec="seconds"))
    if not ended:
        raise click.UsageError("no key of that name is trusted; see phi-audit keys list")
    append(where, "key_untrusted", {"name": name, "ended": ended}, now=now)
    click.echo(f"{name}: no longer trusted ({ended} roles)")


def read_passphrase(source: str, *, confirm: bool = False) -> bytes:
    """The passphrase from where the command line says.

    Args:
        source: name of an environment variable, ``prompt``, or empty for none.
        confirm: ask twice.

    Raises:
        click.UsageError: the variable is not set or empty.
    """
    if not source:
        return b""
    if source == "prompt":
        return str(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)).encode()
    if held := os.environ.get(source, ""):
        return held.encode()
    raise click.UsageError(f"--passphrase-from {source}: the variable is not set; set it, or write `prompt`")


def _moment(text: str, option: str) -> str:
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.UsageError(f"{option}: write a moment with its zone, such as 2026-11-20T12:00:00+01:00")
    return moment.isoformat(timespec="seconds")


def _used(act: Callable[[], T]) -> T:
    """Do it; a key that cannot be used is a fault of the command line."""
    from audit.keys import KeyFileError  # noqa: PLC0415  # not for --help

    try:
        return act()
    except KeyFileError as fault:
        raise click.UsageError(str(fault)) from None
