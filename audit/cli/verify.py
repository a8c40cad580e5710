"""``phi-audit verify``: whether reports, reviews, renderings and the log are what they were when they were made. Offline."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from audit import exits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from audit.chain import Verdict as LogVerdict
    from audit.verification import Verified

SCHEMA: Final = "phi-audit.verify/1"


@click.command(epilog="Exit codes: 0 all holds, 4 something does not verify, 2 usage, 3 something could not be checked.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--log", "log", type=click.Path(path_type=Path, file_okay=False), help="Directory of the audit's log: it must name the reports."
)
@click.option("--anchor", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_AUDIT_ANCHOR", show_envvar=True,
              help="Copy of the log's heads, kept elsewhere; used with --log.")  # fmt: skip
@click.option("--trust", type=click.Path(path_type=Path, dir_okay=False), help="List of trusted keys.  [default: the audit's own]")
@click.option("--policy", type=click.Path(path_type=Path, dir_okay=False), help="Policy that the scan must have judged by.")
@click.option("--require", multiple=True, type=click.Choice(["scan", "reviewer", "approver"]), help="A valid signature in this role.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def verify(
    files: tuple[Path, ...],
    log: Path | None,
    anchor: Path | None,
    trust: Path | None,
    policy: Path | None,
    require: tuple[str, ...],
    fmt: str,
) -> None:
    """Check evidence without a network: digests computed anew, numbers that must follow from others, signatures, reviews, the log.

    FILES are reports (JSON), reviews, and pages, PDFs and so on that were rendered from one of the reports named with them.

    \b
    Examples:
      phi-audit verify report.json
      phi-audit verify signed.json review-ada.json report.pdf --require approver
      phi-audit verify signed.json --log ~/.local/state/phi-guard/audit --anchor /mnt/other/phi-audit.anchor
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.keys import KeyFileError  # noqa: PLC0415  # not for --help
    from audit.verification import (  # noqa: PLC0415
        RENDERED,
        Unverifiable,
        joined_faults,
        review_faults,
        verify_log,
        verify_rendered,
        verify_report,
    )

    pages = [file for file in files if file.suffix.lower() in RENDERED]
    try:
        reviews = [file for file in files if file not in pages and _is_review(file)]
        checked = [(file.name, verify_report(file, trust)) for file in files if file not in pages and file not in reviews]
        known = [(found.digest, found.report) for _, found in checked if found.report is not None]
        log_verdict, between = verify_log(log, anchor, checked) if log is not None else (None, ())
    except (KeyFileError, Unverifiable) as fault:
        raise click.UsageError(str(fault)) from None
    unchecked: list[str] = []
    of_reviews = {file: _tried(file.name, "review", partial(review_faults, file, known), unchecked) for file in reviews}
    sound = [file for file, row in of_reviews.items() if row and row["holds"]]
    rows: list[dict[str, Any]] = []
    for name, found in checked:
        joined = joined_faults(sound, name, found.report) if found.report else ()
        faults = [*found.faults, *joined, *_lacking(name, found, require, policy)]
        rows.append(_row(name, "report", faults, found.notes) | _of_report(found))
    plain = [report for _, report in known]
    of_pages = [_tried(page.name, RENDERED[page.suffix.lower()], partial(verify_rendered, page, plain), unchecked) for page in pages]
    rows += [row for row in (*of_reviews.values(), *of_pages) if row is not None]
    told_log = _of_log(log_verdict, between) if log_verdict is not None else None
    holds = all(row["holds"] for row in rows) and (told_log is None or told_log["holds"])
    if fmt == "json":
        told = {"schema": SCHEMA, "holds": holds and not unchecked, "files": rows, "log": told_log, "unchecked": unchecked}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _tell(rows, told_log, unchecked)
    if not holds:
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE)
    if unchecked:
        raise click.exceptions.Exit(exits.UNPROVEN)


def _tried(name: str, kind: str, check: Callable[[], Iterable[str]], unchecked: list[str]) -> dict[str, Any] | None:
    """What a check finds; None where it cannot be made, which is written down: nothing is said to hold."""
    from audit.verification import Unverifiable  # noqa: PLC0415  # not for --help

    try:
        return _row(name, kind, check())
    except Unverifiable as fault:
        unchecked.append(str(fault))
        return None


def _of_log(verdict: LogVerdict, between: tuple[str, ...]) -> dict[str, Any]:
    return {
        "holds": verdict.holds and not between,
        "entries": verdict.entries,
        "anchored": verdict.anchored,
        "head": {"n": verdict.head.n, "sha256": verdict.head.sha256},
        "faults": [*verdict.faults, *between],
    }


def _is_review(file: Path) -> bool:
    from audit.verification import load  # noqa: PLC0415  # not for --help

    try:
        return str(load(file).get("schema", "")).startswith("phi-audit.review/")
    except ValueError:
        return False  # it is told as a report that is none


def _row(name: str, kind: str, faults: Iterable[str], notes: Iterable[str] = ()) -> dict[str, Any]:
    faults = list(faults)
    return {"file": name, "kind": kind, "holds": not faults, "faults": faults, "notes": list(notes)}


def _of_report(found: Verified) -> dict[str, Any]:
    return {
        "digest": found.digest,
        "verdict": found.report.verdict.state if found.report else None,
        "signatures": [
            {"role": each.signature.role, "name": each.signature.name, "at": each.signature.at, "state": each.state}
            for each in found.signatures
        ],
    }


def _lacking(name: str, found: Verified, require: tuple[str, ...], policy: Path | None) -> Iterable[str]:
    roles = {each.role for each in found.signers}
    yield from (f"{name}: signatures: no valid one as {role}" for role in require if role not in roles)
    if policy is not None and found.report is not None:
        target = found.report.target
        if _digest_of(policy, target.env) != target.policy_digest:
            yield f"{name}: target.policy_digest: is not that of {policy.name} for {target.env}"


def _digest_of(policy: Path, env: str) -> str:
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.policy import load_policy  # noqa: PLC0415

    try:
        return load_policy(policy, env=env).digest
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None


def _tell(rows: list[dict[str, Any]], told_log: dict[str, Any] | None, unchecked: list[str]) -> None:
    for row in rows:
        says = f"  {str(row['verdict']).replace('_', '-')}  {row['digest'][:16]}" if row.get("verdict") else ""
        click.echo(f"{'holds' if row['holds'] else 'DOES NOT HOLD'}  {row['file']} ({row['kind']}){says}")
        for each in row.get("signatures", ()):
            click.echo(f"  {each['state']:<9}  {each['role']:<8}  {each['name']}  {each['at']}")
        for what in row["faults"]:
            click.echo(f"  {what}")
        for what in row["notes"]:
            click.echo(f"  note: {what}")
    if told_log is not None:
        click.echo(f"{'holds' if told_log['holds'] else 'DOES NOT HOLD'}  the audit's log ({told_log['entries']} entries)")
        for what in told_log["faults"]:
            click.echo(f"  {what}")
        named = f"anchored up to entry {told_log['anchored']}" if told_log["anchored"] >= 0 else "no anchor"
        click.echo(f"  head {told_log['head']['n']} {told_log['head']['sha256']}; {named}")
    for what in unchecked:
        click.echo(f"not checked  {what}")
