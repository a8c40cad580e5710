"""``phi-audit disclosures``: the log of what was sent, from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from audit.cli.disclosures import disclosures
from phi_guard import disclosure_chain as chain
from phi_guard.errors import PhiGuardError
from phi_guard.outbound.sink import Posting
from tracing.relay.disclosure import DisclosureLog

POSTING = Posting("smith.example", ("clinic",), ("0" * 16,), 12, 2, 34_567, "ab" * 32)


@pytest.fixture
def place(tmp_path):
    log = DisclosureLog(tmp_path)
    for outcome in ("http_202", "http_500"):
        log.intend(POSTING)
        log.settle(outcome)
    log.intend(POSTING)
    log.close()
    return tmp_path


def run(*args):
    return CliRunner().invoke(disclosures, [str(arg) for arg in args])


def test_a_whole_log_verifies(place):
    """0, and what is open is told."""
    done = run("verify", "--dir", place, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["schema"], told["holds"]) == (0, "phi-audit.disclosures/1", True)
    assert (told["postings"], told["unsettled"]) == (3, [5])
    table = run("verify", "--dir", place).stdout
    assert table.startswith("holds: 6 entries, 3 postings\n1 postings without an outcome")


def test_a_changed_log_does_not(place):
    """4, with the line."""
    path = place / chain.LOG
    path.write_text(path.read_text().replace("http_500", "http_202"))
    done = run("verify", "--dir", place)
    assert done.exit_code == 4
    assert "disclosures.jsonl:6: does not follow the line before it" in done.stdout


def test_what_was_sent_is_listed(place):
    """The newest, each with what became of it."""
    told = json.loads(run("show", "--dir", place, "--last", 2, "--format", "json").stdout)
    assert [(row["n"], row["outcome"]) for row in told["postings"]] == [(3, "http_500"), (5, "")]
    table = run("show", "--dir", place).stdout
    assert "http_202      smith.example  12 operations of 2 calls, 34567 B" in table


@pytest.mark.parametrize("command", ["verify", "show"])
def test_no_log_is_told_without_a_traceback(command, tmp_path):
    """What cannot be read is neither whole nor broken."""
    done = run(command, "--dir", tmp_path / "nowhere")
    assert isinstance(done.exception, PhiGuardError)
    assert "--dir" in str(done.exception)


def test_show_stands_entries_that_are_not_ours(place):
    """Somebody wrote into the file: what can be read is shown."""
    with (place / chain.LOG).open("ab") as file:
        file.write(b'{"event":"intent","n":6,"prev":"x","operations":[1]}\nzqxjk\n')
    assert run("show", "--dir", place).exit_code == 0
