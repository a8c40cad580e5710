"""``phi-audit switch``: telemetry's switch from the command line, and what a held one asks for."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from kept_reports import finding, judged_by, kept, reviewed
from shipping import cleared_call, fill, open_gate, states

from audit import chain, signing
from audit.cli import main
from audit.report import json as as_json
from audit.signing import Trusted
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch, Worker
from tracing.relay.outbox import Outbox

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
    home.mkdir(mode=0o700, exist_ok=True)
    signing.trust(home, Trusted("cleo", "approver", signing.make_key(home, "cleo"), SINCE))

    def write(*, findings=(), after=timedelta(minutes=1), policy=in_force, role="approver", sign=True):
        at = (datetime.now(UTC) + after).isoformat(timespec="seconds").replace("+00:00", "Z")
        report = reviewed(kept(findings=findings, made_at=at), "Ada", "Bea")
        report = judged_by(report, policy, until=at)
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
    other = run("on", "--reason", "audit said GO", "--report", path)
    assert (other.exit_code, "of another project" in other.stderr) == (1, True)  # medical-voice-agent-prod, where none is named
    done = run("on", "--reason", "audit said GO", "--report", path, "--project", "clinic-prod")
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


# -- who acts on it ------------------------------------------------------------------------------------------------------------------


def worker(tmp_path, letter, state=None, **facts):
    switch = FileSwitch(tmp_path / "switch.json")
    assert switch.acknowledge(Worker(letter * 32, "relay", "policy-1", **facts), state or switch.state())
    return switch


def test_status_names_who_acts_on_it_and_who_does_not(run, tmp_path):
    """As rows and as lines; a worker long unheard is stale."""
    run("on", "--reason", "fine")
    before = FileSwitch(tmp_path / "switch.json").state()
    worker(tmp_path, "a", pending=4)
    worker(tmp_path, "c")
    os.utime(tmp_path / "switch.acks" / ("c" * 32), (time.time() - 30, time.time() - 30))
    assert [(row["id"], row["status"]) for row in status(run)["workers"]] == [("a" * 32, "acknowledged"), ("c" * 32, "stale")]
    run("off")
    worker(tmp_path, "b", quarantined=7)
    told = {row["id"][0]: (row["status"], row["quarantined"]) for row in status(run)["workers"]}
    assert told == {"a": ("not acknowledged", 0), "b": ("acknowledged", 7), "c": ("stale", 0)}
    assert "not acknowledged" in run("status").stdout
    worker(tmp_path, "b", quiet=False)
    assert {row["id"][0]: row["status"] for row in status(run)["workers"]}["b"] == "not acknowledged"  # something is on its way
    assert before.on


def test_off_waits_until_every_live_worker_has_said_so(run, tmp_path):
    """0 when they have, and at once; 3 with the name of who has not. Who was stale before is not waited for."""
    run("on", "--reason", "fine")
    switch = worker(tmp_path, "a")
    worker(tmp_path, "c")
    os.utime(tmp_path / "switch.acks" / ("c" * 32), (time.time() - 30, time.time() - 30))
    done = run("off", "--wait", "0.3s")
    assert (done.exit_code, "a" * 32 in done.stderr, "c" * 32 in done.stderr) == (3, True, False)
    run("on", "--reason", "fine")
    worker(tmp_path, "a")
    answer = threading.Timer(0.2, lambda: switch.acknowledge(Worker("a" * 32, "relay"), switch.state()))
    answer.start()
    began = time.monotonic()
    assert run("off", "--wait", "30s").exit_code == 0
    assert time.monotonic() - began < 20
    answer.join()
    assert run("off", "--wait", "soon").exit_code == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * 5000, b'{"schema": "phi-guard.worker/1"}', b"\xff"])
def test_a_word_nobody_of_ours_wrote_is_nobodys(run, tmp_path, content):
    """It has acknowledged nothing."""
    run("on", "--reason", "fine")
    worker(tmp_path, "a")
    (tmp_path / "switch.acks" / ("b" * 32)).write_bytes(content)
    (tmp_path / "switch.acks" / ("d" * 32)).symlink_to(tmp_path / "switch.acks" / ("a" * 32))
    (tmp_path / "switch.acks" / "other").write_bytes(content)
    assert [row["id"] for row in status(run)["workers"]] == ["a" * 32]


# -- what it quarantines -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def waiting(run, tmp_path, monkeypatch):
    """A relay's outbox in which a call was waiting when the switch went off."""
    monkeypatch.setenv("PHI_GUARD_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "state").mkdir(mode=0o700)
    rows = cleared_call(open_gate())
    fill(tmp_path / "state" / "outbox.sqlite3", rows)
    run("on", "--reason", "fine")
    run("off", "--reason", "a leak", "--hold", "leak")
    with closing(Outbox(tmp_path / "state" / "outbox.sqlite3")) as outbox:
        outbox.follow(FileSwitch(tmp_path / "switch.json").state())
    return len(rows)


def listed(run):
    return json.loads(run("quarantine", "list", "--format", "json").stdout)


def test_the_quarantine_is_released_only_on_a_report_that_says_go(run, waiting, signed, tmp_path):
    """Not while it is off, not with an on that rests on nothing; with a release it is, and the log says on which."""
    assert (listed(run)["operations"], listed(run)["held"][0]["reason"]) == (waiting, "leak")
    assert f"{waiting} operations of 1 calls" in run("quarantine", "list").stdout
    done = run("quarantine", "release")
    assert (done.exit_code, "is off, so nothing is released" in done.stderr) == (3, True)
    path = signed()
    digest = json.loads(path.read_text())["digest"]
    assert run("on", "--reason", "GO", "--report", path, "--project", "clinic-prod").exit_code == 0
    assert run("quarantine", "release", "--reason", "last_look").exit_code == 3
    assert listed(run)["operations"] == waiting
    done = run("quarantine", "release")
    assert (done.exit_code, done.stdout) == (0, f"{waiting} operations released\n"), done.output
    assert listed(run)["operations"] == 0
    last = list(chain.entries(tmp_path / "audit"))[-1]
    assert (last.event, last.facts) == ("quarantine_released", {"operations": waiting, "release": digest})
    assert run("quarantine", "list").stdout == "nothing is quarantined\n"


def test_an_on_without_a_report_releases_nothing(run, waiting):
    """By hand off, by hand on: what waited stays."""
    FileSwitch(os.environ["PHI_GUARD_SWITCH"]).path.unlink()
    assert run("on", "--reason", "by hand").exit_code == 0
    done = run("quarantine", "release")
    assert (done.exit_code, "without a report" in done.stderr) == (3, True)
    assert listed(run)["operations"] == waiting


def test_the_quarantine_is_dropped_when_told_so_twice(run, waiting, tmp_path):
    """Asked first; then gone, and in the ledger and the log."""
    assert run("quarantine", "drop").exit_code == 130  # nobody is there to be asked
    assert listed(run)["operations"] == waiting
    assert run("quarantine", "drop", "--yes", "--reason", "switch_off").stdout == "0 operations dropped\n"
    assert run("quarantine", "drop", "--yes").stdout == f"{waiting} operations dropped\n"
    assert states(tmp_path / "state" / "outbox.sqlite3") == {("dropped", "quarantined"): waiting}
    assert list(chain.entries(tmp_path / "audit"))[-1].facts == {"operations": waiting}
    assert run("quarantine", "drop", "--yes", "--reason", "whim").exit_code == 3


def test_no_outbox_is_told(run, tmp_path):
    """With what to do."""
    done = run("quarantine", "list", "--state", tmp_path)
    assert (done.exit_code, "--state" in done.stderr) == (3, True)
