"""``phi-audit baseline``: accept findings with a reason, an owner and a day on which that ends."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.baseline import Accepted
    from audit.findings import Finding

SCHEMA: Final = "phi-audit.baseline-answer/1"
NAME: Final = "phi-audit.baseline.yaml"

_file = click.option(
    "-o", "--file", "path", type=click.Path(path_type=Path, dir_okay=False), default=NAME, show_default=True, envvar="PHI_AUDIT_BASELINE",
    show_envvar=True, help="The baseline.",
)  # fmt: skip
_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_now = click.option("--now", "today", help="The day to go by, such as 2026-11-20; today if left out.")
_dry = click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
_report = click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
_findings = click.option("--finding", "wanted", multiple=True, metavar="FINGERPRINT", help="Only findings with it. May be given again.")
_owner = click.option("--owner", required=True, help="Who answers for them.")
_reason = click.option("--reason", required=True, help="Why they are no leak. No values.")
_expires = click.option("--expires", default="90d", show_default=True, help="How long that holds: days such as 90d, or a day.")
_accept_high = click.option("--accept-high", default="", metavar="REASON", help="Why those of severity high are no leak either.")


@click.group()
def baseline() -> None:
    """Accept findings that are no leak, each with a reason, an owner and a last day (365 days at most).

    The file holds keyed fingerprints and no value. Once an entry has expired its findings are open again.

    \b
    Examples:
      phi-audit baseline create report.json --owner "M. Rey" --reason "label of the test clinic" --expires 90d
      phi-audit baseline create report.json --finding 9f2c41aa03b7d6e5 --owner "M. Rey" --reason "a ward's name"
      phi-audit baseline diff report.json
      phi-audit baseline prune --dry-run
    """  # noqa: D301  # \b is click's, against re-wrapping


@baseline.command()
@_report
@_owner
@_reason
@_expires
@_findings
@_accept_high
@_file
@_dry
@_now
@_format
def create(
    report: Path, owner: str, reason: str, expires: str, wanted: tuple[str, ...], accept_high: str, path: Path, dry_run: bool,
    today: str | None, fmt: str,
) -> None:  # fmt: skip
    """Write a baseline with the findings of a report."""
    if path.exists() and not dry_run:
        raise click.UsageError(f"{path}: is there already; add to it with `phi-audit baseline update`, or name another with -o")
    day = _day(today)
    made = _accepted(report, owner, reason, expires, wanted, accept_high, day)
    _save(path, made, dry_run=dry_run)
    _tell([(entry, "new") for entry in made], fmt, path)


@baseline.command()
@_report
@_owner
@_reason
@_expires
@_findings
@_accept_high
@_file
@_dry
@_now
@_format
def update(
    report: Path, owner: str, reason: str, expires: str, wanted: tuple[str, ...], accept_high: str, path: Path, dry_run: bool,
    today: str | None, fmt: str,
) -> None:  # fmt: skip
    """Add the open findings of a report to a baseline; entries that still hold are kept as they are."""
    from audit.baseline_file import read  # noqa: PLC0415  # not for --help

    day = _day(today)
    held = read(path)
    kept = {entry.key: entry for entry in held if entry.holds_on(day)}
    made = [
        entry
        for entry in _accepted(report, owner, reason, expires, wanted, accept_high, day, kept=tuple(kept.values()))
        if entry.key not in kept or entry.severity != kept[entry.key].severity
    ]
    replaced = {entry.key for entry in made}
    entries = [entry for entry in held if entry.key not in replaced] + made
    _save(path, entries, dry_run=dry_run)
    _tell([(entry, "new" if entry.key in replaced else _state(entry, day)) for entry in entries], fmt, path)


@baseline.command()
@_file
@_now
@_format
def show(path: Path, today: str | None, fmt: str) -> None:
    """Show the entries, and which have expired."""
    from audit.baseline_file import read  # noqa: PLC0415  # not for --help

    day = _day(today)
    _tell([(entry, _state(entry, day)) for entry in read(path)], fmt, path)


@baseline.command()
@_report
@_file
@_now
@_format
@click.pass_context
def diff(ctx: click.Context, report: Path, path: Path, today: str | None, fmt: str) -> None:
    """Hold the findings of a report against a baseline. Exit code 1 if some are open; suspicions alone are none."""
    from audit.baseline import apply  # noqa: PLC0415  # not for --help
    from audit.baseline_file import read, read_findings  # noqa: PLC0415  # not for --help
    from audit.findings import SUSPICION  # noqa: PLC0415  # not for --help

    found = apply(read_findings(report), read(path), _day(today))
    rows = [(entry, "accepted") for entry in found.accepted]
    rows += [(entry, "expired") for entry in found.expired]
    rows += [(entry, "unused") for entry in found.unused]
    _tell(rows, fmt, path, still_open=found.open)
    ctx.exit(exits.NO_GO if any(finding.severity != SUSPICION for finding in found.open) else exits.GO)


@baseline.command()
@_file
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Take out what covers nothing in this report, too.")
@_dry
@_now
@_format
def prune(path: Path, report: Path | None, dry_run: bool, today: str | None, fmt: str) -> None:
    """Take out entries that have expired."""
    from audit.baseline import apply  # noqa: PLC0415  # not for --help
    from audit.baseline_file import read, read_findings  # noqa: PLC0415  # not for --help

    day = _day(today)
    held = read(path)
    unused = {entry.key for entry in apply(read_findings(report), held, day).unused} if report else set()
    rows = [(entry, "unused" if entry.key in unused else _state(entry, day)) for entry in held]
    _save(path, [entry for entry, state in rows if state not in {"expired", "unused"}], dry_run=dry_run)
    _tell([(entry, f"{state}, taken out" if state in {"expired", "unused"} else state) for entry, state in rows], fmt, path)


def _accepted(
    report: Path, owner: str, reason: str, expires: str, wanted: Sequence[str], accept_high: str, day: date,
    kept: tuple[Accepted, ...] = (),
) -> tuple[Accepted, ...]:  # fmt: skip
    from audit.baseline import BaselineError, accept, apply  # noqa: PLC0415  # not for --help
    from audit.baseline_file import read_findings  # noqa: PLC0415  # not for --help

    findings = apply(read_findings(report), kept, day).open
    if wanted:
        missing = set(wanted) - {finding.fingerprint for finding in findings}
        if missing:
            raise click.UsageError(
                f"--finding: {len(missing)} of {len(set(wanted))} stand on no open finding of {report}; copy them from it"
            )
        findings = tuple(finding for finding in findings if finding.fingerprint in wanted)
    try:
        return accept(findings, reason=reason, owner=owner, today=day, lifetime=_lifetime(expires, day), high_reason=accept_high)
    except BaselineError as fault:
        raise click.UsageError(str(fault)) from None


def _save(path: Path, entries: Sequence[Accepted], *, dry_run: bool) -> None:
    from audit.baseline_file import write  # noqa: PLC0415  # not for --help

    if dry_run:
        click.echo("dry run: nothing is written", err=True)
    else:
        write(path, entries)


def _day(given: str | None) -> date:
    try:
        return date.fromisoformat(given[:10]) if given else datetime.now(tz=UTC).date()
    except ValueError:
        raise click.UsageError("--now: give a day such as 2026-11-20") from None


def _lifetime(given: str, day: date) -> timedelta:
    if days := re.fullmatch(r"([0-9]{1,4})d", given):
        return timedelta(days=int(days[1]))
    try:
        return date.fromisoformat(given) - day
    except ValueError:
        raise click.UsageError("--expires: give days such as 90d, or the last day such as 2027-02-18") from None


def _state(entry: Accepted, day: date) -> str:
    return "holds" if entry.holds_on(day) else "expired" if entry.expires < day.isoformat() else "not yet"


def _tell(rows: Sequence[tuple[Accepted, str]], fmt: str, path: Path, still_open: tuple[Finding, ...] | None = None) -> None:
    if fmt == "json":
        told: dict[str, object] = {
            "schema": SCHEMA,
            "file": str(path),
            "entries": [{**asdict(entry), "state": state} for entry, state in rows],
        }
        if still_open is not None:
            told["open"] = len(still_open)
            told["open_fingerprints"] = sorted({finding.fingerprint for finding in still_open})
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for entry, state in rows:
        times = f", {entry.matched} findings" if entry.matched else ""
        click.echo(f"{entry.fingerprint}  {entry.entity}  {entry.path}  [{entry.severity}]")
        click.echo(f"    {state}{times}: {entry.reason} ({entry.owner}, {entry.accepted} to {entry.expires})")
    if still_open is not None:
        for finding in still_open[:50]:
            click.echo(f"{finding.fingerprint}  {finding.entity}  {finding.path}  [{finding.severity}]  OPEN")
        if len(still_open) > 50:
            click.echo(f"... and {len(still_open) - 50} more that are open")
        click.echo(f"{len(still_open)} open")
    elif not rows:
        click.echo("no entries")
