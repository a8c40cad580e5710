"""The disclosure log: nothing leaves that is not in it, it holds no content, and no change to it goes unseen."""

from __future__ import annotations

import json
import resource
import shutil
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi_guard import disclosure_chain as chain
from phi_guard.errors import DisclosureUnwritable
from phi_guard.outbound.sink import Posting
from tracing.relay.disclosure import DisclosureLog

POSTING = Posting("smith.example", ("clinic",), ("0" * 16,), 12, 2, 34_567, "ab" * 32)


def written(directory, n=4, **how):
    """A log of so many postings, each taken."""
    directory.mkdir(exist_ok=True)
    log = DisclosureLog(directory, **how)
    for _ in range(n):
        log.intend(POSTING)
        log.settle("http_202")
    log.close()
    return directory / chain.LOG


def lines(directory):
    return [json.loads(line) for _, line in chain.read(directory)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A log of four postings, not to be changed."""
    directory = tmp_path_factory.mktemp("kept")
    written(directory)
    return directory


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A folder to change a copy in."""
    return tmp_path_factory.mktemp("copy") / "log"


def fresh(kept, copy):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(kept, copy)
    return copy


def test_an_entry_says_where_when_how_much_and_nothing_else(kept):
    """Every name in it is one of ours, and every value a time, a count, a digest or the name of a place."""
    begin, intent, outcome = lines(kept)[:3]
    assert begin.keys() == {"at", "event", "n", "prev", "salt", "schema"}
    assert intent.keys() == {
        "at", "body_sha256", "bytes", "calls", "destination", "event", "n", "operations", "policies", "prev", "projects",
    }  # fmt: skip
    assert (intent["destination"], intent["operations"], intent["calls"], intent["bytes"]) == ("smith.example", 12, 2, 34_567)
    assert {k: outcome[k] for k in ("event", "of", "outcome")} == {"event": "outcome", "of": 1, "outcome": "http_202"}
    assert all(stat.S_IMODE((kept / name).stat().st_mode) == 0o600 for name in (chain.LOG, chain.HEAD))


def test_a_whole_log_holds(kept):
    """One begin, four postings and their outcomes."""
    verdict = chain.verify(kept)
    assert verdict.holds, verdict.faults
    assert (verdict.entries, verdict.postings, verdict.unsettled) == (9, 4, ())


def test_two_logs_are_never_alike(kept, tmp_path):
    """Each chain begins with salt of its own."""
    written(tmp_path)
    assert lines(tmp_path)[0]["salt"] != lines(kept)[0]["salt"]


def test_a_posting_whose_relay_died_may_have_arrived(tmp_path):
    """The intent is there before the bytes leave; without an outcome it is told apart."""
    written(tmp_path, 2)
    log = DisclosureLog(tmp_path)
    log.intend(POSTING)
    log.close()  # as if killed: the kernel closes what a killed process held
    written(tmp_path, 1)
    verdict = chain.verify(tmp_path)
    assert verdict.holds, verdict.faults
    assert (verdict.postings, verdict.unsettled) == (4, (5,))


def test_it_goes_on_from_file_to_file(tmp_path):
    """A log that is too long is begun anew; the chain and its check run through all files."""
    written(tmp_path, 20, rotate_bytes=1_500)
    found = chain.files(tmp_path)
    assert len(found) > 3
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in found)
    verdict = chain.verify(tmp_path)
    assert verdict.holds, verdict.faults
    assert verdict.postings == 20
    found[1].unlink()
    assert not chain.verify(tmp_path).holds


# -- what is changed is found ---------------------------------------------------------------------------------------------------------

_many = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@_many
@given(st.data())
def test_any_byte_that_is_changed_is_found(kept, copy, data):
    """In any line, the last too, in a line break, or in the head."""
    path = fresh(kept, copy) / data.draw(st.sampled_from([chain.LOG, chain.LOG, chain.LOG, chain.HEAD]))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[at]))
    path.write_bytes(content)
    assert not chain.verify(copy).holds


@_many
@given(st.data())
def test_any_line_that_is_gone_moved_doubled_or_forged_is_found(kept, copy, data):
    """Also the last ones, which no later line holds fast, and also when the numbers are made to fit."""
    path = fresh(kept, copy) / chain.LOG
    rows = path.read_bytes().splitlines(keepends=True)
    first = data.draw(st.integers(0, len(rows) - 1))
    second = data.draw(st.integers(0, len(rows) - 1))
    what = data.draw(st.sampled_from(["delete", "cut", "swap", "double", "forge"]))
    if what == "delete":
        del rows[first]
    elif what == "cut":
        del rows[first:]
    elif what == "swap":
        if first == second:
            return
        rows[first], rows[second] = rows[second], rows[first]
    elif what == "double":
        rows.insert(second, rows[first])
    else:
        entry = json.loads(rows[first])
        entry["at"] = "2020-01-01T00:00:00.000000Z"
        rows[first] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join(rows))
    assert not chain.verify(copy).holds


def test_an_end_that_was_cut_off_is_called_so(kept, copy):
    """Whoever reads it must know what to look for."""
    path = fresh(kept, copy) / chain.LOG
    content = path.read_bytes()
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
    assert chain.verify(copy).faults == ("disclosures.head: names entry 8, and the log ends with 7: its end was cut off",)
    path.write_bytes(content[:-1])
    assert chain.verify(copy).faults == ("disclosures.jsonl:9: the line has no end",)


@_many
@given(st.binary(max_size=300), st.binary(max_size=120))
def test_no_content_of_the_files_breaks_the_check(copy, log, head):
    """Whatever lies there, the check says what is wrong with it."""
    copy.mkdir(exist_ok=True)
    (copy / chain.LOG).write_bytes(log)
    (copy / chain.HEAD).write_bytes(head)
    assert not chain.verify(copy).holds


@pytest.mark.parametrize("value", ["[]", "1.5", '"1"', "null", "{}", "1e400", "9" * 5000])
def test_an_outcome_of_nothing_is_no_entry(kept, copy, value):
    """A number that is none breaks nothing."""
    path = fresh(kept, copy) / chain.LOG
    path.write_text(path.read_text().replace('"of":1,', f'"of":{value},'))
    assert not chain.verify(copy).holds


# -- what is done when it is not as it was left ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda at: (at / chain.LOG).write_bytes(b"".join((at / chain.LOG).read_bytes().splitlines(keepends=True)[:-2])), "missing"),
        (lambda at: (at / chain.LOG).unlink(), "missing"),
        (lambda at: (at / chain.HEAD).unlink(), "head was missing"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes()[:-1] + b"x"), "missing"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes() + b"zqxjk\n"), "no entry"),
        (lambda at: (at / chain.LOG).write_bytes((at / chain.LOG).read_bytes() + b"z" * 20_000), "no entry"),
    ],
)
def test_a_log_that_was_changed_is_written_on_and_stays_found_out(tmp_path, change, fault):
    """The next relay does not mend it: deliveries go on, and the check goes on saying so."""
    written(tmp_path)
    change(tmp_path)
    written(tmp_path, 2)
    verdict = chain.verify(tmp_path)
    assert any(fault in line for line in verdict.faults), verdict.faults
    assert verdict.postings >= 2


def test_a_line_torn_by_a_crash_is_taken_away(tmp_path):
    """Its posting never left: the line was not yet on disk."""
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"at":"2027-03-15T14:0' + b"0" * 700)
    written(tmp_path, 1)
    verdict = chain.verify(tmp_path)
    assert verdict.holds, verdict.faults
    assert verdict.postings == 5


def test_a_full_disk_stops_the_posting_and_leaves_no_half_line(tmp_path):
    """The file may not grow, by the kernel's own limit: refused; once it may, all goes on and the chain holds."""
    path = written(tmp_path)
    log = DisclosureLog(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
        with pytest.raises(DisclosureUnwritable, match="nothing is sent"):
            log.intend(POSTING)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size == size
    log.intend(POSTING)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
        log.settle("http_202")  # never raises: it has left
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.intend(POSTING)
    log.settle("http_202")
    log.close()
    verdict = chain.verify(tmp_path)
    assert verdict.holds, verdict.faults
    assert (verdict.postings, verdict.unsettled) == (6, (9,))


def test_two_relays_do_not_write_one_log(tmp_path):
    """Whoever comes second sends nothing until the first has let go."""
    first, second = DisclosureLog(tmp_path), DisclosureLog(tmp_path)
    first.intend(POSTING)
    with pytest.raises(DisclosureUnwritable):
        second.intend(POSTING)
    first.settle("http_202")
    first.close()
    second.intend(POSTING)
    second.close()
    assert chain.verify(tmp_path).holds


def test_a_link_in_its_place_is_not_followed(tmp_path):
    """Nobody can make us write elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / chain.LOG).symlink_to(elsewhere)
    with pytest.raises(DisclosureUnwritable):
        DisclosureLog(tmp_path / "log").intend(POSTING)
    assert elsewhere.read_text() == ""
