"""``phi-audit switch``: telemetry's roll-back switch, for people and scripts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from audit import exits
from audit.cli.switch_quarantine import quarantine

if TYPE_CHECKING:
    from audit.gates import Gate
    from audit.release import Account
    from phi_guard.switch import Switch, Worker

SCHEMA: Final = "phi-audit.switch/1"

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_output = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer there, not to stdout.")


@click.group()
def switch() -> None:
    """Show telemetry's switch, turn it off, turn it on.

    Off stops sending within a second on every worker; calls go on. PHI_GUARD_SWITCH names the switch: a file, for the workers of this
    machine, or rediss://host:6379/0#prod, for many. A switch that is missing, unreadable or out of reach is off. One that went off for a
    leak is held: it is turned on again only with a signed report that says GO and was made after that. What waited when it went off is
    quarantined.

    \b
    Examples:
      phi-audit switch status
      phi-audit switch off --reason "leak suspected in notes" --hold leak --wait 5s
      phi-audit switch quarantine list
      phi-audit switch on --reason "audit of 20 November: GO" --report signed.json
    """  # noqa: D301  # \b is click's, against re-wrapping


switch.add_command(quarantine)


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise click.BadParameter("write seconds above 0 and up to 600, such as 5s")
    return seconds


@switch.command()
@_format
@_output
def status(fmt: str, output: Path | None) -> None:
    """Say where the switch stands, since when and why, and which workers act on it.

    A worker is stale once it has not been heard for 5 seconds: it has ended, hangs, or does not reach the switch, and then sends nothing.
    """
    _tell(_open(), fmt, output)


@switch.command(epilog="Exit codes: 0 off, with --wait by every live worker's word; 3 it cannot be turned off, or one has not said so.")
@click.option("--reason", default="by hand", show_default=True, help="Why; it is kept with the switch. No names.")
@click.option("--hold", default="", help="Hold it for this cause, such as leak or overhead: on again needs a report.")
@click.option(
    "--wait", "seconds", metavar="SECONDS", callback=_seconds, help="Wait so long for every live worker to acknowledge, as in 5s."
)
@_format
@_output
def off(reason: str, hold: str, seconds: float | None, fmt: str, output: Path | None) -> None:
    """Stop sending telemetry. It works at once, whatever the switch is held for."""
    from audit.cli.switch_workers import wait_for  # noqa: PLC0415  # not for --help

    held = _open()
    held.turn_off(reason, hold)
    if fault := _log("switch_off", {"hold": held.state().hold}):
        click.echo(f"phi-audit: the switch is off; the audit's log does not say so: {fault}", err=True)
    late = wait_for(held, seconds) if seconds is not None else []
    _tell(held, fmt, output)
    if late:
        _name(late)
        raise click.exceptions.Exit(exits.UNPROVEN)


@switch.command(epilog="Exit codes: 0 on, 1 the report is no GO for this switch, 2 held and no report given, 4 the report does not verify.")
@click.option("--reason", required=True, help="Why it may be on again, such as the audit that said GO. No names.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Signed report that says GO; a held switch needs it.")
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="File of trusted keys.  [default: the audit's own]")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy in force.  [default: clinic.yaml as shipped]")  # fmt: skip
@click.option("--env", default="prod", envvar="PHI_GUARD_ENV", show_envvar=True, show_default=True,
              help="Environment whose part of the policy is in force.")  # fmt: skip
@click.option(
    "--project", envvar=["PHI_GUARD_PROJECT", "LANGSMITH_PROJECT"], show_envvar=True,
    help="The report must be of this project.  [default: medical-voice-agent-ENV]",
)  # fmt: skip
@click.option("--gates", "gates_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Gates in force: the report's bars may not be lower.  [default: gates.yaml as shipped]")  # fmt: skip
@_format
@_output
def on(
    reason: str, report: Path | None, trust: Path | None, policy_file: Path | None, env: str, project: str | None, gates_file: Path | None,
    fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Let telemetry be sent again."""
    held = _open()
    state = held.state()
    if state.hold and report is None:
        raise click.UsageError(f"the switch is held ({state.hold}): {state.reason}; give a signed report made after that: --report FILE")
    force = _InForce(policy_file, gates_file, env, project or f"medical-voice-agent-{env}")
    release = _release(held, report, trust, force) if report else ""
    if fault := _log("switch_on", {"hold": state.hold, "release": release}):
        click.echo(f"phi-audit: the switch stays as it was, since the audit's log takes no entry: {fault}", err=True)
        raise click.exceptions.Exit(exits.UNPROVEN)
    held.turn_on(reason, release=release)
    _tell(held, fmt, output)


class _InForce(NamedTuple):
    """What the report must have been judged by, and of what it must be."""

    policy_file: Path | None
    gates_file: Path | None
    env: str
    project: str


def _release(held: Switch, report: Path, trust: Path | None, force: _InForce) -> str:
    """The digest of a report that releases the switch; ends the command where it does not."""
    from audit.gates import WEEKS, GatesError, load_gates  # noqa: PLC0415  # not for --help
    from audit.keys import KeyFileError  # noqa: PLC0415
    from audit.release import refuse  # noqa: PLC0415
    from audit.verification import Unverifiable  # noqa: PLC0415
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        policy = load_policy(force.policy_file or shipped("clinic.yaml"), env=force.env)
        in_force = load_gates(force.gates_file or shipped("gates.yaml"), week=WEEKS[-1])
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    except GatesError as fault:
        raise click.UsageError(str(fault)) from None
    if not report.is_file():
        raise click.UsageError(f"{report}: there is no such file")
    try:
        account = verified(report, trust, in_force)
    except (KeyFileError, Unverifiable) as fault:
        raise click.UsageError(str(fault)) from None
    refusal = refuse(account, held.state(), policy_digest=policy.digest, now=datetime.now(UTC), env=force.env, project=force.project)
    if refusal is None:
        return account.digest
    click.echo(f"phi-audit: the switch stays as it was; {report} does not release it:", err=True)
    for why in refusal.reasons:
        click.echo(f"  {why}", err=True)
    raise click.exceptions.Exit(refusal.code)


def verified(path: Path, trust: Path | None, in_force: tuple[Gate, ...]) -> Account:
    """What a report file comes to, with every fault in it and the signatures that hold, by keys that are trusted now."""
    from audit.bars import weaker  # noqa: PLC0415
    from audit.gates import comparable  # noqa: PLC0415
    from audit.release import Account  # noqa: PLC0415  # not for --help
    from audit.verification import verify_report  # noqa: PLC0415

    found = verify_report(path, trust)
    report = found.report
    if report is None:
        return Account("", "", "", "", found.faults or (f"{path}: holds no report",))
    target, judged = report.target, [row.gate for row in report.gates]
    return Account(
        report.digest, report.verdict.state, target.made_at, target.policy_digest, found.faults, found.standing, target.env, target.project,
        target.since, target.until, tuple(weaker(judged, comparable(judged, in_force))),
    )  # fmt: skip


def _open() -> Switch:
    from phi_guard.switch import open_switch  # noqa: PLC0415  # not for --help

    return open_switch()


def _log(event: str, facts: dict[str, str | int]) -> str:
    """Write an entry of the audit's log; why it could not be, or empty."""
    from audit import chain  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415

    try:
        chain.append(audit_dir(), event, facts, now=datetime.now(UTC))
    except (PhiGuardError, OSError) as fault:
        return str(fault) if isinstance(fault, PhiGuardError) else str(fault.strerror)
    return ""


def _name(late: list[Worker]) -> None:
    click.echo(
        f"phi-audit: {len(late)} workers have not acknowledged that the switch is off; stop them, or look at what holds them:", err=True
    )
    for worker in late:
        click.echo(f"  {worker.label} {worker.id}, heard {worker.age_s:.1f} s ago", err=True)


def _tell(held: Switch, fmt: str, output: Path | None) -> None:
    from audit.cli.switch_workers import lines, rows  # noqa: PLC0415  # not for --help
    from phi_guard.switch import SwitchError  # noqa: PLC0415

    state = held.state()
    try:
        workers, fault = held.workers(), ""
    except SwitchError as error:
        workers, fault = (), str(error)
        click.echo(f"phi-audit: {fault}", err=True)
    if fmt == "json":
        told: dict[str, Any] = {"schema": SCHEMA, "on": state.on, "reason": state.reason, "at": state.at, "path": held.place}
        told |= {"hold": state.hold, "release": state.release, "workers": None if fault else rows(workers, state)}
        text = json.dumps(told, indent=2, ensure_ascii=False)
    else:
        since = f" since {state.at}" if state.at else ""
        cause = f", held ({state.hold})" if state.hold else ""
        text = f"{'on' if state.on else 'off'}{since}{cause}: {state.reason}\n{held.place}"
        text = "\n".join([text, *lines(workers, state)])
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
