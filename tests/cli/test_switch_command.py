"""``phi-audit switch``: telemetry's switch from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from audit.cli import main


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "switch.json"))
    return lambda *args: CliRunner().invoke(main, ["switch", *args])


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
