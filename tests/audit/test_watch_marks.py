"""The places of a watch's journal in the audit's log: when one is made, what becomes of one that cannot be, and what each finds out."""

from __future__ import annotations

import fcntl
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from audit import chain
from audit.binding import figures_digest
from audit.evidence import Monitoring
from audit.vouching import log_fault, places, vouched
from audit.watch import Begun, Journal, JournalUnusable, Round
from audit.watch.journal_file import encode_head
from audit.watch.marks import EVERY, Marks
from audit.watch.round import AlertLook, SwitchLook, stamp
from phi_guard.disclosure_chain import mark

T0 = datetime(2026, 3, 10, 9, tzinfo=UTC)
BEGUN = Begun(at=stamp(T0), hours=48.0, every_s=900.0, project="clinic-dev", env="dev", place="a store", policy="0123456789abcdef")
QUARTER = timedelta(minutes=15)


def one(n, **more):
    return Round(n=n, at=stamp(T0 + n * QUARTER), took_s=1.0, **{"state": "CLEAN", **more})


@pytest.fixture
def log(tmp_path):
    """The audit's log, which has begun with its key."""
    chain.append(tmp_path / "audit", "key_made", {}, now=T0)
    return tmp_path / "audit"


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """A journal that has begun, of which the log knows nothing yet."""
    monkeypatch.delenv("PHI_AUDIT_ANCHOR", raising=False)
    monkeypatch.setattr("audit.chain.writing.WAIT_S", 0.1)
    made = Journal(tmp_path / "w")
    made.begin(BEGUN, T0)
    return made


@pytest.fixture
def marks(journal, log):
    return Marks(journal, log, {"project": "clinic-dev", "env": "dev"})


def marked(log):
    return [(entry.facts["why"], entry.facts["journal_n"]) for entry in places(log)]


class Locked:
    """Within, another process is writing to the log."""

    def __init__(self, log):
        self._log = log / "audit-log.jsonl"

    def __enter__(self):
        self._file = self._log.open("rb")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()


def forge(directory, lines):
    """The journal with these lines and a head that fits, as somebody would leave it who may write to its directory."""
    (directory / "watch.jsonl").write_bytes(b"".join(lines))
    (directory / "watch.head").write_bytes(encode_head(mark(len(lines) - 1, lines[-1].rstrip(b"\n"))))


def lines_of(directory):
    return (directory / "watch.jsonl").read_bytes().splitlines(keepends=True)


# -- before the first round ----------------------------------------------------------------------------------------------------------------


def test_a_watch_that_was_killed_before_its_first_mark_is_gone_on_with(journal, marks, log):
    """There is nothing yet that could have been cut off: in an empty log, and in one that knows of other watches alone."""
    assert marks.check() == ""
    chain.append(log, "watch", {"watch": "e" * 64, "journal_n": 7, "journal_sha256": "f" * 64, "why": "begun"}, now=T0)
    assert marks.check() == ""
    marks.demand()
    again = Journal(journal.directory)
    again.resume(T0)
    assert Marks(again, log, {}).make("resumed", T0) == ""
    assert (marked(log)[1:], Marks(again, log, {}).check()) == ([("resumed", 1)], "")


def test_the_first_thing_that_is_audited_in_a_place_may_be_a_watch(journal, tmp_path):
    """Killed before its first mark, where no log has begun: it is gone on with; with a round in it, it is not."""
    marks = Marks(journal, tmp_path / "new", {})
    assert marks.check() == ""
    journal.add(one(1), T0)
    assert "does not hold (audit-log.jsonl: is not there)" in marks.check()


def test_once_there_was_a_round_the_log_must_know_of_it(journal, marks):
    """A journal with rounds and without a mark is not the one that was begun here."""
    journal.add(one(1), T0)
    with pytest.raises(JournalUnusable, match=r"it cannot be gone on with: the audit's log knows nothing of this journal") as refused:
        marks.demand()
    assert refused.value.exit_code == 4


def test_the_first_mark_is_made_up_for_after_the_first_round(journal, marks, log):
    """The log was held when the watch began: what is owed is made with the next place, under its own reason, and once."""
    with Locked(log):
        assert "another process has held it" in marks.make("begun", T0)
        journal.add(one(1), T0)
        assert "another process has held it" in marks.after(None, one(1), T0)
    journal.add(one(2), T0)
    assert marks.after(one(1), one(2), T0 + QUARTER) == ""
    journal.add(one(3), T0)
    assert marks.after(one(2), one(3), T0 + 2 * QUARTER) == ""
    assert (marked(log), marks.check()) == ([("begun", 2)], "")


# -- when one is due -----------------------------------------------------------------------------------------------------------------------

ON, OFF = SwitchLook(), SwitchLook(on=False, off_s=900.0)
DUE = {
    "nothing": ({}, {}, ""),
    "a NO-GO": ({}, {"state": "NO_GO"}, "no_go"),
    "a NO-GO again": ({"state": "NO_GO"}, {"state": "NO_GO"}, "no_go"),
    "not finished": ({}, {"state": "UNFINISHED"}, ""),
    "an alert": ({}, {"alerts": AlertLook(fired={"leak": ("1",)})}, "alert"),
    "an alert elsewhere": ({}, {"alerts": AlertLook(elsewhere={"leak": ("1",)})}, "alert"),
    "still firing": ({}, {"alerts": AlertLook(firing=("leak",))}, ""),
    "off": ({"switch": ON}, {"switch": OFF}, "switch"),
    "still off": ({"switch": OFF}, {"switch": OFF}, ""),
    "on again": ({"switch": OFF}, {"switch": SwitchLook(on=True, off_s=3.0)}, "switch"),
    "on as before": ({"switch": OFF}, {"switch": ON}, ""),
    "both": ({}, {"state": "NO_GO", "alerts": AlertLook(fired={"leak": ("1",)})}, "no_go"),
}


@pytest.mark.parametrize("what", DUE)
def test_what_must_not_be_cut_off_is_marked_at_once(journal, marks, log, what):
    before, now, why = DUE[what]
    assert marks.make("begun", T0) == ""
    journal.add(one(1, **before), T0)
    journal.add(one(2, **now), T0)
    assert marks.after(one(1, **before), one(2, **now), T0 + QUARTER) == ""
    assert marked(log) == [("begun", 0), *([(why, 2)] if why else [])]


def test_a_first_round_while_telemetry_is_off_is_marked(journal, marks, log):
    marks.make("begun", T0)
    journal.add(one(1, switch=OFF), T0)
    assert marks.after(None, one(1, switch=OFF), T0) == ""
    assert marked(log)[1:] == [("switch", 1)]


def test_an_hour_is_an_hour_since_the_last(journal, marks, log):
    """To the second; any mark begins it anew."""
    marks.make("begun", T0)
    for n, at in enumerate((EVERY - timedelta(seconds=1), EVERY, EVERY + QUARTER, 2 * EVERY - timedelta(seconds=1), 2 * EVERY), 1):
        journal.add(one(n), T0)
        marks.after(None, one(n), T0 + at)
    assert marked(log)[1:] == [("hour", 2), ("hour", 5)]


def test_a_round_that_is_not_on_the_disk_is_marked_with_the_next(journal, marks, log):
    """No place is named that the journal has not: what is due waits, and is told under its reason when it is there."""
    marks.make("begun", T0)
    path, aside = journal.directory / "watch.jsonl", journal.directory / "aside"
    path.rename(aside)
    path.mkdir()
    journal.add(one(1, state="NO_GO"), T0)
    assert (journal.unwritten, marks.after(None, one(1, state="NO_GO"), T0), marked(log)) == (1, "", [("begun", 0)])
    path.rmdir()
    aside.rename(path)
    journal.add(one(2), T0)
    assert (journal.unwritten, marks.after(one(1), one(2), T0)) == (0, "")
    assert (marked(log), marks.check()) == ([("begun", 0), ("no_go", 2)], "")


# -- what a mark finds out -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_rounds(journal, marks):
    """A journal of three lines, whose last is marked."""
    for n in (1, 2):
        journal.add(one(n), T0)
    assert marks.make("hour", T0) == ""
    return journal.directory


def test_a_tail_that_was_cut_off(marks, two_rounds):
    forge(two_rounds, lines_of(two_rounds)[:2])
    assert marks.check() == "watch.jsonl: the audit's log has seen 3 lines, and there are fewer: its end was cut off"


def test_a_tail_that_was_written_anew(marks, two_rounds):
    """As many lines as before and a chain that holds: only the log knows that the last one was another."""
    forge(two_rounds, lines_of(two_rounds)[:2])
    Journal(two_rounds).add(one(2, state="NO_GO"), T0)
    assert Journal(two_rounds).head.n == 2
    assert marks.check() == "watch.jsonl: line 2 is not the one that the audit's log has seen"
    with pytest.raises(JournalUnusable, match="line 2 is not the one"):
        marks.demand()


def test_a_journal_that_went_on_after_its_mark_holds(journal, marks, two_rounds):
    journal.add(one(3), T0)
    assert marks.check() == ""
    (two_rounds / "watch.jsonl").unlink()
    assert marks.check() == "the journal cannot be read (No such file or directory)"


def test_a_log_that_was_changed_vouches_for_nothing(marks, two_rounds, log):
    path = log / "audit-log.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"why":"hour"', b'"why":"noon"'))
    assert "the audit's log, which must vouch for the journal, does not hold (" in marks.check()
    assert "see phi-audit log verify" in marks.check()


def test_a_mark_without_a_place_is_none(journal, marks, two_rounds, log):
    for number in ("2", True):
        chain.append(log, "watch", {"watch": journal.id, "journal_n": number, "journal_sha256": "f" * 64}, now=T0)
        assert marks.check() == "the audit's log holds a mark without a place"


# -- whether figures are vouched for -------------------------------------------------------------------------------------------------------

SEEN = Monitoring("2026-03-10T09:00:00Z", "2026-03-10T10:00:00Z", 1.0, 4, 900.0, 3, no_go=0, unfinished=0, closed=True, outcome="CLEAN")


def test_figures_are_vouched_for_at_their_place_alone(journal, marks, two_rounds, log):
    """Of the same place and the same figures; whether it is closed, or how many rounds there were, is one of them."""
    seen = replace(SEEN, journal_n=journal.head.n, journal_sha256=journal.head.sha256)
    assert not vouched(seen, log, None).vouched  # the place is marked, the figures are not
    assert marks.make("closed", T0, outcome="CLEAN", figures=figures_digest(seen)) == ""
    assert vouched(seen, log, None).vouched
    for change in ({"rounds": 5}, {"no_go": 1}, {"closed": False}, {"journal_n": 1}, {"journal_sha256": "e" * 64}, {"gates_digest": "0"}):
        assert not vouched(replace(seen, vouched=True, **change), log, None).vouched, change
    assert figures_digest(replace(seen, hours=1, vouched=True)) == figures_digest(seen)


def test_no_log_and_an_anchor_that_is_missing_vouch_for_nothing(journal, marks, two_rounds, log, tmp_path):
    """Nothing is raised: it is a file that somebody gave."""
    seen = replace(SEEN, journal_n=journal.head.n, journal_sha256=journal.head.sha256)
    marks.make("closed", T0, figures=figures_digest(seen))
    assert vouched(seen, log, None).vouched
    assert not vouched(seen, tmp_path / "nothing", None).vouched
    (tmp_path / "anchor").write_text("no head of ours\n")
    assert log_fault(log, tmp_path / "anchor")
    assert not vouched(seen, log, tmp_path / "anchor").vouched
    assert not vouched(seen, tmp_path / "w" / "watch.jsonl", None).vouched


def test_places_are_of_the_watch_that_is_named(journal, marks, two_rounds, log):
    """Oldest first; other entries of the log are none."""
    chain.append(log, "key_made", {}, now=T0)
    chain.append(log, "watch", {"watch": "e" * 64, "journal_n": 0, "journal_sha256": "f" * 64, "why": "begun"}, now=T0)
    assert [entry.facts["journal_n"] for entry in places(log, journal.id)] == [2]
    assert [entry.facts["journal_n"] for entry in places(log)] == [2, 0]
    assert json.loads(lines_of(two_rounds)[0])["event"] == "begin"
