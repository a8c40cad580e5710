"""``phi-audit plan``: how many traces people must read, and what it shows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click

from audit import exits
from audit.cli.scan import ENDPOINT, Since

if TYPE_CHECKING:
    from audit.plan import Plan
    from audit.statistics import Bound

SCHEMA: Final = "phi-audit.plan/1"


class Share(click.ParamType[float]):
    """A share such as ``0.1%`` or ``0.001``, above 0 and up to 1."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)(%?)", str(value))
        share = (float(match[1]) / 100 if match[2] else float(match[1])) if match else 0.0
        if not 0 < share <= 1:
            self.fail("write a share above 0 and up to 1, such as 0.1% or 0.001", param, ctx)
        return round(share, 12)


class Sized(click.ParamType[tuple[str, int]]):
    """A stratum and its size, such as ``book_appointment=1200``."""

    name = "name=n"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([^=]{1,80})=([1-9][0-9]{0,6})", str(value))
        if match is None:
            self.fail("write the stratum's name and how many traces it has, such as bookings=1200", param, ctx)
        return match[1], int(match[2])


@click.command(epilog="Exit codes: 0 done, 2 usage, 3 the project cannot be read, or reading all of it does not show the rate.")
@click.option("--max-leak", type=Share(), default="0.1%", show_default=True, help="Leak rate to rule out.")
@click.option("--confidence", type=Share(), default="95%", show_default=True, help="One-sided.")
@click.option("--population", type=click.IntRange(1, 10_000_000), help="How many traces there are.")
@click.option("--project", default="", help="Count the traces of this project instead.")
@click.option("--since", type=Since(), default="7d", show_default=True, help="With --project: how far back.")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--recall", type=Share(), default="1.0", show_default=True, help="Share of the leaks that a reader sees.")
@click.option("--allow", type=click.IntRange(0, 1000), default=0, show_default=True, help="Leaks that may be seen.")
@click.option("--stratum", "strata", type=Sized(), multiple=True, help="A stratum and its traces; may be given several times.")
@click.option("--plan", "named", default="", help="A plan by name, such as iso-2859-aql-0.10.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def plan(
    max_leak: float, confidence: float, population: int | None, project: str, since: timedelta, endpoint: str, recall: float, allow: int,
    strata: tuple[tuple[str, int], ...], named: str, fmt: str,
) -> int:  # fmt: skip
    """Say how many traces people must read, and what finding nothing in them then shows.

    The bounds are exact: hypergeometric where the number of traces is known, Clopper-Pearson where it is not.

    \b
    Examples:
      phi-audit plan --max-leak 0.1% --population 10000
      phi-audit plan --max-leak 1% --recall 0.95 --allow 1
      phi-audit plan --stratum bookings=4000 --stratum errors=120
      phi-audit plan --plan iso-2859-aql-0.10
    """  # noqa: D301  # \b is click's, against re-wrapping
    if sum(map(bool, (population, project, strata))) > 1:
        raise click.UsageError("give one of --population, --project and --stratum")
    if confidence == 1:
        raise click.UsageError("--confidence must be below 100%")
    if len(dict(strata)) != len(strata):
        raise click.UsageError("a --stratum is given twice")
    from audit import plan as plans  # noqa: PLC0415  # not for --help

    named = next((name for name in plans.ISO_2859 if name.rstrip("0") == named.rstrip("0")), named)
    size = population or (_count(project, since, endpoint) if project else 0)
    if project and not size:
        click.echo("phi-audit: the project has no traces in this time; there is nothing to plan for", err=True)
        return exits.UNPROVEN
    try:
        made = plans.plan(max_leak, confidence, population=size, recall=recall, allow=allow, strata=dict(strata), named=named)
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    click.echo(json.dumps({"schema": SCHEMA, **asdict(made)}, indent=2, ensure_ascii=False) if fmt == "json" else "\n".join(_table(made)))
    return exits.GO if made.n is not None else exits.UNPROVEN


def _count(project: str, since: timedelta, endpoint: str) -> int:
    """Different traces of a project; their ids wait in a temporary file."""
    import sqlite3  # noqa: PLC0415
    from contextlib import closing  # noqa: PLC0415

    from audit.source import SourceError, Window, open_source  # noqa: PLC0415

    now = datetime.now(UTC)
    key = os.environ.get("LANGSMITH_API_KEY", "")
    try:
        source = open_source(project=project, window=Window(now - since, now), file=None, endpoint=endpoint, api_key=key)
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    with closing(sqlite3.connect("")) as held:
        held.execute("CREATE TABLE traces (id TEXT PRIMARY KEY) WITHOUT ROWID")
        held.executemany("INSERT OR IGNORE INTO traces VALUES (?)", _ids(source.runs()))
        return int(held.execute("SELECT count(*) FROM traces").fetchone()[0])


def _ids(runs: Iterable[Mapping[str, object]]) -> Iterable[tuple[str]]:
    return ((str(run.get("trace_id")),) for run in runs)


def _table(made: Plan) -> Iterable[str]:
    from audit.plan import ALL_BELOW  # noqa: PLC0415

    of = f" of {made.population:,}" if made.population else ""
    if made.n is None:
        yield f"Reading all{of} once does not show it: a leak may be overlooked. Have two people read, or raise --recall or --max-leak."
    else:
        yield f"Read {made.n:,}{of} traces."
        yield f"  {made.rule}"
    if made.bound:
        seen = "Nothing found" if not made.allow else f"{made.allow} found"
        yield f"{seen} then shows: {_words(made.bound)}"
    if made.two_sided and not made.parts:
        yield f"Compare two-sided figures with: {made.two_sided.value:.3%} ({made.two_sided.method}, {made.two_sided.level:.4g}, two-sided)"
    if made.steps:
        yield "Leaks seen and traces to read: " + ", ".join(
            f"{step.allow}: {step.n:,}" if step.n else f"{step.allow}: -" for step in made.steps
        )
    for part in made.parts:
        yield f"  {part.name}: read {part.n:,} of {part.population:,}; nothing found shows {part.bound.value:.2%} or less of it leaks"
    yield f"Beside it: nothing found in 10 of 50 still leaves {made.beside.value:.0%}."
    yield (
        f"Below about {ALL_BELOW:,} traces such a sample is nearly all of them: let the machine read all, and people a sample of what "
        "it passed."
    )


def _words(bound: Bound) -> str:
    note = f"; {bound.note}" if bound.note else ""
    return f"at most {bound.value:.3%} leak ({bound.method}, {bound.level:.4g}, one-sided{note})"
