"""``phi-audit review``: in a real terminal, never outside one."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest

from audit.manifest import TraceFacts
from audit.review import document
from audit.review.reading import report_digest
from audit.sample import draw

START = """
import sys, audit.cli, audit.cli.review
audit.cli.COMMANDS['review'] = ('audit.cli.review:review', 'x')
audit.cli.main()
"""


@pytest.fixture
def report(tmp_path, exported, fixtures):
    """An export of 6 calls and a report with a sample of 4 of them."""
    exported(calls=6)
    facts = [TraceFacts(fixtures.call(n)[0]["trace_id"], "book_appointment", "ended", "1", "dev", 7) for n in range(6)]
    told = {"schema": "phi-audit.report/2", "target": {"project": "clinic-dev", "since": "", "until": ""}}
    told["selection"] = asdict(draw(facts, n=4, seed=1, seed_by="given"))
    told["digest"] = report_digest(json.loads(json.dumps(told)))
    path = tmp_path / "report.json"
    path.write_text(json.dumps(told))
    return path


@pytest.fixture
def command(tmp_path, report):
    audit_dir = tmp_path / "audit"
    os.environ["PHI_AUDIT_DIR"] = str(audit_dir)
    arguments = [str(report), "--reviewer", "R. Keller", "--from", str(tmp_path / "export.jsonl"), "-o", str(tmp_path / "review.json")]
    yield [sys.executable, "-c", START, "review", *arguments]
    del os.environ["PHI_AUDIT_DIR"]


class Terminal:
    """The command on a terminal of its own: what it shows is read, what a person types is written."""

    def __init__(self, command):
        self._main, end = pty.openpty()
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True, close_fds=True)
        os.close(end)
        self.text = ""

    def wait_for(self, pattern, *, since=0):
        until = time.monotonic() + 60
        while not (match := re.compile(pattern).search(self.text, since)):
            assert time.monotonic() < until, self.text[-800:]
            if select.select([self._main], [], [], 1)[0]:
                try:
                    self.text += os.read(self._main, 65536).decode(errors="replace")
                except OSError:
                    assert re.compile(pattern).search(self.text, since), self.text[-800:]
        return match

    def type(self, line):
        at = len(self.text)
        os.write(self._main, f"{line}\n".encode())
        return at

    def end(self):
        try:
            while True:
                self.text += os.read(self._main, 65536).decode(errors="replace")
        except OSError:
            pass
        os.close(self._main)
        return self.process.wait(timeout=30)


def test_outside_a_terminal_nothing_is_shown(command, tmp_path):
    """Piped: exit 2 with the reason, no content, no file."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "terminal" in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "review.json").exists()


def test_a_person_walks_through(command, tmp_path):
    """Consent, decisions, one taken back, left, gone on with, ended: the file holds it, the log says that content was opened."""
    terminal = Terminal(command)
    terminal.wait_for("Type show to go on")
    assert "run 1" not in terminal.text
    at = terminal.type("show")
    terminal.wait_for(r"1 of 14[\s\S]*later \(q\)", since=at)
    at = terminal.type("c")
    terminal.wait_for(r"2 of 14[\s\S]*later \(q\)", since=at)
    at = terminal.type("z")
    terminal.wait_for(r"1 of 14[\s\S]*later \(q\)", since=at)
    at = terminal.type("l")
    terminal.wait_for("number of the line", since=at)
    at = terminal.type("2")
    terminal.wait_for("class, by number", since=at)
    at = terminal.type("1")
    terminal.wait_for(r"2 of 14[\s\S]*later \(q\)", since=at)
    terminal.type("q")
    assert terminal.end() == 3
    left = document.read(tmp_path / "review.json")
    assert (len(left.decisions), left.decisions[0].said, left.undone, left.ended) == (1, "leak", 1, "")

    terminal = Terminal(command)
    terminal.wait_for("Type show to go on")
    at = terminal.type("show")
    for n in range(2, 15):
        terminal.wait_for(rf"{n} of 14[\s\S]*later \(q\)", since=at)
        at = terminal.type("c")
    terminal.wait_for("All are decided", since=at)
    terminal.type("e")
    assert terminal.end() == 0
    done = document.read(tmp_path / "review.json")
    assert (len(done.decisions), len(done.planted), bool(done.ended)) == (4, 10, True)
    log = (tmp_path / "audit" / "audit-log.jsonl").read_text()
    assert log.count("review_opened") == 2
    assert log.count("review_closed") == 1


def test_without_consent_nothing_is_shown(command, tmp_path):
    """Any other word ends it: exit 3, nothing shown, nothing logged as opened."""
    terminal = Terminal(command)
    terminal.wait_for("Type show to go on")
    terminal.type("yes")
    assert terminal.end() == 3
    assert "run 1" not in terminal.text
    log = tmp_path / "audit" / "audit-log.jsonl"
    assert not log.exists() or "review_opened" not in log.read_text()


def test_ctrl_c_keeps_what_was_decided(command, tmp_path):
    """Exit 130; the decision stands in the file."""
    terminal = Terminal(command)
    terminal.wait_for("Type show to go on")
    at = terminal.type("show")
    terminal.wait_for(r"1 of 14[\s\S]*later \(q\)", since=at)
    at = terminal.type("c")
    terminal.wait_for(r"2 of 14[\s\S]*later \(q\)", since=at)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert len(document.read(tmp_path / "review.json").decisions) == 1


def test_a_changed_report_is_refused(command, report):
    """Exit 4 before anything is read."""
    told = json.loads(report.read_text())
    told["target"]["project"] = "other"
    report.write_text(json.dumps(told))
    done = subprocess.run([*command, "--web"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 4
    assert "digest" in done.stderr


def test_another_reviewer_s_file_is_not_written_over(command, tmp_path):
    """A file of another review is refused, and stays."""
    other = tmp_path / "review.json"
    other.write_text("{}")
    done = subprocess.run([*command, "--web"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert other.read_text() == "{}"
