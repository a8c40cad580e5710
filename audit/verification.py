"""Verification: whether evidence is what it was when it was made, offline. Each fault is told as ``file: path: what``.

A report holds if it has the published form, its digest is the one computed anew, all that follows from other parts does follow, and every
signature under it is valid, by a key that is trusted in its role. With the audit's log, also if the log names it and it names the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from audit import chain, consistency, signing, vouching
from audit.binding import moment_of
from audit.custody import Signature
from audit.keys import audit_dir
from audit.person import fold
from audit.report import FORMATS, Report, document, render
from phi_guard.errors import PhiGuardError

FAULTS_MAX: Final = 50
CLOCKS: Final = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""
RENDERED: Final[Mapping[str, str]] = {
    ".html": "html", ".htm": "html", ".md": "md", ".pdf": "pdf", ".sarif": "sarif", ".xml": "junit", ".csv": "csv", ".txt": "table",
}  # fmt: skip
"""The format that a file's suffix tells, of those a report is rendered in."""


class Unverifiable(PhiGuardError):
    """Something cannot be verified as it was given (unreadable, or without what it belongs to); the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature under a report and what it is worth.

    Args:
        signature: itself.
        state: ``valid``, ``invalid``, ``untrusted`` or ``expired``.
    """

    signature: Signature
    state: signing.State


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of one report says.

    Args:
        report: the report; None where it has not the form of one.
        faults: why it does not verify, ``file: path: what``; empty if it does.
        signers: the signatures that are valid, by keys trusted in their role.
        signatures: all of them.
        digest: computed anew; empty where the file is no report.
        notes: what is no fault and ought to be known.
        standing: those of the signers whose key is trusted now; one whose trust has ended could have dated its signature back.
    """

    report: Report | None
    faults: tuple[str, ...]
    signers: tuple[Signature, ...] = ()
    signatures: tuple[Signed, ...] = ()
    digest: str = ""
    notes: tuple[str, ...] = ()
    standing: tuple[Signature, ...] = ()


def verify_report(path: Path, trust: Path | None = None, *, now: datetime | None = None) -> Verified:
    """Check one report by itself.

    Args:
        path: of its JSON.
        trust: the list of trusted keys; None for the one in the audit's directory.
        now: with a zone; None for the clock's.

    Raises:
        Unverifiable: the file cannot be read.
        KeyFileError: the list of trusted keys cannot be used.
    """
    trusted = signing.read_trusted(trust if trust is not None else audit_dir() / signing.TRUSTED)
    name = path.name
    try:
        report = document.parse(_bytes(path), name)
    except document.DocumentError as fault:
        return Verified(None, fault.faults)
    digest = report.digest  # computed anew; that the file gives the same, the document has seen to
    faults = [f"{name}: {what}" for what in consistency.check(report)]
    signed = tuple(Signed(each, signing.check(each, digest, trusted)) for each in report.signatures)
    faults += [f"{name}: signatures[{place}]: {_worth(each)}" for place, each in enumerate(signed) if each.state != "valid"]
    now = now or datetime.now(UTC)
    faults += [f"{name}: {what}" for what in _out_of_time(report, now)]
    signers = tuple(each.signature for each in signed if each.state == "valid")
    faults += [f"{name}: {what}" for what in _one_as_two(report, signers)]
    standing = tuple(each for each in signers if signing.stands(each, trusted, now))
    return Verified(report, tuple(faults[:FAULTS_MAX]), signers, signed, digest, tuple(_notes(report, signers, standing)), standing)


def verify_log(directory: Path, anchor: Path | None, reports: Sequence[tuple[str, Verified]]) -> tuple[chain.Verdict, tuple[str, ...]]:
    """Check the audit's log, and that it and the reports name each other.

    Args:
        directory: where the log is.
        anchor: the copy of its heads, or None.
        reports: file name and check of each report.

    Returns:
        What the log says of itself, and each fault between it and the reports.

    Raises:
        LogUnusable: a file cannot be read.
    """
    verdict = chain.verify(directory, anchor)
    wanted = {(each.report.custody.log_n, each.report.custody.log_sha256): name for name, each in reports if each.report is not None}
    named: dict[str, int] = {}
    for entry in chain.entries(directory):
        wanted.pop((entry.n, entry.sha256), None)
        digest = entry.facts.get("report")
        if entry.event in {"report", "signed"} and isinstance(digest, str):
            named.setdefault(digest, entry.n)
    faults = [f"{name}: custody.log_sha256: the log has no such entry" for (n, _), name in wanted.items() if n >= 0]
    for name, each in reports:
        if each.report is None:
            continue
        at = named.get(each.digest)
        if at is None:
            faults.append(f"{name}: digest: the log does not name this report")
        elif at <= each.report.custody.log_n:
            faults.append(f"{name}: custody.log_n: the log named this report before the entry that it names itself")
        seen = each.report.monitoring
        if seen is not None and seen.vouched and not vouching.holds(seen, directory):
            faults.append(f"{name}: monitoring.vouched: the log does not hold the journal of this watch with these figures")
    return verdict, tuple(faults)


def review_faults(path: Path, reports: Sequence[tuple[str, Report]]) -> tuple[str, ...]:
    """Check a review: its own form and digest, and that it is of one of the reports, or was taken in by one.

    Args:
        path: of the review.
        reports: digest and report of each that was given with it.

    Raises:
        Unverifiable: it cannot be read, or no report was given with it.
    """
    from audit.review import document as reviews  # noqa: PLC0415  # the models of a review load only with one

    if not reports:
        raise Unverifiable(f"{path.name}: a review cannot be verified alone; name its report beside it")
    try:
        load(path)
        review = reviews.read(path)
    except ValueError as fault:
        return (f"{path.name}: {fault}",)
    except PhiGuardError as fault:
        return tuple(line.replace(str(path), path.name) for line in str(fault).splitlines())
    of = [report for digest, report in reports if digest == review.report_sha256]
    into = [report for _, report in reports if report.custody.supersedes == review.report_sha256]
    if not of and not into:
        return (f"{path.name}: report_sha256: is of another report",)
    if any(report.selection is None or report.selection.sha256 != review.selection_sha256 for report in (*of, *into)):
        return (f"{path.name}: selection_sha256: is of another sample",)
    taken = {each.file_sha256 for report in into if report.review for each in report.review.reviewers}
    if into and not of and review.sha256 not in taken:
        return (f"{path.name}: sha256: is none of the reviews that the report took in: it was changed since, or came later",)
    return ()


def joined_faults(paths: Sequence[Path], name: str, report: Report) -> tuple[str, ...]:
    """Check that what a report says of its reviews is what they come to, where all of them are given.

    Args:
        paths: of reviews without faults.
        name: of the report's file.
        report: it.
    """
    from audit.review import document as reviews  # noqa: PLC0415
    from audit.review import outcome  # noqa: PLC0415

    if report.review is None or report.selection is None:
        return ()
    given = {review.sha256: review for review in map(reviews.read, paths)}
    wanted = [each.file_sha256 for each in report.review.reviewers]
    if not set(wanted) <= set(given):
        return ()
    try:
        again = outcome.join([given[each] for each in wanted], report.selection, report_sha256=report.custody.supersedes)
    except PhiGuardError as fault:
        return (f"{name}: review: {fault}",)
    return () if again == report.review else (f"{name}: review: is not what the reviews come to",)


def verify_rendered(path: Path, reports: Iterable[Report]) -> tuple[str, ...]:
    """Check a rendered report: it must be, byte for byte, what one of the reports renders to, with its signatures or some of them.

    Args:
        path: of the page, the PDF and so on.
        reports: that were given with it.

    Raises:
        Unverifiable: it cannot be read, its format is none of ours, or no report was given with it.
    """
    fmt = RENDERED.get(path.suffix.lower(), "")
    if fmt not in FORMATS:
        raise Unverifiable(f"{path.name}: is neither a report's JSON, nor a review, nor what a report is rendered to")
    reports = list(reports)
    if not reports:
        raise Unverifiable(f"{path.name}: cannot be verified alone; name the JSON of its report beside it")
    content = _bytes(path)
    for report in reports:
        for n in range(len(report.signatures), -1, -1):
            text = render(replace(report, signatures=report.signatures[:n]), fmt, frozenset(), width=120, colour=False)
            if content == (text if isinstance(text, bytes) else text.encode()):
                return ()
    return (f"{path.name}: is not what the report renders to with this version: it was changed, or is of another report or version",)


def load(path: Path) -> dict[str, Any]:
    """A JSON object, strictly: no key twice, no NaN.

    Raises:
        ValueError: it is none; says where.
        Unverifiable: the file cannot be read.
    """
    try:
        held = json.loads(_bytes(path).decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        raise ValueError(f"line {fault.lineno}: is no JSON: it was cut or changed") from None
    except UnicodeDecodeError:
        raise ValueError("is no UTF-8") from None
    except RecursionError:
        raise ValueError("is nested too deep") from None
    if not isinstance(held, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004  # a fault of the file, as the others
    return held


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            held = file.read(document.LARGEST + 1)  # a device may have no end
    except OSError as fault:
        raise Unverifiable(f"{path}: cannot be read ({fault.strerror})") from None
    if len(held) > document.LARGEST:
        raise Unverifiable(f"{path}: is larger than {document.LARGEST >> 20} MiB: it is none of ours")
    return held


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return held


def _no_constant(_name: str) -> None:
    raise ValueError("holds a number that is none")


def _worth(signed: Signed) -> str:
    key = f"{signed.signature.public_key[:16]}…"
    return {
        "invalid": "is not valid: the report or the signature was changed, or it was made under another report",
        "untrusted": f"the key {key} is not trusted as {signed.signature.role} of that name; compare it with its owner, then phi-audit keys"
        " trust",
        "expired": f"the key {key} was not trusted as {signed.signature.role} at the time it signed",
    }.get(signed.state, "")


def _out_of_time(report: Report, now: datetime) -> Iterator[str]:
    """What cannot have been when it says: made after now, or signed before it was made."""
    made = moment_of(report.target.made_at)
    if made is None or made > now + CLOCKS:
        yield "target.made_at: is at no time that has been"
    for place, each in enumerate(report.signatures):
        at = moment_of(each.at)
        if at is None or at > now + CLOCKS:
            yield f"signatures[{place}].at: is at no time that has been"
        elif made is not None and at < made - CLOCKS:
            yield f"signatures[{place}].at: is before the report was made"


def _one_as_two(report: Report, signers: Sequence[Signature]) -> Iterator[str]:
    """One person who stands in it as two, and one who approved their own review and does not say why nobody else could."""
    owners: dict[str, str] = {}
    for each in signers:
        if owners.setdefault(each.public_key, fold(each.name)) != fold(each.name):
            yield f"signatures: the key {each.public_key[:16]}… signs as two people"
    if any(each.statement == signing.STATEMENTS["approver"] for each in _of_reviewers(report, signers)):
        yield "signatures: a reviewer approved it, and no reason is given (phi-audit sign --allow-self --statement)"


def _of_reviewers(report: Report, signers: Sequence[Signature]) -> list[Signature]:
    """Approvals by those who reviewed, by name or by key."""
    names = {fold(each.name) for each in report.review.reviewers} if report.review else set()
    names |= {fold(each.name) for each in signers if each.role == "reviewer"}
    keys = {each.public_key for each in signers if each.role == "reviewer"}
    return [each for each in signers if each.role == "approver" and (fold(each.name) in names or each.public_key in keys)]


def _weaker(report: Report) -> Iterator[str]:
    from audit.bars import weaker  # noqa: PLC0415  # only where a report has got this far
    from audit.gates import WEEKS, GatesError, comparable, load_gates  # noqa: PLC0415
    from phi_guard.policy import shipped  # noqa: PLC0415

    try:
        in_force = load_gates(shipped("gates.yaml"), week=WEEKS[-1])
    except GatesError:
        yield "its bars could not be held against those that are shipped"
        return
    judged = [row.gate for row in report.gates]
    for what in weaker(judged, comparable(judged, in_force)):
        yield f"weaker than the gates as shipped: {what}"


def _notes(report: Report, signers: Sequence[Signature], standing: Sequence[Signature]) -> Iterator[str]:
    if not report.signatures:
        yield "is not signed: nothing shows who made it"
    elif not any(each.role == "approver" for each in signers):
        yield "no approver has signed it: nobody answers for its verdict"
    if _of_reviewers(report, signers):
        yield "a reviewer approved it too: no second person has looked"
    signed = {fold(each.name) for each in signers if each.role == "reviewer"}
    if report.review and (left := sum(fold(each.name) not in signed for each in report.review.reviewers)):
        yield f"{left} of {len(report.review.reviewers)} reviewers have not signed it: that the reviews are theirs, nothing shows"
    if ended := [each for each in signers if each not in standing]:
        yield f"{len(ended)} signatures are of keys that are trusted no more; when they signed is their own word (look in the log)"
    yield from _weaker(report)
