"""``phi-audit verify``: what holds is 0, what was changed is 4, what cannot be checked is never said to hold."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kept_reports import judged_by, kept, later

from audit import chain, signing
from audit.cli.verify import verify
from audit.report import json as as_json
from audit.report import render
from audit.signing import Trusted
from phi_guard.policy import load_policy, shipped


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A signed report, its page, the log that names it, and the anchor; the policy is the one that is shipped."""
    home = tmp_path / "audit"
    monkeypatch.setenv("PHI_AUDIT_DIR", str(home))
    anchor = tmp_path / "anchor"
    public = signing.make_key(home, "cleo")
    signing.trust(home, Trusted("Cleo", "approver", public, "2026-11-01T00:00:00+00:00"))
    at = chain.append(home, "switch_on", {}, now=later(0), anchor=anchor)
    report = replace(kept(), selection=None)
    digest = load_policy(shipped("clinic.yaml"), env="prod").digest
    report = replace(judged_by(report, digest), custody=replace(report.custody, log_n=at.n, log_sha256=at.sha256))
    key = signing.load_key(home, "cleo")
    report = replace(report, signatures=(signing.sign(report.digest, "approver", "Cleo", "2026-11-20T13:00:00+00:00", key),))
    chain.append(home, "report", {"report": report.digest}, now=later(1), anchor=anchor)
    path = tmp_path / "report.json"
    path.write_text(as_json.render(report), encoding="utf-8")
    page = tmp_path / "report.html"
    page.write_text(str(render(report, "html", frozenset(), width=120)), encoding="utf-8")
    return SimpleNamespace(home=home, anchor=anchor, report=report, path=path, page=page, dir=tmp_path)


def run(*args):
    return CliRunner().invoke(verify, [str(arg) for arg in args])


def everything(place):
    return run(
        place.path, place.page, "--log", place.home, "--anchor", place.anchor, "--policy", shipped("clinic.yaml"),
        "--require", "approver", "--format", "json",
    )  # fmt: skip


def test_all_that_is_whole_holds(place):
    """Report, page, log, anchor, policy and the approver's signature: 0."""
    done = everything(place)
    told = json.loads(done.stdout)
    assert done.exit_code == 0, done.stdout
    assert (told["schema"], told["holds"], told["unchecked"]) == ("phi-audit.verify/1", True, [])
    assert [(row["file"], row["kind"], row["holds"]) for row in told["files"]] == [
        ("report.json", "report", True), ("report.html", "html", True),
    ]  # fmt: skip
    assert told["files"][0]["digest"] == place.report.digest
    assert told["files"][0]["signatures"] == [{"role": "approver", "name": "Cleo", "at": "2026-11-20T13:00:00+00:00", "state": "valid"}]
    assert told["log"]["holds"]
    table = run(place.path, "--log", place.home, "--anchor", place.anchor).stdout
    assert table.startswith("holds  report.json (report)  UNPROVEN  ")
    assert "anchored up to entry 2" in table


def _swap(path):
    rows = path.read_text().splitlines(keepends=True)
    rows[1], rows[2] = rows[2], rows[1]
    path.write_text("".join(rows))


def _cut(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.path.write_text(p.path.read_text().replace('"UNPROVEN"', '"GO"')), "report.json: verdict"),
        (lambda p: p.path.write_text(p.path.read_text()[:-40]), "report.json: file"),
        (lambda p: p.path.write_text(p.path.read_text().replace('"approver"', '"reviewer"')), "report.json: signatures[0]"),
        (lambda p: p.page.write_text(p.page.read_text().replace("UNPROVEN", "GO", 1)), "report.html: is not what the report renders to"),
        (lambda p: _swap(p.home / chain.LOG), "audit-log.jsonl:2: "),
        (lambda p: _cut(p.home / chain.LOG), "its end was cut off"),
        (lambda p: _cut(p.anchor), ""),
        (lambda p: (p.home / chain.HEAD).unlink(), "audit-log.head"),
        (lambda p: p.anchor.write_text(p.anchor.read_text().replace("000000000001", "000000000009")), "anchor: names entry 9"),
    ],
    ids=["verdict", "cut", "role", "page", "swapped", "tail", "anchor behind", "head", "anchor"],
)
def test_what_was_changed_is_found(place, change, said):
    """4, with file, place and what; an anchor that lags is told and is no fault."""
    change(place)
    done = everything(place)
    told = json.loads(done.stdout)
    if not said:
        assert (done.exit_code, told["log"]["anchored"]) == (0, 1)
        return
    assert done.exit_code == 4
    assert not told["holds"]
    faults = [*(fault for row in told["files"] for fault in row["faults"]), *told["log"]["faults"]]
    assert any(said in fault for fault in faults), faults


def test_a_role_that_did_not_sign_is_missed(place):
    """An approver is no reviewer."""
    done = run(place.path, "--require", "reviewer")
    assert done.exit_code == 4
    assert "report.json: signatures: no valid one as reviewer" in done.stdout


def test_another_policy_is_found(place):
    """The digest is the policy's and the environment's."""
    done = run(place.path, "--policy", shipped("safe_harbor.yaml"))
    assert done.exit_code == 4
    assert "target.policy_digest: is not that of safe_harbor.yaml for prod" in done.stdout
    (place.dir / "p.yaml").write_text("nonsense")
    assert run(place.path, "--policy", place.dir / "p.yaml").exit_code == 2


def test_another_list_of_keys_trusts_others(place):
    """An auditor brings a list of their own."""
    mine = place.dir / "trusted.json"
    mine.write_text('{"schema": "phi-audit.trusted/1", "keys": []}')
    done = run(place.path, "--trust", mine)
    assert done.exit_code == 4
    assert "is not trusted as approver" in done.stdout
    mine.write_text("{}")
    assert run(place.path, "--trust", mine).exit_code == 2


def test_a_page_alone_cannot_be_checked(place):
    """3: it is never said to hold."""
    done = run(place.page, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["holds"], told["files"]) == (3, False, [])
    assert "name the JSON of its report" in told["unchecked"][0]


def test_what_is_not_there_is_a_usage_error(place):
    """2, with the reason; and so is nothing at all."""
    done = run(place.dir / "none.json")
    assert done.exit_code == 2
    assert "cannot be read" in done.stderr
    assert run().exit_code == 2


def test_a_log_that_is_not_there_does_not_hold(place, tmp_path):
    """It was named, so it should be."""
    (tmp_path / "empty").mkdir()
    done = run(place.path, "--log", tmp_path / "empty")
    assert done.exit_code == 4
    assert "audit-log.jsonl: is not there" in done.stdout
