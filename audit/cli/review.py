"""``phi-audit review``: one person walks through the sample, in the terminal or on a page of this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits
from audit.cli.scan import ENDPOINT

if TYPE_CHECKING:
    from audit.review import Review
    from audit.review.reading import Reviewed
    from audit.review.session import Session

SCHEMA: Final = "phi-audit.review-summary/1"
_WINDOW_DAYS: Final = 365


@click.command(epilog="Exit codes: 0 the review has ended, 2 usage, no terminal, or a file that cannot be used, 3 left for later or could not finish, 4 the report was changed, 130 interrupted (what was decided is kept).")  # fmt: skip  # noqa: E501
@click.argument("report", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--reviewer", required=True, help="Your name; it stands in the review.")
@click.option("--from", "file", type=click.Path(path_type=Path), help="The exported file that was scanned.")
@click.option("--project", default="", help="Project to read.  [default: the report's]")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The review's file; gone on with if it is there.")  # fmt: skip  # noqa: E501
@click.option("--web", is_flag=True, help="Review on a page of this machine instead of the terminal.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="With --web: on 127.0.0.1; 0 takes a free one.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer at the end.")
def review(
    report: Path, reviewer: str, file: Path | None, project: str, endpoint: str, output: Path, web: bool, port: int, fmt: str
) -> int:
    """Walk through the report's sample: clear, leak or unsure, one trace after the other.

    Values are shown to you alone, after you agreed; that is written to the audit's log. Some traces are copies with a synthetic value
    planted: how many of those you find says how far "clear" can be relied on. You can stop at any time and go on later.

    \b
    Examples:
      phi-audit review report.json --reviewer "R. Keller" --from export.jsonl -o keller.json
      phi-audit review report.json --reviewer "R. Keller" -o keller.json --web
    """  # noqa: D301  # \b is click's, against re-wrapping
    if not web and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("values are shown on a terminal only, and this is none; run it in one, or use --web")
    if not reviewer.isprintable() or not 0 < len(reviewer.strip()) <= 100:
        raise click.UsageError("--reviewer: give a name of one line, at most 100 characters")
    from audit.review.reading import Altered, read_report  # noqa: PLC0415  # not for --help
    from audit.review.record import ReviewError  # noqa: PLC0415

    try:
        reviewed = read_report(report)
    except Altered as fault:
        click.echo(f"phi-audit: {fault}", err=True)
        return exits.BROKEN_EVIDENCE
    except ReviewError as fault:
        raise click.UsageError(str(fault)) from None
    session = _begin(reviewed, reviewer.strip(), file, project or reviewed.project, endpoint, output)
    facts: dict[str, str | int] = {"report": reviewed.sha256, "selection": reviewed.selection.sha256, "items": session.total}
    if web:
        from audit.review.web import serve  # noqa: PLC0415  # starlette and uvicorn

        serve(session, port=port, consented=lambda: log("review_opened", facts), announce=_announce)
    else:
        _in_terminal(session, facts)
    done = session.review
    if not done.ended:
        click.echo(f"phi-audit: {session.done} of {session.total} decided and kept in {output}; run the same command to go on", err=True)
        return exits.UNPROVEN
    log("review_closed", {**facts, "review": done.sha256, "decided": len(done.decisions)})
    click.echo(_summary(done, fmt))
    return exits.GO


def log(event: str, facts: Mapping[str, str | int]) -> None:
    """Write to the audit's own log. What cannot be logged is not shown: its fault ends the command."""
    from audit import chain  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    chain.append(audit_dir(), event, facts, now=datetime.now(UTC))


def _begin(reviewed: Reviewed, reviewer: str, file: Path | None, project: str, endpoint: str, output: Path) -> Session:
    """The session, new or gone on with, its traces read."""
    from audit.keys import audit_dir, fingerprint_key  # noqa: PLC0415
    from audit.review import document  # noqa: PLC0415
    from audit.review.queue import line_up  # noqa: PLC0415
    from audit.review.reading import gather  # noqa: PLC0415
    from audit.review.record import Review, ReviewError  # noqa: PLC0415
    from audit.review.session import Session  # noqa: PLC0415
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415

    key = fingerprint_key(audit_dir())
    now = datetime.now(UTC)
    window = Window(_instant(reviewed.since) or now - timedelta(days=_WINDOW_DAYS), _instant(reviewed.until) or now)
    if file is None and not project:
        raise click.UsageError("the report names no project; give --from FILE or --project NAME")
    try:
        source = open_source(project=project, window=window, file=file, endpoint=endpoint, api_key=os.environ.get("LANGSMITH_API_KEY", ""))
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    traces = gather(source.runs(), reviewed.selection)
    missing = len(reviewed.selection.trace_ids) - len(traces)
    if not traces:
        raise ReviewError("none of the sampled traces can be read there; name the source that was scanned")
    if missing:
        click.echo(f"phi-audit: {missing} of the sampled traces are no longer there; they stay undecided", err=True)
    items = line_up(reviewed.selection, traces, key=key, report_sha256=reviewed.sha256, reviewer=reviewer)
    made = Review(reviewer, reviewed.sha256, reviewed.selection.sha256, now.isoformat(timespec="seconds"), "", len(items), missing, 0, ())
    try:
        if output.exists():
            held = document.read(output)
            if (held.reviewer, held.report_sha256, held.selection_sha256) != (reviewer, reviewed.sha256, reviewed.selection.sha256):
                raise ReviewError(f"{output}: is the review of another reviewer, report or sample; name another file with -o")
            made = held
        else:
            made = document.write(made, output)
        return Session(items, traces, made, output, lambda: datetime.now(UTC))
    except ReviewError as fault:
        raise click.UsageError(str(fault)) from None


def _in_terminal(session: Session, facts: Mapping[str, str | int]) -> None:
    from audit.review.page import CONSENT, WARNING  # noqa: PLC0415

    click.echo(WARNING)
    if click.prompt(f"Type {CONSENT} to go on", default="", show_default=False) != CONSENT:
        return
    log("review_opened", facts)
    while True:
        item = session.current()
        if item is None:
            answer = click.prompt("All are decided. End the review (e), take the last back (z), or leave it for later (q)", default="q")
            if answer == "e":
                session.close()
                return
        else:
            click.clear()
            lines = session.lines(item)
            click.echo(f"{session.done + 1} of {session.total}")
            for run, shown in groupby(enumerate(lines, 1), key=lambda pair: pair[1].place.split(".")[0]):
                click.echo(f"\nrun {run}")
                for n, line in shown:
                    click.echo(f"  {n:>3}  {_plain(line.label)}: {_plain(line.text)}")
            answer = click.prompt("\nclear (c), leak (l), unsure (u), take the last back (z), later (q)", default="", show_default=False)
            if answer == "c":
                session.decide(item.token, "clear")
            elif answer == "u":
                session.decide(item.token, "unsure", comment=_choose("comment", _comments()))
            elif answer == "l":
                n = click.prompt("number of the line", type=click.IntRange(1, len(lines)))
                session.decide(item.token, "leak", entity=_choose("class", _entities()), place=lines[n - 1].place)
        if answer == "z":
            session.undo()
        elif answer == "q":
            return


def _choose(what: str, among: tuple[str, ...]) -> str:
    click.echo("  ".join(f"{n} {each or 'none'}" for n, each in enumerate(among, 1)))
    return among[click.prompt(f"{what}, by number", type=click.IntRange(1, len(among)), default=1) - 1]


def _entities() -> tuple[str, ...]:
    from audit.review.record import ENTITIES  # noqa: PLC0415

    return ENTITIES


def _comments() -> tuple[str, ...]:
    from audit.review.record import COMMENTS  # noqa: PLC0415

    return COMMENTS


def _plain(text: str) -> str:
    """A value that cannot steer the terminal it is shown on."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _announce(address: str) -> None:
    click.echo(f"phi-audit: open this in a browser on this machine; it opens once: {address}", err=True)


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _summary(done: Review, fmt: str) -> str:
    leaks = sum(decision.said == "leak" for decision in done.decisions)
    unsure = sum(decision.said == "unsure" for decision in done.decisions)
    found = sum(plant.found for plant in done.planted)
    if fmt == "json":
        told = {"schema": SCHEMA, "reviewer": done.reviewer, "decided": len(done.decisions), "leaks": leaks, "unsure": unsure}
        told |= {"planted": len(done.planted), "planted_found": found, "missing": done.missing, "sha256": done.sha256}
        return json.dumps(told, indent=2, ensure_ascii=False)
    return (
        f"{len(done.decisions)} traces decided: {leaks} leaking, {unsure} unsure.\n"
        f"Of {len(done.planted)} known answers {found} were found.\n"
        f"sha256 {done.sha256}"
    )
