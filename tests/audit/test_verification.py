"""Verification: a report holds as it was made, and no change to it, to its signatures, to its page or to the log goes unseen."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kept_reports import finding, kept, later, reviewed

from audit import chain, consistency, signing, verification
from audit.assessment import assess
from audit.binding import figures_digest
from audit.census import Plan
from audit.evidence import Monitoring
from audit.gates import load_gates
from audit.report import json as as_json
from audit.report import render, wire
from audit.signing import Trusted
from audit.verification import verify_report
from phi_guard.policy import shipped

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)
SINCE = "2026-11-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The audit's directory with one key, trusted as approver."""
    directory = tmp_path_factory.mktemp("audit")
    public = signing.make_key(directory, "cleo")
    signing.trust(directory, Trusted("cleo", "approver", public, SINCE))
    return directory


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder for files that are changed again and again."""
    return tmp_path_factory.mktemp("work")


def signed(report, home, role="approver", at="2026-11-20T13:00:00+00:00"):
    """The report with a signature of Cleo's."""
    key = signing.load_key(home, "cleo")
    return replace(report, signatures=(*report.signatures, signing.sign(report.digest, role, "Cleo", at, key)))


def write(path, report):
    path.write_text(as_json.render(report), encoding="utf-8")
    return path


def check(path, home):
    return verify_report(path, home / signing.TRUSTED)


@pytest.fixture(scope="module")
def golden(home):
    """A signed report with two findings and a sample, as plain JSON."""
    report = signed(kept(findings=[finding(1), finding(2, trace=1)]), home)
    return json.loads(as_json.render(report))


def checked(held, work, home):
    path = work / "report.json"
    path.write_text(json.dumps(held), encoding="utf-8")
    return check(path, home)


def test_a_report_holds_as_it_was_made(home, tmp_path):
    """Its digest is the one in it, and its approver is told."""
    report = signed(kept(), home)
    found = check(write(tmp_path / "r.json", report), home)
    assert found.faults == ()
    assert found.report == report
    assert found.digest == report.digest
    assert [(each.role, each.name) for each in found.signers] == [("approver", "Cleo")]
    assert found.notes == ()


def test_an_unsigned_report_holds_and_says_so(home, tmp_path):
    """Nothing is wrong with it, and nobody answers for it."""
    found = check(write(tmp_path / "r.json", kept()), home)
    assert (found.faults, found.signers, found.notes) == ((), (), ("is not signed: nothing shows who made it",))


def test_it_may_be_written_in_another_way(golden, work, home):
    """Order of keys and spaces mean nothing."""
    path = work / "other.json"
    path.write_text(json.dumps(dict(reversed(golden.items())), indent=7, ensure_ascii=True))
    assert check(path, home).faults == ()


@pytest.mark.parametrize("leaks", [0, 1, 2], ids=["clean", "a leak", "a leak and a row without ids"])
def test_a_report_of_a_real_scan_holds(policy, detectors, made, work, home, leaks):
    """What an audit gives agrees with itself, whatever it found."""
    runs = [run for n in range(3) for run in made.call(n)]
    if leaks:
        runs[2] = {**runs[2], "tags": ["Ada Byron 555-0123"]}
    if leaks > 1:
        runs.append({"id": "x", "name": "Ada Byron"})
    plan = Plan(policy, "clinic-dev", seed=1, known_answers=2, key=made.KEY)
    report = assess(made.FixedSource(runs), plan, load_gates(shipped("gates.yaml")), lambda: detectors, now=NOW).report
    assert bool(report.findings) == bool(leaks)
    assert check(write(work / "scan.json", report), home).faults == ()


# -- changes -------------------------------------------------------------------------------------------------------------------------------


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    if isinstance(value, list):
        return value[:-1] if value else ["new"]
    return {**value, "new": 1} if isinstance(value, dict) else 0


def test_any_field_at_the_top_that_is_changed_is_found(golden, work, home):
    """Each one, by another value of its kind, by nothing, and by being left out."""
    unseen = []
    for key in golden:
        for how in (other(golden[key]), None, ...):
            held = {**golden, key: how}
            if how is ...:
                del held[key]
            if held != golden and not checked(held, work, home).faults:
                unseen.append((key, how))
    # To leave a signature out is no change of the report: it holds, and is told to be unsigned.
    assert unseen in ([], [("signatures", [])])
    assert len(golden) > 20


def places(value, at=()):
    """Every place in a JSON value."""
    yield at
    for step, held in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(held, (*at, step))


def put(held, at, change):
    """Change the value at a place in a copy."""
    held = copy.deepcopy(held)
    within = held
    for step in at[:-1]:
        within = within[step]
    if change is ...:
        del within[at[-1]]
    else:
        within[at[-1]] = change(within[at[-1]])
    return held


_edits = st.sampled_from(
    [..., other, lambda _: None, lambda _: "", lambda _: [], lambda v: [v], lambda v: {"a": v}, lambda _: -1, lambda _: 1e300]
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_edit_that_means_something_is_found(golden, work, home, data):
    """Anywhere in it, with the digest left as it was and with the digest computed anew."""
    where = [at for at in places(golden) if at and at not in {("signatures",), ("signatures", 0)}]
    at = data.draw(st.sampled_from(where))
    held = put(golden, at, data.draw(_edits))
    assume(wire.canonical(held) != wire.canonical(golden))
    assert checked(held, work, home).faults
    if at != ("digest",):
        held["digest"] = wire.digest(held)
        assert checked(held, work, home).faults


def test_truncated_anywhere_it_does_not_verify(golden, work, home):
    """At every tenth byte and the last ones; and it is never more than a fault."""
    content = json.dumps(golden).encode()
    path = work / "cut.json"
    for end in [*range(0, len(content) - 1, max(1, len(content) // 150)), len(content) - 2, len(content) - 1]:
        path.write_bytes(content[:end])
        assert check(path, home).faults, end


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_no_content_breaks_the_check(work, home, content):
    """Whatever is in the file."""
    path = work / "any.json"
    path.write_bytes(content)
    assert check(path, home).faults


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1, "a": 2}', "a key stands twice"),
        ('{"a": NaN}', "holds a number that is not finite"),
        ("[]", "this is no report"),
        ("[" * 100_000, "is no JSON"),
        ('{"schema": "phi-audit.report/9"}', "schema"),
    ],
    ids=["key twice", "nan", "list", "deep", "schema"],
)
def test_what_is_no_report_is_told(work, home, content, said):
    """In words."""
    path = work / "none.json"
    path.write_text(content)
    faults = check(path, home).faults
    assert any(said in fault for fault in faults), faults
    assert all(fault.startswith("none.json: ") for fault in faults), faults


# -- contradictions, whoever computed the digest anew --------------------------------------------------------------------------------------


def _drop_a_finding(report):
    return replace(report, findings=report.findings[:1])


def _drop_all(report):
    return replace(report, findings=())


def _say_go(report):
    return replace(report, verdict=replace(report.verdict, state="GO", reasons=()))


def _miss_one(report):
    first, *rest = report.known_answers.rows
    return replace(report, known_answers=replace(report.known_answers, rows=(replace(first, found=58), *rest)))


def _find_more(report):
    return replace(report, review=replace(report.review, reviewers=(replace(report.review.reviewers[0], planted_found=11),)))


def _gate(report, name, **change):
    gates = tuple(replace(row, **change) if row.gate.name == name else row for row in report.gates)
    return replace(report, gates=gates)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_drop_a_finding, "bound.leaking"),
        (_drop_all, "bound.leaking"),
        (_say_go, "verdict.state"),
        (lambda r: replace(r, verdict=replace(r.verdict, reasons=("none",))), "verdict.reasons"),
        (lambda r: _gate(r, "phi_findings", state="proven"), "phi_findings.state"),
        (lambda r: _gate(r, "phi_findings", measured=0.0), "phi_findings.measured"),
        (lambda r: _gate(r, "canaries", measured=1.0), "does not reach the bar"),
        (lambda r: replace(r, gates=r.gates[1:]), "not all are judged"),
        (lambda r: replace(r, gates=(*r.gates, r.gates[1])), "judged twice"),
        (lambda r: replace(r, incomplete="stopped"), "verdict.reasons"),
        (lambda r: replace(r, bound=replace(r.bound, upper=0.001)), "bound.upper"),
        (lambda r: replace(r, bound=replace(r.bound, adjusted=0.001)), "bound.adjusted"),
        (lambda r: replace(r, bound=replace(r.bound, recall=1.0)), "bound.recall"),
        (lambda r: replace(r, bound=replace(r.bound, traces=400)), "bound.traces"),
        (lambda r: replace(r, population=replace(r.population, traces=400)), "bound.traces"),
        (lambda r: replace(r, bounds=(replace(r.bound, name="cumulative", upper=0.0),)), "bounds[0].upper"),
        (_miss_one, "known_answers.rows[0].at_least"),
        (lambda r: replace(r, selection=replace(r.selection, trace_ids=r.selection.trace_ids[::-1])), "selection: "),
        (lambda r: replace(r, unlisted=-1), "results"),
        (lambda r: _gate(r, "human_review", state="proven"), "gates: human_review: is not what the reviews"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_report_that_contradicts_itself_is_found(change, said):
    """Without a signature and with a digest that fits."""
    report = kept(findings=[finding(1), finding(2, trace=1)])
    assert list(consistency.check(report)) == []
    faults = list(consistency.check(change(report)))
    assert any(said in fault for fault in faults), faults


def test_a_contradiction_is_a_fault_of_the_file(home, tmp_path):
    """Unsigned, and with a digest that fits, so that nothing else would tell."""
    found = check(write(tmp_path / "r.json", _say_go(kept(findings=[finding(1)]))), home)
    assert found.faults == ("r.json: verdict.state: is GO, and NO_GO follows from the gates",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: replace(r, review=replace(r.review, report_sha256="0" * 64)), "review.report_sha256"),
        (lambda r: replace(r, review=replace(r.review, selection_sha256="0" * 64)), "review.selection_sha256"),
        (lambda r: replace(r, review=replace(r.review, traces=9)), "review.traces"),
        (lambda r: replace(r, review=replace(r.review, decided=11)), "review: "),
        (lambda r: replace(r, review=replace(r.review, recall=0.5)), "review.recall:"),
        (lambda r: replace(r, review=replace(r.review, recall_at_least=1.0)), "review.recall_at_least"),
        (
            lambda r: replace(r, review=replace(r.review, reviewers=(replace(r.review.reviewers[0], planted_found=11),))),
            "review.reviewers[0]",
        ),
        (lambda r: replace(r, selection=None), "review: there is none"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_review_that_does_not_add_up_is_found(change, said):
    """It is bound to the report it was made on and to its sample."""
    report = reviewed(kept(), "Ada", "Ben")
    assert list(consistency.check(report)) == []
    faults = list(consistency.check(change(report)))
    assert any(said in fault for fault in faults), faults


# -- signatures ----------------------------------------------------------------------------------------------------------------------------


def test_a_signature_does_not_pass_under_another_report(home, tmp_path):
    """Taken from a GO and put under a NO-GO."""
    good, bad = signed(kept(), home), kept(findings=[finding(1)])
    found = check(write(tmp_path / "r.json", replace(bad, signatures=good.signatures)), home)
    assert found.signers == ()
    assert found.faults[0].startswith("r.json: signatures[0]: is not valid")


def test_a_signature_of_a_stranger_does_not_pass(home, tmp_path):
    """It is valid, and nobody here trusts its key, or not yet, or not in that role."""
    strangers = tmp_path / "other"
    signing.make_key(strangers, "cleo")
    found = check(write(tmp_path / "r.json", signed(kept(), strangers)), home)
    assert (found.signers, [each.state for each in found.signatures]) == ((), ["untrusted"])
    assert "is not trusted as approver" in found.faults[0]
    found = check(write(tmp_path / "r.json", signed(kept(), home, role="reviewer")), home)
    assert [each.state for each in found.signatures] == ["untrusted"]
    found = check(write(tmp_path / "r.json", signed(kept(), home, at="2026-10-31T23:59:59+00:00")), home)
    assert [each.state for each in found.signatures] == ["expired"]
    assert "at the time it signed" in found.faults[0]


def test_a_reviewer_who_approves_is_told(home, tmp_path):
    """It may be allowed; it is never hidden."""
    report = reviewed(kept(), "Cleo", "Ben")
    found = check(write(tmp_path / "r.json", signed(report, home)), home)
    assert found.faults == ("r.json: signatures: a reviewer approved it, and no reason is given (phi-audit sign --allow-self --statement)",)
    key = signing.load_key(home, "cleo")
    reasoned = signing.sign(report.digest, "approver", "Cleo", "2026-11-20T13:00:00+00:00", key, "the clinic has one officer")
    found = check(write(tmp_path / "r.json", replace(report, signatures=(reasoned,))), home)
    assert found.faults == ()
    assert found.notes == (
        "a reviewer approved it too: no second person has looked",
        "2 of 2 reviewers have not signed it: that the reviews are theirs, nothing shows",
    )


# -- the log and the report name each other ------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(tmp_path):
    """A log, and a report made when it stood at its second entry, which the third names."""
    at = chain.append(tmp_path / "log", "switch_on", {}, now=NOW, anchor=tmp_path / "anchor")
    report = kept()
    report = replace(report, custody=replace(report.custody, log_n=at.n, log_sha256=at.sha256))
    chain.append(tmp_path / "log", "report", {"report": report.digest}, now=NOW, anchor=tmp_path / "anchor")
    return report


def between(tmp_path, home, report):
    found = check(write(tmp_path / "r.json", report), home)
    return verification.verify_log(tmp_path / "log", tmp_path / "anchor", [("r.json", found)])


def test_log_and_report_hold_each_other(tmp_path, home, logged):
    """Each names the other."""
    verdict, faults = between(tmp_path, home, logged)
    assert (verdict.faults, faults) == ((), ())


def test_a_report_that_the_log_does_not_name_is_found(tmp_path, home, logged):
    """Made, and never written down, or changed since."""
    _, faults = between(tmp_path, home, replace(logged, notes=("another",)))
    assert faults == ("r.json: digest: the log does not name this report",)


def test_a_log_that_the_report_does_not_name_is_found(tmp_path, home, logged):
    """One that was begun anew, with the report's digest in it."""
    other_log = replace(logged, custody=replace(logged.custody, log_sha256="0" * 64))
    chain.append(tmp_path / "log", "report", {"report": other_log.digest}, now=NOW)
    _, faults = between(tmp_path, home, other_log)
    assert faults == ("r.json: custody.log_sha256: the log has no such entry",)


def test_a_watch_that_the_log_does_not_hold_is_found(tmp_path, home):
    """A report says that the log holds its watch; here it holds it with other figures, and with just these once they are written."""
    seen = Monitoring(
        "2026-11-18T08:00:00Z", "2026-11-20T08:00:00Z", 48.0, 192, 900.0, 30, 0, 0, project="clinic-prod", journal_n=192,
        journal_sha256="7" * 64, vouched=True,
    )  # fmt: skip
    place = {"watch": "8" * 64, "journal_n": 192, "journal_sha256": "7" * 64, "why": "closed"}
    chain.append(tmp_path / "log", "watch", {**place, "figures": figures_digest(replace(seen, no_go=1))}, now=NOW)

    def faults(monitoring):
        at = chain.head(tmp_path / "log")
        report = replace(kept(), monitoring=monitoring)
        report = replace(report, custody=replace(report.custody, log_n=at.n, log_sha256=at.sha256))
        chain.append(tmp_path / "log", "report", {"report": report.digest}, now=NOW)
        found = check(write(tmp_path / "r.json", report), home)
        return verification.verify_log(tmp_path / "log", None, [("r.json", found)])[1]

    assert faults(seen) == ("r.json: monitoring.vouched: the log does not hold the journal of this watch with these figures",)
    assert faults(replace(seen, vouched=False)) == ()  # it says so itself
    chain.append(tmp_path / "log", "watch", {**place, "figures": figures_digest(seen)}, now=NOW)
    assert faults(seen) == ()


def test_an_entry_before_the_report_does_not_count(tmp_path, home, logged):
    """The log cannot have named it before it was made."""
    late = replace(logged, custody=replace(logged.custody, log_n=9))
    chain.append(tmp_path / "log", "report", {"report": late.digest}, now=later(1))
    _, faults = between(tmp_path, home, late)
    assert any("before the entry that it names itself" in fault for fault in faults)


# -- what it was rendered to ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["html", "md", "pdf", "sarif", "xml", "csv", "txt"])
def test_a_rendered_report_is_the_reports_to_the_byte(tmp_path, home, suffix):
    """Rendered before it was signed or after; and one other byte is found."""
    report = signed(replace(kept(findings=[finding(1)]), selection=None), home)
    path = tmp_path / f"r.{suffix}"
    for each in (report, replace(report, signatures=())):
        text = render(each, verification.RENDERED[path.suffix], frozenset(), width=120, colour=False)
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(content)
        assert verification.verify_rendered(path, [report]) == ()
    path.write_bytes(content.replace(b"NO", b"YO", 1) if b"NO" in content else content[:-1])
    assert "is not what the report renders to" in verification.verify_rendered(path, [report])[0]


def test_a_rendered_report_cannot_be_verified_alone(tmp_path):
    """Nothing is said to hold that was not checked."""
    (tmp_path / "r.html").write_text("<p>GO</p>")
    with pytest.raises(verification.Unverifiable, match="JSON of its report"):
        verification.verify_rendered(tmp_path / "r.html", [])
    with pytest.raises(verification.Unverifiable, match="is neither"):
        verification.verify_rendered(tmp_path / "r.docx", [kept()])
