"""``phi-audit switch quarantine``: what waited in this host's relay when the switch went off."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.quarantine/1"

_state = click.option("--state", type=click.Path(path_type=Path, file_okay=False), envvar="PHI_GUARD_STATE_DIR", show_envvar=True,
                      help="The relay's state directory.  [default: where the relay of this user keeps it]")  # fmt: skip
_reasons = click.option("--reason", "reasons", multiple=True, metavar="WORD",
                        help="Only what is quarantined for this: switch_off, leak, or last_look; may be given again.")  # fmt: skip
_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")


@click.group()
def quarantine() -> None:
    """List, release or drop what waited in this host's relay when the switch went off.

    It is not sent when the switch is on again. To release it the switch must have been turned on with a report that says GO; what the last
    look itself met is only dropped. What is neither is dropped when it is as old as anything may get in the outbox.

    \b
    Examples:
      phi-audit switch quarantine list
      phi-audit switch quarantine release --reason switch_off
      phi-audit switch quarantine drop --reason leak --yes
    """  # noqa: D301  # \b is click's, against re-wrapping


@quarantine.command("list")
@_state
@_format
def list_(state: Path | None, fmt: str) -> None:
    """Say how many operations are quarantined, since when and why."""
    from audit.rehearsal.fleet_quarantine import list_quarantine  # noqa: PLC0415  # not for --help
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415

    try:
        held = list_quarantine(state)
    except PhiGuardError as fault:
        raise _end(fault) from None
    if fmt == "json":
        rows = [
            {"reason": h.reason, "at": h.at, "operations": h.operations, "calls": h.calls, "oldest_s": round(h.oldest_s, 1)} for h in held
        ]
        click.echo(json.dumps({"schema": SCHEMA, "operations": sum(h.operations for h in held), "held": rows}, indent=2))
        return
    for h in held:
        click.echo(f"{h.at}  {h.reason:<11}{h.operations:>8} operations of {h.calls} calls, the oldest {h.oldest_s / 3600:.1f} h")
    if not held:
        click.echo("nothing is quarantined")


@quarantine.command(
    epilog="Exit codes: 0 released, 3 the switch is not on with a report, the audit's log takes no entry, or there is no outbox."
)
@_state
@_reasons
def release(state: Path | None, reasons: tuple[str, ...]) -> None:
    """Let the relay send it after all; each operation is looked at once more before it leaves."""
    from audit.containment import write_log  # noqa: PLC0415  # not for --help
    from audit.rehearsal.fleet_quarantine import release_quarantine  # noqa: PLC0415
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415
    from phi_guard.switch import open_switch  # noqa: PLC0415

    def log(n: int, digest: str) -> str:
        return write_log("quarantine_released", {"operations": n, "release": digest}, datetime.now(UTC))[1]

    try:
        n = release_quarantine(state, open_switch(), reasons, log)
    except PhiGuardError as fault:
        raise _end(fault) from None
    click.echo(f"{n} operations released")


@quarantine.command(epilog="Exit codes: 0 dropped, 3 not confirmed, or there is no outbox.")
@_state
@_reasons
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(state: Path | None, reasons: tuple[str, ...], yes: bool) -> None:  # click gives it so
    """Drop it for good; the relay's ledger and the audit's log say how much."""
    from audit.containment import write_log  # noqa: PLC0415  # not for --help
    from audit.rehearsal.fleet_quarantine import drop_quarantine  # noqa: PLC0415
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415

    if not yes and not click.confirm("Drop what is quarantined, for good?", err=True):
        raise click.exceptions.Exit(exits.UNPROVEN)
    try:
        n = drop_quarantine(state, reasons)
    except PhiGuardError as fault:
        raise _end(fault) from None
    if n and (fault_of_log := write_log("quarantine_dropped", {"operations": n}, datetime.now(UTC))[1]):
        click.echo(f"phi-audit: they are dropped; {fault_of_log}", err=True)
    click.echo(f"{n} operations dropped")


def _end(fault: PhiGuardError) -> click.exceptions.Exit:
    click.echo(f"phi-audit: {fault}", err=True)
    return click.exceptions.Exit(exits.UNPROVEN)
