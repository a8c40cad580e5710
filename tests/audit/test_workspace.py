"""The census over its workspace: resumed, cached, interrupted, damaged. Two ways to the same scan give the same findings."""

from __future__ import annotations

import sqlite3
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest

from audit.census import PAGE, Detectors, Plan, take
from audit.source import Portion, SourceError
from audit.workspace import Workspace, content_digest, location, unfinished
from phi_guard.detect import PatternDetector

NAME, PHONE = "Ada Byron", "+41 79 555 01 23"
KEY = b"k" * 32
PORTIONS = 4


class Portions:
    """A source of several portions; the one named in ``breaks`` raises after ``after`` runs. Remembers which were read."""

    live, place = False, "memory"

    def __init__(self, calls, *, breaks=None, after=0, fault=None):
        self.calls, self.breaks, self.after, self.fault, self.read = calls, breaks, after, fault, []

    def pieces(self):
        for n in range(PORTIONS):
            yield Portion(f"p{n}", lambda n=n: self._portion(n))

    def _portion(self, n):
        self.read.append(n)
        runs = [run for call in self.calls[n::PORTIONS] for run in call]
        if n == self.breaks:
            yield from islice(runs, self.after)
            raise self.fault
        yield from runs

    def runs(self):
        for piece in self.pieces():
            yield from piece.runs()


class Asked:
    """Counts the texts that the detectors are asked about."""

    def __init__(self, made):
        self._inner = made.KnowsThePool()
        self.texts = 0

    def find(self, text):
        self.texts += 1
        return self._inner.find(text)


@pytest.fixture
def calls(made):
    calls = [made.call(n) for n in range(24)]
    for n, call in enumerate(calls):
        if n % 5 == 0:
            call[4]["tags"] = [f"{NAME} {n}"]
            call[5]["inputs"]["notes"] = f"called from {PHONE}"
    return calls


@pytest.fixture
def scan(policy, made, tmp_path):
    """Scans with a workspace; gives the census and how many texts the detectors were asked about."""

    def scan(source, *, path=tmp_path / "scans" / "w.sqlite", resume=False, digest="method-1", key=KEY, plants=0):
        asked = Asked(made)
        plan = Plan(policy, "clinic-dev", seed=3, known_answers=plants, key=key, workspace=path, resume=resume)
        census = take(source, plan, lambda: Detectors(asked.find, PatternDetector().find, digest=digest))
        return census, asked.texts

    return scan


def facts(census):
    return census.findings, census.population, census.timeline, census.severities, census.leaking, census.known_answers


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), SourceError("unreachable", "away")], ids=["ctrl-c", "source"])
@pytest.mark.parametrize("after", [0, 5, 30])
def test_an_interrupted_scan_goes_on_to_the_same_result(scan, calls, tmp_path, fault, after):
    """Portions that were finished are not read again, and the whole is what one go gives, known answers and order included."""
    source = Portions(calls, breaks=2, after=after, fault=fault)
    first, _ = scan(source)
    assert first.incomplete
    assert first.interrupted == isinstance(fault, KeyboardInterrupt)
    assert first.population.runs == 2 * 6 * 7 + after
    rest = Portions(calls)
    second, _ = scan(rest, resume=True)
    whole, _ = scan(Portions(calls), path=tmp_path / "other.sqlite")
    assert second.resumed
    assert facts(second) == facts(whole)
    assert whole.severities["high"] == 5 * 2  # a tag and a phone number
    # the first portion is read once more for the known answers' homes, and no other
    assert rest.read in ([2, 3], [0, 2, 3], [0, 1, 2, 3])
    assert second.incomplete == ""


def test_a_scan_that_ended_at_the_known_answers_goes_on_there(calls, policy, made, tmp_path):
    """They are planted in the first runs of the project as in one go, though none of them is scanned again."""

    def progress(what, _done):
        if what == "seeking known answers":
            raise KeyboardInterrupt

    detectors = Detectors(made.KnowsThePool().find, PatternDetector().find)
    plan = Plan(policy, "clinic-dev", seed=3, known_answers=1, key=KEY, workspace=tmp_path / "w.sqlite")
    assert take(Portions(calls), plan, lambda: detectors, progress).interrupted
    source = Portions(calls)
    census = take(source, replace(plan, resume=True), lambda: detectors)
    assert census.resumed
    assert census.population.runs == 24 * 7
    assert census.known_answers is not None
    assert not census.known_answers.synthetic
    assert 0 in source.read


def test_a_killed_scan_goes_on(scan, calls, tmp_path):
    """What a finished portion gave is on the disk at its end; what was begun is not counted twice."""
    path = tmp_path / "scans" / "w.sqlite"
    scan(Portions(calls, breaks=1, after=9, fault=SourceError("unreachable", "away")))
    db = sqlite3.connect(path)
    assert [name for (name,) in db.execute("SELECT name FROM portion")] == ["p0"]
    assert {portion for (portion,) in db.execute("SELECT DISTINCT portion FROM finding")} <= {"p0"}
    db.close()


def test_unchanged_runs_are_not_scanned_again(scan, calls):
    """The second scan of a window asks about nothing but what changed and what it must show again, and finds the very same."""
    first, asked = scan(Portions(calls))
    second, less = scan(Portions(calls))
    assert facts(second) == facts(first)
    assert first.remembered == 0
    assert second.remembered > 24 * 7 - 24
    assert less < asked
    changed = deepcopy(calls)
    changed[1][5]["inputs"]["notes"] = f"for {NAME}"
    third, _ = scan(Portions(changed))
    assert {f.path for f in third.findings} - {f.path for f in first.findings} == set()
    assert len(third.findings) == len(first.findings) + 1
    assert third.remembered == second.remembered - 1


@pytest.mark.parametrize("change", ["method", "key", "nothing remembered"])
def test_another_method_or_key_scans_anew(scan, calls, change):
    """What other detectors found is not taken for what these would."""
    scan(Portions(calls))
    how = {"method": {"digest": "method-2"}, "key": {"key": b"x" * 32}, "nothing remembered": {"digest": ""}}[change]
    again, _ = scan(Portions(calls), **how)
    assert again.remembered == 0
    assert again.severities == {"high": 10, "medium": 0, "low": 0}


def test_resume_with_another_method_begins_anew(scan, calls):
    """An unfinished scan of other detectors is not gone on with, and that is said."""
    scan(Portions(calls, breaks=2, after=3, fault=KeyboardInterrupt()))
    census, _ = scan(source := Portions(calls), resume=True, digest="method-2")
    assert not census.resumed
    assert source.read == [0, 1, 2, 3]
    assert "other detectors" in " ".join(census.notes)
    assert census.population.runs == 24 * 7


@pytest.mark.parametrize("file", ["w.sqlite", "w.cache"])
@pytest.mark.parametrize("damage", ["cut", "overwritten", "foreign", "no database", "link"])
def test_a_damaged_or_foreign_file_is_put_aside(scan, calls, tmp_path, file, damage):
    """It is said, nothing of it is believed, and the scan gives what it would have given."""
    first, _ = scan(Portions(calls, breaks=3, after=1, fault=KeyboardInterrupt()))
    path = tmp_path / "scans" / file
    data = path.read_bytes()
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "overwritten":
        path.write_bytes(data[:5000] + b"\xa5" * (len(data) - 5000))
    elif damage == "foreign":
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE portion (x)")
        db.close()
    elif damage == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("name,phone\n")
    census, _ = scan(Portions(calls), resume=True)
    assert [path.name for path in (tmp_path / "scans").glob("*.aside-*")] == [f"{file}.aside-1"]
    assert any("put aside" in note for note in census.notes)
    assert census.incomplete == ""
    assert census.population.runs == 24 * 7
    assert census.severities["high"] == 10
    assert first.interrupted


@pytest.mark.parametrize("forged", ["DELETE FROM finding", "UPDATE finding SET severity = 'low'", "UPDATE portion SET runs = 999999"])
def test_results_that_were_changed_are_not_believed(scan, calls, tmp_path, forged):
    """Somebody who takes findings out of the file gains nothing."""
    scan(Portions(calls, breaks=3, after=1, fault=KeyboardInterrupt()))
    with sqlite3.connect(tmp_path / "scans" / "w.sqlite") as db:
        db.execute(forged)
    db.close()
    census, _ = scan(Portions(calls), resume=True)
    assert census.severities["high"] == 10
    assert any("put aside" in note for note in census.notes)


def test_a_forged_cache_entry_is_not_believed(scan, calls, tmp_path):
    """An entry that says "nothing found" in the place of a finding is scanned again."""
    first, _ = scan(Portions(calls))
    with sqlite3.connect(tmp_path / "scans" / "w.cache") as db:
        db.execute("UPDATE cache SET findings = '[]'")
    db.close()
    second, _ = scan(Portions(calls))
    assert second.findings == first.findings
    assert second.remembered > 0  # those whose entry said so rightly


def test_the_files_hold_no_value_and_are_ours_alone(scan, calls, tmp_path, made):
    """Neither the values found nor those beside them stand in a file, in whatever case; the files are readable by nobody else."""
    calls[0][4] |= {"id": NAME, "name": PHONE, "error": f"LookupError: {NAME}", NAME: 1}
    calls[0][4]["extra"]["metadata"] |= {"room_sid": NAME, "agent_version": NAME, "reason": PHONE, NAME: PHONE}
    calls[0][5] |= {"parent_run_id": NAME, "trace_id": NAME, "inputs": {NAME: NAME}}
    census, _ = scan(Portions(calls, breaks=3, after=1, fault=KeyboardInterrupt()))
    assert census.severities["high"] > 10
    files = sorted((tmp_path / "scans").iterdir())
    assert [file.name for file in files] == ["w.cache", "w.sqlite"]
    for file in files:
        data = file.read_bytes().lower()
        assert not [word for word in ("byron", "555 01 23", "5550123", "dr. lee") if word.encode() in data]
        assert file.stat().st_mode & 0o777 == 0o600


def test_findings_beyond_the_list_are_counted(scan, made, monkeypatch):
    """A report lists so many, the gravest; the rest is counted, and the verdict's number is that of all."""
    monkeypatch.setattr("audit.census.LISTED_MAX", 10)
    calls = [made.call(n) for n in range(30)]
    for call in calls:
        call[4]["tags"] = ["yes"]  # out of place, and nobody's name
    calls[29][4]["tags"] = [NAME]
    census, _ = scan(Portions(calls))
    assert len(census.findings) == 10
    assert sum(f.severity == "high" for f in census.findings) == 1
    assert (census.failing, census.unlisted, census.leaking) == (30, 20, 30)
    assert sum(census.by_trace[t] for t in census.by_trace) == 30
    assert len(census.by_trace) == 30


def test_a_run_that_comes_twice_is_one_run(scan, made):
    """A row repeated over two pages gives its findings once; a second, changed one gives what is new in it."""
    call = made.call()
    call[4]["tags"] = [NAME]
    changed = deepcopy(call[4]) | {"error": f"KeyError: '{PHONE}'"}
    census, _ = scan(made.FixedSource([*call, *call, changed]))
    assert [f.path for f in census.findings] == ["tags[0]", "error"]
    assert census.population.repeated == 8


def test_more_runs_than_a_page(scan, made):
    """The seam between two pages loses and doubles nothing."""
    runs = [run for n in range(PAGE // 3) for run in made.call(n)]
    census, _ = scan(made.FixedSource(runs))
    assert census.population.runs == len(runs)
    assert census.findings == ()


def test_values_are_kept_for_the_reports_check(scan, calls):
    """A remembered run with findings is looked at again, since its values are written nowhere."""
    scan(Portions(calls))
    census, _ = scan(Portions(calls))
    assert f"{NAME} 5" in census.values


def test_content_digest():
    """Equal content in whatever order gives an equal digest, another key another; what is no JSON has none."""
    assert content_digest({"a": 1, "b": [2]}, KEY) == content_digest({"b": [2], "a": 1}, KEY)
    assert content_digest({"a": 1}, KEY) != content_digest({"a": 1}, b"x" * 32) != content_digest({"a": 2}, b"x" * 32)
    with pytest.raises(ValueError, match="JSON"):
        content_digest({"a": object()}, KEY)


def test_location_tells_nothing(tmp_path):
    """The file's name is a keyed digest of what it is for."""
    where = {"project": "clinic-dev", "place": "https://x", "policy": "d"}
    assert location(tmp_path, KEY, **where) == location(tmp_path, KEY, **where)
    others = [where | {name: "other"} for name in where]
    assert len({location(tmp_path, KEY, **each) for each in [where, *others]}) == 4
    assert "clinic" not in str(location(tmp_path, KEY, **where).name)


def test_the_window_of_an_unfinished_scan_is_known(calls, policy, made, tmp_path):
    """Who goes on can ask for the window that was begun with; a finished scan, no file and no database have none."""
    path = tmp_path / "w.sqlite"
    window = (made.NOW - timedelta(days=7), made.NOW)
    plan = Plan(policy, "clinic-dev", seed=3, known_answers=0, key=KEY, workspace=path, since=window[0], until=window[1])
    assert unfinished(path) is None
    detectors = Detectors(made.KnowsThePool().find, PatternDetector().find)
    take(Portions(calls, breaks=1, after=0, fault=KeyboardInterrupt()), plan, lambda: detectors)
    assert unfinished(path) == window
    take(Portions(calls), replace(plan, resume=True), lambda: detectors)
    assert unfinished(path) is None
    path.write_text("no database")
    assert unfinished(path) is None


def test_temporary_files_leave_nothing(tmp_path, policy, made, monkeypatch):
    """Without a path nothing is left, and everything else is the same."""
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    plan = Plan(policy, "clinic-dev", seed=3, known_answers=0, key=KEY)
    census = take(made.FixedSource(made.call()), plan, lambda: Detectors(made.KnowsThePool().find, PatternDetector().find))
    assert (census.incomplete, census.findings, census.population.runs) == ("", (), 7)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert Workspace(None, key=KEY, identity="x").notes == []
    assert replace(plan, resume=True).resume
