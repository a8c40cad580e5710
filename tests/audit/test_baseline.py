"""The baseline: what was accepted is covered until its day, and open again after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from audit.baseline import LIFETIME_MAX, Accepted, Baseline, BaselineError, accept, apply, place_of
from audit.baseline_file import read, render, write
from audit.findings import Finding

TODAY = date(2026, 11, 20)
RUN = "00000000-0000-4000-8000-000000000001"


def finding(**changes):
    given = Finding(
        RUN, RUN, "tool.book_appointment", "inputs.notes[0]", "text", "UNEXPLAINED", 0, 5, "a" * 16, "structure.shape", "medium"
    )
    return replace(given, **changes)


def entry(**changes):
    given = Accepted("a" * 16, "inputs.notes", "UNEXPLAINED", "a ward's name", "M. Rey", "2026-11-01", "2027-01-30")
    return replace(given, **changes)


def test_an_accepted_finding_is_covered_wherever_it_stands_in_a_list():
    done = apply([finding(), finding(path="inputs.notes[17]"), finding(fingerprint="b" * 16)], [entry()], TODAY)
    assert done.open == (finding(fingerprint="b" * 16),)
    assert done.accepted == (entry(matched=2),)
    assert (done.expired, done.unused) == ((), ())


@pytest.mark.parametrize(
    "change", [{"fingerprint": "b" * 16}, {"path": "inputs.reason"}, {"entity": "PERSON"}, {"severity": "high"}], ids=str
)
def test_another_value_place_name_or_severity_is_not_covered(change):
    done = apply([finding(**change)], [entry()], TODAY)
    assert done.open == (finding(**change),)
    assert done.unused == (entry(),)


def test_an_expired_entry_leaves_its_findings_open_and_is_told():
    last = date(2027, 1, 30)
    assert apply([finding()], [entry()], last).open == ()
    done = apply([finding()], [entry()], last + timedelta(days=1))
    assert done.open == (finding(),)
    assert done.expired == (entry(matched=1),)
    assert done.accepted == ()


@pytest.mark.parametrize("days", [("2026-11-21", "2026-12-01"), ("2025-11-01", "2026-11-30")], ids=["not yet", "longer than a year"])
def test_an_entry_of_tomorrow_or_of_more_than_a_year_covers_nothing(days):
    accepted, expires = days
    done = apply([finding()], [entry(accepted=accepted, expires=expires)], TODAY)
    assert done.open == (finding(),)
    assert len(done.expired) == 1


def test_high_is_accepted_as_high_only():
    high = entry(severity="high")
    assert apply([finding(severity="high"), finding()], [high], TODAY).open == ()


def test_findings_can_come_one_by_one():
    held = Baseline([entry(), entry(fingerprint="c" * 16)], TODAY)
    assert [held.covers(finding()), held.covers(finding(fingerprint="d" * 16))] == [True, False]
    assert held.accepted() == (entry(matched=1),)
    assert held.unused() == (entry(fingerprint="c" * 16),)


def test_of_two_entries_the_longer_counts():
    old = entry(accepted="2026-01-01", expires="2026-02-01")
    assert apply([finding()], [entry(), old], TODAY).open == ()
    assert apply([finding()], [old, entry()], TODAY).open == ()


def test_accepting_makes_one_entry_a_value_and_place():
    made = accept(
        [finding(), finding(path="inputs.notes[3]"), finding(path="name")], reason="x", owner="y", today=TODAY, lifetime=timedelta(days=90)
    )
    assert [(e.path, e.expires) for e in made] == [("inputs.notes", "2027-02-18"), ("name", "2027-02-18")]


def test_high_findings_need_a_reason_of_their_own():
    findings = [finding(), finding(severity="high", entity="PERSON")]
    kept = {"reason": "a label", "owner": "M. Rey", "today": TODAY, "lifetime": timedelta(days=1)}
    with pytest.raises(BaselineError, match="1 of the findings are of severity high"):
        accept(findings, **kept)
    with pytest.raises(BaselineError, match="reason of its own"):
        accept(findings, high_reason="a label", **kept)
    high, medium = accept(findings, high_reason="the clinic's own name", **kept)
    assert (high.severity, high.reason) == ("high", "the clinic's own name")
    assert (medium.severity, medium.reason) == ("medium", "a label")


def test_suspicions_need_no_entry():
    assert accept([finding(severity="low")], reason="x", owner="y", today=TODAY, lifetime=timedelta(days=1)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"lifetime": timedelta(days=366)},
        {"lifetime": timedelta()},
        {"reason": " "},
        {"owner": ""},
        {"reason": "a\nb"},
        {"owner": "x" * 201},
    ],
    ids=["too long", "no day", "no reason", "no owner", "two lines", "long owner"],
)
def test_what_cannot_be_accepted_is_told(change):
    with pytest.raises(BaselineError):
        accept([finding()], **{"reason": "x", "owner": "y", "today": TODAY, "lifetime": timedelta(days=90), **change})


def test_a_path_without_its_indexes():
    assert place_of("inputs.notes[3].items[12][0].x") == "inputs.notes.items.x"
    assert place_of("outputs.?2") == "outputs.?2"


def test_a_file_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "phi-audit.baseline.yaml"
    entries = (entry(), entry(fingerprint="b" * 16, reason='say "no": # not\u2028 a comment: ß', severity="high", owner="on"))
    write(path, entries)
    assert read(path) == entries
    write(path, ())
    assert read(path) == ()
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [path.name]


SOUND = render([entry(), entry(fingerprint="b" * 16)])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("phi-audit.baseline/1", "phi-audit.baseline/2", ":3: schema: write schema: phi-audit.baseline/1"),
        ('fingerprint: "aaaaaaaaaaaaaaaa"', 'fingerprint: "Ada Byron"',
            ":5: accepted[0].fingerprint: will not do; write the finding's fingerprint"),
        ('    owner: "M. Rey"\n', "", "accepted[0].owner: is missing; write who answers"),
        ('expires: "2027-01-30"', 'expires: "2027-13-30"', "accepted[0].expires: is no day of the calendar"),
        ('expires: "2027-01-30"', 'expires: "2026-10-30"', "accepted[0].expires: is before"),
        ('expires: "2027-01-30"', 'expires: "2027-11-02"', "accepted[0].expires: is more than 365 days"),
        ('severity: "medium"', 'severity: "low"', "accepted[0].severity: will not do"),
        ('    owner: "M. Rey"\n', '    owner: "M. Rey"\n    value: "Ada Byron"\n', "accepted[0]: holds a key that is not known"),
        ('"bbbbbbbbbbbbbbbb"', '"aaaaaaaaaaaaaaaa"', ":13: accepted[1]: is the same finding as on line 5"),
        ("accepted:\n", "accepted: x\nother:\n", "accepted: is no list"),
        ("schema:", "- schema:", "file"),
    ],
    ids=["schema", "fingerprint", "owner", "no day", "before", "too long", "severity", "unknown key", "twice", "no list", "no mapping"],
)  # fmt: skip
def test_each_fault_of_a_file_is_told_with_its_line_and_without_its_value(tmp_path, old, new, told):
    path = tmp_path / "b.yaml"
    assert old in SOUND
    path.write_text(SOUND.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BaselineError) as fault:
        read(path)
    assert told in str(fault.value)
    assert "Byron" not in str(fault.value)
    assert str(path) in str(fault.value)


def test_no_lifetime_is_longer_than_a_year():
    assert timedelta(days=365) == LIFETIME_MAX
