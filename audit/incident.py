"""An incident: what was known when, and what was done. Entries are only added, and each names the one before by its digest."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from audit.findings import Finding
from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from audit.containment import Contained
    from audit.purge import Purge
    from audit.report.model import Report

TEXT_MAX: Final = 2000
"""Characters of what a person writes."""
_ID: Final = re.compile(r"incident-[0-9]{8}-[0-9a-f]{8}")

Event: TypeAlias = Literal["opened", "discovered", "contained", "purged", "noted", "assessed", "closed"]
Fact: TypeAlias = str | int


class IncidentError(PhiGuardError):
    """An incident cannot be opened, read or added to; the message says what to do."""


class IncidentBroken(IncidentError):
    """The file is not what was written: its entries do not name one another."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What was known or done.

    Args:
        n: its place, from 0.
        at: when it was written, ISO 8601 in UTC.
        event: what it is.
        by: the account that wrote it, or a name as given.
        text: by a person; no names of patients.
        facts: digests, counts, times and closed words.
        prev: SHA-256 of the entry before; for the first, of what the incident says above its entries.
    """

    n: int
    at: str
    event: Event
    by: str
    text: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    prev: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the entry's canonical JSON."""
        return _sha256(asdict(self))


@dataclass(frozen=True, slots=True)
class Extent:
    """What a report says leaked. Counts and closed names.

    Args:
        traces: different traces with a finding: at most so many people, as long as one call is about one person.
        linked: groups of traces that share no value with one another: if the same value means the same person, at least so many.
        runs: runs with a finding.
        entities: findings by what they are.
        spans: findings by the span they lie in.
    """

    traces: int
    linked: int
    runs: int
    entities: Mapping[str, int]
    spans: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident.

    Args:
        id: ``incident-<day>-<first digits of the report's digest>``.
        zone: the time zone whose days count, an IANA name.
        report_digest: of the report it was opened on.
        report_made_at: when that was made.
        project: that was audited.
        place: where the traces lie.
        extent: of the leak.
        entries: in order.
    """

    id: str
    zone: str
    report_digest: str
    report_made_at: str
    project: str
    place: str
    extent: Extent
    entries: tuple[Entry, ...] = ()

    @property
    def head(self) -> str:
        """SHA-256 of what stands above the entries."""
        return _sha256({**asdict(self), "entries": []})

    @property
    def discovered(self) -> datetime:
        """The earliest time that anybody says they knew."""
        told = [str(entry.facts["discovered"]) for entry in self.entries if "discovered" in entry.facts]
        return min(map(datetime.fromisoformat, told))

    def last(self, event: Event) -> Entry | None:
        """The newest entry of a kind."""
        return next((entry for entry in reversed(self.entries) if entry.event == event), None)

    def first(self, event: Event) -> Entry | None:
        """The oldest entry of a kind."""
        return next((entry for entry in self.entries if entry.event == event), None)

    @property
    def people(self) -> tuple[int, int]:
        """At least and at most so many people: what people found if they assessed it, else what the traces allow."""
        assessed = self.last("assessed")
        if assessed is not None and isinstance(known := assessed.facts.get("people"), int):
            return known, known
        return self.extent.linked, self.extent.traces

    @property
    def state(self) -> str:
        """``open`` or ``closed``."""
        return "closed" if self.last("closed") else "open"


def extent_of(findings: Sequence[Finding]) -> Extent:
    """What findings come to; suspicions (severity low) are left out."""
    counted = [found for found in findings if found.severity != "low"]
    entities = Counter(found.entity for found in counted)
    spans = Counter(found.span for found in counted)
    traces = {found.trace_id for found in counted}
    return Extent(
        len(traces), _groups(counted), len({found.run_id for found in counted}), dict(sorted(entities.items())), dict(sorted(spans.items()))
    )


def _groups(findings: Sequence[Finding]) -> int:
    """Groups of traces that are linked by an equal fingerprint."""
    above: dict[str, str] = {}

    def top(name: str) -> str:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for found in findings:
        above[top(f"value {found.fingerprint}")] = top(f"trace {found.trace_id}")
    return len({top(name) for name in list(above)})


def opened(report: Report, *, discovered: datetime | None, zone: str, by: str, now: datetime) -> Incident:
    """A new incident on a report.

    Args:
        report: that found the leak.
        discovered: when the first member of the workforce knew; None for when the report was made.
        zone: the time zone whose days count.
        by: who opens it.
        now: the time.

    Raises:
        IncidentError: the report has no findings; or it was discovered after the report was made, or has no time zone.
    """
    extent = extent_of(report.findings)
    if not extent.traces:
        raise IncidentError("the report has no findings; for what a person saw scan again, with --roster or under a mended policy")
    made = datetime.fromisoformat(report.target.made_at)
    known = discovered or made
    if known.tzinfo is None:
        raise IncidentError("a time of discovery needs its time zone, such as 2026-11-20T10:00+01:00")
    if known > made:
        raise IncidentError(f"it cannot be discovered later than the report was made ({report.target.made_at}): the report told of it")
    day = known.astimezone(UTC).strftime("%Y%m%d")
    target = report.target
    fresh = Incident(f"incident-{day}-{report.digest[:8]}", zone, report.digest, target.made_at, target.project, target.place, extent)
    return added(fresh, "opened", by=by, now=now, facts={"report": report.digest, "discovered": _stamp(known)})


def added(incident: Incident, event: Event, *, by: str, now: datetime, text: str = "", facts: Mapping[str, Fact] | None = None) -> Incident:
    """The incident with one entry more.

    Args:
        incident: so far.
        event: what is added.
        by: who adds it.
        now: the time.
        text: by a person.
        facts: of the entry.

    Raises:
        IncidentError: the text is too long; or the incident is closed.
    """
    if incident.state == "closed":
        raise IncidentError(f"{incident.id}: is closed; open another on a new report")
    if len(text) > TEXT_MAX:
        raise IncidentError(f"a text is at most {TEXT_MAX} characters; write a shorter one")
    entries = incident.entries
    entry = Entry(len(entries), _stamp(now), event, by, text, dict(facts or {}), entries[-1].digest if entries else incident.head)
    return replace(incident, entries=(*entries, entry))


def check(incident: Incident) -> None:
    """See that the entries name one another. Raises `IncidentBroken` with the first that does not."""
    before = incident.head
    for place, entry in enumerate(incident.entries):
        if entry.n != place or entry.prev != before:
            raise IncidentBroken(f"{incident.id}: entry {place} does not follow the one before: it was changed, moved or lost")
        before = entry.digest


def facts_of_contained(contained: Contained) -> dict[str, Fact]:
    """What an entry says of the switch."""
    facts: dict[str, Fact] = {"off": int(contained.off), "off_at": contained.at, "hold": contained.hold}
    return facts | {"already": int(contained.already), "took_us": int(contained.took_ms * 1000)}


def facts_of_purge(purge: Purge, receipts_sha256: str) -> dict[str, Fact]:
    """What an entry says of a purge."""
    facts: dict[str, Fact] = {"gone": purge.count("gone"), "traces": len(purge.receipts), "receipts_sha256": receipts_sha256}
    return facts | {"done": int(purge.done), "report": purge.report_digest}


def where(directory: Path, name: str) -> Path:
    """The file of an incident. Raises `IncidentError` where that is no incident's name."""
    if not _ID.fullmatch(name):
        raise IncidentError("an incident is named incident-<day>-<8 hexadecimal digits>; list them with: phi-audit incident show")
    return directory / "incidents" / f"{name}.json"


def names(directory: Path) -> list[str]:
    """The names of all incidents, oldest first."""
    try:
        return sorted(path.stem for path in (directory / "incidents").iterdir() if path.suffix == ".json" and _ID.fullmatch(path.stem))
    except FileNotFoundError:
        return []


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Within, no other process adds to an incident. Raises `IncidentError` where that cannot be had."""
    place = directory / "incidents"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as fault:
        raise IncidentError(f"{place}: cannot be opened ({fault.strerror}); check the directory and its owner") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sha256(row: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
