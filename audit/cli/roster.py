"""``phi-audit roster``: the clinic's own patients as an index of keyed digests, to look for in traces."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.roster import RosterFacts

SCHEMA: Final = "phi-audit.roster-answer/1"

_index = click.argument("index", type=click.Path(path_type=Path, dir_okay=False))
_people = click.argument("people", type=click.Path(path_type=Path, dir_okay=False))
_key = click.option(
    "--key", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_AUDIT_ROSTER_KEY", show_envvar=True,
    help="File of the key, 32 bytes; roster.key in the audit's directory if left out. Keep it apart from the index.",
)  # fmt: skip
_columns = click.option(
    "--columns", metavar="KIND=HEADING,...",
    help="Which column holds what: name, given, surname, phone, dob, mrn, email, address, id. Left out: by the headings' own words.",
)  # fmt: skip
_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")


@click.group()
def roster() -> None:
    """Build an index of the clinic's own patients, in which nobody can read a name, and look for them in traces.

    The list never leaves this machine. The index holds keyed digests; its key stays in a file of its own.

    \b
    Examples:
      phi-audit roster build patients.csv -o roster.idx
      phi-audit roster build patients.csv -o roster.idx --columns name=Name,dob=Birth,phone=Mobile
      phi-audit roster show roster.idx
      phi-audit roster test roster.idx patients.csv --row 12
    """  # noqa: D301  # \b is click's, against re-wrapping


@roster.command()
@_people
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="roster.idx", show_default=True, help="The index.")
@_key
@_columns
@click.option("--dry-run", is_flag=True, help="Read and count; write no index and make no key.")
@click.option("--now", help="When it is built, ISO 8601; for output that can be repeated.")
@_format
def build(people: Path, output: Path, key: Path | None, columns: str | None, dry_run: bool, now: str | None, fmt: str) -> None:
    """Build an index from a CSV file with headings. Rows that cannot be read are told by their line, never quoted."""
    from audit.roster.build import build_roster  # noqa: PLC0415  # not for --help
    from audit.roster.people import PeopleList  # noqa: PLC0415  # not for --help

    listed = PeopleList(people, _chosen(columns))
    if listed.encoding == "latin-1":
        click.echo(f"{people}: is no UTF-8 and is read as latin-1; save it as UTF-8 if its names look wrong", err=True)
    secret = bytes(32) if dry_run else _secret(key, make=True)
    built = build_roster(listed, None if dry_run else output, secret, now=_instant(now), progress=_say)
    if sys.stderr.isatty():
        click.echo(err=True)
    for reason, count in built.bad.count.items():
        lines = ", ".join(map(str, built.bad.lines[reason]))
        click.echo(
            f"{people}: {count} times a row {reason}; lines {lines}{' ...' if count > len(built.bad.lines[reason]) else ''}", err=True
        )
    if fmt == "json":
        answer = {
            **_facts(built.facts), "file": None if dry_run else str(output), "columns": {k: list(v) for k, v in built.columns.items()},
            "encoding": built.encoding, "delimiter": built.delimiter, "bad_rows": built.bad.count, "bad_lines": built.bad.lines,
        }  # fmt: skip
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    kinds = "; ".join(f"{kind}: {', '.join(headings)}" for kind, headings in built.columns.items())
    click.echo(f"columns    {kinds}\nread as    {built.encoding}, delimiter {built.delimiter!r}")
    _tell(built.facts)
    click.echo("dry run: no index was written" if dry_run else f"index      {output} ({output.stat().st_size:,} bytes)")


@roster.command()
@_index
@_format
def show(index: Path, fmt: str) -> None:
    """Say what an index holds: how many people and entries, when it was built, under which key. It needs no key."""
    from audit.roster.index import Index  # noqa: PLC0415  # not for --help

    facts = Index(index).facts
    if fmt == "json":
        click.echo(json.dumps({**_facts(facts), "file": str(index)}, indent=2))
    else:
        _tell(facts)


@roster.command()
@_index
@_people
@click.option("--row", type=click.IntRange(min=1), required=True, help="Which of the rows that can be read, from 1.")
@_key
@_columns
@_format
@click.pass_context
def test(ctx: click.Context, index: Path, people: Path, row: int, key: Path | None, columns: str | None, fmt: str) -> None:
    """Look for each value of one row of the list, and say only whether it is found. Exit code 1 if one is not."""
    from audit.roster.find import Roster  # noqa: PLC0415  # not for --help
    from audit.roster.people import PeopleList  # noqa: PLC0415  # not for --help

    opened = Roster.open(index, _secret(key, make=False))
    person = next(islice(PeopleList(people, _chosen(columns)).people(), row - 1, None), None)
    if person is None:
        raise click.UsageError(f"{people}: has no row {row} that can be read; give a lower --row")
    wanted = {kind: values for kind, values in person.values.items() if kind not in {"given", "surname"}}
    if "given" in person.values and "surname" in person.values:
        wanted["name"] = (*wanted.get("name", ()), f"{person.values['given'][0]} {person.values['surname'][0]}")
    cues = {"mrn": "mrn ", "dob": "dob "}
    found = {
        kind: all(
            f"ROSTER_{kind.upper()}" in {e for d in opened.find(cues.get(kind, "") + value) for e in (d.entity, *d.also)}
            for value in values
        )
        for kind, values in wanted.items()
    }
    if fmt == "json":
        click.echo(json.dumps({"schema": SCHEMA, "row": row, "line": person.line, "found": found}, indent=2))
    else:
        for kind, is_found in found.items():
            click.echo(f"{kind:<9}  {'found' if is_found else 'NOT FOUND'}")
    ctx.exit(exits.GO if found and all(found.values()) else exits.NO_GO)


def _secret(key: Path | None, *, make: bool) -> bytes:
    from audit.keys import audit_dir  # noqa: PLC0415  # not for --help
    from audit.roster import roster_key  # noqa: PLC0415  # not for --help

    if key is None:
        return roster_key(audit_dir(), make=make)
    return roster_key(key.absolute().parent, key.name, make=make)


def _chosen(columns: str | None) -> dict[str, tuple[str, ...]] | None:
    if columns is None:
        return None
    chosen: dict[str, tuple[str, ...]] = {}
    for part in columns.split(","):
        kind, equals, heading = part.partition("=")
        if not equals or not heading.strip():
            raise click.UsageError("--columns: write KIND=HEADING, with commas between, such as name=Name,dob=Birth")
        chosen[kind.strip()] = (*chosen.get(kind.strip(), ()), heading.strip())
    return chosen


def _instant(now: str | None) -> datetime:
    if now is None:
        return datetime.now(tz=UTC)
    try:
        given = datetime.fromisoformat(now)
    except ValueError:
        raise click.UsageError("--now: give an instant such as 2026-11-20T12:00:00Z") from None
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def _say(rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{rows:,} rows", err=True, nl=False)


def _facts(facts: RosterFacts) -> dict[str, object]:
    return {
        "schema": SCHEMA, "sha256": facts.sha256, "built_at": facts.built_at, "people": facts.people, "entries": dict(facts.entries),
        "key_id": facts.key_id,
    }  # fmt: skip


def _tell(facts: RosterFacts) -> None:
    entries = ", ".join(f"{kind} {count:,}" for kind, count in facts.entries.items() if count)
    click.echo(f"people     {facts.people:,}\nentries    {entries}\nbuilt at   {facts.built_at}")
    if facts.sha256:
        click.echo(f"key        {facts.key_id}\nsha256     {facts.sha256}")
