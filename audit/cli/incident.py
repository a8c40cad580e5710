"""``phi-audit incident``: the record of a leak: what was known when, what was done, and what is due."""

from __future__ import annotations

import getpass
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from audit import exits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from audit.containment import Contained
    from audit.incident import Event, Fact, Incident

SCHEMA: Final = "phi-audit.incidents/1"
NO_NAMES: Final = "Names of patients do not belong here: write what happened, with counts and ids."

_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_by = click.option("--by", default="", help="Who writes this.  [default: the account]")
_text = click.option("--text", default="", help="What happened, at most 2,000 characters. No names of patients.")
_now = click.option("--now", default="", help="The time the clocks are read at, with its zone.  [default: now]")


@click.group(epilog="Exit codes: 0 done, 2 usage, 3 could not finish or the switch is not off, 4 the record was changed.")
def incident() -> None:
    """Keep the record of a leak: discovered, contained, purged, assessed, closed; with the clocks of the law. Not legal advice.

    \b
    Examples:
      phi-audit incident open --report report.json --discovered 2026-11-20T09:10+01:00 --zone Europe/Zurich
      phi-audit incident note ID --receipts receipts.json --text "purge asked for"
      phi-audit incident show ID
      phi-audit incident draft ID -o assessment.md
    """  # noqa: D301  # \b is click's, against re-wrapping


@incident.command("open")
@click.option("--report", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Report that found the leak.")
@click.option(
    "--discovered", default="", help="When the first person of the workforce knew, with its zone.  [default: when the report was made]"
)
@click.option("--zone", default="UTC", show_default=True, help="Time zone whose days count, such as Europe/Zurich.")
@_text
@_by
@_format
def open_(report: Path, discovered: str, zone: str, text: str, by: str, fmt: str) -> int:
    """Open an incident on a report, and turn telemetry's switch off, held. Doing it again opens no second one."""
    from audit.cli.purge import read_report  # noqa: PLC0415  # not for --help
    from audit.containment import contain  # noqa: PLC0415
    from audit.incident import IncidentError, added, alone, names, opened  # noqa: PLC0415
    from audit.incident_file import moment, read, write  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    _check_zone(zone)
    _refuse_values(text, by)
    found, now, directory = read_report(report), datetime.now(UTC), audit_dir()
    contained = contain(found.digest, now, cause="incident")  # first of all: what follows may fail
    _tell_contained(contained)
    try:
        with alone(directory):
            known = moment(discovered) if discovered else None
            fresh = opened(found, discovered=known, zone=zone, by=by or _account(), now=now)
            before = [read(directory, name) for name in names(directory) if name.endswith(found.digest[:8])]
            mine = next((one for one in before if one.report_digest == found.digest), None)
            if mine is None:
                mine = added(fresh, "contained", by=by or _account(), now=now, text=text, facts=_facts(contained))
                write(mine, directory)
                _log(mine, len(mine.entries))
            else:
                click.echo(f"{mine.id} was opened on this report before; nothing was added", err=True)
    except IncidentError as fault:
        click.echo("phi-audit: no incident was opened; the switch stays as it is now, see phi-audit switch status", err=True)
        _end(fault)
    _tell(mine, now, fmt)
    return exits.GO if contained.off else exits.UNPROVEN


@incident.command()
@click.argument("name", metavar="ID")
@_text
@click.option("--receipts", type=click.Path(path_type=Path, dir_okay=False), help="Of a purge: how many traces are gone.")
@click.option("--discovered", default="", help="An earlier time at which somebody knew, with its zone.")
@_by
@_format
def note(name: str, text: str, receipts: Path | None, discovered: str, by: str, fmt: str) -> None:
    """Add what happened: a text, the receipts of a purge, or that it was known earlier."""
    from audit.incident_file import moment  # noqa: PLC0415  # not for --help

    if not (text or receipts or discovered):
        raise click.UsageError("say what happened: --text, --receipts or --discovered")
    event: Event = "noted"
    facts: dict[str, Fact] = {}
    if discovered:
        event, facts = "discovered", {"discovered": _earlier(name, moment, discovered)}
    if receipts:
        event, facts = "purged", {**facts, **_purged(name, receipts)}
    _add(name, event, text, by, facts, fmt)


@incident.command()
@click.argument("name", metavar="ID")
@_text
@_by
@_format
def contain(name: str, text: str, by: str, fmt: str) -> int:
    """Turn telemetry's switch off, held, and write down how long that took."""
    from audit.containment import contain as turn_off  # noqa: PLC0415  # not for --help

    _refuse_values(text, by)
    contained = turn_off(_read(name).report_digest, datetime.now(UTC), cause="incident")
    _tell_contained(contained)
    _add(name, "contained", text, by, _facts(contained), fmt)
    return exits.GO if contained.off else exits.UNPROVEN


@incident.command()
@click.argument("name", metavar="ID")
@click.option("--people", type=click.IntRange(min=0), help="How many people are affected, as established.")
@click.option("--decision", required=True, type=click.Choice(["breach", "low-probability"]), help="What people decided.")
@_text
@_by
@_format
def assess(name: str, people: int | None, decision: str, text: str, by: str, fmt: str) -> None:
    """Write down what people decided, and how many are affected. A breach is presumed; low probability needs its reasons in --text."""
    if decision == "low-probability" and not text:
        raise click.UsageError("a breach is presumed (45 CFR 164.402(2)): give the reasons for a low probability with --text")
    facts: dict[str, Fact] = {"decision": decision}
    _add(name, "assessed", text, by, facts if people is None else {**facts, "people": people}, fmt)


@incident.command()
@click.argument("name", metavar="ID")
@_text
@_by
@_format
def close(name: str, text: str, by: str, fmt: str) -> None:
    """Close it. It must have been contained and assessed."""
    held = _read(name)
    if missing := [event for event in ("contained", "assessed") if not any(entry.event == event for entry in held.entries)]:
        raise click.UsageError(f"{name}: is not {' and not '.join(missing)} yet; do that first")
    _add(name, "closed", text, by, {}, fmt)


@incident.command()
@click.argument("name", metavar="[ID]", default="")
@_now
@_format
def show(name: str, now: str, fmt: str) -> int:
    """Show one: its timeline and its clocks; or list all."""
    from audit.incident import IncidentError, names  # noqa: PLC0415  # not for --help
    from audit.incident_file import read  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    if name:
        _tell(_read(name), _at(now), fmt)
        return exits.GO
    rows, broken = [], []
    for one in names(audit_dir()):
        try:
            rows.append(read(audit_dir(), one))
        except IncidentError as fault:
            broken.append(one)
            click.echo(f"phi-audit: {fault}", err=True)
    if fmt == "json":
        listed = [{"id": one.id, "state": one.state, "discovered": one.discovered.isoformat(), "project": one.project} for one in rows]
        click.echo(json.dumps({"schema": SCHEMA, "incidents": listed, "broken": broken}, indent=2, ensure_ascii=False))
    else:
        for held in rows:
            click.echo(f"{held.id}  {held.state:<6}  discovered {held.discovered.isoformat()}  {held.project}")
        click.echo(f"{len(rows)} incidents{f', {len(broken)} that cannot be believed' if broken else ''}")
    return exits.BROKEN_EVIDENCE if broken else exits.GO


@incident.command()
@click.argument("name", metavar="ID")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the draft there, not to stdout.")
@_now
def draft(name: str, output: Path | None, now: str) -> None:
    """Draft the four-factor assessment (45 CFR 164.402(2)) in Markdown, with blanks for what people must judge."""
    from audit.incident_draft import draft as drafted  # noqa: PLC0415  # not for --help

    text = drafted(_read(name), now=_at(now))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None


def _add(name: str, event: Event, text: str, by: str, facts: Mapping[str, Fact], fmt: str) -> None:
    from audit.incident import IncidentError, added, alone  # noqa: PLC0415  # not for --help
    from audit.incident_file import read, write  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    _refuse_values(text, by)
    directory, now = audit_dir(), datetime.now(UTC)
    try:
        with alone(directory):
            held = added(read(directory, name), event, by=by or _account(), now=now, text=text, facts=facts)
            write(held, directory)
            _log(held)
    except IncidentError as fault:
        _end(fault)
    _tell(held, now, fmt)


def _read(name: str) -> Incident:
    from audit.incident import IncidentError  # noqa: PLC0415  # not for --help
    from audit.incident_file import read  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    try:
        return read(audit_dir(), name)
    except IncidentError as fault:
        _end(fault)


def _end(fault: Exception) -> NoReturn:
    """A record that was changed is 4; anything else somebody can put right is 2."""
    from audit.incident import IncidentBroken  # noqa: PLC0415  # not for --help

    if isinstance(fault, IncidentBroken):
        click.echo(f"phi-audit: {fault}", err=True)
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE) from None
    raise click.UsageError(str(fault)) from None


def _refuse_values(*texts: str) -> None:
    """A text in which the pattern detectors find something is refused; what they found is not told."""
    from phi_guard.detect import PatternDetector  # noqa: PLC0415  # not for --help

    if any(texts):
        click.echo(NO_NAMES, err=True)
    detector = PatternDetector()
    for text in texts:
        if text and not all(char.isprintable() or char in "\n\t" for char in text):
            raise click.UsageError("a text holds characters that cannot be printed; write it without them")
        if kinds := sorted({found.entity for found in detector.find(text)}):
            raise click.UsageError(f"a text holds what looks like {', '.join(kinds)}; write it without")


def _earlier(name: str, moment: Callable[[str], datetime], discovered: str) -> str:
    from audit.incident import IncidentError  # noqa: PLC0415  # not for --help

    held = _read(name)
    try:
        known = moment(discovered)
    except IncidentError as fault:
        _end(fault)
    if known > held.discovered:
        raise click.UsageError(f"{name}: was known at {held.discovered.isoformat()} already; only an earlier time is news")
    return known.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _purged(name: str, path: Path) -> Mapping[str, Fact]:
    from audit.incident import facts_of_purge  # noqa: PLC0415  # not for --help
    from audit.purge import PurgeError  # noqa: PLC0415
    from audit.purge_file import read  # noqa: PLC0415

    try:
        purge = read(path)
    except PurgeError as fault:
        raise click.UsageError(str(fault)) from None
    if purge.report_digest != _read(name).report_digest:
        raise click.UsageError(f"{path}: is of a purge on another report; note it at its own incident")
    return facts_of_purge(purge, hashlib.sha256(path.read_bytes()).hexdigest())


def _facts(contained: Contained) -> dict[str, Fact]:
    from audit.incident import facts_of_contained  # noqa: PLC0415  # not for --help

    return facts_of_contained(contained)


def _log(held: Incident, new: int = 1) -> None:
    """Name the newest entries in the audit's log, each by its digest."""
    from audit.containment import write_log  # noqa: PLC0415  # not for --help

    for entry in held.entries[-new:]:
        facts: dict[str, Fact] = {"incident": held.id, "entry": entry.n, "what": entry.event, "sha256": entry.digest}
        logged, why = write_log("incident", facts, datetime.fromisoformat(entry.at))
        if not logged:
            click.echo(f"phi-audit: {why}", err=True)


def _tell_contained(contained: Contained) -> None:
    if not contained.off:
        click.echo(f"phi-audit: THE SWITCH IS NOT OFF: {contained.fault}", err=True)
        return
    how = "was off and held before" if contained.already else f"went off in {contained.took_ms:.1f} ms"
    click.echo(f"telemetry's switch {how}{f'; {contained.fault}' if contained.fault else ''}", err=True)


def _tell(held: Incident, now: datetime, fmt: str) -> None:
    from audit.incident_view import in_json, in_text  # noqa: PLC0415  # not for --help

    click.echo(in_json(held, now) if fmt == "json" else in_text(held, now))


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415  # not for --help

    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.UsageError("there is no such time zone; write an IANA name such as Europe/Zurich or America/New_York") from None


def _at(text: str) -> datetime:
    from audit.incident import IncidentError  # noqa: PLC0415  # not for --help
    from audit.incident_file import moment  # noqa: PLC0415

    try:
        return moment(text) if text else datetime.now(UTC)
    except IncidentError as fault:
        _end(fault)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
