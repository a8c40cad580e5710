"""The sections on where it all comes from: what was read, with what it was looked at, the system, and the chain of custody."""

from __future__ import annotations

from audit.report.content import Section, Table, pairs, said
from audit.report.model import Report
from audit.report.parts import counted
from audit.source import FIELDS, NOT_READ


def population(report: Report) -> Section:
    """What was read, and how that can be checked."""
    counts, target, manifest, check = report.population, report.target, report.manifest, report.cross_check
    results = report.results
    edges = f" ({counts.open} going on, {counts.cut} cut by the window)" if counts.open or counts.cut else ""
    facts = [
        ("From", target.place),
        ("Window", f"{target.since or 'all of it'} to {target.until}"),
        ("Traces", f"{counts.traces:,}{edges}; the trace, one call, is the unit"),
        ("Runs", (f"{counts.runs:,} different; {results.unscanned:,} of them not looked at, {results.unreadable:,} rows unreadable,"
                 f" {counts.repeated:,} rows read twice")),
        ("Digest of the runs", counts.digest or "none"),
        ("By span", said(counts.spans)),
        ("Incomplete traces", f"{counts.broken:,}: {said(counts.incomplete)}" if counts.broken else "none"),
        ("Cost", f"${counts.cost_usd:.4f} as the traces report"),
        ("Policy", f"{target.policy_file}, digest {target.policy_digest}"),
        ("Read of each run", ", ".join(report.method.fields or FIELDS)),
        ("Not read", "; ".join(report.method.not_read or NOT_READ)),
    ]  # fmt: skip
    tables = [pairs("", facts)]
    if manifest is not None:
        tables.append(pairs("Manifest", (
            ("Query", "; ".join(f"{name} {value}" for name, value in manifest.query.items())),
            ("Read at", manifest.read_at),
            ("Requests", f"{manifest.requests:,}, {manifest.retries:,} of them again; {manifest.pages:,} pages, {manifest.bytes:,} bytes"),
            ("SHA-256 of the answers", manifest.answers_sha256),
            ("Digest of runs and content", manifest.runs_digest),
            ("Runs with attachments", f"{manifest.attached:,}"),
            ("Left out", said(manifest.excluded) or "nothing"),
        )))  # fmt: skip
    texts = [] if check is not None else ["It was not held against the relay's own account of what it sent."]
    if check is not None:
        if check.not_drawn:
            texts.append(
                f"{counted(check.not_drawn, 'call')} of this time were left out by sampling: what was read is a sample of the calls, with"
                " every call that failed, and its bounds speak of the calls that were sent."
            )
        if check.why:
            texts.append(f"The cross-check is not whole: {check.why}")
        tables.append(pairs("Held against the relay's own account", (
            ("Account", check.account),
            ("Expected and read", f"{check.matched:,} of {check.expected:,}"),
            ("Expected and not found", _some(check.missing, check.missing_ids)),
            ("Found and not expected", _some(check.unexpected, check.unexpected_ids)),
            *((("Purged since, by receipts", f"{check.purged:,} runs"),) if check.purged else ()),
        )))  # fmt: skip
    return Section("population", "What was read", tuple(texts), tables=tuple(tables))


def method(report: Report) -> Section:
    """With what the traces were looked at."""
    how, roster = report.method, report.roster
    if not how.pieces:
        return Section("method", "Method", ("The pieces of the scan were not listed.",))
    rows = tuple((p.name, p.version or "–", "–" if p.threshold is None else f"{p.threshold:g}", p.sha256 or "–") for p in how.pieces)
    tables = [Table("Pieces of the scan", ("Piece", "Version", "#Least score", "SHA-256"), rows)]
    facts = [("Digest of the method", how.digest), ("Languages", ", ".join(how.languages))]
    if roster is not None:
        facts.append(
            ("Roster of patients", f"{counted(roster.people, 'row')}; {said(roster.entries)}; built {roster.built_at}, key {roster.key_id}")
        )
        facts.append(("SHA-256 of the roster", roster.sha256))
    tables.insert(0, pairs("", facts))
    blind = (f"It is known not to see: {'; '.join(how.blind_spots)}.",) if how.blind_spots else ()
    return Section("method", "Method", blind, tables=tuple(tables))


def scope(report: Report) -> Section:
    """The system and the standard."""
    what = report.scope
    facts = pairs(
        "", (("Project", what.project), ("Environment", what.env), ("Traces are kept at", what.host), ("Standard", what.shown_standard))
    )
    return Section("scope", "The system, and what is asked of it", (what.system,), tables=(facts,), points=what.flow)


def custody(report: Report) -> Section:
    """Who held what, and who signed."""
    held = report.custody
    at = "none before this report" if held.log_n < 0 else f"entry {held.log_n}, SHA-256 {held.log_sha256}"
    facts = pairs("", (
        ("Report", f"SHA-256 {report.digest}"),
        ("Made by", held.by),
        ("Key of the fingerprints", held.fingerprint_key),
        ("Audit log", at),
        ("Copy of the log's head", held.anchor or "none is kept"),
        ("To make it again", report.reproduce),
        ("To check it", "phi-audit verify REPORT.json"),
        ("Keep it", report.scope.retention),
    ))  # fmt: skip
    if not report.signatures:
        return Section("custody", "Chain of custody", ("Not signed. A verdict is a person's: somebody must sign for it.",), tables=(facts,))
    rows = tuple((s.role, s.name, s.at, s.statement, s.public_key, s.signature) for s in report.signatures)
    signed = Table("Signatures (Ed25519), not checked here", ("Role", "Name", "At", "For", "Public key", "Signature"), rows)
    return Section("custody", "Chain of custody", tables=(facts, signed))


def _some(n: int, ids: tuple[str, ...]) -> str:
    more = f", and {n - len(ids):,} more" if n > len(ids) else ""
    return f"{n:,}: {', '.join(ids)}{more}" if ids else f"{n:,}"
