"""What people add to a review in `phi-audit gonogo`: their reviews of the sample, and a name under the report that verified first."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from audit.report import Report


def with_people(report: Report, directory: Path, given: dict[str, Any]) -> Report:
    """The report with the reviews in it and a name under it, where they were given: then it must verify first, as for `phi-audit sign`."""
    if not (given["reviews"] or given["key_name"]):
        return report
    from audit import consistency  # noqa: PLC0415
    from audit.cli.sign import _four_eyes, _refuse, _take_in  # noqa: PLC0415  # what `phi-audit sign` asks for is asked for here

    reviews: tuple[Path, ...] = given["reviews"]
    before = report.digest
    _verify(report, directory, given["trust"])
    if reviews:
        for path in reviews:
            if not path.is_file():
                raise click.UsageError(f"{path}: there is no such review")
        report = _take_in(report, before, reviews)
        if faults := list(consistency.check(report)):
            _refuse("the report with its reviews contradicts itself, so nothing was signed", faults)
    if not given["key_name"]:
        _log("report", {"report": report.digest, "supersedes": before, "verdict": report.verdict.state})
        return report
    from dataclasses import replace  # noqa: PLC0415

    from audit import signing  # noqa: PLC0415
    from audit.cli.keys import read_passphrase  # noqa: PLC0415
    from audit.keys import KeyFileError, audit_dir  # noqa: PLC0415

    where, at = audit_dir(), datetime.now(UTC).isoformat(timespec="seconds")
    role: signing.Role = given["role"] or ("approver" if reviews else "scan")
    try:
        trusted = signing.read_trusted(given["trust"] or where / signing.TRUSTED)
        key = signing.load_key(where, given["key_name"], read_passphrase(given["passphrase"]))
    except KeyFileError as fault:
        raise click.UsageError(str(fault)) from None
    _four_eyes(report, given["name"], role, signing.public_key(key), allow_self=False)
    signature = signing.sign(report.digest, role, given["name"], at, key, given["statement"])
    if (state := signing.check(signature, report.digest, trusted)) != "valid":
        name = given["key_name"]
        raise click.UsageError(
            f"{name}: as {role} this key is {state} under the name of --name; write the name it is trusted under (phi-audit keys list), or"
            f" compare it with its owner, then: phi-audit keys trust NAME PUBLIC_KEY --role {role}"
        )
    supersedes = before if reviews else ""
    facts = {"report": report.digest, "supersedes": supersedes, "role": role, "name": given["name"], "public_key": signature.public_key}
    _log("signed", facts)
    return replace(report, signatures=(*report.signatures, signature))


def _verify(report: Report, directory: Path, trust: Path | None) -> None:
    """The scan as it lies in the directory is the report that was judged, and holds together."""
    from audit.cli.sign import _refuse  # noqa: PLC0415
    from audit.gonogo.kept import SCAN  # noqa: PLC0415
    from audit.keys import KeyFileError  # noqa: PLC0415
    from audit.verification import Unverifiable, verify_report  # noqa: PLC0415

    try:
        found = verify_report(directory / SCAN, trust)
    except (KeyFileError, Unverifiable) as fault:
        raise click.UsageError(str(fault)) from None
    faults = found.faults or (() if found.digest == report.digest else (f"{SCAN}: digest: is not that of the report that was judged",))
    if faults:
        _refuse("the report does not verify, so nothing was taken in or signed", faults)


def _log(event: str, facts: dict[str, str]) -> None:
    """What is not written down would not verify against the log: its fault ends the command."""
    from audit import chain  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    chain.append(audit_dir(), event, facts, now=datetime.now(UTC))
