"""The audit's own log: no change to it goes unseen, two writers do not harm it, and it holds no content."""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import stat
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import chain
from audit.chain import line as log_line

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
REPORT = "ab" * 32


def written(directory, n=4, **how):
    """A log of so many reports after its beginning."""
    for i in range(n):
        chain.append(directory, "report", {"report": REPORT, "findings": i}, now=NOW, **how)
    return directory / chain.LOG


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A log of four reports with an anchor, not to be changed."""
    home = tmp_path_factory.mktemp("kept")
    written(home / "log", anchor=home / "anchor")
    return home


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder to change a copy in."""
    return tmp_path_factory.mktemp("copy") / "home"


def fresh(kept, copy):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(kept, copy)
    return copy


def rows(path):
    return path.read_bytes().splitlines(keepends=True)


def test_a_whole_log_holds(kept):
    """One begin and four reports; head and anchor name the last."""
    verdict = chain.verify(kept / "log", kept / "anchor")
    assert verdict.holds, verdict.faults
    assert (verdict.entries, verdict.head.n, verdict.anchored) == (5, 4, 4)
    assert chain.head(kept / "log") == verdict.head
    assert chain.head(kept) == chain.START
    assert [(entry.n, entry.event) for entry in chain.entries(kept / "log")] == [(0, "begin"), *((n, "report") for n in range(1, 5))]


def test_it_is_ours_alone(kept):
    """Mode 0600, in a directory of mode 0700."""
    for path in (kept / "log" / chain.LOG, kept / "log" / chain.HEAD, kept / "anchor"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((kept / "log").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("event", "facts", "said"),
    [
        ("leaked", {}, "no event"),
        ("report", {"Name": 1}, "fact's name"),
        ("report", {"prev": "0"}, "fact's name"),
        ("report", {"text": "two\nlines"}, "report: text"),
        ("report", {"text": "x" * 301}, "report: text"),
        ("report", {"nested": [{"a": 1}]}, "report: nested"),
        ("report", {"raw": b"bytes"}, "report: raw"),
        ("report", {"rate": float("nan")}, "report: rate"),
        ("purge_asked", {"traces": ["f" * 36] * 2000}, "too long"),
    ],
)
def test_what_is_no_closed_fact_is_not_written(tmp_path, event, facts, said):
    """The message names the fact, and quotes nothing."""
    with pytest.raises(chain.LogUnusable, match=said) as refused:
        chain.append(tmp_path, event, facts, now=NOW)
    assert "two" not in str(refused.value)
    assert all(entry.event == "begin" for entry in chain.entries(tmp_path))


# -- what is changed is found ---------------------------------------------------------------------------------------------------------

_many = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@_many
@given(st.data())
def test_any_byte_that_is_changed_is_found(kept, copy, data):
    """In any line, the last too, in a line break, in the head or in the anchor."""
    name = data.draw(st.sampled_from([f"log/{chain.LOG}", f"log/{chain.LOG}", f"log/{chain.HEAD}", "anchor"]))
    path = fresh(kept, copy) / name
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(content)
    assert not chain.verify(copy / "log", copy / "anchor").holds


@_many
@given(st.data())
def test_any_line_that_is_gone_moved_doubled_or_forged_is_found(kept, copy, data):
    """Also the last ones, which no later line holds fast."""
    path = fresh(kept, copy) / "log" / chain.LOG
    held = rows(path)
    first, second = data.draw(st.integers(0, len(held) - 1)), data.draw(st.integers(0, len(held) - 1))
    what = data.draw(st.sampled_from(["delete", "cut", "swap", "double", "forge"]))
    if what == "delete":
        del held[first]
    elif what == "cut":
        del held[first:]
    elif what == "swap":
        if first == second:
            return
        held[first], held[second] = held[second], held[first]
    elif what == "double":
        held.insert(second, held[first])
    else:
        entry = json.loads(held[first]) | {"at": "2020-01-01T00:00:00.000000Z"}
        held[first] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join(held))
    assert not chain.verify(copy / "log").holds


@_many
@given(st.binary(max_size=300), st.binary(max_size=120), st.binary(max_size=120))
def test_no_content_of_the_files_breaks_the_check(copy, log, head, anchor):
    """Whatever lies there, the check says what is wrong with it."""
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "log").mkdir(parents=True)
    (copy / "log" / chain.LOG).write_bytes(log)
    (copy / "log" / chain.HEAD).write_bytes(head)
    (copy / "anchor").write_bytes(anchor)
    assert not chain.verify(copy / "log", copy / "anchor").holds


def cut(home, n=2):
    """Take the last lines away, and make the head fit."""
    path = home / "log" / chain.LOG
    held = rows(path)[:-n]
    path.write_bytes(b"".join(held))
    last = log_line.mark(len(held) - 1, held[-1].rstrip(b"\n"))
    (home / "log" / chain.HEAD).write_bytes(log_line.encode_head(last))


def test_a_cut_tail_whose_head_was_made_to_fit_shows_by_the_anchor_alone(kept, copy):
    """Who may write to the directory can do that; who keeps the anchor sees it."""
    cut(fresh(kept, copy))
    assert chain.verify(copy / "log").holds
    assert chain.verify(copy / "log", copy / "anchor").faults == (
        "anchor: names entry 3, and the log ends with 2: its end was cut off",
        "anchor: names entry 4, and the log ends with 2: its end was cut off",
    )


def test_a_cut_tail_that_is_written_on_still_shows_by_the_anchor(kept, copy):
    """The numbers are there again, and they are others."""
    cut(fresh(kept, copy))
    written(copy / "log", 3, anchor=copy / "anchor")
    assert "anchor: entry 3 is not the one that was written" in chain.verify(copy / "log", copy / "anchor").faults


def test_a_log_that_is_begun_anew_shows_by_the_anchor(kept, copy):
    """It holds by itself: nothing in it is wrong."""
    shutil.rmtree(fresh(kept, copy) / "log")
    written(copy / "log", 8)
    assert chain.verify(copy / "log").holds
    assert any("this one was begun anew" in fault for fault in chain.verify(copy / "log", copy / "anchor").faults)


def test_what_came_after_the_anchor_is_told(tmp_path):
    """An entry that was written without it is held by the head alone."""
    written(tmp_path / "log", 2, anchor=tmp_path / "anchor")
    written(tmp_path / "log", 3)
    verdict = chain.verify(tmp_path / "log", tmp_path / "anchor")
    assert verdict.holds
    assert (verdict.head.n, verdict.anchored) == (5, 2)


def test_the_environment_names_the_anchor(tmp_path, monkeypatch):
    """So that no command can forget it."""
    monkeypatch.setenv("PHI_AUDIT_ANCHOR", str(tmp_path / "anchor"))
    written(tmp_path / "log", 2)
    assert chain.verify(tmp_path / "log", tmp_path / "anchor").anchored == 2


def test_an_anchor_beside_the_log_is_refused(tmp_path):
    """It would go the way of the log."""
    with pytest.raises(chain.LogUnusable, match="beside the log"):
        written(tmp_path, 1, anchor=tmp_path / "anchor")
    assert not list(chain.entries(tmp_path))


def test_an_anchor_that_is_not_there_is_told(kept, tmp_path):
    """Nothing is said to hold without it."""
    with pytest.raises(chain.LogUnusable, match="is not there"):
        chain.verify(kept / "log", tmp_path / "none")


# -- what is done when it is not as it was left ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda at: (at / chain.LOG).write_bytes(b"".join(rows(at / chain.LOG)[:-2])), "missing"),
        (lambda at: (at / chain.LOG).unlink(), "missing"),
        (lambda at: (at / chain.HEAD).unlink(), "head was missing"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes()[:-1] + b"x"), "missing"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes() + b"zqxjk\n"), "no entry"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes() + b"z" * 140_000), "no entry"),
    ],
    ids=["two lines cut", "log gone", "head gone", "torn and added to", "a foreign line", "a foreign flood"],
)
def test_a_log_that_was_changed_is_written_on_and_stays_found_out(tmp_path, change, fault):
    """The next entry does not mend it."""
    written(tmp_path)
    change(tmp_path)
    written(tmp_path, 2)
    assert any(fault in line for line in chain.verify(tmp_path).faults)


def test_a_line_torn_by_a_crash_is_taken_away(tmp_path):
    """Its writer was never told that it is kept."""
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"at":"2027-03-15T14:0' + b"0" * 700)
    assert chain.verify(tmp_path).faults[0].endswith("torn by a crash, or cut")
    written(tmp_path, 1)
    verdict = chain.verify(tmp_path)
    assert verdict.holds, verdict.faults
    assert verdict.entries == 6


def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path):
    """The file may not grow, by the kernel's own limit: refused; once it may, all goes on and the log holds."""
    path = written(tmp_path)
    before, size = resource.getrlimit(resource.RLIMIT_FSIZE), path.stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
        with pytest.raises(chain.LogUnusable, match="cannot be written"):
            written(tmp_path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size == size
    written(tmp_path, 1)
    assert chain.verify(tmp_path).holds


def _write_many(directory, anchor, n):
    written(directory, n, anchor=anchor)


def test_writers_at_once_make_one_chain(tmp_path):
    """Four processes, each twenty-five entries: all are there, in one chain, and the anchor has each."""
    context = multiprocessing.get_context("spawn")
    several = [context.Process(target=_write_many, args=(tmp_path / "log", tmp_path / "anchor", 25)) for _ in range(4)]
    for process in several:
        process.start()
    for process in several:
        process.join(120)
    assert [process.exitcode for process in several] == [0] * 4
    verdict = chain.verify(tmp_path / "log", tmp_path / "anchor")
    assert verdict.holds, verdict.faults
    assert (verdict.entries, verdict.anchored, len(rows(tmp_path / "anchor"))) == (101, 100, 101)


def test_a_link_in_its_place_is_not_followed(tmp_path):
    """Nobody can make us write elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (tmp_path / "log").mkdir(mode=0o700)
    (tmp_path / "log" / chain.LOG).symlink_to(elsewhere)
    with pytest.raises(Exception, match="is a link"):
        written(tmp_path / "log", 1)
    assert elsewhere.read_text() == ""
