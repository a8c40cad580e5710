"""``phi-audit incident``: from the report that found the leak to the draft for those who must decide."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from kept_reports import TRACES, finding, kept

from audit import chain
from audit.cli import COMMANDS, main
from audit.purge import Purge, Receipt
from audit.purge_file import write as write_receipts
from audit.report import json as as_json
from phi_guard.switch import FileSwitch


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setitem(COMMANDS, "incident", ("audit.cli.incident:incident", ""))
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    FileSwitch(tmp_path / "switch.json").turn_on("a test")
    return lambda *args: CliRunner().invoke(main, ["incident", *map(str, args)])


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(as_json.render(kept(findings=[finding(1), finding(1, trace=1), finding(2, trace=2, entity="PHONE_NUMBER")])))
    return path


@pytest.fixture
def opened(run, report):
    """The id of an incident on that report."""
    done = run("open", "--report", report, "--discovered", "2026-11-20T09:10+01:00", "--zone", "Europe/Zurich", "--format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["id"]


def shown(run, name, *more):
    return json.loads(run("show", name, "--format", "json", *more).stdout)


def test_open_turns_the_switch_off_and_holds_it(run, opened, tmp_path):
    """Off, held, written down, with the clocks from the discovery."""
    state = FileSwitch(tmp_path / "switch.json").state()
    assert (state.on, state.hold) == (False, "leak")
    held = shown(run, opened, "--now", "2026-11-20T09:10+01:00")
    assert (held["schema"], held["state"], held["discovered"]) == ("phi-audit.incident/1", "open", "2026-11-20T08:10:00+00:00")
    assert [entry["event"] for entry in held["entries"]] == ["opened", "contained"]
    assert held["people"] == {"least": 2, "most": 3}
    clocks = {clock["name"]: clock for clock in held["clocks"]}
    assert clocks["GDPR: authority"]["left_s"] == 72 * 3600
    assert clocks["HIPAA: individuals"]["last_day"] == "2027-01-19"
    events = [entry.event for entry in chain.entries(tmp_path / "audit")]
    assert events[-3:] == ["enforced", "incident", "incident"]


def test_opening_twice_opens_one(run, opened, report, tmp_path):
    """The second says so, trips the switch again, and adds nothing."""
    FileSwitch(tmp_path / "switch.json").turn_on("too early", release="0" * 64)
    done = run("open", "--report", report, "--format", "json")
    assert (done.exit_code, json.loads(done.stdout)["id"]) == (0, opened)
    assert "opened on this report before" in done.stderr
    assert not FileSwitch(tmp_path / "switch.json").state().on
    assert len(json.loads(done.stdout)["entries"]) == 2


def test_from_discovery_to_close(run, opened, tmp_path):
    """Each step is an entry, in the file and in the log; the order is kept: no close before it is assessed."""
    digest = shown(run, opened)["report_digest"]
    receipts = tmp_path / "receipts.json"
    rows = (Receipt(TRACES[0], "gone", "2026-11-20T13:00:00Z", 202, "2026-11-20T14:00:00Z", 3, "query+read"), Receipt(TRACES[1], "asked"))
    write_receipts(Purge(digest, "h", "clinic-prod", "2026-11-20T13:00:00Z", rows), receipts)
    assert run("note", opened, "--text", "the store was told by telephone").exit_code == 0
    assert run("note", opened, "--receipts", receipts).exit_code == 0
    assert run("close", opened).exit_code == 2
    assert run("assess", opened, "--decision", "low-probability").exit_code == 2
    assert run("assess", opened, "--decision", "breach", "--people", "501").exit_code == 0
    held = shown(run, opened)
    assert held["people"] == {"least": 501, "most": 501}
    assert next(clock for clock in held["clocks"] if clock["name"] == "HIPAA: media")["last_day"]
    assert run("close", opened, "--text", "all notices sent").exit_code == 0
    assert run("note", opened, "--text", "one more").exit_code == 2
    held = shown(run, opened)
    assert [entry["event"] for entry in held["entries"]] == ["opened", "contained", "noted", "purged", "assessed", "closed"]
    logged = [entry for entry in chain.entries(tmp_path / "audit") if entry.event == "incident"]
    assert [entry.facts["what"] for entry in logged] == [entry["event"] for entry in held["entries"]]
    text = run("show", opened).stdout
    assert "Purged 1 of 2 traces" in text
    assert "6 years" in text
    assert "Not legal advice" in text
    assert "the act took" in text


def test_receipts_of_another_report_are_refused(run, opened, tmp_path):
    """A purge belongs to the incident of its own report."""
    receipts = tmp_path / "receipts.json"
    write_receipts(Purge("9" * 64, "h", "clinic-prod", "2026-11-20T13:00:00Z", ()), receipts)
    done = run("note", opened, "--receipts", receipts)
    assert (done.exit_code, "another report" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "text", ["call +41 79 555 01 23 again", "wrote to ann@example.com", "SSN 078-05-1120"], ids=["phone", "mail", "ssn"]
)
def test_a_note_that_holds_an_identifier_is_refused(run, opened, text, tmp_path):
    """Said by its kind, never by what it is, and nothing is written."""
    done = run("note", opened, "--text", text)
    assert done.exit_code == 2
    assert "looks like" in done.stderr
    assert "555 01" not in done.output
    assert "example.com" not in done.output
    assert text not in (tmp_path / "audit" / "incidents" / f"{opened}.json").read_text()
    assert "Names of patients do not belong here" in run("note", opened, "--text", "nothing new").stderr


def test_it_may_come_to_light_that_it_was_known_earlier(run, opened):
    """Earlier moves the clocks; later is refused."""
    assert run("note", opened, "--discovered", "2026-11-19T23:00Z").exit_code == 0
    assert shown(run, opened)["discovered"] == "2026-11-19T23:00:00+00:00"
    assert run("note", opened, "--discovered", "2026-11-20T12:00Z").exit_code == 2
    assert run("note", opened, "--discovered", "yesterday").exit_code == 2


def test_a_discovery_after_the_report_is_refused_but_the_switch_is_off(run, report, tmp_path):
    """Containment comes before the record."""
    done = run("open", "--report", report, "--discovered", "2026-11-21T09:00Z")
    assert (done.exit_code, "cannot be discovered later" in done.stderr) == (2, True)
    assert not FileSwitch(tmp_path / "switch.json").state().on
    assert json.loads(run("show", "--format", "json").stdout)["incidents"] == []


def test_a_changed_record_is_told(run, opened, tmp_path):
    """Exit 4, with the entry; and no more is added to it."""
    path = tmp_path / "audit" / "incidents" / f"{opened}.json"
    path.write_text(path.read_text().replace("Europe/Zurich", "Europe/London"))
    for args in (["show", opened], ["note", opened, "--text", "more"], ["draft", opened]):
        done = run(*args)
        assert (done.exit_code, "entry 0" in done.stderr) == (4, True), done.output
    done = run("show", "--format", "json")
    assert (done.exit_code, json.loads(done.stdout)["broken"]) == (4, [opened])


def test_contain_again_measures_again(run, opened, tmp_path):
    """A switch that went on too early is off once more, as an entry of its own."""
    FileSwitch(tmp_path / "switch.json").turn_on("too early", release="0" * 64)
    done = run("contain", opened, "--format", "json")
    assert done.exit_code == 0, done.output
    assert not FileSwitch(tmp_path / "switch.json").state().on
    assert json.loads(done.stdout)["entries"][-1]["facts"]["off"] == 1


def test_a_switch_that_cannot_be_turned_off_is_no_success(run, report, monkeypatch):
    """Exit 3, in capitals; the record is opened all the same, and says so."""
    monkeypatch.setattr("phi_guard.switch.FileSwitch._write", lambda *_: _fail())
    monkeypatch.setattr("phi_guard.switch.FileSwitch._remove", lambda *_, **__: _fail())
    done = run("open", "--report", report)
    assert (done.exit_code, "THE SWITCH IS NOT OFF" in done.stderr) == (3, True)
    assert "NOT shown to be off" in done.stdout


def _fail():
    from phi_guard.switch import SwitchError

    raise SwitchError("read-only")


def test_the_draft_goes_to_a_file(run, opened, tmp_path):
    """Markdown with the four factors, and blanks."""
    out = tmp_path / "draft.md"
    assert run("draft", opened, "-o", out, "--now", "2026-11-21T00:00Z").exit_code == 0
    text = out.read_text()
    assert all(f"## {n}." in text for n in (1, 2, 3, 4))
    assert "_____" in text
    assert TRACES[0] not in text


def test_a_report_without_findings_opens_nothing(run, tmp_path):
    """There is nothing to open it on."""
    path = tmp_path / "clean.json"
    path.write_text(as_json.render(kept()))
    assert run("open", "--report", path).exit_code == 2


def test_a_report_that_was_altered_opens_nothing(run, report):
    """Exit 4."""
    report.write_text(report.read_text().replace("PHONE_NUMBER", "EMAIL_ADDRESS", 1))
    assert run("open", "--report", report).exit_code == 4


@pytest.mark.parametrize(
    "args", [["show", "../switch"], ["show", "incident-20260101-00000000"], ["open", "--report", "x.json", "--zone", "Mars/Base"]],
    ids=["name", "absent", "zone"],
)  # fmt: skip
def test_a_wrong_name_is_told(run, args):
    """Exit 2 and no traceback."""
    done = run(*args)
    assert (done.exit_code, "Traceback" in done.output) == (2, False)


def test_listing_names_each(run, opened):
    """Every incident with its state."""
    assert opened in run("show").stdout


def test_times_are_of_the_incident(run, opened):
    """The timeline is told in the incident's own zone."""
    assert "2026-11-20T09:10:00+01:00 (Europe/Zurich)" in run("show", opened).stdout
