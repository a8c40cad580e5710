"""The draft of a four-factor assessment (45 CFR 164.402(2)) as Markdown: what was measured is filled in, the rest is blank."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from audit.incident import Incident
from audit.incident_clocks import ADVICE, RETENTION, clocks, length

BLANK: Final = "_____"

PRESUMED: Final = (
    "An impermissible use or disclosure of protected health information is **presumed to be a breach** unless a low probability that it "
    "was compromised is demonstrated by an assessment of at least these four factors (45 CFR 164.402(2)). The burden of proof is yours "
    "(164.414(b))."
)


def draft(incident: Incident, *, now: datetime) -> str:
    """The draft. It holds counts, closed names and times; no value of any trace.

    Args:
        incident: what is known.
        now: the time for the clocks.
    """
    return "\n".join(_lines(incident, now)) + "\n"


def _lines(incident: Incident, now: datetime) -> Iterator[str]:
    extent, zone = incident.extent, ZoneInfo(incident.zone)
    yield f"# Breach risk assessment: {incident.id} (DRAFT)"
    yield f"\nReport `{incident.report_digest}`, made {incident.report_made_at}. Project {incident.project}, read from {incident.place}."
    yield f"\n{PRESUMED}\n\n{ADVICE}"
    yield "\n## 1. Nature and extent of the information, and how likely re-identification is"
    yield f"\nFindings in {extent.traces} traces ({extent.runs} runs). The values are not in this document.\n"
    yield "| class of identifier | findings |\n|---|---|"
    yield from (f"| {name} | {count} |" for name, count in extent.entities.items())
    yield f"\nWhere: {', '.join(f'{name} ({count})' for name, count in extent.spans.items())}."
    least, most = incident.people
    if (assessed := incident.last("assessed")) is not None and "people" in assessed.facts:
        yield f"\nPeople affected: {most}, as assessed."
    else:
        yield (
            f"\nPeople affected: at most {most} if each call is about one person; about {least} if calls that share a value are of the same"
            f" person. Counted by trace and by keyed fingerprint, not by name. Established number: {BLANK}"
        )
    yield f"\nClinical content (diagnoses, treatment, notes) among it: {BLANK}\n\nLikelihood of re-identification: {BLANK}"
    yield "\n## 2. The unauthorised person who used it or to whom it was disclosed"
    yield f"\nRecipient: the trace store at {incident.place}, a processor. Region: {BLANK}. Business associate agreement in force: {BLANK}."
    yield f"\nMembers of the project and of the workspace who could read it: {BLANK}"
    yield f"\nHDS certification, where French health data is among it: {BLANK}"
    yield "\n## 3. Whether it was actually acquired or viewed"
    yield f"\nUnknown unless the store's access logs show it. Logs asked for on: {BLANK}. What they show: {BLANK}."
    yield f"\nExports, datasets, annotation queues or share links made of these traces: {BLANK}"
    yield "\n## 4. The extent to which the risk has been mitigated\n"
    yield from (f"- {line}" for line in mitigation(incident))
    yield f"- Written assurance of deletion by the recipient (backups too): {BLANK}"
    yield f"\n## Conclusion\n\n- [ ] Low probability of compromise, because: {BLANK}\n- [ ] Breach: the notices below are due"
    yield f"\nDecided by (name, role, date, signature): {BLANK}"
    yield f"\n## Timeline ({incident.zone})\n\n| when | what | by |\n|---|---|---|"
    yield f"| {_local(incident.discovered, zone)} | discovered | |"
    for entry in incident.entries:
        what = f"{entry.event}: {_cell(entry.text)}" if entry.text else entry.event
        yield f"| {_local(datetime.fromisoformat(entry.at), zone)} | {what} | {_cell(entry.by)} |"
    yield "\n## Clocks\n\n| duty | to | by | left | source |\n|---|---|---|---|---|"
    for clock in clocks(incident.discovered, zone, incident.people):
        by = f"end of {clock.last_day}" if clock.last_day else _local(clock.due, zone) if clock.due else clock.asks
        yield f"| {clock.name} | {clock.to} | {by} | {clock.tell(now)} | {clock.law} |"
    yield f"\n{RETENTION}"


def mitigation(incident: Incident) -> Iterator[str]:
    """What was done so far, in sentences with the figures."""
    contained = incident.first("contained")
    if contained is None or not contained.facts.get("off"):
        yield "Telemetry's switch: NOT shown to be off."
    else:
        off_at = str(contained.facts.get("off_at") or contained.at)
        span = datetime.fromisoformat(off_at) - incident.discovered
        after = f"{span.total_seconds():.0f} s" if span < timedelta(hours=1) else length(span)
        since = f"{after} after the discovery" if span >= timedelta() else "before the discovery was stamped"
        took = f"the act took {int(contained.facts.get('took_us', 0)) / 1000:.1f} ms"
        how = "before this record was opened" if contained.facts.get("already") else took
        yield f"Telemetry was switched off at {off_at} ({since}; {how}), held: {contained.facts.get('hold') or 'no'}."
    purged = incident.last("purged")
    if purged is None:
        yield f"Purge: none recorded for the {incident.extent.traces} traces."
    else:
        gone, digest = purged.facts.get("gone", 0), purged.facts.get("receipts_sha256", "")
        yield f"Purged {gone} of {purged.facts.get('traces', 0)} traces, each until it was no longer shown (receipts SHA-256 `{digest}`)."


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
