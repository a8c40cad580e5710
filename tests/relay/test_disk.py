"""A disk without room and a file that is damaged, both for real: nothing raw, nothing lost that is not counted, and the relay serves on."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest
from fakes import Relay, Store, call_records, until

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.record import Ack, Batch
from tracing.recorder import Recorder
from tracing.relay.clock import Hands
from tracing.relay.database import ASIDE_MAX, put_aside
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import DELIVERED, Limits, Outbox, OutboxUnusable
from tracing.relay.retention import tidy

HERE = "relay"
encode = msgspec.msgpack.encode


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.stop()


def offer(recorder, calls=1, **how):
    return sum(recorder.record(record) is None for _ in range(calls) for record in call_records(**how))


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- no room ---------------------------------------------------------------------------------------------------------------------------


def no_room_and_then_room(relay, fill, free):
    """Offer calls, take the room away, offer more, give it back; the counts at the end, and what the relay did meanwhile."""
    recorder = Recorder(relay.settings.address)
    pid = relay.handle.process.pid
    try:
        n = offer(recorder, 2)
        assert recorder.drain(30)
        relay.settle()
        fill()
        n += offer(recorder, 30, tools=4)
        until(lambda: "cannot store what comes" in (relay.settings.runtime / "relay.log").read_text(), 30)
        before, began = cpu_s(pid), time.monotonic()
        time.sleep(3)
        spent = (cpu_s(pid) - before) / (time.monotonic() - began)
        assert recorder.tally().pending > 0
        answer = relay.handle.ask()
        assert relay.handle.process.poll() is None
        free()
        assert recorder.drain(60)
        ledger = relay.settle(60)
        tally = recorder.tally()
    finally:
        with suppress(OSError):
            free()
        recorder.close()
        relay.stop()
    assert answer is not None
    assert answer.ledger.adds_up
    assert spent < 0.5
    assert ledger.adds_up
    assert (ledger.offered, ledger.delivered, ledger.dropped) == (n, n, {})
    assert (tally.offered, tally.pending, tally.dropped) == (n, 0, {})


def test_a_disk_that_is_full_costs_time_alone(store, tmp_path, monkeypatch):
    """A file system of 3 MB, filled to the last byte: batches are not acknowledged, and come again when there is room."""
    state = tmp_path / "small"
    state.mkdir(mode=0o700)
    if (
        shutil.which("mount") is None
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(state)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs the right to mount a small file system")
    monkeypatch.setenv("PHI_GUARD_STATE_DIR", str(state))
    relay = None
    try:
        relay = Relay(tmp_path / "relay", store.url).ready()
        assert (state / "outbox.sqlite3").exists()

        def fill():
            with (state / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
                while True:
                    ballast.write(bytes(512))

        no_room_and_then_room(relay, fill, lambda: (state / "ballast").unlink(missing_ok=True))
    finally:
        if relay is not None:
            relay.stop()
        subprocess.run(["umount", "-l", str(state)], capture_output=True, check=False)


def test_a_file_that_may_not_grow_costs_time_alone(store, tmp_path):
    """The same without any right: the system refuses the relay each byte beyond what its file has."""
    if not hasattr(resource, "prlimit"):
        pytest.skip("needs prlimit(2)")
    relay = Relay(tmp_path / "relay", store.url).ready()
    pid = relay.handle.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    no_room_and_then_room(
        relay,
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (40_000, hard)),
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard)),
    )


# -- damage ----------------------------------------------------------------------------------------------------------------------------


def opened(tmp_path, hands=None):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), PatternDetector(), key=b"k" * 32)
    return Intake(Outbox(tmp_path / "outbox.sqlite3", Limits(), hands=hands), gate, switch, None, "project", "dev", HERE)


def send(intake, records, number=1, offered=None, acked=0, sender="agent"):
    raw = [msgspec.Raw(encode(record)) for record in records]
    offered = len(raw) if offered is None else offered
    reply = intake.take(encode(Batch(sender=sender, number=number, records=raw, offered=offered, acked=acked)))
    return reply is not None and msgspec.msgpack.decode(reply, type=Ack).number == number


def settle_all(intake):
    rows = intake.outbox.pending(10_000)
    intake.outbox.settle([row.seq for row in rows], DELIVERED)
    return len(rows)


def pages_of(path, table):
    """The file's pages that hold a table's rows, by SQLite's own account of its tree."""
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("rb") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
    if page[0] == 0x0D:  # a leaf: all is here
        return [root], size
    assert page[0] == 0x05
    cells = int.from_bytes(page[3:5], "big")
    starts = [int.from_bytes(page[12 + 2 * n : 14 + 2 * n], "big") for n in range(cells)]
    return [int.from_bytes(page[at : at + 4], "big") for at in starts] + [int.from_bytes(page[8:12], "big")], size


def damage(path, page, size):
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


def test_rows_that_can_be_read_are_carried_over_and_the_others_counted(tmp_path):
    """A page in the middle is gone: the ledger is exact, and says of how many operations nobody will know more."""
    intake = opened(tmp_path)
    n = 0
    for k in range(30):
        records = call_records(tools=2)
        n += len(records)
        assert send(intake, records, sender=f"s{k}")
    done = settle_all_of_first(intake, 50)
    tidy(intake.outbox, HERE)
    intake.outbox.close()
    path = tmp_path / "outbox.sqlite3"
    pages, size = pages_of(path, "ops")
    damage(path, pages[len(pages) // 2], size)
    with pytest.raises(OutboxUnusable):
        Outbox(path, check=True)
    put_aside(path, "a test", Hands())
    again = opened(tmp_path)
    ledger = read_ledger(again.outbox, HERE)
    assert ledger.adds_up
    assert (ledger.offered, ledger.delivered) == (n, done)
    assert list(ledger.dropped) == ["outbox_lost"]
    assert 0 < ledger.dropped["outbox_lost"] <= 20  # what one page of 4,096 bytes holds, not all behind it
    assert settle_all(again) == n - done - ledger.dropped["outbox_lost"]
    assert read_ledger(again.outbox, HERE).adds_up
    again.outbox.close()


def settle_all_of_first(intake, limit):
    rows = intake.outbox.pending(limit)
    intake.outbox.settle([row.seq for row in rows], DELIVERED)
    return len(rows)


def test_where_no_count_can_be_read_the_agents_tell_it_again(tmp_path):
    """What a relay had acknowledged and nobody can tell any more is lost; what the agent still holds is not."""
    intake = opened(tmp_path)
    first, second, third = (call_records() for _ in range(3))
    assert send(intake, first)
    assert send(intake, second, 2, offered=len(first) + len(second), acked=len(first))
    intake.outbox.close()
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(b"this was a database once" * 400)
    put_aside(path, "a test", Hands())
    again = opened(tmp_path)
    told = len(first) + len(second)
    # the second batch's acknowledgement had not arrived: it comes again, and is not lost
    assert send(again, second, 2, offered=told, acked=len(first))
    assert read_ledger(again.outbox, HERE).dropped == {"outbox_lost": len(first)}
    assert send(again, third, 3, offered=told + len(third), acked=told)
    settle_all(again)
    ledger = read_ledger(again.outbox, HERE)
    assert ledger.adds_up
    assert (ledger.offered, ledger.delivered) == (told + len(third), len(second) + len(third))
    assert (ledger.pending, ledger.dropped) == (0, {"outbox_lost": len(first)})
    again.outbox.close()


# A relay's outbox that is damaged while no file may grow; then there is room again.
NO_ROOM = """
import resource, signal, sqlite3, sys
from pathlib import Path
from tracing.relay.clock import Hands
from tracing.relay.database import put_aside
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, limits = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), limits[1]))
try:
    put_aside(path, "a test", Hands())
except (sqlite3.Error, OSError) as fault:
    print(type(fault).__name__, sorted(one.name for one in path.parent.glob("outbox.sqlite3*")))
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
put_aside(path, "a test", Hands())
"""


@pytest.mark.parametrize("room", [0, 30_000, 250_000], ids=["none", "for-no-tables", "for-no-rows"])
def test_a_damaged_file_for_which_there_is_no_room_stays_until_there_is(tmp_path, room):
    """Nothing that waits in it is forgotten for that: it is carried over when the disk takes it."""
    intake = opened(tmp_path)
    n = 0
    for k in range(40):
        records = call_records(tools=2, argument=json.dumps({"reason_for_visit": "my knee is sore " * 60}))
        n += len(records)
        assert send(intake, records, sender=f"s{k}")
    intake.outbox.close()
    path = tmp_path / "outbox.sqlite3"
    assert path.stat().st_size > 250_000
    pages, size = pages_of(path, "ops")
    damage(path, pages[len(pages) // 2], size)
    done = subprocess.run([sys.executable, "-c", NO_ROOM, path, str(room)], capture_output=True, text=True, timeout=60, check=True)
    fault, _, left = done.stdout.partition(" ")
    assert fault in {"OperationalError", "DatabaseError", "OSError"}
    assert not any(name in left for name in (".new", ".2")), left
    again = opened(tmp_path)
    ledger = read_ledger(again.outbox, HERE)
    assert ledger.adds_up
    assert (ledger.offered, list(ledger.dropped)) == (n, ["outbox_lost"])
    assert n - 40 < settle_all(again) < n
    again.outbox.close()


# An outbox that is overwritten while it is open and no file may grow; each use fails until there is room again, and then none.
IN_USE = """
import resource, signal, sqlite3, sys
from pathlib import Path
from tracing.relay.outbox import Outbox, OutboxUnusable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, limits = Path(sys.argv[1]), resource.getrlimit(resource.RLIMIT_FSIZE)
outbox = Outbox(path)
outbox.pending(10)
path.write_bytes(b"\\xa5" * path.stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
faults = 0
for _ in range(4):
    try:
        outbox.open_calls()
    except (sqlite3.Error, OSError, OutboxUnusable):
        faults += 1
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
for _ in range(2):
    try:
        with outbox.writing():
            outbox.heard("a", 1, {})
    except sqlite3.Error:
        print("once more")
print(faults, outbox.offered(), len(list(path.parent.glob("outbox.sqlite3.2*"))) > 0)
"""


def test_a_damaged_file_that_cannot_be_opened_just_now_is_not_taken_for_empty(tmp_path):
    """What keeps it from being read goes away; then what waits in it is carried over."""
    intake = opened(tmp_path)
    records = call_records()
    assert send(intake, records)
    intake.outbox.close()
    path, way = tmp_path / "outbox.sqlite3", tmp_path / "outbox.sqlite3-wal"
    way.mkdir()
    with pytest.raises(sqlite3.OperationalError):
        put_aside(path, "a test", Hands())
    way.rmdir()
    put_aside(path, "a test", Hands())
    again = opened(tmp_path)
    assert settle_all(again) == len(records)
    again.outbox.close()


def test_an_outbox_in_use_that_could_not_be_put_aside_is_tried_again(tmp_path):
    """It serves as soon as there is room, without another start."""
    intake = opened(tmp_path)
    for k in range(10):
        assert send(intake, call_records(), sender=f"s{k}")
    intake.outbox.close()
    command = [sys.executable, "-c", IN_USE, tmp_path / "outbox.sqlite3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "4 1 True", done.stdout


def use_both(intake, shipper):
    for n in range(2, 9):
        send(intake, call_records(), n, sender="other")
        shipper.pending(1000)


def test_a_file_that_is_overwritten_or_deleted_while_it_runs_is_replaced(tmp_path):
    """Two connections, as the relay has them: the one that meets the damage replaces the file, the other follows."""
    intake = opened(tmp_path)
    shipper = Outbox(tmp_path / "outbox.sqlite3")
    path = tmp_path / "outbox.sqlite3"
    for k in range(30):
        assert send(intake, call_records(tools=2), sender=f"s{k}")
    assert shipper.pending(10)
    tidy(intake.outbox, HERE)
    with path.open("r+b") as file:
        file.write(b"\xa5" * path.stat().st_size)
    records = call_records()
    with pytest.raises(sqlite3.DatabaseError):
        use_both(intake, shipper)
    deadline = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline
        with suppress(sqlite3.DatabaseError):
            if send(intake, records, 1, sender="after"):
                break
    spans = {row.span for row in shipper.pending(1000)}
    assert spans >= {record.id for record in records}
    shipper.settle([row.seq for row in shipper.pending(1000)], DELIVERED)
    assert intake.outbox.pending(10) == []
    assert len({one.name.split("-")[0] for one in tmp_path.glob("outbox.sqlite3.2*")}) == 1
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink()
    more = call_records()
    assert send(intake, more, 2, len(records) + len(more), sender="after")
    assert {row.span for row in shipper.pending(1000)} == {record.id for record in more}
    shipper.close()
    intake.outbox.close()
    with closing(Outbox(path, check=True)) as whole:
        assert len(whole.pending(1000)) == len(more)


def filled(tmp_path):
    """An outbox in which a call waits."""
    intake = opened(tmp_path)
    assert send(intake, call_records())
    intake.outbox.close()
    return tmp_path / "outbox.sqlite3"


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE totals SET n = 'Zqxjk'",
        "UPDATE senders SET arrived = x'00ff'",
        "UPDATE totals SET n = n + 1 WHERE state = 'pending'",
    ],
    ids=["text", "bytes", "sum"],
)
def test_cells_that_are_no_numbers_cost_what_waited_and_not_the_relay(tmp_path, spoil, capfd):
    """Damage that is still read: nothing of it is taken over, nothing of it is told, and the new outbox serves."""
    path = filled(tmp_path)
    with sqlite3.connect(path) as db:
        db.executescript(spoil)
    db.close()
    put_aside(path, "a test", Hands())
    told = capfd.readouterr()
    assert "what waited in it is not sent" in told.out + told.err
    assert "Zqxjk" not in told.out + told.err
    with closing(Outbox(path)) as outbox:
        assert outbox.pending(10) == []
        assert read_ledger(outbox, "relay").adds_up


def test_a_relay_killed_between_the_two_renames_finds_what_it_had_carried_over(tmp_path):
    """The old file is away and the new one has not its name yet: it gets it, with all that waits."""
    path = filled(tmp_path)
    with closing(Outbox(path)) as outbox:
        waits = len(outbox.pending(100))
    assert waits
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    path.rename(path.with_name(f"{path.name}.new"))
    for part in ("-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)
    with closing(Outbox(path)) as outbox:
        assert len(outbox.pending(100)) == waits
    assert not path.with_name(f"{path.name}.new").exists()


def test_few_damaged_outboxes_are_kept(tmp_path):
    """They hold what should have left long ago."""
    path = tmp_path / "outbox.sqlite3"
    for _ in range(ASIDE_MAX + 3):
        path.write_bytes(b"this was a database once" * 400)
        path.with_name(path.name + "-wal").write_bytes(b"x")
        put_aside(path, "a test", Hands())
    aside = [one.name for one in tmp_path.glob("outbox.sqlite3.2*")]
    assert len({name.removesuffix("-wal").removesuffix("-shm") for name in aside}) == ASIDE_MAX
    assert all(one.stat().st_mode & 0o077 == 0 for one in tmp_path.glob("outbox.sqlite3*"))


def test_a_relay_whose_outbox_is_damaged_under_it_delivers_what_comes(store, tmp_path):
    """The real relay, its shipper sending: what the agent offers afterwards arrives, once, and the relay does not end."""
    relay = Relay(tmp_path / "relay", store.url).ready()
    recorder = Recorder(relay.settings.address)
    path = tmp_path / "relay" / "outbox.sqlite3"
    try:
        offer(recorder, 3)
        assert recorder.drain(30)
        relay.settle()
        for part in ("", "-wal"):
            held = path.with_name(path.name + part)
            with held.open("r+b") as file:
                file.write(b"\xa5" * held.stat().st_size)
        n = offer(recorder, 3)
        assert recorder.drain(25), (tmp_path / "relay" / "relay.log").read_text()
        until(lambda: sum(run["name"] == "voice_session" and bool(run["end_time"]) for run in store.runs()) == 6, 60)
        until(lambda: relay.ledger().delivered >= n, 20)  # a run is in the store a moment before it is counted
        assert relay.handle.process.poll() is None
    finally:
        recorder.close()
        relay.stop()
    assert "put aside" in (tmp_path / "relay" / "relay.log").read_text()
