"""``phi-audit purge``: delete the traces that hold findings, and see that they are gone."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.purge import Purge, Store
    from audit.report.model import Report

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Length(click.ParamType[float]):
    """A length of time such as ``90s`` or ``10m``, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(0|[1-9][0-9]{0,4})([smhd])", str(value))
        if match is None:
            self.fail("write a number and a unit, such as 90s, 10m, 36h or 7d", param, ctx)
        return float(int(match[1]) * _UNITS[match[2]])


@click.command(epilog="Exit codes: 0 all gone (or counted only), 2 usage, 3 not all gone yet, 4 report altered, 130 interrupted.")
@click.argument("report", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--trace", "traces", multiple=True, metavar="ID", help="Only this trace of the findings; may be given again.")
@click.option("--yes", is_flag=True, help="Really delete. Without it the traces are only counted.")
@click.option("--dry-run", is_flag=True, help="Only count, even with --yes; the default.")
@click.option("--project", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to delete in; must be the report's.")
@click.option("--endpoint", default="https://api.smith.langchain.com", envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True,
              help="LangSmith's address; its host must be the report's.")  # fmt: skip
@click.option("--wait", type=Length(), default="10m", show_default=True, help="How long to look until they are gone: 90s, 10m, 36h.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the receipts there; needed with --yes.")
@click.option("--resume", type=click.Path(path_type=Path, dir_okay=False), help="Go on from these receipts, and write them there.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def purge(
    report: Path | None, traces: tuple[str, ...], *, yes: bool, dry_run: bool, project: str | None, endpoint: str, wait: float,
    output: Path | None, resume: Path | None, fmt: str,
) -> int:  # fmt: skip
    """Delete the traces in which REPORT has findings, and look until they are gone. Nothing is deleted without --yes.

    Trace ids leave, and nothing else. LangSmith deletes at the weekend and does not confirm it, so that --wait will often be over first:
    go on later with --resume. The key comes from LANGSMITH_API_KEY.

    \b
    Examples:
      phi-audit purge report.json
      phi-audit purge report.json --yes -o receipts.json
      phi-audit purge --resume receipts.json --yes --wait 1h
    """  # noqa: D301  # \b is click's, against re-wrapping
    if (report is None) == (resume is None):
        raise click.UsageError("name a report, or receipts to go on from with --resume")
    if resume and (traces or output):
        raise click.UsageError("--resume goes on with the same traces, in the same file: leave --trace and -o away")
    from audit.purge import Store  # noqa: PLC0415  # not for --help: loads urllib3

    held = _resumed(resume) if resume else _begun(report, traces, endpoint, project)
    if project and project != held.project:
        raise click.UsageError("the findings lie in another project than --project (or LANGSMITH_PROJECT) names; leave it away")
    store = Store(endpoint=endpoint, api_key=os.environ.get("LANGSMITH_API_KEY", ""), project=held.project)
    if store.host != held.host:
        raise click.UsageError(f"the findings lie at {held.host}, and --endpoint names {store.host}; name the same")
    left = len(held.receipts) - held.count("gone")
    click.echo(f"{left} of {len(held.receipts)} traces with findings to be deleted: {held.project} at {held.host}", err=True)
    if held.unnamed:
        click.echo("findings lie in runs without a trace id that could be deleted: look for them by hand", err=True)
    kept_in = output or resume
    if dry_run or not yes:
        click.echo("nothing was deleted; add --yes. What is gone cannot be assessed any more: look at its extent first", err=True)
        _tell(held, fmt)
        return exits.GO
    if kept_in is None:
        raise click.UsageError("name a file for the receipts: -o receipts.json")
    if output is not None and output.exists():
        raise click.UsageError(f"{output}: is there already; go on from it with --resume, or name another file")
    return _carry_out(held, store, kept_in, wait, fmt)


def _carry_out(held: Purge, store: Store, kept_in: Path, wait: float, fmt: str) -> int:
    from audit.purge import PurgeError, run  # noqa: PLC0415  # not for --help
    from audit.purge_file import read, write  # noqa: PLC0415

    write(held, kept_in)
    _log("purge_asked", held)
    code = exits.GO
    try:
        held = run(held, store, lambda now: write(now, kept_in), wait_s=wait)
    except PurgeError as fault:
        click.echo(f"phi-audit: {fault}", err=True)
        held, code = read(kept_in), exits.UNPROVEN
    except KeyboardInterrupt:
        click.echo(f"phi-audit: interrupted; go on with: phi-audit purge --resume {kept_in} --yes", err=True)
        held, code = read(kept_in), exits.INTERRUPTED
    _log("purge_done", held)
    _tell(held, fmt)
    if code == exits.GO and not held.done:
        click.echo(f"phi-audit: not all are gone; go on later with: phi-audit purge --resume {kept_in} --yes", err=True)
        code = exits.UNPROVEN
    return code


def _begun(path: Path | None, traces: tuple[str, ...], endpoint: str, project: str | None) -> Purge:
    from urllib.parse import urlsplit  # noqa: PLC0415  # not for --help

    from audit.purge import PurgeError, begin  # noqa: PLC0415

    assert path is not None  # noqa: S101 - the caller has looked
    report = read_report(path)
    host = urlsplit(endpoint).hostname or ""
    if project and report.target.project != project:
        raise click.UsageError(f"{path}: is about another project than --project (or LANGSMITH_PROJECT) names")
    if _host(report) != host:
        raise click.UsageError(f"{path}: was read from {report.target.place}, and --endpoint names {host or 'no host'}; name the same")
    try:
        return begin(
            (found.trace_id for found in report.findings if traces or found.severity != "low"),
            report_digest=report.digest, host=host, project=report.target.project, only=traces, now=datetime.now(UTC),
        )  # fmt: skip
    except PurgeError as fault:
        raise click.UsageError(str(fault)) from None


def _host(report: Report) -> str:
    """The host that the report was read from; empty for one made from a file."""
    manifest = report.manifest
    if manifest is None:
        return report.target.place.removeprefix("LangSmith at ")
    return "" if manifest.query.get("protocol") in {"jsonl", "parquet"} else manifest.host


def _resumed(path: Path) -> Purge:
    from audit.purge import PurgeError  # noqa: PLC0415  # not for --help
    from audit.purge_file import read  # noqa: PLC0415

    try:
        return read(path)
    except PurgeError as fault:
        raise click.UsageError(str(fault)) from None


def read_report(path: Path) -> Report:
    """The report in a file. One that was altered ends the command with 4, one that cannot be read with 2."""
    from audit.report import document  # noqa: PLC0415  # not for --help: loads pydantic

    try:
        return document.read(path)
    except document.DocumentError as fault:
        if fault.code != "altered":
            raise click.UsageError(str(fault)) from None
        click.echo(f"phi-audit: {fault}", err=True)
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE) from None


def _log(event: str, held: Purge) -> None:
    """Write down how far it is; where the log takes nothing the receipts still say it."""
    from audit import chain  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.purge_file import digest  # noqa: PLC0415
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415

    facts = {"report": held.report_digest, "traces": len(held.receipts), "gone": held.count("gone"), "receipts": digest(held)}
    try:
        chain.append(audit_dir(), event, facts, now=datetime.now(UTC))
    except (PhiGuardError, OSError) as fault:
        click.echo(f"phi-audit: the audit's log takes no entry ({type(fault).__name__}); the receipts are written all the same", err=True)


def _tell(held: Purge, fmt: str) -> None:
    from audit.purge import NOTES  # noqa: PLC0415  # not for --help
    from audit.purge_file import as_json  # noqa: PLC0415

    if fmt == "json":
        click.echo(as_json(held))
        return
    words = {
        "gone": "gone",
        "asked": "asked for, still there",
        "waiting": "not asked for",
        "refused": "refused",
        "absent": "not seen there",
    }
    for receipt in held.receipts:
        since = f"asked {receipt.asked_at} (HTTP {receipt.status})" if receipt.asked_at else ""
        ended = f", gone {receipt.gone_at} after {receipt.checks} looks" if receipt.gone_at else ""
        click.echo(f"{receipt.trace_id}  {words.get(receipt.state, receipt.state):<22}  {since}{ended}".rstrip())
    click.echo(f"{held.count('gone')} of {len(held.receipts)} gone")
    for note in NOTES:
        click.echo(note)
