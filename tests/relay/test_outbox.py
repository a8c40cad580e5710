"""What the outbox keeps, for how long, and how much of it: the ledger stays exact while all else is forgotten."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from contextlib import closing

import msgspec
import pytest
from fakes import Relay, call_records

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.runtime import RuntimeDirectoryError, keep_private, state_dir
from phi_guard.switch import FileSwitch
from tracing.record import Ack, Batch, CallOpened
from tracing.relay import log
from tracing.relay.clock import Hands
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import DELIVERED, DROPPED, SENDERS_H, Limits, Outbox
from tracing.relay.retention import CALLS_H, MARKS_H, tidy
from tracing.settings import read_settings

HERE = "relay"
encode = msgspec.msgpack.encode


class Time:
    """Hands of a clock that a test moves."""

    def __init__(self):
        self.wall, self.steady = time.time(), 1000.0

    def hands(self, boot="a", life="1"):
        return Hands(lambda: self.wall, lambda: self.steady, boot, life)

    def pass_hours(self, hours):
        self.wall += hours * 3600
        self.steady += hours * 3600


@pytest.fixture
def clock():
    return Time()


def opened(tmp_path, clock, limits=None):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), PatternDetector(), key=b"k" * 32)
    outbox = Outbox(tmp_path / "outbox.sqlite3", limits or Limits(), hands=clock.hands())
    return Intake(outbox=outbox, gate=gate, switch=switch, pricing=None, project="project", env="dev", here=HERE)


@pytest.fixture
def intake(tmp_path, clock):
    intake = opened(tmp_path, clock)
    yield intake
    intake.outbox.close()


def send(intake, records, number=1, offered=None, sender="agent", **told):
    raw = [msgspec.Raw(encode(record)) for record in records]
    batch = Batch(sender=sender, number=number, records=raw, offered=len(raw) if offered is None else offered, **told)
    reply = intake.take(encode(batch))
    return reply is not None and msgspec.msgpack.decode(reply, type=Ack).number == number


def deliver(intake, limit=10_000):
    rows = intake.outbox.pending(limit)
    intake.outbox.settle([row.seq for row in rows], DELIVERED)
    return len(rows)


def rows_in(outbox):
    names = ("ops", "settled", "calls", "call_totals", "redactions", "senders")
    return {name: outbox.base.db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}


def held_bytes(tmp_path):
    return b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("outbox.sqlite3"))


# -- what is forgotten ---------------------------------------------------------------------------------------------------------------


def test_what_is_settled_is_folded_and_known_again(intake, clock):
    """Delivered, sent again, delivered: once in the ledger, and no row of it is left."""
    records = call_records(tools=3)
    assert send(intake, records)
    assert deliver(intake) == len(records)
    assert send(intake, records)
    assert intake.outbox.pending(10) == []
    ledger = read_ledger(intake.outbox, HERE)
    assert (ledger.offered, ledger.delivered, ledger.pending, ledger.adds_up) == (len(records), len(records), 0, True)
    assert rows_in(intake.outbox)["ops"] == 0
    one_call = read_ledger(intake.outbox, HERE, records[0].call)
    assert (one_call.offered, one_call.delivered) == (len(records), len(records))


def test_all_but_the_counts_is_forgotten_in_time(intake, clock):
    """Calls after an hour of service, marks and recorders after a day; the ledger never changes."""
    n = sum(len(records) for records in [call_records() for _ in range(5)] if send(intake, records, sender=records[0].call))
    deliver(intake)
    before = read_ledger(intake.outbox, HERE)
    clock.pass_hours(CALLS_H + 1)
    tidy(intake.outbox, HERE)
    left = rows_in(intake.outbox)
    assert (left["calls"], left["call_totals"], left["redactions"], left["settled"], left["senders"]) == (0, 0, 0, n, 5)
    clock.pass_hours(MARKS_H)
    tidy(intake.outbox, HERE)
    assert rows_in(intake.outbox) == {"ops": 0, "settled": 0, "calls": 0, "call_totals": 0, "redactions": 0, "senders": 1}
    assert read_ledger(intake.outbox, HERE) == before
    assert before.adds_up
    assert before.delivered == n


def test_a_call_that_goes_on_is_not_forgotten(intake, clock):
    """Nor is what waits, however long the relay serves."""
    records = call_records(finished=False)
    send(intake, records)
    clock.pass_hours(60)
    tidy(intake.outbox, HERE)
    assert len(intake.outbox.open_calls()) == 1
    assert deliver(intake) == len(records)


def test_hours_without_a_relay_do_not_age_a_mark(tmp_path, clock):
    """A recorder that waited out a weekend sends again what was stored on Friday."""
    records = call_records()
    intake = opened(tmp_path, clock)
    send(intake, records)
    deliver(intake)
    intake.outbox.close()
    clock.pass_hours(65)
    outbox = Outbox(tmp_path / "outbox.sqlite3", hands=clock.hands(life="2"))
    with closing(outbox):
        tidy(outbox, HERE)
        assert rows_in(outbox)["settled"] == len(records)
        assert outbox.base.clock.age_s >= 65 * 3600


def test_a_recorder_that_comes_back_after_it_was_forgotten_is_counted_once(intake, clock):
    """It tells its sums since it began; those of before were folded."""
    first, second = call_records(), call_records()
    send(intake, first, offered=len(first) + 2, dropped={"queue_full": 2}, acked=0)
    deliver(intake)
    clock.pass_hours(SENDERS_H + 2)
    tidy(intake.outbox, HERE)
    assert [known.sender for known in intake.outbox.senders()] == [""]
    offered = len(first) + len(second) + 3
    send(intake, second, 2, offered=offered, dropped={"queue_full": 2, "encode": 1}, acked=len(first))
    deliver(intake)
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    # what it had dropped between two words of its own is folded with the first word after the long silence
    assert (ledger.offered, ledger.delivered) == (offered - 1, len(first) + len(second))
    assert ledger.dropped == {"agent_queue_full": 2}


def test_what_was_delivered_is_no_longer_on_the_disk(intake, tmp_path, clock):
    """Not in the file, and not in its log of changes."""
    records = call_records(tools=2, output='{"confirmation_id": "CONF-7777"}')
    send(intake, records)
    (body,) = [row.body for row in intake.outbox.pending(100) if row.name == "session.start"]
    assert body in held_bytes(tmp_path)
    deliver(intake)
    tidy(intake.outbox, HERE)
    assert body not in held_bytes(tmp_path)
    assert records[2].id.encode() not in held_bytes(tmp_path)


def test_the_file_does_not_grow_with_the_calls(intake, tmp_path, clock, capsys):
    """Ten calls an hour, delivered: once the day is full, the file stays."""
    sizes = []
    for _hour in range(60):
        for _ in range(10):
            records = call_records()
            send(intake, records, sender=records[0].call)
        deliver(intake)
        clock.pass_hours(1)
        tidy(intake.outbox, HERE)
        sizes.append((tmp_path / "outbox.sqlite3").stat().st_size)
    assert max(sizes[30:]) <= sizes[29] * 1.1
    assert read_ledger(intake.outbox, HERE).adds_up


def test_what_waited_through_a_long_night_gives_its_room_back(intake, tmp_path):
    """The file shrinks with what is delivered."""
    for n in range(60):
        send(intake, call_records(tools=5), sender=f"s{n}")
    tidy(intake.outbox, HERE)
    full = (tmp_path / "outbox.sqlite3").stat().st_size
    deliver(intake)
    tidy(intake.outbox, HERE)
    assert (tmp_path / "outbox.sqlite3").stat().st_size < full / 2


# -- how much, and for how long ------------------------------------------------------------------------------------------------------


def test_beyond_the_quota_no_new_call_is_taken_and_no_trace_is_torn(tmp_path, clock):
    """What was acknowledged is kept; what is refused is refused with its root, and counted."""
    intake = opened(tmp_path, clock, Limits(ops=32))
    going_on = call_records(tools=12)
    assert send(intake, going_on[:14], 1, offered=14)
    new = [call_records(tools=12) for _ in range(3)]
    for n, records in enumerate(new, 2):
        assert send(intake, records, n, sender=f"s{n}")
    assert send(intake, going_on[14:], 9, offered=len(going_on))
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert ledger.pending == len(going_on) + len(new[0])
    assert ledger.dropped == {"quota": len(new[1]) + len(new[2])}
    roots = {row.span for row in intake.outbox.pending(100) if row.name == "voice_session"}
    assert roots == {going_on[0].call, new[0][0].call}
    deliver(intake)
    assert send(intake, call_records(), 10, sender="later")
    assert len(intake.outbox.pending(100)) > 0
    intake.outbox.close()


def test_the_quota_counts_bytes_on_the_disk(tmp_path, clock):
    """And what was delivered makes room again."""
    intake = opened(tmp_path, clock, Limits(bytes=300_000))
    for n in range(60):
        assert send(intake, call_records(tools=5), 1, sender=f"s{n}")
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert set(ledger.dropped) == {"quota"}
    tidy(intake.outbox, HERE)
    assert (tmp_path / "outbox.sqlite3").stat().st_size < 300_000 * 1.15
    deliver(intake)
    tidy(intake.outbox, HERE)
    records = call_records()
    send(intake, records, 1, sender="later")
    assert len(intake.outbox.pending(100)) == len(records)
    intake.outbox.close()


def test_what_waits_too_long_is_dropped_by_whole_calls(intake, clock):
    """No root before what hangs below it, what comes after it goes with it, and a younger call stays."""
    old, young = call_records(finished=False), call_records()
    send(intake, old[:2], 1, offered=2)
    clock.pass_hours(71)
    send(intake, old[2:], 2, offered=len(old))
    send(intake, young, 1, sender="young")
    clock.pass_hours(1.5)
    assert {row.span for row in intake.outbox.pending(100)} == {record.id for record in young}
    late = msgspec.structs.replace(old[2], id="0190-late", at=(*old[2].at[:1], (old[2].at[1][0], "0190-late")))
    send(intake, [late], 3, offered=len(old) + 1)
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert ledger.dropped == {"ttl": len(old) + 1}
    assert ledger.pending == len(young)


def test_what_waits_too_long_goes_also_while_nothing_is_sent(intake, clock):
    """The shipper does not ask for more while the switch is off."""
    records = call_records()
    send(intake, records)
    clock.pass_hours(73)
    tidy(intake.outbox, HERE)
    assert read_ledger(intake.outbox, HERE).dropped == {"ttl": len(records)}


def test_a_dropped_root_takes_the_rest_of_its_call_with_it(intake):
    """Where the sink refuses the root's create for good, what comes later has nowhere to hang."""
    records = call_records()
    send(intake, records[:3], 1, offered=3)
    (root,) = [row.seq for row in intake.outbox.pending(10) if row.name == "voice_session"]
    intake.outbox.settle([root], DROPPED, "http_422")
    intake.outbox.settle([root], DELIVERED)  # once is enough
    send(intake, records[3:], 2, offered=len(records))
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert ledger.dropped == {"http_422": 1 + len(records) - 3}


# -- where it lies, and whose it is --------------------------------------------------------------------------------------------------


def test_the_state_outlives_the_login_and_a_directory_of_ones_own_holds_all(tmp_path, monkeypatch):
    """Default runtime: the state is in the home. A runtime that was chosen: there, unless it was chosen too."""
    monkeypatch.delenv("PHI_GUARD_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "login"))
    (tmp_path / "login").mkdir(mode=0o700)
    home = {"HOME": str(tmp_path / "home")}
    assert read_settings(environ=home).state == tmp_path / "home/.local/state/phi-guard"
    assert read_settings(environ=home | {"XDG_STATE_HOME": str(tmp_path / "x")}).state == tmp_path / "x/phi-guard"
    assert read_settings(environ=home | {"XDG_STATE_HOME": "relative"}).state == tmp_path / "home/.local/state/phi-guard"
    assert read_settings(environ=home | {"PHI_GUARD_STATE_DIR": str(tmp_path / "s")}).state == tmp_path / "s"
    assert read_settings(runtime=tmp_path / "own", environ=home).state == tmp_path / "own"
    assert read_settings(runtime=tmp_path / "own", state=tmp_path / "s", environ=home).state == tmp_path / "s"
    assert read_settings(runtime=tmp_path / "login/phi-guard", environ=home).state == tmp_path / "home/.local/state/phi-guard"
    assert not (tmp_path / "home").exists()  # an agent makes no directory that only the relay needs


@pytest.mark.parametrize(("name", "text"), [("MAX_MB", "much"), ("MAX_MB", "0"), ("TTL_H", "-3"), ("TTL_H", "nan"), ("MAX_MB", "inf")])
def test_a_limit_that_is_no_number_is_refused(tmp_path, name, text):
    """And the message names the variable."""
    with pytest.raises(ValueError, match=f"PHI_GUARD_OUTBOX_{name}"):
        read_settings(runtime=tmp_path / "run", environ={f"PHI_GUARD_OUTBOX_{name}": text})


def test_a_state_directory_others_may_enter_is_refused(tmp_path):
    """As the runtime directory is."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o750)
    with pytest.raises(RuntimeDirectoryError, match="PHI_GUARD_STATE_DIR"):
        state_dir(tmp_path / "s")
    command = [sys.executable, "-m", "tracing.relay", "--runtime", str(tmp_path / "run"), "--state", str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "others may enter" in done.stderr
    assert list((tmp_path / "s").iterdir()) == []


def test_files_that_others_can_read_are_closed_to_them_and_links_refused(tmp_path):
    """Whoever made them."""
    (tmp_path / "relay.log").write_text("x")
    (tmp_path / "relay.log").chmod(0o644)
    assert keep_private(tmp_path, ["relay.log", "none"]) == ["relay.log"]
    assert stat.S_IMODE((tmp_path / "relay.log").stat().st_mode) == 0o600
    (tmp_path / "seal.key").symlink_to(tmp_path / "relay.log")
    with pytest.raises(RuntimeDirectoryError, match="link"):
        keep_private(tmp_path, ["seal.key"])


def test_socket_outbox_key_and_logs_are_ours_alone(tmp_path, monkeypatch):
    """And the state lies apart from the runtime where it was told to."""
    runtime, state = tmp_path / "run", tmp_path / "state"
    state.mkdir(mode=0o700)
    (state / "seal.key").write_bytes(b"k" * 32)
    (state / "seal.key").chmod(0o644)
    monkeypatch.setenv("PHI_GUARD_STATE_DIR", str(state))
    relay = Relay(runtime, "http://127.0.0.1:9").ready()
    try:
        found = {path.name: path.stat() for path in (*runtime.iterdir(), *state.iterdir())}
        modes = {name: stat.S_IMODE(seen.st_mode) for name, seen in found.items() if not stat.S_ISDIR(seen.st_mode)}
        assert {name: oct(mode) for name, mode in modes.items() if mode & 0o177} == {}
        assert {path.name for path in state.iterdir()} >= {"outbox.sqlite3", "seal.key", "outbox.lock"}
        assert {"relay.sock", "relay.log"} <= {path.name for path in runtime.iterdir()}
        assert "seal.key could be read by others" in (runtime / "relay.log").read_text()
        second = subprocess.run(
            [sys.executable, "-m", "tracing.relay", "--runtime", str(tmp_path / "other"), "--state", str(state)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "another runtime directory keeps its outbox there" in second.stderr
    finally:
        relay.stop()


def test_the_log_stays_small(tmp_path):
    """The one we write to is begun anew; a terminal, or another's file, is let be."""
    script = (
        "import os, sys, pathlib\nfrom tracing.relay import log\nhere = pathlib.Path(sys.argv[1])\n"
        "for n in range(400):\n    log.say('x' * 100)\n    log.bound(here, 10_000)\n"
    )
    with (tmp_path / log.NAME).open("a") as own:
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], stdout=own, stderr=own, check=True, timeout=60)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {log.NAME, f"{log.NAME}.1"}
    assert all(path.stat().st_size < 11_000 for path in tmp_path.iterdir() if path.is_file())
    assert stat.S_IMODE((tmp_path / log.NAME).stat().st_mode) == 0o600
    with (tmp_path / "mine.txt").open("a") as other:
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], stdout=other, stderr=other, check=True, timeout=60)
    assert (tmp_path / "mine.txt").stat().st_size > 40_000


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(intake):
    """Whatever ends it; a part of one can fail alone."""
    with pytest.raises(KeyError), intake.outbox.writing():  # noqa: PT012  # the body is the subject
        intake.outbox.heard("agent", 1, {})
        intake.outbox.store_dropped("s", "create", "c", "undecodable")
        raise KeyError
    assert intake.outbox.senders() == []
    with intake.outbox.writing():
        intake.outbox.heard("agent", 1, {})
        with pytest.raises(KeyError), intake.outbox.trying():  # noqa: PT012  # likewise
            intake.outbox.store_dropped("s", "create", "c", "undecodable")
            raise KeyError
        intake.outbox.store_dropped("t", "create", "c", "relay_fault")
    assert read_ledger(intake.outbox, HERE).dropped == {"relay_fault": 1}


def test_an_operation_of_a_call_opened_twice_is_stored_once(intake):
    """The outbox's own word: a second store of the same operation changes no count."""
    (record,) = [one for one in call_records() if isinstance(one, CallOpened)][:1]
    send(intake, [record], 1)
    (row,) = intake.outbox.pending(10)
    cleared = intake.gate.restore(kind=row.kind, name=row.name, body=row.body, policy=row.policy, seal=row.seal)
    with intake.outbox.writing():
        intake.outbox.store(record.id, "create", record.call, cleared)
    assert read_ledger(intake.outbox, HERE).adds_up
    assert len(intake.outbox.pending(10)) == 1
