"""The journal of a watch: what is written can be read again, and a change, a cut or a torn end shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from audit.watch import Begun, Journal, JournalUnusable, Round
from audit.watch.round import AlertLook, Census, SwitchLook, stamp

T0 = datetime(2026, 3, 10, 9, tzinfo=UTC)
BEGUN = Begun(
    at=stamp(T0), hours=48.0, every_s=900.0, project="clinic-dev", env="dev", place="LangSmith at 127.0.0.1", policy="0123456789abcdef"
)


def one(n):
    return Round(
        n=n, at=stamp(T0 + timedelta(minutes=15 * n)), took_s=1.5, state="NO_GO" if n == 2 else "CLEAN", why="phi_findings: 1" * (n == 2),
        census=Census(report="ab" * 32, calls=n, failed=("phi_findings",), ttft_p50_ms=640.0),
        alerts=AlertLook(fired={"leak": (stamp(T0),)}, firing=("leak",)), switch=SwitchLook(on=n != 2, at=stamp(T0), off_s=0.25),
        problems=("a disk is full",),
    )  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    """A journal of three rounds, as it lies there after the process ended."""
    journal = Journal(tmp_path / "w")
    journal.begin(BEGUN, T0)
    for n in (1, 2, 3):
        journal.add(one(n), T0)
    return tmp_path / "w"


def test_what_was_written_is_read_again(kept):
    journal = Journal(kept)
    assert (journal.begun, journal.rounds, journal.closed, journal.unwritten) == (BEGUN, [one(1), one(2), one(3)], False, 0)
    journal.resume(T0)
    journal.close({"outcome": "CLEAN"}, T0)
    again = Journal(kept)
    assert (again.closed, again.resumed, again.head.n, again.check()) == (True, [stamp(T0)], 5, "")


def test_it_is_for_its_owner_alone(kept):
    assert {oct(path.stat().st_mode & 0o777) for path in kept.iterdir()} == {"0o600"}
    assert oct(kept.stat().st_mode & 0o777) == "0o700"


def lines(kept):
    return (kept / "watch.jsonl").read_bytes().splitlines(keepends=True)


CHANGES = {
    "edited": (lambda rows: [row.replace(b'"calls":2', b'"calls":9') for row in rows], "was changed after it was written"),
    "one left out": (lambda rows: [*rows[:2], *rows[3:]], "lines are missing"),
    "the last left out": (lambda rows: rows[:-1], "its end was cut off"),
    "the last edited": (lambda rows: [*rows[:-1], rows[-1].replace(b'"calls":3', b'"calls":4')], "is not the one that was written"),
    "in another order": (lambda rows: [rows[0], rows[2], rows[1], rows[3]], "not in their order"),
    "written otherwise": (lambda rows: [rows[0].replace(b",", b", "), *rows[1:]], "is no line of ours"),
    "begun twice": (lambda rows: [*rows, rows[0]], "lines are missing"),
    "emptied": (lambda rows: [], "its end was cut off"),
}


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_a_change_shows_and_the_watch_does_not_go_on(kept, what):
    change, told = CHANGES[what]
    (kept / "watch.jsonl").write_bytes(b"".join(change(lines(kept))))
    with pytest.raises(JournalUnusable, match="not the one that was written") as refused:
        Journal(kept)
    assert told in str(refused.value)
    assert refused.value.exit_code == 4


def test_a_head_that_is_gone_shows(kept):
    (kept / "watch.head").unlink()
    with pytest.raises(JournalUnusable, match="is no head"):
        Journal(kept)


def test_a_line_that_a_crash_tore_is_no_line(kept):
    """The writer was never told that it is kept: the journal goes on after the last whole one."""
    with (kept / "watch.jsonl").open("ab") as file:
        file.write(b'{"event":"round","n":4,"prev":"' + b"0" * 9_000)
    journal = Journal(kept)
    assert len(journal.rounds) == 3
    journal.add(one(4), T0)
    assert [each.n for each in Journal(kept).rounds] == [1, 2, 3, 4]
    assert lines(kept)[-1].endswith(b"\n")


def test_an_exchange_while_it_goes_on_is_found_at_the_end(kept, tmp_path):
    """Another whole journal in its place holds by itself, and is not the one that was written."""
    journal = Journal(kept)
    other = Journal(tmp_path / "other")
    other.begin(BEGUN, T0)
    for name in ("watch.jsonl", "watch.head"):
        (kept / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert "was exchanged" in journal.check()


_WRITER = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_watch_journal import BEGUN, T0, one
from audit.watch import Journal
journal = Journal(Path(sys.argv[1]))
journal.begin(BEGUN, T0)
n = 0
while True:
    n += 1
    journal.add(one(n), T0)
    print(n, flush=True)
"""


def test_a_writer_that_is_killed_leaves_every_round_it_was_told_is_kept(tmp_path):
    """Killed in the midst of writing: what it said is there, one more at most, and the chain holds."""
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "w"), os.path.dirname(__file__)]  # noqa: PTH120
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told = 0
    while told < 20:
        told = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    told = int(rest.split()[-1]) if rest.split() else told
    rounds = Journal(tmp_path / "w").rounds
    assert told <= len(rounds) <= told + 1
    assert [each.n for each in rounds] == list(range(1, len(rounds) + 1))


def test_a_first_line_that_cannot_be_written_is_no_watch(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "w")
    (tmp_path / "w" / "watch.jsonl").mkdir()
    with pytest.raises(JournalUnusable, match="cannot be written"):
        journal.begin(BEGUN, T0)


def test_lines_of_another_version_are_refused(tmp_path, kept):
    row = json.loads(lines(kept)[1])
    assert row["round"]["census"]["calls"] == 1
    from audit.watch.journal_file import Held, _take

    held = Held()
    _take(held, lines(kept)[0].strip())
    row["round"]["state"] = "PERHAPS"
    assert _take(held, json.dumps(row, sort_keys=True, separators=(",", ":")).encode()) == "is of another version"
