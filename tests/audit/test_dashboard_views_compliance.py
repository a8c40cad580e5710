"""The compliance page: every part says how it stands, every missing or broken part what to do, and nothing of a trace is shown."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from kept_reports import finding, kept, reviewed

from audit import chain, signing
from audit.baseline import Accepted
from audit.baseline_file import write as write_baseline
from audit.calls.answers import Page
from audit.calls.index import CallIndex, Choice
from audit.calls.records import Call
from audit.cli import COMMANDS, main
from audit.dashboard import views
from audit.dashboard.views import accounts
from audit.dashboard.views.accounts import account_panel, ledger
from audit.dashboard.views.compliance import compliance, last_verdict
from audit.dashboard.views.controls import accepted, coverage, log_panel, switch_panel
from audit.dashboard.views.verdict import newest
from audit.manifest import CrossCheck
from audit.report import json as as_json
from audit.signing import Trusted
from phi_guard.errors import PhiGuardError
from phi_guard.switch import FileSwitch, SwitchState

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
SINCE = "2026-11-01T00:00:00+00:00"
_COMMAND = re.compile(r"phi-audit ([a-z]+(?: [^\"\n]*)?)\"")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The audit's directory with one key, trusted as approver."""
    directory = tmp_path_factory.mktemp("audit")
    public = signing.make_key(directory, "cleo")
    signing.trust(directory, Trusted("cleo", "approver", public, SINCE))
    return directory


def signed(report, home):
    key = signing.load_key(home, "cleo")
    return replace(report, signatures=(signing.sign(report.digest, "approver", "Cleo", "2026-11-20T12:30:00+00:00", key),))


def write(path, report, age_s=0):
    path.write_text(as_json.render(report), encoding="utf-8")
    os.utime(path, (NOW.timestamp() - age_s,) * 2)
    return path


def verdict(path, home, now=NOW):
    return last_verdict(path, now, home / signing.TRUSTED)


# -- the verdict ---------------------------------------------------------------------------------------------------------------------------


def test_a_signed_go_of_today_is_good(home, tmp_path):
    """It verifies, an approver answers for it, and it is of this week."""
    view = verdict(write(tmp_path / "r.json", signed(reviewed(kept(), "Ada", "Ben"), home)), home)
    assert (view.verdict, view.state, view.holds, view.signers, view.do) == ("GO", "good", True, ("Cleo (approver)",), "")
    assert (view.findings, view.traces, view.age) == (0, 40, "60 min ago")
    assert len(view.digest) == 64


@pytest.mark.parametrize(
    ("case", "state", "words"),
    [("unsigned", "watch", "No approver"), ("old", "watch", "older than 7 days"), ("distrusted", "watch", "No approver")],
)
def test_a_go_is_good_only_while_somebody_answers_and_it_is_new(home, tmp_path, case, state, words):
    """Unsigned, old, or by a key whose trust has ended it is to be watched."""
    report = reviewed(kept(), "Ada", "Ben")
    path = write(tmp_path / "r.json", report if case == "unsigned" else signed(report, home))
    trust = home / signing.TRUSTED
    if case == "distrusted":
        held = json.loads(trust.read_text())
        held["keys"][0]["until"] = "2026-11-20T12:45:00+00:00"
        trust = tmp_path / "trusted.json"
        trust.write_text(json.dumps(held))
    view = last_verdict(path, NOW + timedelta(days=8) if case == "old" else NOW, trust)
    assert (view.verdict, view.state) == ("GO", state)
    assert words in " ".join(view.words)
    assert view.do


def test_findings_are_bad_and_say_what_to_run(home, tmp_path):
    """By class and place, and never with a value."""
    view = compliance(
        write(tmp_path / "r.json", kept(findings=[finding(1), finding(2, trace=1)])), None, None, None,
        Made(()), Choice(), None, now=NOW, trust=home / signing.TRUSTED,
    )  # fmt: skip
    assert (view.verdict.verdict, view.verdict.state, view.verdict.findings) == ("NO-GO", "bad", 2)
    assert view.findings.table.rows == (("PERSON", "text", "2"),)
    assert view.findings.state == view.bound.state == view.gates.state == "bad"
    assert view.findings.do.startswith("phi-audit incident open")
    assert any(row[0] == "failed" for row in view.gates.table.rows)


def test_a_report_that_was_altered_is_bad_and_an_older_one_does_not_stand_in(home, tmp_path):
    """The newest counts, and it is said not to hold."""
    write(tmp_path / "old.json", signed(reviewed(kept(), "Ada", "Ben"), home), age_s=7_200)
    report = json.loads(as_json.render(kept()))
    report["results"]["findings"] = 9
    new = tmp_path / "new.json"
    new.write_text(json.dumps(report))
    os.utime(new, (NOW.timestamp(),) * 2)
    assert newest(tmp_path) == new
    view = verdict(tmp_path, home)
    assert (view.verdict, view.state, view.file, view.holds) == ("", "bad", "new.json", False)
    assert "an older one does not stand in for it" in view.words[0]


def test_of_a_directory_the_newest_report_counts_and_other_files_do_not(home, tmp_path):
    """A rehearsal's JSON is no report."""
    write(tmp_path / "a.json", kept(), age_s=100)
    (tmp_path / "z.json").write_text('{"schema": "phi-audit.rehearsal/1"}')
    assert verdict(tmp_path, home).file == "a.json"
    write(tmp_path / "b.json", kept(findings=[finding(1)]))
    assert verdict(tmp_path, home).verdict == "NO-GO"


def test_without_a_report_nothing_is_known(home, tmp_path):
    """No path, an empty directory, a file that is gone: what to run is said."""
    for path in (None, tmp_path, tmp_path / "gone.json"):
        view = verdict(path, home)
        assert (view.verdict, view.state, view.findings, view.upper) == ("", "unknown", None, None)
        assert view.do.startswith("phi-audit scan")


def test_a_forged_signature_is_bad(home, tmp_path):
    """It is told by its place, and the page says how to look at it."""
    report = signed(reviewed(kept(), "Ada", "Ben"), home)
    forged = replace(report, signatures=(replace(report.signatures[0], name="Mallory"),))
    view = verdict(write(tmp_path / "r.json", forged), home)
    assert (view.state, view.holds) == ("bad", False)
    assert view.do == "phi-audit verify r.json"


# -- the controls --------------------------------------------------------------------------------------------------------------------------


def test_coverage_names_fields_that_were_never_redacted(policy):
    """Kept fields need none; unknown fields are to be watched."""
    panel = coverage({"patient_name": 5, "phone": 2}, policy)
    rows = {row[0]: row for row in panel.table.rows}
    assert rows["patient_name"] == ("patient_name", policy.fields["patient_name"].action, "5")
    never = {name for name, row in rows.items() if row[2] == "0"}
    assert never == {name for name, rule in policy.fields.items() if rule.action != "keep"} - {"patient_name", "phone"}
    assert f"2 of {len(never) + 2} fields" in panel.words[1]
    assert panel.state == "good"
    strange = coverage({"patient_name": 5, "unknown": 3}, policy)
    assert (strange.state, strange.do) == ("watch", "phi-audit policy suggest --help")
    assert coverage({}, policy).state == coverage({"patient_name": 1}, None).state == "unknown"


@pytest.mark.parametrize(
    ("state", "stands"),
    [
        (SwitchState(True, "audit: GO", "2026-11-20T12:00:00Z", release="a" * 64), "good"),
        (SwitchState(False, "by hand", "2026-11-20T12:00:00Z"), "watch"),
        (SwitchState(False, "leak found", "", hold="leak"), "bad"),
    ],
    ids=["on", "off", "held"],
)
def test_the_switch_as_it_stands(state, stands):
    """On is good, off to be watched, held bad; the way back is said."""
    panel = switch_panel(lambda: state, NOW)
    assert panel.state == stands
    assert (panel.do == "") == state.on
    assert ("State", "on" if state.on else "off") in panel.table.rows


def test_a_switch_that_cannot_be_asked_counts_as_off(tmp_path):
    """A backend that is away, and no switch at all; a file that is not there is off with its reason."""

    def away():
        raise PhiGuardError("redis: cannot be reached")

    assert switch_panel(away, NOW).state == "bad"
    assert switch_panel(None, NOW).state == "unknown"
    gone = switch_panel(FileSwitch(tmp_path / "switch").state, NOW)
    assert gone.state == "watch"
    assert "no switch file" in dict(gone.table.rows)["Reason"]


def test_the_log_holds_until_it_is_changed(tmp_path):
    """Whole it is good, changed bad, taken away bad, and none yet is no fault."""
    assert log_panel(tmp_path).state == log_panel(None).state == "unknown"
    for n in range(3):
        chain.append(tmp_path, "report", {"report": f"{n:064x}"}, now=NOW)
    panel = log_panel(tmp_path)
    assert (panel.state, panel.words[0]) == ("good", "The chain holds: 4 entries.")
    log = tmp_path / chain.LOG
    content = log.read_bytes()
    log.write_bytes(content.replace(b"0001", b"0009", 1))
    assert (log_panel(tmp_path).state, log_panel(tmp_path).do) == ("bad", "phi-audit log verify")
    log.write_bytes(content)
    assert log_panel(tmp_path).state == "good"
    log.unlink()
    assert log_panel(tmp_path).state == "bad"


def test_accepted_findings_and_when_they_end(tmp_path):
    """One holds, one ends soon, one is over: somebody is to look again."""
    path = tmp_path / "baseline.yaml"

    def entry(n, expires):
        return Accepted(f"{n:016x}", "outputs.note", "PERSON", "a street's name", "Cleo", "2026-10-01", expires)

    write_baseline(path, [entry(1, "2027-03-01")])
    assert accepted(path, None, NOW).state == "good"
    write_baseline(path, [entry(1, "2027-03-01"), entry(2, "2026-11-25"), entry(3, "2026-11-01")])
    panel = accepted(path, None, NOW)
    assert [row[0] for row in panel.table.rows] == ["expired", "ends soon", "holds"]
    assert (panel.state, panel.do) == ("watch", "phi-audit baseline show")
    path.write_text("schema: [\n")
    assert accepted(path, None, NOW).state == "bad"
    assert accepted(tmp_path / "gone.yaml", None, NOW).state == "bad"
    assert accepted(None, kept(), NOW).words == ("None: every finding counts.",)
    assert accepted(None, None, NOW).state == "unknown"


# -- the accounts --------------------------------------------------------------------------------------------------------------------------


class Made:
    """An index that holds just these calls, a page of two at a time."""

    def __init__(self, calls):
        self._calls = calls

    def page(self, choice, *, order="start", descending=True, after="", limit=50):
        first = int(after or 0)
        return Page(tuple(self._calls[first : first + 2]), str(first + 2) if first + 2 < len(self._calls) else "", len(self._calls))

    def redactions(self, choice):
        return {}


def ended(offered, delivered, withheld=0, dropped=0):
    return Call("t", end=NOW, offered=offered, delivered=delivered, withheld=withheld, dropped=dropped)


def test_the_ledger_adds_up_over_every_page():
    """30 offered = 26 delivered + 1 withheld + 0 dropped + 3 pending."""
    panel = ledger(Made([ended(10, 10), ended(10, 8), ended(10, 8, 1)]), Choice())
    assert panel.words == ("Over 3 calls: 30 spans offered = 26 delivered + 1 withheld + 0 dropped + 3 pending when the call ended.",)
    assert panel.state == "good"


@pytest.mark.parametrize(
    ("calls", "state", "words"),
    [
        ([ended(1_000, 991, 0, 9)], "watch", "Dropped: 0.9 %"),
        ([ended(100, 99, 0, 1)], "bad", "Dropped: 1 %"),
        ([ended(10, 11)], "bad", "told more spans than it offered"),
        ([ended(10, 10), Call("t", end=NOW)], "watch", "1 call ended without telling its counts"),
        ([Call("t")], "unknown", "No call of this choice has told its counts"),
    ],
    ids=["few dropped", "one in a hundred", "impossible", "silent", "open"],
)
def test_what_the_ledger_makes_of_losses(calls, state, words):
    """Below one per cent is to be watched, from there on bad."""
    panel = ledger(Made(calls), Choice())
    assert panel.state == state
    assert words in " ".join(panel.words)


def test_the_ledger_of_many_calls_says_where_it_stopped(monkeypatch):
    """A page does not count for ever."""
    monkeypatch.setattr(accounts, "CALLS_MAX", 4)
    assert "Counted over the newest 4 of 9 calls." in ledger(Made([ended(1, 1)] * 9), Choice()).words


def test_the_relays_account(tmp_path):
    """Totals by state and reason, and what waits; a file that is none is said to be none."""
    path = tmp_path / "outbox.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE ops (seq INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE totals (day TEXT, state TEXT, reason TEXT, withheld TEXT, n INTEGER)")
        rows = [
            ("d", "delivered", "", "", 90),
            ("e", "delivered", "", "", 5),
            ("d", "delivered", "", "gate_fault", 3),
            ("d", "dropped", "full", "", 2),
        ]
        db.executemany("INSERT INTO totals VALUES (?, ?, ?, ?, ?)", rows)
        db.execute("INSERT INTO ops VALUES (1), (2)")
    db.close()
    panel = account_panel(tmp_path, CrossCheck("outbox", 98, 98))
    assert panel.table.rows == (("delivered", "95"), ("withheld (sent without content)", "3"), ("dropped: full", "2"), ("waiting", "2"))
    assert panel.state == "good"
    assert account_panel(tmp_path, CrossCheck("outbox", 98, 90, 8)).state == "bad"
    path.write_text("this is no database, and was never one")
    assert account_panel(path, None).state == "watch"
    assert "cannot be read" in account_panel(path, None).words[0]
    assert "is not there" in account_panel(tmp_path / "gone", None).words[0]
    assert account_panel(None, None).state == "unknown"


def test_the_columns_of_the_relays_outbox_are_those_read(tmp_path):
    """Another's tables: what is read here stands in them."""
    from tracing.relay import database

    with sqlite3.connect(":memory:") as db:
        db.executescript(database._SCHEMA)
        db.execute("SELECT state, reason, withheld, n FROM totals")
        db.execute("SELECT count(*) FROM ops")
    db.close()


# -- all of it -----------------------------------------------------------------------------------------------------------------------------


def test_with_nothing_at_all_every_part_has_words(tmp_path):
    """No file, no switch, no policy: nothing is raised, nothing is good, and most say what to run."""
    index = CallIndex(tmp_path / "calls.sqlite3")
    try:
        view = compliance(None, None, None, None, index, Choice(), None, now=NOW)
    finally:
        index.close()
    assert view.verdict.state == "unknown"
    assert all(panel.words and panel.state == "unknown" for panel in view.panels)
    names = [panel.name for panel in view.panels]
    assert len(set(names)) == len(names) == 9


def test_with_everything_broken_nothing_is_good(tmp_path, policy):
    """Each file is rubbish: the page says so."""
    rubbish = tmp_path / "rubbish.json"
    rubbish.write_bytes(b'\xff\x00{"schema": "phi-audit.report/2"')
    (tmp_path / chain.LOG).write_bytes(b"\xff\n")
    view = compliance(
        rubbish, tmp_path, lambda: SwitchState(False, "?", "?"), rubbish, Made(()), Choice(), policy, now=NOW, baseline=rubbish
    )
    assert view.verdict.state == view.log.state == view.accepted.state == "bad"
    assert all(panel.state != "good" for panel in view.panels)


def test_every_command_a_page_names_is_one():
    """What to do next can be done: the group, its command and its options are known to the command line."""
    commands = {match for file in Path(views.__file__).parent.glob("*.py") for match in _COMMAND.findall(file.read_text())}
    assert len(commands) > 8
    for words in sorted(commands):
        first, second, *rest = (*words.split(), "", "")
        assert first in COMMANDS, words
        command = main.get_command(click.Context(main), first)
        if isinstance(command, click.Group) and second.isalpha():
            command = command.get_command(click.Context(command), second)
        assert command is not None, words
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in (second, *rest) if word.startswith("-")} <= known, words
