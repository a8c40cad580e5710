"""``phi-audit sign``: a person puts a name under a report. The tool signs nothing of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from audit import exits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.report import Report

SCHEMA: Final = "phi-audit.sign/1"
_file = click.Path(path_type=Path, dir_okay=False)


@click.command(epilog="Exit codes: 0 signed, 4 the report or a review does not verify, 2 usage or refused, 3 could not finish.")
@click.argument("file", type=_file)
@click.option("--name", required=True, help="Who signs.")
@click.option("--role", type=click.Choice(["scan", "reviewer", "approver"]), required=True,
              help="scan: as it was printed; reviewer: I looked at the sample; approver: I answer for the verdict.")  # fmt: skip
@click.option("--key", "key_name", required=True, help="Name of the key (phi-audit keys list); it must be trusted in the role.")
@click.option("--review", "reviews", multiple=True, type=_file,
              help="A review to take in; the gates are judged again, which makes a new report with a digest of its own.")  # fmt: skip
@click.option("--statement", default="", help="What is signed for, in one line.  [default: what the role says]")
@click.option("--passphrase-from", "source", default="", metavar="VARIABLE|prompt", help="Where the key's passphrase is.")
@click.option("--trust", type=_file, help="List of trusted keys.  [default: the audit's own]")
@click.option("--allow-self", is_flag=True, help="Let a reviewer approve; needs --statement, which says why no second person could.")
@click.option("-o", "--output", type=_file, required=True, help="Where the signed report goes.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
def sign(
    file: Path, name: str, role: str, key_name: str, reviews: tuple[Path, ...], statement: str, source: str, trust: Path | None,
    allow_self: bool, output: Path, fmt: str,
) -> None:  # fmt: skip
    """Verify the report in FILE, take reviews in, and sign it with a key of ours.

    A signature is over the report's digest, computed anew, with role, name, time and statement. Taking reviews in makes another report:
    it names the one it takes the place of, and signatures under that one do not go over to it.

    \b
    Examples:
      phi-audit sign report.json --name "Ada" --role scan --key ada -o signed.json
      phi-audit sign report.json --review ada.json --review ben.json --name "Ben" --role reviewer --key ben -o reviewed.json
      phi-audit sign reviewed.json --name "Cleo" --role approver --key cleo --passphrase-from prompt -o signed.json
    """  # noqa: D301  # \b is click's, against re-wrapping
    from dataclasses import replace  # noqa: PLC0415  # not for --help

    from audit import signing  # noqa: PLC0415
    from audit.chain import append  # noqa: PLC0415
    from audit.cli.keys import read_passphrase  # noqa: PLC0415
    from audit.cli.report import write  # noqa: PLC0415
    from audit.keys import KeyFileError, audit_dir  # noqa: PLC0415
    from audit.report import render  # noqa: PLC0415
    from audit.verification import Unverifiable, verify_report  # noqa: PLC0415

    _check_words(name, statement, allow_self=allow_self)
    where, now = audit_dir(), datetime.now(UTC)
    try:
        trusted = signing.read_trusted(trust or where / signing.TRUSTED)
        found = verify_report(file, trust)
        key = signing.load_key(where, key_name, read_passphrase(source))
    except (KeyFileError, Unverifiable) as fault:
        raise click.UsageError(str(fault)) from None
    if found.report is None or found.faults:
        _refuse("the report does not verify, so nothing was signed", found.faults)
    report, digest, supersedes = found.report, found.digest, ""
    if reviews:
        report, supersedes = _take_in(report, digest, reviews), digest
        digest = report.digest
    _four_eyes(report, name, role, signing.public_key(key), allow_self=allow_self)
    at = now.isoformat(timespec="seconds")
    signature = signing.sign(digest, role, name, at, key, statement)
    if (state := signing.check(signature, digest, trusted)) != "valid":
        msg = f"{key_name}: as {role} this key is {state} under --name; write the name it is trusted under (phi-audit keys list), or"
        raise click.UsageError(f"{msg} compare it with its owner, then: phi-audit keys trust NAME PUBLIC_KEY --role {role}")
    signed = replace(report, signatures=(*report.signatures, signature))
    text = render(signed, "json", frozenset(), width=120, colour=False)
    facts = {"report": digest, "supersedes": supersedes, "role": role, "name": name, "public_key": signature.public_key}
    append(where, "signed", facts, now=now)  # first: what is signed and not written down would not verify against the log
    write(output, text.encode() if isinstance(text, str) else text)
    if fmt == "json":
        told = {"schema": SCHEMA, "digest": digest, "supersedes": supersedes, "verdict": report.verdict.state, "role": role, "name": name}
        click.echo(json.dumps({**told, "at": at, "public_key": signature.public_key, "file": str(output)}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"signed as {role} by {name}: {report.verdict.state.replace('_', '-')}, report {digest}\n{output}")


def _check_words(name: str, statement: str, *, allow_self: bool) -> None:
    for option, text, most in (("--name", name, 100), ("--statement", statement, 300)):
        if len(text) > most or not text.isprintable():
            raise click.UsageError(f"{option}: write one line of at most {most} characters")
    if not name.strip():
        raise click.UsageError("--name: say who signs")
    if allow_self and not statement:
        raise click.UsageError("--allow-self needs --statement, which says why no second person could approve")


def _take_in(report: Report, digest: str, reviews: tuple[Path, ...]) -> Report:
    """The report judged again with its reviews; it names the one it takes the place of, and bears no signature yet."""
    from dataclasses import replace  # noqa: PLC0415  # not for --help

    from audit.assessment import rejudge  # noqa: PLC0415
    from audit.review import document, outcome  # noqa: PLC0415
    from audit.review.record import ReviewError  # noqa: PLC0415
    from audit.verification import review_faults  # noqa: PLC0415

    if report.review is not None:
        raise click.UsageError("the report has reviews already; take all of them in at once, into the report as it was scanned")
    if report.selection is None:
        raise click.UsageError("the report has no sample, so there is nothing that was reviewed; scan again with a sample")
    faults = [fault for path in reviews for fault in review_faults(path, [(digest, report)])]
    if faults:
        _refuse("a review does not verify, so nothing was signed", faults)
    try:
        joined = outcome.join([document.read(path) for path in reviews], report.selection, report_sha256=digest)
    except ReviewError as fault:
        _refuse("the reviews cannot be taken in, so nothing was signed", str(fault).splitlines())
    judged: Report = rejudge(report, joined)
    return replace(judged, custody=replace(judged.custody, supersedes=digest), signatures=())


def _four_eyes(report: Report, name: str, role: str, public_key: str, *, allow_self: bool) -> None:
    from audit.person import fold  # noqa: PLC0415  # not for --help

    names = {fold(each.name) for each in report.review.reviewers} if report.review else set()
    if role == "reviewer" and fold(name) not in names:
        raise click.UsageError("there is no review of that name in the report; take it in with --review")
    reviewed = [each for each in report.signatures if each.role == "reviewer"]
    names |= {fold(each.name) for each in reviewed}
    if role == "approver" and not allow_self and (fold(name) in names or public_key in {each.public_key for each in reviewed}):
        raise click.UsageError("a reviewer may not approve what they reviewed: ask somebody else (or --allow-self with --statement)")


def _refuse(what: str, faults: Iterable[str]) -> NoReturn:
    click.echo(f"phi-audit: {what}", err=True)
    for fault in faults:
        click.echo(f"  {fault}", err=True)
    raise click.exceptions.Exit(exits.BROKEN_EVIDENCE)
