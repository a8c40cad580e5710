"""``phi-audit sign``, ``keys`` and ``log``: people sign what verifies, with trusted keys, and nobody approves what they reviewed."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kept_reports import MADE_AT, finding, kept

from audit import chain, signing
from audit.cli.keys import keys
from audit.cli.log import log
from audit.cli.sign import sign
from audit.cli.verify import verify
from audit.report import document
from audit.report import json as as_json
from audit.review import document as review_document
from audit.review.record import Decision, Planted, Review


def run(command, *args, **environment):
    return CliRunner().invoke(command, [str(arg) for arg in args], env=environment)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The audit's directory with keys of three people, each trusted in one role more than that of the scan; and a report."""
    home = tmp_path / "audit"
    monkeypatch.setenv("PHI_AUDIT_DIR", str(home))
    monkeypatch.setenv("PHI_AUDIT_ANCHOR", str(tmp_path / "anchor"))
    for name, role in (("ada", "reviewer"), ("ben", "reviewer"), ("cleo", "approver")):
        public = run(keys, "new", name).stdout.strip()
        assert run(keys, "trust", name, public, "--role", role).exit_code == 0
        assert run(keys, "trust", name, public, "--role", "scan").exit_code == 0
    report = kept()
    at = chain.head(home)
    report = replace(report, custody=replace(report.custody, log_n=at.n, log_sha256=at.sha256))
    path = tmp_path / "report.json"
    path.write_text(as_json.render(report), encoding="utf-8")
    return SimpleNamespace(home=home, report=report, path=path, dir=tmp_path, anchor=tmp_path / "anchor")


def review(place, name, *, said="clear", of=None):
    """A review of all that was drawn, with ten known answers, all found."""
    report = of or place.report
    decisions = tuple(Decision(trace, said, "name" if said == "leak" else "", "", "", MADE_AT) for trace in report.selection.trace_ids)
    planted = tuple(Planted(f"{n:032x}", "name", "1.inputs.1", "leak", found=True) for n in range(10))
    written = Review(name, report.digest, report.selection.sha256, MADE_AT, MADE_AT, 20, 0, 0, decisions, planted)
    path = place.dir / f"review-{name.lower()}.json"
    review_document.write(written, path)
    return path


def signed(place, name, role, *more, key=None, file=None, output="signed.json", **environment):
    out = place.dir / output
    args = ("--name", name, "--role", role, "--key", key or name.lower(), *more, "-o", out)
    return run(sign, file or place.path, *args, **environment), out


# -- keys -------------------------------------------------------------------------------------------------------------------------------


def test_a_key_is_made_listed_trusted_and_ended(place):
    """Its public half is printed, and the log has each step."""
    told = json.loads(run(keys, "list", "--format", "json").stdout)
    assert told["own"] == ["ada", "ben", "cleo"]
    assert [(each["name"], each["role"]) for each in told["trusted"]][:2] == [("ada", "reviewer"), ("ada", "scan")]
    assert run(keys, "untrust", "ada").stdout == "ada: no longer trusted (2 roles)\n"
    assert run(keys, "untrust", "ada").exit_code == 2
    events = [entry.event for entry in chain.entries(place.home)]
    assert events == ["begin", *["key_made", "key_trusted", "key_trusted"] * 3, "key_untrusted"]
    assert chain.verify(place.home, place.anchor).holds


def test_a_key_is_never_written_over(place):
    """2, with the file."""
    done = run(keys, "new", "ada")
    assert done.exit_code == 2
    assert "a key is never written over" in done.stderr


def test_a_passphrase_comes_out_of_the_environment(place):
    """And is asked for where it is missing; a variable that is not set is no empty passphrase."""
    done = run(keys, "new", "dora", "--passphrase-from", "DORAS", DORAS="correct horse")
    assert done.exit_code == 0
    assert run(keys, "new", "eve", "--passphrase-from", "NOBODYS").exit_code == 2
    assert run(keys, "trust", "dora", done.stdout.strip(), "--role", "approver").exit_code == 0
    refused, out = signed(place, "Dora", "approver")
    assert refused.exit_code == 2
    assert "--passphrase-from" in refused.stderr
    assert not out.exists()
    done, out = signed(place, "Dora", "approver", "--passphrase-from", "DORAS", DORAS="correct horse")
    assert done.exit_code == 0, done.stderr
    assert out.exists()


def test_a_prompt_is_answered_on_stderr(place):
    """Stdout is for the result."""
    done = CliRunner().invoke(keys, ["new", "fay", "--passphrase-from", "prompt"], input="one\none\n")
    assert done.exit_code == 0
    assert len(done.stdout.strip()) == 64


@pytest.mark.parametrize(
    "args",
    [
        ("nobody",),
        ("x", "12", "--role", "approver"),
        ("x", "ab" * 32, "--role", "owner"),
        ("x", "ab" * 32, "--role", "scan", "--since", "yesterday"),
    ],
    ids=["key", "short", "role", "since"],
)
def test_a_trust_that_means_nothing_is_refused(place, args):
    """2, and the list is as it was."""
    before = (place.home / signing.TRUSTED).read_bytes()
    assert run(keys, "trust", *args).exit_code == 2
    assert (place.home / signing.TRUSTED).read_bytes() == before


# -- sign -------------------------------------------------------------------------------------------------------------------------------


def test_a_signed_report_verifies(place):
    """Offline, with the log, the anchor and the role that is wanted; and its digest is the one it had."""
    done, out = signed(place, "Cleo", "approver", "--format", "json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["schema"], told["digest"], told["verdict"]) == ("phi-audit.sign/1", place.report.digest, "UNPROVEN")
    held = document.read(out)
    assert held.digest == place.report.digest
    assert [(each.role, each.name) for each in held.signatures] == [("approver", "Cleo")]
    checked = run(verify, out, "--log", place.home, "--anchor", place.anchor, "--require", "approver", "--format", "json")
    assert checked.exit_code == 0, checked.stdout
    last = list(chain.entries(place.home))[-1]
    assert (last.event, last.facts["report"], last.facts["role"]) == ("signed", place.report.digest, "approver")


def test_signatures_add_up(place):
    """The tool's and the approver's under one report."""
    _, first = signed(place, "Ada", "scan", output="first.json")
    done, out = signed(place, "Cleo", "approver", file=first)
    assert done.exit_code == 0, done.stderr
    assert [each.role for each in document.read(out).signatures] == ["scan", "approver"]
    assert run(verify, out, "--require", "scan", "--require", "approver").exit_code == 0


def test_reviews_are_taken_in_and_the_gates_judged_again(place):
    """A new report that names the one it takes the place of; it verifies with its reviews, and reviewers then approver sign it."""
    one, other = review(place, "Ada"), review(place, "Ben")
    done, first = signed(place, "Ada", "reviewer", "--review", one, "--review", other, output="first.json")
    assert done.exit_code == 0, done.stderr
    done, second = signed(place, "Ben", "reviewer", file=first, output="second.json")
    assert done.exit_code == 0, done.stderr
    done, out = signed(place, "Cleo", "approver", file=second)
    assert done.exit_code == 0, done.stderr
    held = document.read(out)
    assert (document.read(place.path).verdict.state, held.verdict.state) == ("UNPROVEN", "GO")
    assert held.custody.supersedes == place.report.digest != held.digest
    assert held.id == place.report.id
    assert [each.role for each in held.signatures] == ["reviewer", "reviewer", "approver"]
    checked = run(verify, out, one, other, "--log", place.home, "--anchor", place.anchor, "--format", "json")
    told = json.loads(checked.stdout)
    assert (checked.exit_code, [row["holds"] for row in told["files"]]) == (0, [True] * 3), checked.stdout


def test_what_reviewers_found_counts(place):
    """A leak that only people saw makes the report NO-GO; the tool signs it as such."""
    done, out = signed(place, "Ada", "reviewer", "--review", review(place, "Ada", said="leak"), "--review", review(place, "Ben"))
    assert done.exit_code == 0, done.stderr
    assert "NO-GO" in done.stdout
    assert document.read(out).verdict.state == "NO_GO"


def test_signatures_do_not_go_over_to_another_report(place):
    """What was signed before the reviews was another report."""
    _, first = signed(place, "Cleo", "scan", output="first.json")
    done, out = signed(place, "Ada", "reviewer", "--review", review(place, "Ada"), file=first)
    assert done.exit_code == 0, done.stderr
    assert [each.role for each in document.read(out).signatures] == ["reviewer"]


def test_four_eyes(place):
    """A reviewer may not approve, by name or by key; with a reason it may be let, and verify says so."""
    run(keys, "trust", "ada", signing.public_key(signing.load_key(place.home, "ada")), "--role", "approver")
    _, first = signed(place, "Ada", "reviewer", "--review", review(place, "Ada"), "--review", review(place, "Ben"), output="first.json")
    for name in ("Ada", "ADA", "Somebody Else"):
        done, out = signed(place, name, "approver", key="ada", file=first)
        assert (done.exit_code, out.exists()) == (2, False), name
        assert "may not approve what they reviewed" in done.stderr
    assert signed(place, "Ada", "approver", "--allow-self", key="ada", file=first)[0].exit_code == 2
    done, out = signed(place, "Ada", "approver", "--allow-self", "--statement", "the clinic has one officer", key="ada", file=first)
    assert done.exit_code == 0, done.stderr
    assert "no second person has looked" in run(verify, out).stdout


def test_who_did_not_review_does_not_sign_as_reviewer(place):
    """There is no review of that name."""
    done, out = signed(place, "Ada", "reviewer")
    assert (done.exit_code, out.exists()) == (2, False)
    assert "no review of that name" in done.stderr


def test_a_role_that_is_not_trusted_is_refused(place):
    """Nothing is signed and nothing logged."""
    before = chain.head(place.home)
    done, out = signed(place, "Ada", "approver")
    assert (done.exit_code, out.exists()) == (2, False)
    assert "as approver this key is untrusted" in done.stderr
    assert chain.head(place.home) == before


@pytest.mark.parametrize(
    "change", [lambda t: t.replace('"UNPROVEN"', '"GO"'), lambda t: t[:-9], lambda _: "{}"], ids=["verdict", "cut", "empty"]
)
def test_a_report_that_does_not_verify_is_not_signed(place, change):
    """4, with each reason."""
    place.path.write_text(change(place.path.read_text()))
    done, out = signed(place, "Cleo", "approver")
    assert (done.exit_code, out.exists()) == (4, False)
    assert "report.json: " in done.stderr


def test_a_review_that_does_not_belong_to_the_report_is_not_taken_in(place):
    """Of another report, changed since, or of one person twice."""
    other = review(place, "Ada", of=kept(findings=[finding(1)]))
    assert signed(place, "Ada", "reviewer", "--review", other)[0].exit_code == 4
    path = review(place, "Ada")
    path.write_text(path.read_text().replace('"clear"', '"leak"', 1))
    done, out = signed(place, "Ada", "reviewer", "--review", path)
    assert (done.exit_code, out.exists()) == (4, False)
    assert "review-ada.json: " in done.stderr
    path = review(place, "Ada")
    done, out = signed(place, "Ada", "reviewer", "--review", path, "--review", path)
    assert (done.exit_code, out.exists()) == (4, False), done.stderr


def test_what_cannot_be_written_is_told(place):
    """The directory is not there."""
    done, _ = signed(place, "Cleo", "approver", output="none/signed.json")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr


# -- log --------------------------------------------------------------------------------------------------------------------------------


def test_the_log_is_shown_and_checked(place):
    """0; and 4 with the line when it was changed."""
    signed(place, "Cleo", "approver")
    told = json.loads(run(log, "show", "--last", 1, "--format", "json").stdout)
    assert (told["entries"][0]["event"], told["entries"][0]["name"]) == ("signed", "Cleo")
    assert "signed" in run(log, "show", "--event", "signed").stdout
    assert run(log, "show", "--event", "leaked").exit_code == 2
    whole = run(log, "verify")
    assert whole.exit_code == 0
    assert whole.stdout.startswith("holds: 11 entries")
    path = place.home / chain.LOG
    path.write_text(path.read_text().replace("cleo", "eve", 1))
    changed = run(log, "verify", "--format", "json")
    assert changed.exit_code == 4
    assert "was changed after it was written" in json.loads(changed.stdout)["faults"][0]


def test_files_are_ours_alone(place):
    """Keys, list, log: mode 0600."""
    files = [path for path in place.home.rglob("*") if path.is_file()]
    assert len(files) == 6
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
