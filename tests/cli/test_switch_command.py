"""``phi-audit switch``: telemetry's switch from the command line, and what a held one asks for."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from kept_reports import finding, kept, reviewed

from audit import chain, signing
from audit.cli import main
from audit.report import json as as_json
from audit.signing import Trusted
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch

SINCE = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.delenv("PHI_GUARD_POLICY", raising=False)
    return lambda *args: CliRunner().invoke(main, ["switch", *map(str, args)])


@pytest.fixture(scope="module")
def in_force():
    return load_policy(shipped("clinic.yaml"), env="prod").digest


@pytest.fixture
def signed(run, tmp_path, in_force):
    """Write a reviewed report: GO, of a minute from now, under the policy in force, signed by a trusted approver; or as told."""
    home = tmp_path / "audit"
    home.mkdir(mode=0o700)
    signing.trust(home, Trusted("cleo", "approver", signing.make_key(home, "cleo"), SINCE))

    def write(*, findings=(), after=timedelta(minutes=1), policy=in_force, role="approver", sign=True):
        at = (datetime.now(UTC) + after).isoformat(timespec="seconds").replace("+00:00", "Z")
        report = reviewed(kept(findings=findings, made_at=at), "Ada", "Bea")
        report = replace(report, target=replace(report.target, policy_digest=policy, until=at))
        if sign:
            key = signing.load_key(home, "cleo")
            report = replace(report, signatures=(signing.sign(report.digest, role, "Cleo", at, key),))
        path = tmp_path / "signed.json"
        path.write_text(as_json.render(report), encoding="utf-8")
        return path

    return write


def status(run):
    return json.loads(run("status", "--format", "json").stdout)


def test_it_is_off_until_turned_on(run):
    """A switch that was never set is off; on and off are kept with their reason."""
    assert status(run)["on"] is False
    assert run("on", "--reason", "audit said GO").exit_code == 0
    state = status(run)
    assert (state["schema"], state["on"], state["reason"]) == ("phi-audit.switch/1", True, "audit said GO")
    assert run("off", "--reason", "leak suspected").exit_code == 0
    assert (status(run)["on"], status(run)["reason"]) == (False, "leak suspected")


def test_on_needs_a_reason(run):
    """Nobody turns it on without saying why."""
    assert run("on").exit_code == 2
    assert status(run)["on"] is False


def test_a_bad_reason_is_told(run):
    """A reason of several lines is refused without a traceback, and the switch stays."""
    run("on", "--reason", "fine")
    done = run("off", "--reason", "one\ntwo")
    assert done.exit_code == 3
    assert "one line" in done.stderr
    assert status(run)["on"] is True


def test_the_answer_can_go_to_a_file(run, tmp_path):
    """With -o the answer stands in the file and not on stdout."""
    out = tmp_path / "state.txt"
    done = run("off", "-o", str(out))
    assert done.stdout == ""
    assert out.read_text().startswith("off since")


def test_a_held_switch_asks_for_a_report(run):
    """Without one: exit 2, still off; and turning it off again does not get around it."""
    run("off", "--reason", "leak", "--hold", "leak")
    assert status(run)["hold"] == "leak"
    run("off")
    done = run("on", "--reason", "it was nothing")
    assert (done.exit_code, "--report" in done.stderr) == (2, True)
    assert status(run)["on"] is False
    assert "held (leak)" in run("status").stdout


def test_a_signed_go_made_after_it_turns_it_on(run, signed, tmp_path):
    """On, with the report's digest in the file and in the log."""
    run("off", "--reason", "leak", "--hold", "leak")
    path = signed()
    digest = json.loads(path.read_text())["digest"]
    done = run("on", "--reason", "audit said GO", "--report", path)
    assert done.exit_code == 0, done.output
    assert (status(run)["on"], status(run)["release"]) == (True, digest)
    last = list(chain.entries(tmp_path / "audit"))[-1]
    assert (last.event, last.facts["release"], last.facts["hold"]) == ("switch_on", digest, "leak")


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"findings": (finding(1),)}, 1, "NO-GO"),
        ({"after": -timedelta(minutes=1)}, 1, "before the switch went off"),
        ({"after": timedelta(hours=1)}, 4, "at no time that has been"),
        ({"policy": "1" * 16}, 1, "another policy"),
        ({"sign": False}, 4, "no approver"),
        ({"role": "scan"}, 4, "signatures[0]"),
    ],
    ids=["no-go", "before", "ahead", "policy", "unsigned", "role"],
)
def test_a_report_that_does_not_release_it(run, signed, options, code, said):
    """Each for its reason, and the switch stays off and held."""
    run("off", "--reason", "leak", "--hold", "leak")
    done = run("on", "--reason", "audit said GO", "--report", signed(**options))
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert (status(run)["on"], status(run)["hold"]) == (False, "leak")


def test_a_report_that_was_edited_does_not_verify(run, signed, tmp_path):
    """A signed GO with a character changed, a file that is no report or not there, a key no longer trusted: none turns it on."""
    run("off", "--reason", "leak", "--hold", "leak")
    path = signed()
    path.write_text(path.read_text().replace('"clinic-prod"', '"clinic-brod"'), encoding="utf-8")
    assert run("on", "--reason", "x", "--report", path).exit_code == 4
    path.write_text("{}")
    assert run("on", "--reason", "x", "--report", path).exit_code == 4
    assert run("on", "--reason", "x", "--report", tmp_path / "nowhere.json").exit_code == 2
    path = signed()
    (tmp_path / "audit" / signing.TRUSTED).unlink()
    assert run("on", "--reason", "x", "--report", path).exit_code == 4
    assert status(run)["on"] is False


def test_a_log_that_takes_nothing_keeps_it_off_but_never_on(run, tmp_path):
    """What cannot be written down does not turn it on; off works all the same, and says so."""
    run("on", "--reason", "fine")
    (tmp_path / "audit" / chain.LOG).unlink()
    (tmp_path / "audit" / chain.LOG).mkdir()
    done = run("off")
    assert (done.exit_code, "log does not say so" in done.stderr) == (0, True)
    done = run("on", "--reason", "fine")
    assert (done.exit_code, status(run)["on"]) == (3, False)
    assert "log" in done.stderr


def test_off_works_where_the_directory_is_of_no_use(run, tmp_path, monkeypatch):
    """No room for a file: removed, off, and the exit code says it is done."""
    run("on", "--reason", "fine")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("off", "--hold", "leak").exit_code == 0
    assert not FileSwitch(tmp_path / "switch.json").state().on
