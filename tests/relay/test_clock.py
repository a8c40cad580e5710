"""The machine's clock may jump; a record's clock may be wrong; who is there is told by what is heard, in steady time."""

from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace

import msgspec
import pytest
from fakes import call_records

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.identity import new_id
from tracing.record import Batch, CallOpened, ToolCall
from tracing.relay import ledger as ledger_module
from tracing.relay.clock import AWAY_MAX_S, Clock, Hands, Reading
from tracing.relay.intake import LOST_S, Intake
from tracing.relay.ledger import SILENT_S, read_ledger
from tracing.relay.outbox import Limits, Outbox
from tracing.relay.presence import NAMES_MAX, Presence
from tracing.relay.retention import tidy

HERE = "relay"
HOURS = 3600.0
encode = msgspec.msgpack.encode


class Machine:
    """A machine whose clocks a test moves."""

    def __init__(self):
        self.wall, self.steady, self.boot = 1_800_000_000.0, 500.0, "first"

    def hands(self, life="1"):
        return Hands(lambda: self.wall, lambda: self.steady, self.boot, life)

    def run(self, seconds):
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def machine():
    return Machine()


def opened(tmp_path, machine, life="1"):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), PatternDetector(), key=b"k" * 32)
    outbox = Outbox(tmp_path / "outbox.sqlite3", Limits(), hands=machine.hands(life))
    return Intake(outbox, gate, switch, None, "project", "dev", HERE)


def send(intake, records, number=1, offered=None, calls=(), sender="agent"):
    raw = [msgspec.Raw(encode(record)) for record in records]
    offered = len(raw) if offered is None else offered
    return intake.take(encode(Batch(sender=sender, number=number, records=raw, offered=offered, open_calls=list(calls))))


# -- the machine's clock -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-30 * 365 * 24, -12, 12, 100, 30 * 365 * 24])
def test_a_step_of_the_wall_clock_drops_nothing_and_loses_nobody(tmp_path, machine, monkeypatch, step):
    """Under a running relay, and over its restart within a boot: nothing grows old by it, and no agent falls silent."""
    intake = opened(tmp_path, machine)
    records = call_records(finished=False)
    send(intake, records, calls=[records[0].call])
    machine.wall += step * HOURS
    monkeypatch.setattr(time, "time_ns", lambda: int(machine.wall * 1e9) if machine.wall > 0 else 0)
    monkeypatch.setattr(time, "time", lambda: machine.wall)
    intake.end_lost(time.monotonic() + 1)
    tidy(intake.outbox, HERE)
    ledger = read_ledger(intake.outbox, HERE)
    assert (ledger.pending, ledger.dropped, ledger.adds_up) == (len(records), {}, True)
    assert len(intake.outbox.pending(100)) == len(records)
    assert len(intake.outbox.open_calls()) == 1
    intake.outbox.close()
    machine.run(60)
    machine.wall -= 2 * step * HOURS
    again = opened(tmp_path, machine, "2")
    assert len(again.outbox.pending(100)) == len(records)
    assert 60 <= again.outbox.base.clock.age_s < 120
    machine.run(73 * HOURS)
    assert again.outbox.pending(100) == []
    again.outbox.close()


def test_over_a_reboot_the_wall_clock_counts_within_bounds(machine):
    """A weekend off counts; a clock that went back counts nothing; one that is years ahead counts a week."""
    clock = Clock(Reading(), machine.hands())
    machine.run(100)
    last = clock.reading()
    assert (last.age_s, last.served_s) == (100, 100)

    def after_boot(wall):
        machine.wall, machine.steady, machine.boot = wall, 5.0, "second"
        return Clock(last, machine.hands("2")).reading()

    assert after_boot(last.wall + 60 * HOURS).age_s == 100 + 60 * HOURS
    assert after_boot(last.wall - 60 * HOURS).age_s == 100
    assert after_boot(last.wall + 1e9).age_s == 100 + AWAY_MAX_S
    assert after_boot(last.wall + 60 * HOURS).served_s == 100


def test_two_connections_of_one_process_show_the_same(tmp_path, machine):
    """The shipper's opens later, and was not away."""
    with closing(Outbox(tmp_path / "outbox.sqlite3", hands=machine.hands())) as first:
        machine.run(500)
        with closing(Outbox(tmp_path / "outbox.sqlite3", hands=machine.hands())) as second:
            machine.run(500)
            assert first.base.clock.reading() == second.base.clock.reading()
            assert second.base.clock.served_s == 1000


# -- a record's clock ----------------------------------------------------------------------------------------------------------------

YEARS = {"1970": 0, "before it began": 1, "2100": 4_102_444_800 * 10**9, "2262": 2**63 - 1}


@pytest.mark.parametrize("start", YEARS.values(), ids=YEARS)
@pytest.mark.parametrize("end", YEARS.values(), ids=YEARS)
def test_a_record_of_whatever_year_is_told(tmp_path, machine, start, end):
    """Also where it ends before it starts; and its call can be ended for it."""
    intake = opened(tmp_path, machine)
    records = [
        msgspec.structs.replace(one, at=tuple((start, span) for _, span in one.at), end_ns=end and max(end, 1))
        for one in call_records(finished=False)
    ]
    assert send(intake, records) is not None
    intake.end_lost(time.monotonic() + 2 * LOST_S)
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert (ledger.pending, ledger.dropped) == (len(records) + 3, {})
    assert intake.outbox.open_calls() == []
    intake.outbox.close()


# -- who is there --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def intake(tmp_path, machine):
    intake = opened(tmp_path, machine)
    yield intake
    intake.outbox.close()


def beat_until(intake, seconds, offered, calls, monkeypatch, sender="agent"):
    """The sender beats each second, naming these calls; the relay looks each second."""
    now = time.monotonic()
    for second in range(int(seconds)):
        monkeypatch.setattr("tracing.relay.intake.time", SimpleNamespace(monotonic=lambda s=second: now + s, time_ns=time.time_ns))
        send(intake, [], 0, offered, calls, sender)
        intake.end_lost(now + second)
    monkeypatch.setattr("tracing.relay.intake.time", time)


def test_a_call_nobody_names_any_more_is_ended(intake, monkeypatch):
    """The sender lives and talks of another call: this one's object died without a word."""
    dead, alive = call_records(finished=False), call_records(finished=False)
    both = [*dead, *alive]
    send(intake, both, 1, len(both), [dead[0].call, alive[0].call])
    beat_until(intake, 3, len(both), [dead[0].call, alive[0].call], monkeypatch)
    assert len(intake.outbox.open_calls()) == 2
    beat_until(intake, 2 * LOST_S + 3, len(both), [alive[0].call], monkeypatch)
    assert [call for call, *_ in intake.outbox.open_calls()] == [alive[0].call]
    assert read_ledger(intake.outbox, HERE).adds_up


def test_a_call_whose_end_is_under_way_is_not_ended(intake, monkeypatch):
    """A batch that could not be stored comes again after the beats that no longer name its call."""
    records = call_records()
    send(intake, records[:3], 1, 3, [records[0].call])
    beat_until(intake, 5 * LOST_S, len(records), [], monkeypatch)
    assert len(intake.outbox.open_calls()) == 1
    send(intake, records[3:], 2, len(records))
    assert intake.outbox.open_calls() == []
    assert read_ledger(intake.outbox, HERE).offered == len(records)


def test_a_call_that_a_living_sender_names_is_not_ended(intake, monkeypatch):
    """A recorder made anew goes on with it; the one that opened it is silent."""
    records = call_records(finished=False)
    send(intake, records, 1, None, [records[0].call], sender="first")
    beat_until(intake, 5 * LOST_S, 0, [records[0].call], monkeypatch, sender="second")
    assert len(intake.outbox.open_calls()) == 1


def test_a_silent_sender_is_lost_and_an_old_outbox_does_not_make_it_so(tmp_path, machine, intake, monkeypatch):
    """Silence is counted from the relay's own beginning, and never from what another wrote down."""
    records = call_records(finished=False)
    send(intake, records, 1, len(records) + 4, [records[0].call])
    assert read_ledger(intake.outbox, HERE).pending == len(records) + 4
    machine.run(1_000_000)
    with closing(Outbox(tmp_path / "outbox.sqlite3", hands=machine.hands("2"))) as next_relays:
        assert read_ledger(next_relays, HERE).dropped == {}
    monkeypatch.setattr(ledger_module, "SILENT_S", -1.0)
    assert SILENT_S > LOST_S
    assert read_ledger(intake.outbox, HERE).dropped == {"agent_lost": 4}


def test_what_a_message_names_is_bounded():
    """Names without end, and names that are none."""
    presence = Presence()
    presence.hear("s", [str(n) for n in range(10 * NAMES_MAX)] + ["x" * 65], 0.0)
    presence.hear("t", ["x" * 65], 0.0)
    assert len(presence._named) == NAMES_MAX


def test_a_call_opened_in_the_far_future_is_ended_after_it_began(intake):
    """An agent's clock is ahead of ours: the end we write is not before its start."""
    key = new_id()
    far = time.time_ns() + 10**18
    send(intake, [CallOpened(call=key, id=key, at=((far, key),))])
    intake.end_lost(time.monotonic() + 2 * LOST_S)
    (last,) = [row for row in intake.outbox.pending(10) if row.name == "session.end"]
    body = msgspec.json.decode(last.body)
    assert body["start_time"] >= body["end_time"][:19]
    first, second = body["dotted_order"].split(".")
    assert second[:22] >= first[:22]


def test_a_tool_that_ended_before_it_began_takes_no_time(intake):
    """Nothing below zero is told."""
    records = [msgspec.structs.replace(one, end_ns=5) if isinstance(one, ToolCall) else one for one in call_records()]
    send(intake, records)
    (tool,) = [row for row in intake.outbox.pending(10) if row.name.startswith("tool.")]
    assert msgspec.json.decode(tool.body)["extra"]["metadata"]["duration_ms"] == 0.0
