"""An incident as it is shown: its timeline, what was done, and its clocks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from audit.incident import Incident
from audit.incident_clocks import ADVICE, RETENTION, Clock, clocks
from audit.incident_draft import mitigation
from audit.incident_file import as_json


def in_json(incident: Incident, now: datetime) -> str:
    """The record with what follows from it at a time: state, people and clocks."""
    least, most = incident.people
    running = clocks(incident.discovered, ZoneInfo(incident.zone), incident.people)
    return as_json(
        incident,
        state=incident.state,
        discovered=incident.discovered.isoformat(),
        people={"least": least, "most": most},
        clocks=[_row(clock, now) for clock in running],
        notes=[ADVICE, RETENTION],
    )


def in_text(incident: Incident, now: datetime) -> str:
    """The same for people, its times in the incident's own zone."""
    return "\n".join(_lines(incident, now))


def _row(clock: Clock, now: datetime) -> dict[str, object]:
    left = clock.left(now)
    told: dict[str, object] = {"name": clock.name, "law": clock.law, "to": clock.to, "asks": clock.asks, "applies": clock.applies}
    told |= {"due": clock.due.isoformat() if clock.due else None, "last_day": clock.last_day.isoformat() if clock.last_day else None}
    return told | {"left_s": None if left is None else int(left.total_seconds()), "late": clock.late(now)}


def _lines(incident: Incident, now: datetime) -> Iterator[str]:
    zone = ZoneInfo(incident.zone)
    least, most = incident.people
    yield f"{incident.id}  {incident.state}  report {incident.report_digest}"
    yield f"{incident.project}, {incident.place}: findings in {incident.extent.traces} traces; people: about {least}, at most {most}"
    yield f"\ndiscovered {_local(incident.discovered, zone)} ({incident.zone})"
    for entry in incident.entries:
        said = f"  {entry.text}" if entry.text else ""
        yield f"  {_local(datetime.fromisoformat(entry.at), zone)}  {entry.event:<10}  {entry.by}{said}"
    yield from (f"  {line}" for line in mitigation(incident))
    yield ""
    for clock in clocks(incident.discovered, zone, incident.people):
        by = f"end of {clock.last_day}" if clock.last_day else _local(clock.due, zone) if clock.due else ""
        yield f"  {clock.name:<29}{clock.tell(now):<22}{by:<27}{clock.law}: {clock.asks}"
    yield f"\n{ADVICE}\n{RETENTION}"


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="seconds")
