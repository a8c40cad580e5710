"""The incident's clocks to the second, its record that is only added to, and the switch that goes off first."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import containment
from audit.containment import contain
from audit.findings import Finding
from audit.incident import IncidentBroken, IncidentError, added, check, extent_of, facts_of_contained, names, opened, where
from audit.incident_clocks import SOON, clocks, told
from audit.incident_draft import BLANK, draft
from audit.incident_file import moment, read, write
from audit.report.model import Target
from phi_guard.switch import FileSwitch

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ZONES = ["UTC", "Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Pacific/Apia"]
WHEN = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
DIGEST = "ab" * 32


def finding(trace, value, *, run=0, entity="PHONE_NUMBER", severity="high"):
    return Finding(f"run-{run}", f"trace-{trace}", "agent_turn", "inputs.?", "text", entity, 0, 12, f"{value:016x}", "patterns", severity)


def report_of(*findings, made_at="2026-11-20T10:00:00Z"):
    """What an incident reads of a report."""
    target = Target("clinic-dev", "LangSmith at h", "", "", "clinic.yaml", "prod", "p", "1", made_at)
    return SimpleNamespace(digest=DIGEST, target=target, findings=tuple(findings), verdict=SimpleNamespace(state="NO_GO"))


def incident_of(**more):
    options = {"discovered": None, "zone": "Europe/Zurich", "by": "officer", "now": NOW} | more
    return opened(report_of(finding(1, 1), finding(2, 2, run=1)), **options)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A switch that is on, and a log that notes what it is told."""
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    FileSwitch(tmp_path / "switch.json").turn_on("a test")
    said = []

    def note(event, facts, now, directory=None):
        said.append((event, dict(facts)))
        return True, ""

    monkeypatch.setattr(containment, "write_log", note)
    return SimpleNamespace(path=tmp_path, switch=FileSwitch(tmp_path / "switch.json"), said=said)


def by_name(found, zone="UTC", people=(1, 10)):
    return {clock.name: clock for clock in clocks(found, ZoneInfo(zone), people)}


@given(found=WHEN, zone=st.sampled_from(ZONES))
def test_sixty_days_end_with_the_sixtieth_day(found, zone):
    """In time until the last microsecond of that day where the days count, late from the next midnight, whatever the clocks did between."""
    clock = by_name(found, zone)["HIPAA: individuals"]
    last = found.astimezone(ZoneInfo(zone)).date() + timedelta(days=60)
    assert clock.last_day == last
    assert (clock.due - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date() == last
    assert clock.due.astimezone(ZoneInfo(zone)).date() == last + timedelta(days=1)
    assert clock.late(clock.due)
    assert not clock.late(clock.due - timedelta(microseconds=1))


@given(found=WHEN, zone=st.sampled_from(ZONES))
def test_seventy_two_hours_are_hours_that_pass(found, zone):
    """To the microsecond, on any wall clock, and however the moment of discovery was written."""
    clock = by_name(found.astimezone(ZoneInfo(zone)), zone)["GDPR: authority"]
    assert clock.due - found == timedelta(hours=72)
    assert clock.left(found).total_seconds() == 72 * 3600
    assert (clock.late(clock.due), clock.late(clock.due - timedelta(microseconds=1))) == (True, False)


def test_hours_across_the_change_of_the_clocks():
    """Zurich's clocks went back on 25 October 2026: 72 hours end an hour earlier on the wall."""
    zurich = ZoneInfo("Europe/Zurich")
    due = by_name(datetime(2026, 10, 23, 18, 0, tzinfo=zurich), "Europe/Zurich")["GDPR: authority"].due
    assert due.astimezone(zurich).isoformat() == "2026-10-26T17:00:00+01:00"


def test_the_day_is_that_of_the_zone():
    """23:30 UTC is the next day in Zurich, and its sixty days end a day later."""
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert by_name(late, "UTC")["HIPAA: individuals"].last_day == date(2027, 1, 19)
    assert by_name(late, "Europe/Zurich")["HIPAA: individuals"].last_day == date(2027, 1, 20)


@pytest.mark.parametrize(
    ("people", "hhs", "media"),
    [((1, 499), date(2027, 3, 1), None), ((1, 500), date(2027, 1, 19), None), ((501, 501), date(2027, 1, 19), date(2027, 1, 19))],
    ids=["499", "500", "501"],
)
def test_five_hundred_people(people, hhs, media):
    """Fewer than 500 go to HHS after the year's end, 500 at once; the media hear of more than 500 (164.408, 164.406)."""
    found = by_name(NOW, people=people)
    assert found["HIPAA: HHS"].last_day == hhs
    assert found["HIPAA: media"].last_day == media
    assert found["HIPAA: media"].applies == (media is not None)


def test_sixty_days_after_the_end_of_a_year_before_a_leap_day():
    """HHS itself named 29 February 2024 for 2023."""
    assert by_name(datetime(2023, 5, 1, tzinfo=UTC))["HIPAA: HHS"].last_day == date(2024, 2, 29)


def test_what_has_no_time_says_so():
    """The duties without a time are told as without delay, and each has its source."""
    found = by_name(NOW)
    assert told(found["Swiss nFADP"].left(NOW)) == SOON
    assert all(clock.law for clock in found.values())
    assert {"GDPR Art. 33(1)", "GDPR Art. 34", "45 CFR 164.410"} <= {clock.law for clock in found.values()}


@given(seconds=st.integers(-(10**7), 10**7))
def test_what_is_left_is_never_told_longer_than_it_is(seconds):
    """Rounded down, and late from zero on."""
    text = told(timedelta(seconds=seconds))
    assert text.startswith("LATE") == (seconds <= 0)
    parts = dict(zip(text.replace("LATE by ", "").split()[1::2], map(int, text.replace("LATE by ", "").split()[::2]), strict=False))
    shown = parts.get("d", 0) * 86_400 + parts.get("h", 0) * 3600 + parts.get("min", 0) * 60
    assert 0 <= abs(seconds) - shown < 3600


def test_people_are_counted_by_trace_and_by_value():
    """Traces that share a value are one group; suspicions do not count; names stand nowhere."""
    extent = extent_of([finding(1, 1), finding(2, 1), finding(2, 5), finding(3, 5), finding(4, 9), finding(5, 7, severity="low")])
    assert (extent.traces, extent.linked) == (4, 2)
    assert extent.entities == {"PHONE_NUMBER": 5}


def test_discovery_is_the_earliest_that_anybody_knew():
    """Not later than the report; without saying it is the report's time; and an earlier time may come to light."""
    assert incident_of().discovered == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    with pytest.raises(IncidentError, match="cannot be discovered later"):
        incident_of(discovered=datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC))
    with pytest.raises(IncidentError, match="time zone"):
        incident_of(discovered=datetime(2026, 11, 20, 9, 0))  # the fault that is tested
    early = incident_of(discovered=moment("2026-11-20T09:10+01:00"))
    assert early.discovered == datetime(2026, 11, 20, 8, 10, tzinfo=UTC)
    told_later = added(early, "discovered", by="officer", now=NOW, facts={"discovered": "2026-11-19T08:00:00Z"})
    assert told_later.discovered == datetime(2026, 11, 19, 8, 0, tzinfo=UTC)
    with pytest.raises(IncidentError, match="no findings"):
        opened(report_of(), discovered=None, zone="UTC", by="officer", now=NOW)


def test_the_record_is_read_back_and_only_added_to(tmp_path):
    """What is written is read; a closed one takes no more."""
    held = added(incident_of(), "noted", by="officer", now=NOW, text="the store was told\nby telephone")
    (tmp_path / "incidents").mkdir()
    write(held, tmp_path)
    assert read(tmp_path, held.id) == held
    assert names(tmp_path) == [held.id]
    closed = added(held, "closed", by="officer", now=NOW)
    with pytest.raises(IncidentError, match="is closed"):
        added(closed, "noted", by="officer", now=NOW)
    with pytest.raises(IncidentError, match="named incident-"):
        where(tmp_path, "../switch")
    with pytest.raises(IncidentError, match="no such incident"):
        read(tmp_path, "incident-20260101-00000000")


@given(data=st.data())
def test_no_edit_of_the_record_goes_unseen(data, tmp_path_factory):
    """Any value changed, or an entry dropped or moved, anywhere but at the end: the record is broken, in words."""
    directory = tmp_path_factory.mktemp("audit")
    (directory / "incidents").mkdir()
    held = incident_of()
    for n in range(4):
        held = added(held, "noted", by="officer", now=NOW, text=f"note {n}", facts={"n": n})
    path = write(held, directory)
    row = json.loads(path.read_text())
    kind = data.draw(st.sampled_from(["head", "entry", "drop", "swap"]))
    place = data.draw(st.integers(0, len(row["entries"]) - 2))
    if kind == "head":
        name = data.draw(st.sampled_from(["zone", "project", "report_digest", "place", "id", "report_made_at"]))
        row[name] = row[name] + "x"
    elif kind == "entry":
        name = data.draw(st.sampled_from(["at", "by", "text"]))
        row["entries"][place][name] += "x"
    elif kind == "drop":
        del row["entries"][place]
    else:
        row["entries"][place], row["entries"][place + 1] = row["entries"][place + 1], row["entries"][place]
    path.write_text(json.dumps(row))
    with pytest.raises(IncidentBroken, match="incident-"):
        read(directory, held.id)


def test_an_entry_that_does_not_follow_is_named():
    """The place of the first break is told."""
    held = added(incident_of(), "noted", by="officer", now=NOW)
    with pytest.raises(IncidentBroken, match="entry 1 "):
        check(replace(held, entries=(held.entries[0], replace(held.entries[1], prev="0" * 64))))


def test_contain_turns_off_and_holds_once(place):
    """Off within the time it says, held for the leak, logged; the second time changes nothing."""
    first = contain(DIGEST, NOW)
    assert (first.off, first.already, first.hold, first.fault) == (True, False, "leak", "")
    assert 0 < first.took_ms < 5000
    assert "abababab" in place.switch.state().reason
    before = place.switch.path.read_bytes()
    again = contain(DIGEST, NOW)
    assert (again.off, again.already, again.at) == (True, True, first.at)
    assert place.switch.path.read_bytes() == before
    assert [(event, facts["already"]) for event, facts in place.said] == [("enforced", 0), ("enforced", 1)]


def test_contain_holds_what_was_only_off(place):
    """A switch that somebody turned off by hand is held now."""
    place.switch.turn_off("by hand")
    assert contain(DIGEST, NOW).hold == "leak"
    place.switch.turn_on("again", release="0" * 64)
    place.switch.turn_off("too slow", "overhead")
    done = contain(DIGEST, NOW)
    assert (done.already, done.hold) == (False, "leak")


def test_contain_says_when_nothing_could_be_done(place, monkeypatch):
    """A full disk: moved aside, off and held. A disk that takes nothing at all under a switch that is on: told, with what to do."""
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        done = contain(DIGEST, NOW)
    assert (done.off, done.hold) == (True, "kept")
    place.switch.turn_on("again", release="0" * 64)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        for name in ("replace", "unlink"):
            broken.setattr(type(place.path), name, lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
        done = contain(DIGEST, NOW)
    assert not done.off
    assert "Read-only file system" in done.fault
    assert "remove the file by hand" in done.fault


def test_contain_never_raises_over_the_log(place, monkeypatch):
    """The switch goes off whether or not it can be written down."""
    monkeypatch.undo()
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(place.switch.path))
    blocked = place.path / "a file"
    blocked.write_text("")
    done = contain(DIGEST, NOW, log=blocked)
    assert (done.off, done.logged) == (True, False)
    assert "log takes no entry" in done.fault


def test_the_draft_fills_in_what_was_measured_and_leaves_the_rest(place):
    """Factors, presumption, timeline and clocks; blanks for people; nothing that would be a value."""
    held = added(incident_of(), "contained", by="officer", now=NOW, facts=facts_of_contained(contain(DIGEST, NOW)))
    facts = {"gone": 1, "traces": 2, "receipts_sha256": "cd" * 32, "done": 0, "report": DIGEST}
    held = added(held, "purged", by="officer", now=NOW, facts=facts, text="a | b")
    text = draft(held, now=NOW)
    for part in (
        "presumed to be a breach",
        "| PHONE_NUMBER | 2 |",
        "Purged 1 of 2 traces",
        "164.402(2)",
        "6 years",
        "70 h 0 min left",
        "a \\| b",
    ):
        assert part in text.replace("2 d 22 h", "70 h 0 min"), part
    assert text.count(BLANK) > 10
    assert "trace-1" not in text
    assert "NOT shown to be off" in draft(incident_of(), now=NOW)
