"""The way of an alert to its sinks, and what is remembered of it: faults of sinks, of the disk, of the log; two watches at once."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from alert_evidence import T0, Ended, Held, minutes, rule

from audit import chain
from audit.alerts import AlertState, Event, Leak, Silence, StateUnusable, evaluate, read_state, write_state
from audit.alerts.delivery import deliver, enqueue
from audit.alerts.state import FILE
from audit.alerts.watch import LOCK, WATCHING, Watch, WatchBusy, alone, change
from audit.alerts.witness import LogWitness
from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, LeakSeen
from phi_guard.gate import Gate
from phi_guard.outbound.memory import MemorySink
from phi_guard.policy import load_policy, shipped

OURS = frozenset({"alert_sending", "alert_sent", "alert_silenced", "alert_unsilenced"})


@pytest.fixture(scope="module")
def gate():
    return Gate(load_policy(shipped("clinic.yaml"), env="prod"), None)


@pytest.fixture
def home(tmp_path):
    directory = tmp_path / "audit"
    directory.mkdir(mode=0o700)
    return directory


class Faulty(MemorySink):
    """Takes nothing while it has a fault, and counts how often it was tried."""

    def __init__(self, fault=None):
        super().__init__()
        self.fault, self.tried = fault, 0

    def deliver(self, batch, witness):
        self.tried += 1
        if self.fault is not None:
            raise self.fault
        super().deliver(batch, witness)

    @property
    def told(self):
        return [json.loads(body) for body in self.bodies]


def event(state="firing", name="leak", at=T0, key="ab" * 16, **more):
    plain = {"rule": name, "alert": name, "severity": "critical", "env": "prod", "project": "", "value": 1.0, "threshold": 0.0}
    return Event(state=state, unit="count", window_s=3600, since=T0, at=at, key=key, sinks=("slack",), **{**plain, **more})


def leaking(at=T0):
    return Held(found=(Leak(at, "hold"),), read_at=at)


LEAK = rule("leak", bar=0.0, resolve_bar=0.0)


def test_a_message_is_cleared_and_stands_in_the_log_before_and_after(home, gate):
    sink = Faulty()
    look = Watch(home, [LEAK], gate, {"slack": sink}).look(leaking(), T0)
    assert (look.sent, look.problems) == (1, ())
    (told,) = sink.told
    assert (told["alert"], told["state"], told["env"], told["value"]) == ("leak", "firing", "prod", 1.0)
    logged = [entry for entry in chain.entries(home) if entry.event in OURS]
    assert [entry.event for entry in logged] == ["alert_sending", "alert_sent"]
    assert logged[0].facts["key"] == told["key"]
    assert logged[1].facts["outcome"] == "kept"
    assert not chain.verify(home).faults


def test_what_does_not_fit_the_gate_is_left_out_and_the_message_still_goes(home, gate):
    sink = Faulty()
    state = enqueue(AlertState(), [event(project="Maria Gonzalez, tel 555-0100")], {"slack": sink})
    deliver(state, {"slack": sink}, gate, LogWitness(home), T0)
    (told,) = sink.told
    assert "project" not in told
    assert told["alert"] == "leak"


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        pytest.param(DeliveryError("http_500"), [5, 10, 20, 40], id="backoff"),
        pytest.param(DeliveryError("http_429", 300.0), [300, 300, 300, 300], id="retry-after"),
        pytest.param(DeliveryHalted("http_404"), [3600, 3600], id="halted"),
        pytest.param(RuntimeError("https://hooks.slack.com/services/T0/B0/secret"), [5, 10], id="a fault of its own"),
    ],
)
def test_a_sink_that_fails_is_tried_again_no_sooner_than_it_may(home, gate, fault, waits):
    sink, now = Faulty(fault), T0
    watch = Watch(home, [LEAK], gate, {"slack": sink})
    for tries, wait in enumerate(waits, 1):
        look = watch.look(leaking(now), now)
        assert sink.tried == tries
        assert look.problems
        assert "secret" not in "".join(look.problems)
        watch.look(leaking(now), now + timedelta(seconds=wait - 1))
        assert sink.tried == tries, "tried too soon"
        now += timedelta(seconds=wait)
    sink.fault = None
    assert watch.look(leaking(now), now).sent == 1
    assert [told["state"] for told in sink.told] == ["firing"]
    assert not read_state(home / FILE).waiting


@pytest.mark.parametrize("fault", [DeliveryRefused("http_400"), LeakSeen("phone")], ids=["refused", "leak seen"])
def test_what_is_never_taken_is_given_up_and_said(home, gate, fault):
    sink = Faulty(fault)
    look = Watch(home, [LEAK], gate, {"slack": sink}).look(leaking(), T0)
    assert any("given up" in problem for problem in look.problems)
    assert not look.state.waiting


def test_a_sink_that_was_down_for_a_day_gets_the_newest_state_of_each_and_no_flood(home, gate):
    sink = Faulty(DeliveryError("connection"))
    other = Faulty()
    remind = rule("leak", bar=0.0, resolve_bar=0.0, remind_s=3600, sinks=("slack", "webhook"))
    switch = rule("switch_off", bar=0.0, resolve_bar=0.0, sinks=("slack",))
    watch, held = Watch(home, [remind, switch], gate, {"slack": sink, "webhook": other}), leaking()
    for hour in range(24):
        held.on = bool(hour % 2)
        held.read_at = T0 + timedelta(hours=hour)
        watch.look(held, held.read_at)
    assert len(other.bodies) == 24  # one sink's fault is not another's
    sink.fault = None
    watch.look(held, T0 + timedelta(hours=24))
    assert sorted((told["alert"], told["state"]) for told in sink.told) == [("leak", "firing"), ("switch_off", "resolved")]


def test_the_order_is_kept_for_each_sink(gate, home):
    sink = Faulty(DeliveryError("connection"))
    events = [event(name=name, key=f"{n:032x}") for n, name in enumerate(["leak", "budget", "stale", "switch_off"])]
    state = enqueue(AlertState(), events, {"slack": sink})
    state = deliver(state, {"slack": sink}, gate, LogWitness(home), T0).state
    assert sink.tried == 1  # the first that fails keeps those behind it
    sink.fault = None
    done = deliver(state, {"slack": sink}, gate, LogWitness(home), T0 + minutes(1))
    assert [told["alert"] for told in sink.told] == ["leak", "budget", "stale", "switch_off"]
    assert (done.sent, done.state.waiting) == (4, ())


def test_an_end_takes_the_place_of_its_beginning_only_where_the_sink_fails(home, gate):
    sink = Faulty()
    both = [event(), event("resolved", at=T0 + minutes(1))]
    assert len(enqueue(AlertState(), both, {"slack": sink}).waiting) == 2
    sink.fault = DeliveryError("connection")
    state = deliver(enqueue(AlertState(), both[:1], {"slack": sink}), {"slack": sink}, gate, LogWitness(home), T0).state
    (left,) = enqueue(state, both[1:], {"slack": sink}).waiting
    assert (left.event.state, left.tries, left.not_before) == ("resolved", 1, T0 + timedelta(seconds=5))


def test_a_sink_without_an_address_gets_nothing_and_holds_nothing_for_ever(home, gate):
    assert not enqueue(AlertState(), [event()], {}).waiting
    state = enqueue(AlertState(), [event()], {"slack": Faulty()})
    assert deliver(state, {}, gate, LogWitness(home), T0 + timedelta(days=6)).state.waiting
    done = deliver(state, {}, gate, LogWitness(home), T0 + timedelta(days=8))
    assert not done.state.waiting
    assert "given up" in done.problems[0]


def full(*_args, **_more):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_on_a_full_disk_the_message_goes_and_the_episode_is_said_once(home, gate, monkeypatch):
    sink = Faulty()
    watch = Watch(home, [LEAK], gate, {"slack": sink})
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        look = watch.look(leaking(), T0)
        assert look.sent == 1
        assert any("No space left" in problem for problem in look.problems)
        assert any("log does not hold" in problem for problem in look.problems)
        watch.look(leaking(T0 + minutes(1)), T0 + minutes(1))
    assert not (home / FILE).exists()
    watch.look(leaking(T0 + minutes(2)), T0 + minutes(2))
    assert len(sink.bodies) == 1
    assert read_state(home / FILE).firing
    watch.look(Held(read_at=T0 + minutes(3)), T0 + minutes(3))  # what the log missed is written with the next
    logged = [entry for entry in chain.entries(home) if entry.event in OURS]
    assert [(entry.event, "happened" in entry.facts) for entry in logged] == [
        ("alert_sending", True), ("alert_sent", True), ("alert_sending", False), ("alert_sent", False),
    ]  # fmt: skip


def test_a_crash_between_writing_and_sending_says_it_again_and_loses_nothing(home, gate):
    class Crashes(MemorySink):
        def deliver(self, batch, witness):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(home, [LEAK], gate, {"slack": Crashes()}).look(leaking(), T0)
    sink = Faulty()
    Watch(home, [LEAK], gate, {"slack": sink}).look(Held(read_at=T0 + minutes(1)), T0 + minutes(1))  # over by now
    assert [told["state"] for told in sink.told] == ["firing", "resolved"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="torn"),
        pytest.param(b'{"schema":"phi-audit.alerts-state/9","state":{}}', id="another version"),
        pytest.param(b'{"schema":"phi-audit.alerts-state/1","state":{"at":"2026-03-10T09:00:00"}}', id="no zone"),
        pytest.param(b'{"schema":"phi-audit.alerts-state/1","state":{"tracks":{"x":3}}}', id="no track"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_a_damaged_state_is_put_aside_begun_anew_and_said_once(home, gate, content):
    (home / FILE).write_bytes(content)
    with pytest.raises(StateUnusable, match="damaged, or of another version"):
        read_state(home / FILE)
    sink = Faulty()
    watch = Watch(home, [LEAK], gate, {"slack": sink})
    look = watch.look(leaking(), T0)
    assert look.sent == 1
    assert any("put aside" in problem for problem in look.problems)
    assert [path.read_bytes() for path in home.glob(f"{FILE}.damaged-*")] == [content]
    assert not watch.look(leaking(), T0 + minutes(1)).problems
    assert any("put aside" in note for note in read_state(home / FILE).notes)


def test_the_state_survives_whole_and_is_its_owner_s_alone(tmp_path):
    held = Held(calls=[Ended(T0 - minutes(1), failed=k < 5) for k in range(40)], found=(Leak(T0, "hold"),))
    rules = (rule(), rule("leak", bar=0.0, resolve_bar=0.0, silences=(Silence("x", "y"),)))
    state, events = evaluate(rules, held, AlertState(silenced={"leak": Silence("a", "b", since=T0, until=T0 + minutes(9))}), T0)
    state = enqueue(state, events, {"slack": Faulty()})
    write_state(tmp_path / FILE, state)
    assert read_state(tmp_path / FILE) == state
    assert state.waiting
    assert next(iter(state.tracks.values())).episode or state.silenced
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_two_processes_do_not_look_at_once(home):
    code = (
        "import sys, time; from pathlib import Path; from audit.alerts.watch import alone\n"
        "with alone(Path(sys.argv[1]), wait_s=0): print('held', flush=True); time.sleep(60)"
    )
    for name in (LOCK, WATCHING):
        other = subprocess.Popen([sys.executable, "-c", code, str(home / name)], stdout=subprocess.PIPE)
        try:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(WatchBusy, match="another process"), alone(home / name, wait_s=0.1):
                pass
        finally:
            other.kill()
            other.wait()
            other.stdout.close()
        with alone(home / name, wait_s=5.0):  # a lock dies with who held it
            pass


def test_what_a_person_changes_meanwhile_is_seen_by_the_next_look(home, gate):
    sink = Faulty()
    watch = Watch(home, [LEAK], gate, {"slack": sink})
    watch.look(Held(), T0)
    quiet = Silence("a drill", "Ada", since=T0, until=T0 + minutes(10))
    change(home, lambda state: AlertState(state.at, state.tracks, state.waiting, {"leak": quiet}), T0)
    watch.look(leaking(T0 + minutes(1)), T0 + minutes(1))
    assert not sink.bodies
    watch.look(leaking(T0 + minutes(10)), T0 + minutes(10))
    assert len(sink.bodies) == 1
