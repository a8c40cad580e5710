"""Forgeries: evidence that somebody made, swapped, dated back or judged by lower bars, with every digest computed anew, does not pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from kept_reports import MADE_AT, judged_by, kept, reviewed

from audit import consistency, exits, signing
from audit.bars import weaker
from audit.cli import main
from audit.custody import Signature
from audit.gates import GatesError, load_gates
from audit.keys import KeyFileError
from audit.method import Piece
from audit.person import fold
from audit.release import Account, refuse
from audit.report import json as as_json
from audit.review.outcome import join
from audit.review.record import Decision, Planted, Review, ReviewError
from audit.signing import Trusted
from audit.verification import verify_report
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch, SwitchState

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)
SINCE = "2026-11-01T00:00:00+00:00"
AT = "2026-11-20T13:00:00+00:00"


@pytest.fixture
def home(tmp_path):
    """The audit's directory, where Cleo is trusted as approver and Ada as reviewer."""
    directory = tmp_path / "audit"
    for name, role in (("cleo", "approver"), ("ada", "reviewer")):
        signing.trust(directory, Trusted(name, role, signing.make_key(directory, name), SINCE))
    return directory


def signed(report, home, *, key="cleo", role="approver", name="Cleo", at=AT, statement=""):
    made = signing.sign(report.digest, role, name, at, signing.load_key(home, key), statement)
    return replace(report, signatures=(*report.signatures, made))


def check(report, home, tmp_path, now=NOW):
    path = tmp_path / "r.json"
    path.write_text(as_json.render(report), encoding="utf-8")
    return verify_report(path, home / signing.TRUSTED, now=now)


def go():
    """A report that says GO, with the reviews of two people in it."""
    return reviewed(kept(), "Ada", "Bea")


# -- one person as two ---------------------------------------------------------------------------------------------------------------------

SAME = [
    "ADA BYRON",
    "Ada  Byron",
    "AdaByron",
    " ada byron ",
    "Ada-Byron",
    "\u0410da B\u0443ron",
    "Ada\u200b Byron",
    "\uff21da Byron",
    "Àda Byron",
]
IDS = ["case", "spaces", "no space", "around", "hyphen", "cyrillic", "invisible", "wide", "accent"]


@pytest.mark.parametrize("name", SAME, ids=IDS)
def test_one_person_is_not_two_reviewers(name):
    """However the name is written; neither when reviews are joined nor in a report made without joining them."""
    report = kept()
    drawn = report.selection.trace_ids
    said = tuple(Decision(trace, "clear", "", "", "", MADE_AT) for trace in drawn)
    plants = tuple(Planted(f"{n:032x}", "name", "1.inputs.1", "leak", found=True) for n in range(10))
    one = Review("Ada Byron", report.digest, report.selection.sha256, MADE_AT, MADE_AT, 20, 0, 0, said, plants)
    with pytest.raises(ReviewError, match="somebody who has one already"):
        join([one, replace(one, reviewer=name)], report.selection)
    assert "review.reviewers: one stands in it twice" in list(consistency.check(reviewed(kept(), "Ada Byron", name)))


def test_two_people_are_two():
    """Names that differ in a letter, or are in a script of their own."""
    assert len({fold(name) for name in ("Ada", "Ida", "Ada B", "李雷", "韩梅梅", "Жанна", "Щука", "-", "+")}) == 9


@pytest.mark.parametrize("name", ["ADA", "A. da", "\u0410da"], ids=["case", "points", "cyrillic"])
def test_a_reviewer_under_another_spelling_does_not_approve(home, tmp_path, name):
    """A second key does not make a second person."""
    signing.trust(home, Trusted(name, "approver", signing.make_key(home, "second"), SINCE))
    found = check(signed(go(), home, key="second", name=name), home, tmp_path)
    assert any("a reviewer approved it, and no reason is given" in fault for fault in found.faults), found.faults


def test_a_key_does_not_sign_in_another_name(home, tmp_path):
    """The name under a report is of the key's owner, not of the signer's choice."""
    found = check(signed(go(), home, name="Dr. Somebody Else"), home, tmp_path)
    assert [each.state for each in found.signatures] == ["untrusted"]
    assert found.signers == ()
    assert "of that name" in found.faults[0]


def test_a_key_is_not_trusted_as_two_people(home, tmp_path):
    """Neither by the command, nor where somebody wrote the list by hand."""
    public = signing.public_key(signing.load_key(home, "ada"))
    with pytest.raises(KeyFileError, match="trusted under another name"):
        signing.trust(home, Trusted("Bea", "reviewer", public, SINCE))
    path = home / signing.TRUSTED
    row = f'{{"name": "Bea", "role": "reviewer", "public_key": "{public}", "since": "{SINCE}", "until": ""}}'
    path.write_text(path.read_text().replace('"keys": [', f'"keys": [{row},'))
    twice = signed(signed(go(), home, key="ada", role="reviewer", name="Ada"), home, key="ada", role="reviewer", name="Bea")
    faults = check(signed(twice, home), home, tmp_path).faults
    assert any("signs as two people" in fault for fault in faults), faults


# -- times ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "now", "said"),
    [
        ("2026-11-20T11:00:00+00:00", NOW, "signatures[0].at: is before the report was made"),
        ("2026-11-20T15:00:00+00:00", NOW, "signatures[0].at: is at no time that has been"),
        (AT, datetime(2026, 11, 20, 11, tzinfo=UTC), "target.made_at: is at no time that has been"),
    ],
    ids=["signed before it was made", "signed in the future", "made in the future"],
)
def test_time_runs_forward(home, tmp_path, at, now, said):
    """A signature is after its report, and both are before now."""
    faults = check(signed(go(), home, at=at), home, tmp_path, now).faults
    assert any(said in fault for fault in faults), faults


def test_a_key_that_is_trusted_no_more_releases_nothing(home, tmp_path):
    """It could have dated its signature back: what it signed before still verifies, and says so."""
    report = signed(go(), home)
    assert [each.name for each in check(report, home, tmp_path).standing] == ["Cleo"]
    signing.untrust(home, "cleo", "2026-11-20T13:30:00+00:00")
    found = check(report, home, tmp_path)
    assert (found.faults, [each.name for each in found.signers], found.standing) == ((), ["Cleo"], ())
    assert any("trusted no more" in note for note in found.notes)


# -- what nothing stands behind ------------------------------------------------------------------------------------------------------------


def test_a_gate_is_not_proven_by_nothing():
    """One with no number measured, or whose bar was taken away."""
    report = kept()
    for change in ({"measured": None}, {"gate": replace(report.gates[0].gate, bar=None)}):
        gates = (replace(report.gates[0], **change), *report.gates[1:])
        assert "gates[0].state: is proven, and nothing was measured against a bar" in list(consistency.check(replace(report, gates=gates)))


def test_a_scan_without_a_layer_is_no_go():
    """Whatever its gates say."""
    report = go()
    assert list(consistency.check(report)) == []
    report = replace(report, method=replace(report.method, pieces=(*report.method.pieces, Piece("without rampart"))))
    assert "verdict.state: is GO, and a layer of the detectors was left out" in list(consistency.check(report))


def test_reviews_that_no_reviewer_signed_are_told(home, tmp_path):
    """Anybody can write the file of a review."""
    notes = check(signed(go(), home), home, tmp_path).notes
    assert "2 of 2 reviewers have not signed it: that the reviews are theirs, nothing shows" in notes
    notes = check(signed(signed(go(), home, key="ada", role="reviewer", name="Ada"), home), home, tmp_path).notes
    assert any(note.startswith("1 of 2 reviewers") for note in notes)


# -- bars ----------------------------------------------------------------------------------------------------------------------------------

WEAKENED = [
    ("phi_findings", {"bar": 5.0}),
    ("known_answer_recall", {"bar": 0.1}),
    ("span_drop", {"bound": "at_most"}),
    ("human_review", {"settings": {"reviewers": 1.0, "traces": 10.0, "recall": 0.9}}),
    ("human_review", {"settings": {}}),
    ("canaries", {"evidence": "policy"}),
    ("free_plan", {"settings": {"calls_per_day": 0.1}}),
]


@pytest.mark.parametrize(("name", "change"), WEAKENED, ids=["bar up", "bar down", "bound", "reviewers", "settings", "evidence", "volume"])
def test_a_lower_bar_is_told(home, tmp_path, name, change):
    """By `verify`, as a note; and the one that is in force is no weaker than itself."""
    shipped_gates = load_gates(shipped("gates.yaml"))
    assert list(weaker(shipped_gates, shipped_gates)) == []
    lowered = [replace(gate, **change) if gate.name == name else gate for gate in shipped_gates]
    assert {what.split()[0] for what in weaker(lowered, shipped_gates)} == {name}
    report = kept()
    gates = tuple(replace(row, gate=gate) for row, gate in zip(report.gates, lowered, strict=True))
    notes = check(replace(report, gates=gates), home, tmp_path).notes
    assert any(note.startswith(f"weaker than the gates as shipped: {name} ") for note in notes), notes


def test_a_higher_bar_is_not_weaker():
    """More may always be asked for; a gate left out is less."""
    gates = load_gates(shipped("gates.yaml"))
    higher = {"known_answer_recall": 0.99, "overhead_p99_us": 500.0, "monthly_cost_usd": 10.0}
    assert list(weaker([replace(gate, bar=higher.get(gate.name, gate.bar)) for gate in gates], gates)) == []
    assert list(weaker(gates[1:], gates)) == ["phi_findings is not judged"]


# -- release -------------------------------------------------------------------------------------------------------------------------------

HELD = SwitchState(on=False, reason="a leak", at="2026-11-20T12:30:00.000000Z", hold="leak")
GOOD = Account(
    "a" * 64, "GO", "2026-11-20T13:00:00Z", "p" * 16, (), (Signature("approver", "Cleo", AT, "", ""),), "prod", "clinic-prod",
    "2026-11-13T12:00:00Z", "2026-11-20T13:00:00Z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"env": "dev"}, "another environment"),
        ({"project": "clinic-play"}, "another project"),
        ({"until": "2026-11-20T12:30:00Z"}, "ends before the switch went off"),
        ({"until": "yesterday"}, "ends before the switch went off"),
        ({"since": "2026-11-20T12:31:00Z"}, "begins after the switch went off"),
        ({"weaker": ("phi_findings asks for 5, and 0 is in force",)}, "ask for less"),
        ({"made_at": "2026-11-20T12:00:00Z"}, "before the switch went off"),
    ],
    ids=["env", "project", "window before", "window of no time", "window after", "bars", "replayed"],
)
def test_a_go_of_something_else_releases_nothing(change, said):
    """It must be of this environment and project, of the time of the leak, and by the bars in force."""

    def why(account):
        return refuse(account, HELD, policy_digest="p" * 16, now=NOW, env="prod", project="clinic-prod")

    assert why(GOOD) is None
    refusal = why(replace(GOOD, **change))
    assert refusal is not None
    assert refusal.code == exits.NO_GO
    assert said in refusal.reasons[0]


@pytest.mark.parametrize("forged", ["", "bars", "project", "untrusted"], ids=["none", "bars", "project", "untrusted"])
def test_the_command_refuses_them_too(home, tmp_path, monkeypatch, forged):
    """From the file to the switch: only the report without a forgery turns it on."""
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    monkeypatch.setenv("PHI_AUDIT_DIR", str(home))
    monkeypatch.setenv("LANGSMITH_PROJECT", "clinic-other" if forged == "project" else "clinic-prod")
    FileSwitch(tmp_path / "switch.json").turn_off("a leak", "leak")
    at = (datetime.now(UTC) + timedelta(minutes=1)).isoformat(timespec="seconds")
    report = reviewed(kept(made_at=at), "Ada", "Bea")
    digest = load_policy(shipped("clinic.yaml"), env="prod").digest
    report = judged_by(report, digest, until=at)
    if forged == "bars":
        gates = tuple(replace(row, gate=replace(row.gate, bar=9.0)) if row.gate.name == "canaries" else row for row in report.gates)
        report = replace(report, gates=gates)
    path = tmp_path / "signed.json"
    signed_at = (datetime.now(UTC) - timedelta(minutes=2)).isoformat(timespec="seconds")
    path.write_text(as_json.render(signed(report, home, at=signed_at)), encoding="utf-8")
    if forged == "untrusted":
        signing.untrust(home, "cleo", (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds"))
    done = CliRunner().invoke(main, ["switch", "on", "--reason", "audit said GO", "--report", str(path)])
    assert FileSwitch(tmp_path / "switch.json").state().on == (not forged), done.output
    assert bool(done.exit_code) == bool(forged)


# -- gates that their own evidence contradicts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"rehearsal": None}, "canaries"),
        ({"alerts": None}, "alerts_fire"),
        ({"cross_check": None}, "accounted_for"),
        ({"incomplete": "stopped"}, "trace_complete"),
        ({"known_answers": None}, "known_answer_recall"),
        ({"population": {"shared_rooms": 1}}, "one_trace_per_call"),
        ({"population": {"errors": 2, "untyped": 1}}, "errors_typed"),
        ({"population": {"lost": 480}}, "span_drop"),
    ],
    ids=["rehearsal", "alerts", "account", "incomplete", "known answers", "rooms", "errors", "lost"],
)
def test_a_gate_is_judged_again_by_what_the_report_holds(change, gate):
    """A proven gate whose evidence is not in the report, or says something else, is a contradiction."""
    report = kept()
    assert list(consistency.check(report)) == []
    if "population" in change:
        change = {"population": replace(report.population, **change["population"])}
    faults = list(consistency.check(replace(report, **change)))
    assert any(fault.startswith(f"gates: {gate}.state: is proven, and ") for fault in faults), faults


@pytest.mark.parametrize("change", [{"name": "review_by_people"}, {"bound": "roughly"}], ids=["name", "bound"])
def test_a_gate_that_is_none_is_told(change):
    """And nothing breaks: each of them, whatever its evidence."""
    report = kept()
    for n, row in enumerate(report.gates):
        gates = (*report.gates[:n], replace(row, gate=replace(row.gate, **change)), *report.gates[n + 1 :])
        faults = list(consistency.check(replace(report, gates=gates)))
        assert faults, row.gate.name


@pytest.mark.parametrize("content", ["[" * 100_000, "version: " + "9" * 6000], ids=["deep", "number"])
def test_a_gates_file_of_any_content_is_a_fault_in_words(tmp_path, content):
    """Not a fault of the command's own."""
    path = tmp_path / "gates.yaml"
    path.write_text(content)
    with pytest.raises(GatesError, match=r"gates\.yaml"):
        load_gates(path)
